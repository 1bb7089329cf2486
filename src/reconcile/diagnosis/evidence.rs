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
    /// A container of the work has started, by all that is known.
    pub has_begun_work: bool,
}

impl<'a> Evidence<'a> {
    pub(super) fn of(facts: &Facts<'a>, run: &Run, job: &'a JobView) -> Self {
        let Facts { observed, stored, .. } = *facts;
        let pods = pods_of(observed, job);
        let before = stored.failure.as_ref().filter(|_| stored.run == Some(run.number));
        // Pods vanish when they are replaced; what has started stays so, as long as the run is not suspended.
        let counts = |count: Option<i32>| count.is_some_and(|count| count > 0);
        // Of a failed pod that is gone nobody knows. While a run is ended, the pods that this ends count as failed.
        let failed_unseen = counts(job.status.failed) && pods.is_empty() && !job.is_ending();
        let has_begun_work = run.containers_started == Some(true)
            || counts(job.status.ready)
            || counts(job.status.succeeded)
            || failed_unseen
            || pods.iter().any(|pod| pod.has_begun_work());
        Self { observed, job, pods, before, has_begun_work }
    }

    /// The pods that are neither being deleted nor have failed.
    pub(super) fn active_pods(&self) -> Vec<&'a PodView> {
        let is_active = |pod: &&PodView| !pod.is_terminating() && !pod.is_failed;
        self.pods.iter().copied().filter(is_active).collect()
    }

    /// What refuses the Job's pods: as answered, or, between two queries, as recorded before.
    pub(super) fn pod_creation(&self) -> Option<Cause> {
        if !pod_creation::lacks_pods(self.job, &self.pods) {
            return None;
        }
        if let Some(events) = event_query::answer(self.observed, &pod_creation::events_of(self.job)) {
            return pod_creation::cause_of(events, pod_creation::since(self.job, &self.pods));
        }
        let recorded = self.before.filter(|before| before.reason.as_deref() == Some("FailedCreate"))?;
        Some(Cause { reason: Reason::PodsForbidden, failure: recorded.clone() })
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

    /// What holds the run up, at any time: what keeps a container from starting, or pods from being created.
    pub(super) fn cause(&self) -> Option<Cause> {
        let active = self.active_pods();
        // A deadline deletes the pods a moment before the Job says so.
        let pods = if active.is_empty() && !self.has_begun_work { &self.pods } else { &active };
        let cause = match pending::stuck(pods) {
            Some((cause, _)) => cause,
            None => self
                .pod_creation()
                .or_else(|| self.pod_setup().map(|(cause, _)| cause))
                .or_else(|| self.recorded_cause())?,
        };
        // The kubelet's messages alternate while the cause is the same: the first one stays.
        let recorded = self.before.filter(|before| summary::is_same_cause(before, &cause.failure));
        Some(Cause { failure: recorded.cloned().unwrap_or(cause.failure), ..cause })
    }

    /// What was recorded before any work had begun, while no pod is left that could show more: a deadline deletes them a
    /// moment before the Job says so.
    fn recorded_cause(&self) -> Option<Cause> {
        let recorded = self.before.filter(|before| !is_of_terminated_pod(before))?;
        let was_asked = event_query::answer(self.observed, &pod_creation::events_of(self.job)).is_some();
        let reason = pending::reason_of(recorded)?;
        let is_current = !was_asked && !self.has_begun_work && self.active_pods().is_empty();
        is_current.then(|| Cause { reason, failure: recorded.clone() })
    }

    /// Why a pod failed while the run continues, with how many did.
    pub(super) fn newest_pod_failure(&self) -> Option<Failure> {
        let newest = terminated::newest(&self.pods).or_else(|| self.failed_before())?;
        Some(Failure { attempts: self.attempts(None), ..newest })
    }

    /// How many pods have failed on their own; `recorded`: as it was counted before. Those which the Job controller stops when
    /// a run fails are counted as failed by it, too, and are gone soon after.
    pub(super) fn attempts(&self, recorded: Option<i32>) -> Option<i32> {
        let counted = self.job.status.failed.filter(|failed| *failed > 0)?;
        if self.job.true_condition("FailureTarget").is_none() {
            return Some(counted);
        }
        let count = |is: fn(&PodView) -> bool| {
            i32::try_from(self.pods.iter().filter(|pod| is(pod)).count()).unwrap_or(i32::MAX)
        };
        let stopped = count(|pod| pod.is_terminating() && pod.disruption.is_none());
        let own = count(|pod| pod.is_failed && !pod.is_terminating());
        let rest = counted.saturating_sub(stopped);
        Some(recorded.map_or(rest, |recorded| recorded.min(rest)).max(own).clamp(1, counted))
    }
}

/// The pods of `job`, but for those which the Job controller has deleted because it was suspended: that is no failure, also
/// not while they end beside those of the resumed Job.
pub(super) fn pods_of<'a>(observed: &'a Observed, job: &JobView) -> Vec<&'a PodView> {
    let start = job.status.start_time.as_ref();
    let is_suspended = job.spec.suspend == Some(true);
    let was_suspended = |pod: &PodView| {
        let created = pod.metadata.creation_timestamp.as_ref();
        pod.is_terminating()
            && (is_suspended || created.zip(start).is_some_and(|(created, start)| created < start))
    };
    observed.pods.iter().filter(|pod| pod.is_controlled_by(job.uid()) && !was_suspended(pod)).collect()
}

/// The failure is about how a pod ended, not about what keeps one from starting.
pub(super) const fn is_of_terminated_pod(failure: &Failure) -> bool {
    match failure.category {
        FailureCategory::AppError | FailureCategory::OOMKilled => failure.exit_code.is_some(),
        FailureCategory::Evicted | FailureCategory::NodeLost | FailureCategory::Unknown => true,
        _ => false,
    }
}
