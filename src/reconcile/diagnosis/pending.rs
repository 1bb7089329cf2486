//! What keeps pods from starting.

use super::cause::{Cause, blocked, in_pod};
use super::{hint, pod_setup};
use crate::api::condition::{FailureCategory, Obstacle, Reason};
use crate::api::failure::Failure;
use crate::reconcile::observed::{ContainerRole, ContainerState, ContainerView, PodView};

/// What is blocking a container: the first cause in order of pod names, terminating pods last, so that the same
/// pods always give the same.
pub(super) fn stuck<'a>(pods: &[&'a PodView]) -> Option<(Cause, &'a PodView)> {
    let mut pods = pods.to_vec();
    pods.sort_by(|a, b| (a.is_terminating(), a.name()).cmp(&(b.is_terminating(), b.name())));
    pods.into_iter().find_map(|pod| Some((of_pod(pod)?, pod)))
}

fn of_pod(pod: &PodView) -> Option<Cause> {
    pod.containers.iter().find_map(|container| of_container(pod, container)).or_else(|| unscheduled(pod))
}

fn of_container(pod: &PodView, container: &ContainerView) -> Option<Cause> {
    let (native, message) = match &container.state {
        ContainerState::Waiting { reason, message } => (reason, message),
        // Tried again in place: between two tries the kubelet shows the end, or that it waits.
        ContainerState::Ended(end) if end.could_not_start() && !pod.is_failed => (&end.reason, &end.message),
        ContainerState::Unknown | ContainerState::Running { .. } | ContainerState::Ended(_) => return None,
    };
    let (reason, category, obstacle) = match &**native {
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
        "RunContainerError" | "StartError" | "ContainerCannotRun" => {
            (Reason::ContainerCreateFailed, FailureCategory::AppError, Obstacle::Command)
        }
        // It was tried again and again, and its program never ran.
        "CrashLoopBackOff" if container.last_end.as_ref().is_some_and(|end| end.could_not_start()) => {
            (Reason::ContainerCreateFailed, FailureCategory::AppError, Obstacle::Command)
        }
        _ => return None,
    };
    // How it ended says why, the kubelet only for how long it waits.
    let ended =
        container.last_end.as_ref().filter(|end| obstacle == Obstacle::Command && end.could_not_start());
    let (native, message) = ended.map_or((&**native, &**message), |end| (&*end.reason, &*end.message));
    let failure = Failure {
        container: Some(container.name.to_string()),
        is_init: (container.role == ContainerRole::Init).then_some(true),
        ..blocked(category, obstacle, pod, native, message)
    };
    Some(Cause { reason, failure })
}

/// Why a run is stuck that is stuck for this cause; `None`: the failure is about something else.
pub(super) fn reason_of(failure: &Failure) -> Option<Reason> {
    match (failure.category, failure.reason.as_deref().unwrap_or_default()) {
        (_, native) if pod_setup::is_of_setup(native) => Some(Reason::ContainerCreateFailed),
        (_, "FailedCreate") => Some(Reason::PodsForbidden),
        (_, "Unschedulable" | "SchedulingGated") => Some(Reason::Unschedulable),
        (FailureCategory::ImagePull, _) => Some(Reason::ImagePullFailed),
        (FailureCategory::ConfigMissing, "CreateContainerConfigError") => Some(Reason::ContainerConfigError),
        (FailureCategory::ConfigMissing | FailureCategory::AppError, _) => {
            Some(Reason::ContainerCreateFailed)
        }
        _ => None,
    }
}

fn unscheduled(pod: &PodView) -> Option<Cause> {
    let condition = pod.unscheduled.as_ref()?;
    let message = &condition.message;
    if &*condition.reason == "SchedulingGated" {
        let failure =
            in_pod(FailureCategory::Unschedulable, pod, &condition.reason, message, hint::SCHEDULING_GATE);
        return Some(Cause { reason: Reason::Unschedulable, failure });
    }
    if &*condition.reason != "Unschedulable" {
        return None;
    }
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
