//! `--from`: an object of the cluster in, the spec that `create` begins with out.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::cli::cluster::Cluster;
use crate::cli::convert::native;
use crate::cli::error::CliError;
use crate::cli::name::name;
use crate::cli::output::say;
use crate::convert::{Converted, Converter, Note, NoteKind, Refusal};
use crate::printable::printable_line;

/// What `--from` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// A JobRequest.
    JobRequest(String),
    /// A Job.
    Job(String),
    /// A CronJob.
    CronJob(String),
}

/// Reads what follows `--from`.
///
/// # Errors
/// It names nothing.
pub(super) fn from(word: &str) -> Result<From, String> {
    let of = |kinds: [&str; 4]| {
        kinds
            .iter()
            .find_map(|kind| word.strip_prefix(kind))
            .filter(|name| !name.is_empty())
            .map(ToOwned::to_owned)
    };
    if let Some(name) = of(["job/", "jobs/", "job.batch/", "jobs.batch/"]) {
        return Ok(From::Job(name));
    }
    if let Some(name) = of(["cronjob/", "cronjobs/", "cronjob.batch/", "cj/"]) {
        return Ok(From::CronJob(name));
    }
    name(word).map(From::JobRequest)
}

/// The spec to begin with.
///
/// # Errors
/// There is no such object, or the API server refused or gave no answer.
pub(super) async fn spec_from(cluster: &Cluster, from: &From) -> Result<Value, CliError> {
    match from {
        From::JobRequest(name) => Ok(spec_of(&cluster.object(name).await?)),
        From::Job(name) => converted(cluster, "Job", name).await,
        From::CronJob(name) => converted(cluster, "CronJob", name).await,
    }
}

/// The spec of a native object, said as a JobRequest; what is different is said, but for the schedule: one run is asked for,
/// and now.
async fn converted(cluster: &Cluster, kind: &'static str, name: &str) -> Result<Value, CliError> {
    let object = native(cluster, kind, name).await?;
    let said = |notes: &[Note]| -> String {
        let notes = notes.iter().filter(|note| note.kind != NoteKind::Schedule);
        let lines =
            notes.map(|note| format!("{}: {}", printable_line(&note.field), printable_line(&note.message)));
        lines.collect::<Vec<_>>().join("\nnote: ")
    };
    match Converter::new()?.convert(&object) {
        Ok(Converted { request, notes }) => {
            let notes = said(&notes);
            if !notes.is_empty() {
                say(&format!("note: {notes}\n"));
            }
            let mut spec = request.get("spec").cloned().unwrap_or_else(|| json!({}));
            if let Some(policy) = spec.get_mut("runPolicy").and_then(Value::as_object_mut) {
                policy.remove("onCreate");
            }
            Ok(spec)
        }
        Err(Refusal(notes)) => {
            let notes = said(&notes);
            Err(CliError::Usage(format!("{} cannot be converted: {notes}", kind.to_lowercase() + "/" + name)))
        }
    }
}

/// Its spec, without the token of a rerun, which is about its own runs.
fn spec_of(request: &DynamicObject) -> Value {
    let mut spec = request.data.get("spec").cloned().unwrap_or_else(|| json!({}));
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("rerun");
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_by_kind_and_name() {
        assert_eq!(from("pi"), Ok(From::JobRequest("pi".to_owned())));
        assert_eq!(from("jobrequest/pi"), Ok(From::JobRequest("pi".to_owned())));
        assert_eq!(from("job/pi"), Ok(From::Job("pi".to_owned())));
        assert_eq!(from("cronjob/pi"), Ok(From::CronJob("pi".to_owned())));
        for word in ["", "pod/pi", "./pi"] {
            assert!(from(word).is_err(), "{word}");
        }
    }
}
