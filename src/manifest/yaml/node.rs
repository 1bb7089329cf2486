//! A document as a tree of nodes, each with the position where it was written.

use std::collections::HashMap;
use std::fmt;

use serde_json::{Map, Value};

/// A position in a source, counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One value of a document.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it was written.
    pub at: Position,
    /// What it holds.
    pub content: Content,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// Null, a boolean, a number or a string.
    Scalar(Value),
    /// Its members, in order.
    List(Vec<Node>),
    /// Its entries, in order.
    Map(Vec<Entry>),
}

/// One entry of a map.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Where the key was written.
    pub key_at: Position,
    /// Its value.
    pub value: Node,
    /// It came from a merge key, so a key of the map itself may replace it.
    pub(super) is_merged: bool,
}

impl Node {
    /// A value that was written nowhere.
    #[must_use]
    pub fn of_value(value: &Value) -> Self {
        let at = Position { line: 1, column: 1 };
        let content = match value {
            Value::Object(fields) => {
                let entry = |(key, value): (&String, &Value)| Entry {
                    key: key.clone(),
                    key_at: at,
                    value: Self::of_value(value),
                    is_merged: false,
                };
                Content::Map(fields.iter().map(entry).collect())
            }
            Value::Array(items) => Content::List(items.iter().map(Self::of_value).collect()),
            scalar => Content::Scalar(scalar.clone()),
        };
        Self { at, content }
    }

    /// As a JSON value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Content::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// The entry of a map.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Content::Scalar(_) | Content::List(_) => None,
        }
    }

    /// The string at a key of a map.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        match &self.entry(key)?.value.content {
            Content::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Where `path` was written; where it was not, its nearest parent.
    #[must_use]
    pub fn locate(&self, path: &[Step], part: Part) -> Position {
        let mut node = self;
        let mut at = self.at;
        for (index, step) in path.iter().enumerate() {
            let is_last = index + 1 == path.len();
            let next = match (step, &node.content) {
                (Step::Key(key), Content::Map(_)) => node.entry(key).map(|entry| {
                    let points_to_value = is_last
                        && part == Part::Value
                        && matches!(&entry.value.content, Content::Scalar(value) if !value.is_null());
                    (if points_to_value { entry.value.at } else { entry.key_at }, &entry.value)
                }),
                (Step::Index(index), Content::List(items)) => items.get(*index).map(|item| (item.at, item)),
                _ => None,
            };
            let Some((position, child)) = next else { return at };
            (at, node) = (position, child);
        }
        at
    }

    /// The steps of a written path, such as `spec.containers[pi].image`: members of lists by index, or by the value of
    /// one of their fields. Ends where the document ends; also returned is whether that is the end of the path.
    #[must_use]
    pub fn steps(&self, field: &str) -> (Vec<Step>, bool) {
        let mut steps = Vec::new();
        let mut node = self;
        let mut rest = field;
        while !rest.is_empty() {
            let bare = rest.strip_prefix('.').unwrap_or(rest);
            let found = match &node.content {
                Content::Map(entries) => entries
                    .iter()
                    .filter_map(|entry| {
                        let bracketed = rest
                            .strip_prefix('[')
                            .and_then(|rest| rest.strip_prefix(entry.key.as_str()))
                            .and_then(|rest| rest.strip_prefix(']'));
                        let rest = bracketed.or_else(|| {
                            bare.strip_prefix(entry.key.as_str())
                                .filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                        })?;
                        Some((Step::Key(entry.key.clone()), &entry.value, rest))
                    })
                    .min_by_key(|(_, _, rest)| rest.len()),
                Content::List(items) => items.iter().enumerate().find_map(|(index, item)| {
                    let rest = rest.strip_prefix('[')?;
                    let rest = item.names(index).into_iter().find_map(|name| {
                        rest.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix(']'))
                    })?;
                    Some((Step::Index(index), item, rest))
                }),
                Content::Scalar(_) => None,
            };
            let Some((step, child, after)) = found else { break };
            steps.push(step);
            (node, rest) = (child, after);
        }
        (steps, rest.is_empty())
    }

    /// The line of each path, written as in [`Node::steps`]: names of fields that need no brackets have none. The first
    /// counts of those which are alike.
    #[must_use]
    pub fn lines(&self) -> HashMap<String, usize> {
        let mut lines = HashMap::new();
        self.note_lines(&mut String::new(), &mut lines);
        lines
    }

    fn note_lines(&self, path: &mut String, lines: &mut HashMap<String, usize>) {
        let end = path.len();
        let mut note = |path: &mut String, line: usize, child: &Self| {
            if !lines.contains_key(path) {
                lines.insert(path.clone(), line);
                child.note_lines(path, lines);
            }
            path.truncate(end);
        };
        match &self.content {
            Content::Map(entries) => {
                for entry in entries {
                    let is_plain =
                        entry.key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
                    match (is_plain, path.is_empty()) {
                        (true, true) => path.push_str(&entry.key),
                        (true, false) => path.extend([".", &entry.key]),
                        (false, _) => path.extend(["[", &entry.key, "]"]),
                    }
                    note(path, entry.key_at.line, &entry.value);
                }
            }
            Content::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    for name in item.names(index) {
                        path.extend(["[", &name, "]"]);
                        note(path, item.at.line, item);
                    }
                }
            }
            Content::Scalar(_) => {}
        }
    }

    /// The names of a list member that a path may use between brackets.
    fn names(&self, index: usize) -> Vec<String> {
        let mut names = vec![index.to_string()];
        match &self.content {
            Content::Scalar(Value::String(text)) => names.push(text.clone()),
            Content::Map(entries) => {
                let text = |key: &str| self.text(key).map(ToOwned::to_owned);
                names.extend(["name", "path", "key"].into_iter().filter_map(text));
                if !entries.iter().any(|entry| entry.key == "name") {
                    // The default of a container's name.
                    names.push("main".to_owned());
                }
            }
            Content::Scalar(_) | Content::List(_) => {}
        }
        names
    }
}

/// The part of an entry that a violation is about: the key of an unknown field, the value of most others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The key.
    Key,
    /// The value.
    Value,
}

/// One step into a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the value at a key of a map.
    Key(String),
    /// To a member of a list, counted from 0.
    Index(usize),
}

/// A path as Kubernetes writes it: `spec.containers[0].image`, `spec.labels[example.com/a]`.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a>(pub &'a [Step]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut is_first = true;
        for step in self.0 {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    let is_plain = !key.is_empty()
                        && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$'));
                    match (is_plain, is_first) {
                        (true, true) => f.write_str(key)?,
                        (true, false) => write!(f, ".{key}")?,
                        (false, _) => write!(f, "[{}]", key.escape_debug())?,
                    }
                }
            }
            is_first = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Node {
        crate::manifest::yaml::read(text).next().unwrap().unwrap()
    }

    #[test]
    fn each_path_has_its_line() {
        let text = "spec:\n  labels:\n    a.b/c: x\n    tier: y\n  containers:\n  - name: main\n    image: a\n  - image: b\n";
        let lines = document(text).lines();
        for (path, line) in [
            ("spec", 1),
            ("spec.labels[a.b/c]", 3),
            ("spec.labels.tier", 4),
            ("spec.containers[main].image", 7),
            ("spec.containers[1].image", 8),
        ] {
            assert_eq!(lines.get(path), Some(&line), "{path}: {lines:?}");
        }
        assert!(!lines.contains_key("spec.containers[main].command"));
    }

    #[test]
    fn a_node_is_noted_once() {
        let labels: Vec<String> = (0..50_000).map(|index| format!("  l{index}: x\n")).collect();
        let lines = document(&format!("labels:\n{}", labels.concat())).lines();
        assert_eq!((lines.len(), lines.get("labels.l49999")), (50_001, Some(&50_001)));
    }
}
