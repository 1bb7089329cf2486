//! Which pods and containers are asked for, and which of their logs can be read now.

use super::desk::{Log, Source};
use super::pod::{ContainerView, Kind, PodView, State};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Of each pod.
    pub containers: Containers,
    /// Only the pod of this name.
    pub pod: Option<String>,
    /// Only pods of this completion index.
    pub index: Option<i32>,
    /// Only containers that failed; of a pod that failed for another reason, all that have started.
    pub only_failed: bool,
    /// The instance before the current one.
    pub is_previous: bool,
    /// How many pods are read at once.
    pub max_pods: usize,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            containers: Containers::Main,
            pod: None,
            index: None,
            only_failed: false,
            is_previous: false,
            max_pods: 8,
        }
    }
}

/// Containers of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Containers {
    /// Those that do the work.
    Main,
    /// Init containers that are no sidecars.
    Init,
    /// All of them.
    All,
    /// Those of these names.
    Named(Vec<String>),
}

/// What is asked for and is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// No pod has a container of this name.
    Container {
        /// Its name.
        name: String,
        /// Names that there are.
        known: Vec<String>,
    },
    /// There is no pod of this name.
    Pod {
        /// Its name.
        name: String,
        /// Names that there are.
        known: Vec<String>,
    },
    /// No pod has this completion index.
    Index(i32),
}

impl Choice {
    /// The pod is one that is asked for.
    #[must_use]
    pub fn takes_pod(&self, pod: &PodView) -> bool {
        self.pod.as_ref().is_none_or(|name| *name == pod.name)
            && self.index.is_none_or(|index| pod.index == Some(index))
    }

    /// The container is one that is asked for.
    #[must_use]
    pub fn takes_container(&self, container: &ContainerView) -> bool {
        match &self.containers {
            Containers::Main => container.kind == Kind::Main,
            Containers::Init => container.kind == Kind::Init,
            Containers::All => true,
            Containers::Named(names) => names.contains(&container.name),
        }
    }

    /// Logs of a pod that can be read now.
    #[must_use]
    pub fn logs(&self, pod: &PodView) -> Vec<Log> {
        let chosen: Vec<_> = pod.containers.iter().filter(|it| self.takes_container(it)).collect();
        let has_failed = chosen.iter().any(|it| it.has_failed());
        let instance = |it: &ContainerView| {
            let is_started = !matches!(it.state, State::Waiting(_));
            let is_failed_now = matches!(it.state, State::Ended { exit_code } if exit_code != 0);
            let of_before = it.previous.is_some();
            match (self.is_previous, self.only_failed) {
                (true, false) => of_before.then_some(true),
                (true, true) => it.has_failed_before().then_some(true),
                (false, false) => is_started.then_some(false),
                (false, true) if is_failed_now => Some(false),
                (false, true) if it.has_failed_before() => Some(true),
                // Evicted, or its node was lost.
                (false, true) => (is_started && pod.has_failed && !has_failed).then_some(false),
            }
        };
        let log = |it: &ContainerView, is_previous: bool| Log {
            source: Source { pod: pod.name.clone(), uid: pod.uid.clone(), container: it.name.clone() },
            instance: if is_previous { it.restarts - 1 } else { it.restarts },
            is_previous,
            has_ended: is_previous || it.state != State::Running,
        };
        chosen.into_iter().filter_map(|it| instance(it).map(|is_previous| log(it, is_previous))).collect()
    }

    /// What is asked for by a name that none of these pods has.
    #[must_use]
    pub fn unknown(&self, pods: &[PodView]) -> Option<Unknown> {
        let names = || pods.iter().map(|pod| pod.name.clone()).collect();
        if let Some(name) = &self.pod
            && !pods.iter().any(|pod| pod.name == *name)
        {
            return Some(Unknown::Pod { name: name.clone(), known: names() });
        }
        if let Some(index) = self.index
            && !pods.iter().any(|pod| pod.index == Some(index))
        {
            return Some(Unknown::Index(index));
        }
        self.unknown_container(pods)
    }

    /// A container that is asked for and that none of these pods has.
    #[must_use]
    pub fn unknown_container(&self, pods: &[PodView]) -> Option<Unknown> {
        let Containers::Named(names) = &self.containers else { return None };
        let mut known: Vec<String> = Vec::new();
        for container in pods.iter().flat_map(|pod| &pod.containers) {
            if !known.contains(&container.name) {
                known.push(container.name.clone());
            }
        }
        let name = names.iter().find(|name| !known.contains(name))?;
        Some(Unknown::Container { name: name.clone(), known })
    }
}
