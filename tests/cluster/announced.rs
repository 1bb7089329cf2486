//! What people read of a run that cannot start: Stalled where no waiting helps, one Warning event for each cause with its
//! hint, and the cause in the table of kubectl.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{LimitRange, Namespace as CoreNamespace, Pod};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::requests::{Requests, condition, spec};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};
use crate::templates::{explain, message, text};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        what_no_waiting_removes_is_stalled_until_it_is_fixed,
        a_limit_that_a_limit_range_set_is_named,
        each_cause_is_announced_once,
        a_container_that_outlives_the_work_is_named,
    ]
}

async fn limit_range(at: &Requests, limits: Value) {
    let ranges: Api<LimitRange> = at.namespace.api(&at.client);
    let range = json!({"metadata": {"name": "bounds"}, "spec": {"limits": [limits]}});
    let range = serde_json::from_value(range).expect("a LimitRange");
    ranges.create(&PostParams::default(), &range).await.expect("create the LimitRange");
}

/// Notes of the events with this reason.
async fn notes(at: &Requests, name: &str, reason: &str) -> Vec<String> {
    let events = at.events(name).await.into_iter();
    events.filter(|(is, _)| is == reason).map(|(_, note)| note).collect()
}

async fn what_no_waiting_removes_is_stalled_until_it_is_fixed(cx: Arc<Cluster>) {
    let [quota, range, secure] = [
        Requests::new(&cx, "quota").await,
        Requests::new(&cx, "range").await,
        Requests::new(&cx, "secure").await,
    ];
    quota.limit("small", json!({"requests.cpu": "1"})).await;
    limit_range(&range, json!({"type": "Container", "max": {"cpu": "2"}})).await;
    let label = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    let namespaces = Api::<CoreNamespace>::all(secure.client.clone());
    namespaces.patch(secure.namespace.name(), &PatchParams::default(), &Patch::Merge(label)).await.unwrap();
    let operators = [&quota, &range, &secure].map(|at| {
        let lease = format!("--leader-elect-resource-namespace={}", at.namespace.name());
        Operator::start(&cx, &at.namespace, &["--leader-elect", &lease])
    });
    let cpu = |cpu: &str| json!({"containers": [{"name": "main", "image": "perl", "resources": {"limits": {"cpu": cpu}}}]});
    let (restricted, plain) = (json!({"podSecurity": "restricted"}), json!({}));
    let cases = [
        (&quota, "no-amounts", plain.clone(), "AmountsMissing", cpu("100m")),
        (&quota, "too-large", cpu("8"), "QuotaTooSmall", cpu("100m")),
        (&range, "beyond-the-range", cpu("4"), "LimitRange", cpu("1")),
        (&secure, "insecure", plain, "PodSecurity", restricted),
    ];
    for (at, name, stuck, ..) in &cases {
        at.create(name, spec(&json!({}), stuck)).await;
    }
    for (at, name, _, obstacle, fix) in &cases {
        let is_stalled = |status: &Value| condition(status, "Stalled") == "True PodsForbidden";
        let status = at.until(name, "is stalled", is_stalled).await;
        assert_eq!(status["failure"]["obstacle"], *obstacle, "{name}: {status:#}");
        assert_eq!(condition(&status, "Ready"), "False PodsForbidden", "{name}");
        assert_eq!(condition(&status, "Reconciling"), "-", "{name}");
        assert_eq!(condition(&status, "Finished"), "False NotFinished", "{name}");
        assert_eq!(message(&status, "Stalled"), message(&status, "Ready"), "{name}");
        assert_eq!((&status["phase"], &status["reason"]), (&json!("Waiting"), &json!("PodsForbidden")));
        let said = eventually(DEADLINE, "the event", async || {
            Some(notes(at, name, "PodsForbidden").await).filter(|notes| !notes.is_empty())
        })
        .await;
        let hint = status["failure"]["hint"].as_str().unwrap();
        assert_eq!(said.len(), 1, "{name}: {said:?}");
        assert!(said[0].starts_with("run 1: ") && said[0].ends_with(&format!("; hint: {hint}")), "{said:?}");
        at.change(name, fix.clone()).await;
        let status = at.until_phase(name, 2, "Completed").await;
        assert_eq!((condition(&status, "Stalled"), &status["reason"]), ("-".to_owned(), &json!("Completed")));
        let first = &status["runs"][1];
        assert_eq!((&first["result"], &first["failure"]["obstacle"]), (&json!("Replaced"), &json!(obstacle)));
    }
    drop(operators);
}

async fn a_limit_that_a_limit_range_set_is_named(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "default-limit").await;
    limit_range(&at, json!({"type": "Container", "default": {"memory": "500Mi"}})).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let once = json!({"settings": {"backoffLimit": 0}});
    at.create("set", spec(&json!({"oom": "true"}), &once)).await;
    let own = json!({"name": "main", "image": "perl", "resources": {"limits": {"memory": "1Gi"}}});
    let own = json!({"settings": {"backoffLimit": 0}, "containers": [own]});
    at.create("own", spec(&json!({"oom": "true"}), &own)).await;
    for (name, words) in [
        ("set", "a LimitRange of the namespace sets the memory limit, 500Mi,"),
        ("own", "raise the memory limit of the container"),
    ] {
        let status = at.until_phase(name, 1, "Failed").await;
        assert_eq!(
            (&status["failure"]["category"], &status["reason"]),
            (&json!("OOMKilled"), &json!("OOMKilled"))
        );
        let hint = status["failure"]["hint"].as_str().unwrap();
        assert!(hint.starts_with(words), "{name}: {hint}");
        let path = "containers[main].resources.limits.memory";
        let listed = json!({"path": path, "origin": "LimitRange"});
        assert_eq!(status["defaulted"].as_array().unwrap().contains(&listed), name == "set", "{status:#}");
        assert_eq!(
            message(&status, "Accepted").contains("a LimitRange of the namespace sets"),
            name == "set"
        );
        let explained = explain(&cx, &["-n", at.namespace.name(), name]);
        let note = format!("LimitRange/bounds: {path} is not set, or 0, and becomes 500Mi in the pods");
        assert_eq!(text(&explained.stdout).contains(&note), name == "set", "{}", text(&explained.stdout));
    }
}

/// However its messages alternate, and however many pods fail in the same way; the table shows the cause, and the last line
/// of `kubectl describe` says what to do.
async fn each_cause_is_announced_once(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "announced").await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("pull", spec(&json!({"pull": "never"}), &json!({}))).await;
    at.create("retry", spec(&json!({"exit-code": "3"}), &json!({"settings": {"backoffLimit": 2}}))).await;
    at.until("pull", "is stuck", |status| condition(status, "Ready") == "False ImagePullFailed").await;
    at.until_phase("retry", 1, "Failed").await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let pull = notes(&at, "pull", "ImagePullFailed").await;
    assert_eq!(pull.len(), 1, "{pull:?}");
    assert!(pull[0].contains("; hint: check the image's name and tag"), "{pull:?}");
    assert_eq!(notes(&at, "retry", "PodFailed").await.len(), 1, "{:?}", at.events("retry").await);
    assert_eq!(notes(&at, "retry", "Failed").await.len(), 1);

    let namespace = at.namespace.name();
    let table = cx.kubectl(&["-n", namespace, "get", "jr"]);
    let row = |name: &str| {
        let row = table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{table}"));
        row.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        table
            .lines()
            .next()
            .unwrap()
            .split("  ")
            .map(str::trim)
            .filter(|head| !head.is_empty())
            .collect::<Vec<_>>(),
        ["NAME", "PHASE", "COMPLETIONS", "RUN", "REASON", "LAST RUN", "DURATION", "AGE"],
        "{table}"
    );
    assert_eq!(row("retry")[..5], ["retry", "Failed", "0/1", "1", "AppError"], "{table}");
    assert_eq!(row("pull")[..5], ["pull", "Updating", "0/1", "1", "ImagePull"], "{table}");
    let described = cx.kubectl(&["-n", namespace, "describe", "jr", "pull"]);
    let last = described.lines().last().unwrap_or_default();
    assert!(last.contains("Warning") && last.contains("hint: check the image's name"), "{described}");

    // What was announced before a restart is not announced again.
    operator.stop().await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.change("pull", json!({"settings": {"backoffLimit": 1}})).await;
    at.until("pull", "the new operator has looked at it", |status| status["settings"]["backoffLimit"] == 1)
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(notes(&at, "pull", "ImagePullFailed").await.len(), 1);
}

/// An injected proxy, for example: its state is written by hand, since a simulated pod ends all of its containers together.
async fn a_container_that_outlives_the_work_is_named(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "outlives").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let containers = json!([{"name": "main", "image": "perl"}, {"name": "proxy", "image": "perl"}]);
    let two = json!({"containers": containers});
    at.create("served", spec(&json!({"run-seconds": "forever"}), &two)).await;
    at.until_phase("served", 1, "Running").await;
    let pods: Api<Pod> = at.namespace.api(&at.client);
    let pod = pods.list(&ListParams::default()).await.unwrap().items.remove(0);
    let name = pod.metadata.name.clone().unwrap();
    let mut status = serde_json::to_value(pod.status).unwrap();
    let main = status["containerStatuses"].as_array_mut().unwrap();
    let main = main.iter_mut().find(|container| container["name"] == "main").unwrap();
    let ended = Timestamp::now() - SignedDuration::from_secs(70);
    let started = main["state"]["running"]["startedAt"].clone();
    let end =
        json!({"exitCode": 0, "reason": "Completed", "startedAt": started, "finishedAt": ended.to_string()});
    main["state"] = json!({"terminated": end});
    main["ready"] = json!(false);
    let patch = Patch::Merge(json!({"status": {"containerStatuses": status["containerStatuses"]}}));
    pods.patch_status(&name, &PatchParams::default(), &patch).await.unwrap();
    let words = format!("container proxy of pod {name} still runs although main ended at");
    let status = at.until("served", "names it", |status| message(status, "Ready").contains(&words)).await;
    assert_eq!((&status["phase"], &status["failure"]), (&json!("Running"), &json!(null)));
    assert!(message(&status, "Ready").contains("(sidecar: true)"));
}
