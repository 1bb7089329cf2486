//! Every state of the status table, live: kstatus and Argo CD tell each alike, at every moment of a JobRequest's life.
//!
//! The table below is the contract. What the operator wrote in each state is compared with the sample objects of
//! `integrations/argocd`, so those stay true; `BLESS=1` writes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{argo_health, kstatus, samples};
use crate::support::requests::{Requests, condition, spec};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        kstatus_and_argo_cd_agree_on_every_state,
        kstatus_and_argo_cd_agree_on_templates: templates,
    ]
}

/// A state and what is made of it.
pub(super) struct State {
    /// Of the JobRequest that is brought into it, and of its sample.
    pub(super) name: &'static str,
    phase: Option<&'static str>,
    kstatus: &'static str,
    pub(super) argo_cd: &'static str,
}

const fn state(
    name: &'static str,
    phase: Option<&'static str>,
    kstatus: &'static str,
    argo_cd: &'static str,
) -> State {
    State { name, phase, kstatus, argo_cd }
}

/// The table.
pub(super) const STATES: [State; 16] = [
    state("unseen", None, "InProgress", "Progressing"),
    state("pending", Some("Pending"), "InProgress", "Progressing"),
    state("waiting", Some("Waiting"), "InProgress", "Progressing"),
    state("cannot-start", Some("Waiting"), "Failed", "Degraded"),
    state("updating", Some("Updating"), "InProgress", "Progressing"),
    state("running", Some("Running"), "InProgress", "Progressing"),
    state("newer-spec-waits", Some("Running"), "InProgress", "Progressing"),
    state("edited", Some("Completed"), "InProgress", "Progressing"),
    state("queued", Some("Suspended"), "InProgress", "Progressing"),
    state("suspended", Some("Suspended"), "Current", "Suspended"),
    state("suspended-later", Some("Suspended"), "Current", "Suspended"),
    state("completed", Some("Completed"), "Current", "Healthy"),
    state("changes-held", Some("Completed"), "Current", "Healthy"),
    state("failed", Some("Failed"), "Failed", "Degraded"),
    state("lost", Some("Failed"), "Failed", "Degraded"),
    state("rejected", Some("Rejected"), "Failed", "Degraded"),
];

async fn kstatus_and_argo_cd_agree_on_every_state(cx: Arc<Cluster>) {
    let (live, history) = produce(&cx).await;
    let names: Vec<&str> = STATES.iter().map(|state| state.name).collect();
    let mut produced: Vec<&str> = live.keys().copied().collect();
    produced.sort_by_key(|name| names.iter().position(|other| other == name));
    assert_eq!(produced, names, "each state is produced");

    let objects: Vec<Value> = STATES.iter().map(|state| live[state.name].clone()).collect();
    let by_kstatus = kstatus(&cx, &objects).await;
    let by_argo_cd = argo_health(&cx, &samples::script("JobRequest"), &objects).await;
    for (((state, object), kstatus), (health, message)) in
        STATES.iter().zip(&objects).zip(by_kstatus).zip(by_argo_cd)
    {
        let shown = (object["status"]["phase"].as_str(), kstatus.as_str(), health.as_str());
        println!(
            "figure: state {:<17} {:<10} kstatus {:<11} Argo CD {health:<12} {message}",
            state.name,
            shown.0.unwrap_or("-"),
            shown.1
        );
        assert_eq!(shown, (state.phase, state.kstatus, state.argo_cd), "{}: {object:#}", state.name);
    }

    // At no moment did one of them look better or worse than it was.
    let by_kstatus = kstatus(&cx, &history).await;
    let by_argo_cd = argo_health(&cx, &samples::script("JobRequest"), &history).await;
    for ((object, kstatus), (health, _)) in history.iter().zip(by_kstatus).zip(by_argo_cd) {
        let status = &object["status"];
        let is_current = status["observedGeneration"] == object["metadata"]["generation"];
        let expected = match status["phase"].as_str() {
            _ if !is_current => ("InProgress", "Progressing"),
            Some("Completed") => ("Current", "Healthy"),
            Some("Suspended") if condition(status, "Ready") == "True Suspended" => ("Current", "Suspended"),
            Some("Failed" | "Rejected") => ("Failed", "Degraded"),
            _ if condition(status, "Stalled") != "-" => ("Failed", "Degraded"),
            _ => ("InProgress", "Progressing"),
        };
        assert_eq!((kstatus.as_str(), health.as_str()), expected, "{object:#}");
    }
    assert!(history.len() > 2 * STATES.len(), "the watch saw more than the last versions: {}", history.len());

    samples::are_current("JobRequest", &live);
    let table = STATES.each_ref().map(|state| (state.name, state.argo_cd));
    samples::bless_health_tests(&cx, "JobRequest", &table).await;
}

/// Brings a JobRequest into each state; returns them, and every version of any that ever was.
async fn produce(cx: &Cluster) -> (BTreeMap<&'static str, Value>, Vec<Value>) {
    let mut live = BTreeMap::new();
    // Nobody looks at this one.
    let alone = Requests::new(cx, "states-alone").await;
    alone.create("unseen", spec(&json!({}), &json!({}))).await;
    live.insert("unseen", alone.get("unseen").await);

    // No further Job is allowed in the one, none at all in the other.
    let [full, none] = [Requests::new(cx, "states-full").await, Requests::new(cx, "states-none").await];
    full.limit("one", json!({"count/jobs.batch": "1"})).await;
    none.limit("none", json!({"count/jobs.batch": "0"})).await;
    let other = json!({
        "metadata": {"name": "other"},
        "spec": {"suspend": true, "template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "main", "image": "perl"}]
        }}}
    });
    let other = serde_json::from_value(other).expect("a Job");
    full.jobs().create(&PostParams::default(), &other).await.expect("create a Job");

    let at = Requests::new(cx, "states").await;
    let (versions, seen) = watch::channel(Vec::<Value>::new());
    let watch = tokio::spawn(record(at.api(), versions));
    let operator = Operator::start(cx, &at.namespace, &[]);
    let _others = [&full, &none].map(|at| Operator::start(cx, &at.namespace, &[]));
    full.create("waiting", spec(&json!({}), &json!({}))).await;
    none.create("cannot-start", spec(&json!({}), &json!({}))).await;

    let forever = json!({"run-seconds": "forever"});
    for name in ["running", "newer-spec-waits", "queued", "suspended-later", "lost"] {
        at.create(name, spec(&forever, &json!({}))).await;
    }
    for name in ["pending", "completed", "edited"] {
        at.create(name, spec(&json!({}), &json!({}))).await;
    }
    let hold = json!({"runPolicy": {"onSpecChange": "Hold"}});
    at.create("changes-held", spec(&json!({}), &hold)).await;
    at.create("updating", spec(&json!({"pull": "never"}), &json!({}))).await;
    at.create("suspended", spec(&json!({}), &json!({"suspend": true}))).await;
    at.create("failed", spec(&json!({"exit-code": "3"}), &json!({"settings": {"backoffLimit": 0}}))).await;
    at.create("rejected", json!({"containers": [{"name": "main"}]})).await;

    for name in ["running", "newer-spec-waits", "queued", "suspended-later", "lost"] {
        at.until_phase(name, 1, "Running").await;
    }
    let image = json!({"containers": [{"name": "main", "image": "perl:5.40"}]});
    at.change("newer-spec-waits", image.clone()).await;
    at.change("suspended-later", json!({"suspend": true})).await;
    let suspend = Patch::Merge(json!({"spec": {"suspend": true}}));
    at.jobs().patch("queued-1", &PatchParams::default(), &suspend).await.unwrap();
    at.jobs().delete("lost-1", &DeleteParams::background()).await.unwrap();

    full.until_phase("waiting", 1, "Waiting").await;
    live.insert("waiting", full.get("waiting").await);
    none.until("cannot-start", "is stalled", |status| condition(status, "Stalled") == "True JobForbidden")
        .await;
    live.insert("cannot-start", none.get("cannot-start").await);
    at.until("newer-spec-waits", "says so", |status| status.to_string().contains("a newer spec waits")).await;
    at.until("queued", "is queued", |status| condition(status, "Ready") == "False Queued").await;
    at.until("suspended", "is suspended", |status| status["phase"] == "Suspended").await;
    at.until("suspended-later", "is", |status| condition(status, "Suspended") == "True JobSuspended").await;
    at.until("updating", "why", |status| condition(status, "Ready") == "False ImagePullFailed").await;
    at.until("rejected", "is rejected", |status| status["phase"] == "Rejected").await;
    for (name, phase) in [
        ("pending", "Completed"),
        ("completed", "Completed"),
        ("edited", "Completed"),
        ("failed", "Failed"),
        ("lost", "Failed"),
    ] {
        at.until_phase(name, 1, phase).await;
    }
    at.until_phase("changes-held", 1, "Completed").await;
    at.change("changes-held", image.clone()).await;
    at.until("changes-held", "waits for a rerun", |status| {
        condition(status, "PendingChanges").starts_with("True")
    })
    .await;
    // Nobody looks at this change.
    operator.stop().await;
    at.change("edited", image).await;
    for name in STATES.iter().map(|state| state.name) {
        if !["unseen", "waiting", "cannot-start", "pending"].contains(&name) {
            live.insert(name, at.get(name).await);
        }
    }
    let edited = live["edited"]["metadata"]["resourceVersion"].clone();
    eventually(DEADLINE, "the watch has seen all", async || {
        seen.borrow().iter().any(|version| version["metadata"]["resourceVersion"] == edited).then_some(())
    })
    .await;
    watch.abort();
    let history = seen.borrow().clone();
    // It does not last, so it is taken from the versions in between.
    let pending = history
        .iter()
        .find(|version| version["metadata"]["name"] == "pending" && version["status"]["phase"] == "Pending");
    live.insert("pending", pending.expect("a version in phase Pending").clone());
    (live, history)
}

/// Every version of every JobRequest of a namespace, as the API server sends them.
async fn record(requests: Api<DynamicObject>, versions: watch::Sender<Vec<Value>>) {
    let mut events = watcher::watcher(requests, watcher::Config::default()).boxed();
    while let Some(event) = events.next().await {
        if let Event::Apply(object) | Event::InitApply(object) = event.expect("watch the JobRequests") {
            let object = serde_json::to_value(object).expect("a JSON value");
            versions.send_modify(|versions| versions.push(object));
        }
    }
}

async fn templates(cx: Arc<Cluster>) {
    let alone = Requests::new(&cx, "templates-alone").await;
    let at = Requests::new(&cx, "templates").await;
    let of = |at: &Requests| -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("jobrequest.dev", "v1alpha1", "JobTemplate");
        let resource = ApiResource::from_gvk_with_plural(&kind, "jobtemplates");
        Api::namespaced_with(at.client.clone(), at.namespace.name(), &resource)
    };
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let sound = json!({"base": {"settings": {"backoffLimit": 2}}});
    let broken = json!({"policy": {"locked": ["settings.backofLimit"]}});
    let cases = [
        ("template-unseen", &alone, &sound, "-", "InProgress", "Progressing"),
        ("template-valid", &at, &sound, "True Valid", "Current", "Healthy"),
        ("template-invalid", &at, &broken, "False InvalidTemplate", "Failed", "Degraded"),
    ];
    let mut live = BTreeMap::new();
    for (name, at, spec, ready, ..) in cases {
        let object = json!({
            "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobTemplate",
            "metadata": {"name": name}, "spec": spec
        });
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        of(at).create(&PostParams::default(), &object).await.expect("create a template");
        let object = eventually(DEADLINE, &format!("{name} is {ready}"), async || {
            let object = serde_json::to_value(of(at).get(name).await.unwrap()).unwrap();
            if condition(&object["status"], "Ready") == ready { Ok(object) } else { Err(object) }
        })
        .await;
        live.insert(name, object);
    }
    let objects: Vec<Value> = cases.iter().map(|(name, ..)| live[name].clone()).collect();
    let by_kstatus = kstatus(&cx, &objects).await;
    for kind in ["JobTemplate", "ClusterJobTemplate"] {
        let by_argo_cd = argo_health(&cx, &samples::script(kind), &objects).await;
        for (i, (name, .., kstatus, health)) in cases.iter().enumerate() {
            assert_eq!((by_kstatus[i].as_str(), by_argo_cd[i].0.as_str()), (*kstatus, *health), "{name}");
        }
    }
    samples::are_current("JobTemplate", &live);
    let table = cases.map(|(name, .., health)| (name, health));
    samples::bless_health_tests(&cx, "JobTemplate", &table).await;
}
