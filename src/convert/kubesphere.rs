//! What KubeSphere writes on Jobs as annotations: a name for people, a description, and records of earlier runs.

use serde_json::{Map, Value};

use super::draft::{Draft, Fields};
use super::note::Place;

const ALIAS: &str = "kubesphere.io/alias-name";
const DESCRIPTION: &str = "kubesphere.io/description";
/// Records of runs by their number, as JSON.
const REVISIONS: &str = "revisions";

/// Maximum length of `spec.alias`, in characters.
const MAX_ALIAS: usize = 63;
/// Maximum length of `spec.description`, in characters.
const MAX_DESCRIPTION: usize = 1000;
/// Maximum number of bytes of all annotations of an object.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// Moves what the form has out of `annotations`; the rest stays there.
pub(super) fn convert(draft: &mut Draft<'_>, annotations: &mut Fields, spec: &mut Fields) {
    for (key, field, max) in [(ALIAS, "alias", MAX_ALIAS), (DESCRIPTION, "description", MAX_DESCRIPTION)] {
        text(draft, annotations, spec, key, field, max);
    }
    revisions(draft, annotations);
}

fn place(key: &str) -> Place {
    Place::of(&["metadata", "annotations", key])
}

fn text(
    draft: &mut Draft<'_>,
    annotations: &mut Fields,
    spec: &mut Fields,
    key: &str,
    field: &str,
    max: usize,
) {
    let Some(written) = annotations.get(key).and_then(Value::as_str) else { return };
    let trimmed = written.trim();
    let kept: String = trimmed.chars().take(max).collect();
    let kept = kept.trim_end();
    let length = trimmed.chars().count();
    if length > max {
        let message = format!("cut for spec.{field}: it has {length} characters, and at most {max} fit");
        draft.changed(&place(key), message);
    }
    if !kept.is_empty() {
        draft.stays(&place(key), &Place::of(&["spec", field]));
        spec.insert(field.to_owned(), Value::String(kept.to_owned()));
    }
    annotations.remove(key);
}

/// Keeps the records of runs before JobRequest, without the oldest ones where all do not fit.
fn revisions(draft: &mut Draft<'_>, annotations: &mut Fields) {
    let size = |annotations: &Fields| {
        let each = annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len));
        each.sum::<usize>()
    };
    let Some(written) = annotations.get(REVISIONS).and_then(Value::as_str) else { return };
    let all = size(annotations);
    if all <= MAX_ANNOTATIONS {
        return;
    }
    let room = MAX_ANNOTATIONS.saturating_sub(all - written.len());
    let records = serde_json::from_str::<Map<String, Value>>(written).unwrap_or_default();
    let mut numbered: Vec<_> = records.into_iter().collect();
    let count = numbered.len();
    // The newest first; what has no number is the oldest.
    numbered.sort_by_key(|(number, _)| std::cmp::Reverse(number.parse::<u64>().unwrap_or_default()));
    let mut used = "{}".len();
    let kept: Map<_, _> = numbered
        .into_iter()
        .take_while(|(number, record)| {
            used += number.len() + record.to_string().len() + "\"\":,".len();
            used <= room
        })
        .collect();
    let message = if kept.is_empty() {
        "left out: annotations of an object have at most 256 KiB, and no record of it fits".to_owned()
    } else {
        format!(
            "the {} oldest of {count} records are left out: annotations of an object have at most 256 KiB",
            count - kept.len()
        )
    };
    draft.dropped(&place(REVISIONS), message);
    if kept.is_empty() {
        annotations.remove(REVISIONS);
    } else {
        annotations.insert(REVISIONS.to_owned(), Value::String(Value::Object(kept).to_string()));
    }
}
