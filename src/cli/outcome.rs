//! What a command comes to, which decides the exit code.

use crate::follow::How;

/// What came out of a command that could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Valid,
    Invalid,
    /// The edit would start a run, or change one: as diff(1) says that files differ.
    Differs,
    /// Following a run ended in this way.
    Followed(How),
}

impl Verdict {
    /// The exit code.
    pub(super) const fn exit_code(self) -> u8 {
        match self {
            Self::Valid => 0,
            Self::Invalid | Self::Differs => 1,
            Self::Followed(how) => how.exit_code(),
        }
    }

    /// The user or the system ends the command.
    pub(super) const fn is_interrupted(self) -> bool {
        matches!(self, Self::Followed(How::Interrupted | How::Terminated))
    }

    /// Of several: the highest code of a following, else invalid if one is.
    pub(super) fn and(self, other: Self) -> Self {
        if other.exit_code() > self.exit_code() { other } else { self }
    }
}
