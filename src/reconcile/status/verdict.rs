//! The one word that all others follow.
//!
//! The first that applies decides Ready, Reconciling, Stalled and the phase: rejected > newest run failed > newest run
//! completed > suspended by somebody else > suspended in the spec > the rest.

use crate::api::condition::{Phase, Reason, RunResult, Stop, Trigger};
use crate::api::status::Run;
use crate::reconcile::trigger::{self, Want};
use crate::reconcile::state::{Course, Inputs, Standing};
use crate::reconcile::diagnosis::Seen;
use crate::reconcile::acceptance::{Rejection, Sound};
use crate::reconcile::observed::JobView;

/// How the status tells that a rerun was asked for and cannot start yet.
const RERUN_WAITS: &str = "a rerun was asked for and waits";

/// What decides Ready, Reconciling, Stalled and the phase.
pub(super) enum Verdict<'a> {
    /// The spec cannot become a Job.
    Rejected(&'a Rejection),
    /// The newest run has failed, is lost, or was stopped.
    Failed { reason: String, message: String },
    /// The newest run has completed.
    Completed { message: String },
    /// The Job is suspended by somebody else.
    Queued { message: String },
    /// Suspended in the spec.
    Suspended { message: String },
    /// Everything that is on its way.
    Working { phase: Phase, reason: Reason, message: String },
}

impl<'a> Verdict<'a> {
    /// Decides.
    pub(super) fn of(inputs: &Inputs<'a>, course: &Course, seen: Option<&Seen>) -> Self {
        let spec = match inputs.judged {
            Err(rejection) => return Self::Rejected(rejection),
            Ok(Sound { spec, .. }) => spec,
        };
        let Some(newest) = course.records.runs.first() else {
            return match course.standing {
                Standing::Held => held(1, &course.want),
                _ => working(Phase::Pending, Reason::Pending, "a run is due".to_owned()),
            };
        };
        let number = newest.number;
        match &course.standing {
            Standing::Held if newest.is_open() => held(number, &Want::Nothing),
            Standing::Held => held(number.saturating_add(1), &course.want),
            Standing::Due | Standing::NoRun => working(
                Phase::Pending,
                Reason::Creating,
                format!("run {number} is reserved, Job {} is being created", newest.job_name),
            ),
            Standing::Waiting { reason, message, .. } => {
                working(Phase::Waiting, *reason, format!("run {number} waits: {message}"))
            }
            Standing::Ended => ended(newest),
            Standing::Live(job) if job.spec.suspend == Some(true) && newest.stop != Some(Stop::Replace) => {
                if spec.suspend == Some(true) {
                    Self::Suspended {
                        message: format!(
                            "run {number} is suspended by spec.suspend; set it to false to go on{}",
                            waits(&course.want)
                        ),
                    }
                } else if change::last_written(job).is_some_and(|last| last.suspend) {
                    let message = format!("run {number} is being resumed{}", waits(&course.want));
                    working(Phase::Updating, Reason::Starting, message)
                } else {
                    Self::Queued {
                        message: format!(
                            "run {number}: Job {} is suspended by somebody else, for example a queue; it starts when they resume it{}",
                            newest.job_name,
                            waits(&course.want)
                        ),
                    }
                }
            }
            Standing::Live(job) => live(course, newest, job, seen),
        }
    }

    /// The word for people.
    pub(super) const fn phase(&self) -> Phase {
        match self {
            Self::Rejected(_) => Phase::Rejected,
            Self::Failed { .. } => Phase::Failed,
            Self::Completed { .. } => Phase::Completed,
            Self::Queued { .. } | Self::Suspended { .. } => Phase::Suspended,
            Self::Working { phase, .. } => *phase,
        }
    }
}

fn live<'a>(course: &Course, newest: &Run, job: &JobView, seen: Option<&Seen>) -> Verdict<'a> {
    let number = newest.number;
    let (phase, reason) = seen.map_or((Phase::Updating, Reason::Starting), |seen| (seen.phase, seen.reason));
    let sentence = seen.map(|seen| seen.sentence.as_str()).unwrap_or_default();
    if newest.stop == Some(Stop::Replace) {
        let message = format!("run {number} is being stopped; a newer run starts when its pods are gone");
        let phase = if phase == Phase::Waiting { Phase::Updating } else { phase };
        return working(phase, Reason::Replacing, message);
    }
    let waits = waits(&course.want);
    let message = match job.true_condition("FailureTarget") {
        Some(target) if !sentence.is_empty() => {
            format!("run {number} is failing: {}: {sentence}{waits}", target.reason)
        }
        _ if phase == Phase::Running => format!("run {number} is running{waits}"),
        _ if sentence.is_empty() => format!("run {number}: no container has started yet{waits}"),
        _ => format!("run {number}: {sentence}{waits}"),
    };
    working(phase, reason, message)
}

/// What comes after the active run.
fn waits(want: &Want) -> String {
    match want {
        Want::Run(Trigger::Rerun, _) => format!("; {RERUN_WAITS} until it has ended"),
        Want::Run(Trigger::TemplateChange, _) => {
            "; a run with newer templates waits until it has ended".to_owned()
        }
        Want::Run(Trigger::Created | Trigger::SpecChange, _) => {
            "; a newer spec waits until it has ended".to_owned()
        }
        Want::Nothing | Want::HeldBack | Want::Ask(_) => String::new(),
    }
}

fn ended<'a>(run: &Run) -> Verdict<'a> {
    let number = run.number;
    let message = run.message.as_deref().unwrap_or("no message was given");
    let reason = run.reason.clone().unwrap_or_else(|| Reason::Failed.to_string());
    match run.result {
        Some(RunResult::Failed) if run.failure.is_some() => {
            Verdict::Failed { message: format!("run {number} has failed: {reason}: {message}"), reason }
        }
        // A record of an early release has no cause; its words stay, so that an upgrade writes nothing.
        Some(RunResult::Failed | RunResult::Lost | RunResult::Replaced) => {
            Verdict::Failed { message: format!("run {number} has failed: {message}"), reason }
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

fn held<'a>(number: i32, want: &Want) -> Verdict<'a> {
    let why = match want {
        Want::Run(Trigger::Rerun, _) => format!("{RERUN_WAITS}: "),
        _ => String::new(),
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
