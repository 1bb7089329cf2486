//! The lock on `captureMessages`, which is a field of templates: whether what containers write reaches the status.
//!
//! In the Job it is the source of each container's termination message. No template of higher precedence, and no
//! overrides, may change that.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::JobSpec;

use crate::compile::job;
use crate::compile::layers::Layers;
use crate::compile::pod::each_container;
use crate::compile::problem::Problem;
use crate::compile::validate::ValidSpec;

/// The path of the lock.
pub(super) const FIELD: &str = "captureMessages";

/// What layers above `index` change.
pub(super) fn changes(layers: &Layers, valid: &ValidSpec, index: usize, origin: &str) -> Vec<Problem> {
    let kept = layers.termination_message_policy(index + 1);
    let mut found = Vec::new();
    for (layer, template) in layers.templates().iter().enumerate().skip(index + 1) {
        let is_set = template.spec.as_ref().is_ok_and(|spec| spec.capture_messages.is_some());
        if is_set && layers.termination_message_policy(layer + 1) != kept {
            let way_out = format!("have it taken out of {}", template.reference);
            found.push(problem(FIELD.to_owned(), origin, kept, &way_out));
        }
    }
    let own = valid.merged().overrides.iter().filter(|overrides| overrides.layer <= index).count();
    let mut before = sources(&job::spec_of(valid, own));
    for (count, overrides) in valid.merged().overrides.iter().enumerate().skip(own) {
        let now = sources(&job::spec_of(valid, count + 1));
        for (container, source) in &now {
            let is_changed = match before.get(container) {
                Some(was) => was != source,
                None => source.as_deref().is_some_and(|source| source != kept),
            };
            if is_changed {
                let path = format!("{}.template.spec.{container}.terminationMessagePolicy", overrides.field);
                found.push(problem(path, origin, kept, "leave it out"));
            }
        }
        before = now;
    }
    found
}

fn problem(path: String, origin: &str, kept: &str, way_out: &str) -> Problem {
    let is_captured = kept == "FallbackToLogsOnError";
    Problem::new(path, format!("{FIELD} is locked by {origin}: it stays {is_captured}; {way_out}"))
}

/// The source of each container's termination message, by path of the container.
fn sources(spec: &JobSpec) -> BTreeMap<String, Option<String>> {
    let all = spec.template.spec.iter().flat_map(each_container);
    all.map(|(list, container)| {
        (format!("{list}[{}]", container.name), container.termination_message_policy.clone())
    })
    .collect()
}
