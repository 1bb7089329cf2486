//! Text to stdout, where a reader that has seen enough is no failure.

use std::io::{self, ErrorKind, Write};

/// Prints `text` to stdout.
///
/// # Errors
/// It could not be written.
pub(super) fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(format!("could not write to stdout: {error}")),
    }
}

/// Says `text` on stderr; when nobody listens, nothing can be done about it.
pub(super) fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// `1 problem`, `2 problems`.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
