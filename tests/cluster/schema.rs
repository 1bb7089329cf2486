//! The rules of the CRD: for each, a spec that the API server takes, and one that it refuses with a plain message.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::requests::{Requests, try_create};
use crate::support::{Cluster, Namespace, Test};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        each_rule_accepts_and_refuses,
        each_bound_holds,
        names_of_requests,
        a_wiped_status_counts_as_unobserved,
    ]
}

/// Sends JobRequests as a person does, as a dry run with strict validation.
struct Server {
    client: kube::Client,
    namespace: String,
}

impl Server {
    async fn send(&self, name: &str, spec: &Value) -> Result<(), String> {
        let body = json!({
            "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest",
            "metadata": {"name": name}, "spec": spec
        });
        let collection = format!("/apis/jobrequest.dev/v1alpha1/namespaces/{}/jobrequests", self.namespace);
        try_create(&self.client, &collection, &body).await
    }
}

async fn server(cx: &Cluster) -> (Server, Namespace) {
    let namespace = cx.namespace("schema").await;
    (Server { client: cx.client().await, namespace: namespace.name().to_owned() }, namespace)
}

fn container(more: &Value) -> Value {
    let mut container = json!({"name": "main", "image": "x"});
    for (key, value) in more.as_object().unwrap() {
        container[key] = value.clone();
    }
    json!({"containers": [container]})
}

/// Rule, what is taken, what is refused, words of the refusal.
#[allow(clippy::too_many_lines)] // a table
pub(crate) fn rules() -> Vec<(&'static str, Value, Value, &'static str)> {
    let env = |variable: Value| container(&json!({"env": [variable]}));
    let volume = |source: Value| {
        let mut volume = json!({"name": "v"});
        for (key, value) in source.as_object().unwrap() {
            volume[key] = value.clone();
        }
        json!({"volumes": [volume]})
    };
    let key_ref = json!({"kind": "Secret", "name": "s", "key": "k"});
    let policy = json!({"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}]});
    vec![
        ("nothing is required", json!({}), json!(7), "must be of type object"),
        ("unknown fields", json!({}), json!({"containerz": []}), "unknown field"),
        ("alias is there", json!({"alias": "计算圆周率"}), json!({"alias": ""}), "spec.alias"),
        (
            "one source of a variable",
            env(json!({"name": "A", "value": ""})),
            env(json!({"name": "A"})),
            "exactly one of value",
        ),
        (
            "not both sources",
            env(json!({"name": "A", "configRef": key_ref})),
            env(json!({"name": "A", "value": "x", "configRef": key_ref})),
            "exactly one of value",
        ),
        (
            "names of variables",
            env(json!({"name": "a.b", "value": "x"})),
            env(json!({"name": "A=B", "value": "x"})),
            "env[0].name",
        ),
        (
            "unique variables",
            container(&json!({"env": [{"name": "A", "value": "x"}, {"name": "B", "value": "x"}]})),
            container(&json!({"env": [{"name": "A", "value": "x"}, {"name": "A", "value": "y"}]})),
            "Duplicate value",
        ),
        (
            "kind of a reference",
            env(json!({"name": "A", "configRef": key_ref})),
            env(json!({"name": "A", "configRef": {"kind": "Vault", "name": "s", "key": "k"}})),
            "Unsupported value",
        ),
        (
            "unique containers",
            json!({"containers": [{"name": "a"}, {"name": "b"}]}),
            json!({"containers": [{"name": "a"}, {"name": "a"}]}),
            "Duplicate value",
        ),
        (
            "names across both lists",
            json!({"containers": [{"name": "a"}], "initContainers": [{"name": "b"}]}),
            json!({"containers": [{"name": "a"}], "initContainers": [{"name": "a"}]}),
            "initContainers",
        ),
        (
            "names of containers",
            json!({"containers": [{"name": "a-b"}]}),
            json!({"containers": [{"name": "A_b"}]}),
            "containers[0].name",
        ),
        (
            "a container has a name",
            json!({"containers": [{"name": "main", "image": "x"}]}),
            json!({"containers": [{"image": "x"}]}),
            "containers[0].name",
        ),
        ("image is no empty text", container(&json!({})), container(&json!({"image": " "})), "image"),
        (
            "pull policy",
            container(&json!({"imagePullPolicy": "Always"})),
            container(&json!({"imagePullPolicy": "Sometimes"})),
            "Unsupported value",
        ),
        (
            "port numbers",
            container(&json!({"ports": [{"port": 65535}]})),
            container(&json!({"ports": [{"port": 65536}]})),
            "ports[0].port",
        ),
        (
            "ports per protocol",
            container(&json!({"ports": [{"port": 80}, {"port": 80, "protocol": "UDP"}]})),
            container(&json!({"ports": [{"port": 80}, {"port": 80, "protocol": "TCP"}]})),
            "a port is listed twice",
        ),
        (
            "port protocol",
            container(&json!({"ports": [{"port": 80, "protocol": "TCP"}]})),
            container(&json!({"ports": [{"port": 80, "protocol": "SCTP"}]})),
            "Unsupported value",
        ),
        (
            "port names",
            container(&json!({"ports": [{"port": 80, "name": "http"}]})),
            container(&json!({"ports": [{"port": 80, "name": "HTTP"}]})),
            "ports[0].name",
        ),
        (
            "quantities",
            container(&json!({"resources": {"limits": {"cpu": "1.5"}}})),
            container(&json!({"resources": {"limits": {"cpu": "1..5"}}})),
            "must be a quantity",
        ),
        (
            "fractions are quoted",
            container(&json!({"resources": {"limits": {"cpu": 2}}})),
            container(&json!({"resources": {"limits": {"cpu": 0.5}}})),
            "integer,string",
        ),
        (
            "request not above limit",
            container(&json!({"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1024Mi"}}})),
            container(&json!({"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1G"}}})),
            "request",
        ),
        (
            "limit 0 is none",
            container(&json!({"resources": {"requests": {"cpu": 1}, "limits": {"cpu": "0"}}})),
            container(&json!({"resources": {"requests": {"cpu": 1}, "limits": {"cpu": "500m"}}})),
            "request",
        ),
        (
            "unique mount paths",
            container(&json!({"mounts": [{"volume": "v", "path": "/a"}, {"volume": "v", "path": "/b"}]})),
            container(&json!({"mounts": [{"volume": "v", "path": "/a"}, {"volume": "w", "path": "/a"}]})),
            "Duplicate value",
        ),
        (
            "a mount may name a template's volume",
            container(&json!({"mounts": [{"volume": "elsewhere", "path": "/a"}]})),
            container(&json!({"mounts": [{"volume": "v", "path": "/a:b"}]})),
            "path",
        ),
        (
            "subPath stays inside",
            container(&json!({"mounts": [{"volume": "v", "path": "/a", "subPath": "a..b"}]})),
            container(&json!({"mounts": [{"volume": "v", "path": "/a", "subPath": "a/../b"}]})),
            "subPath",
        ),
        ("one source of a volume", volume(json!({"emptyDir": {}})), volume(json!({})), "exactly one"),
        (
            "not two sources",
            volume(json!({"configRef": {"kind": "Secret", "name": "s"}})),
            volume(json!({"emptyDir": {}, "configRef": {"kind": "Secret", "name": "s"}})),
            "exactly one",
        ),
        (
            "mode of files",
            volume(json!({"configRef": {"kind": "Secret", "name": "s", "defaultMode": 420}})),
            volume(json!({"configRef": {"kind": "Secret", "name": "s", "defaultMode": 512}})),
            "defaultMode",
        ),
        (
            "medium",
            volume(json!({"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}})),
            volume(json!({"emptyDir": {"medium": "Disk"}})),
            "medium",
        ),
        (
            "unique volumes",
            json!({"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}]}),
            json!({"volumes": [{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]}),
            "Duplicate value",
        ),
        (
            "settings are not negative",
            json!({"settings": {"backoffLimit": 0, "activeDeadlineSeconds": 0}}),
            json!({"settings": {"backoffLimit": -1}}),
            "backoffLimit",
        ),
        (
            "successPolicy is for indexes",
            json!({"settings": {"completionMode": "Indexed", "successPolicy": {"rules": [{"succeededCount": 1}]}}}),
            json!({"settings": {"completionMode": "NonIndexed", "successPolicy": {"rules": [{"succeededCount": 1}]}}}),
            "successPolicy",
        ),
        (
            "a mode may come from a template",
            json!({"settings": {"backoffLimitPerIndex": 1}}),
            json!({"settings": {"completionMode": "WorkQueue", "backoffLimitPerIndex": 1}}),
            "backoffLimitPerIndex",
        ),
        (
            "a work queue has no completions",
            json!({"settings": {"completionMode": "WorkQueue", "parallelism": 2}}),
            json!({"settings": {"completionMode": "WorkQueue", "completions": 2}}),
            "completions",
        ),
        (
            "podFailurePolicy needs Never",
            json!({"restartPolicy": "Never", "settings": {"podFailurePolicy": policy}}),
            json!({"restartPolicy": "OnFailure", "settings": {"podFailurePolicy": policy}}),
            "podFailurePolicy",
        ),
        (
            "restart policy",
            json!({"restartPolicy": "OnFailure"}),
            json!({"restartPolicy": "Always"}),
            "Unsupported value",
        ),
        (
            "one pattern a rule",
            json!({"settings": {"podFailurePolicy": policy}}),
            json!({"settings": {"podFailurePolicy": {"rules": [{"action": "Ignore"}]}}}),
            "onExitCodes",
        ),
        (
            "labels",
            json!({"labels": {"app.kubernetes.io/name": "x", "kueue.x-k8s.io/queue-name": "q"}}),
            json!({"labels": {"a b": "x"}}),
            "labels",
        ),
        ("values of labels", json!({"labels": {"a": ""}}), json!({"labels": {"a": "x!"}}), "labels"),
        (
            "reserved labels",
            json!({"labels": {"tier": "job"}}),
            json!({"labels": {"jobrequest.dev/run": "7"}}),
            "reserved",
        ),
        (
            "managed-by passes, as every chart writes it",
            json!({"labels": {"app.kubernetes.io/managed-by": "Helm", "kubernetes.io/a": "b"}}),
            json!({"labels": {"controller-uid": "u", "job-name": "j"}}),
            "reserved: ",
        ),
        (
            "annotations of Kubernetes pass",
            json!({"annotations": {"kubernetes.io/egress-bandwidth": "10M"}}),
            json!({"annotations": {"jobrequest.dev/a": "", "a b": "", "c d": ""}}),
            "not well-formed: ",
        ),
        (
            "one source of a variable",
            container(&json!({"env": [{"name": "A", "fieldRef": "metadata.labels['a']"}]})),
            container(&json!({"env": [{"name": "A", "fieldRef": "metadata.name", "value": ""}]})),
            "exactly one",
        ),
        (
            "fields of a pod",
            container(&json!({"env": [{"name": "A", "fieldRef": "status.podIPs"}]})),
            container(&json!({"env": [{"name": "A", "fieldRef": "spec.hostname"}]})),
            "fieldRef",
        ),
        (
            "amounts of a container",
            container(&json!({"env": [{"name": "A", "resourceRef": {"resource": "limits.hugepages-2Mi"}}]})),
            container(&json!({"env": [{"name": "A", "resourceRef": {"resource": "limits.gpu"}}]})),
            "resource",
        ),
        (
            "security settings of a container",
            container(&json!({"securityContext": {"privileged": true, "runAsUser": 0}})),
            container(&json!({"securityContext": {"privileged": true, "allowPrivilegeEscalation": false}})),
            "privileged",
        ),
        (
            "security settings of a pod",
            json!({"securityContext": {"fsGroup": 1, "fsGroupChangePolicy": "Always"}}),
            json!({"securityContext": {"fsGroup": -1}}),
            "fsGroup",
        ),
        (
            "one handler of a probe",
            container(&json!({"sidecar": true, "startupProbe": {"tcpSocket": {"port": "http"}}})),
            container(&json!({"sidecar": true, "startupProbe": {"periodSeconds": 1}})),
            "exactly one",
        ),
        (
            "tolerations of every value",
            json!({"tolerations": [{"operator": "Exists"}]}),
            json!({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}),
            "operator Exists",
        ),
        (
            "tolerations of every key",
            json!({"tolerations": [{"key": "a", "effect": "NoExecute", "tolerationSeconds": 1}]}),
            json!({"tolerations": [{"value": "b"}]}),
            "without a key",
        ),
        (
            "claims for each pod",
            volume(json!({"ephemeral": {"size": "1Gi", "accessModes": ["ReadWriteOncePod"]}})),
            volume(json!({"ephemeral": {"size": "1Gi", "accessModes": []}})),
            "accessModes",
        ),
        (
            "one source of a projection",
            volume(json!({"projected": {"sources": [{"serviceAccountToken": {"path": "a"}}]}})),
            volume(json!({"projected": {"sources": [{}]}})),
            "exactly one",
        ),
        (
            "paths of the node",
            volume(json!({"hostPath": {"path": "/dev/shm", "type": "Directory"}})),
            volume(json!({"hostPath": {"path": "/dev/../etc"}})),
            "'..'",
        ),
        (
            "paths of NFS",
            volume(json!({"nfs": {"server": "s", "path": "/a"}})),
            volume(json!({"nfs": {"server": "s", "path": "a"}})),
            "begin with '/'",
        ),
        (
            "CSI drivers",
            volume(json!({"csi": {"driver": "a.example.com", "volumeAttributes": {"a": "b"}}})),
            volume(json!({"csi": {"driver": "A"}})),
            "driver",
        ),
        (
            "what is taken away",
            json!({"without": ["labels[tier]", "containers[main].env[A]"]}),
            json!({"without": ["labels tier"]}),
            "path of a field",
        ),
        (
            "reserved annotations",
            json!({"annotations": {"example.com/a": "any text !"}}),
            json!({"annotations": {"batch.kubernetes.io/x": "y"}}),
            "reserved",
        ),
        (
            "node selector is free",
            json!({"nodeSelector": {"kubernetes.io/arch": "arm64"}}),
            json!({"nodeSelector": {"a b": "c"}}),
            "nodeSelector",
        ),
        ("node names", json!({"nodeName": "node-7.example"}), json!({"nodeName": "Node 7"}), "nodeName"),
        (
            "account names",
            json!({"serviceAccountName": "batch"}),
            json!({"serviceAccountName": "Batch!"}),
            "serviceAccountName",
        ),
        (
            "pull secrets are a set",
            json!({"imagePullSecrets": ["a", "b"]}),
            json!({"imagePullSecrets": ["a", "a"]}),
            "Duplicate value",
        ),
        (
            "pod security",
            json!({"podSecurity": "restricted"}),
            json!({"podSecurity": "none"}),
            "Unsupported value",
        ),
        (
            "overrides keep what is unknown here",
            json!({"overrides": {"template": {"spec": {"hostNetwork": true}}}}),
            json!({"overrides": {"selector": {}}}),
            "selector",
        ),
        (
            "overrides: managedBy",
            json!({"overrides": {"backoffLimit": 1}}),
            json!({"overrides": {"managedBy": "x"}}),
            "managedBy",
        ),
        ("overrides: suspend", json!({"overrides": {}}), json!({"overrides": {"suspend": true}}), "suspend"),
        (
            "overrides: TTL",
            json!({"overrides": {}}),
            json!({"overrides": {"ttlSecondsAfterFinished": 1}}),
            "ttlSecondsAfterFinished",
        ),
        (
            "overrides: reserved labels",
            json!({"overrides": {"template": {"metadata": {"labels": {"a": "b"}}}}}),
            json!({"overrides": {"template": {"metadata": {"labels": {"jobrequest.dev/run": "1"}}}}}),
            "reserved",
        ),
        (
            "a namespace has no place",
            json!({}),
            json!({"volumes": [{"name": "v", "configRef": {"kind": "Secret", "name": "s", "namespace": "other"}}]}),
            "unknown field",
        ),
    ]
}

async fn each_rule_accepts_and_refuses(cx: Arc<Cluster>) {
    let (server, _namespace) = server(&cx).await;
    let mut wrong = Vec::new();
    let rules = rules();
    for (rule, taken, refused, words) in &rules {
        if let Err(message) = server.send("rule", taken).await {
            wrong.push(format!("{rule}: refused {taken}: {message}"));
        }
        match server.send("rule", refused).await {
            Ok(()) => wrong.push(format!("{rule}: took {refused}")),
            Err(message) if !message.contains(words) => {
                wrong.push(format!("{rule}: refused {refused}, but does not say '{words}': {message}"));
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{} of {} rules:\n{}", wrong.len(), rules.len(), wrong.join("\n"));
}

/// Makes a spec with so many of something.
type Make = Box<dyn Fn(usize) -> Value>;

fn many(count: usize, make: &dyn Fn(usize) -> Value) -> Vec<Value> {
    (0..count).map(make).collect()
}

fn map(count: usize) -> Value {
    (0..count).map(|i| (format!("k{i}"), json!("v"))).collect::<serde_json::Map<_, _>>().into()
}

/// What is bounded, the largest size that is taken, a spec of a given size.
pub(crate) fn bounds() -> Vec<(&'static str, usize, Make)> {
    vec![
        (
            "containers",
            16,
            Box::new(|n| json!({"containers": many(n, &|i| json!({"name": format!("c{i}")}))})),
        ),
        (
            "initContainers",
            16,
            Box::new(|n| json!({"initContainers": many(n, &|i| json!({"name": format!("c{i}")}))})),
        ),
        (
            "env",
            256,
            Box::new(|n| {
                container(&json!({"env": many(n, &|i| json!({"name": format!("E{i}"), "value": "x"}))}))
            }),
        ),
        (
            "envFrom",
            32,
            Box::new(|n| {
                container(
                    &json!({"envFrom": many(n, &|_| json!({"configRef": {"kind": "Secret", "name": "s"}}))}),
                )
            }),
        ),
        ("ports", 32, Box::new(|n| container(&json!({"ports": many(n, &|i| json!({"port": i + 1}))})))),
        (
            "mounts",
            64,
            Box::new(|n| {
                container(&json!({"mounts": many(n, &|i| json!({"volume": "v", "path": format!("/{i}")}))}))
            }),
        ),
        ("args", 256, Box::new(|n| container(&json!({"args": many(n, &|_| json!("x"))})))),
        (
            "volumes",
            64,
            Box::new(|n| json!({"volumes": many(n, &|i| json!({"name": format!("v{i}"), "emptyDir": {}}))})),
        ),
        ("labels", 64, Box::new(|n| json!({"labels": map(n)}))),
        ("annotations", 64, Box::new(|n| json!({"annotations": map(n)}))),
        ("nodeSelector", 32, Box::new(|n| json!({"nodeSelector": map(n)}))),
        (
            "imagePullSecrets",
            32,
            Box::new(|n| json!({"imagePullSecrets": many(n, &|i| json!(format!("s{i}")))})),
        ),
        ("alias", 63, Box::new(|n| json!({"alias": "圆".repeat(n)}))),
        ("description", 1000, Box::new(|n| json!({"description": "x".repeat(n)}))),
        ("value", 32_768, Box::new(|n| container(&json!({"env": [{"name": "A", "value": "x".repeat(n)}]})))),
        ("container name", 63, Box::new(|n| json!({"containers": [{"name": "c".repeat(n)}]}))),
    ]
}

async fn each_bound_holds(cx: Arc<Cluster>) {
    let (server, _namespace) = server(&cx).await;
    let mut wrong = Vec::new();
    for (what, bound, make) in &bounds() {
        if let Err(message) = server.send("bound", &make(*bound)).await {
            wrong.push(format!("{what}: {bound} refused: {message}"));
        }
        if server.send("bound", &make(bound + 1)).await.is_ok() {
            wrong.push(format!("{what}: {} taken", bound + 1));
        }
    }
    if server.send("bound", &json!({"description": "x".repeat(2_000_000)})).await.is_ok() {
        wrong.push("a description of 2 MB was taken".to_owned());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn names_of_requests(cx: Arc<Cluster>) {
    let (server, _namespace) = server(&cx).await;
    server.send(&"n".repeat(52), &json!({})).await.unwrap();
    for name in ["n".repeat(53), "with.dot".to_owned()] {
        let refused = server.send(&name, &json!({})).await.unwrap_err();
        assert!(refused.contains("metadata.name"), "{refused}");
    }
}

async fn a_wiped_status_counts_as_unobserved(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "fresh").await;
    at.create("fresh", json!({})).await;
    assert_eq!(at.get("fresh").await["status"], json!({"observedGeneration": -1}));
    at.wipe_status("fresh").await;
    assert_eq!(at.get("fresh").await["status"], json!({"observedGeneration": -1}));
}
