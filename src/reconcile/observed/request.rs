//! A JobRequest as it is stored: a part that cannot be read is data, never an error, and a spec that is too long to be
//! kept is known by what judging a request at rest needs.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::metadata::{bounded_token, of_request};
use crate::api::condition::{ConditionType, Reason};
use crate::api::json_text::{JsonText, JsonTextError};
use crate::api::template_ref::TemplateRef;
use crate::api::{JobRequest, JobRequestSpec, JobRequestStatus};
use crate::compile::Identity;
use crate::compile::digest::{Scheme, digest, first_digest, is_digest_of};
use crate::reconcile::format::bounded_to;

/// Maximum length of a spec or of a status, as JSON in bytes, that is kept in memory while the request is at rest.
pub const KEPT: usize = 8 * 1024;
/// Maximum length of a template's name that is kept, in bytes: longer than any that exists.
const NAME: usize = 256;

/// A part of an object that may not fit its type, for example when it was stored under an older schema; then why.
#[derive(Clone, Debug, PartialEq)]
pub struct Lenient<T, E = JsonTextError>(pub Result<T, E>);

impl<T: Default, E> Default for Lenient<T, E> {
    fn default() -> Self {
        Self(Ok(T::default()))
    }
}

impl<'de, T: DeserializeOwned + Default> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(JsonText::deserialize(deserializer)?.read()))
    }
}

/// A spec that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct UnreadableSpec {
    /// Why.
    pub why: JsonTextError,
    /// `spec.suspend`, which stops a run whatever else the spec says.
    pub is_suspended: bool,
}

/// A spec that can be read.
#[derive(Clone, Debug, PartialEq)]
pub enum SpecView {
    /// As it is stored.
    Whole {
        /// The spec.
        spec: Box<JobRequestSpec>,
        /// How long its JSON is, in bytes.
        length: usize,
    },
    /// Longer than [`KEPT`], and not asked for: enough to see whether it asks for anything, not enough to compile it.
    Brief(SpecBrief),
}

/// What is kept of a spec that is too long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecBrief {
    /// See `compile::digest`.
    pub digest: String,
    /// The same as the first release computed it.
    pub first_digest: String,
    /// `spec.suspend`.
    pub is_suspended: bool,
    /// `spec.rerun`, as it is recorded.
    pub rerun: Option<String>,
    /// `spec.templateRef`.
    pub template_ref: Option<TemplateRef>,
}

impl From<JobRequestSpec> for SpecView {
    fn from(spec: JobRequestSpec) -> Self {
        Self::Whole { spec: Box::new(spec), length: 0 }
    }
}

impl Default for SpecView {
    fn default() -> Self {
        JobRequestSpec::default().into()
    }
}

impl SpecView {
    /// Reads it from its JSON.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read(text: &JsonText) -> Result<Self, UnreadableSpec> {
        match text.read() {
            Ok(spec) => Ok(Self::Whole { spec: Box::new(spec), length: text.len() }),
            Err(why) => Err(UnreadableSpec { why, is_suspended: text.sets("suspend") }),
        }
    }

    /// The spec itself, if it is at hand.
    #[must_use]
    pub fn whole(&self) -> Option<&JobRequestSpec> {
        match self {
            Self::Whole { spec, .. } => Some(spec),
            Self::Brief(_) => None,
        }
    }

    /// As it may be kept.
    #[must_use]
    pub fn to_keep(self) -> Self {
        match self {
            Self::Whole { spec, length } if length > KEPT => Self::Brief(SpecBrief {
                digest: digest(&spec),
                first_digest: first_digest(&spec),
                is_suspended: spec.suspend == Some(true),
                rerun: spec.rerun.as_deref().map(bounded_token),
                template_ref: spec
                    .template_ref
                    .map(|named| TemplateRef { name: bounded_to(&named.name, NAME), ..named }),
            }),
            kept => kept,
        }
    }

    /// The digest of its run-relevant fields.
    #[must_use]
    pub fn digest(&self) -> String {
        match self {
            Self::Whole { spec, .. } => digest(spec),
            Self::Brief(brief) => brief.digest.clone(),
        }
    }

    /// Whether a recorded digest is that of this spec; none where another release has computed it.
    #[must_use]
    pub fn has_digest(&self, recorded: &str) -> Option<bool> {
        match self {
            Self::Whole { spec, .. } => is_digest_of(recorded, spec),
            Self::Brief(brief) => match Scheme::of(recorded) {
                Scheme::Current => Some(brief.digest == recorded),
                Scheme::First => Some(brief.first_digest == recorded),
                Scheme::Unknown => None,
            },
        }
    }

    /// `spec.suspend`.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        match self {
            Self::Whole { spec, .. } => spec.suspend == Some(true),
            Self::Brief(brief) => brief.is_suspended,
        }
    }

    /// `spec.rerun`.
    #[must_use]
    pub fn rerun(&self) -> Option<&str> {
        match self {
            Self::Whole { spec, .. } => spec.rerun.as_deref(),
            Self::Brief(brief) => brief.rerun.as_deref(),
        }
    }

    /// `spec.templateRef`.
    #[must_use]
    pub fn template_ref(&self) -> Option<&TemplateRef> {
        match self {
            Self::Whole { spec, .. } => spec.template_ref.as_ref(),
            Self::Brief(brief) => brief.template_ref.as_ref(),
        }
    }
}

/// A JobRequest as it is stored.
#[derive(Clone, Debug, PartialEq, Deserialize, Resource)]
#[resource(inherit = JobRequest)]
pub struct StoredRequest {
    /// Metadata, without what no rule reads.
    #[serde(deserialize_with = "of_request")]
    pub metadata: ObjectMeta,
    /// The spec, or why it cannot be read.
    #[serde(default, deserialize_with = "spec")]
    pub spec: Lenient<SpecView, UnreadableSpec>,
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

    /// What its Jobs say of it, before any rerun is handled.
    #[must_use]
    pub fn identity(&self) -> Identity<'_> {
        Identity {
            name: self.name(),
            namespace: Some(self.namespace()),
            uid: Some(self.uid()),
            generation: Some(self.generation()),
            handled: None,
        }
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

    /// The API server's message, if the status says that it found the Job of this very spec invalid.
    #[must_use]
    pub fn found_invalid(&self) -> Option<&str> {
        let accepted = self.status.0.as_ref().ok()?.condition(ConditionType::Accepted)?;
        (accepted.status == "False"
            && accepted.reason == Reason::JobInvalid.as_str()
            && accepted.observed_generation == Some(self.generation()))
        .then_some(accepted.message.as_str())
    }

    /// `spec.suspend`.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        match &self.spec.0 {
            Ok(spec) => spec.is_suspended(),
            Err(unreadable) => unreadable.is_suspended,
        }
    }

    /// The spec, if it can be read and is at hand.
    #[must_use]
    pub fn whole_spec(&self) -> Option<&JobRequestSpec> {
        self.spec.0.as_ref().ok().and_then(SpecView::whole)
    }

    /// As it may be kept in memory for long.
    #[must_use]
    pub fn to_keep(self) -> Self {
        Self { spec: Lenient(self.spec.0.map(SpecView::to_keep)), ..self }
    }
}

fn spec<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Lenient<SpecView, UnreadableSpec>, D::Error> {
    Ok(Lenient(SpecView::read(&JsonText::deserialize(deserializer)?)))
}

#[cfg(test)]
mod tests {
    use kube::api::{ObjectList, WatchEvent};

    use super::*;
    use crate::reconcile::template_status::{ClusterJobTemplateView, JobTemplateView, StoredTemplate};

    fn nested(levels: usize, open: &str, close: &str) -> String {
        format!("{}0{}", open.repeat(levels), close.repeat(levels))
    }

    /// An object whose every part is as bad as the API server lets it be.
    fn hostile(kind: &str) -> String {
        let deep = nested(5000, r#"{"f:a":"#, "}");
        let long = "x".repeat(200_000);
        format!(
            r#"{{"apiVersion":"jobrequest.dev/v1alpha1","kind":"{kind}","metadata":{{
                "name":"bad","namespace":"ns","uid":"u","resourceVersion":"7","generation":1,
                "creationTimestamp":"2026-11-24T10:00:00Z",
                "annotations":{{"jobrequest.dev/rerun":"{long}","jobrequest.dev/other":"{long}"}},
                "ownerReferences":[{{"apiVersion":"v1","kind":"{long}","name":"{long}","uid":"{long}"}}],
                "managedFields":[{{"fieldsV1":{deep}}}]}},
                "spec":{{"overrides":{deep},"base":{{"overrides":{deep}}}}},"status":{{"runs":{deep}}},"more":{deep}}}"#
        )
        .replace('\n', "")
    }

    #[test]
    fn a_list_with_a_hostile_object_is_read_whole() {
        let good = r#"{"metadata":{"name":"good","resourceVersion":"8"},"spec":{"alias":"x"}}"#;
        let list = |kind: &str| {
            format!(
                r#"{{"kind":"List","apiVersion":"jobrequest.dev/v1alpha1","metadata":{{"resourceVersion":"9"}},"items":[{},{good}]}}"#,
                hostile(kind)
            )
        };
        let requests: ObjectList<StoredRequest> = serde_json::from_str(&list("JobRequest")).unwrap();
        let read: Vec<_> = requests.items.iter().map(|request| request.spec.0.is_ok()).collect();
        assert_eq!(read, [false, true]);
        assert!(requests.items[0].status.0.is_err());
        let metadata = &requests.items[0].metadata;
        assert!(serde_json::to_vec(metadata).unwrap().len() < 1000, "{metadata:?}");

        let own: ObjectList<JobTemplateView> = serde_json::from_str(&list("JobTemplate")).unwrap();
        let all: ObjectList<ClusterJobTemplateView> =
            serde_json::from_str(&list("ClusterJobTemplate")).unwrap();
        let stored = own.items.into_iter().map(StoredTemplate::from);
        let stored = stored.chain(all.items.into_iter().map(StoredTemplate::from));
        let read: Vec<_> = stored.map(|stored| stored.template.spec.is_ok()).collect();
        assert_eq!(read, [false, true, false, true]);
    }

    /// The type stands before the object, as the API server writes it: then serde reads it without a buffer of its own,
    /// which would recurse.
    #[test]
    fn a_watch_event_of_a_hostile_object_is_read() {
        for type_ in ["ADDED", "MODIFIED", "DELETED"] {
            let line = format!(r#"{{"type":"{type_}","object":{}}}"#, hostile("JobRequest"));
            let event: WatchEvent<StoredRequest> = serde_json::from_str(&line).unwrap();
            let (WatchEvent::Added(request) | WatchEvent::Modified(request) | WatchEvent::Deleted(request)) =
                event
            else {
                panic!("{event:?}");
            };
            assert_eq!((request.name(), request.spec.0.is_ok()), ("bad", false));
        }
    }
}
