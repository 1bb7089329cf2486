//! Text to stdout and stderr. A reader that closes the pipe early is no failure.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use super::error::CliError;

/// Prints `text` to stdout.
///
/// # Errors
/// It could not be written.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(CliError::Io("write to stdout", error)),
    }
}

/// `value` as JSON of several lines, with a line break at its end; `what` names it in an error.
///
/// # Errors
/// It has a map whose keys are no text.
pub(super) fn json(what: &'static str, value: &impl Serialize) -> Result<String, CliError> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|error| CliError::Json(what, error))
}

/// Prints `text` to stderr; a failure to do so is ignored, as it cannot be reported.
pub(super) fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// `1 problem`, `2 problems`.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
