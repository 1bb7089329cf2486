//! A spec as a tree of values, each with its origin.
//!
//! Takes a layer as JSON and its origin; merges trees by [`MergeSchema`], the higher precedence over the lower; returns JSON
//! again, and every value with the layer that decided it and what that overrode.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::field_path::Step;
use super::merge_schema::MergeSchema;
use super::origin::Origin;
use crate::api::container::Protocol;

/// One value, the layer that decided it, and what lower-precedence layers set.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The value.
    pub value: Value,
    /// The layer that decided it.
    pub origin: Origin,
    /// What lower-precedence layers set, the lowest first.
    pub overrode: Vec<(Origin, Value)>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::compile) enum ValueTree {
    /// Replaced as a whole.
    Whole(Decided),
    /// Fields or entries, by name.
    Fields(BTreeMap<String, Self>),
    /// Items in order, by key.
    Items(Vec<(String, Self)>),
}

impl Default for ValueTree {
    fn default() -> Self {
        Self::Fields(BTreeMap::new())
    }
}

impl ValueTree {
    /// One value.
    pub(super) fn whole(value: Value, origin: &Origin) -> Self {
        Self::Whole(Decided { value, origin: origin.clone(), overrode: Vec::new() })
    }

    /// Reads a layer.
    pub(super) fn read(schema: &MergeSchema, value: Value, origin: &Origin) -> Self {
        match (schema, value) {
            (MergeSchema::Fields { .. } | MergeSchema::Entries(_), Value::Object(map)) => Self::Fields(
                map.into_iter()
                    .map(|(name, value)| {
                        let child = Self::read(schema.child(&name), value, origin);
                        (name, child)
                    })
                    .collect(),
            ),
            (MergeSchema::Items { keys, item }, Value::Array(items)) => Self::Items(
                items
                    .into_iter()
                    .map(|value| (key_of(keys, &value), Self::read(item, value, origin)))
                    .collect(),
            ),
            (MergeSchema::Set, Value::Array(items)) => Self::Items(
                items.into_iter().map(|value| (text(&value), Self::whole(value, origin))).collect(),
            ),
            (_, value) => Self::whole(value, origin),
        }
    }

    /// Puts `higher` over `self`.
    pub(super) fn under(self, schema: &MergeSchema, higher: Self) -> Self {
        match (self, higher) {
            (Self::Fields(mut low), Self::Fields(near)) => {
                let dropped = drop_others(schema, &mut low, &near);
                for (name, mut child) in near {
                    if let (Self::Whole(decided), true) = (&mut child, is_chosen(schema, &name)) {
                        // They have lower precedence than whatever the higher one has overridden.
                        decided.overrode.splice(0..0, dropped.iter().cloned());
                    }
                    let merged = match low.remove(&name) {
                        Some(lower) => lower.under(schema.child(&name), child),
                        None => child,
                    };
                    low.insert(name, merged);
                }
                Self::Fields(low)
            }
            (Self::Items(mut low), Self::Items(near)) => {
                for (key, child) in near {
                    match low.iter_mut().find(|(known, _)| *known == key) {
                        Some((_, place)) => {
                            *place = std::mem::take(place).under(schema.child(&key), child);
                        }
                        None => low.push((key, child)),
                    }
                }
                Self::Items(low)
            }
            (Self::Whole(low), Self::Whole(mut near)) => {
                let mut overrode = low.overrode;
                overrode.push((low.origin, low.value));
                overrode.append(&mut near.overrode);
                Self::Whole(Decided { overrode, ..near })
            }
            // One of another form, as only a spec that no schema has seen can hold: the one of higher precedence counts.
            (_, near) => near,
        }
    }

    /// Takes away what lies at `steps`, if there is something.
    pub(super) fn remove(&mut self, steps: &[Step]) {
        let Some((step, rest)) = steps.split_first() else { return };
        match self {
            Self::Whole(_) => {}
            Self::Fields(fields) if rest.is_empty() => fields.retain(|name, _| !step.is_of(name)),
            Self::Items(items) if rest.is_empty() => items.retain(|(key, _)| !step.is_of(key)),
            Self::Fields(fields) => {
                let meant = fields.iter_mut().filter(|(name, _)| step.is_of(name));
                meant.for_each(|(_, child)| child.remove(rest));
            }
            Self::Items(items) => {
                let meant = items.iter_mut().filter(|(key, _)| step.is_of(key));
                meant.for_each(|(_, child)| child.remove(rest));
            }
        }
    }

    /// The child of this name or key.
    pub(in crate::compile) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Fields(fields) => fields.get(key),
            Self::Items(items) => items.iter().find(|(known, _)| known == key).map(|(_, child)| child),
            Self::Whole(_) => None,
        }
    }

    /// The fields, if these are fields.
    pub(super) const fn fields_mut(&mut self) -> Option<&mut BTreeMap<String, Self>> {
        match self {
            Self::Fields(fields) => Some(fields),
            Self::Whole(_) | Self::Items(_) => None,
        }
    }

    /// The items of the list called `name`.
    pub(super) fn items_mut(&mut self, name: &str) -> impl Iterator<Item = &mut (String, Self)> {
        let list = self.fields_mut().and_then(|fields| fields.get_mut(name));
        let items = if let Some(Self::Items(items)) = list { Some(items) } else { None };
        items.into_iter().flatten()
    }

    /// The value of a part that is replaced as a whole.
    pub(in crate::compile) fn value(&self) -> Option<&Value> {
        match self {
            Self::Whole(decided) => Some(&decided.value),
            Self::Fields(_) | Self::Items(_) => None,
        }
    }

    /// The names of the fields, or the keys of the items.
    pub(in crate::compile) fn keys(&self) -> Vec<&str> {
        match self {
            Self::Fields(fields) => fields.keys().map(String::as_str).collect(),
            Self::Items(items) => items.iter().map(|(key, _)| key.as_str()).collect(),
            Self::Whole(_) => Vec::new(),
        }
    }

    /// Its parts are items of a list.
    pub(in crate::compile) const fn is_list(&self) -> bool {
        matches!(self, Self::Items(_))
    }

    /// Where its values come from.
    pub(in crate::compile) fn origins(&self) -> Vec<&Origin> {
        match self {
            Self::Whole(decided) => vec![&decided.origin],
            Self::Fields(fields) => fields.values().flat_map(Self::origins).collect(),
            Self::Items(items) => items.iter().flat_map(|(_, child)| child.origins()).collect(),
        }
    }

    /// As JSON.
    pub(in crate::compile) fn to_json(&self) -> Value {
        match self {
            Self::Whole(decided) => decided.value.clone(),
            Self::Fields(fields) => Value::Object(
                fields.iter().map(|(name, child)| (name.clone(), child.to_json())).collect::<Map<_, _>>(),
            ),
            Self::Items(items) => Value::Array(items.iter().map(|(_, child)| child.to_json()).collect()),
        }
    }

    /// Every value with its path, in order. The key of an item is part of the path, not a value.
    pub(in crate::compile) fn decided(&self) -> Vec<(String, &Decided)> {
        let mut found = Vec::new();
        self.collect(MergeSchema::spec(), String::new(), &mut found);
        found
    }

    fn collect<'a>(&'a self, schema: &MergeSchema, path: String, found: &mut Vec<(String, &'a Decided)>) {
        match self {
            Self::Whole(decided) => found.push((path, decided)),
            Self::Fields(fields) => {
                for (name, child) in fields {
                    child.collect(schema.child(name), join(&path, name), found);
                }
            }
            Self::Items(items) => {
                let keys: &[String] = if let MergeSchema::Items { keys, .. } = schema { keys } else { &[] };
                for (key, child) in items {
                    let path = format!("{path}[{key}]");
                    match child {
                        Self::Fields(fields) => {
                            for (name, value) in fields.iter().filter(|(name, _)| !keys.contains(name)) {
                                value.collect(schema.child(key).child(name), join(&path, name), found);
                            }
                        }
                        Self::Whole(_) | Self::Items(_) => child.collect(schema.child(key), path, found),
                    }
                }
            }
        }
    }
}

/// A choice that `near` makes drops the members of `low` which it does not set; returns what they held.
fn drop_others(
    schema: &MergeSchema,
    low: &mut BTreeMap<String, ValueTree>,
    near: &BTreeMap<String, ValueTree>,
) -> Vec<(Origin, Value)> {
    let MergeSchema::Fields { choice, .. } = schema else {
        return Vec::new();
    };
    if !choice.iter().any(|member| near.contains_key(*member)) {
        return Vec::new();
    }
    let mut dropped = Vec::new();
    for member in choice.iter().filter(|member| !near.contains_key(**member)) {
        if let Some(ValueTree::Whole(decided)) = low.remove(*member) {
            dropped.extend(decided.overrode);
            dropped.push((decided.origin, decided.value));
        }
    }
    dropped
}

fn is_chosen(schema: &MergeSchema, name: &str) -> bool {
    matches!(schema, MergeSchema::Fields { choice, .. } if choice.contains(&name))
}

/// `settings.backoffLimit`, `labels.tier`, `labels[app.kubernetes.io/name]`.
pub(in crate::compile) fn join(path: &str, name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    match (path.is_empty(), is_plain) {
        (true, _) => name.to_owned(),
        (false, true) => format!("{path}.{name}"),
        (false, false) => format!("{path}[{name}]"),
    }
}

/// The key of an item: `main`, or `8080/TCP`.
fn key_of(keys: &[String], item: &Value) -> String {
    let part = |key: &String| match item.get(key) {
        Some(value) => text(value),
        None if key == "protocol" => Protocol::default().as_str().to_owned(),
        None => String::new(),
    };
    keys.iter().map(part).collect::<Vec<_>>().join("/")
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::collection::btree_map;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::json;

    use super::*;
    use crate::api::template_ref::{TemplateKind, TemplateRef};

    /// Any part of a spec, as JSON: scalars, maps, lists of named things and choices.
    fn spec() -> impl Strategy<Value = Value> {
        let source = select(vec![
            json!({"value": "1"}),
            json!({"value": "2"}),
            json!({"configRef": {"kind": "Secret", "name": "s", "key": "k"}}),
        ]);
        let env = btree_map(select(vec!["A", "B"]), source, 0..3).prop_map(named);
        let container = (option::of(env), option::of(select(vec![json!(["a"]), json!(["b", "c"])])))
            .prop_map(|(env, command)| present(json!({"env": env, "command": command})));
        let containers = btree_map(select(vec!["main", "side"]), container, 0..3).prop_map(named);
        let source =
            select(vec![json!({"emptyDir": {}}), json!({"configRef": {"kind": "Secret", "name": "s"}})]);
        let volumes = btree_map(select(vec!["data", "conf"]), source, 0..3).prop_map(named);
        let labels = btree_map(select(vec!["a", "b"]), select(vec!["1", "2"]), 0..3);
        (option::of(0..3), labels, containers, volumes, option::of(select(vec!["x", "y"]))).prop_map(
            |(limit, labels, containers, volumes, secret)| {
                present(json!({
                    "settings": limit.map(|limit| json!({"backoffLimit": limit})),
                    "labels": labels,
                    "containers": containers,
                    "volumes": volumes,
                    "imagePullSecrets": secret.map(|secret| [secret]),
                }))
            },
        )
    }

    fn named(items: BTreeMap<&str, Value>) -> Value {
        let named = |(name, mut item): (&str, Value)| {
            item["name"] = json!(name);
            item
        };
        items.into_iter().map(named).collect()
    }

    fn present(mut object: Value) -> Value {
        object.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        object
    }

    fn tree(name: &str, spec: &Value) -> ValueTree {
        let reference = TemplateRef { kind: TemplateKind::JobTemplate, name: name.to_owned() };
        ValueTree::read(MergeSchema::spec(), spec.clone(), &Origin::Template(Arc::new(reference)))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn merging_is_associative(low in spec(), middle in spec(), near in spec()) {
            let [low, middle, near] = [tree("low", &low), tree("middle", &middle), tree("near", &near)];
            let from_below = low.clone().under(MergeSchema::spec(), middle.clone()).under(MergeSchema::spec(), near.clone());
            let from_above = low.under(MergeSchema::spec(), middle.under(MergeSchema::spec(), near));
            prop_assert_eq!(from_below, from_above);
        }

        #[test]
        fn nothing_changes_nothing(spec in spec()) {
            let tree = tree("any", &spec);
            prop_assert_eq!(&ValueTree::default().under(MergeSchema::spec(), tree.clone()), &tree);
            prop_assert_eq!(&tree.clone().under(MergeSchema::spec(), ValueTree::default()), &tree);
        }

        #[test]
        fn a_layer_read_is_the_layer_written(spec in spec()) {
            prop_assert_eq!(tree("any", &spec).to_json(), spec);
        }
    }
}
