//! A relay which cuts an operator off: takes at which of the operator's writes it is to do so, counts the writes, says
//! when that one came.
//!
//! Once it has cut, it answers nothing any more, as to a process that is dead already: until that has been killed,
//! nothing else of it reaches the API server. Besides, a test may hold some calls up, as a slow network does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use http::{Method, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use tokio::sync::{oneshot, watch};

use super::Cluster;
use super::relay::{Relay, Sent, Upstream, broken};

/// What becomes of the write at which the operator is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The API server has answered it, and nobody hears the answer.
    Answered,
    /// The same, of that write or the first one after it which the API server does not refuse.
    Accepted,
    /// It is on its way, and arrives when its sender is long dead.
    Underway,
    /// It was never sent.
    Unsent,
}

/// What becomes of calls that a test holds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holdup {
    /// They arrive and are answered once they are released.
    Delayed,
    /// They never arrive, and are never answered.
    Lost,
}

/// Calls that are held up: how, and how many have come so far.
type Holdups = BTreeMap<&'static str, (Holdup, usize)>;

/// A write that is on its way.
pub(crate) struct Underway(Sent);

impl Underway {
    /// It creates a Job.
    pub(crate) fn is_create(&self) -> bool {
        self.0.method() == Method::POST && self.0.uri().path().ends_with("/jobs")
    }
}

/// See the module. It ends when dropped.
pub(crate) struct Proxy {
    relay: Relay,
    upstream: Upstream,
    shared: Arc<Shared>,
    cut: oneshot::Receiver<Option<Underway>>,
}

struct Shared {
    /// The number of the write, from 1, and how it ends.
    plan: Option<(usize, Cut)>,
    /// What was written so far, in words.
    writes: watch::Sender<Vec<String>>,
    /// By a part of `VERB path`.
    holdups: watch::Sender<Holdups>,
    is_cut: AtomicBool,
    is_over: watch::Sender<bool>,
    tell: Mutex<Option<oneshot::Sender<Option<Underway>>>>,
}

impl Proxy {
    /// Listens on loopback. Writes of leases are passed on and not counted.
    pub(crate) async fn start(cx: &Cluster, plan: Option<(usize, Cut)>) -> Self {
        let (tell, cut) = oneshot::channel();
        let shared = Arc::new(Shared {
            plan,
            writes: watch::Sender::new(Vec::new()),
            holdups: watch::Sender::default(),
            is_cut: AtomicBool::new(false),
            is_over: watch::Sender::new(false),
            tell: Mutex::new(Some(tell)),
        });
        let upstream = Upstream::of(cx).await;
        let (passing, sending) = (Arc::clone(&shared), upstream.clone());
        let relay = Relay::start(cx, move |call| {
            let (shared, upstream) = (Arc::clone(&passing), sending.clone());
            async move { Some(pass(&shared, &upstream, call).await) }
        });
        Self { relay: relay.await, upstream, shared, cut }
    }

    /// The kubeconfig of who is to go through it.
    pub(crate) fn kubeconfig(&self) -> &str {
        self.relay.kubeconfig()
    }

    /// Returns when the operator has been cut off and is to be killed; with the write that is still on its way.
    pub(crate) async fn has_cut(&mut self) -> Option<Underway> {
        (&mut self.cut).await.expect("the proxy lives")
    }

    /// What was written so far: verb and path of each.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.shared.writes.borrow().clone()
    }

    /// Returns when something was written.
    pub(crate) async fn has_written(&self) {
        let _ = self.shared.writes.subscribe().wait_for(|writes| !writes.is_empty()).await;
    }

    /// Holds up, from now on, each call whose `VERB path` has this part.
    pub(crate) fn hold_up(&self, what: &'static str, how: Holdup) {
        self.shared.holdups.send_modify(|holdups| {
            holdups.insert(what, (how, 0));
        });
    }

    /// How many of them have come.
    pub(crate) fn held_up(&self, what: &str) -> usize {
        self.shared.holdups.borrow().get(what).map_or(0, |(_, count)| *count)
    }

    /// Lets these calls pass, from now on and those which wait.
    pub(crate) fn release(&self, what: &str) {
        self.shared.holdups.send_modify(|holdups| {
            holdups.remove(what);
        });
    }

    /// Lets a write arrive; returns the status code of the answer which nobody hears.
    pub(crate) async fn deliver(&self, Underway(request): Underway) -> u16 {
        self.upstream.send(request).await.status().as_u16()
    }
}

impl Shared {
    /// Returns when nothing holds up this call; an error: it is lost.
    async fn passes(&self, what: &str) -> Result<(), ()> {
        let mut holdups = self.holdups.subscribe();
        let mut found = None;
        self.holdups.send_if_modified(|holdups| {
            let holdup = holdups.iter_mut().find(|(part, _)| what.contains(**part));
            found = holdup.map(|(part, (how, count))| {
                *count += 1;
                (*part, *how)
            });
            false
        });
        match found {
            None => Ok(()),
            Some((_, Holdup::Lost)) => Err(()),
            Some((part, Holdup::Delayed)) => {
                let _ = holdups.wait_for(|holdups| !holdups.contains_key(part)).await;
                Ok(())
            }
        }
    }

    /// No answer as long as somebody could hear it.
    async fn ends(&self) -> Response<Body> {
        let _ = self.is_over.subscribe().wait_for(|is_over| *is_over).await;
        broken()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.send_replace(true);
    }
}

async fn pass(shared: &Shared, upstream: &Upstream, request: Sent) -> Response<Body> {
    let is_write = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(request.method())
        && !request.uri().path().contains("/leases");
    let what = format!("{} {}", request.method(), request.uri().path());
    if shared.passes(&what).await.is_err() {
        return shared.ends().await;
    }
    if shared.is_cut.load(Ordering::SeqCst) {
        return shared.ends().await;
    }
    let mut cut = None;
    if is_write {
        let mut count = 0;
        shared.writes.send_modify(|writes| {
            writes.push(what);
            count = writes.len();
        });
        let is_it = |number, cut| number == count || (cut == Cut::Accepted && number < count);
        cut = shared.plan.filter(|(number, cut)| is_it(*number, *cut)).map(|(_, cut)| cut);
    }
    let Some(cut) = cut else {
        return upstream.send(request).await;
    };
    shared.is_cut.store(cut != Cut::Accepted, Ordering::SeqCst);
    let underway = match cut {
        Cut::Answered | Cut::Accepted => {
            let answer = upstream.send(request).await;
            if cut == Cut::Accepted && !answer.status().is_success() {
                return answer;
            }
            let _ = answer.into_body().collect().await;
            None
        }
        Cut::Underway => Some(Underway(request)),
        Cut::Unsent => None,
    };
    shared.is_cut.store(true, Ordering::SeqCst);
    if let Some(tell) = shared.tell.lock().expect("no panic").take() {
        let _ = tell.send(underway);
    }
    shared.ends().await
}
