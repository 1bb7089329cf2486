//! The state of the newest run: the facts it is derived from, and the decision that follows.

use std::fmt;
use std::time::Duration;

use super::acceptance::{Acceptance, AcceptedSpec};
use super::event::Event;
use super::history::RunHistory;
use super::observed::{Clock, JobView, Observed, StoredRequest};
use super::plan::{Change, Next, Plan};
use super::trigger::{Pending, wanted};
use crate::api::JobRequestStatus;
use crate::api::condition::{Phase, Reason};
use crate::api::failure::Failure;
use crate::api::run_policy::RunPolicy;
use crate::api::status::Run;
use crate::compile::Layers;

/// Everything that a decision about the newest run is derived from.
#[derive(Clone, Copy)]
pub(super) struct Facts<'a> {
    pub observed: &'a Observed,
    pub request: &'a StoredRequest,
    /// The status as it is stored.
    pub stored: &'a JobRequestStatus,
    pub history: &'a RunHistory,
    pub acceptance: &'a Acceptance<'a>,
    /// The effective run policy.
    pub policy: &'a RunPolicy,
    /// The layers that apply to the request, as the cache shows them.
    pub layers: &'a Layers,
    pub clock: Clock,
}

impl Facts<'_> {
    /// What the request asks for after the newest run of `history`, which is the history as this round leaves it. A spec
    /// that cannot be compiled asks for nothing.
    pub(super) fn wanted_next(&self, history: &RunHistory) -> Pending {
        let Ok(AcceptedSpec { spec, .. }) = self.acceptance else {
            return Pending::Nothing;
        };
        wanted(self.request, spec, history, self.policy, self.layers, self.observed)
    }
}

/// The state of the newest run.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RunState {
    /// No run, and none can be started: the spec is rejected.
    NoRun,
    /// A run is due or reserved, and nothing is blocking it.
    Due,
    /// A run is due or reserved, and held back by `suspend`.
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
    Live {
        job: Box<JobView>,
        /// Absent while the Job is suspended.
        progress: Option<Progress>,
    },
    /// The newest run has ended, and no other is due.
    Ended,
    /// There is no run, and none is due: the spec counts as having run.
    OnHold,
}

impl RunState {
    /// Nothing is due after what `history` shows.
    pub(super) fn at_rest(history: &RunHistory) -> Self {
        match (history.ran(), &history.held) {
            (Some(_), _) => Self::Ended,
            (None, Some(_)) => Self::OnHold,
            (None, None) => Self::NoRun,
        }
    }
}

/// The visible progress of a run whose Job is active.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Progress {
    /// Waiting, Updating or Running.
    pub phase: Phase,
    /// The cause in one word, if the run has not started.
    pub reason: Reason,
    /// The same in a sentence; empty if there is nothing to say.
    pub message: String,
    /// What the status shows as the failure of the run.
    pub failure: Option<Failure>,
}

/// The history as it is to be, and the state of the newest run in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RunOutcome {
    pub history: RunHistory,
    /// Of the newest run.
    pub state: RunState,
    /// What the request asks for beyond the newest run.
    pub wanted: Pending,
    /// The Job, in the round in which the newest run's result is recorded.
    pub ended_as: Option<Box<JobView>>,
    /// Changes of the run's Job that are due and refused.
    pub blocked: Vec<Blocked>,
    /// Events about what changed in the history.
    pub events: Vec<Event>,
    /// When to look again.
    pub next: Next,
}

/// The decision about the newest run.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Decision {
    /// Read or change something first.
    Act(Plan),
    /// Describe the state.
    Describe(Box<RunOutcome>),
}

impl RunOutcome {
    /// The run that `state` is of. One that was reserved, and is not asked for any more, has no state of its own.
    pub(super) fn newest(&self) -> Option<&Run> {
        match self.state {
            RunState::Ended => self.history.ran(),
            RunState::OnHold => None,
            _ => self.history.runs.first(),
        }
    }
}

impl Decision {
    /// Describe `state`; the history stays as it is.
    pub(super) fn stay(facts: &Facts<'_>, state: RunState, next: Next) -> Self {
        Self::describe(facts.history.clone(), state, facts.wanted_next(facts.history), next)
    }

    /// Describe `state` once the history is this, after whose newest run `wanted` is asked for.
    pub(super) fn describe(history: RunHistory, state: RunState, wanted: Pending, next: Next) -> Self {
        Self::Describe(Box::new(RunOutcome {
            history,
            state,
            wanted,
            ended_as: None,
            blocked: Vec::new(),
            events: Vec::new(),
            next,
        }))
    }

    /// The same, with changes that are due and refused.
    pub(super) fn with_blocked(mut self, blocked: Vec<Blocked>) -> Self {
        if let Self::Describe(outcome) = &mut self {
            for pause in blocked.iter().filter_map(|blocked| blocked.pause) {
                outcome.next = outcome.next.sooner(Next::After(pause));
            }
            outcome.blocked = blocked;
        }
        self
    }

    /// The same, with other events; what has to be done first causes none.
    pub(super) fn with_events(mut self, change: impl FnOnce(&mut Vec<Event>)) -> Self {
        if let Self::Describe(outcome) = &mut self {
            change(&mut outcome.events);
        }
        self
    }
}

/// A change of a Job which is due, and which the API server refuses for now, or a policy does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blocked {
    /// PatchRefused, DeleteRefused or LimitsExceeded.
    pub reason: Reason,
    /// Name of the Job.
    pub job: String,
    /// The API server's message, or what the policy does not allow.
    pub message: String,
    /// The only field of the Job that would have changed.
    pub field: Option<&'static str>,
    /// Until it is tried again; absent: when something changes.
    pub pause: Option<Duration>,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job, message, .. } = self;
        match self.field {
            Some(field) => write!(f, "{field} of Job {job} cannot be changed: {message}"),
            None if self.reason == Reason::DeleteRefused => {
                write!(f, "Job {job} cannot be deleted: {message}")
            }
            None => write!(f, "Job {job} cannot be patched: {message}"),
        }
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
            field: None,
            pause: Some(refused.until.saturating_sub(clock.uptime)),
        }),
        None => Ok(Plan::change(change)),
    }
}
