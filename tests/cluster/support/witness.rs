//! Jobs and JobRequests as they are seen from outside: takes a namespace, keeps every Job that ever was in it; takes a
//! name, keeps every version of that JobRequest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use kube::runtime::watcher::{self, Event};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::DEADLINE;
use super::requests::Requests;

/// The last state of each Job, by uid.
type Jobs = BTreeMap<String, Job>;

/// See the module. It sees what happens in a namespace from `of` until it is dropped.
pub(crate) struct Witness {
    jobs: watch::Receiver<Jobs>,
    task: JoinHandle<()>,
}

impl Witness {
    /// Watches the Jobs of a namespace; returns when the watch has begun.
    pub(crate) async fn of(at: &Requests) -> Self {
        let (seen, mut jobs) = watch::channel(Jobs::new());
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let mut events = watcher::watcher(at.jobs(), watcher::Config::default()).boxed();
        let task = tokio::spawn(async move {
            let mut begun = Some(begun);
            while let Some(event) = events.next().await {
                match event.expect("watch the Jobs") {
                    Event::Apply(job) | Event::InitApply(job) | Event::Delete(job) => {
                        let uid = job.metadata.uid.clone().expect("a uid");
                        seen.send_modify(|jobs| {
                            jobs.insert(uid, job);
                        });
                    }
                    Event::InitDone => {
                        if let Some(begun) = begun.take() {
                            let _ = begun.send(());
                        }
                    }
                    Event::Init => {}
                }
            }
        });
        has_begun.await.expect("the watch begins");
        jobs.mark_unchanged();
        Self { jobs, task }
    }

    /// Returns as soon as a Job of this name is such.
    pub(crate) async fn sees(&self, name: &str, is: impl Fn(&Job) -> bool) {
        self.sees_within(DEADLINE, name, is).await;
    }

    /// The same, for which it may take long.
    pub(crate) async fn sees_within(&self, patience: Duration, name: &str, is: impl Fn(&Job) -> bool) {
        let mut jobs = self.jobs.clone();
        let has =
            |jobs: &Jobs| jobs.values().any(|job| job.metadata.name.as_deref() == Some(name) && is(job));
        let wait = tokio::time::timeout(patience, jobs.wait_for(has)).await;
        wait.unwrap_or_else(|_| panic!("not within {patience:?}: Job {name} is seen")).expect("a watch");
    }

    /// The names that ever were, each with how many Jobs had it: more than one ran twice.
    pub(crate) fn names(&self) -> BTreeMap<String, usize> {
        let mut names = BTreeMap::new();
        for job in self.jobs.borrow().values() {
            *names.entry(job.metadata.name.clone().expect("a name")).or_default() += 1;
        }
        names
    }

    /// The last state of each Job that ever was.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        self.jobs.borrow().values().cloned().collect()
    }

    /// Each of these names was had by one Job, and there was no other Job.
    pub(crate) fn saw_exactly(&self, names: impl IntoIterator<Item = String>) {
        let wanted: BTreeMap<String, usize> = names.into_iter().map(|name| (name, 1)).collect();
        assert_eq!(self.names(), wanted, "how many Jobs had each name");
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The Job controller says that it has ended.
pub(crate) fn has_ended(job: &Job) -> bool {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|c| matches!(c.type_.as_str(), "Complete" | "Failed") && c.status == "True")
}

/// Every version of one JobRequest that was seen since `of`.
pub(crate) struct History {
    versions: Arc<Mutex<Vec<Value>>>,
    task: JoinHandle<()>,
}

impl History {
    /// Watches one JobRequest; returns when the watch has begun.
    pub(crate) async fn of(at: &Requests, name: &str) -> Self {
        let versions = Arc::new(Mutex::new(Vec::new()));
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut events = watcher::watcher(at.api(), config).boxed();
        let seen = Arc::clone(&versions);
        let task = tokio::spawn(async move {
            let mut begun = Some(begun);
            while let Some(event) = events.next().await {
                match event.expect("watch the JobRequest") {
                    Event::Apply(object) | Event::InitApply(object) => {
                        let version = serde_json::to_value(object).expect("a JSON value");
                        seen.lock().expect("no panic").push(version);
                    }
                    Event::InitDone => {
                        if let Some(begun) = begun.take() {
                            let _ = begun.send(());
                        }
                    }
                    Event::Init | Event::Delete(_) => {}
                }
            }
        });
        has_begun.await.expect("the watch begins");
        Self { versions, task }
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> Vec<Value> {
        self.versions.lock().expect("no panic").clone()
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.task.abort();
    }
}
