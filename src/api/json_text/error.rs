//! Why a part of an object cannot be read.

use super::{MAX_DEPTH, MAX_VALUES};

/// Maximum length of a place or of a reason, in bytes: either may quote what a user wrote.
const MAX_LENGTH: usize = 400;

/// Why a part of an object cannot be read, as a sentence about the part without its subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonTextError {
    /// Maps and lists go deeper than the bound.
    #[error("is nested deeper than {MAX_DEPTH} levels, in {0}")]
    TooDeep(Box<str>),
    /// It holds more values than the bound.
    #[error("has more than {MAX_VALUES} values")]
    TooManyValues,
    /// It is JSON, and not of the type that is wanted; where, and what is wrong there.
    #[error("does not fit the schema of this version: {0}")]
    Misfit(Box<str>),
}

impl JsonTextError {
    /// `place` is the path of the map or list, as far as it is known.
    pub(super) fn too_deep(place: &str) -> Self {
        Self::TooDeep(cut(place).into())
    }

    /// The text that the error quotes is left out: messages end in logs and events, and a spec may hold what only its
    /// owner is to read.
    pub(super) fn misfit(error: &str) -> Self {
        let quoted = ["string \"", "variant `", "field `"].iter().find_map(|before| {
            let start = error.find(before)? + before.trim_end_matches(['"', '`', ' ']).len();
            Some((start, error.rfind(", expected").filter(|end| *end > start)?))
        });
        let text = match quoted.and_then(|(start, end)| error.get(..start).zip(error.get(end..))) {
            Some((before, after)) => format!("{before}{after}"),
            None => error.to_owned(),
        };
        Self::Misfit(cut(&text).into())
    }
}

fn cut(message: &str) -> String {
    match message.get(..message.floor_char_boundary(MAX_LENGTH)) {
        Some(start) if start.len() < message.len() => format!("{start}…"),
        _ => message.to_owned(),
    }
}
