//! What can go wrong towards the cluster. Mistakes of users are never an error here: they are status.

use std::time::Duration;

/// A system failure while talking to the API server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server answered with an error that is no answer to the question, or could not be reached.
    #[error("could not {what}")]
    Api {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// No answer within the deadline.
    #[error("could not {what}: no answer within {deadline:?}")]
    Deadline {
        /// What was tried.
        what: &'static str,
        /// The deadline.
        deadline: Duration,
    },
    /// The lease was lost while the pass was under way: the leader goes on from what is there.
    #[error("no longer leading")]
    NotLeading,
}

impl Error {
    /// One word for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => match status.code {
                    401 => "Unauthorized",
                    403 => "Forbidden",
                    429 => "TooManyRequests",
                    500.. => "ServerError",
                    _ => "Refused",
                },
                kube::Error::SerdeError(_) => "Unreadable",
                _ => "Unreachable",
            },
            Self::Deadline { .. } => "Deadline",
            Self::NotLeading => "NotLeading",
        }
    }
}

/// The error with all its sources, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
