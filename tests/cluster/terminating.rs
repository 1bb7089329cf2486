//! Templates that are being deleted: no new run takes them, nothing at rest is written because of them, and what they take
//! away is reported.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::requests::{Requests, condition, spec};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};
use crate::templates::{Templates, explain, message, text};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_named_template_that_is_going_takes_no_new_run,
        a_default_that_is_going_takes_no_new_run,
        a_default_of_the_cluster_that_is_going_takes_no_new_run,
    ]
}

/// Writes of the operator about requests whose runs had ended or continue, since `mark`.
async fn nothing_was_written(cx: &Cluster, at: &Requests, mark: crate::support::Mark, names: &[&str]) {
    let calls = cx.audit().await.since(mark).await.namespace(at.namespace.name()).user_agent("jobrequest/");
    let about = calls.writes().matching(|call| {
        names.iter().any(|name| call.name == *name || call.name.starts_with(&format!("{name}-")))
    });
    assert_eq!(about.count(), 0, "{about}");
}

async fn a_named_template_that_is_going_takes_no_new_run(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "going").await;
    let namespace = at.namespace.name();
    let templates = Templates::in_namespace_of(&at);
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    templates.apply("night", json!({"base": {"settings": {"backoffLimit": 1}}})).await;
    templates.apply("day", json!({})).await;
    let named = |more: Value| {
        let mut named = json!({"templateRef": {"name": "night"}});
        named.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        named
    };
    at.create("done", spec(&json!({}), &named(json!({})))).await;
    at.until_phase("done", 1, "Completed").await;

    let mark = cx.audit().await.mark().await;
    templates.hold("night", true).await;
    templates.delete("night").await;
    let status = templates
        .until("night", "is going", |status| condition(status, "Ready") == "False TemplateTerminating")
        .await;
    assert_eq!(condition(&status, "Effective"), "-");

    // A request that names it is rejected, and says which one is going and what else there is.
    at.create("late", spec(&json!({}), &named(json!({})))).await;
    let late = at.until("late", "is rejected", |status| status["phase"] == "Rejected").await;
    let words = "spec.templateRef: JobTemplate night in this namespace is being deleted, and no new run is made with it; there are: day";
    assert_eq!(message(&late, "Accepted"), words);
    nothing_was_written(&cx, &at, mark, &["done"]).await;

    // What it takes away is reported with the next write, and by explain immediately.
    let explained = explain(&cx, &["-n", namespace, "done"]);
    let going = "JobTemplate/night is being deleted: the next run is rejected unless the request names another template";
    assert!(text(&explained.stdout).contains(&format!("TemplateOutdated: {going}\n")), "{explained:?}");
    assert!(text(&explained.stderr).contains(words), "{explained:?}");
    let outdated = async |reason: &str, words: &str| {
        at.change("done", json!({"alias": reason})).await;
        let wanted = format!("True {reason}");
        let status = at.until("done", reason, |status| condition(status, "TemplateOutdated") == wanted).await;
        assert_eq!((message(&status, "TemplateOutdated").as_str(), &status["run"]), (words, &json!(1)));
    };
    outdated("TemplateTerminating", going).await;

    templates.hold("night", false).await;
    templates.until_gone("night").await;
    let gone =
        "JobTemplate/night is gone: the next run is rejected unless the request names another template";
    outdated("TemplateGone", gone).await;
    at.until("late", "knows that it is gone", |status| {
        message(status, "Accepted").starts_with("spec.templateRef: no JobTemplate is called night")
    })
    .await;

    // Made anew it is another one, and taken.
    templates.apply("night", json!({"base": {"settings": {"backoffLimit": 2}}})).await;
    let late = at.until_phase("late", 1, "Completed").await;
    assert_eq!(late["settings"]["backoffLimit"], 2);
    assert_eq!(at.get("done").await["status"]["run"], 1);
}

async fn a_default_that_is_going_takes_no_new_run(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "going").await;
    let templates = Templates::in_namespace_of(&at);
    let operator = Operator::start(&cx, &at.namespace, &[]);
    default_is_going(&cx, &at, &templates, "JobTemplate").await;
    operator.stop().await;
}

async fn a_default_of_the_cluster_that_is_going_takes_no_new_run(cx: Arc<Cluster>) {
    let cx = cx.own().await;
    cx.control_plane().install_crds().unwrap();
    let at = Requests::new(&cx, "going").await;
    let templates = Templates::of(&at.client, None);
    let operator = Operator::start_for_all(&cx, &[]);
    default_is_going(&cx, &at, &templates, "ClusterJobTemplate").await;
    operator.stop().await;
}

/// A default with values and limits, held by a finalizer while it is deleted; another one is next in line.
async fn default_is_going(cx: &Cluster, at: &Requests, templates: &Templates, kind: &str) {
    let namespace = at.namespace.name();
    templates
        .apply(
            "limits",
            json!({
                "default": true, "base": {"settings": {"backoffLimit": 1}},
                "policy": {"settings": {"completions": {"max": 2}}},
            }),
        )
        .await;
    templates.until("limits", "is in force", |status| condition(status, "Effective") == "True Default").await;
    let follows = json!({"runPolicy": {"onTemplateChange": "Rerun"}});
    at.create("done", spec(&json!({}), &json!({}))).await;
    at.create("follows", spec(&json!({}), &follows)).await;
    at.create("active", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    for name in ["done", "follows"] {
        at.until_phase(name, 1, "Completed").await;
    }
    at.until("active", "is ready", |status| status["ready"] == 1).await;

    let mark = cx.audit().await.mark().await;
    templates.hold("limits", true).await;
    templates.delete("limits").await;
    templates.until("limits", "is going", |s| condition(s, "Effective") == "False TemplateTerminating").await;

    // A new run is made without it, and says so.
    at.create("late", spec(&json!({}), &json!({"settings": {"completions": 3}}))).await;
    let late = at.until_phase("late", 1, "Completed").await;
    assert_eq!((&late["settings"]["backoffLimit"], &late["runs"][0]["templates"]), (&json!(6), &json!(null)));
    assert_eq!(condition(&late, "Accepted"), "True TemplateTerminating");
    let going = format!("{kind}/limits is being deleted: this run is made without its defaults and limits");
    assert_eq!(message(&late, "Accepted"), going);
    // Nothing that was there before is touched: no run starts anew because of it.
    nothing_was_written(cx, at, mark, &["done", "follows", "active"]).await;
    let explained = text(&explain(cx, &["-n", namespace, "done"]).stdout);
    let next =
        format!("{kind}/limits is being deleted: the next run is made without its defaults and limits");
    assert!(explained.contains(&format!("TemplateOutdated: {next}\n")), "{explained}");

    // With the next write that is due it is reported.
    let outdated = async |name: &str, reason: &str, words: &str| {
        at.change(name, json!({"alias": reason})).await;
        let wanted = format!("True {reason}");
        let status = at.until(name, reason, |status| condition(status, "TemplateOutdated") == wanted).await;
        assert_eq!((message(&status, "TemplateOutdated").as_str(), &status["run"]), (words, &json!(1)));
    };
    for name in ["done", "active"] {
        outdated(name, "TemplateTerminating", &next).await;
    }

    // Once it has gone, those who follow templates run once more, and nobody else.
    templates.hold("limits", false).await;
    templates.until_gone("limits").await;
    let follows = at.until_phase("follows", 2, "Completed").await;
    assert_eq!(follows["runs"][0]["trigger"], "TemplateChange");
    assert_eq!(condition(&follows, "TemplateOutdated"), "-");
    let gone = format!("{kind}/limits is gone: the next run is made without its defaults and limits");
    for name in ["done", "active"] {
        outdated(name, "TemplateGone", &gone).await;
    }
    eventually(DEADLINE, "the late run is no news any more", async || {
        let late = at.get("late").await["status"].clone();
        if late["run"] == 1 { Ok(()) } else { Err(late) }
    })
    .await;
}
