//! Pods -> whether a container has started, and if not, what is in the way.

use super::observed::{ContainerView, JobView, PodView};
use crate::api::JobRequestStatus;
use crate::api::condition::{Phase, Reason};
use crate::api::status::Run;

/// What keeps the first container from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// In one word.
    pub reason: Reason,
    /// In a sentence, with the pod, the container and the kubelet's or scheduler's own words.
    pub message: String,
}

/// A container of one of `pods` has started at some time. Init containers and sidecars count: the image is there and
/// the program runs.
pub(super) fn has_started<'a>(pods: impl IntoIterator<Item = &'a PodView>) -> bool {
    pods.into_iter().any(|pod| {
        containers(pod).any(|container| {
            let (state, last) = (&container.state, &container.last_state);
            state.running.is_some() || state.terminated.is_some() || last.terminated.is_some()
        })
    })
}

/// A container of `run`, whose `job` lives, has started at some time, by all that is known.
pub(super) fn run_has_started<'a>(
    stored: &JobRequestStatus,
    run: &Run,
    job: &JobView,
    own_pods: impl IntoIterator<Item = &'a PodView>,
) -> bool {
    let counted = [job.status.ready, job.status.succeeded, job.status.failed];
    counted.iter().any(|count| count.is_some_and(|count| count > 0))
        || has_started(own_pods)
        // Pods vanish when they are replaced; what has started stays so, as long as the run is not suspended.
        || (stored.phase == Some(Phase::Running) && stored.run == Some(run.number))
}

/// What is in the way of the first container: the first cause in order of pod names, so that the same pods always
/// tell the same.
pub(super) fn cause<'a>(pods: impl IntoIterator<Item = &'a PodView>) -> Option<Cause> {
    let mut pods: Vec<_> = pods.into_iter().collect();
    pods.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    pods.into_iter().find_map(cause_of)
}

fn cause_of(pod: &PodView) -> Option<Cause> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let waiting = containers(pod).find_map(|container| {
        let waiting = container.state.waiting.as_ref()?;
        let reason = match waiting.reason.as_str() {
            // The kubelet alternates between the first two; both are one cause.
            "ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "ErrImagePullBackOff"
            | "RegistryUnavailable"
            | "SignatureValidationFailed" => Reason::ImagePullFailed,
            "CreateContainerConfigError" => Reason::ContainerConfigError,
            "CreateContainerError" | "RunContainerError" | "PreCreateHookError" | "PostStartHookError" => {
                Reason::ContainerCreateFailed
            }
            _ => return None,
        };
        let words = sentence(&waiting.reason, &waiting.message);
        Some(Cause { reason, message: format!("container {} of pod {name}: {words}", container.name) })
    });
    let unscheduled = || {
        let condition = pod.status.conditions.iter().find(|condition| condition.type_ == "PodScheduled")?;
        (condition.status == "False" && condition.reason == "Unschedulable").then(|| Cause {
            reason: Reason::Unschedulable,
            message: format!("pod {name}: {}", sentence(&condition.reason, &condition.message)),
        })
    };
    waiting.or_else(unscheduled)
}

fn containers(pod: &PodView) -> impl Iterator<Item = &ContainerView> {
    pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses)
}

fn sentence(reason: &str, message: &str) -> String {
    if message.is_empty() { reason.to_owned() } else { format!("{reason}: {message}") }
}
