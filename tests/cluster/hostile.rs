//! Hostile objects: whatever the API server stores, nobody else waits for it, and each says what is wrong with it.
//!
//! Each test has a control plane of its own, since its operator watches all namespaces. Objects are sent and read as
//! text, because most clients cannot read them.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::{StreamExt, stream};
use kube::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::requests::{Requests, condition, spec};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        what_the_schema_lets_through_stalls_nobody,
        what_an_older_schema_let_through_stalls_nobody,
        long_requests_fit_into_memory,
    ]
}

/// Stands in every hostile spec; no log line may hold it.
const MARKER: &str = "only-for-the-owner";
/// How often a hostile object is edited while somebody else's request runs; a long one, which the API server needs a
/// while to store, less often.
const EDITS: usize = 120;
const LONG_EDITS: usize = 8;
/// Longest line of the operator's log, in bytes.
const LINE: usize = 4096;

/// What becomes of a hostile object.
#[derive(Clone, Copy)]
enum Fate {
    /// Rejected, or an invalid template; what the message says.
    Refused(&'static str),
    /// It runs like any other, or counts like any other template.
    Fine,
}
use Fate::{Fine, Refused};

/// A JobRequest, or what goes into `base` of a template.
struct Hostile {
    name: &'static str,
    /// Fields of the spec as JSON, each followed by a comma.
    fields: String,
    /// Fields of the metadata, each with a comma before.
    metadata: String,
    fate: Fate,
}

fn nested(levels: usize, open: &str, close: &str) -> String {
    format!("{}\"{MARKER}\"{}", open.repeat(levels), close.repeat(levels))
}

fn overrides(json: &str) -> String {
    format!(r#""overrides":{json},"#)
}

/// What today's schema lets through. `owner` is a reference to an object that is there.
fn hostile(owner: &Value) -> Vec<Hostile> {
    let row = |name, fields, fate| Hostile { name, fields, metadata: String::new(), fate };
    let variables = |count: usize, length: usize| {
        let variables: Vec<Value> = (0..count)
            .map(|number| json!({"name": format!("V{number}"), "value": "x".repeat(length)}))
            .collect();
        format!(r#""containers":[{{"name":"main","image":"perl:5.24.4","env":{}}}],"#, json!(variables))
    };
    let deep = "is nested deeper than 100 levels, in ";
    vec![
        row("deep-maps", overrides(&nested(200, r#"{"a":"#, "}")), Refused(deep)),
        row("deeper-lists", overrides(&format!(r#"{{"a":{}}}"#, nested(900, "[", "]"))), Refused(deep)),
        row(
            "many-values",
            overrides(&format!(r#"{{"a":[{}0]}}"#, r#"{"b":0},"#.repeat(16_000))),
            Refused("has more than 30000 values"),
        ),
        row("odd-keys", overrides(r#"{"":{"":"x"},"\u0000":1,"a.b[0]":2}"#), Refused("no such field")),
        row(
            "keys-of-the-parser",
            overrides(
                r#"{"$serde_json::private::RawValue":"{\"selector\":{}}","$serde_json::private::Number":"1"}"#,
            ),
            Refused("patch directives are not supported"),
        ),
        row(
            "odd-numbers",
            overrides(r#"{"a":1e300,"b":-9223372036854775808,"c":18446744073709551616,"d":1e-300}"#),
            Refused("no such field"),
        ),
        row("odd-text", format!(r#""alias":"a\u202eb\u0000c","description":"{MARKER}\u2028\ufffe","#), Fine),
        row("many-variables", variables(256, 200), Fine),
        row("long-text", variables(40, 30_000), Fine),
        Hostile {
            metadata: format!(r#","annotations":{{"jobrequest.dev/rerun":"{}"}}"#, "t".repeat(250_000)),
            ..row("long-token", String::new(), Fine)
        },
        Hostile {
            metadata: format!(r#","ownerReferences":{}"#, json!(vec![owner; 1000])),
            ..row("many-owners", String::new(), Fine)
        },
    ]
}

/// What becomes of it as a template.
fn as_template(hostile: &Hostile) -> Fate {
    match hostile.name {
        "long-text" => Refused("a template may take at most 256 KiB"),
        _ => hostile.fate,
    }
}

/// An object as far as these tests read it: nothing of what is nested.
#[derive(Debug, Deserialize)]
struct Slim {
    metadata: SlimMetadata,
    #[serde(default)]
    status: Value,
}

#[derive(Debug, Deserialize)]
struct SlimMetadata {
    generation: i64,
}

/// An answer of which nothing is read.
#[derive(Debug, Deserialize)]
struct Anything {}

/// The objects of one kind, in a namespace or of the cluster.
struct Place {
    client: Client,
    kind: &'static str,
    url: String,
}

impl Place {
    fn of(at: &Requests, kind: &'static str) -> Self {
        let plural = format!("{}s", kind.to_lowercase());
        let scope = match kind {
            "ClusterJobTemplate" => String::new(),
            _ => format!("namespaces/{}/", at.namespace.name()),
        };
        let url = format!("/apis/jobrequest.dev/v1alpha1/{scope}{plural}");
        Self { client: at.client.clone(), kind, url }
    }

    async fn send(&self, method: &str, path: &str, kind: &str, body: String) -> Result<(), kube::Error> {
        let request = http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        let request = request.header("Content-Type", kind).body(body.into_bytes()).unwrap();
        self.client.request::<Anything>(request).await.map(drop)
    }

    /// Creates an object; `metadata` and `rest` are JSON fields with a comma before each.
    async fn create(&self, name: &str, metadata: &str, rest: &str) {
        let kind = self.kind;
        let body = format!(
            r#"{{"apiVersion":"jobrequest.dev/v1alpha1","kind":"{kind}","metadata":{{"name":"{name}"{metadata}}}{rest}}}"#
        );
        self.send("POST", "", "application/json", body)
            .await
            .unwrap_or_else(|e| panic!("{kind} {name}: {e}"));
    }

    async fn create_hostile(&self, hostile: &Hostile) {
        let Hostile { name, fields, metadata, .. } = hostile;
        let rest = match (self.kind, fields.contains(r#""containers""#)) {
            ("JobRequest", true) => format!(r#","spec":{{{}}}"#, fields.trim_end_matches(',')),
            ("JobRequest", false) => {
                format!(r#","spec":{{{fields}"containers":[{{"name":"main","image":"perl:5.24.4"}}]}}"#)
            }
            // A template has neither alias nor description in its base.
            _ if fields.contains("alias") => format!(r#","spec":{{"description":"{MARKER}\u2028\u202e"}}"#),
            _ => format!(r#","spec":{{"base":{{{}}}}}"#, fields.trim_end_matches(',')),
        };
        self.create(name, metadata, &rest).await;
    }

    async fn annotate(&self, name: &str, value: usize) -> Result<(), kube::Error> {
        let patch = json!({"metadata": {"annotations": {"example.com/edit": value.to_string()}}});
        self.send("PATCH", &format!("/{name}"), "application/merge-patch+json", patch.to_string()).await
    }

    async fn get(&self, name: &str) -> Slim {
        let request = http::Request::get(format!("{}/{name}", self.url)).body(Vec::new()).unwrap();
        self.client.request(request).await.unwrap_or_else(|e| panic!("{} {name}: {e}", self.kind))
    }

    /// Waits for a phase of a JobRequest.
    async fn until_phase(&self, name: &str, phase: &str) {
        eventually(DEADLINE, &format!("{name} is {phase}"), async || {
            let status = self.get(name).await.status;
            if status["phase"] == phase { Ok(()) } else { Err(status) }
        })
        .await;
    }

    /// Waits for what becomes of an object.
    async fn until(&self, name: &str, fate: Fate) {
        eventually(DEADLINE, &format!("{} {name} has its verdict", self.kind), async || {
            let object = self.get(name).await;
            let status = object.status;
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            let says = |words: &str| {
                conditions
                    .iter()
                    .any(|condition| condition["message"].as_str().is_some_and(|m| m.contains(words)))
            };
            let is_reached = status["observedGeneration"] == object.metadata.generation
                && match (self.kind, fate) {
                    ("JobRequest", Refused(words)) => {
                        status["phase"] == "Rejected"
                            && condition(&status, "Stalled").starts_with("True")
                            && says(words)
                    }
                    ("JobRequest", Fine) => status["phase"] == "Completed",
                    (_, Refused(words)) => {
                        condition(&status, "Ready") == "False InvalidTemplate" && says(words)
                    }
                    (_, Fine) => condition(&status, "Ready").starts_with("True"),
                };
            if is_reached { Ok(()) } else { Err(status) }
        })
        .await;
    }
}

/// Somebody else, who must not notice anything.
struct Others {
    at: Requests,
    made: AtomicUsize,
}

impl Others {
    async fn new(cx: &Cluster) -> Self {
        Self { at: Requests::new(cx, "others").await, made: AtomicUsize::new(0) }
    }

    /// Makes a request, and waits until it has run.
    async fn are_served(&self, operator: &Operator) {
        let name = format!("plain-{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.at.create(&name, spec(&json!({}), &json!({}))).await;
        self.at.until_phase(&name, 1, "Completed").await;
        let (code, body) = operator.get("/readyz").await;
        assert_eq!(code, 200, "{body}");
    }

    /// The same while `edited` are edited all the time.
    async fn are_served_during_edits(&self, operator: &Operator, edited: &[(&Place, &str)]) {
        let is_served = AtomicBool::new(false);
        let edits = stream::iter(edited).for_each_concurrent(4, async |(place, name)| {
            let is_long = ["many-values", "long-text", "status-long"].contains(name);
            let least = if is_long { LONG_EDITS } else { EDITS };
            let mut count = 0;
            while count < least || !is_served.load(Ordering::Relaxed) {
                count += 1;
                place.annotate(name, count).await.unwrap_or_else(|e| panic!("{} {name}: {e}", place.kind));
            }
        });
        let served = async {
            self.are_served(operator).await;
            is_served.store(true, Ordering::Relaxed);
        };
        futures::join!(edits, served);
        self.are_served(operator).await;
    }
}

/// No line of the log is long, and none holds a spec.
fn assert_log_is_clean(operator: &Operator) {
    let log = operator.log();
    let bad = log.lines().find(|line| line.len() > LINE || line.contains(MARKER));
    let shown: String = bad.unwrap_or_default().chars().take(300).collect();
    assert!(bad.is_none(), "{shown}");
}

async fn what_the_schema_lets_through_stalls_nobody(cx: Arc<Cluster>) {
    let cx = cx.own().await;
    cx.control_plane().install_crds().unwrap();
    let others = Others::new(&cx).await;
    let at = Requests::new(&cx, "hostile").await;
    let map = cx.kubectl(&["-n", at.namespace.name(), "create", "configmap", "owner", "-o", "json"]);
    let uid = &serde_json::from_str::<Value>(&map).unwrap()["metadata"]["uid"];
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid});
    let rows = hostile(&owner);
    let requests = Place::of(&at, "JobRequest");
    let templates = Place::of(&at, "JobTemplate");
    let cluster_templates = Place::of(&at, "ClusterJobTemplate");
    for place in [&requests, &templates, &cluster_templates] {
        for hostile in &rows {
            // Owners of a cluster's object must be of the cluster.
            if place.kind != "ClusterJobTemplate" || hostile.name != "many-owners" {
                place.create_hostile(hostile).await;
            }
        }
    }
    forge_jobs(&at).await;
    // A default that cannot be read stops who would run without its policy: the requests of its own namespace.
    let strict = Requests::new(&cx, "strict").await;
    let deep = nested(300, r#"{"a":"#, "}");
    let base = format!(
        r#","spec":{{"base":{{"overrides":{deep}}},"default":true,"policy":{{"overrides":"Forbid"}}}}"#
    );
    Place::of(&strict, "JobTemplate").create("default", "", &base).await;
    strict.create("below", spec(&json!({}), &json!({}))).await;

    let mut operator = Operator::start_for_all(&cx, &[]);
    others.are_served(&operator).await;
    for hostile in &rows {
        requests.until(hostile.name, hostile.fate).await;
        templates.until(hostile.name, as_template(hostile)).await;
        if hostile.name != "many-owners" {
            cluster_templates.until(hostile.name, as_template(hostile)).await;
        }
    }
    Place::of(&strict, "JobRequest").until("below", Refused("the stored template is nested deeper")).await;

    let edited: Vec<(&Place, &str)> = [&requests, &templates, &cluster_templates]
        .into_iter()
        .flat_map(|place| ["deep-maps", "deeper-lists", "many-values", "long-text"].map(|name| (place, name)))
        .collect();
    others.are_served_during_edits(&operator, &edited).await;

    // An API server that starts again answers watches from before with 410, so everything is listed anew.
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    let outage = cx.control_plane().outage().await;
    outage.end().await;
    others.are_served(&operator).await;
    eventually(DEADLINE, "all three kinds are listed anew", async || {
        let lists = audit.since(mark).await.user_agent("jobrequest/").verb("list");
        let is_listed = |resource| lists.resource(&format!("{resource}.jobrequest.dev")).count() > 0;
        if ["jobrequests", "jobtemplates", "clusterjobtemplates"].into_iter().all(is_listed) {
            Ok(())
        } else {
            Err(lists.to_string())
        }
    })
    .await;
    others.are_served(&operator).await;
    assert!(operator.is_running(), "{}", operator.log());
    assert_log_is_clean(&operator);
    operator.kill();

    // A new operator lists all of them, too, and does not say again what was said.
    let mark = audit.mark().await;
    let operator = Operator::start_for_all(&cx, &[]);
    others.are_served(&operator).await;
    requests.create_hostile(&Hostile { name: "deep-again", ..deep_row(&owner) }).await;
    requests.until("deep-again", Refused("is nested deeper")).await;
    let calls = audit.since(mark).await.user_agent("jobrequest/").writes();
    let again = calls.matching(|call| rows.iter().any(|row| row.name == call.name));
    assert_eq!(again.count(), 0, "{again}");
    assert_log_is_clean(&operator);

    let explained = Command::new(Operator::program())
        .args(["explain", "deep-maps", "-n", at.namespace.name(), "--kubeconfig"])
        .arg(cx.kubeconfig())
        .output()
        .expect("run explain");
    let text = String::from_utf8_lossy(&explained.stdout) + String::from_utf8_lossy(&explained.stderr);
    assert!(text.contains("the stored spec is nested deeper than 100 levels, in overrides.a"), "{text}");
}

fn deep_row(owner: &Value) -> Hostile {
    hostile(owner).into_iter().find(|row| row.name == "deep-maps").expect("the row")
}

/// Jobs that claim to be the operator's own, with all that a user may write on them.
async fn forge_jobs(at: &Requests) {
    let long = "x".repeat(120_000);
    for number in 0..5 {
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "name": format!("forged-{number}"),
                "labels": {
                    "app.kubernetes.io/managed-by": "jobrequest", "jobrequest.dev/request": "deep-maps",
                    "jobrequest.dev/run": "1"
                },
                "annotations": {"jobrequest.dev/in-place": long, "jobrequest.dev/templates": long}
            },
            "spec": {"suspend": true, "template": {"spec": {
                "restartPolicy": "Never", "containers": [{"name": "a", "image": "a:1"}]
            }}}
        });
        let job = serde_json::from_value(job).expect("a Job");
        at.jobs().create(&kube::api::PostParams::default(), &job).await.expect("create a Job");
    }
}

/// Name, spec, status; what becomes of the request: nothing that can be written, if the API server refuses a status.
fn old_shapes(deep: &str) -> Vec<(&'static str, String, String, Option<Fate>)> {
    let plain = r#""containers":[{"name":"main","image":"perl:5.24.4"}]"#;
    vec![
        (
            "spec-of-wrong-types",
            format!(r#"{{"settings":{{"backoffLimit":"{MARKER}"}},{plain}}}"#),
            "null".into(),
            Some(Refused("settings.backoffLimit")),
        ),
        // What the schema of today does not know is taken away when it is read.
        (
            "spec-deep-in-a-list",
            format!(r#"{{"containers":[{{"name":"a","a":{deep}}}]}}"#),
            "null".into(),
            Some(Refused("an image is needed")),
        ),
        ("spec-a-text", format!(r#""{MARKER}""#), "null".into(), None),
        ("spec-a-list", format!("[{deep}]"), "null".into(), None),
        ("spec-a-number", "1e300".into(), "null".into(), None),
        ("status-a-text", format!("{{{plain}}}"), format!(r#""{MARKER}""#), None),
        (
            "status-of-wrong-types",
            format!("{{{plain}}}"),
            r#"{"runs":"one","observedGeneration":1e300}"#.into(),
            Some(Fine),
        ),
        (
            "status-deep",
            format!("{{{plain}}}"),
            format!(r#"{{"runs":[{deep}],"conditions":{deep}}}"#),
            Some(Fine),
        ),
        (
            "status-with-many-values",
            format!("{{{plain}}}"),
            format!(r#"{{"runs":[{}{{}}]}}"#, "{},".repeat(50_000)),
            Some(Fine),
        ),
        (
            "status-long",
            format!("{{{plain}}}"),
            format!(r#"{{"observedGeneration":-1,"phase":"{0}","jobName":"{0}"}}"#, "x".repeat(600_000)),
            Some(Fine),
        ),
    ]
}

async fn what_an_older_schema_let_through_stalls_nobody(cx: Arc<Cluster>) {
    let cx = cx.own().await;
    install_loose_crds(&cx).await;
    let at = Requests::new(&cx, "old").await;
    let others = Others::new(&cx).await;
    let deep = nested(400, r#"{"a":"#, "}");
    let requests = old_shapes(&deep);
    let place = Place::of(&at, "JobRequest");
    for (name, spec, status, _) in &requests {
        place.create(name, "", &format!(r#","spec":{spec}"#)).await;
        if status != "null" {
            let body = format!(r#"{{"status":{status}}}"#);
            let path = format!("/{name}/status");
            let sent = place.send("PATCH", &path, "application/merge-patch+json", body).await;
            sent.unwrap_or_else(|e| panic!("status of {name}: {e}"));
        }
    }
    place.create("no-spec", "", "").await;
    for kind in ["JobTemplate", "ClusterJobTemplate"] {
        let place = Place::of(&at, kind);
        for (name, spec) in [
            ("spec-a-number", "7".to_owned()),
            ("spec-a-list", format!("[{deep}]")),
            ("base-a-text", format!(r#"{{"base":"{MARKER}"}}"#)),
            ("policy-deep", format!(r#"{{"policy":{deep}}}"#)),
            ("quotas-of-wrong-types", r#"{"quotas":{"small":{"limits":7}}}"#.to_owned()),
        ] {
            place.create(name, "", &format!(r#","spec":{spec},"status":{{"conditions":{deep}}}"#)).await;
        }
    }
    for kind in ["jobrequest", "jobtemplate", "clusterjobtemplate"] {
        cx.kubectl(&["replace", "-f", &format!("crds/{kind}s.jobrequest.dev.yaml")]);
    }
    cx.control_plane().install_crds().unwrap();
    // The API server takes a moment to judge by the new schema.
    eventually(DEADLINE, "the schema of this version is in force", async || {
        let probe = r#"{"apiVersion":"jobrequest.dev/v1alpha1","kind":"JobRequest","metadata":{"name":"probe"},"spec":7}"#;
        match place.send("POST", "?dryRun=All", "application/json", probe.to_owned()).await {
            Err(_) => Ok(()),
            Ok(()) => Err("still the old one"),
        }
    })
    .await;

    let mut operator = Operator::start_for_all(&cx, &[]);
    others.are_served(&operator).await;
    for (name, _, _, fate) in &requests {
        if let Some(fate) = fate {
            place.until(name, *fate).await;
        }
    }
    let readable: Vec<(&Place, &str)> =
        requests.iter().filter(|row| row.3.is_some()).map(|(name, ..)| (&place, *name)).collect();
    others.are_served_during_edits(&operator, &readable).await;
    assert!(operator.is_running(), "{}", operator.log());
    assert_log_is_clean(&operator);
    operator.kill();
    let operator = Operator::start_for_all(&cx, &[]);
    others.are_served(&operator).await;
    assert_log_is_clean(&operator);
}

/// The CRDs without a schema, as an early version might have had them.
async fn install_loose_crds(cx: &Cluster) {
    for kind in ["jobrequest", "jobtemplate", "clusterjobtemplate"] {
        let file = format!("crds/{kind}s.jobrequest.dev.yaml");
        let real = cx.kubectl(&["create", "--dry-run=client", "-o", "json", "-f", &file]);
        let mut crd: Value = serde_json::from_str(&real).expect("one CRD");
        for version in crd["spec"]["versions"].as_array_mut().expect("versions") {
            let version = version.as_object_mut().expect("a version");
            version.remove("selectableFields");
            version.remove("additionalPrinterColumns");
            let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
            version.insert("schema".to_owned(), json!({"openAPIV3Schema": anything}));
        }
        let loose = cx.log(&format!("loose-{kind}.json"));
        fs::write(&loose, crd.to_string()).unwrap();
        cx.kubectl(&["create", "-f", &loose.display().to_string()]);
        let name = format!("crd/{kind}s.jobrequest.dev");
        eventually(DEADLINE, "the CRD is established", async || {
            cx.try_kubectl(&["wait", "--for=condition=Established", &name, "--timeout=10s"])
        })
        .await;
    }
}

/// How many requests that are nearly as long as the API server takes them.
const LONGEST: usize = 60;
const MIB: f64 = 1024.0 * 1024.0;
/// The memory limit of the chart.
const LIMIT: f64 = 256.0 * MIB;

async fn long_requests_fit_into_memory(cx: Arc<Cluster>) {
    let cx = cx.own().await;
    cx.control_plane().install_crds().unwrap();
    let at = Requests::new(&cx, "long").await;
    let others = Others::new(&cx).await;
    let place = Place::of(&at, "JobRequest");
    let variables: Vec<Value> =
        (0..42).map(|number| json!({"name": format!("V{number}"), "value": "x".repeat(32_000)})).collect();
    let containers = json!([{"name": "main", "image": "perl:5.24.4", "env": variables}]);
    let rest = format!(r#","spec":{{"suspend":true,"containers":{containers}}}"#);
    let names: Vec<String> = (0..LONGEST).map(|number| format!("long-{number}")).collect();
    let create = async |name: &String| place.create(name, "", &rest).await;
    stream::iter(&names).for_each_concurrent(4, create).await;

    // While they are fresh, and once more when nothing is to be done about them.
    for what in ["at the first start", "at a restart"] {
        let operator = Operator::start_for_all(&cx, &[]);
        others.are_served(&operator).await;
        for name in &names {
            place.until_phase(name, "Suspended").await;
        }
        #[allow(clippy::cast_precision_loss)]
        operator.has_looked_at(LONGEST as f64, DEADLINE).await;
        let (resident, peak) = (operator.resident(), operator.peak());
        println!(
            "figure: {what}, {LONGEST} requests of 1.3 MB: {:.1} MiB, peak {:.1} MiB (below {:.0})",
            resident / MIB,
            peak / MIB,
            LIMIT / MIB
        );
        assert!(peak < LIMIT, "{what}: {:.1} MiB", peak / MIB);
        operator.stop().await;
    }
}
