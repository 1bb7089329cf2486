//! Decides when to list events for a run that is stuck for no reason visible in watched objects.
//!
//! [`pod_creation`](super::pod_creation) and [`pod_setup`](super::pod_setup) read the answers. Pauses between two queries
//! grow.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::reconcile::observed::{Clock, EventView, EventsOf, Memory, Observed, Pause, QueryPause};

/// Between two queries.
const PAUSE: Pause = Pause { first: Duration::from_secs(5), longest: Duration::from_secs(300) };

/// Something that only events explain.
pub(super) struct EventQuery {
    /// The events which do.
    pub events: EventsOf,
    /// Since when it is so, or from when on it may be called so.
    pub since: Timestamp,
    /// How long it may be so before they are queried.
    pub delay: Duration,
}

/// Whether to query events about a run that may be stuck.
pub(in crate::reconcile) enum QueryDecision {
    /// List these.
    Ask(EventsOf),
    /// Not yet, or not again; when to look.
    Later(Duration),
    /// There is no need.
    No,
}

/// Whether it is time to query.
pub(super) fn decide(observed: &Observed, query: EventQuery, clock: Clock) -> QueryDecision {
    let EventQuery { events, since, delay } = query;
    let delay = SignedDuration::try_from(delay).unwrap_or_default();
    let age = clock.now.duration_since(since);
    if let Some(left) = delay.checked_sub(age).filter(SignedDuration::is_positive) {
        return QueryDecision::Later(Duration::try_from(left).unwrap_or(PAUSE.first));
    }
    let before = observed.memory.event_query.as_ref().filter(|query| query.of == events);
    let left = before.map_or(Duration::ZERO, |query| query.until.saturating_sub(clock.uptime));
    if answer(observed, &events).is_some() {
        return QueryDecision::Later(left.max(PAUSE.first));
    }
    if left.is_zero() { QueryDecision::Ask(events) } else { QueryDecision::Later(left) }
}

/// Remembers that `of` was listed.
pub(in crate::reconcile) fn asked(memory: &mut Memory, of: &EventsOf, clock: Clock) {
    let before = memory.event_query.as_ref().filter(|query| query.of == *of).map_or(0, |asked| asked.count);
    let (count, until) = (before.saturating_add(1), clock.uptime.saturating_add(PAUSE.after(before)));
    memory.event_query = Some(QueryPause { of: of.clone(), count, until });
}

/// What was answered in this pass; `None`: nobody has asked.
pub(super) fn answer<'a>(observed: &'a Observed, of: &EventsOf) -> Option<&'a [EventView]> {
    observed.answers.events.as_ref().filter(|(asked, _)| asked == of).map(|(_, events)| events.as_slice())
}
