//! What holds for every request over every stack of layers: no policy is bypassed, a higher-precedence template never widens
//! what a farther one allows, and the origin of each value is the layer that decided it.
//!
//! Layers are generated as JSON. The oracle of origins looks each path up in each layer by itself and knows nothing of
//! merging; that of policies is the one of `policy_properties`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jobrequest::api::JobRequestSpec;
use jobrequest::api::template_ref::{TemplateKind, TemplateRef};
use jobrequest::compile::{
    Builtin, Compiled, Identity, Layers, Problems, Template, compile, provenance, select,
};
use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::sample::{Index, select as one_of, subsequence};
use proptest::strategy::ValueTree;
use serde_json::{Value, json};

use crate::policy_properties::oracle::{
    ACCOUNTS, CLASSES, IMAGES, breaks, enforcement, maybe, milli, object, policy, resources,
};

pub(crate) fn tests() -> Vec<Trial> {
    tests![
        the_origin_is_the_layer_that_decided,
        no_policy_can_be_bypassed,
        one_more_policy_never_allows_more,
        a_second_default_switches_nothing_off,
        what_is_locked_stays,
        every_outcome_is_common,
    ]
}

/// A template of the cluster, one of the namespace, one that the request names, and the request, each maybe absent.
#[derive(Clone, Debug)]
struct World {
    cluster: Option<Value>,
    namespace: Option<Value>,
    named: Option<Value>,
    request: Value,
}

fn member(name: &'static str, value: impl Strategy<Value = Value>) -> impl Strategy<Value = (String, Value)> {
    value.prop_map(move |value| (name.to_owned(), value))
}

fn env() -> BoxedStrategy<Value> {
    let source = prop_oneof![
        one_of(vec!["1", "2", "3"]).prop_map(|text| json!({"value": text})),
        one_of(vec!["k", "l"])
            .prop_map(|key| json!({"configRef": {"kind": "Secret", "name": "s", "key": key}})),
    ];
    (proptest::option::of(source.clone()), proptest::option::of(source))
        .prop_map(|(a, b)| {
            let named = |name: &str, source: Option<Value>| {
                source.map(|mut variable| {
                    variable["name"] = json!(name);
                    variable
                })
            };
            json!([named("A", a), named("B", b)].into_iter().flatten().collect::<Vec<_>>())
        })
        .boxed()
}

/// Amounts that Kubernetes takes whatever layers add: requests below every limit, and of devices whole limits only.
fn amounts() -> impl Strategy<Value = Value> {
    resources().prop_map(|mut resources| {
        for (name, amount) in resources["requests"].as_object_mut().unwrap() {
            if *amount != "0" {
                *amount = json!(if name == "cpu" { "500m" } else { ".5" });
            }
        }
        resources["requests"].as_object_mut().unwrap().remove("example.com/device");
        let device = &mut resources["limits"]["example.com/device"];
        if milli(device).is_none_or(|milli| milli % 1000 != 0) {
            *device = json!("1");
        }
        resources
    })
}

/// A container, without a name.
fn container() -> BoxedStrategy<Value> {
    let members = (
        member("image", maybe(one_of(IMAGES.map(|(image, ..)| image).to_vec()))),
        member("imagePullPolicy", maybe(one_of(vec!["Always", "Never"]))),
        member("command", maybe(one_of(vec![json!(["a"]), json!(["b", "c"])]))),
        member("quota", maybe(one_of(vec!["small", "large"]))),
        member("resources", maybe(amounts())),
        member("env", maybe(env())),
    );
    members.prop_map(|(a, b, c, d, e, f)| object(vec![a, b, c, d, e, f])).boxed()
}

/// A partial Job spec which tries to bypass everything.
fn overrides() -> BoxedStrategy<Value> {
    let pods = one_of(vec![
        json!({"hostNetwork": true}),
        json!({"serviceAccountName": "root"}),
        json!({"priorityClassName": CLASSES[1]}),
        json!({"containers": [{"name": "main", "securityContext": {"privileged": true}}]}),
        json!({"containers": [{"name": "main", "image": IMAGES[1].0, "resources": {"limits": {"cpu": "3.0"}}}]}),
        json!({"initContainers": [{"name": "more", "image": IMAGES[0].0}]}),
        json!({"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}),
        json!({"nodeSelector": {"disk": "own"}}),
    ]);
    let settings = one_of(vec![json!({"parallelism": 5}), json!({"backoffLimit": 9}), json!({})]);
    (pods, settings)
        .prop_map(|(pod, mut overrides)| {
            overrides["template"] = json!({"spec": pod});
            overrides
        })
        .boxed()
}

/// Any part of a spec.
fn spec() -> BoxedStrategy<Value> {
    let settings = (
        member("backoffLimit", maybe(0..6)),
        member("parallelism", maybe(0..4)),
        member("completions", maybe(0..6)),
        member("activeDeadlineSeconds", maybe(0..6)),
        member("ttlSecondsAfterFinished", maybe(0..6)),
    )
        .prop_map(|(a, b, c, d, e)| object(vec![a, b, c, d, e]));
    let containers = (proptest::option::of(container()), proptest::option::weighted(0.2, container()))
        .prop_map(|(main, side)| {
            let named = |name: &str, mut container: Value| {
                container["name"] = json!(name);
                container
            };
            let side = side.map(|mut side| {
                side["sidecar"] = json!(true);
                named("side", side)
            });
            json!(main.map(|main| named("main", main)).into_iter().chain(side).collect::<Vec<_>>())
        });
    let volume = one_of(vec![
        json!([]),
        json!([{"name": "data", "emptyDir": {}}]),
        json!([{"name": "data", "emptyDir": {"medium": "Memory"}}]),
        json!([{"name": "data", "configRef": {"kind": "Secret", "name": "s"}}]),
    ]);
    let members = (
        member("settings", settings),
        member("restartPolicy", maybe(one_of(vec!["Never", "OnFailure"]))),
        member("serviceAccountName", maybe(one_of(ACCOUNTS.to_vec()))),
        member(
            "nodeSelector",
            one_of(vec![json!({}), json!({"disk": "ssd"}), json!({"disk": "hdd", "zone": "a"})]),
        ),
        member("labels", one_of(vec![json!({}), json!({"tier": "job"}), json!({"example.com/team": "a"})])),
        member("containers", containers),
        member("volumes", volume),
        member("podSecurity", maybe(one_of(vec!["baseline", "restricted"]))),
    );
    members.prop_map(|(a, b, c, d, e, f, g, h)| object(vec![a, b, c, d, e, f, g, h])).boxed()
}

fn presets() -> BoxedStrategy<Value> {
    (proptest::option::of(amounts()), proptest::option::of(amounts()))
        .prop_map(|(small, large)| {
            object(vec![("small".to_owned(), json!(small)), ("large".to_owned(), json!(large))])
        })
        .boxed()
}

fn template() -> BoxedStrategy<Value> {
    let members = (
        member("base", maybe(spec())),
        member("containerDefaults", maybe(container())),
        member("quotas", presets()),
        member("policy", maybe(policy())),
    );
    members.prop_map(|(a, b, c, d)| object(vec![a, b, c, d])).boxed()
}

fn world() -> BoxedStrategy<World> {
    // Presets and images are there in most worlds, so that many compile.
    let cluster = template().prop_map(|mut template| {
        template["quotas"] =
            json!({"small": {"limits": {"cpu": "1"}}, "large": {"limits": {"cpu": "2", "memory": "2"}}});
        template
    });
    let request = (spec(), proptest::option::weighted(0.3, overrides())).prop_map(|(mut spec, overrides)| {
        if spec["containers"].as_array().is_none_or(Vec::is_empty) {
            spec["containers"] = json!([{"name": "main"}]);
        }
        if spec["containers"][0]["image"].is_null() {
            spec["containers"][0]["image"] = json!("perl:5");
        }
        if let Some(overrides) = overrides {
            spec["overrides"] = overrides;
        }
        spec
    });
    let maybe = |likely, template| proptest::option::weighted(likely, template);
    (maybe(0.9, cluster.boxed()), maybe(0.5, template()), maybe(0.4, template()), request)
        .prop_map(|(cluster, namespace, named, mut request)| {
            if named.is_some() {
                request["templateRef"] = json!({"kind": "JobTemplate", "name": "named"});
            }
            World { cluster, namespace, named, request }
        })
        .boxed()
}

impl World {
    /// Origin and spec of each template, lowest first.
    fn templates(&self) -> Vec<(&'static str, &Value)> {
        let all = [
            ("ClusterJobTemplate/cluster", &self.cluster),
            ("JobTemplate/namespace", &self.namespace),
            ("JobTemplate/named", &self.named),
        ];
        all.into_iter().filter_map(|(origin, spec)| Some((origin, spec.as_ref()?))).collect()
    }

    /// The templates up to that of `origin`; all for the request.
    fn up_to(&self, origin: &str) -> Vec<(&'static str, &Value)> {
        let all = self.templates();
        let count = all.iter().position(|(known, _)| *known == origin).map_or(all.len(), |at| at + 1);
        all.into_iter().take(count).collect()
    }

    fn spec(&self) -> JobRequestSpec {
        serde_json::from_value(self.request.clone()).unwrap()
    }

    fn layers(&self) -> Layers {
        self.layers_with(&[])
    }

    /// The layers, if there are these templates too.
    fn layers_with(&self, more: &[(&'static str, &Value)]) -> Layers {
        let templates: Vec<_> = (self.templates().into_iter().chain(more.iter().copied()))
            .map(|(origin, spec)| {
                let (kind, name) = origin.split_once('/').unwrap();
                let kind: TemplateKind = serde_json::from_value(json!(kind)).unwrap();
                let mut spec = spec.clone();
                spec["default"] = json!(name != "named");
                Arc::new(Template {
                    reference: TemplateRef { kind, name: name.to_owned() },
                    uid: name.to_owned(),
                    generation: 1,
                    created: None,
                    is_terminating: false,
                    spec: Ok(serde_json::from_value(spec).unwrap()),
                })
            })
            .collect();
        select(Builtin::default(), &self.spec(), &templates)
    }

    fn compile(&self) -> Result<Compiled, Problems> {
        self.compile_over(&self.layers())
    }

    fn compile_over(&self, layers: &Layers) -> Result<Compiled, Problems> {
        let identity = Identity { name: "a", namespace: None, uid: None, generation: None, handled: None };
        compile(&identity, &self.spec(), layers, 1)
    }

    fn policies(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        let binding = self.templates().into_iter().map(|(origin, spec)| (origin, &spec["policy"]));
        binding.filter(|(_, policy)| policy.is_object() && enforcement(policy) != "Warn")
    }

    /// What each layer says at `path`, lowest first, with its origin; looked up in each layer by itself.
    fn said(&self, path: &str) -> Vec<(String, Value)> {
        let segments = segments(path);
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let templates = self.templates();
        let bases = templates.iter().map(|(origin, spec)| (*origin, &spec["base"]));
        let specs: Vec<(&str, &Value)> = bases.chain([("JobRequest", &self.request)]).collect();
        if let ["containers", name, field @ ..] = segments.as_slice() {
            let builtin =
                (field == ["imagePullPolicy"]).then(|| ("builtin".to_owned(), json!("IfNotPresent")));
            let defaults = templates.iter().map(|(origin, spec)| (*origin, &spec["containerDefaults"]));
            let own =
                specs.iter().filter_map(|(origin, spec)| Some((*origin, at(spec, &["containers", name])?)));
            let said =
                defaults.chain(own).flat_map(|(origin, container)| self.said_of(origin, container, field));
            return builtin.into_iter().chain(said).collect();
        }
        let builtin = match path {
            "settings.backoffLimit" => Some(json!(6)),
            "settings.parallelism" | "settings.completions" => Some(json!(1)),
            "restartPolicy" => Some(json!("Never")),
            _ => None,
        };
        let said = specs.iter().filter_map(|(origin, spec)| {
            Some(((*origin).to_owned(), chosen(spec, &segments).or_else(|| at(spec, &segments))?.clone()))
        });
        builtin.map(|value| ("builtin".to_owned(), value)).into_iter().chain(said).collect()
    }

    /// The same, of one container.
    fn said_of(&self, origin: &str, container: &Value, field: &[&str]) -> Vec<(String, Value)> {
        let mut said = Vec::new();
        if let (["resources", amount @ ..], Some(quota)) = (field, container["quota"].as_str()) {
            // A layer means its own presets and those below it.
            let nearest =
                (self.up_to(origin).into_iter().rev()).find(|(_, spec)| spec["quotas"][quota].is_object());
            if let Some((template, spec)) = nearest
                && let Some(value) = at(&spec["quotas"][quota], amount)
            {
                said.push((format!("quota {quota} of {template}"), value.clone()));
            }
        }
        let own = chosen(container, field).or_else(|| at(container, field));
        said.extend(own.map(|value| (origin.to_owned(), value.clone())));
        said
    }
}

/// `labels[a.b/c].d` as `labels`, `a.b/c`, `d`.
fn segments(path: &str) -> Vec<String> {
    let (mut segments, mut current, mut is_bracketed) = (Vec::new(), String::new(), false);
    for character in path.chars() {
        match character {
            '[' | '.' if !is_bracketed => segments.push(std::mem::take(&mut current)),
            ']' => is_bracketed = false,
            _ => current.push(character),
        }
        is_bracketed |= character == '[';
    }
    segments.push(current);
    segments.retain(|segment| !segment.is_empty());
    segments
}

/// The value at a path; members of lists by their name.
fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, segment| match value {
        Value::Array(items) => items.iter().find(|item| item["name"] == *segment),
        value => value.get(segment),
    })
}

/// Of a path that ends in a member of a choice: whichever member is there.
fn chosen<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    let (list, choice): (_, &[&str]) = match path {
        ["env", name, _] => (["env", name], &["value", "configRef"]),
        ["volumes", name, _] => (["volumes", name], &["emptyDir", "configRef"]),
        _ => return None,
    };
    let item = at(value, &list)?;
    choice.iter().find_map(|member| item.get(member))
}

/// The paths of everything that a spec says.
fn leaves(path: &str, value: &Value, found: &mut Vec<String>) {
    let is_whole = ["configRef", "emptyDir"].iter().any(|name| path.ends_with(name));
    match value {
        Value::Object(map) if !is_whole => {
            for (key, value) in map.iter().filter(|(key, _)| *key != "name" || path == "templateRef") {
                let is_plain = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
                let below = match (path.is_empty(), is_plain) {
                    (true, _) => key.clone(),
                    (false, true) => format!("{path}.{key}"),
                    (false, false) => format!("{path}[{key}]"),
                };
                leaves(&below, value, found);
            }
        }
        Value::Array(items) if items.iter().all(Value::is_object) => {
            for item in items {
                leaves(&format!("{path}[{}]", item["name"].as_str().unwrap()), item, found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

/// What is locked: fields, entries, items, and every one of them.
const LOCKS: [&str; 22] = [
    "settings.backoffLimit",
    "settings.parallelism",
    "settings.activeDeadlineSeconds",
    "restartPolicy",
    "serviceAccountName",
    "nodeSelector",
    "nodeSelector.disk",
    "labels[*]",
    "labels.tier",
    "volumes[data]",
    "containers",
    "containers[*]",
    "containers[main]",
    "containers[main].image",
    "containers[*].image",
    "containers[*].imagePullPolicy",
    "containers[main].command",
    "containers[main].env[A]",
    "containers[main].resources",
    "containers[*].resources.limits.cpu",
    "containers[side].resources.limits[*]",
    "initContainers[*].image",
];

/// A world in which one template locks, and neither it nor a lower one does anything else to a run.
struct Locked {
    world: World,
    /// The templates that are not of higher precedence than the lock.
    count: usize,
    paths: Vec<&'static str>,
}

impl Locked {
    fn in_world(mut world: World, at: Index, paths: &[&'static str]) -> Option<Self> {
        let mut templates: Vec<&mut Value> =
            [&mut world.cluster, &mut world.namespace, &mut world.named].into_iter().flatten().collect();
        if templates.is_empty() {
            return None;
        }
        let index = at.index(templates.len());
        for template in templates.iter_mut().take(index + 1) {
            template.as_object_mut()?.remove("policy");
        }
        templates[index]["policy"] = json!({"locked": paths});
        Some(Self { world, count: index + 1, paths: paths.to_vec() })
    }

    fn below(&self) -> Vec<&Value> {
        self.world.templates().into_iter().take(self.count).map(|(_, spec)| spec).collect()
    }

    /// The containers that the templates below name.
    fn names_below(&self) -> Vec<String> {
        let all = self
            .below()
            .into_iter()
            .flat_map(|spec| spec["base"]["containers"].as_array().into_iter().flatten());
        all.map(|container| container["name"].as_str().unwrap().to_owned()).collect()
    }

    /// A request which only names the containers of `job`, over the templates below the lock: whatever it gets is
    /// theirs. An image that they do not say is one that no generated layer says.
    fn plain(&self, job: &Value) -> World {
        let is_locked_whole = self.paths.iter().any(|path| matches!(*path, "containers" | "containers[*]"));
        let containers: Vec<Value> = containers(job)
            .into_iter()
            .map(|(name, container)| {
                let mut said = json!({"name": name});
                if container["restartPolicy"] == "Always" {
                    said["sidecar"] = json!(true);
                }
                let has_image = self.below().iter().any(|spec| {
                    !spec["containerDefaults"]["image"].is_null()
                        || at(&spec["base"], &["containers", &name, "image"]).is_some()
                });
                if !has_image {
                    said["image"] = json!("nobody:says");
                }
                said
            })
            .filter(|said| !is_locked_whole || self.names_below().iter().any(|name| said["name"] == *name))
            .collect();
        let mut world = self.world.clone();
        let mut left = self.count;
        for template in [&mut world.cluster, &mut world.namespace, &mut world.named] {
            if left == 0 {
                *template = None;
            }
            left -= usize::from(template.is_some() && left > 0);
        }
        // That it is denied because of what it must say is another property.
        for template in [&mut world.cluster, &mut world.namespace, &mut world.named].into_iter().flatten() {
            if containers.iter().any(|said| said.get("image").is_some()) {
                template.as_object_mut().unwrap().remove("policy");
            }
        }
        // What runs before the others stays an init container.
        let init = job["spec"]["template"]["spec"]["initContainers"].as_array().into_iter().flatten();
        let init: Vec<&Value> = init.filter(|container| container["restartPolicy"] != "Always").collect();
        let (init, main): (Vec<Value>, Vec<Value>) = containers
            .into_iter()
            .partition(|said| init.iter().any(|container| container["name"] == said["name"]));
        world.request = json!({"containers": main, "initContainers": init});
        if world.named.is_some() {
            world.request["templateRef"] = json!({"kind": "JobTemplate", "name": "named"});
        }
        world
    }
}

/// Every container of a Job, by name.
fn containers(job: &Value) -> BTreeMap<String, Value> {
    let pod = &job["spec"]["template"]["spec"];
    let all = [&pod["initContainers"], &pod["containers"]]
        .into_iter()
        .flat_map(|list| list.as_array().into_iter().flatten());
    all.map(|container| (container["name"].as_str().unwrap().to_owned(), container.clone())).collect()
}

/// What a Job has at a locked path; of containers only those called `names`, if there are any such.
fn held(path: &str, job: &Value, names: Option<&[String]>) -> Value {
    let (spec, pod) = (&job["spec"], &job["spec"]["template"]["spec"]);
    let every = |is_meant: &dyn Fn(&str) -> bool, field: &dyn Fn(&Value) -> Value| -> Value {
        let all = containers(job).into_iter().filter(|(name, _)| is_meant(name));
        json!(
            all.map(|(name, container)| (name, field(&container)))
                .filter(|(_, value)| !value.is_null())
                .collect::<BTreeMap<_, _>>()
        )
    };
    let amounts = |value: &Value| -> Value {
        let of = |kind: &str| -> Value {
            let map = value[kind].as_object().cloned().unwrap_or_default();
            json!(map.into_iter().map(|(name, amount)| (name, milli(&amount))).collect::<BTreeMap<_, _>>())
        };
        json!([of("limits"), of("requests")])
    };
    // The pod's security is no field of a container, though it is compiled into each.
    let whole = |container: &Value| {
        let mut container = container.clone();
        let resources = amounts(&container["resources"]);
        container["resources"] = resources;
        container.as_object_mut().unwrap().remove("securityContext");
        container
    };
    let is_below = |name: &str| names.is_none_or(|names| names.iter().any(|known| known == name));
    let item_of = |list: &Value, name: &str| {
        list.as_array().into_iter().flatten().find(|item| item["name"] == name).cloned().unwrap_or_default()
    };
    let or_empty = |value: &Value| if value.is_null() { json!({}) } else { value.clone() };
    match path {
        "settings.backoffLimit" => spec["backoffLimit"].clone(),
        "settings.parallelism" => spec["parallelism"].clone(),
        "settings.activeDeadlineSeconds" => spec["activeDeadlineSeconds"].clone(),
        "restartPolicy" | "serviceAccountName" => pod[path].clone(),
        "nodeSelector" => or_empty(&pod["nodeSelector"]),
        "nodeSelector.disk" => pod["nodeSelector"]["disk"].clone(),
        "labels[*]" => {
            let mut labels = spec["template"]["metadata"]["labels"].clone();
            labels
                .as_object_mut()
                .unwrap()
                .retain(|key, _| !key.contains("jobrequest") && !key.contains("kubernetes"));
            labels
        }
        "labels.tier" => spec["template"]["metadata"]["labels"]["tier"].clone(),
        "volumes[data]" => item_of(&pod["volumes"], "data"),
        "containers" | "containers[*]" => every(&is_below, &whole),
        "containers[main]" => every(&|name| name == "main" && is_below(name), &whole),
        "containers[main].image" => every(&|name| name == "main", &|c| c["image"].clone()),
        "containers[*].image" => every(&|_| true, &|c| c["image"].clone()),
        "containers[*].imagePullPolicy" => every(&|_| true, &|c| c["imagePullPolicy"].clone()),
        "containers[main].command" => every(&|name| name == "main", &|c| c["command"].clone()),
        "containers[main].env[A]" => every(&|name| name == "main", &|c| item_of(&c["env"], "A")),
        "containers[main].resources" => every(&|name| name == "main", &|c| amounts(&c["resources"])),
        "containers[*].resources.limits.cpu" => {
            every(&|_| true, &|c| json!(milli(&c["resources"]["limits"]["cpu"])))
        }
        "containers[side].resources.limits[*]" => {
            every(&|name| name == "side", &|c| amounts(&c["resources"])[0].clone())
        }
        "initContainers[*].image" => {
            let all = pod["initContainers"].as_array().into_iter().flatten();
            json!(
                all.map(|container| (container["name"].as_str().unwrap(), container["image"].clone()))
                    .collect::<BTreeMap<_, _>>()
            )
        }
        path => panic!("{path}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    fn the_origin_is_the_layer_that_decided(mut world in world()) {
        // Where overrides stand is a table of its own, see tests/compile.
        world.request.as_object_mut().unwrap().remove("overrides");
        let rows = provenance(&world.spec(), &world.layers());
        for row in &rows {
            let said = world.said(&row.path);
            let mut shown: Vec<_> = row.decided.overrode.iter().map(|(origin, value)| (origin.to_string(), value.clone())).collect();
            shown.push((row.decided.origin.to_string(), row.decided.value.clone()));
            prop_assert_eq!(said, shown, "{}", row.path);
        }
        let mut written = Vec::new();
        leaves("", &world.request, &mut written);
        for path in written {
            let row = rows.iter().find(|row| row.path == path);
            prop_assert!(row.is_some_and(|row| row.decided.origin.is_of_request()), "{} is not of the request", path);
        }
    }

    fn no_policy_can_be_bypassed(world in world()) {
        if let Ok(compiled) = world.compile() {
            for (origin, policy) in world.policies() {
                prop_assert!(!breaks(policy, &compiled.job, &compiled.settings), "{} is broken", origin);
            }
        }
    }

    fn one_more_policy_never_allows_more(world in world(), more in policy()) {
        let stricter = |world: &World| {
            let mut stricter = world.clone();
            let namespace = stricter.namespace.get_or_insert_with(|| json!({}));
            (namespace["policy"].is_null()).then(|| namespace["policy"] = more.clone())?;
            Some(stricter)
        };
        if let Some(stricter) = stricter(&world) && stricter.compile().is_ok() {
            prop_assert!(world.compile().is_ok(), "{:?}", world.compile());
        }
    }

    /// All are equally old, so the first by name gives the values: `aa` takes them over, `zz` adds its policy alone.
    fn a_second_default_switches_nothing_off(world in world(), origin in one_of(vec!["ClusterJobTemplate/aa", "ClusterJobTemplate/zz", "JobTemplate/aa", "JobTemplate/zz"]), second in template()) {
        let layers = world.layers_with(&[(origin, &second)]);
        if let Ok(compiled) = world.compile_over(&layers) {
            let second = (origin, &second["policy"]);
            let is_binding = second.1.is_object() && enforcement(second.1) != "Warn";
            for (origin, policy) in world.policies().chain(is_binding.then_some(second)) {
                prop_assert!(!breaks(policy, &compiled.job, &compiled.settings), "{} is broken", origin);
            }
            for (kind, spec) in [("ClusterJobTemplate", &world.cluster), ("JobTemplate", &world.namespace)] {
                let is_behind = origin.starts_with(kind) && origin.ends_with("zz") && spec.is_some();
                prop_assert!(!is_behind || world.compile().is_ok(), "{:?}", world.compile());
            }
        }
    }

    fn what_is_locked_stays(world in world(), at in any::<Index>(), locked in subsequence(LOCKS.to_vec(), 1..4)) {
        let Some(locked) = Locked::in_world(world, at, &locked) else { return Ok(()) };
        if let Ok(compiled) = locked.world.compile() {
            let job = serde_json::to_value(&compiled.job).unwrap();
            let plain = locked.plain(&job);
            let alone = plain.compile();
            prop_assert!(alone.is_ok(), "what says nothing is denied: {:?}", alone.err());
            let alone = serde_json::to_value(alone.unwrap().job).unwrap();
            for path in &locked.paths {
                let below = locked.names_below();
                prop_assert_eq!(held(path, &job, None), held(path, &alone, Some(&below)), "{} is not what it was", path);
            }
        }
    }
}

/// The properties say something only if each kind of outcome is common.
fn every_outcome_is_common() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut compiled, mut clamped, mut refused, mut with_policies, mut with_overrides) = (0, 0, 0, 0, 0);
    for _ in 0..500 {
        let world = world().new_tree(&mut runner).unwrap().current();
        match world.compile() {
            Ok(job) => {
                compiled += 1;
                clamped += u32::from(!job.clamped.is_empty());
                with_policies += u32::from(world.policies().next().is_some());
                with_overrides += u32::from(world.request.get("overrides").is_some());
            }
            Err(_) => refused += 1,
        }
    }
    println!(
        "figure: of 500 requests over layers {compiled} compiled ({with_policies} under policies that bind, {clamped} clamped, {with_overrides} with overrides), {refused} refused"
    );
    let mut locked = 0;
    for _ in 0..500 {
        let cases = (world(), any::<Index>(), subsequence(LOCKS.to_vec(), 1..4));
        let (world, at, paths) = cases.new_tree(&mut runner).unwrap().current();
        locked += u32::from(
            Locked::in_world(world, at, &paths).is_some_and(|locked| locked.world.compile().is_ok()),
        );
    }
    println!("figure: of 500 requests over a lock {locked} compiled");
    let counts = [compiled, refused, with_policies, clamped, with_overrides, locked];
    assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
}
