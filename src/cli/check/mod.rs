//! Documents against the schemas and rules of the CRDs, as the API server would judge them.

mod metadata;
mod schema;
mod structure;
mod suggest;

use regex::Regex;
use serde_json::{Map, Value};

use self::schema::Schema;
use self::structure::{Walk, prepare};
use self::suggest::{did_you_mean, quoted};
use super::cel::regex;
use super::manifest::{Document, Part, Step};

/// What is wrong at a path.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: Vec<Step>,
    /// How the path is shown, where words for it are given.
    pub(super) field: Option<String>,
    pub(super) part: Part,
    pub(super) message: String,
}

/// Names as Kubernetes wants them.
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
    /// Compiles the schemas of [`crate::api::crds`]; documents are judged as if they were sent to `namespace`.
    ///
    /// # Errors
    /// A schema uses what is not known here, which a test rules out.
    pub(super) fn new(namespace: Option<&str>) -> Result<Self, String> {
        let mut kinds = Vec::new();
        for crd in crate::api::crds() {
            for version in crd.spec.versions.iter().filter(|version| version.served) {
                let props = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
                let mut schema = Schema::compile(props.ok_or("a CRD has no schema")?)?;
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
            label: regex("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")?,
            subdomain: regex("^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")?,
            label_value: regex("^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")?,
        };
        Ok(Self { kinds, patterns, namespace: namespace.map(ToOwned::to_owned) })
    }

    /// The document as the API server would store it, and everything that is wrong with it.
    pub(super) fn check(&self, document: &Document) -> (Value, Vec<Found>) {
        let mut value = document.node.to_value();
        let Some(kind) = self
            .kinds
            .iter()
            .find(|kind| kind.name == document.kind && kind.api_version == document.api_version)
        else {
            return (value, vec![self.unknown_kind(document)]);
        };
        let mut found = metadata::check(
            value.get("metadata"),
            kind.is_namespaced,
            self.namespace.as_deref(),
            &self.patterns,
        );

        // The API server drops the status of what is created, but still refuses unknown fields in it.
        let status = value.as_object_mut().and_then(|object| object.remove("status"));
        if let (Some(status), Some(schema)) = (&status, kind.schema.properties.get("status")) {
            let mut walk = Walk::default();
            walk.check(status, schema);
            found.extend(walk.found.into_iter().filter(|found| found.part == Part::Key).map(|mut found| {
                found.path.insert(0, Step::Key("status".to_owned()));
                found
            }));
        }
        prepare(&mut value, &kind.schema);

        // Metadata has its own check; to the rules it shows its name, generated or not.
        let mut metadata = value.get("metadata").cloned();
        for map in ["labels", "annotations"] {
            let entries = metadata.as_mut().and_then(|metadata| metadata.get_mut(map)?.as_object_mut());
            // Go reads null as an empty text there.
            entries.into_iter().flat_map(Map::values_mut).filter(|value| value.is_null()).for_each(|value| {
                *value = Value::String(String::new());
            });
        }
        if let Some(object) = value.as_object_mut() {
            object.insert("metadata".to_owned(), visible(metadata.as_ref()));
        }
        let mut walk = Walk::default();
        walk.check(&value, &kind.schema);
        let is_told = |path: &[Step]| found.iter().any(|found| found.path == path);
        let more: Vec<_> = walk.found.into_iter().filter(|more| !is_told(&more.path)).collect();
        found.extend(more);
        if let (Some(object), Some(metadata)) = (value.as_object_mut(), metadata) {
            object.insert("metadata".to_owned(), metadata);
        }
        (value, found)
    }

    fn unknown_kind(&self, document: &Document) -> Found {
        let (api_version, kind) = (quoted(&document.api_version), quoted(&document.kind));
        let step = |key: &str| vec![Step::Key(key.to_owned())];
        if let Some(known) = self.kinds.iter().find(|known| known.name == document.kind) {
            return Found {
                path: step("apiVersion"),
                field: None,
                part: Part::Value,
                message: format!("no version {api_version} of {kind}; write {}", known.api_version),
            };
        }
        let similar = did_you_mean(&document.kind, self.kinds.iter().map(|kind| kind.name.as_str()));
        Found {
            path: step("kind"),
            field: None,
            part: Part::Value,
            message: format!("no kind {kind} in {api_version}{}", similar.unwrap_or_default()),
        }
    }
}

/// The name of an object, alone.
fn visible(metadata: Option<&Value>) -> Value {
    let text = |key: &str| {
        metadata
            .and_then(|metadata| metadata.get(key))
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let name = text("name").map(ToOwned::to_owned).or_else(|| {
        // What the API server makes of it: at most 63 characters, five of them its own.
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
