//! `jobrequest diff` on a real API server: what it says is what then happens.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::cli::{Came, file, program, ran};
use crate::support::requests::{Requests, spec};
use crate::support::{Cluster, Operator, Test};
use crate::templates::Templates;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        what_diff_says_is_what_happens,
        an_active_run_is_patched_waited_for_or_replaced,
        a_refused_edit_is_3,
        fields_of_other_managers_stay,
    ]
}

async fn diff(cx: &Cluster, at: &Requests, path: &str) -> Came {
    ran(program(cx, at, &["diff", path])).await
}

/// The first line of stdout, without the name.
fn said(came: &Came) -> &str {
    came.out.lines().next().and_then(|line| line.split_once(": ")).map(|(_, said)| said).unwrap_or_default()
}

/// Applies the file as `jobrequest run` does, without asking for a run.
fn apply(cx: &Cluster, at: &Requests, path: &str) {
    let namespace = at.namespace.name();
    cx.kubectl(&["apply", "--server-side", "--field-manager=jobrequest-cli", "-n", namespace, "-f", path]);
}

async fn what_diff_says_is_what_happens(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "diff-happens").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let edit = |more: &Value| file(&cx, "pi", &spec(&json!({}), more));
    let path = edit(&json!({}));
    let came = diff(&cx, &at, &path).await;
    assert_eq!(
        (came.code, said(&came)),
        (Some(1), "is created, and starts run 1: the JobRequest is created"),
        "{came:?}"
    );
    assert!(!at.exists("pi").await);
    apply(&cx, &at, &path);
    at.until_phase("pi", 1, "Completed").await;

    let before = at.get("pi").await;
    let came = diff(&cx, &at, &path).await;
    assert_eq!((came.code, said(&came)), (Some(0), "nothing changes"), "{came:?}");
    let path = edit(&json!({"alias": "Pi"}));
    let came = diff(&cx, &at, &path).await;
    assert_eq!((came.code, said(&came)), (Some(0), "changes nothing that runs (spec.alias)"), "{came:?}");
    let path = edit(&json!({"settings": {"backoffLimit": 3}}));
    let came = diff(&cx, &at, &path).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    assert!(said(&came).starts_with("starts no run; the next run has the change"), "{came:?}");
    let path = edit(&json!({"containers": [{"name": "main", "image": "perl:5.42"}]}));
    let came = diff(&cx, &at, &path).await;
    assert_eq!((came.code, said(&came)), (Some(1), "starts run 2: the spec has changed"), "{came:?}");
    let lines: Vec<_> = came.out.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    assert_eq!(
        lines[2..].iter().map(|line| line.replace(' ', "")).collect::<Vec<_>>(),
        ["--image:perl:5.24.4", "+-image:perl:5.42"],
        "{came:?}"
    );
    assert_eq!(at.get("pi").await, before, "a trial stores nothing");
    apply(&cx, &at, &path);
    at.until_phase("pi", 2, "Completed").await;

    let held = edit(&json!({"runPolicy": {"onSpecChange": "Hold"}}));
    let came = diff(&cx, &at, &held).await;
    assert_eq!(
        (came.code, said(&came)),
        (Some(0), "held until a rerun: runPolicy holds changes back"),
        "{came:?}"
    );
    apply(&cx, &at, &held);
    at.until("pi", "the change is held", |status| {
        let conditions = status["conditions"].as_array();
        conditions.into_iter().flatten().any(|one| one["type"] == "PendingChanges")
    })
    .await;
    let came = ran(program(&cx, &at, &["diff", &edit(&json!({"suspend": true})), "-o", "json"])).await;
    let report: Value = serde_json::from_str(&came.out).expect("one JSON object");
    // The change that was held is due once nothing but `suspend` holds it.
    assert_eq!((&report["effect"], &report["run"]), (&json!("Suspended"), &json!(3)), "{report}");
}

async fn an_active_run_is_patched_waited_for_or_replaced(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "diff-active").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let forever = json!({"run-seconds": "forever"});
    let edit = |more: &Value| file(&cx, "long", &spec(&forever, more));
    apply(&cx, &at, &edit(&json!({})));
    at.until_phase("long", 1, "Running").await;
    let other = json!([{"name": "main", "image": "perl:5.42"}]);
    for (more, wanted) in [
        (
            json!({"settings": {"backoffLimit": 4}}),
            "is patched in place on the active run 1 (backoffLimit 6 -> 4)",
        ),
        (json!({"suspend": true}), "is patched in place on the active run 1 (suspend false -> true)"),
        (
            json!({"containers": other}),
            "waits behind the active run 1, then starts run 2: the spec has changed",
        ),
        (
            json!({"containers": other, "runPolicy": {"whileActive": "Replace"}}),
            "replaces the active run 1 by run 2: the spec has changed",
        ),
    ] {
        let came = diff(&cx, &at, &edit(&more)).await;
        assert_eq!((came.code, said(&came)), (Some(1), wanted), "{came:?}");
    }
    apply(&cx, &at, &edit(&json!({"settings": {"backoffLimit": 4}})));
    at.until("long", "the live Job has the limit", |status| status["settings"]["backoffLimit"] == 4).await;
    assert_eq!(at.job_names().await, ["long-1"]);
    apply(&cx, &at, &edit(&json!({"containers": other, "runPolicy": {"whileActive": "Replace"}})));
    at.until_phase("long", 2, "Running").await;
}

async fn a_refused_edit_is_3(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "diff-refused").await;
    let edit = |more: &Value| file(&cx, "pi", &spec(&json!({}), more));
    for more in [json!({"schedule": "* * * * *"}), json!({"restartPolicy": "Always"})] {
        let came = diff(&cx, &at, &edit(&more)).await;
        assert_eq!(came.code, Some(3), "{came:?}");
        assert!(said(&came).starts_with("would be refused by the API server: "), "{came:?}");
        assert!(came.err.contains("pi.json:1:"), "the place in the file: {came:?}");
    }
    Templates::in_namespace_of(&at)
        .apply("limits", json!({"default": true, "policy": {"settings": {"backoffLimit": {"max": 2}}}}))
        .await;
    let came = diff(&cx, &at, &edit(&json!({"settings": {"backoffLimit": 4}}))).await;
    assert_eq!(came.code, Some(3), "{came:?}");
    assert!(
        said(&came).starts_with("is created, and would be rejected: spec.settings.backoffLimit: "),
        "{came:?}"
    );
    assert!(came.err.contains("pi.json:1:") && came.err.contains("JobTemplate/limits"), "{came:?}");
    let came = ran(program(&cx, &at, &["diff", &edit(&json!({})), "--as", "eve"])).await;
    assert_eq!(came.code, Some(2), "who may not read it: {came:?}");
    assert!(!at.exists("pi").await);
}

async fn fields_of_other_managers_stay(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "diff-managers").await;
    let namespace = at.namespace.name().to_owned();
    let with = file(&cx, "pi", &spec(&json!({}), &json!({"alias": "Pi", "description": "digits"})));
    cx.kubectl(&["apply", "--server-side", "--field-manager=flux", "-n", &namespace, "-f", &with]);
    let without = file(&cx, "pi", &spec(&json!({}), &json!({"alias": "Pi"})));
    let came = diff(&cx, &at, &without).await;
    assert_eq!((came.code, said(&came)), (Some(0), "nothing changes"), "{came:?}");
    let came = ran(program(&cx, &at, &["diff", &without, "--field-manager", "flux"])).await;
    assert_eq!(
        (came.code, said(&came)),
        (Some(0), "changes nothing that runs (spec.description)"),
        "{came:?}"
    );
    let other = file(&cx, "pi", &spec(&json!({}), &json!({"alias": "Tau"})));
    let came = diff(&cx, &at, &other).await;
    assert_eq!(came.code, Some(2), "{came:?}");
    assert!(came.err.contains("flux") && came.err.contains("--force-conflicts"), "{came:?}");
    let came = ran(program(&cx, &at, &["diff", &other, "--force-conflicts"])).await;
    assert_eq!((came.code, said(&came)), (Some(0), "changes nothing that runs (spec.alias)"), "{came:?}");
}
