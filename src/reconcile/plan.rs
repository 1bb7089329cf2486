//! One round: from everything observed to what is done next.
//!
//! A plan asks one question, or makes changes, or writes the status once; `next` says whether to look again at once.
//! It is deterministic and a fixed point: what it does, once observed, is not planned again.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use serde_json::Value;

use super::change::{Want, want};
use super::event::Event;
use super::observed::{Clock, Creation, EventsOf, Observed, StoredRequest};
use super::record::{self, Records};
use super::run::{self, Inputs};
use super::text::bounded;
use super::{clean_up, status};
use crate::api::condition::{ConditionType, EventReason, Reason};
use crate::api::run_policy::RunPolicy;
use crate::api::status::{Run, TemplatePin};
use crate::api::template::TemplateRef;
use crate::api::{JobRequestSpec, JobRequestStatus};
use crate::compile::{Compiled, Identity, Layers, compile};

/// A read which a rule needs before it can decide; never needed on the clean path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// GET the JobRequest.
    Request,
    /// GET the Job of this name.
    Job(String),
    /// LIST the Jobs that carry the request's name.
    Jobs,
    /// LIST events about a Job that does not get on.
    Events(EventsOf),
    /// GET a template; a JobTemplate is looked up where the JobRequest is.
    Template(TemplateRef),
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

/// Why a request cannot become a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    /// In one word.
    pub reason: Reason,
    /// Every problem, in words.
    pub message: String,
}

/// A spec which nothing is held against.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sound<'a> {
    /// The spec.
    pub spec: &'a JobRequestSpec,
    /// What it compiles to; absent when it was accepted before and asks for nothing new: then a template that changed
    /// since is not for it.
    pub compiled: Option<Compiled>,
}

/// The spec and its Job, or why there is none.
pub(super) type Judged<'a> = Result<Sound<'a>, Rejection>;

/// How far apart writes are that only bring counts up to date.
const PROGRESS_PAUSE: Duration = Duration::from_secs(30);

/// Plans the next round for one JobRequest.
#[must_use]
pub fn plan(observed: &Observed, layers: &Layers, clock: Clock) -> Plan {
    let Some(request) = observed.request.as_ref().filter(|request| !request.is_deleting()) else {
        return Plan::rest();
    };
    let stored = request.known_status();
    let records = match record::known(observed, request, &stored, clock) {
        Ok(records) => records,
        Err(read) => return Plan::ask(read),
    };
    let templates = layers.pins();
    let judged = judge(observed, request, &stored, &records, layers, &templates);
    let policy = policy(&judged, &stored);
    let inputs = Inputs {
        observed,
        request,
        stored: &stored,
        records: &records,
        judged: &judged,
        policy: &policy,
        templates: &templates,
        clock,
    };
    let course = match run::course(&inputs) {
        run::Move::Act(plan) => return plan,
        run::Move::Stay(course) => course,
    };
    let clean_up = clean_up::clean_up(observed, request, &stored, &judged, &policy, clock);
    if let (Some(act), true) = (clean_up.act, course.next != Next::Again) {
        return act;
    }

    let described = status::describe(&inputs, &course);
    let mut plan = Plan { next: course.next.sooner(clean_up.next), events: course.events, ..Plan::rest() };
    if status::differs_in_templates_only(&stored, &described) {
        plan.events.clear();
        return plan;
    }
    if status::differs_in_progress_only(&stored, &described) {
        let since = observed.memory.written_at.map(|at| clock.uptime.saturating_sub(at));
        if let Some(pause) =
            since.and_then(|since| PROGRESS_PAUSE.checked_sub(since)).filter(|pause| !pause.is_zero())
        {
            plan.next = plan.next.sooner(Next::After(pause));
            plan.events.clear();
            return plan;
        }
    }
    plan.events.extend(verdict_event(&stored, &judged));
    plan.events.extend(status::rerun_event(&stored, &described));
    plan.status = Some(Box::new(described));
    plan
}

/// The run policy in force: of the spec as it is now, or, when that asks for nothing new, as it was judged last. A status
/// of an older release has none; then nothing is cleaned up by it before the spec is judged again.
fn policy(judged: &Judged<'_>, stored: &JobRequestStatus) -> RunPolicy {
    let compiled = judged.as_ref().ok().and_then(|sound| sound.compiled.as_ref());
    compiled.map(|compiled| &compiled.run_policy).or(stored.run_policy.as_ref()).cloned().unwrap_or_default()
}

/// Compiles the request for the run at hand.
fn judge<'a>(
    observed: &Observed,
    request: &'a StoredRequest,
    stored: &JobRequestStatus,
    records: &Records,
    layers: &Layers,
    templates: &[TemplatePin],
) -> Judged<'a> {
    let spec = request.spec.0.as_ref().map_err(|error| Rejection {
        reason: Reason::Unreadable,
        message: format!(
            "the stored spec does not fit the schema of this version: {error}; mend that field and apply again"
        ),
    })?;
    let newest = records.runs.first();
    let stored_policy = stored.run_policy.clone().unwrap_or_default();
    let wanted = want(request, spec, records, &stored_policy, templates, &observed.answers);
    let was_accepted = newest.is_some_and(|run| run.job_uid.is_some())
        && matches!(wanted, Want::Nothing | Want::HeldBack)
        && was_accepted(request, stored);
    if was_accepted && newest.is_some_and(|run| !run.is_open()) {
        return Ok(Sound { spec, compiled: None });
    }
    let number =
        newest.map_or(1, |run| if run.is_open() { run.number } else { run.number.saturating_add(1) });
    let identity = Identity {
        name: request.name(),
        namespace: Some(request.namespace()),
        uid: Some(request.uid()),
        generation: Some(request.generation()),
        handled: Some(&records.handled),
    };
    let compiled = match compile(&identity, spec, layers, number) {
        Ok(compiled) => compiled,
        Err(_) if was_accepted => return Ok(Sound { spec, compiled: None }),
        Err(problems) => {
            return Err(Rejection { reason: Reason::InvalidSpec, message: problems.to_string() });
        }
    };
    if let Some(message) = refused_by_server(observed, request, stored, newest) {
        return Err(Rejection { reason: Reason::JobInvalid, message });
    }
    Ok(Sound { spec, compiled: Some(compiled) })
}

/// The status has accepted this very spec.
fn was_accepted(request: &StoredRequest, stored: &JobRequestStatus) -> bool {
    let accepted = status::condition(stored, ConditionType::Accepted);
    stored.observed_generation == request.generation()
        && accepted.is_some_and(|accepted| {
            accepted.status == "True" && accepted.observed_generation == Some(request.generation())
        })
}

/// The API server's words about a Job which it found invalid: from this pass, or, until the spec changes, from the
/// status.
fn refused_by_server(
    observed: &Observed,
    request: &StoredRequest,
    stored: &JobRequestStatus,
    newest: Option<&Run>,
) -> Option<String> {
    let newest = newest.filter(|run| run.is_open() && run.job_uid.is_none())?;
    if let Some(Creation::Invalid(message)) = observed.answers.creation_of(&newest.job_name) {
        return Some(message.clone());
    }
    let accepted = status::condition(stored, ConditionType::Accepted)?;
    (accepted.reason == Reason::JobInvalid.as_str()
        && accepted.observed_generation == Some(request.generation()))
    .then(|| accepted.message.clone())
}

/// The event of a verdict which the stored status does not tell yet.
fn verdict_event(stored: &JobRequestStatus, judged: &Judged<'_>) -> Option<Event> {
    let (reason, message, event) = match judged {
        Err(rejection) => (rejection.reason, rejection.message.clone(), EventReason::Rejected),
        Ok(Sound { compiled: Some(compiled), .. }) if !compiled.clamped.is_empty() => {
            let (reason, message) = status::accepted(compiled);
            (reason, message, EventReason::Clamped)
        }
        Ok(_) => return None,
    };
    let accepted = status::condition(stored, ConditionType::Accepted);
    let is_told = accepted
        .is_some_and(|accepted| accepted.reason == reason.as_str() && accepted.message == bounded(&message));
    (!is_told).then(|| Event::new(event, &message))
}
