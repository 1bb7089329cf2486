//! `jobrequest convert`: JobRequests of native Jobs and CronJobs, from files or from the cluster.
//!
//! The result goes to stdout. A line to stderr says of each field that is not carried over, or acts differently, where it
//! is and why. Nothing is applied.

use std::collections::HashMap;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::Api;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use serde::Serialize;
use serde_json::{Value, json};

use super::cluster::{Cluster, InNamespace, runtime};
use super::error::CliError;
use super::files;
use super::outcome::Verdict;
use super::output::{count, print_json, print_yaml, say};
use crate::api::JobRequest;
use crate::convert::{Converted, Converter, Note, NoteKind, Refusal, is_convertible};
use crate::manifest::{self, Document, Node, Part, Source};
use crate::printable::excerpt;

const EXIT_CODES: &str = "Exit codes:
  0  converted
  1  converted, but a JobRequest is not valid, or a file is not valid YAML or JSON; with --strict, also if a field is not carried over
  2  an object is not converted, or could not be read, or there is none";

/// Arguments of `convert`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Arguments {
    /// Files or folders of YAML or JSON, - for standard input; or job/NAME and cronjob/NAME, to read them from the cluster
    #[arg(value_name = "FILE|job/NAME|cronjob/NAME")]
    words: Vec<String>,
    /// Files or folders of YAML or JSON, as kubectl takes them; - is standard input; may be repeated
    #[arg(short, long, value_name = "FILE")]
    filename: Vec<String>,
    /// Read folders recursively
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Fail if a field is not carried over
    #[arg(long)]
    strict: bool,
    /// Convert CronJobs without their schedule, for which a JobRequest has no field
    #[arg(long)]
    drop_schedule: bool,
    /// Output format: one document per JobRequest, or one object (a List if there are several)
    #[arg(short, long, value_enum, default_value_t = Format::Yaml)]
    output: Format,
    #[command(flatten)]
    cluster: InNamespace,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

/// An object to convert.
struct Object {
    /// Such as `job/export`.
    name: String,
    value: Value,
    /// Where it was read, if in a file.
    written: Option<(Arc<Source>, Node)>,
}

/// A JobRequest with its fields in the order of the API, if all of them are known.
#[derive(Serialize)]
#[serde(untagged)]
enum Shown {
    Ordered(Box<JobRequest>),
    AsIs(Value),
}

/// Converts everything that the arguments name.
pub(super) fn run(arguments: &Arguments) -> Result<Verdict, CliError> {
    let (mut live, mut names) = (Vec::new(), Vec::new());
    for word in &arguments.words {
        match in_cluster(word) {
            Some(object) => live.push(object),
            None => names.push(word.clone()),
        }
    }
    names.extend(arguments.filename.iter().cloned());
    let mut verdict = Verdict::Valid;
    let mut objects = Vec::new();
    let mut passed_over = 0;
    if !names.is_empty() || live.is_empty() {
        let read = manifest::read_objects(&files::read(&names, arguments.recursive)?, is_convertible);
        for (source, error) in &read.unreadable {
            say(&format!("{}:{}: error: {}\n", excerpt(&source.name), error.at, excerpt(&error.message)));
            verdict = Verdict::Invalid;
        }
        passed_over = read.passed_over;
        objects.extend(read.documents.into_iter().map(of_file));
    }
    if !live.is_empty() {
        objects.extend(of_cluster(&arguments.cluster, &live)?);
    }
    if objects.is_empty() && verdict == Verdict::Valid {
        return Err(CliError::NothingToConvert(names.join(", ")));
    }

    let converter = Converter::new()?;
    let mut results = Results { verdict, requests: Vec::new(), names: HashMap::new(), refused: 0 };
    for object in &objects {
        results.add(object, converter.convert(&object.value), arguments);
    }
    results.print(arguments.output)?;
    if passed_over > 0 {
        say(&format!("{} of other kinds passed over\n", count(passed_over, "object")));
    }
    match results.refused {
        0 => Ok(results.verdict),
        refused => Err(CliError::NotConverted(refused, objects.len())),
    }
}

/// What the objects came to.
struct Results {
    verdict: Verdict,
    requests: Vec<Shown>,
    /// Which object got which name.
    names: HashMap<(String, String), String>,
    refused: usize,
}

impl Results {
    fn add(&mut self, object: &Object, converted: Result<Converted, Refusal>, arguments: &Arguments) {
        let Converted { request, mut notes } = match converted {
            Ok(converted) => converted,
            Err(Refusal(notes)) => {
                for note in &notes {
                    object.say("error", note);
                }
                self.refused += 1;
                return;
            }
        };
        if let Some((_, node)) = &object.written {
            notes.sort_by_key(|note| node.locate(note.place.steps(), Part::Key));
        }
        let has_schedule = notes.iter().any(|note| note.kind == NoteKind::Schedule);
        for note in &notes {
            let is_error = match note.kind {
                NoteKind::Changed => false,
                NoteKind::Dropped => arguments.strict,
                NoteKind::Schedule => !arguments.drop_schedule,
                NoteKind::Invalid | NoteKind::Refused => true,
            };
            if is_error {
                self.verdict = Verdict::Invalid;
            }
            object.say(if is_error { "error" } else { "note" }, note);
        }
        if has_schedule && !arguments.drop_schedule {
            object.say_of_all(
                "error",
                "not converted, because of its schedule; --drop-schedule converts the rest",
            );
            self.refused += 1;
            return;
        }
        self.written_again(object, &request);
        let ordered = serde_json::from_value::<JobRequest>(request.clone()).ok();
        let ordered = ordered.filter(|ordered| json!(ordered) == request);
        self.requests.push(ordered.map_or(Shown::AsIs(request), |ordered| Shown::Ordered(Box::new(ordered))));
    }

    /// Two objects of one name would be one in the cluster.
    fn written_again(&mut self, object: &Object, request: &Value) {
        let text = |key: &str| {
            let text = request.pointer(&format!("/metadata/{key}")).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let (namespace, name) = (text("namespace"), text("name"));
        if name.is_empty() {
            return;
        }
        let Some(first) = self.names.get(&(namespace.clone(), name.clone())) else {
            self.names.insert((namespace, name), object.name.clone());
            return;
        };
        let message = format!("{first} becomes a JobRequest called {name}, too; rename one of them");
        object.say_of_all("error", &message);
        self.verdict = Verdict::Invalid;
    }

    fn print(&self, format: Format) -> Result<(), CliError> {
        let shown: Vec<&Shown> = self.requests.iter().collect();
        match (format, shown.as_slice()) {
            (_, []) => Ok(()),
            (Format::Yaml, requests) => print_yaml("a JobRequest", requests),
            (Format::Json, [request]) => print_json("a JobRequest", request),
            (Format::Json, requests) => {
                print_json("JobRequests", &json!({"apiVersion": "v1", "kind": "List", "items": requests}))
            }
        }
    }
}

impl Object {
    /// One line about a field.
    fn say(&self, severity: &str, note: &Note) {
        let field = if note.field.is_empty() { String::new() } else { format!("{}: ", excerpt(&note.field)) };
        let place = match &self.written {
            None => String::new(),
            Some((source, root)) => {
                format!("{}:{}: ", excerpt(&source.name), root.locate(note.place.steps(), Part::Key))
            }
        };
        say(&format!("{place}{severity}: {}: {field}{}\n", excerpt(&self.name), excerpt(&note.message)));
    }

    /// One line about the object as a whole.
    fn say_of_all(&self, severity: &str, message: &str) {
        let place = match &self.written {
            None => String::new(),
            Some((source, node)) => format!("{}:{}: ", excerpt(&source.name), node.at),
        };
        say(&format!("{place}{severity}: {}: {}\n", excerpt(&self.name), excerpt(message)));
    }
}

fn of_file(document: Document) -> Object {
    let (name, value) = (document.object(), document.node.to_value());
    Object { name, value, written: Some((document.source, document.node)) }
}

/// The kind and name of an object of the cluster: the word is no file.
fn in_cluster(word: &str) -> Option<(&'static str, String)> {
    let (kind, name) = word.split_once('/')?;
    let is_file = [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending));
    if name.is_empty() || name.contains('/') || is_file {
        return None;
    }
    let kind = match kind.split_once('.').map_or(kind, |(kind, _)| kind) {
        "job" | "jobs" => "Job",
        "cronjob" | "cronjobs" | "cj" => "CronJob",
        _ => return None,
    };
    Some((kind, name.to_owned()))
}

/// Reads objects as they are stored: no field that this program does not know is lost unsaid.
fn of_cluster(flags: &InNamespace, wanted: &[(&'static str, String)]) -> Result<Vec<Object>, CliError> {
    runtime()?.block_on(async {
        let cluster = Cluster::find_in(flags).await?;
        let mut objects = Vec::new();
        for (kind, name) in wanted {
            let value = native(&cluster, kind, name).await?;
            objects.push(Object { name: format!("{}/{name}", kind.to_lowercase()), value, written: None });
        }
        Ok(objects)
    })
}

/// A Job or CronJob of the namespace, as it is stored.
///
/// # Errors
/// There is none of this name, or the API server refused or gave no answer.
pub(super) async fn native(cluster: &Cluster, kind: &'static str, name: &str) -> Result<Value, CliError> {
    let resource = match kind {
        "CronJob" => ApiResource::erase::<CronJob>(&()),
        _ => ApiResource::erase::<Job>(&()),
    };
    let api: Api<DynamicObject> =
        Api::namespaced_with(cluster.client().clone(), &cluster.namespace, &resource);
    let what = format!("get {kind} {name} of namespace {}", cluster.namespace);
    let found = cluster.answer(&what, api.get(name)).await?;
    serde_json::to_value(found).map_err(|error| CliError::Unreadable(kind, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_file_or_an_object_of_the_cluster() {
        for (word, object) in [
            ("job/export", Some(("Job", "export"))),
            ("jobs.batch/export", Some(("Job", "export"))),
            ("cronjob/hello.world", Some(("CronJob", "hello.world"))),
            ("cj/hello", Some(("CronJob", "hello"))),
            ("job/export.yaml", None),
            ("./job/export", None),
            ("job/", None),
            ("job", None),
            ("-", None),
            ("deployment/web", None),
        ] {
            let object = object.map(|(kind, name)| (kind, name.to_owned()));
            assert_eq!(in_cluster(word), object, "{word}");
        }
    }
}
