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
    // Tried again in place: between two tries the kubelet shows the end, or for how long it waits. The end says why.
    let unstarted = container.last_end.as_ref().filter(|end| end.could_not_start());
    let (native, message) = match (&container.state, unstarted) {
        (ContainerState::Waiting { reason, .. }, Some(end))
            if matches!(&**reason, "CrashLoopBackOff" | "RunContainerError") =>
        {
            (&end.reason, &end.message)
        }
        (ContainerState::Waiting { reason, message }, _) => (reason, message),
        (ContainerState::Ended(end), before) if end.could_not_start() && !pod.is_failed => {
            let end = before.unwrap_or(end);
            (&end.reason, &end.message)
        }
        _ => return None,
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
            let (category, obstacle) = if message.contains("not found") || message.contains("find key") {
                (FailureCategory::ConfigMissing, Obstacle::ConfigMissing)
            } else if message.contains("runAsNonRoot") {
                (FailureCategory::ContainerConfig, Obstacle::RunsAsRoot)
            } else {
                (FailureCategory::ContainerConfig, Obstacle::ContainerSettings)
            };
            (Reason::ContainerConfigError, category, obstacle)
        }
        "CreateContainerError" | "PreCreateHookError" | "PostStartHookError" => {
            (Reason::ContainerCreateFailed, FailureCategory::ContainerConfig, Obstacle::ContainerSettings)
        }
        "RunContainerError" | "StartError" | "ContainerCannotRun" => {
            (Reason::ContainerCreateFailed, FailureCategory::AppError, Obstacle::Command)
        }
        _ => return None,
    };
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
        (FailureCategory::ConfigMissing | FailureCategory::ContainerConfig, "CreateContainerConfigError") => {
            Some(Reason::ContainerConfigError)
        }
        (
            FailureCategory::ConfigMissing | FailureCategory::ContainerConfig | FailureCategory::AppError,
            _,
        ) => Some(Reason::ContainerCreateFailed),
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
