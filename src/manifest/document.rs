//! Documents with positions: what kubectl would read, where each value of it was written.
//!
//! Takes names of files and folders; returns every document of the project's own API group, how many others were
//! passed over, and what could not be read.

mod dialect;
mod file;
mod node;
mod parse;
mod scalar;
mod split;

use std::rc::Rc;

use serde_json::Value;

pub(super) use file::{FileError, Source};
pub(super) use node::{Content, Node, Part, Path, Position, Step};

use super::finding::{Finding, printable};

/// The API group of the project.
const GROUP: &str = "jobrequest.dev/";

/// One object of the project's own API group.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) source: Rc<Source>,
    pub(super) node: Node,
    pub(super) api_version: String,
    pub(super) kind: String,
}

impl Document {
    /// `jobrequest/pi`, as kubectl shows it.
    pub(super) fn object(&self) -> String {
        let metadata = self.node.entry("metadata").map(|entry| &entry.value);
        let name = metadata
            .and_then(|metadata| metadata.text("name").or_else(|| metadata.text("generateName")))
            .unwrap_or("(no name)");
        printable(&format!("{}/{name}", self.kind.to_lowercase()))
    }
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    pub(super) documents: Vec<Document>,
    /// Objects of other API groups.
    pub(super) passed_over: usize,
    /// Why something is no object.
    pub(super) findings: Vec<Finding>,
}

/// Reads files and folders.
///
/// # Errors
/// A file or folder cannot be read at all. What is wrong in a file is a finding.
pub(super) fn read(names: &[String], is_recursive: bool) -> Result<Manifests, FileError> {
    let mut manifests = Manifests::default();
    for source in file::read(names, is_recursive)? {
        manifests.add(&source);
    }
    Ok(manifests)
}

/// Reads a text without a file.
pub(super) fn read_text(text: &str) -> Manifests {
    let mut manifests = Manifests::default();
    manifests.add(&Rc::new(Source::new("text".to_owned(), 0, text.to_owned(), None)));
    manifests
}

impl Manifests {
    fn add(&mut self, source: &Rc<Source>) {
        if let Some(at) = source.broken {
            self.refuse(source, at, "a byte that is not UTF-8; save the file as UTF-8".to_owned());
            return;
        }
        for chunk in split::split(&source.text) {
            match parse::parse(&chunk) {
                Ok(Some(node)) if matches!(node.content, Content::Scalar(Value::Null)) => {}
                Ok(Some(node)) => self.object(source, node),
                Ok(None) => {}
                Err(error) => self.refuse(source, error.at, error.message),
            }
        }
    }

    fn object(&mut self, source: &Rc<Source>, node: Node) {
        if !matches!(node.content, Content::Map(_)) {
            let message = "not an object: a document begins with apiVersion and kind".to_owned();
            return self.refuse(source, node.at, message);
        }
        let text = |key: &str| node.text(key).filter(|text| !text.is_empty()).map(ToOwned::to_owned);
        let (api_version, kind) = match (text("apiVersion"), text("kind")) {
            (Some(api_version), Some(kind)) => (api_version, kind),
            (None, _) => {
                return self.refuse(source, node.at, "apiVersion is missing, or not a text".to_owned());
            }
            (_, None) => return self.refuse(source, node.at, "kind is missing, or not a text".to_owned()),
        };
        if kind.ends_with("List")
            && let Content::Map(entries) = node.content.clone()
            && let Some(items) = entries.into_iter().find(|entry| entry.key == "items")
        {
            match items.value.content {
                Content::List(items) => items.into_iter().for_each(|item| self.object(source, item)),
                Content::Scalar(Value::Null) => {}
                _ => self.refuse(source, items.value.at, "items of a List are a list".to_owned()),
            }
            return;
        }
        if api_version.starts_with(GROUP) {
            self.documents.push(Document { source: Rc::clone(source), node, api_version, kind });
        } else {
            self.passed_over += 1;
        }
    }

    fn refuse(&mut self, source: &Rc<Source>, at: Position, message: String) {
        self.findings.push(Finding {
            source: Rc::clone(source),
            at,
            object: String::new(),
            field: String::new(),
            message,
        });
    }
}
