//! How the calls of this pass were answered.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::{EventView, EventsOf};
use super::job::JobView;
use crate::api::status::TemplatePin;
use crate::api::template_ref::TemplateRef;

/// How the API server answered a create.
#[derive(Clone, Debug, PartialEq)]
pub enum Creation {
    /// 201: the Job as it was stored.
    Created(Box<JobView>),
    /// 409: the name is taken.
    NameTaken,
    /// 422: the API server finds the Job invalid; its words.
    Invalid(String),
    /// 403: quota, admission policy, webhook, a namespace that is going; its words.
    Forbidden(String),
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
