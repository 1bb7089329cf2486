//! Generated Jobs and policies, and an oracle which reads a Job as JSON and knows the meaning of each generated value
//! from tables.

use jobrequest::api::status::EffectiveSettings;
use k8s_openapi::api::batch::v1::Job;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

/// Amounts and their thousandths.
pub(crate) const AMOUNTS: [(&str, i64); 10] = [
    ("0", 0),
    ("500m", 500),
    (".5", 500),
    ("1", 1000),
    ("1000m", 1000),
    ("1e0", 1000),
    ("1500m", 1500),
    ("2", 2000),
    ("3.0", 3000),
    ("1e4294967299", 1_000_000),
];

pub(crate) fn milli(amount: &Value) -> Option<i64> {
    let text = amount.as_str()?;
    AMOUNTS.iter().find(|(name, _)| *name == text).map(|(_, milli)| *milli)
}

pub(crate) const PATTERNS: [&str; 5] =
    ["**", "docker.io/**", "r.example.com/*", "r.example.com/**", "perl:5"];

/// Images, the patterns which cover them, and whether they have a tag or digest, and a digest.
pub(crate) const IMAGES: [(&str, [bool; 5], bool, bool); 5] = [
    ("perl", [true, true, false, false, false], false, false),
    ("perl:5", [true, true, false, false, true], true, false),
    ("perl:5@sha256:aa", [true, true, false, false, false], true, true),
    ("r.example.com/a", [true, false, true, true, false], false, false),
    ("r.example.com/a/b:1", [true, false, false, true, false], true, false),
];

pub(crate) const RESOURCES: [&str; 3] = ["cpu", "memory", "example.com/device"];
pub(crate) const ACCOUNTS: [&str; 3] = ["default", "batch", "root"];
pub(crate) const CLASSES: [&str; 2] = ["low", "high"];
pub(crate) const KEYS: [&str; 3] = ["disk", "zone", "metadata.name"];
pub(crate) const KINDS: [&str; 3] = ["emptyDir", "secret", "hostPath"];
pub(crate) const SETTINGS: [&str; 8] = [
    "backoffLimit",
    "completions",
    "parallelism",
    "activeDeadlineSeconds",
    "ttlSecondsAfterFinished",
    "ttlSecondsAfterFailed",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
];

/// An object without the members that are null.
pub(crate) fn object(members: Vec<(String, Value)>) -> Value {
    Value::Object(members.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

pub(crate) fn maybe<T: Into<Value> + std::fmt::Debug + Clone>(
    values: impl Strategy<Value = T>,
) -> impl Strategy<Value = Value> {
    proptest::option::of(values).prop_map(|value| value.map_or(Value::Null, Into::into))
}

pub(crate) fn named<T: Into<Value> + std::fmt::Debug + Clone + 'static>(
    names: &[&'static str],
    values: impl Strategy<Value = T> + Clone + 'static,
) -> impl Strategy<Value = Value> {
    let members: Vec<_> =
        names.iter().map(|name| (Just((*name).to_owned()), maybe(values.clone()))).collect();
    members.prop_map(object)
}

pub(crate) fn amount() -> impl Strategy<Value = &'static str> + Clone {
    // Without the one above all bounds in most cases.
    prop_oneof![9 => select(&AMOUNTS[..9]), 1 => select(&AMOUNTS[9..])].prop_map(|(text, _)| text)
}

pub(crate) fn resources() -> impl Strategy<Value = Value> {
    (named(&RESOURCES, amount()), named(&RESOURCES, amount()))
        .prop_map(|(limits, requests)| json!({"limits": limits, "requests": requests}))
}

pub(crate) fn container(name: &'static str) -> impl Strategy<Value = Value> {
    let context = select(vec![
        json!({}),
        json!({"privileged": true}),
        json!({"allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}),
    ]);
    (select(&IMAGES[..]), resources(), context, any::<bool>()).prop_map(
        move |((image, ..), resources, context, sidecar)| {
            let mut container =
                json!({"name": name, "image": image, "resources": resources, "securityContext": context});
            if sidecar && name != "main" {
                container["restartPolicy"] = json!("Always");
            }
            container
        },
    )
}

pub(crate) fn job() -> impl Strategy<Value = Value> {
    let settings = named(
        &[
            "backoffLimit",
            "completions",
            "parallelism",
            "activeDeadlineSeconds",
            "backoffLimitPerIndex",
            "maxFailedIndexes",
        ],
        0_i64..6,
    );
    let init = (proptest::option::of(container("init")), proptest::option::of(container("side")))
        .prop_map(|(init, side)| init.into_iter().chain(side).collect::<Vec<_>>());
    let pod = (
        container("main"),
        init,
        proptest::option::weighted(0.2, resources()),
        maybe(select(&ACCOUNTS[..])),
        maybe(select(&CLASSES[..])),
        (proptest::option::of(select(&KEYS[..2])), proptest::option::of(select(&KEYS[..])), prop::bool::weighted(0.2)),
        subsequence(&KINDS[..], 0..=2),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(main, init, resources, account, class, (selector, affinity, is_placed), kinds, is_host)| {
            let kind = |kind: &&str| {
                let source = if *kind == "hostPath" { json!({"path": "/"}) } else { json!({}) };
                json!({"name": kind.to_lowercase(), *kind: source})
            };
            let term = affinity.map(|key| match key {
                "metadata.name" => json!({"matchFields": [{"key": key, "operator": "Exists"}]}),
                key => json!({"matchExpressions": [{"key": key, "operator": "Exists"}]}),
            });
            object(vec![
                ("containers".to_owned(), json!([main])),
                ("initContainers".to_owned(), json!(init)),
                ("resources".to_owned(), json!(resources)),
                ("serviceAccountName".to_owned(), account),
                ("priorityClassName".to_owned(), class),
                ("nodeSelector".to_owned(), selector.map_or(Value::Null, |key| json!({key: "x"}))),
                ("affinity".to_owned(), term.map_or(Value::Null, |term| json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": term}]}}))),
                ("nodeName".to_owned(), if is_placed { json!("n") } else { Value::Null }),
                ("volumes".to_owned(), kinds.iter().map(kind).collect()),
                ("hostNetwork".to_owned(), if is_host { json!(true) } else { Value::Null }),
            ])
        });
    (settings, pod).prop_map(|(mut spec, pod)| {
        spec["template"] = json!({"spec": pod});
        spec
    })
}

/// Rules that Clamp can meet.
pub(crate) fn numbers() -> BoxedStrategy<Value> {
    let bounds = (proptest::option::weighted(0.3, 0_i64..3), proptest::option::of(2_i64..9))
        .prop_map(|(min, max)| object(vec![("min".to_owned(), json!(min)), ("max".to_owned(), json!(max))]));
    prop_oneof![
        3 => (select(&SETTINGS[..]), bounds).prop_map(|(name, bounds)| json!({"settings": {name: bounds}})),
        2 => bound().prop_map(|max| json!({"resources": {"containerMax": max}})),
    ]
    .boxed()
}

pub(crate) fn bound() -> impl Strategy<Value = Value> {
    (select(&RESOURCES[..]), amount()).prop_map(|(name, amount)| json!({name: amount}))
}

/// Rules that nothing is cut for.
pub(crate) fn others() -> BoxedStrategy<Value> {
    prop_oneof![
        3 => bound().prop_map(|max| json!({"resources": {"runMax": max}})),
        1 => Just(json!({"resources": {"requireLimits": true}})),
        1 => Just(json!({"images": {"requireDigest": true}})),
        1 => Just(json!({"images": {"requireTagOrDigest": true}})),
        1 => subsequence(&PATTERNS[..], 0..=3).prop_map(|allow| json!({"images": {"allow": allow}})),
        1 => subsequence(&ACCOUNTS[..], 0..=3).prop_map(|list| json!({"serviceAccounts": list})),
        1 => subsequence(&CLASSES[..], 0..=2).prop_map(|list| json!({"priorityClasses": list})),
        1 => subsequence(&KEYS[..], 0..=3).prop_map(|list| json!({"nodeSelectorKeys": list})),
        1 => subsequence(&KINDS[..], 0..=3).prop_map(|list| json!({"volumes": list})),
        1 => select(vec!["baseline", "restricted"]).prop_map(|level| json!({"podSecurity": level})),
    ]
    .boxed()
}

/// A policy of few rules, so that runs pass now and then.
pub(crate) fn policy() -> impl Strategy<Value = Value> {
    let clamping =
        (vec(numbers(), 1..4), vec(others(), 0..2)).prop_map(|(numbers, others)| [numbers, others].concat());
    let binding = vec(prop_oneof![numbers(), others()], 0..2);
    prop_oneof![
        3 => (Just(json!("Clamp")), clamping),
        1 => (Just(Value::Null), binding.clone()),
        1 => (Just(json!("Deny")), binding.clone()),
        2 => (Just(json!("Warn")), binding),
    ]
    .prop_map(|(enforcement, rules)| {
        let mut policy = object(vec![("enforcement".to_owned(), enforcement)]);
        for rule in rules {
            add(&mut policy, &rule);
        }
        policy
    })
}

/// Adds the members of one object to another, and of the objects in it.
pub(crate) fn add(to: &mut Value, more: &Value) {
    for (key, value) in more.as_object().unwrap() {
        if to[key].is_object() && value.is_object() {
            add(&mut to[key], value);
        } else {
            to[key] = value.clone();
        }
    }
}

pub(crate) fn ttls() -> impl Strategy<Value = (Option<i32>, Option<i32>)> {
    (proptest::option::of(0..6), proptest::option::of(0..6))
}

pub(crate) fn enforcement(policy: &Value) -> &str {
    policy["enforcement"].as_str().unwrap_or("Deny")
}

/// What a setting counts as: `None` is not judged, `i64::MAX` no limit.
pub(crate) fn setting(name: &str, spec: &Value, settings: &EffectiveSettings) -> Option<i64> {
    let set = spec[name].as_i64();
    let per_index = spec["backoffLimitPerIndex"].as_i64();
    match name {
        "backoffLimit" => Some(set.unwrap_or(if per_index.is_some() { i64::MAX } else { 6 })),
        "completions" => set.or(spec["parallelism"].is_null().then_some(1)),
        "parallelism" => Some(set.unwrap_or(1)),
        "activeDeadlineSeconds" => Some(set.unwrap_or(i64::MAX)),
        "ttlSecondsAfterFinished" => Some(settings.ttl_seconds_after_finished.map_or(i64::MAX, i64::from)),
        "ttlSecondsAfterFailed" => Some(settings.ttl_seconds_after_failed.map_or(i64::MAX, i64::from)),
        "backoffLimitPerIndex" => per_index,
        "maxFailedIndexes" => set.or(per_index.and(Some(i64::MAX))),
        _ => panic!("{name}"),
    }
}

/// Thousandths of `resource` in limits or requests: `None` where nothing is set, or 0 of what is used freely.
pub(crate) fn set(resources: &Value, kind: &str, resource: &str) -> Option<i64> {
    milli(&resources[kind][resource]).filter(|milli| *milli != 0 || resource == "example.com/device")
}

/// The least that a pod surely has at hand at its worst moment; `i64::MAX` for no limit.
pub(crate) fn pod_amount(pod: &Value, resource: &str) -> i64 {
    if let Some(limit) = set(&pod["resources"], "limits", resource) {
        return limit;
    }
    let of_pod = set(&pod["resources"], "requests", resource);
    let one = |container: &Value| {
        let resources = &container["resources"];
        set(resources, "limits", resource)
            .or_else(|| set(resources, "requests", resource))
            .unwrap_or(if resource == "example.com/device" || of_pod.is_some() { 0 } else { i64::MAX })
    };
    let add = |a: i64, b: i64| a.saturating_add(b);
    let init = pod["initContainers"].as_array().cloned().unwrap_or_default();
    let is_sidecar = |container: &Value| container["restartPolicy"] == "Always";
    // Moments: each init container with the sidecars before it (and itself), then everything that stays.
    let mut moments: Vec<i64> = (0..init.len())
        .map(|at| {
            let before = init[..at].iter().filter(|container| is_sidecar(container)).map(one);
            before.fold(one(&init[at]), add)
        })
        .collect();
    let main = pod["containers"].as_array().unwrap().iter().map(one);
    moments.push(init.iter().filter(|container| is_sidecar(container)).map(one).chain(main).fold(0, add));
    moments.into_iter().max().unwrap().max(of_pod.unwrap_or(0))
}

/// Whether the run breaks the policy.
pub(crate) fn breaks(policy: &Value, job: &Job, settings: &EffectiveSettings) -> bool {
    let job = serde_json::to_value(job).unwrap();
    let spec = &job["spec"];
    let pod = &spec["template"]["spec"];
    let containers: Vec<&Value> = ["initContainers", "containers"]
        .iter()
        .flat_map(|list| pod[*list].as_array().into_iter().flatten())
        .collect();
    let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let refuses =
        |list: &Value, value: &str| list.as_array().is_some_and(|list| !list.contains(&json!(value)));

    let settings_break = members(&policy["settings"]).iter().any(|(name, bounds)| {
        setting(name, spec, settings).is_some_and(|value| {
            bounds["max"].as_i64().is_some_and(|max| value > max)
                || bounds["min"].as_i64().is_some_and(|min| value < min)
        })
    });
    let container_max = members(&policy["resources"]["containerMax"]).iter().any(|(resource, max)| {
        containers.iter().any(|container| {
            let none = if resource == "example.com/device" { 0 } else { i64::MAX };
            let limit = set(&container["resources"], "limits", resource).unwrap_or(none);
            let request = set(&container["resources"], "requests", resource).unwrap_or(0);
            limit.max(request) > milli(max).unwrap()
        })
    });
    let run_max = members(&policy["resources"]["runMax"]).iter().any(|(resource, max)| {
        let parallelism = spec["parallelism"].as_i64().unwrap_or(1);
        pod_amount(pod, resource).saturating_mul(parallelism) > milli(max).unwrap()
    });
    let limits_missing = policy["resources"]["requireLimits"] == true
        && containers
            .iter()
            .any(|c| ["cpu", "memory"].iter().any(|name| set(&c["resources"], "limits", name).is_none()));
    let images = containers.iter().any(|container| {
        let (_, covered, has_tag, has_digest) =
            IMAGES.iter().find(|(image, ..)| container["image"] == *image).unwrap();
        let is_refused = policy["images"]["allow"].as_array().is_some_and(|allow| {
            !PATTERNS
                .iter()
                .zip(covered)
                .any(|(pattern, covered)| *covered && allow.contains(&json!(pattern)))
        });
        is_refused
            || policy["images"]["requireTagOrDigest"] == true && !has_tag
            || policy["images"]["requireDigest"] == true && !has_digest
    });
    let account =
        refuses(&policy["serviceAccounts"], pod["serviceAccountName"].as_str().unwrap_or("default"));
    let class =
        pod["priorityClassName"].as_str().is_some_and(|class| refuses(&policy["priorityClasses"], class));
    let written = pod.to_string();
    let keys = KEYS.iter().any(|key| {
        let is_used = pod["nodeSelector"][*key].is_string()
            || written.contains(&format!("\"key\":\"{key}\""))
            || (*key == "metadata.name" && pod["nodeName"].is_string());
        is_used && refuses(&policy["nodeSelectorKeys"], key)
    });
    let volumes = KINDS.iter().any(|kind| {
        let is_used = pod["volumes"].as_array().into_iter().flatten().any(|volume| !volume[*kind].is_null());
        is_used && refuses(&policy["volumes"], kind)
    });
    let is_baseline = !written.contains("\"hostNetwork\":true")
        && !written.contains("privileged")
        && !written.contains("hostPath");
    let is_restricted =
        is_baseline && containers.iter().all(|c| c["securityContext"]["allowPrivilegeEscalation"] == false);
    let security = policy["podSecurity"] == "baseline" && !is_baseline
        || policy["podSecurity"] == "restricted" && !is_restricted;

    settings_break
        || container_max
        || run_max
        || limits_missing
        || images
        || account
        || class
        || keys
        || volumes
        || security
}
