//! Which logs are open. Takes the pods of a run as they are seen; returns the logs that are to be opened next, each
//! instance of a container once, and what has become of those that are open.

use std::collections::{BTreeMap, BTreeSet};

use super::choice::Choice;
use super::pod::{PodView, State};

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Name of the pod.
    pub pod: String,
    /// uid of the pod.
    pub uid: String,
    /// Name of the container.
    pub container: String,
}

/// The log of one instance of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Where it comes from.
    pub source: Source,
    /// How often the container had been started again before.
    pub instance: i32,
    /// It is the log of the instance before the current one.
    pub is_previous: bool,
    /// Nothing is added to it any more.
    pub has_ended: bool,
}

/// What has become of the writer of a log that is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// The instance has ended: its log is complete.
    pub has_ended: bool,
    /// The pod is gone: its log cannot be opened again.
    pub is_gone: bool,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    instance: i32,
    is_open: bool,
}

/// The pods of a run, and the logs that were opened.
#[derive(Clone, Debug)]
pub struct Desk {
    choice: Choice,
    /// Pods that come later are read, too.
    is_following: bool,
    /// uid of the run's Job: pods of another one are not of this run.
    job: Option<String>,
    pods: BTreeMap<String, PodView>,
    /// uids of pods that were there from the beginning.
    early: Option<BTreeSet<String>>,
    left_out: BTreeSet<String>,
    streams: BTreeMap<Source, Stream>,
    lost: i32,
}

impl Desk {
    /// One without pods. `job` is the uid of the run's Job, if it is known.
    #[must_use]
    pub const fn new(choice: Choice, is_following: bool, job: Option<String>) -> Self {
        Self {
            choice,
            is_following,
            job,
            pods: BTreeMap::new(),
            early: None,
            left_out: BTreeSet::new(),
            streams: BTreeMap::new(),
            lost: 0,
        }
    }

    /// These are all pods.
    pub fn replace(&mut self, pods: impl IntoIterator<Item = PodView>) {
        self.pods.clear();
        for pod in pods {
            self.apply(pod);
        }
        if self.early.is_none() {
            self.early = Some(self.pods.keys().cloned().collect());
        }
    }

    /// This pod is new, or has changed.
    pub fn apply(&mut self, pod: PodView) {
        let is_of_another = matches!((&self.job, &pod.owner), (Some(job), Some(owner)) if job != owner);
        if !is_of_another {
            self.pods.insert(pod.uid.clone(), pod);
        }
    }

    /// The pod with this uid is gone.
    pub fn remove(&mut self, uid: &str) {
        self.pods.remove(uid);
    }

    /// All pods of the run.
    #[must_use]
    pub fn pods(&self) -> Vec<PodView> {
        self.pods.values().cloned().collect()
    }

    /// Logs that are to be opened now. They count as open.
    pub fn open(&mut self) -> Vec<Log> {
        let mut busy: BTreeSet<String> =
            self.streams.iter().filter(|(_, it)| it.is_open).map(|(source, _)| source.uid.clone()).collect();
        let mut due: Vec<(&PodView, Vec<Log>)> = self
            .pods
            .values()
            .filter(|pod| self.choice.takes_pod(pod) && !self.left_out.contains(&pod.uid))
            .map(|pod| (pod, self.due(pod)))
            .filter(|(_, logs)| !logs.is_empty())
            .collect();
        // Those that failed first, then the newest.
        due.sort_by_key(|(pod, _)| (!pod.has_failed, -pod.created, pod.name.clone()));
        let mut opened = Vec::new();
        let mut left_out = Vec::new();
        for (pod, logs) in due {
            if busy.contains(&pod.uid) || busy.len() < self.choice.max_pods {
                busy.insert(pod.uid.clone());
                opened.extend(logs);
            } else if !self.is_following || (pod.has_ended && self.is_early(pod)) {
                left_out.push(pod.uid.clone());
            }
        }
        self.left_out.extend(left_out);
        for log in &opened {
            let before = self.streams.get(&log.source).map(|it| it.instance);
            if let Some(before) = before {
                self.lost += (log.instance - before - 1).max(0);
            }
            self.streams.insert(log.source.clone(), Stream { instance: log.instance, is_open: true });
        }
        opened
    }

    /// Logs of a pod that can be read and were not opened.
    fn due(&self, pod: &PodView) -> Vec<Log> {
        let mut due = self.choice.logs(pod);
        due.retain(|log| match self.streams.get(&log.source) {
            None => true,
            Some(stream) => !stream.is_open && log.instance > stream.instance,
        });
        if self.is_following {
            for log in &mut due {
                self.catch_up(pod, log);
            }
        }
        due
    }

    /// A container that ended and was started again unseen: its log before comes first.
    fn catch_up(&self, pod: &PodView, log: &mut Log) {
        let read = match self.streams.get(&log.source) {
            Some(stream) => stream.instance,
            None if self.is_early(pod) => log.instance - 1,
            None => -1,
        };
        let had_one_before =
            pod.containers.iter().any(|it| it.name == log.source.container && it.previous.is_some());
        if !log.is_previous && log.instance > read + 1 && had_one_before {
            (log.instance, log.is_previous, log.has_ended) = (log.instance - 1, true, true);
        }
    }

    fn is_early(&self, pod: &PodView) -> bool {
        self.early.as_ref().is_none_or(|early| early.contains(&pod.uid))
    }

    /// The pod of a log was there when reading began.
    #[must_use]
    pub fn is_of_early_pod(&self, log: &Log) -> bool {
        self.early.as_ref().is_none_or(|early| early.contains(&log.source.uid))
    }

    /// The log was read to its end.
    pub fn close(&mut self, source: &Source) {
        if let Some(stream) = self.streams.get_mut(source) {
            stream.is_open = false;
        }
    }

    /// What has become of the instance whose log is open.
    #[must_use]
    pub fn life(&self, source: &Source) -> Life {
        let Some(pod) = self.pods.get(&source.uid) else { return Life { has_ended: true, is_gone: true } };
        let container = pod.containers.iter().find(|it| it.name == source.container);
        let instance = self.streams.get(source).map_or(0, |it| it.instance);
        let has_ended = container.is_none_or(|it| {
            it.restarts > instance || matches!(it.state, State::Ended { .. }) || pod.has_ended
        });
        Life { has_ended, is_gone: false }
    }

    /// The container may be started again: its pod has not ended.
    #[must_use]
    pub fn may_restart(&self, source: &Source) -> bool {
        self.pods.get(&source.uid).is_some_and(|pod| !pod.has_ended)
    }

    /// No log is open.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.streams.values().all(|it| !it.is_open)
    }

    /// A log was opened.
    #[must_use]
    pub fn has_read(&self) -> bool {
        !self.streams.is_empty()
    }

    /// Lines come from more than one container.
    #[must_use]
    pub fn is_of_several(&self) -> bool {
        let pods = self.pods.values().filter(|pod| self.choice.takes_pod(pod));
        let chosen = pods.flat_map(|pod| &pod.containers).filter(|it| self.choice.takes_container(it));
        self.streams.len() > 1 || (!self.choice.only_failed && chosen.count() > 1)
    }

    /// How many pods were left out, because there are more than are read at once.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out.len()
    }

    /// How many logs of instances are gone, because a container was started again too quickly; counted once.
    pub fn take_lost(&mut self) -> i32 {
        std::mem::take(&mut self.lost)
    }

    /// Containers that have not started and may still do so: pod, container, why in one word, which may be empty.
    #[must_use]
    pub fn waiting(&self) -> Vec<(String, String, String)> {
        let pods = self.pods.values().filter(|pod| self.choice.takes_pod(pod) && !pod.has_ended);
        let containers = pods.flat_map(|pod| pod.containers.iter().map(move |it| (pod, it)));
        let waiting = containers.filter_map(|(pod, it)| match &it.state {
            State::Waiting(why) if self.choice.takes_container(it) => {
                Some((pod.name.clone(), it.name.clone(), why.clone()))
            }
            _ => None,
        });
        waiting.collect()
    }
}

#[cfg(test)]
mod tests;
