//! Where a value comes from.

use std::fmt;
use std::sync::Arc;

use crate::api::template::TemplateRef;

/// The layer which decided a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The program's own default.
    Builtin,
    /// The base or container defaults of a template.
    Template(Arc<TemplateRef>),
    /// A size preset of a template, by name.
    Quota(Arc<str>, Arc<TemplateRef>),
    /// The JobRequest itself.
    Request,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin => f.write_str("builtin"),
            Self::Template(template) => template.fmt(f),
            Self::Quota(name, template) => write!(f, "quota {name} of {template}"),
            Self::Request => f.write_str("JobRequest"),
        }
    }
}
