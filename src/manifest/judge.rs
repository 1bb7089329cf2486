//! Judges objects that were made, not read: by the same rules as `validate` judges files.

use std::sync::Arc;

use serde_json::Value;

use super::document::Document;
use super::pipeline;
use super::schema_check::{Checker, SchemaError, Violation};
use super::source::Source;
use super::yaml::{Node, Path, Step};
use crate::compile::Compiled;

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its place in the object.
    pub path: Vec<Step>,
    /// The field, as `validate` shows it.
    pub field: String,
    /// What is wrong, and how to fix it.
    pub message: String,
}

/// The rules, ready for use.
#[derive(Debug)]
pub struct Judge {
    checker: Checker,
    source: Arc<Source>,
}

impl Judge {
    /// Compiles the schemas of the CRDs.
    ///
    /// # Errors
    /// A schema uses what is not supported here, which a test rules out.
    pub fn new() -> Result<Self, SchemaError> {
        Ok(Self { checker: Checker::new(None)?, source: Arc::new(Source::new("", 0, Vec::new())) })
    }

    /// What the API server would refuse by the schemas and rules of the CRDs.
    #[must_use]
    pub fn by_schema(&self, object: &Value) -> Vec<Finding> {
        let violations = self.checker.check(&self.document(object)).violations;
        violations.into_iter().map(finding).collect()
    }

    /// What the API server or the operator would refuse, and the Job of run 1 if they refuse nothing.
    #[must_use]
    pub fn judge(&self, object: &Value) -> (Option<Compiled>, Vec<Finding>) {
        let document = self.document(object);
        let (request, violations) = pipeline::judge(&document, self.checker.check(&document), &[], None, 1);
        let compiled = request.and_then(|request| request.compiled);
        (compiled, violations.into_iter().map(|(_, violation)| finding(violation)).collect())
    }

    fn document(&self, object: &Value) -> Document {
        let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Document {
            source: Arc::clone(&self.source),
            node: Node::of_value(object),
            api_version: text("apiVersion"),
            kind: text("kind"),
        }
    }
}

fn finding(violation: Violation) -> Finding {
    let field = violation.field.unwrap_or_else(|| Path(&violation.path).to_string());
    Finding { path: violation.path, field, message: violation.message }
}
