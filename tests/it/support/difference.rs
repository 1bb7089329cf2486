//! Differences of statuses, short enough to read: JSON merge patches over statuses whose lists are keyed, in YAML with
//! a line a value.

use std::fmt::Write;

use serde_json::{Map, Value};

/// A status in which conditions are keyed by type, and runs by number, so that a merge patch names what it changes.
pub(crate) fn keyed(status: &Value) -> Value {
    let mut status = status.clone();
    for (list, key) in [("conditions", "type"), ("runs", "number")] {
        let Some(items) = status[list].as_array() else { continue };
        let keyed: Map<_, _> = items
            .iter()
            .map(|item| {
                let mut item = item.clone();
                let key = match item.as_object_mut().unwrap().remove(key).unwrap() {
                    Value::String(text) => text,
                    number => format!("run {number}"),
                };
                (key, item)
            })
            .collect();
        assert_eq!(keyed.len(), items.len(), "{list} has a key twice");
        status[list] = keyed.into();
    }
    status
}

/// The merge patch (RFC 7386) which makes `after` of `before`; nothing where they are equal.
pub(crate) fn difference(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else { return Some(after.clone()) };
    let removed = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = new.iter().filter_map(|(key, value)| {
        let changed = difference(old.get(key).unwrap_or(&Value::Null), value)?;
        Some((key.clone(), changed))
    });
    Some(removed.chain(changed).collect::<Map<_, _>>().into())
}

/// What a merge patch makes of `before`.
pub(crate) fn patched(mut before: Value, patch: &Value) -> Value {
    json_patch::merge(&mut before, patch);
    before
}

/// What people look for first.
const FIRST: [&str; 8] = ["type", "status", "phase", "reason", "result", "category", "message", "note"];

fn ordered(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|(key, _)| FIRST.iter().position(|first| first == key).unwrap_or(FIRST.len()));
    fields
}

/// YAML of which each value is on one line, but for the parts named in `blocks`.
pub(crate) fn yaml(value: &Value, blocks: &[&str]) -> String {
    let mut text = String::new();
    block(value, blocks, 0, &mut text);
    text
}

fn block(value: &Value, blocks: &[&str], indent: usize, text: &mut String) {
    let space = " ".repeat(indent);
    for (key, value) in ordered(value.as_object().unwrap()) {
        let is_block = blocks.contains(&key.as_str());
        match value {
            Value::Object(fields) if is_block && !fields.is_empty() => {
                writeln!(text, "{space}{key}:").unwrap();
                block(value, blocks, indent + 2, text);
            }
            Value::Array(items) if is_block && !items.is_empty() => {
                writeln!(text, "{space}{key}:").unwrap();
                for item in items {
                    writeln!(text, "{space}- {}", flow(item)).unwrap();
                }
            }
            _ => writeln!(text, "{space}{key}: {}", flow(value)).unwrap(),
        }
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<_> =
                ordered(fields).into_iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::String(text) if is_plain(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Reads as itself without quotes, also inside brackets.
fn is_plain(text: &str) -> bool {
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && !text.ends_with(' ')
        && text.chars().all(|char| char.is_ascii_alphanumeric() || " ._/()-;'".contains(char));
    let is_other = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    is_word && !is_other.contains(&text.to_ascii_lowercase().as_str())
}
