//! What all calls to the API server have in common: the deadline, and who sends them.

use std::future::Future;

use kube::api::{PatchParams, PostParams};

use super::error::Error;
use crate::api::labels;
use crate::reconcile::CALL_DEADLINE;

/// Waits for a call, until the deadline.
///
/// # Errors
/// No answer in time to the attempt to do `what`.
pub(super) async fn within<T>(
    what: &'static str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<Result<T, kube::Error>, Error> {
    tokio::time::timeout(CALL_DEADLINE, call)
        .await
        .map_err(|_| Error::Deadline { what, deadline: CALL_DEADLINE })
}

pub(super) fn post_params() -> PostParams {
    PostParams { field_manager: Some(labels::FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

pub(super) fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(labels::FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}
