//! What Kubernetes assumes by itself: a live object has it written out, and a JobRequest need not.
//!
//! The source is `pkg/apis/batch/v1/defaults.go` and `pkg/apis/core/v1/defaults.go` of Kubernetes.

use serde_json::{Value, json};

use super::draft::Fields;

/// Limit of failed pods that counts where there is a limit per index.
const NO_LIMIT: i64 = 2_147_483_647;

/// Takes the defaults out of a native Job spec, as it is serialized. `is_live`: what a person would have written is not
/// known apart from what the API server filled in.
pub(super) fn leave_out(spec: &mut Fields, is_live: bool) {
    let has_index_limit = spec.contains_key("backoffLimitPerIndex");
    drop(spec, "backoffLimit", &json!(if has_index_limit { NO_LIMIT } else { 6 }));
    drop(spec, "suspend", &json!(false));
    drop(spec, "manualSelector", &json!(false));
    let replacement = if spec.contains_key("podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    drop(spec, "podReplacementPolicy", &json!(replacement));
    for rule in items(spec.get_mut("podFailurePolicy").and_then(|policy| policy.get_mut("rules"))) {
        empty(rule, &["onPodConditions"]);
        for pattern in items(rule.get_mut("onPodConditions")) {
            drop(pattern, "status", &json!("True"));
        }
    }
    let Some(template) = spec.get_mut("template").and_then(Value::as_object_mut) else { return };
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("creationTimestamp");
        empty(metadata, &["labels", "annotations"]);
    }
    if let Some(pod) = template.get_mut("spec").and_then(Value::as_object_mut) {
        of_pod(pod, is_live);
    }
}

fn of_pod(pod: &mut Fields, is_live: bool) {
    for (field, default) in [
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("enableServiceLinks", json!(true)),
        ("restartPolicy", json!("Never")),
    ] {
        drop(pod, field, &default);
    }
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        drop(pod, field, &json!(false));
    }
    let texts = [
        "nodeName",
        "serviceAccountName",
        "serviceAccount",
        "hostname",
        "subdomain",
        "schedulerName",
        "priorityClassName",
        "dnsPolicy",
        "restartPolicy",
    ];
    blank(pod, &texts);
    // The old name of the same field, which the API server sets beside it.
    if pod.contains_key("serviceAccountName") {
        let name = pod.get("serviceAccountName").cloned().unwrap_or_default();
        drop(pod, "serviceAccount", &name);
    } else if let Some(name) = pod.remove("serviceAccount") {
        pod.insert("serviceAccountName".to_owned(), name);
    }
    empty(
        pod,
        &[
            "securityContext",
            "affinity",
            "nodeSelector",
            "tolerations",
            "imagePullSecrets",
            "initContainers",
            "volumes",
            "hostAliases",
            "readinessGates",
            "topologySpreadConstraints",
            "overhead",
            "resourceClaims",
            "schedulingGates",
            "ephemeralContainers",
        ],
    );
    for list in ["initContainers", "containers"] {
        for container in items(pod.get_mut(list)) {
            of_container(container, is_live);
        }
    }
    for volume in items(pod.get_mut("volumes")) {
        of_volume(volume);
    }
}

fn of_container(container: &mut Fields, is_live: bool) {
    drop(container, "terminationMessagePath", &json!("/dev/termination-log"));
    drop(container, "terminationMessagePolicy", &json!("FallbackToLogsOnError"));
    if is_live {
        drop(container, "terminationMessagePolicy", &json!("File"));
    }
    let texts =
        ["terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "workingDir", "image"];
    blank(container, &texts);
    for field in ["stdin", "stdinOnce", "tty"] {
        drop(container, field, &json!(false));
    }
    empty(container, &["securityContext", "ports", "env", "envFrom", "command", "args"]);
    empty(container, &["volumeMounts", "volumeDevices", "resizePolicy", "restartPolicyRules"]);
    if let Some(resources) = container.get_mut("resources").and_then(Value::as_object_mut) {
        empty(resources, &["limits", "requests", "claims"]);
    }
    empty(container, &["resources"]);
    for port in items(container.get_mut("ports")) {
        drop(port, "protocol", &json!("TCP"));
        drop(port, "hostPort", &json!(0));
        blank(port, &["protocol", "name", "hostIP"]);
    }
    for variable in items(container.get_mut("env")) {
        if variable.contains_key("valueFrom") {
            blank(variable, &["value"]);
        }
        let Some(source) = variable.get_mut("valueFrom") else { continue };
        if let Some(field) = source.get_mut("fieldRef").and_then(Value::as_object_mut) {
            of_field(field);
        }
        if let Some(resource) = source.get_mut("resourceFieldRef").and_then(Value::as_object_mut) {
            of_resource(resource);
        }
    }
    for source in items(container.get_mut("envFrom")) {
        blank(source, &["prefix"]);
    }
    for mount in items(container.get_mut("volumeMounts")) {
        blank(mount, &["subPath", "subPathExpr"]);
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(probe).and_then(Value::as_object_mut) {
            of_probe(probe);
        }
    }
    for hook in ["postStart", "preStop"] {
        let hook = container.get_mut("lifecycle").and_then(|lifecycle| lifecycle.get_mut(hook));
        if let Some(request) = hook.and_then(|hook| hook.get_mut("httpGet")).and_then(Value::as_object_mut) {
            of_request(request);
        }
    }
}

fn of_probe(probe: &mut Fields) {
    for (field, default) in [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
        ("initialDelaySeconds", 0),
    ] {
        drop(probe, field, &json!(default));
    }
    if let Some(request) = probe.get_mut("httpGet").and_then(Value::as_object_mut) {
        of_request(request);
    }
    if let Some(check) = probe.get_mut("grpc").and_then(Value::as_object_mut) {
        blank(check, &["service"]);
    }
}

fn of_request(request: &mut Fields) {
    drop(request, "path", &json!("/"));
    drop(request, "scheme", &json!("HTTP"));
    blank(request, &["path", "scheme", "host"]);
}

fn of_field(field: &mut Fields) {
    drop(field, "apiVersion", &json!("v1"));
    blank(field, &["apiVersion"]);
}

fn of_resource(resource: &mut Fields) {
    for divisor in ["0", "1"] {
        drop(resource, "divisor", &json!(divisor));
    }
    blank(resource, &["containerName"]);
}

fn of_volume(volume: &mut Fields) {
    if volume.keys().all(|key| key == "name") {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    for source in ["secret", "configMap", "projected", "downwardAPI"] {
        let Some(fields) = volume.get_mut(source).and_then(Value::as_object_mut) else { continue };
        // 0644.
        drop(fields, "defaultMode", &json!(420));
        empty(fields, &["items"]);
        let sources = fields.get_mut("sources");
        for source in items(sources) {
            if let Some(token) = source.get_mut("serviceAccountToken").and_then(Value::as_object_mut) {
                drop(token, "expirationSeconds", &json!(3600));
                blank(token, &["audience"]);
            }
            for kind in ["configMap", "secret", "downwardAPI"] {
                if let Some(source) = source.get_mut(kind).and_then(Value::as_object_mut) {
                    empty(source, &["items"]);
                    of_files(source);
                }
            }
        }
        of_files(fields);
    }
    for (source, texts) in
        [("hostPath", &["type"][..]), ("emptyDir", &["medium"]), ("csi", &["fsType"]), ("azureDisk", &[])]
    {
        if let Some(fields) = volume.get_mut(source).and_then(Value::as_object_mut) {
            blank(fields, texts);
            empty(fields, &["volumeAttributes"]);
        }
    }
    let claim = volume.get_mut("ephemeral").and_then(|ephemeral| ephemeral.get_mut("volumeClaimTemplate"));
    if let Some(claim) = claim.and_then(Value::as_object_mut) {
        if let Some(metadata) = claim.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("creationTimestamp");
        }
        empty(claim, &["metadata"]);
        if let Some(spec) = claim.get_mut("spec").and_then(Value::as_object_mut) {
            drop(spec, "volumeMode", &json!("Filesystem"));
        }
    }
}

/// Files of fields of the pod.
fn of_files(source: &mut Fields) {
    for file in items(source.get_mut("items")) {
        if let Some(field) = file.get_mut("fieldRef").and_then(Value::as_object_mut) {
            of_field(field);
        }
        if let Some(resource) = file.get_mut("resourceFieldRef").and_then(Value::as_object_mut) {
            of_resource(resource);
        }
    }
}

fn drop(fields: &mut Fields, field: &str, default: &Value) {
    if fields.get(field) == Some(default) {
        fields.remove(field);
    }
}

/// Takes out texts that are empty, which Kubernetes takes for absent.
fn blank(fields: &mut Fields, texts: &[&str]) {
    for text in texts {
        drop(fields, text, &json!(""));
    }
}

/// Takes out lists and objects that are empty, which Kubernetes takes for absent.
fn empty(fields: &mut Fields, names: &[&str]) {
    for name in names {
        let is_empty = match fields.get(*name) {
            Some(Value::Array(items)) => items.is_empty(),
            Some(Value::Object(fields)) => fields.is_empty(),
            _ => false,
        };
        if is_empty {
            fields.remove(*name);
        }
    }
}

/// The objects of a list.
fn items(list: Option<&mut Value>) -> impl Iterator<Item = &mut Fields> {
    list.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_server_fills_in_is_left_out() {
        let mut spec = json!({
            "backoffLimit": 6, "suspend": false, "podReplacementPolicy": "TerminatingOrFailed",
            "template": {"metadata": {"creationTimestamp": null}, "spec": {
                "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler", "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 30, "securityContext": {},
                "serviceAccount": "a", "serviceAccountName": "a",
                "containers": [{
                    "name": "main", "image": "perl:5", "resources": {}, "terminationMessagePolicy": "File",
                    "terminationMessagePath": "/dev/termination-log",
                    "ports": [{"containerPort": 80, "protocol": "TCP"}],
                    "livenessProbe": {"httpGet": {"path": "/", "port": 80, "scheme": "HTTP"}, "periodSeconds": 10},
                    "env": [{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}],
                }],
                "volumes": [{"name": "v", "configMap": {"name": "c", "defaultMode": 420}}, {"name": "e"}],
            }},
        });
        leave_out(spec.as_object_mut().unwrap(), true);
        let wanted = json!({"template": {"metadata": {}, "spec": {
            "serviceAccountName": "a",
            "containers": [{
                "name": "main", "image": "perl:5", "ports": [{"containerPort": 80}],
                "livenessProbe": {"httpGet": {"port": 80}},
                "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            }],
            "volumes": [{"name": "v", "configMap": {"name": "c"}}, {"name": "e", "emptyDir": {}}],
        }}});
        assert_eq!(spec, wanted);
    }

    #[test]
    fn what_differs_from_the_default_stays() {
        let spec = json!({
            "backoffLimit": 6, "backoffLimitPerIndex": 1, "podReplacementPolicy": "Failed",
            "template": {"spec": {
                "dnsPolicy": "Default", "restartPolicy": "OnFailure",
                "containers": [{"name": "main", "terminationMessagePolicy": "File"}],
                "volumes": [{"name": "v", "secret": {"secretName": "c", "defaultMode": 256}}],
            }},
        });
        let mut left = spec.clone();
        leave_out(left.as_object_mut().unwrap(), false);
        assert_eq!(left, spec);
    }
}
