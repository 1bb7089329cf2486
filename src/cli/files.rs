//! Files, folders and standard input into text.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::node::Position;

/// Longest file.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum FileError {
    #[error("could not read {0}: {1}")]
    Read(String, #[source] io::Error),
    #[error("could not read {0}: it has more than {max} MiB", max = MAX_BYTES / 1024 / 1024)]
    TooLong(String),
    #[error("could not read {0}: only files, folders and - (standard input) can be read here, no addresses")]
    Address(String),
    #[error("nothing to read: name files or folders, or - for standard input")]
    Nothing,
    #[error("the folder {0} has no file that ends in .yaml, .yml or .json; -R looks into its folders, too")]
    EmptyFolder(String),
}

/// A file, by the name people know it under.
#[derive(Debug)]
pub(in crate::cli) struct Source {
    pub(in crate::cli) name: String,
    /// Files are counted in order of reading.
    pub(in crate::cli) number: usize,
    /// Up to the first byte that is not UTF-8.
    pub(in crate::cli) text: String,
    /// Where a byte stands that is not UTF-8.
    pub(in crate::cli) broken: Option<Position>,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl Source {
    pub(in crate::cli) fn new(name: String, number: usize, text: String, broken: Option<Position>) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        Self { name, number, text, broken, lines }
    }

    /// A line, counted from 1.
    pub(in crate::cli) fn line(&self, number: usize) -> Option<&str> {
        let start = *self.lines.get(number.checked_sub(1)?)?;
        let end = self.lines.get(number).map_or(self.text.len(), |next| next.saturating_sub(1));
        Some(self.text.get(start..end)?.trim_end_matches('\r'))
    }
}

/// Reads everything that `names` names, in this order; a folder in order of its names.
pub(super) fn read(names: &[String], is_recursive: bool) -> Result<Vec<Rc<Source>>, FileError> {
    if names.is_empty() {
        return Err(FileError::Nothing);
    }
    let mut sources = Vec::new();
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
                sources.push(open(&file, sources.len())?);
            }
        } else {
            sources.push(open(path, sources.len())?);
        }
    }
    Ok(sources)
}

/// The files of a folder which kubectl would read.
fn folder(path: &Path, is_recursive: bool, files: &mut Vec<PathBuf>) -> Result<(), FileError> {
    let failed = |error| FileError::Read(path.display().to_string(), error);
    let mut entries = fs::read_dir(path).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // A link to a folder is not followed, so that no folder is read twice or for ever.
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

fn open(path: &Path, number: usize) -> Result<Rc<Source>, FileError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| FileError::Read(name.clone(), error))?;
    source(name, number, file)
}

fn source(name: String, number: usize, from: impl Read) -> Result<Rc<Source>, FileError> {
    let mut bytes = Vec::new();
    if let Err(error) = from.take(MAX_BYTES + 1).read_to_end(&mut bytes) {
        return Err(FileError::Read(name, error));
    }
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_BYTES) {
        return Err(FileError::TooLong(name));
    }
    let mut broken = None;
    let text = String::from_utf8(bytes).unwrap_or_else(|error| {
        let valid = error.utf8_error().valid_up_to();
        let mut bytes = error.into_bytes();
        bytes.truncate(valid);
        let text = String::from_utf8(bytes).unwrap_or_default();
        let last = text.rsplit('\n').next().unwrap_or_default();
        broken = Some(Position { line: text.matches('\n').count() + 1, column: last.chars().count() + 1 });
        text
    });
    let text = text.strip_prefix('\u{feff}').map(ToOwned::to_owned).unwrap_or(text);
    Ok(Rc::new(Source::new(name, number, text, broken)))
}
