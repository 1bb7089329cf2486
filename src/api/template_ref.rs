//! How a template is named: by its kind and its name, never by a namespace.

use std::fmt;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// The two kinds of template.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[schemars(transform = rules::undescribed)]
pub enum TemplateKind {
    /// Of the namespace.
    #[default]
    JobTemplate,
    /// Of the cluster.
    ClusterJobTemplate,
}

impl TemplateKind {
    /// As Kubernetes spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JobTemplate => "JobTemplate",
            Self::ClusterJobTemplate => "ClusterJobTemplate",
        }
    }
}

impl fmt::Display for TemplateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names a template. It has no namespace: a JobTemplate is looked up where the JobRequest is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateRef {
    /// JobTemplate (of the namespace) or ClusterJobTemplate. Default: JobTemplate.
    #[serde(default)]
    pub kind: TemplateKind,
    /// Name of the template.
    #[schemars(schema_with = "rules::dns_subdomain")]
    pub name: String,
}

impl fmt::Display for TemplateRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}
