//! Policies against the API server: the Pod Security Standards, the order of quantities, and the schema of a policy.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jobrequest::api::pod_security::PodSecurity;
use jobrequest::api::policy::Policy;
use jobrequest::api::status::EffectiveSettings;
use jobrequest::compile::policy::pod_security::violations;
use jobrequest::compile::policy::{Named, judge};
use jobrequest::compile::quantity::Amount;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{LimitRange, Namespace as CoreNamespace, PodTemplateSpec};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, CustomResource, CustomResourceExt, KubeSchema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::requests::try_create;
use crate::support::{Cluster, DEADLINE, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        pod_security_is_judged_as_the_api_server_does: pod_security,
        quantities_are_compared_as_the_api_server_does: quantities,
        what_was_cut_is_a_job_to_the_api_server: cuts,
        a_pod_counts_what_it_counts_for_a_limit_range,
        each_rule_of_a_policy_accepts_and_refuses,
    ]
}

/// A pod of a container, a sidecar and an init container, and what `restricted` demands if so.
fn pod(is_restricted: bool) -> Value {
    let context = if is_restricted {
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})
    } else {
        json!({})
    };
    let container = |name: &str| json!({"name": name, "image": "x", "securityContext": context});
    let mut sidecar = container("sidecar");
    sidecar["restartPolicy"] = json!("Always");
    let mut pod = json!({
        "metadata": {"name": "pod"},
        "spec": {"restartPolicy": "Never", "containers": [container("main")], "initContainers": [container("init"), sidecar]}
    });
    if is_restricted {
        pod["spec"]["securityContext"] =
            json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    }
    pod
}

/// A row of tests/policy/pod-security-pods.yaml.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Try {
    name: String,
    /// What is changed in one container after the other.
    container: Option<Value>,
    /// Which containers; all of them, if it is absent.
    of: Option<Vec<String>>,
    /// What is changed in the pod.
    pod: Option<Value>,
}

/// Names and changes of the parts of a pod: its metadata, its spec, the container, the init container, the sidecar.
fn pods() -> Vec<(String, Value)> {
    let each = |row: Try| {
        let pod = row.pod.unwrap_or_else(|| json!({}));
        let is_of_containers = row.container.is_some() || row.of.is_some() || pod.to_string().contains('@');
        if !is_of_containers {
            return vec![(row.name, pod)];
        }
        let all = || ["main", "init", "sidecar"].map(str::to_owned).into();
        let containers: Vec<String> = row.of.unwrap_or_else(all);
        let change = |at: String| {
            let mut patch: Value = serde_json::from_str(&pod.to_string().replace('@', &at)).unwrap();
            if let Some(change) = &row.container {
                patch[&at] = change.clone();
            }
            (format!("{at} {}", row.name), patch)
        };
        containers.into_iter().map(change).collect()
    };
    rows::<Try>("pod-security-pods").into_iter().flat_map(each).collect()
}

/// The rows of tests/policy/`rule`.yaml.
fn rows<R: DeserializeOwned>(rule: &str) -> Vec<R> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/policy/{rule}.yaml"));
    let rows: Vec<R> = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert!(rows.len() > 3, "{} has only {} rows", file.display(), rows.len());
    rows
}

async fn pod_security(cx: Arc<Cluster>) {
    let client = cx.client().await;
    let (mut wrong, mut judged, mut admitted) = (Vec::new(), 0, 0);
    for (standard, level) in [("baseline", PodSecurity::Baseline), ("restricted", PodSecurity::Restricted)] {
        let namespace = cx.namespace(standard).await;
        let labels = json!({"metadata": {"labels": {
            "pod-security.kubernetes.io/enforce": standard,
            "pod-security.kubernetes.io/enforce-version": "latest"
        }}});
        Api::<CoreNamespace>::all(client.clone())
            .patch(namespace.name(), &PatchParams::default(), &Patch::Merge(labels))
            .await
            .unwrap();
        let collection = format!("/api/v1/namespaces/{}/pods", namespace.name());
        let refused = pod(false);
        eventually(DEADLINE, "the standard is enforced", async || {
            let privileged = json!({"metadata": refused["metadata"], "spec": {"hostPID": true, "containers": refused["spec"]["containers"]}});
            match try_create(&client, &collection, &privileged).await {
                Err(message) if message.contains("violates PodSecurity") => Ok(()),
                other => Err(other),
            }
        })
        .await;
        for (name, patch) in pods() {
            let mut is_valid = false;
            for base in [true, false] {
                let mut pod = pod(base);
                for (part, at) in [
                    ("metadata", "/metadata"),
                    ("spec", "/spec"),
                    ("main", "/spec/containers/0"),
                    ("init", "/spec/initContainers/0"),
                    ("sidecar", "/spec/initContainers/1"),
                ] {
                    if !patch[part].is_null() {
                        json_patch::merge(pod.pointer_mut(at).unwrap(), &patch[part]);
                    }
                }
                let template: PodTemplateSpec = serde_json::from_value(pod.clone()).unwrap();
                let ours = violations(level, &template);
                let theirs = match try_create(&client, &collection, &pod).await {
                    Ok(()) => None,
                    Err(message) if message.contains("violates PodSecurity") => Some(message),
                    // Such a pod cannot be, no matter who judges it.
                    Err(_) => continue,
                };
                is_valid = true;
                judged += 1;
                admitted += usize::from(theirs.is_none());
                if ours.is_empty() != theirs.is_none() {
                    wrong.push(format!(
                        "{standard}, {name} (on restricted: {base}): {ours:?}; API server: {theirs:?}"
                    ));
                }
            }
            if !is_valid {
                wrong.push(format!("{standard}, {name}: never valid"));
            }
        }
    }
    println!("figure: {judged} pods judged like the API server, {admitted} of them admitted");
    assert!(wrong.is_empty(), "{} of {judged}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(judged > 500 && admitted > 100, "{judged} judged, {admitted} admitted");
}

/// Something to ask the API server: how it compares quantities, and what it thinks of a policy.
#[derive(CustomResource, Clone, Debug, Default, Serialize, Deserialize, KubeSchema)]
#[kube(group = "probe.jobrequest.dev", version = "v1", kind = "Probe", namespaced)]
#[serde(rename_all = "camelCase")]
struct ProbeSpec {
    /// The policy.
    policy: Option<Policy>,
    /// Pairs of quantities.
    #[schemars(length(max = 100))]
    pairs: Option<Vec<Pair>>,
    /// Texts that may be quantities.
    #[schemars(length(max = 100))]
    texts: Option<Vec<Text>>,
}

/// Two quantities, and what comparing them gives.
#[derive(Clone, Debug, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("quantity(self.a).compareTo(quantity(self.b)) == self.sign").message("compares otherwise"))]
struct Pair {
    #[schemars(length(max = 80))]
    a: String,
    #[schemars(length(max = 80))]
    b: String,
    #[schemars(range(min = -1, max = 1))]
    sign: i32,
}

/// A text, and whether it is a quantity.
#[derive(Clone, Debug, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("isQuantity(self.text) == self.valid").message("is judged otherwise"))]
struct Text {
    #[schemars(length(max = 80))]
    text: String,
    valid: bool,
}

/// Installs the CRD of the probe; returns the collection in a namespace of its own.
async fn probes(cx: &Cluster, client: &Client) -> String {
    let namespace = cx.namespace("probe").await;
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    match crds.create(&PostParams::default(), &Probe::crd()).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {}
        Err(error) => panic!("the API server refuses the schema: {error}"),
    }
    let collection = format!("/apis/probe.jobrequest.dev/v1/namespaces/{}/probes", namespace.name());
    eventually(DEADLINE, "probes are served", async || {
        try_create(client, &collection, &probe(json!({}))).await
    })
    .await;
    collection
}

#[allow(clippy::needless_pass_by_value)]
fn probe(spec: Value) -> Value {
    json!({"apiVersion": "probe.jobrequest.dev/v1", "kind": "Probe", "metadata": {"name": "probe"}, "spec": spec})
}

const QUANTITIES: [&str; 44] = [
    "0",
    "-1",
    "1n",
    "1u",
    "1m",
    "100m",
    "999m",
    "0.5",
    ".5",
    "1",
    "1.",
    "+1",
    "1.0000000001",
    "1.000000001",
    "0.1n",
    "1000m",
    "1e0",
    "1E0",
    "1e3",
    "1E3",
    "1k",
    "1000",
    "1Ki",
    "1024",
    "0.0000000001Ki",
    "1.5Ki",
    "1M",
    "1Mi",
    "1G",
    "1Gi",
    "1536Mi",
    "1.5Gi",
    "1T",
    "1Ti",
    "1P",
    "1Pi",
    "1E",
    "1Ei",
    "8Ei",
    "9223372036854775807",
    "9223372036854775808",
    "9223372036854775807Ki",
    "12345678901234567890.123456789012345678901234567890",
    "1e4294967299",
];

async fn quantities(cx: Arc<Cluster>) {
    let client = cx.client().await;
    let collection = probes(&cx, &client).await;
    let amount = |text: &str| Amount::parse(text).unwrap_or_else(|| panic!("{text}"));
    let mut wrong = Vec::new();
    for a in QUANTITIES {
        let pair = |b: &&str| json!({"a": a, "b": b, "sign": amount(a).cmp(&amount(b)) as i32});
        let pairs: Vec<Value> = QUANTITIES.iter().map(pair).collect();
        if let Err(message) = try_create(&client, &collection, &probe(json!({"pairs": pairs}))).await {
            wrong.push(format!("{a}: {message}"));
        }
    }
    let texts = [
        "",
        "x",
        "1x",
        "1e",
        "1Zi",
        "1e1.5",
        "1..5",
        "1 Gi",
        "--1",
        "0x1",
        "1ki",
        "1Gib",
        "1K",
        "1mi",
        "1e+3",
        "1e-3",
        "1Ee3",
        "1k5",
        "1m-3",
        "1e-",
        "1_000",
        "1,5",
        "\u{661}",
        "NaN",
        "1E",
        "1Ei",
        "1e99999999999999999999",
        "-.5",
    ];
    let texts: Vec<Value> =
        texts.iter().map(|text| json!({"text": text, "valid": Amount::parse(text).is_some()})).collect();
    if let Err(message) = try_create(&client, &collection, &probe(json!({"texts": texts}))).await {
        wrong.push(message);
    }
    let lie = json!({"pairs": [{"a": "1", "b": "1000m", "sign": 1}]});
    assert!(try_create(&client, &collection, &probe(lie)).await.is_err(), "the probe judges nothing");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A row of tests/policy/clamp.yaml, as far as the API server is asked about it.
#[derive(Deserialize)]
struct Cut {
    name: String,
    policy: Policy,
    #[serde(default = "nothing")]
    job: Value,
    #[serde(default = "nothing")]
    settings: Value,
}

fn nothing() -> Value {
    json!({})
}

/// A Job that the API server takes is still one after its numbers were cut.
async fn cuts(cx: Arc<Cluster>) {
    let client = cx.client().await;
    let namespace = cx.namespace("cuts").await;
    let collection = format!("/apis/batch/v1/namespaces/{}/jobs", namespace.name());
    let mut wrong = Vec::new();
    for row in rows::<Cut>("clamp") {
        let name = &row.name;
        let mut spec = json!({
            "parallelism": 1, "completions": 1, "backoffLimit": 6,
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "perl:5"}]}},
        });
        json_patch::merge(&mut spec, &row.job);
        let job = json!({"metadata": {"name": "judged"}, "spec": spec});
        let mut cut: Job = serde_json::from_value(job.clone()).unwrap();
        let named = [Named { origin: "T/a", policy: &row.policy }];
        let mut settings = serde_json::from_value(row.settings.clone()).unwrap();
        let verdict = judge(&mut cut, &mut settings, &named);
        if !verdict.denied.is_empty() || verdict.clamped.is_empty() {
            wrong.push(format!("{name}: {verdict:?}"));
        }
        for (what, job) in [("as written", job), ("cut", serde_json::to_value(cut).unwrap())] {
            if let Err(message) = try_create(&client, &collection, &job).await {
                wrong.push(format!("{name}, {what}: {message}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// runMax for one pod is what a LimitRange of type Pod has as max.
async fn a_pod_counts_what_it_counts_for_a_limit_range(cx: Arc<Cluster>) {
    let client = cx.client().await;
    let limited =
        |name: &str, cpu: &str| json!({"name": name, "image": "x", "resources": {"limits": {"cpu": cpu}}});
    let asking = |name: &str| json!({"name": name, "image": "x", "resources": {"limits": {"cpu": 1}, "requests": {"cpu": "100m"}}});
    let sidecar = |name: &str, cpu: &str| {
        let mut container = limited(name, cpu);
        container["restartPolicy"] = json!("Always");
        container
    };
    let pods = [
        (vec![limited("a", "1")], vec![], None),
        (vec![limited("a", "1500m"), limited("b", ".5")], vec![], None),
        (vec![limited("a", "1500m"), limited("b", "501m")], vec![], None),
        (vec![limited("a", "1")], vec![limited("i", "3")], None),
        (vec![limited("a", "1")], vec![limited("i", "1"), limited("j", "1")], None),
        (vec![limited("a", "1")], vec![sidecar("s", "1"), limited("j", "2")], None),
        (vec![limited("a", "1")], vec![limited("j", "2"), sidecar("s", "1")], None),
        (
            vec![limited("a", "1")],
            vec![limited("i", "4"), sidecar("s", "2"), limited("j", "3"), sidecar("t", "1")],
            None,
        ),
        (vec![limited("a", "1")], vec![sidecar("s", "1"), sidecar("t", "1"), sidecar("u", "1")], None),
        (vec![limited("a", "1")], vec![], Some("4")),
        (vec![asking("a"), asking("b")], vec![], Some("1")),
        (vec![limited("a", "1"), json!({"name": "b", "image": "x"})], vec![], Some("3")),
    ];
    let (mut wrong, mut judged) = (Vec::new(), 0);
    for max in ["1", "2", "3", "4", "5"] {
        let namespace = cx.namespace("limits").await;
        let range = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "max"}, "spec": {"limits": [{"type": "Pod", "max": {"cpu": max}}]}});
        let ranges: Api<LimitRange> = namespace.api(&client);
        ranges.create(&PostParams::default(), &serde_json::from_value(range).unwrap()).await.unwrap();
        let collection = format!("/api/v1/namespaces/{}/pods", namespace.name());
        let send = async |spec: &Value| {
            try_create(&client, &collection, &json!({"metadata": {"name": "pod"}, "spec": spec})).await
        };
        eventually(DEADLINE, "the range is enforced", async || {
            match send(&json!({"containers": [limited("a", "9")]})).await {
                Err(message) if message.contains("maximum cpu usage per Pod") => Ok(()),
                other => Err(other),
            }
        })
        .await;
        let policy: Policy = serde_json::from_value(json!({"resources": {"runMax": {"cpu": max}}})).unwrap();
        let named = [Named { origin: "ClusterJobTemplate/a", policy: &policy }];
        for (main, init, of_pod) in &pods {
            let mut spec = json!({"restartPolicy": "Never", "containers": main, "initContainers": init});
            if let Some(cpu) = of_pod {
                spec["resources"] = json!({"limits": {"cpu": cpu}});
            }
            let mut job: Job =
                serde_json::from_value(json!({"spec": {"parallelism": 1, "template": {"spec": spec}}}))
                    .unwrap();
            let ours = judge(&mut job, &mut EffectiveSettings::default(), &named).denied;
            let theirs = send(&spec).await;
            let is_refused =
                theirs.as_ref().is_err_and(|message| message.contains("maximum cpu usage per Pod"));
            judged += 1;
            if theirs.is_err() != is_refused || is_refused == ours.is_empty() {
                wrong.push(format!("max {max}, {spec}: {ours:?}; API server: {theirs:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {judged}:\n{}", wrong.len(), wrong.join("\n"));
}

/// A row of tests/policy/schema.yaml.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: String,
    accepted: Value,
    refused: Value,
    /// A part of the refusal.
    message: String,
}

async fn each_rule_of_a_policy_accepts_and_refuses(cx: Arc<Cluster>) {
    let client = cx.client().await;
    let collection = probes(&cx, &client).await;
    let many = |count: usize, make: &dyn Fn(usize) -> String| (0..count).map(make).collect::<Vec<_>>();
    let name = |number: usize| format!("{}-{number}", "n".repeat(240));
    let image = |number: usize| format!("r{number}.example.com/{}/**", "p".repeat(1000));
    // The longest lists that are taken, of the longest names.
    let lists = [
        ("images.allow", many(128, &image), many(129, &image)),
        ("serviceAccounts", many(128, &name), many(129, &name)),
        ("priorityClasses", many(128, &name), many(129, &name)),
        (
            "nodeSelectorKeys",
            many(128, &|n| format!("{}/k{n}", "p".repeat(250))),
            many(129, &|n| format!("k{n}")),
        ),
        (
            "locked",
            many(128, &|n| format!("labels[{}{n}]", "l".repeat(230))),
            many(129, &|n| format!("labels[{n}]")),
        ),
    ];
    let lists = lists.map(|(list, accepted, refused)| {
        let policy = |items: Vec<String>| match list.split_once('.') {
            Some((rule, list)) => json!({rule: {list: items}}),
            None => json!({list: items}),
        };
        Rule {
            name: format!("many {list}"),
            accepted: policy(accepted),
            refused: policy(refused),
            message: "128".to_owned(),
        }
    });
    let table: Vec<Rule> = rows("schema").into_iter().chain(lists).collect();
    let mut wrong = Vec::new();
    for Rule { name: rule, accepted, refused, message: part } in &table {
        if let Err(message) = try_create(&client, &collection, &probe(json!({"policy": accepted}))).await {
            wrong.push(format!("{rule}: refused: {message}"));
        }
        match try_create(&client, &collection, &probe(json!({"policy": refused}))).await {
            Ok(()) => wrong.push(format!("{rule}: took {refused}")),
            Err(message) if !message.contains(part) => {
                wrong.push(format!("{rule}: does not say '{part}': {message}"));
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), table.len(), wrong.join("\n"));
    // An empty list is not the same as none, also after the API server has stored it.
    let empty = json!({"serviceAccounts": [], "images": {"allow": []}});
    let probes: Api<Probe> = Api::namespaced(client, collection.split('/').nth(5).unwrap());
    let sent: Probe = serde_json::from_value(probe(json!({"policy": empty}))).unwrap();
    let stored = probes.create(&PostParams::default(), &sent).await.unwrap();
    let stored = probes.get(&stored.metadata.name.unwrap()).await.unwrap();
    assert_eq!(serde_json::to_value(stored.spec.policy).unwrap(), empty);
}
