//! Validation problems: all of them, each with its field and how to fix it.

use std::fmt;

use serde::Serialize;

/// One thing that prevents a request from becoming a Job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Path of the field, for example `spec.containers[pi].image`; list members by their key.
    pub field: String,
    /// What is wrong and what to do, a sentence without its full stop.
    pub message: String,
    /// Path of the field whose absence makes it a problem, where that is not `field`.
    #[serde(skip)]
    pub missing: Option<&'static str>,
    /// The template whose policy is violated, or which cannot be read, for example `JobTemplate/reports`; the message names
    /// it, too.
    #[serde(skip)]
    pub by: Option<String>,
}

impl Problem {
    /// A problem of `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), missing: None, by: None }
    }

    /// It is a problem only because the field at this path is absent.
    #[must_use]
    pub fn without(self, missing: &'static str) -> Self {
        Self { missing: Some(missing), ..self }
    }

    /// It is a problem because of this template.
    #[must_use]
    pub fn by(self, template: impl Into<String>) -> Self {
        Self { by: Some(template.into()), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// At least one [`Problem`], in the order of the form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// `Ok` when there is none.
    ///
    /// # Errors
    /// The problems, when there are any.
    pub fn none(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }

    /// The problems, in the order of the form.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }
}
