//! Edits of a template that many requests follow: their runs start at a bounded pace, and nobody is forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::support::requests::{Requests, condition, spec};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};
use crate::templates::Templates;

pub(crate) fn tests() -> Vec<Test> {
    tests![ten_follow_an_edit_at_once_and_the_others_wait, many_edits_make_no_storm]
}

/// How many runs may follow a template at once.
const AT_ONCE: usize = 10;

/// A default template, whose pods run until they are stopped, or end at once. Each has a value of its own.
fn template(edit: usize, pods_end: bool) -> Value {
    let seconds = if pods_end { "0" } else { "forever" };
    let annotations =
        json!({"sim.jobrequest.dev/run-seconds": seconds, "example.com/edit": edit.to_string()});
    json!({"default": true, "base": {"annotations": annotations}})
}

/// Requests that follow the default template, and have run once with it.
async fn followers(at: &Requests, templates: &Templates, count: usize) {
    templates.apply("night", template(0, true)).await;
    templates.until("night", "is in force", |s| condition(s, "Effective") == "True Default").await;
    let names: Vec<String> = (0..count).map(|number| format!("r{number}")).collect();
    stream::iter(&names)
        .for_each_concurrent(8, async |name| {
            let policy = json!({"runPolicy": {"onTemplateChange": "Rerun"}});
            at.create(name, spec(&json!({}), &policy)).await;
        })
        .await;
    for name in &names {
        at.until_phase(name, 1, "Completed").await;
    }
}

/// The newest run of each request: its number, and the generation of the template that it was made with.
async fn runs(at: &Requests) -> BTreeMap<String, (i64, i64, String)> {
    let all = at.api().list(&kube::api::ListParams::default()).await.expect("list the JobRequests");
    let newest = |object: kube::api::DynamicObject| {
        let status = &object.data["status"];
        let run = &status["runs"][0];
        let number = run["number"].as_i64().unwrap_or_default();
        let generation = run["templates"][0]["generation"].as_i64().unwrap_or_default();
        let phase = status["phase"].as_str().unwrap_or_default().to_owned();
        (object.metadata.name.unwrap_or_default(), (number, generation, phase))
    };
    all.items.into_iter().map(newest).collect()
}

/// Waits until so many runs are under way and so many requests wait, by the template's own status.
async fn until_reruns(templates: &Templates, active: usize, waiting: usize) {
    let wanted = json!({"active": active, "waiting": waiting});
    templates.until("night", &format!("has {wanted} reruns"), |status| status["reruns"] == wanted).await;
}

/// Jobs of second runs.
async fn second_jobs(at: &Requests) -> Vec<String> {
    at.job_names().await.into_iter().filter(|name| name.ends_with("-2")).collect()
}

async fn ten_follow_an_edit_at_once_and_the_others_wait(cx: Arc<Cluster>) {
    const COUNT: usize = 25;
    let at = Requests::new(&cx, "pace").await;
    let templates = Templates::in_namespace_of(&at);
    let operator = Operator::start(&cx, &at.namespace, &[]);
    followers(&at, &templates, COUNT).await;

    templates.apply("night", template(1, false)).await;
    until_reruns(&templates, AT_ONCE, COUNT - AT_ONCE).await;
    eventually(DEADLINE, "ten follow", async || {
        let jobs = second_jobs(&at).await;
        if jobs.len() == AT_ONCE { Ok(()) } else { Err(jobs) }
    })
    .await;
    // Who waits shows what there is: nothing is wrong with its last run.
    let waiting: Vec<_> = runs(&at).await.into_iter().filter(|(_, (number, ..))| *number == 1).collect();
    assert_eq!(waiting.len(), COUNT - AT_ONCE);
    assert!(waiting.iter().all(|(_, (_, _, phase))| phase == "Completed"), "{waiting:?}");

    // An operator that starts anew counts what is under way.
    operator.kill();
    let operator = Operator::start(&cx, &at.namespace, &[]);
    #[allow(clippy::cast_precision_loss)]
    operator.has_looked_at(COUNT as f64, DEADLINE).await;
    until_reruns(&templates, AT_ONCE, COUNT - AT_ONCE).await;
    let before = second_jobs(&at).await;
    assert_eq!(before.len(), AT_ONCE, "{before:?}");

    // Somebody who asks for a run does not wait for a turn.
    let (name, _) = &waiting[0];
    at.change(name, json!({"rerun": "now"})).await;
    at.until(name, "runs at once", |status| status["run"] == 2 && status["phase"] == "Running").await;
    at.jobs().delete(&format!("{name}-2"), &DeleteParams::background()).await.expect("delete the Job");

    // Meanwhile the template is fixed: those that wait follow the newest edit only, as turns become free.
    templates.apply("night", template(2, true)).await;
    for job in before.iter().take(3) {
        at.jobs().delete(job, &DeleteParams::background()).await.expect("delete the Job");
    }
    eventually(DEADLINE, "all but seven have followed the newest edit", async || {
        let runs = runs(&at).await;
        let done = runs.values().filter(|(_, generation, phase)| *generation == 3 && phase == "Completed");
        if done.count() == COUNT - 7 { Ok(()) } else { Err(runs) }
    })
    .await;
    let runs = runs(&at).await;
    for (waited, _) in waiting.iter().skip(1) {
        assert_eq!(
            runs[waited],
            (2, 3, "Completed".to_owned()),
            "{waited} has not run with the edit between"
        );
    }
    until_reruns(&templates, 7, 0).await;
}

async fn many_edits_make_no_storm(cx: Arc<Cluster>) {
    const COUNT: usize = 60;
    const EDITS: usize = 62;
    let at = Requests::new(&cx, "storm").await;
    let templates = Templates::in_namespace_of(&at);
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    followers(&at, &templates, COUNT).await;

    for edit in 1..=EDITS {
        templates.apply("night", template(edit, false)).await;
    }
    until_reruns(&templates, AT_ONCE, COUNT - AT_ONCE).await;
    // A time in which an operator without a bound would have made hundreds.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let jobs = at.job_names().await;
    assert_eq!(jobs.len(), COUNT + AT_ONCE, "{jobs:?}");

    // What is at fault is fixed, and what hangs is stopped: each of the others runs once more.
    templates.apply("night", template(EDITS + 1, true)).await;
    for job in second_jobs(&at).await {
        at.jobs().delete(&job, &DeleteParams::background()).await.expect("delete the Job");
    }
    let newest = i64::try_from(EDITS).unwrap() + 2;
    eventually(DEADLINE, "all have followed the newest edit", async || {
        let runs = runs(&at).await;
        let is_done =
            |(_, generation, phase): &(i64, i64, String)| *generation == newest && phase == "Completed";
        if runs.values().all(is_done) { Ok(()) } else { Err(runs) }
    })
    .await;
    let numbers: i64 = runs(&at).await.values().map(|(number, ..)| number).sum();
    assert_eq!(
        numbers,
        i64::try_from(2 * COUNT + AT_ONCE).unwrap(),
        "ten runs of edits between, and no more"
    );
    templates.until("night", "nothing follows it any more", |status| status["reruns"].is_null()).await;
}
