//! The objects of the project's own API group in a text, how many others it has, and what could not be read.
//!
//! A source that may hold anything is passed over as a whole if it has nothing of the project; if it has, or seems to
//! have, everything in it must be an object, so that a broken JobRequest is never passed over.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::source::Source;
use super::yaml::{self, Content, Node, Position, ReadError};
use crate::printable::shortened;

/// The API group of the project.
const GROUP: &str = "jobrequest.dev/";
/// The kinds of the project.
const KINDS: [&str; 3] = ["JobRequest", "JobTemplate", "ClusterJobTemplate"];
/// The kinds of Kubernetes that a JobRequest can stand for.
const NATIVE_KINDS: [&str; 2] = ["Job", "CronJob"];

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
        object(&self.kind, &self.node)
    }

    /// Its own namespace, or the `requested` one; a ClusterJobTemplate has none.
    #[must_use]
    pub fn namespace<'a>(&'a self, requested: Option<&'a str>) -> Option<&'a str> {
        let metadata = self.node.entry("metadata").map(|entry| &entry.value);
        let own = metadata.and_then(|metadata| metadata.text("namespace")).filter(|own| !own.is_empty());
        own.or(requested).filter(|_| self.kind != "ClusterJobTemplate")
    }
}

/// `job/export`, as kubectl shows it.
fn object(kind: &str, node: &Node) -> String {
    let metadata = node.entry("metadata").map(|entry| &entry.value);
    let name = metadata
        .and_then(|metadata| metadata.text("name").or_else(|| metadata.text("generateName")))
        .unwrap_or("(no name)");
    shortened(&format!("{}/{name}", kind.to_lowercase())).into_owned()
}

/// `jobrequest/pi in namespace team-a`; without a namespace only the object.
#[must_use]
pub fn in_namespace(object: &str, namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("{object} in namespace {}", shortened(namespace)),
        None => object.to_owned(),
    }
}

/// A Job or CronJob of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeJob {
    /// The name of the source where it was read.
    pub file: String,
    /// `Job` or `CronJob`.
    pub kind: String,
    /// Such as `job/export`.
    pub object: String,
}

/// Files that were passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Files that may hold anything, and have no object that can be read.
    pub files: usize,
    /// Templates of Helm charts, which are no YAML before Helm has rendered them.
    pub helm_templates: usize,
}

impl Skipped {
    /// How many files were passed over.
    #[must_use]
    pub const fn all(self) -> usize {
        self.files + self.helm_templates
    }
}

/// What was read.
#[derive(Debug, Default)]
pub struct Documents {
    /// The objects that were asked for, in order.
    pub documents: Vec<Document>,
    /// How many other objects there are.
    pub passed_over: usize,
    /// Files that were passed over.
    pub skipped: Skipped,
    /// The first Job or CronJob of Kubernetes among the objects of other API groups.
    pub native: Option<NativeJob>,
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

/// The one value of a `text` of YAML or JSON, read as kubectl reads it.
///
/// # Errors
/// It cannot be read, or is not one value.
pub fn read_value(text: &str) -> Result<Value, ReadError> {
    let one = Position { line: 1, column: 1 };
    let mut values = yaml::read(text);
    let value = values.next().unwrap_or_else(|| Err(ReadError::new(one, "no value")))?;
    match values.next() {
        None => Ok(value.to_value()),
        Some(_) => Err(ReadError::new(one, "more than one value")),
    }
}

impl Documents {
    fn add(&mut self, source: &Arc<Source>, is_wanted: fn(&str, &str) -> bool) {
        let (documents, unreadable) = (self.documents.len(), self.unreadable.len());
        let seems_own = self.read(source, is_wanted);
        let is_passed_over = source.may_hold_anything
            && !seems_own
            && self.documents.len() == documents
            && self.unreadable.len() > unreadable;
        if is_passed_over {
            self.unreadable.truncate(unreadable);
            self.skipped.files += 1;
        }
    }

    /// Whether something that is no object seems to be meant as one of the project.
    fn read(&mut self, source: &Arc<Source>, is_wanted: fn(&str, &str) -> bool) -> bool {
        if let Some(at) = source.not_utf8_at {
            self.refuse(source, at, "a byte that is not UTF-8; save the file as UTF-8");
            return mentions_group(&source.text) || mentions_group(&source.undecoded);
        }
        let mut seems_own = false;
        for node in yaml::read(&source.text) {
            seems_own |= match node {
                Ok(node) if matches!(node.content, Content::Scalar(Value::Null)) => false,
                Ok(node) => self.object(source, node, is_wanted),
                Err(error) => {
                    self.unreadable.push((Arc::clone(source), error));
                    mentions_group(&source.text)
                }
            };
        }
        seems_own
    }

    /// Whether `node` is no object, and seems to be meant as one of the project.
    fn object(&mut self, source: &Arc<Source>, node: Node, is_wanted: fn(&str, &str) -> bool) -> bool {
        if !matches!(node.content, Content::Map(_)) {
            self.refuse(source, node.at, "not an object: a document begins with apiVersion and kind");
            return false;
        }
        let text = |key: &str| node.text(key).filter(|text| !text.is_empty()).map(ToOwned::to_owned);
        let (api_version, kind) = match (text("apiVersion"), text("kind")) {
            (Some(api_version), Some(kind)) => (api_version, kind),
            (None, kind) => {
                self.refuse(source, node.at, "apiVersion is missing or is not a string");
                return kind.is_some_and(|kind| KINDS.contains(&kind.as_str()));
            }
            (Some(api_version), None) => {
                self.refuse(source, node.at, "kind is missing or is not a string");
                return api_version.starts_with(GROUP);
            }
        };
        if kind.ends_with("List")
            && let Content::Map(entries) = node.content.clone()
            && let Some(items) = entries.into_iter().find(|entry| entry.key == "items")
        {
            match items.value.content {
                Content::List(items) => {
                    return items
                        .into_iter()
                        .fold(false, |seems_own, item| self.object(source, item, is_wanted) | seems_own);
                }
                Content::Scalar(Value::Null) => {}
                _ => self.refuse(source, items.value.at, "items of a List must be a list"),
            }
            return api_version.starts_with(GROUP);
        }
        if is_wanted(&api_version, &kind) {
            self.documents.push(Document { source: Arc::clone(source), node, api_version, kind });
            return false;
        }
        self.passed_over += 1;
        if self.native.is_none() && api_version == "batch/v1" && NATIVE_KINDS.contains(&kind.as_str()) {
            self.native = Some(NativeJob { file: source.name.clone(), object: object(&kind, &node), kind });
        }
        false
    }

    fn refuse(&mut self, source: &Arc<Source>, at: Position, message: &str) {
        self.unreadable.push((Arc::clone(source), ReadError::new(at, message)));
    }
}

/// Whether a text that cannot be read has the project's API group as an `apiVersion`, in YAML or JSON.
fn mentions_group(text: &str) -> bool {
    let is_around = |character: char| character.is_whitespace() || "\"'".contains(character);
    // UTF-16 without its mark has one in each character.
    let text = if text.contains('\0') { Cow::Owned(text.replace('\0', "")) } else { Cow::Borrowed(text) };
    text.split("apiVersion").skip(1).any(|after| {
        let value = after.trim_start_matches(is_around).strip_prefix(':');
        value.is_some_and(|value| value.trim_start_matches(is_around).starts_with(GROUP))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a file that was found in a folder.
    fn found(bytes: &[u8]) -> Documents {
        read(&[Arc::new(Source::new("a.yaml", 0, bytes.to_vec()).of_anything())])
    }

    #[test]
    fn a_file_without_objects_is_passed_over() {
        for text in [
            "resources: [a.yaml]\n",
            "apiVersion: v2\nname: chart\n",
            "- op: replace\n  path: /spec\n",
            "just text",
            "{\n  // a comment\n  \"compilerOptions\": {},\n}\n",
            "{{- if .Values.enabled }}\na: {{ .Values.b }}\n{{- end }}\n",
            "on: {push: {branches: [main]}}\njobs: {a: {steps: [{run: make}]}}\n",
            "services: {web: {image: nginx}}\n",
            "a: &a [*a]\n",
            "extra:\n- apiVersion: jobrequest.dev/v1alpha1\n  kind: JobRequest\n",
            "kind: Cluster\nnodes: []\n",
            "a: 1\na: 2\n",
        ] {
            let documents = found(text.as_bytes());
            assert!(documents.unreadable.is_empty() && documents.documents.is_empty(), "{text:?}");
            assert_eq!(documents.skipped.files, 1, "{text:?}");
            let named = read(&[Arc::new(Source::new("a.yaml", 0, text.as_bytes().to_vec()))]);
            assert_eq!((named.unreadable.len(), named.skipped.files), (1, 0), "{text:?}");
        }
        assert_eq!(found(b"\xff\xfe\x00binary").skipped.files, 1);
        // Nothing at all is nothing to count.
        assert_eq!(found(b"# only a comment\n").skipped.files, 0);
        assert_eq!(found(b"apiVersion: v1\nkind: ConfigMap\n").skipped.files, 0);
    }

    #[test]
    fn a_broken_object_of_the_project_is_never_passed_over() {
        let utf16 = |text: &str, mark: &[u8]| -> Vec<u8> {
            let bytes = text.encode_utf16().flat_map(u16::to_le_bytes);
            mark.iter().copied().chain(bytes).collect()
        };
        let broken = "apiVersion: jobrequest.dev/v1alpha1\nkind: JobRequest\nspec: [\n";
        for bytes in [
            broken.as_bytes().to_vec(),
            b"apiVersion: \"jobrequest.dev/v1alpha1\"\nkind: {\n".to_vec(),
            b"{\"apiVersion\":\"jobrequest.dev/v1alpha1\", // x\n}".to_vec(),
            b"apiVersion: 'jobrequest.dev/v1alpha1'\nmetadata: {name: a}\n".to_vec(),
            b"kind: JobRequest\nmetadata: {name: a}\n".to_vec(),
            b"kind: List\napiVersion: v1\nitems:\n- kind: JobTemplate\n".to_vec(),
            b"apiVersion: jobrequest.dev/v1alpha1\nkind: JobRequestList\nitems: {}\n".to_vec(),
            [broken.as_bytes(), b"\xff"].concat(),
            utf16(broken, b"\xff\xfe"),
            utf16(broken, b""),
            b"apiVersion: jobrequest.dev/v1alpha1\nkind: JobRequest\n---\nresources: []\n".to_vec(),
        ] {
            let documents = found(&bytes);
            let text = String::from_utf8_lossy(&bytes);
            assert_eq!((documents.unreadable.len(), documents.skipped.files), (1, 0), "{text:?}");
        }
    }

    #[test]
    fn the_first_native_job_is_remembered() {
        let text = "apiVersion: v1\nkind: ConfigMap\n---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: export}\n";
        let native = found(text.as_bytes()).native.unwrap();
        assert_eq!((native.kind.as_str(), native.object.as_str()), ("Job", "job/export"));
        assert_eq!(found(b"apiVersion: example.com/v1\nkind: Job\n").native, None);
    }
}
