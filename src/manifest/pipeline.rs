//! What `render`, `validate` and `explain` share: documents in; Jobs and everything that is wrong out.

use std::rc::Rc;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::Value;

use super::check::{Checked, Checker, Found};
use super::finding::Finding;
use super::manifest::{self, Document, Part, Path, Step};
use super::templates::{self, Scoped, layers_for};
use crate::api::{JobRequest, JobRequestSpec};
use crate::compile::{Compiled, Identity, Layers, Problem, check_template, compile};

/// What is read, and how.
#[derive(Debug, Args)]
pub(super) struct Input {
    /// Files or folders of YAML or JSON; - is standard input
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    #[command(flatten)]
    options: Options,
}

/// How input is named and read by flags.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Files or folders of YAML or JSON, as kubectl takes them; - is standard input; may be repeated
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub(super) filenames: Vec<String>,
    /// Read the folders in folders, too
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Files or folders with templates, which may also stand among the others; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(super) templates: Vec<String>,
    /// Namespace of objects that name none
    #[arg(short, long, value_parser = NonEmptyStringValueParser::new())]
    pub(super) namespace: Option<String>,
}

/// What was found in the input.
#[derive(Debug, Default)]
pub(super) struct Inspected {
    pub(super) documents: Vec<Inspection>,
    /// Objects of other API groups.
    pub(super) passed_over: usize,
    /// In order of files and lines.
    pub(super) findings: Vec<Finding>,
}

/// One document.
#[derive(Debug)]
pub(super) struct Inspection {
    pub(super) document: Document,
    /// How many findings are about it.
    pub(super) problems: usize,
    /// Of a JobRequest that can be read.
    pub(super) request: Option<Request>,
}

/// A JobRequest, and what becomes of it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) namespace: Option<String>,
    pub(super) spec: JobRequestSpec,
    /// What lies below it.
    pub(super) layers: Layers,
    /// Its Job, if there are no problems.
    pub(super) compiled: Option<Compiled>,
}

/// Reads `input`, and judges every document of the project in it; Jobs are of run `run`.
///
/// # Errors
/// Something cannot be read at all, or holds nothing to judge.
pub(super) fn inspect(input: &Input, run: i32) -> Result<Inspected, String> {
    inspect_files(&input.files, &input.options, run)
}

/// The same, of `files` and those which `options` name.
///
/// # Errors
/// Something cannot be read at all, or holds nothing to judge.
pub(super) fn inspect_files(files: &[String], options: &Options, run: i32) -> Result<Inspected, String> {
    let mut names: Vec<_> = files.iter().chain(&options.filenames).cloned().collect();
    if !names.is_empty() {
        names.extend(options.templates.iter().cloned());
    }
    let manifests = manifest::read(&names, options.recursive).map_err(|error| error.to_string())?;
    if manifests.documents.is_empty() && manifests.findings.is_empty() {
        return Err(format!("found nothing of jobrequest.dev in {}", names.join(", ")));
    }
    let checker = Checker::new(options.namespace.as_deref())?;

    let mut inspected = Inspected { findings: manifests.findings, ..Inspected::default() };
    inspected.passed_over = manifests.passed_over;
    let namespace = options.namespace.as_deref();
    let judged: Vec<_> = manifests.documents.iter().map(|document| checker.check(document)).collect();
    let templates: Vec<_> = (manifests.documents.iter().zip(&judged))
        .filter_map(|(document, judged)| templates::template(document, judged.value.as_ref()?, namespace))
        .collect();
    let outcomes: Vec<_> = (manifests.documents.iter().zip(judged))
        .map(|(document, judged)| {
            let Checked { value, mut found, left_out } = judged;
            let Some(value) = value else { return (None, found) };
            let (request, more) = judge(document, &value, &templates, namespace, run);
            // Where the schema has said something, the operator need not say it again, nor what comes of it.
            let is_told = |path: &[Step]| found.iter().any(|found: &Found| found.path == path);
            let more: Vec<_> = more
                .into_iter()
                .filter(|(more, origin)| match origin {
                    Origin::Reading => found.is_empty(),
                    Origin::Field => !is_told(&more.path),
                    Origin::Absent => true,
                })
                .filter(|(more, _)| {
                    let field = more.field.as_deref().unwrap_or_default();
                    !left_out.iter().any(|name| more.message.contains(name) || field.ends_with(name))
                })
                .map(|(more, _)| more)
                .collect();
            found.extend(more);
            let request = request.map(|request| Request {
                compiled: request.compiled.filter(|_| found.is_empty()),
                ..request
            });
            (request, found)
        })
        .collect();
    for (document, (request, found)) in manifests.documents.into_iter().zip(outcomes) {
        let problems = found.len();
        inspected.findings.extend(found.into_iter().map(|found| finding(&document, found)));
        inspected.documents.push(Inspection { document, problems, request });
    }
    // The order of the checks decides among equals.
    inspected.findings.sort_by_key(|finding| (finding.source.number, finding.at));
    Ok(inspected)
}

/// What a problem of the operator is about.
enum Origin {
    /// The document as a whole could not be read into its type, which the schema explains better.
    Reading,
    /// A field of the document.
    Field,
    /// A field which the document does not have.
    Absent,
}

/// What becomes of a JobRequest, and why no Job; what is wrong with a template by itself. `value` is the document with
/// defaults.
fn judge(
    document: &Document,
    value: &Value,
    templates: &[Scoped],
    namespace: Option<&str>,
    run: i32,
) -> (Option<Request>, Vec<(Found, Origin)>) {
    if document.kind != "JobRequest" {
        let template = templates::template(document, value, namespace);
        let problems = template.map(|scoped| check_template(&scoped.template)).unwrap_or_default();
        return (None, problems.iter().map(|problem| place(document, problem)).collect());
    }
    let request: JobRequest = match serde_path_to_error::deserialize(value) {
        Ok(request) => request,
        Err(error) => {
            let (path, _) = document.node.steps(&error.path().to_string());
            let message = error.into_inner().to_string();
            let found = Found { path, field: None, part: Part::Value, message };
            return (None, vec![(found, Origin::Reading)]);
        }
    };
    let identity = Identity {
        name: request.metadata.name.as_deref().unwrap_or_default(),
        namespace: request.metadata.namespace.as_deref().or(namespace),
        uid: None,
        generation: None,
        handled: None,
    };
    let layers = layers_for(&request, identity.namespace, templates);
    let (compiled, problems) = match compile(&identity, &request.spec, &layers, run) {
        Ok(compiled) => (Some(compiled), Vec::new()),
        Err(problems) => (None, problems.as_slice().iter().map(|problem| place(document, problem)).collect()),
    };
    let namespace = identity.namespace.map(ToOwned::to_owned);
    (Some(Request { namespace, spec: request.spec, layers, compiled }), problems)
}

fn place(document: &Document, problem: &Problem) -> (Found, Origin) {
    let (path, is_whole) = document.node.steps(&problem.field);
    // compile names members of lists by their key, which reads better.
    let field = Some(problem.field.clone());
    let found = Found { path, field, part: Part::Value, message: problem.message.clone() };
    (found, if is_whole { Origin::Field } else { Origin::Absent })
}

fn finding(document: &Document, found: Found) -> Finding {
    Finding {
        source: Rc::clone(&document.source),
        at: document.node.locate(&found.path, found.part),
        object: document.object(),
        field: found.field.unwrap_or_else(|| Path(&found.path).to_string()),
        message: found.message,
    }
}
