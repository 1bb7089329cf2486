//! Which JobRequests violate a policy that only warns, also those at rest: a platform team looks there before it denies.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::compact::CompactRequest;
use super::templates::Templates;
use crate::api::policy::Enforcement;
use crate::api::template_ref::TemplateRef;
use crate::compile::{Identity, compile};
use crate::reconcile::template_status::{StoredTemplate, TemplateKey, Violations, scoped};

/// How many requests are compiled before others get a turn.
const BATCH: usize = 64;

/// What is known of each request, by uid: compiled again only when it, or a template, has changed.
#[derive(Default)]
pub(super) struct ViolationCounter {
    known: HashMap<String, Known>,
}

struct Known {
    generation: i64,
    /// Of the templates.
    version: u64,
    by: Vec<TemplateKey>,
}

/// The violations of each template, and the number of requests of each namespace which violate one.
#[derive(Default)]
pub(super) struct Found {
    pub(super) of_templates: BTreeMap<TemplateKey, Violations>,
    pub(super) of_namespaces: BTreeMap<String, i64>,
}

impl ViolationCounter {
    /// Counts, of `requests`, in order of their names; `version` is that of the templates.
    pub(super) async fn count(
        &mut self,
        all: &[StoredTemplate],
        templates: &Templates,
        version: u64,
        requests: &[Arc<CompactRequest>],
    ) -> Found {
        let warns = |stored: &&StoredTemplate| {
            let policy = stored.template.policy();
            policy.is_some_and(|policy| policy.enforcement == Some(Enforcement::Warn))
        };
        let warning: Vec<&StoredTemplate> = all.iter().filter(warns).collect();
        if warning.is_empty() {
            self.known.clear();
            return Found::default();
        }
        let in_scope = |request: &&Arc<CompactRequest>| {
            warning.iter().any(|stored| stored.is_in_scope(request.namespace()))
        };
        let mut requests: Vec<_> = requests.iter().filter(in_scope).collect();
        requests.sort_by_key(|request| (request.namespace(), request.name()));
        let mut before = std::mem::take(&mut self.known);
        let mut found = Found::default();
        for (index, request) in requests.into_iter().enumerate() {
            if index % BATCH == BATCH - 1 {
                tokio::task::yield_now().await;
            }
            let generation = request.generation();
            let is_current = |known: &Known| (known.generation, known.version) == (generation, version);
            let known = before.remove(request.uid()).filter(is_current).unwrap_or_else(|| Known {
                generation,
                version,
                by: violated(request, templates),
            });
            for key in &known.by {
                found.of_templates.entry(key.clone()).or_default().add(request.namespace(), request.name());
            }
            if !known.by.is_empty() {
                *found.of_namespaces.entry(request.namespace().to_owned()).or_default() += 1;
            }
            self.known.insert(request.uid().to_owned(), known);
        }
        found
    }
}

/// The templates whose policies warn about `request` as it is written. Nothing is said of a spec that is too long to be
/// kept, or that is rejected.
fn violated(request: &CompactRequest, templates: &Templates) -> Vec<TemplateKey> {
    let Some(spec) = request.spec() else { return Vec::new() };
    let layers = templates.layers_in(request.namespace(), spec.template_ref.clone());
    let identity = Identity {
        name: request.name(),
        namespace: Some(request.namespace()),
        uid: None,
        generation: None,
        handled: None,
    };
    let Ok(compiled) = compile(&identity, &spec, &layers, 1) else { return Vec::new() };
    let pins = compiled.templates.iter();
    let references = pins.map(|pin| TemplateRef { kind: pin.kind, name: pin.name.clone() });
    let mut by: Vec<TemplateKey> = references
        .filter(|reference| compiled.warning.contains(&reference.to_string()))
        .map(|reference| scoped(request.namespace(), &reference))
        .collect();
    by.sort();
    by.dedup();
    by
}
