//! Documents in; the Jobs of their JobRequests, and everything that is wrong, out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use serde_json::Value;

use super::diagnostic::{Diagnostic, Rule};
use super::document::{Document, Documents, Skipped, in_namespace};
use super::schema_check::{Checked, Checker, SchemaError, Violation};
use super::templates::{self, layers_for};
use super::yaml::{Part, Path, Step};
use crate::api::{JobRequest, JobRequestSpec, labels};
use crate::compile::{
    Compiled, Identity, Layers, Problem, ScopedTemplate, check_template, compile, helm_hook, laid_over,
};

/// Stands for the letters that the API server appends to `generateName`.
const SUFFIX: &str = "xxxxx";

/// What became of the documents.
#[derive(Debug, Default)]
pub struct Inspected {
    /// Every document of the project, in order.
    pub documents: Vec<Inspection>,
    /// How many objects are of other API groups.
    pub passed_over: usize,
    /// Files that were passed over.
    pub skipped: Skipped,
    /// Everything that is wrong, in order of sources and lines.
    pub diagnostics: Vec<Diagnostic>,
    /// What is accepted and hardly meant, in the same order.
    pub warnings: Vec<Diagnostic>,
    /// The templates among the documents.
    pub templates: Vec<ScopedTemplate>,
}

/// One document.
#[derive(Debug)]
pub struct Inspection {
    /// The document.
    pub document: Document,
    /// Its own namespace, or the requested one.
    pub namespace: Option<String>,
    /// How many diagnostics are about it.
    pub problems: usize,
    /// What it asks for, if it is a JobRequest that can be read.
    pub request: Option<Request>,
}

impl Inspection {
    /// `jobrequest/pi in namespace team-a`.
    #[must_use]
    pub fn object_in_namespace(&self) -> String {
        in_namespace(&self.document.object(), self.namespace.as_deref())
    }
}

/// A JobRequest, and what becomes of it.
#[derive(Debug)]
pub struct Request {
    /// Its name; of one whose name the API server makes up, with letters that stand for those.
    pub name: String,
    /// Its namespace: its own, or the requested one.
    pub namespace: Option<String>,
    /// Its spec.
    pub spec: JobRequestSpec,
    /// The templates that apply to it.
    pub layers: Layers,
    /// Its Job, if there are no problems.
    pub compiled: Option<Compiled>,
}

/// Judges every document of `documents`, as if it were sent to `namespace`; Jobs are of run `run`.
///
/// # Errors
/// A schema of the CRDs uses what is not supported here, which a test rules out.
pub fn inspect(documents: Documents, namespace: Option<&str>, run: i32) -> Result<Inspected, SchemaError> {
    inspect_over(documents, &[], namespace, run)
}

/// The same, as if the templates among the documents were applied over those that are `stored`.
///
/// # Errors
/// As of [`inspect`].
pub fn inspect_over(
    documents: Documents,
    stored: &[ScopedTemplate],
    namespace: Option<&str>,
    run: i32,
) -> Result<Inspected, SchemaError> {
    let checker = Checker::new(namespace)?;
    let Documents { documents, passed_over, skipped, unreadable, native: _ } = documents;
    let results: Vec<_> = documents.iter().map(|document| checker.check(document)).collect();
    let own: Vec<_> = (documents.iter().zip(&results))
        .filter_map(|(document, result)| templates::template(document, result.value.as_ref()?, namespace))
        .collect();
    let all = if stored.is_empty() { None } else { Some(laid_over(stored, &own, None)) };
    let templates = all.as_deref().unwrap_or(&own);
    let diagnostics = unreadable.into_iter().map(|(source, error)| Diagnostic::of_text(source, error));
    let mut inspected =
        Inspected { diagnostics: diagnostics.collect(), passed_over, skipped, ..Inspected::default() };
    let mut known = HashMap::new();
    for (index, (document, result)) in documents.into_iter().zip(results).enumerate() {
        let (request, mut violations) = judge(&document, result, templates, namespace, run);
        violations.extend(written_again(&document, namespace, &mut known).map(|it| (Rule::WrittenOnce, it)));
        let problems = violations.len();
        let diagnostic = |(rule, violation)| diagnostic(index, &document, namespace, rule, violation);
        inspected.diagnostics.extend(violations.into_iter().map(diagnostic));
        inspected.warnings.extend(hook(&document).map(|it| diagnostic((Rule::HelmHook, it))));
        let namespace = document.namespace(namespace).map(ToOwned::to_owned);
        inspected.documents.push(Inspection { document, namespace, problems, request });
    }
    // The order of the checks decides among equals.
    for list in [&mut inspected.diagnostics, &mut inspected.warnings] {
        list.sort_by_key(|diagnostic| (diagnostic.source.number, diagnostic.at));
    }
    inspected.templates = own;
    Ok(inspected)
}

/// What the API server would refuse of `documents` by the schemas and rules of the CRDs, as if they were sent to `namespace`:
/// nothing that templates decide.
///
/// # Errors
/// A schema of the CRDs uses what is not supported here, which a test rules out.
pub fn check(documents: &Documents, namespace: Option<&str>) -> Result<Vec<Diagnostic>, SchemaError> {
    let checker = Checker::new(namespace)?;
    let unreadable = documents.unreadable.iter();
    let mut diagnostics: Vec<_> =
        unreadable.map(|(source, error)| Diagnostic::of_text(Arc::clone(source), error.clone())).collect();
    for (index, document) in documents.documents.iter().enumerate() {
        let violations = checker.check(document).violations.into_iter();
        let diagnostic = |violation| diagnostic(index, document, namespace, Rule::Schema, violation);
        diagnostics.extend(violations.map(diagnostic));
    }
    diagnostics.sort_by_key(|diagnostic| (diagnostic.source.number, diagnostic.at));
    Ok(diagnostics)
}

/// A JobRequest that is a hook of a Helm chart.
fn hook(document: &Document) -> Option<Violation> {
    let metadata = document.node.entry("metadata").map(|entry| &entry.value)?;
    let annotations = metadata.entry("annotations").map(|entry| &entry.value)?;
    let hook = annotations.text(labels::HELM_HOOK).filter(|_| document.kind == "JobRequest")?;
    let path = ["metadata", "annotations", labels::HELM_HOOK].map(|key| Step::Key(key.to_owned()));
    Some(Violation { path: path.into(), field: None, part: Part::Key, message: helm_hook::warning(hook) })
}

/// A cluster keeps one object of a kind, namespace and name: which of two counts is not guessed here. `known` holds where
/// each was first written.
fn written_again(
    document: &Document,
    namespace: Option<&str>,
    known: &mut HashMap<(String, String, String), String>,
) -> Option<Violation> {
    let metadata = document.node.entry("metadata").map(|entry| &entry.value)?;
    let name = metadata.text("name").filter(|name| !name.is_empty())?;
    let namespace = document.namespace(namespace);
    let here = format!("{}:{}", document.source.name, document.node.at.line);
    let key = (document.kind.clone(), namespace.unwrap_or_default().to_owned(), name.to_owned());
    let first = match known.entry(key) {
        Entry::Vacant(entry) => {
            entry.insert(here);
            return None;
        }
        Entry::Occupied(entry) => entry.into_mut().clone(),
    };
    Some(Violation {
        path: vec![Step::Key("metadata".to_owned()), Step::Key("name".to_owned())],
        field: None,
        part: Part::Value,
        message: format!(
            "{} is written twice, at {first} and at {here}, and a cluster keeps only one of them; rename or remove one",
            in_namespace(&document.object(), namespace)
        ),
    })
}

/// What the API server and then the operator make of a document, and everything that is wrong with it.
pub(super) fn judge(
    document: &Document,
    checked: Checked,
    templates: &[ScopedTemplate],
    namespace: Option<&str>,
    run: i32,
) -> (Option<Request>, Vec<(Rule, Violation)>) {
    let Checked { value, violations, left_out } = checked;
    let Some(value) = value else { return (None, by(Rule::Schema, violations).collect()) };
    let (request, refusals) = compile_document(document, &value, templates, namespace, run);
    let news: Vec<_> = refusals
        .into_iter()
        .filter(|refusal| !refusal.follows_from(&violations, &left_out))
        .map(|refusal| refusal.violation)
        .collect();
    let violations: Vec<_> = by(Rule::Schema, violations).chain(by(Rule::Spec, news)).collect();
    let request = request
        .map(|request| Request { compiled: request.compiled.filter(|_| violations.is_empty()), ..request });
    (request, violations)
}

fn by(rule: Rule, violations: Vec<Violation>) -> impl Iterator<Item = (Rule, Violation)> {
    violations.into_iter().map(move |violation| (rule, violation))
}

/// Why the operator would refuse a document.
struct Refusal {
    violation: Violation,
    origin: Origin,
    /// The field whose absence is the cause, where that is another one.
    missing: Option<Vec<Step>>,
}

/// What a refusal is about.
enum Origin {
    /// The document as a whole could not be read into its type, which the schema explains better.
    Reading,
    /// A field of the document.
    Field,
    /// A field which the document does not have.
    Absent,
}

impl Refusal {
    fn of_problem(document: &Document, problem: &Problem) -> Self {
        let (path, is_whole) = document.node.steps(&problem.field);
        // compile names members of lists by their key, which reads better.
        let field = Some(problem.field.clone());
        let violation = Violation { path, field, part: Part::Value, message: problem.message.clone() };
        let missing = problem.missing.map(|missing| document.node.steps(missing).0);
        Self { violation, origin: if is_whole { Origin::Field } else { Origin::Absent }, missing }
    }

    /// The schema has reported the cause in `violations`, or it is one of the fields that were `left_out` for it.
    fn follows_from(&self, violations: &[Violation], left_out: &[Vec<Step>]) -> bool {
        let is_reported = match self.origin {
            Origin::Reading => !violations.is_empty(),
            Origin::Field => violations.iter().any(|violation| violation.path == self.violation.path),
            Origin::Absent => false,
        };
        is_reported || left_out.contains(self.missing.as_ref().unwrap_or(&self.violation.path))
    }
}

/// What the operator makes of a document: of a JobRequest its Job, or why it has none; of a template what is wrong
/// with it by itself. `value` is the document with defaults.
fn compile_document(
    document: &Document,
    value: &Value,
    templates: &[ScopedTemplate],
    namespace: Option<&str>,
    run: i32,
) -> (Option<Request>, Vec<Refusal>) {
    let refusals = |problems: &[Problem]| -> Vec<_> {
        problems.iter().map(|problem| Refusal::of_problem(document, problem)).collect()
    };
    if let Some(refusal) = templates::spec_of(value).refusal() {
        let problem = Problem::new("spec", format!("{refusal}; the operator reads no such spec"));
        return (None, refusals(&[problem]));
    }
    if document.kind != "JobRequest" {
        let template = templates::template(document, value, namespace);
        let problems = template.map(|scoped| check_template(&scoped.template)).unwrap_or_default();
        return (None, refusals(&problems));
    }
    let request: JobRequest = match serde_path_to_error::deserialize(value) {
        Ok(request) => request,
        Err(error) => {
            let (path, _) = document.node.steps(&error.path().to_string());
            let message = error.into_inner().to_string();
            let violation = Violation { path, field: None, part: Part::Value, message };
            return (None, vec![Refusal { violation, origin: Origin::Reading, missing: None }]);
        }
    };
    let generated = request.metadata.generate_name.as_ref().map(|prefix| format!("{prefix}{SUFFIX}"));
    let named = request.metadata.name.as_deref().filter(|name| !name.is_empty());
    let identity = Identity {
        name: named.or(generated.as_deref()).unwrap_or_default(),
        namespace: request.metadata.namespace.as_deref().or(namespace),
        uid: None,
        generation: None,
        handled: None,
    };
    let layers = layers_for(&request, identity.namespace, templates);
    let (compiled, problems) = match compile(&identity, &request.spec, &layers, run) {
        Ok(compiled) => (Some(compiled), Vec::new()),
        Err(problems) => (None, refusals(problems.as_slice())),
    };
    let name = identity.name.to_owned();
    let namespace = identity.namespace.map(ToOwned::to_owned);
    (Some(Request { name, namespace, spec: request.spec, layers, compiled }), problems)
}

fn diagnostic(
    index: usize,
    document: &Document,
    namespace: Option<&str>,
    rule: Rule,
    violation: Violation,
) -> Diagnostic {
    Diagnostic {
        rule,
        namespace: document.namespace(namespace).map(ToOwned::to_owned),
        document: Some(index),
        source: Arc::clone(&document.source),
        at: document.node.locate(&violation.path, violation.part),
        object: document.object(),
        field: violation.field.unwrap_or_else(|| Path(&violation.path).to_string()),
        message: violation.message,
    }
}
