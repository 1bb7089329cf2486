//! A pod that its node does not set up -> what is in the way: a volume, or the pod's network. Only events tell: the status
//! says ContainerCreating, as it does while an image is pulled.

use std::time::Duration;

use super::inquiry::Puzzle;
use super::waiting::CONFIG;
use super::{Cause, has_started, in_pod};
use crate::api::condition::{FailureCategory, Reason};
use crate::api::failure::Failure;
use crate::reconcile::observed::{EventView, EventsOf, PodView};

/// How long a node may take for it before anybody is asked. Most need a second or two.
const PATIENCE: Duration = Duration::from_secs(10);

const VOLUME: &str =
    "the node cannot mount a volume of the pod: do what the message says; the node tries again by itself";
const NODE: &str = "the node cannot make the pod's sandbox or network: look at the node and its network plugin; the node tries again by itself";
/// What the kubelet says when it has waited for long, whatever the cause.
const TIMED_OUT: &str = "Unable to attach or mount volumes";

/// The first pod, by name, that waits for its node, or did so to its end; those that are being deleted last.
pub(super) fn pending<'a>(pods: &[&'a PodView]) -> Option<&'a PodView> {
    let waits = pods.iter().copied().filter(|pod| pod.lacks_sandbox && !has_started([*pod]));
    waits.min_by_key(|pod| (pod.is_terminating(), pod.name()))
}

/// One of `pods`, of which no container has started, is not set up.
pub(super) fn puzzle(pods: &[&PodView]) -> Option<Puzzle> {
    let pod = pending(pods).filter(|pod| !pod.is_terminating() && !pod.is_failed)?;
    Some(Puzzle { events: events_of(pod), since: pod.waits_since?, patience: PATIENCE })
}

/// The events that tell what is in the way of `pod`.
pub(super) fn events_of(pod: &PodView) -> EventsOf {
    EventsOf::Pod(pod.name().to_owned())
}

/// What they tell: the newest, and rather why than that it takes long.
pub(super) fn told_by(pod: &PodView, events: &[EventView]) -> Option<Cause> {
    let known = events.iter().filter_map(|event| Some((event, of_event(pod, event)?)));
    let newest =
        known.max_by_key(|(event, _)| (!event.message.starts_with(TIMED_OUT), event.at, &event.message));
    newest.map(|(_, cause)| cause)
}

/// What was told before is about this.
pub(super) fn is_about(failure: &Failure, pod: &PodView) -> bool {
    failure.pod.as_deref() == Some(pod.name()) && failure.reason.as_deref().is_some_and(is_of_setup)
}

/// An event of this reason tells of it.
pub(super) fn is_of_setup(event: &str) -> bool {
    is_of_volume(event) || matches!(event, "FailedCreatePodSandBox" | "NetworkNotReady")
}

fn is_of_volume(event: &str) -> bool {
    matches!(event, "FailedMount" | "FailedAttachVolume" | "FailedMapVolume")
}

fn of_event(pod: &PodView, event: &EventView) -> Option<Cause> {
    if !is_of_setup(&event.reason) {
        return None;
    }
    let is_missing = ["not found", "non-existent"].iter().any(|words| event.message.contains(words));
    let (category, hint) = match is_of_volume(&event.reason) {
        true if is_missing => (FailureCategory::ConfigMissing, CONFIG),
        true => (FailureCategory::Unschedulable, VOLUME),
        false => (FailureCategory::Unschedulable, NODE),
    };
    let failure = in_pod(category, pod, &event.reason, &event.message, hint);
    Some(Cause { reason: Reason::ContainerCreateFailed, failure })
}
