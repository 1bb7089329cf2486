//! What a difference means: whether a request asks for a new run, and what changes on a live Job.

use serde_json::Value;

use super::observed::{Answers, JobView, StoredRequest};
use super::plan::Read;
use super::history::Records;
use super::rerun;
use crate::api::condition::{RunResult, Trigger};
use crate::api::run_policy::RunPolicy;
use crate::api::status::{Run, TemplatePin};
use crate::api::template_ref::TemplateRef;
use crate::api::{JobRequestSpec, labels};
use crate::compile::digest::{digest, same_scheme};
use crate::compile::in_place::InPlace;
use crate::compile::{Compiled, Fate, Layers};

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

/// What `request` asks for after the newest of `records`. `layers` lie below it as the cache shows them.
pub(super) fn want(
    request: &StoredRequest,
    spec: &JobRequestSpec,
    records: &Records,
    policy: &RunPolicy,
    layers: &Layers,
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
        return templates_differ(&newest.templates, layers, answers);
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

/// The templates in force, of `layers`, are newer than those which the newest run was made with, `then`. Rule 11: a lower
/// generation is a stale cache; what has another uid, came or went is asked for first. One that is being deleted has not
/// gone yet: until then nothing has come in its place either.
fn templates_differ(then: &[TemplatePin], layers: &Layers, answers: &Answers) -> Want {
    let changed = Want::Run(Trigger::TemplateChange, None);
    let same = |a: &TemplatePin, b: &TemplatePin| a.kind == b.kind && a.name == b.name;
    let is_terminating = |pin: &TemplatePin| layers.fate(pin) == Fate::Terminating;
    let is_one_going = then.iter().any(is_terminating);
    let now = layers.pins();
    let mut ask = None;
    for pin in now.iter().filter(|pin| !is_terminating(pin)) {
        match then.iter().find(|old| same(old, pin)) {
            None if is_one_going => {}
            Some(old) if old.uid == pin.uid && pin.generation > old.generation => return changed,
            Some(old) if old.uid == pin.uid => {}
            Some(_) | None => match answers.templates.get(&reference(pin)) {
                Some(Some(found)) if found.uid == pin.uid => return changed,
                Some(_) => {}
                None => ask = ask.or(Some(reference(pin))),
            },
        }
    }
    let gone = |old: &&TemplatePin| !is_terminating(old) && !now.iter().any(|pin| same(old, pin));
    for old in then.iter().filter(gone) {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::JobTemplateSpec;
    use crate::api::template_ref::TemplateKind;
    use crate::compile::{Builtin, Template, select};

    fn pin(name: &str, generation: i64) -> TemplatePin {
        TemplatePin {
            kind: TemplateKind::JobTemplate,
            name: name.to_owned(),
            uid: format!("uid-of-{name}"),
            generation,
        }
    }

    /// A default of the namespace; its deletion timestamp counts up the generation, as the API server does.
    fn default(name: &str, generation: i64, is_terminating: bool) -> Arc<Template> {
        Arc::new(Template {
            reference: reference(&pin(name, 1)),
            uid: format!("uid-of-{name}"),
            generation: generation + i64::from(is_terminating),
            created: None,
            is_terminating,
            spec: Ok(JobTemplateSpec { default: Some(true), ..JobTemplateSpec::default() }),
        })
    }

    #[test]
    fn a_template_that_is_going_starts_no_run_before_it_has_gone() {
        let run = Want::Run(Trigger::TemplateChange, None);
        let ask = |name: &str| Want::Ask(Read::Template(reference(&pin(name, 1))));
        for (what, then, now, wanted) in [
            ("as it was", vec![pin("a", 1)], vec![default("a", 1, false)], Want::Nothing),
            ("edited", vec![pin("a", 1)], vec![default("a", 2, false)], run.clone()),
            ("going", vec![pin("a", 1)], vec![default("a", 1, true)], Want::Nothing),
            ("edited, and going", vec![pin("a", 1)], vec![default("a", 5, true)], Want::Nothing),
            ("gone", vec![pin("a", 1)], vec![], ask("a")),
            (
                "going, and another one takes its place",
                vec![pin("a", 1)],
                vec![default("a", 1, true), default("b", 1, false)],
                Want::Nothing,
            ),
            (
                "gone, and another one has its place",
                vec![pin("a", 1)],
                vec![default("b", 1, false)],
                ask("b"),
            ),
            ("going, and the run was made without it", vec![], vec![default("a", 1, true)], Want::Nothing),
            ("gone, and the run was made without it", vec![], vec![], Want::Nothing),
        ] {
            let layers = select(Builtin::default(), &JobRequestSpec::default(), &now);
            assert_eq!(templates_differ(&then, &layers, &Answers::default()), wanted, "{what}");
        }
    }
}
