//! Golden cases: folders whose committed files say what comes out. `BLESS=1` writes what comes out.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};

/// The folders of cases below `folder`, which is one of tests/, in order.
pub(crate) fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = super::root().join("tests").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut cases: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty(), "{} has no cases", folder.display());
    cases
}

/// One test for each case below `folder`, by the name of the case. `run` returns the files that differ, see [`compare`].
pub(crate) fn trials(
    module_path: &str,
    folder: &str,
    run: fn(&Path) -> Vec<Option<String>>,
) -> impl Iterator<Item = Trial> {
    cases(folder).into_iter().map(move |case| {
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        super::trial(module_path, &name, move || all_current(run(&case)))
    })
}

/// Fails when there is a file in the case that nothing reads: its name has a slip.
pub(crate) fn has_only(case: &Path, names: &[&str]) {
    for entry in fs::read_dir(case).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(names.iter().any(|known| name == *known), "nothing reads {}", name.display());
    }
}

/// The committed files are to be written anew.
pub(crate) fn is_blessing() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// Compares a committed file with what came out, and returns the difference. A file that is not there is an empty one.
pub(crate) fn compare(path: &Path, now: &str) -> Option<String> {
    if is_blessing() {
        if now.is_empty() {
            let _ = fs::remove_file(path);
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, now).unwrap();
        }
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    (committed != now).then(|| {
        let difference = similar_asserts::SimpleDiff::from_str(&committed, now, "committed", "now");
        let path = path.strip_prefix(super::root()).unwrap_or(path).display();
        format!("{path} differs (if this is meant, run with BLESS=1)\n{difference}")
    })
}

/// Fails with all differences at once.
pub(crate) fn all_current(differences: impl IntoIterator<Item = Option<String>>) -> Result<(), Failed> {
    let wrong: Vec<_> = differences.into_iter().flatten().collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(wrong.join("\n").into())
}
