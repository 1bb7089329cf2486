//! The two ways to request a rerun: `spec.rerun`, in Git, and the annotation `jobrequest.dev/rerun`.
//!
//! Rule 12: the status records the last handled value of each source. A source whose value differs from it requests a
//! run; with one last handled value for both, each run would make the other source look new, forever. An empty source
//! requests nothing and clears nothing.

use super::observed::{JobView, SpecView, StoredRequest, bounded_token};
use crate::api::labels;
use crate::api::status::HandledRerun;

/// The tokens in both sources of `request` now.
fn sources(request: &StoredRequest) -> HandledRerun {
    let token = |token: Option<&str>| token.filter(|token| !token.is_empty()).map(bounded_token);
    let annotations = request.metadata.annotations.as_ref();
    HandledRerun {
        spec: token(request.spec.0.as_ref().ok().and_then(SpecView::rerun)),
        annotation: token(annotations.and_then(|all| all.get(labels::RERUN)).map(String::as_str)),
    }
}

/// The token which requests a run, beyond what was `handled`; when both sources do, that of the spec.
pub(super) fn requested(request: &StoredRequest, handled: &HandledRerun) -> Option<String> {
    let sources = sources(request);
    let is_new =
        |token: Option<String>, last: &Option<String>| token.filter(|token| Some(token) != last.as_ref());
    is_new(sources.spec, &handled.spec).or_else(|| is_new(sources.annotation, &handled.annotation))
}

/// What is handled once a run is reserved on `request`: both sources as that object has them.
pub(super) fn handle(request: &StoredRequest, handled: &HandledRerun) -> HandledRerun {
    let sources = sources(request);
    HandledRerun {
        spec: sources.spec.or_else(|| handled.spec.clone()),
        annotation: sources.annotation.or_else(|| handled.annotation.clone()),
    }
}

/// What was handled with the run of `job`, as the Job itself says.
pub(super) fn handled_with(job: &JobView) -> HandledRerun {
    job.annotation(labels::RERUN).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
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
    fn each_source_has_its_own_last_handled_value() {
        let both = request(Some("1"), Some("5"));
        assert_eq!(requested(&both, &handled(None, None)).as_deref(), Some("1"));
        assert_eq!(requested(&both, &handled(Some("1"), None)).as_deref(), Some("5"));
        assert_eq!(requested(&both, &handled(Some("5"), Some("1"))).as_deref(), Some("1"));
        let done = handle(&both, &handled(None, None));
        assert_eq!((&done, requested(&both, &done)), (&handled(Some("1"), Some("5")), None));
    }

    #[test]
    fn an_empty_source_requests_nothing_and_clears_nothing() {
        for empty in [request(None, None), request(Some(""), Some(""))] {
            let before = handled(Some("1"), Some("5"));
            assert_eq!(requested(&empty, &before), None);
            assert_eq!(handle(&empty, &before), before);
        }
    }

    #[test]
    fn a_revert_requests_a_run_again() {
        assert!(requested(&request(Some("x"), None), &handled(Some("y"), None)).is_some());
    }

    #[test]
    fn long_tokens_are_kept_short_and_apart() {
        let (one, two) = ("圆".repeat(500), format!("{}周", "圆".repeat(499)));
        let (first, second) = (bounded_token(&one), bounded_token(&two));
        assert!(first.len() <= 253 && second.len() <= 253);
        assert_ne!(first, second);
        assert_eq!(bounded_token(&first), first);
        assert_eq!(bounded_token("2026-11-24-a"), "2026-11-24-a");
    }
}
