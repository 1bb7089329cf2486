//! From a native Job or CronJob to a JobRequest.
//!
//! Takes the object as JSON; returns a JobRequest as JSON, and a [`Note`] for every field that is not carried over, or is
//! written or acts differently. It is pure: its callers read files and clusters.
//!
//! ```text
//!  object -> metadata, kubesphere, cron_job, settings, pod (container, env, volume) -> JobRequest -> judged, compared
//! ```
//!
//! Each part moves what the form has; what is left goes to `overrides` as it is, so nothing is lost on the way. Then the
//! result is held against two rules: what the schema of the form refuses moves to `overrides`, too, and where the compiled
//! Job still differs from the native one, a note says so.

mod compare;
mod container;
mod cron_job;
mod defaults;
mod draft;
mod env;
mod kubesphere;
mod metadata;
mod note;
mod pod;
mod settings;
mod volume;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::batch::v1::JobSpec;
use serde_json::{Value, json};

use crate::api::labels;
use crate::compile::{Problem, read_native};
use crate::manifest::{Finding, Judge, Node, SchemaError};
use draft::{Draft, Fields, Origin, Part, put};
pub use note::{Note, NoteKind, Place};

/// Rounds in which fields move to the overrides; each round moves all that the one before has shown.
const MAX_ROUNDS: usize = 8;

/// A JobRequest, and what is to be known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Converted {
    /// The JobRequest.
    pub request: Value,
    /// What was not carried over, or is different, in the order of the native object.
    pub notes: Vec<Note>,
}

/// Why an object has no JobRequest, at least one note.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal(pub Vec<Note>);

/// Whether objects of this kind can be converted.
#[must_use]
pub fn is_convertible(api_version: &str, kind: &str) -> bool {
    matches!((api_version, kind), ("batch/v1", "Job" | "CronJob") | ("batch/v1beta1", "CronJob"))
}

/// Converts objects.
#[derive(Debug)]
pub struct Converter {
    judge: Judge,
}

/// What is read of an object, before anything is moved.
struct Native {
    metadata: Fields,
    /// The spec of the CronJob without its Job, if it is one.
    cron_job: Option<Fields>,
    /// The spec of the Job.
    spec: JobSpec,
    /// Where that is written.
    at: Place,
    is_live: bool,
}

impl Converter {
    /// Gets the rules ready by which results are judged.
    ///
    /// # Errors
    /// A schema of the CRDs uses what is not supported here, which a test rules out.
    pub fn new() -> Result<Self, SchemaError> {
        Ok(Self { judge: Judge::new()? })
    }

    /// Converts a Job or CronJob.
    ///
    /// # Errors
    /// It cannot be converted, or is no such object.
    pub fn convert(&self, object: &Value) -> Result<Converted, Refusal> {
        let mut notes = Vec::new();
        let native = read(object, &mut notes)?;
        let mut denied = BTreeMap::new();
        let mut draft = build(&native, &denied);
        for _ in 0..MAX_ROUNDS {
            let findings = self.judge.by_schema(&draft.0);
            let known = denied.len();
            for finding in findings {
                let of = |origin: &&Origin| {
                    origin.is_movable && Place::from(finding.path.clone()).is_within(&origin.form)
                };
                let source = draft.1.iter().filter(of).max_by_key(|origin| origin.form.steps().len());
                if let Some(source) = source {
                    denied
                        .entry(source.native.to_string())
                        .or_insert((source.native.clone(), finding.message));
                }
            }
            if denied.len() == known {
                break;
            }
            draft = build(&native, &denied);
        }
        let (request, origins, of_draft) = draft;
        notes.extend(of_draft);
        for (place, message) in denied.into_values() {
            let message = format!(
                "is written under overrides, because a JobRequest refuses it in its own field: {message}"
            );
            notes.push(Note::new(NoteKind::Changed, &place, message));
        }
        self.hold(&native, &request, &origins, &mut notes);
        let node = Node::of_value(object);
        notes.sort_by_key(|note| order(&node, note.place.steps()));
        Ok(Converted { request, notes })
    }

    /// Judges the result, and compares its Job with the native one.
    fn hold(&self, native: &Native, request: &Value, origins: &[Origin], notes: &mut Vec<Note>) {
        let (compiled, findings) = self.judge.judge(request);
        for Finding { path, field, message } in findings {
            let path = Place::from(path);
            let source = origins.iter().filter(|origin| path.is_within(&origin.form));
            let source = source.max_by_key(|origin| origin.form.steps().len());
            let place =
                source.map_or_else(|| of_overrides(&path, &native.at), |source| source.native.clone());
            notes.push(Note { kind: NoteKind::Invalid, place, field, message });
        }
        let Some(of_run) = compiled.and_then(|compiled| compiled.job.spec) else { return };
        for place in compare::differences(&native.spec, &of_run, &native.at) {
            let is_noted = notes.iter().any(|note| note.place.holds(&place) || place.holds(&note.place));
            let of_node = native.at.key("template").key("spec");
            let is_of_node = of_node.key("affinity").holds(&place)
                && notes.iter().any(|note| note.place == of_node.key("nodeName"));
            if !is_noted && !is_of_node {
                let message = "is not the same in the Job of a run; compare with jobrequest render";
                notes.push(Note::new(NoteKind::Dropped, &place, message));
            }
        }
    }
}

/// The place in the native Job of what is written in the overrides.
fn of_overrides(path: &Place, at: &Place) -> Place {
    let overrides = Place::of(&["spec", "overrides"]);
    if !overrides.holds(path) {
        return Place::default();
    }
    let within = path.steps().iter().skip(overrides.steps().len());
    Place::from(at.steps().iter().chain(within).cloned().collect::<Vec<_>>())
}

/// The position of each step among its siblings, so that notes come in the order of the object.
fn order(node: &Node, steps: &[crate::manifest::Step]) -> Vec<usize> {
    use crate::manifest::{Content, Step};
    let mut order = Vec::new();
    let mut node = node;
    for step in steps {
        let found = match (step, &node.content) {
            (Step::Key(key), Content::Map(entries)) => entries
                .iter()
                .enumerate()
                .find(|(_, entry)| entry.key == *key)
                .map(|(at, entry)| (at, &entry.value)),
            (Step::Index(index), Content::List(items)) => items.get(*index).map(|item| (*index, item)),
            _ => None,
        };
        let Some((at, child)) = found else { break };
        order.push(at);
        node = child;
    }
    order
}

/// Reads the object, and refuses what cannot be converted.
fn read(object: &Value, notes: &mut Vec<Note>) -> Result<Native, Refusal> {
    let refused = |place: &[&str], message: &str| {
        Refusal(vec![Note::new(NoteKind::Refused, &Place::of(place), message)])
    };
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    if !is_convertible(text("apiVersion"), text("kind")) {
        return Err(refused(&[], "is no Job and no CronJob of batch/v1"));
    }
    let fields = |value: Option<&Value>| match value {
        None | Some(Value::Null) => Some(Fields::new()),
        Some(Value::Object(fields)) => Some(fields.clone()),
        Some(_) => None,
    };
    let Some(mut metadata) = fields(object.get("metadata")) else {
        return Err(refused(&["metadata"], "is not an object"));
    };
    metadata.retain(|_, value| !value.is_null());
    if let Some(note) = metadata::owner(&metadata, text("kind")) {
        return Err(Refusal(vec![note]));
    }
    let Some(mut spec) = fields(object.get("spec")) else {
        return Err(refused(&["spec"], "is not an object"));
    };
    spec.retain(|_, value| !value.is_null());
    let is_cron_job = text("kind") == "CronJob";
    let at = Place::of(if is_cron_job { &["spec", "jobTemplate", "spec"] } else { &["spec"] });
    let job = if is_cron_job {
        spec.get("jobTemplate").and_then(|template| template.get("spec")).cloned().unwrap_or_default()
    } else {
        Value::Object(spec.clone())
    };
    let job = if job.is_null() { json!({}) } else { job };
    let read = read_native(&job, &at.to_string());
    let node = Node::of_value(object);
    let mut report = |problems: Vec<Problem>, kind: NoteKind| {
        for problem in problems {
            let place = Place::from(node.steps(&problem.field).0);
            notes.push(Note { kind, place, field: problem.field, message: problem.message });
        }
    };
    report(read.misfits, NoteKind::Invalid);
    report(read.unknown, NoteKind::Dropped);
    let Some(read_spec) = read.spec else {
        let mut all = std::mem::take(notes);
        all.push(Note::new(NoteKind::Refused, &at, "is no spec of a Job"));
        return Err(Refusal(all));
    };
    if let Some(manager) =
        read_spec.managed_by.as_deref().filter(|name| *name != "kubernetes.io/job-controller")
    {
        let message = format!(
            "{manager} runs this Job in place of the Job controller, and a JobRequest cannot ask for that"
        );
        return Err(Refusal(vec![Note::new(NoteKind::Refused, &at.key("managedBy"), message)]));
    }
    let Some(rest) = object.as_object() else { return Err(refused(&[], "is not an object")) };
    let known = ["apiVersion", "kind", "metadata", "spec", "status"];
    for field in rest.keys().filter(|field| !known.contains(&field.as_str())) {
        let message = format!("a {} has no such field; check its spelling and place", text("kind"));
        notes.push(Note::new(NoteKind::Dropped, &Place::of(&[field]), message));
    }
    let is_live = metadata.contains_key("uid");
    Ok(Native { metadata, cron_job: is_cron_job.then_some(spec), spec: read_spec, at, is_live })
}

/// The JobRequest, where its values come from, and what there is to say, when the native fields in `denied` go to the
/// overrides.
fn build(native: &Native, denied: &BTreeMap<String, (Place, String)>) -> (Value, Vec<Origin>, Vec<Note>) {
    let denied: BTreeSet<String> = denied.keys().cloned().collect();
    let mut draft =
        Draft { denied: &denied, is_live: native.is_live, origins: Vec::new(), notes: Vec::new() };
    let mut spec = Fields::new();
    let mut metadata = metadata::convert(&mut draft, native.metadata.clone(), &mut spec);
    if let Some(cron_job) = &native.cron_job {
        cron_job::convert(&mut draft, &mut cron_job.clone(), &mut metadata, &mut spec);
    }
    let mut job = serde_json::to_value(&native.spec).unwrap_or_default();
    if let Some(job) = job.as_object_mut() {
        defaults::leave_out(job, native.is_live);
    }
    let mut job = Part::new(job, native.at.clone(), Place::of(&["spec"]));
    let template = job.from.remove("template").unwrap_or_default();
    let is_queued = spec.contains_key("queue");
    settings::convert(&mut draft, &mut job, is_queued);
    spec.append(&mut job.into);
    let left = pod::convert(&mut draft, template, &job.at.key("template"), &mut spec);
    put(&mut job.from, "template", left);
    put(&mut spec, "overrides", job.from);
    let request = json!({
        "apiVersion": labels::API_VERSION, "kind": "JobRequest", "metadata": metadata, "spec": spec,
    });
    (request, draft.origins, draft.notes)
}
