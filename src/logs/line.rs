//! Lines of a log: takes bytes in pieces of any length, returns whole lines with the time that the kubelet noted.

use k8s_openapi::jiff::Timestamp;

/// Maximum length of a line that is kept, in bytes.
pub const MAX_LINE: usize = 16 * 1024;
/// Room for the time in front of a line, in bytes.
const TIME: usize = 64;

/// A line of a log, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was written, as the container runtime noted it; `None` for what the kubelet itself writes into the answer.
    pub time: Option<Timestamp>,
    /// What was written, cut to the maximum.
    pub text: Vec<u8>,
    /// How many bytes were cut off.
    pub more: u64,
}

/// Makes lines of bytes.
#[derive(Clone, Debug)]
pub struct Splitter {
    max: usize,
    begun: Vec<u8>,
    /// Bytes of the line beyond what is kept.
    more: u64,
}

impl Splitter {
    /// One that keeps so many bytes of a line.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self { max, begun: Vec::new(), more: 0 }
    }

    /// Takes the next bytes; `each` is given every line that they end.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Line)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (piece, is_end) = match piece.split_last() {
                Some((b'\n', rest)) => (rest, true),
                _ => (piece, false),
            };
            let room = (self.max + TIME).saturating_sub(self.begun.len());
            let (kept, cut) = piece.split_at(room.min(piece.len()));
            self.begun.extend_from_slice(kept);
            self.more += cut.len() as u64;
            if is_end {
                each(self.end());
            }
        }
    }

    /// The line that has no end, if there is one: nothing more comes.
    pub fn finish(&mut self) -> Option<Line> {
        (!self.begun.is_empty()).then(|| self.end())
    }

    /// Forgets the line that has no end: it comes again.
    pub fn forget(&mut self) {
        self.begun.clear();
        self.more = 0;
    }

    fn end(&mut self) -> Line {
        let raw = std::mem::take(&mut self.begun);
        let more = std::mem::take(&mut self.more);
        let (time, mut text) = match timed(&raw) {
            Some((time, length)) => (Some(time), raw.get(length..).unwrap_or_default().to_vec()),
            None => (None, raw),
        };
        let kept = whole_characters(&text, self.max);
        let cut = text.len() - kept;
        text.truncate(kept);
        Line { time, text, more: more + cut as u64 }
    }
}

/// The time in front of a line, and its length with the space after it.
fn timed(line: &[u8]) -> Option<(Timestamp, usize)> {
    let end = line.iter().take(TIME).position(|byte| *byte == b' ')?;
    let time = std::str::from_utf8(line.get(..end)?).ok()?;
    // Anything shorter is a word of the line.
    (time.len() >= "2026-11-28T10:00:00Z".len()).then_some(())?;
    Some((time.parse().ok()?, end + 1))
}

/// The longest beginning of at most `max` bytes that cuts no character.
fn whole_characters(text: &[u8], max: usize) -> usize {
    let is_inside = |at: usize| text.get(at).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
    let max = max.min(text.len());
    (max.saturating_sub(3)..=max).rev().find(|at| !is_inside(*at)).unwrap_or(max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(max: usize, pieces: &[&[u8]]) -> Vec<Line> {
        let mut splitter = Splitter::new(max);
        let mut lines = Vec::new();
        for piece in pieces {
            splitter.push(piece, |line| lines.push(line));
        }
        lines.extend(splitter.finish());
        lines
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_time_is_taken_off() {
        let (whole, zoned) = ("2026-11-28T10:00:00.000000001Z", "2026-11-28T12:00:00.5+02:00");
        let text = format!("{whole} a b\n{zoned} \nno time\n2026 x\n\n{whole} end");
        let found = lines(100, &[text.as_bytes()]);
        let texts: Vec<_> =
            found.iter().map(|line| (line.time, String::from_utf8_lossy(&line.text).into_owned())).collect();
        assert_eq!(
            texts,
            [
                (Some(time(whole)), "a b".to_owned()),
                (Some(time("2026-11-28T10:00:00.5Z")), String::new()),
                (None, "no time".to_owned()),
                (None, "2026 x".to_owned()),
                (None, String::new()),
                (Some(time(whole)), "end".to_owned()),
            ]
        );
    }

    #[test]
    fn a_long_line_is_cut_between_two_characters_and_counted() {
        for (text, max, kept, more) in [
            ("abcdef", 4, "abcd", 2),
            ("ab计算", 4, "ab", 6),
            ("ab计算", 5, "ab计", 3),
            ("abcd", 4, "abcd", 0),
        ] {
            let line = format!("2026-11-28T10:00:00Z {text}\n");
            let [found] = lines(max, &[line.as_bytes()]).try_into().unwrap();
            assert_eq!((found.text.as_slice(), found.more), (kept.as_bytes(), more), "{text}");
        }
        let [line] = lines(10, &[&[b'x'; 1000], &[b'y'; 1000], b"\n"]).try_into().unwrap();
        assert_eq!((line.text.len(), line.more), (10, 1990));
    }

    #[test]
    fn a_line_that_comes_again_is_forgotten() {
        let mut splitter = Splitter::new(10);
        splitter.push(b"half", |_| panic!("no line has ended"));
        splitter.forget();
        assert_eq!(splitter.finish(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn pieces_do_not_matter(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b' '), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
            max in 1_usize..40,
        ) {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let found = lines(max, &pieces);
            prop_assert_eq!(&found, &lines(max, &[&text]));
            // No byte is lost: each is kept, counted, or the end of a line.
            let kept: u64 = found.iter().map(|line| line.text.len() as u64 + line.more).sum();
            let ends = text.split(|byte| *byte == b'\n').count() as u64 - 1;
            prop_assert_eq!(kept + ends, text.len() as u64);
        }
    }
}
