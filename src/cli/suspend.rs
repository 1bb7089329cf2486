//! `jobrequest suspend` and `jobrequest resume`: set `spec.suspend`.

use clap::Args;
use serde_json::json;

use super::cluster::{Cluster, InNamespace, runtime};
use super::error::CliError;
use super::names::Named;
use super::outcome::Verdict;
use super::output::{print, say};
use super::owner::tool_of;

/// Arguments of `suspend` and `resume`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    cluster: InNamespace,
}

/// Suspends or resumes each; prints a line for each.
pub(super) fn run(arguments: &Arguments, is_suspended: bool) -> Result<Verdict, CliError> {
    runtime()?.block_on(async {
        let cluster = Cluster::find_in(&arguments.cluster).await?;
        for name in arguments.named.of(&cluster).await? {
            let changed = cluster.patch(&name, json!({"spec": {"suspend": is_suspended}})).await?;
            print(&format!("jobrequest/{name} {}\n", if is_suspended { "suspended" } else { "resumed" }))?;
            if let Some(tool) = tool_of(&changed.metadata) {
                say(&format!(
                    "warning: {tool} applies jobrequest/{name}, and may set spec.suspend back; change it in Git to keep it\n"
                ));
            }
        }
        Ok(Verdict::Valid)
    })
}
