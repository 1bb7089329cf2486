//! The fields in which two versions of a JobRequest differ, as its author wrote them.
//!
//! Takes the object as it is stored and as it would be stored, as JSON; returns the changed fields by path.

use serde_json::{Map, Value, json};

use super::FieldChange;
use crate::api::labels;

/// The fields of `metadata` that people write; the API server and controllers write the rest.
const METADATA: [&str; 4] = ["labels", "annotations", "finalizers", "ownerReferences"];

/// Fields that identify the members of a list, where all of them have one.
const KEYS: [&str; 3] = ["name", "mountPath", "key"];

/// What differs between the object as it is `stored` and `then`.
///
/// The token of a rerun that is taken away counts for nothing: `jobrequest run` has written it.
#[must_use]
pub fn changed_fields(stored: &Value, then: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    walk("", &written(stored), &written(then), &mut found);
    let token = format!("metadata.annotations[{}]", labels::RERUN);
    found.retain(|change| change.path != token || !change.to.is_null());
    found
}

fn written(object: &Value) -> Value {
    let mut metadata = Map::new();
    for field in METADATA {
        let value = object.get("metadata").and_then(|metadata| metadata.get(field));
        metadata.extend(value.map(|value| (field.to_owned(), value.clone())));
    }
    json!({"metadata": metadata, "spec": object.get("spec")})
}

fn walk(path: &str, before: &Value, after: &Value, found: &mut Vec<FieldChange>) {
    if before == after {
        return;
    }
    // One that is absent counts as empty where the other one is a map, so that its members are named.
    let empty = Map::new();
    let as_map =
        |value: &'_ Value| value.as_object().cloned().or_else(|| value.is_null().then(|| empty.clone()));
    if (before.is_object() || after.is_object())
        && let (Some(before), Some(after)) = (as_map(before), as_map(after))
    {
        let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
        let count = found.len();
        for name in names {
            let child = child(path, name);
            let of = |map: &Map<String, Value>| map.get(name).cloned().unwrap_or_default();
            walk(&child, &of(&before), &of(&after), found);
        }
        if found.len() > count {
            return;
        }
    }
    if let (Value::Array(before), Value::Array(after)) = (before, after)
        && let Some(key) = KEYS.into_iter().find(|key| is_keyed(before, key) && is_keyed(after, key))
    {
        let name_of = |item: &Value| item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let find = |items: &[Value], name: &str| items.iter().find(|item| name_of(item) == name).cloned();
        let (mut names, others): (Vec<_>, Vec<_>) =
            (before.iter().map(&name_of).collect(), after.iter().map(&name_of).collect());
        let is_moved = names
            .iter()
            .filter(|name| others.contains(name))
            .ne(others.iter().filter(|name| names.contains(name)));
        names.extend(others.into_iter().filter(|name| find(before, name).is_none()));
        let count = found.len();
        for name in names {
            let of = |items: &[Value]| find(items, &name).unwrap_or_default();
            let item = format!("{path}[{name}]");
            match (of(before), of(after)) {
                // A member that comes or goes is one change.
                (before, after) if before.is_null() != after.is_null() => {
                    found.push(FieldChange { path: item, from: before, to: after });
                }
                (before, after) => walk(&item, &before, &after, found),
            }
        }
        if !is_moved || found.len() > count {
            return;
        }
    }
    found.push(FieldChange { path: path.to_owned(), from: before.clone(), to: after.clone() });
}

/// All `items` have a text under `key`, each another one.
fn is_keyed(items: &[Value], key: &str) -> bool {
    let mut names: Vec<_> = items.iter().filter_map(|item| item.get(key)?.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.len() == items.len()
}

fn child(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        _ if name.contains(['.', '/']) || path.ends_with("labels") || path.ends_with("annotations") => {
            format!("{path}[{name}]")
        }
        _ => format!("{path}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paths(stored: &Value, then: &Value) -> Vec<String> {
        changed_fields(stored, then).into_iter().map(|change| change.path).collect()
    }

    #[test]
    fn fields_are_named_as_in_the_other_commands() {
        let image = |image: &str| json!({"spec": {"containers": [{"name": "b", "image": "x"}, {"name": "main", "image": image}]}});
        assert_eq!(paths(&image("a:1"), &image("a:2")), ["spec.containers[main].image"]);
        let two = json!({"spec": {"containers": [{"name": "main", "image": "a:1"}]}});
        assert_eq!(paths(&image("a:1"), &two), ["spec.containers[b]"]);
        let turned =
            json!({"spec": {"containers": [{"name": "main", "image": "a:1"}, {"name": "b", "image": "x"}]}});
        assert_eq!(paths(&image("a:1"), &turned), ["spec.containers"]);
        assert_eq!(
            paths(&json!({}), &json!({"spec": {"settings": {"backoffLimit": 2}}})),
            ["spec.settings.backoffLimit"]
        );
        let labels = json!({"metadata": {"labels": {"team": "a", "x.io/y": "b"}, "generation": 2}});
        assert_eq!(
            paths(&json!({"metadata": {"generation": 1}}), &labels),
            ["metadata.labels[team]", "metadata.labels[x.io/y]"]
        );
        let list = |words: &[&str]| json!({"spec": {"without": words}});
        assert_eq!(paths(&list(&["a"]), &list(&["a", "b"])), ["spec.without"]);
    }

    #[test]
    fn what_the_cluster_writes_is_no_change_and_neither_is_a_token_that_goes() {
        let stored = json!({"metadata": {"uid": "u", "resourceVersion": "1", "annotations": {labels::RERUN: "t"}}, "status": {"run": 1}});
        assert!(paths(&stored, &json!({"metadata": {"resourceVersion": "2"}})).is_empty());
        let asked = json!({"metadata": {"annotations": {labels::RERUN: "u"}}});
        assert_eq!(paths(&stored, &asked), [format!("metadata.annotations[{}]", labels::RERUN)]);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            (0..3).prop_map(Value::from),
            "[ab]".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("name|key|a.b|c", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_difference_is_never_missed_and_never_invented(one in values(), other in values()) {
            let (before, after) = (json!({"spec": one}), json!({"spec": other}));
            prop_assert!(changed_fields(&before, &before).is_empty());
            if one != other {
                prop_assert!(!changed_fields(&before, &after).is_empty(), "{one} {other}");
            }
        }
    }
}
