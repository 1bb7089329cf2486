//! Runs: a JobRequest becomes a Job, and its status is true, whatever happens in between.

use std::sync::Arc;

use http::Method;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::people::send;
use crate::support::requests::{Requests, condition, spec};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        completes_and_says_so,
        deadline_is_mirrored,
        failure_is_mirrored,
        stuck_pull_is_updating,
        change_is_a_new_run_after_the_active_one,
        change_in_place_reaches_the_live_job,
        suspended_before_its_run,
        suspended_while_it_runs,
        queue_keeps_its_suspension,
        rejected_spec_heals,
        message_of_the_api_server_is_shown,
        forbidden_job_waits,
        refused_deletes_keep_nothing_from_being_recorded,
        refused_patches_are_shown_and_retried,
        a_denied_job_is_created_once_it_is_allowed,
        foreign_job_is_left_alone,
        predecessor_is_waited_for,
        deleted_before_its_result_is_lost,
        deleted_after_its_result_changes_nothing,
        wiped_status_is_rebuilt,
        operator_away_while_a_job_ends,
        stripped_owner_is_observed_to_its_end,
        deletes_of_every_kind_end,
    ]
}

async fn completes_and_says_so(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "completes").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let settings =
        json!({"backoffLimit": 5, "completions": 4, "parallelism": 2, "activeDeadlineSeconds": 300});
    at.create("pi", spec(&json!({}), &json!({"alias": "计算圆周率", "settings": settings}))).await;
    let status = at.until_phase("pi", 1, "Completed").await;
    assert_eq!(status["completions"], "4/4");
    assert_eq!(status["runs"][0]["result"], "Succeeded");
    assert!(status["duration"].is_string() && status["endTime"].is_string(), "{status:#}");
    assert_eq!(condition(&status, "Ready"), "True Completed");
    assert_eq!(condition(&status, "Finished"), "True Completed");
    assert_eq!(condition(&status, "Complete"), "True CompletionsReached");
    assert_eq!(condition(&status, "Reconciling"), "-");
    assert_eq!(condition(&status, "Stalled"), "-");

    let job = at.jobs().get("pi-1").await.unwrap();
    let owner = &job.metadata.owner_references.unwrap()[0];
    assert_eq!((owner.controller, owner.block_owner_deletion), (Some(true), Some(true)));
    assert_eq!(job.metadata.annotations.unwrap()["jobrequest.dev/alias"], "计算圆周率");
    let table = cx.kubectl(&["-n", at.namespace.name(), "get", "jr", "pi", "--no-headers"]);
    assert_eq!(
        table.split_whitespace().take(5).collect::<Vec<_>>(),
        ["pi", "Completed", "4/4", "1", "Completed"]
    );
}

async fn deadline_is_mirrored(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "deadline").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let settings = json!({"activeDeadlineSeconds": 2});
    at.create("late", spec(&json!({"run-seconds": "forever"}), &json!({"settings": settings}))).await;
    let status = at.until_phase("late", 1, "Failed").await;
    assert_eq!(condition(&status, "Ready"), "False DeadlineExceeded");
    assert_eq!(condition(&status, "Stalled"), "True DeadlineExceeded");
    assert_eq!(condition(&status, "Failed"), "True DeadlineExceeded");
    assert_eq!(condition(&status, "Finished"), "True Failed");
    assert!(status["runs"][0]["endTime"].is_string(), "{status:#}");
}

async fn failure_is_mirrored(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "failure").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("fails", spec(&json!({"exit-code": "3"}), &json!({"settings": {"backoffLimit": 0}}))).await;
    let status = at.until_phase("fails", 1, "Failed").await;
    assert_eq!(condition(&status, "Failed"), "True BackoffLimitExceeded");
    assert_eq!(status["runs"][0]["reason"], "BackoffLimitExceeded");
}

async fn stuck_pull_is_updating(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "pull").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("stuck", spec(&json!({"pull": "never"}), &json!({}))).await;
    let status = at
        .until("stuck", "names the cause", |status| condition(status, "Ready") == "False ImagePullFailed")
        .await;
    assert_eq!(status["phase"], "Updating");
    assert_eq!(condition(&status, "Reconciling"), "True ImagePullFailed");
}

async fn change_is_a_new_run_after_the_active_one(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "change").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("edited", spec(&json!({"run-seconds": "3"}), &json!({}))).await;
    at.until_phase("edited", 1, "Running").await;
    at.change("edited", json!({"containers": [{"name": "main", "image": "perl:5.36"}]})).await;
    at.change("edited", json!({"containers": [{"name": "main", "image": "perl:5.40"}]})).await;
    let status = at.until_phase("edited", 2, "Completed").await;
    assert_eq!(at.job_names().await, ["edited-1", "edited-2"], "the spec in between has no run");
    assert_eq!(status["runs"][0]["trigger"], "SpecChange");
    let (first, second) = (&status["runs"][1], &status["runs"][0]);
    assert!(first["endTime"].as_str() <= second["startTime"].as_str(), "one after the other: {status:#}");
    let image = at.jobs().get("edited-2").await.unwrap().spec.unwrap().template.spec.unwrap().containers[0]
        .image
        .clone();
    assert_eq!(image.as_deref(), Some("perl:5.40"));
}

async fn change_in_place_reaches_the_live_job(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "in-place").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("live", spec(&json!({"run-seconds": "forever"}), &json!({"settings": {"completions": 4}})))
        .await;
    at.until_phase("live", 1, "Running").await;
    at.change(
        "live",
        json!({"alias": "新名字", "settings": {"parallelism": 3, "activeDeadlineSeconds": 900}}),
    )
    .await;
    eventually(DEADLINE, "the live Job has the new settings", async || {
        let job = at.jobs().get("live-1").await.unwrap();
        let alias =
            job.metadata.annotations.as_ref().and_then(|map| map.get("jobrequest.dev/alias")).cloned();
        let seen = (
            alias,
            job.spec.as_ref().and_then(|spec| spec.parallelism),
            job.spec.and_then(|spec| spec.active_deadline_seconds),
        );
        if seen == (Some("新名字".to_owned()), Some(3), Some(900)) { Ok(()) } else { Err(seen) }
    })
    .await;
    let status = at.until_phase("live", 1, "Running").await;
    assert_eq!(status["settings"]["parallelism"], 3);
    assert_eq!(at.job_names().await, ["live-1"]);
}

async fn suspended_before_its_run(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "held").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("held", spec(&json!({}), &json!({"suspend": true}))).await;
    let status = at.until("held", "is suspended", |status| status["phase"] == "Suspended").await;
    assert_eq!(condition(&status, "Ready"), "True Suspended");
    assert_eq!(condition(&status, "Suspended"), "True Suspended");
    assert!(at.job_names().await.is_empty());
    at.change("held", json!({"suspend": false})).await;
    at.until_phase("held", 1, "Completed").await;
}

async fn suspended_while_it_runs(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "suspended").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("paused", spec(&json!({"run-seconds": "2"}), &json!({}))).await;
    at.until_phase("paused", 1, "Running").await;
    at.change("paused", json!({"suspend": true})).await;
    let status = at
        .until("paused", "is suspended", |status| condition(status, "Suspended") == "True JobSuspended")
        .await;
    assert_eq!(status["phase"], "Suspended");
    assert_eq!(condition(&status, "Ready"), "True Suspended");
    at.change("paused", json!({"suspend": false})).await;
    at.until_phase("paused", 1, "Completed").await;
    assert_eq!(at.job_names().await, ["paused-1"]);
}

async fn queue_keeps_its_suspension(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "queue").await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("queued", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    at.until_phase("queued", 1, "Running").await;
    let suspend = |suspend: bool| Patch::Merge(json!({"spec": {"suspend": suspend}}));
    at.jobs().patch("queued-1", &PatchParams::default(), &suspend(true)).await.unwrap();
    let status = at.until("queued", "is queued", |status| condition(status, "Ready") == "False Queued").await;
    assert_eq!(status["phase"], "Suspended");
    // A change of something else, and a restart, leave the queue's decision alone.
    at.change("queued", json!({"settings": {"backoffLimit": 2}})).await;
    operator.kill();
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let suspended = eventually(DEADLINE, "the Job has the new limit", async || {
        let job = at.jobs().get("queued-1").await.unwrap().spec.unwrap();
        if job.backoff_limit == Some(2) { Ok(job.suspend) } else { Err(job.backoff_limit) }
    })
    .await;
    assert_eq!(suspended, Some(true));
    at.jobs().patch("queued-1", &PatchParams::default(), &suspend(false)).await.unwrap();
    at.until_phase("queued", 1, "Running").await;
}

async fn rejected_spec_heals(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "rejected").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let broken = json!({"containers": [{"name": "main", "mounts": [{"volume": "data", "path": "/data"}]}]});
    at.create("broken", broken).await;
    let status = at.until("broken", "is rejected", |status| status["phase"] == "Rejected").await;
    assert_eq!(condition(&status, "Accepted"), "False InvalidSpec");
    assert_eq!(condition(&status, "Stalled"), "True InvalidSpec");
    let message = status["conditions"][0]["message"].as_str().unwrap();
    assert!(message.contains("image") && message.contains("data"), "all problems at once: {message}");
    assert!(at.job_names().await.is_empty());
    at.change("broken", json!({"containers": [{"name": "main", "image": "perl:5.40"}]})).await;
    at.until_phase("broken", 1, "Completed").await;
}

async fn message_of_the_api_server_is_shown(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "invalid").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let overrides = json!({"template": {"spec": {"dnsPolicy": "Odd"}}});
    at.create("invalid", spec(&json!({}), &json!({"overrides": overrides}))).await;
    let status = at.until("invalid", "is rejected", |status| status["phase"] == "Rejected").await;
    assert_eq!(condition(&status, "Accepted"), "False JobInvalid");
    let message = status["conditions"][0]["message"].as_str().unwrap();
    assert!(message.contains("spec.template.spec.dnsPolicy"), "{message}");
    at.change("invalid", json!({"overrides": null})).await;
    at.until_phase("invalid", 1, "Completed").await;
}

async fn forbidden_job_waits(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "forbidden").await;
    let quotas = at.limit("none", json!({"count/jobs.batch": "0"})).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("waits", spec(&json!({}), &json!({}))).await;
    let status = at.until_phase("waits", 1, "Waiting").await;
    assert_eq!(condition(&status, "Ready"), "False JobForbidden");
    quotas.delete("none", &DeleteParams::default()).await.unwrap();
    at.until_phase("waits", 1, "Completed").await;
}

async fn foreign_job_is_left_alone(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "foreign").await;
    let foreign = json!({"metadata": {"name": "taken-1"}, "spec": {"suspend": true, "template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "main", "image": "perl:5.40"}]}}}});
    let foreign: Job = serde_json::from_value(foreign).unwrap();
    let foreign = at.jobs().create(&PostParams::default(), &foreign).await.unwrap();
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("taken", spec(&json!({}), &json!({}))).await;
    at.until_phase("taken", 2, "Completed").await;
    let now = at.jobs().get("taken-1").await.unwrap();
    assert_eq!(now.metadata.uid, foreign.metadata.uid);
    let writers: Vec<_> =
        now.metadata.managed_fields.into_iter().flatten().filter_map(|entry| entry.manager).collect();
    assert!(!writers.iter().any(|writer| writer == "jobrequest"), "not ours to touch: {writers:?}");
}

async fn predecessor_is_waited_for(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "predecessor").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("again", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    at.until_phase("again", 1, "Running").await;
    let old = at.jobs().get("again-1").await.unwrap().metadata.uid;
    at.delete("again", &DeleteParams::background()).await;
    at.create("again", spec(&json!({}), &json!({}))).await;
    let status = at.until_phase("again", 1, "Completed").await;
    assert_ne!(status["runs"][0]["jobUid"].as_str(), old.as_deref());
    assert_eq!(at.job_names().await, ["again-1"]);
}

async fn deleted_before_its_result_is_lost(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "lost").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("gone", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    at.until_phase("gone", 1, "Running").await;
    at.jobs().delete("gone-1", &DeleteParams::background()).await.unwrap();
    let status = at.until_phase("gone", 1, "Failed").await;
    assert_eq!(status["runs"][0]["result"], "Lost");
    assert_eq!(condition(&status, "Ready"), "False Lost");
    assert!(at.job_names().await.is_empty(), "not silently run again");
}

async fn deleted_after_its_result_changes_nothing(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "sticky").await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("done", spec(&json!({}), &json!({}))).await;
    let before = at.until_phase("done", 1, "Completed").await;
    at.jobs().delete("done-1", &DeleteParams::background()).await.unwrap();
    operator.kill();
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    // Another request, made and finished after the restart, shows that the operator had its chance.
    at.create("other", spec(&json!({}), &json!({}))).await;
    at.until_phase("other", 1, "Completed").await;
    assert_eq!(at.get("done").await["status"], before);
    assert_eq!(at.job_names().await, ["other-1"], "no resurrection");
}

async fn wiped_status_is_rebuilt(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "wiped").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("wiped", spec(&json!({}), &json!({}))).await;
    let before = at.until_phase("wiped", 1, "Completed").await;
    at.wipe_status("wiped").await;
    let after = at.until_phase("wiped", 1, "Completed").await;
    assert_eq!(after["runs"][0]["jobUid"], before["runs"][0]["jobUid"]);
    assert_eq!(after["runs"][0]["result"], "Succeeded");
    assert_eq!(at.job_names().await, ["wiped-1"]);
}

async fn operator_away_while_a_job_ends(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "away").await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("ends", spec(&json!({"run-seconds": "2"}), &json!({}))).await;
    at.until_phase("ends", 1, "Running").await;
    operator.kill();
    eventually(DEADLINE, "the Job ends", async || {
        at.jobs().get("ends-1").await.unwrap().status?.completion_time
    })
    .await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.until_phase("ends", 1, "Completed").await;
    assert_eq!(at.job_names().await, ["ends-1"]);
}

async fn stripped_owner_is_observed_to_its_end(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "stripped").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("orphan", spec(&json!({"run-seconds": "3"}), &json!({}))).await;
    at.until_phase("orphan", 1, "Running").await;
    let strip = Patch::Merge(json!({"metadata": {"ownerReferences": null}}));
    at.jobs().patch("orphan-1", &PatchParams::default(), &strip).await.unwrap();
    at.until_phase("orphan", 1, "Completed").await;
    let job = at.jobs().get("orphan-1").await.unwrap();
    assert!(job.metadata.owner_references.is_none(), "never re-adopted");
}

async fn deletes_of_every_kind_end(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "deletes").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let kinds: [(&str, DeleteParams); 3] = [
        ("background", DeleteParams::background()),
        ("foreground", DeleteParams::foreground()),
        ("orphan", DeleteParams::orphan()),
    ];
    for (name, parameters) in kinds {
        at.create(name, spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
        at.until_phase(name, 1, "Running").await;
        at.delete(name, &parameters).await;
        eventually(DEADLINE, &format!("{name}: the request is gone"), async || {
            (!at.exists(name).await).then_some(())
        })
        .await;
    }
    let left: Value = eventually(DEADLINE, "only the orphan's Job is left", async || {
        let names = at.job_names().await;
        if names == ["orphan-1"] { Ok(json!(names)) } else { Err(names) }
    })
    .await;
    assert_eq!(left, json!(["orphan-1"]));
}

/// A policy of the cluster's owner about the Jobs of one namespace.
pub(crate) struct JobPolicy<'a> {
    cx: &'a Cluster,
    name: String,
}

impl<'a> JobPolicy<'a> {
    /// Refuses `operation` on Jobs of the namespace where `expression` is false, with `message`, once it is in force:
    /// `probe` is a Job that it refuses.
    pub(crate) async fn refuse(
        cx: &'a Cluster,
        at: &Requests,
        operation: &str,
        expression: &str,
        message: &str,
    ) -> Self {
        let name = format!("{}-{}", at.namespace.name(), operation.to_lowercase());
        let rule = json!({"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": [operation], "resources": ["jobs"]});
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {"matchConstraints": {"resourceRules": [rule]},
                "validations": [{"expression": expression, "message": message}]},
        });
        let of_namespace = json!({"matchLabels": {"kubernetes.io/metadata.name": at.namespace.name()}});
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": of_namespace}},
        });
        let root = "/apis/admissionregistration.k8s.io/v1";
        send(&at.client, Method::POST, &format!("{root}/validatingadmissionpolicies"), &policy)
            .await
            .unwrap();
        send(&at.client, Method::POST, &format!("{root}/validatingadmissionpolicybindings"), &binding)
            .await
            .unwrap();
        // A Job of somebody else shows when it is in force.
        let probe: Job = serde_json::from_value(json!({"metadata": {"name": "probe"}, "spec": {"suspend": true,
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a:1"}]}}}}))
        .unwrap();
        if operation != "CREATE" {
            at.jobs().create(&PostParams::default(), &probe).await.unwrap();
        }
        eventually(DEADLINE, "the policy is in force", async || {
            let dry_run = PatchParams { dry_run: true, ..PatchParams::default() };
            let tried = if operation == "CREATE" {
                let dry_run = PostParams { dry_run: true, ..PostParams::default() };
                at.jobs().create(&dry_run, &probe).await.map(drop)
            } else if operation == "DELETE" {
                at.jobs()
                    .delete("probe", &DeleteParams { dry_run: true, ..DeleteParams::default() })
                    .await
                    .map(drop)
            } else {
                let patch = Patch::Merge(json!({"spec": {"parallelism": 7}}));
                at.jobs().patch("probe", &dry_run, &patch).await.map(drop)
            };
            if tried.is_err() { Ok(()) } else { Err("not yet") }
        })
        .await;
        Self { cx, name }
    }

    pub(crate) fn lift(self) {
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            self.cx.kubectl(&["delete", kind, &self.name]);
        }
    }
}

/// An operator that knows that it is the only one: it deletes a Job without waiting for creates of others.
pub(crate) fn start_alone(cx: &Cluster, at: &Requests) -> Operator {
    let namespace = at.namespace.name();
    let resource = format!("--leader-elect-resource-namespace={namespace}");
    Operator::start(cx, &at.namespace, &["--leader-elect", &resource, "--leader-elect-resource-name=alone"])
}

/// Jobs are kept for the auditors: results are recorded and runs continue, the refusal is shown, once by an event, and the
/// Jobs go when the policy does.
async fn refused_deletes_keep_nothing_from_being_recorded(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "retention").await;
    let message = "Jobs are kept for the auditors";
    let policy = JobPolicy::refuse(&cx, &at, "DELETE", "oldObject.metadata.name == ''", message).await;
    let operator = start_alone(&cx, &at);
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    let settings = json!({"settings": {"ttlSecondsAfterFinished": 0}});
    at.create("kept", spec(&json!({}), &settings)).await;
    let status = at
        .until("kept", "shows the refusal", |status| {
            condition(status, "ChangeRefused") == "True DeleteRefused"
        })
        .await;
    assert_eq!(status["phase"], "Completed");
    let shown = status["conditions"].to_string();
    assert!(shown.contains(message) && shown.contains("Job kept-1 cannot be deleted"), "{shown}");
    at.change("kept", json!({"containers": [{"name": "main", "image": "perl:5.40"}]})).await;
    let status = at.until_phase("kept", 2, "Completed").await;
    assert_eq!(status["runs"][1]["result"], "Succeeded");
    eventually(DEADLINE, "one Warning event", async || {
        let events = at.events("kept").await;
        let refused = events.iter().filter(|(reason, _)| reason == "ChangeRefused").count();
        if refused == 1 { Ok(()) } else { Err(events) }
    })
    .await;
    let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent("jobrequest/");
    let deletes = calls.matching(|call| call.verb == "delete");
    println!(
        "figure: {} deletes tried while they are refused, {} status writes",
        deletes.count(),
        calls.matching(|call| call.subresource == "status").count()
    );
    assert!(deletes.count() <= 12, "the pauses grow: {deletes}");
    // A restart reports nothing anew.
    let version = at.api().get("kept").await.unwrap().metadata.resource_version;
    operator.kill();
    let operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("other", spec(&json!({}), &json!({}))).await;
    at.until_phase("other", 1, "Completed").await;
    assert_eq!(at.api().get("kept").await.unwrap().metadata.resource_version, version);
    policy.lift();
    drop(operator);
}

/// A policy that gives no reason answers 422, as Kubernetes does for an invalid Job; it is no verdict about the spec.
async fn a_denied_job_is_created_once_it_is_allowed(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "denied").await;
    let message = "images come from our registry";
    let expression =
        "object.spec.template.spec.containers.all(c, c.image.startsWith('registry.example.com/'))";
    let policy = JobPolicy::refuse(&cx, &at, "CREATE", expression, message).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("denied", spec(&json!({}), &json!({}))).await;
    let status =
        at.until("denied", "waits", |status| condition(status, "Ready") == "False JobForbidden").await;
    assert_eq!(status["phase"], "Waiting");
    assert_eq!(condition(&status, "Accepted"), "True Valid");
    let failure = &status["failure"];
    assert_eq!(failure["category"], "JobForbidden");
    assert!(failure["message"].as_str().is_some_and(|said| said.contains(message)), "{failure}");
    policy.lift();
    let status = at.until_phase("denied", 1, "Completed").await;
    assert_eq!(status["runs"].as_array().map(Vec::len), Some(1));
}

/// A change in place that is refused is shown at the generation that asked for it, and made when it is allowed.
async fn refused_patches_are_shown_and_retried(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "fixed").await;
    let message = "parallelism is fixed here";
    let expression = "object.spec.parallelism == oldObject.spec.parallelism";
    let policy = JobPolicy::refuse(&cx, &at, "UPDATE", expression, message).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("fixed", spec(&json!({"run-seconds": "forever"}), &json!({"settings": {"completions": 2}})))
        .await;
    at.until_phase("fixed", 1, "Running").await;
    at.change("fixed", json!({"settings": {"parallelism": 2}})).await;
    let status = at
        .until("fixed", "shows the refusal", |status| {
            condition(status, "ChangeRefused") == "True PatchRefused"
        })
        .await;
    assert_eq!((&status["observedGeneration"], &status["phase"]), (&json!(2), &json!("Running")));
    let shown = status["conditions"].to_string();
    assert!(
        shown.contains(message) && shown.contains("parallelism of Job fixed-1 cannot be changed"),
        "{shown}"
    );
    policy.lift();
    let status =
        at.until("fixed", "is no longer refused", |status| condition(status, "ChangeRefused") == "-").await;
    assert_eq!(status["phase"], "Running");
    assert_eq!(at.jobs().get("fixed-1").await.unwrap().spec.unwrap().parallelism, Some(2));
}
