//! Deterministic names. Never `generateName`: a create that is sent twice must collide with itself.

/// Name of the Job of a run: `<request>-<number>`.
#[must_use]
pub fn job_name(request: &str, run: i32) -> String {
    format!("{request}-{run}")
}
