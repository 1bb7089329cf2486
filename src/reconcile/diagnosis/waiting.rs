//! Pods that cannot start -> what is in the way.

use super::{Cause, in_pod, setup};
use crate::api::condition::{FailureCategory, Reason};
use crate::api::failure::Failure;
use crate::reconcile::observed::{ContainerRole, ContainerState, ContainerView, PodView};

const NAME: &str = "correct the image: it is not a valid image name";
const NEVER: &str =
    "imagePullPolicy is Never and the node does not have the image: put it there, or let the image be pulled";
const PULL: &str =
    "check the image's name and tag, and that the node may pull it: imagePullSecrets, registry, network";
pub(super) const CONFIG: &str = "create what is missing in the namespace of the JobRequest, or make the reference optional; the run goes on by itself";
const SETTINGS: &str = "correct the container's settings: the node cannot make it as it is";
pub(super) const COMMAND: &str =
    "check command, args and workingDir: the program could not be started in this image";
const CLAIM: &str = "create the PersistentVolumeClaim in the namespace of the JobRequest, or correct claimName; the run goes on by itself";
const UNBOUND: &str = "the PersistentVolumeClaim has no volume yet: look at it with kubectl describe pvc";
const NODES: &str = "lower requests, correct nodeSelector or tolerations, or add nodes; the run goes on by itself when a node fits";

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
    let (reason, category, hint) = match &**word {
        "InvalidImageName" => (Reason::ImagePullFailed, FailureCategory::ImagePull, NAME),
        "ErrImageNeverPull" => (Reason::ImagePullFailed, FailureCategory::ImagePull, NEVER),
        // The kubelet alternates between the first two; both are one cause.
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImagePullBackOff"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => (Reason::ImagePullFailed, FailureCategory::ImagePull, PULL),
        "CreateContainerConfigError" => {
            let is_missing = message.contains("not found") || message.contains("find key");
            let hint = if is_missing { CONFIG } else { SETTINGS };
            (Reason::ContainerConfigError, FailureCategory::ConfigMissing, hint)
        }
        "CreateContainerError" | "PreCreateHookError" | "PostStartHookError" => {
            (Reason::ContainerCreateFailed, FailureCategory::ConfigMissing, SETTINGS)
        }
        "RunContainerError" => (Reason::ContainerCreateFailed, FailureCategory::AppError, COMMAND),
        _ => return None,
    };
    let failure = Failure {
        container: Some(container.name.to_string()),
        is_init: (container.role == ContainerRole::Init).then_some(true),
        ..in_pod(category, pod, word, message, hint)
    };
    Some(Cause { reason, failure })
}

/// The word for a run that is stuck for this cause; `None`: it tells of something else.
pub(super) fn reason_of(failure: &Failure) -> Option<Reason> {
    match (failure.category, failure.reason.as_deref().unwrap_or_default()) {
        (_, word) if setup::is_of_setup(word) => Some(Reason::ContainerCreateFailed),
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
    let (category, hint) = if is_claim {
        (FailureCategory::ConfigMissing, CLAIM)
    } else if message.contains("unbound immediate PersistentVolumeClaims") {
        (FailureCategory::Unschedulable, UNBOUND)
    } else {
        (FailureCategory::Unschedulable, NODES)
    };
    let failure = in_pod(category, pod, &condition.reason, message, hint);
    Some(Cause { reason: Reason::Unschedulable, failure })
}
