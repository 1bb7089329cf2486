//! What to do about a failure: the one table of hints. Rules compare obstacles and categories, never these sentences.

use super::cause::MAX_NAME_BYTES;
use crate::api::condition::Obstacle;
use crate::reconcile::format::bounded_to;
use crate::reconcile::observed::{ContainerView, PodView};

pub(super) const KILLED: &str =
    "something outside the program killed it: a deletion, a failed probe, or a node that ran out of memory";
pub(super) const END_UNKNOWN: &str = "check the node: it could not report how the container ended";
pub(super) const POD_DEADLINE: &str =
    "raise the pod's own activeDeadlineSeconds (overrides.template.spec), or make the work shorter";
pub(super) const EVICTED: &str = "request what the pod really uses (memory, ephemeral-storage), or give it a higher priority; a podFailurePolicy rule can ignore DisruptionTarget";
pub(super) const PREEMPTED: &str = "a pod of a higher priority took its place: give it a higher priority, or let a podFailurePolicy rule ignore DisruptionTarget";
pub(super) const DRAINED: &str = "someone asked for its eviction, for example by draining the node; a podFailurePolicy rule that ignores DisruptionTarget keeps such pods from counting as failures";
pub(super) const POD_DELETED: &str =
    "someone or something deleted the pod; see the audit log of the API server";
pub(super) const NODE_LOST: &str = "check the node; a podFailurePolicy rule that ignores DisruptionTarget keeps lost nodes from counting as failures";
pub(super) const REFUSED_BY_NODE: &str =
    "the node refused the pod after it was scheduled there; check the node";
pub(super) const DEADLINE: &str = "raise the deadline, or make the work shorter or more parallel";
pub(super) const SCHEDULING_GATE: &str = "remove the pod's scheduling gates, or let the queue that set them do it; the run then continues on its own";
pub(super) const POLICY_RULE: &str =
    "a FailJob rule of settings.podFailurePolicy rules out a retry; fix the cause, then rerun";
pub(super) const LIMITS_EXCEEDED: &str = "a webhook or an admission policy of the cluster changes Jobs, or the API server drops fields that it does not support: have that corrected, then ask for a rerun";
pub(super) const JOB_LOST: &str =
    "find out who deletes Jobs; ask for a rerun if the work is to be done again";

/// The program of `container` failed by itself; `has_output`: the message holds the end of what it wrote.
pub(super) fn program_failed(pod: &PodView, container: &ContainerView, has_output: bool) -> String {
    let logs = logs(pod, container);
    // Restarted in place: such a pod is deleted when its run fails.
    let keep = if container.last_end.is_some() {
        "; restartPolicy: Never keeps failed pods and their logs"
    } else {
        ""
    };
    if has_output {
        format!(
            "the program itself failed: its last output is in the message, all of it in `{logs}` while the pod exists{keep}"
        )
    } else {
        format!("the program itself failed without any last output: see `{logs}` while the pod exists{keep}")
    }
}

/// The command that prints what a container which has ended wrote.
fn logs(pod: &PodView, container: &ContainerView) -> String {
    let previous =
        if container.last_end.is_some() && container.ended_at().is_none() { " --previous" } else { "" };
    format!("kubectl logs{} {} -c {}{previous}", in_namespace(pod), pod.name(), container.name)
}

/// A container ran out of memory; `limit`: the memory limit that a LimitRange gave it, because it had none of its own.
pub(super) fn out_of_memory(limit: Option<&str>) -> String {
    match limit {
        Some(limit) => format!(
            "a LimitRange of the namespace sets the memory limit, {limit}, because the container has none of its own: set resources.limits.memory to what the program needs, or make it use less"
        ),
        None => "raise the memory limit of the container, or make the program use less".to_owned(),
    }
}

/// The node was not done with what comes before a container starts.
pub(super) fn still_creating(pod: &PodView) -> String {
    format!(
        "the node was still pulling the image or mounting volumes: `kubectl describe pod{} {}` shows which, while the pod exists",
        in_namespace(pod),
        pod.name()
    )
}

/// Nothing is left to look at.
pub(super) fn pods_gone(namespace: Option<&str>) -> String {
    format!("keep failed pods: restartPolicy: Never does; see `kubectl get events{}`", option(namespace))
}

fn in_namespace(pod: &PodView) -> String {
    option(pod.metadata.namespace.as_deref())
}

/// kubectl's option for this namespace.
fn option(namespace: Option<&str>) -> String {
    namespace.map(|name| format!(" -n {}", bounded_to(name, MAX_NAME_BYTES))).unwrap_or_default()
}

/// What removes an obstacle, while the run waits for that.
pub(super) fn of(obstacle: Obstacle) -> String {
    match remedy(obstacle) {
        (remedy, "") => remedy.to_owned(),
        (remedy, then) => format!("{remedy}; {then}"),
    }
}

/// What removes an obstacle that has ended the run.
pub(super) fn after_the_end(obstacle: Obstacle) -> String {
    format!("{}; then ask for a rerun", remedy(obstacle).0)
}

/// The run waits for somebody.
const CONTINUES: &str = "the run then continues on its own";
/// The kubelet tries again.
const NODE_TRIES: &str = "the node tries again on its own";
/// The Job controller, or the operator, tries again.
const TRIES: &str = "it is tried again automatically";

/// What removes an obstacle, and what happens then, if that is to be said.
const fn remedy(obstacle: Obstacle) -> (&'static str, &'static str) {
    match obstacle {
        Obstacle::ImageName => ("correct the image: it is not a valid image name", ""),
        Obstacle::ImageNotPresent => (
            "imagePullPolicy is Never and the node does not have the image: put it there, or let the image be pulled",
            "",
        ),
        Obstacle::ImagePull => (
            "check the image's name and tag, and that the node may pull it: imagePullSecrets, registry, network",
            "",
        ),
        Obstacle::ConfigMissing => (
            "create what is missing in the namespace of the JobRequest, or make the reference optional",
            CONTINUES,
        ),
        Obstacle::ContainerSettings => {
            ("correct the container's settings: the node cannot create it as it is", "")
        }
        Obstacle::RunsAsRoot => (
            "set spec.securityContext.runAsUser to a user other than 0, or build the image with a numeric USER",
            "",
        ),
        Obstacle::Command => {
            ("check command, args and workingDir: the program could not be started in this image", "")
        }
        Obstacle::ClaimMissing => (
            "create the PersistentVolumeClaim in the namespace of the JobRequest, or correct claimName",
            CONTINUES,
        ),
        Obstacle::ClaimUnbound => (
            "the PersistentVolumeClaim has no volume yet: check it, its StorageClass and its provisioner",
            "",
        ),
        Obstacle::NoNodeFits => (
            "lower requests, correct nodeSelector or tolerations, or add nodes",
            "the run continues on its own when a node fits",
        ),
        Obstacle::VolumeMount => {
            ("the node cannot mount a volume of the pod: do what the message says", NODE_TRIES)
        }
        Obstacle::Sandbox | Obstacle::Network => (
            "the node cannot create the pod's sandbox or network: check the node and its network plugin",
            NODE_TRIES,
        ),
        Obstacle::Quota => {
            ("the namespace's ResourceQuota is used up: wait, ask for less, or have it raised", TRIES)
        }
        Obstacle::AmountsMissing => (
            "the namespace's ResourceQuota demands amounts that the containers do not have: set resources, or choose a size preset with quota",
            "",
        ),
        Obstacle::QuotaTooSmall => (
            "it asks for more than the namespace's ResourceQuota has in all, so waiting does not help: ask for less, or have the quota raised",
            "",
        ),
        Obstacle::JobQuota => (
            "ended Jobs count against this ResourceQuota, too: lower the history limits or set a TTL, or have the quota raised",
            TRIES,
        ),
        Obstacle::LimitRange => (
            "a LimitRange of the namespace forbids these amounts: change resources to what the message allows, or have the LimitRange changed",
            "",
        ),
        Obstacle::PodSecurity => (
            "the namespace's Pod Security level forbids this pod: set podSecurity: restricted, or change what the message names",
            "",
        ),
        Obstacle::ServiceAccountMissing => (
            "create the ServiceAccount in the namespace of the JobRequest, or correct serviceAccountName",
            "",
        ),
        Obstacle::Admission => (
            "a webhook or admission policy of the cluster denies it: do what the message says, or ask who runs it",
            "",
        ),
        Obstacle::WebhookFailed => {
            ("a webhook of the cluster does not answer: check it, or ask who runs it", TRIES)
        }
        Obstacle::Refused => ("the API server refuses it: do what the message says", TRIES),
    }
}
