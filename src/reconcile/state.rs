//! Where the newest run stands: what a look at it goes by, and what it comes to.

use std::fmt;
use std::time::Duration;

use super::trigger::{Want, want};
use super::event::Event;
use super::acceptance::{Judged, Sound};
use super::observed::{Clock, JobView, Observed, StoredRequest};
use super::plan::{Change, Next, Plan};
use super::history::Records;
use crate::api::JobRequestStatus;
use crate::api::condition::Reason;
use crate::api::failure::Failure;
use crate::api::run_policy::RunPolicy;
use crate::compile::Layers;

/// What a look at the newest run goes by.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub observed: &'a Observed,
    pub request: &'a StoredRequest,
    /// The status as it is stored.
    pub stored: &'a JobRequestStatus,
    pub records: &'a Records,
    pub judged: &'a Judged<'a>,
    pub policy: &'a RunPolicy,
    /// What lies below the request, as the cache shows it.
    pub layers: &'a Layers,
    pub clock: Clock,
}

impl Inputs<'_> {
    /// What the request asks for after the newest of `records`; a spec that cannot be read asks for nothing.
    pub(super) fn want_after(&self, records: &Records) -> Want {
        let Ok(Sound { spec, .. }) = self.judged else {
            return Want::Nothing;
        };
        want(self.request, spec, records, self.policy, self.layers, &self.observed.answers)
    }
}

/// A change of a Job which is due, and which the API server refuses for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blocked {
    /// PatchRefused or DeleteRefused.
    pub reason: Reason,
    /// Name of the Job.
    pub job: String,
    /// The API server's message.
    pub message: String,
    /// Until it is tried again.
    pub pause: Duration,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.reason == Reason::PatchRefused { "patched" } else { "deleted" };
        write!(f, "Job {} cannot be {verb}: {}", self.job, self.message)
    }
}

/// Makes `change`, unless it was refused a short while ago.
///
/// # Errors
/// It was.
pub(super) fn attempt(observed: &Observed, change: Change, clock: Clock) -> Result<Plan, Blocked> {
    let (reason, job) = match &change {
        Change::Create { .. } => return Ok(Plan::change(change)),
        Change::Patch { name, .. } => (Reason::PatchRefused, name),
        Change::Delete { name, .. } => (Reason::DeleteRefused, name),
    };
    match observed.memory.refused.get(&change.key()).filter(|refused| clock.uptime < refused.until) {
        Some(refused) => Err(Blocked {
            reason,
            job: job.clone(),
            message: refused.refusal.message.clone(),
            pause: refused.until.saturating_sub(clock.uptime),
        }),
        None => Ok(Plan::change(change)),
    }
}

/// Where the newest run stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Standing {
    /// No run, and none can be made: the spec is rejected.
    NoRun,
    /// A run is due or reserved, and on its way.
    Due,
    /// A run is due or reserved, and held by `suspend`.
    Held,
    /// A run is reserved, and something outside is blocking it.
    Waiting {
        reason: Reason,
        /// What it waits for, in a sentence.
        message: String,
        /// The obstacle, where it counts as one.
        failure: Option<Box<Failure>>,
    },
    /// The Job exists and has not ended.
    Live(Box<JobView>),
    /// The newest run has ended, and no other is due.
    Ended,
}

/// The records as they are to be, and where the newest run stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Course {
    pub records: Records,
    /// Of the newest run.
    pub standing: Standing,
    /// What the request asks for beyond the newest run.
    pub want: Want,
    /// The Job, in the round in which the newest run's result is recorded.
    pub ended_as: Option<Box<JobView>>,
    /// Changes of the run's Job that are due and refused.
    pub blocked: Vec<Blocked>,
    /// Of what changed in the records.
    pub events: Vec<Event>,
    /// When to look again.
    pub next: Next,
}

/// What a look at the newest run comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Move {
    /// Ask or change first.
    Act(Plan),
    /// Describe how things stand.
    Stay(Course),
}

impl Move {
    pub(super) fn stay(inputs: &Inputs<'_>, standing: Standing, next: Next) -> Self {
        Self::record(inputs, inputs.records.clone(), standing, next)
    }

    /// Describe how things stand once the records are these.
    pub(super) fn record(inputs: &Inputs<'_>, records: Records, standing: Standing, next: Next) -> Self {
        let want = inputs.want_after(&records);
        Self::Stay(Course {
            records,
            standing,
            want,
            ended_as: None,
            blocked: Vec::new(),
            events: Vec::new(),
            next,
        })
    }

    /// The same, while changes are refused.
    pub(super) fn with_blocked(mut self, blocked: impl IntoIterator<Item = Blocked>) -> Self {
        if let Self::Stay(course) = &mut self {
            course.blocked.extend(blocked);
            for blocked in &course.blocked {
                course.next = course.next.sooner(Next::After(blocked.pause));
            }
        }
        self
    }

    /// The same, with other events; what is done first tells none.
    pub(super) fn with_events(mut self, change: impl FnOnce(&mut Vec<Event>)) -> Self {
        if let Self::Stay(course) = &mut self {
            change(&mut course.events);
        }
        self
    }
}
