//! Whether this process may act, asked before every call that changes something.
//!
//! A term ends by itself: a process that was paused finds it over when it goes on, before anybody tells it. That saves
//! work, and is not what keeps runs right: a call may be under way when the term ends, so names, uids and
//! resourceVersions do that (docs/run-protocol.md).

use std::time::{Duration, Instant};

use futures::stream::{self, Stream};
use tokio::sync::watch;

/// From when and until when this process leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Term {
    /// Since when it has led without a break.
    pub(super) since: Instant,
    /// Until when, if nothing renews it; `None`: for ever.
    pub(super) until: Option<Instant>,
}

/// Reads the term.
#[derive(Clone, Debug)]
pub(super) struct Leadership(watch::Receiver<Option<Term>>);

impl Leadership {
    /// The term is sent by whoever holds the sender; it begins as `None`: not leading.
    pub(super) fn elected() -> (watch::Sender<Option<Term>>, Self) {
        let (sender, receiver) = watch::channel(None);
        (sender, Self(receiver))
    }

    /// This process may act now.
    pub(super) fn leads(&self) -> bool {
        self.led_for().is_some()
    }

    /// For how long it has led without a break.
    pub(super) fn led_for(&self) -> Option<Duration> {
        let term = (*self.0.borrow())?;
        let now = Instant::now();
        term.until.is_none_or(|until| now < until).then(|| now.saturating_duration_since(term.since))
    }

    /// Since when it has held the lease without a break; `None`: it holds none, or none is asked for, and may have
    /// company.
    pub(super) fn sole_since(&self) -> Option<Instant> {
        let term = (*self.0.borrow())?;
        term.until.filter(|until| Instant::now() < *until).map(|_| term.since)
    }

    /// Returns when it leads.
    pub(super) async fn begins(&self) {
        let mut terms = self.0.clone();
        // Without a sender the last term stands: the process is stopping.
        if terms.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// An item each time it begins to lead.
    pub(super) fn beginnings(&self) -> impl Stream<Item = ()> + Send + use<> {
        stream::unfold((self.0.clone(), None::<Instant>), |(mut terms, last)| async move {
            let term = terms
                .wait_for(|term| term.is_some_and(|term| Some(term.since) != last))
                .await
                .ok()
                .and_then(|term| *term)?;
            Some(((), (terms, Some(term.since))))
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;

    fn term(since: Instant, until: Option<Instant>) -> Term {
        Term { since, until }
    }

    #[test]
    fn a_term_ends_by_itself() {
        let (sender, leadership) = Leadership::elected();
        assert!(!leadership.leads());
        let now = Instant::now();
        sender.send_replace(Some(term(now, Some(now))));
        assert!(!leadership.leads(), "nobody has told it yet");
        sender.send_replace(Some(term(now, Some(now + Duration::from_secs(3600)))));
        assert!(leadership.leads());
        assert_eq!(leadership.sole_since(), Some(now));
        sender.send_replace(None);
        assert!(!leadership.leads());
        sender.send_replace(Some(term(now, None)));
        assert!(leadership.leads());
        assert_eq!(leadership.sole_since(), None, "without a lease there may be others");
    }

    #[test]
    fn a_renewal_is_no_beginning() {
        let (sender, leadership) = Leadership::elected();
        let mut beginnings = std::pin::pin!(leadership.beginnings());
        assert!(beginnings.next().now_or_never().is_none());
        let now = Instant::now();
        sender.send_replace(Some(term(now, None)));
        assert!(beginnings.next().now_or_never().is_some());
        sender.send_replace(Some(term(now, Some(now + Duration::from_secs(9)))));
        assert!(beginnings.next().now_or_never().is_none());
        sender.send_replace(None);
        assert!(beginnings.next().now_or_never().is_none());
        sender.send_replace(Some(term(now + Duration::from_secs(1), None)));
        assert!(beginnings.next().now_or_never().is_some());
    }
}
