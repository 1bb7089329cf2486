//! The layer that a value comes from.

use std::fmt;
use std::sync::Arc;

use crate::api::template_ref::TemplateRef;

/// The layer that decided a value.
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
    /// `overrides` of a template, or of the JobRequest.
    Overrides(Option<Arc<TemplateRef>>),
    /// The bound of a policy, of this template.
    Policy(Arc<str>),
}

impl Origin {
    /// The user wrote it.
    #[must_use]
    pub const fn is_of_request(&self) -> bool {
        matches!(self, Self::Request | Self::Overrides(None))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin => f.write_str("builtin"),
            Self::Template(template) => template.fmt(f),
            Self::Quota(name, template) => write!(f, "quota {name} of {template}"),
            Self::Request => f.write_str("JobRequest"),
            Self::Overrides(Some(template)) => write!(f, "overrides of {template}"),
            Self::Overrides(None) => f.write_str("overrides"),
            Self::Policy(template) => write!(f, "policy of {template}"),
        }
    }
}
