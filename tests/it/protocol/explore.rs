//! Schedules: drawn from a seed, replayed from a list, shrunk to a short one.

use jobrequest::reconcile::{Call, Change};

use super::heal::heal;
use super::mutant::Mutant;
use super::operator::View;
use super::rng::Rng;
use super::scenario::Scenario;
use super::server::{Progress, Server};
use super::world::{Action, User, World};

/// What one schedule came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What was wrong.
    pub violation: Option<String>,
    /// Actions and healing steps that happened, each a state that was judged.
    pub steps: usize,
    pub actions: Vec<Action>,
    pub trace: Vec<String>,
}

fn world(scenario: &Scenario, seed: u64, mutant: Option<Mutant>, is_traced: bool) -> World {
    let mut server = Server::new(mutant, scenario.ttl, scenario.policy);
    server.oracle.ignores_digests = mutant == Some(Mutant::DigestOfEverything);
    // A schedule in four has one operator; in half of them caches never go back.
    let operators = if seed.is_multiple_of(4) { 1 } else { 2 };
    let mut world = World::new(server, operators, seed.is_multiple_of(2), is_traced);
    world.apply(Action::User(User::Create));
    world
}

/// Draws and runs the schedule of `seed`.
pub fn run(scenario: &Scenario, seed: u64, mutant: Option<Mutant>) -> Outcome {
    let mut world = world(scenario, seed, mutant, false);
    let mut rng = Rng::new(seed);
    let mut outcome = Outcome::default();
    let (mut users, mut faults) = (scenario.users, scenario.faults);
    let length = 30 + rng.below(scenario.length);
    for _ in 0..length {
        let action = draw(&mut rng, &world, scenario, &mut faults, users);
        if !world.apply(action) {
            continue;
        }
        if matches!(action, Action::User(_)) {
            users = users.saturating_sub(1);
        }
        outcome.actions.push(action);
        if world.server.oracle.violation.is_some() {
            break;
        }
    }
    finish(&mut world, &mut outcome);
    outcome
}

fn finish(world: &mut World, outcome: &mut Outcome) {
    let calls = world.calls;
    outcome.violation = match world.server.oracle.violation.clone() {
        Some(violation) => Some(violation),
        None => heal(world).err(),
    };
    outcome.steps = outcome.actions.len() + world.calls - calls;
    outcome.trace = world.trace.take().unwrap_or_default();
}

/// Runs a given schedule.
pub fn replay(
    scenario: &Scenario,
    seed: u64,
    actions: &[Action],
    mutant: Option<Mutant>,
    is_traced: bool,
) -> Outcome {
    let mut world = world(scenario, seed, mutant, is_traced);
    let mut outcome = Outcome::default();
    for action in actions {
        if world.apply(*action) {
            outcome.actions.push(*action);
        }
        if world.server.oracle.violation.is_some() {
            break;
        }
    }
    finish(&mut world, &mut outcome);
    outcome
}

/// Leaves out what the violation does not need; returns the short schedule, in words.
pub fn shrink(scenario: &Scenario, seed: u64, actions: &[Action], mutant: Option<Mutant>) -> Outcome {
    let mut kept = actions.to_vec();
    let mut chunk = kept.len().div_ceil(2);
    loop {
        let mut start = 0;
        let mut shrunk = false;
        while start < kept.len() {
            let end = (start + chunk).min(kept.len());
            let fewer: Vec<Action> = kept[..start].iter().chain(&kept[end..]).copied().collect();
            if replay(scenario, seed, &fewer, mutant, false).violation.is_some() {
                kept = fewer;
                shrunk = true;
            } else {
                start = end;
            }
        }
        if chunk == 1 && !shrunk {
            break;
        }
        chunk = if shrunk { chunk } else { (chunk / 2).max(1) };
        chunk = chunk.min(kept.len().max(1));
    }
    replay(scenario, seed, &kept, mutant, true)
}

fn draw(rng: &mut Rng, world: &World, scenario: &Scenario, faults: &mut usize, users: usize) -> Action {
    match rng.below(100) {
        0..=9 if users > 0 => Action::User(scenario.acts[rng.below(scenario.acts.len())]),
        10..=21 => Action::Tick(pause(rng)),
        22..=27 => Action::Collect(rng.chance(50)),
        28..=41 => {
            let progress = match rng.below(10) {
                0..=3 => Progress::Start,
                4 => Progress::Ready,
                5..=7 => Progress::Complete,
                8 => Progress::Target,
                _ => Progress::Fail,
            };
            Action::Job(i32::try_from(1 + rng.below(scenario.runs)).unwrap(), progress)
        }
        42..=49 if world.in_flight() > 0 => Action::Land(rng.below(world.in_flight())),
        _ => operator(rng, world, scenario, faults),
    }
}

fn pause(rng: &mut Rng) -> u64 {
    match rng.below(20) {
        0..=4 => 100,
        5..=10 => 1000,
        11..=13 => 5000,
        14..=15 => 9900,
        16 => 31_000,
        17 => 66_000,
        _ => 121_000,
    }
}

fn operator(rng: &mut Rng, world: &World, scenario: &Scenario, faults: &mut usize) -> Action {
    let mut operator = rng.below(world.operators.len());
    let creates = world.operators[0].running.as_ref().is_some_and(|running| {
        running.sent.is_none() && matches!(running.call, Call::Change(Change::Create { .. }))
    });
    if scenario.hesitates && operator == 0 && creates && rng.chance(90) {
        operator = world.operators.len() - 1;
    }
    match world.operators[operator].running.as_ref().map(|running| running.sent.is_some()) {
        None => Action::Begin(operator, view(rng)),
        Some(true) if rng.chance(15) => Action::GiveUp(operator),
        Some(true) if *faults > 0 && rng.chance(10) => {
            *faults -= 1;
            Action::Crash(operator)
        }
        Some(true) => Action::Land(rng.below(world.in_flight())),
        Some(false) if *faults > 0 && rng.chance(8) => {
            *faults -= 1;
            match rng.below(5) {
                0 => Action::Fail(operator),
                1 | 2 => Action::LoseAnswer(operator),
                3 => Action::Crash(operator),
                _ => Action::CrashAfter(operator),
            }
        }
        Some(false) if rng.chance(12) => Action::Send(operator),
        Some(false) => Action::Call(operator),
    }
}

fn view(rng: &mut Rng) -> View {
    let lag = |rng: &mut Rng| match rng.below(10) {
        0..=4 => 0,
        5..=7 => rng.below(3),
        _ => rng.below(12),
    };
    View {
        request: lag(rng),
        jobs: lag(rng),
        salt: rng.below(10_000),
        words: rng.chance(50),
        template: lag(rng),
    }
}
