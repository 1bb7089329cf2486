//! What a plan consists of: a question, changes of Jobs, a status, events, and when to look again.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use serde_json::Value;

use super::event::Event;
use super::observed::{ChangeKey, EventsOf};
use crate::api::JobRequestStatus;
use crate::api::template_ref::TemplateRef;

/// A read which a rule needs before it can decide; never needed on the clean path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// GET the JobRequest.
    Request,
    /// GET the Job of this name.
    Job(String),
    /// LIST the Jobs that carry the request's name.
    Jobs,
    /// LIST events about a Job or pod that makes no progress.
    Events(EventsOf),
    /// GET a template; a JobTemplate is looked up where the JobRequest is.
    Template(TemplateRef),
    /// Whether this template's change may start a run now: [`super::Rollouts`] decides, no call is made.
    Turn(TemplateRef),
}

/// How a Job is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// At once; the garbage collector then takes its pods.
    Background,
    /// When its pods are gone.
    Foreground,
}

/// A change of a Job.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Create the Job; not sent after `before` (uptime of this process).
    Create {
        /// The Job.
        job: Box<Job>,
        /// Latest uptime at which it may be sent.
        before: Duration,
    },
    /// Merge-patch the Job; the patch carries its uid and resourceVersion.
    Patch {
        /// Name of the Job.
        name: String,
        /// The merge patch.
        patch: Value,
    },
    /// Delete the Job and its pods, if it is still the one that was judged.
    Delete {
        /// Name of the Job.
        name: String,
        /// uid it must have.
        uid: String,
        /// resourceVersion it must have.
        resource_version: String,
        /// Before its pods, or after them.
        propagation: Propagation,
    },
}

impl Change {
    /// What it is a change of, whatever version of the Job it was judged on.
    pub(super) fn key(&self) -> ChangeKey {
        match self {
            Self::Create { job, .. } => ChangeKey::Create(job.metadata.name.clone().unwrap_or_default()),
            Self::Patch { patch, .. } => {
                let mut fields = patch.clone();
                let metadata = fields.get_mut("metadata").and_then(Value::as_object_mut);
                let uid = metadata.and_then(|metadata| {
                    metadata.remove("resourceVersion");
                    metadata.remove("uid")
                });
                let uid = uid.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
                ChangeKey::Patch { uid, fields: fields.to_string() }
            }
            Self::Delete { uid, .. } => ChangeKey::Delete(uid.clone()),
        }
    }
}

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once, with the answers.
    Again,
    /// After this time, or on a change.
    After(Duration),
    /// On a change.
    AwaitChange,
}

impl Next {
    /// The sooner of two.
    #[must_use]
    pub fn sooner(self, other: Self) -> Self {
        match (self, other) {
            (Self::Again, _) | (_, Self::Again) => Self::Again,
            (Self::After(a), Self::After(b)) => Self::After(a.min(b)),
            (Self::After(a), Self::AwaitChange) | (Self::AwaitChange, Self::After(a)) => Self::After(a),
            (Self::AwaitChange, Self::AwaitChange) => Self::AwaitChange,
        }
    }
}

/// What to do: the question, if there is one; else the changes, then the status, then the events.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The question.
    pub read: Option<Read>,
    /// Changes of Jobs, in order.
    pub changes: Vec<Change>,
    /// The whole new status, if it is to be written.
    pub status: Option<Box<JobRequestStatus>>,
    /// Events about what the status write records.
    pub events: Vec<Event>,
    /// When to look again.
    pub next: Next,
}

impl Plan {
    /// Nothing to do until something changes.
    #[must_use]
    pub const fn rest() -> Self {
        Self { read: None, changes: Vec::new(), status: None, events: Vec::new(), next: Next::AwaitChange }
    }

    /// Ask first.
    pub(super) fn ask(read: Read) -> Self {
        Self { read: Some(read), next: Next::Again, ..Self::rest() }
    }

    /// Change, then look again.
    pub(super) fn change(change: Change) -> Self {
        Self { changes: vec![change], next: Next::Again, ..Self::rest() }
    }
}
