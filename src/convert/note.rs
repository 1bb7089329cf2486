//! What a person must know about a conversion: which field, and what became of it.

use std::fmt;

use crate::manifest::{Path, Step};

/// What became of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// It is carried over, and is written or acts differently.
    Changed,
    /// It is not carried over.
    Dropped,
    /// It belongs to the schedule of a CronJob, which a JobRequest does not have.
    Schedule,
    /// It is wrong already, or the JobRequest would be refused for it.
    Invalid,
    /// The object cannot be converted because of it.
    Refused,
}

/// What became of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What became of it.
    pub kind: NoteKind,
    /// The field in the native object.
    pub place: Place,
    /// How the field is shown: of an invalid result it is the field of the JobRequest.
    pub field: String,
    /// Why, and what to do, a sentence without its full stop.
    pub message: String,
}

impl Note {
    pub(super) fn new(kind: NoteKind, place: &Place, message: impl Into<String>) -> Self {
        Self { kind, place: place.clone(), field: place.to_string(), message: message.into() }
    }
}

/// The place of a field in an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(Vec<Step>);

impl Place {
    /// The place that these keys lead to.
    #[must_use]
    pub fn of(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| Step::Key((*key).to_owned())).collect())
    }

    /// The steps that lead to it.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// True if `other` is this place or within it.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// True if it is `other` or within it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        other.holds(self)
    }

    /// The value at a key of the map that is here.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    /// A member of the list that is here.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

impl From<Vec<Step>> for Place {
    fn from(steps: Vec<Step>) -> Self {
        Self(steps)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Path(&self.0), f)
    }
}
