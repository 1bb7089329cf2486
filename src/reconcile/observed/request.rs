//! A JobRequest as it is stored: a part that cannot be read is data, never an error.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::metadata::trimmed;
use crate::api::{JobRequest, JobRequestSpec, JobRequestStatus};

/// A part of an object that may not fit its type, for example when it was stored under an older schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Lenient<T>(pub Result<T, String>);

impl<T: Default> Default for Lenient<T> {
    fn default() -> Self {
        Self(Ok(T::default()))
    }
}

impl<'de, T: DeserializeOwned + Default> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        if value.is_null() {
            return Ok(Self::default());
        }
        Ok(Self(serde_path_to_error::deserialize(value).map_err(|error| error.to_string())))
    }
}

/// A JobRequest as it is stored.
#[derive(Clone, Debug, PartialEq, Deserialize, Resource)]
#[resource(inherit = JobRequest)]
pub struct StoredRequest {
    /// Metadata, without what no rule reads.
    #[serde(deserialize_with = "trimmed")]
    pub metadata: ObjectMeta,
    /// The spec, or why it cannot be read.
    #[serde(default)]
    pub spec: Lenient<JobRequestSpec>,
    /// The status, or why it cannot be read.
    #[serde(default)]
    pub status: Lenient<JobRequestStatus>,
}

impl StoredRequest {
    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// `metadata.namespace`.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// `metadata.generation`.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }

    /// The object is being deleted.
    #[must_use]
    pub const fn is_deleting(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// This is a later version of the same object as `other`. Versions that are not numbers cannot be compared.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let version = |request: &Self| request.metadata.resource_version.as_ref()?.parse::<u64>().ok();
        self.uid() == other.uid()
            && version(self).zip(version(other)).is_some_and(|(own, others)| own > others)
    }

    /// The status; one that cannot be read counts as wiped.
    #[must_use]
    pub fn known_status(&self) -> JobRequestStatus {
        self.status.0.clone().unwrap_or_else(|_| JobRequestStatus::unwritten())
    }

    /// `spec.suspend`, false when the spec cannot be read.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.spec.0.as_ref().is_ok_and(|spec| spec.suspend == Some(true))
    }
}
