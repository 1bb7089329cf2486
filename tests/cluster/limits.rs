//! The limits of policies hold for what the API server stores, and for Jobs that are live.

use std::sync::Arc;

use http::Method;
use jobrequest::compile::policy::{PodAmounts, PodResources};
use jobrequest::compile::quantity::Amount;
use serde_json::{Value, json};

use crate::runs::start_alone;
use crate::support::people::send;
use crate::support::requests::{Requests, condition, spec, stored};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};
use crate::templates::{Templates, message};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_live_job_is_judged_by_its_own_pods,
        amounts_are_judged_as_they_are_stored,
        a_job_that_is_enlarged_as_it_is_created_is_stopped,
        devices_and_projected_sources_are_judged_by_what_they_are,
    ]
}

fn preset(cpu: &str) -> Value {
    json!({
        "quotas": {"mine": {"limits": {"cpu": cpu}}},
        "policy": {"resources": {"runMax": {"cpu": "8"}}},
    })
}

/// The preset of a large Job is made small, and then the Job is widened: its pods stay as large as they are.
async fn a_live_job_is_judged_by_its_own_pods(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "widened").await;
    let templates = Templates::in_namespace_of(&at);
    let operator = Operator::start(&cx, &at.namespace, &[]);
    templates.apply("mine", preset("4")).await;
    templates.until("mine", "is valid", |status| condition(status, "Ready") == "True Valid").await;
    let large = json!({
        "templateRef": {"name": "mine"},
        "containers": [{"name": "main", "image": "perl:5.24.4", "quota": "mine"}],
        "settings": {"completions": 30},
    });
    at.create("large", spec(&json!({"run-seconds": "forever"}), &large)).await;
    at.until_phase("large", 1, "Running").await;

    templates.apply("mine", preset("10m")).await;
    templates.until("mine", "is small", |status| status["observedGeneration"] == 2).await;
    at.change("large", json!({"settings": {"parallelism": 30, "backoffLimit": 2}})).await;
    let is_refused = |status: &Value| condition(status, "ChangeRefused") == "True LimitsExceeded";
    let status = at.until("large", "is not widened", is_refused).await;
    let said = message(&status, "ChangeRefused");
    assert!(
        said.contains("spec.settings.parallelism: 30 pods of the live Job may use 120 of cpu (4 each), but JobTemplate/mine allows a run at most 8 of cpu; set it to at most 2"),
        "{said}"
    );
    let live = async || at.jobs().get("large-1").await.unwrap().spec.unwrap();
    assert_eq!(
        (live().await.parallelism, live().await.backoff_limit),
        (Some(1), Some(2)),
        "the rest is patched"
    );
    let warnings = at.events("large").await.into_iter().filter(|(reason, _)| reason == "ChangeRefused");
    assert_eq!(warnings.count(), 1);

    // An operator that starts anew reads the pods of the live Job.
    operator.kill();
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.change("large", json!({"settings": {"parallelism": 3}, "suspend": true})).await;
    let status = at
        .until("large", "is suspended", |status| is_refused(status) && status["phase"] == "Suspended")
        .await;
    assert!(
        message(&status, "ChangeRefused").contains("3 pods of the live Job may use 12 of cpu"),
        "{status}"
    );
    assert_eq!((live().await.parallelism, live().await.suspend), (Some(1), Some(true)));
    at.change("large", json!({"settings": {"parallelism": 2}, "suspend": false})).await;
    at.until("large", "is widened", |status| condition(status, "ChangeRefused") == "-").await;
    assert_eq!(live().await.parallelism, Some(2));
}

/// Odd quantities in every place of a pod: what is stored is what is judged.
async fn amounts_are_judged_as_they_are_stored(cx: Arc<Cluster>) {
    let client = cx.client().await;
    let namespace = cx.namespace("stored").await;
    let collection = format!("/apis/batch/v1/namespaces/{}/jobs", namespace.name());
    let amounts = |pod: &Value| {
        let resources: PodResources = serde_json::from_value(pod.clone()).expect("a pod");
        PodAmounts::of(&resources)
    };
    let odd = [
        "1n",
        "1u",
        "1m",
        "0.0001",
        "999999n",
        "1000001n",
        "1.0001",
        "1.9999999999",
        "0.1n",
        "1e-9",
        "1e-3",
        "3E-4",
        "1001u",
        "0.0005Ki",
        "1.00001Ki",
        "1.5Gi",
        "8Ei",
        "9Ei",
        "1e30",
        "9223372036854775807",
        "9223372036854775807m",
        "9223372036854775808",
        "0",
        "0n",
        "0.0",
        "-0",
        "+1",
        "1.",
        ".5",
        "1k",
        "1P",
        "1e18",
        "100000000000000000001n",
    ];
    let (mut compared, mut refused, mut wrong) = (0, 0, Vec::new());
    for quantity in odd {
        for resource in ["cpu", "memory", "ephemeral-storage", "example.com/gpu", "hugepages-2Mi"] {
            for place in ["limits", "both", "init", "pod", "overhead"] {
                let set = json!({resource: quantity});
                let mut pod =
                    json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "a:1"}]});
                match place {
                    "limits" => pod["containers"][0]["resources"] = json!({"limits": set}),
                    "both" => pod["containers"][0]["resources"] = json!({"limits": set, "requests": set}),
                    "init" => {
                        pod["initContainers"] =
                            json!([{"name": "i", "image": "a:1", "resources": {"limits": set}}]);
                    }
                    "pod" => pod["resources"] = json!({"limits": set}),
                    _ => pod["overhead"] = set,
                }
                let job = json!({"metadata": {"name": "odd"}, "spec": {"template": {"spec": pod}}});
                let Ok(answer) = stored(&client, &collection, &job).await else {
                    refused += 1;
                    continue;
                };
                compared += 1;
                let stored = &answer["spec"]["template"]["spec"];
                if amounts(stored) != amounts(&pod) {
                    wrong.push(format!("{place}: {quantity} of {resource} is stored as {stored}"));
                }
                let limit = stored["containers"][0]["resources"]["limits"][resource].as_str();
                if let Some(text) = limit
                    && Amount::parse(text) != Amount::parse(quantity).map(Amount::as_stored)
                {
                    wrong.push(format!("{quantity} of {resource} is stored as {text}"));
                }
            }
        }
    }
    println!(
        "figure: {compared} amounts compared as stored, {refused} refused, {} differences (0)",
        wrong.len()
    );
    assert!(compared > 300 && wrong.is_empty(), "{compared} compared: {wrong:#?}");
}

/// A mutating policy of the cluster enlarges each Job: the run is stopped, says why, and is tried again when its limits
/// change, not before.
async fn a_job_that_is_enlarged_as_it_is_created_is_stopped(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "enlarged").await;
    let templates = Templates::in_namespace_of(&at);
    let limits = |max: &str| json!({"default": true, "policy": {"resources": {"runMax": {"cpu": max}}}});
    templates.apply("limits", limits("500m")).await;
    let name = at.namespace.name();
    let rule = json!({"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]});
    let expression = r#"[JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/resources/limits", value: {"cpu": "900m"}}]"#;
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]}, "reinvocationPolicy": "Never", "failurePolicy": "Fail",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        },
    });
    let of_namespace = json!({"matchLabels": {"kubernetes.io/metadata.name": name}});
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "matchResources": {"namespaceSelector": of_namespace}},
    });
    let root = "/apis/admissionregistration.k8s.io/v1";
    send(&at.client, Method::POST, &format!("{root}/mutatingadmissionpolicies"), &policy).await.unwrap();
    send(&at.client, Method::POST, &format!("{root}/mutatingadmissionpolicybindings"), &binding)
        .await
        .unwrap();
    let containers =
        json!([{"name": "main", "image": "perl:5.24.4", "resources": {"limits": {"cpu": "100m"}}}]);
    let probe = json!({"metadata": {"name": "probe"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": containers}}}});
    eventually(DEADLINE, "the policy is in force", async || {
        let job = stored(&at.client, &format!("/apis/batch/v1/namespaces/{name}/jobs"), &probe).await?;
        let limits = job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"].to_string();
        if limits == r#"{"cpu":"900m"}"# { Ok(()) } else { Err(limits) }
    })
    .await;

    let operator = start_alone(&cx, &at);
    templates.until("limits", "is in force", |s| condition(s, "Effective") == "True Default").await;
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    let created = async || {
        let calls = audit.since(mark).await.namespace(name).user_agent("jobrequest/");
        calls.matching(|call| call.verb == "create" && call.resource == "jobs.batch").count()
    };
    at.create("large", spec(&json!({"run-seconds": "forever"}), &json!({"containers": containers}))).await;
    let status = at.until_phase("large", 1, "Failed").await;
    assert_eq!(condition(&status, "Ready"), "False LimitsExceeded");
    let said = message(&status, "Ready");
    assert!(
        said.contains("Job large-1 was not stored as it was compiled: spec.containers: the run may use 900m of cpu (1 pods at once, 900m each), but JobTemplate/limits allows a run at most 500m of cpu"),
        "{said}"
    );
    assert_eq!(status["failure"]["category"], "LimitsExceeded", "{status}");
    assert!(status["failure"]["hint"].as_str().unwrap().contains("have that corrected"), "{status}");
    assert_eq!(status["runs"][0]["result"], "Failed", "{status}");
    assert_eq!(at.job_names().await, Vec::<String>::new());
    eventually(DEADLINE, "an event tells of it", async || {
        let events = at.events("large").await;
        let is_told =
            events.iter().any(|(reason, note)| reason == "Failed" && note.contains("may use 900m of cpu"));
        if is_told { Ok(()) } else { Err(events) }
    })
    .await;

    // Another start, and an event of the request: it is not tried again.
    operator.stop().await;
    let _operator = start_alone(&cx, &at);
    at.change("large", json!({"alias": "seen"})).await;
    at.until("large", "is seen", |status| status["phase"] == "Failed").await;
    assert_eq!(created().await, 1);
    templates.apply("limits", limits("1")).await;
    at.until_phase("large", 2, "Running").await;
    assert_eq!(created().await, 2);
    for kind in ["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"] {
        cx.kubectl(&["delete", kind, name]);
    }
}

/// What the API server takes as devices by another name, and as a Secret in another volume, is denied by its limit.
async fn devices_and_projected_sources_are_judged_by_what_they_are(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "devices").await;
    let templates = Templates::in_namespace_of(&at);
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let policy = json!({
        "resources": {"containerMax": {"example.com/gpu": "0"}}, "volumes": ["projected", "configMap"],
    });
    templates.apply("limits", json!({"default": true, "policy": policy})).await;
    templates.until("limits", "is in force", |s| condition(s, "Effective") == "True Default").await;
    let of_class = json!({"limits": {"deviceclass.resource.kubernetes.io/gpu": "1"}});
    let of_pod = |pod: Value| json!({"overrides": {"template": {"spec": pod}}});
    let source =
        |kind: &str| json!({"volumes": [{"name": "all", "projected": {"sources": [{kind: {"name": "s"}}]}}]});
    for (name, request, said) in [
        (
            "class",
            of_pod(json!({"containers": [{"name": "main", "resources": of_class}]})),
            "brings devices that may be example.com/gpu, 1 in all, but JobTemplate/limits allows a container at most 0",
        ),
        (
            "claims",
            of_pod(json!({
                "resourceClaims": [{"name": "g", "resourceClaimName": "g"}],
                "containers": [{"name": "main", "resources": {"claims": [{"name": "g"}]}}],
            })),
            "spec.containers[main].resources.claims: resource claims may bring any number of devices",
        ),
        (
            "secret",
            of_pod(source("secret")),
            "spec.volumes[all]: projects a source of kind secret, but JobTemplate/limits allows: projected, configMap",
        ),
    ] {
        at.create(name, spec(&json!({}), &request)).await;
        let status = at.until(name, "is rejected", |status| status["phase"] == "Rejected").await;
        assert!(message(&status, "Accepted").contains(said), "{name}: {status}");
    }
    at.create("config", spec(&json!({}), &of_pod(source("configMap")))).await;
    at.until("config", "is accepted", |status| condition(status, "Accepted") == "True Valid").await;
    assert_eq!(at.job_names().await, ["config-1"]);
}
