//! The life of a run: reserve, create, record.
//!
//! The rules are numbered in the comments as in the run protocol (docs/run-protocol.md). Where the plain reading of
//! "reserve, create, record" fails, a rule says what is done instead: caches are stale, processes die between two
//! writes, answers get lost, two operators act at once, and people delete things.
//!
//! [`next`] starts a run when none is open, [`reserved`] creates its Job, [`recorded`] follows the Job to its end, and
//! [`stop`] ends it early.

mod next;
mod recorded;
mod reserved;
mod stop;

use super::state::{Decision, Facts};

/// Decides what to do about the newest run.
pub(super) fn decide(facts: &Facts<'_>) -> Decision {
    match facts.history.runs.first() {
        Some(newest) if newest.is_open() => match &newest.job_uid {
            Some(uid) => recorded::decide(facts, newest, uid),
            None => reserved::decide(facts, newest),
        },
        _ => next::decide(facts),
    }
}
