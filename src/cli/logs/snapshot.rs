//! The logs as they are now: all of a run's, merged by the time of each line, with one piece of each in memory.

use std::collections::VecDeque;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::ListParams;
use tokio::sync::{mpsc, watch};

use super::super::cluster::Cluster;
use super::super::error::CliError;
use super::super::output::{count, say};
use super::options::{Options, When};
use super::reader::{Mode, Reader, Signal};
use super::writer::Writer;
use super::{record, selector, unknown};
use crate::api::JobRequestStatus;
use crate::api::condition::ConditionType;
use crate::logs::{Desk, Life, Line, PodView, Prefix, Seen};

/// Pieces of this size are sent to stdout.
const PIECE: usize = 32 * 1024;
/// At most so many containers that wait are named.
const NAMED: usize = 5;

/// Prints the logs of a run.
///
/// # Errors
/// There is no such run or container, or no log of it could be read.
pub(super) async fn print(
    cluster: &Cluster,
    name: &str,
    number: i32,
    status: &JobRequestStatus,
    options: &Options,
) -> Result<(), CliError> {
    let run = status.runs.iter().find(|run| run.number == number);
    let pods = pods(cluster, name, number).await?;
    let mut desk = Desk::new(options.choice.clone(), false, run.and_then(|run| run.job_uid.clone()));
    desk.replace(pods);
    let pods = desk.pods();
    if pods.is_empty() {
        let Some(run) = run else {
            return Err(CliError::Usage(format!("jobrequest/{name} has no record of run {number}")));
        };
        return if run.is_open() {
            let ready = status.condition(ConditionType::Ready).map(|ready| ready.message.as_str());
            let why = ready.filter(|_| status.run == Some(number)).unwrap_or("it has just begun");
            say(&format!("run {number} has no pods yet: {why}; -f waits for them\n"));
            Ok(())
        } else {
            record::print(run)
        };
    }
    if let Some(what) = options.choice.unknown(&pods) {
        return Err(unknown(&what, number));
    }
    let logs = desk.open();
    say_what_is_not_shown(&desk, options, number, logs.is_empty());
    let has_prefix = match options.prefix {
        When::Auto => logs.len() > 1,
        when => when == When::Always,
    };
    // What is not followed has no life of its own: it is read as far as it is.
    let ended = Signal { life: Life { has_ended: true, is_gone: false }, ..Signal::default() };
    let (_keep, signal) = watch::channel(ended);
    let mode = Mode { is_following: false, is_early: true };
    let heads = logs.into_iter().enumerate().map(|(at, log)| {
        let prefix = Prefix::new(&log.source.pod, &log.source.container, at);
        let reader = Reader::new(cluster, options, log, mode, signal.clone(), Seen::default());
        Head { reader, lines: VecDeque::new(), prefix: has_prefix.then_some(prefix) }
    });
    let writer = Writer::start()?;
    let failures = merge(heads.collect(), options, writer.sender()).await?;
    writer.finish().await?;
    failures.map_or(Ok(()), |message| Err(CliError::Usage(message)))
}

/// Pods of a run.
///
/// # Errors
/// The API server refused, or gave no answer.
pub(super) async fn pods(cluster: &Cluster, name: &str, number: i32) -> Result<Vec<PodView>, CliError> {
    let api: Api<Pod> = Api::namespaced(cluster.client().clone(), &cluster.namespace);
    let list = ListParams::default().labels(&selector(name, number));
    let pods = cluster.answer(&format!("list the pods of run {number}"), api.list(&list)).await?;
    Ok(pods.items.iter().map(PodView::new).collect())
}

fn say_what_is_not_shown(desk: &Desk, options: &Options, number: i32, is_empty: bool) {
    let choice = &options.choice;
    if choice.only_failed || choice.is_previous {
        if is_empty {
            let what = if choice.is_previous { "was started again" } else { "has failed" };
            say(&format!("no container of run {number} {what}, of those that are asked for\n"));
        }
    } else {
        let waiting = desk.waiting();
        for (pod, container, why) in waiting.iter().take(NAMED) {
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            say(&format!("{pod}/{container} has not started{why}; -f waits for it\n"));
        }
        if let Some(more) = waiting.len().checked_sub(NAMED).filter(|more| *more > 0) {
            say(&format!("{} more have not started\n", count(more, "container")));
        }
    }
    say_left_out(desk, choice.max_pods);
}

/// How many pods are not read, if any.
pub(super) fn say_left_out(desk: &Desk, max: usize) {
    if let Some(more) = Some(desk.left_out()).filter(|more| *more > 0) {
        say(&format!("{} left out; --max-pods {} reads all\n", count(more, "pod"), more + max));
    }
}

/// A log, and its lines that are read and not written.
struct Head<'a> {
    reader: Reader<'a>,
    lines: VecDeque<Line>,
    prefix: Option<Prefix>,
}

impl Head<'_> {
    /// Reads on, if every line was written; false at the end.
    async fn fill(&mut self) -> Result<bool, CliError> {
        if self.lines.is_empty()
            && let Some(lines) = self.reader.next().await?
        {
            self.lines = lines.into();
        }
        Ok(!self.lines.is_empty())
    }

    /// What has no time comes before what has one.
    fn time(&self) -> Option<Timestamp> {
        self.lines.front().and_then(|line| line.time)
    }
}

/// Writes the lines of all in the order of their times; returns why, if none could be read.
async fn merge(
    mut heads: Vec<Head<'_>>,
    options: &Options,
    to: mpsc::Sender<Vec<u8>>,
) -> Result<Option<String>, CliError> {
    let asked = heads.len();
    let mut failures = Vec::new();
    let mut out = Vec::new();
    let mut filled = join_all(heads.iter_mut().map(Head::fill)).await.into_iter();
    let mut is_left = vec![];
    for is_filled in filled.by_ref() {
        is_left.push(is_filled?);
    }
    loop {
        let mut kept = Vec::new();
        for (head, is_left) in heads.into_iter().zip(is_left.drain(..)) {
            if is_left {
                kept.push(head);
            } else if let Some(failure) = &head.reader.failure {
                failures.push(format!("could not read the log of {}: {failure}", head.reader.name()));
            }
        }
        heads = kept;
        // Until one of them has to read on, nothing is awaited.
        while let Some(first) = heads.iter_mut().min_by_key(|head| head.time()) {
            if let Some(line) = first.lines.pop_front() {
                options.style.write(&line, first.prefix.as_ref(), &mut out);
            }
            if first.lines.is_empty() {
                break;
            }
        }
        if (out.len() >= PIECE || heads.is_empty())
            && !out.is_empty()
            && to.send(std::mem::take(&mut out)).await.is_err()
        {
            return Ok(None);
        }
        if heads.is_empty() {
            break;
        }
        for head in &mut heads {
            is_left.push(head.fill().await?);
        }
    }
    if failures.len() == asked && asked > 0 {
        return Ok(Some(failures.join("; ")));
    }
    for failure in failures {
        say(&format!("{failure}\n"));
    }
    Ok(None)
}
