//! One field of a spec by its path: `PATH=VALUE` in, the changed spec out, typed by the schema of the CRD.
//!
//! `settings.backoffLimit=2` sets a number, `containers[main].image=perl:5` a field of the item that has this name (a new
//! one if there is none), `containers[main].command=[sh, -c, env]` a whole list in YAML, `labels.tier=web` an entry, and
//! `settings-` removes a field. `image=IMAGE`, `image=CONTAINER=IMAGE` and `env=NAME=VALUE` are short for the fields
//! that are set most. Whether the values are allowed is judged later, with the whole document.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Map, Value};

use super::path::{Token, join, split_assignment, tokens};
use crate::api::env::EnvVar;
use crate::api::volume::Volume;
use crate::manifest::read_value;
use crate::similar::closest;

/// How deep a misplaced name is looked for.
const SEARCH_DEPTH: usize = 4;
/// At most this many fields are listed when none is similar.
const MAX_LISTED: usize = 12;

/// Why a field cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// There is no `=`.
    #[error("{0}: write PATH=VALUE, for example settings.backoffLimit=2, or PATH- to remove a field")]
    NoValue(String),
    /// The path is not well-formed.
    #[error(
        "{0}: not the path of a field; write for example settings.backoffLimit or containers[main].image"
    )]
    NoPath(String),
    /// No field has this name.
    #[error("{path}: unknown field{advice}")]
    UnknownField {
        /// The path up to the field.
        path: String,
        /// What may be meant.
        advice: String,
    },
    /// A field of a list is named, and none of its items.
    #[error("{path} is a list; name an item in brackets, for example {path}[{example}]")]
    NoItem {
        /// The list.
        path: String,
        /// How an item is named.
        example: &'static str,
    },
    /// An item is named by a number that is beyond the next one.
    #[error("{path} has {count} items; the next one is {path}[{count}]")]
    Gap {
        /// The list.
        path: String,
        /// How many items it has.
        count: usize,
    },
    /// Something behind a single value.
    #[error("{path} is a {kind}, which has no fields")]
    Scalar {
        /// The value.
        path: String,
        /// Its type.
        kind: String,
    },
    /// The text is no value of the field's type.
    #[error("{path}: {found:?} is not a {wanted}")]
    WrongType {
        /// The field.
        path: String,
        /// Its type, and how to write it.
        wanted: &'static str,
        /// What was written.
        found: String,
    },
    /// A short form, and more than one container.
    #[error("{form}: the request has {count} containers; {instead}")]
    WhichContainer {
        /// What was written.
        form: String,
        /// How many containers there are.
        count: usize,
        /// What to write.
        instead: &'static str,
    },
}

/// The fields of a JobRequest's spec, by the schema of the CRD.
#[derive(Clone, Debug)]
pub struct Fields {
    spec: JSONSchemaProps,
}

/// What happens to a field.
#[derive(Clone, Debug)]
enum Change<'a> {
    /// It becomes what this text means.
    Text(&'a str),
    /// It becomes this value.
    Value(&'a Value),
    Remove,
}

impl Default for Fields {
    fn default() -> Self {
        Self::of_spec()
    }
}

impl Fields {
    /// The fields of a spec.
    #[must_use]
    pub fn of_spec() -> Self {
        let crds = crate::api::crds();
        let request = crds.into_iter().find(|crd| crd.spec.names.kind == "JobRequest");
        let version = request.and_then(|crd| crd.spec.versions.into_iter().next());
        let root = version.and_then(|version| version.schema).and_then(|schema| schema.open_api_v3_schema);
        let spec = root.and_then(|root| root.properties).and_then(|mut properties| properties.remove("spec"));
        Self { spec: spec.unwrap_or_default() }
    }

    /// Does what `PATH=VALUE`, `PATH-` or a short form says to `spec`; returns the path that was changed. `container` is
    /// the one that a short form means when the spec has none yet.
    ///
    /// # Errors
    /// There is no such field, or the text is no value of its type; the spec is as it was.
    pub fn set(&self, spec: &mut Value, text: &str, container: &str) -> Result<String, SetError> {
        let Some((path, value)) = split_assignment(text) else {
            return match text.strip_suffix('-') {
                Some(path) => self.change(spec, path, &Change::Remove),
                None => Err(SetError::NoValue(text.to_owned())),
            };
        };
        match path {
            "image" => {
                // A tag or digest has no '=', so that one which is there ends the name of a container.
                let (name, image) = match value.split_once('=') {
                    Some((name, image)) => (name.to_owned(), image),
                    None => (the_container(spec, text, container)?, value),
                };
                self.change(spec, &format!("containers[{name}].image"), &Change::Text(image))
            }
            "env" => {
                let (name, value) =
                    value.split_once('=').ok_or_else(|| SetError::NoValue(text.to_owned()))?;
                let container = the_container(spec, text, container)?;
                self.change(spec, &format!("containers[{container}].env[{name}].value"), &Change::Text(value))
            }
            path => self.change(spec, path, &Change::Text(value)),
        }
    }

    /// Sets the field at `path` of `spec` to what `text` means.
    ///
    /// # Errors
    /// There is no such field, or the text is no value of its type; the spec is as it was.
    pub fn set_text(&self, spec: &mut Value, path: &str, text: &str) -> Result<String, SetError> {
        self.change(spec, path, &Change::Text(text))
    }

    /// Sets the field at `path` of `spec` to `value`.
    ///
    /// # Errors
    /// There is no such field; the spec is as it was.
    pub fn put(&self, spec: &mut Value, path: &str, value: &Value) -> Result<String, SetError> {
        self.change(spec, path, &Change::Value(value))
    }

    /// The schema of the spec.
    pub(super) const fn schema(&self) -> &JSONSchemaProps {
        &self.spec
    }

    /// The schema of a field.
    pub(super) fn field(&self, path: &str) -> Option<&JSONSchemaProps> {
        tokens(path)?.iter().try_fold(&self.spec, |schema, token| match item_of(schema) {
            Some(item) => Some(item),
            None => field_of(schema, token.text()),
        })
    }

    fn change(&self, spec: &mut Value, path: &str, change: &Change<'_>) -> Result<String, SetError> {
        // A spec has no field called spec, so this can only be its own name.
        let path = path.strip_prefix("spec.").unwrap_or(path);
        let steps = tokens(path).ok_or_else(|| SetError::NoPath(path.to_owned()))?;
        let mut changed = spec.clone();
        let mut walk = Walk { root: &self.spec, read: String::new(), list: String::new() };
        walk.change(&self.spec, &mut changed, &steps, change)?;
        *spec = changed;
        Ok(path.to_owned())
    }
}

/// The only container of `spec`, or `container` if there is none.
fn the_container(spec: &Value, text: &str, container: &str) -> Result<String, SetError> {
    let all = spec.get("containers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let name = |item: &Value| item.get("name").and_then(Value::as_str).map(ToOwned::to_owned);
    match all {
        [] => Ok(container.to_owned()),
        [one] => Ok(name(one).unwrap_or_else(|| container.to_owned())),
        _ => Err(SetError::WhichContainer {
            form: text.to_owned(),
            count: all.len(),
            instead: if text.starts_with("image") {
                "write image=CONTAINER=IMAGE"
            } else {
                "write containers[NAME].env[VARIABLE].value=VALUE"
            },
        }),
    }
}

/// The schema of the items of a list.
pub(super) fn item_of(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match schema.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(item) => Some(item),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}

/// The schema of a field of an object, or of an entry of a map.
pub(super) fn field_of<'a>(schema: &'a JSONSchemaProps, name: &str) -> Option<&'a JSONSchemaProps> {
    let declared = schema.properties.as_ref().and_then(|properties| properties.get(name));
    declared.or_else(|| match schema.additional_properties.as_ref()? {
        JSONSchemaPropsOrBool::Schema(entry) => Some(entry),
        JSONSchemaPropsOrBool::Bool(_) => None,
    })
}

/// The field that the items of a list are known by, if there is one.
pub(super) fn key_of(schema: &JSONSchemaProps) -> Option<&str> {
    match schema.x_kubernetes_list_map_keys.as_deref()? {
        [key] => Some(key),
        _ => None,
    }
}

/// A place of which the schema says nothing more.
fn is_open(schema: &JSONSchemaProps) -> bool {
    schema.x_kubernetes_preserve_unknown_fields == Some(true) || is_untyped(schema)
}

fn is_untyped(schema: &JSONSchemaProps) -> bool {
    schema.type_.is_none() && schema.x_kubernetes_int_or_string != Some(true)
}

/// Walks down a path.
struct Walk<'a> {
    root: &'a JSONSchemaProps,
    /// What was read of the path.
    read: String,
    /// The name of the last field.
    list: String,
}

impl Walk<'_> {
    fn change(
        &mut self,
        schema: &JSONSchemaProps,
        value: &mut Value,
        steps: &[Token],
        change: &Change<'_>,
    ) -> Result<(), SetError> {
        let Some((step, rest)) = steps.split_first() else {
            *value = self.typed(schema, change)?;
            return Ok(());
        };
        let is_list = schema.type_.as_deref() == Some("array")
            || (is_untyped(schema)
                && matches!(step, Token::Bracketed(text) if value.is_array() || text.parse::<usize>().is_ok()));
        if is_list {
            return self.item(schema, value, step, rest, change);
        }
        let is_object = schema.type_.as_deref() == Some("object") || is_open(schema);
        if !is_object {
            let kind = schema.type_.clone().unwrap_or_else(|| "single value".to_owned());
            return Err(SetError::Scalar { path: self.read.clone(), kind });
        }
        let name = step.text();
        let open = JSONSchemaProps::default();
        let field = match field_of(schema, name) {
            Some(field) => field,
            None if is_open(schema) => &open,
            None => return Err(self.unknown(schema, name)),
        };
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        let Some(object) = value.as_object_mut() else { return Ok(()) };
        self.read = match step {
            Token::Name(name) => join(&self.read, name),
            Token::Bracketed(key) => format!("{}[{key}]", self.read),
        };
        name.clone_into(&mut self.list);
        if rest.is_empty() && matches!(change, Change::Remove) {
            object.remove(name);
            return Ok(());
        }
        self.change(field, object.entry(name).or_insert(Value::Null), rest, change)
    }

    fn item(
        &mut self,
        schema: &JSONSchemaProps,
        value: &mut Value,
        step: &Token,
        rest: &[Token],
        change: &Change<'_>,
    ) -> Result<(), SetError> {
        let key = key_of(schema);
        let Token::Bracketed(name) = step else {
            let example = match key {
                Some("path") => "/data",
                Some(_) => "main",
                None => "0",
            };
            return Err(SetError::NoItem { path: self.read.clone(), example });
        };
        if !value.is_array() {
            *value = Value::Array(Vec::new());
        }
        let Some(items) = value.as_array_mut() else { return Ok(()) };
        // Lists within overrides are those of a pod, most of which are known by name.
        let key = key.or_else(|| is_untyped(schema).then_some("name"));
        let named = key.and_then(|key| {
            items.iter().position(|item| item.get(key).and_then(Value::as_str) == Some(name))
        });
        let number = name.parse::<usize>().ok();
        let index = match (named, number, key) {
            (Some(index), ..) => index,
            (None, Some(number), _) if number < items.len() => number,
            (None, Some(number), None) if number == items.len() => number,
            (None, Some(number), Some(_)) if is_untyped(schema) && number == items.len() => number,
            (None, _, Some(_)) if !is_untyped(schema) => items.len(),
            _ => return Err(SetError::Gap { path: self.read.clone(), count: items.len() }),
        };
        if rest.is_empty() && matches!(change, Change::Remove) {
            if index < items.len() {
                items.remove(index);
            }
            return Ok(());
        }
        if index == items.len() {
            let new =
                key.filter(|_| !is_untyped(schema)).map(|key| (key.to_owned(), Value::String(name.clone())));
            items.push(Value::Object(Map::from_iter(new)));
        }
        let Some(item) = items.get_mut(index) else { return Ok(()) };
        if let (Some(field), Some(object)) = (rest.first(), item.as_object_mut()) {
            drop_others(&self.list, field.text(), object);
        }
        self.read = format!("{}[{name}]", self.read);
        let open = JSONSchemaProps::default();
        self.change(item_of(schema).unwrap_or(&open), item, rest, change)
    }

    /// The value that the field gets.
    fn typed(&self, schema: &JSONSchemaProps, change: &Change<'_>) -> Result<Value, SetError> {
        let text = match change {
            Change::Value(value) => return Ok((*value).clone()),
            Change::Remove => return Ok(Value::Null),
            Change::Text(text) => *text,
        };
        let wrong = |wanted| SetError::WrongType { path: self.read.clone(), wanted, found: text.to_owned() };
        let read = || read_value(text).ok();
        let number = || text.parse::<i64>().ok().map(Value::from);
        if schema.x_kubernetes_int_or_string == Some(true) {
            return Ok(number().unwrap_or_else(|| Value::String(text.to_owned())));
        }
        match schema.type_.as_deref() {
            Some("string") => Ok(Value::String(text.to_owned())),
            Some("integer") => number().ok_or_else(|| wrong("whole number")),
            Some("number") => read().filter(Value::is_number).ok_or_else(|| wrong("number")),
            Some("boolean") => match text {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err(wrong("boolean; write true or false")),
            },
            Some("array") => {
                read().filter(Value::is_array).ok_or_else(|| wrong("list; write for example [a, b]"))
            }
            Some("object") => {
                read().filter(Value::is_object).ok_or_else(|| wrong("map; write for example {a: b}"))
            }
            _ => read().ok_or_else(|| wrong("value in YAML")),
        }
    }

    fn unknown(&self, schema: &JSONSchemaProps, name: &str) -> SetError {
        let names = || schema.properties.iter().flatten().map(|(name, _)| name.as_str());
        let mut found = None;
        if self.read.is_empty() {
            find(self.root, name, "", SEARCH_DEPTH, &mut found);
        }
        let meant = found.or_else(|| closest(name, names()).map(|close| join(&self.read, close)));
        let advice = match meant {
            Some(path) => format!("; did you mean {path}?"),
            None if names().count() <= MAX_LISTED => {
                format!("; the fields here are {}", names().collect::<Vec<_>>().join(", "))
            }
            None => "; docs/api.md has all fields".to_owned(),
        };
        SetError::UnknownField { path: join(&self.read, name), advice }
    }
}

/// Setting one member of a choice takes the others away, as a layer does.
fn drop_others(list: &str, field: &str, object: &mut Map<String, Value>) {
    let sources = match list {
        "env" => EnvVar::SOURCES,
        "volumes" => Volume::SOURCES,
        _ => return,
    };
    if sources.contains(&field) {
        object.retain(|key, _| key == field || !sources.contains(&key.as_str()));
    }
}

/// The path of a field called `name`, the shallowest first.
fn find(schema: &JSONSchemaProps, name: &str, path: &str, depth: usize, found: &mut Option<String>) {
    let children = || schema.properties.iter().flatten().filter(|(child, _)| *child != "overrides");
    if let Some((child, _)) = children().find(|(child, _)| *child == name) {
        let path = join(path, child);
        let depth_of = |path: &str| path.matches(['.', '[']).count();
        let is_better = found.as_ref().is_none_or(|known| depth_of(&path) < depth_of(known));
        if is_better {
            *found = Some(path);
        }
        return;
    }
    if depth == 0 {
        return;
    }
    for (child, field) in children() {
        let path = join(path, child);
        match item_of(field) {
            Some(item) => {
                let key = key_of(field).map_or("0", |key| if key == "path" { "/PATH" } else { "NAME" });
                find(item, name, &format!("{path}[{key}]"), depth - 1, found);
            }
            None => find(field, name, &path, depth - 1, found),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(spec: Value, text: &str) -> Result<Value, String> {
        let mut spec = spec;
        Fields::of_spec().set(&mut spec, text, "main").map_err(|error| error.to_string())?;
        Ok(spec)
    }

    #[test]
    fn values_have_the_type_of_their_field() {
        for (text, wanted) in [
            ("alias=12", json!({"alias": "12"})),
            ("alias=", json!({"alias": ""})),
            ("spec.alias=true", json!({"alias": "true"})),
            ("settings.backoffLimit=2", json!({"settings": {"backoffLimit": 2}})),
            ("suspend=true", json!({"suspend": true})),
            ("labels.tier=web", json!({"labels": {"tier": "web"}})),
            ("labels[example.com/tier]=web", json!({"labels": {"example.com/tier": "web"}})),
            ("containers[a].image=perl:5", json!({"containers": [{"name": "a", "image": "perl:5"}]})),
            (
                "containers[a].command=[sh, -c, \"yes\"]",
                json!({"containers": [{"name": "a", "command": ["sh", "-c", "yes"]}]}),
            ),
            (
                "containers[a].resources.requests.cpu=500m",
                json!({"containers": [{"name": "a", "resources": {"requests": {"cpu": "500m"}}}]}),
            ),
            (
                "containers[a].mounts[/data].readOnly=true",
                json!({"containers": [{"name": "a", "mounts": [{"path": "/data", "readOnly": true}]}]}),
            ),
            (
                "containers[a].startupProbe.httpGet.port=8080",
                json!({"containers": [{"name": "a", "startupProbe": {"httpGet": {"port": 8080}}}]}),
            ),
            (
                "overrides.template.spec.hostNetwork=true",
                json!({"overrides": {"template": {"spec": {"hostNetwork": true}}}}),
            ),
            (
                "overrides.template.spec.hostAliases[0].ip=10.0.0.1",
                json!({"overrides": {"template": {"spec": {"hostAliases": [{"ip": "10.0.0.1"}]}}}}),
            ),
            ("volumes[tmp].emptyDir={}", json!({"volumes": [{"name": "tmp", "emptyDir": {}}]})),
            ("image=perl:5", json!({"containers": [{"name": "main", "image": "perl:5"}]})),
            ("image=c=perl:5", json!({"containers": [{"name": "c", "image": "perl:5"}]})),
            ("env=A=b=c", json!({"containers": [{"name": "main", "env": [{"name": "A", "value": "b=c"}]}]})),
        ] {
            assert_eq!(set(json!({}), text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_there_stays_or_goes() {
        let spec = json!({
            "alias": "a",
            "containers": [
                {"name": "main", "image": "a", "env": [{"name": "P", "configRef": {"kind": "Secret", "name": "s", "key": "k"}}]},
            ],
        });
        let changed = set(spec.clone(), "containers[main].env[P].value=x").unwrap();
        assert_eq!(changed["containers"][0]["env"], json!([{"name": "P", "value": "x"}]));
        assert_eq!(changed["containers"][0]["image"], "a");
        assert_eq!(set(spec.clone(), "containers[0].image=b").unwrap()["containers"][0]["image"], "b");
        assert_eq!(set(spec.clone(), "alias-").unwrap().get("alias"), None);
        assert_eq!(set(spec.clone(), "containers[main].env[P]-").unwrap()["containers"][0]["env"], json!([]));
        assert_eq!(set(spec, "image=b").unwrap()["containers"][0]["image"], "b");
    }

    #[test]
    fn what_cannot_be_set_is_said_with_the_way_out() {
        let two = json!({"containers": [{"name": "a"}, {"name": "b"}]});
        for (spec, text, wanted) in [
            (
                json!({}),
                "alias",
                "alias: write PATH=VALUE, for example settings.backoffLimit=2, or PATH- to remove a field",
            ),
            (json!({}), "backoffLimit=2", "backoffLimit: unknown field; did you mean settings.backoffLimit?"),
            (
                json!({}),
                "settings.backofLimit=2",
                "settings.backofLimit: unknown field; did you mean settings.backoffLimit?",
            ),
            (json!({}), "command=[a]", "command: unknown field; did you mean containers[NAME].command?"),
            (
                json!({}),
                "templateRef.xyz=a",
                "templateRef.xyz: unknown field; the fields here are kind, name",
            ),
            (
                json!({}),
                "containers.image=a",
                "containers is a list; name an item in brackets, for example containers[main]",
            ),
            (json!({}), "settings.completions=two", "settings.completions: \"two\" is not a whole number"),
            (json!({}), "suspend=yes", "suspend: \"yes\" is not a boolean; write true or false"),
            (
                json!({}),
                "containers[a].command=sh",
                "containers[a].command: \"sh\" is not a list; write for example [a, b]",
            ),
            (json!({}), "alias.x=a", "alias is a string, which has no fields"),
            (
                json!({}),
                "a..b=c",
                "a..b: not the path of a field; write for example settings.backoffLimit or containers[main].image",
            ),
            (two, "image=x", "image=x: the request has 2 containers; write image=CONTAINER=IMAGE"),
            (
                json!({}),
                "settings.podFailurePolicy.rules[3].action=Ignore",
                "settings.podFailurePolicy.rules has 0 items; the next one is settings.podFailurePolicy.rules[0]",
            ),
        ] {
            let before = spec.clone();
            let mut changed = spec;
            let error = Fields::of_spec().set(&mut changed, text, "main").unwrap_err().to_string();
            assert_eq!(error, wanted);
            assert_eq!(changed, before, "{text}");
        }
    }
}
