//! Why a text is no path of a field.

/// What a path looks like.
const EXAMPLE: &str = "write it as explain shows it, for example settings.backoffLimit, containers[main].image or containers[*].image";

/// Why it is no path of a field, with what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}{reason}")]
pub(in crate::compile) struct FieldPathError {
    /// The path, as it was written.
    pub(in crate::compile) path: String,
    /// What is wrong with it.
    pub(in crate::compile) reason: FieldPathReason,
}

/// What is wrong with a path. `read` is the part of it that is well-formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::compile) enum FieldPathReason {
    #[error(" is no path; {EXAMPLE}")]
    NoPath,
    #[error(" is no field of a JobRequest's spec; {EXAMPLE}")]
    UnknownRoot,
    #[error(": {read} has no field {name}; {EXAMPLE}")]
    UnknownField { read: String, name: String },
    /// An item is identified by this field.
    #[error(": {name} is what an item is known by; write {read}")]
    IdentifyingField { read: String, name: String },
    #[error(": brackets are for items and entries, not for fields; write {instead}")]
    BracketedField { instead: String },
    #[error(": {read} is a list; write {read}[NAME].{name} for one item, or {read}[*].{name} for every one")]
    FieldOfList { read: String, name: String },
    /// The value at `read` is replaced as a whole.
    #[error(": {read} is replaced as a whole, and has no parts; write {read}")]
    PartOfWhole { read: String },
    #[error(": nothing in {read} can be called `{key}`; write {read}[{bare}], without quotes and blanks")]
    QuotedKey { read: String, key: String, bare: String },
    #[error(
        ": nothing in {read} can be called `{key}`; write {read}[{example}] for one, or {read}[*] for every one"
    )]
    ImpossibleKey { read: String, key: String, example: &'static str },
}
