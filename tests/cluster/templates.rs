//! Templates at work: which one counts, what its status says, what it does to runs that are and that are to come.
//!
//! ClusterJobTemplates which are defaults apply to every request there is, so such tests have a cluster of their own.

use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::support::requests::{Requests, condition, spec};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        requests_are_counted_once_a_minute,
        defaults_and_limits_of_the_cluster,
        the_newest_default_of_a_namespace_wins,
        a_second_default_switches_nothing_off,
        a_lock_holds_a_size_and_every_image,
        an_invalid_template_says_so_and_heals,
        a_missing_template_is_named_and_heals,
        a_missing_preset_is_named_and_heals,
        runs_keep_what_they_were_made_with,
        clamped_numbers_are_shown,
        a_policy_that_warns_names_who_violates_it,
        explain_agrees_with_the_status_of_a_live_request,
    ]
}

/// The templates of a namespace, or of the cluster.
pub(crate) struct Templates {
    api: Api<DynamicObject>,
    kind: &'static str,
}

impl Templates {
    pub(crate) fn of(client: &Client, namespace: Option<&str>) -> Self {
        let kind = if namespace.is_some() { "JobTemplate" } else { "ClusterJobTemplate" };
        let plural = format!("{}s", kind.to_lowercase());
        let resource = ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk("jobrequest.dev", "v1alpha1", kind),
            &plural,
        );
        let api = match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        Self { api, kind }
    }

    pub(crate) fn in_namespace_of(at: &Requests) -> Self {
        Self::of(&at.client, Some(at.namespace.name()))
    }

    /// Creates a template, or replaces what was applied before.
    pub(crate) async fn apply(&self, name: &str, spec: Value) {
        let object = json!({
            "apiVersion": "jobrequest.dev/v1alpha1", "kind": self.kind, "metadata": {"name": name}, "spec": spec
        });
        let applied = self.api.patch(name, &PatchParams::apply("platform-team"), &Patch::Apply(object)).await;
        applied.expect("apply the template");
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.api.delete(name, &DeleteParams::default()).await.expect("delete the template");
    }

    /// Puts a finalizer on it, or takes it off.
    pub(crate) async fn hold(&self, name: &str, holds: bool) {
        let finalizers = if holds { json!(["example.com/hold"]) } else { json!(null) };
        let change = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
        self.api.patch(name, &PatchParams::default(), &change).await.expect("change the finalizers");
    }

    /// Waits until it is gone.
    pub(crate) async fn until_gone(&self, name: &str) {
        eventually(DEADLINE, &format!("{} {name} is gone", self.kind), async || {
            self.api.get_opt(name).await.expect("look for the template").is_none().then_some(())
        })
        .await;
    }

    /// Waits until the status of its newest spec says so.
    pub(crate) async fn until(&self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        eventually(DEADLINE, &format!("{} {name}: {what}", self.kind), async || {
            let object = self.api.get(name).await.expect("get the template");
            let object = serde_json::to_value(object).expect("a JSON value");
            let status = object["status"].clone();
            let is_current = status["observedGeneration"] == object["metadata"]["generation"];
            if is_current && is(&status) { Ok(status) } else { Err(status) }
        })
        .await
    }
}

/// The message of a condition.
pub(crate) fn message(status: &Value, type_: &str) -> String {
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    let found = conditions.find(|condition| condition["type"] == type_);
    found.map_or_else(|| "-".to_owned(), |found| found["message"].as_str().unwrap().to_owned())
}

/// Creation times have whole seconds: what is created after this is newer.
pub(crate) async fn a_second_later() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

async fn requests_are_counted_once_a_minute(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "counted").await;
    let templates = Templates::in_namespace_of(&at);
    let operator = Operator::start(&cx, &at.namespace, &[]);
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    let writes = async || {
        let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent("jobrequest/");
        calls.resource("jobtemplates.jobrequest.dev/status").writes().count()
    };
    templates.apply("night", json!({"default": true})).await;
    templates.apply("named", json!({})).await;
    for name in ["night", "named"] {
        templates.until(name, "is valid", |status| condition(status, "Ready") == "True Valid").await;
    }
    assert_eq!(writes().await, 2, "one of each");
    for number in 0..5 {
        let template = if number < 2 { json!({"templateRef": {"name": "named"}}) } else { json!({}) };
        at.create(&format!("r-{number}"), spec(&json!({}), &template)).await;
        at.until_phase(&format!("r-{number}"), 1, "Completed").await;
    }
    assert_eq!(writes().await, 2, "numbers alone can wait");
    let requests = async |name: &str| {
        let object = templates.api.get(name).await.expect("get the template");
        object.data["status"]["requests"].as_i64().ok_or(object.data["status"].clone())
    };
    for (name, count) in [("night", 5), ("named", 2)] {
        eventually(Duration::from_secs(150), &format!("{name} counts {count} requests"), async || {
            requests(name).await.and_then(|found| if found == count { Ok(()) } else { Err(json!(found)) })
        })
        .await;
    }
    let in_all = writes().await;
    println!("figure: status writes of two templates with five requests, first and last: {in_all} (4)");
    assert_eq!(in_all, 4, "and once more each");

    operator.stop().await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    eventually(DEADLINE, "the operator has started again", async || {
        operator.log().contains("caches are filled").then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(writes().await, 4, "a start writes nothing that has not changed");
}

async fn the_newest_default_of_a_namespace_wins(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "newest").await;
    let templates = Templates::in_namespace_of(&at);
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    templates.apply("zz-older", json!({"default": true, "base": {"settings": {"backoffLimit": 1}}})).await;
    let alone =
        templates.until("zz-older", "is in force", |s| condition(s, "Effective") == "True Default").await;
    assert_eq!(condition(&alone, "Ready"), "True Valid");
    a_second_later().await;
    templates.apply("newer", json!({"default": true, "base": {"settings": {"backoffLimit": 2}}})).await;
    templates
        .until("newer", "is in force", |status| condition(status, "Effective") == "True NewestDefault")
        .await;
    let loser = templates
        .until("zz-older", "is superseded", |s| condition(s, "Effective") == "False Superseded")
        .await;
    assert!(message(&loser, "Effective").starts_with("JobTemplate/newer is the default instead"), "{loser}");

    at.create("demo", spec(&json!({}), &json!({"settings": {"parallelism": 2}}))).await;
    let status = at.until_phase("demo", 1, "Completed").await;
    assert_eq!(status["settings"]["backoffLimit"], 2);
    assert_eq!(status["settings"]["parallelism"], 2);
    let defaulted = status["defaulted"].as_array().unwrap();
    let origin = |path: &str| {
        defaulted.iter().find(|row| row["path"] == path).map(|row| row["origin"].as_str().unwrap().to_owned())
    };
    assert_eq!(origin("settings.backoffLimit").as_deref(), Some("JobTemplate/newer"));
    assert_eq!(origin("settings.completions").as_deref(), Some("builtin"));
    assert_eq!(origin("settings.parallelism"), None, "the user wrote it");
    assert_eq!(status["runs"][0]["templates"][0]["name"], "newer");

    // The loser is next in line.
    templates.delete("newer").await;
    templates.until("zz-older", "is in force again", |s| condition(s, "Effective") == "True Default").await;
}

async fn a_second_default_switches_nothing_off(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "several").await;
    let templates = Templates::in_namespace_of(&at);
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let limits = json!({
        "default": true,
        "base": {"settings": {"backoffLimit": 1}},
        "policy": {"settings": {"parallelism": {"max": 2}}, "locked": ["settings.backoffLimit"]}
    });
    templates.apply("limits", limits).await;
    templates.until("limits", "is in force", |s| condition(s, "Effective") == "True Default").await;
    at.create("before", spec(&json!({}), &json!({}))).await;
    at.until_phase("before", 1, "Completed").await;
    a_second_later().await;
    templates.apply("newer", json!({"default": true, "base": {"settings": {"backoffLimit": 3}}})).await;
    let winner = templates
        .until("newer", "gives the values", |s| condition(s, "Effective") == "True NewestDefault")
        .await;
    assert!(
        message(&winner, "Effective").contains("of JobTemplate/limits only the policies count"),
        "{winner}"
    );
    let loser =
        templates.until("limits", "still limits", |s| condition(s, "Effective") == "False Superseded").await;
    assert!(message(&loser, "Effective").contains("only the policy counts"), "{loser}");
    for name in ["newer", "limits"] {
        eventually(DEADLINE, &format!("an event names {name}"), async || {
            let events: Api<k8s_openapi::api::events::v1::Event> =
                Api::namespaced(at.client.clone(), at.namespace.name());
            let events = events.list(&kube::api::ListParams::default()).await.expect("list events").items;
            let is_told = events.iter().any(|event| {
                event.reason.as_deref() == Some("MultipleDefaults")
                    && event.type_.as_deref() == Some("Warning")
                    && event.regarding.as_ref().and_then(|about| about.name.as_deref()) == Some(name)
            });
            is_told.then_some(())
        })
        .await;
    }

    for (name, more, field) in [
        ("wide", json!({"settings": {"parallelism": 3}}), "spec.settings.parallelism: "),
        ("patient", json!({"settings": {"backoffLimit": 6}}), "it stays 3; leave it out"),
    ] {
        at.create(name, spec(&json!({}), &more)).await;
        let status = at.until(name, "is rejected", |status| status["phase"] == "Rejected").await;
        let said = message(&status, "Accepted");
        assert!(said.contains(field) && said.contains("JobTemplate/limits"), "{said}");
    }
    at.create("fits", spec(&json!({}), &json!({"settings": {"parallelism": 2}}))).await;
    let status = at.until_phase("fits", 1, "Completed").await;
    assert_eq!(status["settings"]["backoffLimit"], 3, "the values of the newest");
    let pins: Vec<_> =
        status["runs"][0]["templates"].as_array().unwrap().iter().map(|pin| &pin["name"]).collect();
    assert_eq!(pins, ["newer", "limits"], "both count");
    at.change("before", json!({"alias": "edited"})).await;
    at.until("before", "says that another template counts", |status| {
        message(status, "TemplateOutdated")
            .ends_with("the next run takes JobTemplate/newer generation 1, JobTemplate/limits generation 1")
    })
    .await;
}

async fn a_lock_holds_a_size_and_every_image(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "locks").await;
    let templates = Templates::in_namespace_of(&at);
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let locking = |locked: &[&str]| {
        json!({
            "default": true,
            "base": {"containers": [{"name": "main", "image": "perl:5", "quota": "small"}]},
            "containerDefaults": {"imagePullPolicy": "IfNotPresent"},
            "quotas": {"small": {"limits": {"cpu": "1"}}},
            "policy": {"locked": locked}
        })
    };
    templates.apply("night", locking(&["containers.image", "containers[0].image", "restartPolicy"])).await;
    let status = templates
        .until("night", "is invalid", |status| condition(status, "Ready") == "False InvalidTemplate")
        .await;
    let said = message(&status, "Ready");
    assert!(
        said.contains("spec.policy.locked[0]: containers.image")
            && said.contains("write containers[NAME].image"),
        "{said}"
    );
    assert!(
        said.contains("spec.policy.locked[1]: containers[0].image") && !said.contains("locked[2]"),
        "{said}"
    );

    let all = [
        "containers[*].image",
        "containers[*].imagePullPolicy",
        "containers[main].quota",
        "containers[main].resources",
    ];
    templates.apply("night", locking(&all)).await;
    templates.until("night", "is valid", |status| condition(status, "Ready") == "True Valid").await;
    templates.apply("mine", json!({"quotas": {"small": {"limits": {"cpu": "64"}}}})).await;
    let request = |containers: Value, more: Value| {
        let mut request = json!({"templateRef": {"name": "mine"}, "containers": containers});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let main = json!([{"name": "main"}]);
    let evil = json!({"template": {"spec": {"initContainers": [{"name": "more", "image": "evil:1"}]}}});
    for (name, of, refused) in [
        (
            "size",
            request(json!([{"name": "main", "quota": "small"}]), json!({})),
            "spec.containers[main].resources: is locked",
        ),
        (
            "image",
            request(json!([{"name": "main", "image": "evil:1"}]), json!({})),
            "spec.containers[main].image: is locked",
        ),
        (
            "init",
            request(main.clone(), json!({"initContainers": [{"name": "more", "image": "evil:1"}]})),
            "spec.initContainers[more].image: is locked",
        ),
        (
            "sidecar",
            request(
                json!([{"name": "main"}, {"name": "more", "image": "evil:1", "sidecar": true}]),
                json!({}),
            ),
            "spec.containers[more].image: is locked",
        ),
        (
            "overridden",
            request(main.clone(), json!({"overrides": evil})),
            "spec.overrides.template.spec.initContainers[more].image",
        ),
    ] {
        at.create(name, spec(&json!({}), &of)).await;
        let status = at.until(name, "is rejected", |status| status["phase"] == "Rejected").await;
        assert!(message(&status, "Accepted").contains(refused), "{name}: {status}");
    }
    let mut plain = spec(&json!({}), &json!({"templateRef": {"name": "mine"}}));
    plain["containers"] = main;
    at.create("plain", plain).await;
    at.until_phase("plain", 1, "Completed").await;
    let job = at.jobs().get("plain-1").await.unwrap();
    let container = job.spec.unwrap().template.spec.unwrap().containers[0].clone();
    assert_eq!(
        container.resources.unwrap().limits.unwrap()["cpu"].0,
        "1",
        "the size of the template that chose it"
    );
}

async fn an_invalid_template_says_so_and_heals(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "invalid").await;
    let templates = Templates::in_namespace_of(&at);
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let with = |overrides: Value| json!({"default": true, "base": {"overrides": overrides}});
    templates.apply("night", with(json!({"template": {"spec": {"tolerationz": []}}}))).await;
    let status = templates
        .until("night", "is invalid", |status| condition(status, "Ready") == "False InvalidTemplate")
        .await;
    assert_eq!(condition(&status, "Stalled"), "True InvalidTemplate");
    assert!(message(&status, "Ready").contains("spec.base.overrides.template.spec.tolerationz"), "{status}");

    at.create("demo", spec(&json!({}), &json!({}))).await;
    let rejected = at.until("demo", "is rejected", |status| status["phase"] == "Rejected").await;
    assert!(message(&rejected, "Accepted").contains("tolerationz"), "{rejected}");
    templates.apply("night", with(json!({"template": {"spec": {"tolerations": []}}}))).await;
    at.until_phase("demo", 1, "Completed").await;
    let status = templates.until("night", "is valid", |s| condition(s, "Ready") == "True Valid").await;
    assert_eq!(condition(&status, "Stalled"), "-");
}

async fn a_missing_template_is_named_and_heals(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "missing").await;
    let templates = Templates::in_namespace_of(&at);
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    templates.apply("daily", json!({})).await;
    templates.apply("hourly", json!({})).await;
    at.create("demo", spec(&json!({}), &json!({"templateRef": {"name": "nightly"}}))).await;
    let says = "no JobTemplate is called nightly in this namespace; there are: daily, hourly";
    let status =
        at.until("demo", "says what there is", |status| message(status, "Accepted").contains(says)).await;
    assert_eq!(
        (&status["phase"], condition(&status, "Stalled").as_str()),
        (&json!("Rejected"), "True InvalidSpec")
    );
    assert_eq!(at.job_names().await, [""; 0], "nothing runs without its limits");

    templates.apply("nightly", json!({"base": {"settings": {"completions": 2}}})).await;
    let status = at.until_phase("demo", 1, "Completed").await;
    assert_eq!(
        (condition(&status, "Accepted").as_str(), &status["completions"]),
        ("True Valid", &json!("2/2"))
    );
}

async fn a_missing_preset_is_named_and_heals(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "preset").await;
    let templates = Templates::in_namespace_of(&at);
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let small = json!({"limits": {"cpu": "1"}});
    templates.apply("sizes", json!({"default": true, "quotas": {"small": small, "tiny": {}}})).await;
    let container = json!([{"name": "main", "image": "perl:5", "quota": "large"}]);
    at.create("demo", spec(&json!({}), &json!({"containers": container}))).await;
    let says = "spec.containers[main].quota: no size preset is called large; there are: small, tiny";
    at.until("demo", "says what there is", |status| message(status, "Accepted").contains(says)).await;

    let large = json!({"limits": {"cpu": "2"}});
    templates.apply("sizes", json!({"default": true, "quotas": {"small": small, "large": large}})).await;
    let status = at.until_phase("demo", 1, "Completed").await;
    let row = json!({"path": "containers[main].resources.limits.cpu", "origin": "quota large of JobTemplate/sizes"});
    assert!(status["defaulted"].as_array().unwrap().contains(&row), "{status}");
    let job = at.jobs().get("demo-1").await.unwrap();
    let limits =
        job.spec.unwrap().template.spec.unwrap().containers[0].resources.clone().unwrap().limits.unwrap();
    assert_eq!(limits["cpu"].0, "2");
}

async fn runs_keep_what_they_were_made_with(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "kept").await;
    let templates = Templates::in_namespace_of(&at);
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    templates
        .apply("night", json!({"base": {"settings": {"backoffLimit": 1}, "labels": {"tier": "a"}}}))
        .await;
    let named = json!({"templateRef": {"name": "night"}});
    at.create("active", spec(&json!({"run-seconds": "forever"}), &named)).await;
    at.create("done", spec(&json!({}), &named)).await;
    at.until_phase("done", 1, "Completed").await;
    at.until_phase("active", 1, "Running").await;
    // Its last write for now: counts are brought up to date a little later.
    at.until("active", "is ready", |status| status["ready"] == 1).await;
    let version = async |name: &str| at.jobs().get(name).await.unwrap().metadata.resource_version.unwrap();
    let untouched = (version("active-1").await, version("done-1").await);
    let audit = cx.audit().await;
    let mark = audit.mark().await;

    // Only the template's own status follows an edit; a request of its own shows that the operator has seen it.
    templates
        .apply("night", json!({"base": {"settings": {"backoffLimit": 3}, "labels": {"tier": "b"}}}))
        .await;
    templates.until("night", "is looked at", |status| condition(status, "Ready") == "True Valid").await;
    at.create("after", spec(&json!({}), &named)).await;
    let after = at.until_phase("after", 1, "Completed").await;
    assert_eq!(after["settings"]["backoffLimit"], 3);
    let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent("jobrequest/");
    let about_older = calls
        .matching(|call| !call.name.starts_with("after") && call.resource != "jobtemplates.jobrequest.dev");
    let about_older = about_older.matching(|call| call.resource != "events.events.k8s.io").writes();
    assert_eq!(about_older.count(), 0, "{about_older}");
    assert_eq!((version("active-1").await, version("done-1").await), untouched);

    // It is reported with the next write that is due anyway.
    for name in ["active", "done"] {
        assert_eq!(condition(&at.get(name).await["status"], "TemplateOutdated"), "-");
        at.change(name, json!({"alias": "edited"})).await;
        let status = at
            .until(name, "says that its template is newer", |status| {
                condition(status, "TemplateOutdated") != "-"
            })
            .await;
        assert_eq!(condition(&status, "TemplateOutdated"), "True TemplatesChanged");
        let words = "run 1 was made with JobTemplate/night generation 1; the next run takes JobTemplate/night generation 2";
        assert_eq!(message(&status, "TemplateOutdated"), words);
        assert_eq!((&status["run"], &status["settings"]["backoffLimit"]), (&json!(1), &json!(1)));
    }

    // Without its template the next run cannot be made, but the runs there are continue.
    let running = at.jobs().get("active-1").await.unwrap();
    templates.delete("night").await;
    // Templates and requests reach the operator by two watches: what it writes next about another request says that
    // it knows.
    let mut edits = 0;
    eventually(DEADLINE, "the operator knows that the template is gone", async || {
        edits += 1;
        at.change("after", json!({"alias": format!("without its template, {edits}")})).await;
        let status = at.until("after", "is looked at", |_| true).await;
        let outdated = condition(&status, "TemplateOutdated");
        if outdated == "True TemplateGone" { Ok(()) } else { Err(outdated) }
    })
    .await;
    at.create("too-late", spec(&json!({}), &named)).await;
    at.until("too-late", "is rejected", |status| status["phase"] == "Rejected").await;
    let (active, done) = (at.get("active").await, at.get("done").await);
    assert_eq!(
        (&active["status"]["phase"], &done["status"]["phase"]),
        (&json!("Running"), &json!("Completed"))
    );
    let still = at.jobs().get("active-1").await.unwrap();
    assert_eq!((still.metadata.uid, still.spec), (running.metadata.uid, running.spec));
}

async fn clamped_numbers_are_shown(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "clamped").await;
    let templates = Templates::in_namespace_of(&at);
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let settings = json!({"parallelism": {"max": 2}, "activeDeadlineSeconds": {"max": 600}});
    templates
        .apply("limits", json!({"default": true, "policy": {"enforcement": "Clamp", "settings": settings}}))
        .await;
    at.create("demo", spec(&json!({}), &json!({"settings": {"parallelism": 5, "completions": 2}}))).await;
    let status = at.until_phase("demo", 1, "Completed").await;
    let words = "spec.settings.parallelism is cut from 5 to 2 by JobTemplate/limits; spec.settings.activeDeadlineSeconds is set to 600 by JobTemplate/limits";
    assert_eq!(
        (condition(&status, "Accepted").as_str(), message(&status, "Accepted").as_str()),
        ("True Clamped", words)
    );
    assert_eq!(
        status["settings"],
        json!({"backoffLimit": 6, "completions": 2, "parallelism": 2, "activeDeadlineSeconds": 600})
    );
    let cut = json!({"path": "settings.parallelism", "origin": "policy of JobTemplate/limits"});
    assert!(status["defaulted"].as_array().unwrap().contains(&cut), "{status}");
    let job = at.jobs().get("demo-1").await.unwrap().spec.unwrap();
    assert_eq!((job.parallelism, job.active_deadline_seconds), (Some(2), Some(600)));

    let event = eventually(DEADLINE, "an event says it", async || {
        let events = cx.kubectl(&["-n", at.namespace.name(), "get", "events.events.k8s.io", "-o", "json"]);
        let events: Value = serde_json::from_str(&events).unwrap();
        events["items"].as_array().unwrap().iter().find(|event| event["reason"] == "Clamped").cloned()
    })
    .await;
    assert_eq!(event["note"], words);
    // The spec in Git and that in the cluster stay equal.
    assert_eq!(at.get("demo").await["spec"]["settings"]["parallelism"], 5);
}

/// Also those at rest, which are not compiled again: the platform team looks there before it denies.
async fn a_policy_that_warns_names_who_violates_it(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "warned").await;
    let templates = Templates::in_namespace_of(&at);
    let operator = Operator::start(&cx, &at.namespace, &[]);
    for (name, parallelism) in [("a-wide", 5), ("b-narrow", 1), ("c-wide", 4)] {
        let settings = json!({"settings": {"parallelism": parallelism, "completions": 1}});
        at.create(name, spec(&json!({}), &settings)).await;
        at.until_phase(name, 1, "Completed").await;
    }
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    let limits = |enforcement: &str| json!({"default": true, "policy": {"enforcement": enforcement, "settings": {"parallelism": {"max": 2}}}});
    templates.apply("limits", limits("Warn")).await;
    let violated = |status: &Value| condition(status, "Violated") == "True PolicyWarning";
    let status = templates.until("limits", "two violate it", violated).await;
    let namespace = at.namespace.name();
    let words = format!("JobRequests that violate this policy: 2 ({namespace}/a-wide, {namespace}/c-wide);");
    assert!(message(&status, "Violated").starts_with(&words), "{status:#}");
    assert_eq!(status["violations"], 2);
    let table = cx.kubectl(&["-n", namespace, "get", "jobtemplates"]);
    assert!(table.contains("VIOLATIONS"), "{table}");
    let writes = audit.since(mark).await.namespace(namespace).user_agent("jobrequest/");
    let writes = writes.resource("jobrequests.jobrequest.dev/status").writes().count();
    assert_eq!(writes, 0, "no request at rest is written");
    eventually(DEADLINE, "an event and a metric say it", async || {
        let events = cx.kubectl(&["-n", namespace, "get", "events.events.k8s.io", "-o", "json"]);
        let (_, metrics) = operator.get("/metrics").await;
        let line = format!("jobrequest_policy_violations{{request_namespace=\"{namespace}\"}} 2\n");
        (events.contains("\"PolicyViolated\"") && metrics.contains(&line)).then_some(())
    })
    .await;
    // A run of one of them says it of itself.
    at.annotate("a-wide", "jobrequest.dev/rerun", "now").await;
    let status = at.until_phase("a-wide", 2, "Completed").await;
    assert_eq!(condition(&status, "Accepted"), "True PolicyWarning");
    let events = at.events("a-wide").await;
    assert_eq!(events.iter().filter(|(reason, _)| reason == "PolicyWarning").count(), 1, "{events:?}");

    templates.apply("limits", limits("Deny")).await;
    templates.until("limits", "it only warned before", |status| condition(status, "Violated") == "-").await;
}

/// `jobrequest explain`, of the cluster.
pub(crate) fn explain(cx: &Cluster, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobrequest"));
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name);
    }
    command.args(["explain", "--kubeconfig"]).arg(cx.kubeconfig()).args(arguments);
    command.output().expect("run jobrequest explain")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

async fn explain_agrees_with_the_status_of_a_live_request(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "explained").await;
    let namespace = at.namespace.name();
    let templates = Templates::in_namespace_of(&at);
    let operator = Operator::start(&cx, &at.namespace, &[]);
    templates.apply("night", json!({"default": true, "base": {"settings": {"backoffLimit": 2}}})).await;
    at.create("demo", json!({"alias": "计算圆周率", "containers": [{"name": "main", "image": "perl:5"}]}))
        .await;
    at.until_phase("demo", 1, "Completed").await;

    let explained = explain(&cx, &["-n", namespace, "demo"]);
    let wanted = format!(
        "jobrequest/demo in namespace {namespace}\n\
         templates: JobTemplate/night\n\
         \n\
         FIELD                              VALUE          ORIGIN              OVERRODE\n\
         alias                              计算圆周率     JobRequest\n\
         containers[main].image             perl:5         JobRequest\n\
         containers[main].imagePullPolicy   IfNotPresent   builtin\n\
         restartPolicy                      Never          builtin\n\
         settings.backoffLimit              2              JobTemplate/night   6 (builtin)\n\
         settings.completions               1              builtin\n\
         settings.parallelism               1              builtin\n"
    );
    assert_eq!(
        (explained.status.code(), text(&explained.stdout)),
        (Some(0), wanted.clone()),
        "{}",
        text(&explained.stderr)
    );

    // What the status lists is what explain shows.
    let status = at.get("demo").await["status"].clone();
    let json: Value =
        serde_json::from_slice(&explain(&cx, &["-n", namespace, "jobrequest/demo", "-o", "json"]).stdout)
            .unwrap();
    let fields = json["requests"][0]["fields"].as_array().unwrap();
    let listed = |row: &&Value| !matches!(row["origin"].as_str(), Some("JobRequest" | "overrides"));
    let defaulted: Vec<_> = (fields.iter().filter(listed))
        .map(|row| json!({"path": row["path"], "origin": row["origin"]}))
        .collect();
    assert_eq!(json!(defaulted), status["defaulted"]);

    // A template edit writes nothing; explain knows of it.
    templates.apply("night", json!({"default": true, "base": {"settings": {"backoffLimit": 4}}})).await;
    let outdated = text(&explain(&cx, &["-n", namespace, "demo"]).stdout);
    let note = "TemplateOutdated: run 1 was made with JobTemplate/night generation 1; the next run takes JobTemplate/night generation 2\n";
    assert_eq!(
        outdated,
        wanted.replace("2              JobTemplate", "4              JobTemplate") + "\n" + note
    );
    assert_eq!(condition(&at.get("demo").await["status"], "TemplateOutdated"), "-");

    // A rejected one is explained, too, with its problems.
    templates
        .apply("night", json!({"default": true, "policy": {"settings": {"backoffLimit": {"max": 3}}}}))
        .await;
    let rejected = explain(&cx, &["-n", namespace, "demo"]);
    assert_eq!(rejected.status.code(), Some(1));
    assert!(text(&rejected.stdout).contains("settings.backoffLimit              6              builtin\n"));
    assert!(
        text(&rejected.stderr).starts_with("error: jobrequest/demo: spec.settings.backoffLimit: "),
        "{}",
        text(&rejected.stderr)
    );

    // The API server's own words about a Job that it found invalid.
    templates.delete("night").await;
    at.create(
        "refused",
        spec(&json!({}), &json!({"overrides": {"template": {"spec": {"dnsPolicy": "Odd"}}}})),
    )
    .await;
    at.until("refused", "is rejected", |status| condition(status, "Accepted") == "False JobInvalid").await;
    let refused = explain(&cx, &["-n", namespace, "refused"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stdout));
    assert!(text(&refused.stderr).contains("dnsPolicy"), "{}", text(&refused.stderr));

    // It needs no operator, and says what is missing.
    operator.stop().await;
    let known = explain(&cx, &["-n", namespace, "demo"]);
    assert_eq!(known.status.code(), Some(0));
    for (arguments, words) in [
        (
            vec!["-n", namespace, "none"],
            format!("error: namespace {namespace} has no JobRequest called none"),
        ),
        (vec!["--context", "none", "demo"], "error: could not use the kubeconfig".to_owned()),
    ] {
        let output = explain(&cx, &arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with(&words), "{said}");
    }
}

/// Requests that are finished, written with a ready-made status as they would be after a run.
const FINISHED: usize = 1000;

async fn defaults_and_limits_of_the_cluster(cx: Arc<Cluster>) {
    let cx = cx.own().await;
    cx.control_plane().install_crds().unwrap();
    let at = Requests::new(&cx, "estate").await;
    let of_cluster = Templates::of(&at.client, None);
    let of_namespace = Templates::in_namespace_of(&at);
    let operator = Operator::start_for_all(&cx, &[]);

    // Of several defaults the newest counts, and the other says which.
    of_cluster.apply("older", json!({"default": true})).await;
    of_cluster.until("older", "is in force", |status| condition(status, "Effective") == "True Default").await;
    a_second_later().await;
    let limits = |max: i64| {
        json!({
            "default": true,
            "base": {"settings": {"backoffLimit": max}},
            "policy": {"settings": {"parallelism": {"max": 2}}, "images": {"allow": ["perl:*"]}}
        })
    };
    of_cluster.apply("platform", limits(1)).await;
    let loser =
        of_cluster.until("older", "is superseded", |s| condition(s, "Effective") == "False Superseded").await;
    assert!(
        message(&loser, "Effective").starts_with("ClusterJobTemplate/platform is the default"),
        "{loser}"
    );

    // A template of the namespace cannot loosen the cluster's, whether a default or named.
    let loose = json!({
        "default": true,
        "base": {"settings": {"parallelism": 9}},
        "policy": {"settings": {"parallelism": {"max": 100}}, "images": {"allow": ["**"]}}
    });
    of_namespace.apply("loose", loose).await;
    for (name, more) in [("by-default", json!({})), ("by-name", json!({"templateRef": {"name": "loose"}}))] {
        at.create(name, spec(&json!({}), &more)).await;
        let status = at.until(name, "is rejected", |status| status["phase"] == "Rejected").await;
        let said = message(&status, "Accepted");
        assert!(
            said.contains("spec.settings.parallelism") && said.contains("ClusterJobTemplate/platform"),
            "{said}"
        );
    }
    at.change("by-default", json!({"settings": {"parallelism": 2}})).await;
    at.until_phase("by-default", 1, "Completed").await;
    of_namespace.delete("loose").await;
    for name in ["by-default", "by-name"] {
        at.delete(name, &DeleteParams::default()).await;
    }

    at.create("model", spec(&json!({}), &json!({}))).await;
    let model = at.until_phase("model", 1, "Completed").await;
    assert_eq!(model["settings"]["backoffLimit"], 1);
    operator.stop().await;
    one_edit_writes_to_no_finished_request(&cx, &at, &of_cluster, &model, &limits(3)).await;
}

async fn one_edit_writes_to_no_finished_request(
    cx: &Cluster,
    at: &Requests,
    of_cluster: &Templates,
    model: &Value,
    edited: &Value,
) {
    stream::iter(0..FINISHED)
        .for_each_concurrent(16, |number| create_finished(at, format!("done-{number}"), model))
        .await;
    let operator = Operator::start_for_all(cx, &[]);
    at.create("before", spec(&json!({}), &json!({}))).await;
    at.until_phase("before", 1, "Completed").await;

    let audit = cx.audit().await;
    let mark = audit.mark().await;
    of_cluster.apply("platform", edited.clone()).await;
    of_cluster.until("platform", "is looked at", |status| condition(status, "Ready") == "True Valid").await;
    // The operator has looked at all of them when it has made a run of the new template after them.
    at.create("after", spec(&json!({}), &json!({}))).await;
    let after = at.until_phase("after", 1, "Completed").await;
    assert_eq!(after["settings"]["backoffLimit"], edited["base"]["settings"]["backoffLimit"]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let calls = audit.since(mark).await.user_agent("jobrequest/");
    let about_finished = calls.matching(|call| call.name.starts_with("done-"));
    let (writes, reads) = (about_finished.writes().count(), about_finished.count());
    println!(
        "figure: one edit of a ClusterJobTemplate with {FINISHED} finished requests in scope: {writes} writes to them (0), {reads} calls about them in all (0)"
    );
    assert_eq!((writes, reads), (0, 0), "{about_finished}");
    let one = at.get("done-7").await;
    assert_eq!(
        (&one["status"]["phase"], condition(&one["status"], "TemplateOutdated").as_str()),
        (&json!("Completed"), "-")
    );
    // They do count as requests of the template, once a minute has passed; the edit has counted them at once.
    let status = of_cluster.until("platform", "counts them", |s| s["requests"].as_i64() >= Some(1000)).await;
    assert!(status["requests"].as_i64().unwrap() <= 1003, "{status}");
    operator.stop().await;
}

/// A request whose run has ended, as the operator leaves it behind when its Job is gone.
async fn create_finished(at: &Requests, name: String, model: &Value) {
    let collection = format!("/apis/jobrequest.dev/v1alpha1/namespaces/{}/jobrequests", at.namespace.name());
    let object = json!({
        "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest",
        "metadata": {"name": name}, "spec": spec(&json!({}), &json!({}))
    });
    let mut created: Value = send(&at.client, http::Request::post(&collection), &object).await;
    let job = format!("{name}-1");
    created["status"] = model.clone();
    created["status"]["jobName"] = json!(job);
    created["status"]["runs"][0]["jobName"] = json!(job);
    created["status"]["runs"][0]["jobUid"] = created["metadata"]["uid"].clone();
    let status = format!("{collection}/{name}/status");
    send(&at.client, http::Request::put(status), &created).await;
}

async fn send(client: &Client, request: http::request::Builder, body: &Value) -> Value {
    let request = request.header("Content-Type", "application/json");
    let request = request.body(serde_json::to_vec(body).expect("JSON")).expect("a request");
    client.request(request).await.expect("the API server takes it")
}
