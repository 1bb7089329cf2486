//! Patches of a live Job: what may change while it lives, and the deadline that ends it.

use serde_json::{Map, Value};

use super::observed::JobView;
use crate::api::status::Run;
use crate::api::{JobRequestSpec, labels};
use crate::compile::Compiled;
use crate::compile::digest::digest;
use crate::compile::in_place::InPlace;

/// The merge patch which the live `job` of `run` needs, if any.
///
/// While a newer spec waits for its own run, only `suspend` and what people read still concern the present Job.
pub(super) fn in_place_patch(
    job: &JobView,
    run: &Run,
    spec: &JobRequestSpec,
    compiled: &Compiled,
) -> Option<Value> {
    let last = last_written(job);
    let same_templates = run.templates == compiled.templates;
    let mut desired = compiled.in_place.for_live(last.as_ref(), spec, same_templates);
    desired.suspend = spec.suspend == Some(true);
    if run.digest != digest(spec) {
        desired = InPlace { suspend: desired.suspend, note: desired.note, ..last.clone()? };
    }
    desired.patch(last.as_ref(), spec).map(|patch| with_preconditions(job, patch))
}

/// The merge patch which ends the live `job` by a deadline that passed after `seconds` of its time. From then on that
/// field is left as it is.
pub(super) fn stop_patch(job: &JobView, seconds: i64) -> Option<Value> {
    let last = last_written(job)?;
    let deadline = last.active_deadline_seconds.map_or(seconds, |set| set.min(seconds));
    let desired = InPlace { stopped: true, active_deadline_seconds: Some(deadline), ..last.clone() };
    // Nothing of the spec goes into it: alias and description stay.
    desired.patch(Some(&last), &JobRequestSpec::default()).map(|patch| with_preconditions(job, patch))
}

/// Rule 1: for this very Job as it was judged. A late patch would separate the record from the fields.
fn with_preconditions(job: &JobView, mut patch: Map<String, Value>) -> Value {
    if let Some(Value::Object(metadata)) = patch.get_mut("metadata") {
        metadata.insert("uid".to_owned(), job.uid().into());
        metadata.insert("resourceVersion".to_owned(), job.resource_version().into());
    }
    Value::Object(patch)
}

/// What the operator last wrote to the fields that may change, by the record which the Job carries.
pub(super) fn last_written(job: &JobView) -> Option<InPlace> {
    job.annotation(labels::IN_PLACE).and_then(InPlace::from_annotation)
}
