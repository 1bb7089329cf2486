//! A pod that its node does not set up -> what is in the way: a volume, or the pod's network. Only events tell: the status
//! says ContainerCreating, as it does while an image is pulled.

use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;

use super::event_query::Puzzle;
use super::{Cause, blocked, has_started};
use crate::api::condition::{FailureCategory, Obstacle, Reason};
use crate::api::failure::Failure;
use crate::reconcile::observed::{EventView, EventsOf, PodView};

/// How long a node may take for it before anybody is asked. Most need a second or two.
const PATIENCE: Duration = Duration::from_secs(10);
/// A kubelet tries each volume again after two minutes at the latest: what it told longer before it told something else
/// is over.
const NEWS: SignedDuration = SignedDuration::from_secs(150);

/// What the kubelet says when it has waited for long, whatever the cause.
const TIMED_OUT: &str = "Unable to attach or mount volumes";

/// The pod that waits for its node, or did so to its end: the one that `before` is about, or else the first by name,
/// those that are being deleted last.
pub(super) fn pending<'a>(pods: &[&'a PodView], before: Option<&Failure>) -> Option<&'a PodView> {
    let waits = pods.iter().copied().filter(|pod| pod.lacks_sandbox && !has_started([*pod]));
    let is_told = |pod: &PodView| before.is_some_and(|before| is_about(before, pod));
    waits.min_by_key(|pod| (!is_told(pod), pod.is_terminating(), pod.name()))
}

/// One of `pods`, of which no container has started, is not set up.
pub(super) fn puzzle(pods: &[&PodView], before: Option<&Failure>) -> Option<Puzzle> {
    let pod = pending(pods, before).filter(|pod| !pod.is_terminating() && !pod.is_failed)?;
    Some(Puzzle { events: events_of(pod), since: pod.waits_since?, patience: PATIENCE })
}

/// The events that tell what is in the way of `pod`.
pub(super) fn events_of(pod: &PodView) -> EventsOf {
    EventsOf::Pod(pod.name().to_owned())
}

/// The cause these events give: of those that still occur the one that was reported first, so that several which alternate
/// give the same one; a reason is preferred to a mere timeout. Nothing once the pod was set up, which older kubelets do
/// not say in its status before its image is pulled.
pub(super) fn told_by(pod: &PodView, events: &[EventView]) -> Option<Cause> {
    let newest = events.iter().filter(|event| is_of_setup(&event.reason)).map(|event| event.at).max()?;
    let is_over = events.iter().any(|event| is_after_setup(&event.reason) && event.at >= newest);
    if is_over {
        return None;
    }
    let is_news = |event: &&EventView| {
        is_of_setup(&event.reason)
            && newest.zip(event.at).is_none_or(|(newest, at)| newest.duration_since(at) <= NEWS)
    };
    let is_timeout = |event: &EventView| event.message.starts_with(TIMED_OUT);
    let event = events
        .iter()
        .filter(is_news)
        .min_by_key(|event| (is_timeout(event), event.first_at, &event.message))?;
    Some(of_event(pod, event))
}

/// What was told before is about this.
pub(super) fn is_about(failure: &Failure, pod: &PodView) -> bool {
    failure.pod.as_deref() == Some(pod.name()) && is_told_by(failure)
}

/// It tells of a pod that is not set up.
pub(super) fn is_told_by(failure: &Failure) -> bool {
    failure.reason.as_deref().is_some_and(is_of_setup)
}

/// An event of this reason tells of it, and so does a failure.
pub(super) fn is_of_setup(event: &str) -> bool {
    is_of_volume(event) || matches!(event, "FailedCreatePodSandBox" | "NetworkNotReady")
}

/// An event of this reason tells of a volume.
pub(super) fn is_of_volume(event: &str) -> bool {
    matches!(event, "FailedMount" | "FailedAttachVolume" | "FailedMapVolume")
}

/// What a kubelet does with a pod that is set up.
fn is_after_setup(event: &str) -> bool {
    matches!(event, "Pulling" | "Pulled" | "Created" | "Started")
}

fn of_event(pod: &PodView, event: &EventView) -> Cause {
    let (category, obstacle) = match &*event.reason {
        "NetworkNotReady" => (FailureCategory::Unschedulable, Obstacle::Network),
        reason if !is_of_volume(reason) => (FailureCategory::Unschedulable, Obstacle::Sandbox),
        _ if is_missing(&event.message) => (FailureCategory::ConfigMissing, Obstacle::ConfigMissing),
        _ => (FailureCategory::Unschedulable, Obstacle::VolumeMount),
    };
    let failure = blocked(category, obstacle, pod, &event.reason, &event.message);
    Cause { reason: Reason::ContainerCreateFailed, failure }
}

/// A ConfigMap, Secret or key is missing; a driver or a disk that is not found is another matter.
fn is_missing(message: &str) -> bool {
    let names_one = ["configmap \"", "secret \""].iter().any(|kind| message.contains(kind));
    (names_one && message.contains("not found")) || message.contains("references non-existent")
}
