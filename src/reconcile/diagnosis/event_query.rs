//! A run that does not get on though nothing that is watched tells why -> which events are asked for, and when.
//!
//! [`refusal`](super::refusal) and [`setup`](super::setup) read the answers. Pauses between two questions grow.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::reconcile::observed::{Clock, EventView, EventsOf, Inquiry, Memory, Observed};

/// First and longest pause between two questions; it doubles.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// Something that only events explain.
pub(super) struct Puzzle {
    /// The events which do.
    pub events: EventsOf,
    /// Since when it is so.
    pub since: Timestamp,
    /// How long it may be so before anybody is asked.
    pub patience: Duration,
}

/// What to do about a run that may not get on.
pub(in crate::reconcile) enum Look {
    /// Ask for these.
    Ask(EventsOf),
    /// Not yet, or not again; when to look.
    Later(Duration),
    /// It needs no look.
    No,
}

/// Whether it is time to ask.
pub(super) fn look(observed: &Observed, puzzle: Puzzle, clock: Clock) -> Look {
    let Puzzle { events, since, patience } = puzzle;
    let patience = SignedDuration::try_from(patience).unwrap_or_default();
    let age = clock.now.duration_since(since).max(SignedDuration::ZERO);
    if let Some(left) = patience.checked_sub(age).filter(SignedDuration::is_positive) {
        return Look::Later(Duration::try_from(left).unwrap_or(PAUSE.0));
    }
    let before = observed.memory.inquiry.as_ref().filter(|inquiry| inquiry.of == events);
    let left = before.map_or(Duration::ZERO, |inquiry| inquiry.until.saturating_sub(clock.uptime));
    if answer(observed, &events).is_some() {
        return Look::Later(left.max(PAUSE.0));
    }
    if left.is_zero() { Look::Ask(events) } else { Look::Later(left) }
}

/// Notes that `of` was asked.
pub(in crate::reconcile) fn asked(memory: &mut Memory, of: &EventsOf, clock: Clock) {
    let before = memory.inquiry.as_ref().filter(|inquiry| inquiry.of == *of).map_or(0, |asked| asked.count);
    let (first, longest) = PAUSE;
    let pause = first.saturating_mul(2_u32.saturating_pow(before)).min(longest);
    let count = before.saturating_add(1);
    memory.inquiry = Some(Inquiry { of: of.clone(), count, until: clock.uptime.saturating_add(pause) });
}

/// What was answered in this pass; `None`: nobody has asked.
pub(super) fn answer<'a>(observed: &'a Observed, of: &EventsOf) -> Option<&'a [EventView]> {
    observed.answers.events.as_ref().filter(|(asked, _)| asked == of).map(|(_, events)| events.as_slice())
}
