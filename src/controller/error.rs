//! What can go wrong towards the cluster. Mistakes of users are never an error here: they are status.

use std::time::Duration;

use crate::error_chain::in_one_line;

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
    /// The lease was lost while the pass was under way: the leader continues from what is there.
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

/// The error with all its sources, in one line, for the log: nothing in it quotes an object.
///
/// The API server repeats what was sent when it refuses it, and so do parsers of what they cannot read; a spec or the
/// output of a container does not belong into the log. Their place is said instead.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    in_one_line(error, &|error| {
        let kube = error
            .downcast_ref::<kube::Error>()
            .or_else(|| error.downcast_ref::<Box<kube::Error>>().map(AsRef::as_ref));
        match kube? {
            kube::Error::Api(status) => Some(refusal(status)),
            kube::Error::SerdeError(error) => {
                Some(format!("the answer cannot be read: line {}, column {}", error.line(), error.column()))
            }
            _ => None,
        }
    })
}

/// What the API server answered: its message, unless it is of the kind that quotes the object; then the fields it is
/// about.
fn refusal(status: &kube::core::Status) -> String {
    let (code, reason) = (status.code, &status.reason);
    if !matches!(code, 400 | 413 | 422) {
        return format!("{code} {reason}: {}", status.message);
    }
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let fields: Vec<&str> =
        causes.map(|cause| cause.field.as_str()).filter(|field| !field.is_empty()).take(MAX_FIELDS).collect();
    let fields = if fields.is_empty() { String::new() } else { format!(", {}", fields.join(", ")) };
    format!("{code} {reason}{fields}").trim_end().to_owned()
}

/// Maximum number of fields that are named of a refused object.
const MAX_FIELDS: usize = 10;

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use serde_json::json;

    use super::*;

    fn api(status: serde_json::Value) -> kube::Error {
        let status: Status = serde_json::from_value(status).unwrap();
        kube::Error::Api(Box::new(status))
    }

    #[test]
    fn the_log_names_the_fields_of_a_refused_object_and_not_their_values() {
        let invalid = || {
            api(json!({
                "status": "Failure", "code": 422, "reason": "Invalid",
                "message": "Job.batch \"a-1\" is invalid: spec.template.spec.containers[0].image: Invalid value: \"hunter2\"",
                "details": {"causes": [
                    {"reason": "FieldValueInvalid", "message": "Invalid value: \"hunter2\"", "field": "spec.template.spec.containers[0].image"}
                ]},
            }))
        };
        let shown = "422 Invalid, spec.template.spec.containers[0].image";
        assert_eq!(chain(&invalid()), shown);
        assert_eq!(
            chain(&Error::Api { what: "patch the Job", source: Box::new(invalid()) }),
            format!("could not patch the Job: {shown}")
        );
        assert_eq!(
            chain(&kube::runtime::watcher::Error::InitialListFailed(invalid())),
            format!("failed to perform initial object list: {shown}")
        );
        assert_eq!(chain(&api(json!({"code": 400, "message": "hunter2"}))), "400");
    }

    #[test]
    fn the_log_says_what_right_is_missing() {
        let message = "leases.coordination.k8s.io is forbidden: User \"u\" cannot get resource \"leases\"";
        let forbidden = api(json!({"code": 403, "reason": "Forbidden", "message": message}));
        assert_eq!(chain(&forbidden), format!("403 Forbidden: {message}"));
    }

    #[test]
    fn the_log_does_not_quote_what_cannot_be_read() {
        let unreadable = serde_json::from_str::<u8>("\"hunter2\"").unwrap_err();
        assert_eq!(
            chain(&kube::Error::SerdeError(unreadable)),
            "the answer cannot be read: line 1, column 9"
        );
    }
}
