//! `jobrequest diff`: what an edit of a JobRequest would do, before it is applied.
//!
//! Takes a file; returns the effect, and how the Job of the next run would differ. The API server says what the object would
//! become (a dry run of server-side apply), and [`crate::reconcile::foresee`] what the operator would make of it.

use std::fmt::Debug;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DynamicObject, ListParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::cluster::{Cluster, InNamespace, runtime};
use super::error::CliError;
use super::outcome::Verdict;
use super::output::{print, print_json, say};
use super::run::{move_to_namespace_of, own_name, read, source, stored, with_advice};
use super::templates::Templates;
use crate::api::labels;
use crate::compile::compile;
use crate::follow::How;
use crate::manifest::{self, Diagnostic, Row, Source};
use crate::printable::excerpt;
use crate::reconcile::foresee::{Edit, Effect, FieldChange, Foreseen, Surroundings, changed_fields, foresee};
use crate::reconcile::{Answers, JobView, Memory, Observed, PodView, StoredRequest};

/// Arguments of `diff`.
#[derive(Debug, Args)]
#[command(
    after_help = "When to use it: before an edit is merged or applied, to see whether it starts a run.\n\n\
    Exit codes: 0 no run would start by itself, and no live Job would change; 1 a run would start, or the live Job would be \
    changed; 2 it could not be found out; 3 the API server or the operator would refuse the edit.\n\n\
    Examples:\n  \
    jobrequest diff pi.yaml\n  \
    jobrequest diff pi.yaml --field-manager kustomize-controller"
)]
pub(super) struct Arguments {
    /// A file with one JobRequest; - is standard input
    #[arg(value_name = "FILE", required_unless_present = "filename")]
    file: Option<String>,
    /// The file, as kubectl takes it
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    filename: Option<String>,
    /// Who would apply the file: fields that this manager has applied before, and that the file leaves out, go [default:
    /// that of `jobrequest run`]
    #[arg(long, value_name = "NAME")]
    field_manager: Option<String>,
    /// Take over fields that another program applied with other values
    #[arg(long)]
    force_conflicts: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    cluster: InNamespace,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A sentence, then the difference of the Jobs
    Text,
    /// One JSON object
    Json,
}

/// What the edit would do, as `-o json` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    namespace: &'a str,
    name: &'a str,
    effect: Effect,
    /// It does not exist yet.
    created: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    message: String,
    /// What changes in the object.
    fields: Vec<FieldChange>,
    /// What changes in the live Job.
    patched: Vec<FieldChange>,
    /// How the Job of the next run differs, as a unified diff.
    diff: String,
    /// What is wrong in the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Row<'a>>,
    /// What could not be seen, in a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unseen: Vec<String>,
}

/// Finds out what the edit would do, and prints it.
pub(super) fn run(arguments: &Arguments) -> Result<Verdict, CliError> {
    let file = arguments.filename.as_ref().or(arguments.file.as_ref()).cloned().unwrap_or_default();
    let sources = source(&file)?;
    let object = read("diff", &file, &sources)?;
    let name = own_name(&object)?;
    runtime()?.block_on(async {
        let mut cluster = Cluster::find_in(&arguments.cluster).await?;
        move_to_namespace_of(&object, &mut cluster, &arguments.cluster)?;
        let what = format!("get JobRequest {name} of namespace {}", cluster.namespace);
        let now = cluster.answer(&what, cluster.requests().get_opt(&name)).await?;
        let manager = arguments.field_manager.as_deref();
        let trial = cluster.apply_dry_run(&name, &object, manager, arguments.force_conflicts).await;
        let around = Around::of(&cluster, &name).await?;
        let then = match trial {
            Ok(then) => then,
            Err(CliError::Refused { code: 400 | 403 | 422 | 500, message, .. }) => {
                let report = Report {
                    namespace: &cluster.namespace,
                    name: &name,
                    effect: Effect::Rejected,
                    created: now.is_none(),
                    run: None,
                    message: format!("would be refused by the API server: {message}"),
                    reason: Some(message),
                    fields: Vec::new(),
                    patched: Vec::new(),
                    diff: String::new(),
                    problems: Vec::new(),
                    unseen: Vec::new(),
                };
                let diagnostics = around.diagnostics(&sources, &cluster.namespace)?;
                return show(report, arguments.output, &diagnostics);
            }
            Err(error) => return Err(with_advice(error)),
        };
        let report = around.report(&cluster.namespace, &name, now, then)?;
        let diagnostics = match report.effect {
            Effect::Rejected if around.templates.unseen.is_empty() => {
                around.diagnostics(&sources, &cluster.namespace)?
            }
            _ => Vec::new(),
        };
        show(report, arguments.output, &diagnostics)
    })
}

fn show<'a>(
    mut report: Report<'a>,
    format: Format,
    diagnostics: &'a [Diagnostic],
) -> Result<Verdict, CliError> {
    match format {
        Format::Json => {
            report.problems = diagnostics.iter().map(Diagnostic::row).collect();
            print_json("the result", &report)?;
        }
        Format::Text => {
            print(&format!("jobrequest/{}: {}\n{}", report.name, excerpt(&report.message), report.diff))?;
            say(&diagnostics.iter().map(Diagnostic::text).collect::<String>());
            report.unseen.iter().for_each(|gap| say(&format!("{gap}\n")));
        }
    }
    Ok(match report.effect {
        Effect::Rejected => Verdict::Followed(How::Rejected),
        effect if effect.starts_something() || !report.patched.is_empty() => Verdict::Differs,
        _ => Verdict::Valid,
    })
}

/// What the operator would see beside the JobRequest.
struct Around {
    templates: Templates,
    jobs: Vec<JobView>,
    pods: Vec<PodView>,
    gaps: Vec<String>,
    now: Timestamp,
}

impl Around {
    async fn of(cluster: &Cluster, name: &str) -> Result<Self, CliError> {
        let templates = Templates::of_cluster(cluster, Some(&cluster.namespace)).await?;
        let mut gaps = templates.gaps();
        let mut missing = |what: &str| {
            gaps.push(format!("{what} could not be listed (forbidden): whether a run is active is guessed"));
        };
        let jobs = own(cluster, "Jobs", name).await?;
        let pods = own(cluster, "pods", name).await?;
        if jobs.is_none() {
            missing("Jobs");
        }
        if pods.is_none() {
            missing("Pods");
        }
        let (jobs, pods) = (jobs.unwrap_or_default(), pods.unwrap_or_default());
        Ok(Self { templates, jobs, pods, gaps, now: Timestamp::now() })
    }

    /// What the operator would do about `request`.
    fn foresee(&self, request: StoredRequest) -> Foreseen {
        let named = request.whole_spec().and_then(|spec| spec.template_ref.as_ref());
        let (layers, _) = self.templates.layers(request.namespace(), named);
        let around = Surroundings { layers, unseen: self.templates.unseen.clone(), now: self.now };
        let observed = Observed {
            request: Some(request),
            jobs: self.jobs.clone(),
            pods: self.pods.clone(),
            answers: Answers::default(),
            memory: Memory::default(),
            sole_since: None,
        };
        foresee(observed, &around)
    }

    /// The Job of run `run` of `request` as it compiles; none: it does not.
    fn job(&self, request: &StoredRequest, run: i32) -> Option<Job> {
        let spec = request.whole_spec()?;
        let (layers, _) = self.templates.layers(request.namespace(), spec.template_ref.as_ref());
        compile(&request.identity(), spec, &layers, run).ok().map(|compiled| compiled.job)
    }

    /// What `validate` says of the file, with the templates of the cluster.
    fn diagnostics(&self, sources: &[Arc<Source>], namespace: &str) -> Result<Vec<Diagnostic>, CliError> {
        let documents = manifest::read(sources);
        Ok(manifest::inspect_over(documents, &self.templates.all, Some(namespace), 1)?.diagnostics)
    }

    fn report<'a>(
        &self,
        namespace: &'a str,
        name: &'a str,
        now: Option<DynamicObject>,
        then: DynamicObject,
    ) -> Result<Report<'a>, CliError> {
        let value = |object: &DynamicObject| serde_json::to_value(object).unwrap_or(Value::Null);
        let fields = now.as_ref().map(|now| changed_fields(&value(now), &value(&then))).unwrap_or_default();
        let before = now.map(stored).transpose()?;
        let after = stored(then)?;
        let run = self.foresee(after.clone());
        let number = run.next_number.unwrap_or(1);
        let old = before.as_ref().and_then(|before| self.job(before, number));
        let new = self.job(&after, number);
        let (old, new) = (old.as_ref().map(shown), new.as_ref().map(shown));
        let edit = Edit {
            before: before.map(|before| self.foresee(before)),
            after: run,
            fields,
            changes_the_job: old != new,
        };
        let effect = edit.effect();
        let diff = match (&old, &new) {
            (Some(old), Some(new)) if effect.has_a_run() => unified(old, new, number)?,
            _ => String::new(),
        };
        Ok(Report {
            namespace,
            name,
            effect,
            created: edit.before.is_none(),
            run: edit.run(),
            reason: edit.reason(),
            message: edit.sentence(),
            patched: edit.patched(),
            fields: edit.fields,
            diff,
            problems: Vec::new(),
            unseen: self.gaps.clone(),
        })
    }
}

/// The objects of the namespace that carry the name of the JobRequest; none: they may not be listed.
async fn own<K>(cluster: &Cluster, what: &str, name: &str) -> Result<Option<Vec<K>>, CliError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(cluster.client().clone(), &cluster.namespace);
    let list = ListParams::default().labels(&format!("{}={name}", labels::REQUEST));
    match cluster.answer(&format!("list the {what}"), api.list(&list)).await {
        Ok(list) => Ok(Some(list.items)),
        // 400: no label can hold the name; the API server refuses the object itself for it.
        Err(CliError::Refused { code: 400 | 403, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The parts of a Job that decide what runs: without what the operator notes on it.
fn shown(job: &Job) -> Value {
    let is_noted = |key: &str| key.starts_with(labels::GROUP);
    let kept = |all: &Option<std::collections::BTreeMap<String, String>>| -> Value {
        all.iter()
            .flatten()
            .filter(|(key, _)| !is_noted(key))
            .map(|(key, value)| (key.clone(), json!(value)))
            .collect()
    };
    let metadata =
        json!({"labels": kept(&job.metadata.labels), "annotations": kept(&job.metadata.annotations)});
    json!({"metadata": metadata, "spec": job.spec})
}

/// The difference between two Jobs, as diff(1) shows it.
fn unified(old: &Value, new: &Value, run: i32) -> Result<String, CliError> {
    let yaml = |value: &Value| {
        serde_saphyr::to_string(value).map_err(|error| CliError::Yaml("the difference of the Jobs", error))
    };
    let (old, new) = (yaml(old)?, yaml(new)?);
    let diff = ::similar::TextDiff::from_lines(&old, &new);
    let (before, after) = ("Job of the spec as it is".to_owned(), format!("Job of run {run}"));
    Ok(diff.unified_diff().header(&before, &after).to_string())
}
