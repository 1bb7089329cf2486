//! Explains why a run is stuck or has failed.
//!
//! A [`Diagnosis`] is made of a run, its Job and the facts; it says which events to query, how the run progresses, and
//! why it fails. [`pending`] knows what keeps containers from starting, [`pod_setup`] what keeps a node from setting up a
//! pod, [`pod_creation`] what keeps a Job from creating pods ([`event_query`] when to ask about the two), [`terminated`]
//! why pods failed, [`deadline`] what a deadline interrupted, [`outlived`] what keeps pods alive after the work. [`refusal`]
//! reads what the API server refuses, [`hint`] says what to do about it, and [`summary`] puts it into a sentence. All of
//! them are derived from the [`evidence`].
//!
//! Pods vanish: what was recorded stays, unless what comes later is more specific.

mod cause;
mod deadline;
mod event_query;
mod evidence;
mod hint;
mod outlived;
mod pending;
mod pod_creation;
mod pod_setup;
mod refusal;
mod summary;
mod terminated;

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use cause::{MAX_MESSAGE_BYTES, MAX_REASON_BYTES, blank};
use evidence::Evidence;
use outlived::Outlived;

pub(super) use event_query::{QueryDecision, asked};
pub(super) use pod_creation::of_job as job_forbidden;

use super::format::{bounded_to, printable};
use super::observed::{JobConditionView, JobView, Observed, PodView};
use super::plan::Next;
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

    /// A container of the work has started, by all that is known.
    pub(super) const fn has_begun_work(&self) -> bool {
        self.evidence.has_begun_work
    }

    /// Whether a container of the work has started since the Job was started or resumed, as it is recorded.
    pub(super) fn containers_started(&self, recorded: Option<bool>) -> Option<bool> {
        // The pods that a failing run ends say nothing about it any more.
        if self.job.true_condition("FailureTarget").is_some() {
            return recorded;
        }
        if self.job.spec.suspend == Some(true) {
            return recorded.map(|_| false);
        }
        self.evidence.has_begun_work.then_some(true).or(recorded)
    }

    /// Nothing of the work has ever run, and nothing does as long as nobody acts: the Job is suspended since it was created,
    /// or something keeps its pods or their containers from starting.
    pub(super) fn is_stuck_at_the_start(&self, run: &Run) -> bool {
        let never_began = run.containers_started.is_none() && !self.evidence.has_begun_work;
        let is_stuck = if self.job.spec.suspend == Some(true) {
            run.start_time.is_none()
        } else {
            self.evidence.cause().is_some()
        };
        never_began && is_stuck
    }

    /// What holds the run up, if anything does.
    pub(super) fn stuck_on(&self) -> Option<Failure> {
        self.evidence.cause().map(|cause| cause.failure)
    }

    /// Whether to query events.
    pub(super) fn question(&self) -> QueryDecision {
        let Evidence { observed, pods, before, .. } = &self.evidence;
        let is_explained = self.job.is_ending() || pending::stuck(&self.evidence.active_pods()).is_some();
        let query = pod_creation::query(self.job, pods)
            .or_else(|| pod_setup::query(pods, *before))
            .filter(|_| !is_explained);
        query.map_or(QueryDecision::No, |query| event_query::decide(observed, query, self.facts.clock))
    }

    /// The visible progress, while the Job is active; `recorded` is the failure in the run's record.
    pub(super) fn progress(&self, recorded: Option<&Failure>) -> Progress {
        let has_begun_work = self.evidence.has_begun_work;
        // Why the run fails is recorded: what is stuck meanwhile is no news.
        let cause = self.evidence.cause().filter(|_| recorded.is_none() || !has_begun_work);
        let reason = cause.as_ref().map(|cause| cause.reason);
        let phase = match reason {
            _ if has_begun_work => Phase::Running,
            Some(Reason::PodsForbidden) if self.evidence.pods.is_empty() => Phase::Waiting,
            _ => Phase::Updating,
        };
        let usual = if has_begun_work { Reason::Running } else { Reason::Starting };
        let reason = reason.unwrap_or(usual);
        let known = recorded.cloned().or(cause.map(|cause| cause.failure));
        let (message, failure) = match known {
            Some(failure) => (sentence(&failure), Some(failure)),
            None => match self.evidence.newest_pod_failure() {
                Some(failure) => (summary::failing(&failure, self.job), Some(failure)),
                None => (self.note().unwrap_or_default(), None),
            },
        };
        // What is to be gone is not waited for to start.
        let message = if self.job.is_terminating() { self.note().unwrap_or_default() } else { message };
        Progress { phase, reason, message, failure }
    }

    /// Why nothing happens, where that is no failure.
    fn note(&self) -> Option<String> {
        if self.job.is_terminating() {
            let name = self.job.name();
            return Some(match self.overdue() {
                Some((pod, _)) => {
                    let node = pod.node.as_deref().map(|node| format!(" on node {node}")).unwrap_or_default();
                    let since = pod.metadata.deletion_timestamp.as_ref();
                    let since = since.map(|time| format!(" at {}", time.0)).unwrap_or_default();
                    format!(
                        "Job {name} is being deleted, but pod {}{node} has not ended, although its grace period was over{since}: check the node",
                        pod.name()
                    )
                }
                None => format!("Job {name} is being deleted; its pods have not ended yet"),
            });
        }
        if self.job.spec.parallelism == Some(0) {
            return Some("parallelism is 0, so that no pod is created; raise it to continue".to_owned());
        }
        let now = self.facts.clock.now;
        let late = self.outlived().into_iter().find(|outlived| outlived.reported_at <= now);
        late.map(|outlived| outlived.sentence())
    }

    /// The pods that containers keep alive after others have done their work, in order of their names.
    fn outlived(&self) -> Vec<Outlived<'_>> {
        let mut outlived: Vec<_> = self.evidence.active_pods().into_iter().filter_map(Outlived::of).collect();
        outlived.sort_by_key(|outlived| outlived.pod);
        outlived
    }

    /// The pod of a Job that is being deleted which has outlived its grace period longest.
    fn overdue(&self) -> Option<(&PodView, Timestamp)> {
        let now = self.facts.clock.now;
        self.terminating()
            .into_iter()
            .filter(|(_, end)| *end < now)
            .min_by_key(|(pod, end)| (*end, pod.name()))
    }

    /// The pods that are being deleted, each with the end of its grace period.
    fn terminating(&self) -> Vec<(&PodView, Timestamp)> {
        let of_pod = |pod: &&'a PodView| Some((*pod, pod.metadata.deletion_timestamp.as_ref()?.0));
        self.evidence.pods.iter().filter_map(of_pod).collect()
    }

    /// When something is to be reported if it has not ended by then: the pods of a Job that is being deleted, or a container
    /// that keeps its pod alive after the work.
    pub(super) fn next(&self) -> Next {
        let now = self.facts.clock.now;
        let ends: Vec<Timestamp> = if self.job.is_terminating() {
            self.terminating().into_iter().map(|(_, end)| end).collect()
        } else {
            self.outlived().into_iter().map(|outlived| outlived.reported_at).collect()
        };
        let end = ends.into_iter().filter(|end| *end >= now).min();
        let left = end.map(|end| end.duration_since(now).saturating_add(SignedDuration::from_secs(1)));
        left.and_then(|left| Duration::try_from(left).ok()).map_or(Next::AwaitChange, Next::After)
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
        // A deadline of the Job ends pods that have not failed; one of the pod itself is a failure like others.
        if !matches!(run.reason.as_deref(), Some("DeadlineExceeded" | "StartDeadlineExceeded")) {
            failure.attempts = self.evidence.attempts(failure.attempts);
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

    /// Why the run is to be stopped: no main container has started in `seconds`.
    pub(super) fn late_start(&self, seconds: i64) -> (Failure, String) {
        let now = self.facts.clock.now;
        let failure = deadline::interrupted(&self.evidence, FailureCategory::StartDeadline, now);
        let head = format!("no main container had started {seconds} s after the start of the Job: ");
        let sentence = summary::sentence(&failure, MAX_MESSAGE_BYTES.saturating_sub(head.len()));
        (failure, head + &sentence)
    }

    /// Why the Job failed, or is about to.
    fn failed(&self, condition: &JobConditionView) -> Failure {
        let target = self.job.true_condition("FailureTarget").unwrap_or(condition);
        let at = target.last_transition_time.as_ref().map_or(self.facts.clock.now, |time| time.0);
        let late = match self.stop {
            Some(Stop::StartDeadline) => FailureCategory::StartDeadline,
            Some(Stop::Replace | Stop::NeverStarted | Stop::LimitsExceeded | Stop::Cancel) | None => {
                FailureCategory::Deadline
            }
        };
        let failure = match condition.reason.as_str() {
            "DeadlineExceeded" => return deadline::interrupted(&self.evidence, late, at),
            "PodFailurePolicy" => self.by_policy(condition),
            reason => self.evidence.newest_pod_failure().unwrap_or_else(|| {
                let native = bounded_to(&printable(reason), MAX_REASON_BYTES);
                terminated::unknown(&native, self.job.metadata.namespace.as_deref())
            }),
        };
        Failure { attempts: self.evidence.attempts(None), ..failure }
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
    let job = observed.jobs.iter().find(|job| job.uid() == uid);
    let pods = job.map(|job| evidence::pods_of(observed, job)).unwrap_or_default();
    let newest = terminated::newest(&pods).map(|failure| (uid.clone(), Box::new(failure)));
    newest.or_else(|| observed.memory.pod_failure.clone().filter(|(of, _)| of == uid))
}
