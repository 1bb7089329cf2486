//! Every value with the layer that decided it: what `explain` shows and the status lists.
//!
//! Takes the merged layers, their overrides and what policies clamped; returns one [`Provenance`] per value, each at
//! the field of the spec where people look for it. An override or a clamp of such a field is listed there, above what
//! it replaced; only an override of something that no spec has is listed under its own path.

mod rows;

use std::sync::Arc;

use serde_json::Value;

use super::layers::{self, Decided, Layers, Origin, Overrides, ValueTree, is_security_setting, join};
use super::policy::Clamp;
use super::policy::locked_fields::SETTINGS;
use crate::api::JobRequestSpec;
use rows::Rows;

/// A value of the merged spec and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Provenance {
    /// The field below spec, for example `settings.backoffLimit` or `containers[main].image`.
    pub path: String,
    /// The value, the layer that decided it, and what lower-precedence layers set.
    pub decided: Decided,
}

/// Every value of `spec` merged over `layers`, even if it cannot become a Job; before policies.
#[must_use]
pub fn provenance(spec: &JobRequestSpec, layers: &Layers) -> Vec<Provenance> {
    let (merged, _) = layers::merge(spec, layers);
    rows(&merged.tree, &merged.overrides, &[])
}

/// Every value, in order of path; then what overrides set that no spec has.
pub(super) fn rows(tree: &ValueTree, overrides: &[Overrides], clamped: &[Clamp]) -> Vec<Provenance> {
    let decided = tree.decided().into_iter();
    let mut rows = Rows::new(decided.map(|(path, decided)| Provenance { path, decided: decided.clone() }));
    for layer in overrides {
        let origin = Origin::Overrides(match &layer.origin {
            Origin::Template(template) => Some(Arc::clone(template)),
            _ => None,
        });
        let mut found = Vec::new();
        leaves(OVERRIDES.to_owned(), &Value::Object(layer.partial.clone()), &mut found);
        for (path, value) in found {
            let path = place(&path, &value, &rows).unwrap_or(path);
            rows.put(path, value, origin.clone());
        }
    }
    for clamp in clamped {
        let path = clamp.path.strip_prefix("spec.").unwrap_or(&clamp.path);
        let value = match clamp.to.parse::<i64>() {
            Ok(number) if path.starts_with("settings.") => number.into(),
            _ => clamp.to.clone().into(),
        };
        rows.put(path.to_owned(), value, Origin::Policy(clamp.by.as_str().into()));
    }
    rows.finish()
}

/// The field of a spec that holds overrides.
const OVERRIDES: &str = "overrides";
/// The lists of a Job that contain containers.
const CONTAINER_LISTS: [&str; 2] =
    ["overrides.template.spec.containers", "overrides.template.spec.initContainers"];
/// Fields that are the same in a container of a spec and of a Job.
const OF_CONTAINERS: [&str; 5] = ["image", "imagePullPolicy", "workingDir", "command", "args"];

/// Fields that are the same in a spec and in a pod.
const OF_PODS: [&str; 6] = [
    "priorityClassName",
    "restartPolicy",
    "serviceAccountName",
    "subdomain",
    "terminationGracePeriodSeconds",
    "tolerations",
];

/// The values below `path`; lists are values, except those of containers.
fn leaves(path: String, value: &Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                leaves(join(&path, name), value, found);
            }
        }
        Value::Array(items) if CONTAINER_LISTS.contains(&path.as_str()) => {
            for (index, item) in items.iter().enumerate() {
                let name = item.get("name").and_then(Value::as_str);
                let path = format!("{path}[{}]", name.map_or_else(|| index.to_string(), ToOwned::to_owned));
                let mut of_item = Vec::new();
                leaves(path.clone(), item, &mut of_item);
                // Its key is in the path.
                let key = format!("{path}.name");
                found.extend(of_item.into_iter().filter(|(path, _)| *path != key));
            }
        }
        _ => found.push((path, value.clone())),
    }
}

/// The field of a spec that an override at `path` replaces, if a spec has exactly that field.
fn place(path: &str, value: &Value, rows: &Rows) -> Option<String> {
    for list in CONTAINER_LISTS {
        if let Some((name, field)) =
            path.strip_prefix(list).and_then(|rest| rest.strip_prefix('[')?.split_once("]."))
        {
            let is_alike = OF_CONTAINERS.contains(&field)
                || ["resources.limits", "resources.requests"].iter().any(|map| field.starts_with(map))
                || is_security_setting(field, "containers[main].");
            // A sidecar is in another list of the Job than of the spec.
            let own = ["containers", "initContainers"].into_iter().map(|list| format!("{list}[{name}]"));
            let own = own.into_iter().find(|own| rows.has_parent(own));
            return own.filter(|_| is_alike).map(|own| format!("{own}.{field}"));
        }
    }
    let field = path.strip_prefix(OVERRIDES)?.strip_prefix('.')?;
    if SETTINGS.contains(&field) && !value.is_object() && !value.is_array() {
        return Some(format!("settings.{field}"));
    }
    let of_pod = field.strip_prefix("template.spec.")?;
    let is_alike =
        OF_PODS.contains(&of_pod) || of_pod.starts_with("nodeSelector") || is_security_setting(of_pod, "");
    is_alike.then(|| of_pod.to_owned())
}
