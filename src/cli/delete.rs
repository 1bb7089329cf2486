//! `jobrequest delete`: deletes JobRequests with their Jobs, pods and records.

use std::time::Duration;

use clap::{Args, ValueEnum};
use kube::api::{DeleteParams, PropagationPolicy};
use tokio::time::{Instant, sleep};

use super::cluster::{Cluster, InNamespace, runtime};
use super::duration::duration;
use super::error::CliError;
use super::names::Named;
use super::outcome::Verdict;
use super::output::{print, say};
use crate::follow::How;

/// Pause between two polls.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Arguments of `delete`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    named: Named,
    /// What becomes of its Jobs
    #[arg(long, value_enum, default_value_t = Cascade::Background)]
    cascade: Cascade,
    /// Return once the delete is accepted, without waiting until the JobRequest is gone
    #[arg(long)]
    no_wait: bool,
    /// How long to wait until it is gone [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "no_wait")]
    timeout: Option<Duration>,
    /// Do not fail if there is none of this name
    #[arg(long)]
    ignore_not_found: bool,
    #[command(flatten)]
    cluster: InNamespace,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Cascade {
    /// They are deleted after it
    Background,
    /// They are deleted before it
    Foreground,
    /// They stay
    Orphan,
}

/// Deletes each; prints a line for each.
pub(super) fn run(arguments: &Arguments) -> Result<Verdict, CliError> {
    runtime()?.block_on(async {
        let cluster = Cluster::find_in(&arguments.cluster).await?;
        let until = arguments.timeout.map(|timeout| Instant::now() + timeout);
        let propagation = match arguments.cascade {
            Cascade::Background => PropagationPolicy::Background,
            Cascade::Foreground => PropagationPolicy::Foreground,
            Cascade::Orphan => PropagationPolicy::Orphan,
        };
        let parameters = DeleteParams { propagation_policy: Some(propagation), ..DeleteParams::default() };
        let requests = cluster.requests();
        for name in &arguments.named.of(&cluster).await? {
            let call = requests.delete(name, &parameters);
            let deleted = cluster.answer(&format!("delete JobRequest {name}"), call).await;
            let deleted = match deleted.map_err(|error| cluster.not_found(name, error)) {
                Err(CliError::NoSuchRequest { .. }) if arguments.ignore_not_found => continue,
                Err(error) => return Err(error),
                // Otherwise it is gone already.
                Ok(answer) => answer.left().and_then(|object| object.metadata.uid),
            };
            while !arguments.no_wait && deleted.is_some() {
                let call = requests.get_metadata_opt(name);
                let found = cluster.answer(&format!("get JobRequest {name}"), call).await?;
                if found.is_none_or(|found| found.metadata.uid != deleted) {
                    break;
                }
                if until.is_some_and(|until| Instant::now() >= until) {
                    say(&format!("jobrequest/{name} is being deleted; it is not gone yet\n"));
                    return Ok(Verdict::Followed(How::TimedOut));
                }
                sleep(POLL_INTERVAL).await;
            }
            print(&format!("jobrequest/{name} deleted\n"))?;
        }
        Ok(Verdict::Valid)
    })
}
