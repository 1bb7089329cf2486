//! Following a run: from what is seen of a JobRequest, where the run stands that somebody waits for, and how it ended.
//!
//! Takes a [`Target`], which says what was asked for, and the object as it is seen, again and again; returns a
//! [`Standing`] each time. An older result is never the answer: a spec counts from its generation on, a rerun from its
//! token on. The command line and every other front end follow runs by this room alone.

mod ending;

use crate::api::JobRequestStatus;
use crate::api::condition::{ConditionType, Reason, RunResult};
use crate::api::labels;
use crate::api::status::Run;
use crate::reconcile::StoredRequest;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

pub use ending::{Ending, How};

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// uid of the JobRequest: another one of its name is not it.
    uid: String,
    /// The spec of this generation or a newer one.
    generation: i64,
    /// The rerun with this token in the annotation.
    token: Option<String>,
    /// The run, once it is known.
    run: Option<i32>,
    /// It is to be cancelled: that it is suspended keeps it from nothing.
    is_to_be_cancelled: bool,
    /// Runs up to this number are of another object, with whose status this one was restored: their generations say nothing
    /// about it.
    restored: i32,
}

/// Where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not ended.
    Open {
        /// Number of the run, once it is known.
        run: Option<i32>,
        /// Phase or reason, in one word.
        state: String,
        /// What it does or waits for, in a sentence.
        message: String,
    },
    /// There is nothing more to wait for.
    Over(Ending),
}

impl Target {
    /// What `request` asks for as it is stored: its newest spec, and a rerun that is not handled yet.
    #[must_use]
    pub fn newest(request: &StoredRequest) -> Self {
        let status = request.known_status();
        let is_of_another = |run: &&Run| run.generation > request.generation();
        let restored = status.runs.iter().find(is_of_another).map_or(0, |run| run.number);
        let token = annotation(request).filter(|token| Some(*token) != handled(&status));
        Self {
            restored,
            uid: request.uid().to_owned(),
            generation: request.generation(),
            token: token.map(ToOwned::to_owned),
            run: None,
            is_to_be_cancelled: false,
        }
    }

    /// The run with this number.
    #[must_use]
    pub fn numbered(request: &StoredRequest, run: i32) -> Self {
        Self { run: Some(run), ..Self::newest(request) }
    }

    /// The run with this number, which somebody has asked to cancel.
    #[must_use]
    pub fn cancelled(request: &StoredRequest, run: i32) -> Self {
        Self { is_to_be_cancelled: true, ..Self::numbered(request, run) }
    }

    /// Number of the run, once it is known.
    #[must_use]
    pub const fn run(&self) -> Option<i32> {
        self.run
    }

    /// Where it stands, from what is seen now; `None`: the JobRequest does not exist.
    pub fn judge(&mut self, seen: Option<&StoredRequest>) -> Standing {
        let Some(request) = seen else {
            return self.stuck("the JobRequest was deleted");
        };
        if request.uid() != self.uid {
            return self.stuck("the JobRequest was deleted, and another one of its name was created");
        }
        let status = request.known_status();
        if self.run.is_none() {
            self.adopt_token(request, &status);
            self.run = self.chosen(&status);
        }
        match self.run {
            Some(number) => self.of_run(request, &status, number),
            None => self.before_the_run(request, &status),
        }
    }

    /// Somebody asked for a rerun again before this one was handled: one run answers both.
    fn adopt_token(&mut self, request: &StoredRequest, status: &JobRequestStatus) {
        let now = annotation(request);
        if self.token.is_some() && now.is_some() && now != self.token.as_deref() {
            let is_recorded = status.runs.iter().any(|run| run.token == self.token);
            if handled(status) != self.token.as_deref() && !is_recorded {
                self.token = now.map(ToOwned::to_owned);
            }
        }
    }

    /// Number of the run that answers, if it is known by now.
    fn chosen(&self, status: &JobRequestStatus) -> Option<i32> {
        let at_least = match &self.token {
            None => 0,
            Some(token) => {
                let with_it = status.runs.iter().find(|run| run.token.as_ref() == Some(token));
                let newest = status.runs.first().filter(|_| handled(status) == Some(token.as_str()));
                with_it.or(newest)?.number
            }
        };
        let is_answer = |run: &&Run| {
            run.number >= at_least && run.number > self.restored && run.generation >= self.generation
        };
        let mut created = status.runs.iter().rev().filter(|run| !run.is_open() || run.job_uid.is_some());
        if let Some(run) = created.find(is_answer) {
            return Some(run.number);
        }
        // An edit that asks for no run of its own: what is active was patched, or what has ended stays the answer. A run
        // that was reserved for a change which was taken back since has no Job, and is not the one that the status shows.
        let shown = status.runs.iter().find(|run| Some(run.number) == status.run).or(status.runs.first());
        let newest = shown.filter(|run| run.number >= at_least)?;
        let is_at_rest = status.observed_generation >= self.generation
            && status.pending_trigger.is_none()
            && !is_true(status, ConditionType::PendingChanges, self.generation)
            && !is_rejected(status, self.generation);
        let is_answer = if newest.is_open() {
            newest.job_uid.is_some() && newest.stop.is_none()
        } else {
            is_true(status, ConditionType::Finished, self.generation)
        };
        (is_at_rest && is_answer).then_some(newest.number)
    }

    fn of_run(&self, request: &StoredRequest, status: &JobRequestStatus, number: i32) -> Standing {
        let Some(run) = status.runs.iter().find(|run| run.number == number) else {
            if status.is_unwritten() {
                return self.open("Pending", format!("the status of run {number} is not written"));
            }
            return self.stuck(&format!("there is no record of run {number}"));
        };
        if let Some(result) = run.result {
            return Standing::Over(ended(run, result));
        }
        if request.is_deleting() {
            return self.stuck("the JobRequest is being deleted");
        }
        match ready(status).filter(|_| status.run == Some(number)) {
            Some(ready) if is_suspended(ready) && !self.is_to_be_cancelled => self.stuck(&ready.message),
            Some(ready) => self.open(&ready.reason, ready.message.clone()),
            None => self.open("Running", format!("run {number} has not ended")),
        }
    }

    fn before_the_run(&self, request: &StoredRequest, status: &JobRequestStatus) -> Standing {
        if request.is_deleting() {
            return self.stuck("the JobRequest is being deleted");
        }
        if status.observed_generation < self.generation {
            return self.open("Pending", "the operator has not observed the spec yet".to_owned());
        }
        if let Some(accepted) = status.condition(ConditionType::Accepted)
            && is_rejected(status, self.generation)
        {
            return Standing::Over(Ending {
                how: How::Rejected,
                run: None,
                reason: accepted.reason.clone(),
                message: accepted.message.clone(),
                hint: None,
            });
        }
        if self.token.is_some() && annotation(request).is_none() {
            return self
                .stuck("the annotation that asks for the rerun was removed before the operator handled it");
        }
        if self.token.is_none()
            && is_true(status, ConditionType::PendingChanges, self.generation)
            && let Some(held) = status.condition(ConditionType::PendingChanges)
        {
            return self.stuck(&held.message);
        }
        // A rerun starts what was held at its creation; the status is from before it was asked for.
        let is_asked_for = self.token.is_some() && handled(status) != self.token.as_deref();
        let is_held = |ready: &Condition| ready.reason == Reason::Held.as_str();
        match ready(status) {
            Some(ready) if is_suspended(ready) && !(is_held(ready) && is_asked_for) => {
                self.stuck(&ready.message)
            }
            Some(ready) if self.token.is_none() || status.pending_trigger.is_some() => {
                self.open(&ready.reason, ready.message.clone())
            }
            Some(_) => self.open("Pending", "the operator has not handled the rerun yet".to_owned()),
            None => self.open("Pending", "the operator has not written a status yet".to_owned()),
        }
    }

    fn open(&self, state: &str, message: String) -> Standing {
        Standing::Open { run: self.run, state: state.to_owned(), message }
    }

    fn stuck(&self, message: &str) -> Standing {
        Standing::Over(Ending {
            how: How::CannotEnd,
            run: self.run,
            reason: String::new(),
            message: message.to_owned(),
            hint: None,
        })
    }
}

/// How a run ended, by its record.
fn ended(run: &Run, result: RunResult) -> Ending {
    let number = run.number;
    let took = run.duration.as_ref().map(|duration| format!(" after {duration}")).unwrap_or_default();
    let reason = run.reason.clone().unwrap_or_else(|| result.to_string());
    let why = run.message.as_deref().unwrap_or("no message was given");
    let (how, message) = match result {
        RunResult::Succeeded => (How::Completed, format!("run {number} has completed{took}")),
        RunResult::Failed => (How::Ended, format!("run {number} has failed{took}: {reason}: {why}")),
        RunResult::Cancelled => (How::Ended, format!("run {number} was cancelled{took}: {why}")),
        other @ (RunResult::Lost | RunResult::Replaced) => {
            (How::Ended, format!("run {number} ended{took} as {other}: {why}"))
        }
    };
    let hint = run.failure.as_ref().and_then(|failure| failure.hint.clone());
    Ending { how, run: Some(number), reason, message, hint: hint.filter(|_| how == How::Ended) }
}

fn annotation(request: &StoredRequest) -> Option<&str> {
    let annotations = request.metadata.annotations.as_ref()?;
    annotations.get(labels::RERUN).map(String::as_str).filter(|token| !token.is_empty())
}

/// The token in the annotation that was handled last.
fn handled(status: &JobRequestStatus) -> Option<&str> {
    status.last_handled_rerun.as_ref()?.annotation.as_deref()
}

fn ready(status: &JobRequestStatus) -> Option<&Condition> {
    status.condition(ConditionType::Ready)
}

/// The request rests because its spec says so.
fn is_suspended(ready: &Condition) -> bool {
    ready.status == "True"
        && [Reason::Suspended.as_str(), Reason::Held.as_str()].contains(&ready.reason.as_str())
}

fn is_true(status: &JobRequestStatus, type_: ConditionType, generation: i64) -> bool {
    status.condition(type_).is_some_and(|condition| {
        condition.status == "True" && condition.observed_generation.unwrap_or_default() >= generation
    })
}

fn is_rejected(status: &JobRequestStatus, generation: i64) -> bool {
    status.condition(ConditionType::Accepted).is_some_and(|accepted| {
        accepted.status == "False" && accepted.observed_generation.unwrap_or_default() >= generation
    })
}

#[cfg(test)]
mod tests;
