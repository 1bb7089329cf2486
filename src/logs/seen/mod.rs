//! What was read of a container's log, so that reading it again repeats no line and leaves none out.
//!
//! A stream of a log ends early: the file is rotated, the API server restarts, a connection is lost. It is then read again
//! from a whole second on, as the API takes no finer time, and what was read before comes once more. Takes each line as it
//! comes, returns whether it is a new one. A container runtime writes the lines of stdout and stderr by two writers, so
//! that a line may have a time slightly before that of the line in front of it: a line counts as read if it was, not
//! because its time has passed.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::line::Line;

/// How many lines are remembered: more than are written by two writers at once.
const REMEMBERED: usize = 4096;
/// How many lines without a time are remembered.
const REMEMBERED_TIMELESS: usize = 16;
/// By how much the time of a line may be before that of the line in front of it.
const DISORDER: SignedDuration = SignedDuration::from_millis(10);
/// A runtime may write a line of this length in bytes, or a longer one, in parts with times of their own.
const PARTS: usize = 4096;

/// A line, as it is remembered.
type Key = (Timestamp, u64);

/// What was read of one container's log.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The latest time of a line.
    last: Option<Timestamp>,
    recent: VecDeque<Key>,
    /// The latest time of a line that is no longer remembered.
    forgotten: Option<Timestamp>,
    timeless: VecDeque<u64>,
    /// Time of the last line that may have been written in parts.
    in_parts: Option<Timestamp>,
    /// Set while a stream may repeat lines.
    again: Option<Again>,
}

/// A stream that may repeat lines.
#[derive(Clone, Debug, Default)]
struct Again {
    /// Lines that may come again, and how often.
    left: HashMap<Key, u32>,
    is_begun: bool,
}

impl Seen {
    /// From when on the log is to be read again, a whole second; `None`: nothing was read yet.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        let early = self.last?.checked_sub(DISORDER).unwrap_or(Timestamp::MIN);
        // Towards the past: rounding to the nearest second would leave lines out.
        Timestamp::from_second(early.as_nanosecond().div_euclid(1_000_000_000).try_into().ok()?).ok()
    }

    /// A stream begins that may repeat what was read.
    pub fn again(&mut self) {
        let mut again = Again::default();
        for key in &self.recent {
            *again.left.entry(*key).or_default() += 1;
        }
        self.again = Some(again);
    }

    /// Whether the line is a new one; it counts as read from now on.
    pub fn is_new(&mut self, line: &Line) -> bool {
        let hash = hash(line);
        let Some(time) = line.time else { return self.is_new_timeless(hash) };
        if self.is_repeated((time, hash)) {
            return false;
        }
        self.remember((time, hash));
        if line.text.len() as u64 + line.more >= PARTS as u64 {
            self.in_parts = Some(time);
        }
        true
    }

    fn is_repeated(&mut self, key: Key) -> bool {
        let (Some(again), Some(last)) = (&mut self.again, self.last) else { return false };
        let is_first = !std::mem::replace(&mut again.is_begun, true);
        let (time, _) = key;
        if time > last {
            return false;
        }
        if let Some(left) = again.left.get_mut(&key).filter(|left| **left > 0) {
            *left -= 1;
            return true;
        }
        let is_older = self.forgotten.is_some_and(|forgotten| time <= forgotten);
        // A stream may begin within a line that was written in parts.
        let is_rest = is_first && self.in_parts.is_some_and(|begun| begun < time);
        is_older || is_rest
    }

    /// What the kubelet itself writes, such as that it cannot read the log: once is enough.
    fn is_new_timeless(&mut self, hash: u64) -> bool {
        if self.again.is_some() && self.timeless.contains(&hash) {
            return false;
        }
        if self.timeless.len() == REMEMBERED_TIMELESS {
            self.timeless.pop_front();
        }
        self.timeless.push_back(hash);
        true
    }

    fn remember(&mut self, key: Key) {
        if self.recent.len() == REMEMBERED
            && let Some((time, _)) = self.recent.pop_front()
        {
            self.forgotten = self.forgotten.max(Some(time));
        }
        self.recent.push_back(key);
        self.last = self.last.max(Some(key.0));
    }
}

/// The same for the same line in every stream.
fn hash(line: &Line) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&line.text, line.more).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
