//! What triggers a run: whether a request asks for one beyond its newest.
//!
//! It is asked twice a round: [`wanted_now`], before anything is compiled, by the run policy that was in effect last; and
//! [`wanted_next`](super::state::Facts::wanted_next), after the history of the round, by the compiled one.

use super::history::RunHistory;
use super::observed::{Answers, Observed, SpecView, StoredRequest};
use super::plan::Read;
use super::{rerun, rescale};
use crate::api::JobRequestStatus;
use crate::api::condition::{RunResult, Stop, Trigger};
use crate::api::run_policy::RunPolicy;
use crate::api::status::{Run, TemplatePin};
use crate::api::template_ref::TemplateRef;
use crate::compile::{Fate, Layers};

/// What a request asks for beyond its newest run that has, or had, a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    /// Nothing.
    Nothing,
    /// A run, for this reason; the token if it is a rerun.
    Run(Trigger, Option<String>),
    /// The spec has changed, and the run policy holds it back.
    HeldBack,
    /// A run with newer templates, which waits for its turn.
    AwaitTurn,
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
    observed: &Observed,
) -> Pending {
    let policy = stored.run_policy.clone().unwrap_or_default();
    wanted(request, spec, history, &policy, layers, observed)
}

/// What `request` asks for after the newest run of `history` that has, or had, a Job: also while another is reserved for
/// it. `layers` apply to it as the cache shows them.
pub(super) fn wanted(
    request: &StoredRequest,
    spec: &SpecView,
    history: &RunHistory,
    policy: &RunPolicy,
    layers: &Layers,
    observed: &Observed,
) -> Pending {
    let answers = &observed.answers;
    let reserved = history.reserved();
    if history.is_new() && policy.holds_creation() {
        return Pending::HeldBack;
    }
    let token = rerun::requested(request, &history.handled);
    // A run that is reserved and has no Job is nobody's newest run.
    let Some(before) = Before::of(history) else {
        return Pending::Run(Trigger::Created, token.or_else(|| reserved.and_then(|run| run.token.clone())));
    };
    // Rule 12: both sources, or a source and an edit, make one run.
    if token.is_some() {
        return Pending::Run(Trigger::Rerun, token);
    }
    // A change of the spec can be taken back; a token that was handled, or a template's turn, stands for one run.
    if let Some(reserved) = reserved.filter(|run| run.trigger != Trigger::SpecChange) {
        return Pending::Run(reserved.trigger, reserved.token.clone());
    }
    let has_changed = before.differs_from(request, spec) && !is_rescaled(history, spec, observed);
    let changed = || {
        if policy.holds() { Pending::HeldBack } else { Pending::Run(Trigger::SpecChange, None) }
    };
    let Some(newest) = history.ran() else {
        return if has_changed { changed() } else { Pending::Nothing };
    };
    // Rule 14: what was stopped for a newer run asks for it, even if the spec has returned since.
    if newest.result == Some(RunResult::Replaced) {
        let templates = if has_changed || !policy.follows_templates() {
            TemplateChange::None
        } else {
            templates_differ(&newest.templates, layers, answers)
        };
        return match in_turn(templates, request, newest, policy, answers) {
            Pending::Nothing => Pending::Run(Trigger::SpecChange, None),
            wanted => wanted,
        };
    }
    if has_changed {
        return changed();
    }
    // What exceeded their limits is tried again when they change.
    if policy.follows_templates() || newest.stop == Some(Stop::LimitsExceeded) {
        let wanted = templates_differ(&newest.templates, layers, answers);
        return in_turn(wanted, request, newest, policy, answers);
    }
    Pending::Nothing
}

/// The Job of the open run takes what has changed.
fn is_rescaled(history: &RunHistory, spec: &SpecView, observed: &Observed) -> bool {
    let open = history.ran().filter(|run| run.is_open());
    let job = open.and_then(|run| observed.job(run.job_uid.as_deref()?));
    job.is_some_and(|job| rescale::reaches(job, spec))
}

/// The spec that a request had when its newest run was created, or that counts as having run.
#[derive(Clone, Copy, Debug)]
struct Before<'a> {
    digest: &'a str,
    generation: i64,
}

impl<'a> Before<'a> {
    fn of(history: &'a RunHistory) -> Option<Self> {
        let ran = history.ran().map(|run| Self { digest: &run.digest, generation: run.generation });
        let held = history.held.as_ref();
        ran.or_else(|| held.map(|held| Self { digest: &held.digest, generation: held.generation }))
    }

    /// The spec of `request` is another. Rule 11.
    ///
    /// Digests of the request's own fields are compared, never Jobs. A digest that another release has computed, at the same
    /// generation, is that of the same spec. A request older than the run it is compared with is a stale view;
    /// unless its own status records that run: then it was restored with its status, and its generations count anew.
    fn differs_from(self, request: &StoredRequest, spec: &SpecView) -> bool {
        let generation = request.generation();
        if generation < self.generation && !is_restored(request) {
            return false;
        }
        spec.has_digest(self.digest).map_or(generation > self.generation, |is_same| !is_same)
    }
}

/// The status records a generation that the object itself has not reached: it was written for another object of this name,
/// and came with it out of a backup, or from another cluster.
fn is_restored(request: &StoredRequest) -> bool {
    let Ok(status) = &request.status.0 else { return false };
    let recorded = status.runs.iter().filter(|run| run.job_uid.is_some()).map(|run| run.generation);
    let held = status.held.iter().map(|held| held.generation);
    recorded.chain(held).any(|generation| generation > request.generation())
}

/// What templates ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplateChange {
    /// Nothing.
    None,
    /// A run, because of this one.
    Of(TemplateRef),
    /// It depends on an answer.
    Ask(Read),
}

/// Rule 11: runs follow a template at a bounded pace. A turn is asked for when the run could start with it.
fn in_turn(
    change: TemplateChange,
    request: &StoredRequest,
    newest: &Run,
    policy: &RunPolicy,
    answers: &Answers,
) -> Pending {
    let template = match change {
        TemplateChange::None => return Pending::Nothing,
        TemplateChange::Ask(read) => return Pending::Ask(read),
        TemplateChange::Of(template) => template,
    };
    let waits_anyway = request.is_suspended() || (newest.is_open() && !policy.replaces());
    if waits_anyway {
        return Pending::Run(Trigger::TemplateChange, None);
    }
    match &answers.turn {
        Some((of, true)) if *of == template => Pending::Run(Trigger::TemplateChange, None),
        Some((of, false)) if *of == template => Pending::AwaitTurn,
        _ => Pending::Ask(Read::Turn(template)),
    }
}

/// Whether the effective templates, of `layers`, are newer than those which the newest run was created with, `then`. Rule
/// 11: a lower generation is a stale cache; what has another uid, came or went is read first. One that is terminating has
/// not gone yet: until then nothing has come in its place either.
fn templates_differ(then: &[TemplatePin], layers: &Layers, answers: &Answers) -> TemplateChange {
    let same = |a: &TemplatePin, b: &TemplatePin| a.kind == b.kind && a.name == b.name;
    let is_terminating = |pin: &TemplatePin| layers.fate(pin) == Fate::Terminating;
    let is_one_terminating = then.iter().any(is_terminating);
    let changed = |pin: &TemplatePin| TemplateChange::Of(reference(pin));
    let now = layers.pins();
    let mut ask = None;
    for pin in now.iter().filter(|pin| !is_terminating(pin)) {
        match then.iter().find(|old| same(old, pin)) {
            None if is_one_terminating => {}
            Some(old) if old.uid == pin.uid && pin.generation > old.generation => return changed(pin),
            Some(old) if old.uid == pin.uid => {}
            Some(_) | None => match answers.templates.get(&reference(pin)) {
                Some(Some(found)) if found.uid == pin.uid => return changed(pin),
                Some(_) => {}
                None => ask = ask.or(Some(reference(pin))),
            },
        }
    }
    let gone = |old: &&TemplatePin| !is_terminating(old) && !now.iter().any(|pin| same(old, pin));
    for old in then.iter().filter(gone) {
        match answers.templates.get(&reference(old)) {
            Some(Some(found)) if found.uid == old.uid && found.generation <= old.generation => {}
            Some(_) => return changed(old),
            None => ask = ask.or(Some(reference(old))),
        }
    }
    ask.map_or(TemplateChange::None, |template| TemplateChange::Ask(Read::Template(template)))
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
    use crate::reconcile::observed::Memory;

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
        let run = TemplateChange::Of(reference(&pin("a", 1)));
        let ask = |name: &str| TemplateChange::Ask(Read::Template(reference(&pin(name, 1))));
        for (what, then, now, wanted) in [
            ("as it was", vec![pin("a", 1)], vec![default("a", 1, false)], TemplateChange::None),
            ("edited", vec![pin("a", 1)], vec![default("a", 2, false)], run.clone()),
            ("going", vec![pin("a", 1)], vec![default("a", 1, true)], TemplateChange::None),
            ("edited, and going", vec![pin("a", 1)], vec![default("a", 5, true)], TemplateChange::None),
            ("gone", vec![pin("a", 1)], vec![], ask("a")),
            (
                "going, and another one takes its place",
                vec![pin("a", 1)],
                vec![default("a", 1, true), default("b", 1, false)],
                TemplateChange::None,
            ),
            (
                "gone, and another one has its place",
                vec![pin("a", 1)],
                vec![default("b", 1, false)],
                ask("b"),
            ),
            (
                "going, and the run was made without it",
                vec![],
                vec![default("a", 1, true)],
                TemplateChange::None,
            ),
            ("gone, and the run was made without it", vec![], vec![], TemplateChange::None),
        ] {
            let layers = select(Builtin::default(), &JobRequestSpec::default(), &now);
            assert_eq!(templates_differ(&then, &layers, &Answers::default()), wanted, "{what}");
        }
    }

    fn request(suspend: bool) -> StoredRequest {
        let spec = serde_json::json!({"suspend": suspend, "containers": [{"name": "main", "image": "a:1"}]});
        let metadata = serde_json::json!({"name": "a", "namespace": "n", "uid": "u", "generation": 1});
        serde_json::from_value(serde_json::json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    fn run(result: Option<&str>) -> Run {
        serde_json::from_value(serde_json::json!({
            "number": 1, "jobName": "a-1", "jobUid": "j", "trigger": "Created", "digest": "d", "generation": 1,
            "result": result
        }))
        .unwrap()
    }

    #[test]
    fn a_run_follows_a_template_in_its_turn() {
        let waits: RunPolicy = serde_json::from_value(serde_json::json!({"whileActive": "Wait"})).unwrap();
        let replaces: RunPolicy =
            serde_json::from_value(serde_json::json!({"whileActive": "Replace"})).unwrap();
        let template = reference(&pin("a", 2));
        let answered = |turn| Answers { turn, ..Answers::default() };
        let granted = |is_granted| answered(Some((template.clone(), is_granted)));
        let follows = Pending::Run(Trigger::TemplateChange, None);
        let asks = Pending::Ask(Read::Turn(template.clone()));
        let ended = run(Some("Succeeded"));
        for (what, is_suspended, newest, policy, answers, wanted) in [
            ("asks first", false, &ended, &waits, answered(None), &asks),
            ("has a turn", false, &ended, &waits, granted(true), &follows),
            ("has none", false, &ended, &waits, granted(false), &Pending::AwaitTurn),
            (
                "has one of another template",
                false,
                &ended,
                &waits,
                answered(Some((reference(&pin("b", 1)), true))),
                &asks,
            ),
            ("is suspended, and takes nobody's turn", true, &ended, &waits, answered(None), &follows),
            ("waits for its own run first", false, &run(None), &waits, answered(None), &follows),
            ("is to replace its own run", false, &run(None), &replaces, answered(None), &asks),
        ] {
            let change = TemplateChange::Of(template.clone());
            assert_eq!(&in_turn(change, &request(is_suspended), newest, policy, &answers), wanted, "{what}");
        }
    }

    #[test]
    fn what_was_replaced_for_a_template_follows_it_in_its_turn() {
        let mut replaced = run(Some("Replaced"));
        let request = request(false);
        let spec = request.spec.0.clone().unwrap();
        replaced.digest = spec.digest();
        replaced.templates = vec![pin("a", 1)];
        let policy = serde_json::json!({"whileActive": "Replace", "onTemplateChange": "Rerun"});
        let policy: RunPolicy = serde_json::from_value(policy).unwrap();
        let layers = select(Builtin::default(), &JobRequestSpec::default(), &[default("a", 2, false)]);
        let observed = Observed {
            request: None,
            jobs: Vec::new(),
            pods: Vec::new(),
            answers: Answers::default(),
            memory: Memory::default(),
            sole_since: None,
        };
        let asked = |replaced: Run| {
            let history = RunHistory { runs: vec![replaced], ..RunHistory::default() };
            wanted(&request, &spec, &history, &policy, &layers, &observed)
        };
        assert_eq!(asked(replaced.clone()), Pending::Ask(Read::Turn(reference(&pin("a", 1)))));
        // For a spec that is new, or that has returned since.
        assert_eq!(
            asked(Run { templates: vec![pin("a", 2)], ..replaced.clone() }),
            Pending::Run(Trigger::SpecChange, None)
        );
        assert_eq!(
            asked(Run { digest: "1:0123456789abcdef".to_owned(), ..replaced }),
            Pending::Run(Trigger::SpecChange, None)
        );
    }
}
