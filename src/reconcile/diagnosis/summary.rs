//! A failure in a sentence, whether two have the same cause, and which is more specific.

use std::fmt::Write;

use super::cause::MAX_MESSAGE_BYTES;
use crate::api::condition::{FailureCategory, Obstacle};
use crate::api::failure::Failure;
use crate::reconcile::format::{bounded_to, in_one_line, last_output};
use crate::reconcile::observed::JobView;

/// `failure` in one line of at most `bytes`: what failed, how, and the reporter's message.
pub(super) fn sentence(failure: &Failure, bytes: usize) -> String {
    let subject = match (&failure.container, &failure.pod) {
        (Some(container), Some(pod)) => {
            let kind = if failure.is_init == Some(true) { "init container" } else { "container" };
            format!("{kind} {container} of pod {pod}")
        }
        (None, Some(pod)) => format!("pod {pod}"),
        (_, None) => String::new(),
    };
    let said = failure.message.as_deref().map(in_one_line).unwrap_or_default();
    let reason = failure.reason.as_deref().unwrap_or_default();
    let node = |preposition: &str| failure.node.as_deref().map(|node| format!(" {preposition} node {node}"));
    let pod = failure.pod.as_deref().unwrap_or_default();
    let head = match failure.category {
        // The message says all of it.
        FailureCategory::Deadline if reason == "DeadlineExceeded" && failure.exit_code.is_some() => subject,
        FailureCategory::Deadline
        | FailureCategory::StartDeadline
        | FailureCategory::PolicyRule
        | FailureCategory::LimitsExceeded
        | FailureCategory::JobForbidden
        | FailureCategory::Lost => String::new(),
        FailureCategory::PodsForbidden => "the Job is not allowed to create pods".to_owned(),
        FailureCategory::Evicted => {
            let from = node("from").unwrap_or_else(|| " away".to_owned());
            format!("pod {pod} was taken{from}: {reason}")
        }
        FailureCategory::NodeLost => {
            format!("pod {pod} was lost{}: {reason}", node("with").unwrap_or_default())
        }
        FailureCategory::OOMKilled => format!("{subject} was OOMKilled: it used more memory than its limit"),
        FailureCategory::AppError if reason == "StartError" => format!("{subject} could not start"),
        _ if failure.exit_code.is_some() => {
            let code = failure.exit_code.unwrap_or_default();
            let signal = failure.signal.map(|signal| format!(" (signal {signal})")).unwrap_or_default();
            format!("{subject} exited with {code}{signal}")
        }
        _ if subject.is_empty() && reason == "FailedCreate" => {
            "the Job is not allowed to create pods".to_owned()
        }
        _ if subject.is_empty() => String::new(),
        _ => format!("{subject}: {reason}"),
    };
    let mut head = head.trim_end_matches([':', ' ']).to_owned();
    if !head.is_empty() && !said.is_empty() {
        head.push_str(": ");
    }
    let tail = failure.attempts.filter(|attempts| *attempts > 1);
    let tail = tail.map(|attempts| format!(" (attempts: {attempts})")).unwrap_or_default();
    let room = bytes.saturating_sub(head.len() + tail.len());
    let is_output = failure.category == FailureCategory::AppError && failure.exit_code.is_some();
    let said = if is_output { last_output(&said, room) } else { bounded_to(&said, room) };
    // Writing to a string cannot fail.
    let _ = write!(head, "{said}{tail}");
    bounded_to(&head, bytes)
}

/// `failure`, the newest one of a run that continues, in one line: how many pods of `job` have failed, and how the last one
/// did.
pub(super) fn failing(failure: &Failure, job: &JobView) -> String {
    let failed = failure.attempts.unwrap_or_default();
    let limit = job.spec.backoff_limit.filter(|limit| *limit < i32::MAX);
    let head = match limit {
        _ if failed == 0 => "the last attempt has failed: ".to_owned(),
        Some(limit) if job.spec.completions == Some(1) => {
            let have = if failed == 1 { "has" } else { "have" };
            format!("{failed} of {} attempts {have} failed, the last: ", limit.saturating_add(1))
        }
        Some(limit) => format!("failed pods: {failed} (backoffLimit: {limit}), the last: "),
        None => format!("failed pods: {failed}, the last: "),
    };
    let last = Failure { attempts: None, ..failure.clone() };
    let room = MAX_MESSAGE_BYTES.saturating_sub(head.len());
    head + &sentence(&last, room)
}

/// Both describe the same cause, so that what was recorded first stays: alternating wording is not a change. What names a
/// missing object or a volume is always taken anew, because the next one is news.
pub(super) fn is_same_cause(recorded: &Failure, now: &Failure) -> bool {
    let names_an_object = now.obstacle.is_some_and(Obstacle::names_an_object);
    let cause = |failure: &Failure| (failure.category, failure.obstacle, failure.exit_code);
    !names_an_object
        && cause(recorded) == cause(now)
        && (&recorded.pod, &recorded.container) == (&now.pod, &now.container)
}

/// How specific a failure is. A tie goes to what was recorded first.
pub(super) fn specificity(failure: &Failure) -> usize {
    let is_known = failure.category != FailureCategory::Unknown;
    usize::from(is_known) * 4
        + usize::from(failure.pod.is_some()) * 2
        + usize::from(failure.container.is_some())
        + usize::from(failure.message.is_some())
}
