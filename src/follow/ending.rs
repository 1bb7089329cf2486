//! How following ended, and the exit code that says so.

use serde::Serialize;

/// How it ended. [`How::exit_code`] is a contract: pipelines branch on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum How {
    /// The run completed.
    Completed,
    /// The run ended otherwise.
    Ended,
    /// The API server refused it, or the operator rejected the spec: nothing ran.
    Rejected,
    /// Time is up; the run continues.
    TimedOut,
    /// It cannot end by itself: the JobRequest is suspended, held or deleted.
    CannotEnd,
    /// The user interrupted the command; the run continues.
    Interrupted,
    /// The command was terminated; the run continues.
    Terminated,
}

impl How {
    /// The exit code. 2 stays for what could not be done at all.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Completed => 0,
            Self::Ended => 1,
            Self::Rejected => 3,
            Self::TimedOut => 4,
            Self::CannotEnd => 5,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

/// The end of following.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// How it ended.
    pub how: How,
    /// Number of the run, if one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<i32>,
    /// Why, in one word; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
