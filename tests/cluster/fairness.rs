//! Namespaces share one operator: a namespace with hundreds of requests that wait holds up no other one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::json;

use crate::support::proxy::{Holdup, Proxy};
use crate::support::requests::{Requests, spec};
use crate::support::{Audit, Cluster, DEADLINE, Mark, Operator, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new(
            "a_single_request_does_not_wait_behind_hundreds_of_another_namespace",
            a_single_request_does_not_wait_behind_hundreds_of_another_namespace,
        ),
        Test::slow(
            "a_single_request_does_not_wait_behind_thousands_of_another_namespace",
            a_single_request_does_not_wait_behind_thousands_of_another_namespace,
        ),
    ]
}

/// Calls at once, of those who create.
const AT_ONCE: usize = 24;
/// How many passes are under way at once.
const CONCURRENCY: usize = 2;

/// A cluster of the test's own, in which Jobs can be created: an API server forbids owners of a kind that it has just
/// got to know, for half a minute.
async fn own(cx: &Cluster) -> Cluster {
    let cx = cx.own().await;
    cx.control_plane().install_crds().unwrap();
    let first = Requests::new(&cx, "first").await;
    let operator = Operator::start(&cx, &first.namespace, &[]);
    first.create("first", spec(&json!({}), &json!({}))).await;
    first.until_phase("first", 1, "Completed").await;
    assert!(operator.stop().await.success());
    cx
}

/// Creates so many requests.
async fn crowd(at: &Requests, size: usize) {
    futures::stream::iter(0..size)
        .for_each_concurrent(AT_ONCE, |number| async move {
            at.create(&format!("crowd-{number}"), spec(&json!({}), &json!({}))).await;
        })
        .await;
}

async fn waiting(operator: &Operator) -> f64 {
    operator.metric("jobrequest_reconciles_waiting").await
}

/// Jobs that were created since `mark` before the Job of the single request, which must be there.
async fn jobs_before(audit: &Audit, mark: Mark, single: &Requests) -> usize {
    let calls = audit.since(mark).await.user_agent("jobrequest/").verb("create").resource("jobs.batch");
    let calls: Vec<_> = calls.iter().filter(|call| call.code == 201).cloned().collect();
    let own = calls.iter().position(|call| call.namespace == single.namespace.name());
    own.unwrap_or_else(|| panic!("no Job of the single request: {calls:#?}"))
}

async fn has_its_job(single: &Requests, patience: Duration) {
    eventually(patience, "the single request has its Job", async || {
        let names = single.job_names().await;
        if names == ["single-1"] { Ok(()) } else { Err(names) }
    })
    .await;
}

async fn a_single_request_does_not_wait_behind_hundreds_of_another_namespace(cx: Arc<Cluster>) {
    const CROWD: usize = 300;
    let cx = own(&cx).await;
    let (many, single) = (Requests::new(&cx, "many").await, Requests::new(&cx, "single").await);
    crowd(&many, CROWD).await;
    let proxy = Proxy::start(&cx, None).await;
    // The passes under way are held up, so that nothing moves while the single request arrives.
    let creates = "POST /apis/batch/v1/namespaces/many";
    proxy.hold_up(creates, Holdup::Delayed);
    let concurrency = CONCURRENCY.to_string();
    let environment = [("KUBECONFIG", proxy.kubeconfig())];
    let operator = Operator::start_for_all_with(&cx, &["--concurrency", &concurrency], &environment);
    eventually(DEADLINE, "all turns are taken", async || {
        (proxy.held_up(creates) == CONCURRENCY).then_some(())
    })
    .await;
    let before = waiting(&operator).await;
    assert!(before > 200.0, "{before} wait");
    single.create("single", spec(&json!({}), &json!({}))).await;
    eventually(DEADLINE, "it waits for its turn", async || {
        let now = waiting(&operator).await;
        if now > before { Ok(()) } else { Err(now) }
    })
    .await;
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    proxy.release(creates);
    has_its_job(&single, DEADLINE).await;
    let jobs = jobs_before(&audit, mark, &single).await;
    let still = waiting(&operator).await;
    println!(
        "figure: with {before} requests of another namespace waiting, {CONCURRENCY} passes at once: {jobs} Jobs \
         were created before that of a single one (at most {})",
        3 * CONCURRENCY
    );
    // Those under way, one more each while its own pass is under way.
    assert!(jobs <= 3 * CONCURRENCY, "{jobs} Jobs before it");
    assert!(still > 100.0, "the others still wait: {still}");
    single.until_phase("single", 1, "Completed").await;
}

async fn a_single_request_does_not_wait_behind_thousands_of_another_namespace(cx: Arc<Cluster>) {
    const CROWD: usize = 3000;
    let patience = Duration::from_secs(600);
    let cx = own(&cx).await;
    let (many, single) = (Requests::new(&cx, "many").await, Requests::new(&cx, "single").await);
    crowd(&many, CROWD).await;
    let operator = Operator::start_for_all(&cx, &[]);
    eventually(patience, "all wait for their turn", async || {
        let now = waiting(&operator).await;
        if now > 2000.0 { Ok(()) } else { Err(now) }
    })
    .await;
    let passes = async || operator.metric("jobrequest_reconcile_duration_seconds_count").await;
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    let (before, began) = (passes().await, Instant::now());
    single.create("single", spec(&json!({}), &json!({}))).await;
    has_its_job(&single, patience).await;
    let (after, took) = (passes().await, began.elapsed());
    let jobs = jobs_before(&audit, mark, &single).await;
    println!(
        "figure: with {CROWD} requests of another namespace, {} of them waiting: {jobs} Jobs and at most {} passes \
         before the Job of a single one, {:.2} s after its creation",
        waiting(&operator).await,
        after - before,
        took.as_secs_f64()
    );
    // Sixteen passes at once by default; a watch event takes its time on a busy machine.
    assert!(jobs < CROWD / 10, "{jobs} Jobs before it");
}
