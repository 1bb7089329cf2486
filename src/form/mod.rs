//! A JobRequest from answers: flags, fields by path and the steps of a form in; the document, what is wrong with it and
//! the command that makes it again out.
//!
//! ```text
//!  Flag, PATH=VALUE -> Draft -> document -> findings (the rules of crate::manifest), command_of
//!  Form: the next question, its answer, one step back -> Draft
//! ```
//!
//! [`set`] writes one field by its path, typed by the CRD's schema; [`flag`] knows what the flags of `create` mean;
//! [`Draft`] collects both and judges the document; [`steps`] lists the questions of the form, and [`Form`] walks
//! through them. It is pure: a terminal, and later a page, asks what it says, and reads the cluster into an [`Inventory`].

mod command;
mod draft;
mod flag;
mod inventory;
mod machine;
mod missing;
mod path;
pub mod set;
mod steps;

pub use command::{command_line, command_of, same_spec};
pub use draft::{Draft, Finding, Templates};
pub use flag::{Flag, FlagError};
pub use inventory::{Inventory, Kind, Names, Need};
pub use machine::{Asked, Form, Question, Suggestions};
pub use missing::missing;
pub use set::{Fields, SetError};
pub use steps::{Ask, STEPS};
