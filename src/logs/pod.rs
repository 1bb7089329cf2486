//! What a pod is to a reader of logs. Takes a stored pod, returns its containers and whether they have started and ended.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

/// Label and annotation of a pod of an Indexed Job.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodView {
    /// Name of the pod.
    pub name: String,
    /// uid of the pod.
    pub uid: String,
    /// uid of the Job that owns it.
    pub owner: Option<String>,
    /// When it was created, in seconds since 1970.
    pub created: i64,
    /// Completion index, of an Indexed Job.
    pub index: Option<i32>,
    /// Its phase is Failed.
    pub has_failed: bool,
    /// Its phase is Failed or Succeeded: what has not started never will.
    pub has_ended: bool,
    /// Init containers, then the others, in the order of the spec.
    pub containers: Vec<ContainerView>,
}

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerView {
    /// Name of the container.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// What it does.
    pub state: State,
    /// How often it was started again: the number of the instance whose log is the current one.
    pub restarts: i32,
    /// Exit code of the instance before, if there was one.
    pub previous: Option<i32>,
}

/// What a container is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It does the work.
    Main,
    /// It prepares the work.
    Init,
    /// An init container that stays: `restartPolicy: Always`.
    Sidecar,
}

/// What a container does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not started; why, in one word.
    Waiting(String),
    /// It runs.
    Running,
    /// The instance with this number of restarts has ended; another one may follow.
    Ended {
        /// Its exit code.
        exit_code: i32,
    },
}

impl ContainerView {
    /// It has failed, now or in the instance before.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        matches!(self.state, State::Ended { exit_code } if exit_code != 0) || self.has_failed_before()
    }

    /// The instance before the current one has failed.
    #[must_use]
    pub const fn has_failed_before(&self) -> bool {
        matches!(self.previous, Some(code) if code != 0)
    }
}

impl PodView {
    /// Reads a pod.
    #[must_use]
    pub fn new(pod: &Pod) -> Self {
        let metadata = &pod.metadata;
        let status = pod.status.clone().unwrap_or_default();
        let phase = status.phase.as_deref().unwrap_or_default();
        let index = [&metadata.labels, &metadata.annotations]
            .into_iter()
            .find_map(|map| map.as_ref()?.get(INDEX)?.parse().ok());
        let spec = pod.spec.as_ref();
        let statuses: Vec<&ContainerStatus> = [&status.init_container_statuses, &status.container_statuses]
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        let container = |name: &str, kind: Kind| {
            let status = statuses.iter().find(|status| status.name == name);
            container(name, kind, status.copied())
        };
        let inits = spec.and_then(|spec| spec.init_containers.as_ref()).into_iter().flatten().map(|it| {
            let is_sidecar = it.restart_policy.as_deref() == Some("Always");
            container(&it.name, if is_sidecar { Kind::Sidecar } else { Kind::Init })
        });
        let mains = spec.into_iter().flat_map(|spec| &spec.containers);
        let containers = inits.chain(mains.map(|it| container(&it.name, Kind::Main))).collect();
        let owners = metadata.owner_references.iter().flatten();
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            owner: owners
                .filter(|owner| owner.controller == Some(true))
                .map(|owner| owner.uid.clone())
                .next(),
            created: metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second()),
            index,
            has_failed: phase == "Failed",
            has_ended: matches!(phase, "Failed" | "Succeeded"),
            containers,
        }
    }
}

fn container(name: &str, kind: Kind, status: Option<&ContainerStatus>) -> ContainerView {
    let state = status.and_then(|status| status.state.as_ref());
    let last = status.and_then(|status| status.last_state.as_ref()?.terminated.as_ref());
    let previous = last.map(|last| last.exit_code);
    let running = state.and_then(|state| state.running.as_ref());
    let ended = state.and_then(|state| state.terminated.as_ref());
    let (state, previous) = match (running, ended, previous) {
        (Some(_), _, _) => (State::Running, previous),
        (None, Some(ended), _) => (State::Ended { exit_code: ended.exit_code }, previous),
        // Between two instances: the current log is still that of the one that has ended.
        (None, None, Some(exit_code)) => (State::Ended { exit_code }, previous),
        (None, None, None) => {
            let waiting = state.and_then(|state| state.waiting.as_ref());
            let reason = waiting.and_then(|waiting| waiting.reason.clone());
            (State::Waiting(reason.unwrap_or_default()), None)
        }
    };
    let restarts = status.map_or(0, |status| status.restart_count);
    ContainerView { name: name.to_owned(), kind, state, restarts, previous }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(status: &Value) -> PodView {
        let pod = json!({
            "metadata": {
                "name": "pi-1-a", "uid": "u", "creationTimestamp": "2026-11-28T10:00:00Z",
                "annotations": {INDEX: "3"},
                "ownerReferences": [
                    {"apiVersion": "batch/v1", "kind": "Job", "name": "pi-1", "uid": "j", "controller": true},
                ],
            },
            "spec": {
                "initContainers": [{"name": "fetch"}, {"name": "proxy", "restartPolicy": "Always"}],
                "containers": [{"name": "main"}],
            },
            "status": status,
        });
        PodView::new(&serde_json::from_value(pod).unwrap())
    }

    fn main_of(status: Value) -> ContainerView {
        let mut status = status;
        status["name"] = json!("main");
        for (field, value) in [("image", json!("a")), ("imageID", json!("")), ("ready", json!(false))] {
            status[field] = value;
        }
        if status.get("restartCount").is_none() {
            status["restartCount"] = json!(0);
        }
        seen(&json!({"phase": "Running", "containerStatuses": [status]})).containers[2].clone()
    }

    #[test]
    fn a_pod_has_its_containers_before_it_has_a_status() {
        let pod = seen(&json!({}));
        let kinds: Vec<_> = pod.containers.iter().map(|it| (it.name.as_str(), it.kind)).collect();
        assert_eq!(kinds, [("fetch", Kind::Init), ("proxy", Kind::Sidecar), ("main", Kind::Main)]);
        assert_eq!((pod.index, pod.owner.as_deref(), pod.created), (Some(3), Some("j"), 1_795_860_000));
        assert!(pod.containers.iter().all(|it| it.state == State::Waiting(String::new())));
        assert!(!pod.has_ended && !pod.has_failed);
    }

    #[test]
    fn an_instance_that_has_ended_is_the_current_log_until_the_next_one_starts() {
        let ended = json!({"terminated": {"exitCode": 3}});
        for (status, state, failed) in [
            (
                json!({"state": {"waiting": {"reason": "ContainerCreating"}}}),
                State::Waiting("ContainerCreating".to_owned()),
                false,
            ),
            (json!({"state": {"running": {}}}), State::Running, false),
            (json!({"state": ended}), State::Ended { exit_code: 3 }, true),
            (json!({"state": {"terminated": {"exitCode": 0}}}), State::Ended { exit_code: 0 }, false),
            (
                json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended}),
                State::Ended { exit_code: 3 },
                true,
            ),
            (json!({"state": {"running": {}}, "lastState": ended, "restartCount": 1}), State::Running, true),
        ] {
            let container = main_of(status.clone());
            assert_eq!((&container.state, container.has_failed()), (&state, failed), "{status}");
        }
    }
}
