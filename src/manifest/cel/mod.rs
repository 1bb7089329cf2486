//! The rules of the CRDs (`x-kubernetes-validations`), evaluated without an API server.
//!
//! [`Program::compile`] takes an expression, [`Program::holds`] a value for `self`. This is the part of CEL and of
//! Kubernetes' libraries that rules on plain JSON need. A rule that uses anything else does not compile, and a test
//! compiles every rule of every CRD. The crates that implement all of CEL bring 16 more crates (a parser generator
//! among them) and second versions of two.

mod ast;
mod call;
mod error;
mod eval;
mod lex;
mod parse;
mod quantity;
mod regex;
mod value;

use serde_json::Value as Json;

pub(super) use self::regex::regex;
pub use error::CelError;
use eval::{Scope, evaluate};
use value::Value;

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Program(ast::Expression);

impl Program {
    /// Compiles an expression.
    ///
    /// # Errors
    /// It is not CEL, or uses what is not supported here.
    pub(super) fn compile(source: &str) -> Result<Self, CelError> {
        parse::parse(&lex::lex(source)?).map(Self)
    }

    /// Whether the rule holds for `this`.
    ///
    /// # Errors
    /// The evaluation failed, as it does in the API server, which then refuses the object.
    pub(super) fn holds(&self, this: &Json) -> Result<bool, CelError> {
        match evaluate(&self.0, &Scope::of(Value::from_json(this)))? {
            Value::Bool(holds) => Ok(holds),
            other => Err(CelError::NotBool(other.type_name())),
        }
    }

    /// The text which the expression gives for `this`.
    pub(super) fn text(&self, this: &Json) -> Option<String> {
        match evaluate(&self.0, &Scope::of(Value::from_json(this))).ok()? {
            Value::Text(text) => Some(text.into_owned()),
            _ => None,
        }
    }
}
