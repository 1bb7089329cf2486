//! Rows of tests/policy: a policy, a Job, and what becomes of it, in the words that users write. One file a rule.
//! tests/cluster/policy.rs asks the API server about some of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// What a policy makes of a Job.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// The policy of `T/a`.
    policy: Option<Value>,
    /// Several policies, by origin.
    #[serde(default)]
    policies: BTreeMap<String, Value>,
    /// What is changed in the spec of a plain Job; null takes a field away.
    #[serde(default = "nothing")]
    job: Value,
    /// Settings of which the Job has nothing: the TTLs.
    #[serde(default = "nothing")]
    pub(crate) settings: Value,
    /// A part of each denial, in order.
    #[serde(default)]
    pub(crate) denied: Vec<String>,
    /// Each cut: path, from, to, and by which policy.
    #[serde(default)]
    pub(crate) clamped: Vec<String>,
    /// A part of each warning, in order.
    #[serde(default)]
    pub(crate) warned: Vec<String>,
    /// Fields of the Job's spec after the cuts.
    #[serde(default = "nothing")]
    pub(crate) becomes: Value,
    /// Effective settings after the cuts.
    #[serde(default)]
    pub(crate) effective: Map<String, Value>,
}

fn nothing() -> Value {
    json!({})
}

impl Row {
    /// The policies, by origin.
    pub(crate) fn policies(&self) -> BTreeMap<String, Value> {
        let one = self.policy.iter().map(|policy| ("T/a".to_owned(), policy.clone()));
        one.chain(self.policies.clone()).collect()
    }

    /// The Job as it is written.
    pub(crate) fn job(&self) -> Value {
        let mut spec = json!({
            "parallelism": 1, "completions": 1, "backoffLimit": 6,
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "perl:5"}]}},
        });
        json_patch::merge(&mut spec, &self.job);
        json!({"metadata": {"name": "judged"}, "spec": spec})
    }
}

/// The rows of tests/policy/`rule`.yaml.
pub(crate) fn rows<R: DeserializeOwned>(rule: &str) -> Vec<R> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/policy/{rule}.yaml"));
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let rows: Vec<R> =
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(rows.len() > 3, "{} has only {} rows", file.display(), rows.len());
    rows
}
