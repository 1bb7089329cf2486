//! Fields of native Jobs, from the API's own schema: where a field is written that a JobRequest has no field for, or
//! that stands at a wrong place in `overrides`.

use std::sync::LazyLock;

use k8s_openapi::api::batch::v1::JobSpec;
use serde_json::{Map, Value};

use crate::similar::closest;

/// The schema of a Job's spec, with those of all that is in it.
static JOB_SPEC: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(JobSpec).to_value());

/// Where the fields of each type stand in a Job's spec; the nearest to its root comes first.
const PLACES: [(&[&str], &str); 5] = [
    (&[], ""),
    (&["template", "spec"], "template.spec."),
    (&["template", "spec", "containers"], "template.spec.containers[NAME]."),
    (&["template", "spec", "volumes"], "template.spec.volumes[NAME]."),
    (&["template", "metadata"], "template.metadata."),
];

/// The part of a form that lacks a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `spec`.
    Spec,
    /// A container.
    Container,
    /// A volume.
    Volume,
}

/// Where in `overrides` the field called `name` is written which `part` of the form lacks, if Kubernetes has it there.
#[must_use]
pub fn place_in_overrides(part: Part, name: &str) -> Option<String> {
    let has = |path: &[&str]| fields(path).is_some_and(|fields| fields.contains_key(name));
    match part {
        Part::Spec if has(&["template", "spec"]) => Some(format!("overrides.template.spec.{name}")),
        Part::Spec if has(&[]) => Some(format!("overrides.{name}")),
        Part::Container if has(&["template", "spec", "containers"]) => {
            Some(format!("overrides.template.spec.containers, in an item with the container's name: {name}"))
        }
        Part::Volume if has(&["template", "spec", "volumes"]) => {
            Some(format!("overrides.template.spec.volumes, in an item with the volume's name: {name}"))
        }
        Part::Spec | Part::Container | Part::Volume => None,
    }
}

/// What to do about the field called `name`, which a Job does not have `within` these fields.
pub(super) fn advice_in_overrides(within: &[&str], name: &str) -> String {
    let known = fields(within);
    if let Some(meant) = known.and_then(|fields| closest(name, fields.keys().map(String::as_str))) {
        return format!("did you mean {meant}?");
    }
    let elsewhere =
        PLACES.iter().find(|(path, _)| fields(path).is_some_and(|fields| fields.contains_key(name)));
    match elsewhere {
        Some((_, place)) => format!("write it under overrides.{place}{name}"),
        None => "check its spelling and place".to_owned(),
    }
}

/// The fields of what lies at `path` below a Job's spec; those of an item, if that is a list.
fn fields(path: &[&str]) -> Option<&'static Map<String, Value>> {
    let mut schema: &Value = &JOB_SPEC;
    for name in path {
        schema = resolved(schema.get("properties")?.get(*name)?)?;
        if let Some(items) = schema.get("items") {
            schema = resolved(items)?;
        }
    }
    schema.get("properties")?.as_object()
}

/// The schema that a reference names.
fn resolved(schema: &'static Value) -> Option<&'static Value> {
    let optional = schema.get("anyOf").and_then(Value::as_array).and_then(|all| all.first());
    let schema = optional.unwrap_or(schema);
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => JOB_SPEC.pointer(reference.trim_start_matches('#')),
        None => Some(schema),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_kubernetes_has_its_place() {
        for (part, path) in [
            (Part::Spec, &[][..]),
            (Part::Spec, &["template", "spec"]),
            (Part::Container, &["template", "spec", "containers"]),
            (Part::Volume, &["template", "spec", "volumes"]),
        ] {
            let fields = fields(path).unwrap();
            assert!(fields.len() > 9, "{path:?}: {}", fields.len());
            for name in fields.keys() {
                assert!(place_in_overrides(part, name).is_some(), "{name}");
            }
        }
        let affinity = place_in_overrides(Part::Spec, "affinity");
        assert_eq!(affinity.as_deref(), Some("overrides.template.spec.affinity"));
        assert_eq!(place_in_overrides(Part::Spec, "nonsense"), None);
    }

    #[test]
    fn a_wrong_field_gets_the_one_that_was_meant() {
        for (within, name, advice) in [
            (&[][..], "tolerations", "write it under overrides.template.spec.tolerations"),
            (&["template", "spec"], "toleration", "did you mean tolerations?"),
            (
                &["template", "spec"],
                "livenessProbe",
                "write it under overrides.template.spec.containers[NAME].livenessProbe",
            ),
            (&["template", "spec", "containers"], "livenesProbe", "did you mean livenessProbe?"),
            (&["template", "spec", "containers", "livenessProbe"], "httpget", "did you mean httpGet?"),
            (&["template", "spec", "affinity"], "nodeAfinity", "did you mean nodeAffinity?"),
            (&["template", "spec"], "backoffLimit", "write it under overrides.backoffLimit"),
            (&["template"], "nonsense", "check its spelling and place"),
        ] {
            assert_eq!(advice_in_overrides(within, name), advice, "{within:?} {name}");
        }
    }
}
