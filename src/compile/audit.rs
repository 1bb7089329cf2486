//! What other templates would change about whether a request is accepted.
//!
//! Takes a request and the layers that apply to it today and then; returns the violations that are new. Both are compiled
//! as the operator compiles them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::layers::{Layers, Template};
use super::problem::Problem;
use super::{Compiled, Identity, Problems, compile};
use crate::api::JobRequestSpec;

/// What a violation does to a run, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Consequence {
    /// It runs as it is, with a warning.
    Warned,
    /// It runs with a smaller number.
    Clamped,
    /// It does not run.
    Rejected,
}

impl fmt::Display for Consequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Warned => "Warned",
            Self::Clamped => "Clamped",
            Self::Rejected => "Rejected",
        })
    }
}

/// One violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What it does to a run.
    pub result: Consequence,
    /// Path of the field.
    pub field: String,
    /// What is wrong and what to do; of a number that is clamped, from what to what.
    pub message: String,
    /// The template that it comes from, for example `ClusterJobTemplate/platform`; of several that may have caused it, all.
    pub by: String,
}

/// A request under the templates of today and under others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// It is rejected today.
    pub is_rejected: bool,
    /// It would be rejected.
    pub would_be_rejected: bool,
    /// What is new or worse than today, the worst first.
    pub new: Vec<Violation>,
}

impl Comparison {
    /// Of a request that cannot be read, or that the API server refuses: no template changes that.
    #[must_use]
    pub const fn rejected() -> Self {
        Self { is_rejected: true, would_be_rejected: true, new: Vec::new() }
    }

    /// A run of it would be rejected for a reason that does not exist today.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.new.iter().any(|violation| violation.result == Consequence::Rejected)
    }
}

/// Compares what becomes of a request under the layers of `today` and under those of `then`.
///
/// A violation is known today if the same template finds something in the same field, with the same consequence or a worse
/// one. The words do not count: they name the bound, which may be another one.
#[must_use]
pub fn compare(identity: &Identity<'_>, spec: &JobRequestSpec, today: &Layers, then: &Layers) -> Comparison {
    let before = compile(identity, spec, today, 1);
    if count_the_same(today, then) {
        let is_rejected = before.is_err();
        return Comparison { is_rejected, would_be_rejected: is_rejected, new: Vec::new() };
    }
    let after = compile(identity, spec, then, 1);
    let causes = changed(today, then);
    let known: BTreeMap<(String, String), (Consequence, String)> = violations(&before, &causes)
        .into_iter()
        .map(|violation| ((violation.field, violation.by), (violation.result, violation.message)))
        .collect();
    let is_new = |violation: &Violation| {
        let known = known.get(&(violation.field.clone(), violation.by.clone()));
        known.is_none_or(|(result, message)| {
            // Another number is another Job.
            let is_other_number = *result == Consequence::Clamped && *message != violation.message;
            *result < violation.result || (*result == violation.result && is_other_number)
        })
    };
    let mut new: Vec<Violation> = violations(&after, &causes).into_iter().filter(is_new).collect();
    new.sort_by_key(|violation| std::cmp::Reverse(violation.result));
    Comparison { is_rejected: before.is_err(), would_be_rejected: after.is_err(), new }
}

/// The same templates count, whatever else is in scope.
fn count_the_same(today: &Layers, then: &Layers) -> bool {
    (&today.templates, &today.superseded, &today.problems)
        == (&then.templates, &then.superseded, &then.problems)
}

/// The templates that count in only one of the two.
fn changed(today: &Layers, then: &Layers) -> String {
    let all = |layers: &Layers| -> Vec<Arc<Template>> {
        let others = layers.superseded.iter().map(|other| Arc::clone(&other.template));
        layers.templates.iter().cloned().chain(others).collect()
    };
    let (before, after) = (all(today), all(then));
    let only = |these: &[Arc<Template>], those: &[Arc<Template>]| -> BTreeSet<String> {
        let differing = these.iter().filter(|one| !those.contains(one));
        differing.map(|template| template.reference.to_string()).collect()
    };
    let mut names = only(&after, &before);
    if names.is_empty() {
        names = only(&before, &after);
    }
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// What is wrong with a request; `causes` stand for the template of what no policy has found.
fn violations(outcome: &Result<Compiled, Problems>, causes: &str) -> Vec<Violation> {
    let of = |result: Consequence| {
        move |problem: &Problem| Violation {
            result,
            field: problem.field.clone(),
            message: problem.message.clone(),
            by: problem.by.clone().unwrap_or_else(|| causes.to_owned()),
        }
    };
    let compiled = match outcome {
        Ok(compiled) => compiled,
        Err(problems) => return problems.as_slice().iter().map(of(Consequence::Rejected)).collect(),
    };
    let clamped = compiled.clamped.iter().map(|cut| Violation {
        result: Consequence::Clamped,
        field: cut.path.clone(),
        message: match &cut.from {
            Some(from) => format!("is cut from {from} to {}", cut.to),
            None => format!("is set to {}", cut.to),
        },
        by: cut.by.clone(),
    });
    clamped.chain(compiled.warned.iter().map(of(Consequence::Warned))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::template_ref::{TemplateKind, TemplateRef};
    use crate::compile::{Builtin, select};

    fn template(name: &str, spec: &Value) -> Arc<Template> {
        Arc::new(Template {
            reference: TemplateRef { kind: TemplateKind::ClusterJobTemplate, name: name.to_owned() },
            uid: String::new(),
            generation: 1,
            created: None,
            is_terminating: false,
            spec: Ok(serde_json::from_value(spec.clone()).unwrap()),
        })
    }

    fn policy(enforcement: &str, max: i32) -> Value {
        let policy = json!({"enforcement": enforcement, "settings": {"backoffLimit": {"max": max}}});
        json!({"default": true, "policy": policy})
    }

    fn compared(spec: &Value, today: &[Value], then: &[Value]) -> Comparison {
        let spec: JobRequestSpec = serde_json::from_value(spec.clone()).unwrap();
        let identity =
            Identity { name: "a", namespace: Some("n"), uid: None, generation: None, handled: None };
        let layers = |specs: &[Value]| {
            let all: Vec<_> =
                specs.iter().enumerate().map(|(at, spec)| template(&format!("t{at}"), spec)).collect();
            select(Builtin::default(), &spec, &all)
        };
        compare(&identity, &spec, &layers(today), &layers(then))
    }

    fn request(backoff_limit: i32) -> Value {
        let containers = json!([{"name": "main", "image": "perl:5"}]);
        json!({"containers": containers, "settings": {"backoffLimit": backoff_limit}})
    }

    #[test]
    fn only_what_is_new_or_worse_is_a_violation() {
        use Consequence::{Clamped, Rejected, Warned};
        for (what, today, then, wanted) in [
            ("allowed", vec![], vec![policy("Deny", 9)], vec![]),
            ("denied", vec![], vec![policy("Deny", 3)], vec![Rejected]),
            ("denied today as well", vec![policy("Deny", 3)], vec![policy("Deny", 2)], vec![]),
            ("denied today, allowed then", vec![policy("Deny", 3)], vec![policy("Deny", 9)], vec![]),
            ("clamped", vec![], vec![policy("Clamp", 3)], vec![Clamped]),
            ("cut lower", vec![policy("Clamp", 3)], vec![policy("Clamp", 2)], vec![Clamped]),
            (
                "cut as today",
                vec![policy("Clamp", 3)],
                vec![json!({
                    "default": true, "description": "the same",
                    "policy": {"enforcement": "Clamp", "settings": {"backoffLimit": {"max": 3}}}
                })],
                vec![],
            ),
            ("warned, then denied", vec![policy("Warn", 3)], vec![policy("Deny", 3)], vec![Rejected]),
            ("denied, then warned", vec![policy("Deny", 3)], vec![policy("Warn", 3)], vec![]),
            ("warned", vec![], vec![policy("Warn", 3)], vec![Warned]),
            (
                "denied by another template",
                vec![policy("Deny", 3)],
                vec![policy("Deny", 3), policy("Deny", 2)],
                vec![Rejected],
            ),
        ] {
            let found = compared(&request(6), &today, &then);
            let results: Vec<_> = found.new.iter().map(|violation| violation.result).collect();
            assert_eq!(results, wanted, "{what}: {found:?}");
            assert_eq!(found.is_broken(), wanted.contains(&Rejected), "{what}");
            assert!(
                found.new.iter().all(|violation| violation.by.starts_with("ClusterJobTemplate/t")),
                "{what}"
            );
        }
    }

    #[test]
    fn what_no_policy_finds_is_by_the_templates_that_changed() {
        let bare = json!({"containers": [{"name": "main"}]});
        let gives = json!({"default": true, "containerDefaults": {"image": "perl:5"}});
        let found = compared(&bare, &[gives], &[json!({"default": true})]);
        assert!(!found.is_rejected && found.would_be_rejected && found.is_broken(), "{found:?}");
        assert_eq!(found.new[0].by, "ClusterJobTemplate/t0");
        assert_eq!(found.new[0].field, "spec.containers[main].image");
    }

    #[test]
    fn a_request_that_is_rejected_anyway_is_not_broken() {
        let found = compared(&json!({}), &[], &[policy("Deny", 3)]);
        assert!(found.is_rejected && found.would_be_rejected && !found.is_broken(), "{found:?}");
    }
}
