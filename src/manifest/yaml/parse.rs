//! One document of YAML or JSON into a [`Node`], with anchors and merge keys resolved as kubectl resolves them.
//!
//! Never recurses while it reads, and stops at bounds on depth and size, so that no input can exhaust memory.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, StructureStyle};
use serde_json::Value;

use super::go_yaml::{self, Difference};
use super::node::{Content, Entry, Node, Position};
use super::scalar::{self, Scalar, ScalarError};
use super::split::Chunk;

/// Maximum size of a document: the API server accepts no larger request.
const MAX_DOCUMENT_BYTES: usize = 3 * 1024 * 1024;
/// Maximum nesting, with aliases expanded.
const MAX_DEPTH: usize = 128;
/// Maximum number of values, with aliases expanded.
const MAX_NODES: usize = 200_000;
/// Maximum size of the text in them.
const MAX_TEXT_BYTES: usize = 4 * MAX_DOCUMENT_BYTES;
/// Maximum length of a key.
const MAX_KEY_CHARACTERS: usize = 100_000;

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct ReadError {
    /// Where.
    pub at: Position,
    /// Why.
    pub message: String,
}

impl ReadError {
    pub(in crate::manifest) fn new(at: Position, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// A node that has an anchor, with its size.
struct Anchored {
    node: Node,
    nodes: usize,
    text: usize,
    depth: usize,
}

/// A list or map that is still open.
struct Frame {
    at: Position,
    anchor: usize,
    /// In brackets or braces.
    is_flow: bool,
    kind: FrameKind,
}

enum FrameKind {
    List(Vec<Node>),
    Map(Entries, Option<Key>),
}

/// The entries of a map in their order, found by key.
#[derive(Default)]
struct Entries {
    all: Vec<Entry>,
    places: HashMap<String, usize>,
}

impl Entries {
    fn get(&self, key: &str) -> Option<&Entry> {
        self.all.get(*self.places.get(key)?)
    }

    /// Sets an entry; a key that is there keeps its place.
    fn set(&mut self, entry: Entry) {
        if let Some(there) = self.places.get(&entry.key).and_then(|place| self.all.get_mut(*place)) {
            *there = entry;
        } else {
            self.places.insert(entry.key.clone(), self.all.len());
            self.all.push(entry);
        }
    }

    /// A merge key: of several maps the first wins. As in go-yaml v2, keys written before it are replaced.
    fn merge(&mut self, at: Position, node: Node) -> Result<(), ReadError> {
        let needs_map = || ReadError::new(at, "a merge key needs a map, or a list of maps");
        let maps = match node.content {
            Content::Map(_) => vec![node],
            Content::List(items) => items,
            Content::Scalar(_) => return Err(needs_map()),
        };
        for map in maps.into_iter().rev() {
            let Content::Map(merged) = map.content else { return Err(needs_map()) };
            for entry in merged {
                self.set(Entry { is_merged: true, ..entry });
            }
        }
        Ok(())
    }
}

enum Key {
    Named(String, Position),
    Merge(Position),
}

/// Reads the document of `chunk`; nothing when it is empty.
pub(super) fn parse(chunk: &Chunk<'_>) -> Result<Option<Node>, ReadError> {
    let start = Position { line: chunk.lines_before + 1, column: chunk.columns_before + 1 };
    if let Some(behind) = chunk.behind_separator {
        let shown: String = behind.chars().take(40).collect();
        return Err(ReadError::new(
            Position { line: start.line.saturating_sub(1).max(1), column: 4 },
            format!("only a comment may follow '---' on the same line, as for kubectl; found '{shown}'"),
        ));
    }
    if chunk.text.len() > MAX_DOCUMENT_BYTES {
        return Err(ReadError::new(
            start,
            format!(
                "the document has {} bytes; the API server accepts no object larger than {MAX_DOCUMENT_BYTES}",
                chunk.text.len()
            ),
        ));
    }
    if let Some((byte, difference)) = go_yaml::character(chunk.text, chunk.is_json) {
        let before = chunk.text.get(..byte).unwrap_or_default();
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        return Err(ReadError::new(position(chunk, line + 1, column), difference.to_string()));
    }
    let options = granit_parser::options! {
        emit_comments: false,
        block_scalar_eof_without_line_feed: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
        simple_key_max_lookahead: MAX_KEY_CHARACTERS,
    };
    let parser = Parser::new_from_str_with_options(chunk.text, options);
    Builder { chunk, frames: Vec::new(), anchors: HashMap::new(), nodes: 0, text: 0, root: None }.read(parser)
}

fn position(chunk: &Chunk<'_>, line: usize, column: usize) -> Position {
    let columns_before = if line <= 1 { chunk.columns_before } else { 0 };
    Position { line: chunk.lines_before + line.max(1), column: columns_before + column + 1 }
}

struct Builder<'a, 'b> {
    chunk: &'b Chunk<'a>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    text: usize,
    root: Option<Node>,
}

impl<'a> Builder<'a, '_> {
    fn read(mut self, parser: Parser<'a, StrInput<'a>>) -> Result<Option<Node>, ReadError> {
        let mut documents = 0;
        for event in parser {
            let (event, span) = event.map_err(|error| self.refused(&error))?;
            let at = self.at(&span);
            match event {
                Event::DocumentStart(_, version) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(ReadError::new(
                            at,
                            "a second document without '---' before it, which kubectl would ignore",
                        ));
                    }
                    if version.is_some_and(|version| (version.major, version.minor) != (1, 1)) {
                        return Err(ReadError::new(at, "kubectl reads YAML 1.1 only; leave out %YAML"));
                    }
                }
                Event::Scalar(text, style, anchor, tag) => {
                    if !self.chunk.is_json {
                        self.check_dialect(&span, style)
                            .map_err(|difference| ReadError::new(at, difference.to_string()))?;
                    }
                    let tag = tag.as_deref().map(|tag| tag.core_suffix().unwrap_or("other").to_owned());
                    self.scalar(at, &text, style, anchor, tag.as_deref())?;
                }
                Event::SequenceStart(style, anchor, _) => {
                    self.open(at, anchor, style, FrameKind::List(Vec::new()))?;
                }
                Event::MappingStart(style, anchor, _) => {
                    self.open(at, anchor, style, FrameKind::Map(Entries::default(), None))?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.close()?,
                Event::Alias(id) => self.alias(at, id)?,
                _ => {}
            }
        }
        Ok(self.root)
    }

    /// Refuses what kubectl reads differently.
    fn check_dialect(&self, span: &Span, style: ScalarStyle) -> Result<(), Difference> {
        let Some((written, after)) = span
            .byte_range()
            .and_then(|range| Some((self.chunk.text.get(range.clone())?, self.chunk.text.get(range.end..)?)))
        else {
            return Ok(());
        };
        match style {
            ScalarStyle::DoubleQuoted => go_yaml::escapes(written),
            ScalarStyle::Plain if self.frames.last().is_some_and(|frame| frame.is_flow) => {
                go_yaml::plain_in_flow(written, after, self.expects_key())
            }
            _ => Ok(()),
        }
    }

    fn expects_key(&self) -> bool {
        matches!(self.frames.last(), Some(Frame { kind: FrameKind::Map(_, None), .. }))
    }

    fn at(&self, span: &Span) -> Position {
        position(self.chunk, span.start.line(), span.start.col())
    }

    fn refused(&self, error: &ScanError) -> ReadError {
        let marker = error.marker();
        let at = position(self.chunk, marker.line(), marker.col());
        ReadError::new(at, format!("this is not YAML: {}", error.info()))
    }

    fn count(&mut self, at: Position, nodes: usize, text: usize) -> Result<(), ReadError> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.text = self.text.saturating_add(text);
        if self.nodes > MAX_NODES || self.text > MAX_TEXT_BYTES {
            return Err(ReadError::new(
                at,
                format!(
                    "the document has more than {MAX_NODES} values or {MAX_TEXT_BYTES} bytes of text, with aliases expanded"
                ),
            ));
        }
        Ok(())
    }

    fn open(
        &mut self,
        at: Position,
        anchor: usize,
        style: StructureStyle,
        kind: FrameKind,
    ) -> Result<(), ReadError> {
        self.count(at, 1, 0)?;
        if self.frames.len() >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        if self.expects_key() {
            return Err(ReadError::new(at, "the key of a map must be a single value"));
        }
        let is_flow = matches!(style, StructureStyle::Flow);
        self.frames.push(Frame { at, anchor, is_flow, kind });
        Ok(())
    }

    fn close(&mut self) -> Result<(), ReadError> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        let content = match frame.kind {
            FrameKind::List(items) => Content::List(items),
            FrameKind::Map(entries, _) => Content::Map(entries.all),
        };
        let node = Node { at: frame.at, content };
        if frame.anchor != 0 {
            let (nodes, text, depth) = weigh(&node);
            self.count(node.at, nodes, text)?;
            self.anchors.insert(frame.anchor, Anchored { node: node.clone(), nodes, text, depth });
        }
        self.place(node)
    }

    fn scalar(
        &mut self,
        at: Position,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&str>,
    ) -> Result<(), ReadError> {
        self.count(at, 1, text.len())?;
        let is_plain = matches!(style, ScalarStyle::Plain);
        let wrong = |error: ScalarError| ReadError::new(at, error.to_string());
        let is_key = self.expects_key();
        if is_key && is_plain && tag.is_none() && text == "<<" {
            return self.key(Key::Merge(at));
        }
        let resolved = if is_plain || tag.is_some() {
            scalar::resolve(text, tag).map_err(wrong)?
        } else {
            Scalar::Text(text.to_owned())
        };
        if anchor != 0 {
            let value = resolved.clone().into_value().map_err(wrong)?;
            self.count(at, 1, text.len())?;
            let node = Node { at, content: Content::Scalar(value) };
            self.anchors.insert(anchor, Anchored { node, nodes: 1, text: text.len(), depth: 0 });
        }
        if is_key {
            let key = resolved.into_key().map_err(wrong)?;
            return self.key(Key::Named(key, at));
        }
        let value = resolved.into_value().map_err(wrong)?;
        self.place(Node { at, content: Content::Scalar(value) })
    }

    fn alias(&mut self, at: Position, id: usize) -> Result<(), ReadError> {
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(ReadError::new(at, "the alias is inside the value that it refers to"));
        };
        if self.frames.len() + anchored.depth > MAX_DEPTH {
            return Err(too_deep(at));
        }
        let (nodes, text) = (anchored.nodes, anchored.text);
        self.count(at, nodes, text)?;
        let Some(anchored) = self.anchors.get(&id) else { return Ok(()) };
        let node = Node { at, content: anchored.node.content.clone() };
        if self.expects_key() {
            let key = match node.content {
                Content::Scalar(Value::String(text)) => text,
                Content::Scalar(Value::Bool(value)) => value.to_string(),
                Content::Scalar(Value::Number(value)) => value.to_string(),
                _ => return Err(ReadError::new(at, "the key of a map must be a single value")),
            };
            return self.key(Key::Named(key, at));
        }
        self.place(node)
    }

    fn key(&mut self, key: Key) -> Result<(), ReadError> {
        if let Some(Frame { kind: FrameKind::Map(entries, open), .. }) = self.frames.last_mut() {
            if let Key::Named(name, at) = &key
                && let Some(first) = entries.get(name).filter(|entry| !entry.is_merged)
            {
                return Err(ReadError::new(
                    *at,
                    format!("the key {name} is already set in line {}", first.key_at.line),
                ));
            }
            *open = Some(key);
        }
        Ok(())
    }

    fn place(&mut self, node: Node) -> Result<(), ReadError> {
        match self.frames.last_mut().map(|frame| &mut frame.kind) {
            None => self.root = Some(node),
            Some(FrameKind::List(items)) => items.push(node),
            Some(FrameKind::Map(entries, key)) => match key.take() {
                Some(Key::Named(key, key_at)) => {
                    entries.set(Entry { key, key_at, value: node, is_merged: false });
                }
                Some(Key::Merge(at)) => entries.merge(at, node)?,
                None => {}
            },
        }
        Ok(())
    }
}

fn too_deep(at: Position) -> ReadError {
    ReadError::new(at, format!("nested deeper than {MAX_DEPTH} levels"))
}

/// The number of nodes, bytes of text and levels of a node.
fn weigh(node: &Node) -> (usize, usize, usize) {
    let mut sum = (1, 0, 0);
    let mut add = |text: usize, child: &Node| {
        let (nodes, more, depth) = weigh(child);
        sum = (sum.0 + nodes, sum.1 + text + more, sum.2.max(depth));
    };
    match &node.content {
        Content::Scalar(Value::String(text)) => return (1, text.len(), 0),
        Content::Scalar(_) => return (1, 0, 0),
        Content::List(items) => items.iter().for_each(|item| add(0, item)),
        Content::Map(entries) => entries.iter().for_each(|entry| add(entry.key.len(), &entry.value)),
    }
    (sum.0, sum.1, sum.2 + 1)
}
