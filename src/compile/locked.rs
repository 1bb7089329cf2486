//! What a policy keeps nearer layers from doing: fields that are `locked`, and `overrides: Forbid`.
//!
//! Takes the layers and what they merged to; tells what a layer nearer to the user than the policy has changed.
//! Everything else in a policy is judged on the compiled Job, see [`super::policy`].

use serde_json::Value;

use super::layers::{self, Layers, Merged, Tree, has_field};
use super::problem::Problem;
use crate::api::policy::{Enforcement, OverridesPolicy, Policy};

/// What nearer layers have changed and may not.
#[derive(Debug, Default)]
pub(super) struct Locked {
    /// Why the run is not started. Under `Clamp` too: there is nothing to cut.
    pub denied: Vec<Problem>,
    /// What is wrong, and let through.
    pub warned: Vec<Problem>,
}

/// Judges `merged` by the policies of `layers`.
pub(super) fn judge(merged: &Merged, layers: &Layers) -> Locked {
    let mut locked = Locked::default();
    for (index, template) in layers.templates.iter().enumerate() {
        let Some(policy) = template.spec.as_ref().ok().and_then(|spec| spec.policy.as_ref()) else {
            continue;
        };
        let origin = template.reference.to_string();
        let nearer: Vec<_> = merged.overrides.iter().filter(|overrides| overrides.layer > index).collect();
        let mut found = Vec::new();
        for problem in misspelled(policy) {
            locked.denied.push(Problem::new(format!("{origin} {}", problem.field), problem.message));
        }
        if policy.overrides == Some(OverridesPolicy::Forbid) {
            found.extend(nearer.iter().map(|overrides| {
                let message = format!("overrides are forbidden by {origin}; leave them out");
                Problem::new(overrides.field.as_str(), message)
            }));
        }
        let paths = policy.locked.as_deref().unwrap_or_default();
        let below = if paths.is_empty() { Tree::default() } else { layers::below(layers, index + 1) };
        for path in paths {
            let (kept, now) = (at(&below, path), at(&merged.tree, path));
            if kept != now {
                let kept = kept.map_or_else(|| "not set".to_owned(), |kept| kept.to_string());
                let message = format!("is locked by {origin}: it stays {kept}; leave it out");
                found.push(Problem::new(format!("spec.{path}"), message));
            }
            for overrides in &nearer {
                for pointer in in_job(path) {
                    if Value::Object(overrides.partial.clone()).pointer(&pointer).is_some() {
                        let field = format!("{}{}", overrides.field, pointer.replace('/', "."));
                        found
                            .push(Problem::new(field, format!("{path} is locked by {origin}; leave it out")));
                    }
                }
            }
        }
        match policy.enforcement.unwrap_or_default() {
            Enforcement::Deny | Enforcement::Clamp => locked.denied.extend(found),
            Enforcement::Warn => locked.warned.extend(found),
        }
    }
    locked
}

/// Locked paths that no spec has: a lock that holds nothing must not go unseen.
pub(super) fn misspelled(policy: &Policy) -> Vec<Problem> {
    let unknown = policy.locked.iter().flatten().filter(|path| !has_field(&segments(path)));
    unknown
        .map(|path| {
            Problem::new(
                "spec.policy.locked",
                format!("{path} is no field of a JobRequest's spec; write it as explain shows it, for example settings.backoffLimit or containers[main].image"),
            )
        })
        .collect()
}

fn at(tree: &Tree, path: &str) -> Option<Value> {
    let found = segments(path).into_iter().try_fold(tree, |tree, segment| tree.get(segment))?;
    Some(found.to_json())
}

/// `labels[a.b/c].d` as `labels`, `a.b/c`, `d`.
fn segments(path: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    for (index, part) in path.split('[').enumerate() {
        let plain = match part.split_once(']') {
            Some((key, rest)) if index > 0 => {
                segments.push(key);
                rest
            }
            _ => part,
        };
        segments.extend(plain.split('.').filter(|segment| !segment.is_empty()));
    }
    segments
}

/// Where in a partial Job spec overrides would change what is at `path` of a spec. What has no exact place there is kept
/// as a whole.
fn in_job(path: &str) -> Vec<String> {
    const POD: &str = "/template/spec";
    const META: &str = "/template/metadata";
    let segments = segments(path);
    let (first, second) = (segments.first().copied().unwrap_or_default(), segments.get(1).copied());
    let below =
        |folder: &str| second.map_or_else(|| folder.to_owned(), |key| format!("{folder}/{}", escape(key)));
    let of_pod = |fields: &[&str]| fields.iter().map(|field| format!("{POD}/{field}")).collect();
    match first {
        "settings" => match second {
            Some(field) => vec![format!("/{field}")],
            None => SETTINGS.iter().map(|field| format!("/{field}")).collect(),
        },
        "containers" | "initContainers" => of_pod(&["containers", "initContainers"]),
        "podSecurity" => of_pod(&["securityContext", "containers", "initContainers"]),
        "serviceAccountName" => of_pod(&["serviceAccountName", "serviceAccount"]),
        "nodeName" => of_pod(&["nodeName", "affinity"]),
        "nodeSelector" => vec![below(&format!("{POD}/nodeSelector"))],
        "labels" | "annotations" => vec![below(&format!("{META}/{first}"))],
        "overrides" => vec![String::new()],
        field => of_pod(&[field]),
    }
}

/// The settings which a Job spec has too.
pub(super) const SETTINGS: [&str; 10] = [
    "backoffLimit",
    "completions",
    "parallelism",
    "activeDeadlineSeconds",
    "completionMode",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
    "podFailurePolicy",
    "successPolicy",
    "podReplacementPolicy",
];

/// A key as a part of a JSON pointer.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_segments() {
        assert_eq!(segments("settings.backoffLimit"), ["settings", "backoffLimit"]);
        assert_eq!(
            segments("containers[main].env[A_B].value"),
            ["containers", "main", "env", "A_B", "value"]
        );
        assert_eq!(segments("labels[app.kubernetes.io/name]"), ["labels", "app.kubernetes.io/name"]);
    }

    #[test]
    fn locks_that_hold_nothing_are_told() {
        let policy = |path: &str| Policy { locked: Some(vec![path.to_owned()]), ..Policy::default() };
        for good in
            ["restartPolicy", "settings.backoffLimit", "labels[tier]", "containers[main].image", "overrides"]
        {
            assert!(misspelled(&policy(good)).is_empty(), "{good}");
        }
        for bad in ["restart", "settings.backofLimit", "containers[main].imag", "overrides.template"] {
            assert_eq!(misspelled(&policy(bad)).len(), 1, "{bad}");
        }
    }

    #[test]
    fn every_field_has_its_place_in_a_job() {
        let escaped = in_job("labels[app.kubernetes.io/name]");
        assert_eq!(escaped, ["/template/metadata/labels/app.kubernetes.io~1name"]);
        assert_eq!(in_job("settings.backoffLimit"), ["/backoffLimit"]);
        assert_eq!(in_job("restartPolicy"), ["/template/spec/restartPolicy"]);
    }
}
