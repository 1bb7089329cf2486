//! The fields of a Job spec beside its template: those of `settings`, `suspend`, and what no JobRequest has.

use serde_json::{Value, json};

use super::draft::{Draft, Fields, Part, put};

/// Settings that have the same name and shape.
const SAME: [&str; 9] = [
    "backoffLimit",
    "parallelism",
    "completions",
    "completionMode",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
    "podFailurePolicy",
    "successPolicy",
    "podReplacementPolicy",
];

/// Labels that a generated selector asks for.
const GENERATED: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];

/// Moves what the form has; `job` is a whole Job spec without its template. `is_queued`: Kueue says when it starts.
pub(super) fn convert(draft: &mut Draft<'_>, job: &mut Part, is_queued: bool) {
    controller(draft, job);
    let mut settings =
        Part::new(Value::Object(std::mem::take(&mut job.from)), job.at.clone(), job.form.key("settings"));
    let has = |field: &str| settings.from.contains_key(field);
    let is_indexed = settings.from.get("completionMode") == Some(&json!("Indexed"));
    let is_work_queue = has("parallelism") && !has("completions") && !is_indexed;
    if settings.from.get("completionMode") == Some(&json!("NonIndexed")) {
        settings.from.remove("completionMode");
    }
    for field in ["parallelism", "completions"] {
        if settings.from.get(field) == Some(&json!(1)) {
            settings.from.remove(field);
        }
    }
    if is_work_queue && draft.goes(&settings.at.key("parallelism"), &settings.form.key("completionMode")) {
        settings.into.insert("completionMode".to_owned(), json!("WorkQueue"));
    }
    settings.same(draft, &SAME);
    // 0 ends a native Job at once, and means no deadline here.
    settings.carry(draft, "activeDeadlineSeconds", "activeDeadlineSeconds", |seconds| {
        (*seconds != json!(0)).then(|| seconds.clone())
    });
    if settings.from.contains_key("ttlSecondsAfterFinished") {
        settings.same(draft, &["ttlSecondsAfterFinished"]);
        draft.changed(
            &settings.at.key("ttlSecondsAfterFinished"),
            "the operator deletes the Job of a run, once its result is recorded and not before 2 minutes have passed; the Job itself has no TTL, and the record stays",
        );
    }
    let mut left = settings.from;
    suspend(draft, job, &mut left, is_queued);
    job.from = left;
    put(&mut job.into, "settings", settings.into);
}

/// What belongs to the Job controller.
fn controller(draft: &mut Draft<'_>, job: &mut Part) {
    let at = job.at.clone();
    if job.from.remove("manualSelector").is_some() {
        draft.dropped(&at.key("manualSelector"), "the Job controller chooses the selector of every run");
    }
    if let Some(selector) = job.from.remove("selector")
        && !is_generated(&selector)
    {
        draft.dropped(&at.key("selector"), "the Job controller chooses the selector of every run");
    }
    // Anything else is refused before.
    job.from.remove("managedBy");
}

fn is_generated(selector: &Value) -> bool {
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    selector.get("matchExpressions").is_none()
        && labels.is_none_or(|labels| labels.keys().all(|key| GENERATED.contains(&key.as_str())))
}

fn suspend(draft: &mut Draft<'_>, job: &mut Part, left: &mut Fields, is_queued: bool) {
    if left.remove("suspend") != Some(json!(true)) {
        return;
    }
    let place = job.at.key("suspend");
    if is_queued {
        draft.changed(&place, "left out: Kueue suspends the Job of each run itself, until its turn comes");
    } else {
        draft.stays(&place, &job.form.key("suspend"));
        job.into.insert("suspend".to_owned(), json!(true));
        draft.changed(&place, "no run starts, and no Job is created, until spec.suspend is set to false");
    }
}
