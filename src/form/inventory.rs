//! What a cluster has that answers can name: names, and keys of ConfigMaps and Secrets, never a value.

use std::collections::BTreeMap;

use serde_json::Value;

/// Names of one kind; none if they may not be listed, or there is no cluster.
pub type Names = Option<Vec<String>>;

/// Kinds whose names can be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
    /// A PersistentVolumeClaim.
    Claim,
    /// A ServiceAccount.
    ServiceAccount,
    /// A template, as `--template` takes it.
    Template,
    /// A size preset of a template.
    Size,
    /// A node.
    Node,
}

/// What is to be read before more can be suggested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The keys of an object.
    Keys(Kind, String),
}

/// What a cluster has.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    names: BTreeMap<Kind, Names>,
    keys: BTreeMap<(Kind, String), Names>,
}

impl Inventory {
    /// Notes the names of a kind; none if they may not be listed.
    pub fn list(&mut self, kind: Kind, names: Names) {
        self.names.insert(kind, names);
    }

    /// Notes the keys of an object; none if it may not be read, or there is none.
    pub fn keys(&mut self, kind: Kind, name: &str, keys: Names) {
        self.keys.insert((kind, name.to_owned()), keys);
    }

    /// Notes the names and size presets of templates, given as documents.
    pub fn templates(&mut self, templates: &[Value]) {
        let (mut names, mut sizes) = (Vec::new(), Vec::new());
        for template in templates {
            let name = template.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            let is_of_cluster = template.get("kind").and_then(Value::as_str) == Some("ClusterJobTemplate");
            names.push(if is_of_cluster { format!("cluster/{name}") } else { name.to_owned() });
            let quotas = template.pointer("/spec/quotas").and_then(Value::as_object);
            sizes.extend(quotas.into_iter().flat_map(|quotas| quotas.keys().cloned()));
        }
        sizes.sort();
        sizes.dedup();
        self.list(Kind::Template, Some(names));
        self.list(Kind::Size, Some(sizes));
    }

    /// The names of a kind, if they are known.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Option<&[String]> {
        self.names.get(&kind)?.as_deref()
    }

    /// The keys of an object: not asked for yet, not known, or these.
    #[must_use]
    pub fn keys_of(&self, kind: Kind, name: &str) -> Option<Option<&[String]>> {
        self.keys.get(&(kind, name.to_owned())).map(Option::as_deref)
    }
}
