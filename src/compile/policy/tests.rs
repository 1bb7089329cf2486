//! Tables: for each rule what it lets through and what it does not, and what the rules make of each other.
#![allow(clippy::too_many_lines)] // tables

use serde_json::{Value, json};

use super::*;

/// A policy, a Job spec, TTLs; judged.
struct Judged {
    before: Job,
    job: Job,
    settings: EffectiveSettings,
    verdict: Verdict,
}

impl Judged {
    fn of(policies: &[(&str, Value)], spec: &Value, ttls: (Option<i32>, Option<i32>)) -> Self {
        let policies: Vec<(&str, Policy)> = policies
            .iter()
            .map(|(origin, policy)| (*origin, serde_json::from_value(policy.clone()).expect("a policy")))
            .collect();
        let named: Vec<Named<'_>> =
            policies.iter().map(|(origin, policy)| Named { origin, policy }).collect();
        let mut job: Job = serde_json::from_value(json!({"spec": spec})).expect("a Job");
        let mut settings = EffectiveSettings {
            ttl_seconds_after_finished: ttls.0,
            ttl_seconds_after_failed: ttls.1,
            ..Default::default()
        };
        let before = job.clone();
        let verdict = judge(&mut job, &mut settings, &named);
        Self { before, job, settings, verdict }
    }

    fn denied(&self) -> Vec<String> {
        self.verdict.denied.iter().map(ToString::to_string).collect()
    }

    fn clamped(&self) -> Vec<String> {
        let cuts = self.verdict.clamped.iter();
        cuts.map(|cut| {
            format!("{} {} -> {} by {}", cut.path, cut.from.as_deref().unwrap_or("-"), cut.to, cut.by)
        })
        .collect()
    }
}

fn spec(settings: &Value, pod: &Value) -> Value {
    let mut spec = json!({"parallelism": 1, "completions": 1, "backoffLimit": 6, "template": {"spec": {
        "containers": [{"name": "main", "image": "perl:5"}]
    }}});
    for (key, value) in settings.as_object().unwrap() {
        spec[key] = value.clone();
    }
    for (key, value) in pod.as_object().unwrap() {
        spec["template"]["spec"][key] = value.clone();
    }
    spec
}

fn with_resources(resources: &Value) -> Value {
    json!({"containers": [{"name": "main", "image": "perl:5", "resources": resources}]})
}

/// Name, policy, settings, pod, words of the denial or nothing. Under `Warn` it is the same, as warnings.
fn check(table: &[(&str, Value, Value, Value, &[&str])]) {
    let mut wrong = Vec::new();
    for (name, policy, settings, pod, words) in table {
        let spec = spec(settings, pod);
        let denied = Judged::of(&[("T/a", policy.clone())], &spec, (None, None));
        let said = denied.denied();
        let is_right = said.len() == words.len()
            && said.iter().zip(*words).all(|(said, words)| said.contains(words) && said.contains("T/a"));
        if !is_right {
            wrong.push(format!("{name}: {said:#?}"));
        }
        assert_eq!(denied.job, denied.before, "{name}: untouched under Deny");

        let mut warning = policy.clone();
        warning["enforcement"] = json!("Warn");
        let warned = Judged::of(&[("T/a", warning)], &spec, (None, None));
        assert_eq!(warned.denied(), Vec::<String>::new(), "{name}: Warn denies nothing");
        assert_eq!(warned.verdict.warned, denied.verdict.denied, "{name}: Warn says the same");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bounds_of_settings() {
    let max = |name: &str, max: i64| json!({"settings": {name: {"max": max}}});
    let min = |name: &str, min: i64| json!({"settings": {name: {"min": min}}});
    let indexed = json!({"completionMode": "Indexed", "backoffLimit": null, "backoffLimitPerIndex": 2});
    let none = json!({});
    check(&[
        ("at the max", max("backoffLimit", 6), none.clone(), none.clone(), &[]),
        (
            "above",
            max("backoffLimit", 5),
            none.clone(),
            none.clone(),
            &["spec.settings.backoffLimit: is 6, but T/a allows at most 5; lower it"],
        ),
        ("below", min("backoffLimit", 7), none.clone(), none.clone(), &["is 6, but T/a requires at least 7"]),
        ("at the min", min("backoffLimit", 6), none.clone(), none.clone(), &[]),
        (
            "the native default",
            max("backoffLimit", 5),
            json!({"backoffLimit": null}),
            none.clone(),
            &["is 6"],
        ),
        (
            "one limit an index",
            max("backoffLimit", 5),
            indexed.clone(),
            none.clone(),
            &["backoffLimit: is not set, which means no limit, but T/a allows at most 5; set it"],
        ),
        ("no limit is above a min", min("backoffLimit", 5), indexed.clone(), none.clone(), &[]),
        (
            "per index",
            max("backoffLimitPerIndex", 1),
            indexed.clone(),
            none.clone(),
            &["backoffLimitPerIndex: is 2"],
        ),
        ("per index, absent", max("backoffLimitPerIndex", 1), none.clone(), none.clone(), &[]),
        (
            "failed indexes, absent",
            max("maxFailedIndexes", 1),
            indexed,
            none.clone(),
            &["maxFailedIndexes: is not set"],
        ),
        ("failed indexes, no matter", max("maxFailedIndexes", 1), none.clone(), none.clone(), &[]),
        (
            "completions",
            max("completions", 3),
            json!({"completions": 4}),
            none.clone(),
            &["completions: is 4"],
        ),
        ("a work queue", max("completions", 0), json!({"completions": null}), none.clone(), &[]),
        (
            "neither",
            max("completions", 0),
            json!({"completions": null, "parallelism": null}),
            none.clone(),
            &["completions: is 1"],
        ),
        (
            "parallelism",
            max("parallelism", 3),
            json!({"parallelism": 4}),
            none.clone(),
            &["parallelism: is 4"],
        ),
        (
            "parallelism, absent",
            min("parallelism", 2),
            json!({"parallelism": null}),
            none.clone(),
            &["parallelism: is 1"],
        ),
        (
            "a deadline is required",
            max("activeDeadlineSeconds", 60),
            none.clone(),
            none.clone(),
            &["is not set, which means no limit"],
        ),
        (
            "a deadline",
            max("activeDeadlineSeconds", 60),
            json!({"activeDeadlineSeconds": 61}),
            none.clone(),
            &["is 61"],
        ),
        ("a deadline is not required", min("activeDeadlineSeconds", 60), none.clone(), none.clone(), &[]),
        (
            "a TTL is required",
            max("ttlSecondsAfterFinished", 60),
            none.clone(),
            none.clone(),
            &["ttlSecondsAfterFinished: is not set"],
        ),
        (
            "a TTL of failed runs, too",
            max("ttlSecondsAfterFailed", 60),
            none.clone(),
            none.clone(),
            &["ttlSecondsAfterFailed: is not set"],
        ),
        ("nothing", json!({}), none.clone(), none.clone(), &[]),
        ("no bounds", json!({"settings": {"backoffLimit": {}}}), none.clone(), none, &[]),
    ]);
}

#[test]
fn bounds_of_containers() {
    let cpu = json!({"resources": {"containerMax": {"cpu": "2"}}});
    let gpu = json!({"resources": {"containerMax": {"nvidia.com/gpu": 1}}});
    let limit = |cpu: &str| with_resources(&json!({"limits": {"cpu": cpu}}));
    let none = json!({});
    check(&[
        ("within", cpu.clone(), none.clone(), limit("2000m"), &[]),
        (
            "above",
            cpu.clone(),
            none.clone(),
            limit("2001m"),
            &[
                "spec.containers[main].resources.limits.cpu: is 2001m, but T/a allows a container at most 2 of cpu",
            ],
        ),
        ("no limit", cpu.clone(), none.clone(), none.clone(), &["resources.limits.cpu: is not set"]),
        (
            "limit 0 is none to a node",
            cpu.clone(),
            none.clone(),
            limit("0m"),
            &["resources.limits.cpu: is not set"],
        ),
        ("an exponent that wraps", cpu.clone(), none.clone(), limit("1e4294967297"), &["is 1e4294967297"]),
        (
            "a negative exponent that wraps",
            cpu.clone(),
            none.clone(),
            limit("1e-4294967290"),
            &["is 1e-4294967290"],
        ),
        ("no quantity", cpu.clone(), none.clone(), limit("many"), &["is many"]),
        (
            "request",
            cpu.clone(),
            none.clone(),
            with_resources(&json!({"limits": {"cpu": 2}, "requests": {"cpu": 3}})),
            &["resources.requests.cpu: is 3"],
        ),
        (
            "a request is no limit",
            cpu.clone(),
            none.clone(),
            with_resources(&json!({"requests": {"cpu": 1}})),
            &["is not set"],
        ),
        (
            "a limit of the pod is none",
            cpu.clone(),
            none.clone(),
            json!({"resources": {"limits": {"cpu": 1}}}),
            &["is not set"],
        ),
        (
            "init containers and sidecars",
            cpu,
            none.clone(),
            json!({"containers": [], "initContainers": [
                {"name": "i", "resources": {"limits": {"cpu": 3}}},
                {"name": "s", "restartPolicy": "Always", "resources": {"limits": {"cpu": 4}}}
            ]}),
            &[
                "spec.initContainers[i].resources.limits.cpu: is 3",
                "spec.initContainers[s].resources.limits.cpu: is 4",
            ],
        ),
        ("no device is none", gpu.clone(), none.clone(), none.clone(), &[]),
        ("devices", gpu, none.clone(), with_resources(&json!({"limits": {"nvidia.com/gpu": 2}})), &["is 2"]),
        (
            "binary and decimal",
            json!({"resources": {"containerMax": {"memory": "1G"}}}),
            none.clone(),
            with_resources(&json!({"limits": {"memory": "1Gi"}})),
            &["is 1Gi"],
        ),
        (
            "limits required",
            json!({"resources": {"requireLimits": true}}),
            none.clone(),
            limit("1"),
            &["limits.memory: is not set"],
        ),
        (
            "limits not required",
            json!({"resources": {"requireLimits": false}}),
            none.clone(),
            none.clone(),
            &[],
        ),
        (
            "limits there",
            json!({"resources": {"requireLimits": true}}),
            none.clone(),
            with_resources(&json!({"limits": {"cpu": 1, "memory": 1}})),
            &[],
        ),
        (
            "limits 0 are none",
            json!({"resources": {"requireLimits": true}}),
            none,
            with_resources(&json!({"limits": {"cpu": 0, "memory": "0Gi"}})),
            &["limits.cpu", "limits.memory"],
        ),
    ]);
}

#[test]
fn bounds_of_runs() {
    let cpu = |max: &str| json!({"resources": {"runMax": {"cpu": max}}});
    let limits = |name: &str, cpu: &str| json!({"name": name, "resources": {"limits": {"cpu": cpu}}});
    let sidecar = |name: &str, cpu: &str| json!({"name": name, "restartPolicy": "Always", "resources": {"limits": {"cpu": cpu}}});
    let none = json!({});
    let pod = json!({"containers": [limits("a", "1500m"), limits("b", ".5")]});
    let starting = json!({
        "containers": [limits("a", "1")],
        "initContainers": [limits("i", "4"), sidecar("s", "2"), limits("j", "3"), sidecar("t", "1")]
    });
    check(&[
        ("sum", cpu("2"), none.clone(), pod.clone(), &[]),
        (
            "sum, above",
            cpu("1999m"),
            none.clone(),
            pod.clone(),
            &[
                "spec.containers: the run may use 2 of cpu (1 pods at once, 2 each), but T/a allows a run at most 1999m of cpu; lower the resources",
            ],
        ),
        (
            "times parallelism",
            cpu("64"),
            json!({"parallelism": 33}),
            pod.clone(),
            &[
                "the run may use 66 of cpu (33 pods at once, 2 each), but T/a allows a run at most 64 of cpu; lower spec.settings.parallelism to at most 32",
            ],
        ),
        ("held", cpu("1"), json!({"parallelism": 0}), pod, &[]),
        // s and j while starting: 5; a, s and t while running: 4; i alone: 4
        ("init containers", cpu("5"), none.clone(), starting.clone(), &[]),
        ("init containers, above", cpu("4.9"), none.clone(), starting, &["may use 5 of cpu"]),
        ("a request will do", cpu("1"), none.clone(), with_resources(&json!({"requests": {"cpu": 1}})), &[]),
        (
            "a limit goes before",
            cpu("1"),
            none.clone(),
            with_resources(&json!({"requests": {"cpu": 1}, "limits": {"cpu": 2}})),
            &["may use 2"],
        ),
        (
            "neither",
            cpu("100"),
            none.clone(),
            none.clone(),
            &["spec.containers[main].resources.limits.cpu: is not set, nor is a request"],
        ),
        (
            "zeros are neither",
            cpu("100"),
            none.clone(),
            with_resources(&json!({"requests": {"cpu": 0}, "limits": {"cpu": "0m"}})),
            &["is not set"],
        ),
        ("limit of the pod", cpu("2"), none.clone(), json!({"resources": {"limits": {"cpu": 2}}}), &[]),
        (
            "limit of the pod, above",
            cpu("2"),
            none.clone(),
            json!({"resources": {"limits": {"cpu": 3}}}),
            &["may use 3"],
        ),
        (
            "request of the pod",
            cpu("2"),
            none.clone(),
            json!({"resources": {"requests": {"cpu": 3}}}),
            &["may use 3"],
        ),
        (
            "request of the pod below its containers",
            cpu("2"),
            none.clone(),
            json!({"resources": {"requests": {"cpu": 1}}, "containers": [limits("a", "3")]}),
            &["may use 3"],
        ),
        (
            "overhead",
            cpu("2"),
            none.clone(),
            json!({"overhead": {"cpu": "100m"}, "containers": [limits("a", "2")]}),
            &["may use 2100m"],
        ),
        (
            "no device is none",
            json!({"resources": {"runMax": {"nvidia.com/gpu": 0}}}),
            none.clone(),
            none.clone(),
            &[],
        ),
        (
            "devices",
            json!({"resources": {"runMax": {"nvidia.com/gpu": 3}}}),
            json!({"parallelism": 2}),
            with_resources(&json!({"limits": {"nvidia.com/gpu": 2}})),
            &["may use 4"],
        ),
        (
            "no overflow",
            cpu("9E"),
            json!({"parallelism": 2_147_483_647}),
            with_resources(&json!({"limits": {"cpu": "9E"}})),
            &["T/a"],
        ),
        (
            "bytes",
            json!({"resources": {"runMax": {"memory": "1Gi"}}}),
            json!({"parallelism": 3}),
            with_resources(&json!({"limits": {"memory": "512Mi"}})),
            &["may use 1536Mi of memory (3 pods at once, 512Mi each)"],
        ),
        ("no quantity", cpu("1"), none, with_resources(&json!({"limits": {"cpu": "many"}})), &["may use"]),
    ]);
}

#[test]
fn images_of_pods() {
    let allow = |list: Value| json!({"images": {"allow": list}});
    let image = |image: &str| json!({"containers": [{"name": "main", "image": image}]});
    let none = json!({});
    let digest = format!("perl@sha256:{}", "a".repeat(64));
    check(&[
        ("allowed", allow(json!(["docker.io/library/*"])), none.clone(), none.clone(), &[]),
        (
            "not allowed",
            allow(json!(["r.example.com/**"])),
            none.clone(),
            none.clone(),
            &[
                "spec.containers[main].image: is perl:5, in full docker.io/library/perl, but T/a allows the images: r.example.com/**",
            ],
        ),
        ("none allowed", allow(json!([])), none.clone(), none.clone(), &["allows the images: none"]),
        ("any allowed", json!({"images": {}}), none.clone(), none.clone(), &[]),
        ("tag", json!({"images": {"requireTagOrDigest": true}}), none.clone(), none.clone(), &[]),
        (
            "no tag",
            json!({"images": {"requireTagOrDigest": true}}),
            none.clone(),
            image("localhost:5000/perl"),
            &["requires a tag or a digest"],
        ),
        (
            "digest for a tag",
            json!({"images": {"requireTagOrDigest": true}}),
            none.clone(),
            image(&digest),
            &[],
        ),
        ("digest", json!({"images": {"requireDigest": true}}), none.clone(), image(&digest), &[]),
        (
            "no digest",
            json!({"images": {"requireDigest": true, "requireTagOrDigest": true}}),
            none.clone(),
            none.clone(),
            &["requires a digest"],
        ),
        (
            "init containers and volumes",
            allow(json!(["perl"])),
            none.clone(),
            json!({"initContainers": [{"name": "i", "image": "evil"}], "volumes": [{"name": "v", "image": {"reference": "quay.io/evil"}}]}),
            &["spec.initContainers[i].image: is evil", "spec.volumes[v].image.reference: is quay.io/evil"],
        ),
        (
            "a volume without a reference",
            allow(json!(["perl"])),
            none.clone(),
            json!({"volumes": [{"name": "v", "image": {}}]}),
            &[],
        ),
        (
            "only warned about once",
            json!({"images": {"allow": [], "requireDigest": true}}),
            none,
            image("a"),
            &["allows the images: none", "requires a digest"],
        ),
    ]);
}

#[test]
fn allow_lists() {
    let none = json!({});
    let affinity = |kind: &str, term: Value| {
        let terms = if kind.starts_with("required") {
            json!({"nodeSelectorTerms": [{}, term]})
        } else {
            json!([{"weight": 1, "preference": term}])
        };
        json!({"affinity": {"nodeAffinity": {kind: terms}}})
    };
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    let label = json!({"matchExpressions": [{"key": "zone", "operator": "Exists"}]});
    let name = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]});
    let accounts = |list: Value| json!({"serviceAccounts": list});
    let classes = |list: Value| json!({"priorityClasses": list});
    let keys = |list: Value| json!({"nodeSelectorKeys": list});
    let kinds = |list: Value| json!({"volumes": list});
    check(&[
        ("account unnamed", accounts(json!(["default"])), none.clone(), none.clone(), &[]),
        (
            "account unnamed, none allowed",
            accounts(json!([])),
            none.clone(),
            none.clone(),
            &["spec.serviceAccountName: the pods run as default, but T/a allows the service accounts: none"],
        ),
        ("account", accounts(json!(["batch"])), none.clone(), json!({"serviceAccountName": "batch"}), &[]),
        (
            "another account",
            accounts(json!(["batch", "default"])),
            none.clone(),
            json!({"serviceAccountName": "root"}),
            &["run as root"],
        ),
        (
            "the old field",
            accounts(json!(["default"])),
            none.clone(),
            json!({"serviceAccount": "root"}),
            &["run as root"],
        ),
        (
            "the old field beside an empty one",
            accounts(json!(["default"])),
            none.clone(),
            json!({"serviceAccountName": "", "serviceAccount": "root"}),
            &["run as root"],
        ),
        (
            "the new field wins",
            accounts(json!(["batch"])),
            none.clone(),
            json!({"serviceAccountName": "batch", "serviceAccount": "root"}),
            &[],
        ),
        ("no class", classes(json!([])), none.clone(), none.clone(), &[]),
        ("an empty class", classes(json!([])), none.clone(), json!({"priorityClassName": ""}), &[]),
        ("a class", classes(json!(["low"])), none.clone(), json!({"priorityClassName": "low"}), &[]),
        (
            "another class",
            classes(json!(["low"])),
            none.clone(),
            json!({"priorityClassName": "high"}),
            &["is high, but T/a allows the priority classes: low"],
        ),
        ("no key", keys(json!([])), none.clone(), none.clone(), &[]),
        ("key", keys(json!(["disk"])), none.clone(), json!({"nodeSelector": {"disk": "ssd"}}), &[]),
        (
            "another key",
            keys(json!(["disk"])),
            none.clone(),
            json!({"nodeSelector": {"disk": "ssd", "zone": "a"}}),
            &["spec.nodeSelector[zone]: chooses nodes by zone, but T/a allows to choose them by: disk"],
        ),
        (
            "required term",
            keys(json!(["disk"])),
            none.clone(),
            affinity(required, label.clone()),
            &["by zone"],
        ),
        ("preferred term", keys(json!(["disk"])), none.clone(), affinity(preferred, label), &["by zone"]),
        (
            "required name",
            keys(json!(["disk"])),
            none.clone(),
            affinity(required, name.clone()),
            &["spec.nodeName: chooses nodes by metadata.name"],
        ),
        (
            "preferred name",
            keys(json!(["disk"])),
            none.clone(),
            affinity(preferred, name.clone()),
            &["by metadata.name"],
        ),
        ("name allowed", keys(json!(["metadata.name"])), none.clone(), affinity(required, name), &[]),
        (
            "past the scheduler",
            keys(json!(["disk"])),
            none.clone(),
            json!({"nodeName": "n"}),
            &["overrides.template.spec.nodeName: chooses nodes by metadata.name"],
        ),
        ("no volume", kinds(json!([])), none.clone(), none.clone(), &[]),
        (
            "volume",
            kinds(json!(["emptyDir"])),
            none.clone(),
            json!({"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b"}]}),
            &[],
        ),
        (
            "no volume allowed",
            kinds(json!([])),
            none.clone(),
            json!({"volumes": [{"name": "b"}]}),
            &["spec.volumes[b]: is a volume of kind emptyDir, but T/a allows: none"],
        ),
        (
            "other volumes",
            kinds(json!(["emptyDir"])),
            none,
            json!({"volumes": [
                {"name": "a", "projected": {"sources": []}},
                {"name": "b", "ephemeral": {}},
                {"name": "c", "csi": {"driver": "d"}},
                {"name": "d", "image": {"reference": "x"}},
                {"name": "e", "hostPath": {"path": "/"}},
                {"name": "f", "downwardAPI": {}}
            ]}),
            &[
                "kind projected",
                "kind ephemeral",
                "kind csi",
                "kind image",
                "kind hostPath",
                "kind downwardAPI",
            ],
        ),
    ]);
}

#[test]
fn pod_security_standards() {
    let baseline = json!({"podSecurity": "baseline"});
    let restricted = json!({"podSecurity": "restricted"});
    let good = json!({
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "main", "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]
    });
    let none = json!({});
    check(&[
        ("baseline", baseline.clone(), none.clone(), none.clone(), &[]),
        (
            "host network",
            baseline,
            none.clone(),
            json!({"hostNetwork": true}),
            &[
                "spec.overrides.template.spec.hostNetwork: is true, but T/a requires the Pod Security Standard baseline: no namespace of the host",
            ],
        ),
        ("restricted", restricted.clone(), none.clone(), good, &[]),
        (
            "not restricted",
            restricted,
            none.clone(),
            none,
            &[
                "spec.podSecurity: containers[main].securityContext.runAsNonRoot is not set",
                "containers[main].securityContext.allowPrivilegeEscalation is not set",
                "containers[main].securityContext.capabilities.drop is not set",
                "containers[main].securityContext.seccompProfile is not set",
            ],
        ),
    ]);
}

#[test]
fn numbers_are_cut() {
    let policy = json!({"enforcement": "Clamp", "settings": {
        "backoffLimit": {"max": 3}, "parallelism": {"min": 2, "max": 50}, "activeDeadlineSeconds": {"max": 60},
        "ttlSecondsAfterFinished": {"max": 100}, "ttlSecondsAfterFailed": {"max": 200}, "completions": {"max": 9}
    }, "resources": {"containerMax": {"cpu": "2", "memory": "1Gi"}}});
    let pod = with_resources(&json!({"limits": {"cpu": 4}, "requests": {"cpu": 3, "memory": "1Mi"}}));
    let judged = Judged::of(&[("T/a", policy)], &spec(&json!({}), &pod), (None, Some(300)));
    assert_eq!(judged.denied(), Vec::<String>::new());
    assert_eq!(
        judged.clamped(),
        [
            "spec.settings.backoffLimit 6 -> 3 by T/a",
            "spec.settings.parallelism 1 -> 2 by T/a",
            "spec.settings.activeDeadlineSeconds - -> 60 by T/a",
            "spec.settings.ttlSecondsAfterFinished - -> 100 by T/a",
            "spec.settings.ttlSecondsAfterFailed 300 -> 200 by T/a",
            "spec.containers[main].resources.limits.cpu 4 -> 2 by T/a",
            "spec.containers[main].resources.requests.cpu 3 -> 2 by T/a",
            "spec.containers[main].resources.limits.memory - -> 1Gi by T/a",
        ]
    );
    assert_eq!(
        serde_json::to_value(&judged.settings).unwrap(),
        json!({"backoffLimit": 3, "completions": 1, "parallelism": 2, "activeDeadlineSeconds": 60,
            "ttlSecondsAfterFinished": 100, "ttlSecondsAfterFailed": 200})
    );
    let job = serde_json::to_value(&judged.job).unwrap();
    assert_eq!(
        job["spec"]["template"]["spec"]["containers"][0]["resources"],
        json!({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "2", "memory": "1Mi"}})
    );
}

#[test]
fn cuts_of_what_is_absent() {
    let clamp = |settings: Value| [("T/a", json!({"enforcement": "Clamp", "settings": settings}))];
    let indexed = json!({"completions": 4, "backoffLimit": null, "backoffLimitPerIndex": 2});
    let judged = Judged::of(
        &clamp(json!({"backoffLimit": {"max": 9}, "maxFailedIndexes": {"max": 9}})),
        &spec(&indexed, &json!({})),
        (None, None),
    );
    let expected =
        ["spec.settings.backoffLimit - -> 9 by T/a", "spec.settings.maxFailedIndexes - -> 4 by T/a"];
    assert_eq!(judged.clamped(), expected);

    let native = json!({"completions": null, "parallelism": null});
    let judged =
        Judged::of(&clamp(json!({"parallelism": {"min": 2}})), &spec(&native, &json!({})), (None, None));
    assert_eq!(judged.clamped(), ["spec.settings.parallelism 1 -> 2 by T/a"]);
    assert_eq!(judged.settings.completions, Some(1), "no work queue by accident");

    let judged = Judged::of(
        &clamp(json!({"ttlSecondsAfterFinished": {"max": 9}})),
        &spec(&json!({}), &json!({})),
        (None, None),
    );
    assert_eq!(judged.settings.ttl_seconds_after_failed, Some(9), "a failed run follows");

    let policy =
        json!({"enforcement": "Clamp", "resources": {"containerMax": {"cpu": 4, "nvidia.com/gpu": 1}}});
    let pod = json!({"resources": {"limits": {"cpu": 2}}});
    let judged = Judged::of(&[("T/a", policy)], &spec(&json!({}), &pod), (None, None));
    let expected = ["spec.containers[main].resources.limits.cpu - -> 2 by T/a"];
    assert_eq!(judged.clamped(), expected, "not above its pod, and no device for everybody");
}

#[test]
fn policies_together() {
    let clamp = |settings: Value| json!({"enforcement": "Clamp", "settings": settings});
    let plain = spec(&json!({}), &json!({}));
    let judge = |policies: &[(&str, Value)]| Judged::of(policies, &plain, (None, None));

    let strictest = judge(&[
        ("T/a", clamp(json!({"backoffLimit": {"max": 4}}))),
        ("T/b", clamp(json!({"backoffLimit": {"max": 2}}))),
    ]);
    assert_eq!(strictest.clamped(), ["spec.settings.backoffLimit 6 -> 2 by T/b"]);

    let denied_as_written = judge(&[
        ("T/a", clamp(json!({"backoffLimit": {"max": 2}}))),
        ("T/b", json!({"settings": {"backoffLimit": {"max": 4}}})),
    ]);
    assert_eq!(
        denied_as_written.denied(),
        ["spec.settings.backoffLimit: is 6, but T/b allows at most 4; lower it to that"]
    );
    assert_eq!((&denied_as_written.job, denied_as_written.clamped().len()), (&denied_as_written.before, 0));

    let broken_by_a_cut = judge(&[
        ("T/a", clamp(json!({"backoffLimit": {"max": 2}}))),
        ("T/b", json!({"settings": {"backoffLimit": {"min": 4}}})),
    ]);
    assert_eq!(
        broken_by_a_cut.denied(),
        [
            "spec.settings.backoffLimit: is 2, but T/b requires at least 4; raise it to that (with numbers cut by T/a: write them within the bounds, or have the policies changed)"
        ]
    );

    let contradiction = judge(&[
        ("T/a", clamp(json!({"backoffLimit": {"max": 2}}))),
        ("T/b", clamp(json!({"backoffLimit": {"min": 4}}))),
    ]);
    assert_eq!(contradiction.denied().len(), 1, "{:?}", contradiction.denied());

    let not_cut = judge(&[("T/a", json!({"enforcement": "Clamp", "images": {"allow": []}}))]);
    assert!(not_cut.denied()[0].contains("allows the images: none;"), "{:?}", not_cut.denied());

    let limits = json!({"enforcement": "Clamp", "resources": {"requireLimits": true}});
    let bounds = json!({"containerMax": {"cpu": 1, "memory": 1}});
    let no_rescue =
        judge(&[("T/a", limits.clone()), ("T/b", json!({"enforcement": "Clamp", "resources": bounds}))]);
    assert_eq!(no_rescue.denied().len(), 2, "another policy writes the limits: {:?}", no_rescue.denied());
    let mut own = limits;
    own["resources"]["containerMax"] = bounds["containerMax"].clone();
    assert_eq!(judge(&[("T/a", own)]).denied(), Vec::<String>::new(), "its own cuts count");

    let warned_about_the_result = judge(&[
        ("T/a", clamp(json!({"backoffLimit": {"max": 2}}))),
        ("T/b", json!({"enforcement": "Warn", "settings": {"backoffLimit": {"max": 1}}})),
    ]);
    let warned: Vec<_> = warned_about_the_result.verdict.warned.iter().map(ToString::to_string).collect();
    assert_eq!(warned, ["spec.settings.backoffLimit: is 2, but T/b allows at most 1; lower it to that"]);
}

#[test]
fn many_clamps_deny() {
    let origins: Vec<String> = (0..20).map(|number| format!("T/{number:02}")).collect();
    let policy = json!({"enforcement": "Clamp", "settings": {"backoffLimit": {"max": 5}}});
    let policies: Vec<(&str, Value)> =
        origins.iter().map(|origin| (origin.as_str(), policy.clone())).collect();
    let judge = |count: usize| {
        Judged::of(&policies[..count], &spec(&json!({}), &json!({})), (None, None)).denied().len()
    };
    assert_eq!((judge(MAX_CLAMPS), judge(20)), (0, 20));
}

#[test]
fn an_empty_job() {
    let mut job = Job::default();
    let verdict = judge(&mut job, &mut EffectiveSettings::default(), &[]);
    assert_eq!((job, verdict), (Job::default(), Verdict::default()));
}
