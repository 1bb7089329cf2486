//! Why a rule cannot be compiled, or has no value.

/// An error of CEL. The API server refuses an object whose rule has no value, so it is part of the verdict.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CelError {
    /// The source is no expression, or uses syntax that is not supported here.
    #[error("syntax error: {0}")]
    Syntax(String),
    /// There is no such function, or not with this number of arguments.
    #[error("unsupported function {name} with {arguments} arguments")]
    UnknownFunction {
        /// Its name.
        name: String,
        /// How many arguments it was given, its target among them.
        arguments: usize,
    },
    /// A regular expression is not well-formed, or too large.
    #[error("invalid regular expression")]
    Regex(#[from] regex::Error),
    /// No variable has this name.
    #[error("undeclared variable {0}")]
    UnknownVariable(String),
    /// A function or an operator does not take values of these types.
    #[error("no such overload: {0}")]
    NoSuchOverload(String),
    /// A map lacks this key.
    #[error("no such key: {0}")]
    NoSuchKey(String),
    /// A text is not what it is to be converted to.
    #[error("{text:?} is not a valid {type_name}")]
    Conversion {
        /// The text.
        text: String,
        /// A type of CEL.
        type_name: &'static str,
    },
    /// A list or a text is shorter.
    #[error("index out of range")]
    OutOfRange,
    /// The result does not fit 64 bits, or a divisor is zero.
    #[error("integer overflow or division by zero")]
    Arithmetic,
    /// A condition, or the rule itself, is of another type.
    #[error("a bool is expected, not {0}")]
    NotBool(&'static str),
}

impl CelError {
    pub(super) fn syntax(message: impl Into<String>) -> Self {
        Self::Syntax(message.into())
    }
}
