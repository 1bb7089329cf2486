//! What triggers a run: whether a request asks for one beyond its newest.
//!
//! It is asked twice a round: [`wanted_now`], before anything is compiled, by the run policy that was in effect last; and
//! [`wanted_next`](super::state::Facts::wanted_next), after the history of the round, by the compiled one.

use super::history::RunHistory;
use super::observed::{Answers, SpecView, StoredRequest};
use super::plan::Read;
use super::rerun;
use crate::api::JobRequestStatus;
use crate::api::condition::{RunResult, Stop, Trigger};
use crate::api::run_policy::RunPolicy;
use crate::api::status::{Run, TemplatePin};
use crate::api::template_ref::TemplateRef;
use crate::compile::digest::same_scheme;
use crate::compile::{Fate, Layers};

/// What a request asks for beyond its newest run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    /// Nothing.
    Nothing,
    /// A run, for this reason; the token if it is a rerun.
    Run(Trigger, Option<String>),
    /// The spec has changed, and the run policy holds it back.
    HeldBack,
    /// It depends on an answer.
    Ask(Read),
}

/// What `request` asks for as it is stored, before anything is compiled: by the run policy that was in effect last.
pub(super) fn wanted_now(
    request: &StoredRequest,
    spec: &SpecView,
    stored: &JobRequestStatus,
    history: &RunHistory,
    layers: &Layers,
    answers: &Answers,
) -> Pending {
    let policy = stored.run_policy.clone().unwrap_or_default();
    wanted(request, spec, history, &policy, layers, answers)
}

/// What `request` asks for after the newest run of `history`. `layers` apply to it as the cache shows them.
pub(super) fn wanted(
    request: &StoredRequest,
    spec: &SpecView,
    history: &RunHistory,
    policy: &RunPolicy,
    layers: &Layers,
    answers: &Answers,
) -> Pending {
    let token = rerun::requested(request, &history.handled);
    let Some(newest) = history.runs.first() else {
        return Pending::Run(Trigger::Created, token);
    };
    // Rule 12: both sources, or a source and an edit, make one run.
    if token.is_some() {
        return Pending::Run(Trigger::Rerun, token);
    }
    // Rule 14: what was stopped for a newer run asks for it, even if the spec has returned since.
    if newest.result == Some(RunResult::Replaced) {
        return Pending::Run(Trigger::SpecChange, None);
    }
    if spec_differs(newest, request, spec) {
        return if policy.holds() { Pending::HeldBack } else { Pending::Run(Trigger::SpecChange, None) };
    }
    // What exceeded their limits is tried again when they change.
    let follows = policy.follows_templates() || newest.stop == Some(Stop::LimitsExceeded);
    if follows && newest.job_uid.is_some() {
        return templates_differ(&newest.templates, layers, answers);
    }
    Pending::Nothing
}

/// Whether the spec differs from the one `newest` ran with. Rule 11.
///
/// Digests of the request's own fields are compared, never Jobs. A digest of another scheme, at the same generation,
/// is the same spec as another release saw it. A request older than the run it is compared with is a stale view.
fn spec_differs(newest: &Run, request: &StoredRequest, spec: &SpecView) -> bool {
    let generation = request.generation();
    if generation < newest.generation {
        return false;
    }
    newest.digest != spec.digest() && (same_scheme(&newest.digest) || generation > newest.generation)
}

/// Whether the effective templates, of `layers`, are newer than those which the newest run was created with, `then`. Rule
/// 11: a lower generation is a stale cache; what has another uid, came or went is read first. One that is terminating has
/// not gone yet: until then nothing has come in its place either.
fn templates_differ(then: &[TemplatePin], layers: &Layers, answers: &Answers) -> Pending {
    let changed = Pending::Run(Trigger::TemplateChange, None);
    let same = |a: &TemplatePin, b: &TemplatePin| a.kind == b.kind && a.name == b.name;
    let is_terminating = |pin: &TemplatePin| layers.fate(pin) == Fate::Terminating;
    let is_one_terminating = then.iter().any(is_terminating);
    let now = layers.pins();
    let mut ask = None;
    for pin in now.iter().filter(|pin| !is_terminating(pin)) {
        match then.iter().find(|old| same(old, pin)) {
            None if is_one_terminating => {}
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
    ask.map_or(Pending::Nothing, |template| Pending::Ask(Read::Template(template)))
}

fn reference(pin: &TemplatePin) -> TemplateRef {
    TemplateRef { kind: pin.kind, name: pin.name.clone() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::template_ref::TemplateKind;
    use crate::api::{JobRequestSpec, JobTemplateSpec};
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
        let run = Pending::Run(Trigger::TemplateChange, None);
        let ask = |name: &str| Pending::Ask(Read::Template(reference(&pin(name, 1))));
        for (what, then, now, wanted) in [
            ("as it was", vec![pin("a", 1)], vec![default("a", 1, false)], Pending::Nothing),
            ("edited", vec![pin("a", 1)], vec![default("a", 2, false)], run.clone()),
            ("going", vec![pin("a", 1)], vec![default("a", 1, true)], Pending::Nothing),
            ("edited, and going", vec![pin("a", 1)], vec![default("a", 5, true)], Pending::Nothing),
            ("gone", vec![pin("a", 1)], vec![], ask("a")),
            (
                "going, and another one takes its place",
                vec![pin("a", 1)],
                vec![default("a", 1, true), default("b", 1, false)],
                Pending::Nothing,
            ),
            (
                "gone, and another one has its place",
                vec![pin("a", 1)],
                vec![default("b", 1, false)],
                ask("b"),
            ),
            ("going, and the run was made without it", vec![], vec![default("a", 1, true)], Pending::Nothing),
            ("gone, and the run was made without it", vec![], vec![], Pending::Nothing),
        ] {
            let layers = select(Builtin::default(), &JobRequestSpec::default(), &now);
            assert_eq!(templates_differ(&then, &layers, &Answers::default()), wanted, "{what}");
        }
    }
}
