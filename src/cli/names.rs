//! Which JobRequests a command is about: by their names, by labels, or all of the namespace.

use clap::Args;
use kube::api::ListParams;

use super::cluster::Cluster;
use super::complete::requests;
use super::error::CliError;
use super::name::name;
use super::output::say;

/// Names, or what selects them.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// Names of JobRequests
    #[arg(value_name = "NAME", value_parser = name, add = requests())]
    names: Vec<String>,
    /// Those with these labels instead, for example app=web,tier!=test
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "names")]
    selector: Option<String>,
    /// All of the namespace
    #[arg(long, conflicts_with_all = ["names", "selector"])]
    all: bool,
}

impl Named {
    /// The names, each once, in the order in which they were given, or of the alphabet.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(super) async fn of(&self, cluster: &Cluster) -> Result<Vec<String>, CliError> {
        if !self.all && self.selector.is_none() {
            if self.names.is_empty() {
                let advice = "no JobRequest is named; name some, select them by -l, or take all by --all";
                return Err(CliError::Usage(advice.to_owned()));
            }
            let mut names: Vec<String> = Vec::new();
            for name in &self.names {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            return Ok(names);
        }
        let requests = cluster.requests();
        let list = ListParams { label_selector: self.selector.clone(), ..ListParams::default() };
        let mut names = Vec::new();
        let page = async |list: &ListParams| requests.list_metadata(list).await;
        cluster.pages("list the JobRequests", list, page, |found| names.extend(found.metadata.name)).await?;
        if names.is_empty() {
            say(&format!("no JobRequests found in namespace {}\n", cluster.namespace));
        }
        Ok(names)
    }
}
