//! Events: on transitions only, sent after the status write that records the transition.

use super::format::{bounded_to, printable};
use super::observed::Announced;
use crate::api::condition::EventReason;

/// Maximum length of a note that the API server takes, in bytes.
const MAX_NOTE_BYTES: usize = 1024;

/// One event on a JobRequest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Why, in one word.
    pub reason: EventReason,
    /// What happened, in a sentence; at most 1 KiB.
    pub note: String,
    /// The Job that it is about: events of the same reason about different Jobs are kept apart.
    pub job: Option<EventJob>,
    /// The cause that it announces: it is not announced again.
    pub announced: Option<Announced>,
}

/// A Job, as an event names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventJob {
    /// Its name.
    pub name: String,
    /// Its uid, if it is known.
    pub uid: Option<String>,
}

impl Event {
    /// An event of `reason`; a note that is too long is cut, and what a terminal would obey is taken out.
    pub(super) fn new(reason: EventReason, note: &str) -> Self {
        Self { reason, note: bounded_to(&printable(note), MAX_NOTE_BYTES), job: None, announced: None }
    }

    /// The same, with what to do about it: of a note that is too long, the hint stays.
    pub(super) fn with_hint(reason: EventReason, note: &str, hint: Option<&str>) -> Self {
        let hint = hint.map(|hint| format!("; hint: {hint}")).unwrap_or_default();
        let room = MAX_NOTE_BYTES.saturating_sub(hint.len());
        Self::new(reason, &(bounded_to(&printable(note), room) + &hint))
    }

    /// The same, about a Job.
    pub(super) fn about(self, job: &str, uid: Option<&str>) -> Self {
        Self { job: Some(EventJob { name: job.to_owned(), uid: uid.map(ToOwned::to_owned) }), ..self }
    }

    /// Something went wrong.
    #[must_use]
    pub const fn is_warning(&self) -> bool {
        match self.reason {
            EventReason::RunCreated
            | EventReason::Completed
            | EventReason::Cancelled
            | EventReason::RerunRequested => false,
            EventReason::Failed
            | EventReason::Rejected
            | EventReason::Clamped
            | EventReason::Lost
            | EventReason::NameTaken
            | EventReason::JobForbidden
            | EventReason::PodsForbidden
            | EventReason::Unschedulable
            | EventReason::ImagePullFailed
            | EventReason::ContainerConfigError
            | EventReason::ContainerCreateFailed
            | EventReason::PodFailed
            | EventReason::ChangeRefused
            | EventReason::NotAwaited
            | EventReason::StatusTooLarge
            | EventReason::PolicyWarning
            | EventReason::MultipleDefaults
            | EventReason::InvalidTemplate
            | EventReason::PolicyViolated => true,
        }
    }

    /// What the operator was doing, in one word, as the events API wants it.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self.reason {
            EventReason::RunCreated
            | EventReason::NameTaken
            | EventReason::RerunRequested
            | EventReason::JobForbidden
            | EventReason::PodsForbidden
            | EventReason::Unschedulable
            | EventReason::ImagePullFailed
            | EventReason::ContainerConfigError
            | EventReason::ContainerCreateFailed
            | EventReason::PodFailed => "Run",
            EventReason::ChangeRefused => "Change",
            EventReason::Completed
            | EventReason::Failed
            | EventReason::Lost
            | EventReason::Cancelled
            | EventReason::StatusTooLarge => "Record",
            EventReason::Rejected
            | EventReason::Clamped
            | EventReason::PolicyWarning
            | EventReason::NotAwaited
            | EventReason::MultipleDefaults
            | EventReason::InvalidTemplate
            | EventReason::PolicyViolated => "Compile",
        }
    }
}
