//! Checks `metadata`, which the API server validates by its own type instead of a schema.

use serde_json::{Map, Value};

use super::suggest::{did_you_mean, quoted};
use super::{Patterns, Violation};
use crate::manifest::yaml::{Part, Step};

/// Fields of ObjectMeta that are strings.
const STRING_FIELDS: [&str; 8] = [
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "selfLink",
    "creationTimestamp",
    "deletionTimestamp",
];
/// The other fields of ObjectMeta.
const OTHER_FIELDS: [&str; 7] = [
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "managedFields",
    "generation",
    "deletionGracePeriodSeconds",
];
/// Fields of an owner reference; the first four are required.
const OWNER_FIELDS: [&str; 6] = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
/// Maximum size of all annotations together.
const MAX_ANNOTATIONS_BYTES: usize = 256 * 1024;

/// Checks `metadata`; `namespace` is the requested one, and `has_name_rule` means that the schema has a rule for names.
pub(super) fn check(
    metadata: Option<&Value>,
    has_name_rule: bool,
    is_namespaced: bool,
    namespace: Option<&str>,
    patterns: &Patterns,
) -> Vec<Violation> {
    let mut check = Check { patterns, violations: Vec::new() };
    match metadata {
        None | Some(Value::Null) => {
            check.wrong(&["name"], "Required value: name or generateName is required");
        }
        Some(Value::Object(metadata)) => {
            check.fields(metadata, is_namespaced, namespace);
            if !has_name_rule {
                check.name(metadata);
            }
        }
        Some(_) => check.wrong(&[], "must be of type object"),
    }
    check.violations
}

struct Check<'a> {
    patterns: &'a Patterns,
    violations: Vec<Violation>,
}

impl Check<'_> {
    fn wrong(&mut self, path: &[&str], message: impl Into<String>) {
        self.report(path, Part::Value, message.into());
    }

    fn report(&mut self, path: &[&str], part: Part, message: String) {
        let step = |name: &&str| name.parse().map_or_else(|_| Step::Key((*name).to_owned()), Step::Index);
        let path = std::iter::once(Step::Key("metadata".to_owned())).chain(path.iter().map(step)).collect();
        self.violations.push(Violation { path, field: None, part, message });
    }

    fn fields(&mut self, metadata: &Map<String, Value>, is_namespaced: bool, namespace: Option<&str>) {
        for (key, value) in metadata {
            if STRING_FIELDS.contains(&key.as_str()) {
                if !value.is_string() && !value.is_null() {
                    self.wrong(&[key], "must be of type string; put it in quotes");
                }
            } else if !OTHER_FIELDS.contains(&key.as_str()) {
                let similar =
                    did_you_mean(key, STRING_FIELDS.into_iter().chain(OTHER_FIELDS)).unwrap_or_default();
                self.report(&[key], Part::Key, format!("unknown field {}{similar}", quoted(key)));
            }
        }
        let text = |key: &str| metadata.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if text("name").is_none()
            && text("generateName").is_none()
            && metadata.get("name").is_none_or(|name| name.is_null() || name == "")
        {
            self.wrong(&["name"], "Required value: name or generateName is required");
        }
        match text("namespace") {
            Some(_) if !is_namespaced => {
                self.wrong(&["namespace"], "not allowed: objects of this kind have no namespace");
            }
            Some(own) if own.len() > 63 || !self.patterns.label.is_match(own) => {
                self.wrong(&["namespace"], "must be at most 63 lower-case letters, digits and '-'");
            }
            Some(own) if namespace.is_some_and(|namespace| namespace != own) => {
                let asked = namespace.unwrap_or_default();
                self.wrong(&["namespace"], format!("does not match the requested namespace {asked}"));
            }
            _ => {}
        }
        for map in ["labels", "annotations"] {
            match metadata.get(map) {
                None | Some(Value::Null) => {}
                Some(Value::Object(entries)) => self.strings(map, entries),
                Some(_) => self.wrong(&[map], "must be of type object"),
            }
        }
        self.finalizers(metadata.get("finalizers"));
        self.owners(metadata.get("ownerReferences"));
        for number in ["generation", "deletionGracePeriodSeconds"] {
            if metadata.get(number).is_some_and(|value| !value.is_null() && !value.is_i64()) {
                self.wrong(&[number], "must be of type integer");
            }
        }
    }

    /// A name, and the beginning of one.
    fn name(&mut self, metadata: &Map<String, Value>) {
        let text = |key: &str| metadata.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        for key in ["name", "generateName"] {
            let Some(written) = text(key) else { continue };
            // The generated part follows a final dash.
            let name = match written.strip_suffix('-') {
                Some(front) if key == "generateName" => format!("{front}a"),
                _ => written.to_owned(),
            };
            if name.len() > 253 || !self.patterns.subdomain.is_match(&name) {
                self.wrong(
                    &[key],
                    "must be at most 253 lower-case letters, digits, '-' and '.', each part beginning and ending with a letter or digit",
                );
            }
        }
    }

    fn strings(&mut self, map: &str, entries: &Map<String, Value>) {
        let mut size = 0;
        for (key, value) in entries {
            // The prefix of an annotation's key may be in upper case.
            let well_formed = if map == "annotations" {
                self.is_qualified(&key.to_lowercase())
            } else {
                self.is_qualified(key)
            };
            if !well_formed {
                let advice = "the key is not well-formed: [prefix/]name, the name at most 63 letters, digits, '-', '_' and '.', the prefix a DNS name";
                self.report(&[map, key], Part::Key, advice.to_owned());
            }
            match value {
                Value::String(text) if map == "labels" && !self.patterns.is_label_value(text) => self.wrong(
                    &[map, key],
                    "must be at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, or empty",
                ),
                Value::String(text) => size += key.len() + text.len(),
                Value::Null => {}
                _ => self.wrong(&[map, key], "must be of type string; put it in quotes"),
            }
        }
        if map == "annotations" && size > MAX_ANNOTATIONS_BYTES {
            self.wrong(
                &[map],
                format!("Too long: {size} bytes: may not be more than {MAX_ANNOTATIONS_BYTES}"),
            );
        }
    }

    fn is_qualified(&self, key: &str) -> bool {
        let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
        let prefix_fits =
            prefix.is_none_or(|prefix| prefix.len() <= 253 && self.patterns.subdomain.is_match(prefix));
        prefix_fits && !name.is_empty() && self.patterns.is_label_value(name)
    }

    fn finalizers(&mut self, finalizers: Option<&Value>) {
        const STANDARD: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];
        let items = match finalizers {
            None | Some(Value::Null) => return,
            Some(Value::Array(items)) => items,
            Some(_) => return self.wrong(&["finalizers"], "must be of type array"),
        };
        for (index, item) in items.iter().enumerate() {
            let index = index.to_string();
            match item.as_str() {
                None => self.wrong(&["finalizers", &index], "must be of type string"),
                Some(name) if STANDARD.contains(&name) => {}
                Some(name) if !self.is_qualified(name) => {
                    self.wrong(&["finalizers", &index], "must be a name such as example.com/name");
                }
                Some(_) => {}
            }
        }
        let has = |name: &str| items.iter().any(|item| item == name);
        if has("orphan") && has("foregroundDeletion") {
            self.wrong(&["finalizers"], "orphan and foregroundDeletion cannot both be set");
        }
    }

    fn owners(&mut self, owners: Option<&Value>) {
        let items = match owners {
            None | Some(Value::Null) => return,
            Some(Value::Array(items)) => items,
            Some(_) => return self.wrong(&["ownerReferences"], "must be of type array"),
        };
        for (index, item) in items.iter().enumerate() {
            let index = index.to_string();
            let Some(owner) = item.as_object() else {
                self.wrong(&["ownerReferences", &index], "must be of type object");
                continue;
            };
            for key in owner.keys().filter(|key| !OWNER_FIELDS.contains(&key.as_str())) {
                let similar = did_you_mean(key, OWNER_FIELDS.into_iter()).unwrap_or_default();
                let message = format!("unknown field {}{similar}", quoted(key));
                self.report(&["ownerReferences", &index, key], Part::Key, message);
            }
            for (place, key) in OWNER_FIELDS.into_iter().enumerate() {
                let path = ["ownerReferences", index.as_str(), key];
                match owner.get(key) {
                    Some(Value::String(text)) if place < 4 && !text.is_empty() => {}
                    Some(Value::Bool(_) | Value::Null) | None if place >= 4 => {}
                    _ if place < 4 => self.wrong(&path, "Required value: must be a non-empty string"),
                    _ => self.wrong(&path, "must be of type boolean"),
                }
            }
        }
        let controllers = items.iter().filter(|owner| owner.get("controller") == Some(&Value::Bool(true)));
        if controllers.count() > 1 {
            self.wrong(&["ownerReferences"], "only one owner can be the controller");
        }
    }
}
