//! Reads the log of one instance of a container to its end: opens it, again where a stream ends early, and returns the lines
//! that were not read yet, in order.

use std::pin::Pin;
use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use tokio::sync::watch;
use tokio::time::sleep;

use super::super::cluster::Cluster;
use super::super::error::{CliError, chain};
use super::super::output::say;
use super::options::Options;
use crate::logs::{Life, Line, Log, Seen, Splitter};

/// A stream whose container has ended, or whose pod is gone, and that is silent for this long is given up for a last read.
const SILENT_AT_THE_END: Duration = Duration::from_secs(1);
/// A stream that is silent for this long is made again: its connection may be dead.
const SILENT: Duration = Duration::from_secs(300);
/// A read that does not follow gets its next bytes within this time.
const ANSWER: Duration = Duration::from_secs(30);
/// Pauses before a log is opened again.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];
/// After so many streams in a row without a new line, the user is informed.
const EMPTY: usize = 3;

/// What the reader is to know of the container while it reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signal {
    /// What has become of it.
    pub(super) life: Life,
    /// The run is over: nothing is waited for long.
    pub(super) is_over: bool,
    /// Nothing more is read.
    pub(super) is_cut: bool,
}

/// How a log is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode {
    /// To the end of the container, not only as far as there is a log now.
    pub(super) is_following: bool,
    /// Its pod was there when reading began, so that the flags on where to begin apply.
    pub(super) is_early: bool,
}

/// A log that is read.
pub(super) struct Reader<'a> {
    cluster: &'a Cluster,
    options: &'a Options,
    pub(super) log: Log,
    mode: Mode,
    signal: watch::Receiver<Signal>,
    pub(super) seen: Seen,
    splitter: Splitter,
    stream: Option<Pin<Box<dyn AsyncBufRead + Send>>>,
    /// The stream that is open ends where the log ends.
    is_last: bool,
    has_lines: bool,
    /// Streams and attempts in a row without a new line.
    fruitless: usize,
    /// Bytes that may still be shown.
    left: u64,
    is_done: bool,
    /// Why it could not be read to its end.
    pub(super) failure: Option<String>,
}

/// What came of a stream.
enum Piece {
    Bytes(Vec<u8>),
    End,
    Broken,
    /// Nothing, for longer than is waited.
    Silence,
}

impl<'a> Reader<'a> {
    /// One that opens nothing yet. `seen` is what was read of earlier instances.
    pub(super) fn new(
        cluster: &'a Cluster,
        options: &'a Options,
        log: Log,
        mode: Mode,
        signal: watch::Receiver<Signal>,
        seen: Seen,
    ) -> Self {
        Self {
            cluster,
            options,
            log,
            mode,
            signal,
            seen,
            splitter: Splitter::new(options.max_line),
            stream: None,
            is_last: false,
            has_lines: false,
            fruitless: 0,
            left: options.limit_bytes.unwrap_or(u64::MAX),
            is_done: false,
            failure: None,
        }
    }

    /// The next lines; `None` at the end.
    ///
    /// # Errors
    /// The API server does not allow it.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Line>>, CliError> {
        while !self.is_done {
            let Some(mut stream) = self.stream.take() else {
                self.open().await?;
                continue;
            };
            let lines = match self.piece(&mut stream).await {
                Piece::Bytes(bytes) => {
                    self.stream = Some(stream);
                    self.take(&bytes)
                }
                Piece::End if self.is_last => {
                    self.is_done = true;
                    self.rest()
                }
                _ if self.signal().is_cut => {
                    self.is_done = true;
                    self.rest()
                }
                // What has no end comes again.
                Piece::End | Piece::Broken => {
                    self.splitter.forget();
                    self.pause_before_another().await;
                    Vec::new()
                }
                Piece::Silence => {
                    self.splitter.forget();
                    if self.signal().life.is_gone {
                        self.is_done = true;
                    } else if self.is_last {
                        self.pause_before_another().await;
                    }
                    Vec::new()
                }
            };
            if !lines.is_empty() {
                (self.has_lines, self.fruitless) = (true, 0);
                return Ok(Some(lines));
            }
        }
        Ok(None)
    }

    fn signal(&self) -> Signal {
        *self.signal.borrow()
    }

    /// `pod/container`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.log.source.pod, self.log.source.container)
    }

    /// Opens a stream, or waits until it may be tried again.
    async fn open(&mut self) -> Result<(), CliError> {
        let signal = self.signal();
        if signal.is_cut || (signal.life.is_gone && self.mode.is_following) {
            self.is_done = true;
            return Ok(());
        }
        self.is_last = !self.mode.is_following || signal.life.has_ended || self.log.has_ended;
        let parameters = self.parameters();
        self.seen.again();
        let pods: Api<Pod> = Api::namespaced(self.cluster.streams().clone(), &self.cluster.namespace);
        // The answer to a log that is followed begins with its first line.
        let opened = {
            let opening = pods.log_stream(&self.log.source.pod, &parameters);
            let mut patience = self.signal.clone();
            tokio::select! {
                opened = opening => Some(opened),
                () = silence(&mut patience, self.is_last) => None,
            }
        };
        match opened {
            Some(Ok(stream)) => self.stream = Some(Box::pin(stream)),
            Some(Err(kube::Error::Api(status))) if status.code == 404 => self.is_done = true,
            Some(Err(kube::Error::Api(status))) if status.code == 403 => {
                return Err(CliError::Refused {
                    call: format!("read the log of {}", self.name()),
                    message: status.message.clone(),
                    code: 403,
                });
            }
            Some(Err(kube::Error::Api(status))) => {
                let patience = if status.code < 500 { EMPTY } else { PAUSES.len() };
                self.refused(status.message.clone(), patience).await;
            }
            Some(Err(error)) => {
                // Following the run outlasts an API server that is away; so do its logs.
                let patience =
                    if self.mode.is_following && !signal.is_over { usize::MAX } else { PAUSES.len() };
                self.refused(chain(&error), patience).await;
            }
            None if self.is_last && !self.signal().is_cut => {
                let message = format!("no answer within {} s", ANSWER.as_secs());
                self.refused(message, EMPTY).await;
            }
            None => {}
        }
        Ok(())
    }

    fn parameters(&self) -> LogParams {
        let mut parameters = LogParams {
            container: Some(self.log.source.container.clone()),
            follow: !self.is_last,
            previous: self.log.is_previous,
            timestamps: true,
            ..LogParams::default()
        };
        if self.has_lines {
            parameters.since_time = self.seen.since();
        } else if self.mode.is_early {
            self.options.narrow(&mut parameters);
        }
        parameters
    }

    /// It could not be opened: after some attempts that is its end, if nothing else is to be expected.
    async fn refused(&mut self, message: String, patience: usize) {
        let is_final = self.is_last && (!self.mode.is_following || self.fruitless + 1 >= patience);
        if is_final {
            self.is_done = true;
            self.failure = Some(message);
            return;
        }
        if self.fruitless == EMPTY {
            say(&format!("the log of {} cannot be read yet: {message}\n", self.name()));
        }
        self.pause().await;
    }

    /// A stream has ended before the log has, as far as is known.
    async fn pause_before_another(&mut self) {
        if self.is_last && self.fruitless + 1 >= PAUSES.len() {
            self.is_done = true;
            self.failure = Some("the connection was lost several times".to_owned());
            return;
        }
        self.pause().await;
        if self.fruitless == EMPTY && !self.signal().life.has_ended {
            say(&format!(
                "the log of {} ended {EMPTY} times without a new line, although its container runs; the command keeps trying\n",
                self.name()
            ));
        }
    }

    /// Waits before it is opened again, but not longer than until the container ends.
    async fn pause(&mut self) {
        let pause = PAUSES.get(self.fruitless).or(PAUSES.last()).copied().unwrap_or_default();
        self.fruitless += 1;
        let before = self.signal();
        let mut signal = self.signal.clone();
        tokio::select! {
            () = sleep(pause) => {}
            _ = signal.wait_for(|now| *now != before) => {}
        }
    }

    async fn piece(&self, stream: &mut Pin<Box<dyn AsyncBufRead + Send>>) -> Piece {
        let mut patience = self.signal.clone();
        let read = tokio::select! {
            read = stream.fill_buf() => read.map(<[u8]>::to_vec),
            () = silence(&mut patience, self.is_last) => return Piece::Silence,
        };
        match read {
            Ok(bytes) if bytes.is_empty() => Piece::End,
            Ok(bytes) => {
                stream.consume_unpin(bytes.len());
                Piece::Bytes(bytes)
            }
            Err(_) => Piece::Broken,
        }
    }

    /// Lines of these bytes that are new and asked for.
    fn take(&mut self, bytes: &[u8]) -> Vec<Line> {
        let Self { splitter, seen, .. } = self;
        let mut lines = Vec::new();
        splitter.push(bytes, |line| {
            if seen.is_new(&line) {
                lines.push(line);
            }
        });
        self.within_limits(lines)
    }

    /// The line without an end.
    fn rest(&mut self) -> Vec<Line> {
        let rest = self.splitter.finish().filter(|line| self.seen.is_new(line));
        self.within_limits(rest.into_iter().collect())
    }

    fn within_limits(&mut self, mut lines: Vec<Line>) -> Vec<Line> {
        if let Some(since) = self.options.since_time.filter(|_| self.mode.is_early) {
            lines.retain(|line| line.time.is_none_or(|time| time >= since));
        }
        let left = &mut self.left;
        lines.retain_mut(|line| {
            let room = usize::try_from(*left).unwrap_or(usize::MAX);
            if room == 0 {
                return false;
            }
            if line.text.len() > room {
                line.text.truncate(room);
                line.more = 0;
            }
            *left = left.saturating_sub(line.text.len() as u64 + 1);
            true
        });
        self.is_done |= *left == 0;
        lines
    }
}

/// Returns when a stream has been silent for too long: at once when nothing more is read.
async fn silence(signal: &mut watch::Receiver<Signal>, is_last: bool) {
    let cut = async |signal: &mut watch::Receiver<Signal>| {
        if signal.wait_for(|now| now.is_cut).await.is_err() {
            // Nobody will say so.
            std::future::pending::<()>().await;
        }
    };
    let mut end = signal.clone();
    let ended = async {
        let is_at_the_end = |now: &Signal| (now.life.has_ended && !is_last) || now.life.is_gone;
        if end.wait_for(is_at_the_end).await.is_err() {
            std::future::pending::<()>().await;
        }
        sleep(SILENT_AT_THE_END).await;
    };
    tokio::select! {
        () = cut(signal) => {}
        () = ended => {}
        () = sleep(if is_last { ANSWER } else { SILENT }) => {}
    }
}
