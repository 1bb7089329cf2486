//! The words of the status: phase, conditions, counts.
//!
//! Takes where the newest run stands and what the stored status said; returns the whole new status. The first that
//! applies decides Ready, Reconciling, Stalled and the phase: rejected > newest run failed > newest run completed >
//! suspended by somebody else > suspended in the spec > the rest.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::change;
use super::diagnosis;
use super::observed::{JobConditionView, JobView, PodView, StoredRequest};
use super::plan::{Judged, Rejection, Sound};
use super::run::{Course, Standing, waits_prefix};
use crate::api::JobRequestStatus;
use crate::api::condition::{ConditionType, Phase, Reason, RunResult};
use crate::api::status::{Run, TemplatePin};
use crate::compile::Compiled;

/// Longest message of a condition, in bytes.
const MESSAGE: usize = 4096;

/// Longest reason of a condition, in bytes, as the schema has it.
const REASON: usize = 1024;

/// Conditions which the Job has under the same name, mirrored unchanged.
const MIRRORED: [ConditionType; 5] = [
    ConditionType::Suspended,
    ConditionType::SuccessCriteriaMet,
    ConditionType::FailureTarget,
    ConditionType::Complete,
    ConditionType::Failed,
];

/// What decides Ready, Reconciling, Stalled and the phase.
enum Verdict<'a> {
    Rejected(&'a Rejection),
    Failed { reason: String, message: String },
    Completed { message: String },
    Queued { message: String },
    Suspended { message: String },
    Working { phase: Phase, reason: Reason, message: String },
}

/// Describes how things stand.
pub(super) fn describe(
    request: &StoredRequest,
    stored: &JobRequestStatus,
    course: &Course,
    judged: &Judged<'_>,
    pods: &[PodView],
    templates: &[TemplatePin],
    now: Timestamp,
) -> JobRequestStatus {
    let newest = course.runs.first();
    // What a run was made with stays with it: a template edited since is for the next one.
    let compiled = judged.as_ref().ok().and_then(|sound| sound.compiled.as_ref()).filter(|compiled| {
        newest.is_none_or(|run| run.job_uid.is_none() || run.templates == compiled.templates)
    });
    let verdict = verdict(request, stored, course, judged, pods);
    let mut status = JobRequestStatus {
        observed_generation: request.generation(),
        phase: Some(phase(&verdict)),
        conditions: conditions(request.generation(), stored, course, &verdict, judged, templates, now),
        run: newest.map(|run| run.number),
        job_name: newest.map(|run| run.job_name.clone()),
        start_time: newest.and_then(|run| run.start_time.clone()),
        end_time: newest.and_then(|run| run.end_time.clone()),
        duration: newest.and_then(|run| run.duration.clone()),
        settings: compiled.map(|compiled| compiled.settings.clone()).or(stored.settings.clone()),
        defaulted: compiled.map_or_else(|| stored.defaulted.clone(), Compiled::defaulted),
        runs: course.runs.clone(),
        ..JobRequestStatus::default()
    };
    count(&mut status, course, judged);
    status
}

/// The two statuses differ at most in what templates, edited since, would do to the next run. That is told with the
/// next write: an edit of a template alone writes nothing.
pub(super) fn differs_in_templates_only(stored: &JobRequestStatus, described: &JobRequestStatus) -> bool {
    let conditions = |status: &JobRequestStatus| {
        let mut conditions = status.conditions.clone();
        conditions.retain(|condition| condition.type_ != ConditionType::TemplateOutdated.as_str());
        conditions
    };
    stored == described
        || (conditions(stored) == conditions(described)
            && *stored == JobRequestStatus { conditions: stored.conditions.clone(), ..described.clone() })
}

/// The two statuses differ at most in how far a run has come: counts, start, and the announcement of its success.
pub(super) fn differs_in_progress_only(stored: &JobRequestStatus, described: &JobRequestStatus) -> bool {
    without_progress(stored) == without_progress(described)
}

fn without_progress(status: &JobRequestStatus) -> JobRequestStatus {
    let mut status = status.clone();
    (status.active, status.ready, status.succeeded, status.failed) = (None, None, None, None);
    (status.completions, status.start_time) = (None, None);
    status.conditions.retain(|condition| condition.type_ != ConditionType::SuccessCriteriaMet.as_str());
    if let Some(run) = status.runs.first_mut().filter(|run| run.is_open()) {
        (run.start_time, run.desired, run.succeeded, run.failed) = (None, None, None, None);
    }
    status
}

fn count(status: &mut JobRequestStatus, course: &Course, judged: &Judged<'_>) {
    let compiled = judged.as_ref().ok().and_then(|sound| sound.compiled.as_ref());
    let of_spec = compiled.and_then(|compiled| compiled.settings.completions);
    match (&course.standing, course.runs.first()) {
        (Standing::Live(job), _) => {
            status.desired = job.spec.completions;
            status.active = Some(job.status.active.unwrap_or_default());
            status.ready = Some(job.status.ready.unwrap_or_default());
            status.succeeded = Some(job.status.succeeded.unwrap_or_default());
            status.failed = Some(job.status.failed.unwrap_or_default());
        }
        // The Job may be gone by now: a finished run is told from its record.
        (Standing::Ended, Some(run)) => {
            status.desired = run.desired;
            (status.active, status.ready) = (Some(0), Some(0));
            status.succeeded = run.succeeded;
            status.failed = run.failed;
        }
        (Standing::Ended | Standing::NoRun | Standing::Due | Standing::Held | Standing::Waiting(..), _) => {
            status.desired = of_spec;
        }
    }
    let succeeded = status.succeeded.unwrap_or_default();
    status.completions = match status.desired {
        Some(desired) => Some(format!("{succeeded}/{desired}")),
        None => status.succeeded.map(|succeeded| succeeded.to_string()),
    };
}

fn verdict<'a>(
    request: &StoredRequest,
    stored: &JobRequestStatus,
    course: &Course,
    judged: &'a Judged<'_>,
    pods: &[PodView],
) -> Verdict<'a> {
    let spec = match judged {
        Err(rejection) => return Verdict::Rejected(rejection),
        Ok(sound) => sound.spec,
    };
    let Some(newest) = course.runs.first() else {
        return match course.standing {
            Standing::Held => held(1),
            _ => working(Phase::Pending, Reason::Pending, "a run is due".to_owned()),
        };
    };
    let number = newest.number;
    match &course.standing {
        Standing::Held => held(if newest.is_open() { number } else { number.saturating_add(1) }),
        Standing::Due | Standing::NoRun => working(
            Phase::Pending,
            Reason::Creating,
            format!("run {number} is reserved, Job {} is being created", newest.job_name),
        ),
        Standing::Waiting(reason, message) => {
            working(Phase::Waiting, *reason, waits_prefix(number) + message)
        }
        Standing::Ended => ended(newest),
        Standing::Live(job) if job.spec.suspend == Some(true) => {
            if spec.suspend == Some(true) {
                Verdict::Suspended {
                    message: format!("run {number} is suspended by spec.suspend; set it to false to go on"),
                }
            } else if change::is_suspended_by_us(job) {
                working(Phase::Updating, Reason::Starting, format!("run {number} is being resumed"))
            } else {
                Verdict::Queued {
                    message: format!(
                        "run {number}: Job {} is suspended by somebody else, for example a queue; it starts when they resume it",
                        newest.job_name
                    ),
                }
            }
        }
        Standing::Live(job) => live(request, stored, newest, job, pods),
    }
}

fn live<'a>(
    request: &StoredRequest,
    stored: &JobRequestStatus,
    newest: &Run,
    job: &JobView,
    pods: &[PodView],
) -> Verdict<'a> {
    let number = newest.number;
    let own_pods = || pods.iter().filter(|pod| pod.is_controlled_by(job.uid()));
    let counted = [job.status.ready, job.status.succeeded, job.status.failed];
    let has_started = counted.iter().any(|count| count.is_some_and(|count| count > 0))
        || diagnosis::has_started(own_pods())
        // Pods vanish when they are replaced; what has started stays so, as long as the run is not suspended.
        || (stored.phase == Some(Phase::Running) && stored.run == Some(number));
    let waits = if newest.generation < request.generation()
        && request.spec.0.as_ref().is_ok_and(|spec| change::asks_for_run(newest, request, spec))
    {
        "; a newer spec waits until it has ended"
    } else {
        ""
    };
    if has_started {
        return working(Phase::Running, Reason::Running, format!("run {number} is running{waits}"));
    }
    let Some(cause) = diagnosis::cause(own_pods()) else {
        return working(
            Phase::Updating,
            Reason::Starting,
            format!("run {number}: no container has started yet{waits}"),
        );
    };
    // The kubelet's words alternate while the cause is the same: the first ones stay.
    let told = condition(stored, ConditionType::Ready)
        .filter(|ready| ready.reason == cause.reason.as_str() && stored.run == Some(number));
    let message =
        told.map_or_else(|| format!("run {number}: {}{waits}", cause.message), |told| told.message.clone());
    working(Phase::Updating, cause.reason, message)
}

fn ended<'a>(run: &Run) -> Verdict<'a> {
    let number = run.number;
    let message = run.message.as_deref().unwrap_or("no message was given");
    let reason = run.reason.clone().unwrap_or_else(|| Reason::Failed.to_string());
    match run.result {
        Some(RunResult::Failed | RunResult::Lost) => {
            Verdict::Failed { message: format!("run {number} has failed: {message}"), reason }
        }
        Some(RunResult::Succeeded) | None => {
            Verdict::Completed { message: format!("run {number} has completed") }
        }
    }
}

fn held<'a>(number: i32) -> Verdict<'a> {
    Verdict::Suspended {
        message: format!(
            "run {number} starts when spec.suspend is set to false; its Job is not created before"
        ),
    }
}

const fn working<'a>(phase: Phase, reason: Reason, message: String) -> Verdict<'a> {
    Verdict::Working { phase, reason, message }
}

const fn phase(verdict: &Verdict<'_>) -> Phase {
    match verdict {
        Verdict::Rejected(_) => Phase::Rejected,
        Verdict::Failed { .. } => Phase::Failed,
        Verdict::Completed { .. } => Phase::Completed,
        Verdict::Queued { .. } | Verdict::Suspended { .. } => Phase::Suspended,
        Verdict::Working { phase, .. } => *phase,
    }
}

fn conditions(
    generation: i64,
    stored: &JobRequestStatus,
    course: &Course,
    verdict: &Verdict<'_>,
    judged: &Judged<'_>,
    templates: &[TemplatePin],
    now: Timestamp,
) -> Vec<Condition> {
    let mut writer = Writer { generation, stored, now, written: Vec::new() };
    match judged {
        Ok(Sound { compiled: None, .. }) => writer.keep(&[ConditionType::Accepted]),
        Ok(Sound { compiled: Some(compiled), .. }) => {
            let (reason, message) = accepted(compiled);
            writer.set(ConditionType::Accepted, true, reason.as_str(), &message);
        }
        Err(rejection) => {
            writer.set(ConditionType::Accepted, false, rejection.reason.as_str(), &rejection.message);
        }
    }
    let (stalled, reconciling, finished) =
        (ConditionType::Stalled, ConditionType::Reconciling, ConditionType::Finished);
    match verdict {
        Verdict::Rejected(rejection) => {
            let reason = rejection.reason.as_str();
            writer.set(ConditionType::Ready, false, reason, &rejection.message);
            writer.set(stalled, true, reason, &rejection.message);
        }
        Verdict::Failed { reason, message } => {
            writer.set(ConditionType::Ready, false, reason, message);
            writer.set(stalled, true, reason, message);
            writer.set(finished, true, Reason::Failed.as_str(), message);
        }
        Verdict::Completed { message } => {
            writer.set(ConditionType::Ready, true, Reason::Completed.as_str(), message);
            writer.set(finished, true, Reason::Completed.as_str(), message);
        }
        Verdict::Queued { message } => {
            writer.set(ConditionType::Ready, false, Reason::Queued.as_str(), message);
            writer.set(reconciling, true, Reason::Queued.as_str(), message);
            writer.set(finished, false, Reason::NotFinished.as_str(), message);
        }
        Verdict::Suspended { message } => {
            writer.set(ConditionType::Ready, true, Reason::Suspended.as_str(), message);
            writer.set(finished, false, Reason::NotFinished.as_str(), message);
        }
        Verdict::Working { reason, message, .. } => {
            writer.set(ConditionType::Ready, false, reason.as_str(), message);
            writer.set(reconciling, true, reason.as_str(), message);
            writer.set(finished, false, Reason::NotFinished.as_str(), message);
        }
    }
    mirror(&mut writer, course, verdict);
    if let Some(message) = course.runs.first().and_then(|run| outdated(run, templates)) {
        let reason = Reason::TemplatesChanged.as_str();
        writer.set(ConditionType::TemplateOutdated, true, reason, &message);
    }
    writer.finish()
}

/// Why a spec is accepted, and what policies changed or warn of.
pub(super) fn accepted(compiled: &Compiled) -> (Reason, String) {
    let cuts = compiled.clamped.iter().map(|cut| match &cut.from {
        Some(from) => format!("{} is cut from {from} to {} by {}", cut.path, cut.to, cut.by),
        None => format!("{} is set to {} by {}", cut.path, cut.to, cut.by),
    });
    let words: Vec<String> = cuts.chain(compiled.warned.iter().map(ToString::to_string)).collect();
    match (compiled.clamped.is_empty(), compiled.warned.is_empty()) {
        (true, true) => (Reason::Valid, "the spec compiles to a Job".to_owned()),
        (false, _) => (Reason::Clamped, words.join("; ")),
        (true, false) => (Reason::PolicyWarning, words.join("; ")),
    }
}

/// How the templates in force differ from those which `run` was made with.
fn outdated(run: &Run, now: &[TemplatePin]) -> Option<String> {
    if run.job_uid.is_none() || run.templates == now {
        return None;
    }
    let text = |pins: &[TemplatePin]| {
        let names: Vec<String> = pins
            .iter()
            .map(|pin| format!("{}/{} generation {}", pin.kind, pin.name, pin.generation))
            .collect();
        if names.is_empty() { "no template".to_owned() } else { names.join(", ") }
    };
    let number = run.number;
    Some(format!("run {number} was made with {}; the next run takes {}", text(&run.templates), text(now)))
}

/// The Job's own conditions: from the Job while it lives, from the status once the run has a result.
fn mirror(writer: &mut Writer<'_>, course: &Course, verdict: &Verdict<'_>) {
    match &course.standing {
        Standing::Live(job) => job.status.conditions.iter().for_each(|native| writer.mirror(native)),
        Standing::Ended => match course.ended_as.as_ref() {
            Some(job) => job.status.conditions.iter().for_each(|native| writer.mirror(native)),
            None => writer.keep(&MIRRORED),
        },
        Standing::Held => {
            if let Verdict::Suspended { message } = verdict {
                writer.set(ConditionType::Suspended, true, Reason::Suspended.as_str(), message);
            }
        }
        Standing::NoRun | Standing::Due | Standing::Waiting(..) => {}
    }
}

/// Writes conditions; a transition time moves only with its status.
struct Writer<'a> {
    generation: i64,
    stored: &'a JobRequestStatus,
    now: Timestamp,
    written: Vec<(ConditionType, Condition)>,
}

impl Writer<'_> {
    fn set(&mut self, type_: ConditionType, status: bool, reason: &str, message: &str) {
        self.push(type_, if status { "True" } else { "False" }, reason, message, None);
    }

    fn mirror(&mut self, native: &JobConditionView) {
        let Some(type_) = MIRRORED.into_iter().find(|type_| type_.as_str() == native.type_) else {
            return;
        };
        // The schema takes no other status; one bad condition must not stop every write.
        if !["True", "False", "Unknown"].contains(&native.status.as_str()) {
            return;
        }
        // Older Job controllers leave the reason empty; a condition of ours must have one.
        let reason = if native.reason.is_empty() { &native.type_ } else { &native.reason };
        let at = native.last_transition_time.as_ref().map(|time| time.0);
        self.push(type_, &native.status, reason, &native.message, at);
    }

    fn keep(&mut self, types: &[ConditionType]) {
        for type_ in types {
            if let Some(old) = condition(self.stored, *type_) {
                let kept = Condition { observed_generation: Some(self.generation), ..old.clone() };
                self.written.push((*type_, kept));
            }
        }
    }

    fn push(
        &mut self,
        type_: ConditionType,
        status: &str,
        reason: &str,
        message: &str,
        at: Option<Timestamp>,
    ) {
        let unchanged = condition(self.stored, type_).filter(|old| old.status == status);
        let since = unchanged.map(|old| old.last_transition_time.0).or(at).unwrap_or(self.now);
        let condition = Condition {
            type_: type_.as_str().to_owned(),
            status: status.to_owned(),
            reason: bounded_to(reason, REASON),
            message: bounded(message),
            observed_generation: Some(self.generation),
            last_transition_time: Time(whole_seconds(since)),
        };
        self.written.push((type_, condition));
    }

    fn finish(mut self) -> Vec<Condition> {
        self.written.sort_by_key(|(type_, _)| *type_);
        self.written.dedup_by_key(|(type_, _)| *type_);
        self.written.into_iter().map(|(_, condition)| condition).collect()
    }
}

/// The condition of this type.
pub(super) fn condition(status: &JobRequestStatus, type_: ConditionType) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.type_ == type_.as_str())
}

/// `text`, cut to the length of a condition's message.
pub(super) fn bounded(text: &str) -> String {
    bounded_to(text, MESSAGE)
}

/// `text`, cut to at most `bytes` at a character, with a mark where something is missing.
pub(super) fn bounded_to(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let mark = '…';
    let end = text.floor_char_boundary(bytes.saturating_sub(mark.len_utf8()));
    text.get(..end).unwrap_or_default().chars().chain([mark]).collect()
}

/// A duration as people write it: `45s`, `1m23s`, `2h5m`, `3d4h`.
pub(super) fn duration_text(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

/// The API keeps whole seconds; a finer time would never equal what was stored.
pub(super) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        for (seconds, text) in
            [(-3, "0s"), (0, "0s"), (59, "59s"), (83, "1m23s"), (7500, "2h5m"), (273_600, "3d4h")]
        {
            assert_eq!(duration_text(SignedDuration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn messages_are_cut_between_characters() {
        assert_eq!(bounded_to("计算圆周率", 15), "计算圆周率");
        assert_eq!(bounded_to("计算圆周率", 14), "计算圆…");
        assert_eq!(bounded_to("abc", 0), "…");
    }
}
