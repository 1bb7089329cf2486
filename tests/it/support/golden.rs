//! Golden cases: folders whose committed files say what comes out. `BLESS=1` writes what comes out. The first line of a
//! case says what it holds: `# Given ..., when ..., then ...`.

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

/// One test for each case below `folder`, by the name of the case. `first` is the file that begins with its sentence;
/// `run` returns the files that differ, see [`compare`].
pub(crate) fn trials(
    module_path: &str,
    folder: &str,
    first: &'static str,
    run: fn(&Path) -> Vec<Option<String>>,
) -> impl Iterator<Item = Trial> {
    cases(folder).into_iter().map(move |case| {
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        super::trial(module_path, &name, move || {
            let sentence = sentence(&case.join(first))?;
            let wrong: Vec<_> = run(&case).into_iter().flatten().collect();
            if wrong.is_empty() { Ok(()) } else { Err(format!("{sentence}\n{}", wrong.join("\n")).into()) }
        })
    })
}

/// The sentence at the head of a file.
fn sentence(file: &Path) -> Result<String, Failed> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    match first.strip_prefix("# ") {
        Some(sentence) if is_sentence(sentence) => Ok(sentence.to_owned()),
        _ => {
            let file = file.strip_prefix(super::root()).unwrap_or(file).display();
            Err(format!("{file} begins with {first:?}, not with # Given ..., when ..., then ....").into())
        }
    }
}

fn is_sentence(text: &str) -> bool {
    let parts = text.strip_prefix("Given ").and_then(|text| text.split_once(", when "));
    parts.is_some_and(|(_, text)| text.contains(", then ") && text.ends_with('.'))
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
