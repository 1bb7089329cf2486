//! Every call of the operator, refused in every way, in the middle of every workload: no run is lost or made twice, the
//! status is right in the end, few calls are made meanwhile, and it heals when the refusal ends.
//!
//! Each workload is gone through undisturbed once, which shows its calls. A plan refuses one kind of call of one
//! JobRequest, from one of these calls on and for a while. Many plans run side by side in one namespace, with one operator.
//! Calls which concern no single JobRequest are refused in namespaces of their own, with operators of their own.
//!
//! `make test` takes a sample: of one JobRequest each kind of call is refused in each way, at calls of all workloads in
//! turn; of the other calls each kind is refused in some way, and in each way some kind. `make refusals` takes all.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt, future, stream};
use tokio::sync::Semaphore;

use crate::support::refusing::{EVERYBODY, No, RefusingProxy, Rule};
use crate::support::requests::Requests;
use crate::support::witness::Witness;
use crate::support::{Cluster, Operator, Test};
use crate::workloads::{Extent, SETTLE, Stage, Traces, Workload, collector_is_awake, workloads};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("a_no_is_an_answer", |cx| refused(cx, Extent::Sample)).within(Duration::from_secs(900)),
        Test::slow("every_no_is_an_answer", |cx| refused(cx, Extent::All)),
    ]
}

/// How many plans of a namespace are gone through at once: the sample has other tests beside it.
const fn at_once(extent: Extent) -> usize {
    match extent {
        Extent::Sample => 48,
        Extent::All => SIDE_BY_SIDE,
    }
}

/// For how long calls are refused.
const LASTS: Duration = Duration::from_secs(4);
/// Maximum number of plans in one namespace.
const SIDE_BY_SIDE: usize = 400;
/// Operators with a namespace of their own at once.
const OPERATORS: usize = 8;
/// Maximum number of calls that are refused while it lasts: each pause is longer than the one before, but every change of
/// a Job or pod begins a pass.
const MAX_REFUSED: usize = 16;

/// Which call of which workload is refused, and how.
#[derive(Clone, Debug)]
struct Plan {
    workload: usize,
    kind: String,
    nth: usize,
    how: No,
}

/// The calls of each workload, undisturbed: kinds, with how many there were.
type Calls = Vec<BTreeMap<String, usize>>;

impl Plan {
    /// All that `extent` asks for, of workloads with such `calls`.
    fn all(calls: &Calls, extent: Extent) -> Vec<Self> {
        let mut points: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
        for (workload, kinds) in calls.iter().enumerate() {
            for (kind, count) in kinds {
                points.entry(kind).or_default().extend((1..=*count).map(|nth| (workload, nth)));
            }
        }
        let plan = |kind: &str, (workload, nth), how| Self { workload, kind: kind.to_owned(), nth, how };
        let mut plans = Vec::new();
        for (kind, points) in points {
            let product = points.iter().flat_map(|point| No::ALL.map(|how| plan(kind, *point, how)));
            match extent {
                Extent::All => plans.extend(product),
                // Next to each other stand the calls of one workload.
                Extent::Sample => plans.extend(
                    No::ALL
                        .into_iter()
                        .enumerate()
                        .map(|(turn, how)| plan(kind, points[turn * points.len() / No::ALL.len()], how)),
                ),
            }
        }
        plans
    }

    /// The same of calls that concern no single JobRequest.
    fn common(calls: BTreeMap<String, usize>, extent: Extent) -> Vec<Self> {
        let all = Self::all(&vec![calls], extent);
        if extent == Extent::All {
            return all;
        }
        // The table of kinds and refusals, along a diagonal.
        let (kinds, ways) = (all.len() / No::ALL.len(), No::ALL.len());
        (0..kinds.max(ways)).map(|turn| all[turn % kinds * ways + turn % ways].clone()).collect()
    }
}

/// What a plan came to.
struct Outcome {
    refused: usize,
    /// From the end of the refusal to the end of the workload.
    heals_in: Option<Duration>,
    problem: Option<String>,
}

async fn refused(cx: Arc<Cluster>, extent: Extent) {
    let workloads = workloads();
    collector_is_awake(&cx).await;
    let scene = Scene::new(&cx).await;
    let undisturbed = workloads.iter().enumerate().map(|(number, workload)| {
        let name = format!("free{number}");
        scene.go_through(name, *workload, None)
    });
    let undisturbed = future::join_all(undisturbed).await;
    let calls: Calls = undisturbed.iter().map(|passage| passage.calls.clone()).collect();
    for (workload, passage) in workloads.iter().zip(&undisturbed) {
        let Traces { jobs, lost, .. } = &passage.traces;
        assert!(
            lost.is_empty() && jobs.iter().all(|count| *count == 1),
            "{}: {:#?}",
            workload.name,
            passage.traces
        );
    }
    let common = scene.proxy.of(EVERYBODY).calls;
    drop(scene);
    let plans = Plan::all(&calls, extent);
    let common_plans = Plan::common(common, extent);
    // In which the next run waits for the one that is active.
    let is_edit = |workload: &Workload| workload.name == "an edit while active";
    let edit = workloads.iter().position(is_edit).expect("the workload");
    let one_by_one = Semaphore::new(OPERATORS);
    let apart = common_plans.iter().map(async |plan| {
        let _turn = one_by_one.acquire().await.expect("it is never closed");
        let scene = Scene::new(&cx).await;
        let traces = &undisturbed[edit].traces;
        scene.judge("apart".to_owned(), EVERYBODY, workloads[edit], plan, traces).await
    });
    let together = async {
        let (mut all, of) = (Vec::new(), plans.len());
        for plans in plans.chunks(SIDE_BY_SIDE) {
            let scene = Scene::new(&cx).await;
            let judged = plans.iter().enumerate().map(|(number, plan)| {
                let (name, traces) = (format!("plan{number}"), &undisturbed[plan.workload].traces);
                let workload = workloads[plan.workload];
                let scene = &scene;
                async move { scene.judge(name.clone(), &name, workload, plan, traces).await }
            });
            all.extend(stream::iter(judged).buffer_unordered(at_once(extent)).collect::<Vec<_>>().await);
            eprintln!("refusals: {} of {of} plans of single JobRequests are done", all.len());
        }
        all
    };
    let (apart, together) = tokio::join!(future::join_all(apart), together);
    let outcomes: Vec<Outcome> = together.into_iter().chain(apart).collect();
    report(&outcomes, workloads.len());
}

fn report(outcomes: &[Outcome], workloads: usize) {
    let problems: Vec<&str> = outcomes.iter().filter_map(|outcome| outcome.problem.as_deref()).collect();
    let mut heals: Vec<Duration> = outcomes.iter().filter_map(|outcome| outcome.heals_in).collect();
    heals.sort_unstable();
    let at =
        |part: usize| heals.get((heals.len().saturating_sub(1)) * part / 100).copied().unwrap_or_default();
    let refused: usize = outcomes.iter().map(|outcome| outcome.refused).sum();
    println!(
        "figure: refusals: {} plans of {workloads} workloads, {} reached their call, {} violations; {refused} calls refused, at most {} of one plan; the workload ended {:.1?} (median), {:.1?} (90 of 100), {:.1?} (longest) after the refusal",
        outcomes.len(),
        outcomes.iter().filter(|outcome| outcome.refused > 0).count(),
        problems.len(),
        outcomes.iter().map(|outcome| outcome.refused).max().unwrap_or_default(),
        at(50),
        at(90),
        at(100),
    );
    assert!(problems.is_empty(), "{} plans did harm:\n{}", problems.len(), problems.join("\n\n"));
}

/// A namespace with an operator of its own, behind a proxy.
struct Scene {
    at: Arc<Requests>,
    witness: Arc<Witness>,
    proxy: RefusingProxy,
    _operator: Operator,
}

/// One way through a workload.
struct Passage {
    traces: Traces,
    calls: BTreeMap<String, usize>,
    ended: Instant,
}

impl Scene {
    async fn new(cx: &Cluster) -> Self {
        let at = Requests::new(cx, "refusals").await;
        let witness = Witness::of(&at).await;
        let proxy = RefusingProxy::start(cx).await;
        let namespace = format!("--leader-elect-resource-namespace={}", at.namespace.name());
        // What hangs takes the turn of nobody else.
        let arguments = ["--leader-elect", &namespace, "--concurrency=200"];
        let environment = [("KUBECONFIG", proxy.kubeconfig())];
        let operator = Operator::start_with(cx, &at.namespace, &arguments, &environment);
        Self { at: Arc::new(at), witness: Arc::new(witness), proxy, _operator: operator }
    }

    /// Goes through a workload; of the calls about `rule.0` some are refused.
    async fn go_through(&self, name: String, workload: Workload, rule: Option<(&str, Rule)>) -> Passage {
        if let Some((about, rule)) = rule {
            self.proxy.refuse(about, rule);
        }
        let stage = Stage { at: Arc::clone(&self.at), witness: Arc::clone(&self.witness), name };
        (workload.goes)(&stage).await;
        let ended = Instant::now();
        tokio::time::sleep(SETTLE).await;
        Passage { traces: Traces::of(&stage).await, calls: self.proxy.of(&stage.name).calls, ended }
    }

    /// Goes through `plan`, and compares the traces.
    async fn judge(
        &self,
        name: String,
        about: &str,
        workload: Workload,
        plan: &Plan,
        traces: &Traces,
    ) -> Outcome {
        let rule = Rule { kind: plan.kind.clone(), nth: plan.nth, how: plan.how, lasts: LASTS };
        let passage = self.go_through(name.clone(), workload, Some((about, rule)));
        let passage = AssertUnwindSafe(passage).catch_unwind().await;
        let subject = self.proxy.of(about);
        let what = format!("{}, {:?} of {name}", workload.name, plan);
        let mut found = Vec::new();
        if subject.refused > MAX_REFUSED {
            found.push(format!("{} calls were made while they were refused", subject.refused));
        }
        let mut heals_in = None;
        match passage {
            Ok(passage) => {
                heals_in = subject.ended().map(|at| passage.ended.saturating_duration_since(at));
                if passage.traces != *traces {
                    found.push(format!("{:#?}\ninstead of {traces:#?}", passage.traces));
                }
            }
            Err(panic) => found.push(panic.downcast_ref::<String>().cloned().unwrap_or_default()),
        }
        let problem = (!found.is_empty()).then(|| format!("{what}: {}", found.join("; ")));
        Outcome { refused: subject.refused, heals_in, problem }
    }
}
