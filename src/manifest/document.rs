//! The objects of the project's own API group in a text, how many others it has, and what could not be read.

use std::sync::Arc;

use serde_json::Value;

use super::source::Source;
use super::yaml::{self, Content, Node, Position, ReadError};
use crate::printable::shortened;

/// The API group of the project.
const GROUP: &str = "jobrequest.dev/";

/// One object that was asked for, by default one of the project's own API group.
#[derive(Debug)]
pub struct Document {
    /// Where it was read.
    pub source: Arc<Source>,
    /// Its content.
    pub node: Node,
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
}

impl Document {
    /// `jobrequest/pi`, as kubectl shows it.
    #[must_use]
    pub fn object(&self) -> String {
        let metadata = self.node.entry("metadata").map(|entry| &entry.value);
        let name = metadata
            .and_then(|metadata| metadata.text("name").or_else(|| metadata.text("generateName")))
            .unwrap_or("(no name)");
        shortened(&format!("{}/{name}", self.kind.to_lowercase())).into_owned()
    }
}

/// What was read.
#[derive(Debug, Default)]
pub struct Documents {
    /// The objects that were asked for, in order.
    pub documents: Vec<Document>,
    /// How many other objects there are.
    pub passed_over: usize,
    /// Why something is no object, and in which source.
    pub unreadable: Vec<(Arc<Source>, ReadError)>,
}

/// Reads all `sources`, in their order.
#[must_use]
pub fn read(sources: &[Arc<Source>]) -> Documents {
    read_objects(sources, |api_version, _| api_version.starts_with(GROUP))
}

/// The same for the objects that `is_wanted` by their `apiVersion` and `kind`, whatever their API group.
#[must_use]
pub fn read_objects(sources: &[Arc<Source>], is_wanted: fn(&str, &str) -> bool) -> Documents {
    let mut documents = Documents::default();
    for source in sources {
        documents.add(source, is_wanted);
    }
    documents
}

/// The objects of the project in one `text`, as JSON.
///
/// # Errors
/// The first thing in it that is no object.
pub fn read_documents(text: &str) -> Result<Vec<Value>, ReadError> {
    let source = Source::new("text", 0, text.as_bytes().to_vec());
    let Documents { documents, unreadable, .. } = read(&[Arc::new(source)]);
    match unreadable.into_iter().next() {
        None => Ok(documents.iter().map(|document| document.node.to_value()).collect()),
        Some((_, error)) => Err(error),
    }
}

impl Documents {
    fn add(&mut self, source: &Arc<Source>, is_wanted: fn(&str, &str) -> bool) {
        if let Some(at) = source.not_utf8_at {
            return self.refuse(source, at, "a byte that is not UTF-8; save the file as UTF-8");
        }
        for node in yaml::read(&source.text) {
            match node {
                Ok(node) if matches!(node.content, Content::Scalar(Value::Null)) => {}
                Ok(node) => self.object(source, node, is_wanted),
                Err(error) => self.unreadable.push((Arc::clone(source), error)),
            }
        }
    }

    fn object(&mut self, source: &Arc<Source>, node: Node, is_wanted: fn(&str, &str) -> bool) {
        if !matches!(node.content, Content::Map(_)) {
            return self.refuse(source, node.at, "not an object: a document begins with apiVersion and kind");
        }
        let text = |key: &str| node.text(key).filter(|text| !text.is_empty()).map(ToOwned::to_owned);
        let (api_version, kind) = match (text("apiVersion"), text("kind")) {
            (Some(api_version), Some(kind)) => (api_version, kind),
            (None, _) => return self.refuse(source, node.at, "apiVersion is missing or is not a string"),
            (_, None) => return self.refuse(source, node.at, "kind is missing or is not a string"),
        };
        if kind.ends_with("List")
            && let Content::Map(entries) = node.content.clone()
            && let Some(items) = entries.into_iter().find(|entry| entry.key == "items")
        {
            match items.value.content {
                Content::List(items) => {
                    for item in items {
                        self.object(source, item, is_wanted);
                    }
                }
                Content::Scalar(Value::Null) => {}
                _ => self.refuse(source, items.value.at, "items of a List must be a list"),
            }
            return;
        }
        if is_wanted(&api_version, &kind) {
            self.documents.push(Document { source: Arc::clone(source), node, api_version, kind });
        } else {
            self.passed_over += 1;
        }
    }

    fn refuse(&mut self, source: &Arc<Source>, at: Position, message: &str) {
        self.unreadable.push((Arc::clone(source), ReadError::new(at, message)));
    }
}
