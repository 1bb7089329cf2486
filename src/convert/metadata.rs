//! Metadata of the object: a name that leaves room for the number of a run, labels and annotations without those that
//! controllers and the API server write.

use serde_json::{Value, json};

use super::draft::{Draft, Fields, put};
use super::kubesphere;
use super::note::{Note, NoteKind, Place};
use crate::api::job_request::MAX_NAME_LENGTH;
use crate::api::labels;
use crate::compile::digest::short_hash;

/// What the API server writes, and nobody else.
const OF_THE_SERVER: [&str; 9] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
    "ownerReferences",
];
/// Finalizers of the deletion itself, and of the Job controller.
const OF_CONTROLLERS: [&str; 3] = ["orphan", "foregroundDeletion", "batch.kubernetes.io/job-tracking"];
/// What kubectl keeps of the file that was applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether a label or annotation belongs to the operator or the Job controller.
pub(super) fn is_reserved(key: &str) -> bool {
    ["jobrequest.dev/", "batch.kubernetes.io/"].iter().any(|prefix| key.starts_with(prefix))
        || ["controller-uid", "job-name"].contains(&key)
}

/// Why an object with this `metadata` is not converted: a controller created it.
pub(super) fn owner(metadata: &Fields, kind: &str) -> Option<Note> {
    let owners = metadata.get("ownerReferences")?.as_array()?;
    let is_controller = |owner: &&Value| owner.get("controller") == Some(&json!(true));
    let owner = owners.iter().find(is_controller)?;
    let text = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or("?");
    let (owner_kind, name) = (text("kind"), text("name"));
    let message = match owner_kind {
        "CronJob" => format!("CronJob {name} creates this {kind}; convert cronjob/{name} instead"),
        "JobRequest" => format!("this {kind} is a run of JobRequest {name}; there is nothing to convert"),
        _ => format!(
            "{owner_kind} {name} creates this {kind}, and would do so again; change {owner_kind} {name} instead"
        ),
    };
    let place = Place::of(&["metadata", "ownerReferences"]);
    Some(Note::new(NoteKind::Refused, &place, message))
}

/// The metadata of the JobRequest, and what of `native` becomes a field of its spec.
pub(super) fn convert(draft: &mut Draft<'_>, native: Fields, spec: &mut Fields) -> Fields {
    let at = Place::of(&["metadata"]);
    let mut native = native;
    let mut converted = Fields::new();
    name(draft, &mut native, &at, &mut converted);
    if let Some(namespace) = native.remove("namespace").filter(|namespace| *namespace != json!("")) {
        draft.stays(&at.key("namespace"), &at.key("namespace"));
        converted.insert("namespace".to_owned(), namespace);
    }
    if let Some(Value::Array(owners)) = native.get("ownerReferences")
        && !owners.is_empty()
    {
        draft.dropped(
            &at.key("ownerReferences"),
            "an owner by its uid is one of this cluster; what created the object creates the JobRequest now",
        );
    }
    for field in OF_THE_SERVER {
        native.remove(field);
    }
    if let Some(Value::Array(finalizers)) = native.remove("finalizers")
        && finalizers.iter().any(|finalizer| !OF_CONTROLLERS.iter().any(|known| finalizer == known))
    {
        draft.dropped(&at.key("finalizers"), "whatever removes the finalizer watches Jobs, not JobRequests");
    }
    let (mut of_labels, mut annotations) = (map(&mut native, "labels"), map(&mut native, "annotations"));
    queue(draft, &mut of_labels, &at.key("labels"), spec);
    for (map, key) in [(&mut of_labels, "labels"), (&mut annotations, "annotations")] {
        without_reserved(draft, map, &at.key(key));
    }
    annotations.remove(LAST_APPLIED);
    kubesphere::convert(draft, &mut annotations, spec);
    put(&mut converted, "labels", of_labels);
    put(&mut converted, "annotations", annotations);
    for field in native.keys() {
        draft.dropped(&at.key(field), "no field of metadata; check its spelling");
    }
    converted
}

fn map(metadata: &mut Fields, key: &str) -> Fields {
    match metadata.remove(key) {
        Some(Value::Object(entries)) => entries,
        _ => Fields::new(),
    }
}

/// Kueue reads the queue of a Job: a label of the JobRequest would not be enough.
pub(super) fn queue(draft: &mut Draft<'_>, of_labels: &mut Fields, at: &Place, spec: &mut Fields) {
    if let Some(queue) = of_labels.remove(labels::QUEUE) {
        draft.stays(&at.key(labels::QUEUE), &Place::of(&["spec", "queue"]));
        spec.insert("queue".to_owned(), queue);
    }
}

/// Drops what belongs to the operator and the Job controller.
pub(super) fn without_reserved(draft: &mut Draft<'_>, map: &mut Fields, at: &Place) {
    for key in map.keys().filter(|key| is_reserved(key)) {
        if !draft.is_live {
            draft.dropped(
                &at.key(key),
                "belongs to the operator and the Job controller, which set it themselves",
            );
        }
    }
    map.retain(|key, _| !is_reserved(key));
}

fn name(draft: &mut Draft<'_>, native: &mut Fields, at: &Place, converted: &mut Fields) {
    let mut text = |key: &str| match native.remove(key) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    let (name, prefix) = (text("name"), text("generateName"));
    let (field, written) = match (name, prefix) {
        (Some(name), _) => ("name", name),
        (None, Some(prefix)) => ("generateName", prefix),
        // The result is judged, and says that a name is missing.
        (None, None) => return,
    };
    let name = proposal(&written);
    if field == "generateName" {
        draft.changed(
            &at.key(field),
            format!("a JobRequest keeps its name for all of its runs; {name} is proposed"),
        );
    } else if name != written {
        let message = format!(
            "a JobRequest is called by at most {MAX_NAME_LENGTH} lower-case letters, digits and '-', because the run number follows; {name} is proposed"
        );
        draft.changed(&at.key(field), message);
    }
    draft.stays(&at.key(field), &at.key("name"));
    converted.insert("name".to_owned(), Value::String(name));
}

/// A valid name that is as close as possible to `written`.
fn proposal(written: &str) -> String {
    let lower = written.to_lowercase();
    let allowed = lower.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' });
    let name: String = allowed.collect();
    let name = name.trim_matches('-');
    if name.is_empty() {
        return "job".to_owned();
    }
    if name.len() <= MAX_NAME_LENGTH {
        return name.to_owned();
    }
    // Two names that begin alike stay apart.
    let end: String = short_hash(written.as_bytes()).chars().take(6).collect();
    let kept: String = name.chars().take(MAX_NAME_LENGTH - end.len() - 1).collect();
    format!("{}-{end}", kept.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proposed_name_is_valid_and_close() {
        for (written, name) in [
            ("export", "export"),
            ("Export_Data.v2", "export-data-v2"),
            ("report-", "report"),
            ("计算", "job"),
            ("", "job"),
        ] {
            assert_eq!(proposal(written), name);
        }
        let (one, other) =
            (proposal(&format!("{}-one", "a".repeat(60))), proposal(&format!("{}-two", "a".repeat(60))));
        assert_ne!(one, other);
        assert_eq!((one.len(), other.len()), (MAX_NAME_LENGTH, MAX_NAME_LENGTH));
    }
}
