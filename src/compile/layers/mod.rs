//! Layers: the source of every value the request leaves out.
//!
//! Low to high: built-in < default ClusterJobTemplate < default JobTemplate < the referenced template < the request <
//! `overrides`. Takes a spec and the [`Layers`] that [`select`] found; returns the [`Merged`] spec, in which every
//! default is filled in and every value has the layer that decided it.

mod field_path;
mod merge_schema;
mod origin;
mod quota;
mod scoped;
mod select;
mod value_tree;

use std::sync::Arc;

use serde_json::{Map, Value, json};

pub(super) use field_path::{Containers, FieldPath, FieldPathError, Step, is_security_setting};
pub(super) use merge_schema::MergeSchema;
pub use origin::Origin;
pub use scoped::{ScopedTemplate, in_scope, laid_over, select_seen};
pub use select::{Fate, Superseded, Template, Unreadable, defaults_of, read_spec, select};
pub use value_tree::Decided;
pub(super) use value_tree::{ValueTree, join};

use super::problem::Problem;
use crate::api::container::{Container, ImagePullPolicy};
use crate::api::job_request::RestartPolicy;
use crate::api::policy::Policy;
use crate::api::settings::{CompletionMode, Settings};
use crate::api::status::TemplatePin;
use crate::api::template::OWN_FIELDS;
use crate::api::template_ref::TemplateRef;
use crate::api::{JobRequestSpec, JobTemplateSpec};
use quota::Presets;

/// The layers that apply to a request, without the request itself. Policies of all templates count, values of those in
/// `templates`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layers {
    /// The defaults of the program itself.
    pub builtin: Builtin,
    /// Templates, lowest precedence first.
    pub templates: Vec<Arc<Template>>,
    /// Defaults of which only the policy counts.
    pub superseded: Vec<Superseded>,
    /// Every template of the cluster and of the request's namespace, those above included.
    pub in_scope: Vec<Arc<Template>>,
    /// The template that the request names.
    pub named: Option<TemplateRef>,
    /// Templates that are missing or cannot be read.
    pub problems: Vec<Problem>,
}

/// The built-in defaults, all of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Builtin {
    /// How many failed pods are replaced.
    pub backoff_limit: i32,
    /// How many pods must succeed.
    pub completions: i32,
    /// How many pods run at once.
    pub parallelism: i32,
    /// What happens to a container that failed.
    pub restart_policy: RestartPolicy,
    /// When an image is pulled.
    pub image_pull_policy: ImagePullPolicy,
    /// The source of a container's termination message.
    pub termination_message_policy: &'static str,
}

impl Default for Builtin {
    fn default() -> Self {
        Self {
            backoff_limit: 6,
            completions: 1,
            parallelism: 1,
            restart_policy: RestartPolicy::Never,
            image_pull_policy: ImagePullPolicy::IfNotPresent,
            termination_message_policy: "FallbackToLogsOnError",
        }
    }
}

/// Overrides of one layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Overrides {
    /// The layer that set them.
    pub origin: Origin,
    /// The index of that layer among the templates; the request comes after all of them.
    pub layer: usize,
    /// The field that holds them.
    pub field: String,
    /// A partial Job spec.
    pub partial: Map<String, Value>,
}

/// A spec with all layers merged.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Merged {
    /// The merged spec; settings, restart policy and pull policies are always there. Without overrides.
    pub spec: JobRequestSpec,
    /// The settings of `spec`, 0 as "no deadline" resolved.
    pub settings: Settings,
    /// The restart policy of `spec`.
    pub restart_policy: RestartPolicy,
    /// As the highest-precedence template sets it, or else the built-in layer: it has no field in a spec.
    pub termination_message_policy: &'static str,
    /// Overrides, lowest-precedence layer first.
    pub overrides: Vec<Overrides>,
    /// Every value of `spec` with its origin.
    pub tree: ValueTree,
}

impl Layers {
    /// What a run records of the templates, lowest precedence first, then of those of which only the policy counts.
    #[must_use]
    pub fn pins(&self) -> Vec<TemplatePin> {
        let mut pins: Vec<_> = self.templates.iter().map(|template| template.pin()).collect();
        for Superseded { template, .. } in &self.superseded {
            let pin = template.pin();
            if !pins.contains(&pin) {
                pins.push(pin);
            }
        }
        pins
    }

    /// The policies that count, lowest-precedence layer first, each with the highest layer that does not take
    /// precedence over it.
    pub(super) fn policies(&self) -> Vec<(usize, &Arc<Template>, &Policy)> {
        let values = self.templates.iter().enumerate();
        let others = self.superseded.iter().map(|other| (other.layer, &other.template));
        let mut policies: Vec<_> = values
            .chain(others)
            .filter_map(|(layer, template)| Some((layer, template, template.policy()?)))
            .collect();
        policies.sort_by_key(|(layer, ..)| *layer);
        policies
    }

    /// The templates whose values count, the nearest last.
    pub(super) fn templates(&self) -> &[Arc<Template>] {
        &self.templates
    }

    /// The source of a container's termination message by the first `count` templates: the one of highest precedence that
    /// sets it wins.
    pub(super) fn termination_message_policy(&self, count: usize) -> &'static str {
        let templates = self.templates.iter().take(count).rev();
        let mut specs = templates.filter_map(|template| template.spec.as_ref().ok());
        match specs.find_map(|spec| spec.capture_messages) {
            Some(true) => "FallbackToLogsOnError",
            Some(false) => "File",
            None => self.builtin.termination_message_policy,
        }
    }
}

/// Merges `spec` over `layers`; also returns the problems for which parts are left unmerged.
pub(super) fn merge(spec: &JobRequestSpec, layers: &Layers) -> (Merged, Vec<Problem>) {
    let mut problems = layers.problems.clone();
    let mut stack = Stack::new(&layers.templates, &mut problems);
    for (index, template) in layers.templates.iter().enumerate() {
        stack.add_template(template, index);
    }
    stack.add_spec(spec, Origin::Request, layers.templates.len(), "spec");
    let (tree, overrides) = stack.finish(&layers.builtin);

    let merged: JobRequestSpec = match serde_path_to_error::deserialize(tree.to_json()) {
        Ok(merged) => merged,
        // Each layer fits the schema, and so does the merged spec; if it does not, nothing is built.
        Err(error) => {
            problems.push(Problem::new(format!("spec.{}", error.path()), error.inner().to_string()));
            spec.clone()
        }
    };
    let mut settings = merged.settings.clone().unwrap_or_default();
    if settings.active_deadline_seconds == Some(0) {
        settings.active_deadline_seconds = None;
    }
    if settings.start_deadline_seconds == Some(0) {
        settings.start_deadline_seconds = None;
    }
    if settings.ttl_seconds_after_failed.is_none() {
        settings.ttl_seconds_after_failed = settings.ttl_seconds_after_finished;
    }
    let merged = Merged {
        settings,
        restart_policy: merged.restart_policy.unwrap_or(layers.builtin.restart_policy),
        termination_message_policy: layers.termination_message_policy(layers.templates.len()),
        spec: merged,
        overrides,
        tree,
    };
    (merged, problems)
}

/// What the first templates supply to a request that sets nothing.
pub(super) struct Below {
    /// The spec.
    pub spec: ValueTree,
    /// What every container inherits, whatever its name.
    pub container: ValueTree,
}

/// What a request gets from the first `count` templates alone.
pub(super) fn below(layers: &Layers, count: usize) -> Below {
    let mut unheard = Vec::new();
    let mut stack = Stack::new(&layers.templates, &mut unheard);
    for (index, template) in layers.templates.iter().enumerate().take(count) {
        stack.add_template(template, index);
    }
    let container = stack.lowest_container(&layers.builtin);
    Below { spec: stack.finish(&layers.builtin).0, container }
}

/// The layers merged so far.
struct Stack<'a> {
    presets: Presets<'a>,
    problems: &'a mut Vec<Problem>,
    spec: ValueTree,
    container_defaults: ValueTree,
    /// What layers take away from the container defaults, which apply to the containers of all layers.
    removed: Vec<FieldPath>,
    overrides: Vec<Overrides>,
}

impl<'a> Stack<'a> {
    fn new(templates: &'a [Arc<Template>], problems: &'a mut Vec<Problem>) -> Self {
        Self {
            presets: Presets::of(templates),
            problems,
            spec: ValueTree::default(),
            container_defaults: ValueTree::default(),
            removed: Vec::new(),
            overrides: Vec::new(),
        }
    }

    fn add_template(&mut self, template: &Template, layer: usize) {
        let Ok(JobTemplateSpec { base, container_defaults, .. }) = &template.spec else {
            return;
        };
        let origin = Origin::Template(Arc::new(template.reference.clone()));
        let reference = &template.reference;
        if let Some(defaults) = container_defaults {
            self.add_container_defaults(
                defaults,
                &origin,
                layer,
                &format!("{reference} spec.containerDefaults"),
            );
        }
        if let Some(base) = base {
            self.add_spec(base, origin, layer, &format!("{reference} spec.base"));
        }
    }

    /// Container defaults apply to the containers of all layers, so they merge among themselves first.
    fn add_container_defaults(&mut self, defaults: &Container, origin: &Origin, layer: usize, field: &str) {
        let schema = MergeSchema::spec().child("containers").child("");
        let mut tree = ValueTree::read(schema, json!(defaults), origin);
        if let Some(fields) = tree.fields_mut() {
            fields.remove("name");
            fields.remove("sidecar");
        }
        self.presets.expand(&mut tree, layer, field, self.problems);
        self.container_defaults = std::mem::take(&mut self.container_defaults).under(schema, tree);
    }

    fn add_spec(&mut self, spec: &JobRequestSpec, origin: Origin, layer: usize, field: &str) {
        let mut tree = ValueTree::read(MergeSchema::spec(), json!(spec), &origin);
        if let Some(fields) = tree.fields_mut() {
            fields.remove("overrides");
            fields.remove("without");
            if origin != Origin::Request {
                fields.retain(|name, _| !OWN_FIELDS.contains(&name.as_str()));
            }
        }
        for list in CONTAINER_LISTS {
            for (name, container) in tree.items_mut(list) {
                self.presets.expand(container, layer, &format!("{field}.{list}[{name}]"), self.problems);
            }
        }
        if is_work_queue(&tree)
            && let Some(settings) = self.spec.fields_mut().and_then(|fields| fields.get_mut("settings"))
            && let Some(settings) = settings.fields_mut()
        {
            settings.remove("completions");
        }
        self.remove(spec, field);
        self.spec = std::mem::take(&mut self.spec).under(MergeSchema::spec(), tree);
        if let Some(partial) = spec.overrides.clone() {
            self.overrides.push(Overrides { origin, layer, field: format!("{field}.overrides"), partial });
        }
    }

    /// Takes away from the layers so far what `spec`, written at `field`, does without.
    fn remove(&mut self, spec: &JobRequestSpec, field: &str) {
        for path in removals(spec, field) {
            match path {
                Ok(path) => {
                    self.spec.remove(path.steps());
                    self.removed.push(path);
                }
                Err(problem) => self.problems.push(problem),
            }
        }
    }

    /// What applies to every container.
    fn lowest_container(&self, builtin: &Builtin) -> ValueTree {
        self.lowest_without(builtin, std::iter::empty())
    }

    /// What applies to a container from which layers take away what lies at these `steps`.
    fn lowest_without<'p>(&self, builtin: &Builtin, removed: impl Iterator<Item = &'p [Step]>) -> ValueTree {
        let schema = MergeSchema::spec().child("containers").child("");
        let mut defaults = self.container_defaults.clone();
        for steps in removed {
            defaults.remove(steps);
        }
        let builtin = json!({"imagePullPolicy": builtin.image_pull_policy});
        ValueTree::read(schema, builtin, &Origin::Builtin).under(schema, defaults)
    }

    /// Merges everything over the container defaults and the built-in layer.
    fn finish(mut self, builtin: &Builtin) -> (ValueTree, Vec<Overrides>) {
        let mut spec = std::mem::take(&mut self.spec);
        let schema = MergeSchema::spec().child("containers").child("");
        for list in CONTAINER_LISTS {
            for (name, container) in spec.items_mut(list) {
                let paths = self.removed.iter().filter_map(FieldPath::containers);
                let removed = paths
                    .filter(|(of, containers, _)| *of == list && containers.include(name))
                    .map(|(.., within)| within);
                let lowest = self.lowest_without(builtin, removed);
                *container = lowest.under(schema, std::mem::take(container));
            }
        }
        let lowest = ValueTree::read(MergeSchema::spec(), builtin.below(&spec), &Origin::Builtin);
        (lowest.under(MergeSchema::spec(), spec), self.overrides)
    }
}

/// What `spec`, written at `field`, does without. A path of which nothing can be taken away is a problem: it must not go
/// unnoticed.
fn removals<'s>(
    spec: &'s JobRequestSpec,
    field: &'s str,
) -> impl Iterator<Item = Result<FieldPath, Problem>> + 's {
    spec.without.iter().flatten().enumerate().map(move |(index, path)| {
        let refused = |message: &str| Problem::new(format!("{field}.without[{index}]"), message);
        let path = FieldPath::parse(path).map_err(|error| refused(&error.to_string()))?;
        if path.steps().first().is_some_and(|first| first.is_of("overrides")) {
            return Err(refused(
                "what overrides of lower layers set cannot be taken away; set it to another value in overrides",
            ));
        }
        Ok(path)
    })
}

/// Paths in `without` of `spec`, written at `field`, of which nothing can be taken away.
pub(super) fn taking_nothing_away(spec: &JobRequestSpec, field: &str) -> Vec<Problem> {
    removals(spec, field).filter_map(Result::err).collect()
}

/// The fields of a spec that hold containers.
const CONTAINER_LISTS: [&str; 2] = ["containers", "initContainers"];

impl Builtin {
    /// The built-in defaults for `spec`, which all other layers merged to.
    fn below(&self, spec: &ValueTree) -> Value {
        let mut settings = Map::from_iter([("parallelism".to_owned(), json!(self.parallelism))]);
        if !is_work_queue(spec) {
            settings.insert("completions".to_owned(), json!(self.completions));
        }
        // With a limit per index, Kubernetes has no common limit unless one is set; the same holds here.
        let has_limit_per_index =
            spec.get("settings").is_some_and(|settings| settings.get("backoffLimitPerIndex").is_some());
        if !has_limit_per_index {
            settings.insert("backoffLimit".to_owned(), json!(self.backoff_limit));
        }
        json!({"settings": settings, "restartPolicy": self.restart_policy})
    }
}

fn is_work_queue(spec: &ValueTree) -> bool {
    let mode =
        spec.get("settings").and_then(|settings| settings.get("completionMode")).and_then(ValueTree::value);
    mode.is_some_and(|mode| *mode == json!(CompletionMode::WorkQueue))
}
