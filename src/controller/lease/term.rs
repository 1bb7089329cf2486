//! A term: from when and until when this process leads. Takes times, returns terms. Pure.

use std::time::{Duration, Instant};

/// A time during which this process leads without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) struct Term {
    /// Since when.
    pub(super) since: Instant,
    /// Until when, if nothing renews it; `None`: forever.
    pub(super) until: Option<Instant>,
}

impl Term {
    /// The term of a process which shares no Lease.
    pub(in crate::controller) const fn without_lease(now: Instant) -> Self {
        Self { since: now, until: None }
    }

    /// The process leads at this instant.
    pub(super) fn lasts(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// The term that follows `last` once a write of the Lease, sent at `sent`, was answered at `now`; `None`: the answer
    /// took longer than the time it gives.
    ///
    /// What decides is when the answer comes, not when the write was sent. Between the end of `last` and the answer the
    /// process did not lead, and dropped what it was asked to do: that is made up for only if a new term begins.
    pub(super) fn renewed(
        last: Option<Self>,
        sent: Instant,
        now: Instant,
        renew_deadline: Duration,
    ) -> Option<Self> {
        // From before the write was sent: anyone who saw it arrive began to count later.
        let until = sent + renew_deadline;
        let since = last.filter(|last| last.lasts(now)).map_or(now, |last| last.since);
        let term = Self { since, until: Some(until) };
        term.lasts(now).then_some(term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The renew deadline is 10 s.
    fn renewed(last: Option<Term>, began: Instant, sent: u64, answered: u64) -> Option<Term> {
        let at = |seconds| began + Duration::from_secs(seconds);
        Term::renewed(last, at(sent), at(answered), Duration::from_secs(10))
    }

    fn term(began: Instant, since: u64, until: u64) -> Term {
        let at = |seconds| began + Duration::from_secs(seconds);
        Term { since: at(since), until: Some(at(until)) }
    }

    #[test]
    fn a_renewal_in_time_continues_the_term() {
        let began = Instant::now();
        let first = renewed(None, began, 0, 1).unwrap();
        assert_eq!(first, term(began, 1, 10));
        assert_eq!(renewed(Some(first), began, 2, 3), Some(term(began, 1, 12)));
        assert_eq!(renewed(Some(first), began, 9, 9), Some(term(began, 1, 19)), "in the last moment");
    }

    #[test]
    fn a_renewal_sent_in_time_and_answered_late_begins_a_new_term() {
        let began = Instant::now();
        let first = term(began, 0, 10);
        for answered in [10, 13] {
            let late = renewed(Some(first), began, 9, answered);
            assert_eq!(late, Some(term(began, answered, 19)), "answered after {answered} s");
        }
    }

    #[test]
    fn an_answer_that_takes_longer_than_the_time_it_gives_begins_nothing() {
        let began = Instant::now();
        assert_eq!(renewed(Some(term(began, 0, 10)), began, 2, 12), None);
        assert_eq!(renewed(None, began, 2, 30), None);
    }

    #[test]
    fn a_term_without_a_lease_lasts() {
        let began = Instant::now();
        assert!(Term::without_lease(began).lasts(began + Duration::from_secs(1_000_000)));
        assert!(term(began, 0, 10).lasts(began + Duration::from_secs(9)));
        assert!(!term(began, 0, 10).lasts(began + Duration::from_secs(10)));
    }
}
