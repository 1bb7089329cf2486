//! What users and others may do in a schedule.

use super::server::Propagation::{Background, Foreground, Orphan};
use super::spec::Policy;
use super::world::User::{
    self, Alias, Annotate, Cancel, Create, Delete, DeleteJob, Edit, EditToken, Fix, Forbid, Foreign,
    Parallelism, Queue, RefuseDeletes, RefusePatches, RemakeTemplate, Spoil, StripLabels, StripOwner,
    Suspend, Template, Token, Wipe,
};

/// A mix of actions and how many of them a schedule has.
#[derive(Clone, Copy, Debug)]
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
    /// `runPolicy` in the spec.
    pub policy: Policy,
    /// Runs whose Jobs make progress.
    pub runs: usize,
    /// Operator 0 is slow to send its creates.
    pub hesitates: bool,
    /// Longest schedule, beyond thirty steps.
    pub length: usize,
}

const fn scenario(name: &'static str, ttl: Option<i32>, acts: &'static [User]) -> Scenario {
    let policy = Policy::Default;
    Scenario { name, acts, users: 5, faults: 3, ttl, policy, runs: 3, hesitates: false, length: 90 }
}

const fn with(policy: Policy, scenario: Scenario) -> Scenario {
    Scenario { policy, ..scenario }
}

pub const SCENARIOS: [Scenario; 48] = [
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
        &[Spoil, Fix(0), Fix(1), Fix(1), Edit(0), Edit(1), Suspend(true), Suspend(false)],
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
    // A spec that is rejected is suspended nevertheless.
    scenario(
        "suspend-rejected",
        None,
        &[Spoil, Suspend(true), Suspend(false), Fix(1), Queue(1, true), RefusePatches(true), Parallelism(2)],
    ),
    scenario(
        "foreign",
        None,
        &[Foreign(1), Foreign(2), Foreign(3), Edit(0), Edit(1), Forbid(true), Forbid(false)],
    ),
    // A source that is emptied and filled again with what it held.
    Scenario {
        users: 8,
        runs: 6,
        length: 160,
        ..scenario("sources", None, &[Token(1), Token(0), Annotate(1), Annotate(0)])
    },
    with(Policy::Follow, Scenario { users: 3, length: 160, ..scenario("remake", None, &[RemakeTemplate]) }),
    // Two sources, one run for all that they hold.
    scenario("tokens", None, &[Token(1), Token(2), Token(0), Annotate(1), Annotate(5), Annotate(0), Edit(1)]),
    scenario(
        "token-and-edit",
        None,
        &[EditToken(1, 1), EditToken(0, 2), Token(1), Annotate(1), Suspend(true), Suspend(false)],
    ),
    scenario(
        "tokens-ttl",
        Some(0),
        &[Token(1), Token(2), Annotate(1), DeleteJob(1, Background), StripOwner(1)],
    ),
    scenario("wipe-tokens", None, &[Wipe, Token(1), Annotate(1), Token(2), Edit(1)]),
    with(Policy::Replace, scenario("replace", None, &[Edit(0), Edit(1), Edit(2), Edit(0), Edit(1)])),
    with(
        Policy::Replace,
        scenario("replace-tokens", None, &[Edit(1), Token(1), EditToken(0, 2), Annotate(1), Annotate(2)]),
    ),
    with(
        Policy::Replace,
        scenario(
            "replace-meddled",
            None,
            &[
                Edit(1),
                Edit(0),
                Token(1),
                DeleteJob(1, Background),
                DeleteJob(2, Foreground),
                StripOwner(1),
                StripLabels(1),
                Suspend(true),
                Suspend(false),
                Queue(1, true),
            ],
        ),
    ),
    with(
        Policy::Replace,
        scenario(
            "replace-recreate",
            Some(30),
            &[Edit(1), Edit(0), Delete(Background), Delete(Foreground), Create, Create, Foreign(2)],
        ),
    ),
    // Suspended while the run is being stopped: its successor is remembered until resume.
    with(
        Policy::Replace,
        Scenario {
            users: 6,
            runs: 1,
            ..scenario("replace-held", None, &[Edit(1), Edit(0), Suspend(true), Suspend(false)])
        },
    ),
    with(Policy::Replace, scenario("replace-wipe", None, &[Wipe, Edit(1), Token(1), StripOwner(1), Wipe])),
    with(
        Policy::Hold,
        scenario(
            "hold",
            None,
            &[Edit(1), Edit(0), Edit(2), Token(1), Annotate(1), Suspend(true), Suspend(false)],
        ),
    ),
    scenario("templates", None, &[Template, Template, RemakeTemplate, Edit(1), Token(1)]),
    with(Policy::Follow, scenario("follow", None, &[Template, Template, RemakeTemplate, Edit(1), Token(1)])),
    with(
        Policy::ReplaceAndFollow,
        scenario(
            "replace-follow",
            None,
            &[Template, RemakeTemplate, Edit(1), Edit(0), Suspend(true), Suspend(false)],
        ),
    ),
    with(
        Policy::NoHistory,
        scenario("history", None, &[Edit(1), Edit(0), Token(1), StripOwner(1), DeleteJob(1, Background)]),
    ),
    // Each Job is stored larger than its limits allow.
    with(
        Policy::Limited,
        scenario(
            "limited",
            None,
            &[
                Edit(1),
                Edit(0),
                Token(1),
                Template,
                Suspend(true),
                Suspend(false),
                DeleteJob(1, Background),
                StripOwner(1),
                StripLabels(2),
            ],
        ),
    ),
    // A retention policy: Jobs are kept for the auditors.
    with(
        Policy::NoHistory,
        scenario(
            "refused-deletes",
            Some(0),
            &[RefuseDeletes(true), RefuseDeletes(true), RefuseDeletes(false), Edit(1), Edit(0), Token(1)],
        ),
    ),
    scenario(
        "refused-patches",
        None,
        &[
            RefusePatches(true),
            RefusePatches(true),
            RefusePatches(false),
            Parallelism(2),
            Parallelism(3),
            Suspend(true),
            Suspend(false),
            Alias(1),
            Edit(1),
        ],
    ),
    with(
        Policy::Replace,
        scenario(
            "refused-replace",
            Some(30),
            &[
                RefuseDeletes(true),
                RefuseDeletes(false),
                Forbid(true),
                Forbid(false),
                Edit(1),
                Edit(0),
                RefusePatches(true),
            ],
        ),
    ),
    // A change whose Job is refused, and which is taken back, or fixed together with a token.
    Scenario {
        users: 6,
        ..scenario("taken-back", None, &[Forbid(true), Edit(1), Edit(0), Edit(1), Edit(0)])
    },
    scenario(
        "taken-back-tokens",
        None,
        &[
            Forbid(true),
            Forbid(false),
            Edit(1),
            Edit(0),
            Edit(0),
            EditToken(0, 1),
            Annotate(1),
            Suspend(true),
            Suspend(false),
        ],
    ),
    with(
        Policy::Follow,
        scenario(
            "taken-back-follow",
            None,
            &[Forbid(true), Forbid(false), Edit(1), Edit(0), Template, RemakeTemplate, Token(1)],
        ),
    ),
    with(
        Policy::Replace,
        scenario(
            "taken-back-replace",
            None,
            &[Forbid(true), Forbid(false), Edit(1), Edit(0), Edit(0), Token(1), Wipe],
        ),
    ),
    // Runs that are ended on purpose: also late, twice, while a newer one waits, and of a status that is wiped.
    scenario(
        "cancel",
        None,
        &[Cancel(1), Cancel(1), Cancel(2), Edit(1), Edit(0), Token(1), Suspend(true), Suspend(false)],
    ),
    with(
        Policy::Replace,
        scenario(
            "cancel-replace",
            Some(0),
            &[Cancel(1), Cancel(2), Edit(1), Edit(0), Annotate(1), StripOwner(1)],
        ),
    ),
    scenario(
        "cancel-meddled",
        None,
        &[
            Cancel(1),
            Cancel(2),
            Wipe,
            Delete(Background),
            Create,
            Create,
            DeleteJob(1, Background),
            RefuseDeletes(true),
            RefuseDeletes(false),
            Spoil,
            Fix(1),
            Queue(1, true),
        ],
    ),
    // Jobs that outlive their JobRequest.
    scenario(
        "orphans",
        None,
        &[
            Delete(Orphan),
            Delete(Orphan),
            Delete(Background),
            Create,
            Create,
            Edit(1),
            StripOwner(1),
            Foreign(2),
        ],
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
            Fix(1),
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
            RefusePatches(true),
            RefuseDeletes(true),
            Token(1),
            Annotate(1),
            EditToken(2, 2),
            Template,
            Cancel(1),
            Cancel(2),
        ],
    ),
];

/// The scenario of this name.
pub fn named(name: &str) -> &'static Scenario {
    SCENARIOS.iter().find(|scenario| scenario.name == name).expect("a scenario of that name")
}
