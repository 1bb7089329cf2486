//! What a reconciler asks to be performed, and the answers that it takes in.

use std::time::Duration;

use super::event::Event;
use super::observed::{EventView, JobView, Refusal, StoredRequest};
use super::plan::{Change, Next, Read};
use crate::api::JobRequestStatus;
use crate::api::status::TemplatePin;

/// Deadline of a call to the API server, the operator's and the commands'.
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// One request to the API server.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// A read that a rule needs.
    Read(Read),
    /// A change of a Job.
    Change(Change),
    /// Replace the status of the JobRequest: compare and set.
    WriteStatus {
        /// uid it must have.
        uid: String,
        /// resourceVersion it must have.
        resource_version: String,
        /// The whole new status.
        status: Box<JobRequestStatus>,
    },
    /// Send an event on the JobRequest; nothing depends on its answer.
    Publish(Event),
}

/// How a call was answered. What is not here (no answer, 401, an error of a read or of a status write) ends the pass: drop
/// the reconciler and reconcile again.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Of [`Read::Request`].
    Request(Option<Box<StoredRequest>>),
    /// Of [`Read::Job`].
    Job(Option<Box<JobView>>),
    /// Of [`Read::Jobs`].
    Jobs(Vec<JobView>),
    /// Of [`Read::Events`]; `None`: there was no answer, and the pass continues without.
    Events(Option<Vec<EventView>>),
    /// Of [`Read::Template`]: what a run would record of it.
    Template(Option<TemplatePin>),
    /// Of [`Read::Turn`]: it may; if not, the request is reconciled again when it may.
    Turn(bool),
    /// Of [`Change::Create`]: the Job as it was stored.
    Created(Box<JobView>),
    /// Of [`Change::Create`]: a Job of this name exists.
    NameTaken,
    /// Of [`Change::Create`]: it was too late to send it.
    Late,
    /// Of [`Change::Patch`].
    Patched(Box<JobView>),
    /// Of any [`Change`]: no, and why. What else is due is done.
    Refused(Refusal),
    /// Of [`Call::WriteStatus`].
    Written(Box<StoredRequest>),
    /// Of [`Change::Delete`] and [`Call::Publish`].
    Done,
    /// Of [`Call::WriteStatus`]: the object would be larger than what the API server stores.
    TooLarge,
    /// 409: somebody wrote in between, or the uid is another.
    Conflict,
    /// 404: it is gone.
    Missing,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Perform this, then take in the answer.
    Call(Call),
    /// Nothing more at once.
    Rest(Next),
}
