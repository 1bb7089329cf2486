//! What a LimitRange of the namespace set in the pods of a run: it is listed with the defaults of templates, and stays so as
//! long as that run is the newest.

use std::collections::BTreeSet;

use crate::api::JobRequestStatus;
use crate::api::status::{Defaulted, MAX_DEFAULTED};
use crate::reconcile::state::{Facts, RunOutcome, RunState};

/// The origin of such a value.
const ORIGIN: &str = "LimitRange";

/// The values among `defaulted` that a LimitRange set.
pub(super) fn of(defaulted: &[Defaulted]) -> impl Iterator<Item = &Defaulted> {
    defaulted.iter().filter(|value| value.origin == ORIGIN)
}

/// Completes `defaulted`, which is what layers decided of the newest run.
pub(super) fn with(mut defaulted: Vec<Defaulted>, facts: &Facts<'_>, outcome: &RunOutcome) -> Vec<Defaulted> {
    let Some(newest) = outcome.newest() else { return defaulted };
    let before = of(&facts.stored.defaulted).filter(|_| facts.stored.run == Some(newest.number));
    let mut paths: BTreeSet<String> = before.map(|value| value.path.clone()).collect();
    if let RunState::Live { job, .. } = &outcome.state {
        let pods = facts.observed.pods.iter().filter(|pod| pod.is_controlled_by(job.uid()));
        let containers = pods.flat_map(|pod| &pod.containers);
        let limited = containers.filter(|container| container.limit_range_memory.is_some());
        paths.extend(
            limited.map(|container| format!("containers[{}].resources.limits.memory", container.name)),
        );
    }
    defaulted.retain(|value| value.origin != ORIGIN);
    let values = paths.into_iter().map(|path| Defaulted { path, origin: ORIGIN.to_owned() });
    let room = MAX_DEFAULTED.saturating_sub(defaulted.len());
    defaulted.extend(values.take(room));
    defaulted
}

/// The status without them.
pub(super) fn without(status: &mut JobRequestStatus) {
    status.defaulted.retain(|value| value.origin != ORIGIN);
}

/// That they were set, for the message of Accepted.
pub(super) fn remark(defaulted: &[Defaulted]) -> Option<String> {
    let paths: Vec<&str> = of(defaulted).map(|value| value.path.as_str()).collect();
    (!paths.is_empty()).then(|| {
        format!(
            "a LimitRange of the namespace sets what has no value, or 0, here: {}; set it to decide it",
            paths.join(", ")
        )
    })
}
