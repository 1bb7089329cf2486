//! An explanation for people: a table, then the notes of policies and templates.

use std::fmt::Write as _;

use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::report::{Explanation, Field, Place};
use crate::api::status::TemplatePin;
use crate::cli::table::aligned;
use crate::printable::excerpt;

/// Maximum width of a value, in columns of a terminal; `-o json` shows all of it.
const MAX_VALUE_WIDTH: usize = 48;

/// The whole of one request, ending in a line break.
pub(super) fn text(explanation: &Explanation) -> String {
    let Explanation { object, namespace, at, templates, fields, .. } = explanation;
    let mut text = excerpt(object);
    if let Some(namespace) = namespace {
        let _ = write!(text, " in namespace {}", excerpt(namespace));
    }
    if let Some(at) = at {
        let _ = write!(text, ", {}", place(at));
    }
    text.push('\n');
    let names = |pins: &[TemplatePin]| -> Vec<String> {
        pins.iter().map(|template| format!("{}/{}", template.kind, template.name)).collect()
    };
    let below = names(templates);
    let below = if below.is_empty() { "none".to_owned() } else { below.join(" < ") };
    let _ = writeln!(text, "templates: {below}");
    if !explanation.policies_of.is_empty() {
        let _ = writeln!(text, "policies also of: {}", names(&explanation.policies_of).join(", "));
    }
    text.push('\n');
    text += &table(fields);

    let notes: Vec<String> = (explanation.clamped.iter())
        .map(|cut| match &cut.from {
            Some(from) => format!("clamped: {} from {from} to {} by {}", cut.path, cut.to, cut.by),
            None => format!("clamped: {} set to {} by {}", cut.path, cut.to, cut.by),
        })
        .chain(explanation.warned.iter().map(|problem| format!("warning: {problem}")))
        .chain(explanation.limit_ranges.iter().cloned())
        .chain(explanation.terminating.iter().map(|template| {
            format!("{template} is being deleted: a new run is made without its defaults and limits")
        }))
        .chain(explanation.template_outdated.iter().map(|words| format!("TemplateOutdated: {words}")))
        .collect();
    if !notes.is_empty() {
        text.push('\n');
        for note in notes {
            text += &excerpt(&note);
            text.push('\n');
        }
    }
    text
}

fn table(fields: &[Field]) -> String {
    let mut lines = vec![["FIELD", "VALUE", "ORIGIN", "OVERRODE", "WRITTEN AT"].map(ToOwned::to_owned)];
    lines.extend(fields.iter().map(|field| {
        let overrode =
            field.overrode.iter().map(|lower| format!("{} ({})", shown(&lower.value), lower.origin));
        [
            excerpt(&field.path),
            shown(&field.value),
            excerpt(&field.origin),
            excerpt(&overrode.collect::<Vec<_>>().join(", ")),
            field.at.as_ref().map(place).unwrap_or_default(),
        ]
    }));
    // An empty column is left out.
    let is_shown = [0, 1, 2, 3, 4].map(|column| {
        column < 4 || lines.iter().skip(1).any(|line| line.get(column).is_some_and(|cell| !cell.is_empty()))
    });
    let shown = lines.into_iter().map(|line| {
        let cells = line.into_iter().zip(is_shown).filter(|(_, is_shown)| *is_shown);
        cells.map(|(cell, _)| cell).collect()
    });
    aligned(&shown.collect::<Vec<_>>())
}

fn place(at: &Place) -> String {
    format!("{}:{}", excerpt(&at.file), at.line)
}

/// A string as it is, if it is unambiguous; anything else as JSON. Not wider than [`MAX_VALUE_WIDTH`].
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) if is_plain(text) => text.clone(),
        value => value.to_string(),
    };
    let text = excerpt(&text);
    if text.width() <= MAX_VALUE_WIDTH {
        return text;
    }
    let mut cut = String::new();
    let mut width = 0;
    for character in text.chars() {
        width += character.width().unwrap_or_default();
        if width >= MAX_VALUE_WIDTH {
            break;
        }
        cut.push(character);
    }
    cut + "…"
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.trim() == text
        && !text.contains(char::is_control)
        && serde_json::from_str::<Value>(text).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn strings_are_unambiguous() {
        for (value, text) in [
            (json!("perl:5"), "perl:5"),
            (json!("计算圆周率"), "计算圆周率"),
            (json!(""), r#""""#),
            (json!("1"), r#""1""#),
            (json!("true"), r#""true""#),
            (json!(" a"), r#"" a""#),
            (json!("a\nb"), r#""a\nb""#),
            (json!(1), "1"),
            (json!(["a", "b"]), r#"["a","b"]"#),
        ] {
            assert_eq!(shown(&value), text);
        }
    }

    #[test]
    fn width_is_counted_as_a_terminal_does() {
        let long = "计".repeat(40);
        let cut = shown(&json!(long));
        assert!(cut.ends_with('…') && cut.width() <= MAX_VALUE_WIDTH, "{cut}");
        assert_eq!(shown(&json!("x".repeat(MAX_VALUE_WIDTH))), "x".repeat(MAX_VALUE_WIDTH));
    }
}
