//! What an edit of a JobRequest comes to, in one word and in a sentence.
//!
//! Takes what is foreseen with the edit and without it; returns the [`Effect`].

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::{Foreseen, Wanted};
use crate::api::condition::{Stop, Trigger};

/// Maximum number of fields that a sentence names.
const MAX_NAMED: usize = 6;

/// A field that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Its path; of a field that is patched on a live Job, its name there.
    pub path: String,
    /// What it was; null: nothing.
    pub from: Value,
    /// What it becomes; null: nothing.
    pub to: Value,
}

/// What an edit comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Effect {
    /// Nothing in the object changes.
    NothingChanges,
    /// What changes has no part in any run.
    NothingRuns,
    /// No run starts, and the next one has the change.
    NextRun,
    /// The live Job is changed.
    PatchedInPlace,
    /// A run starts.
    Starts,
    /// A run starts when the active one has ended.
    Waits,
    /// The active run is stopped, and a run starts in its place.
    Replaces,
    /// A run starts when the JobRequest is resumed.
    Suspended,
    /// A run starts when a rerun is asked for.
    Held,
    /// The spec is rejected: no run starts.
    Rejected,
    /// The JobRequest is being deleted: no run starts.
    Deleting,
}

impl Effect {
    /// Something would start, now or later by itself, or a live Job would be changed.
    #[must_use]
    pub const fn starts_something(self) -> bool {
        matches!(self, Self::PatchedInPlace | Self::Starts | Self::Waits | Self::Replaces)
    }

    /// A new run would come of it, whether it has to be asked for or not: how its Job differs is worth knowing.
    #[must_use]
    pub const fn has_a_run(self) -> bool {
        matches!(
            self,
            Self::NextRun | Self::Starts | Self::Waits | Self::Replaces | Self::Suspended | Self::Held
        )
    }
}

/// An edit of a JobRequest, or its creation.
#[derive(Clone, Debug)]
pub struct Edit {
    /// What comes of it as it is stored; absent: it is created.
    pub before: Option<Foreseen>,
    /// What comes of it with the edit.
    pub after: Foreseen,
    /// The fields of the object that the edit changes.
    pub fields: Vec<FieldChange>,
    /// The Job that its spec compiles to is another one.
    pub changes_the_job: bool,
}

impl Edit {
    /// In one word.
    #[must_use]
    pub fn effect(&self) -> Effect {
        let Self { before, after, fields, changes_the_job } = self;
        if before.is_some() && fields.is_empty() {
            return Effect::NothingChanges;
        }
        if after.is_deleting {
            return Effect::Deleting;
        }
        if after.rejection.is_some() {
            return Effect::Rejected;
        }
        // What comes without the edit, too, is not its effect.
        let is_new = before.as_ref().is_none_or(|before| {
            *changes_the_job
                || before.wanted != after.wanted
                || before.start.is_some() != after.start.is_some()
        });
        let makes_way = after.active.and_then(|(_, stop)| stop).is_some_and(Stop::makes_way);
        match after.wanted {
            Wanted::Run(_) if is_new && after.start.is_some() => Effect::Starts,
            Wanted::Run(_) if is_new && makes_way => Effect::Replaces,
            Wanted::Run(_) if is_new && !after.is_suspended => Effect::Waits,
            Wanted::Run(_) if is_new => Effect::Suspended,
            Wanted::Held if is_new => Effect::Held,
            _ if !self.patched().is_empty() => Effect::PatchedInPlace,
            _ if *changes_the_job => Effect::NextRun,
            _ => Effect::NothingRuns,
        }
    }

    /// What the edit changes on the live Job.
    #[must_use]
    pub fn patched(&self) -> Vec<FieldChange> {
        let without = self.before.as_ref().map(|before| before.patched.as_slice()).unwrap_or_default();
        self.after.patched.iter().filter(|change| !without.contains(change)).cloned().collect()
    }

    /// The run that the effect is about: the one that starts, or the active one that is patched.
    #[must_use]
    pub fn run(&self) -> Option<i32> {
        match self.effect() {
            Effect::Starts => self.after.start.as_ref().map(|start| start.number),
            Effect::PatchedInPlace => self.after.active.map(|(number, _)| number),
            Effect::Waits | Effect::Replaces | Effect::Suspended | Effect::Held => self.after.next_number,
            Effect::NothingChanges
            | Effect::NothingRuns
            | Effect::NextRun
            | Effect::Rejected
            | Effect::Deleting => None,
        }
    }

    /// Why a run starts, or why none does.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let effect = self.effect();
        let trigger = match self.after.wanted {
            Wanted::Run(trigger) => match trigger {
                Trigger::Created => "the JobRequest is created",
                Trigger::SpecChange => "the spec has changed",
                Trigger::Rerun => "a rerun is asked for",
                Trigger::TemplateChange => "a template has changed",
            },
            Wanted::Nothing | Wanted::Held => "",
        };
        let words = match effect {
            Effect::Starts | Effect::Waits | Effect::Replaces => trigger,
            Effect::Suspended => "spec.suspend is set",
            Effect::Held if self.before.is_none() => "runPolicy.onCreate is Hold",
            Effect::Held => "runPolicy holds changes back",
            Effect::Deleting => "the JobRequest is being deleted",
            Effect::Rejected => return self.after.rejection.clone(),
            _ => return None,
        };
        Some(words.to_owned())
    }

    /// In a sentence without its subject, such as `starts run 20: the spec has changed`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let effect = self.effect();
        let after = &self.after;
        let number = |number: Option<i32>| number.map_or_else(|| "a run".to_owned(), |n| format!("run {n}"));
        let next = number(self.run());
        let active = number(after.active.map(|(number, _)| number));
        let reason = self.reason().unwrap_or_default();
        let mut text = match effect {
            Effect::NothingChanges => "nothing changes".to_owned(),
            Effect::NothingRuns if self.before.is_none() => "starts no run".to_owned(),
            Effect::NothingRuns => format!("changes nothing that runs ({})", self.named()),
            Effect::NextRun => format!("starts no run; the next run has the change ({})", self.named()),
            Effect::PatchedInPlace => {
                format!("is patched in place on the active {next} ({})", self.patches())
            }
            Effect::Starts => format!("starts {next}: {reason}"),
            Effect::Replaces => {
                let stop = after.active.and_then(|(_, stop)| stop);
                let stuck =
                    if stop == Some(Stop::NeverStarted) { ", which never started its work," } else { "" };
                format!("replaces the active {active}{stuck} by {next}: {reason}")
            }
            Effect::Waits if after.active.is_some() => {
                format!("waits behind the active {active}, then starts {next}: {reason}")
            }
            Effect::Waits => format!("waits to start {next}: {}", after.message),
            Effect::Suspended => format!("starts {next} when it is resumed: {reason}"),
            Effect::Held if self.before.is_none() => {
                format!("starts nothing until its next change or a rerun: {reason}")
            }
            Effect::Held => format!("held until a rerun: {reason}"),
            Effect::Rejected => {
                format!("would be rejected: {reason}")
            }
            Effect::Deleting => format!("starts nothing: {reason}"),
        };
        if !matches!(effect, Effect::PatchedInPlace | Effect::NothingChanges) && !self.patched().is_empty() {
            let _ = write!(text, "; patched in place on the active {active}: {}", self.patches());
        }
        if self.before.is_none() { format!("is created, and {text}") } else { text }
    }

    fn named(&self) -> String {
        let mut names: Vec<&str> =
            self.fields.iter().take(MAX_NAMED).map(|change| change.path.as_str()).collect();
        if self.fields.len() > MAX_NAMED {
            names.push("and more");
        }
        names.join(", ")
    }

    fn patches(&self) -> String {
        let shown = |value: &Value| match value {
            Value::Null => "not set".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let patches = self.patched();
        let words =
            patches.iter().map(|one| format!("{} {} -> {}", one.path, shown(&one.from), shown(&one.to)));
        words.collect::<Vec<_>>().join(", ")
    }
}
