//! Why a run does not get on, and why it failed.
//!
//! Takes a Job, its pods, what was answered and what the status said before; returns a [`Failure`] and the one word that
//! Ready gives. [`waiting`] tells what keeps containers from starting, [`setup`] what keeps a node from setting up a pod,
//! [`refusal`] what keeps a Job from making pods ([`inquiry`] when to ask about the two), [`ended`] why pods failed,
//! [`deadline`] what a deadline interrupted; [`words`] puts it into a sentence.
//!
//! Pods vanish: what was recorded stays, unless what comes later tells more.

mod deadline;
mod terminated;
mod hint;
pub(super) mod event_query;
mod pod_creation;
mod pod_setup;
mod pending;
mod summary;

use k8s_openapi::jiff::Timestamp;

use event_query::Look;

pub(super) use pod_creation::of_job as job_forbidden;

use super::state::Inputs;
use super::observed::{ContainerState, JobConditionView, JobView, Observed, PodView};
use super::format::{bounded_to, printable};
use crate::api::condition::{FailureCategory, Obstacle, Phase, Reason, RunResult, Stop};
use crate::api::failure::Failure;
use crate::api::status::Run;

/// Longest sentence about a failure, in bytes: what the record of the newest run holds.
const SENTENCE: usize = 1024;
/// Longest native word, in bytes.
const REASON: usize = 64;
/// Longest name of a pod, container or node.
const NAME: usize = 253;

/// What keeps a run from getting on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cause {
    /// In one word.
    pub reason: Reason,
    /// In all words.
    pub failure: Failure,
}

/// What is to be seen of a run that goes on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    /// Waiting, Updating or Running.
    pub phase: Phase,
    /// The cause in one word, if it has not started.
    pub reason: Reason,
    /// The same in a sentence; empty if there is nothing to say.
    pub sentence: String,
    /// What the status tells as the failure of the run.
    pub failure: Option<Failure>,
}

/// Everything that tells about one run.
struct Scene<'a> {
    observed: &'a Observed,
    job: &'a JobView,
    pods: Vec<&'a PodView>,
    /// What the status said of this run.
    before: Option<&'a Failure>,
    /// A container has started, by all that is known.
    has_started: bool,
    /// A container had started when the run was recorded last: the pods that the end of a run ends count as failed,
    /// whatever they did.
    was_running: bool,
}

impl<'a> Scene<'a> {
    fn of(inputs: &Inputs<'a>, run: &Run, job: &'a JobView) -> Self {
        let Inputs { observed, stored, .. } = *inputs;
        let pods: Vec<_> = observed.pods.iter().filter(|pod| pod.is_controlled_by(job.uid())).collect();
        let has_started = run_has_started(run, job, pods.iter().copied());
        let before = stored.failure.as_ref().filter(|_| stored.run == Some(run.number));
        let was_running = run.containers_started == Some(true);
        Self { observed, job, pods, before, has_started, was_running }
    }

    /// What refuses the Job's pods: as answered, or, between two questions, as told before.
    fn refusal(&self) -> Option<Cause> {
        if let Some(events) = event_query::answer(self.observed, &pod_creation::events_of(self.job)) {
            return pod_creation::told_by(events);
        }
        let told = self.before.filter(|before| before.reason.as_deref() == Some("FailedCreate"))?;
        let is_at_hand = self.pods.is_empty() && !self.has_started;
        is_at_hand.then(|| Cause { reason: Reason::PodsForbidden, failure: told.clone() })
    }

    /// What keeps a node from setting up a pod: as answered, or, between two questions, as told before.
    fn setup(&self) -> Option<(Cause, &'a PodView)> {
        let pod = pod_setup::pending(&self.pods, self.before)?;
        if let Some(events) = event_query::answer(self.observed, &pod_setup::events_of(pod)) {
            return Some((pod_setup::told_by(pod, events)?, pod));
        }
        let told = self.before.filter(|before| pod_setup::is_about(before, pod))?;
        Some((Cause { reason: pending::reason_of(told)?, failure: told.clone() }, pod))
    }

    /// Why a pod failed which is gone by now.
    fn failed_before(&self) -> Option<Failure> {
        let remembered = self.observed.memory.pod_failure.as_ref();
        let remembered = remembered.filter(|(uid, _)| uid == self.job.uid()).map(|(_, failure)| &**failure);
        remembered.or(self.before.filter(|before| is_of_ended_pod(before))).cloned()
    }

    /// What keeps the first container from starting.
    fn cause(&self) -> Option<Cause> {
        let cause = match pending::stuck(&self.pods) {
            Some((cause, _)) => cause,
            None => self
                .refusal()
                .filter(|_| pod_creation::makes_none(self.observed, self.job))
                .or_else(|| self.setup().map(|(cause, _)| cause))
                .or_else(|| self.told())?,
        };
        // The kubelet's words alternate while the cause is the same: the first ones stay.
        let told = self.before.filter(|before| summary::is_same_cause(before, &cause.failure));
        Some(Cause { failure: told.cloned().unwrap_or(cause.failure), ..cause })
    }

    /// What was told before, while no pod is left that could tell more: a deadline deletes them a moment before the Job
    /// says so.
    fn told(&self) -> Option<Cause> {
        let is_over = |pod: &&PodView| pod.is_terminating() || pod.is_failed;
        let told = self.before.filter(|before| !is_of_ended_pod(before))?;
        let was_asked = event_query::answer(self.observed, &pod_creation::events_of(self.job)).is_some();
        let reason = pending::reason_of(told)?;
        (!was_asked && self.pods.iter().all(is_over)).then(|| Cause { reason, failure: told.clone() })
    }

    fn attempts(&self) -> Option<i32> {
        self.job.status.failed.filter(|failed| *failed > 0)
    }
}

/// A container of one of `pods` has started at some time. Init containers and sidecars count: the image is there and
/// the program runs.
fn has_started<'a>(pods: impl IntoIterator<Item = &'a PodView>) -> bool {
    pods.into_iter().any(|pod| {
        pod.containers.iter().any(|container| {
            let has_run = match &container.state {
                ContainerState::Running { .. } => true,
                ContainerState::Ended(end) => !end.never_ran(),
                ContainerState::Unknown | ContainerState::Waiting { .. } => false,
            };
            has_run || container.last_end.is_some()
        })
    })
}

/// A container of `run`, whose `job` lives, has started at some time, by all that is known.
pub(super) fn run_has_started<'a>(
    run: &Run,
    job: &JobView,
    own_pods: impl IntoIterator<Item = &'a PodView>,
) -> bool {
    let counted = [job.status.ready, job.status.succeeded, job.status.failed];
    counted.iter().any(|count| count.is_some_and(|count| count > 0))
        || has_started(own_pods)
        // Pods vanish when they are replaced; what has started stays so, as long as the run is not suspended.
        || run.containers_started == Some(true)
}

/// Whether to ask for events about `run`, whose `job` lives.
pub(super) fn look(inputs: &Inputs<'_>, run: &Run, job: &JobView) -> Look {
    let scene = Scene::of(inputs, run, job);
    let is_clear = scene.has_started || job.is_ending() || pending::stuck(&scene.pods).is_some();
    let puzzle = pod_creation::puzzle(inputs.observed, job)
        .or_else(|| pod_setup::puzzle(&scene.pods, scene.before).filter(|_| !is_clear));
    puzzle.map_or(Look::No, |puzzle| event_query::look(inputs.observed, puzzle, inputs.clock))
}

/// Records whether a container of `run`, whose `job` lives, has started. Resuming a Job starts it anew.
pub(super) fn record_start(inputs: &Inputs<'_>, run: &mut Run, job: &JobView) {
    // The pods that the end of a run ends count as failed, whatever they did.
    if job.is_ending() {
        return;
    }
    let pods = inputs.observed.pods.iter().filter(|pod| pod.is_controlled_by(job.uid()));
    let has_started = job.spec.suspend != Some(true) && run_has_started(run, job, pods);
    run.containers_started = has_started.then_some(true);
}

/// What is to be seen of `run`, whose `job` lives and is not suspended.
pub(super) fn see(inputs: &Inputs<'_>, run: &Run, job: &JobView) -> Seen {
    let scene = Scene::of(inputs, run, job);
    if scene.has_started {
        let failing = terminated::newest(&scene.pods).or_else(|| scene.failed_before());
        let failing = failing.map(|failure| Failure { attempts: scene.attempts(), ..failure });
        let failure = run.failure.clone().or(failing);
        let sentence = run.failure.as_ref().map(sentence).unwrap_or_default();
        return Seen { phase: Phase::Running, reason: Reason::Running, sentence, failure };
    }
    let cause = scene.cause();
    let reason = cause.as_ref().map_or(Reason::Starting, |cause| cause.reason);
    let phase = if reason == Reason::PodsForbidden { Phase::Waiting } else { Phase::Updating };
    let failure = run.failure.clone().or(cause.map(|cause| cause.failure));
    let sentence = failure.as_ref().map(sentence).unwrap_or_default();
    Seen { phase, reason, sentence, failure }
}

/// Records why `run` fails, once its Job says that it does: pods may vanish from now on.
pub(super) fn capture(inputs: &Inputs<'_>, run: &mut Run, job: &JobView) {
    let Some(condition) = job.true_condition("Failed").or_else(|| job.true_condition("FailureTarget")) else {
        return;
    };
    let scene = Scene::of(inputs, run, job);
    let found = failed(&scene, run, condition, inputs.clock.now);
    let kept = match run.failure.take() {
        Some(recorded) if summary::weight(&recorded) >= summary::weight(&found) => recorded,
        _ => found,
    };
    run.failure = Some(kept);
}

/// Completes the record of a run that has just got its result from `job`.
pub(super) fn conclude(inputs: &Inputs<'_>, run: &mut Run, job: &JobView) {
    if run.result != Some(RunResult::Failed) {
        run.failure = None;
        return;
    }
    let is_late = run.reason.as_deref() == Some(Reason::StartDeadlineExceeded.as_str());
    if !is_late
        && run.failure.as_ref().is_some_and(|failure| failure.category == FailureCategory::StartDeadline)
    {
        // It was decided, and something else ended the Job first.
        run.failure = None;
    }
    capture(inputs, run, job);
    if is_late && run.message.is_some() {
        // Told when it was decided.
        return;
    }
    let attempts = Scene::of(inputs, run, job).attempts();
    let Some(failure) = &mut run.failure else {
        return;
    };
    if !matches!(failure.category, FailureCategory::Deadline | FailureCategory::StartDeadline) {
        failure.attempts = attempts;
    }
    let native = match run.reason.as_deref().unwrap_or_default() {
        "BackoffLimitExceeded" | "DeadlineExceeded" | "PodFailurePolicy" | "StartDeadlineExceeded"
            if failure.category != FailureCategory::Unknown =>
        {
            None
        }
        "FailedIndexes" | "MaxFailedIndexesExceeded" if job.status.failed_indexes.is_some() => {
            job.status.failed_indexes.as_ref().map(|indexes| format!("failed indexes: {indexes}"))
        }
        _ => run.message.take(),
    };
    let native = native.map(|native| bounded_to(&native, SENTENCE / 2) + "; ").unwrap_or_default();
    let sentence = summary::sentence(failure, SENTENCE.saturating_sub(native.len()));
    run.message = Some(native + &sentence);
}

/// Why the Job failed, or is about to.
fn failed(scene: &Scene<'_>, run: &Run, condition: &JobConditionView, now: Timestamp) -> Failure {
    let target = scene.job.true_condition("FailureTarget").unwrap_or(condition);
    let at = target.last_transition_time.as_ref().map_or(now, |time| time.0);
    let late = match run.stop {
        Some(Stop::StartDeadline) => FailureCategory::StartDeadline,
        Some(Stop::Replace) | None => FailureCategory::Deadline,
    };
    let failure = match condition.reason.as_str() {
        "DeadlineExceeded" => return deadline::interrupted(scene, late, at),
        "PodFailurePolicy" => by_policy(scene, condition),
        _ => terminated::newest(&scene.pods)
            .or_else(|| scene.failed_before())
            .unwrap_or_else(|| terminated::unknown(&bounded_to(&printable(&condition.reason), REASON))),
    };
    Failure { attempts: scene.attempts(), ..failure }
}

/// A rule of the pod failure policy ended the run; the Job controller names pod, container and rule.
fn by_policy(scene: &Scene<'_>, condition: &JobConditionView) -> Failure {
    let native = bounded_to(&printable(&condition.message), SENTENCE / 2);
    let named = scene.pods.iter().find(|pod| condition.message.contains(pod.name()));
    let failed = named.and_then(|pod| terminated::of_pod(pod)).map(|(_, failure)| failure);
    let failed = failed.or_else(|| scene.failed_before());
    let said = failed.as_ref().and_then(|failure| failure.message.as_deref());
    let message = said.map_or_else(|| native.clone(), |said| format!("{native}: {said}"));
    Failure {
        category: FailureCategory::PolicyRule,
        reason: Some("PodFailurePolicy".to_owned()),
        message: Some(bounded_to(&message, SENTENCE)),
        hint: Some(hint::POLICY_RULE.to_owned()),
        obstacle: None,
        ..failed.unwrap_or_else(|| blank(FailureCategory::PolicyRule))
    }
}

/// Why `run` is to be stopped: no container of `job` has started in `seconds`.
pub(super) fn late_start(inputs: &Inputs<'_>, run: &Run, job: &JobView, seconds: i64) -> (Failure, String) {
    let scene = Scene::of(inputs, run, job);
    let failure = deadline::interrupted(&scene, FailureCategory::StartDeadline, inputs.clock.now);
    let head = format!("no container had started {seconds} s after the start of the Job: ");
    let sentence = summary::sentence(&failure, SENTENCE.saturating_sub(head.len()));
    (failure, head + &sentence)
}

/// `failure` in one line.
pub(super) fn sentence(failure: &Failure) -> String {
    summary::sentence(failure, SENTENCE)
}

/// Nobody knows how `run` ended.
pub(super) fn lost(run: &Run) -> Failure {
    Failure {
        message: run.message.clone(),
        reason: Some(Reason::Lost.to_string()),
        hint: Some(hint::JOB_LOST.to_owned()),
        ..blank(FailureCategory::Lost)
    }
}

/// The newest pod failure of the run at hand, for the time when the pod is gone.
pub(super) fn pod_failure(observed: &Observed) -> Option<(String, Box<Failure>)> {
    let status = observed.request.as_ref()?.status.0.as_ref().ok()?;
    let uid = status.runs.first().filter(|run| run.is_open())?.job_uid.as_ref()?;
    let pods: Vec<_> = observed.pods.iter().filter(|pod| pod.is_controlled_by(uid)).collect();
    let newest = terminated::newest(&pods).map(|failure| (uid.clone(), Box::new(failure)));
    newest.or_else(|| observed.memory.pod_failure.clone().filter(|(of, _)| of == uid))
}

/// The failure tells how a pod ended, not what keeps one from starting.
const fn is_of_ended_pod(failure: &Failure) -> bool {
    match failure.category {
        FailureCategory::AppError | FailureCategory::OOMKilled => failure.exit_code.is_some(),
        FailureCategory::Evicted | FailureCategory::NodeLost | FailureCategory::Unknown => true,
        _ => false,
    }
}

const fn blank(category: FailureCategory) -> Failure {
    Failure {
        category,
        obstacle: None,
        container: None,
        is_init: None,
        pod: None,
        node: None,
        exit_code: None,
        signal: None,
        reason: None,
        message: None,
        attempts: None,
        hint: None,
    }
}

/// What keeps this pod from starting, with the reporter's own reason and message.
fn blocked(
    category: FailureCategory,
    obstacle: Obstacle,
    pod: &PodView,
    reason: &str,
    message: &str,
) -> Failure {
    Failure { obstacle: Some(obstacle), ..in_pod(category, pod, reason, message, hint::of(obstacle)) }
}

/// A failure of this pod, with the reporter's own reason and message.
fn in_pod(category: FailureCategory, pod: &PodView, reason: &str, message: &str, hint: &str) -> Failure {
    let text = |text: &str, bytes: usize| (!text.is_empty()).then(|| bounded_to(text, bytes));
    Failure {
        pod: text(pod.name(), NAME),
        node: pod.node.as_deref().and_then(|node| text(node, NAME)),
        reason: text(reason, REASON),
        message: text(message, SENTENCE),
        hint: Some(hint.to_owned()),
        ..blank(category)
    }
}
