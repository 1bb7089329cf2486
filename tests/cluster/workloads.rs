//! What people do to one JobRequest, step by step, and the traces that it leaves: for tests that disturb the operator
//! meanwhile, and compare the traces with those of a passage that nobody disturbed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::support::Cluster;
use crate::support::requests::{Requests, condition, spec};
use crate::support::witness::{Witness, has_ended};

/// How long one wait may take: two minutes of grace, and a machine that has much to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(400);
/// How long it is watched, after all was done, whether somebody does more.
pub(crate) const SETTLE: Duration = Duration::from_millis(1000);

/// How much of a campaign is gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What `make test` takes.
    Sample,
    /// Every combination, on demand.
    All,
}

/// What people do to one JobRequest.
#[derive(Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// The operator deletes Jobs. One which holds a lease, and was not killed in between, does so at once; its
    /// successor waits two minutes for creates which may still be on their way.
    pub(crate) deletes: bool,
    /// The JobRequest is deleted while its run is active. A create that is under way meanwhile never arrives: it would
    /// make a Job of the dead JobRequest, which is the garbage collector's, and which no operator can keep from being.
    pub(crate) needs_collector: bool,
    /// Does it, and returns when the end is reached.
    pub(crate) goes: for<'a> fn(&'a Stage) -> LocalBoxFuture<'a, ()>,
}

/// All of them.
pub(crate) fn workloads() -> Vec<Workload> {
    let plain = |name, goes| Workload { name, deletes: false, needs_collector: false, goes };
    let deletes = |name, goes| Workload { deletes: true, ..plain(name, goes) };
    let collected = |name, goes| Workload { needs_collector: true, ..plain(name, goes) };
    vec![
        deletes("Replace", |stage| replace(stage).boxed_local()),
        deletes("a fix of what is stuck", |stage| fix(stage).boxed_local()),
        deletes("a run that is cancelled", |stage| cancelled(stage).boxed_local()),
        deletes("history limit 0", |stage| history(stage).boxed_local()),
        plain("a run", |stage| run(stage).boxed_local()),
        plain("an edit while active", |stage| edit(stage).boxed_local()),
        plain("two sources of reruns at once", |stage| both_sources(stage).boxed_local()),
        plain("suspended and resumed", |stage| pause(stage).boxed_local()),
        plain("changed in place", |stage| in_place(stage).boxed_local()),
        plain("indexes are added", |stage| more_indexes(stage).boxed_local()),
        collected("deleted and made again", |stage| again(stage).boxed_local()),
        plain("a failing run", |stage| failing(stage).boxed_local()),
        plain("a start deadline", |stage| start_deadline(stage).boxed_local()),
        plain("a name that is taken", |stage| taken(stage).boxed_local()),
        plain("a wiped status", |stage| wiped(stage).boxed_local()),
    ]
}

/// A JobRequest in a namespace, and what is seen of both.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) at: Arc<Requests>,
    pub(crate) witness: Arc<Witness>,
    /// Name of the JobRequest.
    pub(crate) name: String,
}

impl Stage {
    /// Waits for a state of the JobRequest; `None` once it is gone. By a watch: many wait at once, and for long.
    async fn until(&self, what: &str, is: impl Fn(Option<&Value>) -> bool) {
        let is = |object: Option<&DynamicObject>| {
            is(object.map(|object| serde_json::to_value(object).expect("a JSON value")).as_ref())
        };
        let wait = tokio::time::timeout(PATIENCE, await_condition(self.at.api(), &self.name, is)).await;
        if wait.is_err() {
            let now = self.at.api().get_opt(&self.name).await.expect("look at the JobRequest");
            panic!("not within {PATIENCE:?}: {what}; last seen: {now:#?}");
        }
    }

    /// The newest spec has had its run, which is this one.
    async fn until_end(&self, run: i64, result: &str) {
        self.until(&format!("run {run} is {result}"), |object| {
            object.is_some_and(|object| {
                let (status, newest) = (&object["status"], &object["status"]["runs"][0]);
                status["observedGeneration"] == object["metadata"]["generation"]
                    && (&newest["number"], &newest["result"]) == (&json!(run), &json!(result))
            })
        })
        .await;
    }

    async fn merge(&self, change: Value) {
        let patch = Patch::Merge(change);
        self.at
            .api()
            .patch(&self.name, &PatchParams::default(), &patch)
            .await
            .expect("change the JobRequest");
    }

    async fn create(&self, simulated: Value, more: Value) {
        self.at.create(&self.name, spec(&simulated, &more)).await;
    }

    /// Name of the Job of a run.
    fn job(&self, run: u32) -> String {
        format!("{}-{run}", self.name)
    }

    /// Returns as soon as the first Job is such.
    async fn sees(&self, is: impl Fn(&Job) -> bool) {
        self.witness.sees_within(PATIENCE, &self.job(1), is).await;
    }

    /// A short run may have ended by the time that this busy program looks.
    async fn sees_active(&self) {
        let is_active = |job: &Job| job.status.as_ref().and_then(|status| status.active) == Some(1);
        self.sees(|job| is_active(job) || has_ended(job)).await;
    }
}

async fn run(stage: &Stage) {
    stage.create(json!({}), json!({})).await;
    stage.until_end(1, "Succeeded").await;
}

async fn edit(stage: &Stage) {
    stage.create(json!({"run-seconds": "2"}), json!({})).await;
    stage.sees_active().await;
    stage.merge(json!({"spec": {"containers": [{"name": "main", "image": "perl:5.40"}]}})).await;
    stage.until_end(2, "Succeeded").await;
}

async fn both_sources(stage: &Stage) {
    stage.create(json!({}), json!({})).await;
    stage.until_end(1, "Succeeded").await;
    let annotations = json!({"jobrequest.dev/rerun": "now"});
    stage.merge(json!({"metadata": {"annotations": annotations}, "spec": {"rerun": "2026-11-24"}})).await;
    stage.until_end(2, "Succeeded").await;
}

async fn replace(stage: &Stage) {
    let policy = json!({"runPolicy": {"whileActive": "Replace"}});
    stage.create(json!({"run-seconds": "forever"}), policy).await;
    stage.sees_active().await;
    stage.merge(json!({"spec": {"annotations": {"sim.jobrequest.dev/run-seconds": "1"}}})).await;
    stage.until_end(2, "Succeeded").await;
}

async fn cancelled(stage: &Stage) {
    stage.create(json!({"run-seconds": "forever"}), json!({})).await;
    stage.sees_active().await;
    let uid = |object: &Value| object["status"]["runs"][0]["jobUid"].as_str().map(ToOwned::to_owned);
    stage.until("its Job is recorded", |object| object.is_some_and(|object| uid(object).is_some())).await;
    let uid = uid(&stage.at.get(&stage.name).await).expect("a Job");
    let annotation = json!({"jobrequest.dev/cancel": format!("{uid} the campaign")});
    stage.merge(json!({"metadata": {"annotations": annotation}})).await;
    stage.until_end(1, "Cancelled").await;
}

async fn fix(stage: &Stage) {
    stage.create(json!({"pull": "never"}), json!({})).await;
    let is_stuck = |object: &Value| condition(&object["status"], "Ready") == "False ImagePullFailed";
    stage.until("it is stuck", |object| object.is_some_and(is_stuck)).await;
    let annotations = json!({"sim.jobrequest.dev/pull": null, "sim.jobrequest.dev/run-seconds": "1"});
    stage.merge(json!({"spec": {"annotations": annotations}})).await;
    stage.until_end(2, "Succeeded").await;
}

async fn pause(stage: &Stage) {
    stage.create(json!({"run-seconds": "4"}), json!({})).await;
    stage.sees_active().await;
    stage.merge(json!({"spec": {"suspend": true}})).await;
    let is_suspended = |job: &Job| job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true);
    // It may end before the next operator comes to it.
    stage.sees(|job| is_suspended(job) || has_ended(job)).await;
    stage.merge(json!({"spec": {"suspend": false}})).await;
    stage.until_end(1, "Succeeded").await;
}

async fn in_place(stage: &Stage) {
    stage.create(json!({"run-seconds": "6"}), json!({})).await;
    stage.sees_active().await;
    let settings = json!({"activeDeadlineSeconds": 600, "backoffLimit": 2});
    stage.merge(json!({"spec": {"alias": "π", "settings": settings}})).await;
    let is_changed = |job: &Job| job.spec.as_ref().and_then(|spec| spec.active_deadline_seconds) == Some(600);
    stage.sees(|job| is_changed(job) || has_ended(job)).await;
    stage.until_end(1, "Succeeded").await;
}

async fn more_indexes(stage: &Stage) {
    let indexed =
        |number: i32| json!({"completionMode": "Indexed", "completions": number, "parallelism": number});
    stage.create(json!({"run-seconds": "forever"}), json!({"settings": indexed(1)})).await;
    stage.sees_active().await;
    stage.merge(json!({"spec": {"settings": indexed(2)}})).await;
    stage.sees(|job| job.spec.as_ref().and_then(|spec| spec.completions) == Some(2)).await;
    stage.merge(json!({"spec": {"settings": {"activeDeadlineSeconds": 1}}})).await;
    stage.until_end(1, "Failed").await;
}

async fn history(stage: &Stage) {
    stage.create(json!({}), json!({"runPolicy": {"successfulRunsHistoryLimit": 0}})).await;
    stage.until_end(1, "Succeeded").await;
    let gone = tokio::time::timeout(PATIENCE, await_condition(stage.at.jobs(), &stage.job(1), is_gone)).await;
    gone.expect("the Job of a run that is not kept goes").expect("watch the Job");
}

fn is_gone(job: Option<&Job>) -> bool {
    job.is_none()
}

async fn again(stage: &Stage) {
    stage.create(json!({"run-seconds": "forever"}), json!({})).await;
    stage.sees_active().await;
    stage.at.delete(&stage.name, &DeleteParams::background()).await;
    stage.until("it is gone", |object| object.is_none()).await;
    stage.create(json!({}), json!({})).await;
    stage.until_end(1, "Succeeded").await;
}

async fn failing(stage: &Stage) {
    stage.create(json!({"exit-code": "3"}), json!({"settings": {"backoffLimit": 0}})).await;
    stage.until_end(1, "Failed").await;
}

async fn start_deadline(stage: &Stage) {
    stage.create(json!({"pull": "never"}), json!({"settings": {"startDeadlineSeconds": 2}})).await;
    stage.until_end(1, "Failed").await;
}

async fn taken(stage: &Stage) {
    let other = json!({"metadata": {"name": stage.job(1)}, "spec": {"suspend": true, "template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "main", "image": "perl:5.40"}]}}}});
    let other = serde_json::from_value(other).expect("a Job");
    stage.at.jobs().create(&PostParams::default(), &other).await.expect("create a Job");
    stage.create(json!({}), json!({})).await;
    stage.until_end(2, "Succeeded").await;
}

async fn wiped(stage: &Stage) {
    stage.create(json!({"run-seconds": "2"}), json!({})).await;
    stage.sees_active().await;
    stage.at.wipe_status(&stage.name).await;
    stage.until_end(1, "Succeeded").await;
}

/// The garbage collector looks for new kinds every half minute; until then it does not know ours.
pub(crate) async fn collector_is_awake(cx: &Cluster) {
    let at = Requests::new(cx, "collector").await;
    let name = "owner";
    at.create(name, spec(&json!({}), &json!({}))).await;
    let uid = at.get(name).await["metadata"]["uid"].clone();
    let owner =
        json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "name": name, "uid": uid});
    let map = json!({"metadata": {"name": name, "ownerReferences": [owner]}});
    let maps: Api<ConfigMap> = at.namespace.api(&at.client);
    maps.create(&PostParams::default(), &serde_json::from_value(map).expect("a ConfigMap"))
        .await
        .expect("create a ConfigMap");
    at.delete(name, &DeleteParams::background()).await;
    let gone = await_condition(maps, name, |map: Option<&ConfigMap>| map.is_none());
    tokio::time::timeout(PATIENCE, gone).await.expect("it is collected").expect("watch the ConfigMap");
}

/// What one way through a workload left.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Traces {
    /// The phase, and the conditions that people wait for.
    shown: Vec<String>,
    /// What stays the same, no matter who did it: of each run its number, trigger, token, result, reason and digest.
    records: Vec<Value>,
    handled: Value,
    /// How many Jobs there were of each run of each JobRequest; who that was is no more than a number, in order of
    /// their Jobs.
    pub(crate) jobs: Vec<usize>,
    /// Runs whose record does not name the one Job that was seen.
    pub(crate) lost: Vec<Value>,
}

impl Traces {
    pub(crate) async fn of(stage: &Stage) -> Self {
        let status = stage.at.get(&stage.name).await["status"].clone();
        let mut jobs = stage.witness.jobs();
        jobs.retain(|job| job.labels().get("jobrequest.dev/request") == Some(&stage.name));
        let annotation =
            |job: &Job, key: &str| job.metadata.annotations.as_ref().and_then(|all| all.get(key)).cloned();
        let mut runs: BTreeMap<(String, String), usize> = BTreeMap::new();
        for job in &jobs {
            // One without them is somebody else's.
            let of = annotation(job, "jobrequest.dev/request-uid");
            if let Some(run) = of.zip(annotation(job, "jobrequest.dev/run")) {
                *runs.entry(run).or_default() += 1;
            }
        }
        let records = status["runs"].as_array().cloned().unwrap_or_default();
        let is_seen = |record: &Value| {
            jobs.iter().any(|job| {
                job.metadata.uid.as_deref() == record["jobUid"].as_str()
                    && annotation(job, "jobrequest.dev/run") == Some(record["number"].to_string())
            })
        };
        let lost = records.iter().filter(|record| record["result"] == "Lost" || !is_seen(record));
        let kept = ["number", "trigger", "token", "result", "reason", "digest"];
        let conditions = ["Accepted", "Ready", "Finished"].map(|type_| condition(&status, type_));
        Self {
            shown: [vec![status["phase"].to_string()], conditions.to_vec()].concat(),
            lost: lost.cloned().collect(),
            handled: status["lastHandledRerun"].clone(),
            jobs: runs.into_values().collect(),
            records: records.iter().map(|record| kept.map(|key| record[key].clone()).into()).collect(),
        }
    }
}
