//! Size presets: `quota: NAME` of a container becomes amounts that only that container's own `resources` override.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::merge_schema::MergeSchema;
use super::origin::Origin;
use super::select::Template;
use super::value_tree::ValueTree;
use crate::api::template::Quota;
use crate::api::template_ref::TemplateRef;
use crate::compile::problem::Problem;

/// A preset, and where it is written.
struct Preset<'a> {
    /// The place of its template among the layers.
    layer: usize,
    template: Arc<TemplateRef>,
    quota: &'a Quota,
}

/// The presets of all layers, by name; those of one name lowest layer first.
pub(super) struct Presets<'a>(BTreeMap<&'a str, Vec<Preset<'a>>>);

impl<'a> Presets<'a> {
    /// The presets of `templates`, which are in order of precedence, the lowest first.
    pub(super) fn of(templates: &'a [Arc<Template>]) -> Self {
        let mut presets: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (layer, template) in templates.iter().enumerate() {
            let reference = Arc::new(template.reference.clone());
            for (name, quota) in template.spec.iter().flat_map(|spec| &spec.quotas).flatten() {
                let preset = Preset { layer, template: Arc::clone(&reference), quota };
                presets.entry(name.as_str()).or_default().push(preset);
            }
        }
        Self(presets)
    }

    /// Writes the preset which `container` of `layer` names below its own resources. `field` names the container.
    ///
    /// A layer can use the presets of its own and of the layers below it. A template that redefines a name does so for
    /// itself and for the layers above it.
    pub(super) fn expand(
        &self,
        container: &mut ValueTree,
        layer: usize,
        field: &str,
        problems: &mut Vec<Problem>,
    ) {
        let Some(name) = container.get("quota").and_then(ValueTree::value).and_then(|value| value.as_str())
        else {
            return;
        };
        let mut known = self.0.get(name).into_iter().flatten();
        let Some(Preset { template, quota, .. }) = known.rfind(|preset| preset.layer <= layer) else {
            problems.push(self.unknown(name, layer, field));
            return;
        };
        let origin = Origin::Quota(name.into(), Arc::clone(template));
        let amounts = serde_json::json!({"requests": quota.requests, "limits": quota.limits});
        let schema = MergeSchema::spec().child("containers").child("").child("resources");
        let mut preset = ValueTree::read(schema, amounts, &origin);
        if let Some(fields) = preset.fields_mut() {
            fields.retain(|_, amounts| matches!(amounts, ValueTree::Fields(_)));
        }
        if let Some(fields) = container.fields_mut() {
            let resources = match fields.remove("resources") {
                Some(own) => preset.under(schema, own),
                None => preset,
            };
            fields.insert("resources".to_owned(), resources);
        }
    }

    fn unknown(&self, name: &str, layer: usize, field: &str) -> Problem {
        let is_known = |presets: &[Preset<'_>]| presets.iter().any(|preset| preset.layer <= layer);
        let known: Vec<&str> =
            self.0.iter().filter(|(_, presets)| is_known(presets)).map(|(name, _)| *name).collect();
        let known = if known.is_empty() {
            "no template in scope has any".to_owned()
        } else {
            format!("there are: {}", known.join(", "))
        };
        let elsewhere =
            self.0.get(name).and_then(|presets| presets.first()).map_or_else(String::new, |preset| {
                format!("; that of {} is for itself and for layers above it", preset.template)
            });
        Problem::new(format!("{field}.quota"), format!("no size preset is called {name}; {known}{elsewhere}"))
    }
}
