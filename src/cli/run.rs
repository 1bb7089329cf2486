//! `jobrequest run`: applies a JobRequest, or takes one of the cluster; asks for a run and follows it to its end.
//!
//! Each call is one run: the token of a rerun travels with the object, so that an edit and the token are one run, and an
//! unchanged file runs again. It is the token that is followed.

use std::sync::Arc;

use clap::Args;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::cluster::{Cluster, InNamespace, runtime};
use super::error::CliError;
use super::files;
use super::input::nothing_found;
use super::name;
use super::outcome::Verdict;
use super::output::say;
use super::token::new_token;
use super::wait::{EXIT_CODES, Following};
use crate::api::labels;
use crate::follow::Target;
use crate::manifest::{self, Source};
use crate::reconcile::StoredRequest;

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Arguments {
    /// A file with one JobRequest (it has a dot or a slash in its name; - is standard input), or the name of one in the
    /// cluster
    #[arg(value_name = "FILE|NAME", required_unless_present = "filename")]
    word: Option<String>,
    /// The file, as kubectl takes it
    #[arg(short, long, value_name = "FILE", conflicts_with = "word")]
    filename: Option<String>,
    /// Return once the run is asked for, without waiting for its end
    #[arg(long, conflicts_with = "timeout")]
    no_wait: bool,
    /// Print the logs of the run's pods to stdout; its states and its end go to stderr
    #[arg(long, conflicts_with = "no_wait")]
    logs: bool,
    /// Take over fields that another program applied with other values
    #[arg(long)]
    force_conflicts: bool,
    #[command(flatten)]
    following: Following,
    #[command(flatten)]
    cluster: InNamespace,
}

/// Asks for the run and follows it.
pub(super) fn run(arguments: &Arguments) -> Result<Verdict, CliError> {
    arguments.following.allow_logs(arguments.logs)?;
    let file = match (&arguments.filename, &arguments.word) {
        (Some(file), _) => Some(file.clone()),
        (None, Some(word)) if name::bare(word).is_none() => Some(word.clone()),
        (None, _) => None,
    };
    let object = file.map(|file| read("run", &file, &source(&file)?)).transpose()?;
    runtime()?.block_on(async {
        let mut cluster = Cluster::find_in(&arguments.cluster).await?;
        let token = new_token();
        let (name, changed) = if let Some(mut object) = object {
            let name = own_name(&object)?;
            move_to_namespace_of(&object, &mut cluster, &arguments.cluster)?;
            ask(&mut object, &token)?;
            let changed = cluster.apply(&name, &object, arguments.force_conflicts).await;
            (name, changed.map_err(with_advice)?)
        } else {
            let name = name::name(arguments.word.as_deref().unwrap_or_default()).map_err(CliError::Usage)?;
            let changed = cluster.patch(&name, rerun_patch(&token)).await?;
            (name, changed)
        };
        if arguments.no_wait {
            say(&format!("jobrequest/{name}: a run is asked for\n"));
            return Ok(Verdict::Valid);
        }
        let target = Target::newest(&stored(changed)?);
        arguments.following.to_the_end_with(arguments.logs, &cluster, &name, target).await
    })
}

/// The change that asks for a rerun.
pub(super) fn rerun_patch(token: &str) -> Value {
    json!({"metadata": {"annotations": {labels::RERUN: token}}})
}

/// What the API server answered, as rules read it.
///
/// # Errors
/// It is no JobRequest.
pub(super) fn stored(object: DynamicObject) -> Result<StoredRequest, CliError> {
    let read = serde_json::to_value(object).and_then(serde_json::from_value);
    read.map_err(|error| CliError::Unreadable("a JobRequest", error))
}

pub(super) fn with_advice(error: CliError) -> CliError {
    match error {
        conflict @ CliError::Refused { code: 409, .. } => CliError::WithAdvice {
            advice: "--force-conflicts takes these fields over".to_owned(),
            source: Box::new(conflict),
        },
        error => error,
    }
}

/// The text of a file.
///
/// # Errors
/// It cannot be read.
pub(super) fn source(file: &str) -> Result<Vec<Arc<Source>>, CliError> {
    Ok(files::read(&[file.to_owned()], false)?)
}

/// The namespace that the object names is that of all further calls.
///
/// # Errors
/// The flags name another one.
pub(super) fn move_to_namespace_of(
    object: &Value,
    cluster: &mut Cluster,
    flags: &InNamespace,
) -> Result<(), CliError> {
    let Some(namespace) = object.pointer("/metadata/namespace").and_then(Value::as_str) else {
        return Ok(());
    };
    if flags.namespace.as_deref().is_some_and(|flag| flag != namespace) {
        return Err(CliError::Usage(format!(
            "the file is for namespace {namespace}, but --namespace names another one"
        )));
    }
    namespace.clone_into(&mut cluster.namespace);
    Ok(())
}

/// The one JobRequest of a file with these `sources`, without what the cluster writes; `command` takes it.
///
/// # Errors
/// The file is not that.
pub(super) fn read(command: &str, file: &str, sources: &[Arc<Source>]) -> Result<Value, CliError> {
    let documents = manifest::read(sources);
    if let Some((source, error)) = documents.unreadable.first() {
        return Err(CliError::Usage(format!("{}: {error}", source.name)));
    }
    let [document] = documents.documents.as_slice() else {
        return Err(match documents.documents.len() {
            0 => nothing_found(file, &documents),
            many => CliError::Usage(format!(
                "{file} has {many} objects of jobrequest.dev; {command} takes one JobRequest, kubectl apply takes the others"
            )),
        });
    };
    if document.kind != "JobRequest" {
        return Err(CliError::Usage(format!("{file} has a {}, which does not run by itself", document.kind)));
    }
    let mut object = document.node.to_value();
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in ["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp"] {
                metadata.remove(field);
            }
        }
    }
    Ok(object)
}

/// The name of the JobRequest.
///
/// # Errors
/// It has none.
pub(super) fn own_name(object: &Value) -> Result<String, CliError> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).filter(|name| !name.is_empty());
    name.map(ToOwned::to_owned)
        .ok_or_else(|| CliError::Usage("the JobRequest has no metadata.name".to_owned()))
}

/// Writes the token of a rerun into an object that is to be applied.
fn ask(object: &mut Value, token: &str) -> Result<(), CliError> {
    let wrong = || CliError::Usage("metadata or metadata.annotations is not a map".to_owned());
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut).ok_or_else(wrong)?;
    let annotations = metadata.entry("annotations").or_insert(Value::Null);
    if annotations.is_null() {
        *annotations = json!({});
    }
    let annotations = annotations.as_object_mut().ok_or_else(wrong)?;
    annotations.insert(labels::RERUN.to_owned(), Value::String(token.to_owned()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_joins_the_annotations_that_are_there() {
        for (metadata, wanted) in [
            (json!({}), json!({labels::RERUN: "t"})),
            (json!({"annotations": null}), json!({labels::RERUN: "t"})),
            (json!({"annotations": {"a": "b", labels::RERUN: "old"}}), json!({"a": "b", labels::RERUN: "t"})),
        ] {
            let mut object = json!({"metadata": metadata});
            ask(&mut object, "t").unwrap();
            assert_eq!(object["metadata"]["annotations"], wanted);
        }
        assert!(ask(&mut json!({"metadata": {"annotations": []}}), "t").is_err());
        assert!(ask(&mut json!([]), "t").is_err());
    }
}
