//! What to do about the Lease: takes what was last seen of it and the time, returns a [`Move`]. Pure.
//!
//! Times are uptimes of this process. The clock of another machine is never compared with its own: a holder counts as
//! gone when its record has not changed for as long as it promised, by the clock of this process.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;

/// How leadership is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Another replica takes over once the holder has not renewed for this long.
    pub duration: Duration,
    /// The holder stops acting if it cannot renew for this long; shorter than `duration`.
    pub renew_deadline: Duration,
    /// Pause between two checks, or two renewals; shorter than `renew_deadline`.
    pub retry_period: Duration,
}

impl Times {
    /// Times that keep two leaders apart.
    ///
    /// # Errors
    /// Why they do not.
    pub fn new(
        duration: Duration,
        renew_deadline: Duration,
        retry_period: Duration,
    ) -> Result<Self, &'static str> {
        if retry_period.is_zero() {
            Err("the retry period must be above 0")
        } else if retry_period >= renew_deadline {
            Err("the retry period must be shorter than the renew deadline")
        } else if renew_deadline >= duration {
            Err("the renew deadline must be shorter than the lease duration")
        } else {
            Ok(Self { duration, renew_deadline, retry_period })
        }
    }

    /// Deadline of one call: a slow one leaves time for another.
    pub(super) fn call_deadline(self) -> Duration {
        self.renew_deadline / 2
    }
}

/// The Lease as it was last seen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    spec: LeaseSpec,
    pub(super) resource_version: Option<String>,
    /// When its spec was first seen as it is.
    since: Duration,
}

impl Seen {
    /// Takes in a check of the Lease.
    pub(super) fn look(before: Option<&Self>, lease: Lease, now: Duration) -> Self {
        let spec = lease.spec.unwrap_or_default();
        let since = before.filter(|before| before.spec == spec).map_or(now, |before| before.since);
        Self { spec, resource_version: lease.metadata.resource_version, since }
    }

    pub(super) fn is_held_by(&self, identity: &str) -> bool {
        self.holder() == Some(identity)
    }

    /// Who holds it; a released one has an empty holder.
    pub(super) fn holder(&self) -> Option<&str> {
        self.spec.holder_identity.as_deref().filter(|holder| !holder.is_empty())
    }

    fn has_run_out(&self, times: &Times, now: Duration) -> bool {
        let promised = self.spec.lease_duration_seconds.map_or(times.duration, |seconds| {
            Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
        });
        now.saturating_sub(self.since) > promised
    }
}

/// What to do now.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Move {
    /// Create the Lease, held by this process.
    Create(LeaseSpec),
    /// Replace it, so that this process holds it for longer.
    Renew(LeaseSpec),
    /// Replace it, so that this process holds it.
    Take(LeaseSpec),
    /// Somebody else holds it.
    Wait,
}

/// Decides for the process called `identity`. `seen`: `None` when there is no Lease. `wall`: for people who read it.
pub(super) fn decide(
    identity: &str,
    times: &Times,
    seen: Option<&Seen>,
    now: Duration,
    wall: Timestamp,
) -> Move {
    let fresh = |transitions: i32| LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: Some(i32::try_from(times.duration.as_secs()).unwrap_or(i32::MAX)),
        acquire_time: Some(MicroTime(wall)),
        renew_time: Some(MicroTime(wall)),
        lease_transitions: Some(transitions),
        ..LeaseSpec::default()
    };
    let Some(seen) = seen else {
        return Move::Create(fresh(0));
    };
    let transitions = seen.spec.lease_transitions.unwrap_or_default();
    match seen.holder() {
        Some(holder) if holder == identity => {
            let acquired = seen.spec.acquire_time.clone();
            let own = fresh(transitions);
            Move::Renew(LeaseSpec { acquire_time: acquired.or_else(|| own.acquire_time.clone()), ..own })
        }
        Some(_) if !seen.has_run_out(times, now) => Move::Wait,
        Some(_) | None => Move::Take(fresh(transitions.saturating_add(1))),
    }
}

/// The Lease as it is left behind: anybody may take it at once.
pub(super) fn released(seen: &Seen, wall: Timestamp) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(String::new()),
        // The API server wants it above 0.
        lease_duration_seconds: Some(1),
        renew_time: Some(MicroTime(wall)),
        ..seen.spec.clone()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn times() -> Times {
        Times::new(secs(15), secs(10), secs(2)).unwrap()
    }

    fn wall() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn lease(spec: LeaseSpec, version: &str) -> Lease {
        let metadata = ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() };
        Lease { metadata, spec: Some(spec) }
    }

    fn held_by(holder: &str) -> LeaseSpec {
        match decide(holder, &times(), None, secs(0), wall()) {
            Move::Create(spec) => spec,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nobody_holds_it() {
        let seen = Seen::look(None, lease(LeaseSpec::default(), "1"), secs(0));
        let Move::Take(taken) = decide("a", &times(), Some(&seen), secs(0), wall()) else { panic!() };
        assert_eq!((taken.holder_identity.as_deref(), taken.lease_transitions), (Some("a"), Some(1)));
        let left = Seen::look(
            None,
            lease(released(&Seen::look(None, lease(taken, "2"), secs(0)), wall()), "3"),
            secs(0),
        );
        assert!(matches!(decide("b", &times(), Some(&left), secs(0), wall()), Move::Take(spec)
            if spec.lease_transitions == Some(2)));
    }

    #[test]
    fn a_holder_which_renews_is_left_alone_whatever_its_clock_says() {
        let mut seen = None;
        for round in 0..100 {
            let mut spec = held_by("a");
            // Its clock is years behind, and creeps.
            spec.renew_time = Some(MicroTime(Timestamp::from_second(round).unwrap()));
            let now = secs(u64::try_from(round).unwrap() * 2);
            let look = Seen::look(seen.as_ref(), lease(spec, &round.to_string()), now);
            assert_eq!(decide("b", &times(), Some(&look), now, wall()), Move::Wait);
            seen = Some(look);
        }
    }

    #[test]
    fn a_holder_which_stopped_is_replaced_after_its_own_duration_and_not_before() {
        let mut spec = held_by("a");
        spec.lease_duration_seconds = Some(30);
        let first = Seen::look(None, lease(spec.clone(), "1"), secs(100));
        // Another writer of metadata is no renewal.
        let later = Seen::look(Some(&first), lease(spec, "2"), secs(120));
        assert_eq!(decide("b", &times(), Some(&later), secs(130), wall()), Move::Wait);
        assert!(matches!(decide("b", &times(), Some(&later), secs(131), wall()), Move::Take(_)));
        assert_eq!(later.resource_version.as_deref(), Some("2"), "it is replaced as it is now");
    }

    #[test]
    fn the_holder_renews_and_keeps_since_when_it_leads() {
        let mut spec = held_by("a");
        spec.acquire_time = Some(MicroTime(Timestamp::from_second(5).unwrap()));
        spec.lease_transitions = Some(7);
        let seen = Seen::look(None, lease(spec.clone(), "1"), secs(0));
        // Even after its time: nobody has taken it.
        let Move::Renew(renewed) = decide("a", &times(), Some(&seen), secs(500), wall()) else { panic!() };
        assert_eq!(renewed.acquire_time, spec.acquire_time);
        assert_eq!(renewed.lease_transitions, Some(7));
        assert_eq!(renewed.renew_time, Some(MicroTime(wall())));
    }

    #[test]
    fn what_nobody_sane_writes_does_not_stop_the_election() {
        for seconds in [None, Some(0), Some(-5)] {
            let mut spec = held_by("a");
            spec.lease_duration_seconds = seconds;
            let seen = Seen::look(None, lease(spec, "1"), secs(0));
            assert!(matches!(decide("b", &times(), Some(&seen), secs(16), wall()), Move::Take(_)));
        }
        let empty = Lease::default();
        assert!(matches!(
            decide("b", &times(), Some(&Seen::look(None, empty, secs(0))), secs(0), wall()),
            Move::Take(_)
        ));
    }

    #[test]
    fn times_keep_leaders_apart() {
        assert!(Times::new(secs(15), secs(15), secs(2)).is_err());
        assert!(Times::new(secs(15), secs(10), secs(10)).is_err());
        assert!(Times::new(secs(15), secs(10), secs(0)).is_err());
        let tight = Times::new(secs(4), secs(3), secs(1)).unwrap();
        assert!(tight.call_deadline() < tight.renew_deadline);
    }
}
