//! Pods that cannot start -> what is in the way.

use super::{Cause, blocked, setup};
use crate::api::condition::{FailureCategory, Obstacle, Reason};
use crate::api::failure::Failure;
use crate::reconcile::observed::{ContainerRole, ContainerState, ContainerView, PodView};

/// What is in the way of the first container: the first cause in order of pod names, those that are being deleted last,
/// so that the same pods always tell the same.
pub(super) fn stuck<'a>(pods: &[&'a PodView]) -> Option<(Cause, &'a PodView)> {
    let mut pods = pods.to_vec();
    pods.sort_by(|a, b| (a.is_terminating(), a.name()).cmp(&(b.is_terminating(), b.name())));
    pods.into_iter().find_map(|pod| Some((of_pod(pod)?, pod)))
}

fn of_pod(pod: &PodView) -> Option<Cause> {
    pod.containers.iter().find_map(|container| of_container(pod, container)).or_else(|| unscheduled(pod))
}

fn of_container(pod: &PodView, container: &ContainerView) -> Option<Cause> {
    let ContainerState::Waiting { reason: word, message } = &container.state else {
        return None;
    };
    let (reason, category, obstacle) = match &**word {
        "InvalidImageName" => (Reason::ImagePullFailed, FailureCategory::ImagePull, Obstacle::ImageName),
        "ErrImageNeverPull" => {
            (Reason::ImagePullFailed, FailureCategory::ImagePull, Obstacle::ImageNotPresent)
        }
        // The kubelet alternates between the first two; both are one cause.
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImagePullBackOff"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => {
            (Reason::ImagePullFailed, FailureCategory::ImagePull, Obstacle::ImagePull)
        }
        "CreateContainerConfigError" => {
            let is_missing = message.contains("not found") || message.contains("find key");
            let obstacle = if is_missing { Obstacle::ConfigMissing } else { Obstacle::ContainerSettings };
            (Reason::ContainerConfigError, FailureCategory::ConfigMissing, obstacle)
        }
        "CreateContainerError" | "PreCreateHookError" | "PostStartHookError" => {
            (Reason::ContainerCreateFailed, FailureCategory::ConfigMissing, Obstacle::ContainerSettings)
        }
        "RunContainerError" => (Reason::ContainerCreateFailed, FailureCategory::AppError, Obstacle::Command),
        _ => return None,
    };
    let failure = Failure {
        container: Some(container.name.to_string()),
        is_init: (container.role == ContainerRole::Init).then_some(true),
        ..blocked(category, obstacle, pod, word, message)
    };
    Some(Cause { reason, failure })
}

/// The word for a run that is stuck for this cause; `None`: it tells of something else.
pub(super) fn reason_of(failure: &Failure) -> Option<Reason> {
    match (failure.category, failure.reason.as_deref().unwrap_or_default()) {
        (_, word) if pod_setup::is_of_setup(word) => Some(Reason::ContainerCreateFailed),
        (_, "FailedCreate") => Some(Reason::PodsForbidden),
        (_, "Unschedulable") => Some(Reason::Unschedulable),
        (FailureCategory::ImagePull, _) => Some(Reason::ImagePullFailed),
        (FailureCategory::ConfigMissing, "CreateContainerConfigError") => Some(Reason::ContainerConfigError),
        (FailureCategory::ConfigMissing | FailureCategory::AppError, _) => {
            Some(Reason::ContainerCreateFailed)
        }
        _ => None,
    }
}

fn unscheduled(pod: &PodView) -> Option<Cause> {
    let condition = pod.unscheduled.as_ref().filter(|condition| &*condition.reason == "Unschedulable")?;
    let message = &condition.message;
    let is_claim = message.contains("persistentvolumeclaim") && message.contains("not found");
    let (category, obstacle) = if is_claim {
        (FailureCategory::ConfigMissing, Obstacle::ClaimMissing)
    } else if message.contains("unbound immediate PersistentVolumeClaims") {
        (FailureCategory::Unschedulable, Obstacle::ClaimUnbound)
    } else {
        (FailureCategory::Unschedulable, Obstacle::NoNodeFits)
    };
    let failure = blocked(category, obstacle, pod, &condition.reason, message);
    Some(Cause { reason: Reason::Unschedulable, failure })
}
