//! The logs of a run: which of them are read, in which order of pods, and how a line is shown.
//!
//! Takes pods as they are seen and bytes as the API server sends them; returns what is to be opened, and the lines that
//! were not shown yet. The command line and every other front end read logs by this room alone.
//!
//! [`Desk`] decides which logs are open, [`Splitter`] makes lines of bytes, [`Seen`] keeps a log that is read again from
//! repeating or losing a line, and [`Style`] writes a line.

mod choice;
mod desk;
mod line;
mod pod;
mod seen;
mod style;

pub use choice::{Choice, Containers, Unknown};
pub use desk::{Desk, Life, Log, Source};
pub use line::{Line, MAX_LINE, Splitter};
pub use pod::{ContainerView, Kind, PodView, State};
pub use seen::Seen;
pub use style::{Prefix, Style};
