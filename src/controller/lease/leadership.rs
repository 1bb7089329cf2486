//! Whether this process may act, asked before every call that changes something.
//!
//! A term ends by itself: a process that was paused finds it over when it continues, before anybody reports it. That
//! saves work, and is not what keeps runs right: a call may be under way when the term ends, so names, uids and
//! resourceVersions do that (docs/run-protocol.md).
//!
//! Anyone who is answered "it does not lead" may drop what was to be done, because everything is looked at when a term
//! begins. So time is read under the lock that a renewal takes: a term which was found over is never continued.

use std::time::{Duration, Instant};

use futures::stream::{self, Stream};
use tokio::sync::watch;

use super::term::Term;

/// Reads the term.
#[derive(Clone, Debug)]
pub(in crate::controller) struct Leadership(watch::Receiver<Option<Term>>);

impl Leadership {
    /// The term is set through the sender; it begins as `None`: not leading.
    pub(in crate::controller) fn elected() -> (watch::Sender<Option<Term>>, Self) {
        let (sender, receiver) = watch::channel(None);
        (sender, Self(receiver))
    }

    /// This process may act now.
    pub(in crate::controller) fn leads(&self) -> bool {
        self.led_for().is_some()
    }

    /// For how long it has led without a break.
    pub(in crate::controller) fn led_for(&self) -> Option<Duration> {
        self.now(|term, now| Some(now.saturating_duration_since(term.since)))
    }

    /// When the term that lasts now began.
    pub(in crate::controller) fn since(&self) -> Option<Instant> {
        self.now(|term, _| Some(term.since))
    }

    /// Since when it has held the lease without a break; `None`: it holds none, or none is asked for, and may have
    /// company.
    pub(in crate::controller) fn sole_since(&self) -> Option<Instant> {
        self.now(|term, _| term.until.map(|_| term.since))
    }

    /// What `read` makes of the term that lasts now.
    fn now<T>(&self, read: impl FnOnce(Term, Instant) -> Option<T>) -> Option<T> {
        let term = self.0.borrow();
        let now = Instant::now();
        term.filter(|term| term.lasts(now)).and_then(|term| read(term, now))
    }

    /// An item for each term that begins; of several that began since the last item, for the newest.
    pub(in crate::controller) fn beginnings(&self) -> impl Stream<Item = ()> + Send + use<> {
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
        assert!(!leadership.leads(), "nobody has reported it yet");
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

    #[test]
    fn what_was_dropped_after_the_end_of_a_term_is_followed_by_a_beginning() {
        let (sender, leadership) = Leadership::elected();
        let mut beginnings = std::pin::pin!(leadership.beginnings());
        let renew_deadline = Duration::from_secs(3600);
        let sent = Instant::now();
        sender.send_replace(Some(term(sent, Some(sent))));
        assert!(beginnings.next().now_or_never().is_some());
        assert!(!leadership.leads(), "anyone who asks now drops what was to be done");
        sender.send_modify(|last| *last = Term::renewed(*last, sent, Instant::now(), renew_deadline));
        assert!(leadership.leads());
        assert!(beginnings.next().now_or_never().is_some());
        assert!(leadership.sole_since().is_some_and(|since| since > sent), "rule 6 sees the new term");
    }
}
