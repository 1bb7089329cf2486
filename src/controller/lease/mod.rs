//! Leader election: one of several replicas holds a Lease and leads, the others are on standby with warm caches.
//!
//! [`Candidate`] takes a client of its own and the [`Election`]; it sets the term which a [`Leadership`] reads. What to
//! do is decided in [`rules`] and [`term`]; this file performs it.

mod leadership;
mod rules;
mod term;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Instant;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::jiff::Timestamp;
use kube::api::ObjectMeta;
use kube::{Api, Client};
use tokio::sync::watch;
use tracing::{debug, info, warn};

pub(super) use leadership::Leadership;
pub use rules::Times;
pub(super) use term::Term;

use super::calls::post_params;
use super::error::chain;
use rules::{Move, Seen, decide, released};

/// Which Lease the replicas share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How leadership is kept.
    pub times: Times,
}

/// What a check of the Lease ended with.
enum Outcome {
    /// This process holds it.
    Held,
    /// This process does not hold it; who does, if known.
    Elsewhere(Option<String>),
}

/// Stands for leadership.
pub(super) struct Candidate {
    leases: Api<Lease>,
    election: Election,
    identity: String,
    started: Instant,
    term: watch::Sender<Option<Term>>,
    seen: Option<Seen>,
    /// `seen` is the answer of the own last write, so that a renewal needs no check before it.
    is_fresh: bool,
    /// What was logged last, so that it is logged once.
    said: Option<String>,
}

impl Candidate {
    /// `client` must not repeat calls by itself: a late renewal is worse than none.
    pub(super) fn new(client: Client, election: Election, term: watch::Sender<Option<Term>>) -> Self {
        Self {
            leases: Api::namespaced(client, &election.namespace),
            election,
            identity: identity(),
            started: Instant::now(),
            term,
            seen: None,
            is_fresh: false,
            said: None,
        }
    }

    /// Stands for leadership until `stop` is done, then gives the Lease back.
    pub(super) async fn campaign(mut self, stop: impl Future<Output = ()>) {
        info!(lease = %self.lease(), identity = self.identity, "standing for leadership");
        let mut stop = std::pin::pin!(stop);
        loop {
            self.round().await;
            tokio::select! {
                () = tokio::time::sleep(self.election.times.retry_period) => {}
                () = &mut stop => break,
            }
        }
        self.release().await;
    }

    async fn round(&mut self) {
        let sent = Instant::now();
        let deadline = self.election.times.call_deadline();
        let outcome = match tokio::time::timeout(deadline, self.check_and_write()).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => return self.failed(&chain(&error)),
            Err(_) => return self.failed(&format!("no answer within {} s", deadline.as_secs_f32())),
        };
        match outcome {
            Outcome::Held => self.leads_since(sent),
            Outcome::Elsewhere(holder) => self.is_on_standby(holder),
        }
    }

    async fn check_and_write(&mut self) -> Result<Outcome, kube::Error> {
        let knows = self.is_fresh && self.seen.as_ref().is_some_and(|seen| seen.is_held_by(&self.identity));
        // Whatever happens to the next calls: the one after them checks first.
        self.is_fresh = false;
        if !knows {
            let found = self.leases.get_opt(&self.election.name).await?;
            self.seen = found.map(|lease| Seen::look(self.seen.as_ref(), lease, self.started.elapsed()));
        }
        let now = self.started.elapsed();
        let times = &self.election.times;
        let written = match decide(&self.identity, times, self.seen.as_ref(), now, Timestamp::now()) {
            Move::Wait => None,
            Move::Create(spec) => self
                .leases
                .create(&post_params(), &self.with(spec, None))
                .await
                .map(Some)
                .or_else(lost_race)?,
            Move::Renew(spec) | Move::Take(spec) => self.replace(spec).await?,
        };
        let Some(lease) = written else {
            return Ok(Outcome::Elsewhere(
                self.seen
                    .as_ref()
                    .and_then(Seen::holder)
                    .filter(|holder| *holder != self.identity)
                    .map(str::to_owned),
            ));
        };
        self.seen = Some(Seen::look(self.seen.as_ref(), lease, self.started.elapsed()));
        self.is_fresh = true;
        Ok(Outcome::Held)
    }

    /// Replaces what was seen, if it is still that.
    async fn replace(&self, spec: LeaseSpec) -> Result<Option<Lease>, kube::Error> {
        let version = self.seen.as_ref().and_then(|seen| seen.resource_version.clone());
        let lease = self.with(spec, version);
        self.leases
            .replace(&self.election.name, &post_params(), &lease)
            .await
            .map(Some)
            .or_else(lost_race_or_gone)
    }

    fn with(&self, spec: LeaseSpec, resource_version: Option<String>) -> Lease {
        let name = Some(self.election.name.clone());
        Lease { metadata: ObjectMeta { name, resource_version, ..ObjectMeta::default() }, spec: Some(spec) }
    }

    /// The Lease was written, by a call that was sent at `sent`, and the answer is taken in now.
    fn leads_since(&mut self, sent: Instant) {
        let renew_deadline = self.election.times.renew_deadline;
        let mut terms = (None, None);
        self.term.send_modify(|term| {
            // Under the lock: nobody finds the term over between the decision and the new term.
            let renewed = Term::renewed(*term, sent, Instant::now(), renew_deadline);
            terms = (std::mem::replace(term, renewed), renewed);
        });
        let lease = self.lease();
        match terms {
            (Some(last), Some(term)) if last.since == term.since => {}
            (Some(_), Some(_)) => {
                warn!(lease, identity = self.identity, "the lease was renewed too late: a new term begins");
            }
            (None, Some(_)) => info!(lease, identity = self.identity, "leading"),
            (_, None) => return self.failed("the answer took longer than the renew deadline"),
        }
        self.said = None;
    }

    fn is_on_standby(&mut self, holder: Option<String>) {
        // A lost race leaves the holder unknown: the next check shows whether the term continues.
        if holder.is_some() || !self.is_leading() {
            self.ends();
        }
        let holder = holder.unwrap_or_default();
        if !holder.is_empty() && self.said.as_ref() != Some(&holder) {
            info!(lease = %self.lease(), holder, "on standby");
            self.said = Some(holder);
        }
    }

    fn failed(&mut self, why: &str) {
        if self.said.as_deref() != Some(why) {
            warn!(lease = %self.lease(), error = why, "could not check or renew the lease; retrying");
            self.said = Some(why.to_owned());
        }
        if !self.is_leading() {
            self.ends();
        }
    }

    fn is_leading(&self) -> bool {
        self.term.borrow().is_some_and(|term| term.lasts(Instant::now()))
    }

    fn ends(&self) {
        if self.term.send_replace(None).is_some() {
            warn!(lease = %self.lease(), identity = self.identity, "lost the lease: no longer leading");
        }
    }

    /// Gives the Lease back, so that another replica leads within its retry period.
    async fn release(mut self) {
        if self.term.send_replace(None).is_none() {
            return;
        }
        let deadline = self.election.times.call_deadline();
        let attempt = async {
            if !self.is_fresh {
                let found = self.leases.get_opt(&self.election.name).await?;
                self.seen = found.map(|lease| Seen::look(None, lease, self.started.elapsed()));
            }
            let Some(seen) = self.seen.as_ref().filter(|seen| seen.is_held_by(&self.identity)) else {
                return Ok(None);
            };
            self.replace(released(seen, Timestamp::now())).await
        };
        match tokio::time::timeout(deadline, attempt).await {
            Ok(Ok(Some(_))) => info!(lease = %self.lease(), "gave the lease back"),
            Ok(Ok(None)) => debug!(lease = %self.lease(), "somebody else holds the lease"),
            Ok(Err(error)) => {
                warn!(lease = %self.lease(), error = %chain(&error), "could not give the lease back");
            }
            Err(_) => warn!(lease = %self.lease(), "could not give the lease back: no answer"),
        }
    }

    fn lease(&self) -> String {
        format!("{}/{}", self.election.namespace, self.election.name)
    }
}

/// Somebody wrote in between: check again.
fn lost_race(error: kube::Error) -> Result<Option<Lease>, kube::Error> {
    match error {
        kube::Error::Api(status) if status.code == 409 => Ok(None),
        other => Err(other),
    }
}

/// The same, or it is gone. A create that gets 404 has no namespace, which will not fix itself.
fn lost_race_or_gone(error: kube::Error) -> Result<Option<Lease>, kube::Error> {
    match error {
        kube::Error::Api(status) if status.code == 404 => Ok(None),
        other => lost_race(other),
    }
}

/// The host's name (a pod's own), and something that no other process has: a container that is started again in its pod
/// is another one.
fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_default();
    let host = host.trim();
    let mut random = RandomState::new().build_hasher();
    random.write_u32(std::process::id());
    format!("{}_{:016x}", if host.is_empty() { "jobrequest" } else { host }, random.finish())
}
