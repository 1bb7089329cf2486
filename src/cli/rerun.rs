//! `jobrequest rerun`: asks for another run of the same spec, without a change in Git, and waits for its own token.

use clap::Args;

use super::cluster::{Cluster, InNamespace, runtime};
use super::edit::{Edits, edited};
use super::error::CliError;
use super::names::Named;
use super::outcome::Verdict;
use super::output::{print, say};
use super::run::{rerun_patch, stored};
use super::token::new_token;
use super::wait::{EXIT_CODES, Following};
use crate::follow::{How, Target};

/// Arguments of `rerun`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Arguments {
    #[command(flatten)]
    named: Named,
    /// Return once the rerun is asked for, without waiting for its end
    #[arg(long, conflicts_with = "timeout")]
    no_wait: bool,
    /// Print the logs of the run's pods to stdout; its states and its end go to stderr
    #[arg(long, conflicts_with = "no_wait")]
    logs: bool,
    #[command(flatten)]
    edits: Edits,
    /// Print the lines to commit instead, to ask for the rerun through Git
    #[arg(long, conflicts_with_all = ["names", "selector", "all", "no_wait", "timeout", "logs", "set", "edit"])]
    in_git: bool,
    #[command(flatten)]
    following: Following,
    #[command(flatten)]
    cluster: InNamespace,
}

/// Asks for a rerun of each, then follows them one after the other; the highest exit code counts.
pub(super) fn run(arguments: &Arguments) -> Result<Verdict, CliError> {
    let Arguments { named, following, logs, .. } = arguments;
    following.allow_logs(*logs)?;
    if arguments.in_git {
        print(&format!("spec:\n  rerun: {}\n", new_token()))?;
        return Ok(Verdict::Valid);
    }
    runtime()?.block_on(async {
        let cluster = Cluster::find_in(&arguments.cluster).await?;
        let (mut asked, mut verdict) = (Vec::new(), Verdict::Valid);
        let edit = arguments.edits.edit();
        for name in named.of(&cluster).await? {
            let changed = match &edit {
                None => Some(cluster.patch(&name, rerun_patch(&new_token())).await?),
                Some(edit) => edited(&cluster, &name, edit).await?,
            };
            let Some(changed) = changed else {
                verdict = verdict.and(Verdict::Followed(How::Rejected));
                continue;
            };
            say(&format!("jobrequest/{name}: a rerun is asked for\n"));
            asked.push((name, Target::newest(&stored(changed)?)));
        }
        for (name, target) in asked.into_iter().filter(|_| !arguments.no_wait) {
            verdict = verdict.and(following.to_the_end_with(*logs, &cluster, &name, target).await?);
            if verdict.is_interrupted() {
                break;
            }
        }
        Ok(verdict)
    })
}
