//! Waiting for a state of the cluster: takes a probe, returns what it found.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// What a probe says: there it is, or not yet, with what was seen instead.
pub(crate) trait Outcome {
    type Found;

    /// The found value, or the words for what was seen.
    fn judge(self) -> Result<Self::Found, String>;
}

impl<T> Outcome for Option<T> {
    type Found = T;

    fn judge(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing".to_owned())
    }
}

impl<T, S: Debug> Outcome for Result<T, S> {
    type Found = T;

    fn judge(self) -> Result<T, String> {
        self.map_err(|seen| format!("{seen:#?}"))
    }
}

/// Probes until the probe answers `Some` or `Ok`; panics at the deadline, with the last state seen (a probe
/// which answers `Err(state)` says more than one which answers `None`).
pub(crate) async fn eventually<O: Outcome>(
    deadline: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> O,
) -> O::Found {
    let began = Instant::now();
    loop {
        match probe().await.judge() {
            Ok(found) => return found,
            Err(seen) if began.elapsed() > deadline => {
                panic!("not within {deadline:?}: {what}; last seen: {seen}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
