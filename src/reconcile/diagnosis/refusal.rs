//! A Job that makes no pods -> what refuses them. Only events tell: they are asked for, with growing pauses.

use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;

use super::{Cause, blank};
use crate::api::condition::{FailureCategory, Reason};
use crate::api::failure::Failure;
use crate::reconcile::observed::{Clock, EventView, EventsOf, JobView, Memory, Observed, Refusal};
use crate::reconcile::planned::Read;
use crate::reconcile::text::bounded_to;

/// How long a Job may take to make its first pod before anybody is asked.
const PATIENCE: Duration = Duration::from_secs(5);
/// First and longest pause between two questions; it doubles.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// Longest message, in bytes.
const MESSAGE: usize = 1024;

const QUOTA: &str = "the namespace's ResourceQuota is used up: wait, ask for less, or have it raised; the Job controller tries again by itself";
const SECURITY: &str = "the namespace's Pod Security level forbids this pod: set podSecurity: restricted, or change what it names";
const ACCOUNT: &str =
    "create the ServiceAccount in the namespace of the JobRequest, or correct serviceAccountName";
const ADMISSION: &str =
    "a webhook or admission policy of the cluster refuses the pod: do what it says, or ask who runs it";
const OTHER: &str =
    "the API server refuses the Job's pods: do what it says; the Job controller tries again by itself";

/// What to do about a Job that has made no pod.
pub(in crate::reconcile) enum Look {
    /// Ask.
    Ask(Read),
    /// Not yet, or not again; when to look.
    Later(Duration),
    /// It needs no look.
    No,
}

/// Looks whether `job` makes no pods though it wants some, and whether to ask why.
pub(in crate::reconcile) fn look(observed: &Observed, job: &JobView, clock: Clock) -> Look {
    let Some(start) = job.status.start_time.as_ref().filter(|_| makes_none(observed, job)) else {
        return Look::No;
    };
    let patience = SignedDuration::try_from(PATIENCE).unwrap_or_default();
    let age = clock.now.duration_since(start.0).max(SignedDuration::ZERO);
    if let Some(left) = patience.checked_sub(age).filter(SignedDuration::is_positive) {
        return Look::Later(Duration::try_from(left).unwrap_or(PATIENCE));
    }
    let of = question(job);
    if was_asked(observed, job) {
        let until = observed.memory.refusal.as_ref().map_or(Duration::ZERO, |asked| asked.until);
        return Look::Later(until.saturating_sub(clock.uptime).max(PAUSE.0));
    }
    let paused =
        observed.memory.refusal.as_ref().filter(|asked| asked.of == of && clock.uptime < asked.until);
    match paused {
        Some(asked) => Look::Later(asked.until.saturating_sub(clock.uptime)),
        None => Look::Ask(Read::Events(of)),
    }
}

/// The Job wants pods and never had one.
pub(super) fn makes_none(observed: &Observed, job: &JobView) -> bool {
    let status = &job.status;
    let counted = [status.active, status.ready, status.succeeded, status.failed];
    let is_idle = job.spec.suspend == Some(true)
        || job.spec.parallelism == Some(0)
        || job.is_ending()
        || job.is_terminal()
        || job.is_terminating();
    !is_idle
        && counted.iter().all(|count| count.is_none_or(|count| count <= 0))
        && !observed.pods.iter().any(|pod| pod.is_controlled_by(job.uid()))
}

fn question(job: &JobView) -> EventsOf {
    EventsOf { uid: job.uid().to_owned(), reason: "FailedCreate" }
}

/// Notes that `of` was asked.
pub(in crate::reconcile) fn asked(memory: &mut Memory, of: &EventsOf, clock: Clock) {
    let before = memory.refusal.as_ref().filter(|asked| asked.of == *of).map_or(0, |asked| asked.count);
    let (first, longest) = PAUSE;
    let pause = first.saturating_mul(2_u32.saturating_pow(before)).min(longest);
    let count = before.saturating_add(1);
    memory.refusal = Some(Refusal { of: of.clone(), count, until: clock.uptime.saturating_add(pause) });
}

/// Somebody was asked in this pass about `job`.
pub(super) fn was_asked(observed: &Observed, job: &JobView) -> bool {
    observed.answers.events.as_ref().is_some_and(|(of, _)| *of == question(job))
}

/// What was answered in this pass about `job`.
pub(super) fn answered(observed: &Observed, job: &JobView) -> Option<Cause> {
    let (_, events) = observed.answers.events.as_ref().filter(|(of, _)| *of == question(job))?;
    events.iter().max_by_key(|event| (event.at, &event.message)).map(of_event)
}

fn of_event(event: &EventView) -> Cause {
    // The name of the pod that was not made is another one each time.
    let message = event.message.split_once(" is forbidden: ").map_or(&*event.message, |(_, why)| why);
    let message = message.strip_prefix("Error creating: ").unwrap_or(message);
    let has = |word: &str| message.contains(word);
    let (category, hint) = if has("exceeded quota") || has("failed quota") {
        (FailureCategory::PodsForbidden, QUOTA)
    } else if has("violates PodSecurity") {
        (FailureCategory::PodsForbidden, SECURITY)
    } else if has("error looking up service account") {
        (FailureCategory::ConfigMissing, ACCOUNT)
    } else if has("webhook") || has("ValidatingAdmissionPolicy") {
        (FailureCategory::PodsForbidden, ADMISSION)
    } else {
        (FailureCategory::PodsForbidden, OTHER)
    };
    let failure = Failure {
        reason: Some("FailedCreate".to_owned()),
        message: Some(bounded_to(message, MESSAGE)),
        hint: Some(hint.to_owned()),
        ..blank(category)
    };
    Cause { reason: Reason::PodsForbidden, failure }
}
