//! The tests themselves: none is left out.

use std::fs;
use std::path::Path;

use libtest_mimic::Trial;

use crate::support::root;

pub(crate) fn tests() -> Vec<Trial> {
    tests![no_test_is_left_out, no_property_is_left_out]
}

fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    all
}

/// These programs have a main of their own, so what is marked with the attribute would silently not run.
fn no_test_is_left_out() {
    let attribute = concat!("#[", "test]");
    for folder in ["tests/it", "tests/cluster"] {
        let sources = sources(&root().join(folder));
        assert!(sources.len() > 20, "{folder}: only {} files were found", sources.len());
        for (path, text) in sources {
            let marked = text.lines().find(|line| line.trim_start().starts_with(attribute));
            assert!(marked.is_none(), "{path}: list the test in `tests![...]` in place of {attribute}");
        }
    }
}

/// A macro makes the functions of properties, so the lints do not see that one is never called.
fn no_property_is_left_out() {
    let mut count = 0;
    for (path, text) in sources(&root().join("tests/it")) {
        let list = text.split("tests![").nth(1).and_then(|rest| rest.split(']').next());
        let listed = list.unwrap_or_default();
        let mut is_property = false;
        for line in text.lines() {
            match line {
                "proptest! {" => is_property = true,
                "}" => is_property = false,
                _ => {}
            }
            let Some(function) = line.strip_prefix("    fn ").filter(|_| is_property) else { continue };
            let name = function.split('(').next().unwrap();
            let is_listed = listed.split(',').any(|test| test.trim() == name);
            assert!(is_listed, "{path}: list {name} in `tests![...]`");
            count += 1;
        }
    }
    assert!(count > 15, "only {count} properties were found");
}
