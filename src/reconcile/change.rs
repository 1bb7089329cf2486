//! What a difference means: whether a spec asks for a new run, and what changes on a live Job.

use serde_json::Value;

use super::observed::{JobView, StoredRequest};
use crate::api::status::Run;
use crate::api::{JobRequestSpec, labels};
use crate::compile::Compiled;
use crate::compile::digest::{digest, same_scheme};
use crate::compile::in_place::InPlace;

/// The spec of `request` asks for a run after `newest`.
///
/// Digests of the request's own fields are compared, never Jobs. A digest of another scheme, at the same generation,
/// is the same spec seen by another release. A request older than the run it is compared with is a stale view.
pub(super) fn asks_for_run(newest: &Run, request: &StoredRequest, spec: &JobRequestSpec) -> bool {
    let generation = request.generation();
    if generation < newest.generation {
        return false;
    }
    newest.digest != digest(spec) && (same_scheme(&newest.digest) || generation > newest.generation)
}

/// The merge patch which the live `job` of `run` needs, if any.
///
/// While a newer spec waits for its own run, only `suspend` and what people read still concern the Job at hand.
pub(super) fn in_place_patch(
    job: &JobView,
    run: &Run,
    spec: &JobRequestSpec,
    compiled: &Compiled,
) -> Option<Value> {
    let last = job.annotation(labels::IN_PLACE).and_then(InPlace::from_annotation);
    let same_templates = run.templates == compiled.templates;
    let mut desired = compiled.in_place.for_live(last.as_ref(), spec, same_templates);
    desired.suspend = spec.suspend == Some(true);
    if run.digest != digest(spec) {
        desired = InPlace { suspend: desired.suspend, note: desired.note, ..last.clone()? };
    }
    let mut patch = desired.patch(last.as_ref(), spec)?;
    // Rule 1: for this very Job as it was judged. A late patch would part the record from the fields.
    if let Some(Value::Object(metadata)) = patch.get_mut("metadata") {
        metadata.insert("uid".to_owned(), job.uid().into());
        metadata.insert("resourceVersion".to_owned(), job.resource_version().into());
    }
    Some(Value::Object(patch))
}

/// The operator itself has suspended `job`, by the record which the Job carries.
pub(super) fn is_suspended_by_us(job: &JobView) -> bool {
    job.annotation(labels::IN_PLACE).and_then(InPlace::from_annotation).is_some_and(|last| last.suspend)
}
