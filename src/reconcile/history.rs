//! The history of runs: how one is reserved, what of a Job is recorded, and how much of an older record is kept.
//!
//! Takes Jobs and what was recorded before; returns the history. Whether to record is decided in [`super::run`].

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::format::{bounded_to, duration_text, whole_seconds};
use super::observed::{Clock, JobView, Observed, SpecView, StoredRequest};
use super::plan::Read;
use super::rerun;
use crate::api::condition::{Reason, RunResult, Stop, Trigger};
use crate::api::status::{HandledRerun, HeldSpec, MAX_RUNS, Run, TemplatePin};
use crate::api::{JobRequestStatus, labels};
use crate::compile::names::job_name;

/// A request younger than this, at its first generation, cannot have been wiped. Rule 10.
const BRAND_NEW: SignedDuration = SignedDuration::from_secs(60);
/// Maximum size of all records together in the status, in bytes.
const MAX_HISTORY_BYTES: usize = 32 * 1024;
/// Maximum length of reason and message of the newest record, in bytes.
const MAX_NEWEST_BYTES: (usize, usize) = (1024, 1024);
/// Maximum length of reason and message of an older one, in bytes.
const MAX_OLDER_BYTES: (usize, usize) = (64, 256);

/// The runs of a request, and the rerun tokens that were handled with them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RunHistory {
    /// Newest first.
    pub runs: Vec<Run>,
    /// The rerun tokens that were handled.
    pub handled: HandledRerun,
    /// The spec that counts as having run, before there is a run.
    pub held: Option<HeldSpec>,
}

/// The history to go by: that of the status, or, when it was wiped, the one that the Jobs themselves show. Rule 10.
///
/// # Errors
/// The read that is needed first.
pub(super) fn known(
    observed: &Observed,
    request: &StoredRequest,
    stored: &JobRequestStatus,
    clock: Clock,
) -> Result<RunHistory, Read> {
    if !stored.is_unwritten() {
        let handled = stored.last_handled_rerun.clone().unwrap_or_default();
        return Ok(RunHistory { runs: stored.runs.clone(), handled, held: stored.held.clone() });
    }
    let Some(jobs) = &observed.answers.jobs else {
        let age =
            request.metadata.creation_timestamp.as_ref().map(|created| clock.now.duration_since(created.0));
        let is_brand_new = request.generation() <= 1
            && age.is_some_and(|age| age < BRAND_NEW)
            && observed.memory.recorded_since.is_empty()
            && !observed.jobs.iter().any(|job| job.is_of(request.uid()));
        return if is_brand_new { Ok(RunHistory::default()) } else { Err(Read::Jobs) };
    };
    Ok(rebuild(request, jobs))
}

fn rebuild(request: &StoredRequest, jobs: &[JobView]) -> RunHistory {
    let mut runs: Vec<(Run, HandledRerun)> = jobs
        .iter()
        .filter(|job| job.is_of(request.uid()))
        .filter_map(|job| {
            let number = job.run().filter(|number| *number > 0)?;
            let mut run = blank(request, number, Trigger::Created);
            job.name().clone_into(&mut run.job_name);
            record_uid(&mut run, job);
            record_result(&mut run, job);
            Some((run, rerun::handled_with(job)))
        })
        .collect();
    // People copy Jobs, annotations and all: the one that bears the name of the run is that run.
    let is_renamed = |run: &Run| run.job_name != job_name(request.name(), run.number);
    runs.sort_by_key(|(run, _)| (std::cmp::Reverse(run.number), is_renamed(run)));
    runs.dedup_by_key(|(run, _)| run.number);
    runs.truncate(MAX_RUNS);
    let handled = runs.first().map(|(_, handled)| handled.clone()).unwrap_or_default();
    let shortened = |(place, (run, _))| if place == 0 { run } else { shorten(run) };
    RunHistory { runs: runs.into_iter().enumerate().map(shortened).collect(), handled, held: None }.fit()
}

/// A run to reserve. Rule 3.
#[derive(Clone, Debug)]
pub(super) struct Reservation {
    pub number: i32,
    pub trigger: Trigger,
    pub token: Option<String>,
    pub templates: Vec<TemplatePin>,
}

impl Reservation {
    /// Reserves the run on `request`: its number and both rerun tokens, as seen in that very object.
    pub(super) fn on(self, request: &StoredRequest, spec: &SpecView) -> Run {
        Run {
            token: self.token,
            digest: spec.digest(),
            templates: self.templates,
            ..blank(request, self.number, self.trigger)
        }
    }
}

fn blank(request: &StoredRequest, number: i32, trigger: Trigger) -> Run {
    Run {
        number,
        job_name: job_name(request.name(), number),
        job_uid: None,
        trigger,
        token: None,
        stop: None,
        digest: String::new(),
        generation: request.generation(),
        templates: Vec::new(),
        start_time: None,
        containers_started: None,
        end_time: None,
        duration: None,
        desired: None,
        succeeded: None,
        failed: None,
        result: None,
        reason: None,
        message: None,
        failure: None,
    }
}

impl RunHistory {
    /// Nothing has run, and nothing counts as having run.
    pub(super) fn is_new(&self) -> bool {
        self.runs.is_empty() && self.held.is_none()
    }

    /// The newest run that has, or had, a Job: what is wanted is compared with it.
    pub(super) fn ran(&self) -> Option<&Run> {
        Run::newest_with_job(&self.runs)
    }

    /// The newest run, if it is reserved and no Job of it is known.
    pub(super) fn reserved(&self) -> Option<&Run> {
        self.runs.first().filter(|run| run.is_reserved())
    }

    /// The history once the `spec` of `request` counts as having run, with the rerun tokens that it holds.
    pub(super) fn hold(&self, request: &StoredRequest, spec: &SpecView) -> Self {
        let held = HeldSpec { digest: spec.digest(), generation: request.generation() };
        Self { held: Some(held), handled: rerun::handle(request, &self.handled), ..self.clone() }
    }

    /// The history once the reservation of the newest run is renewed on `request`: `run` takes its place, under the same
    /// number.
    pub(super) fn renew(&self, request: &StoredRequest, run: Run) -> Self {
        let history = self.with_newest(|newest| *newest = run);
        Self { handled: rerun::handle(request, &self.handled), ..history }
    }

    /// The history once `run` is reserved on `request`, in place of the newest one if that is `skipped`. Where there are
    /// too many records, the oldest go first of those whose Job is not among `jobs`: a Job without its record would be
    /// a stray. The history limits keep fewer Jobs than there are records.
    pub(super) fn reserve(
        &self,
        request: &StoredRequest,
        run: Run,
        skips_newest: bool,
        jobs: &[JobView],
    ) -> Self {
        let before = self.runs.iter().skip(usize::from(skips_newest)).cloned().map(shorten);
        let mut runs: Vec<Run> = std::iter::once(run).chain(before).collect();
        let has_job =
            |run: &Run| run.job_uid.as_deref().is_some_and(|uid| jobs.iter().any(|job| job.uid() == uid));
        while runs.len() > MAX_RUNS {
            let oldest =
                runs.iter().skip(1).rposition(|run| !has_job(run)).map_or(MAX_RUNS, |place| place + 1);
            runs.remove(oldest);
        }
        Self { runs, handled: rerun::handle(request, &self.handled), held: self.held.clone() }.fit()
    }

    /// The history once `change` is made to the newest run.
    pub(super) fn with_newest(&self, change: impl FnOnce(&mut Run)) -> Self {
        let mut history = self.clone();
        if let Some(newest) = history.runs.first_mut() {
            change(newest);
        }
        history.fit()
    }

    /// The history once the newest run's Job is known to be `job`. Rule 7: digest, generation, templates and tokens are
    /// those that the Job was created with.
    pub(super) fn with_job(&self, job: &JobView) -> Self {
        let mut history = self.with_newest(|newest| record_uid(newest, job));
        history.handled = rerun::handled_with(job);
        history.held = None;
        history
    }

    /// Takes from the oldest records first what they can do without, until all together fit.
    fn fit(mut self) -> Self {
        let size = |run: &Run| serde_json::to_vec(run).map_or(0, |json| json.len() + 1);
        let mut total: usize = self.runs.iter().map(size).sum();
        let spare: [fn(&mut Run); 4] = [
            |run| run.message = None,
            |run| run.failure = None,
            |run| run.templates.clear(),
            |run| run.token = None,
        ];
        for lighten in spare {
            for run in self.runs.iter_mut().skip(1).rev() {
                if total <= MAX_HISTORY_BYTES {
                    return self;
                }
                let before = size(run);
                lighten(run);
                total = total.saturating_sub(before.saturating_sub(size(run)));
            }
        }
        self
    }
}

fn record_uid(run: &mut Run, job: &JobView) {
    run.job_uid = Some(job.uid().to_owned());
    if let Some(digest) = job.annotation(labels::DIGEST) {
        digest.clone_into(&mut run.digest);
    }
    if let Some(generation) = job.annotation(labels::GENERATION).and_then(|text| text.parse().ok()) {
        run.generation = generation;
    }
    let pins = job.annotation(labels::TEMPLATES).and_then(|text| serde_json::from_str(text).ok());
    run.templates = pins.unwrap_or_default();
}

/// Records how far the run has come.
pub(super) fn record_progress(run: &mut Run, job: &JobView) {
    run.start_time = job.status.start_time.clone().or(run.start_time.take());
    run.desired = job.spec.completions;
    run.succeeded = Some(job.status.succeeded.unwrap_or_default());
    run.failed = Some(job.status.failed.unwrap_or_default());
}

/// Records the result, if the Job has ended. Written once: a run with a result is never looked at again.
pub(super) fn record_result(run: &mut Run, job: &JobView) -> bool {
    let (result, condition) = match (job.true_condition("Complete"), job.true_condition("Failed")) {
        (Some(complete), _) => (RunResult::Succeeded, complete),
        (None, Some(failed)) => (RunResult::Failed, failed),
        (None, None) => return false,
    };
    record_progress(run, job);
    run.result = Some(result);
    let native = if condition.reason.is_empty() { &condition.type_ } else { &condition.reason };
    // Our own deadline is a native one to the Job.
    let is_late =
        run.stop == Some(Stop::StartDeadline) && result == RunResult::Failed && native == "DeadlineExceeded";
    let reason = if is_late { Reason::StartDeadlineExceeded.as_str() } else { native };
    run.reason = Some(bounded_to(reason, MAX_NEWEST_BYTES.0));
    if !is_late {
        run.stop = None;
        run.message =
            (!condition.message.is_empty()).then(|| bounded_to(&condition.message, MAX_NEWEST_BYTES.1));
    }
    let end = job.status.completion_time.as_ref().or(condition.last_transition_time.as_ref());
    if let Some(Time(end)) = end {
        set_end(run, *end);
    }
    true
}

/// Records that the Job was gone before its result was seen.
pub(super) fn record_lost(run: &mut Run, now: Timestamp) {
    let message = format!(
        "Job {} was deleted before its result was seen; whether it did its work is unknown",
        run.job_name
    );
    record_gone(run, RunResult::Lost, Reason::Lost, message, now);
}

/// Records that the run was stopped for a newer one.
pub(super) fn record_replaced(run: &mut Run, stop: Stop, cause: Option<String>, now: Timestamp) {
    let why = match stop {
        Stop::NeverStarted => "it was stuck before its work had begun",
        Stop::Replace | Stop::StartDeadline | Stop::LimitsExceeded | Stop::Cancel => {
            "runPolicy.whileActive is Replace"
        }
    };
    let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    let message = format!("it was stopped for a newer run: {why}{cause}");
    record_gone(run, RunResult::Replaced, Reason::Replaced, bounded_to(&message, MAX_NEWEST_BYTES.1), now);
}

/// Records that the run was stopped because its Job exceeded limits; the cause is recorded already.
pub(super) fn record_limits_exceeded(run: &mut Run, now: Timestamp) {
    let message = run.message.take().unwrap_or_default();
    record_gone(run, RunResult::Failed, Reason::LimitsExceeded, message, now);
}

/// Records that the run was ended because somebody asked for it; who did is recorded already.
pub(super) fn record_cancelled(run: &mut Run, now: Timestamp) {
    let message = run.message.take().unwrap_or_default();
    // How its pods ended is what the cancellation did.
    run.failure = None;
    record_gone(run, RunResult::Cancelled, Reason::Cancelled, message, now);
}

fn record_gone(run: &mut Run, result: RunResult, reason: Reason, message: String, now: Timestamp) {
    run.result = Some(result);
    run.reason = Some(reason.as_str().to_owned());
    run.message = Some(message);
    set_end(run, whole_seconds(now));
}

fn set_end(run: &mut Run, end: Timestamp) {
    run.end_time = Some(Time(end));
    run.duration = run.start_time.as_ref().map(|start| duration_text(end.duration_since(start.0)));
}

/// An older record keeps less of its texts.
fn shorten(mut run: Run) -> Run {
    let (reason, message) = MAX_OLDER_BYTES;
    run.reason = run.reason.map(|text| bounded_to(&text, reason));
    run.message = run.message.map(|text| bounded_to(&text, message));
    if let Some(failure) = &mut run.failure {
        failure.hint = None;
        failure.message = failure.message.take().map(|text| bounded_to(&text, message));
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::condition::{FailureCategory, Obstacle};
    use crate::api::failure::Failure;
    use crate::api::template_ref::TemplateKind;

    fn largest(number: i32) -> Run {
        let text = |bytes: usize| Some("\"".repeat(bytes));
        let request: StoredRequest =
            serde_json::from_value(serde_json::json!({"metadata": {"name": "n".repeat(52)}})).unwrap();
        let pin = TemplatePin {
            kind: TemplateKind::ClusterJobTemplate,
            name: "t".repeat(253),
            uid: "u".repeat(36),
            generation: i64::MAX,
        };
        Run {
            job_uid: text(36),
            token: text(253),
            digest: "1:0123456789abcdef".to_owned(),
            templates: vec![pin; 3],
            reason: text(1024),
            message: text(1024),
            result: Some(RunResult::Failed),
            failure: Some(Failure {
                category: FailureCategory::PodsForbidden,
                obstacle: Some(Obstacle::ServiceAccountMissing),
                container: text(63),
                is_init: Some(true),
                pod: text(253),
                node: text(253),
                exit_code: Some(i32::MIN),
                signal: Some(i32::MIN),
                reason: text(128),
                message: text(1024),
                attempts: Some(i32::MAX),
                hint: text(256),
            }),
            ..blank(&request, number, Trigger::TemplateChange)
        }
    }

    #[test]
    fn records_of_any_size_fit() {
        let request: StoredRequest =
            serde_json::from_value(serde_json::json!({"metadata": {"name": "n".repeat(52)}})).unwrap();
        let mut records = RunHistory::default();
        for number in 1..=40 {
            records = records.reserve(&request, largest(number), false, &[]);
            let bytes = serde_json::to_vec(&records.runs).unwrap().len();
            assert!(bytes <= MAX_HISTORY_BYTES + 2, "{bytes} bytes after run {number}");
        }
        assert_eq!(records.runs.len(), MAX_RUNS);
        assert!(records.runs.iter().all(|run| run.result.is_some() && run.job_uid.is_some()));
        assert!(records.runs.first().unwrap().failure.is_some(), "the newest keeps everything");
    }

    #[test]
    fn records_of_jobs_that_exist_outlive_the_others() {
        let request: StoredRequest =
            serde_json::from_value(serde_json::json!({"metadata": {"name": "n"}})).unwrap();
        let job = |number: i32| -> JobView {
            serde_json::from_value(serde_json::json!({"metadata": {"uid": format!("uid-{number}")}})).unwrap()
        };
        let run = |number: i32| Run {
            job_uid: Some(format!("uid-{number}")),
            result: Some(RunResult::Succeeded),
            ..blank(&request, number, Trigger::Rerun)
        };
        let kept = [job(1), job(3), job(38), job(39)];
        let mut records = RunHistory::default();
        for number in 1..=40 {
            records = records.reserve(&request, run(number), false, &kept);
        }
        let numbers: Vec<i32> = records.runs.iter().map(|run| run.number).collect();
        let newest: Vec<i32> = (18..=40).rev().chain([3, 1]).collect();
        assert_eq!(numbers, newest);
        // More Jobs than records: the oldest goes.
        let all: Vec<JobView> = (1..=41).map(job).collect();
        let records = records.reserve(&request, run(41), false, &all);
        let numbers: Vec<i32> = records.runs.iter().map(|run| run.number).collect();
        assert_eq!(numbers, (18..=41).rev().chain([3]).collect::<Vec<i32>>());
    }
}
