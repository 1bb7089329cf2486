//! What several modules of tests use.

pub(crate) mod alike;
pub(crate) mod difference;
pub(crate) mod golden;
pub(crate) mod policy_rows;

use std::path::Path;

use libtest_mimic::Trial;

/// The tests of the module that calls it, each under the module's name and its own.
macro_rules! tests {
    ($($test:ident),+ $(,)?) => {
        vec![$($crate::support::trial(module_path!(), stringify!($test), || { $test(); Ok(()) })),+]
    };
}

/// A test that is listed without the name of this program: `module::name`.
pub(crate) fn trial(
    module_path: &str,
    name: &str,
    run: impl FnOnce() -> Result<(), libtest_mimic::Failed> + Send + 'static,
) -> Trial {
    let module = module_path.split_once("::").map_or("", |(_, module)| module);
    Trial::test(format!("{module}::{name}"), run)
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
