//! `jobrequest audit`: which JobRequests other templates would break, before they are applied.
//!
//! Takes templates in files, and JobRequests of the cluster, page by page, or of other files; returns every violation that
//! does not exist today.

use std::fmt::Write as _;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use kube::Api;
use kube::api::ListParams;
use serde::Serialize;

use super::cluster::{Cluster, Connection, runtime};
use super::error::CliError;
use super::files;
use super::outcome::Verdict;
use super::output::{count, print, print_json, say};
use super::table::{Format, aligned};
use super::templates::{self, Templates};
use crate::compile::audit::{Comparison, Violation, compare};
use crate::compile::{Identity, ScopedTemplate};
use crate::manifest::{self, Diagnostic, Inspection, Row};
use crate::reconcile::StoredRequest;

/// Arguments of `audit`.
#[derive(Debug, Args)]
#[command(
    after_help = "When to use it: before a template is applied that has a new or tighter policy, or other defaults.\n\n\
    Exit codes: 0 no JobRequest would be rejected for a new reason; 1 some would be, or a template is invalid; 2 it could \
    not be done.\n\n\
    Examples:\n  \
    jobrequest audit -f platform.yaml -A\n  \
    jobrequest audit -f platform.yaml -n team-a -o json\n  \
    jobrequest audit -f platform.yaml -R teams/"
)]
pub(super) struct Arguments {
    /// Files or folders with JobRequests, and the templates that apply to them today; without them, those in the namespace
    /// are judged
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// Files or folders with the templates to judge by; one in the cluster with the same kind, namespace and name is
    /// replaced by it; may be repeated
    #[arg(short = 'f', long, value_name = "FILE", required = true)]
    templates: Vec<String>,
    /// Read folders recursively
    #[arg(short = 'R', long)]
    recursive: bool,
    /// JobRequests in all namespaces
    #[arg(short = 'A', long, conflicts_with = "files")]
    all_namespaces: bool,
    /// Namespace of the JobRequests, and of templates and files that set none [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE", value_parser = NonEmptyStringValueParser::new())]
    namespace: Option<String>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    connection: Connection,
}

/// What was found, as `-o json` shows it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// How many JobRequests were judged.
    judged: usize,
    /// How many of them would be rejected for a reason that does not exist today.
    would_be_rejected: usize,
    /// How many are rejected today, and would be for no other reason.
    rejected_already: usize,
    /// How many are rejected today, and would not be.
    no_longer_rejected: usize,
    /// How many name a template that could not be seen.
    not_judged: usize,
    violations: Vec<Breach>,
    /// What could not be seen, in a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unseen: Vec<String>,
}

/// One violation of one JobRequest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Breach {
    namespace: String,
    name: String,
    #[serde(flatten)]
    violation: Violation,
    /// Where the JobRequest is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

/// Templates that are invalid by themselves, as `-o json` shows them.
#[derive(Debug, Serialize)]
struct Invalid<'a> {
    problems: Vec<Row<'a>>,
}

/// Judges, and prints what is new.
pub(super) fn run(arguments: &Arguments) -> Result<Verdict, CliError> {
    let sources = templates::sources(&arguments.templates, arguments.recursive)?;
    let read = |namespace: Option<&str>| templates::in_files(&sources, &arguments.templates, namespace);
    if !arguments.files.is_empty() {
        let laid = read(arguments.namespace.as_deref())?;
        if !laid.diagnostics.is_empty() {
            return refuse(arguments.output, &laid.diagnostics);
        }
        return in_files(arguments, &laid.templates);
    }
    runtime()?.block_on(async {
        let cluster = Cluster::find(&arguments.connection).await?;
        let namespace = arguments.namespace.clone().unwrap_or_else(|| cluster.namespace.clone());
        let laid = read(Some(&namespace))?;
        if !laid.diagnostics.is_empty() {
            return refuse(arguments.output, &laid.diagnostics);
        }
        let namespace = Some(namespace).filter(|_| !arguments.all_namespaces);
        let report = of_cluster(&cluster, namespace.as_deref(), &laid.templates).await?;
        report.show(arguments.output)
    })
}

/// Reports templates that are invalid by themselves.
fn refuse(format: Format, diagnostics: &[Diagnostic]) -> Result<Verdict, CliError> {
    match format {
        Format::Json => {
            let problems = diagnostics.iter().map(Diagnostic::row).collect();
            print_json("the result", &Invalid { problems })?;
        }
        Format::Text => say(&diagnostics.iter().map(Diagnostic::text).collect::<String>()),
    }
    say(&format!("{} in the templates; nothing is judged\n", count(diagnostics.len(), "problem")));
    Ok(Verdict::Invalid)
}

/// Judges the JobRequests of a cluster page by page, so that no number of them needs much memory.
async fn of_cluster(
    cluster: &Cluster,
    namespace: Option<&str>,
    laid: &[ScopedTemplate],
) -> Result<Report, CliError> {
    let today = Templates::of_cluster(cluster, namespace).await?;
    let then = today.with(laid);
    let mut report = Report { unseen: today.gaps(), ..Report::default() };
    let requests: Api<StoredRequest> = match namespace {
        Some(namespace) => Api::namespaced(cluster.client().clone(), namespace),
        None => Api::all(cluster.client().clone()),
    };
    let what = match namespace {
        Some(namespace) => format!("list the JobRequests of namespace {namespace}"),
        None => "list the JobRequests of all namespaces".to_owned(),
    };
    let page = async |list: &ListParams| requests.list(list).await;
    let judged = |request: StoredRequest| report.judge_stored(&request, &today, &then);
    let read = cluster.pages(&what, ListParams::default(), page, judged).await;
    read.map_err(with_advice)?;
    Ok(report)
}

fn with_advice(error: CliError) -> CliError {
    match error {
        // It took longer than the API server keeps a list.
        expired @ CliError::Refused { code: 410, .. } => CliError::WithAdvice {
            advice: "run it again, for one namespace after the other if there are many JobRequests"
                .to_owned(),
            source: Box::new(expired),
        },
        error => error,
    }
}

/// Judges the JobRequests of files; no cluster is asked.
fn in_files(arguments: &Arguments, laid: &[ScopedTemplate]) -> Result<Verdict, CliError> {
    let documents = manifest::read(&files::read(&arguments.files, arguments.recursive)?);
    if !documents.documents.iter().any(|document| document.kind == "JobRequest")
        && documents.unreadable.is_empty()
    {
        let names = arguments.files.join(", ");
        return Err(CliError::Usage(format!("found no JobRequest in {names}")));
    }
    let namespace = arguments.namespace.as_deref();
    let inspected = manifest::inspect(documents, namespace, 1)?;
    let today = Templates { all: inspected.templates, unseen: Vec::new() };
    let then = today.with(laid);
    let mut report = Report::default();
    let requests = inspected.documents.iter().filter(|inspection| inspection.document.kind == "JobRequest");
    for inspection in requests {
        report.judge_written(inspection, &today, &then);
    }
    let verdict = report.show(arguments.output)?;
    // What is no object cannot be judged, and is passed over nowhere.
    let unreadable: Vec<_> = inspected.diagnostics.iter().filter(|one| one.object.is_empty()).collect();
    say(&unreadable.iter().map(|diagnostic| diagnostic.text()).collect::<String>());
    Ok(if unreadable.is_empty() { verdict } else { Verdict::Invalid })
}

impl Report {
    fn judge_stored(&mut self, request: &StoredRequest, today: &Templates, then: &Templates) {
        let Some(spec) = request.whole_spec() else {
            // A spec that cannot be read is rejected under any templates.
            return self.add(&Comparison::rejected(), request.namespace(), request.name(), None);
        };
        let named = spec.template_ref.as_ref();
        let (before, is_unseen) = today.layers(request.namespace(), named);
        let (after, would_be_unseen) = then.layers(request.namespace(), named);
        if is_unseen || would_be_unseen {
            self.not_judged += 1;
            return;
        }
        let compared = compare(&request.identity(), spec, &before, &after);
        self.add(&compared, request.namespace(), request.name(), None);
    }

    fn judge_written(&mut self, inspection: &Inspection, today: &Templates, then: &Templates) {
        let document = &inspection.document;
        let at = Some((document.source.name.as_str(), document.node.at.line));
        let Some(request) = &inspection.request else {
            return self.add(&Comparison::rejected(), "", "", at);
        };
        let namespace = request.namespace.as_deref().unwrap_or_default();
        let identity = Identity {
            name: &request.name,
            namespace: request.namespace.as_deref(),
            uid: None,
            generation: None,
            handled: None,
        };
        let layers =
            |templates: &Templates| templates.layers(namespace, request.spec.template_ref.as_ref()).0;
        let mut compared = compare(&identity, &request.spec, &layers(today), &layers(then));
        if inspection.problems > 0 && !compared.is_rejected {
            // The API server refuses it, whatever the templates say.
            compared = Comparison::rejected();
        }
        self.add(&compared, namespace, &request.name, at);
    }

    fn add(&mut self, compared: &Comparison, namespace: &str, name: &str, at: Option<(&str, usize)>) {
        self.judged += 1;
        match (compared.is_broken(), compared.is_rejected, compared.would_be_rejected) {
            (true, ..) => self.would_be_rejected += 1,
            (false, true, true) => self.rejected_already += 1,
            (false, true, false) => self.no_longer_rejected += 1,
            (false, false, _) => {}
        }
        self.violations.extend(compared.new.iter().map(|violation| Breach {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            violation: violation.clone(),
            file: at.map(|(file, _)| file.to_owned()),
            line: at.map(|(_, line)| line),
        }));
    }

    fn show(&self, format: Format) -> Result<Verdict, CliError> {
        match format {
            Format::Json => print_json("the result", self)?,
            Format::Text if self.violations.is_empty() => {}
            Format::Text => print(&aligned(&self.table()))?,
        }
        self.unseen.iter().for_each(|gap| say(&format!("{gap}\n")));
        say(&self.summary());
        Ok(if self.would_be_rejected == 0 { Verdict::Valid } else { Verdict::Invalid })
    }

    fn table(&self) -> Vec<Vec<String>> {
        let heading = ["NAMESPACE", "NAME", "RESULT", "WHAT", "BY"].map(str::to_owned).to_vec();
        let lines = self.violations.iter().map(|Breach { namespace, name, violation, .. }| {
            let what = format!("{}: {}", violation.field, violation.message);
            vec![namespace.clone(), name.clone(), violation.result.to_string(), what, violation.by.clone()]
        });
        std::iter::once(heading).chain(lines).collect()
    }

    /// One line.
    fn summary(&self) -> String {
        let mut text = format!(
            "{} judged, {} would be rejected",
            count(self.judged, "JobRequest"),
            self.would_be_rejected
        );
        for (number, one, many) in [
            (self.rejected_already, "is rejected already", "are rejected already"),
            (self.no_longer_rejected, "would no longer be rejected", "would no longer be rejected"),
            (
                self.not_judged,
                "could not be judged: the template that it names could not be seen",
                "could not be judged: the templates that they name could not be seen",
            ),
        ] {
            if number > 0 {
                let _ = write!(text, ", {number} {}", if number == 1 { one } else { many });
            }
        }
        text + "\n"
    }
}
