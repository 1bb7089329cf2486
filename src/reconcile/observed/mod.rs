//! What is seen of the cluster: small views of the watched objects, the answers of this pass, and what the process
//! remembers. Data only; decisions are in `planner`.
//!
//! Views are projections: they are deserialised straight from the wire and hold only what a rule reads, so that ten
//! thousand Jobs fit into memory. Whatever the API server stores can be read: a part that cannot is data too, never an
//! error, because one bad stored object must not stall the others.

mod answers;
mod event;
mod job;
mod limit_range;
mod memory;
mod metadata;
mod pod;
mod request;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

pub use answers::{Answers, Creation, Refusal};
pub use event::{EventView, EventsOf};
pub use job::{JobConditionView, JobSpecView, JobStatusView, JobView};
pub(super) use memory::Pause;
pub use memory::{Announced, ChangeKey, Memory, OwnRun, QueryPause, Refused};
pub(super) use metadata::bounded_token;
pub(crate) use metadata::{of_request, of_template};
pub use pod::{ConditionView, ContainerRole, ContainerState, ContainerView, EndView, PodView};
pub use request::{KEPT, Lenient, SpecBrief, SpecView, StoredRequest, UnreadableSpec};

/// The two clocks that rules read. The pure rooms never read the time themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    /// Wall clock: for times that people read and for TTLs.
    pub now: Timestamp,
    /// Monotonic time since this process started: for grace periods, which must not jump.
    pub uptime: Duration,
}

/// Everything that a plan is derived from.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The JobRequest, from the cache or newer.
    pub request: Option<StoredRequest>,
    /// Cached Jobs that carry the request's name.
    pub jobs: Vec<JobView>,
    /// Cached pods that carry the request's name.
    pub pods: Vec<PodView>,
    /// What this pass asked.
    pub answers: Answers,
    /// What this process remembers.
    pub memory: Memory,
    /// Since when this process holds the lease without a break (uptime); `None`: it holds none, and may have company.
    pub sole_since: Option<Duration>,
}

impl Observed {
    /// The Job with this uid as the cache, an answer of this pass, or that of its create shows it.
    pub(super) fn job(&self, uid: &str) -> Option<&JobView> {
        let asked = self.answers.job.iter().filter_map(|(_, job)| job.as_ref());
        let listed = self.answers.jobs.iter().flatten();
        let created = self.memory.created.iter().map(|(_, job)| &**job);
        self.jobs.iter().chain(asked).chain(listed).chain(created).find(|job| job.uid() == uid)
    }
}
