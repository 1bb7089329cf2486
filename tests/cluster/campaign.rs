//! The kill campaign: the operator is killed at each of its writes, whatever it is doing, and its successor leaves each
//! run with one Job and the records which it would have had undisturbed.
//!
//! A workload is what people do to one JobRequest. It is gone through undisturbed once, and the operator's writes are
//! counted by a proxy that stands before the API server; then once for each write and each way in which that may be
//! cut off, in a namespace of its own with operators of its own. What counts is what others see: every Job that ever
//! was, and the status in the end.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use futures::{FutureExt, future};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::proxy::{Cut, Proxy};
use crate::support::requests::{Requests, spec};
use crate::support::witness::{Witness, has_ended};
use crate::support::{Cluster, Operator, Test};

pub(crate) fn tests() -> Vec<Test> {
    vec![Test::new("killed_at_each_write", killed_at_each_write).within(Duration::from_secs(1200))]
}

/// How long one wait may take: two minutes of grace, and a machine that has much to do.
const PATIENCE: Duration = Duration::from_secs(400);
/// How long it is watched, after all was done, whether somebody does more.
const SETTLE: Duration = Duration::from_millis(1000);
/// A write that was under way arrives with the first write of the next operator, or after this time.
const SOON: Duration = Duration::from_secs(3);
/// When one arrives that took long: a Job that could be deleted is gone by then.
const LATE: Duration = Duration::from_secs(8);
/// How many are gone through at once; those which only wait for their grace are not among them.
const AT_ONCE: usize = 12;
/// The one JobRequest in a namespace.
const NAME: &str = "work";

/// What people do to one JobRequest.
#[derive(Clone, Copy)]
struct Workload {
    name: &'static str,
    /// The operator deletes Jobs. One which holds a lease, and was not killed in between, does so at once; its
    /// successor waits two minutes for creates which may still be on their way.
    deletes: bool,
    /// The JobRequest is deleted while its run is active. A create that is under way meanwhile never arrives: it would
    /// make a Job of the dead JobRequest, which is the garbage collector's, and which no operator can keep from being.
    needs_collector: bool,
    /// Does it, and returns when the end is reached.
    goes: for<'a> fn(&'a Stage) -> LocalBoxFuture<'a, ()>,
}

fn workloads() -> Vec<Workload> {
    let plain = |name, goes| Workload { name, deletes: false, needs_collector: false, goes };
    let deletes = |name, goes| Workload { deletes: true, ..plain(name, goes) };
    let collected = |name, goes| Workload { needs_collector: true, ..plain(name, goes) };
    vec![
        deletes("Replace", |stage| replace(stage).boxed_local()),
        deletes("history limit 0", |stage| history(stage).boxed_local()),
        plain("a run", |stage| run(stage).boxed_local()),
        plain("an edit while active", |stage| edit(stage).boxed_local()),
        plain("two sources of reruns at once", |stage| both_sources(stage).boxed_local()),
        plain("suspended and resumed", |stage| pause(stage).boxed_local()),
        collected("deleted and made again", |stage| again(stage).boxed_local()),
        plain("a failing run", |stage| failing(stage).boxed_local()),
        plain("a start deadline", |stage| start_deadline(stage).boxed_local()),
        plain("a name that is taken", |stage| taken(stage).boxed_local()),
        plain("a wiped status", |stage| wiped(stage).boxed_local()),
    ]
}

/// A namespace, and what is seen of it.
struct Stage {
    at: Requests,
    witness: Witness,
}

impl Stage {
    /// Waits for a state of the JobRequest; `None` once it is gone. By a watch: many wait at once, and for long.
    async fn until(&self, what: &str, is: impl Fn(Option<&Value>) -> bool) {
        let is = |object: Option<&DynamicObject>| {
            is(object.map(|object| serde_json::to_value(object).expect("a JSON value")).as_ref())
        };
        let wait = tokio::time::timeout(PATIENCE, await_condition(self.at.api(), NAME, is)).await;
        if wait.is_err() {
            let now = self.at.api().get_opt(NAME).await.expect("look at the JobRequest");
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
        self.at.api().patch(NAME, &PatchParams::default(), &patch).await.expect("change the JobRequest");
    }

    async fn create(&self, simulated: Value, more: Value) {
        self.at.create(NAME, spec(&simulated, &more)).await;
    }

    async fn sees_active(&self, job: &str) {
        self.witness.sees(job, |job| job.status.as_ref().and_then(|status| status.active) == Some(1)).await;
    }
}

async fn run(stage: &Stage) {
    stage.create(json!({}), json!({})).await;
    stage.until_end(1, "Succeeded").await;
}

async fn edit(stage: &Stage) {
    stage.create(json!({"run-seconds": "2"}), json!({})).await;
    stage.sees_active("work-1").await;
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
    stage.sees_active("work-1").await;
    stage.merge(json!({"spec": {"annotations": {"sim.jobrequest.dev/run-seconds": "1"}}})).await;
    stage.until_end(2, "Succeeded").await;
}

async fn pause(stage: &Stage) {
    stage.create(json!({"run-seconds": "4"}), json!({})).await;
    stage.sees_active("work-1").await;
    stage.merge(json!({"spec": {"suspend": true}})).await;
    let is_suspended = |job: &Job| job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true);
    // It may end before the next operator comes to it.
    stage.witness.sees("work-1", |job| is_suspended(job) || has_ended(job)).await;
    stage.merge(json!({"spec": {"suspend": false}})).await;
    stage.until_end(1, "Succeeded").await;
}

async fn history(stage: &Stage) {
    stage.create(json!({}), json!({"runPolicy": {"successfulRunsHistoryLimit": 0}})).await;
    stage.until_end(1, "Succeeded").await;
    let gone = tokio::time::timeout(PATIENCE, await_condition(stage.at.jobs(), "work-1", is_gone)).await;
    gone.expect("the Job of a run that is not kept goes").expect("watch the Job");
}

fn is_gone(job: Option<&Job>) -> bool {
    job.is_none()
}

async fn again(stage: &Stage) {
    stage.create(json!({"run-seconds": "forever"}), json!({})).await;
    stage.sees_active("work-1").await;
    stage.at.delete(NAME, &DeleteParams::background()).await;
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
    let other = json!({"metadata": {"name": "work-1"}, "spec": {"suspend": true, "template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "main", "image": "perl:5.40"}]}}}});
    let other = serde_json::from_value(other).expect("a Job");
    stage.at.jobs().create(&PostParams::default(), &other).await.expect("create a Job");
    stage.create(json!({}), json!({})).await;
    stage.until_end(2, "Succeeded").await;
}

async fn wiped(stage: &Stage) {
    stage.create(json!({"run-seconds": "2"}), json!({})).await;
    stage.sees_active("work-1").await;
    stage.at.wipe_status(NAME).await;
    stage.until_end(1, "Succeeded").await;
}

/// What one way through a workload left.
#[derive(Clone, Debug, PartialEq)]
struct Traces {
    /// What stays the same, no matter who did it: of each run its number, trigger, token, result, reason and digest.
    records: Vec<Value>,
    handled: Value,
    /// How many Jobs there were of each run of each JobRequest; who that was is no more than a number, in order of
    /// their Jobs.
    jobs: Vec<usize>,
    /// Runs whose record does not name the one Job that was seen.
    lost: Vec<Value>,
}

impl Traces {
    async fn of(stage: &Stage) -> Self {
        let status = stage.at.get(NAME).await["status"].clone();
        let jobs = stage.witness.jobs();
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
        Self {
            lost: lost.cloned().collect(),
            handled: status["lastHandledRerun"].clone(),
            jobs: runs.into_values().collect(),
            records: records.iter().map(|record| kept.map(|key| record[key].clone()).into()).collect(),
        }
    }
}

/// At which write the operator is killed, and how.
#[derive(Clone, Copy, Debug)]
struct Kill {
    write: usize,
    cut: Cut,
    /// A write that was under way arrives late.
    late: bool,
}

impl Kill {
    /// All that are worth a try on an operator with such `writes`.
    fn all(workload: Workload, writes: &[String]) -> Vec<Self> {
        let kill = |write, cut| Self { write, cut, late: false };
        // What is there when a write was never sent is what is there after the one before it.
        let mut kills = vec![kill(1, Cut::Unsent)];
        // The way of one that was killed may be longer.
        let all = 1..=writes.len() + 2;
        kills.extend(all.flat_map(|write| [kill(write, Cut::Answered), kill(write, Cut::Underway)]));
        // Rule 6.
        let creates =
            writes.iter().zip(1..).filter(|(what, _)| what.starts_with("POST") && what.ends_with("/jobs"));
        let late = creates.map(|(_, write)| Self { late: true, ..kill(write, Cut::Underway) });
        kills.extend(late.filter(|_| !workload.needs_collector));
        kills
    }
}

/// One way through a workload.
struct Passage {
    traces: Traces,
    /// What the first operator wrote.
    writes: Vec<String>,
    kills: usize,
}

async fn killed_at_each_write(cx: Arc<Cluster>) {
    let gate = Semaphore::new(AT_ONCE);
    let workloads = workloads();
    let campaigns = workloads.iter().map(|workload| kill_at_each_write(&cx, *workload, &gate));
    let (mut kills, mut problems) = (0, Vec::new());
    for (reached, found) in future::join_all(campaigns).await {
        kills += reached;
        problems.extend(found);
    }
    assert!(problems.is_empty(), "{} of the kills did harm:\n{}", problems.len(), problems.join("\n\n"));
    let of = workloads.len();
    println!("figure: kill campaign: {kills} kill points of {of} workloads, 0 duplicate and 0 lost runs");
}

/// How many kills came off, and those which left something else than an undisturbed passage did.
async fn kill_at_each_write(cx: &Cluster, workload: Workload, gate: &Semaphore) -> (usize, Vec<String>) {
    if workload.needs_collector {
        collector_is_awake(cx).await;
    }
    let undisturbed = go_through(cx, workload, None, gate).await;
    let traces = &undisturbed.traces;
    assert!(traces.lost.is_empty() && traces.jobs.iter().all(|count| *count == 1), "{traces:#?}");
    let once = Kill::all(workload, &undisturbed.writes).into_iter().map(|kill| {
        let passage = go_through(cx, workload, Some(kill), gate);
        (format!("{}, {kill:?}", workload.name), passage.boxed_local())
    });
    // One that deletes would wait for the end of a lease, and of the grace, after each of its writes.
    let always = (!workload.deletes).then(|| {
        let passage = go_through_by_single_writes(cx, workload, gate);
        (format!("{}, killed after every write", workload.name), passage.boxed_local())
    });
    let passages = once.chain(always).map(async |(what, passage)| {
        match AssertUnwindSafe(passage).catch_unwind().await {
            Ok(passage) if passage.traces == *traces => (passage.kills, None),
            Ok(passage) => {
                let writes = passage.writes.join("\n");
                let (traces, instead) = (passage.traces, traces);
                let problem =
                    format!("{what}: {traces:#?}\ninstead of {instead:#?}\nafter writing\n{writes}");
                (passage.kills, Some(problem))
            }
            Err(panic) => {
                let message = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                (0, Some(format!("{what}: {message}")))
            }
        }
    });
    let passages = future::join_all(passages).await;
    let kills: usize = passages.iter().map(|(kills, _)| kills).sum();
    println!(
        "kill campaign: {}: {} writes undisturbed, {kills} kills",
        workload.name,
        undisturbed.writes.len()
    );
    (kills, passages.into_iter().filter_map(|(_, problem)| problem).collect())
}

/// The garbage collector looks for new kinds every half minute; until then it does not know ours.
async fn collector_is_awake(cx: &Cluster) {
    let at = Requests::new(cx, "campaign").await;
    at.create(NAME, spec(&json!({}), &json!({}))).await;
    let uid = at.get(NAME).await["metadata"]["uid"].clone();
    let owner =
        json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "name": NAME, "uid": uid});
    let map = json!({"metadata": {"name": NAME, "ownerReferences": [owner]}});
    let maps: Api<ConfigMap> = at.namespace.api(&at.client);
    maps.create(&PostParams::default(), &serde_json::from_value(map).expect("a ConfigMap"))
        .await
        .expect("create a ConfigMap");
    at.delete(NAME, &DeleteParams::background()).await;
    let gone = await_condition(maps, NAME, |map: Option<&ConfigMap>| map.is_none());
    tokio::time::timeout(PATIENCE, gone).await.expect("it is collected").expect("watch the ConfigMap");
}

/// Goes through a workload; kills the operator as asked, and starts another one.
async fn go_through(cx: &Cluster, workload: Workload, kill: Option<Kill>, gate: &Semaphore) -> Passage {
    let mut turn = Some(gate.acquire().await.expect("it is never closed"));
    let at = Requests::new(cx, "campaign").await;
    let witness = Witness::of(&at).await;
    let stage = Stage { at, witness };
    let mut proxy = Proxy::start(cx, kill.map(|kill| (kill.write, kill.cut))).await;
    let operator = start(cx, &stage.at, workload, &proxy);
    let mut work = (workload.goes)(&stage);
    let cut = tokio::select! {
        underway = proxy.has_cut() => Some((underway, false)),
        () = &mut work => {
            // Events come after the status.
            tokio::time::timeout(SETTLE, proxy.has_cut()).await.ok().map(|underway| (underway, true))
        }
    };
    let kills = usize::from(cut.is_some());
    let last = if let Some((underway, is_done)) = cut {
        operator.kill();
        let next = Proxy::start(cx, None).await;
        let successor = start(cx, &stage.at, workload, &next);
        let arrival = async {
            if let Some(write) = underway.filter(|write| !(workload.needs_collector && write.is_create())) {
                if kill.is_some_and(|kill| kill.late) {
                    tokio::time::sleep(LATE).await;
                } else {
                    let _ = tokio::time::timeout(SOON, next.has_written()).await;
                }
                next.deliver(write).await;
            }
            if workload.deletes {
                successor.is_ready().await;
                tokio::time::sleep(SOON).await;
                turn.take();
            }
        };
        let work = async {
            if !is_done {
                work.await;
            }
        };
        tokio::join!(arrival, work);
        tokio::time::sleep(SETTLE).await;
        (successor, Some(next))
    } else {
        (operator, None)
    };
    let traces = Traces::of(&stage).await;
    drop(last);
    Passage { traces, writes: proxy.writes(), kills }
}

/// Goes through a workload with operators of which none lives longer than one write that is accepted.
async fn go_through_by_single_writes(cx: &Cluster, workload: Workload, gate: &Semaphore) -> Passage {
    let _turn = gate.acquire().await.expect("it is never closed");
    let at = Requests::new(cx, "campaign").await;
    let witness = Witness::of(&at).await;
    let stage = Stage { at, witness };
    let mut work = (workload.goes)(&stage);
    let (mut writes, mut kills, mut is_done) = (Vec::new(), 0, false);
    loop {
        let mut proxy = Proxy::start(cx, Some((1, Cut::Accepted))).await;
        let operator = start(cx, &stage.at, workload, &proxy);
        let mut is_cut = false;
        if !is_done {
            tokio::select! {
                _ = proxy.has_cut() => is_cut = true,
                () = &mut work => is_done = true,
            }
        }
        if is_done && !is_cut {
            operator.is_ready().await;
            is_cut = tokio::time::timeout(SETTLE, proxy.has_cut()).await.is_ok();
        }
        operator.kill();
        writes.extend(proxy.writes());
        kills += usize::from(is_cut);
        if is_done && !is_cut {
            return Passage { traces: Traces::of(&stage).await, writes, kills };
        }
    }
}

/// An operator behind a proxy.
fn start(cx: &Cluster, at: &Requests, workload: Workload, proxy: &Proxy) -> Operator {
    let namespace = format!("--leader-elect-resource-namespace={}", at.namespace.name());
    let alone = [
        "--leader-elect",
        &namespace,
        "--leader-elect-lease-duration=4s",
        "--leader-elect-renew-deadline=3s",
        "--leader-elect-retry-period=1s",
    ];
    let arguments: &[&str] = if workload.deletes { &alone } else { &[] };
    Operator::start_with(cx, &at.namespace, arguments, &[("KUBECONFIG", proxy.kubeconfig())])
}
