//! Text into nodes which know where they were written, read as kubectl reads it: YAML 1.1 by go-yaml v2, or JSON.
//!
//! [`split`] cuts a text into documents, [`parse`] builds the tree of one, [`scalar`] says what a single value means,
//! [`go_yaml`] refuses what kubectl would read otherwise.

mod go_yaml;
mod node;
mod parse;
mod scalar;
mod split;

pub use node::{Content, Entry, Node, Part, Path, Position, Step};
pub use parse::ReadError;

/// The documents of `text`, each a tree or the reason why it cannot be read; empty ones are left out.
pub(super) fn read(text: &str) -> impl Iterator<Item = Result<Node, ReadError>> {
    split::split(text).into_iter().filter_map(|chunk| parse::parse(&chunk).transpose())
}
