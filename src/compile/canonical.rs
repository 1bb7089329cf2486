//! One form for all specs that mean the same: what is empty, written in another order or unit, or written out although it
//! is what an absent field means, makes no difference.
//!
//! Takes a spec as JSON; returns it in that form. Layers are not known here, so what could differ from what a template
//! supplies stays: an empty `args` undoes a template's arguments, and `restartPolicy: Never` holds against a template.

use serde_json::{Map, Value};

use super::layers::MergeSchema;
use super::quantity::Amount;

/// Lists whose order means nothing, of items or of scalars.
const UNORDERED: [&str; 12] = [
    "accessModes",
    "add",
    "drop",
    "imagePullSecrets",
    "items",
    "mounts",
    "ports",
    "supplementalGroups",
    "tolerations",
    "values",
    "volumes",
    "without",
];

/// What an absent field means in a part that layers replace as a whole: no template can supply it.
const MEANT_BY_ABSENCE: [(&str, Meaning); 12] = [
    ("defaultMode", Meaning::Number(0o644)),
    ("effect", Meaning::Text("")),
    ("expirationSeconds", Meaning::Number(3600)),
    ("key", Meaning::Text("")),
    ("medium", Meaning::Text("")),
    ("operator", Meaning::Text("Equal")),
    ("optional", Meaning::Bool(false)),
    ("prefix", Meaning::Text("")),
    ("protocol", Meaning::Text("TCP")),
    ("readOnly", Meaning::Bool(false)),
    ("status", Meaning::Text("True")),
    ("type", Meaning::Text("")),
];

/// Parts of `overrides` that say nothing when they are empty.
const PARTS_OF_OVERRIDES: [&str; 6] =
    ["annotations", "labels", "metadata", "nodeSelector", "spec", "template"];

#[derive(Clone, Copy, Debug)]
enum Meaning {
    Text(&'static str),
    Number(i64),
    Bool(bool),
}

impl Meaning {
    fn is(self, value: &Value) -> bool {
        match self {
            Self::Text(text) => value.as_str() == Some(text),
            Self::Number(number) => value.as_i64() == Some(number),
            Self::Bool(flag) => value.as_bool() == Some(flag),
        }
    }
}

/// The form of a spec that all specs with its meaning share.
pub(super) fn spec(mut spec: Value) -> Value {
    let overrides = spec.as_object_mut().and_then(|fields| fields.remove("overrides"));
    let mut canonical = form("spec", MergeSchema::spec(), spec).unwrap_or(Value::Object(Map::new()));
    if let Some(overrides) = overrides.and_then(|overrides| of_overrides("overrides", overrides))
        && let Some(fields) = canonical.as_object_mut()
    {
        fields.insert("overrides".to_owned(), overrides);
    }
    canonical
}

/// The form of the part called `name`, which merges by `schema`; none for what means nothing.
fn form(name: &str, schema: &MergeSchema, value: Value) -> Option<Value> {
    match (schema, value) {
        (MergeSchema::Fields { .. }, Value::Object(map)) => {
            let is_port = name == "ports";
            object(map, |name, value| {
                if is_port && name == "protocol" && is_meant_by_absence(name, &value) {
                    return None;
                }
                form(name, schema.child(name), value)
            })
        }
        (MergeSchema::Entries(_), Value::Object(map)) => object(map, |key, value| {
            Some(if is_amounts(name) { amount(value) } else { form(key, schema.child(key), value)? })
        }),
        (MergeSchema::Items { .. } | MergeSchema::Set, Value::Array(items)) => {
            // An item without fields beside its key is one all the same.
            let each = items.into_iter();
            let items: Vec<Value> = each.filter_map(|item| form(name, schema.child(""), item)).collect();
            (!items.is_empty()).then(|| list(name, items))
        }
        (_, value) => Some(whole(name, value)),
    }
}

/// What layers replace as a whole.
fn whole(name: &str, value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let amounts = is_amounts(name);
            let kept = map
                .into_iter()
                .filter(|(name, value)| amounts || !is_meant_by_absence(name, value))
                .map(|(name, value)| {
                    let value = if amounts { amount(value) } else { whole(&name, value) };
                    (name, value)
                });
            Value::Object(kept.collect())
        }
        Value::Array(items) => {
            let items: Vec<Value> = items.into_iter().map(|item| whole(name, item)).collect();
            list(name, items)
        }
        value if ["divisor", "size", "sizeLimit"].contains(&name) => amount(value),
        value => value,
    }
}

fn of_overrides(name: &str, value: Value) -> Option<Value> {
    let is_part = name == "overrides" || PARTS_OF_OVERRIDES.contains(&name);
    match value {
        Value::Object(map) => {
            let amounts = is_amounts(name);
            let kept: Map<String, Value> = map
                .into_iter()
                .filter_map(|(name, value)| {
                    let value = if amounts { Some(amount(value)) } else { of_overrides(&name, value) };
                    Some((name, value?))
                })
                .collect();
            (!is_part || !kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) => Some(items.into_iter().filter_map(|item| of_overrides("", item)).collect()),
        value => Some(value),
    }
}

fn object(map: Map<String, Value>, each: impl Fn(&str, Value) -> Option<Value>) -> Option<Value> {
    let kept: Map<String, Value> = map
        .into_iter()
        .filter_map(|(name, value)| {
            let value = each(&name, value)?;
            Some((name, value))
        })
        .collect();
    (!kept.is_empty()).then_some(Value::Object(kept))
}

/// A list, in an order of its own where the written one means nothing.
fn list(name: &str, mut items: Vec<Value>) -> Value {
    if UNORDERED.contains(&name) {
        items.sort_by_cached_key(Value::to_string);
    }
    Value::Array(items)
}

fn is_meant_by_absence(name: &str, value: &Value) -> bool {
    let meaning = MEANT_BY_ABSENCE.iter().find(|(known, _)| *known == name);
    meaning.is_some_and(|(_, meaning)| meaning.is(value))
}

fn is_amounts(name: &str) -> bool {
    name == "limits" || name == "requests"
}

/// `0.5` for `500m`, `1073741824` for `1Gi`.
fn amount(value: Value) -> Value {
    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    Amount::parse(&text).map_or(value, |amount| Value::String(amount.to_string()))
}
