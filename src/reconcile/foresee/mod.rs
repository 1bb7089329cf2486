//! What the operator would do next about a JobRequest, without doing it.
//!
//! Takes what is observed, the JobRequest as it would be stored among it; returns what a pass comes to. The pass itself is
//! driven, as the operator drives it, by answers that say yes to everything: no rule is repeated here.

mod effect;
mod fields;

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

pub use effect::{Edit, Effect, FieldChange};
pub use fields::changed_fields;

use super::acceptance::{AcceptedSpec, accept, effective_policy};
use super::call::{Answer, Call, Step};
use super::history;
use super::observed::{Answers, Clock, JobView, Lenient, Observed, StoredRequest};
use super::patch::last_written;
use super::plan::{Change, Propagation, Read};
use super::reconciler::Reconciler;
use super::trigger::{Pending, wanted};
use crate::api::condition::{ConditionType, Stop, Trigger};
use crate::api::status::{Run, TemplatePin};
use crate::api::template_ref::{TemplateKind, TemplateRef};
use crate::compile::Layers;

/// Maximum number of calls that are answered, more than any pass needs.
const MAX_CALLS: usize = 200;
/// How long the imagined operator has been running: longer than any grace period.
const UPTIME: Duration = Duration::from_secs(86_400);

/// What is known beside the objects of the JobRequest itself.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The layers that apply to it.
    pub layers: Layers,
    /// Kinds of templates that could not be read: they count as what the newest run was made with.
    pub unseen: Vec<TemplateKind>,
    /// The time.
    pub now: Timestamp,
}

/// A run that starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// Its number.
    pub number: i32,
    /// Why.
    pub trigger: Trigger,
    /// Its Job.
    pub job: Box<Job>,
}

/// What a JobRequest asks for beyond its newest run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing.
    Nothing,
    /// A run, for this reason.
    Run(Trigger),
    /// A run, once a rerun is asked for or the spec changes again: the run policy holds it back.
    Held,
}

/// What would come of a JobRequest.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreseen {
    /// Why the spec is rejected.
    pub rejection: Option<String>,
    /// The run that starts.
    pub start: Option<Start>,
    /// What is patched on the live Job of the active run.
    pub patched: Vec<FieldChange>,
    /// The active run, with whether it is stopped for a newer one, and why.
    pub active: Option<(i32, Option<Stop>)>,
    /// What it asks for.
    pub wanted: Wanted,
    /// Number of the run after the newest one.
    pub next_number: Option<i32>,
    /// `spec.suspend` is set.
    pub is_suspended: bool,
    /// It is being deleted.
    pub is_deleting: bool,
    /// What the status says about its state.
    pub message: String,
}

/// What the operator would do about the JobRequest of `observed`.
#[must_use]
pub fn foresee(mut observed: Observed, around: &Surroundings) -> Foreseen {
    let clock = Clock { now: around.now, uptime: UPTIME };
    let Some(request) = observed.request.clone() else { return Foreseen::nothing() };
    for uid in request.known_status().runs.into_iter().filter_map(|run| run.job_uid) {
        // What the operator does after a grace period is done.
        observed.memory.recorded_since.insert(uid, Duration::ZERO);
    }
    observed.sole_since = Some(Duration::ZERO);
    let mut cluster =
        Imagined { request, observed: observed.clone(), around, start: None, patched: Vec::new() };
    let mut pass = Reconciler::new(observed, around.layers.clone(), clock);
    for _ in 0..MAX_CALLS {
        let Step::Call(call) = pass.step(clock) else { break };
        let answer = cluster.answer(&call);
        if cluster.start.is_some() {
            break;
        }
        pass.answer(&call, answer, clock);
    }
    cluster.conclude(clock)
}

/// The API server as it would answer.
struct Imagined<'a> {
    request: StoredRequest,
    observed: Observed,
    around: &'a Surroundings,
    start: Option<(i32, Box<Job>)>,
    patched: Vec<FieldChange>,
}

impl Imagined<'_> {
    fn answer(&mut self, call: &Call) -> Answer {
        match call {
            Call::Read(read) => self.read(read),
            Call::Change(Change::Create { job, .. }) => {
                let number = self.newest().map_or(1, |run| run.number);
                self.start = Some((number, job.clone()));
                Answer::Late
            }
            Call::Change(Change::Patch { name, patch }) => self.patch(name, patch),
            Call::Change(Change::Delete { uid, propagation, .. }) => {
                if *propagation == Propagation::Background {
                    self.observed.jobs.retain(|job| job.uid() != uid);
                }
                Answer::Done
            }
            Call::WriteStatus { status, .. } => {
                self.request.status = Lenient(Ok((**status).clone()));
                Answer::Written(Box::new(self.request.clone()))
            }
            Call::Publish(_) => Answer::Done,
        }
    }

    fn read(&mut self, read: &Read) -> Answer {
        match read {
            Read::Request => Answer::Request(Some(Box::new(self.request.clone()))),
            Read::Job(name) => {
                Answer::Job(self.observed.jobs.iter().find(|job| job.name() == name).cloned().map(Box::new))
            }
            Read::Jobs => {
                self.observed.answers.jobs = Some(self.observed.jobs.clone());
                Answer::Jobs(self.observed.jobs.clone())
            }
            Read::Events(_) => Answer::Events(None),
            Read::Turn(template) => {
                self.observed.answers.turn = Some((template.clone(), true));
                Answer::Turn(true)
            }
            Read::Template(template) => {
                let found = self.template(template);
                self.observed.answers.templates.insert(template.clone(), found.clone());
                Answer::Template(found)
            }
        }
    }

    /// What a run would record of a template: one that could not be read is as it was.
    fn template(&self, template: &TemplateRef) -> Option<TemplatePin> {
        let in_scope = self.around.layers.in_scope.iter();
        let found =
            in_scope.map(|known| (&known.reference, known.pin())).find(|(known, _)| *known == template);
        let status = self.request.known_status();
        let recorded = || {
            let run = Run::newest_with_job(&status.runs)?;
            run.templates.iter().find(|pin| pin.kind == template.kind && pin.name == template.name).cloned()
        };
        let is_unseen = self.around.unseen.contains(&template.kind);
        found.map(|(_, pin)| pin).or_else(|| if is_unseen { recorded() } else { None })
    }

    fn patch(&mut self, name: &str, patch: &Value) -> Answer {
        let Some(job) = self.observed.jobs.iter_mut().find(|job| job.name() == name) else {
            return Answer::Missing;
        };
        let before = fields(job);
        let changed = patch.get("spec").and_then(Value::as_object).into_iter().flatten();
        self.patched.extend(changed.map(|(field, to)| FieldChange {
            path: field.clone(),
            from: before.get(field).cloned().unwrap_or_default(),
            to: to.clone(),
        }));
        let mut whole = serde_json::to_value(&*job).unwrap_or_default();
        json_patch::merge(&mut whole, patch);
        match serde_json::from_value::<JobView>(whole) {
            Ok(now) => {
                *job = now.clone();
                Answer::Patched(Box::new(now))
            }
            Err(_) => Answer::Missing,
        }
    }

    fn newest(&self) -> Option<Run> {
        self.request.known_status().runs.into_iter().next()
    }

    /// What the request asks for once the pass is over.
    fn conclude(self, clock: Clock) -> Foreseen {
        let Self { request, observed, around, start, patched } = self;
        let stored = request.known_status();
        let answers = Answers { creation: None, job: None, ..observed.answers.clone() };
        let observed = Observed { request: Some(request.clone()), answers, ..observed };
        let judged = history::known(&observed, &request, &stored, clock).and_then(|history| {
            let acceptance = accept(&observed, &request, &stored, &history, &around.layers, clock)?;
            let policy = effective_policy(&acceptance, &stored);
            Ok(match &acceptance {
                Err(rejection) => (Some(rejection.message.clone()), Pending::Nothing),
                Ok(AcceptedSpec { spec, .. }) => {
                    (None, wanted(&request, spec, &history, &policy, &around.layers, &observed))
                }
            })
        });
        // A whole spec, and all Jobs, are at hand: nothing is left to be read.
        let (rejection, pending) = judged.unwrap_or((None, Pending::Nothing));
        let wanted = match pending {
            Pending::Run(trigger, _) => Wanted::Run(trigger),
            Pending::HeldBack => Wanted::Held,
            Pending::Ask(Read::Turn(_)) | Pending::AwaitTurn => Wanted::Run(Trigger::TemplateChange),
            Pending::Nothing if stored.held.is_some() && stored.runs.is_empty() => Wanted::Held,
            Pending::Nothing | Pending::Ask(_) => Wanted::Nothing,
        };
        let newest = stored.runs.first();
        let open = newest.filter(|run| run.is_open());
        let next_number = match (newest, open.filter(|run| run.is_reserved())) {
            (_, Some(reserved)) => Some(reserved.number),
            (Some(newest), None) => newest.number.checked_add(1),
            (None, None) => Some(1),
        };
        let trigger = newest.map_or(Trigger::Created, |run| run.trigger);
        let ready = stored.condition(ConditionType::Ready);
        Foreseen {
            rejection,
            start: start.map(|(number, job)| Start { number, trigger, job }),
            patched,
            active: open.filter(|run| !run.is_reserved()).map(|run| (run.number, run.stop)),
            wanted,
            next_number,
            is_suspended: request.is_suspended(),
            is_deleting: request.is_deleting(),
            message: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
        }
    }
}

/// The fields of a live Job that may change, as the operator last wrote them, else as they are.
fn fields(job: &JobView) -> serde_json::Map<String, Value> {
    let object = |value: Result<Value, serde_json::Error>| match value {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let mut fields = object(serde_json::to_value(&job.spec));
    fields.extend(last_written(job).map(|last| object(serde_json::to_value(last))).unwrap_or_default());
    fields
}

impl Foreseen {
    fn nothing() -> Self {
        Self {
            rejection: None,
            start: None,
            patched: Vec::new(),
            active: None,
            wanted: Wanted::Nothing,
            next_number: None,
            is_suspended: false,
            is_deleting: false,
            message: String::new(),
        }
    }
}

#[cfg(test)]
mod tests;
