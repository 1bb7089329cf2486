//! Requests in files, and where each of their values was written.

use super::report::{Explanation, Place, Report};
use crate::api::template_ref::TemplateRef;
use crate::cli::error::CliError;
use crate::cli::input::Options;
use crate::compile::{Origin, Provenance, provenance};
use crate::manifest::{Document, Inspection, Part, Request};

/// Explains every JobRequest in `files` and in those that `options` name.
///
/// # Errors
/// Something cannot be read at all, or holds no JobRequest.
pub(super) fn explain(files: &[String], options: &Options) -> Result<Report, CliError> {
    let inspected = options.inspect(files, 1)?;
    let namespace = options.namespace.as_deref();
    let requests: Vec<_> = (inspected.documents.iter())
        .filter_map(|inspection| {
            let request = inspection.request.as_ref()?;
            Some(one(inspection, request, &inspected.documents, namespace))
        })
        .collect();
    if requests.is_empty() && inspected.diagnostics.is_empty() {
        return Err(CliError::NoRequests);
    }
    Ok(Report { requests, diagnostics: inspected.diagnostics, passed_over: inspected.passed_over })
}

fn one(
    inspection: &Inspection,
    request: &Request,
    all: &[Inspection],
    namespace: Option<&str>,
) -> Explanation {
    let rows = match &request.compiled {
        Some(compiled) => compiled.provenance(),
        None => provenance(&request.spec, &request.layers),
    };
    let document = &inspection.document;
    let of_template = |template: &TemplateRef| {
        all.iter().map(|other| &other.document).find(|other| {
            let metadata = other.node.entry("metadata").map(|entry| &entry.value);
            let text = |key: &str| metadata.and_then(|metadata| metadata.text(key));
            let is_in_scope = other.kind == "ClusterJobTemplate"
                || text("namespace").or(namespace).unwrap_or_default()
                    == request.namespace.as_deref().unwrap_or_default();
            other.kind == template.kind.to_string() && text("name") == Some(&template.name) && is_in_scope
        })
    };
    let locate = |row: &Provenance| match &row.decided.origin {
        Origin::Request => written(document, &[format!("spec.{}", row.path)]),
        Origin::Template(template) => written(of_template(template)?, &in_template(&row.path)),
        Origin::Quota(name, template) => {
            let amount = row.path.split_once(".resources.").map(|(_, amount)| amount)?;
            written(
                of_template(template)?,
                &[format!("spec.quotas.{name}.{amount}"), format!("spec.quotas[{name}].{amount}")],
            )
        }
        Origin::Overrides(None) => written(document, &["spec.overrides".to_owned()]),
        Origin::Overrides(Some(template)) => {
            written(of_template(template)?, &["spec.base.overrides".to_owned()])
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

/// The line of the first of `paths` that the document has.
fn written(document: &Document, paths: &[String]) -> Option<Place> {
    paths.iter().find_map(|path| {
        let (steps, is_whole) = document.node.steps(path);
        let line = document.node.locate(&steps, Part::Key).line;
        is_whole.then(|| Place { file: document.source.name.clone(), line })
    })
}
