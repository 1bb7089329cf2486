//! Splits a stream into documents where kubectl does: at lines that begin with `---`, whatever they are part of; a
//! stream of JSON objects after each object.

use serde::de::IgnoredAny;

/// A part of a source that holds at most one document.
pub(super) struct Chunk<'a> {
    pub(super) text: &'a str,
    /// The number of lines before it.
    pub(super) lines_before: usize,
    /// The number of characters before it in its first line.
    pub(super) columns_before: usize,
    /// Whether kubectl reads it as JSON, which has other escapes and line breaks.
    pub(super) is_json: bool,
    /// What follows the `---` above it on the same line, though nothing may.
    pub(super) behind_separator: Option<&'a str>,
}

/// Cuts `text` into documents.
pub(super) fn split(text: &str) -> Vec<Chunk<'_>> {
    if text.trim_start().starts_with('{')
        && let Some(chunks) = json(text)
    {
        return chunks;
    }
    yaml(text)
}

fn yaml(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let mut chunk =
        Chunk { text: "", lines_before: 0, columns_before: 0, is_json: false, behind_separator: None };
    let (mut start, mut end) = (0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let from = end;
        end += line.len();
        if let Some(behind) = line.strip_prefix("---") {
            chunk.text = text.get(start..from).unwrap_or_default();
            let behind = Some(behind.trim()).filter(|behind| !behind.is_empty() && !behind.starts_with('#'));
            chunks.push(chunk);
            chunk = Chunk {
                text: "",
                lines_before: number + 1,
                columns_before: 0,
                is_json: false,
                behind_separator: behind,
            };
            start = end;
        }
    }
    chunk.text = text.get(start..).unwrap_or_default();
    chunks.push(chunk);
    chunks
}

/// The objects of a stream of JSON, or `None` if it is something else.
fn json(text: &str) -> Option<Vec<Chunk<'_>>> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let mut chunks = Vec::new();
    let mut start = 0;
    let (mut lines_before, mut columns_before) = (0, 0);
    while let Some(object) = stream.next() {
        object.ok()?;
        let end = stream.byte_offset();
        let part = text.get(start..end)?;
        chunks.push(Chunk {
            text: part,
            lines_before,
            columns_before,
            is_json: true,
            behind_separator: None,
        });
        match part.rsplit_once('\n') {
            Some((_, last)) => {
                lines_before += part.matches('\n').count();
                columns_before = last.chars().count();
            }
            None => columns_before += part.chars().count(),
        }
        start = end;
    }
    Some(chunks)
}
