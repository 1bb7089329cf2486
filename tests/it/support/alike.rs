//! Job specs that mean the same are the same value: what the API server fills in is filled in, and what JobRequest does
//! differently on purpose is taken out. docs/moving-a-job.md lists these differences.

use std::collections::BTreeMap;

use jobrequest::api::labels::{MANAGED_BY, REQUEST, RUN};
use serde_json::{Map, Value, json};

/// The spec of a Job, as it is compared.
pub(crate) fn alike(job: &Value) -> Value {
    let mut spec = job["spec"].clone();
    let fields = spec.as_object_mut().unwrap();
    // The operator cleans up, after it has recorded the result.
    fields.remove("ttlSecondsAfterFinished");
    // A generated one belongs to the Job controller.
    fields.remove("selector");
    fields.retain(|field, value| field != "managedBy" || value != "kubernetes.io/job-controller");
    let has = |field: &str| !spec[field].is_null();
    let no_counts = !has("parallelism") && !has("completions");
    let backoff_limit = if has("backoffLimitPerIndex") { i32::MAX } else { 6 };
    let replacement = if has("podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    if no_counts {
        spec["completions"] = 1.into();
    }
    fill(
        &mut spec,
        &[
            ("parallelism", json!(1)),
            ("backoffLimit", json!(backoff_limit)),
            ("completionMode", json!("NonIndexed")),
            ("suspend", json!(false)),
            ("manualSelector", json!(false)),
            ("podReplacementPolicy", json!(replacement)),
        ],
    );
    for rule in each(&mut spec["podFailurePolicy"]["rules"]) {
        for pattern in each(&mut rule["onPodConditions"]) {
            fill(pattern, &[("status", json!("True"))]);
        }
    }
    let own = [MANAGED_BY, REQUEST, RUN];
    let labels: BTreeMap<String, Value> =
        (spec["template"]["metadata"]["labels"].as_object().into_iter().flatten())
            .filter(|(key, _)| !own.contains(&key.as_str()) && !is_generated(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
    let mut metadata = spec["template"]["metadata"].take();
    metadata["labels"] = json!(labels);
    spec["template"]["metadata"] = metadata;
    pod(&mut spec["template"]["spec"], job["metadata"]["uid"].is_string());
    without_nothing(&mut spec);
    spec
}

/// The Job controller sets it on Jobs and pods.
fn is_generated(label: &str) -> bool {
    label.starts_with("batch.kubernetes.io/") || ["controller-uid", "job-name"].contains(&label)
}

fn pod(pod: &mut Value, is_live: bool) {
    fill(
        pod,
        &[
            ("dnsPolicy", json!("ClusterFirst")),
            ("schedulerName", json!("default-scheduler")),
            ("terminationGracePeriodSeconds", json!(30)),
            ("enableServiceLinks", json!(true)),
            ("hostNetwork", json!(false)),
            ("hostPID", json!(false)),
            ("hostIPC", json!(false)),
        ],
    );
    // Two names of one field.
    let account = pod["serviceAccountName"].clone();
    if account.is_null() || account == "" {
        pod["serviceAccountName"] = pod["serviceAccount"].take();
    } else {
        pod["serviceAccount"] = Value::Null;
    }
    for list in ["initContainers", "containers"] {
        for item in each(&mut pod[list]) {
            // Every live Job has this default.
            if is_live && item["terminationMessagePolicy"] == "File" {
                item["terminationMessagePolicy"] = Value::Null;
            }
            container(item);
        }
    }
    each(&mut pod["volumes"]).for_each(volume);
    sort(&mut pod["volumes"], "name");
}

fn container(container: &mut Value) {
    if container["imagePullPolicy"].is_null()
        && let Some(image) = container["image"].as_str()
    {
        let last = image.rsplit('/').next().unwrap();
        let is_latest = last.ends_with(":latest") || last.contains(":latest@") || !last.contains(':');
        container["imagePullPolicy"] = if is_latest { "Always" } else { "IfNotPresent" }.into();
    }
    if container["terminationMessagePolicy"] == "FallbackToLogsOnError" {
        container.as_object_mut().unwrap().remove("terminationMessagePolicy");
    }
    fill(
        container,
        &[
            ("terminationMessagePath", json!("/dev/termination-log")),
            ("stdin", json!(false)),
            ("stdinOnce", json!(false)),
            ("tty", json!(false)),
        ],
    );
    for port in each(&mut container["ports"]) {
        fill(port, &[("protocol", json!("TCP"))]);
    }
    for variable in each(&mut container["env"]) {
        if variable["valueFrom"].is_null() {
            fill(variable, &[("value", json!(""))]);
        }
        field(&mut variable["valueFrom"]["fieldRef"]);
        resource(&mut variable["valueFrom"]["resourceFieldRef"]);
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container[probe].is_object() {
            fill(
                &mut container[probe],
                &[
                    ("timeoutSeconds", json!(1)),
                    ("periodSeconds", json!(10)),
                    ("successThreshold", json!(1)),
                    ("failureThreshold", json!(3)),
                    ("initialDelaySeconds", json!(0)),
                ],
            );
            request(&mut container[probe]["httpGet"]);
        }
    }
    for hook in ["postStart", "preStop"] {
        request(&mut container["lifecycle"][hook]["httpGet"]);
    }
    sort(&mut container["volumeMounts"], "mountPath");
}

fn volume(volume: &mut Value) {
    if volume.as_object().unwrap().keys().all(|key| key == "name") {
        volume["emptyDir"] = json!({"present": true});
    }
    // An empty object is a source, and is not nothing.
    if volume["emptyDir"].is_object() {
        volume["emptyDir"]["present"] = json!(true);
    }
    for source in ["secret", "configMap", "projected", "downwardAPI"] {
        if volume[source].is_object() {
            fill(&mut volume[source], &[("defaultMode", json!(0o644))]);
        }
    }
    for source in each(&mut volume["projected"]["sources"]) {
        if source["serviceAccountToken"].is_object() {
            fill(&mut source["serviceAccountToken"], &[("expirationSeconds", json!(3600))]);
        }
        files(&mut source["downwardAPI"]["items"]);
    }
    files(&mut volume["downwardAPI"]["items"]);
    let claim = &mut volume["ephemeral"]["volumeClaimTemplate"]["spec"];
    if claim.is_object() {
        fill(claim, &[("volumeMode", json!("Filesystem"))]);
    }
}

fn files(items: &mut Value) {
    for file in each(items) {
        field(&mut file["fieldRef"]);
        resource(&mut file["resourceFieldRef"]);
    }
}

fn field(field: &mut Value) {
    if field.is_object() {
        fill(field, &[("apiVersion", json!("v1"))]);
    }
}

fn resource(resource: &mut Value) {
    if resource.is_object() && (resource["divisor"].is_null() || resource["divisor"] == "0") {
        resource["divisor"] = "1".into();
    }
}

fn request(request: &mut Value) {
    if request.is_object() {
        fill(request, &[("path", json!("/")), ("scheme", json!("HTTP"))]);
    }
}

fn fill(fields: &mut Value, defaults: &[(&str, Value)]) {
    for (field, default) in defaults {
        if fields[*field].is_null() || (fields[*field] == "" && *field != "value") {
            fields[*field] = default.clone();
        }
    }
}

fn each(list: &mut Value) -> impl Iterator<Item = &mut Value> {
    list.as_array_mut().into_iter().flatten()
}

fn sort(list: &mut Value, key: &str) {
    if let Some(list) = list.as_array_mut() {
        list.sort_by_key(|item| item[key].to_string());
    }
}

/// Takes out nulls, empty objects and lists: to the API server they are absent where it matters here.
fn without_nothing(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(without_nothing);
            // A selector of everything is not one of nothing.
            fields.retain(|key, value| {
                !is_blank(key, value)
                    && (["labelSelector", "namespaceSelector"].contains(&key.as_str()) && !value.is_null()
                        || !is_nothing(value))
            });
        }
        Value::Array(items) => items.iter_mut().for_each(without_nothing),
        _ => {}
    }
}

/// Texts that mean nothing when they are empty, and a port that is none.
fn is_blank(field: &str, value: &Value) -> bool {
    const TEXTS: [&str; 8] =
        ["nodeName", "serviceAccountName", "subPath", "prefix", "medium", "service", "type", "name"];
    (*value == "" && TEXTS.contains(&field)) || (field == "hostPort" && *value == 0)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The paths at which two values differ, each with both.
pub(crate) fn differences(one: &Value, other: &Value, path: &str) -> Vec<(String, Value, Value)> {
    match (one, other) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
            let of = |fields: &Map<String, Value>, key: &String| fields.get(key).cloned().unwrap_or_default();
            keys.into_iter()
                .flat_map(|key| differences(&of(left, key), &of(right, key), &format!("{path}.{key}")))
                .collect()
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let both = left.iter().zip(right).enumerate();
            both.flat_map(|(index, (left, right))| differences(left, right, &format!("{path}[{index}]")))
                .collect()
        }
        _ if one == other => Vec::new(),
        _ => vec![(path.to_owned(), one.clone(), other.clone())],
    }
}
