//! The arguments of `jobrequest create`: what was typed in, flags as [`crate::form`] knows them out.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::source::{From, from};
use crate::cli::cluster::InNamespace;
use crate::cli::duration::duration;
use crate::cli::error::CliError;
use crate::form::{Draft, Flag};

const AFTER_HELP: &str = "Examples:\n  \
    jobrequest create pi --image perl:5 --command -- perl -Mbignum=bpi -wle 'print bpi(2000)'\n  \
    jobrequest create report --image app:1 --env PASS=secret/db:password --mount pvc/data:/data:ro --wait\n  \
    jobrequest create pi --image perl:5 --dry-run=client -o yaml > pi.yaml\n\n\
    Without an image, on a terminal, it asks for everything step by step.\n\n\
    Exit codes:\n  \
    0    it was created; with --wait or --watch: the run completed\n  \
    1    it is invalid, as validate says; with --wait or --watch: the run ended otherwise\n  \
    2    it could not be created: a flag is wrong or missing, there is one of this name, the API server does not answer\n  \
    3    the API server refused it, or the operator rejected the spec: nothing ran\n  \
    4    --timeout has passed; the run continues\n  \
    5    the run cannot end by itself: the JobRequest is suspended, held or deleted\n  \
    130  interrupted (143: terminated); what was created stays, and the run continues";

/// Arguments of `create`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct Arguments {
    /// Name of the JobRequest
    pub(super) name: Option<String>,
    #[command(flatten)]
    pub(super) fields: FieldFlags,
    /// Start from the spec of an object in the cluster: NAME of a JobRequest, job/NAME or cronjob/NAME
    #[arg(long, value_name = "NAME", value_parser = from)]
    pub(super) from: Option<From>,
    /// client: print only, without a cluster; server: let the API server judge it, and store nothing
    #[arg(long, value_enum, value_name = "MODE", default_value_t = DryRun::None)]
    pub(super) dry_run: DryRun,
    /// Print the object, or its name
    #[arg(short, long, value_enum)]
    pub(super) output: Option<Output>,
    /// Files or folders with templates to judge it with, for --dry-run=client; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(super) templates: Vec<String>,
    /// Ask nothing, also on a terminal
    #[arg(long)]
    pub(super) no_interactive: bool,
    /// Return once it is created, which is the default
    #[arg(long, conflicts_with_all = ["wait", "watch"])]
    pub(super) no_wait: bool,
    #[command(flatten)]
    pub(super) following: Following,
    #[command(flatten)]
    pub(super) cluster: InNamespace,
}

/// Flags that follow the first run.
#[derive(Debug, Args)]
pub(super) struct Following {
    /// Follow its first run to the end; the exit code says how it ended
    #[arg(long)]
    pub(super) wait: bool,
    /// The same, and print each state to stdout
    #[arg(long, conflicts_with = "wait")]
    pub(super) watch: bool,
    /// How long to follow the run; 0s polls once [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) timeout: Option<Duration>,
    /// Say nothing until the run has ended
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// What is done instead of creating it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DryRun {
    /// Create it
    None,
    /// Print only, without a cluster
    Client,
    /// Let the API server judge it, and store nothing
    Server,
}

/// What is printed of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// The object
    Yaml,
    /// The object
    Json,
    /// Its name with its kind
    Name,
}

/// Flags that set fields of the spec.
#[derive(Debug, Args)]
pub(super) struct FieldFlags {
    /// Image of the container
    #[arg(long, help_heading = "Container")]
    image: Option<String>,
    /// Name of the container that flags are about [default: the only one of --from, else main]
    #[arg(long, value_name = "NAME", help_heading = "Container")]
    container: Option<String>,
    /// ARGS begin with the program to run, instead of being arguments of the image's own
    #[arg(long, requires = "arguments", help_heading = "Container")]
    command: bool,
    /// Environment variable: NAME=VALUE, NAME=secret/OBJECT:KEY or NAME=configmap/OBJECT:KEY; may be repeated
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Container")]
    env: Vec<String>,
    /// All keys of an object as variables: configmap/OBJECT or secret/OBJECT, and :PREFIX for their names; may be repeated
    #[arg(long, value_name = "OBJECT", help_heading = "Container")]
    env_from: Vec<String>,
    /// Volume at a path: pvc/CLAIM:/PATH, empty:/PATH, configmap/OBJECT:/PATH or secret/OBJECT:/PATH, and :ro for
    /// read-only; may be repeated
    #[arg(long, value_name = "SOURCE:/PATH", help_heading = "Container")]
    mount: Vec<String>,
    /// CPU: request, request:limit or :limit, for example 500m:1
    #[arg(long, value_name = "AMOUNTS", help_heading = "Container")]
    cpu: Option<String>,
    /// Memory: request, request:limit or :limit, for example 128Mi:1Gi
    #[arg(long, value_name = "AMOUNTS", help_heading = "Container")]
    memory: Option<String>,
    /// Size preset of a template
    #[arg(long, value_name = "PRESET", help_heading = "Container")]
    size: Option<String>,
    /// How many pods must succeed
    #[arg(long, value_name = "N", help_heading = "Job")]
    completions: Option<String>,
    /// Maximum number of pods that run at once
    #[arg(long, value_name = "N", help_heading = "Job")]
    parallelism: Option<String>,
    /// How many failed pods are replaced before the run fails
    #[arg(long, value_name = "N", help_heading = "Job")]
    backoff_limit: Option<String>,
    /// How long a run may take, for example 10m
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Job")]
    deadline: Option<Duration>,
    /// How long it may take until a container has started
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Job")]
    start_deadline: Option<Duration>,
    /// How long the Job of a finished run is kept; its record stays
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Job")]
    ttl: Option<Duration>,
    /// What happens to a container that failed: Never (a new pod) or OnFailure (it is restarted in its pod)
    #[arg(long, value_name = "POLICY", help_heading = "Job")]
    restart: Option<String>,
    /// Create it suspended: no run is started
    #[arg(long, help_heading = "Job")]
    suspend: bool,
    /// Name for people, in any language
    #[arg(long, value_name = "TEXT", help_heading = "Job")]
    alias: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT", help_heading = "Job")]
    description: Option<String>,
    /// Label of the Job and its pods; may be repeated
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Job")]
    label: Vec<String>,
    /// Annotation of the Job and its pods; may be repeated
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Job")]
    annotation: Vec<String>,
    /// Label that a node must have; may be repeated
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Job")]
    node_selector: Vec<String>,
    /// The node to run on
    #[arg(long, value_name = "NAME", help_heading = "Job")]
    node: Option<String>,
    /// JobTemplate NAME, or ClusterJobTemplate cluster/NAME
    #[arg(long, value_name = "NAME", help_heading = "Job")]
    template: Option<String>,
    /// ServiceAccount that the pods run as
    #[arg(long, value_name = "NAME", help_heading = "Job")]
    service_account: Option<String>,
    /// restricted: the settings that this Pod Security Standard requires
    #[arg(long, value_name = "STANDARD", help_heading = "Job")]
    pod_security: Option<String>,
    /// Any field of the spec: PATH=VALUE, typed as the field is, for example containers[main].workingDir=/tmp or
    /// settings.completionMode=Indexed; PATH- removes a field; may be repeated
    #[arg(long, value_name = "PATH=VALUE", help_heading = "Job")]
    set: Vec<String>,
    /// Arguments of the image's own program; with --command, the program and its arguments
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

impl FieldFlags {
    /// The container that flags are about, if it was named.
    pub(super) fn container(&self) -> Option<&str> {
        self.container.as_deref()
    }

    /// All flags but those that follow `--`, those that set any field last.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let seconds = |duration: &Duration| format!("{}s", duration.as_secs());
        let texts = [
            ("--image", &self.image),
            ("--size", &self.size),
            ("--cpu", &self.cpu),
            ("--memory", &self.memory),
            ("--alias", &self.alias),
            ("--description", &self.description),
            ("--template", &self.template),
            ("--completions", &self.completions),
            ("--parallelism", &self.parallelism),
            ("--backoff-limit", &self.backoff_limit),
            ("--restart", &self.restart),
            ("--service-account", &self.service_account),
            ("--pod-security", &self.pod_security),
            ("--node", &self.node),
        ];
        let durations = [
            ("--deadline", &self.deadline),
            ("--start-deadline", &self.start_deadline),
            ("--ttl", &self.ttl),
        ];
        let lists = [
            ("--env", &self.env),
            ("--env-from", &self.env_from),
            ("--mount", &self.mount),
            ("--label", &self.label),
            ("--annotation", &self.annotation),
            ("--node-selector", &self.node_selector),
            ("--set", &self.set),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some(Flag::new(name, text.as_ref()?)));
        let durations = durations
            .into_iter()
            .filter_map(|(name, duration)| Some(Flag::new(name, seconds(duration.as_ref()?))));
        let suspend = self.suspend.then(|| Flag::new("--suspend", "true"));
        let lists =
            lists.into_iter().flat_map(|(name, texts)| texts.iter().map(move |text| Flag::new(name, text)));
        texts.chain(durations).chain(suspend).chain(lists).collect()
    }

    /// What follows `--`, and whether it begins with the program.
    pub(super) fn words(&self) -> (&[String], bool) {
        (&self.arguments, self.command)
    }

    /// Does what the flags say.
    ///
    /// # Errors
    /// The value of one cannot be read.
    pub(super) fn apply(&self, draft: &mut Draft) -> Result<(), CliError> {
        let (sets, flags): (Vec<_>, Vec<_>) = self.flags().into_iter().partition(|flag| flag.name == "--set");
        let usage = |error: crate::form::FlagError| CliError::Usage(error.to_string());
        for flag in &flags {
            draft.add(flag).map_err(usage)?;
        }
        if !self.arguments.is_empty() {
            draft.arguments(&self.arguments, self.command).map_err(usage)?;
        }
        sets.iter().try_for_each(|flag| draft.add(flag).map_err(usage))
    }
}
