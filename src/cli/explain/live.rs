//! Requests in a cluster, with the templates that apply to them there.

use std::path::Path;

use k8s_openapi::api::core::v1::LimitRange;

use super::limit_range;
use super::report::{Explanation, Report};
use crate::api::status::Run;
use crate::cli::cluster::{self, Cluster, Connection};
use crate::cli::error::CliError;
use crate::cli::input::Options;
use crate::cli::templates::{self, Templates};
use crate::compile::{Problem, compile, provenance};
use crate::reconcile::{StoredRequest, outdated};

/// Explains the JobRequests named `names`, as if the templates that `options` name were applied.
///
/// # Errors
/// There is no such JobRequest, or the API server cannot be reached; or a file cannot be read.
pub(super) fn explain(
    names: &[String],
    options: &Options,
    connection: &Connection,
) -> Result<Report, CliError> {
    let files = &options.templates;
    let sources = if files.is_empty() { Vec::new() } else { templates::sources(files, options.recursive)? };
    let report = cluster::runtime()?.block_on(async {
        let cluster = Cluster::find(connection).await?;
        let namespace = options.namespace.as_deref().unwrap_or(&cluster.namespace);
        let mut laid = Vec::new();
        if !files.is_empty() {
            let found = templates::in_files(&sources, files, Some(namespace))?;
            if !found.diagnostics.is_empty() {
                return Ok(Report { diagnostics: found.diagnostics, ..Report::default() });
            }
            laid = found.templates;
        }
        let templates = Templates::of_cluster(&cluster, Some(namespace)).await?.with(&laid);
        // Anyone who may not read them is shown the rest.
        let ranges: Vec<LimitRange> = cluster.list("LimitRange", namespace).await.unwrap_or_default();
        let mut report = Report { gaps: templates.gaps(), ..Report::default() };
        for name in names {
            let request: Option<StoredRequest> = cluster.get("JobRequest", namespace, name).await?;
            let request = request.ok_or_else(|| CliError::NoSuchRequest {
                namespace: namespace.to_owned(),
                name: name.clone(),
            })?;
            report.requests.push(one(&request, &templates, &ranges));
        }
        Ok(report)
    });
    report.map_err(|error: CliError| match names.iter().find(|name| Path::new(name).exists()) {
        Some(name) => CliError::WithAdvice {
            advice: format!("write ./{name} for the file or folder of that name"),
            source: Box::new(error),
        },
        None => error,
    })
}

fn one(request: &StoredRequest, templates: &Templates, ranges: &[LimitRange]) -> Explanation {
    let unread =
        request.spec.0.as_ref().err().map(|error| Problem::new("spec", format!("the stored spec {error}")));
    let spec = request.whole_spec().cloned().unwrap_or_default();
    let (layers, _) = templates.layers(request.namespace(), spec.template_ref.as_ref());
    let status = request.known_status();
    let (compiled, problems) =
        match (unread, compile(&request.identity(), &spec, &layers, status.run.unwrap_or(1))) {
            (Some(unread), _) => (None, vec![unread]),
            (None, Err(problems)) => (None, problems.as_slice().to_vec()),
            (None, Ok(compiled)) => {
                let found = request.found_invalid().map(|words| Problem::new("Job", words));
                (Some(compiled), found.into_iter().collect())
            }
        };
    let rows = match &compiled {
        Some(compiled) => compiled.provenance(),
        None => provenance(&spec, &layers),
    };
    let mut explanation =
        Explanation::new(format!("jobrequest/{}", request.name()), &layers, rows, compiled.as_ref(), |_| {
            None
        });
    explanation.limit_ranges =
        compiled.as_ref().map(|compiled| limit_range::notes(&compiled.job, ranges)).unwrap_or_default();
    explanation.namespace = Some(request.namespace().to_owned());
    explanation.valid = problems.is_empty();
    // Of templates that could not be seen nobody can say so.
    let newest = Run::newest_with_job(&status.runs).filter(|_| templates.unseen.is_empty());
    explanation.template_outdated = newest.and_then(|run| outdated(run, &layers)).map(|(_, words)| words);
    explanation.problems = problems;
    explanation
}
