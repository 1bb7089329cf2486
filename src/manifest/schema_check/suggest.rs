//! Did you mean: the name closest to a misspelled one, the field here for one that Kubernetes names differently, or
//! where a field of Kubernetes is written that a JobRequest has no field for.

use super::schema::Schema;
use crate::compile::job_fields::{Part, place_in_overrides};
use crate::manifest::yaml::Step;
use crate::similar::closest;

/// Fields of Jobs and pods, and their names here. A sidecar's `restartPolicy` is not among them: it is a switch.
const OF_KUBERNETES: [(&str, &str); 14] = [
    ("configMap", "configRef"),
    ("configMapKeyRef", "configRef"),
    ("configMapRef", "configRef"),
    ("containerName", "container"),
    ("containerPort", "port"),
    ("mountPath", "path"),
    ("name", "volume"),
    ("resourceFieldRef", "resourceRef"),
    ("secret", "configRef"),
    ("secretKeyRef", "configRef"),
    ("secretName", "name"),
    ("secretRef", "configRef"),
    ("valueFrom", "configRef"),
    ("volumeMounts", "mounts"),
];

/// Words of people and of other tools for fields of a spec.
const OF_PEOPLE: [(&str, &str); 14] = [
    ("deadline", "settings.activeDeadlineSeconds"),
    ("history", "runPolicy.successfulRunsHistoryLimit"),
    ("jobTemplate", "containers"),
    ("parallel", "settings.parallelism"),
    ("queueName", "queue"),
    ("restart", "restartPolicy"),
    ("retries", "settings.backoffLimit"),
    ("serviceAccount", "serviceAccountName"),
    ("sidecars", "containers[].sidecar"),
    ("size", "containers[].quota"),
    ("sizes", "containers[].quota"),
    ("template", "containers"),
    ("timeout", "settings.activeDeadlineSeconds"),
    ("ttl", "settings.ttlSecondsAfterFinished"),
];

/// What to use for a schedule.
const NO_SCHEDULE: &str = "a JobRequest has no schedule; a CronJob can start its runs (docs/schedules.md)";

/// What a JobRequest leaves to others, and who does it.
const OF_OTHERS: [(&str, &str); 5] = [
    ("concurrencyPolicy", NO_SCHEDULE),
    ("dependsOn", "a JobRequest waits for no other; order them in Flux, Argo CD or a workflow engine"),
    ("onFailure", "a JobRequest starts nothing when it fails; alert on its conditions or metrics"),
    ("schedule", NO_SCHEDULE),
    ("startingDeadlineSeconds", NO_SCHEDULE),
];

/// `"name"`.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.escape_debug())
}

/// `; did you mean "name"?`, if one of `names` is close enough.
pub(super) fn did_you_mean<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    closest(wrong, names).map(ask)
}

fn ask(name: &str) -> String {
    format!("; did you mean {}?", quoted(name))
}

/// What to do about a field that the object at `path` lacks: by its name in Kubernetes or among people, one level
/// deeper, by its place in `overrides`, or by its spelling.
pub(super) fn advice_on_field(wrong: &str, schema: &Schema, path: &[Step]) -> Option<String> {
    let has = |name: &str| schema.properties.contains_key(name);
    let of = |table: &[(&str, &'static str)]| {
        let mut meant = table.iter().filter(|(theirs, _)| *theirs == wrong).map(|(_, ours)| *ours);
        meant.next()
    };
    if let Some(ours) = of(&OF_KUBERNETES).filter(|ours| has(ours)) {
        return Some(ask(ours));
    }
    let part = part(path);
    if part == Some(Part::Spec) {
        if let Some(others) = of(&OF_OTHERS) {
            return Some(format!("; {others}"));
        }
        let is_here = |ours: &&str| has(ours.split(['.', '[']).next().unwrap_or(ours));
        if let Some(ours) = of(&OF_PEOPLE).filter(is_here) {
            return Some(ask(ours));
        }
    }
    if let Some(deeper) = deeper(wrong, schema) {
        return Some(ask(&deeper));
    }
    if let Some(close) = did_you_mean(wrong, schema.properties.keys().map(String::as_str)) {
        return Some(close);
    }
    let place = part.filter(|_| wrong != "status").and_then(|part| place_in_overrides(part, wrong))?;
    Some(format!("; a JobRequest has no field for it: write it under {place}"))
}

/// The path of a field called `wrong` one level deeper.
fn deeper(wrong: &str, schema: &Schema) -> Option<String> {
    // What has its own field need not be overridden, and nobody writes a status. A name can be that of anything.
    let is_apt =
        |parent: &str| !matches!(parent, "overrides" | "status") && wrong != "name" && wrong != "kind";
    let parents = || schema.properties.iter().filter(|(parent, _)| is_apt(parent));
    let direct = parents().find(|(_, inner)| inner.properties.contains_key(wrong));
    let of_item = || {
        // A field of every container is no field of an init container alone.
        let mut lists = parents().filter(|(_, inner)| {
            inner.items.as_ref().is_some_and(|items| items.properties.contains_key(wrong))
        });
        lists.next().map(|(parent, _)| format!("{parent}[].{wrong}"))
    };
    direct.map(|(parent, _)| format!("{parent}.{wrong}")).or_else(of_item)
}

/// The part of a spec at `path`, which may lie in a template's `base`.
fn part(path: &[Step]) -> Option<Part> {
    let mut names = path.iter().rev().filter_map(|step| match step {
        Step::Key(name) => Some(name.as_str()),
        Step::Index(_) => None,
    });
    match names.next()? {
        "spec" | "base" => Some(Part::Spec),
        "containers" | "initContainers" | "containerDefaults" => Some(Part::Container),
        "volumes" => Some(Part::Volume),
        _ => None,
    }
}
