//! A CronJob: its template becomes the JobRequest; its schedule cannot, because a JobRequest has none.

use serde_json::{Value, json};

use super::draft::{Draft, Fields, put};
use super::metadata;
use super::note::{Note, NoteKind, Place};

/// Maximum of a history limit of a JobRequest.
const MAX_HISTORY: i64 = 10;
/// History limit that a JobRequest has by default.
const DEFAULT_HISTORY: i64 = 3;

/// Where the rest of the way is described.
const SCHEDULES: &str = "see Run on a schedule, docs/schedules.md";

/// Notes what becomes of `native`, the spec of a CronJob, beside the spec of its Job. `of_request` is the metadata of the
/// JobRequest.
pub(super) fn convert(
    draft: &mut Draft<'_>,
    native: &mut Fields,
    of_request: &mut Fields,
    spec: &mut Fields,
) {
    let at = Place::of(&["spec"]);
    let template = native.remove("jobTemplate").unwrap_or_default();
    let mut policy = Fields::new();
    schedule(draft, native, &at, of_request);
    concurrency(
        draft,
        native.remove("concurrencyPolicy").as_ref(),
        &at.key("concurrencyPolicy"),
        &mut policy,
    );
    for (field, limit) in [
        ("successfulJobsHistoryLimit", "successfulRunsHistoryLimit"),
        ("failedJobsHistoryLimit", "failedRunsHistoryLimit"),
    ] {
        let Some(value) = native.remove(field) else { continue };
        let Some(number) = value.as_i64() else {
            draft.notes.push(Note::new(NoteKind::Invalid, &at.key(field), "must be a whole number"));
            continue;
        };
        if number > MAX_HISTORY {
            let message =
                format!("at most {MAX_HISTORY} Jobs are kept; the records of more runs stay in status.runs");
            draft.changed(&at.key(field), message);
        }
        if number != DEFAULT_HISTORY {
            draft.stays(&at.key(field), &Place::of(&["spec", "runPolicy", limit]));
            policy.insert(limit.to_owned(), json!(number.min(MAX_HISTORY)));
        }
    }
    if native.remove("suspend") == Some(json!(true)) {
        let message =
            "not carried, because it pauses the schedule alone; set it in the CronJob that asks for the runs";
        draft.notes.push(Note::new(NoteKind::Schedule, &at.key("suspend"), message));
    }
    for field in native.keys() {
        draft.dropped(&at.key(field), "a CronJob has no such field; check its spelling");
    }
    // Like a CronJob, it does nothing until its time comes.
    policy.insert("onCreate".to_owned(), json!("Hold"));
    put(spec, "runPolicy", policy);
    let Value::Object(mut template) = template else { return };
    template.remove("spec");
    of_jobs(draft, template.remove("metadata"), &at.key("jobTemplate").key("metadata"), of_request, spec);
    for field in template.keys() {
        draft.dropped(
            &at.key("jobTemplate").key(field),
            "a Job template has no such field; check its spelling",
        );
    }
}

/// The schedule, with what to do.
fn schedule(draft: &mut Draft<'_>, native: &mut Fields, at: &Place, of_request: &Fields) {
    let name = of_request.get("name").and_then(Value::as_str).unwrap_or("NAME");
    let mut note = |field: &str, message: String| {
        draft.notes.push(Note::new(NoteKind::Schedule, &at.key(field), message));
    };
    if let Some(schedule) = native.remove("schedule") {
        let message = format!(
            "a JobRequest has no schedule; keep {schedule} in a CronJob that runs: jobrequest rerun {name} ({SCHEDULES})"
        );
        note("schedule", message);
    }
    for field in ["timeZone", "startingDeadlineSeconds"] {
        if let Some(value) = native.remove(field) {
            note(
                field,
                format!("belongs to the schedule; set {value} in the CronJob that asks for the runs"),
            );
        }
    }
}

fn concurrency(draft: &mut Draft<'_>, value: Option<&Value>, place: &Place, policy: &mut Fields) {
    let form = Place::of(&["spec", "runPolicy", "whileActive"]);
    match value.and_then(Value::as_str) {
        Some("Replace") => {
            draft.stays(place, &form);
            policy.insert("whileActive".to_owned(), json!("Replace"));
        }
        Some("Forbid") => {
            draft.stays(place, &form);
            policy.insert("whileActive".to_owned(), json!("Wait"));
            draft.changed(
                place,
                "a time that comes while a run is active is not skipped: one run follows; to skip it, set concurrencyPolicy: Forbid in the CronJob that asks for the runs and waits",
            );
        }
        Some("Allow" | "") | None => draft.notes.push(Note::new(
            NoteKind::Schedule,
            place,
            "Allow, the default of a CronJob, is not possible: the runs of a JobRequest do not overlap; one run follows the active one",
        )),
        Some(other) => draft.notes.push(Note::new(
            NoteKind::Invalid,
            place,
            format!("{other:?} is no policy; a CronJob has Allow, Forbid and Replace"),
        )),
    }
}

/// Labels and annotations of the Jobs only: the JobRequest gets those that it does not have.
fn of_jobs(
    draft: &mut Draft<'_>,
    native: Option<Value>,
    at: &Place,
    of_request: &mut Fields,
    spec: &mut Fields,
) {
    let Some(Value::Object(mut native)) = native else { return };
    native.remove("creationTimestamp");
    for key in ["labels", "annotations"] {
        let Some(Value::Object(mut entries)) = native.remove(key) else { continue };
        let place = at.key(key);
        if key == "labels" {
            metadata::queue(draft, &mut entries, &place, spec);
        }
        metadata::without_reserved(draft, &mut entries, &place);
        let mut own = match of_request.remove(key) {
            Some(Value::Object(own)) => own,
            _ => Fields::new(),
        };
        for (name, value) in entries {
            match own.get(&name) {
                Some(known) if *known == value => {}
                Some(_) => draft.dropped(
                    &place.key(&name),
                    "the CronJob itself has it with another value; write it in spec.labels or spec.annotations if pods may have it",
                ),
                None => {
                    draft.changed(
                        &place.key(&name),
                        "is on the JobRequest, not on its Jobs; write it in spec.labels or spec.annotations to have it on Jobs and pods",
                    );
                    own.insert(name, value);
                }
            }
        }
        put(of_request, key, own);
    }
    for field in native.keys() {
        draft.dropped(
            &at.key(field),
            "the Jobs of a JobRequest are called by its name and the number of the run",
        );
    }
}
