//! The overall verdict, from which phase, Ready, Reconciling and Stalled are derived.
//!
//! The first that applies decides: rejected > newest run failed > newest run completed > suspended by someone else >
//! suspended in the spec > the rest.

use crate::api::condition::{Obstacle, Phase, Reason, RunResult, Stop, Trigger};
use crate::api::failure::Failure;
use crate::api::status::Run;
use crate::reconcile::acceptance::{AcceptedSpec, Rejection};
use crate::reconcile::observed::JobView;
use crate::reconcile::patch;
use crate::reconcile::state::{Facts, Progress, RunOutcome, RunState};
use crate::reconcile::trigger::Pending;

/// Said of a run that continues although it is suspended in the spec.
const RESUMED: &str = "; spec.suspend is true, but someone else, for example a queue, has resumed the Job: take it out of their queue to suspend it";

/// What decides Ready, Reconciling, Stalled and the phase.
pub(super) enum Verdict<'a> {
    /// The spec cannot become a Job.
    Rejected(&'a Rejection),
    /// The newest run has failed, is lost, or was stopped.
    Failed { reason: String, message: String },
    /// The newest run has completed.
    Completed { message: String },
    /// The Job is suspended by someone else.
    Queued { message: String },
    /// Suspended in the spec.
    Suspended { message: String },
    /// There is no run, and the spec counts as having run.
    OnHold,
    /// Everything that is in progress.
    Working { phase: Phase, reason: Reason, message: String },
    /// The same, but it cannot start as long as nobody changes something.
    Stuck { phase: Phase, reason: Reason, message: String },
}

impl<'a> Verdict<'a> {
    /// Decides.
    pub(super) fn of(facts: &Facts<'a>, outcome: &RunOutcome) -> Self {
        let spec = match facts.acceptance {
            Err(rejection) => return Self::Rejected(rejection),
            Ok(AcceptedSpec { spec, .. }) => spec,
        };
        let wanted = &outcome.wanted;
        let Some(newest) = outcome.newest() else {
            return match outcome.state {
                RunState::Held => held(1, wanted),
                RunState::OnHold => Self::OnHold,
                _ => working(Phase::Pending, Reason::Pending, "a run is due".to_owned()),
            };
        };
        let number = newest.number;
        match &outcome.state {
            RunState::Held if newest.is_open() => held(number, &Pending::Nothing),
            RunState::Held => held(number.saturating_add(1), wanted),
            RunState::Due | RunState::NoRun | RunState::OnHold => working(
                Phase::Pending,
                Reason::Creating,
                format!("run {number} is reserved, Job {} is being created", newest.job_name),
            ),
            RunState::Waiting { reason, message, failure } => {
                let message = format!("run {number} waits: {message}");
                if failure.as_deref().is_some_and(needs_a_change) {
                    Self::Stuck { phase: Phase::Waiting, reason: *reason, message }
                } else {
                    working(Phase::Waiting, *reason, message)
                }
            }
            RunState::Ended => ended(newest),
            RunState::Live { job, progress: None } if !newest.stop.is_some_and(Stop::deletes_the_job) => {
                suspended(newest, job, wanted, spec.is_suspended())
            }
            RunState::Live { job, progress } => {
                live(newest, job, wanted, progress.as_ref(), spec.is_suspended())
            }
        }
    }

    /// For people.
    pub(super) const fn phase(&self) -> Phase {
        match self {
            Self::Rejected(_) => Phase::Rejected,
            Self::Failed { .. } => Phase::Failed,
            Self::Completed { .. } => Phase::Completed,
            Self::Queued { .. } | Self::Suspended { .. } | Self::OnHold => Phase::Suspended,
            Self::Working { phase, .. } | Self::Stuck { phase, .. } => *phase,
        }
    }
}

/// The Job is suspended.
fn suspended<'a>(newest: &Run, job: &JobView, wanted: &Pending, is_asked_for: bool) -> Verdict<'a> {
    let number = newest.number;
    let waits = waits(wanted);
    match (patch::is_suspended_by_us(job), is_asked_for) {
        (true, true) => Verdict::Suspended {
            message: format!("run {number} is suspended by spec.suspend; set it to false to continue{waits}"),
        },
        (true, false) => {
            working(Phase::Updating, Reason::Starting, format!("run {number} is being resumed{waits}"))
        }
        (false, _) => {
            let too = if is_asked_for { "; spec.suspend is true, too" } else { "" };
            let message = format!(
                "run {number}: Job {} is suspended by someone else, for example a queue; it starts when they resume it{too}{waits}",
                newest.job_name
            );
            Verdict::Queued { message }
        }
    }
}

fn live<'a>(
    newest: &Run,
    job: &JobView,
    wanted: &Pending,
    progress: Option<&Progress>,
    is_suspended: bool,
) -> Verdict<'a> {
    let number = newest.number;
    let (phase, reason) =
        progress.map_or((Phase::Updating, Reason::Starting), |progress| (progress.phase, progress.reason));
    let said = progress.map(|progress| progress.message.as_str()).unwrap_or_default();
    if let Some(stop) = newest.stop.filter(|stop| stop.makes_way()) {
        let which = if stop == Stop::NeverStarted { ", which never started," } else { "" };
        let how = if job.is_terminating() && !said.is_empty() { format!(": {said}") } else { String::new() };
        let message =
            format!("run {number}{which} is being stopped; a newer run starts when its pods are gone{how}");
        let phase = if phase == Phase::Waiting { Phase::Updating } else { phase };
        return working(phase, Reason::Replacing, message);
    }
    if newest.stop == Some(Stop::Cancel) {
        let why = newest.message.as_deref().unwrap_or_default();
        let next = if matches!(wanted, Pending::Run(..)) { "; the run that waits starts next" } else { "" };
        let how = if job.is_terminating() && !said.is_empty() { format!("; {said}") } else { String::new() };
        let message = format!("run {number} is being cancelled, because {why}{next}{how}");
        return working(phase, Reason::Cancelling, message);
    }
    if newest.stop == Some(Stop::LimitsExceeded) {
        let why = newest.message.as_deref().unwrap_or_default();
        let message = format!("run {number} is being stopped: {why}");
        return working(phase, Reason::LimitsExceeded, message);
    }
    // What is suspended in the spec, and was written so, has been resumed by someone else.
    let resumed = if is_suspended && patch::is_suspended_by_us(job) { RESUMED } else { "" };
    let waits = format!("{}{resumed}", waits(wanted));
    let message = match job.true_condition("FailureTarget") {
        Some(target) if !said.is_empty() => {
            format!("run {number} is failing: {}: {said}{waits}", target.reason)
        }
        _ if phase == Phase::Running && said.is_empty() => format!("run {number} is running{waits}"),
        _ if phase == Phase::Running => format!("run {number} is running; {said}{waits}"),
        _ if said.is_empty() => format!("run {number}: no main container has started yet{waits}"),
        _ => format!("run {number}: {said}{waits}"),
    };
    let failure = progress.and_then(|progress| progress.failure.as_ref());
    let has_begun = phase == Phase::Running || job.is_ending() || job.is_terminating();
    if !has_begun && failure.is_some_and(needs_a_change) {
        return Verdict::Stuck { phase, reason, message };
    }
    working(phase, reason, message)
}

/// Waiting does not help.
fn needs_a_change(failure: &Failure) -> bool {
    failure.obstacle.is_some_and(Obstacle::needs_a_change)
}

/// What comes after the active run.
fn waits(wanted: &Pending) -> String {
    let what = match wanted {
        Pending::Run(Trigger::Rerun, _) => "a rerun was asked for and",
        Pending::Run(Trigger::TemplateChange, _) => "a run with newer templates",
        Pending::Run(Trigger::Created | Trigger::SpecChange, _) => "a newer spec",
        Pending::Nothing | Pending::HeldBack | Pending::AwaitTurn | Pending::Ask(_) => return String::new(),
    };
    format!("; {what} waits until it has ended; runPolicy.whileActive: Replace stops it")
}

fn ended<'a>(run: &Run) -> Verdict<'a> {
    let number = run.number;
    let message = run.message.as_deref().unwrap_or("no message was given");
    let reason = run.reason.clone().unwrap_or_else(|| Reason::Failed.to_string());
    match run.result {
        Some(RunResult::Failed) if run.failure.is_some() => {
            Verdict::Failed { message: format!("run {number} has failed: {reason}: {message}"), reason }
        }
        // A record of an early release has no cause; its message stays, so that an upgrade writes nothing.
        Some(RunResult::Failed | RunResult::Lost | RunResult::Replaced) => {
            Verdict::Failed { message: format!("run {number} has failed: {message}"), reason }
        }
        Some(RunResult::Cancelled) => {
            Verdict::Failed { message: format!("run {number} was cancelled: {message}"), reason }
        }
        // Fewer pods than asked for may have been enough.
        Some(RunResult::Succeeded) if reason == "SuccessPolicy" => {
            Verdict::Completed { message: format!("run {number} has completed: {reason}: {message}") }
        }
        Some(RunResult::Succeeded) | None => {
            Verdict::Completed { message: format!("run {number} has completed") }
        }
    }
}

fn held<'a>(number: i32, wanted: &Pending) -> Verdict<'a> {
    let why = match wanted {
        Pending::Run(Trigger::Rerun, _) => "a rerun was asked for and waits: ",
        _ => "",
    };
    Verdict::Suspended {
        message: format!(
            "{why}run {number} starts when spec.suspend is set to false; its Job is not created before"
        ),
    }
}

const fn working<'a>(phase: Phase, reason: Reason, message: String) -> Verdict<'a> {
    Verdict::Working { phase, reason, message }
}
