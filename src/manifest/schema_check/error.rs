//! Why the schema of a CRD cannot be compiled.

use crate::manifest::cel::CelError;

/// The schema of a CRD uses what is not supported here. A test compiles those of all CRDs.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SchemaError {
    /// A CRD or a field has none.
    #[error("a CRD has no schema")]
    Missing,
    /// A keyword such as `oneOf`.
    #[error("unsupported keyword in a schema")]
    UnsupportedKeyword,
    /// A type that JSON does not have.
    #[error("unknown type {0}")]
    UnknownType(String),
    /// `items` with a schema for each member.
    #[error("items must be a single schema")]
    ItemsOfSeveralSchemas,
    /// A rule that compares with the stored object, which is not known here.
    #[error("a rule on changes (oldSelf) cannot be evaluated offline: {0}")]
    TransitionRule(String),
    /// A rule or a message of one.
    #[error("cannot compile the rule {rule}")]
    Rule {
        /// Its source.
        rule: String,
        /// Why.
        source: CelError,
    },
    /// A pattern.
    #[error("cannot compile the pattern {pattern}")]
    Pattern {
        /// Its source.
        pattern: String,
        /// Why.
        source: CelError,
    },
    /// Something in a field.
    #[error("schema of the field {name}")]
    Field {
        /// Its name.
        name: String,
        /// What.
        source: Box<SchemaError>,
    },
}
