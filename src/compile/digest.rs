//! The digest that decides whether a spec requires a new run.
//!
//! It covers the request's own run-relevant fields, before layers: never the live Job (defaults and webhooks change
//! that), never the compiled Job (a template edit would rerun everything). What may change while a Job exists, what
//! only people read, and what only clean-up reads is left out; the rest counts by its meaning, see [`canonical`].

use sha2::{Digest as _, Sha256};

use super::canonical;
use crate::api::JobRequestSpec;
use crate::api::settings::Settings;

/// How the digest is computed: a new number where specs that exist get another digest. A record of an older scheme is
/// compared by that scheme, so that an upgrade starts no run.
const SCHEME: &str = "2";
/// The scheme of the first release: the spec as it was written.
const FIRST_SCHEME: &str = "1";

/// The digest of `spec`, as `<scheme>:<16 hexadecimal digits>`.
#[must_use]
pub fn digest(spec: &JobRequestSpec) -> String {
    let canonical = canonical::spec(serde_json::to_value(relevant(spec)).unwrap_or_default());
    format!("{SCHEME}:{}", short_hash(canonical.to_string().as_bytes()))
}

/// The digest of `spec` as the first release computed it.
#[must_use]
pub fn first_digest(spec: &JobRequestSpec) -> String {
    let mut relevant = relevant(spec);
    relevant.settings = relevant.settings.filter(|settings| *settings != Settings::default());
    // A spec is made of strings, numbers, lists and maps with string keys: it always has a JSON form.
    let written = serde_json::to_vec(&relevant).unwrap_or_default();
    format!("{FIRST_SCHEME}:{}", short_hash(&written))
}

/// The scheme of a recorded digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// That of [`digest`].
    Current,
    /// That of [`first_digest`].
    First,
    /// That of another release: it says nothing about changes.
    Unknown,
}

impl Scheme {
    /// Of a recorded digest.
    #[must_use]
    pub fn of(recorded: &str) -> Self {
        match recorded.split_once(':') {
            Some((SCHEME, _)) => Self::Current,
            Some((FIRST_SCHEME, _)) => Self::First,
            _ => Self::Unknown,
        }
    }
}

/// Whether `spec` has the recorded digest; none where another release has computed it.
#[must_use]
pub fn is_digest_of(recorded: &str, spec: &JobRequestSpec) -> Option<bool> {
    match Scheme::of(recorded) {
        Scheme::Current => Some(digest(spec) == recorded),
        Scheme::First => Some(first_digest(spec) == recorded),
        Scheme::Unknown => None,
    }
}

/// `spec` without what changes nothing about a run.
fn relevant(spec: &JobRequestSpec) -> JobRequestSpec {
    let mut relevant = spec.clone();
    relevant.alias = None;
    relevant.description = None;
    relevant.suspend = None;
    relevant.rerun = None;
    relevant.run_policy = None;
    if let Some(settings) = &mut relevant.settings {
        settings.parallelism = None;
        settings.backoff_limit = None;
        settings.active_deadline_seconds = None;
        settings.max_failed_indexes = None;
        settings.pod_replacement_policy = None;
        settings.start_deadline_seconds = None;
        settings.ttl_seconds_after_finished = None;
        settings.ttl_seconds_after_failed = None;
    }
    relevant
}

/// The first 16 hexadecimal digits of the SHA-256 of `bytes`.
#[must_use]
pub fn short_hash(bytes: &[u8]) -> String {
    let first = Sha256::digest(bytes).first_chunk().copied().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line of a table: a spec, and the same after an edit.
    fn edits(table: &str) -> Vec<(JobRequestSpec, JobRequestSpec, &str)> {
        let spec = |yaml: &str| -> JobRequestSpec { serde_saphyr::from_str(&format!("{{{yaml}}}")).unwrap() };
        let lines = table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines
            .map(|line| {
                let (before, after) = line.split_once(" => ").unwrap();
                (spec(before), spec(after), line)
            })
            .collect()
    }

    #[test]
    fn is_stable_across_releases() {
        // A changed value here would run every request of every cluster once more at the upgrade.
        let spec = serde_saphyr::from_str("{containers: [{name: pi, image: 'perl:5.24.4'}]}").unwrap();
        assert_eq!(digest(&spec), "2:d8c18d27ae90edf5");
        assert_eq!(first_digest(&spec), "1:7bbaf89e4b04f886");
    }

    #[test]
    fn edits_that_mean_nothing_are_no_change() {
        let table = edits(include_str!("../../tests/digest/edits-that-mean-nothing.txt"));
        assert!(table.len() >= 30, "{}", table.len());
        let changed: Vec<&str> = (table.iter())
            .filter(|(before, after, _)| before == after || digest(before) != digest(after))
            .map(|(.., line)| *line)
            .collect();
        assert!(changed.is_empty(), "{changed:#?}");
    }

    #[test]
    fn edits_that_mean_something_are_a_change() {
        let table = edits(include_str!("../../tests/digest/edits-that-mean-something.txt"));
        assert!(table.len() >= 30, "{}", table.len());
        let unchanged: Vec<&str> = (table.iter())
            .filter(|(before, after, _)| digest(before) == digest(after))
            .map(|(.., line)| *line)
            .collect();
        assert!(unchanged.is_empty(), "{unchanged:#?}");
    }

    #[test]
    fn empty_settings_are_no_settings() {
        assert_eq!(
            digest(&JobRequestSpec { settings: Some(Settings::default()), ..Default::default() }),
            digest(&JobRequestSpec::default())
        );
    }
}
