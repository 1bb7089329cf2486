//! What a JobRequest names that the cluster does not have.

use std::collections::BTreeSet;

use serde_json::Value;

use super::inventory::{Inventory, Kind};

/// A sentence for each object, or key of one, that `spec` names and `inventory` lacks. What may not be listed is taken for
/// present, and so is what is optional.
#[must_use]
pub fn missing(spec: &Value, inventory: &Inventory) -> Vec<String> {
    let mut named = BTreeSet::new();
    references(spec, &mut named);
    if let Some(name) = spec.get("serviceAccountName").and_then(Value::as_str) {
        named.insert((Kind::ServiceAccount, name.to_owned(), None));
    }
    let mut sentences = BTreeSet::new();
    for (kind, name, key) in named {
        let word = match kind {
            Kind::ConfigMap => "ConfigMap",
            Kind::Secret => "Secret",
            Kind::Claim => "PersistentVolumeClaim",
            _ => "ServiceAccount",
        };
        let Some(known) = inventory.of(kind) else { continue };
        if !known.contains(&name) {
            sentences.insert(format!("the namespace has no {word} called {name}"));
        } else if let (Some(key), Some(Some(keys))) = (key, inventory.keys_of(kind, &name))
            && !keys.contains(&key)
        {
            sentences.insert(format!("{word} {name} has no key {key}"));
        }
    }
    sentences.into_iter().collect()
}

/// Notes every reference in `value`, with its key if it has one.
fn references(value: &Value, named: &mut BTreeSet<(Kind, String, Option<String>)>) {
    let text = |object: &Value, field: &str| object.get(field).and_then(Value::as_str).map(ToOwned::to_owned);
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, named)),
        Value::Object(map) => {
            for (field, inner) in map {
                let is_optional = inner.get("optional") == Some(&Value::Bool(true));
                match field.as_str() {
                    "overrides" => {}
                    "configRef" if !is_optional => {
                        let kind = match inner.get("kind").and_then(Value::as_str) {
                            Some("Secret") => Kind::Secret,
                            _ => Kind::ConfigMap,
                        };
                        named.extend(text(inner, "name").map(|name| (kind, name, text(inner, "key"))));
                    }
                    "persistentVolumeClaim" => {
                        named.extend(text(inner, "claimName").map(|name| (Kind::Claim, name, None)));
                    }
                    "imagePullSecrets" => {
                        let secrets = inner.as_array().into_iter().flatten().filter_map(Value::as_str);
                        named.extend(secrets.map(|name| (Kind::Secret, name.to_owned(), None)));
                    }
                    _ => references(inner, named),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_cluster_lacks_is_named() {
        let spec = json!({
            "serviceAccountName": "robot",
            "imagePullSecrets": ["registry"],
            "volumes": [
                {"name": "a", "persistentVolumeClaim": {"claimName": "data"}},
                {"name": "b", "configRef": {"kind": "ConfigMap", "name": "maybe", "optional": true}},
            ],
            "containers": [{"name": "main", "env": [
                {"name": "A", "configRef": {"kind": "Secret", "name": "db", "key": "password"}},
                {"name": "B", "configRef": {"kind": "Secret", "name": "db", "key": "user"}},
                {"name": "C", "configRef": {"kind": "ConfigMap", "name": "unlisted", "key": "x"}},
            ]}],
        });
        let mut inventory = Inventory::default();
        for (kind, names) in [
            (Kind::Secret, Some(vec!["db".to_owned()])),
            (Kind::Claim, Some(Vec::new())),
            (Kind::ServiceAccount, Some(vec!["default".to_owned()])),
            (Kind::ConfigMap, None),
        ] {
            inventory.list(kind, names);
        }
        inventory.keys(Kind::Secret, "db", Some(vec!["user".to_owned()]));
        assert_eq!(
            missing(&spec, &inventory),
            [
                "Secret db has no key password",
                "the namespace has no PersistentVolumeClaim called data",
                "the namespace has no Secret called registry",
                "the namespace has no ServiceAccount called robot",
            ]
        );
    }
}
