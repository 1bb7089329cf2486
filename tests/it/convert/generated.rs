//! Generated Jobs: valid-looking ones across all parts of a Job come back from a run as they were, but for what is noted;
//! and nothing that looks like an object makes the conversion panic.

use std::cell::Cell;

use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use super::{CONVERTER, holds};

pub(crate) fn tests() -> Vec<Trial> {
    tests![a_generated_job_comes_back, no_object_makes_it_panic]
}

type Values = BoxedStrategy<Value>;

const CASES: u32 = 800;

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}

/// One of these values.
fn one<T: Clone + std::fmt::Debug + Into<Value> + 'static>(values: &[T]) -> Values {
    select(values.to_vec()).prop_map(Into::into).boxed()
}

fn of(values: Vec<Value>) -> Values {
    select(values).boxed()
}

/// An object that has each field or not; those whose name begins with ! are always there.
fn object(fields: Vec<(&'static str, Values)>) -> Values {
    let start = Just(Map::new()).boxed();
    let all = fields.into_iter().fold(start, |all, (name, strategy)| {
        let (name, chance) = name.strip_prefix('!').map_or((name, 0.35), |name| (name, 1.0));
        let value = if chance < 1.0 {
            proptest::option::weighted(chance, strategy).boxed()
        } else {
            strategy.prop_map(Some).boxed()
        };
        (all, value)
            .prop_map(move |(mut all, value)| {
                all.extend(value.map(|value| (name.to_owned(), value)));
                all
            })
            .boxed()
    });
    all.prop_map(Value::Object).boxed()
}

/// One of several objects.
fn choice(members: Vec<Values>) -> Values {
    proptest::strategy::Union::new(members).boxed()
}

fn list(of: Values, sizes: std::ops::Range<usize>) -> Values {
    proptest::collection::vec(of, sizes).prop_map(Value::Array).boxed()
}

/// A list whose members differ at `key`, which is numbered.
fn distinct(of: Values, sizes: std::ops::Range<usize>, key: &'static str, prefix: &'static str) -> Values {
    proptest::collection::vec(of, sizes)
        .prop_map(move |mut items| {
            for (index, item) in items.iter_mut().enumerate() {
                item[key] = json!(format!("{prefix}{index}"));
            }
            Value::Array(items)
        })
        .boxed()
}

fn flag() -> Values {
    one(&[true, false])
}

fn number() -> Values {
    one(&[1, 2, 3, 7, 30, 100])
}

fn labels() -> Values {
    of(vec![
        json!({"app": "a"}),
        json!({"example.com/tier": "back", "app": "b"}),
        json!({"app.kubernetes.io/managed-by": "Helm"}),
        json!({"batch.kubernetes.io/job-name": "old", "job-name": "old", "x": ""}),
        json!({}),
    ])
}

fn selector() -> Values {
    of(vec![
        json!({"matchLabels": {"app": "a"}}),
        json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]}),
    ])
}

fn amounts() -> Values {
    of(vec![
        json!({"cpu": "500m", "memory": "64Mi"}),
        json!({"cpu": 2}),
        json!({"cpu": 0.5}),
        json!({"cpu": "0", "memory": "1Gi"}),
        json!({"memory": "0"}),
        json!({"ephemeral-storage": "1Gi"}),
        json!({}),
    ])
}

fn handler() -> Values {
    choice(vec![
        object(vec![("!exec", of(vec![json!({"command": ["true", "-x"]})]))]),
        object(vec![(
            "!httpGet",
            object(vec![
                ("!port", of(vec![json!(80), json!("web")])),
                ("path", one(&["/", "/ready"])),
                ("scheme", one(&["HTTP", "HTTPS"])),
                ("host", one(&["example.com"])),
                ("httpHeaders", of(vec![json!([{"name": "X", "value": "y"}])])),
            ]),
        )]),
        object(vec![("!tcpSocket", object(vec![("!port", one(&[80])), ("host", one(&["h"]))]))]),
    ])
}

fn probe() -> Values {
    let check = choice(vec![
        handler(),
        object(vec![("!grpc", object(vec![("!port", one(&[80])), ("service", one(&["", "s"]))]))]),
    ]);
    let times = object(vec![
        ("initialDelaySeconds", one(&[0, 5])),
        ("periodSeconds", one(&[10, 3])),
        ("timeoutSeconds", one(&[1, 4])),
        ("failureThreshold", one(&[3, 20])),
        ("terminationGracePeriodSeconds", number()),
    ]);
    joined(check, times)
}

fn joined(one: Values, other: Values) -> Values {
    (one, other)
        .prop_map(|(mut one, other)| {
            one.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
            one
        })
        .boxed()
}

fn users() -> Vec<(&'static str, Values)> {
    vec![
        ("runAsUser", one(&[0, 1000])),
        ("runAsGroup", one(&[1000])),
        ("runAsNonRoot", flag()),
        ("seccompProfile", of(vec![json!({"type": "RuntimeDefault"}), json!({"type": "Unconfined"})])),
        ("seLinuxOptions", of(vec![json!({"level": "s0:c1"})])),
        ("appArmorProfile", of(vec![json!({"type": "RuntimeDefault"})])),
    ]
}

fn key_ref() -> Values {
    object(vec![("!name", one(&["c", "d.e"])), ("!key", one(&["k", "k.txt"])), ("optional", flag())])
}

fn variable() -> Values {
    choice(vec![
        object(vec![("value", one(&["", "a", "$(V0)", "yes", "0123", "多"]))]),
        object(vec![(
            "!valueFrom",
            choice(vec![
                object(vec![("!configMapKeyRef", key_ref())]),
                object(vec![("!secretKeyRef", key_ref())]),
                object(vec![(
                    "!fieldRef",
                    object(vec![
                        ("!fieldPath", one(&["metadata.name", "status.podIP", "metadata.labels['app']"])),
                        ("apiVersion", one(&["v1"])),
                    ]),
                )]),
                object(vec![(
                    "!resourceFieldRef",
                    object(vec![
                        ("!resource", one(&["limits.memory", "requests.memory"])),
                        ("containerName", one(&["c0"])),
                        ("divisor", one(&["0", "1", "1Mi"])),
                    ]),
                )]),
                object(vec![(
                    "!fileKeyRef",
                    object(vec![
                        ("!key", one(&["k"])),
                        ("!path", one(&["a.env"])),
                        ("!volumeName", one(&["v0"])),
                        ("optional", flag()),
                    ]),
                )]),
            ]),
        )]),
    ])
}

fn ports() -> Values {
    let port = object(vec![
        ("!containerPort", one(&[80, 443, 8080])),
        ("protocol", one(&["TCP", "UDP", "SCTP"])),
        ("hostPort", one(&[0, 8081])),
        ("hostIP", one(&["127.0.0.1"])),
    ]);
    distinct(port, 0..3, "name", "p")
}

fn container(prefix: &'static str, is_init: bool) -> Values {
    let mounts = object(vec![
        ("!name", one(&["v0"])),
        ("readOnly", flag()),
        ("subPath", one(&["", "a/b"])),
        ("mountPropagation", one(&["HostToContainer", "None"])),
        ("recursiveReadOnly", one(&["Disabled"])),
    ]);
    let hook = of(vec![
        json!({"preStop": {"exec": {"command": ["sleep", "1"]}}}),
        json!({"preStop": {"sleep": {"seconds": 5}}}),
    ]);
    let env_from = choice(vec![
        object(vec![
            ("!configMapRef", object(vec![("!name", one(&["c"])), ("optional", flag())])),
            ("prefix", one(&["", "P_"])),
        ]),
        object(vec![("!secretRef", object(vec![("!name", one(&["s"]))])), ("prefix", one(&["Q_"]))]),
    ]);
    let security = users().into_iter().chain([
        ("readOnlyRootFilesystem", flag()),
        ("capabilities", of(vec![json!({"drop": ["ALL"]}), json!({"add": ["NET_ADMIN"]})])),
        ("procMount", one(&["Default"])),
    ]);
    let mut fields = vec![
        ("!image", one(&["perl", "perl:5", "perl:latest", "r.example.com:5000/a/b", "a@sha256:0123"])),
        ("imagePullPolicy", one(&["Always", "IfNotPresent", "Never"])),
        ("command", of(vec![json!(["sh", "-c", "exit 0"]), json!([])])),
        ("args", of(vec![json!(["-v", ""])])),
        ("workingDir", one(&["/work"])),
        ("ports", ports()),
        ("env", distinct(variable(), 0..5, "name", "V")),
        ("envFrom", list(env_from, 0..3)),
        (
            "resources",
            object(vec![
                ("limits", of(vec![json!({"cpu": 4, "memory": "2Gi"}), json!({"cpu": "0"})])),
                ("requests", amounts()),
            ]),
        ),
        ("volumeMounts", distinct(mounts, 0..3, "mountPath", "/m")),
        ("volumeDevices", of(vec![json!([{"name": "v0", "devicePath": "/dev/x"}])])),
        ("securityContext", object(security.collect())),
        ("terminationMessagePath", one(&["/dev/termination-log", "/tmp/end"])),
        ("terminationMessagePolicy", one(&["File", "FallbackToLogsOnError"])),
        ("stdin", flag()),
        ("tty", flag()),
        ("resizePolicy", of(vec![json!([{"resourceName": "cpu", "restartPolicy": "NotRequired"}])])),
    ];
    if is_init {
        let sidecar = object(vec![
            ("!restartPolicy", one(&["Always"])),
            ("startupProbe", probe()),
            ("livenessProbe", probe()),
            ("lifecycle", hook),
        ]);
        let plain = object(vec![
            ("restartPolicy", one(&["Never"])),
            (
                "restartPolicyRules",
                of(vec![json!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}])]),
            ),
        ]);
        return distinct(joined(object(fields), choice(vec![sidecar, plain])), 0..3, "name", prefix);
    }
    fields.extend([
        ("startupProbe", probe()),
        ("livenessProbe", probe()),
        ("readinessProbe", probe()),
        ("lifecycle", hook),
    ]);
    distinct(object(fields), 1..4, "name", prefix)
}

fn files() -> Values {
    of(vec![
        json!([{"key": "a", "path": "x/a"}]),
        json!([{"key": "a", "path": "a", "mode": 256}, {"key": "b", "path": "b"}]),
    ])
}

fn pod_files() -> Values {
    of(vec![
        json!([{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]),
        json!([{"path": "name", "fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}]),
        json!([{"path": "cpu", "resourceFieldRef": {"containerName": "c0", "resource": "limits.cpu", "divisor": "1m"}}]),
        json!([{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}, "mode": 256}]),
    ])
}

fn volume() -> Values {
    let mode = || of(vec![json!(0o644), json!(0o400)]);
    let projections = choice(vec![
        object(vec![(
            "!configMap",
            object(vec![("!name", one(&["c"])), ("items", files()), ("optional", flag())]),
        )]),
        object(vec![("!secret", object(vec![("!name", one(&["s"]))]))]),
        object(vec![(
            "!serviceAccountToken",
            object(vec![
                ("!path", one(&["token"])),
                ("audience", one(&["vault"])),
                ("expirationSeconds", one(&[3600, 7200])),
            ]),
        )]),
        object(vec![("!downwardAPI", object(vec![("!items", pod_files())]))]),
        of(vec![json!({"clusterTrustBundle": {"name": "b", "path": "ca.pem"}})]),
    ]);
    let claim = object(vec![
        ("!accessModes", of(vec![json!(["ReadWriteOnce"]), json!(["ReadWriteMany", "ReadOnlyMany"])])),
        (
            "!resources",
            of(vec![
                json!({"requests": {"storage": "1Gi"}}),
                json!({"requests": {"storage": "1Gi"}, "limits": {"storage": "2Gi"}}),
            ]),
        ),
        ("storageClassName", one(&["fast"])),
        ("volumeMode", one(&["Filesystem", "Block"])),
    ]);
    let template = object(vec![
        ("!spec", claim),
        ("metadata", of(vec![json!({"labels": {"a": "b"}}), json!({"creationTimestamp": null})])),
    ]);
    choice(vec![
        object(vec![]),
        object(vec![(
            "!emptyDir",
            object(vec![("medium", one(&["", "Memory"])), ("sizeLimit", one(&["64Mi"]))]),
        )]),
        object(vec![(
            "!persistentVolumeClaim",
            object(vec![("!claimName", one(&["data"])), ("readOnly", flag())]),
        )]),
        object(vec![(
            "!configMap",
            object(vec![
                ("!name", one(&["c"])),
                ("items", files()),
                ("optional", flag()),
                ("defaultMode", mode()),
            ]),
        )]),
        object(vec![(
            "!secret",
            object(vec![
                ("!secretName", one(&["s"])),
                ("items", files()),
                ("defaultMode", mode()),
                ("defaultUser", one(&[1000])),
            ]),
        )]),
        object(vec![(
            "!projected",
            object(vec![("!sources", list(projections, 1..4).boxed()), ("defaultMode", mode())]),
        )]),
        object(vec![("!downwardAPI", object(vec![("!items", pod_files()), ("defaultMode", mode())]))]),
        object(vec![("!ephemeral", object(vec![("!volumeClaimTemplate", template)]))]),
        object(vec![(
            "!hostPath",
            object(vec![("!path", one(&["/var/log"])), ("type", one(&["", "Directory"]))]),
        )]),
        object(vec![("!nfs", of(vec![json!({"server": "n", "path": "/x", "readOnly": true})]))]),
        object(vec![(
            "!csi",
            of(vec![
                json!({"driver": "a.example.com", "volumeAttributes": {"a": "b"}}),
                json!({"driver": "b.example.com", "nodePublishSecretRef": {"name": "s"}}),
            ]),
        )]),
        object(vec![("!image", of(vec![json!({"reference": "a:1", "pullPolicy": "Always"})]))]),
        object(vec![(
            "!iscsi",
            of(vec![json!({"targetPortal": "1.2.3.4", "iqn": "iqn.2001-04.com.example:x", "lun": 0})]),
        )]),
    ])
}

fn affinity() -> Values {
    of(vec![
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "Exists"}]}]}}}),
        json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "a"}}}}]}}),
        json!({}),
    ])
}

fn pod() -> Values {
    let security = users().into_iter().chain([
        ("fsGroup", one(&[2000])),
        ("fsGroupChangePolicy", one(&["Always", "OnRootMismatch"])),
        ("supplementalGroups", of(vec![json!([1, 2])])),
        ("supplementalGroupsPolicy", one(&["Merge", "Strict"])),
        ("sysctls", of(vec![json!([{"name": "net.ipv4.tcp_syncookies", "value": "1"}])])),
    ]);
    let spread = object(vec![
        ("!maxSkew", one(&[1])),
        ("!topologyKey", one(&["zone", "kubernetes.io/hostname"])),
        ("!whenUnsatisfiable", one(&["DoNotSchedule", "ScheduleAnyway"])),
        ("labelSelector", selector()),
    ]);
    let tolerations = of(vec![
        json!([{"key": "gpu", "operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoSchedule"}]),
        json!([{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}]),
        json!([{"key": "slots", "operator": "Gt", "value": "5"}]),
    ]);
    let rest = object(vec![
        ("activeDeadlineSeconds", number()),
        ("affinity", affinity()),
        ("automountServiceAccountToken", flag()),
        (
            "dnsConfig",
            of(vec![json!({"nameservers": ["1.1.1.1"], "options": [{"name": "ndots", "value": "2"}]})]),
        ),
        ("dnsPolicy", one(&["ClusterFirst", "Default"])),
        ("enableServiceLinks", flag()),
        ("hostAliases", of(vec![json!([{"ip": "1.2.3.4", "hostnames": ["a", "b"]}])])),
        ("hostIPC", flag()),
        ("hostPID", flag()),
        ("hostUsers", flag()),
        ("hostname", one(&["worker"])),
        ("overhead", of(vec![json!({"cpu": "100m"})])),
        ("preemptionPolicy", one(&["Never"])),
        ("readinessGates", of(vec![json!([{"conditionType": "example.com/ready"}])])),
        ("resourceClaims", of(vec![json!([{"name": "gpu", "resourceClaimName": "g"}])])),
        ("runtimeClassName", one(&["gvisor"])),
        ("schedulerName", one(&["default-scheduler", "custom"])),
        ("schedulingGates", of(vec![json!([{"name": "example.com/gate"}])])),
        ("setHostnameAsFQDN", flag()),
        ("shareProcessNamespace", flag()),
        ("topologySpreadConstraints", list(spread, 0..3)),
    ]);
    let form = object(vec![
        ("!restartPolicy", one(&["Never"])),
        ("!containers", container("c", false)),
        ("initContainers", container("i", true)),
        // One volume is always there, so that mounts find it.
        ("!volumes", distinct(volume(), 1..5, "name", "v")),
        (
            "imagePullSecrets",
            of(vec![json!([{"name": "a"}, {"name": "b"}]), json!([{"name": "a"}, {"name": "a"}])]),
        ),
        ("nodeSelector", of(vec![json!({"disk": "ssd"}), json!({})])),
        ("nodeName", one(&["", "node-1"])),
        ("serviceAccountName", one(&["", "runner"])),
        ("serviceAccount", one(&["runner"])),
        ("securityContext", object(security.collect())),
        ("tolerations", tolerations),
        ("priorityClassName", one(&["high"])),
        ("terminationGracePeriodSeconds", one(&[30, 5, -1])),
        ("subdomain", one(&["workers"])),
    ]);
    joined(form, rest)
}

fn policies() -> Values {
    of(vec![
        json!({}),
        json!({"completions": 5, "parallelism": 2, "completionMode": "Indexed"}),
        json!({"completions": 5, "completionMode": "Indexed", "backoffLimitPerIndex": 1, "maxFailedIndexes": 3}),
        json!({"completions": 5, "completionMode": "Indexed", "backoffLimitPerIndex": 1, "backoffLimit": 2_147_483_647}),
        json!({"completions": 5, "completionMode": "Indexed", "successPolicy": {"rules": [{"succeededIndexes": "0,2-3", "succeededCount": 2}]}}),
        json!({"parallelism": 3}),
        json!({"parallelism": 1, "completionMode": "NonIndexed"}),
        json!({"parallelism": 0, "completions": 2}),
        json!({"completions": 4}),
        json!({"completions": 1, "parallelism": 1}),
        json!({"podFailurePolicy": {"rules": [
            {"action": "FailJob", "onExitCodes": {"containerName": "c0", "operator": "In", "values": [42]}},
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}, {"type": "X", "status": "False"}]},
            {"action": "Count", "onExitCodes": {"operator": "NotIn", "values": [1, 2]}, "onPodConditions": []},
        ]}, "podReplacementPolicy": "Failed"}),
        json!({"podReplacementPolicy": "TerminatingOrFailed"}),
    ])
}

fn job() -> Values {
    let spec = joined(
        policies(),
        object(vec![
            ("backoffLimit", one(&[0, 6, 9])),
            ("activeDeadlineSeconds", one(&[0, 600])),
            ("ttlSecondsAfterFinished", one(&[0, 3600])),
            ("suspend", flag()),
            ("manualSelector", flag()),
            (
                "selector",
                of(vec![
                    json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}),
                    json!({"matchLabels": {"app": "a"}}),
                ]),
            ),
            ("managedBy", one(&["kubernetes.io/job-controller"])),
            ("scheduling", of(vec![json!({"schedulingPolicy": {"gang": {"minCount": 2}}})])),
            (
                "!template",
                object(vec![
                    (
                        "metadata",
                        object(vec![
                            ("labels", labels()),
                            ("annotations", of(vec![json!({"a/b": "c\nd"})])),
                            ("creationTimestamp", of(vec![Value::Null])),
                            ("finalizers", of(vec![json!(["example.com/f"])])),
                        ]),
                    ),
                    ("!spec", pod()),
                ]),
            ),
        ]),
    );
    let metadata = object(vec![
        (
            "!name",
            one(&[
                "export",
                "Data.Export_v2",
                "a-very-long-name-of-a-job-which-does-not-leave-any-room-for-a-number",
            ]),
        ),
        ("namespace", one(&["team"])),
        ("uid", one(&["1"])),
        ("labels", labels()),
        (
            "annotations",
            of(vec![
                json!({"kubesphere.io/alias-name": " 导出 ", "kubectl.kubernetes.io/last-applied-configuration": "{}"}),
            ]),
        ),
    ]);
    (metadata, spec)
        .prop_map(|(metadata, spec)| json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}))
        .boxed()
}

fn a_generated_job_comes_back() {
    let compared = Cell::new(0);
    TestRunner::new(config(CASES))
        .run(&job(), |object| {
            let converted = CONVERTER.convert(&object).unwrap_or_else(|refusal| panic!("{refusal:?}"));
            compared.set(compared.get() + u32::from(holds(&object, &converted)));
            Ok(())
        })
        .unwrap();
    println!("figure: {} of {CASES} generated Jobs were compared", compared.get());
    assert!(compared.get() > CASES / 2, "{}", compared.get());
}

fn anything() -> Values {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,9}".prop_map(Into::into),
    ];
    let names = prop_oneof![
        3 => select(vec!["spec", "template", "metadata", "containers", "name", "env", "volumes", "labels", "annotations", "jobTemplate", "resources", "selector"]).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::btree_map(names.clone(), inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
    .boxed()
}

/// The places of an object.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (key, child) in fields {
                places(child, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, child)| places(child, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

fn no_object_makes_it_panic() {
    let whole = (anything(), select(vec!["Job", "CronJob"])).prop_map(|(mut object, kind)| {
        if let Some(fields) = object.as_object_mut() {
            fields.insert("apiVersion".to_owned(), json!("batch/v1"));
            fields.insert("kind".to_owned(), json!(kind));
        }
        object
    });
    let changed = (job(), anything(), any::<prop::sample::Index>()).prop_map(|(mut object, value, index)| {
        let mut all = Vec::new();
        places(&object, "", &mut all);
        let place = index.get(&all);
        *object.pointer_mut(place).unwrap() = value;
        object
    });
    TestRunner::new(config(1000))
        .run(&prop_oneof![whole, changed], |object| {
            let _ = CONVERTER.convert(&object);
            Ok(())
        })
        .unwrap();
}
