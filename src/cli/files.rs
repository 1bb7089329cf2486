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

/// Reads all of `names` in this order; a folder in the order of its file names.
pub(super) fn read(names: &[String], is_recursive: bool) -> Result<Vec<Arc<Source>>, FileError> {
    if names.is_empty() {
        return Err(FileError::Nothing);
    }
    let mut sources = Vec::new();
    // A file that is named twice, or that is also in a named folder, is read once.
    let mut known = HashSet::new();
    let mut is_new = |path: &Path| fs::canonicalize(path).map_or(true, |path| known.insert(path));
    for name in names {
        if name == "-" {
            sources.push(source("stdin".to_owned(), sources.len(), io::stdin().lock())?);
            continue;
        }
        if name.starts_with("http://") || name.starts_with("https://") {
            return Err(FileError::Address(name.clone()));
        }
        let path = Path::new(name);
        if fs::metadata(path).map_err(|error| FileError::Read(name.clone(), error))?.is_dir() {
            let mut files = Vec::new();
            folder(path, is_recursive, &mut files)?;
            if files.is_empty() {
                return Err(FileError::EmptyFolder(name.clone()));
            }
            for file in files {
                if is_new(&file) {
                    sources.push(open(&file, sources.len())?);
                }
            }
        } else if is_new(path) {
            sources.push(open(path, sources.len())?);
        }
    }
    Ok(sources)
}

/// The files of a folder that kubectl would read.
fn folder(path: &Path, is_recursive: bool, files: &mut Vec<PathBuf>) -> Result<(), FileError> {
    let failed = |error| FileError::Read(path.display().to_string(), error);
    let mut entries = fs::read_dir(path).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // A link to a folder is not followed, so that no folder is read twice or endlessly.
        if entry.file_type().map_err(failed)?.is_dir() {
            if is_recursive {
                folder(&path, is_recursive, files)?;
            }
        } else if path.extension().is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|e| ending == *e))
            && !path.is_dir()
        {
            files.push(path);
        }
    }
    Ok(())
}

fn open(path: &Path, number: usize) -> Result<Arc<Source>, FileError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| FileError::Read(name.clone(), error))?;
    source(name, number, file)
}

fn source(name: String, number: usize, from: impl Read) -> Result<Arc<Source>, FileError> {
    let mut bytes = Vec::new();
    if let Err(error) = from.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes) {
        return Err(FileError::Read(name, error));
    }
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE_BYTES) {
        return Err(FileError::TooLong(name));
    }
    Ok(Arc::new(Source::new(name, number, bytes)))
}
