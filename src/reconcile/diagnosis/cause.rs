//! How causes are made: what keeps a run from making progress, and how a failure of a pod is put together.

use super::hint;
use crate::api::condition::{FailureCategory, Obstacle, Reason};
use crate::api::failure::Failure;
use crate::reconcile::format::bounded_to;
use crate::reconcile::observed::PodView;

/// Maximum length of a message about a failure, in bytes: what the record of the newest run holds.
pub(super) const MAX_MESSAGE_BYTES: usize = 1024;
/// Maximum length of a native reason, in bytes.
pub(super) const MAX_REASON_BYTES: usize = 64;
/// Maximum length of the name of a pod, container or node, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 253;

/// What keeps a run from making progress.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cause {
    /// In one word.
    pub reason: Reason,
    /// The full description.
    pub failure: Failure,
}

/// A failure of which nothing but the category is known.
pub(super) const fn blank(category: FailureCategory) -> Failure {
    Failure {
        category,
        obstacle: None,
        container: None,
        is_init: None,
        pod: None,
        node: None,
        exit_code: None,
        signal: None,
        reason: None,
        message: None,
        attempts: None,
        hint: None,
    }
}

/// What keeps this pod from starting, with the reporter's own reason and message.
pub(super) fn blocked(
    category: FailureCategory,
    obstacle: Obstacle,
    pod: &PodView,
    reason: &str,
    message: &str,
) -> Failure {
    Failure { obstacle: Some(obstacle), ..in_pod(category, pod, reason, message, &hint::of(obstacle)) }
}

/// A failure of this pod, with the reporter's own reason and message.
pub(super) fn in_pod(
    category: FailureCategory,
    pod: &PodView,
    reason: &str,
    message: &str,
    hint: &str,
) -> Failure {
    let text = |text: &str, bytes: usize| (!text.is_empty()).then(|| bounded_to(text, bytes));
    Failure {
        pod: text(pod.name(), MAX_NAME_BYTES),
        node: pod.node.as_deref().and_then(|node| text(node, MAX_NAME_BYTES)),
        reason: text(reason, MAX_REASON_BYTES),
        message: text(message, MAX_MESSAGE_BYTES),
        hint: Some(hint.to_owned()),
        ..blank(category)
    }
}
