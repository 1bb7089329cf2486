//! The conditions, each with the generation that it judged and a transition time that moves only with its status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::limit_range;
use super::verdict::Verdict;
use crate::api::condition::{ConditionType, Reason, RunResult, Stop, Trigger};
use crate::api::status::{Defaulted, Run, TemplatePin};
use crate::api::{JobRequestStatus, labels};
use crate::compile::{Compiled, Fate, Layers, helm_hook};
use crate::reconcile::acceptance::AcceptedSpec;
use crate::reconcile::clean_up::CleanUp;
use crate::reconcile::format::{bounded, bounded_to, whole_seconds};
use crate::reconcile::observed::{JobConditionView, JobView};
use crate::reconcile::state::{Facts, RunOutcome, RunState};
use crate::reconcile::trigger::Pending;

/// Maximum length of the reason of a condition, in bytes, as the schema has it.
const MAX_REASON_BYTES: usize = 1024;

/// Why there is no run, and how to get one.
const ON_HOLD: &str = "runPolicy.onCreate is Hold: the spec counts as having run; the next change of it, or a rerun, starts run 1";

/// Conditions which the Job has under the same name, mirrored unchanged.
const MIRRORED: [ConditionType; 5] = [
    ConditionType::Suspended,
    ConditionType::SuccessCriteriaMet,
    ConditionType::FailureTarget,
    ConditionType::Complete,
    ConditionType::Failed,
];

/// All conditions: whether the spec is accepted, the state of the newest run, and the Job's own.
pub(super) fn conditions(
    facts: &Facts<'_>,
    outcome: &RunOutcome,
    clean_up: &CleanUp,
    verdict: &Verdict<'_>,
    defaulted: &[Defaulted],
) -> Vec<Condition> {
    let generation = facts.request.generation();
    let mut writer = Writer {
        generation,
        of_run: generation_of_run(facts, outcome),
        stored: facts.stored,
        now: facts.clock.now,
        written: Vec::new(),
    };
    match facts.acceptance {
        Ok(AcceptedSpec { compiled: None, .. }) => writer.keep(&[ConditionType::Accepted]),
        Ok(AcceptedSpec { compiled: Some(compiled), .. }) => {
            let (reason, message) = accepted(compiled, outcome.newest());
            let message = match limit_range::remark(defaulted) {
                Some(remark) => format!("{message}; {remark}"),
                None => message,
            };
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
            // A tool that waits for an end waits no longer, unless a run is still active.
            let is_active = matches!(outcome.state, RunState::Live { .. });
            let (is_finished, why) =
                if is_active { (false, Reason::NotFinished) } else { (true, Reason::Rejected) };
            writer.set(finished, is_finished, why.as_str(), &rejection.message);
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
        Verdict::OnHold => {
            writer.set(ConditionType::Ready, true, Reason::Held.as_str(), ON_HOLD);
            writer.set(finished, false, Reason::NotFinished.as_str(), ON_HOLD);
        }
        Verdict::Stuck { reason, message, .. } => {
            writer.set(ConditionType::Ready, false, reason.as_str(), message);
            writer.set(stalled, true, reason.as_str(), message);
            writer.set(finished, false, Reason::NotFinished.as_str(), message);
        }
        Verdict::Working { reason, message, .. } => {
            writer.set(ConditionType::Ready, false, reason.as_str(), message);
            writer.set(reconciling, true, reason.as_str(), message);
            writer.set(finished, false, Reason::NotFinished.as_str(), message);
        }
    }
    mirror(&mut writer, outcome, verdict);
    if outcome.wanted == Pending::HeldBack {
        let message = "the spec has changed since the newest run, and runPolicy.onSpecChange is Hold; ask for a rerun to run it";
        writer.set(ConditionType::PendingChanges, true, Reason::Held.as_str(), message);
    }
    if let Some((reason, message)) = outcome.newest().and_then(|run| outdated(run, facts.layers)) {
        writer.set(ConditionType::TemplateOutdated, true, reason.as_str(), &message);
    }
    refused(&mut writer, outcome, clean_up);
    let annotations = facts.request.metadata.annotations.as_ref();
    if let Some(hook) = annotations.and_then(|all| all.get(labels::HELM_HOOK)) {
        let message = helm_hook::warning(hook);
        writer.set(ConditionType::NotAwaited, true, Reason::HelmHook.as_str(), &message);
    }
    writer.finish()
}

/// What the API server refuses for now; what it refused before, while the same has not been tried again.
fn refused(writer: &mut Writer<'_>, outcome: &RunOutcome, clean_up: &CleanUp) {
    let stored = writer.stored.condition(ConditionType::ChangeRefused);
    let mut all = outcome.blocked.iter().chain(&clean_up.blocked).peekable();
    if let Some(first) = all.peek() {
        let reason = first.reason.as_str();
        // Two processes may remember different refusals: if each corrected the message of the other, neither would rest.
        let is_known = |stored: &Condition| {
            first.reason != Reason::LimitsExceeded
                && stored.reason == reason
                && stored.observed_generation == Some(writer.generation)
        };
        if stored.is_some_and(is_known) {
            writer.keep(&[ConditionType::ChangeRefused]);
            return;
        }
        let messages: Vec<String> = all.map(ToString::to_string).collect();
        writer.set(ConditionType::ChangeRefused, true, reason, &messages.join("; "));
        return;
    }
    let is_replaced =
        outcome.newest().is_some_and(|run| run.is_open() && run.stop.is_some_and(Stop::deletes_the_job));
    let was_delete = stored.is_some_and(|stored| stored.reason == Reason::DeleteRefused.as_str());
    if was_delete && (clean_up.is_in_grace || is_replaced) {
        writer.keep(&[ConditionType::ChangeRefused]);
    }
}

/// Why a spec is accepted, what policies changed or warn about, and which default is missing below it. `newest` is the run
/// that it is accepted for; one that was made with other templates is described by [`outdated`].
pub(in crate::reconcile) fn accepted(compiled: &Compiled, newest: Option<&Run>) -> (Reason, String) {
    let is_for_it = newest.is_none_or(|run| run.job_uid.is_none() || run.templates == compiled.templates);
    let missing = compiled.terminating.iter().filter(|_| is_for_it).map(|template| {
        format!("{template} is being deleted: this run is made without its defaults and limits")
    });
    let missing: Vec<String> = missing.collect();
    let cuts = compiled.clamped.iter().map(|cut| match &cut.from {
        Some(from) => format!("{} is cut from {from} to {} by {}", cut.path, cut.to, cut.by),
        None => format!("{} is set to {} by {}", cut.path, cut.to, cut.by),
    });
    let is_missing = !missing.is_empty();
    let warnings = compiled.warned.iter().map(ToString::to_string);
    let remarks: Vec<String> = cuts.chain(warnings).chain(missing).collect();
    match (compiled.clamped.is_empty(), compiled.warned.is_empty()) {
        (false, _) => (Reason::Clamped, remarks.join("; ")),
        (true, false) => (Reason::PolicyWarning, remarks.join("; ")),
        (true, true) if is_missing => (Reason::TemplateTerminating, remarks.join("; ")),
        (true, true) => (Reason::Valid, "the spec compiles to a Job".to_owned()),
    }
}

/// How the effective templates, of `layers`, differ from those which `run` was made with, and what that means for the
/// next one; nothing if they do not. What is gone comes first: limits that have vanished matter most.
#[must_use]
pub fn outdated(run: &Run, layers: &Layers) -> Option<(Reason, String)> {
    let mut now = layers.pins();
    if run.job_uid.is_none() || run.templates == now {
        return None;
    }
    let mut lost = Vec::new();
    let mut reason = Reason::TemplatesChanged;
    let mut left = Vec::new();
    for pin in &run.templates {
        let how = match layers.fate(pin) {
            Fate::There => {
                left.push(pin.clone());
                continue;
            }
            Fate::Gone => {
                reason = Reason::TemplateGone;
                "gone"
            }
            Fate::Terminating => {
                if reason != Reason::TemplateGone {
                    reason = Reason::TemplateTerminating;
                }
                "being deleted"
            }
        };
        let next = if layers.is_named(pin) {
            "the next run is rejected unless the request names another template"
        } else {
            "the next run is made without its defaults and limits"
        };
        lost.push(format!("{}/{} is {how}: {next}", pin.kind, pin.name));
    }
    now.retain(|pin| layers.fate(pin) == Fate::There);
    if left == now {
        return Some((reason, lost.join("; ")));
    }
    let text = |pins: &[TemplatePin]| {
        let names: Vec<String> = pins
            .iter()
            .map(|pin| format!("{}/{} generation {}", pin.kind, pin.name, pin.generation))
            .collect();
        if names.is_empty() { "no template".to_owned() } else { names.join(", ") }
    };
    let number = run.number;
    lost.push(format!(
        "run {number} was made with {}; the next run takes {}",
        text(&run.templates),
        text(&now)
    ));
    Some((reason, lost.join("; ")))
}

/// The Job's own conditions: from the Job while it lives, from the status once the run has a result. What is rejected shows
/// the end of no older run.
fn mirror(writer: &mut Writer<'_>, outcome: &RunOutcome, verdict: &Verdict<'_>) {
    match (&outcome.state, verdict) {
        (RunState::Live { job, .. }, _) => writer.mirror_all(job),
        (RunState::Ended, Verdict::Rejected(_)) => {}
        (RunState::Ended, _) => {
            if let Some(job) = outcome.ended_as.as_ref() {
                writer.mirror_all(job);
            } else {
                // A Job that was suspended and then cancelled is gone.
                let is_cancelled =
                    outcome.newest().is_some_and(|run| run.result == Some(RunResult::Cancelled));
                let is_kept = |type_: &&ConditionType| !is_cancelled || **type_ != ConditionType::Suspended;
                writer.keep(&MIRRORED.iter().filter(is_kept).copied().collect::<Vec<_>>());
                outcome.newest().into_iter().for_each(|run| writer.recall(run));
            }
        }
        (RunState::Held, Verdict::Suspended { message }) => {
            writer.set(ConditionType::Suspended, true, Reason::Suspended.as_str(), message);
        }
        (
            RunState::Held | RunState::NoRun | RunState::Due | RunState::Waiting { .. } | RunState::OnHold,
            _,
        ) => {}
    }
}

/// The generation that the newest run speaks for: the request's own, unless a newer spec waits for its run or is held back.
/// A tool that waits for Complete of a newer spec must not take the end of an older run for it.
fn generation_of_run(facts: &Facts<'_>, outcome: &RunOutcome) -> i64 {
    let generation = facts.request.generation();
    let has_job = matches!(outcome.state, RunState::Live { .. } | RunState::Ended);
    let is_behind = facts.acceptance.is_err()
        || matches!(outcome.wanted, Pending::HeldBack | Pending::Run(Trigger::SpecChange, _));
    let run = outcome.newest().filter(|_| has_job && is_behind);
    run.map_or(generation, |run| run.generation.min(generation))
}

/// Writes conditions; a transition time moves only with its status.
struct Writer<'a> {
    generation: i64,
    /// Of what is mirrored.
    of_run: i64,
    stored: &'a JobRequestStatus,
    now: Timestamp,
    written: Vec<(ConditionType, Condition)>,
}

impl Writer<'_> {
    fn set(&mut self, type_: ConditionType, status: bool, reason: &str, message: &str) {
        self.push(type_, if status { "True" } else { "False" }, reason, message, None);
    }

    fn generation_of(&self, type_: ConditionType) -> i64 {
        if MIRRORED.contains(&type_) { self.of_run } else { self.generation }
    }

    fn mirror_all(&mut self, job: &JobView) {
        job.status.conditions.iter().for_each(|native| self.mirror(native));
    }

    fn mirror(&mut self, native: &JobConditionView) {
        let Some(type_) = MIRRORED.into_iter().find(|type_| type_.as_str() == native.type_) else {
            return;
        };
        // The schema takes no other status; one bad condition must not stop every write.
        if !["True", "False", "Unknown"].contains(&native.status.as_str()) {
            return;
        }
        // Older Job controllers leave the reason empty; our own conditions must have one.
        let reason = if native.reason.is_empty() { &native.type_ } else { &native.reason };
        let at = native.last_transition_time.as_ref().map(|time| time.0);
        self.push(type_, &native.status, reason, &native.message, at);
    }

    fn keep(&mut self, types: &[ConditionType]) {
        for type_ in types {
            if let Some(old) = self.stored.condition(*type_) {
                let kept = Condition { observed_generation: Some(self.generation_of(*type_)), ..old.clone() };
                self.written.push((*type_, kept));
            }
        }
    }

    /// The condition by which the Job of `run` ended, from the record, if the status does not show it any more: another run
    /// was reserved since, and is not asked for any longer.
    fn recall(&mut self, run: &Run) {
        let type_ = match run.result {
            Some(RunResult::Succeeded) => ConditionType::Complete,
            Some(RunResult::Failed) if run.stop != Some(Stop::LimitsExceeded) => ConditionType::Failed,
            _ => return,
        };
        let is_shown = |type_: ConditionType| self.written.iter().any(|(written, _)| *written == type_);
        if is_shown(ConditionType::Complete) || is_shown(ConditionType::Failed) {
            return;
        }
        let reason = match run.stop {
            Some(Stop::StartDeadline) => "DeadlineExceeded",
            _ => run.reason.as_deref().unwrap_or(type_.as_str()),
        };
        let message = run.message.as_deref().unwrap_or_default();
        self.push(type_, "True", reason, message, run.end_time.as_ref().map(|end| end.0));
    }

    fn push(
        &mut self,
        type_: ConditionType,
        status: &str,
        reason: &str,
        message: &str,
        at: Option<Timestamp>,
    ) {
        let unchanged = self.stored.condition(type_).filter(|old| old.status == status);
        let since = unchanged.map(|old| old.last_transition_time.0).or(at).unwrap_or(self.now);
        let condition = Condition {
            type_: type_.as_str().to_owned(),
            status: status.to_owned(),
            reason: bounded_to(reason, MAX_REASON_BYTES),
            message: bounded(message),
            observed_generation: Some(self.generation_of(type_)),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::status::TemplatePin;
    use crate::api::template_ref::{TemplateKind, TemplateRef};
    use crate::api::{JobRequestSpec, JobTemplateSpec};
    use crate::compile::{Builtin, Template, select};

    fn template(name: &str, generation: i64, is_default: bool, is_terminating: bool) -> Arc<Template> {
        Arc::new(Template {
            reference: TemplateRef { kind: TemplateKind::JobTemplate, name: name.to_owned() },
            uid: format!("uid-of-{name}"),
            generation,
            created: None,
            is_terminating,
            spec: Ok(JobTemplateSpec { default: Some(is_default), ..JobTemplateSpec::default() }),
        })
    }

    fn message_of(then: &[Arc<Template>], now: &[Arc<Template>], named: Option<&str>) -> String {
        let named = named.map(|name| TemplateRef { kind: TemplateKind::JobTemplate, name: name.to_owned() });
        let spec = JobRequestSpec { template_ref: named, ..JobRequestSpec::default() };
        let templates: Vec<TemplatePin> = then.iter().map(|template| template.pin()).collect();
        let run = serde_json::json!({
            "number": 1, "jobName": "a-1", "jobUid": "uid", "trigger": "Created", "digest": "", "generation": 1,
            "templates": templates,
        });
        let run: Run = serde_json::from_value(run).unwrap();
        outdated(&run, &select(Builtin::default(), &spec, now))
            .map_or_else(|| "-".to_owned(), |(reason, message)| format!("{reason}: {message}"))
    }

    #[test]
    fn what_is_gone_is_reported_with_what_it_takes_away() {
        let (a, a2) = (template("a", 1, true, false), template("a", 2, true, false));
        let (going, not_default) = (template("a", 2, true, true), template("a", 2, false, false));
        let (b, b2) = (template("b", 1, false, false), template("b", 2, false, false));
        for (then, now, named, words) in [
            (vec![&a], vec![&a], None, "-"),
            (
                vec![&a],
                vec![&a2],
                None,
                "TemplatesChanged: run 1 was made with JobTemplate/a generation 1; the next run takes JobTemplate/a generation 2",
            ),
            (
                vec![&a],
                vec![&not_default],
                None,
                "TemplatesChanged: run 1 was made with JobTemplate/a generation 1; the next run takes no template",
            ),
            (
                vec![&a],
                vec![],
                None,
                "TemplateGone: JobTemplate/a is gone: the next run is made without its defaults and limits",
            ),
            (
                vec![&a],
                vec![&going],
                None,
                "TemplateTerminating: JobTemplate/a is being deleted: the next run is made without its defaults and limits",
            ),
            (
                vec![&b],
                vec![],
                Some("b"),
                "TemplateGone: JobTemplate/b is gone: the next run is rejected unless the request names another template",
            ),
            (
                vec![&a, &b],
                vec![&going, &b2],
                Some("b"),
                "TemplateTerminating: JobTemplate/a is being deleted: the next run is made without its defaults and limits; run 1 was made with JobTemplate/a generation 1, JobTemplate/b generation 1; the next run takes JobTemplate/b generation 2",
            ),
        ] {
            let own = |templates: Vec<&Arc<Template>>| templates.into_iter().cloned().collect::<Vec<_>>();
            assert_eq!(message_of(&own(then), &own(now), named), words);
        }
    }
}
