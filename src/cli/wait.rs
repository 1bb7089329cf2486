//! `jobrequest wait` and `jobrequest watch`: until the run of the newest spec has ended; the exit code says how.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::cluster::{Cluster, InNamespace, runtime};
use super::complete::requests;
use super::duration::duration;
use super::error::CliError;
use super::follow::{Followed, follow, line, progress};
use super::logs;
use super::name::{RunName, run_name};
use super::outcome::Verdict;
use super::output::{print, print_json, say};
use crate::follow::{Ending, Standing, Target};
use crate::reconcile::StoredRequest;

/// What every command says that follows a run.
pub(super) const EXIT_CODES: &str = "Exit codes:\n  \
    0    the run completed\n  \
    1    it ended in another way: it failed, or was cancelled, lost or replaced\n  \
    2    it could not be followed\n  \
    3    the API server refused it, or the operator rejected the spec: nothing ran\n  \
    4    --timeout has passed; the run continues\n  \
    5    it cannot end by itself: the JobRequest is suspended, held or deleted\n  \
    130  interrupted (143: terminated); the run continues";

/// Arguments of `wait` and `watch`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Arguments {
    /// Name of a JobRequest, or NAME@N for its run N
    #[arg(value_parser = run_name, add = requests())]
    name: RunName,
    #[command(flatten)]
    following: Following,
    #[command(flatten)]
    cluster: InNamespace,
}

/// Flags of every command that follows a run.
#[derive(Debug, Args)]
pub(super) struct Following {
    /// How long to wait for its end; 0s polls once [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// Say nothing until it has ended
    #[arg(short, long)]
    quiet: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

impl Following {
    /// Follows `target` to its end, which is printed; `show` is given a line for each state before it.
    ///
    /// # Errors
    /// It could not be followed, or the end could not be written.
    pub(super) async fn to_the_end(
        &self,
        cluster: &Cluster,
        name: &str,
        target: Target,
        show: impl Fn(&str),
    ) -> Result<Verdict, CliError> {
        let ending = self.to_the_end_of(cluster, name, target, show).await?;
        Ok(Verdict::Followed(ending.how))
    }

    /// The same; returns the end.
    ///
    /// # Errors
    /// It could not be followed, or the end could not be written.
    pub(super) async fn to_the_end_of(
        &self,
        cluster: &Cluster,
        name: &str,
        target: Target,
        show: impl Fn(&str),
    ) -> Result<Ending, CliError> {
        let shown = |standing: &Standing| {
            if let Some(line) = progress(name, standing).filter(|_| !self.quiet) {
                show(&line);
            }
        };
        let ending = follow(cluster, name, target, self.timeout, shown).await?;
        show_end(cluster, name, &ending, self.output)?;
        Ok(ending)
    }

    /// The same with states on stderr; `has_logs`: with the logs of its pods on stdout, and the end on stderr.
    ///
    /// # Errors
    /// It could not be followed, or something could not be written.
    pub(super) async fn to_the_end_with(
        &self,
        has_logs: bool,
        cluster: &Cluster,
        name: &str,
        target: Target,
    ) -> Result<Verdict, CliError> {
        if has_logs {
            logs::beside(cluster, name, target, self.timeout, self.quiet).await
        } else {
            self.to_the_end(cluster, name, target, say).await
        }
    }

    /// Whether the flags go together with `--logs`.
    ///
    /// # Errors
    /// They do not.
    pub(super) fn allow_logs(&self, has_logs: bool) -> Result<(), CliError> {
        if has_logs && self.output == Format::Json {
            let message = "--logs writes lines of logs to stdout; leave -o json out, and read the exit code";
            return Err(CliError::Usage(message.to_owned()));
        }
        Ok(())
    }
}

/// How the end is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A line for people
    Text,
    /// One JSON object
    Json,
}

/// Prints the end to stdout, and every state before it to stderr.
pub(super) fn wait(arguments: &Arguments) -> Result<Verdict, CliError> {
    runtime()?.block_on(run(arguments, say))
}

/// Prints every state to stdout, with the end.
pub(super) fn watch(arguments: &Arguments) -> Result<Verdict, CliError> {
    let is_text = arguments.following.output == Format::Text;
    runtime()?.block_on(run(arguments, |line| {
        // What cannot be written is found out when the end is printed.
        if !is_text || print(line).is_err() {
            say(line);
        }
    }))
}

async fn run(arguments: &Arguments, show: impl Fn(&str)) -> Result<Verdict, CliError> {
    let Arguments { name: RunName { name, run }, following, cluster } = arguments;
    let cluster = Cluster::find_in(cluster).await?;
    let request: StoredRequest = cluster.request(name).await?;
    let target = match run {
        Some(run) => Target::numbered(&request, *run),
        None => Target::newest(&request),
    };
    following.to_the_end(&cluster, name, target, show).await
}

/// Prints how it ended.
///
/// # Errors
/// It could not be written.
fn show_end(cluster: &Cluster, name: &str, ending: &Ending, format: Format) -> Result<(), CliError> {
    match format {
        Format::Text => print(&line(cluster, name, ending, "wait")),
        Format::Json => {
            let namespace = cluster.namespace.as_str();
            let exit_code = ending.how.exit_code();
            print_json("the end", &Followed { namespace, name, exit_code, ending })
        }
    }
}
