//! What a difference means: whether a request asks for a new run, and what changes on a live Job.

use serde_json::Value;

use super::observed::{Answers, JobView, StoredRequest};
use super::planned::Read;
use super::record::Records;
use super::rerun;
use crate::api::condition::{RunResult, Trigger};
use crate::api::run_policy::RunPolicy;
use crate::api::status::{Run, TemplatePin};
use crate::api::template_ref::TemplateRef;
use crate::api::{JobRequestSpec, labels};
use crate::compile::Compiled;
use crate::compile::digest::{digest, same_scheme};
use crate::compile::in_place::InPlace;

/// Whether a request asks for a run beyond its newest one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// It does not.
    Nothing,
    /// It does, for this reason; the token if it was a rerun.
    Run(Trigger, Option<String>),
    /// The spec has changed, and the run policy holds it back.
    HeldBack,
    /// It depends on an answer.
    Ask(Read),
}

/// What `request` asks for after the newest of `records`. `templates` lie below it as the cache shows them.
pub(super) fn want(
    request: &StoredRequest,
    spec: &JobRequestSpec,
    records: &Records,
    policy: &RunPolicy,
    templates: &[TemplatePin],
    answers: &Answers,
) -> Want {
    let token = rerun::asked(request, &records.handled);
    let Some(newest) = records.runs.first() else {
        return Want::Run(Trigger::Created, token);
    };
    // Rule 12: both doors, or a door and an edit, make one run.
    if token.is_some() {
        return Want::Run(Trigger::Rerun, token);
    }
    // Rule 14: what was stopped for a newer run asks for it, even if the spec has returned since.
    if newest.result == Some(RunResult::Replaced) {
        return Want::Run(Trigger::SpecChange, None);
    }
    if spec_differs(newest, request, spec) {
        return if policy.holds() { Want::HeldBack } else { Want::Run(Trigger::SpecChange, None) };
    }
    if policy.follows_templates() && newest.job_uid.is_some() {
        return templates_differ(&newest.templates, templates, answers);
    }
    Want::Nothing
}

/// The spec of `request` is another one than `newest` ran with. Rule 11.
///
/// Digests of the request's own fields are compared, never Jobs. A digest of another scheme, at the same generation,
/// is the same spec seen by another release. A request older than the run it is compared with is a stale view.
fn spec_differs(newest: &Run, request: &StoredRequest, spec: &JobRequestSpec) -> bool {
    let generation = request.generation();
    if generation < newest.generation {
        return false;
    }
    newest.digest != digest(spec) && (same_scheme(&newest.digest) || generation > newest.generation)
}

/// The templates in force, `now`, are newer than those which the newest run was made with, `then`. Rule 11: a lower
/// generation is a stale cache; what has another uid, came or went is asked for first.
fn templates_differ(then: &[TemplatePin], now: &[TemplatePin], answers: &Answers) -> Want {
    let changed = Want::Run(Trigger::TemplateChange, None);
    let same = |a: &TemplatePin, b: &TemplatePin| a.kind == b.kind && a.name == b.name;
    let mut ask = None;
    for pin in now {
        match then.iter().find(|old| same(old, pin)) {
            Some(old) if old.uid == pin.uid && pin.generation > old.generation => return changed,
            Some(old) if old.uid == pin.uid => {}
            Some(_) | None => match answers.templates.get(&reference(pin)) {
                Some(Some(found)) if found.uid == pin.uid => return changed,
                Some(_) => {}
                None => ask = ask.or(Some(reference(pin))),
            },
        }
    }
    for old in then.iter().filter(|old| !now.iter().any(|pin| same(old, pin))) {
        match answers.templates.get(&reference(old)) {
            Some(Some(found)) if found.uid == old.uid && found.generation <= old.generation => {}
            Some(_) => return changed,
            None => ask = ask.or(Some(reference(old))),
        }
    }
    ask.map_or(Want::Nothing, |template| Want::Ask(Read::Template(template)))
}

fn reference(pin: &TemplatePin) -> TemplateRef {
    TemplateRef { kind: pin.kind, name: pin.name.clone() }
}

/// The merge patch which the live `job` of `run` needs, if any.
///
/// While a newer spec waits for its own run, only `suspend` and what people read still concern the Job at hand.
pub(super) fn in_place_patch(
    job: &JobView,
    run: &Run,
    spec: &JobRequestSpec,
    compiled: &Compiled,
) -> Option<Value> {
    let last = last_written(job);
    let same_templates = run.templates == compiled.templates;
    let mut desired = compiled.in_place.for_live(last.as_ref(), spec, same_templates);
    desired.suspend = spec.suspend == Some(true);
    if run.digest != digest(spec) {
        desired = InPlace { suspend: desired.suspend, note: desired.note, ..last.clone()? };
    }
    desired.patch(last.as_ref(), spec).map(|patch| judged(job, patch))
}

/// The merge patch which ends the live `job` by a deadline that passed after `seconds` of its time. From then on that
/// field is left as it is.
pub(super) fn stop_patch(job: &JobView, seconds: i64) -> Option<Value> {
    let last = last_written(job)?;
    let deadline = last.active_deadline_seconds.map_or(seconds, |set| set.min(seconds));
    let desired = InPlace { stopped: true, active_deadline_seconds: Some(deadline), ..last.clone() };
    // Nothing of the spec goes into it: alias and description stay.
    desired.patch(Some(&last), &JobRequestSpec::default()).map(|patch| judged(job, patch))
}

/// Rule 1: for this very Job as it was judged. A late patch would part the record from the fields.
fn judged(job: &JobView, mut patch: serde_json::Map<String, Value>) -> Value {
    if let Some(Value::Object(metadata)) = patch.get_mut("metadata") {
        metadata.insert("uid".to_owned(), job.uid().into());
        metadata.insert("resourceVersion".to_owned(), job.resource_version().into());
    }
    Value::Object(patch)
}

/// What the operator last wrote to the fields that may change, by the record which the Job carries.
pub(super) fn last_written(job: &JobView) -> Option<InPlace> {
    job.annotation(labels::IN_PLACE).and_then(InPlace::from_annotation)
}
