//! The end of a schedule: no more faults, fresh caches, everybody does what is due. It must come to rest.
//!
//! Here an operator wakes only when a real one would: on a change that its caches show, or when its pass asked for
//! it. A rule that forgets to look again is found out.

use std::collections::BTreeMap;
use std::rc::Rc;

use jobrequest::api::condition::RunResult;
use jobrequest::api::labels;
use jobrequest::api::status::Run;
use jobrequest::compile::digest::digest;

use super::operator::View;
use super::oracle::tokens_of;
use super::server::{NAME, Progress, Refusing, StoredJob};
use super::spec::Policy;
use super::world::{Action, User, World};

/// What happens to one call of a settling operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Fail,
    LoseAnswer,
    Crash,
    CrashAfter,
}

impl Fault {
    pub const ALL: [Self; 4] = [Self::Fail, Self::LoseAnswer, Self::Crash, Self::CrashAfter];
}

/// Faults by the number of the call, for an enumeration; none while healing.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    pub at: BTreeMap<usize, Fault>,
    pub calls: usize,
}

/// More rounds than any settling needs.
const ROUNDS: usize = 600;
/// More calls than any pass needs.
const PASS: usize = 60;
/// Looks by the clock alone, without anything to do, after which an operator counts as being at rest.
const IDLE: usize = 8;

/// Lets everybody do what is due until nothing is.
pub fn settle(world: &mut World, works: bool, faults: &mut Faults) -> Result<(), String> {
    let mut idle = 0;
    for _ in 0..ROUNDS {
        let before = progress_of(world);
        for operator in 0..world.operators.len() {
            let now = world.server.now;
            let is_due = world.operators[operator].wake_at.is_some_and(|at| at <= now);
            if is_due || world.operators[operator].is_touched(&world.server) {
                world.apply(Action::Begin(operator, View { words: true, ..View::default() }));
                pass(world, operator, faults)?;
            }
        }
        let moved = world.apply(Action::Collect(false)) || (works && work(world));
        if let Some(violation) = &world.server.oracle.violation {
            return Err(violation.clone());
        }
        if moved || progress_of(world) != before {
            idle = 0;
            continue;
        }
        let due = world.operators.iter().filter_map(|operator| operator.wake_at).min();
        match due {
            Some(at) if idle < IDLE => {
                idle += 1;
                let pause = at.saturating_sub(world.server.now).max(1);
                world.apply(Action::Tick(pause));
            }
            _ => return Ok(()),
        }
    }
    Err("it does not come to rest".to_owned())
}

fn progress_of(world: &World) -> (usize, usize, usize) {
    let versions = world.server.jobs.values().map(Vec::len).sum();
    (world.server.oracle.writes, world.server.requests.len(), versions)
}

fn pass(world: &mut World, operator: usize, faults: &mut Faults) -> Result<(), String> {
    for _ in 0..PASS {
        if world.operators[operator].running.is_none() {
            return Ok(());
        }
        let action = match faults.at.get(&faults.calls) {
            None => Action::Call(operator),
            Some(Fault::Fail) => Action::Fail(operator),
            Some(Fault::LoseAnswer) => Action::LoseAnswer(operator),
            Some(Fault::Crash) => Action::Crash(operator),
            Some(Fault::CrashAfter) => Action::CrashAfter(operator),
        };
        faults.calls += 1;
        world.apply(action);
    }
    Err("a pass does not end".to_owned())
}

/// One step of the Job controller, on the first Job that has one.
fn work(world: &mut World) -> bool {
    for run in 1..=20 {
        for progress in [Progress::Start, Progress::Complete, Progress::Fail] {
            if world.apply(Action::Job(run, progress)) {
                return true;
            }
        }
    }
    false
}

/// Heals the world and judges its end.
pub fn heal(world: &mut World) -> Result<(), String> {
    let faults = &mut Faults::default();
    while world.apply(Action::Land(0)) {}
    for operator in 0..world.operators.len() {
        // What it waits for has got lost on its way.
        world.apply(Action::GiveUp(operator));
        pass(world, operator, faults)?;
        let now = world.server.now;
        world.operators[operator].wake_at.get_or_insert(now);
    }
    // Policies may refuse what they like: what has ended is recorded.
    if world.server.refusing != Refusing::default() {
        settle(world, true, faults)?;
        recorded(world)?;
        is_bounded(world)?;
    }
    for user in [User::Forbid(false), User::RefusePatches(false), User::RefuseDeletes(false)] {
        world.apply(Action::User(user));
    }
    settle(world, false, faults)?;
    in_place(world)?;
    for run in 1..=20 {
        world.apply(Action::User(User::Queue(run, false)));
    }
    settle(world, true, faults)?;
    stands(world)?;
    world.apply(Action::User(User::Fix(0)));
    world.apply(Action::User(User::Suspend(false)));
    settle(world, true, faults)?;
    stands(world)?;
    fixed_point(world)
}

/// The result of every Job that has ended is in the records, and the status speaks of the newest generation.
fn recorded(world: &World) -> Result<(), String> {
    let server = &world.server;
    let Some(request) = server.request().filter(|request| !request.is_deleting()) else { return Ok(()) };
    let status = request.known_status();
    if status.observed_generation != request.generation() {
        return Err(format!("generation {} is not observed while changes are refused", request.generation()));
    }
    for run in status.runs.iter().filter(|run| run.is_open()) {
        let is_its = |job: &&Rc<StoredJob>| {
            job.is_cached() && job.view.is_of(request.uid()) && job.view.run() == Some(run.number)
        };
        let job = server.job(&run.job_name).filter(is_its);
        if job.is_some_and(|job| job.view.is_terminal()) {
            return Err(format!(
                "run {} has ended, which is not recorded while changes are refused",
                run.number
            ));
        }
    }
    Ok(())
}

/// For an hour in which everything is refused, each operator tries each change now and then only.
fn is_bounded(world: &mut World) -> Result<(), String> {
    let before = world.server.refused;
    let end = world.server.now + 3_600_000;
    while world.server.now < end {
        let now = world.server.now;
        for operator in 0..world.operators.len() {
            if world.operators[operator].wake_at.is_some_and(|at| at <= now) {
                world.apply(Action::Begin(operator, View { words: true, ..View::default() }));
                pass(world, operator, &mut Faults::default())?;
            }
        }
        let due = world.operators.iter().filter_map(|operator| operator.wake_at).min().unwrap_or(end);
        world.apply(Action::Tick(due.clamp(now + 1, end) - now));
    }
    let tried = world.server.refused - before;
    let jobs = world.server.live_jobs().count() + 1;
    // Every 300 s in the end, and some times while the pauses grow.
    let limit = world.operators.len() * jobs * 2 * (12 + 9);
    if tried > limit { Err(format!("{tried} refused changes in an hour, with {jobs} Jobs")) } else { Ok(()) }
}

/// A live Job holds what the spec wants, unless somebody else wrote it.
fn in_place(world: &World) -> Result<(), String> {
    let server = &world.server;
    let Some(request) = server.request().filter(|request| !request.is_deleting()) else { return Ok(()) };
    let status = request.known_status();
    let Some(run) = status.runs.first().filter(|run| run.is_open()) else { return Ok(()) };
    let Some(job) = server.job(&run.job_name).filter(|job| run.job_uid.as_deref() == Some(job.view.uid()))
    else {
        return Ok(());
    };
    let is_ours = job.view.is_controlled_by(request.uid()) && !job.view.is_terminating();
    if !is_ours || job.view.is_terminal() {
        return Ok(());
    }
    let annotations = request.metadata.annotations.as_ref();
    let cancel = annotations.and_then(|all| all.get(labels::CANCEL));
    let is_named = cancel.is_some_and(|cancel| cancel.starts_with(&format!("{} ", job.view.uid())));
    // What is about to end has its result already.
    if is_named && !job.view.is_ending() {
        return Err(format!("run {} is to be cancelled, and its Job is active", run.number));
    }
    // Also when the spec is rejected.
    if job.is_suspended() != server.wish.suspend && !server.oracle.is_queued(job.view.uid()) {
        return Err(format!("{NAME} is to be suspended: {}, its Job is not so", server.wish.suspend));
    }
    // Also while a newer spec waits.
    let parallelism = &job.value["spec"]["parallelism"];
    if server.wish.program.is_some() && *parallelism != server.wish.parallelism {
        return Err(format!("parallelism is to be {}, the Job's is {parallelism}", server.wish.parallelism));
    }
    Ok(())
}

/// At rest: the newest spec has run, or waits for its user; none of our Jobs is unrecorded.
fn stands(world: &World) -> Result<(), String> {
    let server = &world.server;
    let Some(request) = server.request() else {
        let left = server.live_jobs().find(|job| job.value["metadata"]["ownerReferences"].is_array());
        return left.map_or(Ok(()), |job| Err(format!("{} is left without an owner", job.view.name())));
    };
    if request.is_deleting() {
        return Err("the deletion does not end".to_owned());
    }
    let status = request.known_status();
    let unrecorded =
        server.live_jobs().find(|job| server.oracle.is_unrecorded(&job.view, request.uid(), &status));
    if let Some(job) = unrecorded {
        return Err(format!("{} ({}) is ours and unrecorded", job.view.name(), job.view.uid()));
    }
    if status.observed_generation != request.generation() {
        return Err(format!("generation {} is not observed", request.generation()));
    }
    if server.wish.suspend || server.wish.program.is_none() {
        return Ok(());
    }
    let Some(spec) = request.whole_spec() else { return Ok(()) };
    let policy = spec.run_policy.clone().unwrap_or_default();
    served(world, request, &status)?;
    history(world, &status)?;
    // A run that is reserved, and not asked for any more, is nobody's newest run.
    match Run::newest_with_job(&status.runs) {
        Some(run) if run.result == Some(RunResult::Replaced) => {
            Err(format!("run {} was replaced, and nothing came after it", run.number))
        }
        Some(run) if run.result.is_some() && run.digest != digest(spec) && policy.holds() => {
            let is_told = status.conditions.iter().any(|c| c.type_ == "PendingChanges" && c.status == "True");
            if is_told { Ok(()) } else { Err("changes are held, and no condition tells".to_owned()) }
        }
        Some(run) if policy.follows_templates() && !is_current(world, &run.templates) => {
            Err(format!("run {} was made with an old template: {:?}", run.number, run.templates))
        }
        Some(run) if run.result.is_some() && (run.digest == digest(spec)) => {
            let is_told = status.conditions.iter().any(|condition| {
                condition.type_ == if run.result == Some(RunResult::Succeeded) { "Ready" } else { "Stalled" }
                    && condition.status == "True"
            });
            if is_told { Ok(()) } else { Err("the end is not told by Ready or Stalled".to_owned()) }
        }
        newest => Err(format!("the newest spec has not run to its end: {newest:?}")),
    }
}

fn is_current(world: &World, pins: &[jobrequest::api::status::TemplatePin]) -> bool {
    let (uid, generation) = world.server.templates.last().unwrap();
    pins.iter().any(|pin| pin.uid == *uid && pin.generation == *generation)
}

/// Every token that a source holds was handled with a run: the newest run's own Job says so.
fn served(
    world: &World,
    request: &jobrequest::reconcile::StoredRequest,
    status: &jobrequest::api::JobRequestStatus,
) -> Result<(), String> {
    let Some(uid) = Run::newest_with_job(&status.runs).and_then(|run| run.job_uid.as_deref()) else {
        return Ok(());
    };
    let handled = world.server.oracle.handled_with(uid);
    for (token, handled) in tokens_of(request).into_iter().zip(handled) {
        if !token.is_empty() && token != handled {
            return Err(format!("{token:?} asks for a run, and the newest was made with {handled:?}"));
        }
    }
    Ok(())
}

/// The history limits keep no more Jobs than they say.
fn history(world: &World, status: &jobrequest::api::JobRequestStatus) -> Result<(), String> {
    let limit = if world.server.wish.policy == Policy::NoHistory { 0 } else { 3 };
    for result in [RunResult::Succeeded, RunResult::Failed] {
        let runs = status.runs.iter().filter(|run| run.result == Some(result));
        let kept = runs.filter(|run| {
            world.server.live_jobs().any(|job| {
                let is_ours = job.view.is_controlled_by(world.server.uid().as_deref().unwrap_or_default());
                is_ours && job.is_cached() && run.job_uid.as_deref() == Some(job.view.uid())
            })
        });
        let kept = kept.count();
        if kept > limit {
            return Err(format!("{kept} Jobs of runs that are {result} are kept, the limit is {limit}"));
        }
    }
    Ok(())
}

/// At rest, a restart and a day later, nothing is written.
fn fixed_point(world: &mut World) -> Result<(), String> {
    let before = world.server.oracle.writes;
    world.apply(Action::Tick(86_400_000));
    for operator in 0..world.operators.len() {
        world.apply(Action::Crash(operator));
    }
    settle(world, true, &mut Faults::default())?;
    let written = world.server.oracle.writes - before;
    if written > 0 { Err(format!("{written} writes at rest")) } else { Ok(()) }
}
