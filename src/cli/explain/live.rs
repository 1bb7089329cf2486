//! Requests in a cluster, with the templates that apply to them there.

use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::core::v1::LimitRange;

use super::limit_range;
use super::report::{Explanation, Report};
use crate::api::status::Run;
use crate::cli::cluster::{self, Cluster, Connection};
use crate::cli::error::CliError;
use crate::compile::{Builtin, Identity, Problem, Template, compile, provenance, select};
use crate::reconcile::template_status::{ClusterJobTemplateView, JobTemplateView, StoredTemplate};
use crate::reconcile::{StoredRequest, outdated};

/// Explains the JobRequests named `names`.
///
/// # Errors
/// There is no such JobRequest, or the API server cannot be reached.
pub(super) fn explain(
    names: &[String],
    namespace: Option<&str>,
    connection: &Connection,
) -> Result<Report, CliError> {
    let report = cluster::runtime()?.block_on(async {
        let cluster = Cluster::find(connection).await?;
        let namespace = namespace.unwrap_or(&cluster.namespace);
        let templates = templates(&cluster, namespace).await?;
        // Anyone who may not read them is shown the rest.
        let ranges: Vec<LimitRange> = cluster.list("LimitRange", namespace).await.unwrap_or_default();
        let mut report = Report::default();
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

/// The templates that may apply to requests of `namespace`.
async fn templates(cluster: &Cluster, namespace: &str) -> Result<Vec<Arc<Template>>, CliError> {
    let own: Vec<JobTemplateView> = cluster.list("JobTemplate", namespace).await?;
    let all: Vec<ClusterJobTemplateView> = cluster.list_all("ClusterJobTemplate").await?;
    let own = own.into_iter().map(StoredTemplate::from);
    Ok(own.chain(all.into_iter().map(StoredTemplate::from)).map(|stored| stored.template).collect())
}

fn one(request: &StoredRequest, templates: &[Arc<Template>], ranges: &[LimitRange]) -> Explanation {
    let unread =
        request.spec.0.as_ref().err().map(|error| Problem::new("spec", format!("the stored spec {error}")));
    let spec = request.whole_spec().cloned().unwrap_or_default();
    let layers = select(Builtin::default(), &spec, templates);
    let status = request.known_status();
    let identity = Identity {
        name: request.name(),
        namespace: Some(request.namespace()),
        uid: Some(request.uid()),
        generation: Some(request.generation()),
        handled: None,
    };
    let (compiled, problems) = match (unread, compile(&identity, &spec, &layers, status.run.unwrap_or(1))) {
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
    let newest = Run::newest_with_job(&status.runs);
    explanation.template_outdated = newest.and_then(|run| outdated(run, &layers)).map(|(_, words)| words);
    explanation.problems = problems;
    explanation
}
