//! Layers: where a value comes from when the request does not say it.
//!
//! Low to high: built-in < templates < the request < `overrides`. Today the built-in layer is the only one below the
//! request. Takes a spec and the layers; returns the [`Merged`] spec, in which every default is written down.

use crate::api::JobRequestSpec;
use crate::api::container::ImagePullPolicy;
use crate::api::job_request::RestartPolicy;
use crate::api::settings::{CompletionMode, Settings};

/// What lies below a request, lowest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layers {
    /// The defaults of the program itself.
    pub builtin: Builtin,
}

/// The built-in defaults, all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Builtin {
    /// How many failed pods are replaced.
    pub backoff_limit: i32,
    /// How many pods must succeed.
    pub completions: i32,
    /// How many pods run at once.
    pub parallelism: i32,
    /// What happens to a container that failed.
    pub restart_policy: RestartPolicy,
    /// When an image is pulled.
    pub image_pull_policy: ImagePullPolicy,
    /// Where a container's last words come from.
    pub termination_message_policy: &'static str,
}

impl Default for Builtin {
    fn default() -> Self {
        Self {
            backoff_limit: 6,
            completions: 1,
            parallelism: 1,
            restart_policy: RestartPolicy::Never,
            image_pull_policy: ImagePullPolicy::IfNotPresent,
            termination_message_policy: "FallbackToLogsOnError",
        }
    }
}

/// A spec with all layers merged.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// The merged spec; settings, restart policy and pull policies are always there.
    pub spec: JobRequestSpec,
    /// The settings of `spec`, with built-in defaults, 0 as "no deadline" resolved.
    pub settings: Settings,
    /// The restart policy of `spec`.
    pub restart_policy: RestartPolicy,
    /// Of the built-in layer: it has no field in a spec.
    pub termination_message_policy: &'static str,
}

/// Merges `spec` over `layers`.
#[must_use]
pub fn merge(spec: &JobRequestSpec, layers: &Layers) -> Merged {
    let builtin = &layers.builtin;
    let mut spec = spec.clone();
    let mut settings = spec.settings.clone().unwrap_or_default();

    settings.parallelism.get_or_insert(builtin.parallelism);
    if settings.completion_mode != Some(CompletionMode::WorkQueue) {
        settings.completions.get_or_insert(builtin.completions);
    }
    // With a limit per index, Kubernetes counts no common limit unless one is written; so do we.
    if settings.backoff_limit_per_index.is_none() {
        settings.backoff_limit.get_or_insert(builtin.backoff_limit);
    }
    if settings.active_deadline_seconds == Some(0) {
        settings.active_deadline_seconds = None;
    }
    if settings.ttl_seconds_after_failed.is_none() {
        settings.ttl_seconds_after_failed = settings.ttl_seconds_after_finished;
    }

    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut()).flatten() {
        container.image_pull_policy.get_or_insert(builtin.image_pull_policy);
    }
    let restart_policy = *spec.restart_policy.get_or_insert(builtin.restart_policy);

    Merged { spec, settings, restart_policy, termination_message_policy: builtin.termination_message_policy }
}
