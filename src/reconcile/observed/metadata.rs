//! Metadata as far as rules read it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Deserializer};

/// Reads metadata without managedFields and without labels and annotations which are not our own.
pub(crate) fn trimmed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let mut metadata = ObjectMeta::deserialize(deserializer)?;
    metadata.managed_fields = None;
    metadata.generate_name = None;
    metadata.finalizers = None;
    let ours = |key: &String| key.starts_with("jobrequest.dev/");
    if let Some(map) = metadata.labels.as_mut() {
        map.retain(|key, _| ours(key));
    }
    if let Some(map) = metadata.annotations.as_mut() {
        map.retain(|key, _| ours(key));
    }
    Ok(metadata)
}
