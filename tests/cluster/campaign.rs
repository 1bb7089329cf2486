//! The kill campaign: the operator is killed at each of its writes, whatever it is doing, and its successor leaves each
//! run with one Job and the records which it would have had undisturbed.
//!
//! A workload is what people do to one JobRequest. It is gone through undisturbed once, and the operator's writes are
//! counted by a proxy that stands before the API server; then once for each write, in a namespace of its own with operators
//! of its own. `make test` cuts each write off in one way, in turn; `make kills` in each way there is. What counts is what others see: every Job that ever
//! was, and the status in the end.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, future};
use tokio::sync::Semaphore;

use crate::support::proxy::{Cut, Proxy};
use crate::support::requests::Requests;
use crate::support::witness::Witness;
use crate::support::{Cluster, Operator, Test};
use crate::workloads::{Extent, SETTLE, Stage, Traces, Workload, collector_is_awake, workloads};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("killed_at_each_write", |cx| killed(cx, Extent::Sample)).within(Duration::from_secs(1200)),
        Test::slow("killed_at_each_write_in_every_way", |cx| killed(cx, Extent::All)),
    ]
}

/// A write that was under way arrives with the first write of the next operator, or after this time.
const SOON: Duration = Duration::from_secs(3);
/// When one arrives that took long: a Job that could be deleted is gone by then.
const LATE: Duration = Duration::from_secs(8);
/// How many are gone through at once; those which only wait for their grace are not among them.
const AT_ONCE: usize = 12;
/// The one JobRequest in a namespace.
const NAME: &str = "work";

/// At which write the operator is killed, and how.
#[derive(Clone, Copy, Debug)]
struct Kill {
    write: usize,
    cut: Cut,
    /// A write that was under way arrives late.
    late: bool,
}

impl Kill {
    /// All that are worth a try on an operator with such `writes`.
    fn all(workload: Workload, writes: &[String], extent: Extent) -> Vec<Self> {
        let kill = |write, cut| Self { write, cut, late: false };
        // What is there when a write was never sent is what is there after the one before it.
        let mut kills = vec![kill(1, Cut::Unsent)];
        // The way of one that was killed may be longer.
        let all = 1..=writes.len() + 2;
        // Neighbouring writes, and the same one of neighbouring workloads, are cut off in different ways.
        let turn = workload.name.len();
        kills.extend(all.flat_map(|write| match extent {
            Extent::All => vec![kill(write, Cut::Answered), kill(write, Cut::Underway)],
            Extent::Sample if (write + turn).is_multiple_of(2) => vec![kill(write, Cut::Answered)],
            Extent::Sample => vec![kill(write, Cut::Underway)],
        }));
        // Rule 6.
        let creates =
            writes.iter().zip(1..).filter(|(what, _)| what.starts_with("POST") && what.ends_with("/jobs"));
        let late = creates.map(|(_, write)| Self { late: true, ..kill(write, Cut::Underway) });
        kills.extend(late.filter(|_| !workload.needs_collector));
        kills
    }
}

/// One way through a workload.
struct Passage {
    traces: Traces,
    /// What the first operator wrote.
    writes: Vec<String>,
    kills: usize,
}

async fn killed(cx: Arc<Cluster>, extent: Extent) {
    let gate = Semaphore::new(AT_ONCE);
    let workloads = workloads();
    let campaigns = workloads.iter().map(|workload| kill_at_each_write(&cx, *workload, extent, &gate));
    let (mut kills, mut problems) = (0, Vec::new());
    for (reached, found) in future::join_all(campaigns).await {
        kills += reached;
        problems.extend(found);
    }
    assert!(problems.is_empty(), "{} of the kills did harm:\n{}", problems.len(), problems.join("\n\n"));
    let of = workloads.len();
    println!("figure: kill campaign: {kills} kill points of {of} workloads, 0 duplicate and 0 lost runs");
}

/// How many kills came off, and those which left something else than an undisturbed passage did.
async fn kill_at_each_write(
    cx: &Cluster,
    workload: Workload,
    extent: Extent,
    gate: &Semaphore,
) -> (usize, Vec<String>) {
    if workload.needs_collector {
        collector_is_awake(cx).await;
    }
    let undisturbed = go_through(cx, workload, None, gate).await;
    let traces = &undisturbed.traces;
    assert!(traces.lost.is_empty() && traces.jobs.iter().all(|count| *count == 1), "{traces:#?}");
    let once = Kill::all(workload, &undisturbed.writes, extent).into_iter().map(|kill| {
        let passage = go_through(cx, workload, Some(kill), gate);
        (format!("{}, {kill:?}", workload.name), passage.boxed_local())
    });
    // One that deletes would wait for the end of a lease, and of the grace, after each of its writes.
    let always = (!workload.deletes).then(|| {
        let passage = go_through_by_single_writes(cx, workload, gate);
        (format!("{}, killed after every write", workload.name), passage.boxed_local())
    });
    let passages = once.chain(always).map(async |(what, passage)| {
        match AssertUnwindSafe(passage).catch_unwind().await {
            Ok(passage) if passage.traces == *traces => (passage.kills, None),
            Ok(passage) => {
                let writes = passage.writes.join("\n");
                let (traces, instead) = (passage.traces, traces);
                let problem =
                    format!("{what}: {traces:#?}\ninstead of {instead:#?}\nafter writing\n{writes}");
                (passage.kills, Some(problem))
            }
            Err(panic) => {
                let message = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                (0, Some(format!("{what}: {message}")))
            }
        }
    });
    let passages = future::join_all(passages).await;
    let kills: usize = passages.iter().map(|(kills, _)| kills).sum();
    println!(
        "kill campaign: {}: {} writes undisturbed, {kills} kills",
        workload.name,
        undisturbed.writes.len()
    );
    (kills, passages.into_iter().filter_map(|(_, problem)| problem).collect())
}

/// A JobRequest in a namespace of its own.
async fn new_stage(cx: &Cluster) -> Stage {
    let at = Requests::new(cx, "campaign").await;
    let witness = Witness::of(&at).await;
    Stage { at: Arc::new(at), witness: Arc::new(witness), name: NAME.to_owned() }
}

/// Goes through a workload; kills the operator as asked, and starts another one.
async fn go_through(cx: &Cluster, workload: Workload, kill: Option<Kill>, gate: &Semaphore) -> Passage {
    let mut turn = Some(gate.acquire().await.expect("it is never closed"));
    let stage = new_stage(cx).await;
    let mut proxy = Proxy::start(cx, kill.map(|kill| (kill.write, kill.cut))).await;
    let operator = start(cx, &stage.at, workload, &proxy);
    let mut work = (workload.goes)(&stage);
    let cut = tokio::select! {
        underway = proxy.has_cut() => Some((underway, false)),
        () = &mut work => {
            // Events come after the status.
            tokio::time::timeout(SETTLE, proxy.has_cut()).await.ok().map(|underway| (underway, true))
        }
    };
    let kills = usize::from(cut.is_some());
    let last = if let Some((underway, is_done)) = cut {
        operator.kill();
        let next = Proxy::start(cx, None).await;
        let successor = start(cx, &stage.at, workload, &next);
        let arrival = async {
            if let Some(write) = underway.filter(|write| !(workload.needs_collector && write.is_create())) {
                if kill.is_some_and(|kill| kill.late) {
                    tokio::time::sleep(LATE).await;
                } else {
                    let _ = tokio::time::timeout(SOON, next.has_written()).await;
                }
                next.deliver(write).await;
            }
            if workload.deletes {
                successor.is_ready().await;
                tokio::time::sleep(SOON).await;
                turn.take();
            }
        };
        let work = async {
            if !is_done {
                work.await;
            }
        };
        tokio::join!(arrival, work);
        tokio::time::sleep(SETTLE).await;
        (successor, Some(next))
    } else {
        (operator, None)
    };
    let traces = Traces::of(&stage).await;
    drop(last);
    Passage { traces, writes: proxy.writes(), kills }
}

/// Goes through a workload with operators of which none lives longer than one write that is accepted.
async fn go_through_by_single_writes(cx: &Cluster, workload: Workload, gate: &Semaphore) -> Passage {
    let _turn = gate.acquire().await.expect("it is never closed");
    let stage = new_stage(cx).await;
    let mut work = (workload.goes)(&stage);
    let (mut writes, mut kills, mut is_done) = (Vec::new(), 0, false);
    loop {
        let mut proxy = Proxy::start(cx, Some((1, Cut::Accepted))).await;
        let operator = start(cx, &stage.at, workload, &proxy);
        let mut is_cut = false;
        if !is_done {
            tokio::select! {
                _ = proxy.has_cut() => is_cut = true,
                () = &mut work => is_done = true,
            }
        }
        if is_done && !is_cut {
            operator.is_ready().await;
            is_cut = tokio::time::timeout(SETTLE, proxy.has_cut()).await.is_ok();
        }
        operator.kill();
        writes.extend(proxy.writes());
        kills += usize::from(is_cut);
        if is_done && !is_cut {
            return Passage { traces: Traces::of(&stage).await, writes, kills };
        }
    }
}

/// An operator behind a proxy.
fn start(cx: &Cluster, at: &Requests, workload: Workload, proxy: &Proxy) -> Operator {
    let namespace = format!("--leader-elect-resource-namespace={}", at.namespace.name());
    let alone = [
        "--leader-elect",
        &namespace,
        "--leader-elect-lease-duration=4s",
        "--leader-elect-renew-deadline=3s",
        "--leader-elect-retry-period=1s",
    ];
    let arguments: &[&str] = if workload.deletes { &alone } else { &[] };
    Operator::start_with(cx, &at.namespace, arguments, &[("KUBECONFIG", proxy.kubeconfig())])
}
