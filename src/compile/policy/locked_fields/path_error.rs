//! Why a path of `policy.locked` can hold nothing.

/// What a path looks like.
const EXAMPLE: &str = "write it as explain shows it, for example settings.backoffLimit, containers[main].image or containers[*].image";

/// Why a path can hold nothing, with what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}{reason}")]
pub(in crate::compile) struct LockPathError {
    /// The path, as it was written.
    pub(super) path: String,
    /// What is wrong with it.
    pub(super) reason: LockPathReason,
}

/// What is wrong with a path. `read` is the part of it that is well-formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::compile) enum LockPathReason {
    #[error(" is no path; {EXAMPLE}")]
    NoPath,
    #[error(" is no field of a JobRequest's spec; {EXAMPLE}")]
    UnknownRoot,
    #[error(": {read} has no field {name}, so this holds nothing; {EXAMPLE}")]
    UnknownField { read: String, name: String },
    /// An item is identified by this field.
    #[error(": {name} is what an item is known by, so there is nothing to hold; lock {read}")]
    IdentifyingField { read: String, name: String },
    #[error(": brackets are for items and entries, not for fields; write {instead}")]
    BracketedField { instead: String },
    #[error(
        ": {read} is a list, so this holds nothing; write {read}[NAME].{name} for one item, or {read}[*].{name} for every one"
    )]
    FieldOfList { read: String, name: String },
    /// The value at `read` is replaced as a whole.
    #[error(": {read} is replaced as a whole, so no part of it can be held; lock {read}")]
    PartOfWhole { read: String },
    #[error(
        ": nothing in {read} can be called `{key}`, so this holds nothing; write {read}[{bare}], without quotes and blanks"
    )]
    QuotedKey { read: String, key: String, bare: String },
    #[error(
        ": nothing in {read} can be called `{key}`, so this holds nothing; write {read}[{example}] for one, or {read}[*] for every one"
    )]
    ImpossibleKey { read: String, key: String, example: &'static str },
}
