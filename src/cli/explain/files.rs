//! Requests in files, and where each of their values was written.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};

use super::report::{Explanation, Place, Report};
use crate::api::template_ref::TemplateRef;
use crate::cli::error::CliError;
use crate::cli::input::Options;
use crate::compile::{Origin, Provenance, provenance};
use crate::manifest::{Inspection, Request};

/// All documents, and the lines of those that were asked about.
struct Lines<'a> {
    documents: &'a [Inspection],
    known: Vec<OnceCell<HashMap<String, usize>>>,
}

impl<'a> Lines<'a> {
    fn new(documents: &'a [Inspection]) -> Self {
        Self { documents, known: documents.iter().map(|_| OnceCell::new()).collect() }
    }

    /// The line of the first of `paths` that the document at `index` has.
    fn written(&self, index: usize, paths: &[String]) -> Option<Place> {
        let document = &self.documents.get(index)?.document;
        let lines = self.known.get(index)?.get_or_init(|| document.node.lines());
        let line = paths.iter().find_map(|path| lines.get(path))?;
        Some(Place { file: document.source.name.clone(), line: *line })
    }

    /// The template that `request` means.
    fn template(&self, template: &TemplateRef, request: &Request, namespace: Option<&str>) -> Option<usize> {
        self.documents.iter().map(|other| &other.document).position(|other| {
            let metadata = other.node.entry("metadata").map(|entry| &entry.value);
            let text = |key: &str| metadata.and_then(|metadata| metadata.text(key));
            let is_in_scope = other.kind == "ClusterJobTemplate"
                || text("namespace").or(namespace).unwrap_or_default()
                    == request.namespace.as_deref().unwrap_or_default();
            other.kind == template.kind.to_string() && text("name") == Some(&template.name) && is_in_scope
        })
    }
}

/// Explains every JobRequest in `files` and in those that `options` name.
///
/// # Errors
/// Something cannot be read at all, or holds no JobRequest.
pub(super) fn explain(files: &[String], options: &Options) -> Result<Report, CliError> {
    let inspected = options.inspect(files, 1)?;
    let namespace = options.namespace.as_deref();
    let lines = Lines::new(&inspected.documents);
    let requests: Vec<_> = (inspected.documents.iter().enumerate())
        .filter_map(|(index, inspection)| {
            Some(one(index, inspection, inspection.request.as_ref()?, &lines, namespace))
        })
        .collect();
    if requests.is_empty() && inspected.diagnostics.is_empty() {
        return Err(CliError::NoRequests);
    }
    Ok(Report {
        requests,
        diagnostics: inspected.diagnostics,
        passed_over: inspected.passed_over,
        skipped: inspected.skipped,
        ..Report::default()
    })
}

fn one(
    index: usize,
    inspection: &Inspection,
    request: &Request,
    lines: &Lines<'_>,
    namespace: Option<&str>,
) -> Explanation {
    let rows = match &request.compiled {
        Some(compiled) => compiled.provenance(),
        None => provenance(&request.spec, &request.layers),
    };
    let document = &inspection.document;
    let templates = RefCell::new(BTreeMap::new());
    let of_template = |template: &TemplateRef| -> Option<usize> {
        let find = || lines.template(template, request, namespace);
        *templates.borrow_mut().entry(template.clone()).or_insert_with(find)
    };
    let locate = |row: &Provenance| match &row.decided.origin {
        Origin::Request => lines.written(index, &[format!("spec.{}", row.path)]),
        Origin::Template(template) => lines.written(of_template(template)?, &in_template(&row.path)),
        Origin::Quota(name, template) => {
            let amount = row.path.split_once(".resources.").map(|(_, amount)| amount)?;
            lines.written(
                of_template(template)?,
                &[format!("spec.quotas.{name}.{amount}"), format!("spec.quotas[{name}].{amount}")],
            )
        }
        Origin::Overrides(None) => lines.written(index, &["spec.overrides".to_owned()]),
        Origin::Overrides(Some(template)) => {
            lines.written(of_template(template)?, &["spec.base.overrides".to_owned()])
        }
        Origin::Builtin | Origin::Policy(_) => None,
    };
    let mut explanation =
        Explanation::new(document.object(), &request.layers, rows, request.compiled.as_ref(), locate);
    explanation.namespace.clone_from(&request.namespace);
    explanation.at = Some(Place { file: document.source.name.clone(), line: document.node.at.line });
    explanation
}

/// Where in a template a value of a request may be written.
fn in_template(path: &str) -> Vec<String> {
    let mut paths = vec![format!("spec.base.{path}")];
    let is_of_container = path.starts_with("containers[") || path.starts_with("initContainers[");
    if let Some((_, field)) = path.split_once("].").filter(|_| is_of_container) {
        paths.push(format!("spec.containerDefaults.{field}"));
    }
    paths
}
