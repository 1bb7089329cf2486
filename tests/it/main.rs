//! Every test that needs no cluster, and no process of its own. A golden case is a test by the name of its folder:
//! `cargo test --test it reconcile::replace-is-decided-first`. With `BLESS=1` the tests write what comes out; read the
//! difference before you commit it.
//!
//! Takes the usual arguments of a test program (a filter, `--list`, `--test-threads`), returns its usual output and exit
//! code. A module of tests has a `pub(crate) fn tests() -> Vec<Trial>`, named in `main`, which lists its functions in
//! `tests![...]`: one that is not listed is dead code, which the lints refuse, or a property, which `suite` finds. The
//! attribute `#[test]` has no effect here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // tests are edges

#[macro_use]
mod support;

mod chart;
mod cli;
mod commands;
mod compile;
mod convert;
mod crds;
mod diagnosis;
mod form;
mod layer_properties;
mod manifests;
mod operating;
mod pipelines;
mod plan_properties;
mod policy;
mod policy_properties;
mod prose;
mod protocol;
mod reconcile;
mod reference;
mod schemas;
mod suite;
mod terminal;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    // Those that take longest begin first.
    let modules = [
        protocol::tests(),
        plan_properties::tests(),
        layer_properties::tests(),
        policy_properties::tests(),
        cli::tests(),
        chart::tests(),
        compile::tests(),
        convert::tests(),
        policy::tests(),
        reconcile::tests(),
        diagnosis::tests(),
        commands::tests(),
        form::tests(),
        crds::tests(),
        reference::tests(),
        schemas::tests(),
        pipelines::tests(),
        manifests::tests(),
        operating::tests(),
        terminal::tests(),
        prose::tests(),
        suite::tests(),
    ];
    libtest_mimic::run(&Arguments::from_args(), modules.into_iter().flatten().collect()).exit_code()
}
