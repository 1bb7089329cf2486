//! What keeps a node from setting up a pod: a volume, or the pod's network. Only its events say so: the status says
//! ContainerCreating, as it does while an image is pulled.

use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;

use super::cause::{Cause, blocked};
use super::event_query::EventQuery;
use crate::api::condition::{FailureCategory, Obstacle, Reason};
use crate::api::failure::Failure;
use crate::reconcile::observed::{EventView, EventsOf, PodView};

/// How long a node may take before events are queried. Most need a second or two.
const QUERY_DELAY: Duration = Duration::from_secs(10);
/// A kubelet tries each volume again after two minutes at the latest: an event that much older than the newest one no
/// longer applies.
const MAX_EVENT_AGE: SignedDuration = SignedDuration::from_secs(150);

/// The kubelet's words when it has waited for long, whatever the cause: for all volumes, or to see an object for the first
/// time, which it also says of one that is missing.
const TIMEOUTS: [&str; 2] = ["Unable to attach or mount volumes", "timed out waiting for the condition"];

/// The pod that waits for its node, or did so to its end: the one that `before` is about, or else the first by name,
/// terminating pods last.
pub(super) fn pending<'a>(pods: &[&'a PodView], before: Option<&Failure>) -> Option<&'a PodView> {
    let waits = pods.iter().copied().filter(|pod| pod.lacks_sandbox && !pod.was_set_up());
    let is_recorded = |pod: &PodView| before.is_some_and(|before| is_about(before, pod));
    waits.min_by_key(|pod| (!is_recorded(pod), pod.is_terminating(), pod.name()))
}

/// One of `pods` is not set up.
pub(super) fn query(pods: &[&PodView], before: Option<&Failure>) -> Option<EventQuery> {
    let pod = pending(pods, before).filter(|pod| !pod.is_terminating() && !pod.is_failed)?;
    Some(EventQuery { events: events_of(pod), since: pod.waits_since?, delay: QUERY_DELAY })
}

/// The events that say what is blocking `pod`.
pub(super) fn events_of(pod: &PodView) -> EventsOf {
    EventsOf::Pod(pod.name().to_owned())
}

/// The cause these events give: of those that still occur the one that was reported first, so that several which alternate
/// give the same one; a reason is preferred to a mere timeout. Nothing once the pod was set up, which older kubelets do
/// not say in its status before its image is pulled.
pub(super) fn cause_of(pod: &PodView, events: &[EventView]) -> Option<Cause> {
    let newest = events.iter().filter(|event| is_of_setup(&event.reason)).map(|event| event.at).max()?;
    let is_over = events.iter().any(|event| is_after_setup(&event.reason) && event.at >= newest);
    if is_over {
        return None;
    }
    let is_current = |event: &&EventView| {
        is_of_setup(&event.reason)
            && newest.zip(event.at).is_none_or(|(newest, at)| newest.duration_since(at) <= MAX_EVENT_AGE)
    };
    let is_timeout = |event: &EventView| TIMEOUTS.iter().any(|words| event.message.contains(words));
    let event = events
        .iter()
        .filter(is_current)
        .min_by_key(|event| (is_timeout(event), event.first_at, &event.message))?;
    Some(of_event(pod, event))
}

/// The recorded failure is about the set-up of this pod.
pub(super) fn is_about(failure: &Failure, pod: &PodView) -> bool {
    failure.pod.as_deref() == Some(pod.name()) && is_about_setup(failure)
}

/// The failure is about a pod that is not set up.
pub(super) fn is_about_setup(failure: &Failure) -> bool {
    failure.reason.as_deref().is_some_and(is_of_setup)
}

/// Whether events (and failures) with this reason concern pod set-up.
pub(super) fn is_of_setup(event: &str) -> bool {
    is_of_volume(event) || matches!(event, "FailedCreatePodSandBox" | "NetworkNotReady")
}

/// Whether events with this reason concern a volume.
fn is_of_volume(event: &str) -> bool {
    matches!(event, "FailedMount" | "FailedAttachVolume" | "FailedMapVolume")
}

/// Whether events with this reason show that the pod is set up.
fn is_after_setup(event: &str) -> bool {
    matches!(event, "Pulling" | "Pulled" | "Created" | "Started")
}

fn of_event(pod: &PodView, event: &EventView) -> Cause {
    let (category, obstacle) = match &*event.reason {
        "NetworkNotReady" => (FailureCategory::PodSetup, Obstacle::Network),
        reason if !is_of_volume(reason) => (FailureCategory::PodSetup, Obstacle::Sandbox),
        _ if is_missing(&event.message) => (FailureCategory::ConfigMissing, Obstacle::ConfigMissing),
        _ => (FailureCategory::PodSetup, Obstacle::VolumeMount),
    };
    let failure = blocked(category, obstacle, pod, &event.reason, &event.message);
    Cause { reason: Reason::ContainerCreateFailed, failure }
}

/// A ConfigMap, Secret or key is missing; a driver or a disk that is not found is another matter.
fn is_missing(message: &str) -> bool {
    let names_one = ["configmap \"", "secret \""].iter().any(|kind| message.contains(kind));
    (names_one && message.contains("not found")) || message.contains("references non-existent")
}
