//! What was found, as the tools of a pipeline read it: takes [`Inspected`], returns a text or JSON.
//!
//! Names, fields and messages come from anybody who may write a file. Each format escapes them in its own way, so that
//! no text becomes a command of the pipeline or breaks the report.

mod github;
mod junit;
mod sarif;
#[cfg(test)]
mod tests;

pub use github::github;
pub use junit::junit;
pub use sarif::sarif;

use super::diagnostic::Diagnostic;
use super::document::in_namespace;
use super::pipeline::Inspected;
use crate::printable::excerpt;

/// Problems, then warnings, each in order of sources and lines.
fn all(inspected: &Inspected) -> impl Iterator<Item = &Diagnostic> {
    inspected.diagnostics.iter().chain(&inspected.warnings)
}

/// `jobrequest/pi in namespace team-a`; nothing for a text that is no object.
fn object(diagnostic: &Diagnostic) -> Option<String> {
    let is_object = !diagnostic.object.is_empty();
    is_object.then(|| excerpt(&in_namespace(&diagnostic.object, diagnostic.namespace.as_deref())))
}

/// The field and the message in one line.
fn message(diagnostic: &Diagnostic) -> String {
    if diagnostic.field.is_empty() {
        return excerpt(&diagnostic.message);
    }
    format!("{}: {}", excerpt(&diagnostic.field), excerpt(&diagnostic.message))
}

/// A file as the tools name it: relative to where the command ran, without `./`.
fn file(name: &str) -> &str {
    name.strip_prefix("./").map_or(name, |rest| file(rest.trim_start_matches('/')))
}
