//! What is counted when somebody asks, instead of at each event.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kube::runtime::reflector::Store;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::Gauge;

use crate::api::condition::Phase;
use crate::compile::Problem;
use crate::controller::compact::CompactRequest;
use crate::controller::lease::Leadership;
use crate::reconcile::template_status::{StoredTemplate, readiness};

/// The figures of caches.
pub(super) struct AtScrape {
    pub(super) leadership: Leadership,
    pub(super) requests: Arc<OnceLock<Store<CompactRequest>>>,
    pub(super) templates: Arc<Mutex<TemplateFigures>>,
}

/// The JobRequests of a namespace in one phase.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct PhaseLabels {
    request_namespace: String,
    phase: &'static str,
}

/// A namespace that holds JobRequests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct NamespaceLabel {
    request_namespace: String,
}

/// Templates of one kind: of a namespace, or, where that is empty, of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct ScopeLabels {
    kind: &'static str,
    template_namespace: String,
}

/// The same in one state: the reason of the condition Ready.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct StateLabels {
    kind: &'static str,
    template_namespace: String,
    reason: &'static str,
}

/// The figures of templates.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TemplateFigures {
    states: BTreeMap<StateLabels, i64>,
    defaults: BTreeMap<ScopeLabels, i64>,
    violations: BTreeMap<NamespaceLabel, i64>,
}

impl TemplateFigures {
    /// Of `all` templates, each with its `problems`; `violations` by namespace of the requests.
    pub(super) fn of(
        all: &[StoredTemplate],
        problems: &[Vec<Problem>],
        violations: BTreeMap<String, i64>,
    ) -> Self {
        let mut figures = Self::default();
        for (stored, problems) in all.iter().zip(problems) {
            let template = &stored.template;
            let kind = template.reference.kind.as_str();
            let template_namespace = stored.namespace.clone().unwrap_or_default();
            if template.is_default() && !template.is_terminating {
                let labels = ScopeLabels { kind, template_namespace: template_namespace.clone() };
                *figures.defaults.entry(labels).or_default() += 1;
            }
            let reason = readiness(template, problems);
            let labels = StateLabels { kind, template_namespace, reason: reason.as_str() };
            *figures.states.entry(labels).or_default() += 1;
        }
        let labelled = |(request_namespace, count)| (NamespaceLabel { request_namespace }, count);
        figures.violations = violations.into_iter().map(labelled).collect();
        figures
    }
}

/// The figures of JobRequests.
#[derive(Clone, Debug, Default, PartialEq)]
struct RequestFigures {
    phases: BTreeMap<PhaseLabels, i64>,
    clamped: BTreeMap<NamespaceLabel, i64>,
}

impl RequestFigures {
    fn of(all: &[Arc<CompactRequest>]) -> Self {
        let mut figures = Self::default();
        let mut by_namespace: BTreeMap<&str, (BTreeMap<Phase, i64>, i64)> = BTreeMap::new();
        for request in all {
            let (phases, clamped) = by_namespace.entry(request.namespace()).or_default();
            *phases.entry(request.phase().unwrap_or(Phase::Pending)).or_default() += 1;
            *clamped += i64::from(request.is_clamped());
        }
        for (namespace, (phases, clamped)) in by_namespace {
            for phase in Phase::ALL {
                let labels = PhaseLabels { request_namespace: namespace.to_owned(), phase: phase.as_str() };
                figures.phases.insert(labels, phases.get(phase).copied().unwrap_or_default());
            }
            figures.clamped.insert(NamespaceLabel { request_namespace: namespace.to_owned() }, clamped);
        }
        figures
    }
}

impl Collector for AtScrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let encoder = &mut encoder;
        let leads = i64::from(self.leadership.leads());
        gauge(leads).encode(encoder.encode_descriptor(
            "leader",
            "1 if this process leads and reconciles, 0 if it is on standby",
            None,
            MetricType::Gauge,
        )?)?;
        let requests = RequestFigures::of(&self.requests.get().map(Store::state).unwrap_or_default());
        family(
            encoder,
            "requests",
            "JobRequests by namespace and phase, as this process sees them; replicas see the same ones",
            &requests.phases,
        )?;
        family(
            encoder,
            "requests_clamped",
            "JobRequests of which policies have changed numbers, by namespace; replicas see the same ones",
            &requests.clamped,
        )?;
        let templates = self.templates.lock().unwrap_or_else(PoisonError::into_inner).clone();
        family(
            encoder,
            "templates",
            "Templates by scope and state, as the leader sees them",
            &templates.states,
        )?;
        family(
            encoder,
            "default_templates",
            "Templates that are the default of their scope: of several, the newest gives the values, the policies of all count",
            &templates.defaults,
        )?;
        family(
            encoder,
            "policy_violations",
            "JobRequests that violate a policy which only warns, by namespace, as the leader sees them",
            &templates.violations,
        )
    }
}

/// One gauge for each of the labels.
fn family<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: &BTreeMap<L, i64>,
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        gauge(*value).encode(family.encode_family(labels)?)?;
    }
    Ok(())
}

fn gauge(value: i64) -> Gauge<i64, AtomicI64> {
    let gauge = Gauge::default();
    gauge.set(value);
    gauge
}

impl fmt::Debug for AtScrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtScrape").finish_non_exhaustive()
    }
}
