//! A run that somebody asks to end: the annotation `jobrequest.dev/cancel` on the JobRequest.
//!
//! Rule 16: it names the Job by its uid, and what follows is who asks. So it can end that run only: not a later one, if it is
//! read late, and not one of a JobRequest that was restored or created anew with the annotation. Nothing has to be remembered.

use super::observed::StoredRequest;
use crate::api::labels;
use crate::printable::printable_line;

/// Why the run whose Job has this `uid` is to be ended, in a sentence; `None`: nobody asks for it.
pub(super) fn asked_for(request: &StoredRequest, uid: &str) -> Option<String> {
    let annotation = request.metadata.annotations.as_ref()?.get(labels::CANCEL)?;
    let (named, who) = annotation.trim().split_once(char::is_whitespace).unwrap_or((annotation.trim(), ""));
    (named == uid && !uid.is_empty()).then(|| match printable_line(who.trim()) {
        who if who.is_empty() => "the annotation jobrequest.dev/cancel asks for it".to_owned(),
        who => format!("{who} asked for it"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(annotation: &str) -> StoredRequest {
        let metadata = serde_json::json!({"annotations": {labels::CANCEL: annotation}});
        serde_json::from_value(serde_json::json!({"metadata": metadata, "spec": {}})).unwrap()
    }

    #[test]
    fn it_names_one_job_and_who_asks() {
        for (annotation, why) in [
            ("u-1", Some("the annotation jobrequest.dev/cancel asks for it")),
            ("u-1 alice", Some("alice asked for it")),
            (" u-1\tsystem:serviceaccount:a:b ", Some("system:serviceaccount:a:b asked for it")),
            ("u-1 al\u{1b}[2Jice\nroot", Some("alice root asked for it")),
            ("u-2", None),
            ("u-12", None),
            ("", None),
            ("alice u-1", None),
            ("true", None),
        ] {
            assert_eq!(asked_for(&request(annotation), "u-1").as_deref(), why, "{annotation:?}");
        }
        assert_eq!(asked_for(&request(""), ""), None);
    }

    #[test]
    fn what_is_too_long_to_keep_still_names_its_job() {
        let long = format!("u-1 {}", "圆".repeat(500));
        assert!(asked_for(&request(&long), "u-1").is_some_and(|why| why.len() < 400));
    }
}
