//! What users and others may do in a schedule.

use super::server::Propagation::{Background, Foreground, Orphan};
use super::world::User::{
    self, Alias, Create, Delete, DeleteJob, Edit, Forbid, Foreign, Mend, Parallelism, Queue, Spoil,
    StripLabels, StripOwner, Suspend, Wipe,
};

/// A mix of actions and how many of them a schedule has.
#[derive(Debug)]
pub struct Scenario {
    pub name: &'static str,
    /// What is drawn from.
    pub acts: &'static [User],
    /// How many of them happen at most.
    pub users: usize,
    /// How many faults of operators happen at most.
    pub faults: usize,
    /// TTL in the spec.
    pub ttl: Option<i32>,
    /// Runs whose Jobs make progress.
    pub runs: usize,
    /// Operator 0 is slow to send its creates.
    pub hesitates: bool,
    /// Longest schedule, beyond thirty steps.
    pub length: usize,
}

const fn scenario(name: &'static str, ttl: Option<i32>, acts: &'static [User]) -> Scenario {
    Scenario { name, acts, users: 5, faults: 3, ttl, runs: 3, hesitates: false, length: 90 }
}

pub const SCENARIOS: [Scenario; 18] = [
    scenario("edits", None, &[Edit(0), Edit(1), Edit(2)]),
    scenario("ttl", Some(0), &[Edit(0), Edit(1), StripOwner(1), StripOwner(2)]),
    scenario(
        "patch",
        None,
        &[
            Parallelism(1),
            Parallelism(2),
            Parallelism(3),
            Suspend(true),
            Suspend(false),
            Alias(1),
            Alias(2),
            DeleteJob(1, Background),
            Foreign(1),
            Edit(1),
        ],
    ),
    scenario(
        "suspend",
        None,
        &[Suspend(true), Suspend(false), Suspend(false), Edit(0), Edit(1), DeleteJob(1, Background)],
    ),
    scenario(
        "lost",
        None,
        &[
            DeleteJob(1, Background),
            DeleteJob(1, Foreground),
            DeleteJob(2, Background),
            DeleteJob(2, Orphan),
            Edit(0),
            Edit(1),
        ],
    ),
    // Nothing but time and other operators: late creates meet names that clean-up has freed.
    Scenario { users: 0, runs: 1, hesitates: true, ..scenario("late", Some(0), &[Edit(1)]) },
    // A predecessor's Job, the garbage collector, and creates that are late.
    Scenario {
        users: 2,
        runs: 1,
        hesitates: true,
        ..scenario("predecessor", None, &[Delete(Background), Create])
    },
    scenario("stray", None, &[DeleteJob(1, Background), DeleteJob(1, Background), Edit(1)]),
    scenario(
        "recreate",
        None,
        &[
            Delete(Background),
            Delete(Foreground),
            Delete(Orphan),
            Create,
            Create,
            Create,
            Edit(0),
            Edit(1),
            Suspend(true),
            Suspend(false),
        ],
    ),
    scenario(
        "recreate-foreign",
        None,
        &[Delete(Background), Create, Create, Foreign(1), Foreign(2), Edit(1)],
    ),
    scenario(
        "recreate-strip",
        Some(30),
        &[
            Delete(Background),
            Delete(Foreground),
            Create,
            Create,
            DeleteJob(1, Background),
            StripOwner(1),
            StripLabels(1),
            Edit(1),
        ],
    ),
    scenario(
        "strips",
        Some(0),
        &[StripOwner(1), StripOwner(2), StripLabels(1), StripLabels(2), Edit(0), Edit(1), Parallelism(2)],
    ),
    scenario("wipe", None, &[Wipe, Wipe, Edit(0), Edit(1), Suspend(true), Suspend(false)]),
    scenario("wipe-ttl", Some(10), &[Wipe, Edit(0), Edit(1), StripOwner(1), DeleteJob(1, Background)]),
    scenario(
        "reject",
        None,
        &[Spoil, Mend(0), Mend(1), Mend(1), Edit(0), Edit(1), Suspend(true), Suspend(false)],
    ),
    scenario(
        "queue",
        None,
        &[
            Queue(1, true),
            Queue(1, false),
            Queue(2, true),
            Queue(2, false),
            Suspend(true),
            Suspend(false),
            Edit(1),
            Parallelism(2),
        ],
    ),
    scenario(
        "foreign",
        None,
        &[Foreign(1), Foreign(2), Foreign(3), Edit(0), Edit(1), Forbid(true), Forbid(false)],
    ),
    scenario(
        "all",
        Some(60),
        &[
            Edit(0),
            Edit(1),
            Edit(2),
            Suspend(true),
            Suspend(false),
            Spoil,
            Mend(1),
            Delete(Background),
            Delete(Foreground),
            Create,
            Create,
            DeleteJob(1, Background),
            DeleteJob(2, Foreground),
            StripOwner(1),
            StripLabels(1),
            Foreign(2),
            Queue(1, true),
            Queue(1, false),
            Parallelism(2),
            Alias(1),
            Forbid(true),
            Forbid(false),
        ],
    ),
];

/// The scenario of this name.
pub fn named(name: &str) -> &'static Scenario {
    SCENARIOS.iter().find(|scenario| scenario.name == name).expect("a scenario of that name")
}
