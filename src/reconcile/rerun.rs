//! The two doors by which a rerun is asked for: `spec.rerun`, in Git, and the annotation `jobrequest.dev/rerun`.
//!
//! Rule 12: each door has an echo of its own in the status. A door asks for a run if it holds something else than its
//! echo; with one echo for both, each run would make the other door look new, for ever. An empty door asks for nothing
//! and clears nothing.

use super::observed::{JobView, StoredRequest};
use crate::api::labels;
use crate::api::status::HandledRerun;
use crate::compile::digest::short_hash;

/// Longest token that is kept as it is, in bytes.
const LONGEST: usize = 253;

/// The tokens that stand in the doors of `request` now.
fn doors(request: &StoredRequest) -> HandledRerun {
    let door = |token: Option<&str>| token.filter(|token| !token.is_empty()).map(echo);
    let annotations = request.metadata.annotations.as_ref();
    HandledRerun {
        spec: door(request.spec.0.as_ref().ok().and_then(|spec| spec.rerun.as_deref())),
        annotation: door(annotations.and_then(|all| all.get(labels::RERUN)).map(String::as_str)),
    }
}

/// The token which asks for a run, beyond what was `handled`; when both doors ask, that of the spec is told.
pub(super) fn asked(request: &StoredRequest, handled: &HandledRerun) -> Option<String> {
    let doors = doors(request);
    let is_new =
        |door: Option<String>, echo: &Option<String>| door.filter(|token| Some(token) != echo.as_ref());
    is_new(doors.spec, &handled.spec).or_else(|| is_new(doors.annotation, &handled.annotation))
}

/// What is handled once a run is reserved on `request`: both doors as they stand in it.
pub(super) fn handle(request: &StoredRequest, handled: &HandledRerun) -> HandledRerun {
    let doors = doors(request);
    HandledRerun {
        spec: doors.spec.or_else(|| handled.spec.clone()),
        annotation: doors.annotation.or_else(|| handled.annotation.clone()),
    }
}

/// What was handled with the run of `job`, as the Job itself says.
pub(super) fn handled_with(job: &JobView) -> HandledRerun {
    job.annotation(labels::RERUN).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// A token as it is kept: an annotation may hold more than a status should.
fn echo(token: &str) -> String {
    if token.len() <= LONGEST {
        return token.to_owned();
    }
    let hash = short_hash(token.as_bytes());
    let end = token.floor_char_boundary(LONGEST - hash.len() - 1);
    format!("{}#{hash}", token.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(spec: Option<&str>, annotation: Option<&str>) -> StoredRequest {
        let mut annotations = serde_json::Map::new();
        annotations.extend(annotation.map(|token| (labels::RERUN.to_owned(), token.into())));
        let spec = spec.map_or_else(|| serde_json::json!({}), |token| serde_json::json!({"rerun": token}));
        serde_json::from_value(serde_json::json!({"metadata": {"annotations": annotations}, "spec": spec}))
            .unwrap()
    }

    fn handled(spec: Option<&str>, annotation: Option<&str>) -> HandledRerun {
        let owned = |token: Option<&str>| token.map(ToOwned::to_owned);
        HandledRerun { spec: owned(spec), annotation: owned(annotation) }
    }

    #[test]
    fn each_door_has_its_own_echo() {
        let both = request(Some("1"), Some("5"));
        assert_eq!(asked(&both, &handled(None, None)).as_deref(), Some("1"));
        assert_eq!(asked(&both, &handled(Some("1"), None)).as_deref(), Some("5"));
        assert_eq!(asked(&both, &handled(Some("5"), Some("1"))).as_deref(), Some("1"));
        let done = handle(&both, &handled(None, None));
        assert_eq!((&done, asked(&both, &done)), (&handled(Some("1"), Some("5")), None));
    }

    #[test]
    fn an_empty_door_asks_for_nothing_and_clears_nothing() {
        for empty in [request(None, None), request(Some(""), Some(""))] {
            let before = handled(Some("1"), Some("5"));
            assert_eq!(asked(&empty, &before), None);
            assert_eq!(handle(&empty, &before), before);
        }
    }

    #[test]
    fn a_revert_asks_again() {
        assert!(asked(&request(Some("x"), None), &handled(Some("y"), None)).is_some());
    }

    #[test]
    fn long_tokens_are_kept_short_and_apart() {
        let (one, two) = ("圆".repeat(500), format!("{}周", "圆".repeat(499)));
        let (first, second) = (echo(&one), echo(&two));
        assert!(first.len() <= LONGEST && second.len() <= LONGEST);
        assert_ne!(first, second);
        assert_eq!(echo("2026-11-24-a"), "2026-11-24-a");
    }
}
