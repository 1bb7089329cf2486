//! `jobrequest create`: a JobRequest from flags, or from the answers of the form on a terminal.
//!
//! [`arguments`] takes the flags, [`source`] the object that it begins with, [`reading`] what the cluster has; [`prompt`]
//! asks what [`crate::form`] says. The document is judged as `validate` judges it before it is sent.

mod arguments;
mod prompt;
mod readable;
pub(super) mod reading;
mod source;

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use self::arguments::{DryRun, Output};
use self::prompt::{Decision, Leaving};
use self::readable::Readable;
use super::cluster::{Cluster, runtime};
use super::error::CliError;
use super::files;
use super::follow::{follow, line, progress};
use super::invocation::program;
use super::outcome::Verdict;
use super::output::{count, print, print_json, print_yaml, say, yaml};
use super::run::stored;
use crate::follow::{How, Standing, Target};
use crate::form::{Draft, Fields, Finding, Form, Inventory, Templates, command_line, command_of};

pub(super) use self::arguments::Arguments;

/// Creates it, or what the flags say instead.
pub(super) fn run(arguments: &Arguments) -> Result<Verdict, CliError> {
    let runtime = runtime()?;
    let fields = Arc::new(Fields::of_spec());
    let is_local = arguments.dry_run == DryRun::Client;
    let cluster = match arguments.from {
        // Without a cluster there is nothing to begin with.
        Some(_) => Some(Ok(cluster(&runtime, arguments)?)),
        None if is_local => None,
        // Without one, the form still writes a file.
        None => Some(cluster(&runtime, arguments)),
    };
    let spec = match (&arguments.from, &cluster) {
        (Some(from), Some(Ok(cluster))) => runtime.block_on(source::spec_from(cluster, from))?,
        _ => json!({}),
    };
    let base = draft(&fields, spec, arguments);
    let mut draft = base.clone();
    arguments.fields.apply(&mut draft)?;
    if let Some(name) = &arguments.name {
        draft.name(name);
    }
    let is_whole = draft.has_image() && arguments.name.is_some();
    let (draft, decision) = if is_whole {
        (draft, Decision { file: None, is_created: true })
    } else if can_ask(arguments) {
        let cluster = cluster.as_ref().and_then(|found| found.as_ref().ok());
        match asked(&runtime, arguments, cluster, base)? {
            Ok((draft, decision)) => (draft, decision),
            Err(Leaving::Interrupted) => {
                say("nothing was written or created\n");
                return Ok(Verdict::Followed(How::Interrupted));
            }
            Err(Leaving::Chosen) => {
                say("nothing was written or created\n");
                return Ok(Verdict::Valid);
            }
        }
    } else {
        return Err(CliError::Usage(if arguments.name.is_none() {
            format!("a name is missing; write {} create NAME --image IMAGE", program())
        } else {
            "an image is missing; name it by --image, or a template that has one by --template".to_owned()
        }));
    };
    if let Some(file) = &decision.file {
        write(file, draft.object())?;
        say(&format!("wrote {file}\n"));
    }
    if !is_whole {
        say_command(&fields, &draft, arguments);
    }
    if !decision.is_created {
        return Ok(Verdict::Valid);
    }
    send(&runtime, arguments, cluster.transpose()?.as_ref(), &draft)
}

fn cluster(runtime: &Runtime, arguments: &Arguments) -> Result<Cluster, CliError> {
    runtime.block_on(Cluster::find_in(&arguments.cluster))
}

/// Judges the draft and creates it.
fn send(
    runtime: &Runtime,
    arguments: &Arguments,
    cluster: Option<&Cluster>,
    draft: &Draft,
) -> Result<Verdict, CliError> {
    let namespace =
        cluster.map(|cluster| cluster.namespace.as_str()).or(arguments.cluster.namespace.as_deref());
    let online = cluster.filter(|_| arguments.dry_run != DryRun::Client);
    let templates = match online {
        Some(cluster) => reading::known(runtime.block_on(reading::templates(cluster))?.as_deref()),
        None => offline(arguments, draft)?,
    };
    let findings = draft.judge(namespace, &templates)?;
    if !findings.is_empty() {
        say_findings(&findings);
        return Ok(Verdict::Invalid);
    }
    let name = draft.object().pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let Some(cluster) = online else {
        show(arguments, name, draft.object(), " (client dry run)")?;
        return Ok(Verdict::Valid);
    };
    runtime.block_on(async {
        let is_dry = arguments.dry_run == DryRun::Server;
        let created =
            cluster.create(name, draft.object(), is_dry).await.map_err(|error| taken(name, error))?;
        let mut shown = serde_json::to_value(&created).unwrap_or_default();
        if let Some(metadata) = shown.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        show(arguments, name, &shown, if is_dry { " (server dry run)" } else { "" })?;
        if is_dry || !(arguments.following.wait || arguments.following.watch) {
            return Ok(Verdict::Valid);
        }
        let target = Target::newest(&stored(created)?);
        let is_text = arguments.output.is_none();
        let shown = |standing: &Standing| {
            let Some(line) = progress(name, standing).filter(|_| !arguments.following.quiet) else { return };
            // What cannot be written is found out when the end is printed.
            if !(arguments.following.watch && is_text) || print(&line).is_err() {
                say(&line);
            }
        };
        let ending = follow(cluster, name, target, arguments.following.timeout, shown).await?;
        // With --output, stdout holds the object alone.
        let end = line(cluster, name, &ending, "wait");
        if is_text {
            print(&end)?;
        } else {
            say(&end);
        }
        Ok(Verdict::Followed(ending.how))
    })
}

/// A name that is taken has a way out.
fn taken(name: &str, error: CliError) -> CliError {
    match error {
        CliError::Refused { code: 409, .. } => CliError::WithAdvice {
            advice: format!("choose another name, or run it again: {} rerun {name}", program()),
            source: Box::new(error),
        },
        error => error,
    }
}

/// Prints the object as the flags say.
fn show(arguments: &Arguments, name: &str, object: &Value, how: &str) -> Result<(), CliError> {
    match arguments.output {
        None => print(&format!("jobrequest/{name} created{how}\n")),
        Some(Output::Name) => print(&format!("jobrequest.jobrequest.dev/{name}\n")),
        Some(Output::Yaml) => print_yaml("the JobRequest", &[&Readable::new(object)]),
        Some(Output::Json) => print_json("the JobRequest", &Readable::new(object)),
    }
}

fn say_findings(findings: &[Finding]) {
    let lines = findings.iter().map(|finding| format!("error: {finding}\n"));
    say(&lines.collect::<String>());
    say(&format!("{}; nothing was created\n", count(findings.len(), "problem")));
}

/// The templates of files, to judge with. Without them, a JobRequest that names a template or a size is judged by the CRD.
fn offline(arguments: &Arguments, draft: &Draft) -> Result<Templates, CliError> {
    if !arguments.templates.is_empty() {
        return Ok(Templates::Known(files::read(&arguments.templates, false)?));
    }
    let containers = draft.spec().get("containers").and_then(Value::as_array);
    let has_size = containers.into_iter().flatten().any(|container| container.get("quota").is_some());
    if has_size || draft.spec().get("templateRef").is_some() {
        say("note: no template is known without a cluster; --templates FILE judges it with templates\n");
        return Ok(Templates::Unknown);
    }
    Ok(Templates::Known(Vec::new()))
}

fn draft(fields: &Arc<Fields>, spec: Value, arguments: &Arguments) -> Draft {
    let mut draft = Draft::new(Arc::clone(fields), spec, arguments.fields.container());
    if let Some(namespace) = &arguments.cluster.namespace {
        draft.namespace(namespace);
    }
    draft
}

fn can_ask(arguments: &Arguments) -> bool {
    !arguments.no_interactive && std::io::stdin().is_terminal() && super::output::says_to_a_terminal()
}

/// Asks for everything, with what the flags have said as answers.
fn asked(
    runtime: &Runtime,
    arguments: &Arguments,
    cluster: Option<&Cluster>,
    base: Draft,
) -> Result<Result<(Draft, Decision), Leaving>, CliError> {
    let templates = cluster.and_then(|cluster| runtime.block_on(reading::templates(cluster)).ok().flatten());
    let inventory = match cluster {
        Some(cluster) => runtime.block_on(reading::inventory(cluster, templates.as_deref())),
        None => Inventory::default(),
    };
    let namespace =
        cluster.map(|cluster| cluster.namespace.as_str()).or(arguments.cluster.namespace.as_deref());
    let known = match cluster {
        Some(_) => reading::known(templates.as_deref()),
        None if arguments.templates.is_empty() => Templates::Unknown,
        None => Templates::Known(files::read(&arguments.templates, false)?),
    };
    let mut flags = arguments.fields.flags();
    let (words, is_command) = arguments.fields.words();
    if let Ok(text) = shlex::try_join(words.iter().map(String::as_str))
        && !words.is_empty()
    {
        flags.push(crate::form::Flag::new(if is_command { "--command" } else { "--" }, text));
    }
    let form = Form::new(base, arguments.name.as_deref(), &flags, namespace, known);
    let keys =
        |kind, name: &str| cluster.and_then(|cluster| runtime.block_on(reading::keys(cluster, kind, name)));
    prompt::ask(form, inventory, &keys, cluster.is_some())
}

/// Writes the document to a new file.
fn write(file: &str, object: &Value) -> Result<(), CliError> {
    let text = yaml("the JobRequest", &Readable::new(object))?;
    let failed = |error| CliError::Io("write the file", error);
    let mut file = OpenOptions::new().write(true).create_new(true).open(file).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

/// The command that does the same again, for people.
fn say_command(fields: &Arc<Fields>, draft: &Draft, arguments: &Arguments) {
    let mut words = vec!["create".to_owned()];
    if let Some(namespace) = &arguments.cluster.namespace {
        words.extend(["-n".to_owned(), namespace.clone()]);
    }
    words.extend(command_of(fields, draft.object()));
    match command_line(&words) {
        Some(line) => say(&format!("the same by one command:\n  {} {line}\n", program())),
        None => say("no command line can hold all of its characters; keep the file\n"),
    }
}

#[cfg(test)]
mod tests;
