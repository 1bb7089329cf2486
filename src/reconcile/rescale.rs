//! Elastic Indexed Jobs: where completions and parallelism become the same number, the live Job takes it, as Kubernetes allows
//! (KEP-3715). The patch writes the digest of the new spec into the Job with the fields, so that no crash separates the two.

use serde_json::{Map, Value, json};

use super::observed::{JobView, SpecView};
use crate::api::settings::CompletionMode;
use crate::api::status::Run;
use crate::api::{JobRequestSpec, labels};
use crate::compile::Compiled;
use crate::compile::digest::is_digest_of;

/// Fields of `overrides` by which somebody else decides the number.
const DECIDED_ELSEWHERE: [&str; 3] = ["completions", "parallelism", "completionMode"];

/// `spec` is the one that `job` has, but for a number of indexes that the live Job can take: it needs no new run.
pub(super) fn reaches(job: &JobView, spec: &SpecView) -> bool {
    let Some(of_job) = job.annotation(labels::DIGEST) else { return false };
    // The record of the run lags behind the patch.
    if spec.has_digest(of_job) == Some(true) {
        return true;
    }
    let is_over = job.is_ending() || job.is_terminal() || job.is_terminating();
    let Some(spec) = spec.whole().filter(|spec| !is_over && number(spec).is_some()) else { return false };
    // The number may have come from a template before.
    [job.spec.completions, None]
        .into_iter()
        .any(|completions| is_digest_of(of_job, &with(spec, completions)) == Some(true))
}

/// How many indexes the live `job` is to have, if that is another number and nothing but this number has changed: as many as
/// policies leave of those that are asked for.
pub(super) fn due(job: &JobView, spec: &JobRequestSpec, compiled: &Compiled) -> Option<i32> {
    number(spec)?;
    let settings = &compiled.settings;
    let left = settings.completions.filter(|left| settings.parallelism == Some(*left));
    left.filter(|left| job.spec.completions != Some(*left) && reaches(job, &spec.clone().into()))
}

/// What a merge patch of a live Job needs more to change the number of its indexes, and to say what its spec is from then on.
pub(super) fn patch(number: i32, compiled: &Compiled) -> Value {
    let of_compiled = compiled.job.metadata.annotations.as_ref();
    let now =
        |key: &str| of_compiled.and_then(|all| all.get(key)).map(|value| (key.to_owned(), json!(value)));
    let annotations: Map<String, Value> =
        [labels::DIGEST, labels::GENERATION].into_iter().filter_map(now).collect();
    json!({
        "metadata": {"annotations": annotations},
        "spec": {"completions": number, "parallelism": number},
    })
}

/// The `job` may have another number of indexes than `run` records, and the whole spec is needed to tell.
pub(super) fn is_unclear(run: &Run, job: &JobView, spec: &SpecView) -> bool {
    spec.whole().is_none()
        && run.digest != spec.digest()
        && job.annotation(labels::DIGEST) == Some(&spec.digest())
}

/// Records in `run` the spec that its `job` has by now, if that is the one of the request.
pub(super) fn record(run: &mut Run, job: &JobView, spec: &SpecView) {
    if spec.whole().and_then(number).is_none() {
        return;
    }
    let digest = spec.digest();
    if run.digest == digest || job.annotation(labels::DIGEST) != Some(digest.as_str()) {
        return;
    }
    if let Some(generation) = job.annotation(labels::GENERATION).and_then(|text| text.parse().ok()) {
        (run.digest, run.generation) = (digest, generation);
    }
}

/// The number of indexes that `spec` asks for, where the Job is Indexed and runs all of them at once.
fn number(spec: &JobRequestSpec) -> Option<i32> {
    let settings = spec.settings.as_ref()?;
    let is_indexed = settings.completion_mode == Some(CompletionMode::Indexed);
    let overridden = spec.overrides.as_ref();
    let is_own = DECIDED_ELSEWHERE.iter().all(|field| overridden.is_none_or(|all| !all.contains_key(*field)));
    settings.completions.filter(|number| is_indexed && is_own && settings.parallelism == Some(*number))
}

fn with(spec: &JobRequestSpec, completions: Option<i32>) -> JobRequestSpec {
    let mut spec = spec.clone();
    if let Some(settings) = &mut spec.settings {
        settings.completions = completions;
    }
    spec
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::template_ref::{TemplateKind, TemplateRef};
    use crate::compile::digest::digest;
    use crate::compile::{Builtin, Identity, Template, compile, select};

    fn spec(number: i32) -> JobRequestSpec {
        let settings = json!({"completionMode": "Indexed", "completions": number, "parallelism": number});
        let spec = json!({"containers": [{"name": "main", "image": "perl"}], "settings": settings});
        serde_json::from_value(spec).unwrap()
    }

    /// Under a policy that leaves at most so many indexes.
    fn compiled(spec: &JobRequestSpec, most: i32) -> Compiled {
        let bounds = json!({"completions": {"max": most}, "parallelism": {"max": most}});
        let template = json!({"default": true, "policy": {"enforcement": "Clamp", "settings": bounds}});
        let template = Template {
            reference: TemplateRef { kind: TemplateKind::JobTemplate, name: "limits".to_owned() },
            uid: "limits".to_owned(),
            generation: 1,
            created: None,
            is_terminating: false,
            spec: Ok(serde_json::from_value(template).unwrap()),
        };
        let identity =
            Identity { name: "a", namespace: None, uid: Some("a"), generation: Some(2), handled: None };
        compile(&identity, spec, &select(Builtin::default(), spec, &[Arc::new(template)]), 1).unwrap()
    }

    #[test]
    fn as_many_indexes_are_added_as_policies_leave() {
        let mut job: JobView = serde_json::from_value(json!(compiled(&spec(2), 9).job)).unwrap();
        let (asked, left) = (spec(8), compiled(&spec(8), 5));
        assert_eq!(due(&job, &asked, &left), Some(5));
        assert_eq!(due(&job, &asked, &compiled(&asked, 9)), Some(8));
        let mut value = json!(job);
        json_patch::merge(&mut value, &patch(5, &left));
        job = serde_json::from_value(value).unwrap();
        assert!(reaches(&job, &asked.clone().into()) && due(&job, &asked, &left).is_none());
        let run = json!({
            "number": 1, "jobName": "a-1", "trigger": "Created", "digest": digest(&spec(2)), "generation": 1
        });
        let mut run: Run = serde_json::from_value(run).unwrap();
        record(&mut run, &job, &asked.clone().into());
        assert_eq!((run.digest, run.generation), (digest(&asked), 2));
    }
}
