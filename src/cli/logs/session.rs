//! The logs of one run while it is followed: watches its pods, has a reader for each log that is open, and sends the lines to
//! stdout as they come. When the run has ended, what its containers have written is read to the end.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::LocalBoxFuture;
use futures::stream::{BoxStream, FuturesUnordered};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as start_watch};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::super::error::{CliError, chain};
use super::super::follow::{SILENT, WATCH, lasting_refusal};
use super::super::output::say;
use super::following::Following;
use super::options::When;
use super::reader::{Mode, Reader, Signal};
use super::snapshot::{pods, say_left_out};
use super::writer::Writer;
use super::{selector, unknown};
use crate::follow::{Ending, How};
use crate::logs::{Desk, Log, PodView, Prefix, Seen, Source, Style};
use crate::reconcile::StoredRequest;

/// How long containers that still run after the end of the run are waited for.
const AFTER_THE_END: Duration = Duration::from_secs(2);
/// How long an interrupted command waits for the reader of stdout.
const LAST_WRITE: Duration = Duration::from_millis(200);

/// The logs of one run.
pub(super) struct Session<'a> {
    following: &'a Following<'a>,
    writer: Writer,
    /// Once the run is known.
    desk: Option<Desk>,
    run: Option<i32>,
    events: Option<BoxStream<'static, Result<Event<Pod>, watcher::Error>>>,
    /// Pods of a list that is not complete.
    listed: Vec<PodView>,
    streams: FuturesUnordered<LocalBoxFuture<'a, Closed>>,
    signals: BTreeMap<Source, watch::Sender<Signal>>,
    /// What was read of containers that may be started again.
    seen: BTreeMap<Source, Seen>,
    numbers: BTreeMap<Source, usize>,
    has_prefixes: Rc<Cell<bool>>,
    /// More than one pod is to run.
    is_of_several: bool,
    is_over: bool,
    /// Logs of containers that still run are not waited for any more.
    is_cut: bool,
}

/// A log that was read to its end.
struct Closed {
    source: Source,
    seen: Seen,
    outcome: Result<Option<String>, CliError>,
}

impl<'a> Session<'a> {
    /// One that does nothing yet.
    ///
    /// # Errors
    /// The operating system allows no thread.
    pub(super) fn start(following: &'a Following<'a>) -> Result<Self, CliError> {
        Ok(Self {
            following,
            writer: Writer::start()?,
            desk: None,
            run: None,
            events: None,
            listed: Vec::new(),
            streams: FuturesUnordered::new(),
            signals: BTreeMap::new(),
            seen: BTreeMap::new(),
            numbers: BTreeMap::new(),
            has_prefixes: Rc::default(),
            is_of_several: false,
            is_over: false,
            is_cut: false,
        })
    }

    /// Reads logs; returns when nobody reads stdout any more. It may be dropped at any time, and called again.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) async fn run(&mut self, mut run: watch::Receiver<Option<i32>>) -> Result<(), CliError> {
        if self.run.is_none() {
            let number = match run.wait_for(Option::is_some).await {
                Ok(number) => *number,
                Err(_) => return std::future::pending().await,
            };
            if let Some(number) = number {
                self.begin(number).await?;
            }
        }
        while !self.step().await? {}
        Ok(())
    }

    /// Begins to watch the pods of a run.
    async fn begin(&mut self, number: i32) -> Result<(), CliError> {
        let Following { cluster, name, options, .. } = self.following;
        let request: StoredRequest = cluster.request(name).await?;
        let status = request.known_status();
        let job = status.runs.iter().find(|run| run.number == number).and_then(|run| run.job_uid.clone());
        if let Some(settings) = &status.settings {
            let is_several = |number: Option<i32>| number.is_some_and(|number| number > 1);
            self.is_of_several = is_several(settings.parallelism) || is_several(settings.completions);
        }
        self.desk = Some(Desk::new(options.choice.clone(), true, job));
        self.run = Some(number);
        self.watch();
        Ok(())
    }

    fn watch(&mut self) {
        let Following { cluster, name, .. } = self.following;
        let Some(number) = self.run else { return };
        let api: Api<Pod> = Api::namespaced(cluster.streams().clone(), &cluster.namespace);
        let config = watcher::Config::default().labels(&selector(name, number)).timeout(WATCH);
        self.events = Some(start_watch(api, config).default_backoff().boxed());
    }

    /// Waits until something happens, and takes it in; true: nobody reads stdout any more.
    async fn step(&mut self) -> Result<bool, CliError> {
        self.open();
        let events = async {
            match &mut self.events {
                Some(events) => timeout(SILENT, events.next()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = events => match event {
                Ok(Some(event)) => self.observe(event)?,
                Ok(None) | Err(_) => self.watch(),
            },
            Some(closed) = self.streams.next() => self.close(closed)?,
            () = self.writer.closed() => return Ok(true),
        }
        Ok(false)
    }

    fn observe(&mut self, event: Result<Event<Pod>, watcher::Error>) -> Result<(), CliError> {
        let Some(desk) = &mut self.desk else { return Ok(()) };
        match event {
            Ok(Event::Init) => self.listed.clear(),
            Ok(Event::InitApply(pod)) => self.listed.push(PodView::new(&pod)),
            Ok(Event::InitDone) => desk.replace(self.listed.drain(..)),
            Ok(Event::Apply(pod)) => desk.apply(PodView::new(&pod)),
            Ok(Event::Delete(pod)) => desk.remove(&pod.metadata.uid.unwrap_or_default()),
            // The run is followed as well, and that says when the API server does not answer.
            Err(error) => {
                return lasting_refusal(&error).map_or(Ok(()), |(code, message)| {
                    Err(CliError::Refused { call: "watch the pods of the run".to_owned(), message, code })
                });
            }
        }
        self.inform();
        self.known()
    }

    /// A container that no pod has is a mistake, also when it is followed.
    fn known(&self) -> Result<(), CliError> {
        let (Some(desk), Some(number)) = (&self.desk, self.run) else { return Ok(()) };
        let pods = desk.pods();
        if pods.is_empty() {
            return Ok(());
        }
        let choice = &self.following.options.choice;
        choice.unknown_container(&pods).map_or(Ok(()), |what| Err(unknown(&what, number)))
    }

    /// Lets the readers know what has become of their containers.
    fn inform(&mut self) {
        let Some(desk) = &self.desk else { return };
        for (source, sender) in &self.signals {
            let (life, is_over) = (desk.life(source), self.is_over);
            sender.send_if_modified(|signal| {
                let before = *signal;
                (signal.life, signal.is_over) = (life, is_over);
                *signal != before
            });
        }
        self.seen.retain(|source, _| desk.may_restart(source));
    }

    /// Opens what is to be read now.
    fn open(&mut self) {
        let Some(desk) = &mut self.desk else { return };
        let Following { cluster, options, .. } = *self.following;
        for log in desk.open() {
            // What a container of the same name has written before was read from where the flags said.
            let is_first = !self.numbers.contains_key(&log.source);
            let number = self.numbers.len();
            let number = *self.numbers.entry(log.source.clone()).or_insert(number);
            let prefix = Prefix::new(&log.source.pod, &log.source.container, number);
            let life = desk.life(&log.source);
            let (sender, signal) = watch::channel(Signal {
                life,
                is_over: self.is_over,
                is_cut: self.is_cut && !life.has_ended,
            });
            self.signals.insert(log.source.clone(), sender);
            let seen = self.seen.remove(&log.source).unwrap_or_default();
            let mode = Mode { is_following: true, is_early: is_first && desk.is_of_early_pod(&log) };
            let reader = Reader::new(cluster, options, log, mode, signal, seen);
            let has_prefixes = Rc::clone(&self.has_prefixes);
            let to = self.writer.sender();
            self.streams.push(Box::pin(read(reader, &options.style, prefix, has_prefixes, to)));
        }
        let lost = desk.take_lost();
        if lost > 0 {
            say(&format!("a container was started again so quickly that {lost} of its logs are gone\n"));
        }
        self.has_prefixes.set(match options.prefix {
            When::Auto => self.is_of_several || desk.is_of_several(),
            when => when == When::Always,
        });
    }

    fn close(&mut self, closed: Closed) -> Result<(), CliError> {
        let Closed { source, seen, outcome } = closed;
        self.signals.remove(&source);
        if let Some(desk) = &mut self.desk {
            desk.close(&source);
            if desk.may_restart(&source) {
                self.seen.insert(source.clone(), seen);
            }
        }
        if let Some(failure) = outcome? {
            say(&format!("could not read the log of {}/{}: {failure}\n", source.pod, source.container));
        }
        Ok(())
    }

    /// The run is not followed any more: reads what it has left, if it has ended, and waits until that is written.
    ///
    /// # Errors
    /// The logs cannot be read, if they are what was asked for, or not be written.
    pub(super) async fn end(mut self, ending: &Ending) -> Result<How, CliError> {
        let has_ended = matches!(ending.how, How::Completed | How::Ended | How::CannotEnd);
        let Some(number) = ending.run.filter(|_| has_ended) else {
            drop(self.streams);
            let _ = timeout(LAST_WRITE, self.writer.finish()).await;
            return Ok(ending.how);
        };
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        let last = async {
            self.drain(number).await?;
            let Self { following, desk, streams, writer, .. } = self;
            drop(streams);
            writer.finish().await?;
            let Some(desk) = desk else { return Ok(()) };
            say_left_out(&desk, following.options.choice.max_pods);
            following.say_what_was_not_read(&desk, number).await
        };
        tokio::select! {
            outcome = last => outcome.map(|()| ending.how),
            _ = interrupt.recv() => Ok(How::Interrupted),
            _ = terminate.recv() => Ok(How::Terminated),
        }
    }

    /// Reads to their ends the logs of containers that have ended.
    async fn drain(&mut self, number: i32) -> Result<(), CliError> {
        let Following { cluster, name, is_of_logs, .. } = *self.following;
        self.is_over = true;
        if self.run.is_none()
            && let Err(error) = self.begin(number).await
        {
            // It was deleted together with everything that it left.
            say(&format!("the logs are not shown: {}\n", chain(&error)));
            return Ok(());
        }
        // The watch of the pods may be behind that of the run.
        match pods(cluster, name, number).await {
            Ok(pods) => {
                self.events = None;
                if let Some(desk) = &mut self.desk {
                    desk.replace(pods);
                }
            }
            Err(error @ CliError::Refused { code: 403, .. }) if is_of_logs => return Err(error),
            Err(error) => say(&format!("the last logs may be incomplete: {}\n", chain(&error))),
        }
        self.inform();
        if is_of_logs {
            self.known()?;
        }
        let cut = Instant::now() + AFTER_THE_END;
        let mut is_cut = false;
        loop {
            self.open();
            if self.streams.is_empty() {
                return Ok(());
            }
            tokio::select! {
                step = self.step() => {
                    if step? {
                        return Ok(());
                    }
                }
                () = sleep_until(cut), if !is_cut => {
                    is_cut = true;
                    self.cut();
                }
            }
        }
    }

    /// Ends the logs of containers that still run.
    fn cut(&mut self) {
        self.is_cut = true;
        let mut running = Vec::new();
        for (source, sender) in &self.signals {
            let is_running = !sender.borrow().life.has_ended;
            if is_running {
                running.push(format!("{}/{}", source.pod, source.container));
                sender.send_modify(|signal| signal.is_cut = true);
            }
        }
        if !running.is_empty() {
            say(&format!("the run has ended; not waited for, as it still runs: {}\n", running.join(", ")));
        }
    }
}

/// Reads a log to its end, and sends its lines to stdout.
async fn read(
    mut reader: Reader<'_>,
    style: &Style,
    prefix: Prefix,
    has_prefixes: Rc<Cell<bool>>,
    to: mpsc::Sender<Vec<u8>>,
) -> Closed {
    let outcome = loop {
        let lines = match reader.next().await {
            Ok(Some(lines)) => lines,
            Ok(None) => break Ok(reader.failure.take()),
            Err(error) => break Err(error),
        };
        let mut out = Vec::new();
        for line in &lines {
            style.write(line, Some(&prefix).filter(|_| has_prefixes.get()), &mut out);
        }
        // Nobody reads stdout: the session ends.
        if !out.is_empty() && to.send(out).await.is_err() {
            break Ok(None);
        }
    };
    let Log { source, .. } = reader.log;
    Closed { source, seen: reader.seen, outcome }
}

fn listen(kind: SignalKind) -> Result<tokio::signal::unix::Signal, CliError> {
    signal(kind).map_err(|error| CliError::Io("listen for signals", error))
}
