//! The lifecycle of runs: what starts one, what happens while one is active, how many Jobs are kept.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// Default number of Jobs that are kept of succeeded, and of failed, runs.
pub const DEFAULT_HISTORY_LIMIT: i32 = 3;

/// What starts a run, and how many Jobs of finished runs are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunPolicy {
    /// What the creation of the JobRequest does: Run (start run 1) or Hold (take the spec as one that has run already: the
    /// next change of it, or a rerun, starts run 1). For objects that are restored from a backup or moved to another
    /// cluster. Default: Run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_create: Option<OnCreate>,
    /// What a change of the spec does when no run is active: Rerun (start a run of the new spec) or Hold (wait
    /// until a rerun is requested; the condition PendingChanges is true meanwhile). Default: Rerun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_spec_change: Option<OnSpecChange>,
    /// What a change or a rerun does while a run is active: Wait (start one run of the newest spec after it) or
    /// Replace (stop the active run, wait until its pods are gone, then start the new one). Default: Wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub while_active: Option<WhileActive>,
    /// What an edit of a template that applies to this request does: Ignore (the next run uses it) or Rerun (start a
    /// run). Default: Ignore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_template_change: Option<OnTemplateChange>,
    /// How many Jobs of succeeded runs are kept, newest first, 0 to 10. The records stay in status.runs. Default: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10))]
    pub successful_runs_history_limit: Option<i32>,
    /// The same for failed runs. Default: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10))]
    pub failed_runs_history_limit: Option<i32>,
}

impl RunPolicy {
    /// The same with every default filled in.
    #[must_use]
    pub fn with_defaults(&self) -> Self {
        Self {
            // It matters once, and is no news afterwards.
            on_create: self.on_create,
            on_spec_change: self.on_spec_change.or(Some(OnSpecChange::Rerun)),
            while_active: self.while_active.or(Some(WhileActive::Wait)),
            on_template_change: self.on_template_change.or(Some(OnTemplateChange::Ignore)),
            successful_runs_history_limit: self.successful_runs_history_limit.or(Some(DEFAULT_HISTORY_LIMIT)),
            failed_runs_history_limit: self.failed_runs_history_limit.or(Some(DEFAULT_HISTORY_LIMIT)),
        }
    }

    /// The creation starts no run.
    #[must_use]
    pub fn holds_creation(&self) -> bool {
        self.on_create == Some(OnCreate::Hold)
    }

    /// Changes of the spec wait for a rerun.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.on_spec_change == Some(OnSpecChange::Hold)
    }

    /// An active run is stopped for a newer one.
    #[must_use]
    pub fn replaces(&self) -> bool {
        self.while_active == Some(WhileActive::Replace)
    }

    /// An edit of a template requests a run.
    #[must_use]
    pub fn follows_templates(&self) -> bool {
        self.on_template_change == Some(OnTemplateChange::Rerun)
    }
}

/// What the creation of a JobRequest does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = rules::undescribed)]
pub enum OnCreate {
    /// A run.
    Run,
    /// Nothing until the spec changes, or a rerun is requested.
    Hold,
}

/// What a change of the spec does when no run is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = rules::undescribed)]
pub enum OnSpecChange {
    /// A run of the new spec.
    Rerun,
    /// Nothing until a rerun is requested.
    Hold,
}

/// What a change or a rerun does while a run is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = rules::undescribed)]
pub enum WhileActive {
    /// One run after it.
    Wait,
    /// The active run is stopped first.
    Replace,
}

/// What an edit of a template does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = rules::undescribed)]
pub enum OnTemplateChange {
    /// The next run uses it.
    Ignore,
    /// A run is started.
    Rerun,
}
