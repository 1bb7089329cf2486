//! Policies against the API server: the Pod Security Standards, the order of quantities, and the schema of a policy.

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
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::requests::try_create;
use crate::support::{Cluster, DEADLINE, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("pod_security_is_judged_as_the_api_server_does", pod_security),
        Test::new("quantities_are_compared_as_the_api_server_does", quantities),
        Test::new("what_was_cut_is_a_job_to_the_api_server", cuts),
        Test::new("a_pod_counts_what_it_counts_for_a_limit_range", pod_amounts),
        Test::new("each_rule_of_a_policy_accepts_and_refuses", rules),
    ]
}

/// Puts `patch` over `value`: objects by key, null takes away, everything else replaces.
fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    for (key, patch) in patch {
        if patch.is_null() {
            value.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut value[key], patch);
        }
    }
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

/// What is tried: name, change of the pod, its spec, the container, the init container, the sidecar.
#[allow(clippy::too_many_lines)] // a table
fn pods() -> Vec<(String, Value)> {
    let mut pods: Vec<(String, Value)> = Vec::new();
    let mut add = |name: &str, patch: Value| pods.push((name.to_owned(), patch));
    let volume = |source: Value| {
        let mut volume = json!({"name": "v"});
        merge(&mut volume, &source);
        json!({"spec": {"volumes": [volume]}})
    };

    add("as it is", json!({}));
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        add(field, json!({"spec": {field: true}}));
        add(&format!("no {field}"), json!({"spec": {field: false}}));
    }
    for at in ["main", "init", "sidecar"] {
        let context = |context: Value| json!({at: {"securityContext": context}});
        add(
            &format!("{at} privileged"),
            context(json!({"privileged": true, "allowPrivilegeEscalation": null})),
        );
        add(&format!("{at} not privileged"), context(json!({"privileged": false})));
        add(&format!("{at} escalates"), context(json!({"allowPrivilegeEscalation": true})));
        add(&format!("{at} says nothing"), json!({at: {"securityContext": null}}));
        add(&format!("{at} drops nothing"), context(json!({"capabilities": null})));
        add(&format!("{at} drops little"), context(json!({"capabilities": {"drop": ["KILL"]}})));
        add(&format!("{at} drops in lower case"), context(json!({"capabilities": {"drop": ["all"]}})));
        add(
            &format!("{at} drops more than all"),
            context(json!({"capabilities": {"drop": ["KILL", "ALL"]}})),
        );
        for capability in ["NET_BIND_SERVICE", "CHOWN", "SYS_CHROOT", "NET_RAW", "SYS_ADMIN", "ALL", "chown"]
        {
            add(&format!("{at} adds {capability}"), context(json!({"capabilities": {"add": [capability]}})));
        }
        add(&format!("{at} non-root"), context(json!({"runAsNonRoot": true})));
        add(&format!("{at} root"), context(json!({"runAsNonRoot": false})));
        add(&format!("{at} user 0"), context(json!({"runAsUser": 0})));
        add(&format!("{at} user 7"), context(json!({"runAsUser": 7})));
        add(&format!("{at} unconfined"), context(json!({"seccompProfile": {"type": "Unconfined"}})));
        add(&format!("{at} seccomp"), context(json!({"seccompProfile": {"type": "RuntimeDefault"}})));
        add(
            &format!("{at} local seccomp"),
            context(json!({"seccompProfile": {"type": "Localhost", "localhostProfile": "p"}})),
        );
        add(&format!("{at} no AppArmor"), context(json!({"appArmorProfile": {"type": "Unconfined"}})));
        add(&format!("{at} AppArmor"), context(json!({"appArmorProfile": {"type": "RuntimeDefault"}})));
        for type_ in ["container_t", "container_engine_t", "container_init_t", "container_kvm_t", "spc_t", ""]
        {
            add(&format!("{at} SELinux {type_}"), context(json!({"seLinuxOptions": {"type": type_}})));
        }
        add(&format!("{at} SELinux user"), context(json!({"seLinuxOptions": {"user": "u"}})));
        add(&format!("{at} SELinux role"), context(json!({"seLinuxOptions": {"role": "r"}})));
        add(&format!("{at} SELinux level"), context(json!({"seLinuxOptions": {"level": "s0:c1"}})));
        add(&format!("{at} default procMount"), context(json!({"procMount": "Default"})));
        add(
            &format!("{at} unmasked in a user namespace"),
            json!({"spec": {"hostUsers": false}, at: {"securityContext": {"procMount": "Unmasked"}}}),
        );
        add(&format!("{at} port"), json!({at: {"ports": [{"containerPort": 80}]}}));
        add(
            &format!("{at} port of the host"),
            json!({at: {"ports": [{"containerPort": 80, "hostPort": 80}]}}),
        );
        if at != "init" {
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                for (action, more) in [("httpGet", json!({"port": 80})), ("tcpSocket", json!({"port": 80}))] {
                    let mut probed = json!({at: {probe: {action: more}}});
                    add(&format!("{at} {probe} {action}"), probed.clone());
                    probed[at][probe][action]["host"] = json!("example.com");
                    add(&format!("{at} {probe} {action} of a host"), probed);
                }
            }
            add(&format!("{at} grpc probe"), json!({at: {"livenessProbe": {"grpc": {"port": 80}}}}));
            for hook in ["postStart", "preStop"] {
                for action in ["httpGet", "tcpSocket"] {
                    for host in [json!(null), json!(""), json!("127.0.0.1")] {
                        add(
                            &format!("{at} {hook} {action} {host}"),
                            json!({at: {"lifecycle": {hook: {action: {"port": 80, "host": host}}}}}),
                        );
                    }
                }
            }
        }
        for value in ["unconfined", "runtime/default", "localhost/p"] {
            let key = format!("container.apparmor.security.beta.kubernetes.io/{at}");
            add(
                &format!("{at} AppArmor annotation {value}"),
                json!({"metadata": {"annotations": {key: value}}}),
            );
        }
    }
    let context = |context: Value| json!({"spec": {"securityContext": context}});
    add("pod says nothing", json!({"spec": {"securityContext": null}}));
    add("pod root", context(json!({"runAsNonRoot": false})));
    add(
        "pod root, containers not",
        json!({
            "spec": {"securityContext": {"runAsNonRoot": false}},
            "main": {"securityContext": {"runAsNonRoot": true}},
            "init": {"securityContext": {"runAsNonRoot": true}},
            "sidecar": {"securityContext": {"runAsNonRoot": true}}
        }),
    );
    add(
        "containers set what the pod does not",
        json!({
            "spec": {"securityContext": null},
            "main": {"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}},
            "init": {"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}},
            "sidecar": {"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}}
        }),
    );
    add(
        "one container does not",
        json!({
            "spec": {"securityContext": null},
            "main": {"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}},
            "sidecar": {"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}}
        }),
    );
    add("pod user 0", context(json!({"runAsUser": 0})));
    add("pod user 7", context(json!({"runAsUser": 7})));
    add(
        "pod user 0 in a user namespace",
        json!({"spec": {"hostUsers": false, "securityContext": {"runAsUser": 0, "runAsNonRoot": null}}}),
    );
    add("users of the host", json!({"spec": {"hostUsers": true, "securityContext": {"runAsNonRoot": null}}}));
    add("pod unconfined", context(json!({"seccompProfile": {"type": "Unconfined"}})));
    add(
        "pod unconfined, containers not",
        json!({
            "spec": {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
            "main": {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}},
            "init": {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}},
            "sidecar": {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}
        }),
    );
    add("pod without seccomp", context(json!({"seccompProfile": null})));
    add("pod no AppArmor", context(json!({"appArmorProfile": {"type": "Unconfined"}})));
    add("pod AppArmor", context(json!({"appArmorProfile": {"type": "Localhost", "localhostProfile": "p"}})));
    add("pod SELinux", context(json!({"seLinuxOptions": {"type": "container_engine_t"}})));
    add("pod SELinux spc_t", context(json!({"seLinuxOptions": {"type": "spc_t"}})));
    add("pod SELinux user", context(json!({"seLinuxOptions": {"user": "u"}})));
    for sysctl in [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_notsent_lowat",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_slow_start_after_idle",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
        "kernel.msgmax",
        "net.core.somaxconn",
        "net/ipv4/tcp_syncookies",
    ] {
        add(&format!("sysctl {sysctl}"), context(json!({"sysctls": [{"name": sysctl, "value": "1"}]})));
    }
    add("no source", volume(json!({})));
    for (kind, source) in [
        ("configMap", json!({"name": "c"})),
        ("csi", json!({"driver": "d"})),
        ("downwardAPI", json!({})),
        ("emptyDir", json!({})),
        (
            "ephemeral",
            json!({"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": 1}}}}}),
        ),
        ("image", json!({"reference": "x"})),
        ("persistentVolumeClaim", json!({"claimName": "c"})),
        ("projected", json!({"sources": []})),
        ("secret", json!({"secretName": "s"})),
        ("hostPath", json!({"path": "/"})),
        ("nfs", json!({"server": "s", "path": "/"})),
        ("iscsi", json!({"targetPortal": "1.2.3.4", "iqn": "iqn.2001-04.com.example:a", "lun": 1})),
        ("gitRepo", json!({"repository": "https://example.com"})),
        ("rbd", json!({"monitors": ["m"], "image": "i"})),
        ("cephfs", json!({"monitors": ["m"]})),
        ("fc", json!({"targetWWNs": ["1"], "lun": 1})),
        ("glusterfs", json!({"endpoints": "e", "path": "p"})),
        ("awsElasticBlockStore", json!({"volumeID": "v"})),
        ("gcePersistentDisk", json!({"pdName": "v"})),
        ("azureDisk", json!({"diskName": "d", "diskURI": "https://blob/d", "kind": "Dedicated"})),
        ("azureFile", json!({"secretName": "s", "shareName": "s"})),
        ("cinder", json!({"volumeID": "v"})),
        ("flexVolume", json!({"driver": "a/d"})),
        ("flocker", json!({"datasetName": "d"})),
        ("photonPersistentDisk", json!({"pdID": "p"})),
        ("portworxVolume", json!({"volumeID": "v"})),
        ("quobyte", json!({"registry": "a:1", "volume": "v"})),
        ("scaleIO", json!({"gateway": "g", "system": "s", "secretRef": {"name": "s"}, "volumeName": "v"})),
        ("storageos", json!({"volumeName": "v"})),
        ("vsphereVolume", json!({"volumePath": "v"})),
    ] {
        add(&format!("volume {kind}"), volume(json!({kind: source})));
    }
    add("windows", json!({"spec": {"os": {"name": "windows"}}}));
    add(
        "windows, non-root",
        json!({"spec": {"os": {"name": "windows"}, "securityContext": {"runAsNonRoot": true}}}),
    );
    add(
        "windows, user 0 by name",
        json!({"spec": {"os": {"name": "windows"}, "securityContext": {"windowsOptions": {"runAsUserName": "a"}}}}),
    );
    add("linux", json!({"spec": {"os": {"name": "linux"}}}));
    add(
        "process of the host",
        json!({"spec": {"os": {"name": "windows"}, "hostNetwork": true, "securityContext": {"windowsOptions": {"hostProcess": true}}}}),
    );
    add(
        "no process of the host",
        json!({"spec": {"securityContext": {"windowsOptions": {"hostProcess": false}}}}),
    );
    add(
        "seccomp annotation of old",
        json!({"metadata": {"annotations": {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}}}),
    );
    pods
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
                        merge(pod.pointer_mut(at).unwrap(), &patch[part]);
                    }
                }
                let template: PodTemplateSpec = serde_json::from_value(pod.clone()).unwrap();
                let ours = violations(level, &template);
                let theirs = match try_create(&client, &collection, &pod).await {
                    Ok(()) => None,
                    Err(message) if message.contains("violates PodSecurity") => Some(message),
                    // Such a pod cannot be, whoever judges it.
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

/// A Job that the API server takes is still one after its numbers were cut.
async fn cuts(cx: Arc<Cluster>) {
    let client = cx.client().await;
    let namespace = cx.namespace("cuts").await;
    let collection = format!("/apis/batch/v1/namespaces/{}/jobs", namespace.name());
    let with =
        |resources: Value| json!({"containers": [{"name": "main", "image": "x", "resources": resources}]});
    let indexed =
        json!({"completionMode": "Indexed", "completions": 4, "parallelism": 4, "backoffLimitPerIndex": 3});
    let table = [
        (
            "settings",
            json!({"settings": {"backoffLimit": {"max": 2}, "parallelism": {"min": 2}, "activeDeadlineSeconds": {"max": 60}}}),
            json!({}),
            json!({}),
        ),
        (
            "indexes",
            json!({"settings": {"backoffLimit": {"max": 2}, "backoffLimitPerIndex": {"max": 1}, "maxFailedIndexes": {"max": 9}}}),
            indexed,
            json!({}),
        ),
        (
            "limits",
            json!({"resources": {"containerMax": {"cpu": 2, "memory": "1Gi"}}}),
            json!({}),
            with(json!({"limits": {"cpu": 4}, "requests": {"cpu": 3, "memory": "64Mi"}})),
        ),
        (
            "no limits",
            json!({"resources": {"containerMax": {"cpu": 2, "memory": "1Gi"}}}),
            json!({}),
            json!({}),
        ),
        (
            "limits of 0",
            json!({"resources": {"containerMax": {"cpu": 2}}}),
            json!({}),
            with(json!({"limits": {"cpu": 0}})),
        ),
        (
            "limits of the pod",
            json!({"resources": {"containerMax": {"cpu": 2, "memory": "1Gi"}}}),
            json!({}),
            json!({"resources": {"limits": {"cpu": 1, "memory": "2Gi"}}}),
        ),
        (
            "devices",
            json!({"resources": {"containerMax": {"example.com/gpu": 1}}}),
            json!({}),
            with(json!({"limits": {"example.com/gpu": 2}, "requests": {"example.com/gpu": 2}})),
        ),
    ];
    let mut wrong = Vec::new();
    for (name, mut policy, settings, pod) in table {
        policy["enforcement"] = json!("Clamp");
        let policy: Policy = serde_json::from_value(policy).unwrap();
        let mut job = json!({"metadata": {"name": "cut"}, "spec": {"parallelism": 1, "completions": 1, "template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]
        }}}});
        merge(&mut job["spec"], &settings);
        merge(&mut job["spec"]["template"]["spec"], &pod);
        let mut cut: Job = serde_json::from_value(job.clone()).unwrap();
        let named = [Named { origin: "ClusterJobTemplate/a", policy: &policy }];
        let verdict = judge(&mut cut, &mut EffectiveSettings::default(), &named);
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
async fn pod_amounts(cx: Arc<Cluster>) {
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

async fn rules(cx: Arc<Cluster>) {
    let client = cx.client().await;
    let collection = probes(&cx, &client).await;
    let many = |count: usize, make: &dyn Fn(usize) -> String| (0..count).map(make).collect::<Vec<_>>();
    let name = |number: usize| format!("{}-{number}", "n".repeat(240));
    let image = |number: usize| format!("r{number}.example.com/{}/**", "p".repeat(1000));
    let table = [
        ("an empty policy", json!({}), json!({"imagez": {}}), "unknown field"),
        ("enforcement", json!({"enforcement": "Clamp"}), json!({"enforcement": "Ask"}), "Unsupported value"),
        (
            "min and max",
            json!({"settings": {"backoffLimit": {"min": 2, "max": 2}}}),
            json!({"settings": {"backoffLimit": {"min": 3, "max": 2}}}),
            "min is above max",
        ),
        (
            "negative bounds",
            json!({"settings": {"parallelism": {"max": 0}}}),
            json!({"settings": {"parallelism": {"max": -1}}}),
            "parallelism.max",
        ),
        (
            "large bounds",
            json!({"settings": {"completions": {"max": 2_147_483_647}}}),
            json!({"settings": {"completions": {"max": 2_147_483_648_i64}}}),
            "completions.max",
        ),
        (
            "amounts",
            json!({"resources": {"containerMax": {"cpu": 2, "memory": "1.5Gi"}}}),
            json!({"resources": {"runMax": {"cpu": "lots"}}}),
            "must be a quantity",
        ),
        (
            "images",
            json!({"images": {"allow": ["**", "perl", "r.example.com:5000/**", "r.example.com/**/a-*:v1*", "a/**:5", "a@sha256:*"]}}),
            json!({"images": {"allow": ["a//b"]}}),
            "pattern of images",
        ),
        (
            "white space in images",
            json!({"images": {"allow": []}}),
            json!({"images": {"allow": ["a b"]}}),
            "pattern of images",
        ),
        (
            "** alone",
            json!({"images": {"allow": ["a/**/b"]}}),
            json!({"images": {"allow": ["a/lib**"]}}),
            "must stand alone",
        ),
        (
            "*** is nothing",
            json!({"images": {"allow": ["*/a"]}}),
            json!({"images": {"allow": ["a/***"]}}),
            "must stand alone",
        ),
        (
            "images once",
            json!({"images": {"allow": ["a", "b"]}}),
            json!({"images": {"allow": ["a", "a"]}}),
            "Duplicate value",
        ),
        (
            "many images",
            json!({"images": {"allow": many(128, &image)}}),
            json!({"images": {"allow": many(129, &image)}}),
            "128",
        ),
        ("accounts", json!({"serviceAccounts": []}), json!({"serviceAccounts": ["A!"]}), "serviceAccounts"),
        (
            "many accounts",
            json!({"serviceAccounts": many(128, &name)}),
            json!({"serviceAccounts": many(129, &name)}),
            "128",
        ),
        (
            "classes",
            json!({"priorityClasses": ["system-node-critical"]}),
            json!({"priorityClasses": ["A!"]}),
            "priorityClasses",
        ),
        (
            "many classes",
            json!({"priorityClasses": many(128, &name)}),
            json!({"priorityClasses": many(129, &name)}),
            "128",
        ),
        (
            "keys",
            json!({"nodeSelectorKeys": ["disk", "kubernetes.io/arch", "metadata.name"]}),
            json!({"nodeSelectorKeys": ["a b"]}),
            "label's key",
        ),
        (
            "many keys",
            json!({"nodeSelectorKeys": many(128, &|n| format!("{}/k{n}", "p".repeat(250)))}),
            json!({"nodeSelectorKeys": many(129, &|n| format!("k{n}"))}),
            "128",
        ),
        (
            "volumes",
            json!({"volumes": ["emptyDir", "image"]}),
            json!({"volumes": ["emptydir"]}),
            "Unsupported value",
        ),
        (
            "standards",
            json!({"podSecurity": "baseline"}),
            json!({"podSecurity": "privileged"}),
            "Unsupported value",
        ),
        ("overrides", json!({"overrides": "Forbid"}), json!({"overrides": "Maybe"}), "Unsupported value"),
        (
            "locked",
            json!({"locked": ["restartPolicy", "settings.backoffLimit", "containers[main].image", "labels[a.b/c]"]}),
            json!({"locked": ["settings..backoffLimit"]}),
            "path of a field",
        ),
        (
            "many locked",
            json!({"locked": many(128, &|n| format!("labels[{}{n}]", "l".repeat(230)))}),
            json!({"locked": many(129, &|n| format!("labels[{n}]"))}),
            "128",
        ),
    ];
    let mut wrong = Vec::new();
    for (rule, taken, refused, words) in &table {
        if let Err(message) = try_create(&client, &collection, &probe(json!({"policy": taken}))).await {
            wrong.push(format!("{rule}: refused: {message}"));
        }
        match try_create(&client, &collection, &probe(json!({"policy": refused}))).await {
            Ok(()) => wrong.push(format!("{rule}: took {refused}")),
            Err(message) if !message.contains(words) => {
                wrong.push(format!("{rule}: does not say '{words}': {message}"));
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
