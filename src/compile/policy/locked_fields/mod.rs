//! What a policy prevents higher-precedence layers from doing: changing `locked` fields, and `overrides: Forbid`.
//!
//! Takes the layers and the merged spec; returns what a layer of higher precedence than the policy has changed. A
//! lock holds the value that the layers up to its own compute, built-in defaults and `containerDefaults` included, for
//! a container that only a higher-precedence layer names, too. Everything else in a policy is judged on the compiled Job, see
//! [`super`].

mod capture;
mod in_job;

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::JobSpec;
use serde_json::{Map, Value};

use super::Clamp;
use crate::api::policy::{Enforcement, OverridesPolicy, Policy};
use crate::compile::job;
use crate::compile::layers::{self, Below, FieldPath, FieldPathError, Layers, Step, ValueTree, join};
use crate::compile::problem::Problem;
use crate::compile::quantity::Amount;
use crate::compile::validate::ValidSpec;
pub(in crate::compile) use in_job::SETTINGS;

/// What higher-precedence layers changed without being allowed to.
#[derive(Debug, Default)]
pub(in crate::compile) struct LockVerdict {
    /// Why the run is not started. Under `Clamp` too: there is no number to clamp.
    pub denied: Vec<Problem>,
    /// What is wrong but allowed.
    pub warned: Vec<Problem>,
    /// Origins of the policies that warn.
    pub warning: BTreeSet<String>,
}

impl LockVerdict {
    fn take(&mut self, origin: String, enforcement: Option<Enforcement>, found: Vec<Problem>) {
        let found: Vec<_> = found.into_iter().map(|problem| problem.by(&origin)).collect();
        match enforcement.unwrap_or_default() {
            Enforcement::Deny | Enforcement::Clamp => self.denied.extend(found),
            Enforcement::Warn if found.is_empty() => {}
            Enforcement::Warn => {
                self.warned.extend(found);
                self.warning.insert(origin);
            }
        }
    }
}

/// Judges the merged spec and its overrides by the policies of `layers`.
pub(in crate::compile) fn judge(valid: &ValidSpec, layers: &Layers) -> LockVerdict {
    let mut locked = LockVerdict::default();
    let merged = valid.merged();
    for (index, template, policy) in layers.policies() {
        let origin = template.reference.to_string();
        for problem in holding_nothing(policy) {
            let field = format!("{origin} {}", problem.field);
            locked.denied.push(Problem::new(field, problem.message).by(&origin));
        }
        let mut found = Vec::new();
        if policy.overrides == Some(OverridesPolicy::Forbid) {
            found.extend(merged.overrides.iter().filter(|overrides| overrides.layer > index).map(
                |overrides| {
                    let message = format!("overrides are forbidden by {origin}; leave them out");
                    Problem::new(overrides.field.as_str(), message)
                },
            ));
        }
        let locks: Vec<FieldPath> =
            policy.locked.iter().flatten().filter_map(|path| lock_path(path).ok()).collect();
        if !locks.is_empty() {
            let below = layers::below(layers, index + 1);
            let jobs = Overridden::of(valid, index);
            for lock in &locks {
                if lock.text() == capture::FIELD {
                    found.extend(capture::changes(layers, valid, index, &origin));
                    continue;
                }
                found.extend(
                    changes(lock, &below, &merged.tree).iter().map(|change| change.problem(lock, &origin)),
                );
                found.extend(jobs.changes(lock, &below, valid, index, &origin));
            }
        }
        locked.take(origin, policy.enforcement, found);
    }
    locked
}

/// Judges numbers that policies cut: the policy of a higher-precedence template may not change a locked one either.
pub(in crate::compile) fn judge_cuts(cuts: &[Clamp], layers: &Layers) -> LockVerdict {
    let mut locked = LockVerdict::default();
    let level = |name: &str| {
        (layers.policies().into_iter())
            .find(|(_, template, _)| template.reference.to_string() == name)
            .map(|(index, ..)| index)
    };
    for (index, template, policy) in layers.policies() {
        let origin = template.reference.to_string();
        let locks = policy.locked.iter().flatten().filter_map(|path| lock_path(path).ok());
        let found = locks.flat_map(|lock| {
            let higher = cuts.iter().filter(|cut| level(&cut.by).is_some_and(|by| by > index));
            let held: Vec<_> = higher
                .filter(|cut| lock.covers(cut.path.strip_prefix("spec.").unwrap_or(&cut.path)))
                .map(|cut| {
                    let kept = cut.from.as_deref().unwrap_or("not set");
                    let message = format!(
                        "is locked by {origin}{}: it stays {kept}, but {} would cut it to {}; have one of the two changed",
                        pattern(&lock, &cut.path),
                        cut.by,
                        cut.to
                    );
                    Problem::new(cut.path.as_str(), message)
                })
                .collect();
            held
        });
        let found = found.collect();
        locked.take(origin, policy.enforcement, found);
    }
    locked
}

/// What a lock holds: a field of a spec, or whether messages are captured, which is a field of templates.
fn lock_path(text: &str) -> Result<FieldPath, FieldPathError> {
    if text == capture::FIELD { Ok(FieldPath::of_template(text)) } else { FieldPath::parse(text) }
}

/// Locked paths that can hold nothing: they must not go unnoticed.
pub(in crate::compile) fn holding_nothing(policy: &Policy) -> Vec<Problem> {
    let paths = policy.locked.iter().flatten().enumerate();
    paths
        .filter_map(|(index, path)| {
            let error = lock_path(path).err()?;
            Some(Problem::new(format!("spec.policy.locked[{index}]"), error.to_string()))
        })
        .collect()
}

/// A value that is not what a lock keeps it.
struct Change<'a> {
    path: String,
    kept: Option<&'a ValueTree>,
    now: Option<&'a ValueTree>,
}

impl Change<'_> {
    fn problem(&self, lock: &FieldPath, origin: &str) -> Problem {
        let kept = self.kept.map_or_else(|| "not set".to_owned(), |kept| shown(&kept.to_json()));
        // The user can leave out only what the user wrote.
        let before = self.kept.map(ValueTree::origins).unwrap_or_default();
        let by: BTreeSet<String> = (self.now.map(ValueTree::origins).unwrap_or_default().into_iter())
            .filter(|origin| !before.contains(origin))
            .map(|origin| if origin.is_of_request() { String::new() } else { origin.to_string() })
            .collect();
        let way_out = match by.first() {
            None if self.now.is_none() => "take its path out of without".to_owned(),
            None => "leave it out".to_owned(),
            Some(first) if first.is_empty() => "leave it out".to_owned(),
            Some(_) => format!("have it taken out of {}", by.into_iter().collect::<Vec<_>>().join(" and ")),
        };
        let path = format!("spec.{}", self.path);
        let message = format!("is locked by {origin}{}: it stays {kept}; {way_out}", pattern(lock, &path));
        Problem::new(path, message)
    }
}

/// The lock as it is written, where that is not the very field.
fn pattern(lock: &FieldPath, field: &str) -> String {
    let is_same = field.strip_prefix("spec.").is_some_and(|field| field == lock.text());
    if is_same { String::new() } else { format!(" ({})", lock.text()) }
}

fn shown(value: &Value) -> String {
    const LONGEST: usize = 200;
    let text = value.to_string();
    let mut cut: String = text.chars().take(LONGEST).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

/// What of the merged spec is not as `below` has it, and is held by `lock`.
fn changes<'a>(lock: &FieldPath, below: &'a Below, merged: &'a ValueTree) -> Vec<Change<'a>> {
    let mut found = Vec::new();
    let Some((list, containers, within)) = lock.containers() else {
        walk(lock.steps(), Some(&below.spec), Some(merged), "", &mut found);
        return found;
    };
    for of in ["containers", "initContainers"] {
        let (kept, now) = (below.spec.get(of), merged.get(of));
        for name in union(kept, now).into_iter().filter(|name| containers.include(name)) {
            let (kept, now) = (kept.and_then(|list| list.get(name)), now.and_then(|list| list.get(name)));
            // Sidecars become init containers.
            if list == "initContainers" && of == "containers" && !is_sidecar(kept) && !is_sidecar(now) {
                continue;
            }
            let kept = if within.is_empty() { kept } else { kept.or(Some(&below.container)) };
            walk(within, kept, now, &format!("{of}[{name}]"), &mut found);
        }
    }
    found
}

fn is_sidecar(container: Option<&ValueTree>) -> bool {
    let sidecar = container.and_then(|container| container.get("sidecar")).and_then(ValueTree::value);
    sidecar == Some(&Value::Bool(true))
}

fn walk<'a>(
    steps: &[Step],
    kept: Option<&'a ValueTree>,
    now: Option<&'a ValueTree>,
    path: &str,
    found: &mut Vec<Change<'a>>,
) {
    let Some((step, rest)) = steps.split_first() else {
        if canonical(path, kept) != canonical(path, now) {
            found.push(Change { path: path.to_owned(), kept, now });
        }
        return;
    };
    let keys = match step {
        Step::Field(name) | Step::Key(name) => vec![name.as_str()],
        Step::Every => union(kept, now),
    };
    let is_list = kept.or(now).is_some_and(ValueTree::is_list);
    for key in keys {
        let path = if is_list { format!("{path}[{key}]") } else { join(path, key) };
        walk(rest, child(kept, &path, key), child(now, &path, key), &path, found);
    }
}

/// What is in force: a failed run lives as long as any, where nothing else is said.
fn child<'a>(tree: Option<&'a ValueTree>, path: &str, key: &str) -> Option<&'a ValueTree> {
    let tree = tree?;
    let fallback = (path == "settings.ttlSecondsAfterFailed").then(|| tree.get("ttlSecondsAfterFinished"));
    tree.get(key).or(fallback.flatten())
}

fn union<'a>(one: Option<&'a ValueTree>, other: Option<&'a ValueTree>) -> Vec<&'a str> {
    let mut keys = one.map(ValueTree::keys).unwrap_or_default();
    for key in other.map(ValueTree::keys).unwrap_or_default() {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// One form of all that means the same; null: nothing.
fn canonical(path: &str, tree: Option<&ValueTree>) -> Value {
    let mut names = path.rsplit(['.', '[']).map(|name| name.trim_end_matches(']'));
    let (name, parent) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
    let parent = if path.contains(".resources.limits") || path.contains(".resources.requests") {
        "limits"
    } else {
        parent
    };
    tree.map_or(Value::Null, |tree| alike(parent, name, tree.to_json()))
}

fn alike(parent: &str, name: &str, value: Value) -> Value {
    match value {
        Value::Bool(false) if name == "sidecar" || name == "suspend" => Value::Null,
        Value::Number(number)
            if number.as_i64() == Some(0)
                && (name == "activeDeadlineSeconds" || name == "startDeadlineSeconds") =>
        {
            Value::Null
        }
        Value::String(text) if parent == "limits" || parent == "requests" => match Amount::parse(&text) {
            Some(amount) if amount.is_zero() => Value::Null,
            Some(amount) => Value::String(amount.to_string()),
            None => Value::String(text),
        },
        Value::Object(map) => {
            let map: Map<String, Value> = map
                .into_iter()
                .map(|(key, value)| {
                    let value = alike(name, &key, value);
                    (key, value)
                })
                .filter(|(_, value)| !value.is_null())
                .collect();
            if map.is_empty() { Value::Null } else { Value::Object(map) }
        }
        Value::Array(items) if items.is_empty() => Value::Null,
        Value::Array(items) => Value::Array(items.into_iter().map(|item| alike(name, "", item)).collect()),
        value => value,
    }
}

/// The Job with the overrides up to a layer, and with each further one on top.
struct Overridden(Vec<Value>);

impl Overridden {
    fn of(valid: &ValidSpec, index: usize) -> Self {
        let all = valid.merged().overrides.len();
        let own = valid.merged().overrides.iter().filter(|overrides| overrides.layer <= index).count();
        if own == all {
            return Self(Vec::new());
        }
        let json = |spec: JobSpec| serde_json::to_value(spec).unwrap_or_default();
        Self((own..=all).map(|count| json(job::spec_of(valid, count))).collect())
    }

    /// What higher-precedence overrides change and `lock` holds.
    fn changes(
        &self,
        lock: &FieldPath,
        below: &Below,
        valid: &ValidSpec,
        index: usize,
        origin: &str,
    ) -> Vec<Problem> {
        let Some((first, higher)) = self.0.split_first() else { return Vec::new() };
        let overrides = valid.merged().overrides.iter().filter(|overrides| overrides.layer > index);
        let text = lock.text();
        let refuse = |field: String, way_out: &str| {
            Problem::new(field, format!("{text} is locked by {origin}; {way_out}"))
        };
        if text == "overrides" {
            return overrides.map(|overrides| refuse(overrides.field.clone(), "leave them out")).collect();
        }
        // Containers that overrides add get none of the defaults which the lock holds for every other one.
        let default = lock.containers().map_or(Value::Null, |(.., within)| default(&below.container, within));
        let kept = in_job::held(lock, first);
        let mut before = (kept.clone(), first);
        let mut found = Vec::new();
        for (overrides, job) in overrides.zip(higher) {
            let now = in_job::held(lock, job);
            let new = if default.is_null() { Vec::new() } else { in_job::added(lock, first, job) };
            let paths: BTreeSet<&String> = before.0.keys().chain(now.keys()).collect();
            let is_new = |path: &str| new.iter().any(|(container, _)| path.starts_with(container.as_str()));
            for path in paths.into_iter().filter(|path| !is_new(path)) {
                if now.get(path) != kept.get(path) && now.get(path) != before.0.get(path) {
                    found.push(refuse(format!("{}.{path}", overrides.field), "leave it out"));
                }
            }
            let was_there = in_job::added(lock, first, before.1);
            for (path, held) in new.iter().filter(|new| !was_there.contains(new)) {
                if held.len() != 1 || held.values().any(|value| *value != default) {
                    let way_out = format!("give this container {}, or leave it out", shown(&default));
                    found.push(refuse(format!("{}.{path}", overrides.field), &way_out));
                }
            }
            before = (now, job);
        }
        found
    }
}

/// What every container gets at the end of `steps`; null: nothing.
fn default(container: &ValueTree, steps: &[Step]) -> Value {
    let found = steps.iter().try_fold(container, |tree, step| match step {
        Step::Field(name) | Step::Key(name) => tree.get(name),
        Step::Every => Some(tree),
    });
    found.filter(|_| !steps.is_empty()).map_or(Value::Null, ValueTree::to_json)
}
