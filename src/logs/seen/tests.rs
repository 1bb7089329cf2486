//! A kubelet as a model: a file of lines, streams that end anywhere, rotations.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn at(nanosecond: i64) -> Timestamp {
    Timestamp::from_nanosecond(1_795_860_000_000_000_000 + i128::from(nanosecond)).unwrap()
}

fn line(nanosecond: i64, text: &str) -> Line {
    Line { time: Some(at(nanosecond)), text: text.as_bytes().to_vec(), more: 0 }
}

fn timeless(text: &str) -> Line {
    Line { time: None, text: text.as_bytes().to_vec(), more: 0 }
}

const SECOND: i64 = 1_000_000_000;

#[test]
fn a_log_is_read_again_from_a_whole_second_in_the_past() {
    let mut seen = Seen::default();
    assert_eq!(seen.since(), None);
    for (last, since) in [
        (7 * SECOND + 700_000_000, 7 * SECOND),
        (8 * SECOND - 1, 7 * SECOND),
        // So near to the second that a line before it may come later.
        (9 * SECOND + 1, 8 * SECOND),
        (9 * SECOND + 20_000_000, 9 * SECOND),
    ] {
        assert!(seen.is_new(&line(last, "a")));
        assert_eq!(seen.since(), Some(at(since)), "{last}");
    }
}

#[test]
fn equal_lines_are_counted() {
    let mut seen = Seen::default();
    let same = line(5, "same");
    assert!(seen.is_new(&same) && seen.is_new(&same));
    seen.again();
    let came: Vec<_> = [&same, &same, &line(6, "same")].map(|line| seen.is_new(line)).into();
    assert_eq!(came, [false, false, true]);
    // Of two, only the first one had come.
    let mut seen = Seen::default();
    assert!(seen.is_new(&same));
    seen.again();
    assert_eq!([&same, &same].map(|line| seen.is_new(line)), [false, true]);
}

#[test]
fn a_line_behind_a_later_one_is_not_left_out() {
    let mut seen = Seen::default();
    assert!(seen.is_new(&line(10, "stderr")));
    seen.again();
    assert!(!seen.is_new(&line(10, "stderr")));
    assert!(seen.is_new(&line(9, "stdout")));
    seen.again();
    for repeated in [line(10, "stderr"), line(9, "stdout")] {
        assert!(!seen.is_new(&repeated), "{repeated:?}");
    }
}

#[test]
fn the_rest_of_a_line_written_in_parts_is_no_line() {
    let mut seen = Seen::default();
    let long = "x".repeat(20_000);
    assert!(seen.is_new(&line(SECOND - 5, &long)));
    assert!(seen.is_new(&line(SECOND + 50_000_000, "after")));
    seen.again();
    // The second part has a time of its own, within the second that is read again.
    assert!(!seen.is_new(&line(SECOND + 1, &long[16_384..])));
    assert!(!seen.is_new(&line(SECOND + 50_000_000, "after")));
    assert!(seen.is_new(&line(SECOND + 60_000_000, "new")));
}

#[test]
fn words_of_the_kubelet_are_shown_once() {
    let mut seen = Seen::default();
    assert!(seen.is_new(&timeless("unable to retrieve container logs")));
    for _ in 0..3 {
        seen.again();
        assert!(!seen.is_new(&timeless("unable to retrieve container logs")));
    }
    assert!(seen.is_new(&timeless("something else")));
}

#[test]
fn memory_is_bounded_and_what_is_forgotten_stays_read() {
    let mut seen = Seen::default();
    let lines: Vec<Line> = (0..20_000).map(|number| line(number, &number.to_string())).collect();
    assert!(lines.iter().all(|line| seen.is_new(line)));
    assert_eq!(seen.recent.len(), REMEMBERED);
    seen.again();
    assert!(lines.iter().all(|line| !seen.is_new(line)));
    assert!(seen.is_new(&line(20_000, "new")));
}

/// What happens between two streams, and how far a stream comes.
#[derive(Clone, Debug)]
struct Stream {
    /// Lines that are written before the stream begins.
    written: usize,
    /// Lines that it delivers at most.
    delivers: usize,
    /// The file is rotated: what was delivered is no longer in it, but for so many lines.
    rotated: Option<usize>,
}

fn streams() -> impl Strategy<Value = Vec<Stream>> {
    let stream = (0_usize..30, 0_usize..60, proptest::option::weighted(0.3, 0_usize..5));
    let stream = stream.prop_map(|(written, delivers, rotated)| Stream { written, delivers, rotated });
    proptest::collection::vec(stream, 1..20)
}

/// Times that mostly grow, from nothing to a second, and step back a little as those of two writers do.
fn steps() -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![
        3 => 0_i64..3,
        2 => 1_i64..2_000_000,
        2 => 100_000_000_i64..1_200_000_000,
        1 => -2_000_000_i64..0,
    ];
    proptest::collection::vec(step, 700)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_line_is_shown_once_and_in_order(streams in streams(), steps in steps()) {
        let (mut all, mut times) = (Vec::new(), HashSet::new());
        let (mut now, mut latest) = (0, 0);
        for (number, step) in (3..).zip(&steps) {
            // Two writers are a few milliseconds apart, not more.
            now = (now + step).max(latest - 5_000_000);
            latest = latest.max(now);
            // Many lines have equal texts. Those of one nanosecond do not: after a rotation nobody could say which it is.
            let text = if times.insert(now) { number % 3 } else { number * 10 };
            all.push(line(now, &text.to_string()));
        }
        let mut seen = Seen::default();
        let (mut shown, mut written, mut first, mut is_first) = (Vec::new(), 0, 0, true);
        let last = Stream { written: 0, delivers: usize::MAX, rotated: None };
        for stream in streams.iter().chain([&last]) {
            written = (written + stream.written).min(all.len());
            if let Some(kept) = stream.rotated {
                first = first.max(shown.len().saturating_sub(kept));
            }
            let since = seen.since();
            if !std::mem::take(&mut is_first) {
                seen.again();
            }
            let file = all[first..written].iter();
            let replayed = file.filter(|line| since.is_none() || line.time >= since);
            for line in replayed.take(stream.delivers) {
                if seen.is_new(line) {
                    shown.push(line.clone());
                }
            }
        }
        prop_assert_eq!(shown, &all[..written]);
    }
}
