//! Files, folders and standard input into text.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::manifest::Source;

/// Maximum size of a file.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// A file or folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("could not read {0}")]
    Read(String, #[source] io::Error),
    #[error("could not read {0}: it is larger than {max} MiB", max = MAX_FILE_BYTES / 1024 / 1024)]
    TooLong(String),
    #[error("could not read {0}: URLs are not supported; name files, folders, or - for standard input")]
    Address(String),
    #[error("nothing to read: name files or folders, or - for standard input")]
    Nothing,
    #[error(
        "the folder {0} has no file that ends in .yaml, .yml or .json; -R also reads the folders inside it"
    )]
    EmptyFolder(String),
}

/// How files are read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    /// Folders in folders, too.
    pub(super) is_recursive: bool,
    /// Files in folders must hold objects, as those that are named.
    pub(super) is_strict: bool,
    /// Files that are named may hold anything, as those in folders; a folder may have no files.
    pub(super) takes_anything: bool,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) sources: Vec<Arc<Source>>,
    /// How many templates of Helm charts were passed over.
    pub(super) helm_templates: usize,
}

/// Reads all of `names` in this order; a folder in the order of its file names.
pub(super) fn read(names: &[String], is_recursive: bool) -> Result<Vec<Arc<Source>>, FileError> {
    Ok(find(names, Reading { is_recursive, ..Reading::default() })?.sources)
}

/// Reads all of `names`, as [`read`] does, and says what it passes over. Folders whose names begin with a dot are read
/// only if they are named: they belong to tools.
pub(super) fn find(names: &[String], reading: Reading) -> Result<Found, FileError> {
    if names.is_empty() {
        return Err(FileError::Nothing);
    }
    let mut sources = Vec::new();
    let mut helm_templates = 0;
    // A file that is named twice, or that is also in a named folder, is read once.
    let mut known = HashSet::new();
    let mut is_new = |path: &Path| fs::canonicalize(path).map_or(true, |path| known.insert(path));
    for name in names {
        if name == "-" {
            sources.push(Arc::new(source("stdin".to_owned(), sources.len(), io::stdin().lock())?));
            continue;
        }
        if name.starts_with("http://") || name.starts_with("https://") {
            return Err(FileError::Address(name.clone()));
        }
        let path = Path::new(name);
        if fs::metadata(path).map_err(|error| FileError::Read(name.clone(), error))?.is_dir() {
            let mut files = Vec::new();
            let mut templates = Vec::new();
            folder(path, reading, &mut files, &mut templates)?;
            if files.is_empty() && templates.is_empty() && !reading.takes_anything {
                return Err(FileError::EmptyFolder(name.clone()));
            }
            helm_templates += templates.len();
            for file in files {
                if is_new(&file) {
                    let source = open(&file, sources.len())?;
                    sources.push(Arc::new(if reading.is_strict { source } else { source.of_anything() }));
                }
            }
        } else if is_new(path) {
            let may_hold_anything = reading.takes_anything && !reading.is_strict;
            if may_hold_anything && is_helm_template(path) {
                helm_templates += 1;
                continue;
            }
            let source = open(path, sources.len())?;
            sources.push(Arc::new(if may_hold_anything { source.of_anything() } else { source }));
        }
    }
    Ok(Found { sources, helm_templates })
}

/// The folder of a Helm chart that has its templates, and the file that makes a folder a chart.
const HELM_TEMPLATES: &str = "templates";
const HELM_CHART: &str = "Chart.yaml";

/// Whether a file is a template of a Helm chart.
fn is_helm_template(path: &Path) -> bool {
    path.ancestors().skip(1).any(|folder| {
        folder.file_name().is_some_and(|name| name == HELM_TEMPLATES)
            && folder.parent().is_some_and(|chart| chart.join(HELM_CHART).is_file())
    })
}

/// The `files` of a folder that kubectl would read, and the `templates` of Helm charts among them, which are only
/// counted.
fn folder(
    path: &Path,
    reading: Reading,
    files: &mut Vec<PathBuf>,
    templates: &mut Vec<PathBuf>,
) -> Result<(), FileError> {
    let failed = |error| FileError::Read(path.display().to_string(), error);
    let mut entries = fs::read_dir(path).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let is_chart = !reading.is_strict && entries.iter().any(|entry| entry.file_name() == HELM_CHART);
    for entry in entries {
        let path = entry.path();
        // A link to a folder is not followed, so that no folder is read twice or endlessly.
        if entry.file_type().map_err(failed)?.is_dir() {
            let name = entry.file_name();
            if !reading.is_recursive || name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if is_chart && name == HELM_TEMPLATES {
                let mut all = Vec::new();
                folder(&path, reading, &mut all, templates)?;
                templates.append(&mut all);
            } else {
                folder(&path, reading, files, templates)?;
            }
        } else if path.extension().is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|e| ending == *e))
            && !path.is_dir()
        {
            files.push(path);
        }
    }
    Ok(())
}

fn open(path: &Path, number: usize) -> Result<Source, FileError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| FileError::Read(name.clone(), error))?;
    source(name, number, file)
}

fn source(name: String, number: usize, from: impl Read) -> Result<Source, FileError> {
    let mut bytes = Vec::new();
    if let Err(error) = from.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes) {
        return Err(FileError::Read(name, error));
    }
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE_BYTES) {
        return Err(FileError::TooLong(name));
    }
    Ok(Source::new(name, number, bytes))
}
