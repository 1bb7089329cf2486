//! What the operator measures, in Prometheus' terms. docs/operating.md has the table.
//!
//! Labels hold enums, status codes, words of this program, and namespaces which hold JobRequests or templates: no other text
//! that a user wrote becomes a label, so the number of series is bounded by that of namespaces.

mod at_scrape;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use kube::runtime::reflector::Store;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use at_scrape::{AtScrape, TemplateFigures};

use super::compact::CompactRequest;
use super::lease::Leadership;
use crate::api::JobRequestStatus;
use crate::api::condition::{FailureCategory, RunResult};
use crate::api::status::Run;
use crate::compile::Problem;
use crate::reconcile::template_status::StoredTemplate;

/// From a millisecond to the longest that a pass may take.
const PASS_SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// From a second to a day.
const RUN_SECONDS: [f64; 13] =
    [1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21_600.0, 86_400.0];

/// The metrics. Clones are the same metrics.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    pub(super) reconcile_seconds: Histogram,
    pub(super) reconciles_active: Gauge,
    pub(super) reconciles_waiting: Gauge,
    pub(super) reconcile_errors: Family<ReasonLabel, Counter>,
    pub(super) api_requests: Family<ApiLabels, Counter>,
    pub(super) api_seconds: Family<VerbLabel, Histogram, fn() -> Histogram>,
    pub(super) watch_interruptions: Family<WatchLabel, Counter>,
    /// As the leader saw the templates last.
    templates: Arc<Mutex<TemplateFigures>>,
    runs: Family<RunLabels, Counter>,
    run_seconds: Family<ResultLabel, Histogram, fn() -> Histogram>,
}

/// Why a pass failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabel {
    /// `Error::reason`.
    pub(super) reason: &'static str,
}

/// One kind of call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ApiLabels {
    pub(super) verb: &'static str,
    pub(super) resource: &'static str,
    pub(super) code: Code,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct VerbLabel {
    pub(super) verb: &'static str,
}

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct WatchLabel {
    pub(super) kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabels {
    /// Namespace of the JobRequest. Not `namespace`, which a scrape sets to that of the operator.
    request_namespace: String,
    result: &'static str,
    /// Of a run that did not succeed; else empty.
    category: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// How a call was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Code {
    /// An HTTP status code.
    Status(u16),
    /// No answer, or none within the deadline.
    NoAnswer,
}

impl EncodeLabelValue for Code {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        match self {
            Self::Status(code) => code.encode(encoder),
            Self::NoAnswer => "none".encode(encoder),
        }
    }
}

impl Metrics {
    /// Registers all of them, each series with a bounded set of values from the start where zero means something.
    pub(super) fn register(
        registry: &mut Registry,
        leadership: Leadership,
        concurrency: u16,
        requests: Arc<OnceLock<Store<CompactRequest>>>,
    ) -> Self {
        let metrics = Self {
            reconcile_seconds: Histogram::new(PASS_SECONDS),
            reconciles_active: Gauge::default(),
            reconciles_waiting: Gauge::default(),
            reconcile_errors: Family::default(),
            api_requests: Family::default(),
            api_seconds: Family::new_with_constructor(|| Histogram::new(PASS_SECONDS)),
            watch_interruptions: Family::default(),
            templates: Arc::default(),
            runs: Family::default(),
            run_seconds: Family::new_with_constructor(|| Histogram::new(RUN_SECONDS)),
        };
        let registry = registry.sub_registry_with_prefix("jobrequest");
        registry.register(
            "build",
            "Version of the operator; always 1",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        metrics.register_reconciles(registry, concurrency);
        metrics.register_calls(registry);
        metrics.register_runs(registry);
        let templates = Arc::clone(&metrics.templates);
        registry.register_collector(Box::new(AtScrape { leadership, requests, templates }));
        metrics
    }

    fn register_reconciles(&self, registry: &mut Registry, concurrency: u16) {
        registry.register_with_unit(
            "reconcile_duration",
            "How long a reconcile of one JobRequest took; its count is the number of reconciles",
            Unit::Seconds,
            self.reconcile_seconds.clone(),
        );
        registry.register(
            "reconciles_active",
            "Reconciles that are under way now, at most reconcile_concurrency",
            self.reconciles_active.clone(),
        );
        registry.register(
            "reconciles_waiting",
            "JobRequests that wait to be reconciled: all turns are taken",
            self.reconciles_waiting.clone(),
        );
        registry.register(
            "reconcile_concurrency",
            "How many JobRequests may be reconciled at once",
            ConstGauge::new(i64::from(concurrency)),
        );
        registry.register(
            "reconcile_errors",
            "Reconciles that failed and are tried again, by reason",
            self.reconcile_errors.clone(),
        );
    }

    fn register_calls(&self, registry: &mut Registry) {
        registry.register(
            "api_requests",
            "Calls to the API server, by verb, resource and status code; code none: no answer within the deadline",
            self.api_requests.clone(),
        );
        registry.register_with_unit(
            "api_request_duration",
            "How long the API server took to answer, by verb; watches are not counted",
            Unit::Seconds,
            self.api_seconds.clone(),
        );
        registry.register(
            "watch_interruptions",
            "Watches that were interrupted and restarted, by kind",
            self.watch_interruptions.clone(),
        );
    }

    fn register_runs(&self, registry: &mut Registry) {
        registry.register(
            "runs",
            "Runs whose end this process recorded, by namespace, result and category of the failure",
            self.runs.clone(),
        );
        registry.register_with_unit(
            "run_duration",
            "From the start of a run's Job to its end, of runs whose end this process recorded, by result",
            Unit::Seconds,
            self.run_seconds.clone(),
        );
    }

    /// Counts the runs that ended between two statuses of one JobRequest.
    pub(super) fn count_ended_runs(
        &self,
        namespace: &str,
        before: &JobRequestStatus,
        after: &JobRequestStatus,
    ) {
        let labels =
            |result, category| RunLabels { request_namespace: namespace.to_owned(), result, category };
        // Series that are there when the first run of a namespace begins let rate() see its end.
        if self.runs.get(&labels(RunResult::Succeeded.as_str(), "")).is_none() {
            let failed = FailureCategory::ALL.iter().map(|category| (RunResult::Failed, category.as_str()));
            let others = RunResult::ALL.iter().map(|result| (*result, ""));
            for (result, category) in failed.chain(others) {
                drop(self.runs.get_or_create(&labels(result.as_str(), category)));
            }
        }
        for run in ended(before, after) {
            let Some(result) = run.result.map(RunResult::as_str) else {
                continue;
            };
            let category = run.failure.as_ref().map_or("", |failure| failure.category.as_str());
            self.runs.get_or_create(&labels(result, category)).inc();
            if let Some(seconds) = seconds(run) {
                self.run_seconds.get_or_create(&ResultLabel { result }).observe(seconds);
            }
        }
    }

    /// Shows the templates there are, each with its `problems`, and how many requests of each namespace violate a policy that
    /// only warns.
    pub(super) fn show_templates(
        &self,
        all: &[StoredTemplate],
        problems: &[Vec<Problem>],
        violations: BTreeMap<String, i64>,
    ) {
        let figures = TemplateFigures::of(all, problems, violations);
        *self.templates.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    /// Counts a watch that was interrupted.
    pub(super) fn count_interruption(&self, kind: &'static str) {
        self.watch_interruptions.get_or_create(&WatchLabel { kind }).inc();
    }

    /// Times a reconcile from now until the returned value is dropped.
    pub(super) fn time_reconcile(&self) -> Underway<'_> {
        self.reconciles_active.inc();
        Underway { metrics: self, began: std::time::Instant::now() }
    }
}

/// A reconcile that is under way.
pub(super) struct Underway<'a> {
    metrics: &'a Metrics,
    began: std::time::Instant,
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.metrics.reconciles_active.dec();
        self.metrics.reconcile_seconds.observe(self.began.elapsed().as_secs_f64());
    }
}

/// Runs that have a result in `after` and had none in `before`.
fn ended<'a>(before: &'a JobRequestStatus, after: &'a JobRequestStatus) -> impl Iterator<Item = &'a Run> {
    let had_ended = |number| before.runs.iter().any(|run| run.number == number && !run.is_open());
    after.runs.iter().filter(move |run| !run.is_open() && !had_ended(run.number))
}

fn seconds(run: &Run) -> Option<f64> {
    let (start, end) = (run.start_time.as_ref()?, run.end_time.as_ref()?);
    Some(Duration::try_from(end.0.duration_since(start.0)).ok()?.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reconcile::template_status::JobTemplateView;

    fn status(results: &[(i32, Option<&str>)]) -> JobRequestStatus {
        let runs: Vec<_> = results
            .iter()
            .map(|(number, result)| {
                json!({
                    "number": number, "jobName": format!("job-{number}"), "trigger": "Created", "digest": "d",
                    "generation": 1, "result": result, "startTime": "2026-11-24T10:00:00Z",
                    "endTime": result.map(|_| "2026-11-24T10:01:30Z")
                })
            })
            .collect();
        serde_json::from_value(json!({"observedGeneration": 1, "runs": runs})).unwrap()
    }

    #[test]
    fn documented_metrics_are_exposed() {
        let mut registry = Registry::default();
        let (_term, leadership) = Leadership::elected();
        let metrics = Metrics::register(&mut registry, leadership, 16, Arc::default());
        // A family without a series is not exposed.
        let (verb, resource) = ("get", "jobs");
        let code = Code::NoAnswer;
        metrics.api_requests.get_or_create(&ApiLabels { verb, resource, code }).inc();
        metrics.api_seconds.get_or_create(&VerbLabel { verb }).observe(1.0);
        metrics.reconcile_errors.get_or_create(&ReasonLabel { reason: "Deadline" }).inc();
        metrics.count_interruption("Jobs");
        metrics.count_ended_runs("a", &status(&[(1, None)]), &status(&[(1, Some("Failed"))]));
        let template: JobTemplateView = serde_json::from_value(
            json!({"metadata": {"name": "t", "namespace": "a"}, "spec": {"default": true}}),
        )
        .unwrap();
        metrics.show_templates(&[template.into()], &[Vec::new()], BTreeMap::from([("a".to_owned(), 2)]));
        let mut text = String::new();
        prometheus_client::encoding::prometheus_text::encode(&mut text, &registry).unwrap();
        let mut exposed: Vec<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .map(|line| line.replace(' ', "` | "))
            .collect();
        exposed.sort();
        let mut documented: Vec<String> = include_str!("../../../docs/operating.md")
            .lines()
            .filter_map(|line| line.strip_prefix("| `jobrequest_"))
            .map(|line| {
                let mut cells = line.split(" | ");
                format!("jobrequest_{} | {}", cells.next().unwrap(), cells.next().unwrap())
            })
            .collect();
        documented.sort();
        assert_eq!(exposed, documented, "docs/operating.md names each metric with its type: {text}");
    }

    #[test]
    fn a_run_is_counted_once_when_its_end_is_recorded() {
        let numbers = |before: &JobRequestStatus, after: &JobRequestStatus| {
            ended(before, after).map(|run| run.number).collect::<Vec<_>>()
        };
        let (open, done) = (status(&[(1, None)]), status(&[(1, Some("Failed"))]));
        assert_eq!(numbers(&open, &done), [1]);
        assert_eq!(numbers(&done, &done), [0; 0]);
        assert_eq!(numbers(&done, &status(&[(2, None), (1, Some("Failed"))])), [0; 0]);
        assert_eq!(numbers(&done, &status(&[(2, Some("Lost")), (1, Some("Failed"))])), [2]);
        assert_eq!(seconds(&done.runs[0]), Some(90.0));
        assert_eq!(seconds(&open.runs[0]), None);
    }
}
