//! The parts that worlds are made of, as JSON: what an API server could hold, and what it should not.
//!
//! Everything is built from small choices, so that a failing case shrinks to the choice that matters.

use jobrequest::api::condition::{ConditionType, Phase, Reason, RunResult};
use jobrequest::api::{JobRequestSpec, labels};
use jobrequest::compile::digest::digest;
use k8s_openapi::jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// uid of the request.
pub const UID: &str = "request-1";
/// Its usual name.
pub const NAME: &str = "pi";
/// Seconds of the usual present.
pub const NOW: i64 = 1_790_000_000;
/// Names of Jobs: those of the first runs, and one more.
pub const JOB_NAMES: [&str; 5] = ["pi-1", "pi-2", "pi-3", "pi-4", "other"];

/// The second `offset` from the present.
pub fn second(offset: i64) -> Value {
    json!(Timestamp::from_second(NOW + offset).unwrap().to_string())
}

/// What people and programs may have written anywhere.
pub fn text() -> BoxedStrategy<String> {
    let odd = ["", " ", "\0", "-1", "2147483648", "\u{202e}", "{}", "null", "圆周率", "a b", "True", "pi-1"];
    prop_oneof![
        4 => any::<String>(),
        3 => select(odd.to_vec()).prop_map(ToOwned::to_owned),
        1 => (1..6000_usize).prop_map(|length| "é".repeat(length)),
    ]
    .boxed()
}

fn offset() -> BoxedStrategy<i64> {
    prop_oneof![-100_000..0_i64, -90..90_i64, Just(0), 0..100_000_i64].boxed()
}

fn object(fields: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// A spec that is usually good.
pub fn spec() -> BoxedStrategy<Value> {
    let settings = (
        proptest::option::of(0..3),
        proptest::option::of(0..3),
        proptest::option::of(select([0, 2_592_000].as_slice())),
        any::<bool>(),
    );
    let life = (token(), run_policy(), proptest::option::of(select([0, 30, 3600].as_slice())));
    let good = (0..2_u8, proptest::option::of(any::<bool>()), settings, proptest::option::of(text()), life);
    let good = good.prop_map(|(program, suspend, (parallelism, completions, ttl, is_queue), alias, life)| {
        let (rerun, policy, start_deadline) = life;
        let is_queue = is_queue && completions.is_none();
        let settings = object([
            ("parallelism", parallelism.map(Into::into)),
            ("completions", completions.map(Into::into)),
            ("ttlSecondsAfterFinished", ttl.map(Into::into)),
            ("completionMode", is_queue.then(|| "WorkQueue".into())),
            ("startDeadlineSeconds", start_deadline.map(Into::into)),
        ]);
        object([
            ("containers", Some(json!([{"name": "main", "image": format!("program:{program}")}]))),
            ("settings", Some(settings)),
            ("suspend", suspend.map(Into::into)),
            ("alias", alias.map(Into::into)),
            ("rerun", rerun.map(Into::into)),
            ("runPolicy", policy),
        ])
    });
    let odd = (text(), text(), text()).prop_map(|(name, image, value)| {
        json!({
            "containers": [{"name": name, "image": image, "env": [{"name": value, "value": value}]}],
            "labels": {&name: value}, "annotations": {&value: name}, "serviceAccountName": image,
            "overrides": {"template": {"spec": {&name: {&value: null}}}},
        })
    });
    let bad = select(vec![
        json!({}),
        json!({"containers": [{"name": "main"}], "suspend": true}),
        json!({"containers": 7}),
        json!("nothing"),
        Value::Null,
    ]);
    prop_oneof![8 => good, 1 => odd, 1 => bad].boxed()
}

/// What a source of rerun tokens may hold, or what was handled last.
fn token() -> BoxedStrategy<Option<String>> {
    let usual = select(["", "a", "b"].as_slice()).prop_map(ToOwned::to_owned);
    proptest::option::of(prop_oneof![9 => usual, 1 => text()]).boxed()
}

fn run_policy() -> BoxedStrategy<Option<Value>> {
    let limit = || proptest::option::of(0..3_i32);
    let word = |one: &'static str, other: &'static str| proptest::option::of(select(vec![one, other]));
    let policy = (word("Rerun", "Hold"), word("Wait", "Replace"), word("Ignore", "Rerun"), limit(), limit());
    proptest::option::of(policy.prop_map(|(change, active, template, succeeded, failed)| {
        object([
            ("onSpecChange", change.map(Into::into)),
            ("whileActive", active.map(Into::into)),
            ("onTemplateChange", template.map(Into::into)),
            ("successfulRunsHistoryLimit", succeeded.map(Into::into)),
            ("failedRunsHistoryLimit", failed.map(Into::into)),
        ])
    }))
    .boxed()
}

/// The digest of what `spec` holds, if it can be read.
fn digest_of(spec: &Value) -> String {
    serde_json::from_value::<JobRequestSpec>(spec.clone()).map(|spec| digest(&spec)).unwrap_or_default()
}

/// Which digest a record or a Job carries.
#[derive(Clone, Copy, Debug)]
pub enum Digest {
    Same,
    Other,
    OtherScheme,
    Odd,
}

fn digest_choice() -> BoxedStrategy<Digest> {
    prop_oneof![
        6 => Just(Digest::Same), 3 => Just(Digest::Other), 1 => Just(Digest::OtherScheme), 1 => Just(Digest::Odd)
    ].boxed()
}

impl Digest {
    fn of(self, spec: &Value) -> String {
        match self {
            Self::Same => digest_of(spec),
            Self::Other => "1:0123456789abcdef".to_owned(),
            Self::OtherScheme => "0:0123456789abcdef".to_owned(),
            Self::Odd => "圆:周:率".to_owned(),
        }
    }
}

/// Native conditions of Jobs and pods: usual ones, as a real Job controller writes them, or odd ones.
fn native(type_: &str, reason: &str) -> Value {
    json!({"type": type_, "status": "True", "reason": reason, "message": format!("Job has {reason}"),
        "lastProbeTime": second(-3), "lastTransitionTime": second(-3)})
}

fn job_status() -> BoxedStrategy<Value> {
    let reasons = [
        "BackoffLimitExceeded",
        "DeadlineExceeded",
        "PodFailurePolicy",
        "MaxFailedIndexesExceeded",
        "FailedIndexes",
        "",
    ];
    let start = second(-60);
    let ended = second(-3);
    let failing = select(reasons.to_vec()).prop_flat_map(move |reason| {
        let target = native("FailureTarget", reason);
        let failed = native("Failed", reason);
        let start = second(-60);
        select(vec![
            json!({"active": 1, "ready": 0, "startTime": start, "conditions": [target]}),
            json!({"failed": 1, "ready": 0, "startTime": start, "conditions": [target, failed]}),
            json!({"conditions": [failed]}),
        ])
    });
    let met = native("SuccessCriteriaMet", "CompletionsReached");
    let complete = native("Complete", "CompletionsReached");
    let resumed = json!({"type": "Suspended", "status": "False", "reason": "JobResumed", "message": "",
        "lastTransitionTime": start});
    let usual = select(vec![
        json!({}),
        json!({"active": 1, "ready": 0, "startTime": start}),
        json!({"active": 1, "ready": 1, "startTime": start}),
        json!({"active": 0, "conditions": [native("Suspended", "JobSuspended")]}),
        json!({"active": 1, "startTime": start, "conditions": [resumed]}),
        json!({"active": 1, "ready": 0, "succeeded": 1, "startTime": start, "conditions": [met]}),
        json!({"succeeded": 1, "startTime": start, "completionTime": ended, "conditions": [met, complete]}),
    ]);
    let odd = (text(), text(), text(), text(), any::<i32>()).prop_map(
        move |(type_, status, reason, message, count)| {
            json!({"active": count, "failed": count, "conditions": [
                {"type": type_, "status": "True", "reason": reason},
                {"type": "Suspended", "status": status, "reason": reason, "message": message},
                {"type": "Failed", "status": "True", "reason": reason, "message": message},
            ]})
        },
    );
    prop_oneof![6 => usual, 4 => failing, 1 => odd].boxed()
}

/// Whose a Job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    Us,
    /// Ours, but somebody took the owner reference off.
    Stripped,
    /// Of a deleted JobRequest of the same name.
    Predecessor,
    /// A copy of one of our Jobs under another owner.
    Copy,
    Nobody,
}

/// The choices behind one Job.
#[derive(Clone, Debug)]
pub struct JobChoice {
    pub name: &'static str,
    pub run: i32,
    pub owner: Owner,
    status: Value,
    is_suspended: bool,
    is_terminating: bool,
    is_labelled: bool,
    digest: Digest,
    in_place: Option<String>,
    handled: Option<String>,
}

impl JobChoice {
    fn uid(&self) -> String {
        let kind = match self.owner {
            Owner::Us | Owner::Stripped => "job",
            Owner::Predecessor => "old",
            Owner::Copy => "copy",
            Owner::Nobody => "foreign",
        };
        format!("{kind}-{}", self.name)
    }
}

/// A Job; its run is mostly the one that its name says.
pub fn job_choice() -> BoxedStrategy<JobChoice> {
    let owner = prop_oneof![
        6 => Just(Owner::Us), 1 => Just(Owner::Stripped), 1 => Just(Owner::Predecessor),
        1 => Just(Owner::Copy), 2 => Just(Owner::Nobody)
    ];
    let record = |suspend: bool| Some(json!({"suspend": suspend, "parallelism": 1}).to_string());
    let stopped = json!({"parallelism": 1, "activeDeadlineSeconds": 9, "stopped": true}).to_string();
    let in_place = prop_oneof![
        2 => Just(record(false)), 2 => Just(record(true)), 1 => Just(Some(stopped)), 1 => Just(None),
        1 => text().prop_map(Some)
    ];
    let handled = (token(), token())
        .prop_map(|(spec, annotation)| Some(json!({"spec": spec, "annotation": annotation}).to_string()));
    let handled = prop_oneof![4 => handled, 2 => Just(None), 1 => text().prop_map(Some)];
    let flags = (
        proptest::bool::weighted(0.3),
        proptest::bool::weighted(0.1),
        proptest::bool::weighted(0.9),
        proptest::option::weighted(0.1, -1..5_i32),
    );
    let records = (digest_choice(), in_place, handled);
    (prop_oneof![Just(0), 0..JOB_NAMES.len()], owner, job_status(), flags, records)
        .prop_map(|(name, owner, status, (is_suspended, is_terminating, is_labelled, run), records)| {
            let (digest, in_place, handled) = records;
            JobChoice {
                name: JOB_NAMES[name],
                run: run.unwrap_or_else(|| i32::try_from(name % 4 + 1).unwrap()),
                owner,
                status,
                is_suspended,
                is_terminating,
                is_labelled,
                digest,
                in_place,
                handled,
            }
        })
        .boxed()
}

/// The Job of `choice`, under a request with `spec`.
pub fn job(choice: &JobChoice, spec: &Value) -> Value {
    let owner = |name: &str, uid: &str, kind: &str| json!([{"apiVersion": labels::API_VERSION, "kind": kind, "name": name, "uid": uid, "controller": true}]);
    let (owners, request) = match choice.owner {
        Owner::Us => (Some(owner(NAME, UID, "JobRequest")), UID),
        Owner::Stripped => (None, UID),
        Owner::Predecessor => (Some(owner(NAME, "request-0", "JobRequest")), "request-0"),
        Owner::Copy => (Some(owner("nightly", "cron-1", "CronJob")), UID),
        Owner::Nobody => (None, ""),
    };
    let mut annotations = Map::new();
    if !request.is_empty() {
        annotations.insert(labels::REQUEST_UID.to_owned(), request.into());
        annotations.insert(labels::RUN.to_owned(), choice.run.to_string().into());
        annotations.insert(labels::DIGEST.to_owned(), choice.digest.of(spec).into());
        annotations.insert(labels::GENERATION.to_owned(), "1".into());
        if let Some(handled) = &choice.handled {
            annotations.insert(labels::RERUN.to_owned(), handled.as_str().into());
        }
        if let Some(in_place) = &choice.in_place {
            annotations.insert(labels::IN_PLACE.to_owned(), in_place.as_str().into());
        }
    }
    let marks = json!({labels::MANAGED_BY: labels::FIELD_MANAGER, labels::REQUEST: NAME});
    // What differs in metadata is another version, or another Job.
    let version = 7 + u8::from(choice.owner == Owner::Stripped) + 2 * u8::from(choice.is_terminating);
    let metadata = object([
        ("name", Some(choice.name.into())),
        ("uid", Some(choice.uid().into())),
        ("resourceVersion", Some(version.to_string().into())),
        ("labels", choice.is_labelled.then_some(marks)),
        ("annotations", Some(annotations.into())),
        ("ownerReferences", owners),
        ("deletionTimestamp", choice.is_terminating.then(|| second(-1))),
    ]);
    json!({"metadata": metadata, "spec": {"completions": 1, "suspend": choice.is_suspended},
        "status": choice.status})
}

/// Where the newest run of a stored status stands.
#[derive(Clone, Copy, Debug)]
enum Newest {
    Reserved,
    Recorded,
    Ended(RunResult),
}

/// The choices behind the request.
#[derive(Clone, Debug)]
pub struct RequestChoice {
    name: String,
    spec: Value,
    age: i64,
    generation: i64,
    is_deleting: bool,
    status: Option<Value>,
    newest: Newest,
    count: i32,
    digest: Digest,
    end: i64,
    annotation: Option<String>,
    stop: Option<&'static str>,
}

fn conditions() -> BoxedStrategy<Value> {
    let status = select(["True", "True", "False", "Unknown"].as_slice());
    // The schema demands at least one character of a stored reason, and at most 1024.
    let odd = text().prop_map(|text| format!("R{}", text.chars().take(1000).collect::<String>()));
    let reason = prop_oneof![select(Reason::ALL).prop_map(|reason| reason.to_string()), odd];
    let one = (status, reason, text(), offset(), 0..4_i64);
    proptest::collection::btree_map(select(ConditionType::ALL), one, 0..7)
        .prop_map(|conditions| {
            conditions
                .into_iter()
                .map(|(type_, (status, reason, message, at, generation))| {
                    json!({"type": type_.as_str(), "status": status, "reason": reason, "message": message,
                    "lastTransitionTime": second(at), "observedGeneration": generation})
                })
                .collect()
        })
        .boxed()
}

/// A request with any status: none, wiped, one that cannot be read, or one with runs.
pub fn request_choice() -> BoxedStrategy<RequestChoice> {
    let handled = (token(), token(), run_policy(), proptest::option::of(select([0, 30].as_slice())));
    let written = (conditions(), proptest::option::of(select(Phase::ALL)), 0..4_i64, handled).prop_map(
        |(conditions, phase, generation, (spec, annotation, policy, deadline))| {
            json!({"observedGeneration": generation, "phase": phase, "conditions": conditions,
                "lastHandledRerun": {"spec": spec, "annotation": annotation}, "runPolicy": policy,
                "settings": {"startDeadlineSeconds": deadline}})
        },
    );
    let status = prop_oneof![
        8 => written.prop_map(Some),
        1 => Just(None),
        1 => Just(Some(json!({"observedGeneration": -1}))),
        1 => Just(Some(json!({"runs": "none"}))),
    ];
    let newest = prop_oneof![
        2 => Just(Newest::Reserved),
        3 => Just(Newest::Recorded),
        3 => select(RunResult::ALL).prop_map(Newest::Ended),
    ];
    let name = prop_oneof![9 => Just(NAME.to_owned()), 1 => text()];
    let age = select([5, 100_000].as_slice());
    let stop = proptest::option::weighted(0.3, select(["Replace", "StartDeadline"].as_slice()));
    let runs = (newest, 0..4_i32, digest_choice(), offset(), stop);
    (name, spec(), age, 1..4_i64, proptest::bool::weighted(0.05), status, runs, token())
        .prop_map(|(name, spec, age, generation, is_deleting, status, runs, annotation)| {
            let (newest, count, digest, end, stop) = runs;
            RequestChoice {
                name,
                spec,
                age,
                generation,
                is_deleting,
                status,
                newest,
                count,
                digest,
                end,
                annotation,
                stop,
            }
        })
        .boxed()
}

impl RequestChoice {
    /// The spec as it is stored.
    pub const fn spec(&self) -> &Value {
        &self.spec
    }

    /// The request; `may_record` says whether a Job of this name could have been recorded.
    pub fn stored(&self, may_record: impl Fn(&str) -> bool) -> Value {
        let mut status = self.status.clone();
        if let Some(Value::Object(fields)) = &mut status
            && fields.contains_key("phase")
        {
            let runs: Vec<_> = (1..=self.count).rev().map(|number| self.run(number, &may_record)).collect();
            fields.insert("run".to_owned(), if self.count > 0 { self.count.into() } else { Value::Null });
            fields.insert("runs".to_owned(), runs.into());
        }
        let metadata = object([
            ("name", Some(self.name.as_str().into())),
            ("namespace", Some("lab".into())),
            ("uid", Some(UID.into())),
            ("resourceVersion", Some("5".into())),
            ("generation", Some(self.generation.into())),
            ("creationTimestamp", Some(second(-self.age))),
            ("deletionTimestamp", self.is_deleting.then(|| second(-1))),
            ("annotations", self.annotation.as_ref().map(|token| json!({labels::RERUN: token}))),
        ]);
        object([("metadata", Some(metadata)), ("spec", Some(self.spec.clone())), ("status", status)])
    }

    fn run(&self, number: i32, may_record: &impl Fn(&str) -> bool) -> Value {
        let newest = if number == self.count { self.newest } else { Newest::Ended(RunResult::Succeeded) };
        let name = format!("{NAME}-{number}");
        let uid = if may_record(&name) { format!("job-{name}") } else { format!("gone-{name}") };
        let (uid, result) = match newest {
            Newest::Reserved => (None, None),
            Newest::Recorded => (Some(uid), None),
            Newest::Ended(result) => (Some(uid), Some(result)),
        };
        object([
            ("number", Some(number.into())),
            ("jobName", Some(name.into())),
            ("jobUid", uid.map(Into::into)),
            ("trigger", Some("Created".into())),
            ("digest", Some(self.digest.of(&self.spec).into())),
            ("generation", Some(1.into())),
            ("startTime", Some(second(self.end - 60))),
            ("endTime", result.map(|_| second(self.end))),
            ("result", result.map(|result| json!(result))),
            ("stop", self.stop.filter(|_| matches!(newest, Newest::Recorded)).map(Into::into)),
            ("reason", result.map(|_| "BackoffLimitExceeded".into())),
            ("message", result.map(|_| "Job has reached the specified backoff limit".into())),
        ])
    }
}

/// An event about a Job that is not allowed to create pods, or a pod that is not set up.
pub fn event() -> BoxedStrategy<Value> {
    let usual = select(vec![
        "Error creating: pods \"pi-1-9hsjd\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0",
        "Error creating: pods \"pi-1-8gk8l\" is forbidden: violates PodSecurity \"restricted:latest\"",
        "MountVolume.SetUp failed for volume \"settings\" : configmap \"settings\" not found",
        "Error creating: pods \"pi-1-\" is forbidden: error looking up service account lab/no: serviceaccount \"no\" not found",
    ]);
    let message = prop_oneof![4 => usual.prop_map(ToOwned::to_owned), 1 => text()];
    let reason = select(vec!["FailedCreate", "FailedMount", "FailedCreatePodSandBox", "BackOff"]);
    (reason, message, proptest::option::of(offset()))
        .prop_map(|(reason, message, at)| {
            object([
                ("metadata", Some(json!({"name": "e"}))),
                ("reason", Some(reason.into())),
                ("message", Some(message.into())),
                ("lastTimestamp", at.map(second)),
            ])
        })
        .boxed()
}

/// A pod in any state, controlled by the Job of any name, or by nobody.
pub fn pod() -> BoxedStrategy<Value> {
    let waiting = |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
    let pull = "Back-off pulling image \"perl:5.34.0-nosuch\": ErrImagePull: not found";
    let usual = select(vec![
        json!({}),
        waiting("ContainerCreating", ""),
        waiting("ErrImagePull", "rpc error: code = NotFound"),
        waiting("ImagePullBackOff", pull),
        waiting("CreateContainerConfigError", "configmap \"missing-config\" not found"),
        waiting("CreateContainerError", ""),
        json!({"running": {"startedAt": second(-9)}}),
        json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": second(-9)}}),
        json!({"terminated": {"exitCode": 3, "reason": "Error", "startedAt": second(-9), "finishedAt": second(-5)}}),
        json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "startedAt": second(-9)}}),
        json!({"terminated": {"exitCode": 128, "reason": "StartError", "startedAt": "1970-01-01T00:00:00Z"}}),
    ]);
    let odd = (text(), text(), any::<i32>()).prop_flat_map(|(reason, message, code)| {
        select(vec![
            json!({"waiting": {"reason": reason, "message": message}}),
            json!({"terminated": {"exitCode": code, "signal": code, "reason": reason, "message": message}}),
        ])
    });
    let state = || prop_oneof![6 => usual.clone(), 1 => odd.clone()];
    let words = prop_oneof![
        Just("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.".to_owned()),
        text()
    ];
    let condition = select(vec![
        ("PodScheduled", "False", "Unschedulable"),
        ("DisruptionTarget", "True", "EvictionByEvictionAPI"),
        ("DisruptionTarget", "True", "DeletionByPodGC"),
        ("Initialized", "True", ""),
        ("PodReadyToStartContainers", "False", ""),
    ]);
    let conditions = proptest::collection::vec((condition, words, offset()), 0..4);
    let whole = (
        select(vec!["Pending", "Running", "Failed", ""]),
        select(vec!["", "", "Evicted", "OutOfcpu"]),
        text(),
    );
    let containers = proptest::collection::vec((state(), state(), 0..3_u8), 0..3);
    let flags = (any::<bool>(), proptest::option::weighted(0.2, offset()));
    (0..4_u8, 0..=JOB_NAMES.len(), containers, conditions, whole, flags)
        .prop_map(|(name, job, containers, conditions, (phase, reason, message), (is_bound, deleted))| {
            let owners = JOB_NAMES.get(job).map(|job| {
                json!([{"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": format!("job-{job}"),
                    "controller": true}])
            });
            let conditions: Vec<_> = conditions
                .into_iter()
                .map(|((type_, status, reason), message, at)| {
                    json!({"type": type_, "status": status, "reason": reason, "message": message,
                        "lastTransitionTime": second(at)})
                })
                .collect();
            let (mut inits, mut others, mut declared) = (Vec::new(), Vec::new(), Vec::new());
            for (number, (state, last, role)) in containers.into_iter().enumerate() {
                let name = format!("c{number}");
                let container = json!({"name": name, "state": state, "lastState": last});
                if role == 0 {
                    others.push(container);
                } else {
                    inits.push(container);
                }
                if role > 0 {
                    let policy = (role == 2).then_some("Always");
                    declared.push(json!({"name": name, "restartPolicy": policy}));
                }
            }
            let metadata = object([
                ("name", Some(format!("pod-{name}").into())),
                ("ownerReferences", owners),
                ("deletionTimestamp", deleted.map(second)),
            ]);
            let spec = object([
                ("nodeName", is_bound.then(|| "node-7".into())),
                ("initContainers", Some(declared.into())),
            ]);
            let status = object([
                ("phase", Some(phase.into())),
                ("reason", Some(reason.into())),
                ("message", Some(message.into())),
                ("conditions", Some(conditions.into())),
                ("initContainerStatuses", Some(inits.into())),
                ("containerStatuses", Some(others.into())),
            ]);
            json!({"metadata": metadata, "spec": spec, "status": status})
        })
        .boxed()
}
