//! Metadata as far as rules read it, and no more of it than a rule can need: people may write a quarter of a mebibyte of
//! annotations, any number of owners of any length, and managedFields are nested as deeply as the object is.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::limit_range;
use crate::api::labels;
use crate::compile::digest::short_hash;

/// Longest rerun token that is kept as it is, in bytes.
const TOKEN: usize = 253;
/// Maximum length of an annotation that the operator wrote itself, in bytes. A longer one was tampered with, and counts
/// as absent.
const ANNOTATION: usize = 8 * 1024;
/// Maximum length of each part of an owner reference, in bytes: of names and uids that exist.
const OWNER: usize = 253;
/// The annotations of Jobs that rules read.
const OF_JOBS: [&str; 7] = [
    labels::RUN,
    labels::REQUEST_UID,
    labels::DIGEST,
    labels::GENERATION,
    labels::TEMPLATES,
    labels::RERUN,
    labels::IN_PLACE,
];

/// Metadata as it comes over the wire. What is not named here is passed over without recursion.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wire {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    #[serde(deserialize_with = "time")]
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<String>,
    deletion_grace_period_seconds: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
}

impl Wire {
    /// What names the object and its version. Being deleted is never lost, whatever the time looks like.
    fn identity(self) -> ObjectMeta {
        ObjectMeta {
            name: self.name,
            namespace: self.namespace,
            uid: self.uid,
            resource_version: self.resource_version,
            generation: self.generation,
            creation_timestamp: self.creation_timestamp,
            deletion_timestamp: self
                .deletion_timestamp
                .map(|text| Time(text.parse().unwrap_or(Timestamp::UNIX_EPOCH))),
            deletion_grace_period_seconds: self.deletion_grace_period_seconds,
            ..ObjectMeta::default()
        }
    }
}

/// A time; one that cannot be read counts as absent. Kubernetes takes years before 0 and after 9999 from anyone who may
/// write a status.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()).map(Time))
}

/// Of a JobRequest: beside its identity only what asks for a rerun or a cancellation, and whether Helm takes it for a hook.
pub(crate) fn of_request<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let mut wire = Wire::deserialize(deserializer)?;
    let mut all = wire.annotations.take().unwrap_or_default();
    let kept: BTreeMap<String, String> = [labels::RERUN, labels::CANCEL, labels::HELM_HOOK]
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), bounded_token(&all.remove(key)?))))
        .collect();
    let annotations = (!kept.is_empty()).then_some(kept);
    Ok(ObjectMeta { annotations, ..wire.identity() })
}

/// Of a template: its identity.
pub(crate) fn of_template<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    Ok(Wire::deserialize(deserializer)?.identity())
}

/// Of a Job: its request, what the operator noted on it, and what controls it.
pub(super) fn of_job<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let mut wire = Wire::deserialize(deserializer)?;
    let annotations = wire.annotations.take().map(|mut all| {
        all.retain(|key, value| OF_JOBS.contains(&key.as_str()) && value.len() <= ANNOTATION);
        all
    });
    Ok(ObjectMeta { annotations, ..of_owned(wire) })
}

/// Of a pod: its request, what controls it, and what a LimitRange set.
pub(super) fn of_pod<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let mut wire = Wire::deserialize(deserializer)?;
    let set = wire.annotations.take().and_then(|mut all| all.remove(limit_range::ANNOTATION));
    let annotations = set.map(|set| BTreeMap::from([(limit_range::ANNOTATION.to_owned(), set)]));
    Ok(ObjectMeta { annotations, ..of_owned(wire) })
}

fn of_owned(mut wire: Wire) -> ObjectMeta {
    let labels = wire.labels.take().map(|mut all| {
        all.retain(|key, _| key == labels::REQUEST);
        all
    });
    let is_bounded = |owner: &OwnerReference| {
        [&owner.api_version, &owner.kind, &owner.name, &owner.uid].iter().all(|part| part.len() <= OWNER)
    };
    let owners = wire.owner_references.take().map(|mut owners| {
        owners.retain(|owner| owner.controller == Some(true) && is_bounded(owner));
        owners.shrink_to_fit();
        owners
    });
    ObjectMeta { labels, owner_references: owners, ..wire.identity() }
}

/// A rerun token as it is kept: an annotation may hold more than a status should.
pub(in crate::reconcile) fn bounded_token(token: &str) -> String {
    if token.len() <= TOKEN {
        return token.to_owned();
    }
    let hash = short_hash(token.as_bytes());
    let end = token.floor_char_boundary(TOKEN - hash.len() - 1);
    format!("{}#{hash}", token.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::labels;
    use crate::reconcile::observed::{JobView, PodView};

    #[test]
    fn of_a_forged_job_little_is_kept() {
        let long = "x".repeat(100_000);
        let controller = json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "name": "a", "uid": "u", "controller": true});
        let mut owners =
            vec![json!({"apiVersion": "v1", "kind": long, "name": long, "uid": "u", "controller": true}); 50];
        owners.push(controller.clone());
        let job: JobView = serde_json::from_value(json!({
            "metadata": {
                "name": "a-1", "uid": "u", "labels": {labels::REQUEST: "a", "other": long},
                "annotations": {labels::RUN: "1", labels::IN_PLACE: long, labels::DESCRIPTION: long, "other": long},
                "ownerReferences": owners
            },
            "status": {
                "startTime": "+10000-01-01T13:59:59Z",
                "failedIndexes": "1,".repeat(100_000),
                "conditions": vec![json!({"type": "Failed", "status": "True", "reason": long, "message": long}); 100]
            }
        }))
        .unwrap();
        assert_eq!(job.run(), Some(1));
        assert_eq!(job.annotation(labels::IN_PLACE), None);
        assert!(job.is_controlled_by("u"));
        assert_eq!(job.metadata.owner_references.as_ref().map(Vec::len), Some(1));
        assert_eq!(job.status.start_time, None);
        assert!(serde_json::to_vec(&job).unwrap().len() < 100_000);
    }

    #[test]
    fn of_a_forged_pod_little_is_kept() {
        let long = "x".repeat(100_000);
        let state = json!({"name": "c", "state": {"waiting": {"reason": long, "message": long}}});
        let pod: PodView = serde_json::from_value(json!({
            "metadata": {"name": "p", "labels": {"other": long}, "annotations": {"other": long}},
            "status": {"startTime": "10000-01-01T13:59:59Z", "containerStatuses": vec![state; 5000]}
        }))
        .unwrap();
        assert_eq!((pod.containers.len(), pod.waits_since), (64, None));
        assert_eq!(pod.metadata.labels, Some(std::collections::BTreeMap::new()));
    }
}
