//! Whether a request and its Job fit into what the API server stores: about 1.5 MiB for one object, with its status.
//!
//! Takes the spec as its user wrote it, and the Job; returns what is too large. The API server would refuse the Job, or
//! later a status, in words that do not say what to do.

use std::io::{self, Write};

use k8s_openapi::api::batch::v1::Job;
use serde::Serialize;

use super::problem::Problem;
use crate::api::JobRequestSpec;

/// Maximum length of a spec as JSON, in bytes: 128 KiB are left for status and metadata.
pub const MAX_SPEC: usize = 1_441_792;
/// Maximum length of a Job as JSON, in bytes; it is stored in a shorter form.
pub const MAX_JOB: usize = 1_500_000;

/// What to do about it.
const WAY_OUT: &str = "move long values into a ConfigMap or Secret, and refer to it by configRef";

/// Judges the sizes of `spec` and `job`.
pub(super) fn judge(spec: &JobRequestSpec, job: &Job) -> Vec<Problem> {
    let of_spec = length(spec);
    if of_spec > MAX_SPEC {
        let message =
            format!("has {of_spec} bytes as JSON, and at most {MAX_SPEC} fit beside its status; {WAY_OUT}");
        return vec![Problem::new("spec", message)];
    }
    let of_job = length(job);
    if of_job > MAX_JOB {
        let message = format!(
            "makes a Job of {of_job} bytes as JSON with what its templates add, and the API server stores at most {MAX_JOB}; {WAY_OUT}"
        );
        return vec![Problem::new("spec", message)];
    }
    Vec::new()
}

fn length(value: &impl Serialize) -> usize {
    let mut counter = Counter(0);
    // Nothing that is serialized here can fail, and neither can the counter.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

/// Counts bytes.
struct Counter(usize);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(bytes: usize) -> JobRequestSpec {
        let variables: Vec<_> = (0..bytes / 30_000)
            .map(|number| json!({"name": format!("V{number}"), "value": "x".repeat(30_000)}))
            .collect();
        serde_json::from_value(json!({"containers": [{"name": "a", "env": variables}]})).unwrap()
    }

    #[test]
    fn what_is_too_large_is_a_problem_with_its_size() {
        let job = Job::default();
        assert_eq!(judge(&spec(1_410_000), &job), []);
        let problems = judge(&spec(1_470_000), &job);
        let message = problems.first().unwrap().to_string();
        assert!(message.starts_with("spec: has 147") && message.contains("configRef"), "{message}");
        let mut large = Job::default();
        large.metadata.annotations = Some([("a".to_owned(), "x".repeat(MAX_JOB))].into());
        let message = judge(&spec(0), &large).first().unwrap().to_string();
        assert!(message.starts_with("spec: makes a Job of 1500"), "{message}");
    }

    #[test]
    fn lengths_are_those_of_the_json() {
        let spec = spec(60_000);
        assert_eq!(length(&spec), serde_json::to_vec(&spec).unwrap().len());
    }
}
