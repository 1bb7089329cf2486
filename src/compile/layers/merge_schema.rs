//! How the parts of a spec merge, derived from the CRD: the list keys are those of server-side apply, so that both
//! never disagree. Only ports, whose protocol may be left out, have keys of their own.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kube::CustomResourceExt;
use serde_json::Value;

use crate::api::JobRequest;
use crate::api::env::EnvVar;
use crate::api::volume::Volume;

/// How one part of a spec merges.
#[derive(Debug, PartialEq)]
pub(in crate::compile) enum MergeSchema {
    /// Replaced as a whole: scalars, atomic lists, the content of a choice.
    Whole,
    /// Fields, each by its own schema.
    Fields {
        /// By name.
        fields: BTreeMap<String, Self>,
        /// Only one of these is kept: a layer that sets one drops the others of lower-precedence layers.
        choice: &'static [&'static str],
    },
    /// A map with free keys.
    Entries(Box<Self>),
    /// A list whose items are identified by the values of these fields.
    Items {
        /// The fields.
        keys: Vec<String>,
        /// How each item merges.
        item: Box<Self>,
    },
    /// A list of scalars without duplicates.
    Set,
}

/// The schema of `JobRequest.spec`, and so of `base` of a template.
static SPEC: LazyLock<MergeSchema> = LazyLock::new(|| {
    let crd = serde_json::to_value(JobRequest::crd()).unwrap_or_default();
    let schema = crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec");
    schema.map_or(MergeSchema::Whole, |schema| MergeSchema::of("spec", schema))
});

/// What has no schema of its own is replaced.
static WHOLE: MergeSchema = MergeSchema::Whole;

impl MergeSchema {
    /// The schema of a spec.
    pub(in crate::compile) fn spec() -> &'static Self {
        &SPEC
    }

    /// The schema of the child `key`: a field, an entry, or any item.
    pub(in crate::compile) fn child(&self, key: &str) -> &Self {
        match self {
            Self::Fields { fields, .. } => fields.get(key).unwrap_or(&WHOLE),
            Self::Entries(schema) | Self::Items { item: schema, .. } => schema,
            Self::Whole | Self::Set => &WHOLE,
        }
    }

    fn of(name: &str, schema: &Value) -> Self {
        if schema.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic") {
            return Self::Whole;
        }
        if let Some(properties) = schema.get("properties").and_then(Value::as_object)
            && schema.get("x-kubernetes-preserve-unknown-fields").is_none()
        {
            let fields =
                properties.iter().map(|(name, schema)| (name.clone(), Self::of(name, schema))).collect();
            return Self::Fields { fields, choice: &[] };
        }
        if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
            return Self::Entries(Box::new(Self::of(name, values)));
        }
        match (schema.get("x-kubernetes-list-type").and_then(Value::as_str), schema.get("items")) {
            (Some("map"), Some(items)) => {
                let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
                let keys = keys.into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned);
                let item = Self::of("", items).with_choice(match name {
                    "env" => EnvVar::SOURCES,
                    "volumes" => Volume::SOURCES,
                    _ => &[],
                });
                Self::Items { keys: keys.collect(), item: Box::new(item) }
            }
            // Server-side apply replaces the list, since a key needs a default in the schema to be left out.
            (Some("atomic"), Some(items)) if name == "ports" => {
                let keys = ["port", "protocol"].map(ToOwned::to_owned).into();
                Self::Items { keys, item: Box::new(Self::of("", items)) }
            }
            (Some("set"), _) => Self::Set,
            _ => Self::Whole,
        }
    }

    /// The content of a choice is replaced as a whole.
    fn with_choice(self, choice: &'static [&'static str]) -> Self {
        let Self::Fields { mut fields, .. } = self else {
            return self;
        };
        for (name, schema) in &mut fields {
            if choice.contains(&name.as_str()) {
                *schema = Self::Whole;
            }
        }
        Self::Fields { fields, choice }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_the_crd_declares() {
        let spec = MergeSchema::spec();
        let keys = |schema: &MergeSchema| match schema {
            MergeSchema::Items { keys, .. } => keys.join(","),
            other => format!("{other:?}"),
        };
        assert_eq!(keys(spec.child("containers")), "name");
        let container = spec.child("containers").child("main");
        assert_eq!(keys(container.child("ports")), "port,protocol");
        assert_eq!(keys(container.child("env")), "name");
        assert_eq!(keys(container.child("mounts")), "path");
        assert_eq!(keys(spec.child("volumes")), "name");
        assert_eq!(spec.child("imagePullSecrets"), &MergeSchema::Set);
        assert_eq!(container.child("command"), &MergeSchema::Whole);
        assert_eq!(container.child("envFrom"), &MergeSchema::Whole);
        assert_eq!(container.child("startupProbe"), &MergeSchema::Whole);
        assert_eq!(spec.child("tolerations"), &MergeSchema::Whole);
        assert_eq!(spec.child("securityContext").child("runAsUser"), &MergeSchema::Whole);
        assert_eq!(spec.child("overrides"), &MergeSchema::Whole);
        assert_eq!(spec.child("volumes").child("data").child("configRef"), &MergeSchema::Whole);
        assert_eq!(
            container.child("resources").child("limits"),
            &MergeSchema::Entries(Box::new(MergeSchema::Whole))
        );
    }
}
