//! The rules of the CRDs (`x-kubernetes-validations`), evaluated without an API server.
//!
//! [`Program::compile`] takes an expression, [`Program::run`] a value for `self`. This is the part of CEL and of
//! Kubernetes' libraries that rules on plain JSON need; what it does not know does not compile, and a test compiles
//! every rule of every CRD. The crates that do all of CEL bring 16 more crates (a parser generator among them) and
//! second versions of two.

mod ast;
mod call;
mod eval;
mod lex;
mod parse;
mod quantity;
mod regular;
mod value;

use serde_json::Value as Json;

use eval::{Scope, evaluate};
pub(super) use regular::regex;
use value::Value;

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Program(ast::Expression);

impl Program {
    /// Compiles an expression.
    ///
    /// # Errors
    /// It is no CEL, or uses what is not known here.
    pub(super) fn compile(source: &str) -> Result<Self, String> {
        parse::parse(&lex::lex(source)?).map(Self)
    }

    /// Whether the rule holds for `this`.
    ///
    /// # Errors
    /// The evaluation failed, as it does in the API server, which then refuses the object.
    pub(super) fn holds(&self, this: &Json) -> Result<bool, String> {
        match evaluate(&self.0, &Scope::of(Value::from_json(this)))? {
            Value::Bool(holds) => Ok(holds),
            other => Err(format!("the rule gives {}, not a boolean", other.type_name())),
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
