//! Size presets: `quota: NAME` of a container becomes amounts right below that container's own `resources`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::origin::Origin;
use super::select::Template;
use super::shape::Shape;
use super::tree::Tree;
use crate::api::template::Quota;
use crate::api::template_ref::TemplateRef;
use crate::compile::problem::Problem;

/// The presets in scope, by name: those of the nearest template count.
pub(super) struct Presets<'a>(BTreeMap<&'a str, (Arc<TemplateRef>, &'a Quota)>);

impl<'a> Presets<'a> {
    /// The presets of `templates`, which stand lowest first.
    pub(super) fn of(templates: &'a [Arc<Template>]) -> Self {
        let mut presets = BTreeMap::new();
        for template in templates {
            let reference = Arc::new(template.reference.clone());
            let quotas = template.spec.iter().flat_map(|spec| &spec.quotas).flatten();
            presets.extend(quotas.map(|(name, quota)| (name.as_str(), (Arc::clone(&reference), quota))));
        }
        Self(presets)
    }

    /// Writes the preset which `container` names below its own resources. `field` names the container.
    pub(super) fn expand(&self, container: &mut Tree, field: &str, problems: &mut Vec<Problem>) {
        let Some(name) = container.get("quota").and_then(Tree::value).and_then(|value| value.as_str()) else {
            return;
        };
        let Some((template, quota)) = self.0.get(name) else {
            problems.push(self.unknown(name, field));
            return;
        };
        let origin = Origin::Quota(name.into(), Arc::clone(template));
        let amounts = serde_json::json!({"requests": quota.requests, "limits": quota.limits});
        let shape = Shape::spec().child("containers").child("").child("resources");
        let mut preset = Tree::read(shape, amounts, &origin);
        if let Some(fields) = preset.fields_mut() {
            fields.retain(|_, amounts| matches!(amounts, Tree::Fields(_)));
        }
        if let Some(fields) = container.fields_mut() {
            let resources = match fields.remove("resources") {
                Some(own) => preset.under(shape, own),
                None => preset,
            };
            fields.insert("resources".to_owned(), resources);
        }
    }

    fn unknown(&self, name: &str, field: &str) -> Problem {
        let known: Vec<&str> = self.0.keys().copied().collect();
        let known = if known.is_empty() {
            "no template in scope has any".to_owned()
        } else {
            format!("there are: {}", known.join(", "))
        };
        Problem::new(format!("{field}.quota"), format!("no size preset is called {name}; {known}"))
    }
}
