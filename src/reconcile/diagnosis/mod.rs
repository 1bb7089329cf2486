//! Explains why a run is stuck or has failed.
//!
//! A [`Diagnosis`] is made of a run, its Job and the facts; it says which events to query, how the run progresses, and
//! why it fails. [`pending`] knows what keeps containers from starting, [`pod_setup`] what keeps a node from setting up a
//! pod, [`pod_creation`] what keeps a Job from creating pods ([`event_query`] when to ask about the two), [`terminated`]
//! why pods failed, [`deadline`] what a deadline interrupted; [`hint`] says what to do about it, and [`summary`] puts it
//! into a sentence. All of them are derived from the [`evidence`].
//!
//! Pods vanish: what was recorded stays, unless what comes later is more specific.

mod cause;
mod deadline;
mod event_query;
mod evidence;
mod hint;
mod pending;
mod pod_creation;
mod pod_setup;
mod summary;
mod terminated;

use cause::{MAX_MESSAGE_BYTES, MAX_REASON_BYTES, blank};
use evidence::Evidence;

pub(super) use event_query::{QueryDecision, asked};
pub(super) use pod_creation::of_job as job_forbidden;

use super::format::{bounded_to, printable};
use super::observed::{JobConditionView, JobView, Observed};
use super::state::{Facts, Progress};
use crate::api::condition::{FailureCategory, Phase, Reason, RunResult, Stop};
use crate::api::failure::Failure;
use crate::api::status::Run;

/// What there is to say about one run, whose Job exists.
pub(super) struct Diagnosis<'a> {
    facts: Facts<'a>,
    job: &'a JobView,
    /// Why the operator itself stops the run.
    stop: Option<Stop>,
    evidence: Evidence<'a>,
}

impl<'a> Diagnosis<'a> {
    /// Of `run`, whose Job is `job`.
    pub(super) fn of(facts: &Facts<'a>, run: &Run, job: &'a JobView) -> Self {
        Self { facts: *facts, job, stop: run.stop, evidence: Evidence::of(facts, run, job) }
    }

    /// A container has started, by all that is known.
    pub(super) const fn has_started(&self) -> bool {
        self.evidence.has_started
    }

    /// Whether a container has started since the Job was started or resumed, as it is recorded.
    pub(super) fn containers_started(&self, recorded: Option<bool>) -> Option<bool> {
        // The pods that a failing run ends count as failed, whatever they did.
        if self.job.true_condition("FailureTarget").is_some() {
            return recorded;
        }
        (self.job.spec.suspend != Some(true) && self.evidence.has_started).then_some(true)
    }

    /// Whether to query events.
    pub(super) fn question(&self) -> QueryDecision {
        let Evidence { observed, pods, before, has_started, .. } = &self.evidence;
        let is_explained = *has_started || self.job.is_ending() || pending::stuck(pods).is_some();
        let query = pod_creation::query(observed, self.job)
            .or_else(|| pod_setup::query(pods, *before).filter(|_| !is_explained));
        query.map_or(QueryDecision::No, |query| event_query::decide(observed, query, self.facts.clock))
    }

    /// The visible progress, while the Job is active; `recorded` is the failure in the run's record.
    pub(super) fn progress(&self, recorded: Option<&Failure>) -> Progress {
        if self.evidence.has_started {
            let failure = recorded.cloned().or_else(|| self.evidence.newest_pod_failure());
            let message = recorded.map(sentence).unwrap_or_default();
            return Progress { phase: Phase::Running, reason: Reason::Running, message, failure };
        }
        let cause = self.evidence.cause();
        let reason = cause.as_ref().map_or(Reason::Starting, |cause| cause.reason);
        let phase = if reason == Reason::PodsForbidden { Phase::Waiting } else { Phase::Updating };
        let failure = recorded.cloned().or(cause.map(|cause| cause.failure));
        let message = failure.as_ref().map(sentence).unwrap_or_default();
        Progress { phase, reason, message, failure }
    }

    /// Why the run fails, once its Job says that it does: pods may vanish from now on. What was `recorded` stays unless
    /// this is more specific.
    pub(super) fn failure(&self, recorded: Option<Failure>) -> Option<Failure> {
        let condition =
            self.job.true_condition("Failed").or_else(|| self.job.true_condition("FailureTarget"));
        let Some(condition) = condition else {
            return recorded;
        };
        let found = self.failed(condition);
        match recorded {
            Some(recorded) if summary::specificity(&recorded) >= summary::specificity(&found) => {
                Some(recorded)
            }
            _ => Some(found),
        }
    }

    /// Completes the record of the run, which has just got its result.
    pub(super) fn conclude(&self, run: &mut Run) {
        if run.result != Some(RunResult::Failed) {
            run.failure = None;
            return;
        }
        let is_late = run.reason.as_deref() == Some(Reason::StartDeadlineExceeded.as_str());
        // If the start deadline was decided on, something else may have ended the Job first.
        let recorded = run
            .failure
            .take()
            .filter(|failure| is_late || failure.category != FailureCategory::StartDeadline);
        run.failure = self.failure(recorded);
        if is_late && run.message.is_some() {
            // Recorded when it was decided.
            return;
        }
        let Some(failure) = &mut run.failure else {
            return;
        };
        if !matches!(failure.category, FailureCategory::Deadline | FailureCategory::StartDeadline) {
            failure.attempts = self.evidence.attempts();
        }
        let native = match run.reason.as_deref().unwrap_or_default() {
            "BackoffLimitExceeded" | "DeadlineExceeded" | "PodFailurePolicy" | "StartDeadlineExceeded"
                if failure.category != FailureCategory::Unknown =>
            {
                None
            }
            "FailedIndexes" | "MaxFailedIndexesExceeded" if self.job.status.failed_indexes.is_some() => {
                self.job.status.failed_indexes.as_ref().map(|indexes| format!("failed indexes: {indexes}"))
            }
            _ => run.message.take(),
        };
        let native =
            native.map(|native| bounded_to(&native, MAX_MESSAGE_BYTES / 2) + "; ").unwrap_or_default();
        let sentence = summary::sentence(failure, MAX_MESSAGE_BYTES.saturating_sub(native.len()));
        run.message = Some(native + &sentence);
    }

    /// Why the run is to be stopped: no container has started in `seconds`.
    pub(super) fn late_start(&self, seconds: i64) -> (Failure, String) {
        let now = self.facts.clock.now;
        let failure = deadline::interrupted(&self.evidence, FailureCategory::StartDeadline, now);
        let head = format!("no container had started {seconds} s after the start of the Job: ");
        let sentence = summary::sentence(&failure, MAX_MESSAGE_BYTES.saturating_sub(head.len()));
        (failure, head + &sentence)
    }

    /// Why the Job failed, or is about to.
    fn failed(&self, condition: &JobConditionView) -> Failure {
        let target = self.job.true_condition("FailureTarget").unwrap_or(condition);
        let at = target.last_transition_time.as_ref().map_or(self.facts.clock.now, |time| time.0);
        let late = match self.stop {
            Some(Stop::StartDeadline) => FailureCategory::StartDeadline,
            Some(Stop::Replace | Stop::LimitsExceeded) | None => FailureCategory::Deadline,
        };
        let failure = match condition.reason.as_str() {
            "DeadlineExceeded" => return deadline::interrupted(&self.evidence, late, at),
            "PodFailurePolicy" => self.by_policy(condition),
            reason => self
                .evidence
                .newest_pod_failure()
                .unwrap_or_else(|| terminated::unknown(&bounded_to(&printable(reason), MAX_REASON_BYTES))),
        };
        Failure { attempts: self.evidence.attempts(), ..failure }
    }

    /// A rule of the pod failure policy ended the run; the Job controller names pod, container and rule.
    fn by_policy(&self, condition: &JobConditionView) -> Failure {
        let native = bounded_to(&printable(&condition.message), MAX_MESSAGE_BYTES / 2);
        let named = self.evidence.pods.iter().find(|pod| condition.message.contains(pod.name()));
        let failed = named.and_then(|pod| terminated::of_pod(pod)).map(|(_, failure)| failure);
        let failed = failed.or_else(|| self.evidence.failed_before());
        let output = failed.as_ref().and_then(|failure| failure.message.as_deref());
        let message = output.map_or_else(|| native.clone(), |output| format!("{native}: {output}"));
        Failure {
            category: FailureCategory::PolicyRule,
            obstacle: None,
            reason: Some("PodFailurePolicy".to_owned()),
            message: Some(bounded_to(&message, MAX_MESSAGE_BYTES)),
            hint: Some(hint::POLICY_RULE.to_owned()),
            ..failed.unwrap_or_else(|| blank(FailureCategory::PolicyRule))
        }
    }
}

/// `failure` in one line.
pub(super) fn sentence(failure: &Failure) -> String {
    summary::sentence(failure, MAX_MESSAGE_BYTES)
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

/// The stored Job breaks limits of policies that the compiled one met.
pub(super) fn limits_exceeded(message: &str) -> Failure {
    Failure {
        message: Some(bounded_to(message, MAX_MESSAGE_BYTES)),
        reason: Some(Reason::LimitsExceeded.to_string()),
        hint: Some(hint::LIMITS_EXCEEDED.to_owned()),
        ..blank(FailureCategory::LimitsExceeded)
    }
}

/// The newest pod failure of the run that is open, for the time when the pod is gone.
pub(super) fn pod_failure(observed: &Observed) -> Option<(String, Box<Failure>)> {
    let status = observed.request.as_ref()?.status.0.as_ref().ok()?;
    let uid = status.runs.first().filter(|run| run.is_open())?.job_uid.as_ref()?;
    let pods: Vec<_> = observed.pods.iter().filter(|pod| pod.is_controlled_by(uid)).collect();
    let newest = terminated::newest(&pods).map(|failure| (uid.clone(), Box::new(failure)));
    newest.or_else(|| observed.memory.pod_failure.clone().filter(|(of, _)| of == uid))
}
