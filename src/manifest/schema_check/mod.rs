//! Checks documents against the schemas and rules of the CRDs, as the API server would.

mod error;
mod metadata;
mod schema;
mod structure;
mod suggest;

use regex::Regex;
use serde_json::{Map, Value};

pub use self::error::SchemaError;
use self::schema::{Schema, pattern};
use self::structure::{Walk, prepare};
use self::suggest::{did_you_mean, quoted};
use super::document::Document;
use super::yaml::{Part, Step};

/// A document, checked.
#[derive(Debug)]
pub(super) struct Checked {
    /// The document as the API server would store it, without values that cannot be read; `None` if too little would be
    /// left.
    pub(super) value: Option<Value>,
    /// Everything that is wrong with it.
    pub(super) violations: Vec<Violation>,
    /// Paths of the fields which `value` lacks though the document has them.
    pub(super) left_out: Vec<Vec<Step>>,
}

/// What is wrong at a path.
#[derive(Clone, Debug)]
pub(super) struct Violation {
    pub(super) path: Vec<Step>,
    /// How the path is shown, if not as Kubernetes writes it.
    pub(super) field: Option<String>,
    pub(super) part: Part,
    pub(super) message: String,
}

/// Patterns of the names that Kubernetes accepts.
#[derive(Debug)]
struct Patterns {
    label: Regex,
    subdomain: Regex,
    label_value: Regex,
}

impl Patterns {
    fn is_label_value(&self, text: &str) -> bool {
        text.is_empty() || (text.len() <= 63 && self.label_value.is_match(text))
    }
}

/// A kind of the project.
#[derive(Debug)]
struct Kind {
    api_version: String,
    name: String,
    is_namespaced: bool,
    schema: Schema,
}

/// The schemas of all kinds, compiled.
#[derive(Debug)]
pub(super) struct Checker {
    kinds: Vec<Kind>,
    patterns: Patterns,
    namespace: Option<String>,
}

impl Checker {
    /// Compiles the schemas of [`crate::api::crds`]; documents are checked as if they were sent to `namespace`.
    ///
    /// # Errors
    /// A schema uses what is not supported here, which a test rules out.
    pub(super) fn new(namespace: Option<&str>) -> Result<Self, SchemaError> {
        let mut kinds = Vec::new();
        for crd in crate::api::crds() {
            for version in crd.spec.versions.iter().filter(|version| version.served) {
                let props = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
                let mut schema = Schema::compile(props.ok_or(SchemaError::Missing)?)?;
                for key in ["apiVersion", "kind"] {
                    schema.properties.entry(key.to_owned()).or_default();
                }
                kinds.push(Kind {
                    api_version: format!("{}/{}", crd.spec.group, version.name),
                    name: crd.spec.names.kind.clone(),
                    is_namespaced: crd.spec.scope == "Namespaced",
                    schema,
                });
            }
        }
        let patterns = Patterns {
            label: pattern("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")?,
            subdomain: pattern("^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")?,
            label_value: pattern("^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")?,
        };
        Ok(Self { kinds, patterns, namespace: namespace.map(ToOwned::to_owned) })
    }

    /// Checks a document.
    pub(super) fn check(&self, document: &Document) -> Checked {
        let mut value = document.node.to_value();
        let Some(kind) = self
            .kinds
            .iter()
            .find(|kind| kind.name == document.kind && kind.api_version == document.api_version)
        else {
            return Checked {
                value: None,
                violations: vec![self.unknown_kind(document)],
                left_out: Vec::new(),
            };
        };
        let mut violations = metadata::check(
            value.get("metadata"),
            kind.name == "JobRequest",
            kind.is_namespaced,
            self.namespace.as_deref(),
            &self.patterns,
        );
        let metadata = if violations.is_empty() { value.get("metadata").map(typed) } else { None };

        // The API server drops the status of an object that is created, but still refuses unknown fields in it.
        let status = value.as_object_mut().and_then(|object| object.remove("status"));
        if let (Some(status), Some(schema)) = (&status, kind.schema.properties.get("status")) {
            let mut walk = Walk::default();
            walk.check(status, schema);
            let unknown = walk.violations.into_iter().filter(|violation| violation.part == Part::Key);
            violations.extend(unknown.map(|mut violation| {
                violation.path.insert(0, Step::Key("status".to_owned()));
                violation
            }));
        }
        prepare(&mut value, &kind.schema);

        // Metadata has its own check; rules see only its name, generated or not.
        if let Some(object) = value.as_object_mut() {
            let name = visible(object.get("metadata"));
            object.insert("metadata".to_owned(), name);
        }
        let mut walk = Walk::default();
        walk.check(&value, &kind.schema);
        if let (Some(object), Some(metadata)) = (value.as_object_mut(), metadata) {
            object.insert("metadata".to_owned(), metadata);
        }

        let misfits: Vec<_> = walk.misfits.iter().map(|misfit| misfit.path.as_slice()).collect();
        let is_field = |path: &[Step]| matches!(path.last(), Some(Step::Key(_)));
        // If a whole list or map is missing, compiling the rest is not worth it.
        let is_worth_compiling = misfits.iter().all(|path| is_field(path) && is_scalar(&value, path));
        let left_out: Vec<_> = misfits.iter().map(|path| path.to_vec()).collect();
        let value = is_worth_compiling.then(|| structure::without(&value, misfits));

        let is_reported = |path: &[Step]| violations.iter().any(|violation| violation.path == path);
        let more = walk.misfits.iter().chain(&walk.violations).filter(|more| !is_reported(&more.path));
        let more: Vec<_> = more.cloned().collect();
        violations.extend(more);
        Checked { value, violations, left_out }
    }

    fn unknown_kind(&self, document: &Document) -> Violation {
        let (api_version, kind) = (quoted(&document.api_version), quoted(&document.kind));
        let step = |key: &str| vec![Step::Key(key.to_owned())];
        if let Some(known) = self.kinds.iter().find(|known| known.name == document.kind) {
            return Violation {
                path: step("apiVersion"),
                field: None,
                part: Part::Value,
                message: format!("unknown version {api_version} of {kind}; use {}", known.api_version),
            };
        }
        let similar = did_you_mean(&document.kind, self.kinds.iter().map(|kind| kind.name.as_str()));
        Violation {
            path: step("kind"),
            field: None,
            part: Part::Value,
            message: format!("unknown kind {kind} in {api_version}{}", similar.unwrap_or_default()),
        }
    }
}

/// The value at `path` is a single one and not null.
fn is_scalar(value: &Value, path: &[Step]) -> bool {
    let found = path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(*index),
    });
    matches!(found, Some(Value::Bool(_) | Value::Number(_) | Value::String(_)))
}

/// Metadata as Go reads it: null in labels and annotations is an empty string.
fn typed(metadata: &Value) -> Value {
    let mut metadata = metadata.clone();
    for map in ["labels", "annotations"] {
        let entries = metadata.get_mut(map).and_then(Value::as_object_mut);
        for value in entries.into_iter().flat_map(Map::values_mut).filter(|value| value.is_null()) {
            *value = Value::String(String::new());
        }
    }
    metadata
}

/// Metadata with nothing but the name of the object.
fn visible(metadata: Option<&Value>) -> Value {
    let text = |key: &str| {
        metadata
            .and_then(|metadata| metadata.get(key))
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let name = text("name").map(ToOwned::to_owned).or_else(|| {
        // As the API server generates it: at most 63 characters, the last five its own.
        text("generateName").map(|base| base.chars().take(58).chain("xxxxx".chars()).collect())
    });
    Value::Object(Map::from_iter(name.map(|name| ("name".to_owned(), Value::String(name)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crd_compiles() {
        Checker::new(None).unwrap();
    }
}
