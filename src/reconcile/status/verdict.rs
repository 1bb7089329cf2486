//! The one word that all others follow.
//!
//! The first that applies decides Ready, Reconciling, Stalled and the phase: rejected > newest run failed > newest run
//! completed > suspended by somebody else > suspended in the spec > the rest.

use crate::api::condition::{ConditionType, Phase, Reason, RunResult, Stop, Trigger};
use crate::api::status::Run;
use crate::reconcile::change::{self, Want};
use crate::reconcile::diagnosis;
use crate::reconcile::observed::JobView;
use crate::reconcile::plan::{Rejection, Sound};
use crate::reconcile::run::{Course, Inputs, Standing};

use super::conditions::condition;

/// How the status tells that a rerun was asked for and cannot start yet.
pub(super) const RERUN_WAITS: &str = "a rerun was asked for and waits";

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
    pub(super) fn of(inputs: &Inputs<'a>, course: &Course) -> Self {
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
            Standing::Waiting(reason, message) => {
                working(Phase::Waiting, *reason, waits_prefix(number) + message)
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
                    working(Phase::Updating, Reason::Starting, format!("run {number} is being resumed"))
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
            Standing::Live(job) => live(inputs, course, newest, job),
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

fn live<'a>(inputs: &Inputs<'_>, course: &Course, newest: &Run, job: &JobView) -> Verdict<'a> {
    let Inputs { observed, stored, .. } = *inputs;
    let number = newest.number;
    let own_pods = || observed.pods.iter().filter(|pod| pod.is_controlled_by(job.uid()));
    let has_started = diagnosis::run_has_started(stored, newest, job, own_pods());
    let phase = if has_started { Phase::Running } else { Phase::Updating };
    if newest.stop == Some(Stop::Replace) {
        let message = format!("run {number} is being stopped; a newer run starts when its pods are gone");
        return working(phase, Reason::Replacing, message);
    }
    let waits = waits(&course.want);
    if has_started {
        return working(phase, Reason::Running, format!("run {number} is running{waits}"));
    }
    let Some(cause) = diagnosis::cause(own_pods()) else {
        return working(
            phase,
            Reason::Starting,
            format!("run {number}: no container has started yet{waits}"),
        );
    };
    // The kubelet's words alternate while the cause is the same: the first ones stay.
    let told = condition(stored, ConditionType::Ready)
        .filter(|ready| {
            ready.reason == cause.reason.as_str()
                && stored.run == Some(number)
                && ready.message.ends_with(&waits)
                && (!waits.is_empty() || !ready.message.contains(WAITS))
        })
        .map(|ready| ready.message.clone());
    let message = told.unwrap_or_else(|| format!("run {number}: {}{waits}", cause.message));
    working(phase, cause.reason, message)
}

/// How every tail of [`waits`] ends.
const WAITS: &str = " until it has ended";

/// What comes after the active run.
fn waits(want: &Want) -> String {
    match want {
        Want::Run(Trigger::Rerun, _) => format!("; {RERUN_WAITS}{WAITS}"),
        Want::Run(Trigger::TemplateChange, _) => format!("; a run with newer templates waits{WAITS}"),
        Want::Run(Trigger::Created | Trigger::SpecChange, _) => format!("; a newer spec waits{WAITS}"),
        Want::Nothing | Want::HeldBack | Want::Ask(_) => String::new(),
    }
}

fn ended<'a>(run: &Run) -> Verdict<'a> {
    let number = run.number;
    let message = run.message.as_deref().unwrap_or("no message was given");
    let reason = run.reason.clone().unwrap_or_else(|| Reason::Failed.to_string());
    match run.result {
        Some(RunResult::Failed | RunResult::Lost | RunResult::Replaced) => {
            Verdict::Failed { message: format!("run {number} has failed: {message}"), reason }
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

/// How the status begins to tell what run `number` waits for.
pub(in crate::reconcile) fn waits_prefix(number: i32) -> String {
    format!("run {number} waits: ")
}
