//! Pods as far as rules read them: a few hundred bytes each, so that tens of thousands fit into memory.
//!
//! Read straight from the wire. What a kubelet or scheduler says is kept where it says why something makes no
//! progress, and cut: of a container's output the end, of everything else the beginning.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Resource;
use serde::Deserialize;

use super::limit_range;
use super::metadata::{of_pod, time};
use crate::reconcile::format::{bounded_to, in_one_line, last_output, printable};

/// Maximum length of a kubelet's or scheduler's message that is kept, in bytes.
const MESSAGE: usize = 1024;
/// Maximum length of a native reason, in bytes.
const REASON: usize = 64;
/// Maximum number of containers that are kept, init containers included: twice as many as a spec declares.
const CONTAINERS: usize = 64;

/// A pod as far as rules read it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Resource)]
#[resource(inherit = Pod)]
#[serde(from = "Wire")]
pub struct PodView {
    /// Name, namespace, resourceVersion, creation, deletion, and the label that names the request.
    pub metadata: ObjectMeta,
    /// uid of the Job that controls it.
    pub job_uid: Option<Box<str>>,
    /// The node that it is bound to.
    pub node: Option<Box<str>>,
    /// It has ended, and not well.
    pub is_failed: bool,
    /// Its node says that its volumes are not mounted yet, or that it has no network: PodReadyToStartContainers is
    /// false, as it is again when the pod has ended, and under older kubelets while the image is pulled.
    pub lacks_sandbox: bool,
    /// Why the pod as a whole stands as it does, for example Evicted; mostly empty.
    pub reason: Box<str>,
    /// The same, in a sentence.
    pub message: Box<str>,
    /// When its init containers were through, or else when a kubelet took it.
    pub waits_since: Option<Timestamp>,
    /// PodScheduled, while it is not true.
    pub unscheduled: Option<Box<ConditionView>>,
    /// DisruptionTarget, once it is true.
    pub disruption: Option<Box<ConditionView>>,
    /// States of its containers, init containers first.
    pub containers: Box<[ContainerView]>,
}

impl PodView {
    /// The Job with this uid controls the pod.
    #[must_use]
    pub fn is_controlled_by(&self, job_uid: &str) -> bool {
        self.job_uid.as_deref() == Some(job_uid)
    }

    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// A container of it was at least tried: the node has set the pod up.
    #[must_use]
    pub fn was_set_up(&self) -> bool {
        self.containers.iter().any(|container| {
            let was_tried = match &container.state {
                ContainerState::Running { .. } => true,
                ContainerState::Ended(end) => !end.was_not_found(),
                ContainerState::Unknown | ContainerState::Waiting { .. } => false,
            };
            was_tried || container.last_end.is_some()
        })
    }

    /// A container of the work has started at some time. Init containers and sidecars are not the work.
    #[must_use]
    pub fn has_begun_work(&self) -> bool {
        self.containers
            .iter()
            .any(|container| container.role == ContainerRole::Main && container.has_started())
    }

    /// When somebody deleted the pod, if somebody did. The timestamp in its metadata is the end of its grace period.
    #[must_use]
    pub fn deleted_at(&self) -> Option<Timestamp> {
        let end = self.metadata.deletion_timestamp.as_ref()?.0;
        let grace =
            SignedDuration::from_secs(self.metadata.deletion_grace_period_seconds.unwrap_or_default());
        end.checked_sub(grace).ok()
    }

    /// The pod is being deleted.
    #[must_use]
    pub const fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}

/// Why a condition is as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConditionView {
    /// Why, in one word.
    pub reason: Box<str>,
    /// Why, in a sentence.
    pub message: Box<str>,
}

/// The state of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerView {
    /// Name of the container.
    pub name: Box<str>,
    /// Which kind of container it is.
    pub role: ContainerRole,
    /// What it does now.
    pub state: ContainerState,
    /// How it ended before its last restart.
    pub last_end: Option<Box<EndView>>,
    /// Its memory limit, if a LimitRange of the namespace set it.
    pub limit_range_memory: Option<Box<str>>,
}

impl ContainerView {
    /// Its program has started at some time.
    #[must_use]
    pub fn has_started(&self) -> bool {
        let now = match &self.state {
            ContainerState::Running { .. } => true,
            ContainerState::Ended(end) => end.has_run(),
            ContainerState::Unknown | ContainerState::Waiting { .. } => false,
        };
        now || self.last_end.as_ref().is_some_and(|end| end.has_run())
    }

    /// When it ended, if it has.
    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        match &self.state {
            ContainerState::Ended(end) => end.finished_at,
            ContainerState::Unknown | ContainerState::Waiting { .. } | ContainerState::Running { .. } => None,
        }
    }
}

/// Which kind of container it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerRole {
    /// Runs before the others, to its end.
    Init,
    /// Runs beside the others.
    Sidecar,
    /// Does the work.
    Main,
}

/// What a container does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// The kubelet has not looked yet.
    Unknown,
    /// It waits.
    Waiting {
        /// Why, in one word, for example ImagePullBackOff.
        reason: Box<str>,
        /// The kubelet's sentence.
        message: Box<str>,
    },
    /// It runs.
    Running {
        /// Since when.
        since: Option<Timestamp>,
    },
    /// It has ended.
    Ended(Box<EndView>),
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndView {
    /// Its exit code.
    pub exit_code: i32,
    /// The signal that ended it, if the runtime says so.
    pub signal: Option<i32>,
    /// In one word: Error, OOMKilled, StartError and so on.
    pub reason: Box<str>,
    /// Its last output, or why it did not start.
    pub message: Box<str>,
    /// When it started; the epoch if it never did.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl EndView {
    /// The kubelet made it up for a container that it could not find when the pod was deleted: it never ran.
    #[must_use]
    pub fn was_not_found(&self) -> bool {
        &*self.reason == "ContainerStatusUnknown" && self.started_at.is_none()
    }

    /// The container was there, and the runtime could not start its program.
    #[must_use]
    pub fn could_not_start(&self) -> bool {
        matches!(&*self.reason, "StartError" | "ContainerCannotRun")
    }

    /// Its program ran.
    #[must_use]
    pub fn has_run(&self) -> bool {
        !self.was_not_found() && !self.could_not_start()
    }
}

/// A pod as it comes over the wire.
#[derive(Deserialize)]
struct Wire {
    #[serde(deserialize_with = "of_pod")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Option<WireSpec>,
    #[serde(default)]
    status: Option<WireStatus>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireSpec {
    node_name: Option<String>,
    init_containers: Option<Vec<WireContainer>>,
    containers: Option<Vec<WireContainer>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireContainer {
    name: String,
    restart_policy: Option<String>,
    resources: Option<WireResources>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireResources {
    limits: Option<WireLimits>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireLimits {
    memory: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireStatus {
    phase: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    #[serde(deserialize_with = "time")]
    start_time: Option<Time>,
    conditions: Option<Vec<WireCondition>>,
    init_container_statuses: Option<Vec<WireContainerStatus>>,
    container_statuses: Option<Vec<WireContainerStatus>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireCondition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    reason: Option<String>,
    message: Option<String>,
    #[serde(deserialize_with = "time")]
    last_transition_time: Option<Time>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireContainerStatus {
    name: String,
    state: Option<WireState>,
    last_state: Option<WireState>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireState {
    waiting: Option<WireWaiting>,
    running: Option<WireRunning>,
    terminated: Option<WireEnd>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireWaiting {
    reason: Option<String>,
    message: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireRunning {
    #[serde(deserialize_with = "time")]
    started_at: Option<Time>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireEnd {
    exit_code: i32,
    signal: Option<i32>,
    reason: Option<String>,
    message: Option<String>,
    #[serde(deserialize_with = "time")]
    started_at: Option<Time>,
    #[serde(deserialize_with = "time")]
    finished_at: Option<Time>,
}

impl From<Wire> for PodView {
    fn from(Wire { metadata, spec, status }: Wire) -> Self {
        let (spec, status) = (spec.unwrap_or_default(), status.unwrap_or_default());
        let find = |type_: &str, is: &str| {
            let all = status.conditions.iter().flatten();
            all.into_iter().find(|condition| condition.type_ == type_ && condition.status == is)
        };
        let initialized =
            find("Initialized", "True").and_then(|condition| condition.last_transition_time.as_ref());
        let inits = spec.init_containers.unwrap_or_default();
        let mains = spec.containers.unwrap_or_default();
        let set_by_limit_range =
            metadata.annotations.as_ref().and_then(|all| all.get(limit_range::ANNOTATION)).cloned();
        let limit_range_memory = |name: &str| -> Option<Box<str>> {
            let set = set_by_limit_range.as_deref()?;
            let container = inits.iter().chain(&mains).find(|container| container.name == name)?;
            let memory = container.resources.as_ref()?.limits.as_ref()?.memory.as_deref()?;
            limit_range::sets_memory_limit(set, name).then(|| word(Some(memory)))
        };
        let role = |name: &str| {
            let is_sidecar = |init: &WireContainer| init.restart_policy.as_deref() == Some("Always");
            match inits.iter().find(|init| init.name == name) {
                Some(init) if is_sidecar(init) => ContainerRole::Sidecar,
                _ => ContainerRole::Init,
            }
        };
        let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
        let unscheduled = find("PodScheduled", "False").map(|condition| Box::new(condition.view()));
        let disruption = find("DisruptionTarget", "True").map(|condition| Box::new(condition.view()));
        let lacks_sandbox = find("PodReadyToStartContainers", "False").is_some();
        let waits_since = initialized.or(status.start_time.as_ref()).map(|time| time.0);
        let of_inits = status.init_container_statuses.into_iter().flatten();
        let of_others = status.container_statuses.into_iter().flatten();
        Self {
            job_uid: owner.map(|owner| owner.uid.as_str().into()),
            node: spec.node_name.map(Into::into),
            is_failed: status.phase.as_deref() == Some("Failed"),
            lacks_sandbox,
            reason: word(status.reason.as_deref()),
            message: sentence(status.message.as_deref()),
            waits_since,
            unscheduled,
            disruption,
            containers: of_inits
                .map(|container| {
                    let role = role(&container.name);
                    (role, container)
                })
                .chain(of_others.map(|container| (ContainerRole::Main, container)))
                .map(|(role, container)| {
                    let memory = limit_range_memory(&container.name);
                    container.view(role, memory)
                })
                .take(CONTAINERS)
                .collect(),
            metadata: ObjectMeta {
                name: metadata.name,
                namespace: metadata.namespace,
                labels: metadata.labels,
                // The watch continues from it.
                resource_version: metadata.resource_version,
                creation_timestamp: metadata.creation_timestamp,
                deletion_timestamp: metadata.deletion_timestamp,
                deletion_grace_period_seconds: metadata.deletion_grace_period_seconds,
                ..ObjectMeta::default()
            },
        }
    }
}

impl WireCondition {
    fn view(&self) -> ConditionView {
        ConditionView { reason: word(self.reason.as_deref()), message: sentence(self.message.as_deref()) }
    }
}

impl WireContainerStatus {
    fn view(self, role: ContainerRole, limit_range_memory: Option<Box<str>>) -> ContainerView {
        let state = match self.state.unwrap_or_default() {
            WireState { terminated: Some(end), .. } => ContainerState::Ended(Box::new(end.view())),
            WireState { running: Some(running), .. } => {
                ContainerState::Running { since: running.started_at.map(|time| time.0) }
            }
            WireState { waiting: Some(waiting), .. } => ContainerState::Waiting {
                reason: word(waiting.reason.as_deref()),
                message: sentence(waiting.message.as_deref()),
            },
            WireState { .. } => ContainerState::Unknown,
        };
        let last_end = self.last_state.and_then(|last| last.terminated).map(|end| Box::new(end.view()));
        ContainerView {
            name: bounded_to(&self.name, REASON).into(),
            role,
            state,
            last_end,
            limit_range_memory,
        }
    }
}

impl WireEnd {
    fn view(self) -> EndView {
        EndView {
            exit_code: self.exit_code,
            signal: self.signal.filter(|signal| *signal != 0),
            reason: word(self.reason.as_deref()),
            message: last_output(self.message.as_deref().unwrap_or_default(), MESSAGE).into(),
            started_at: self.started_at.map(|time| time.0),
            finished_at: self.finished_at.map(|time| time.0),
        }
    }
}

fn word(text: Option<&str>) -> Box<str> {
    in_one_line(&bounded_to(&printable(text.unwrap_or_default()), REASON)).into()
}

fn sentence(text: Option<&str>) -> Box<str> {
    bounded_to(printable(text.unwrap_or_default()).trim(), MESSAGE).into()
}
