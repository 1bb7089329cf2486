//! Every place at which an operator can die: before and after each call of a workload, one and two times.
//!
//! No chance here: the calls of the undisturbed workload are counted, then each is disturbed in turn. The end must be
//! that of the undisturbed one, with exactly as many Jobs.

use super::heal::{Fault, Faults, heal, settle};
use super::server::Propagation::{Background, Foreground, Orphan};
use super::server::Server;
use super::spec::Policy;
use super::world::{Action, User, World};

/// A part of a workload.
#[derive(Clone, Copy, Debug)]
pub enum Stage {
    /// A user acts.
    User(User),
    /// All comes to rest while Jobs make no progress.
    Wait,
    /// All comes to rest.
    Work,
}

use Stage::{User as Act, Wait, Work};

/// Workloads by name, with a TTL in the spec. They follow templates and replace runs where the name says so.
pub const WORKLOADS: [(&str, Option<i32>, &[Stage]); 21] = [
    ("a run", None, &[Work]),
    ("a run with a TTL", Some(0), &[Work]),
    ("an edit of an active run", None, &[Wait, Act(User::Edit(1)), Wait, Work]),
    ("two edits of a finished run", None, &[Work, Act(User::Edit(1)), Work, Act(User::Edit(0)), Work]),
    (
        "suspend and resume",
        None,
        &[Wait, Act(User::Suspend(true)), Wait, Act(User::Suspend(false)), Wait, Work],
    ),
    ("created suspended", None, &[Act(User::Suspend(true)), Wait, Act(User::Suspend(false)), Work]),
    ("changes in place", None, &[Wait, Act(User::Parallelism(3)), Act(User::Alias(1)), Wait, Work]),
    (
        "deleted and created again",
        None,
        &[
            Wait,
            Act(User::Delete(Foreground)),
            Wait,
            Act(User::Create),
            Wait,
            Act(User::Delete(Background)),
            Act(User::Create),
            Work,
        ],
    ),
    ("orphaned and created again", None, &[Wait, Act(User::Delete(Orphan)), Wait, Act(User::Create), Work]),
    ("rejected and fixed", None, &[Wait, Act(User::Spoil), Wait, Act(User::Fix(1)), Work]),
    ("a rerun after a run", None, &[Work, Act(User::Token(1)), Work, Act(User::Annotate(1)), Work]),
    (
        "a rerun and an edit while active",
        None,
        &[Wait, Act(User::EditToken(1, 1)), Act(User::Annotate(2)), Wait, Work],
    ),
    ("cancelled while active", None, &[Wait, Act(User::Cancel(1)), Wait, Work]),
    (
        "cancelled while a newer spec waits",
        None,
        &[Wait, Act(User::Edit(1)), Wait, Act(User::Cancel(1)), Wait, Act(User::Cancel(1)), Wait, Work],
    ),
    ("replace: an edit while active", None, &[Wait, Act(User::Edit(1)), Wait, Work]),
    ("replace: an edit that returns", None, &[Wait, Act(User::Edit(1)), Act(User::Edit(0)), Wait, Work]),
    ("hold: an edit and a rerun", None, &[Work, Act(User::Edit(1)), Work, Act(User::Token(1)), Work]),
    ("limited: a Job that is stored too large", None, &[Wait, Act(User::Edit(1)), Wait, Work]),
    (
        "follow: an edit of a template",
        None,
        &[Work, Act(User::Template), Work, Act(User::RemakeTemplate), Work],
    ),
    (
        "refused: clean-up, and changes in place",
        Some(0),
        &[
            Act(User::RefuseDeletes(true)),
            Act(User::RefusePatches(true)),
            Wait,
            Act(User::Parallelism(3)),
            Work,
            Act(User::Edit(1)),
            Work,
        ],
    ),
    (
        "wiped, lost, and a foreign Job",
        None,
        &[
            Wait,
            Act(User::Wipe),
            Wait,
            Act(User::DeleteJob(1, Background)),
            Wait,
            Act(User::Foreign(2)),
            Act(User::Edit(1)),
            Work,
        ],
    ),
];

/// How a workload ended: the records in short, and how many Jobs there ever were.
type End = (Vec<String>, usize);

/// The run policy which the name of a workload begins with.
fn policy_of(name: &str) -> Policy {
    match name.split_once(':').map(|(policy, _)| policy) {
        Some("replace") => Policy::Replace,
        Some("hold") => Policy::Hold,
        Some("follow") => Policy::Follow,
        Some("limited") => Policy::Limited,
        _ => Policy::Default,
    }
}

fn run(policy: Policy, ttl: Option<i32>, stages: &[Stage], faults: &mut Faults) -> Result<End, String> {
    let mut world = World::new(Server::new(None, ttl, policy), 1, true, false);
    world.apply(Action::User(User::Create));
    // An old object: the shortcut for brand-new ones would hide what a crash does.
    world.apply(Action::Tick(100_000));
    for stage in stages {
        match stage {
            Act(user) => {
                world.apply(Action::User(*user));
            }
            Wait => settle(&mut world, false, faults)?,
            Work => settle(&mut world, true, faults)?,
        }
    }
    heal(&mut world)?;
    let status = world.server.request().map(|request| request.known_status()).unwrap_or_default();
    let records =
        status.runs.iter().map(|run| format!("{} {:?} {}", run.number, run.result, run.digest)).collect();
    Ok((records, world.server.oracle.jobs_created()))
}

/// Disturbs each call of each workload; returns how many schedules that were.
pub fn enumerate() -> Result<usize, String> {
    let mut schedules = 0;
    for (name, ttl, stages) in WORKLOADS {
        let mut clean = Faults::default();
        let expected =
            run(policy_of(name), ttl, stages, &mut clean).map_err(|error| format!("{name}: {error}"))?;
        let mut try_out = |at: &[(usize, Fault)]| {
            schedules += 1;
            let mut faults = Faults { at: at.iter().copied().collect(), calls: 0 };
            match run(policy_of(name), ttl, stages, &mut faults) {
                Ok(end) if end == expected => Ok(()),
                Ok(end) => Err(format!("{name}, {at:?}: it ends as {end:?} instead of {expected:?}")),
                Err(error) => Err(format!("{name}, {at:?}: {error}")),
            }
        };
        for first in 0..clean.calls {
            for fault in Fault::ALL {
                try_out(&[(first, fault)])?;
            }
            // A disturbed run makes a few more calls than the undisturbed one.
            for second in first + 1..clean.calls + 4 {
                for (one, two) in [
                    (Fault::CrashAfter, Fault::CrashAfter),
                    (Fault::CrashAfter, Fault::Crash),
                    (Fault::LoseAnswer, Fault::LoseAnswer),
                ] {
                    try_out(&[(first, one), (second, two)])?;
                }
            }
        }
    }
    Ok(schedules)
}
