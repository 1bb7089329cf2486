//! The evidence about one run: its Job and pods, what events said, and what was recorded before.

use super::cause::Cause;
use super::{event_query, pending, pod_creation, pod_setup, summary, terminated};
use crate::api::condition::{FailureCategory, Reason};
use crate::api::failure::Failure;
use crate::api::status::Run;
use crate::reconcile::observed::{JobView, Observed, PodView};
use crate::reconcile::state::Facts;

/// Everything that is known about one run.
pub(super) struct Evidence<'a> {
    pub observed: &'a Observed,
    pub job: &'a JobView,
    pub pods: Vec<&'a PodView>,
    /// The failure that the status shows of this run.
    pub before: Option<&'a Failure>,
    /// A container has started, by all that is known.
    pub has_started: bool,
    /// A container had started when the run was recorded last: the pods that the end of a run ends count as failed,
    /// whatever they did.
    pub was_running: bool,
}

impl<'a> Evidence<'a> {
    pub(super) fn of(facts: &Facts<'a>, run: &Run, job: &'a JobView) -> Self {
        let Facts { observed, stored, .. } = *facts;
        let pods: Vec<_> = observed.pods.iter().filter(|pod| pod.is_controlled_by(job.uid())).collect();
        let before = stored.failure.as_ref().filter(|_| stored.run == Some(run.number));
        // Pods vanish when they are replaced; what has started stays so, as long as the run is not suspended.
        let was_running = run.containers_started == Some(true);
        let counted = [job.status.ready, job.status.succeeded, job.status.failed];
        let has_started = was_running
            || counted.iter().any(|count| count.is_some_and(|count| count > 0))
            || pods.iter().any(|pod| pod.has_started());
        Self { observed, job, pods, before, has_started, was_running }
    }

    /// What refuses the Job's pods: as answered, or, between two queries, as recorded before.
    pub(super) fn pod_creation(&self) -> Option<Cause> {
        if let Some(events) = event_query::answer(self.observed, &pod_creation::events_of(self.job)) {
            return pod_creation::cause_of(events);
        }
        let recorded = self.before.filter(|before| before.reason.as_deref() == Some("FailedCreate"))?;
        let is_current = self.pods.is_empty() && !self.has_started;
        is_current.then(|| Cause { reason: Reason::PodsForbidden, failure: recorded.clone() })
    }

    /// What keeps a node from setting up a pod: as answered, or, between two queries, as recorded before.
    pub(super) fn pod_setup(&self) -> Option<(Cause, &'a PodView)> {
        let pod = pod_setup::pending(&self.pods, self.before)?;
        if let Some(events) = event_query::answer(self.observed, &pod_setup::events_of(pod)) {
            return Some((pod_setup::cause_of(pod, events)?, pod));
        }
        let recorded = self.before.filter(|before| pod_setup::is_about(before, pod))?;
        Some((Cause { reason: pending::reason_of(recorded)?, failure: recorded.clone() }, pod))
    }

    /// Why a pod failed which is gone by now.
    pub(super) fn failed_before(&self) -> Option<Failure> {
        let remembered = self.observed.memory.pod_failure.as_ref();
        let remembered = remembered.filter(|(uid, _)| uid == self.job.uid()).map(|(_, failure)| &**failure);
        remembered.or(self.before.filter(|before| is_of_terminated_pod(before))).cloned()
    }

    /// What keeps the first container from starting.
    pub(super) fn cause(&self) -> Option<Cause> {
        let cause = match pending::stuck(&self.pods) {
            Some((cause, _)) => cause,
            None => self
                .pod_creation()
                .filter(|_| pod_creation::has_no_pods(self.observed, self.job))
                .or_else(|| self.pod_setup().map(|(cause, _)| cause))
                .or_else(|| self.recorded_cause())?,
        };
        // The kubelet's messages alternate while the cause is the same: the first one stays.
        let recorded = self.before.filter(|before| summary::is_same_cause(before, &cause.failure));
        Some(Cause { failure: recorded.cloned().unwrap_or(cause.failure), ..cause })
    }

    /// What was recorded before, while no pod is left that could show more: a deadline deletes them a moment before the
    /// Job says so.
    fn recorded_cause(&self) -> Option<Cause> {
        let is_over = |pod: &&PodView| pod.is_terminating() || pod.is_failed;
        let recorded = self.before.filter(|before| !is_of_terminated_pod(before))?;
        let was_asked = event_query::answer(self.observed, &pod_creation::events_of(self.job)).is_some();
        let reason = pending::reason_of(recorded)?;
        (!was_asked && self.pods.iter().all(is_over)).then(|| Cause { reason, failure: recorded.clone() })
    }

    /// Why a pod failed while the run continues, with how many did.
    pub(super) fn newest_pod_failure(&self) -> Option<Failure> {
        let newest = terminated::newest(&self.pods).or_else(|| self.failed_before())?;
        Some(Failure { attempts: self.attempts(), ..newest })
    }

    /// How many pods have failed.
    pub(super) fn attempts(&self) -> Option<i32> {
        self.job.status.failed.filter(|failed| *failed > 0)
    }
}

/// The failure is about how a pod ended, not about what keeps one from starting.
pub(super) const fn is_of_terminated_pod(failure: &Failure) -> bool {
    match failure.category {
        FailureCategory::AppError | FailureCategory::OOMKilled => failure.exit_code.is_some(),
        FailureCategory::Evicted | FailureCategory::NodeLost | FailureCategory::Unknown => true,
        _ => false,
    }
}
