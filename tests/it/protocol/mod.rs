//! The run protocol as a model: the real plan against an API server in memory.
//!
//! The very [`jobrequest::reconcile::Reconciler`] that the controller performs is driven here against a server with
//! compare-and-set, uids, 409, garbage collection and a Job controller. Views may be any older version, operators die
//! before and after each write, answers get lost, calls land late, two operators act at once, and users delete,
//! strip, wipe and re-create. After every schedule the world must heal. Mutants prove that the checker would notice.
//!
//! `PROTOCOL_SCHEDULES` sets how many schedules each scenario gets; `PROTOCOL_REPLAY=scenario:seed` shows one.

mod crash;
mod explore;
mod heal;
mod mutant;
mod operator;
mod oracle;
mod rng;
mod scenario;
mod server;
mod spec;
mod world;

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use libtest_mimic::Trial;

use mutant::Mutant;
use scenario::{SCENARIOS, Scenario};

pub(crate) fn tests() -> Vec<Trial> {
    tests![every_mutant_dies, no_schedule_breaks_the_protocol, a_crash_at_any_call_changes_nothing]
}

/// Says it past the test harness, which would swallow it.
fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

fn fail(scenario: &Scenario, seed: u64, outcome: &explore::Outcome) -> ! {
    let short = explore::shrink(scenario, seed, &outcome.actions, None);
    let trace = short.trace.join("\n");
    panic!(
        "{}\nreplay with PROTOCOL_REPLAY={}:{seed}; shrunk to: {}\n{trace}\n{:#?}",
        outcome.violation.as_deref().unwrap_or_default(),
        scenario.name,
        short.violation.as_deref().unwrap_or_default(),
        short.actions,
    );
}

fn no_schedule_breaks_the_protocol() {
    if let Ok(replay) = std::env::var("PROTOCOL_REPLAY") {
        let (name, seed) = replay.split_once(':').unwrap();
        let (scenario, seed) = (scenario::named(name), seed.parse().unwrap());
        let outcome = explore::run(scenario, seed, None);
        if outcome.violation.is_some() {
            fail(scenario, seed, &outcome);
        }
        return;
    }
    let count: u64 =
        std::env::var("PROTOCOL_SCHEDULES").ok().and_then(|count| count.parse().ok()).unwrap_or(80);
    let begun = Instant::now();
    let mut steps = 0;
    let mut failures = Vec::new();
    for scenario in &SCENARIOS {
        for seed in 0..count {
            let outcome = explore::run(scenario, seed, None);
            steps += outcome.steps;
            if outcome.violation.is_some() {
                if std::env::var("PROTOCOL_ALL").is_err() {
                    fail(scenario, seed, &outcome);
                }
                failures.push((scenario.name, seed, outcome.violation.clone().unwrap()));
            }
        }
    }
    for (name, seed, violation) in &failures {
        say(&format!("{name}:{seed} {violation}"));
    }
    assert!(failures.is_empty());
    say(&format!(
        "run protocol: {} schedules of {} scenarios explored, {steps} steps, in {:.1?}",
        count * SCENARIOS.len() as u64,
        SCENARIOS.len(),
        begun.elapsed()
    ));
}

fn a_crash_at_any_call_changes_nothing() {
    let begun = Instant::now();
    match crash::enumerate() {
        Ok(schedules) => say(&format!(
            "run protocol: {schedules} crash schedules of {} workloads, in {:.1?}",
            crash::WORKLOADS.len(),
            begun.elapsed()
        )),
        Err(error) => panic!("{error}"),
    }
}

fn every_mutant_dies() {
    let budget: u64 =
        std::env::var("PROTOCOL_MUTANT_SCHEDULES").ok().and_then(|count| count.parse().ok()).unwrap_or(1000);
    let mut table = String::from("rule  after  scenario          what is taken away -> what was noticed\n");
    let mut survivors = Vec::new();
    let only = std::env::var("PROTOCOL_MUTANT").ok();
    for mutant in Mutant::ALL {
        if only.as_ref().is_some_and(|only| *only != format!("{mutant:?}")) {
            continue;
        }
        let (rule, what, name) = mutant.what();
        let scenario = scenario::named(name);
        let killed = (0..budget).find_map(|seed| {
            explore::run(scenario, seed, Some(mutant)).violation.map(|violation| (seed + 1, violation))
        });
        match killed {
            Some((after, violation)) => {
                let _ = writeln!(table, "{rule:>4} {after:>6}  {name:<16}  {what} -> {violation}");
            }
            None => survivors.push(format!("{rule}: {what} ({mutant:?})")),
        }
    }
    say(&table);
    assert!(survivors.is_empty(), "mutants that survived {budget} schedules: {survivors:#?}");
}
