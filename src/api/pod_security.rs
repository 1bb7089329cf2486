//! The Pod Security Standards that a JobRequest can ask for and a policy can demand.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// A Pod Security Standard to compile for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::undescribed)]
pub enum PodSecurity {
    /// Requires no setting.
    Baseline,
    /// Non-root, no privilege escalation, no capabilities, the runtime's seccomp profile.
    Restricted,
}
