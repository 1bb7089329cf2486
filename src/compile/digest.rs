//! The digest that decides whether a spec requires a new run.
//!
//! It covers the request's own run-relevant fields, before layers: never the live Job (defaults and webhooks change
//! that), never the compiled Job (a template edit would rerun everything). What may change while a Job exists, what
//! only people read, and what only clean-up reads is left out.

use sha2::{Digest as _, Sha256};

use crate::api::JobRequestSpec;

/// How the digest is computed. A digest of another scheme says nothing about changes; increment this if the fields
/// below change for existing specs.
const SCHEME: &str = "1";

/// The digest of `spec`, as `<scheme>:<16 hexadecimal digits>`.
#[must_use]
pub fn digest(spec: &JobRequestSpec) -> String {
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
        if *settings == crate::api::settings::Settings::default() {
            relevant.settings = None;
        }
    }
    // A spec is made of strings, numbers, lists and maps with string keys: it always has a JSON form.
    let canonical = serde_json::to_vec(&relevant).unwrap_or_default();
    format!("{SCHEME}:{}", short_hash(&canonical))
}

/// True when `recorded` was computed as [`digest`] computes now.
#[must_use]
pub fn same_scheme(recorded: &str) -> bool {
    recorded.split_once(':').is_some_and(|(scheme, _)| scheme == SCHEME)
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
    use crate::api::settings::Settings;

    fn spec(yaml: &str) -> JobRequestSpec {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn is_stable_across_releases() {
        // A changed value here would run every request of every cluster once more at the upgrade.
        assert_eq!(digest(&spec("{containers: [{name: pi, image: 'perl:5.24.4'}]}")), "1:7bbaf89e4b04f886");
    }

    #[test]
    fn ignores_what_changes_nothing_about_a_run() {
        let plain = spec("{containers: [{name: pi, image: 'perl:5.24.4'}]}");
        for same in [
            "{alias: 圆周率, containers: [{name: pi, image: 'perl:5.24.4'}]}",
            "{description: x, suspend: true, containers: [{name: pi, image: 'perl:5.24.4'}]}",
            "{settings: {parallelism: 3, backoffLimit: 1, activeDeadlineSeconds: 9}, containers: [{name: pi, image: 'perl:5.24.4'}]}",
            "{rerun: today, runPolicy: {onSpecChange: Hold}, containers: [{name: pi, image: 'perl:5.24.4'}]}",
            "{settings: {startDeadlineSeconds: 9}, containers: [{name: pi, image: 'perl:5.24.4'}]}",
            "{settings: {ttlSecondsAfterFinished: 3, ttlSecondsAfterFailed: 1}, containers: [{name: pi, image: 'perl:5.24.4'}]}",
        ] {
            assert_eq!(digest(&spec(same)), digest(&plain), "{same}");
        }
    }

    #[test]
    fn sees_everything_else() {
        let plain = spec("{containers: [{name: pi, image: 'perl:5.24.4'}]}");
        for other in [
            "{containers: [{name: pi, image: 'perl:5.36'}]}",
            "{labels: {a: b}, containers: [{name: pi, image: 'perl:5.24.4'}]}",
            "{settings: {completions: 2}, containers: [{name: pi, image: 'perl:5.24.4'}]}",
            "{overrides: {template: {}}, containers: [{name: pi, image: 'perl:5.24.4'}]}",
        ] {
            assert_ne!(digest(&spec(other)), digest(&plain), "{other}");
        }
    }

    #[test]
    fn empty_settings_are_no_settings() {
        assert_eq!(
            digest(&JobRequestSpec { settings: Some(Settings::default()), ..Default::default() }),
            digest(&JobRequestSpec::default())
        );
    }
}
