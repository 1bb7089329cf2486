//! Manifests: named texts of YAML or JSON in; their documents, the Jobs of their JobRequests and everything that is
//! wrong out, each with the place where it was written.
//!
//! ```text
//!  Source -> yaml -> document -> schema_check (cel) -> pipeline -> Inspected { documents, diagnostics }
//! ```
//!
//! [`yaml`] reads a text as kubectl reads it, [`document`] picks the objects of the project, [`schema_check`] judges
//! them as the API server would by the CRDs, whose rules [`cel`] evaluates; [`pipeline`] compiles them as the operator
//! would, and returns what is wrong as a [`Diagnostic`]; [`report`] writes the result as other tools read it. It is
//! pure: its callers read the files.

mod cel;
mod diagnostic;
mod document;
mod judge;
mod pipeline;
pub mod report;
mod schema_check;
mod source;
mod templates;
mod yaml;

pub use cel::CelError;
pub use diagnostic::{Diagnostic, Row, Rule, Severity};
pub use document::{
    Document, Documents, NativeJob, Skipped, in_namespace, read, read_documents, read_objects, read_value,
};
pub use judge::{Finding, Judge};
pub use pipeline::{Inspected, Inspection, Request, check, inspect, inspect_over};
pub use schema_check::SchemaError;
pub use source::Source;
pub use yaml::{Content, Entry, Node, Part, Path, Position, ReadError, Step};
