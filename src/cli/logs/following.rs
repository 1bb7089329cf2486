//! Follows a run and its logs to the end: the run by [`super::super::follow`], and beside it its pods, by a [`Session`].

use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;

use super::super::cluster::Cluster;
use super::super::error::{CliError, chain};
use super::super::follow::{follow, line, progress};
use super::super::outcome::Verdict;
use super::super::output::say;
use super::options::Options;
use super::session::Session;
use super::{record, unknown};
use crate::follow::{Standing, Target};
use crate::logs::Desk;
use crate::reconcile::StoredRequest;

/// What is followed, and how.
pub(super) struct Following<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) name: &'a str,
    pub(super) options: &'a Options,
    pub(super) limit: Option<Duration>,
    pub(super) is_quiet: bool,
    /// The logs are what was asked for: without them, or without a reader, nothing is left to do.
    pub(super) is_of_logs: bool,
}

impl Following<'_> {
    /// Follows until the run has ended and its logs are written.
    ///
    /// # Errors
    /// The run cannot be followed; the logs cannot be read, if they are what was asked for.
    pub(super) async fn to_the_end(&self, target: Target) -> Result<Verdict, CliError> {
        let (runs, run) = watch::channel(target.run());
        let shown = |standing: &Standing| {
            if let Standing::Open { run: Some(run), .. } = standing {
                runs.send_replace(Some(*run));
            }
            if let Some(line) = progress(self.name, standing).filter(|_| !self.is_quiet) {
                say(&line);
            }
        };
        let mut session = Some(Session::start(self)?);
        let mut followed = pin!(follow(self.cluster, self.name, target, self.limit, shown));
        let ending = loop {
            let Some(beside) = &mut session else { break followed.await? };
            let stopped = tokio::select! {
                ending = &mut followed => break ending?,
                stopped = beside.run(run.clone()) => stopped,
            };
            match stopped {
                Ok(()) if self.is_of_logs => return Ok(Verdict::Valid),
                Err(error) if self.is_of_logs => return Err(error),
                Ok(()) => {}
                Err(error) => say(&format!("the logs are not shown: {}\n", chain(&error))),
            }
            session = None;
        };
        let mut how = ending.how;
        if let Some(session) = session {
            how = session.end(&ending).await?;
        }
        if !(self.is_quiet && self.is_of_logs) {
            say(&line(self.cluster, self.name, &ending, "logs -f"));
        }
        Ok(Verdict::Followed(how))
    }
}

impl Following<'_> {
    /// Where nothing was read, says why, or prints what the record kept.
    ///
    /// # Errors
    /// What was asked for does not exist, or something could not be written.
    pub(super) async fn say_what_was_not_read(&self, desk: &Desk, number: i32) -> Result<(), CliError> {
        if desk.has_read() {
            return Ok(());
        }
        let pods = desk.pods();
        if pods.is_empty() {
            let request: Result<StoredRequest, _> = self.cluster.request(self.name).await;
            let runs = request.map(|request| request.known_status().runs).unwrap_or_default();
            return runs.iter().find(|run| run.number == number).map_or(Ok(()), record::print);
        }
        match self.options.choice.unknown(&pods) {
            Some(what) if self.is_of_logs => Err(unknown(&what, number)),
            _ => {
                say(&format!("run {number} has no log that was asked for\n"));
                Ok(())
            }
        }
    }
}
