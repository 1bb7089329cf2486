//! Completion of what is typed, names of the cluster included.
//!
//! A shell asks this program itself, by the script that `jobrequest completion` prints; kubectl asks a program called
//! `kubectl_complete-jobrequest`, which is this one under another name. A cluster that does not answer within a second, or
//! refuses, completes nothing and prints nothing.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, Command, CommandFactory, FromArgMatches, Parser};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete};
use clap_complete::env::CompleteEnv;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::ListParams;
use kube::config::Kubeconfig;

use super::cluster::{Cluster, InNamespace, runtime};
use super::output::print;

/// The variable by which a shell asks.
pub(super) const VARIABLE: &str = "COMPLETE";
/// How long the cluster may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// Maximum number of names that are offered.
const MAX_NAMES: u32 = 500;
/// What kubectl shall do beside what it is given: complete no names of files.
const NO_FILES: u8 = 4;
/// What kubectl shall do beside what it is given: its default, which is to complete names of files.
const DEFAULT: u8 = 0;

/// Answers a shell, if one asks; nothing to offer is an answer, too.
pub(super) fn answer_a_shell(command: fn() -> Command) -> Option<ExitCode> {
    let folder = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(command).var(VARIABLE);
    match asked.try_complete(std::env::args_os(), folder.as_deref()) {
        Ok(false) => None,
        Ok(true) => Some(ExitCode::SUCCESS),
        Err(_) => Some(ExitCode::FAILURE),
    }
}

/// Answers kubectl: a line for each candidate, with its help behind a tab, then what kubectl shall do beside.
pub(super) fn answer_kubectl(mut command: Command) {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if words.len() == 1 {
        words.push(OsString::new());
    }
    let last = words.len().saturating_sub(1);
    let folder = std::env::current_dir().ok();
    let candidates = complete(&mut command, words, last, folder.as_deref()).unwrap_or_default();
    let directive = if candidates.is_empty() { DEFAULT } else { NO_FILES };
    let mut text = String::new();
    for candidate in candidates.iter().filter(|candidate| !candidate.is_hide_set()) {
        text += &candidate.get_value().to_string_lossy();
        if let Some(help) = candidate.get_help().map(ToString::to_string) {
            let _ = write!(text, "\t{}", help.lines().next().unwrap_or_default());
        }
        text.push('\n');
    }
    let _ = writeln!(text, ":{directive}");
    let _ = print(&text);
}

/// Names of JobRequests.
pub(super) fn requests() -> ArgValueCompleter {
    named(|cluster| {
        Box::pin(async move {
            let list = ListParams::default().limit(MAX_NAMES);
            let found = cluster.requests().list_metadata(&list).await.ok()?;
            Some(found.items.into_iter().filter_map(|object| object.metadata.name).collect())
        })
    })
}

/// Names of namespaces.
pub(super) fn namespaces() -> ArgValueCompleter {
    named(|cluster| {
        Box::pin(async move {
            let api: Api<Namespace> = Api::all(cluster.client().clone());
            let found = api.list_metadata(&ListParams::default().limit(MAX_NAMES)).await.ok()?;
            Some(found.items.into_iter().filter_map(|object| object.metadata.name).collect())
        })
    })
}

/// Names of contexts in the kubeconfig.
pub(super) fn contexts() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let config = match flags().and_then(|flags| flags.connection.kubeconfig) {
            Some(file) => Kubeconfig::read_from(file),
            None => Kubeconfig::read(),
        };
        let contexts = config.map(|config| config.contexts).unwrap_or_default();
        beginning(current, contexts.into_iter().map(|context| context.name).collect())
    })
}

type Names = futures::future::BoxFuture<'static, Option<Vec<String>>>;

/// What `list` finds in the cluster that the flags of the command line name.
fn named(list: fn(Cluster) -> Names) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let Some(flags) = flags() else { return Vec::new() };
        // A thread that is left behind if a name server, or a plugin that authenticates, takes longer.
        let (to, from) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let Ok(runtime) = runtime() else { return };
            let names = runtime.block_on(async { list(Cluster::find_in(&flags).await.ok()?).await });
            let _ = to.send(names);
        });
        beginning(current, from.recv_timeout(PATIENCE).ok().flatten().unwrap_or_default())
    })
}

fn beginning(current: &OsStr, names: Vec<String>) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    names.into_iter().filter(|name| name.starts_with(&*current)).map(CompletionCandidate::new).collect()
}

/// The flags that select cluster and namespace, alone.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Flags {
    #[command(flatten)]
    at: InNamespace,
}

/// The flags that have been typed so far.
fn flags() -> Option<InNamespace> {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    parsed(&words.collect::<Vec<_>>())
}

fn parsed(words: &[String]) -> Option<InNamespace> {
    let command = Flags::command();
    let all: Vec<&Arg> = command.get_arguments().collect();
    let is_meant = |word: &str| {
        all.iter().copied().find(|arg| {
            let long = arg.get_long().is_some_and(|long| word.strip_prefix("--") == Some(long));
            // Its value may follow at once: -nteam.
            let takes_values = arg.get_action().takes_values();
            let is_short = |short| {
                let rest = word.strip_prefix('-').and_then(|word| word.strip_prefix(short));
                rest.is_some_and(|rest| rest.is_empty() || takes_values)
            };
            long || arg.get_short().is_some_and(is_short)
        })
    };
    let mut kept = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
        let Some(arg) = is_meant(name) else { continue };
        kept.push(word.clone());
        let is_attached = word.contains('=') || (!word.starts_with("--") && word.chars().count() > 2);
        if arg.get_action().takes_values() && !is_attached {
            match words.next() {
                Some(value) if !value.is_empty() => kept.push(value.clone()),
                _ => drop(kept.pop()),
            }
        }
    }
    let matches = command.try_get_matches_from(kept).ok()?;
    Flags::from_arg_matches(&matches).ok().map(|flags| flags.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_found_among_other_words() {
        let words = |text: &str| -> Vec<String> { text.split(' ').map(ToOwned::to_owned).collect() };
        for (text, namespace, context) in [
            ("wait -n team-a pi", Some("team-a"), None),
            ("--namespace=team-a logs -f --tail 5 pi", Some("team-a"), None),
            ("-- jobrequest describe --context lab -o json ", None, Some("lab")),
            ("wait -nteam-a p", Some("team-a"), None),
            ("wait pi -n ", None, None),
            ("run --unknown -l a=b --logs", None, None),
        ] {
            let found = parsed(&words(text)).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(found.namespace.as_deref(), namespace, "{text}");
            assert_eq!(found.connection.context.as_deref(), context, "{text}");
        }
    }
}
