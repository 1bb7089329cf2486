//! The tests which need a real API server. One control plane with simulated nodes serves them all.
//!
//! Takes the usual arguments of a test program (a filter, `--list`, `--test-threads`), returns its usual output
//! and exit code. Needs the programs that `make cluster-bin` builds; without them it fails, it never skips.
//! A module of tests is a file beside this one with `pub(crate) fn tests() -> Vec<Test>`, named in `modules`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // tests are edges

#[macro_use]
mod support;

mod admission;
mod announced;
mod audit;
mod both_ways;
mod campaign;
mod chart;
mod cli;
mod crashes;
mod create;
mod diagnosis;
mod diff;
mod edits;
mod fairness;
mod figures;
mod gitops;
mod golden;
mod host_names;
mod hostile;
#[cfg(target_os = "linux")]
mod image;
mod in_place;
mod leadership;
mod limits;
mod logs;
mod metrics;
mod old_objects;
mod outages;
mod pace;
mod platform;
mod policy;
mod reading;
mod refusals;
mod reruns;
mod restores;
mod rights;
mod runs;
mod scale;
mod schema;
mod sizes;
mod stolen_token;
mod stuck;
mod taken_back;
mod templates;
mod terminating;
mod traps;
mod ttl;
mod two_operators;
mod upgrade;
mod verdicts;
mod waits;
mod workloads;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};

use support::{ControlPlane, Test};

/// Every module of tests, with the name its tests are listed under.
fn modules() -> Vec<(&'static str, Vec<Test>)> {
    vec![
        // These wait for long, so they begin first.
        ("campaign", campaign::tests()),
        ("refusals", refusals::tests()),
        ("ttl", ttl::tests()),
        ("rights", rights::tests()),
        ("cli", cli::tests()),
        ("logs", logs::tests()),
        ("audit", audit::tests()),
        ("diff", diff::tests()),
        ("edits", edits::tests()),
        ("create", create::tests()),
        ("hostile", hostile::tests()),
        ("traps", traps::tests()),
        ("both_ways", both_ways::tests()),
        ("fairness", fairness::tests()),
        ("upgrade", upgrade::tests()),
        ("chart", chart::tests()),
        ("admission", admission::tests()),
        ("announced", announced::tests()),
        ("stolen_token", stolen_token::tests()),
        ("gitops", gitops::tests()),
        #[cfg(target_os = "linux")]
        ("image", image::tests()),
        ("templates", templates::tests()),
        ("terminating", terminating::tests()),
        ("platform", platform::tests()),
        ("runs", runs::tests()),
        ("reruns", reruns::tests()),
        ("in_place", in_place::tests()),
        ("waits", waits::tests()),
        ("host_names", host_names::tests()),
        ("restores", restores::tests()),
        ("taken_back", taken_back::tests()),
        ("schema", schema::tests()),
        ("golden", golden::tests()),
        ("policy", policy::tests()),
        ("reading", reading::tests()),
        ("verdicts", verdicts::tests()),
        ("outages", outages::tests()),
        ("pace", pace::tests()),
        ("old_objects", old_objects::tests()),
        ("crashes", crashes::tests()),
        ("two_operators", two_operators::tests()),
        ("diagnosis", diagnosis::tests()),
        ("leadership", leadership::tests()),
        ("limits", limits::tests()),
        ("sizes", sizes::tests()),
        ("stuck", stuck::tests()),
        ("metrics", metrics::tests()),
        ("scale", scale::tests()),
        // These count calls of one run on a cluster that has time for it.
        ("figures", figures::tests()),
    ]
}

/// Enough to overlap the waiting, little enough for the control plane on two cores.
const THREADS: usize = 10;

/// How many of the longest tests are named after a run.
const SLOWEST: usize = 12;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);

    // The trials share the control plane, which starts only if one of them will run.
    let control_plane = Arc::new(ControlPlane::new());
    let took = Arc::new(Mutex::new(Vec::new()));
    let trials: Vec<Trial> = modules()
        .into_iter()
        .flat_map(|(module, tests)| tests.into_iter().map(move |test| (module, test)))
        .map(|(module, test)| {
            let name = format!("{module}::{}", test.name());
            let title = name.clone();
            let control_plane = Arc::clone(&control_plane);
            let took = Arc::clone(&took);
            let is_slow = test.is_slow();
            let run = move || {
                let began = Instant::now();
                let outcome = test.run(&name, control_plane);
                took.lock().expect("nobody panics with it").push((began.elapsed(), name));
                outcome
            };
            Trial::test(title, run).with_ignored_flag(is_slow)
        })
        .collect();
    let needed = !arguments.list
        && trials.iter().any(|trial| !arguments.is_filtered_out(trial) && !arguments.is_ignored(trial));
    if !needed {
        return libtest_mimic::run(&arguments, trials).exit_code();
    }

    if let Err(problem) = control_plane.start() {
        eprintln!("cluster tests: {problem}");
        return ExitCode::FAILURE;
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    control_plane.stop(conclusion.has_failed());
    tell_slowest(took.lock().expect("nobody panics with it").clone());
    conclusion.exit_code()
}

/// For whom the run takes too long.
fn tell_slowest(mut took: Vec<(Duration, String)>) {
    took.sort_unstable_by(|one, other| other.cmp(one));
    let sum: Duration = took.iter().map(|(time, _)| *time).sum();
    eprintln!("{} s of tests; the longest:", sum.as_secs());
    for (time, name) in took.iter().take(SLOWEST) {
        eprintln!("{:>5} s {name}", time.as_secs());
    }
}
