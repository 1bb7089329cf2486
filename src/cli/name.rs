//! Names of JobRequests as people type them: `pi`, `jobrequest/pi`, `pi@3` for its third run.

/// Ways to write the kind in front of a name, as kubectl prints and takes it.
const KINDS: [&str; 5] =
    ["jobrequest.jobrequest.dev/", "jobrequests.jobrequest.dev/", "jobrequest/", "jobrequests/", "jr/"];

/// The name of a JobRequest, and maybe the number of one of its runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunName {
    pub(super) name: String,
    pub(super) run: Option<i32>,
}

/// A word is the name of a JobRequest, not of a file: it has no dot and no slash after the kind.
pub(super) fn bare(word: &str) -> Option<String> {
    let bare = KINDS.iter().find_map(|kind| word.strip_prefix(kind)).unwrap_or(word);
    (bare != "-" && !bare.contains(['.', '/'])).then(|| bare.to_owned())
}

/// A name with or without a run.
///
/// # Errors
/// The text is neither.
pub(super) fn run_name(word: &str) -> Result<RunName, String> {
    let (name, run) = match word.split_once('@') {
        None => (word, None),
        Some((name, number)) => match number.parse() {
            Ok(number) if number > 0 => (name, Some(number)),
            _ => return Err(format!("{number} is not the number of a run; write for example pi@3")),
        },
    };
    match bare(name) {
        Some(name) if !name.is_empty() => Ok(RunName { name, run }),
        _ => Err("not the name of a JobRequest".to_owned()),
    }
}

/// A name, without a run.
///
/// # Errors
/// The text is none.
pub(super) fn name(word: &str) -> Result<String, String> {
    match run_name(word)? {
        RunName { name, run: None } => Ok(name),
        RunName { .. } => Err("a run cannot be named here; leave @ and its number out".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_its_kind_and_a_run() {
        let named = |name: &str, run| Ok(RunName { name: name.to_owned(), run });
        assert_eq!(run_name("pi"), named("pi", None));
        assert_eq!(run_name("jr/pi@3"), named("pi", Some(3)));
        assert_eq!(run_name("jobrequest.jobrequest.dev/pi"), named("pi", None));
        for word in ["", "@3", "pi@", "pi@0", "pi@-1", "pi@x", "./pi", "pi.yaml", "-", "job/pi"] {
            assert!(run_name(word).is_err(), "{word}");
        }
        assert!(name("pi@3").is_err());
    }
}
