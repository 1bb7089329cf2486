//! Following at the edge: watches one JobRequest until [`crate::follow`] says that there is nothing more to wait for, until
//! time is up, or until the user interrupts.
//!
//! An API server that does not answer for a while ends nothing: the watch is made again.

use std::fmt::Write as _;
use std::time::Duration;

use futures::StreamExt;
use kube::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as start_watch};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until, timeout};

use super::cluster::Cluster;
use super::error::CliError;
use super::invocation::program;
use super::output::say;
use crate::follow::{Ending, How, Standing, Target};
use crate::printable::printable_line;
use crate::reconcile::StoredRequest;

/// The API server ends a watch after this long, so that one which is silent for longer is dead.
pub(super) const WATCH: u32 = 60;
/// A watch that is silent for this long is made again.
pub(super) const SILENT: Duration = Duration::from_secs(65);
/// What `--timeout` 0 means: a single poll.
const ONE_POLL: Duration = Duration::from_secs(2);
/// Longer than any run.
const NEVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Follows `target`; `show` is given every new state.
///
/// # Errors
/// The JobRequest cannot be watched at all.
pub(super) async fn follow(
    cluster: &Cluster,
    name: &str,
    mut target: Target,
    limit: Option<Duration>,
    mut show: impl FnMut(&Standing),
) -> Result<Ending, CliError> {
    let limit = limit.map_or(NEVER, |limit| limit.max(ONE_POLL));
    let until = Instant::now() + limit;
    let mut interrupt =
        signal(SignalKind::interrupt()).map_err(|error| CliError::Io("listen for SIGINT", error))?;
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|error| CliError::Io("listen for SIGTERM", error))?;
    let api: Api<StoredRequest> = Api::namespaced(cluster.streams().clone(), &cluster.namespace);
    let watch = || {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}")).timeout(WATCH);
        start_watch(api.clone(), config).default_backoff().boxed()
    };
    let mut events = watch();
    let mut is_seen = false;
    let mut is_interrupted = false;
    let mut last =
        Standing::Open { run: target.run(), state: String::new(), message: "no answer yet".to_owned() };
    loop {
        let event = tokio::select! {
            _ = interrupt.recv() => return Ok(stopped(How::Interrupted, &last)),
            _ = terminate.recv() => return Ok(stopped(How::Terminated, &last)),
            () = sleep_until(until) => return Ok(stopped(How::TimedOut, &last)),
            event = timeout(SILENT, events.next()) => event,
        };
        let standing = match event {
            Ok(Some(Ok(event))) => {
                if is_interrupted {
                    say("the API server answers again\n");
                    is_interrupted = false;
                }
                match event {
                    Event::Init => {
                        is_seen = false;
                        continue;
                    }
                    Event::InitApply(request) => {
                        is_seen = true;
                        target.judge(Some(&request))
                    }
                    Event::Apply(request) => target.judge(Some(&request)),
                    Event::InitDone if is_seen => continue,
                    Event::InitDone => target.judge(None),
                    // Its last state counts, if the run had ended.
                    Event::Delete(request) => match target.judge(Some(&request)) {
                        over @ Standing::Over(_) => over,
                        Standing::Open { .. } => target.judge(None),
                    },
                }
            }
            Ok(Some(Err(error))) => {
                let refusal = lasting_refusal(&error);
                if let Some((code, message)) = refusal {
                    return Err(CliError::Refused {
                        call: format!("watch JobRequest {name}"),
                        message,
                        code,
                    });
                }
                if !is_interrupted {
                    say("the API server does not answer; the command keeps trying\n");
                    is_interrupted = true;
                }
                continue;
            }
            Ok(None) | Err(_) => {
                events = watch();
                continue;
            }
        };
        if standing != last {
            show(&standing);
        }
        match standing {
            Standing::Over(ending) => return Ok(ending),
            open @ Standing::Open { .. } => last = open,
        }
    }
}

/// What no repetition heals.
pub(super) fn lasting_refusal(error: &watcher::Error) -> Option<(u16, String)> {
    let (watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))) = error
    else {
        return None;
    };
    matches!(status.code, 400..=404).then(|| (status.code, status.message.clone()))
}

/// The command ends, and the run continues.
fn stopped(how: How, last: &Standing) -> Ending {
    let (run, state, message) = match last {
        Standing::Open { run, state, message } => (*run, state.clone(), message.clone()),
        Standing::Over(ending) => (ending.run, ending.reason.clone(), ending.message.clone()),
    };
    Ending { how, run, reason: state, message, hint: None }
}

/// For people, in one line, and a second one with the hint: what was followed, and how it ended; `again` is the command that
/// follows it again.
pub(super) fn line(cluster: &Cluster, name: &str, ending: &Ending, again: &str) -> String {
    let message = printable_line(&ending.message);
    let said = match ending.how {
        How::Completed | How::Ended => message.into_owned(),
        How::Rejected => format!("rejected: {}: {message}", printable_line(&ending.reason)),
        How::CannotEnd => format!("cannot end by itself: {message}"),
        How::TimedOut => format!("timed out, the run continues: {message}"),
        How::Interrupted | How::Terminated => format!("interrupted, the run continues: {message}"),
    };
    let mut text = format!("jobrequest/{name}: {said}\n");
    if let Some(hint) = &ending.hint {
        let _ = writeln!(text, "hint: {}", printable_line(hint));
    }
    if matches!(ending.how, How::TimedOut | How::Interrupted | How::Terminated) {
        let run = ending.run.map(|run| format!("@{run}")).unwrap_or_default();
        let _ =
            writeln!(text, "to follow it again: {} {again} -n {} {name}{run}", program(), cluster.namespace);
    }
    text
}

/// The end for machines.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Followed<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) exit_code: u8,
    #[serde(flatten)]
    pub(super) ending: &'a Ending,
}

/// A state in one line, for stderr.
pub(super) fn progress(name: &str, standing: &Standing) -> Option<String> {
    match standing {
        Standing::Open { state, message, .. } => {
            Some(format!("jobrequest/{name}: {}: {}\n", printable_line(state), printable_line(message)))
        }
        Standing::Over(_) => None,
    }
}
