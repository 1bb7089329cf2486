//! `jobrequest audit`, and `explain` with templates laid over those of the cluster, on a real API server.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::cli::{Came, program, ran};
use crate::support::requests::{Requests, spec};
use crate::support::{Cluster, DEADLINE, Test, eventually};
use crate::templates::Templates;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        only_what_is_new_is_reported,
        more_than_a_page_is_judged,
        what_may_not_be_listed_is_said,
        explain_lays_templates_over_those_of_the_cluster,
    ]
}

/// A file with templates, as a person has it.
fn file(cx: &Cluster, name: &str, templates: &[Value]) -> String {
    let path = cx.log(&format!("{name}.json"));
    std::fs::write(&path, json!({"apiVersion": "v1", "kind": "List", "items": templates}).to_string())
        .unwrap();
    path.display().to_string()
}

fn template(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn limit(enforcement: &str, max: i32) -> Value {
    let policy = json!({"enforcement": enforcement, "settings": {"backoffLimit": {"max": max}}});
    json!({"default": true, "policy": policy})
}

fn retries(number: i32) -> Value {
    spec(&json!({}), &json!({"settings": {"backoffLimit": number}}))
}

fn json_of(came: &Came) -> Value {
    serde_json::from_str(&came.out).unwrap_or_else(|error| panic!("{error}: {came:?}"))
}

async fn only_what_is_new_is_reported(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "audit-new").await;
    let templates = Templates::in_namespace_of(&at);
    templates.apply("limits", limit("Deny", 50)).await;
    for (name, number) in [("few", 1), ("many", 6), ("most", 60)] {
        at.create(name, retries(number)).await;
    }
    let new = file(&cx, "new", &[template("JobTemplate", "limits", &limit("Deny", 5))]);
    let came = ran(program(&cx, &at, &["audit", "-f", &new])).await;
    assert_eq!(came.code, Some(1), "{came:?}");
    let lines: Vec<_> = came.out.lines().collect();
    assert_eq!(lines.len(), 2, "{came:?}");
    assert!(
        lines[0].starts_with("NAMESPACE") && lines[1].contains("many") && lines[1].contains("Rejected"),
        "{came:?}"
    );
    assert!(lines[1].ends_with("JobTemplate/limits"), "{came:?}");
    let said = "3 JobRequests judged, 1 would be rejected, 1 is rejected already\n";
    assert!(came.err.ends_with(said), "{came:?}");

    // Nothing was written: the template of the cluster is as it was, and so what audit compares with.
    let clamps = file(&cx, "clamps", &[template("JobTemplate", "limits", &limit("Clamp", 5))]);
    let came = ran(program(&cx, &at, &["audit", "-f", &clamps, "-o", "json"])).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    let report = json_of(&came);
    assert_eq!((&report["judged"], &report["noLongerRejected"]), (&json!(3), &json!(1)), "{report}");
    let results: Vec<_> =
        report["violations"].as_array().unwrap().iter().map(|one| (&one["name"], &one["result"])).collect();
    // What is denied today and would only be clamped is no worse than today.
    assert_eq!(results, [(&json!("many"), &json!("Clamped"))]);
}

async fn more_than_a_page_is_judged(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "audit-pages").await;
    for number in 0..505 {
        at.create(&format!("r{number}"), retries(number % 10)).await;
    }
    let new = file(&cx, "pages", &[template("JobTemplate", "limits", &limit("Deny", 8))]);
    let came = ran(program(&cx, &at, &["audit", "-f", &new])).await;
    assert_eq!(came.code, Some(1), "{came:?}");
    assert!(came.err.ends_with("505 JobRequests judged, 50 would be rejected\n"), "{came:?}");
    assert_eq!(came.out.lines().count(), 51, "{came:?}");
}

async fn what_may_not_be_listed_is_said(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "audit-rights").await;
    let namespace = at.namespace.name().to_owned();
    // The chart lets every authenticated user read ClusterJobTemplates.
    let user = "system:anonymous";
    let resources = "--resource=jobrequests.jobrequest.dev,jobtemplates.jobrequest.dev";
    cx.kubectl(&["create", "role", "auditor", "--verb=get,list", resources, "-n", &namespace]);
    let to = format!("--user={user}");
    cx.kubectl(&["create", "rolebinding", "auditor", "--role=auditor", &to, "-n", &namespace]);
    at.create("few", retries(1)).await;
    at.create("many", retries(9)).await;
    let named = json!({"templateRef": {"kind": "ClusterJobTemplate", "name": "unseen"}});
    at.create("named", spec(&json!({}), &named)).await;
    let new = file(&cx, "rights", &[template("JobTemplate", "limits", &limit("Deny", 5))]);
    let gap = "ClusterJobTemplates could not be listed (forbidden): their values are missing here\n";
    // The authorizer learns of a binding a moment after it is stored.
    let came = eventually(DEADLINE, "the granted rights are in force", async || {
        let came = ran(program(&cx, &at, &["audit", "-f", &new, "--as", user])).await;
        if came.code == Some(1) { Ok(came) } else { Err(came.err) }
    })
    .await;
    assert!(came.err.starts_with(gap), "{came:?}");
    assert!(
        came.err.contains("2 JobRequests judged, 1 would be rejected, 1 could not be judged"),
        "{came:?}"
    );

    let came = ran(program(&cx, &at, &["explain", "few", "--as", user])).await;
    assert_eq!((came.code, came.err.as_str()), (Some(0), gap), "{came:?}");
    let came = ran(program(&cx, &at, &["explain", "named", "--as", user, "-o", "json"])).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    assert_eq!(json_of(&came)["unseen"], json!([gap.trim_end()]), "{came:?}");

    // Without the JobRequests themselves there is nothing to say.
    let came = ran(program(&cx, &at, &["audit", "-f", &new, "--as", "eve"])).await;
    assert_eq!((came.code, came.out.as_str()), (Some(2), ""), "{came:?}");
}

async fn explain_lays_templates_over_those_of_the_cluster(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "explain-laid").await;
    let templates = Templates::in_namespace_of(&at);
    templates.apply("limits", json!({"default": true, "base": {"settings": {"backoffLimit": 1}}})).await;
    at.create("pi", spec(&json!({}), &json!({}))).await;
    let base = json!({"default": true, "base": {"settings": {"backoffLimit": 2}}});
    let new = file(&cx, "laid", &[template("JobTemplate", "limits", &base)]);
    let value = |came: &Came| -> Value {
        let report = json_of(came);
        let fields = report["requests"][0]["fields"].as_array().unwrap().clone();
        fields.into_iter().find(|field| field["path"] == "settings.backoffLimit").unwrap()["value"].clone()
    };
    let came = ran(program(&cx, &at, &["explain", "pi", "-o", "json"])).await;
    assert_eq!(value(&came), json!(1), "{came:?}");
    let came = ran(program(&cx, &at, &["explain", "pi", "-o", "json", "--templates", &new])).await;
    assert_eq!((came.code, value(&came)), (Some(0), json!(2)), "{came:?}");
}
