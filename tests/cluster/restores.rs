//! Backup, restore and moving to another cluster, with objects as they are exported: docs/backup.md.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::support::requests::{Requests, condition, spec};
use crate::support::witness::Witness;
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        restored_with_its_status_it_runs_when_its_spec_changes,
        restored_while_suspended_it_takes_its_status_back,
        restored_without_its_status_it_is_held,
        moved_to_another_namespace_it_runs_nothing,
    ]
}

/// Long enough for an operator that would do more.
const SETTLE: Duration = Duration::from_secs(2);

fn image(image: &str) -> Value {
    json!({"containers": [{"name": "main", "image": image}]})
}

/// A request after three runs, as it is exported; then it is gone, and so are its Jobs.
async fn backup(at: &Requests, name: &str) -> Value {
    at.create(name, spec(&json!({}), &json!({}))).await;
    at.until_phase(name, 1, "Completed").await;
    at.change(name, image("perl:5.36")).await;
    at.until_phase(name, 2, "Completed").await;
    at.change(name, json!({"rerun": "once more"})).await;
    at.until_phase(name, 3, "Completed").await;
    let exported = at.get(name).await;
    at.delete(name, &DeleteParams::foreground()).await;
    eventually(DEADLINE, "the request is gone", async || (!at.exists(name).await).then_some(())).await;
    exported
}

/// As a tool restores it: with everything but what the API server gives; the status is another call.
async fn restore(at: &Requests, exported: &Value, suspend: bool, with_status: bool) {
    let mut object = exported.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.retain(|key, _| key == "name" || key == "annotations" || key == "labels");
    if suspend {
        object["spec"]["suspend"] = true.into();
    }
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    let created = at
        .api()
        .create(&PostParams::default(), &serde_json::from_value(object.clone()).unwrap())
        .await
        .unwrap();
    if with_status {
        object["metadata"]["resourceVersion"] = json!(created.metadata.resource_version);
        let restored = serde_json::from_value(object).unwrap();
        at.api().replace_status(&name, &PostParams::default(), &restored).await.unwrap();
    }
}

async fn restored_with_its_status_it_runs_when_its_spec_changes(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "restored").await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    let exported = backup(&at, "old").await;
    // The status is there before anybody looks.
    operator.kill();
    let witness = Witness::of(&at).await;
    restore(&at, &exported, false, true).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let status = at.until_phase("old", 3, "Completed").await;
    assert_eq!(status["runs"], exported["status"]["runs"]);
    tokio::time::sleep(SETTLE).await;
    witness.saw_exactly([]);
    // Its generations are lower than those of the records, and stay so for a while.
    at.change("old", image("perl:5.40")).await;
    at.until_phase("old", 4, "Completed").await;
    at.change("old", json!({"rerun": "again"})).await;
    at.until_phase("old", 5, "Completed").await;
    tokio::time::sleep(SETTLE).await;
    witness.saw_exactly(["old-4", "old-5"].map(str::to_owned));
}

async fn restored_while_suspended_it_takes_its_status_back(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "restored-held").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let exported = backup(&at, "old").await;
    let witness = Witness::of(&at).await;
    restore(&at, &exported, true, false).await;
    at.until("old", "is suspended", |status| status["phase"] == "Suspended").await;
    eventually(DEADLINE, "the status is written", async || {
        let mut object = at.get("old").await;
        object["status"] = exported["status"].clone();
        let object = serde_json::from_value(object).unwrap();
        at.api()
            .replace_status("old", &PostParams::default(), &object)
            .await
            .map(drop)
            .map_err(|e| e.to_string())
    })
    .await;
    at.until_phase("old", 3, "Completed").await;
    at.change("old", json!({"suspend": null})).await;
    at.until_phase("old", 3, "Completed").await;
    tokio::time::sleep(SETTLE).await;
    witness.saw_exactly([]);
    at.change("old", image("perl:5.40")).await;
    at.until_phase("old", 4, "Completed").await;
}

async fn restored_without_its_status_it_is_held(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "restored-hold").await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    let exported = backup(&at, "old").await;
    let witness = Witness::of(&at).await;
    let mut held = exported.clone();
    held["spec"]["runPolicy"]["onCreate"] = "Hold".into();
    restore(&at, &held, false, false).await;
    let is_held = |status: &Value| condition(status, "Ready") == "True Held";
    let status = at.until("old", "is held", is_held).await;
    assert_eq!((condition(&status, "Stalled"), condition(&status, "Reconciling")), ("-".into(), "-".into()));
    assert_eq!(condition(&status, "Finished"), "False NotFinished");
    // Neither another process nor the end of the policy runs what was there; the token came out of the backup, too.
    operator.kill();
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.change("old", json!({"runPolicy": null, "alias": "restored"})).await;
    at.until("old", "is held", is_held).await;
    tokio::time::sleep(SETTLE).await;
    witness.saw_exactly([]);
    at.change("old", image("perl:5.40")).await;
    let status = at.until_phase("old", 1, "Completed").await;
    assert_eq!((&status["runs"][0]["trigger"], &status["held"]), (&json!("SpecChange"), &Value::Null));
    at.change("old", json!({"rerun": "again"})).await;
    at.until_phase("old", 2, "Completed").await;
    witness.saw_exactly(["old-1", "old-2"].map(str::to_owned));
}

/// Another cluster is another place with other uids: a namespace stands for it.
async fn moved_to_another_namespace_it_runs_nothing(cx: Arc<Cluster>) {
    let from = Requests::new(&cx, "from").await;
    let to = Requests::new(&cx, "to").await;
    let _operator = Operator::start(&cx, &from.namespace, &[]);
    let exported = backup(&from, "moves").await;
    let witness = Witness::of(&to).await;
    restore(&to, &exported, false, true).await;
    let _operator = Operator::start(&cx, &to.namespace, &[]);
    to.until_phase("moves", 3, "Completed").await;
    tokio::time::sleep(SETTLE).await;
    witness.saw_exactly([]);
}
