//! Which templates lie below a request: the default of the cluster, that of the namespace, and the one it names.

use std::cmp::Reverse;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use super::{Builtin, Layers};
use crate::api::status::TemplatePin;
use crate::api::template_ref::{TemplateKind, TemplateRef};
use crate::api::{JobRequestSpec, JobTemplateSpec};
use crate::compile::problem::Problem;

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
    /// The spec, or why it cannot be read.
    pub spec: Result<JobTemplateSpec, String>,
}

impl Template {
    /// What a run notes of it.
    #[must_use]
    pub fn pin(&self) -> TemplatePin {
        TemplatePin {
            kind: self.reference.kind,
            name: self.reference.name.clone(),
            uid: self.uid.clone(),
            generation: self.generation,
        }
    }

    /// It wants to lie below every request in scope. One that cannot be read may have wanted to.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.spec.as_ref().map_or(true, |spec| spec.default == Some(true))
    }
}

/// The default among the templates of one scope: the newest, of equally old ones the first by name.
#[must_use]
pub fn default_of<'a>(templates: impl IntoIterator<Item = &'a Arc<Template>>) -> Option<&'a Arc<Template>> {
    templates
        .into_iter()
        .filter(|template| template.is_default())
        .min_by_key(|template| (Reverse(template.created), &template.reference.name))
}

/// Gathers the layers below `spec` from the templates of the cluster and of its namespace, in any order.
#[must_use]
pub fn select(builtin: Builtin, spec: &JobRequestSpec, templates: &[Arc<Template>]) -> Layers {
    let of = |kind| templates.iter().filter(move |template| template.reference.kind == kind);
    let mut problems = Vec::new();
    let named = spec.template_ref.as_ref().and_then(|wanted| {
        let found = of(wanted.kind).find(|template| template.reference.name == wanted.name);
        if found.is_none() {
            problems.push(missing(wanted, of(wanted.kind)));
        }
        found
    });
    let defaults =
        [TemplateKind::ClusterJobTemplate, TemplateKind::JobTemplate].map(|kind| default_of(of(kind)));
    let mut chosen = Vec::new();
    for template in defaults.into_iter().chain([named]).flatten() {
        match &template.spec {
            // A default that is named, too. With another default in between it lies above and below that: its locks
            // hold for the other one, its values come before those.
            Ok(_) if chosen.last().is_some_and(|last| Arc::ptr_eq(last, template)) => {}
            Ok(_) => chosen.push(Arc::clone(template)),
            // Going on without it would go on without its policy.
            Err(error) => problems.push(Problem::new(
                template.reference.to_string(),
                format!("the stored template does not fit the schema of this version: {error}; mend that field and apply it again"),
            )),
        }
    }
    Layers { builtin, templates: chosen, problems }
}

fn missing<'a>(wanted: &TemplateRef, known: impl Iterator<Item = &'a Arc<Template>>) -> Problem {
    let mut names: Vec<&str> = known.map(|template| template.reference.name.as_str()).collect();
    names.sort_unstable();
    let place = match wanted.kind {
        TemplateKind::JobTemplate => " in this namespace",
        TemplateKind::ClusterJobTemplate => "",
    };
    let known = if names.is_empty() {
        "there are none".to_owned()
    } else {
        format!("there are: {}", names.join(", "))
    };
    Problem::new("spec.templateRef", format!("no {} is called {}{place}; {known}", wanted.kind, wanted.name))
}
