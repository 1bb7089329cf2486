//! How the calls of this pass were answered.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::{EventView, EventsOf};
use super::job::JobView;
use crate::api::status::TemplatePin;
use crate::api::template_ref::TemplateRef;
use crate::reconcile::format::{bounded, bounded_to, printable};

/// Maximum length of the reason of a refusal, in bytes.
const MAX_REASON_BYTES: usize = 64;

/// How the API server answered a create.
#[derive(Clone, Debug, PartialEq)]
pub enum Creation {
    /// 201: the Job as it was stored.
    Created(Box<JobView>),
    /// 409: the name is taken.
    NameTaken,
    /// The API server refuses the Job.
    Refused(Refusal),
}

/// The API server's no to a create, patch or delete of a Job: a 4xx, or the 5xx of a webhook. 401 is none, and neither
/// are the 404 and 409 which say that the Job is gone or has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub code: u16,
    /// The native reason, for example Forbidden; at most 64 bytes.
    pub reason: String,
    /// The API server's own message, at most 4 KiB, without control characters.
    pub message: String,
    /// It names fields of the object: Kubernetes' own validation does, admission policies and webhooks do not.
    pub names_fields: bool,
}

impl Refusal {
    /// A refusal with what the API server says about it.
    #[must_use]
    pub fn new(code: u16, reason: &str, message: &str) -> Self {
        let reason = bounded_to(&printable(reason), MAX_REASON_BYTES);
        Self { code, reason, message: bounded(&printable(message)), names_fields: false }
    }

    /// The Job is larger than what the API server, or a proxy on the way to it, takes.
    #[must_use]
    pub const fn is_too_large(&self) -> bool {
        self.code == 413
    }

    /// The Job itself is found invalid; any other refusal may pass, for example when a quota is raised or a policy is
    /// removed. A ValidatingAdmissionPolicy answers 422, too, and a webhook 400 with no reason, unless they say otherwise:
    /// both judge by rules that may change.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        match self.code {
            413 => true,
            400 => self.reason == "BadRequest",
            422 => self.names_fields,
            _ => false,
        }
    }
}

/// What was asked and answered in this pass. Answers are newer than caches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// When the JobRequest was last answered by the API server: a GET or our own status write.
    pub request_at: Option<Duration>,
    /// GET of a Job by name.
    pub job: Option<(String, Option<JobView>)>,
    /// LIST of the request's Jobs.
    pub jobs: Option<Vec<JobView>>,
    /// LIST of events, and what they were asked about.
    pub events: Option<(EventsOf, Vec<EventView>)>,
    /// GET of templates: what a run would note of each, or that there is none.
    pub templates: BTreeMap<TemplateRef, Option<TemplatePin>>,
    /// Whether a run may follow this template now.
    pub turn: Option<(TemplateRef, bool)>,
    /// The create, by name of the Job.
    pub creation: Option<(String, Creation)>,
}

impl Answers {
    /// How the create of the Job of this name was answered. After a conflict another run may be at hand.
    #[must_use]
    pub fn creation_of(&self, name: &str) -> Option<&Creation> {
        self.creation.as_ref().filter(|(created, _)| created == name).map(|(_, creation)| creation)
    }
}
