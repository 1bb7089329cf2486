//! Templates with the namespace that they apply to, and what is in force once some are laid over others.
//!
//! Takes templates as they are stored, or as files hold them; returns those that a request may meet.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use super::{Builtin, Layers, Template, select};
use crate::api::JobRequestSpec;
use crate::api::template_ref::{TemplateKind, TemplateRef};

/// A template, and the namespace to whose requests it applies.
#[derive(Clone, Debug, PartialEq)]
pub struct ScopedTemplate {
    /// Its namespace; none: it applies to all namespaces.
    pub namespace: Option<String>,
    /// What applies to requests.
    pub template: Arc<Template>,
}

impl ScopedTemplate {
    /// Requests in `namespace` may name it, and it may be their default.
    #[must_use]
    pub fn is_in_scope(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }

    fn is_same_object(&self, other: &Self) -> bool {
        self.namespace == other.namespace && self.template.reference == other.template.reference
    }
}

/// The templates of `all` that may apply to requests in `namespace`.
#[must_use]
pub fn in_scope(all: &[ScopedTemplate], namespace: &str) -> Vec<Arc<Template>> {
    let in_scope = all.iter().filter(|scoped| scoped.is_in_scope(namespace));
    in_scope.map(|scoped| Arc::clone(&scoped.template)).collect()
}

/// The layers that apply to a request in `namespace` which names `template_ref`, where kinds of templates may be `unseen`; and
/// whether the template that it names is among what could not be seen: it counts as none then, not as missing.
#[must_use]
pub fn select_seen(
    all: &[ScopedTemplate],
    namespace: &str,
    template_ref: Option<&TemplateRef>,
    unseen: &[TemplateKind],
) -> (Layers, bool) {
    let in_scope = in_scope(all, namespace);
    let is_unseen = template_ref.is_some_and(|wanted| {
        unseen.contains(&wanted.kind) && !in_scope.iter().any(|template| template.reference == *wanted)
    });
    let template_ref = template_ref.filter(|_| !is_unseen).cloned();
    let spec = JobRequestSpec { template_ref, ..JobRequestSpec::default() };
    (select(Builtin::default(), &spec, &in_scope), is_unseen)
}

/// The templates that are in force once `laid` are applied over those that are `stored`. One of the same kind, namespace and
/// name gets another spec and stays the object that it is: its age decides among several defaults, and one that is being
/// deleted is still being deleted. Any other one is created `now`.
#[must_use]
pub fn laid_over(
    stored: &[ScopedTemplate],
    laid: &[ScopedTemplate],
    now: Option<Timestamp>,
) -> Vec<ScopedTemplate> {
    let is_replaced = |one: &&ScopedTemplate| laid.iter().any(|other| other.is_same_object(one));
    let kept = stored.iter().filter(|one| !is_replaced(one)).cloned();
    let applied = laid.iter().map(|new| {
        let spec = new.template.spec.clone();
        let template = match stored.iter().find(|old| old.is_same_object(new)) {
            // Applied as it is: the API server changes nothing.
            Some(old) if old.template.spec == spec => Arc::clone(&old.template),
            Some(old) => Arc::new(Template {
                generation: old.template.generation.saturating_add(1),
                spec,
                ..(*old.template).clone()
            }),
            None => Arc::new(Template {
                generation: 1,
                created: now,
                is_terminating: false,
                ..(*new.template).clone()
            }),
        };
        ScopedTemplate { namespace: new.namespace.clone(), template }
    });
    kept.chain(applied).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::JobTemplateSpec;
    use crate::compile::defaults_of;

    fn template(namespace: Option<&str>, name: &str, generation: i64, text: &str) -> ScopedTemplate {
        let kind = namespace.map_or(TemplateKind::ClusterJobTemplate, |_| TemplateKind::JobTemplate);
        let spec = JobTemplateSpec {
            default: Some(true),
            description: Some(text.to_owned()),
            ..JobTemplateSpec::default()
        };
        ScopedTemplate {
            namespace: namespace.map(ToOwned::to_owned),
            template: Arc::new(Template {
                reference: TemplateRef { kind, name: name.to_owned() },
                uid: if generation > 0 { format!("uid-of-{name}") } else { String::new() },
                generation,
                created: (generation > 0).then_some(Timestamp::UNIX_EPOCH),
                is_terminating: false,
                spec: Ok(spec),
            }),
        }
    }

    #[test]
    fn what_is_laid_over_replaces_the_same_object_alone() {
        let stored = [
            template(None, "a", 3, "old"),
            template(Some("n"), "a", 2, "old"),
            template(Some("other"), "a", 1, "old"),
        ];
        let now = laid_over(&stored, &[template(Some("n"), "a", 0, "new")], None);
        let seen = |all: &[ScopedTemplate]| -> Vec<(Option<String>, i64, String)> {
            let mut seen: Vec<_> = (all.iter())
                .map(|one| {
                    let spec = one.template.spec.as_ref().unwrap();
                    let text = spec.description.clone().unwrap_or_default();
                    (one.namespace.clone(), one.template.generation, text)
                })
                .collect();
            seen.sort();
            seen
        };
        assert_eq!(
            seen(&now),
            [
                (None, 3, "old".to_owned()),
                (Some("n".to_owned()), 3, "new".to_owned()),
                (Some("other".to_owned()), 1, "old".to_owned()),
            ]
        );
        assert!(now.iter().all(|one| one.template.uid == "uid-of-a"));
        // Applied unchanged, nothing is new: neither the generation nor the pin that runs record.
        assert_eq!(laid_over(&stored, &[template(None, "a", 0, "old")], None).len(), 3);
        let same = laid_over(&stored, &[template(None, "a", 0, "old")], None);
        assert_eq!(seen(&same), seen(&stored));
    }

    #[test]
    fn a_template_that_could_not_be_seen_is_not_missing() {
        let all = [template(Some("n"), "a", 1, "own")];
        let named = |kind, name: &str| TemplateRef { kind, name: name.to_owned() };
        let cluster = named(TemplateKind::ClusterJobTemplate, "b");
        let (layers, is_unseen) = select_seen(&all, "n", Some(&cluster), &[TemplateKind::ClusterJobTemplate]);
        assert!(is_unseen && layers.problems.is_empty() && layers.templates.len() == 1);
        let (layers, is_unseen) = select_seen(&all, "n", Some(&cluster), &[]);
        assert!(!is_unseen && layers.problems.len() == 1);
        let own = named(TemplateKind::JobTemplate, "b");
        let (layers, is_unseen) = select_seen(&all, "n", Some(&own), &[TemplateKind::ClusterJobTemplate]);
        assert!(!is_unseen && layers.problems.len() == 1);
    }

    #[test]
    fn a_template_that_is_new_is_the_newest_default() {
        let stored = [template(None, "a", 1, "old")];
        let later = Some(Timestamp::from_second(1_000).unwrap());
        let now = laid_over(&stored, &[template(None, "b", 0, "new")], later);
        let all: Vec<_> = now.iter().map(|one| Arc::clone(&one.template)).collect();
        assert_eq!(defaults_of(&all)[0].reference.name, "b");
        assert_eq!(in_scope(&now, "anywhere").len(), 2);
    }
}
