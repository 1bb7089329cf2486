//! Ten thousand finished requests: what they cost the operator in memory and in writes. Slow: `make figures`.
//!
//! Nothing is run ten thousand times. One request is, and its objects are written again under other names, with the
//! status that they ended with; the Jobs name another controller, so that nobody acts on them.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::Client;
use serde_json::{Value, json};

use crate::support::requests::{Requests, spec};
use crate::support::{Cluster, Operator, Test};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::slow("ten_thousand_finished_requests", ten_thousand_finished_requests),
        Test::slow("two_thousand_long_finished_requests", two_thousand_long_finished_requests),
    ]
}

/// How many; the bounds below are for ten thousand.
const FINISHED: usize = 10_000;
/// Calls at once.
const AT_ONCE: usize = 24;
/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(600);
const MIB: f64 = 1024.0 * 1024.0;

async fn ten_thousand_finished_requests(cx: Arc<Cluster>) {
    println!("figure: binary: {:.1} MiB (below 15)", size(Operator::program()) / MIB);

    let nothing = Requests::new(&cx, "nothing").await;
    let operator = Operator::start(&cx, &nothing.namespace, &[]);
    operator.is_ready().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let empty = operator.resident();
    println!("figure: resident memory without a request: {:.1} MiB (below 15)", empty / MIB);
    operator.stop().await;
    let model = Model::run(&cx, &json!({"alias": "计算圆周率", "settings": {"backoffLimit": 2}})).await;

    let without = Requests::new(&cx, "without-jobs").await;
    population(FINISHED, |number| model.request(&without, number, None)).await;
    let (only_requests, peak) = at_rest(&cx, &without, FINISHED).await;
    println!(
        "figure: with {FINISHED} finished requests whose Jobs are gone: {:.1} MiB, {:.0} bytes a request, peak {:.1} MiB",
        only_requests / MIB,
        (only_requests - empty) / count(FINISHED),
        peak / MIB
    );

    let with = Requests::new(&cx, "with-jobs").await;
    population(FINISHED, |number| model.request_with_job(&with, number)).await;
    let (with_jobs, peak) = at_rest(&cx, &with, FINISHED).await;
    println!(
        "figure: with {FINISHED} finished requests and their Jobs: {:.1} MiB (below 80), {:.0} bytes a Job, peak {:.1} MiB",
        with_jobs / MIB,
        (with_jobs - only_requests) / count(FINISHED),
        peak / MIB
    );

    population(FINISHED, |number| model.pod(&with, number)).await;
    let (with_pods, peak) = at_rest(&cx, &with, FINISHED).await;
    println!(
        "figure: and a finished pod each: {:.1} MiB, {:.0} bytes a pod, peak {:.1} MiB",
        with_pods / MIB,
        (with_pods - with_jobs) / count(FINISHED),
        peak / MIB
    );
    assert!(empty < 15.0 * MIB && with_jobs < 80.0 * MIB);
}

/// How many of 100 KB.
const LONG: usize = 2000;
/// The memory limit of the chart.
const LIMIT: f64 = 256.0 * MIB;

async fn two_thousand_long_finished_requests(cx: Arc<Cluster>) {
    let variables: Vec<Value> =
        (0..4).map(|number| json!({"name": format!("V{number}"), "value": "x".repeat(25_000)})).collect();
    let containers = json!([{"name": "main", "image": "perl:5.24.4", "env": variables}]);
    let model = Model::run(&cx, &json!({"containers": containers})).await;
    let long = Requests::new(&cx, "long").await;
    population(LONG, |number| model.request(&long, number, None)).await;
    let (resident, peak) = at_rest(&cx, &long, LONG).await;
    println!(
        "figure: with {LONG} finished requests of 100 KB: {:.1} MiB, peak {:.1} MiB (below {:.0})",
        resident / MIB,
        peak / MIB,
        LIMIT / MIB
    );
    assert!(peak < LIMIT);
}

#[allow(clippy::cast_precision_loss)]
fn count(number: usize) -> f64 {
    number as f64
}

#[allow(clippy::cast_precision_loss)]
fn size(program: std::path::PathBuf) -> f64 {
    fs::metadata(program).expect("the operator's program").len() as f64
}

/// Starts an operator, as after a restart; returns what is resident once it has looked at everything, and the peak.
/// It must not have written anything.
async fn at_rest(cx: &Cluster, at: &Requests, finished: usize) -> (f64, f64) {
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    let began = std::time::Instant::now();
    let operator = Operator::start(cx, &at.namespace, &[]);
    operator.has_looked_at(count(finished), PATIENCE).await;
    println!("figure: all are looked at {:.1} s after the start", began.elapsed().as_secs_f64());
    tokio::time::sleep(Duration::from_secs(20)).await;
    let memory = (operator.resident(), operator.peak());
    let (_, text) = operator.get("/metrics").await;
    assert!(text.contains(&format!("phase=\"Completed\"}} {finished}\n")), "{text}");
    let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent("jobrequest/");
    let one = calls.matching(|call| !matches!(call.verb.as_str(), "list" | "watch"));
    println!(
        "figure: calls about single objects after a restart with {finished} finished requests, and at rest: {} (0)",
        one.count()
    );
    assert_eq!(one.count(), 0, "{one}");
    operator.stop().await;
    memory
}

async fn population<F: Future<Output = ()>>(size: usize, make: impl Fn(usize) -> F) {
    let began = std::time::Instant::now();
    futures::stream::iter(0..size).for_each_concurrent(AT_ONCE, make).await;
    println!("figure: (made {size} in {:.0} s)", began.elapsed().as_secs_f64());
}

/// A request that was run, with its Job and its pod.
struct Model {
    request: Value,
    job: Value,
    pod: Value,
}

impl Model {
    /// Runs a request whose spec has `more` fields.
    async fn run(cx: &Cluster, more: &Value) -> Self {
        let at = Requests::new(cx, "model").await;
        let operator = Operator::start(cx, &at.namespace, &[]);
        at.create("model", spec(&json!({}), more)).await;
        at.until_phase("model", 1, "Completed").await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let request = at.get("model").await;
        let job = get(&at.client, &format!("{}/model-1", jobs(&at))).await;
        let pod = get(&at.client, &pods(&at)).await["items"][0].clone();
        operator.stop().await;
        let bare = |object: &Value, kind: &str, version: &str| {
            let mut object = object.clone();
            (object["kind"], object["apiVersion"]) = (json!(kind), json!(version));
            let metadata = object["metadata"].as_object_mut().unwrap();
            for field in [
                "uid",
                "resourceVersion",
                "generation",
                "creationTimestamp",
                "managedFields",
                "namespace",
                "generateName",
                "finalizers",
            ] {
                metadata.remove(field);
            }
            object
        };
        let mut job = bare(&job, "Job", "batch/v1");
        job["spec"].as_object_mut().unwrap().remove("selector");
        for labels in ["/metadata/labels", "/spec/template/metadata/labels"] {
            let labels = job.pointer_mut(labels).unwrap().as_object_mut().unwrap();
            labels.retain(|key, _| !key.contains("controller-uid") && !key.contains("job-name"));
        }
        job["spec"]["managedBy"] = json!("jobrequest.dev/figures");
        let mut pod = bare(&pod, "Pod", "v1");
        pod["spec"].as_object_mut().unwrap().remove("nodeName");
        pod["spec"]["schedulerName"] = json!("nobody");
        Self { request: bare(&request, "JobRequest", "jobrequest.dev/v1alpha1"), job, pod }
    }

    /// Writes a request again, with the status of its end. `job_uid`: of its Job, if it is there.
    async fn request(&self, at: &Requests, number: usize, job_uid: Option<&str>) {
        let mut object = self.request.clone();
        object["metadata"]["name"] = json!(format!("done-{number}"));
        let created = send(&at.client, "POST", &requests(at), &object).await;
        self.record(at, created, number, job_uid.unwrap_or("00000000-0000-0000-0000-000000000000")).await;
    }

    async fn record(&self, at: &Requests, mut created: Value, number: usize, job_uid: &str) {
        let mut status = self.request["status"].clone();
        status["jobName"] = json!(format!("done-{number}-1"));
        status["runs"][0]["jobName"] = json!(format!("done-{number}-1"));
        status["runs"][0]["jobUid"] = json!(job_uid);
        created["status"] = status;
        send(&at.client, "PUT", &format!("{}/done-{number}/status", requests(at)), &created).await;
    }

    async fn request_with_job(&self, at: &Requests, number: usize) {
        let mut object = self.request.clone();
        object["metadata"]["name"] = json!(format!("done-{number}"));
        let request = send(&at.client, "POST", &requests(at), &object).await;
        let mut job = self.job.clone();
        job["metadata"]["name"] = json!(format!("done-{number}-1"));
        job["metadata"]["ownerReferences"][0]["name"] = json!(format!("done-{number}"));
        job["metadata"]["ownerReferences"][0]["uid"] = request["metadata"]["uid"].clone();
        job["metadata"]["annotations"]["jobrequest.dev/request-uid"] = request["metadata"]["uid"].clone();
        for labels in ["/metadata/labels", "/spec/template/metadata/labels"] {
            job.pointer_mut(labels).unwrap()["jobrequest.dev/request"] = json!(format!("done-{number}"));
        }
        let mut job = send(&at.client, "POST", &jobs(at), &job).await;
        job["status"] = self.job["status"].clone();
        let job = send(&at.client, "PUT", &format!("{}/done-{number}-1/status", jobs(at)), &job).await;
        self.record(at, request, number, job["metadata"]["uid"].as_str().unwrap()).await;
    }

    async fn pod(&self, at: &Requests, number: usize) {
        let job = get(&at.client, &format!("{}/done-{number}-1", jobs(at))).await;
        let mut pod = self.pod.clone();
        pod["metadata"]["name"] = json!(format!("done-{number}-1-x7k2p"));
        pod["metadata"]["labels"] = job["spec"]["template"]["metadata"]["labels"].clone();
        pod["metadata"]["ownerReferences"][0]["name"] = json!(format!("done-{number}-1"));
        pod["metadata"]["ownerReferences"][0]["uid"] = job["metadata"]["uid"].clone();
        let mut created = send(&at.client, "POST", &pods(at), &pod).await;
        created["status"] = self.pod["status"].clone();
        let path = format!("{}/done-{number}-1-x7k2p/status", pods(at));
        send(&at.client, "PUT", &path, &created).await;
    }
}

fn requests(at: &Requests) -> String {
    format!("/apis/jobrequest.dev/v1alpha1/namespaces/{}/jobrequests", at.namespace.name())
}

fn jobs(at: &Requests) -> String {
    format!("/apis/batch/v1/namespaces/{}/jobs", at.namespace.name())
}

fn pods(at: &Requests) -> String {
    format!("/api/v1/namespaces/{}/pods", at.namespace.name())
}

async fn get(client: &Client, path: &str) -> Value {
    client
        .request(http::Request::get(path).body(Vec::new()).unwrap())
        .await
        .unwrap_or_else(|e| panic!("{path}: {e}"))
}

async fn send(client: &Client, method: &str, path: &str, object: &Value) -> Value {
    let request =
        http::Request::builder().method(method).uri(path).header("Content-Type", "application/json");
    let request = request.body(serde_json::to_vec(object).unwrap()).unwrap();
    client.request(request).await.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}
