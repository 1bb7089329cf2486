//! From a valid spec to the Job of one run.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1 as batch;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::digest::digest;
use super::identity::Identity;
use super::in_place::InPlace;
use super::names::job_name;
use super::overrides;
use super::pod;
use super::validate::ValidSpec;
use crate::api::settings::{self, CompletionMode, ExitCodeOperator, PodFailureAction, PodReplacementPolicy};
use crate::api::status::{HandledRerun, TemplatePin};
use crate::api::{JobRequestSpec, labels};

/// The Job of run `run`, made from `valid`; `written` is the spec as its user wrote it, `templates` those
/// that apply to it.
pub(super) fn build(
    identity: &Identity<'_>,
    written: &JobRequestSpec,
    valid: &ValidSpec,
    templates: &[TemplatePin],
    run: i32,
) -> Job {
    let spec = &valid.merged().spec;
    let own_labels = own_labels(identity.name, run);
    let mut job_spec = spec_of(valid, valid.overrides().len());
    // Last, so that nothing replaces them.
    if let Some(metadata) = job_spec.template.metadata.as_mut() {
        metadata.labels.get_or_insert_default().extend(own_labels.clone());
    }

    let mut job_labels = spec.labels.clone().unwrap_or_default();
    job_labels.extend(spec.queue.clone().map(|queue| (labels::QUEUE.to_owned(), queue)));
    job_labels.extend(own_labels);
    let mut annotations = spec.annotations.clone().unwrap_or_default();
    annotations.extend(own_annotations(identity, written, templates, run));
    Job {
        metadata: ObjectMeta {
            name: Some(job_name(identity.name, run)),
            namespace: identity.namespace.map(ToOwned::to_owned),
            labels: Some(job_labels),
            annotations: Some(annotations),
            owner_references: identity.uid.map(|uid| vec![owner_reference(identity.name, uid)]),
            ..Default::default()
        },
        spec: Some(job_spec),
        status: None,
    }
}

/// The spec of the Job with the first `count` overrides, without labels of the operator's own.
pub(super) fn spec_of(valid: &ValidSpec, count: usize) -> JobSpec {
    let spec = &valid.merged().spec;
    let mut job_spec = job_spec(&valid.merged().settings);
    let mut pod_labels = spec.labels.clone().unwrap_or_default();
    if spec.queue.is_some() {
        // Of the Job only: Kueue would queue the pods, too.
        pod_labels.remove(labels::QUEUE);
    }
    job_spec.template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(pod_labels),
            annotations: spec.annotations.clone(),
            ..Default::default()
        }),
        spec: Some(pod::pod_spec(valid.merged())),
    };
    for overrides in valid.overrides().iter().take(count) {
        overrides::merge_into(&mut job_spec, overrides.clone());
    }
    if let (Some(node), Some(pod_spec)) = (&spec.node_name, job_spec.template.spec.as_mut()) {
        pod::pin_node(pod_spec, node);
    }
    job_spec
}

/// Records on `job`, once nothing changes it any more, the values of the fields that may change while it exists.
pub(super) fn note_in_place(job: &mut Job, written: &JobRequestSpec) -> InPlace {
    let in_place = InPlace::of(job, written);
    job.metadata
        .annotations
        .get_or_insert_default()
        .insert(labels::IN_PLACE.to_owned(), in_place.to_annotation());
    in_place
}

fn own_labels(request: &str, run: i32) -> BTreeMap<String, String> {
    BTreeMap::from([
        (labels::MANAGED_BY.to_owned(), labels::FIELD_MANAGER.to_owned()),
        (labels::REQUEST.to_owned(), request.to_owned()),
        (labels::RUN.to_owned(), run.to_string()),
    ])
}

fn own_annotations(
    identity: &Identity<'_>,
    written: &JobRequestSpec,
    templates: &[TemplatePin],
    run: i32,
) -> BTreeMap<String, String> {
    [
        identity.uid.map(|uid| (labels::REQUEST_UID, uid.to_owned())),
        Some((labels::RUN, run.to_string())),
        Some((labels::DIGEST, digest(written))),
        identity.generation.map(|generation| (labels::GENERATION, generation.to_string())),
        identity
            .handled
            .filter(|handled| **handled != HandledRerun::default())
            .map(|handled| (labels::RERUN, serde_json::to_string(handled).unwrap_or_default())),
        (!templates.is_empty())
            .then(|| (labels::TEMPLATES, serde_json::to_string(templates).unwrap_or_default())),
        written.alias.clone().map(|alias| (labels::ALIAS, alias)),
        written.description.clone().map(|description| (labels::DESCRIPTION, description)),
    ]
    .into_iter()
    .flatten()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// The controller reference. It blocks a foreground delete of the request until the Job is gone.
fn owner_reference(name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: labels::API_VERSION.to_owned(),
        kind: "JobRequest".to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

fn job_spec(settings: &settings::Settings) -> JobSpec {
    JobSpec {
        backoff_limit: settings.backoff_limit,
        completions: settings.completions,
        parallelism: settings.parallelism,
        active_deadline_seconds: settings.active_deadline_seconds,
        completion_mode: settings.completion_mode.and_then(completion_mode).map(ToOwned::to_owned),
        backoff_limit_per_index: settings.backoff_limit_per_index,
        max_failed_indexes: settings.max_failed_indexes,
        pod_failure_policy: settings.pod_failure_policy.as_ref().map(pod_failure_policy),
        success_policy: settings.success_policy.as_ref().map(success_policy),
        pod_replacement_policy: settings.pod_replacement_policy.map(|policy| {
            match policy {
                PodReplacementPolicy::TerminatingOrFailed => "TerminatingOrFailed",
                PodReplacementPolicy::Failed => "Failed",
            }
            .to_owned()
        }),
        ..Default::default()
    }
}

/// The native mode. A work queue is a native Job without completions.
const fn completion_mode(mode: CompletionMode) -> Option<&'static str> {
    match mode {
        CompletionMode::NonIndexed => Some("NonIndexed"),
        CompletionMode::Indexed => Some("Indexed"),
        CompletionMode::WorkQueue => None,
    }
}

fn pod_failure_policy(policy: &settings::PodFailurePolicy) -> batch::PodFailurePolicy {
    let rules = policy.rules.iter().map(|rule| batch::PodFailurePolicyRule {
        action: match rule.action {
            PodFailureAction::Ignore => "Ignore",
            PodFailureAction::Count => "Count",
            PodFailureAction::FailIndex => "FailIndex",
            PodFailureAction::FailJob => "FailJob",
        }
        .to_owned(),
        on_exit_codes: rule.on_exit_codes.as_ref().map(|codes| {
            batch::PodFailurePolicyOnExitCodesRequirement {
                container_name: codes.container_name.clone(),
                operator: match codes.operator {
                    ExitCodeOperator::In => "In",
                    ExitCodeOperator::NotIn => "NotIn",
                }
                .to_owned(),
                values: codes.values.clone(),
            }
        }),
        on_pod_conditions: rule.on_pod_conditions.as_ref().map(|patterns| {
            patterns
                .iter()
                .map(|pattern| batch::PodFailurePolicyOnPodConditionsPattern {
                    type_: pattern.type_.clone(),
                    status: Some(pattern.status.clone().unwrap_or_else(|| "True".to_owned())),
                })
                .collect()
        }),
    });
    batch::PodFailurePolicy { rules: rules.collect() }
}

fn success_policy(policy: &settings::SuccessPolicy) -> batch::SuccessPolicy {
    let rules = policy.rules.iter().map(|rule| batch::SuccessPolicyRule {
        succeeded_indexes: rule.succeeded_indexes.clone(),
        succeeded_count: rule.succeeded_count,
    });
    batch::SuccessPolicy { rules: rules.collect() }
}
