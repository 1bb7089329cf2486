//! Workflow commands of GitHub Actions: a line for each problem, which GitHub shows at its line of the change.
//!
//! The escapes are those of the toolkit of GitHub Actions (`@actions/core`, `command.ts`).

use std::fmt::Write as _;

use super::{all, file, message, object};
use crate::manifest::Inspected;

/// The title of what is about no object.
const TITLE: &str = "jobrequest validate";

/// `::error file=pi.yaml,line=3,col=5,title=jobrequest/pi::spec.alias: must not be blank`, a line for each problem and
/// warning.
#[must_use]
pub fn github(inspected: &Inspected) -> String {
    let mut text = String::new();
    for diagnostic in all(inspected) {
        let title = object(diagnostic);
        let _ = writeln!(
            text,
            "::{} file={},line={},col={},title={}::{}",
            diagnostic.rule.severity().as_str(),
            property(file(&diagnostic.source.name)),
            diagnostic.at.line,
            diagnostic.at.column,
            property(title.as_deref().unwrap_or(TITLE)),
            data(&message(diagnostic)),
        );
    }
    text
}

/// What follows the second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
