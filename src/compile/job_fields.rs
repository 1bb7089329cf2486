//! Fields of native Jobs, from the API's own schema: where a field is written that a JobRequest has no field for, or
//! that stands at a wrong place in `overrides`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::similar::closest;

/// The types that a Job's spec is made of, a line each: its name, then its fields, each with its type if that has fields.
/// From the API's own schema, which a test compares it with: the schema itself would make the program a tenth larger.
const TABLE: &str = include_str!("job_fields.txt");

/// The fields of a type, each with its type; empty for what has no fields.
type Fields = BTreeMap<&'static str, &'static str>;

static TYPES: LazyLock<BTreeMap<&'static str, Fields>> = LazyLock::new(|| {
    let types = TABLE.lines().filter_map(|line| {
        let (name, fields) = line.split_once(' ')?;
        let fields = fields.split(' ').map(|field| field.split_once(':').unwrap_or((field, "")));
        Some((name, fields.collect()))
    });
    types.collect()
});

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
    if let Some(meant) = known.and_then(|fields| closest(name, fields.keys().copied())) {
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
fn fields(path: &[&str]) -> Option<&'static Fields> {
    let mut fields = TYPES.get("JobSpec")?;
    for name in path {
        fields = TYPES.get(fields.get(name)?)?;
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::batch::v1::JobSpec;
    use serde_json::Value;

    use super::*;

    /// The name of the type that a schema refers to; of the items, if that is a list.
    fn type_of(schema: &Value) -> &str {
        let optional = schema["anyOf"].get(0).unwrap_or(schema);
        if optional["items"].is_object() {
            return type_of(&optional["items"]);
        }
        let reference = optional["$ref"].as_str().unwrap_or_default();
        reference.rsplit(['/', '.']).next().unwrap_or_default()
    }

    #[test]
    #[allow(clippy::disallowed_methods)] // it writes the table when it is asked to
    fn the_table_is_that_of_the_api() {
        let schema = schemars::schema_for!(JobSpec).to_value();
        let mut lines = Vec::new();
        let mut add = |name: &str, schema: &Value| {
            let Some(fields) = schema["properties"].as_object() else { return };
            let fields = fields.iter().map(|(field, schema)| match type_of(schema) {
                "" => field.clone(),
                name => format!("{field}:{name}"),
            });
            lines.push(format!("{name} {}\n", fields.collect::<Vec<_>>().join(" ")));
        };
        add("JobSpec", &schema);
        for (name, schema) in schema["$defs"].as_object().unwrap() {
            add(name.rsplit('.').next().unwrap(), schema);
        }
        lines.sort();
        let now = lines.concat();
        if std::env::var_os("BLESS").is_some() {
            let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/compile/job_fields.txt");
            std::fs::write(file, &now).unwrap();
        }
        assert!(TABLE == now, "BLESS=1 cargo test --lib compile::job_fields");
    }

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
