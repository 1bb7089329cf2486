//! Why a command could not do its work, which is exit code 2.

use std::error::Error;
use std::io;
use std::time::Duration;

use kube::config::{InferConfigError, KubeconfigError};

use super::files::FileError;
use crate::error_chain::in_one_line;
use crate::follow::How;
use crate::manifest::SchemaError;

/// A command could not do its work. What is wrong with its input is a result, not an error.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The arguments contradict each other, or lack something, in a way that only this command knows.
    #[error("{0}")]
    Usage(String),
    /// A file or folder cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nothing in the input is of the project.
    #[error("found nothing of jobrequest.dev in {0}")]
    NoDocuments(String),
    /// Nothing in the input can be converted.
    #[error("found no Job and no CronJob of batch/v1 in {0}")]
    NothingToConvert(String),
    /// Objects cannot be converted; each was explained.
    #[error("could not convert {0} of {1} objects")]
    NotConverted(usize, usize),
    /// The input has templates alone.
    #[error("found no JobRequest to explain; templates alone decide nothing")]
    NoRequests,
    /// The CRDs cannot be checked offline, which a test rules out.
    #[error("could not compile the schemas of the CRDs")]
    Schema(#[from] SchemaError),
    /// A result cannot be written as JSON.
    #[error("could not write {0} as JSON")]
    Json(&'static str, #[source] serde_json::Error),
    /// A result cannot be written as YAML.
    #[error("could not write {0} as YAML")]
    Yaml(&'static str, #[source] serde_saphyr::ser::Error),
    /// The operating system refuses something.
    #[error("could not {0}")]
    Io(&'static str, #[source] io::Error),
    /// No cluster is known.
    #[error("could not find a cluster; {advice}")]
    NoCluster {
        /// How to name one.
        advice: &'static str,
        /// What was tried.
        source: InferConfigError,
    },
    /// There is a kubeconfig, and it cannot be used.
    #[error("could not {0}")]
    Kubeconfig(&'static str, #[source] KubeconfigError),
    /// No client can be made of the kubeconfig.
    #[error("could not create a client from the kubeconfig")]
    Client(#[source] kube::Error),
    /// The API server refuses a call; the message is its own.
    #[error("could not {call}: {message}")]
    Refused {
        /// What was tried.
        call: String,
        /// The API server's answer.
        message: String,
        /// Its HTTP status code.
        code: u16,
    },
    /// What was to be sent is not valid, so that nothing was sent.
    #[error("{0}; nothing was changed")]
    Invalid(String),
    /// The API server refuses to store an object, so that nothing runs; the message is its own.
    #[error("could not {call}: {message}")]
    Denied {
        /// What was tried.
        call: String,
        /// The API server's answer.
        message: String,
    },
    /// The answer of the API server is not what was asked for.
    #[error("could not read the answer: {0}")]
    Unreadable(&'static str, #[source] serde_json::Error),
    /// The API server gave no answer that can be read.
    #[error("could not {call}")]
    Call {
        /// What was tried.
        call: String,
        /// Why.
        source: kube::Error,
    },
    /// The API server gave no answer in time.
    #[error("could not {call}: no answer within {} s", after.as_secs())]
    NoAnswer {
        /// What was tried.
        call: String,
        /// The deadline.
        after: Duration,
    },
    /// The cluster has no such JobRequest.
    #[error("namespace {namespace} has no JobRequest called {name}")]
    NoSuchRequest {
        /// Where it was looked for.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// Something else failed, and there is a likely way out.
    #[error("{error}; {advice}", error = chain(.source))]
    WithAdvice {
        /// What to do.
        advice: String,
        /// What failed.
        source: Box<CliError>,
    },
    /// The times of the leader election do not keep two leaders apart.
    #[error("these lease times do not keep two leaders apart: {0}")]
    LeaseTimes(&'static str),
    /// An address cannot be listened on.
    #[error(
        "could not listen on {address} for {what}; set {flag} to another address, or to an empty one to do without"
    )]
    Listen {
        /// What is served there.
        what: &'static str,
        /// The flag that names it.
        flag: &'static str,
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The filter of the log is not well-formed.
    #[error("could not understand --log-level; try info, debug or jobrequest=debug")]
    LogFilter(#[from] tracing_subscriber::filter::ParseError),
    /// Traces cannot be sent.
    #[cfg(feature = "otel")]
    #[error("could not create an exporter of traces; check --otlp-endpoint")]
    Traces(#[source] Box<dyn Error + Send + Sync>),
}

impl CliError {
    /// The exit code.
    pub(super) const fn exit_code(&self) -> u8 {
        match self {
            Self::Denied { .. } | Self::Invalid(_) => How::Rejected.exit_code(),
            _ => 2,
        }
    }
}

/// An error with its sources in one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    in_one_line(error, &|_| None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_comes_last() {
        let refused =
            CliError::Refused { call: "get pi".to_owned(), message: "forbidden".to_owned(), code: 403 };
        let error = CliError::WithAdvice { advice: "write ./pi".to_owned(), source: Box::new(refused) };
        assert_eq!(chain(&error), "could not get pi: forbidden; write ./pi");
    }
}
