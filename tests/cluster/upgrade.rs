//! The upgrade from the first release: its CRD and its objects, with the statuses and Jobs that its operator left, to
//! this chart and this operator. No Job is created again, no record is lost.
//!
//! upgrade/ holds the CRD of the first release in a chart, and what was on the API server when it had run there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use crate::support::people::send;
use crate::support::requests::{Requests, condition};
use crate::support::witness::Witness;
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        from_the_first_release_with_helm_3: |cx| from_the_first_release(cx, "helm3"),
        from_the_first_release_with_helm_4: |cx| from_the_first_release(cx, "helm4"),
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/upgrade")
}

/// What the first release left: requests, and Jobs.
struct Left {
    requests: Vec<Value>,
    jobs: Vec<Value>,
}

fn left() -> Left {
    let text = fs::read_to_string(folder().join("objects.json")).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    let (jobs, requests) =
        list["items"].as_array().unwrap().iter().cloned().partition(|object| object["kind"] == "Job");
    Left { requests, jobs }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

async fn from_the_first_release(cx: Arc<Cluster>, helm: &'static str) {
    let cx = cx.own().await;
    let at = Requests::new(&cx, "upgrade").await;
    let release = ["--namespace", "batch", "--create-namespace"];
    let run = |arguments: &[&str]| {
        cx.control_plane()
            .helm(helm, &[arguments, release.as_slice()].concat())
            .unwrap_or_else(|e| panic!("{e}"))
    };
    run(&["install", "batch", &folder().join("first-release").display().to_string()]);
    cx.kubectl(&["wait", "--for=condition=Established", "crd/jobrequests.jobrequest.dev", "--timeout=60s"]);
    let before = restore(&at).await;
    let witness = Witness::of(&at).await;
    let jobs_before = at.job_names().await;

    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/jobrequest").display().to_string();
    run(&["upgrade", "batch", &chart, "--set", "replicas=0"]);
    for kind in ["jobrequests", "jobtemplates", "clusterjobtemplates"] {
        let crd = format!("crd/{kind}.jobrequest.dev");
        cx.kubectl(&["wait", "--for=condition=Established", &crd, "--timeout=60s"]);
    }
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    let operator = Operator::start_as(&cx, &at.namespace, "batch", "batch-jobrequest");

    // What is new goes its way, which shows that all that is old has been looked at.
    at.create("new", crate::support::requests::spec(&json!({}), &json!({}))).await;
    at.until_phase("new", 1, "Completed").await;
    // What had ended is as it was; what was under way continues; what was forbidden may run by now.
    for (request, status) in &before {
        let phase = if request == "waiting" { "Completed" } else { status["phase"].as_str().unwrap() };
        let run = status["run"].as_i64().unwrap_or(i64::from(request == "waiting"));
        let now = at
            .until(request, &format!("is {phase}"), |now| {
                now["phase"] == phase && now["run"].as_i64().unwrap_or(0) == run
            })
            .await;
        for record in status["runs"].as_array().into_iter().flatten() {
            let kept =
                now["runs"].as_array().into_iter().flatten().find(|kept| kept["number"] == record["number"]);
            let kept = kept.unwrap_or_else(|| panic!("{request}: record {record} is lost"));
            // The first release did not say everything that is said today; what it said stays. When a run that continues
            // has started is said by its Job, which is younger here than its record.
            for (field, value) in record.as_object().unwrap() {
                let is_of_the_job = field == "startTime" && record["result"].is_null();
                if request != "waiting" && !is_of_the_job {
                    assert_eq!(&kept[field], value, "{request}: {field} of run {}", record["number"]);
                }
            }
        }
    }
    let mut expected = jobs_before.clone();
    expected.extend(["new-1".to_owned(), "waiting-1".to_owned()]);
    expected.sort();
    expected.dedup();
    assert_eq!(at.job_names().await, expected);
    witness.saw_exactly(expected);
    let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent("jobrequest/");
    let about = |name: &str| {
        calls
            .matching(|call| call.name == name || call.name.starts_with(&format!("{name}-")))
            .writes()
            .count()
    };
    for name in ["completed", "failed", "lost", "gone", "twice"] {
        println!("figure: upgrade with {helm}: {} writes about the finished request {name} (0)", about(name));
        assert_eq!(about(name), 0, "{calls}");
    }
    // What has not ended is described anew in the fields of today, once; and what waited has its run.
    for (name, most) in
        [("running", 1), ("pulling", 1), ("stopped", 1), ("suspended", 1), ("rejected", 1), ("waiting", 5)]
    {
        let statuses = calls.matching(|call| call.name == name && call.subresource == "status").writes();
        println!(
            "figure: upgrade with {helm}: {} status writes for {name} (at most {most})",
            statuses.count()
        );
        assert!(statuses.count() <= most, "{statuses}");
    }
    let created =
        calls.matching(|call| call.uri.contains("/jobs") && call.verb == "create" && call.code == 201);
    assert_eq!(created.count(), 2, "new-1 and waiting-1 only: {created}");
    assert!(!operator.log().contains("ERROR"), "{}", operator.log());

    // And all of it is as alive as ever.
    at.change("gone", json!({"containers": [{"name": "main", "image": "perl:5.40"}]})).await;
    let status = at.until_phase("gone", 2, "Completed").await;
    assert_eq!(status["runs"][1]["result"], "Succeeded", "the record from before");
    at.change("suspended", json!({"suspend": false})).await;
    at.until_phase("suspended", 1, "Completed").await;
    at.jobs().delete("running-1", &kube::api::DeleteParams::background()).await.unwrap();
    let status = at.until_phase("running", 1, "Failed").await;
    assert_eq!(condition(&status, "Ready"), "False Lost");
}

/// Puts back what the first release left, under new uids; returns the statuses by name.
async fn restore(at: &Requests) -> BTreeMap<String, Value> {
    let left = left();
    let phases: BTreeSet<_> =
        left.requests.iter().map(|request| request["status"]["phase"].as_str()).collect();
    // Pending lasts for milliseconds.
    assert_eq!(phases.len(), 7, "{phases:?}");
    let namespace = at.namespace.name();
    let requests = format!("/apis/jobrequest.dev/v1alpha1/namespaces/{namespace}/jobrequests");
    let mut uids: BTreeMap<String, String> = BTreeMap::new();
    let uid = |object: &Value| object["metadata"]["uid"].as_str().unwrap().to_owned();
    for old in &left.requests {
        let mut object = json!({
            "apiVersion": old["apiVersion"], "kind": old["kind"], "metadata": {"name": name(old)}, "spec": old["spec"]
        });
        // As often edited as it was: the status speaks of a generation.
        let generation = old["metadata"]["generation"].as_i64().unwrap();
        if generation > 1 {
            object["spec"]["description"] = json!("as it was first");
        }
        let mut new = send(&at.client, Method::POST, &requests, &object).await.unwrap();
        for edit in 2..=generation {
            let words = if edit == generation { Value::Null } else { json!(format!("edit {edit}")) };
            let patch = json!({"spec": {"description": words}});
            new =
                send(&at.client, Method::PATCH, &format!("{requests}/{}", name(old)), &patch).await.unwrap();
        }
        assert_eq!(new["spec"], old["spec"]);
        assert_eq!(new["metadata"]["generation"], old["metadata"]["generation"], "{}", name(old));
        uids.insert(uid(old), uid(&new));
    }
    let renew = |value: &Value, uids: &BTreeMap<String, String>| -> Value {
        let text = uids.iter().fold(value.to_string(), |text, (old, new)| text.replace(old, new));
        serde_json::from_str(&text).unwrap()
    };
    let jobs = format!("/apis/batch/v1/namespaces/{namespace}/jobs");
    for old in &left.jobs {
        let mut object = renew(old, &uids);
        // What the API server gives.
        for field in
            ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "namespace"]
        {
            object["metadata"].as_object_mut().unwrap().remove(field);
        }
        object.as_object_mut().unwrap().remove("status");
        object["spec"].as_object_mut().unwrap().remove("selector");
        for labels in ["/metadata/labels", "/spec/template/metadata/labels"] {
            let labels = object.pointer_mut(labels).and_then(Value::as_object_mut);
            labels.unwrap().retain(|key, _| !key.contains("controller-uid") && !key.contains("job-name"));
        }
        let new = send(&at.client, Method::POST, &jobs, &object).await.unwrap();
        uids.insert(uid(old), uid(&new));
    }
    // The Jobs get where they were.
    for old in &left.jobs {
        let ended = |job: &Value| -> Option<String> {
            let conditions = job["status"]["conditions"].as_array().into_iter().flatten();
            conditions
                .filter(|condition| condition["status"] == "True")
                .filter_map(|condition| condition["type"].as_str())
                .find(|type_| ["Complete", "Failed", "Suspended"].contains(type_))
                .map(ToOwned::to_owned)
        };
        let one = format!("{jobs}/{}", name(old));
        eventually(DEADLINE, &format!("{} is where it was", name(old)), async || {
            let now = send(&at.client, Method::GET, &one, &json!(null)).await.unwrap();
            let is = ended(&now) == ended(old) && now["status"]["active"] == old["status"]["active"];
            if is { Ok(()) } else { Err(now["status"].clone()) }
        })
        .await;
    }
    let mut statuses = BTreeMap::new();
    for old in &left.requests {
        let status = renew(&old["status"], &uids);
        let one = format!("{requests}/{}/status", name(old));
        send(&at.client, Method::PATCH, &one, &json!({"status": status})).await.unwrap();
        statuses.insert(name(old).to_owned(), status);
    }
    statuses
}
