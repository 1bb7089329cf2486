//! The one place where output is written: results to stdout, everything else to stderr, the lines of the log.
//!
//! Nothing invisible leaves here, whatever the callers were given to show: text for people is [`printable`]; JSON and
//! YAML have escapes, so that the values stay what they are; lines of logs are escaped for terminals only. A reader that closes the pipe early is no failure.

use std::io::{self, ErrorKind, IsTerminal, Write};

use serde::ser::{Serialize, Serializer};
use serde_json::Value;

use super::error::CliError;
use crate::printable::{escaped_json, escaped_yaml, needs_double_quotes, printable, printable_line};

/// Prints `text` to stdout.
///
/// # Errors
/// It could not be written.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    write(&printable(text))
}

/// Prints `text` to stdout byte for byte: a script or page that the program itself has made, with no text of anybody else.
///
/// # Errors
/// It could not be written.
pub(super) fn print_as_it_is(text: &str) -> Result<(), CliError> {
    write(text)
}

/// Prints `value` to stdout as JSON of several lines; `what` names it in an error.
///
/// # Errors
/// It has a map whose keys are no text, or could not be written.
pub(super) fn print_json(what: &'static str, value: &impl Serialize) -> Result<(), CliError> {
    let json = serde_json::to_string_pretty(value).map_err(|error| CliError::Json(what, error))?;
    write(&(escaped_json(&json) + "\n"))
}

/// Prints `values` to stdout as YAML, a document each; `what` names one in an error.
///
/// # Errors
/// One cannot be written as YAML, or they could not be written.
pub(super) fn print_yaml(what: &'static str, values: &[&impl Serialize]) -> Result<(), CliError> {
    let documents: Result<Vec<_>, _> = values.iter().map(|value| yaml(what, value)).collect();
    write(&documents?.join("---\n"))
}

/// Prints `text` to stderr; a failure to do so is ignored, as it cannot be reported.
pub(super) fn say(text: &str) {
    let _ = io::stderr().lock().write_all(printable(text).as_bytes());
}

/// Whether stdout is a terminal.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Prints lines of containers' logs to stdout as they are: they are the result, and [`crate::logs::Style`] has made them safe
/// where stdout is a terminal.
///
/// # Errors
/// They could not be written; `BrokenPipe`: nobody reads them any more.
pub(super) fn print_log(lines: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(lines)?;
    out.flush()
}

fn write(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(CliError::Io("write to stdout", error)),
    }
}

/// What is said reaches a terminal.
pub(super) fn says_to_a_terminal() -> bool {
    io::stderr().is_terminal()
}

/// `value` as YAML in which invisible characters are escapes, which only double quotes can hold; `what` names it in an
/// error.
///
/// # Errors
/// It cannot be written as YAML.
pub(super) fn yaml(what: &'static str, value: &impl Serialize) -> Result<String, CliError> {
    let plain = serde_saphyr::to_string(value).map_err(|error| CliError::Yaml(what, error))?;
    if !needs_double_quotes(&plain) {
        return Ok(plain);
    }
    let value = serde_json::to_value(value).map_err(|error| CliError::Json(what, error))?;
    let marked = serde_saphyr::to_string(&Marked(&value)).map_err(|error| CliError::Yaml(what, error))?;
    // A quote within a text is escaped, so this one opens it.
    let opening = format!("\"{MARK_AS_WRITTEN}");
    let mut yaml = String::with_capacity(marked.len());
    let mut parts = marked.split(&opening);
    yaml.push_str(parts.next().unwrap_or_default());
    for part in parts {
        yaml.push_str(if yaml.ends_with('\\') { &opening } else { "\"" });
        yaml.push_str(part);
    }
    Ok(escaped_yaml(&yaml).into_owned())
}

/// A character that YAML can hold as an escape only: a text that begins with it is written in double quotes.
const MARK: char = '\u{1}';
const MARK_AS_WRITTEN: &str = "\\x01";

/// A value whose texts are marked where they must be in double quotes, names of fields included.
struct Marked<'a>(&'a Value);

/// The same of one text.
struct MarkedText<'a>(&'a str);

impl Serialize for Marked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::String(text) => MarkedText(text).serialize(serializer),
            Value::Array(items) => serializer.collect_seq(items.iter().map(Marked)),
            Value::Object(fields) => {
                serializer.collect_map(fields.iter().map(|(name, value)| (MarkedText(name), Marked(value))))
            }
            value => value.serialize(serializer),
        }
    }
}

impl Serialize for MarkedText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if needs_double_quotes(self.0) {
            serializer.collect_str(&format_args!("{MARK}{}", self.0))
        } else {
            serializer.serialize_str(self.0)
        }
    }
}

/// Stderr as the log writes to it: each write is one event, and stays one line.
#[derive(Clone, Copy, Debug)]
pub(super) enum LogLines {
    /// For people.
    Text,
    /// A JSON object each.
    Json,
}

impl LogLines {
    fn line(self, event: &str) -> String {
        let line = event.strip_suffix('\n').unwrap_or(event);
        match self {
            Self::Text => printable_line(line).into_owned(),
            Self::Json => escaped_json(line).into_owned(),
        }
    }
}

impl Write for LogLines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = self.line(&String::from_utf8_lossy(event)) + "\n";
        io::stderr().lock().write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// `1 problem`, `2 problems`.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::printable::is_invisible;

    /// Line feeds and tabs are shape.
    fn has_invisible(text: &str) -> bool {
        text.chars().any(|character| is_invisible(character) && !"\n\t".contains(character))
    }

    /// Texts in which anything may stand, and what makes YAML hard more often than not.
    fn texts() -> impl Strategy<Value = String> {
        const HARD: &[&str] = &[
            "\u{202e}",
            "\u{200b}",
            "\u{2028}",
            "\u{85}",
            "\u{feff}",
            "\u{e0041}",
            "\u{7f}",
            "\u{1b}[31m",
            "\0",
            "\u{1}",
            "\"\u{1}",
            "\r\n",
        ];
        let pieces = prop_oneof![
            proptest::sample::select(HARD).prop_map(str::to_owned),
            any::<char>().prop_map(String::from),
            "[ -~\n\t]{0,8}",
        ];
        proptest::collection::vec(pieces, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn yaml_is_read_back_as_the_same_value(name in texts(), text in texts(), item in texts()) {
            let value = json!({"plain": "a", name: text, "list": [item, {"image": "perl:5"}]});
            let yaml = yaml("a value", &value).unwrap();
            prop_assert!(!has_invisible(&yaml), "{yaml:?}");
            let read: Value = serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
            prop_assert_eq!(read, value, "{}", yaml);
        }
    }

    #[test]
    fn ordinary_yaml_looks_as_it_did() {
        let value =
            json!({"a": "b: c", "text": "one\ntwo\n", "alias": "计算圆周率 ❤️", "n": 1, "e": {}, "l": []});
        assert_eq!(yaml("a value", &value).unwrap(), serde_saphyr::to_string(&value).unwrap());
    }

    #[test]
    fn an_event_of_the_log_is_one_line() {
        for (lines, event, line) in [
            (LogLines::Text, "a\nERROR forged\u{202e}\n", "a ERROR forged\u{fffd}"),
            (LogLines::Json, "{\"a\":\"\u{2028}\"}\n", "{\"a\":\"\\u2028\"}"),
        ] {
            assert_eq!(lines.line(event), line);
        }
    }
}
