//! Selects the templates that apply to a request: the default of the cluster, that of the namespace, and the one it
//! names. Of several defaults in one scope the newest supplies the values, and the policies of all count.

use std::cmp::Reverse;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use super::{Builtin, Layers};
use crate::api::json_text::{JsonText, JsonTextError};
use crate::api::policy::Policy;
use crate::api::status::{MAX_TEMPLATES, TemplatePin};
use crate::api::template_ref::{TemplateKind, TemplateRef};
use crate::api::{JobRequestSpec, JobTemplateSpec};
use crate::compile::problem::Problem;

/// Maximum length of a template's spec as JSON, in bytes: what client-side `kubectl apply` can carry. All templates are
/// kept in memory, and every request in scope is compiled with them.
const MAX_SPEC: usize = 256 * 1024;

/// A template as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Kind and name.
    pub reference: TemplateRef,
    /// uid; empty offline.
    pub uid: String,
    /// Generation; 0 offline.
    pub generation: i64,
    /// When it was created; absent offline.
    pub created: Option<Timestamp>,
    /// It is being deleted: no new run takes it.
    pub is_terminating: bool,
    /// The spec, or why it cannot be read.
    pub spec: Result<JobTemplateSpec, Unreadable>,
}

/// A template's spec that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unreadable {
    /// Why.
    pub why: TemplateSpecError,
    /// It sets `default`.
    pub is_default: bool,
}

/// Why a template's spec cannot be read, as a sentence about the spec without its subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateSpecError {
    /// It takes this many bytes.
    #[error("takes {} KiB, and a template may take at most {} KiB", .0.div_ceil(1024), MAX_SPEC / 1024)]
    TooLong(usize),
    /// It is no spec of a template.
    #[error(transparent)]
    Text(#[from] JsonTextError),
}

/// A template's spec, which is kept for as long as the template is there: of a bounded length.
///
/// # Errors
/// It is longer, or does not fit the schema.
pub fn read_spec(spec: &JsonText) -> Result<JobTemplateSpec, Unreadable> {
    let read = if spec.len() > MAX_SPEC {
        Err(TemplateSpecError::TooLong(spec.len()))
    } else {
        spec.read().map_err(TemplateSpecError::from)
    };
    read.map_err(|why| Unreadable { why, is_default: spec.sets("default") })
}

impl Template {
    /// What a run records of it.
    #[must_use]
    pub fn pin(&self) -> TemplatePin {
        TemplatePin {
            kind: self.reference.kind,
            name: self.reference.name.clone(),
            uid: self.uid.clone(),
            generation: self.generation,
        }
    }

    /// Its policy, if it has one and can be read.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        self.spec.as_ref().ok()?.policy.as_ref()
    }

    /// It is to apply to every request in scope, whether it can be read or not: leaving it out would leave out its
    /// policy.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.spec.as_ref().map_or_else(|error| error.is_default, |spec| spec.default == Some(true))
    }
}

/// The defaults among the templates of one scope, the one that gives the values first: the newest, of equally old ones
/// the first by name. One that is being deleted is none.
#[must_use]
pub fn defaults_of<'a>(templates: impl IntoIterator<Item = &'a Arc<Template>>) -> Vec<&'a Arc<Template>> {
    let wanted = |template: &&Arc<Template>| template.is_default() && !template.is_terminating;
    let mut defaults: Vec<_> = templates.into_iter().filter(wanted).collect();
    defaults.sort_by_key(|template| (Reverse(template.created), &template.reference.name));
    defaults
}

/// A default that a newer one of its scope supersedes: of it only the policy counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Superseded {
    /// The default.
    pub template: Arc<Template>,
    /// The place among the layers of the one that supersedes it. Locks hold what the layers up to there say.
    pub layer: usize,
}

/// Gathers the layers below `spec` from the templates of the cluster and of its namespace, in any order.
#[must_use]
pub fn select(builtin: Builtin, spec: &JobRequestSpec, templates: &[Arc<Template>]) -> Layers {
    let of = |kind| templates.iter().filter(move |template| template.reference.kind == kind);
    let mut problems = Vec::new();
    let named = spec.template_ref.as_ref().and_then(|wanted| {
        let found = of(wanted.kind).find(|template| template.reference.name == wanted.name);
        if found.is_none_or(|found| found.is_terminating) {
            problems.push(missing(wanted, found.is_some(), of(wanted.kind)));
        }
        found.filter(|found| !found.is_terminating)
    });
    let mut chosen: Vec<Arc<Template>> = Vec::new();
    let mut superseded: Vec<Superseded> = Vec::new();
    for kind in [TemplateKind::ClusterJobTemplate, TemplateKind::JobTemplate] {
        let defaults = defaults_of(of(kind));
        let Some((newest, others)) = defaults.split_first() else { continue };
        chosen.extend(readable(newest, &mut problems));
        for other in others {
            if readable(other, &mut problems).is_some_and(|other| other.policy().is_some()) {
                let layer = chosen.len().saturating_sub(1);
                superseded.push(Superseded { template: Arc::clone(other), layer });
            }
        }
    }
    if let Some(named) = named {
        // A default that is named, too, counts once. With another default in between it counts in both places: its
        // locks hold for the other one, its values come before those.
        let last = chosen.len().saturating_sub(1);
        superseded.retain(|other| !(Arc::ptr_eq(&other.template, named) && other.layer == last));
        if !chosen.last().is_some_and(|last| Arc::ptr_eq(last, named)) {
            chosen.extend(readable(named, &mut problems));
        }
    }
    let layers = Layers {
        builtin,
        templates: chosen,
        superseded,
        in_scope: templates.to_vec(),
        named: spec.template_ref.clone(),
        problems,
    };
    let count = layers.pins().len();
    if count <= MAX_TEMPLATES {
        return layers;
    }
    let problem = Problem::new(
        "spec",
        format!(
            "{count} templates in scope would count for it, and at most {MAX_TEMPLATES} can; have `default: true` taken out of some of them"
        ),
    );
    Layers { problems: [layers.problems, vec![problem]].concat(), ..layers }
}

/// `template`, unless it cannot be read: continuing without it would ignore its policy.
fn readable(template: &Arc<Template>, problems: &mut Vec<Problem>) -> Option<Arc<Template>> {
    match &template.spec {
        Ok(_) => Some(Arc::clone(template)),
        Err(error) => {
            let name = template.reference.to_string();
            if !problems.iter().any(|problem| problem.field == name) {
                let message = format!("the stored template {error}; fix that field and apply it again");
                problems.push(Problem::new(name.as_str(), message).by(name));
            }
            None
        }
    }
}

/// What has become of a template that a run was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It exists, whether it still applies to the request or not.
    There,
    /// It is being deleted.
    Terminating,
    /// There is none of its kind and name any more.
    Gone,
}

impl Layers {
    /// What has become of the template which `pin` notes.
    #[must_use]
    pub fn fate(&self, pin: &TemplatePin) -> Fate {
        let is_it = |template: &&Arc<Template>| {
            template.reference.kind == pin.kind && template.reference.name == pin.name
        };
        match self.templates.iter().chain(&self.in_scope).find(is_it) {
            Some(found) if found.is_terminating => Fate::Terminating,
            Some(_) => Fate::There,
            None => Fate::Gone,
        }
    }

    /// The request names this template.
    #[must_use]
    pub fn is_named(&self, pin: &TemplatePin) -> bool {
        self.named.as_ref().is_some_and(|named| named.kind == pin.kind && named.name == pin.name)
    }

    /// Defaults that are being deleted, of the cluster first, then by name.
    #[must_use]
    pub fn terminating_defaults(&self) -> Vec<TemplateRef> {
        let terminating = |template: &&Arc<Template>| template.is_terminating && template.is_default();
        let mut found: Vec<TemplateRef> =
            self.in_scope.iter().filter(terminating).map(|template| template.reference.clone()).collect();
        found.sort_by(|one, other| (Reverse(one.kind), &one.name).cmp(&(Reverse(other.kind), &other.name)));
        found
    }
}

/// `is_terminating`: it is there, and being deleted.
fn missing<'a>(
    wanted: &TemplateRef,
    is_terminating: bool,
    known: impl Iterator<Item = &'a Arc<Template>>,
) -> Problem {
    let usable = known.filter(|template| !template.is_terminating);
    let mut names: Vec<&str> = usable.map(|template| template.reference.name.as_str()).collect();
    names.sort_unstable();
    let place = match wanted.kind {
        TemplateKind::JobTemplate => " in this namespace",
        TemplateKind::ClusterJobTemplate => "",
    };
    let known = if names.is_empty() {
        if is_terminating { "there is no other" } else { "there are none" }.to_owned()
    } else {
        format!("there are: {}", names.join(", "))
    };
    let what = if is_terminating {
        format!("{} {}{place} is being deleted, and no new run is made with it", wanted.kind, wanted.name)
    } else {
        format!("no {} is called {}{place}", wanted.kind, wanted.name)
    };
    Problem::new("spec.templateRef", format!("{what}; {known}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_may_take_a_bounded_length() {
        let text = |length: usize| -> JsonText {
            let variables = json!([{"name": "A", "value": "x".repeat(length)}]);
            serde_json::from_value(json!({"base": {"containers": [{"name": "a", "env": variables}]}}))
                .unwrap()
        };
        assert!(read_spec(&text(200_000)).is_ok());
        let error = read_spec(&text(300_000)).unwrap_err();
        assert_eq!(error.why.to_string(), "takes 294 KiB, and a template may take at most 256 KiB");
    }
}
