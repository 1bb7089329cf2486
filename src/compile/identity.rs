//! The JobRequest that a Job is compiled for.

use crate::api::status::HandledRerun;

/// The parts of a JobRequest's metadata that go into its Jobs.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// `metadata.name`.
    pub name: &'a str,
    /// `metadata.namespace`; absent offline.
    pub namespace: Option<&'a str>,
    /// `metadata.uid`; absent offline, then the Job has no owner.
    pub uid: Option<&'a str>,
    /// `metadata.generation`; absent offline.
    pub generation: Option<i64>,
    /// The rerun tokens that are handled with the run; absent offline.
    pub handled: Option<&'a HandledRerun>,
}
