//! Several replicas: one leads, the others are on standby, and whatever happens to the leader, each run has one Job.

use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::support::proxy::{Holdup, Proxy};
use crate::support::requests::{Requests, spec};
use crate::support::witness::Witness;
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        one_leads_and_hands_over_when_it_is_stopped,
        another_takes_over_when_the_leader_is_killed,
        a_leader_that_was_paused_is_on_standby,
        a_leader_that_was_paused_at_any_moment_does_no_harm,
        a_renewal_that_is_answered_late_loses_nothing,
        a_lease_that_cannot_be_acquired_is_reported,
        work_under_way_ends_before_the_process: graceful,
    ]
}

/// Shorter than by default, in the same proportion.
const DURATION: &str = "4s";

/// A replica for the Requests' namespace, with its Lease in it. It is ready when this returns.
async fn replica(cx: &Cluster, at: &Requests) -> Operator {
    let arguments = [
        "--leader-elect",
        "--leader-elect-resource-namespace",
        at.namespace.name(),
        "--leader-elect-lease-duration",
        DURATION,
        "--leader-elect-renew-deadline",
        "3s",
        "--leader-elect-retry-period",
        "1s",
    ];
    let operator = Operator::start(cx, &at.namespace, &arguments);
    operator.is_ready().await;
    operator
}

async fn leads(operator: &Operator) -> bool {
    operator.metric("jobrequest_leader").await > 0.5
}

async fn begins_to_lead(operator: &Operator) {
    eventually(DEADLINE, "the replica leads", async || {
        if leads(operator).await { Ok(()) } else { Err(operator.log()) }
    })
    .await;
}

async fn lease(at: &Requests) -> LeaseSpec {
    let lease = at.namespace.api::<Lease>(&at.client).get("jobrequest").await.expect("get the Lease");
    lease.spec.unwrap_or_default()
}

async fn completes(at: &Requests, name: &str) {
    at.create(name, spec(&json!({}), &json!({}))).await;
    at.until_phase(name, 1, "Completed").await;
}

async fn one_leads_and_hands_over_when_it_is_stopped(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "hand-over").await;
    let witness = Witness::of(&at).await;
    let first = replica(&cx, &at).await;
    begins_to_lead(&first).await;
    let second = replica(&cx, &at).await;
    completes(&at, "one").await;
    assert!(!leads(&second).await);
    assert!(second.log().contains("on standby"), "{}", second.log());
    assert!(!second.log().contains("creating the Job"), "a standby writes nothing: {}", second.log());
    // It sees what the leader does.
    eventually(DEADLINE, "the standby has a warm cache", async || {
        let (_, text) = second.get("/metrics").await;
        if text.contains("phase=\"Completed\"} 1") { Ok(()) } else { Err(text) }
    })
    .await;

    at.create("two", spec(&json!({"run-seconds": "3"}), &json!({}))).await;
    at.until_phase("two", 1, "Running").await;
    let log = first.log();
    let stopped = Instant::now();
    assert!(first.stop().await.success(), "{log}");
    begins_to_lead(&second).await;
    println!(
        "figure: takeover after SIGTERM, from the signal: {:.1} s (at most 2 with default times)",
        stopped.elapsed().as_secs_f64()
    );
    at.until_phase("two", 1, "Completed").await;
    completes(&at, "three").await;
    assert_eq!(lease(&at).await.lease_transitions, Some(1));
    assert!(second.stop().await.success());
    assert_eq!(lease(&at).await.holder_identity.as_deref(), Some(""), "it is given back");
    witness.saw_exactly(["one-1", "two-1", "three-1"].map(str::to_owned));
}

async fn another_takes_over_when_the_leader_is_killed(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "take-over").await;
    let witness = Witness::of(&at).await;
    let first = replica(&cx, &at).await;
    begins_to_lead(&first).await;
    let second = replica(&cx, &at).await;
    at.create("one", spec(&json!({"run-seconds": "3"}), &json!({}))).await;
    at.until_phase("one", 1, "Running").await;
    let holder = lease(&at).await.holder_identity;
    first.kill();
    let killed = Instant::now();
    // What comes while nobody leads is not lost.
    at.create("two", spec(&json!({}), &json!({}))).await;
    begins_to_lead(&second).await;
    println!(
        "figure: takeover after SIGKILL, lease duration {DURATION}: {:.1} s (duration + retry period)",
        killed.elapsed().as_secs_f64()
    );
    at.until_phase("one", 1, "Completed").await;
    at.until_phase("two", 1, "Completed").await;
    assert_ne!(lease(&at).await.holder_identity, holder);
    witness.saw_exactly(["one-1", "two-1"].map(str::to_owned));
}

async fn a_leader_that_was_paused_is_on_standby(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "paused").await;
    let witness = Witness::of(&at).await;
    let mut first = replica(&cx, &at).await;
    begins_to_lead(&first).await;
    let second = replica(&cx, &at).await;
    completes(&at, "one").await;
    first.signal("STOP");
    begins_to_lead(&second).await;
    completes(&at, "two").await;
    first.signal("CONT");
    eventually(DEADLINE, "it notices that it lost the lease", async || {
        let log = first.log();
        if log.contains("lost the lease") { Ok(()) } else { Err(log) }
    })
    .await;
    assert!(!leads(&first).await && leads(&second).await);
    completes(&at, "three").await;
    assert!(first.is_running());
    assert!(!first.log().contains("two-1") && !first.log().contains("three-1"), "{}", first.log());
    // It is as good a standby as any.
    second.kill();
    completes(&at, "four").await;
    assert!(leads(&first).await);
    witness.saw_exactly(["one-1", "two-1", "three-1", "four-1"].map(str::to_owned));
}

async fn a_leader_that_was_paused_at_any_moment_does_no_harm(cx: Arc<Cluster>) {
    const PAUSES: u64 = 3;
    const EACH: u64 = 4;
    let at = Requests::new(&cx, "pauses").await;
    let witness = Witness::of(&at).await;
    let mut replicas = [replica(&cx, &at).await, replica(&cx, &at).await];
    let mut names = Vec::new();
    for pause in 0..PAUSES {
        let leader = eventually(DEADLINE, "one of the two leads", async || {
            match (leads(&replicas[0]).await, leads(&replicas[1]).await) {
                (true, false) => Ok(0),
                (false, true) => Ok(1),
                both => Err(both),
            }
        })
        .await;
        for number in 0..EACH {
            let name = format!("cut-{pause}-{number}");
            at.create(&name, spec(&json!({}), &json!({}))).await;
            names.push(name);
        }
        // In the middle of starting them, a little later each time.
        tokio::time::sleep(std::time::Duration::from_millis(pause * 7)).await;
        replicas[leader].signal("STOP");
        begins_to_lead(&replicas[1 - leader]).await;
        // It continues with what it was about to send, while the other one is at work.
        replicas[leader].signal("CONT");
        for number in 0..EACH {
            at.until_phase(&format!("cut-{pause}-{number}"), 1, "Completed").await;
        }
    }
    assert!(replicas.iter_mut().all(Operator::is_running));
    witness.saw_exactly(names.iter().map(|name| format!("{name}-1")));
}

/// A renewal is under way while the term ends. Whatever happens between its end and the answer is dropped by a leader that
/// does not lead just then, and must be made up for.
async fn a_renewal_that_is_answered_late_loses_nothing(cx: Arc<Cluster>) {
    // On a busy machine the renewal may be given up before its answer comes: that is another way to a new term.
    for _ in 0..3 {
        if is_renewed_late(&cx).await {
            return;
        }
    }
    panic!("three times out of three the renewal was given up before its answer came");
}

/// One attempt; false: the renewal was given up.
async fn is_renewed_late(cx: &Arc<Cluster>) -> bool {
    const LEASES: &str = "/leases/";
    const STATUS: &str = "/jobrequests/interrupted/status";
    let at = Requests::new(cx, "late").await;
    let witness = Witness::of(&at).await;
    let proxy = Proxy::start(cx, None).await;
    // A renewal is given up after 8 s. With one lost, the next begins 14 s after the last one that was answered: it is
    // under way when the term ends, after 16 s, and given up after 22 s.
    let arguments = [
        "--leader-elect",
        "--leader-elect-resource-namespace",
        at.namespace.name(),
        "--leader-elect-lease-duration",
        "20s",
        "--leader-elect-renew-deadline",
        "16s",
        "--leader-elect-retry-period",
        "3s",
    ];
    let through_proxy = [("KUBECONFIG", proxy.kubeconfig())];
    let operator = Operator::start_with(cx, &at.namespace, &arguments, &through_proxy);
    operator.is_ready().await;
    begins_to_lead(&operator).await;
    at.create("ended", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    at.until_phase("ended", 1, "Running").await;

    proxy.hold_up(LEASES, Holdup::Lost);
    comes(&proxy, LEASES).await;
    proxy.hold_up(LEASES, Holdup::Delayed);
    proxy.hold_up(STATUS, Holdup::Delayed);
    eventually(DEADLINE, "the lost renewal is given up", async || {
        let log = operator.log();
        if log.contains("the lease; ") { Ok(()) } else { Err(log) }
    })
    .await;
    at.create("interrupted", spec(&json!({}), &json!({}))).await;
    comes(&proxy, STATUS).await;
    comes(&proxy, LEASES).await;
    eventually(DEADLINE, "the term ends", async || if leads(&operator).await { None } else { Some(()) })
        .await;

    // Nobody leads now.
    at.create("created", spec(&json!({}), &json!({}))).await;
    let deadline = Patch::Merge(json!({"spec": {"activeDeadlineSeconds": 1}}));
    at.jobs().patch("ended-1", &PatchParams::default(), &deadline).await.expect("end the Job");
    eventually(DEADLINE, "the Job ends", async || {
        let job = at.jobs().get("ended-1").await.expect("get the Job");
        let conditions = job.status.and_then(|status| status.conditions).unwrap_or_default();
        if conditions.iter().any(|condition| condition.type_ == "Failed") { Ok(()) } else { Err(conditions) }
    })
    .await;
    proxy.release(STATUS);
    eventually(DEADLINE, "the pass has its answer", async || {
        let runs = at.get("interrupted").await["status"]["runs"].clone();
        if runs[0]["number"] == 1 { Ok(()) } else { Err(runs) }
    })
    .await;
    assert!(!at.job_names().await.iter().any(|name| name != "ended-1"), "nobody leads");
    proxy.release(LEASES);

    at.until_phase("created", 1, "Completed").await;
    at.until_phase("interrupted", 1, "Completed").await;
    at.until_phase("ended", 1, "Failed").await;
    witness.saw_exactly(["ended-1", "created-1", "interrupted-1"].map(str::to_owned));
    operator.log().contains("renewed too late")
}

/// Returns when a call that is held up has come.
async fn comes(proxy: &Proxy, what: &str) {
    eventually(DEADLINE, &format!("a call of {what}"), async || (proxy.held_up(what) > 0).then_some(()))
        .await;
}

async fn a_lease_that_cannot_be_acquired_is_reported(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "no-lease").await;
    // No Lease can be made in a namespace which is not there.
    let arguments = [
        "--leader-elect=true",
        "--leader-elect-resource-namespace",
        "there-is-none",
        "--leader-elect-resource-name",
        "mine",
    ];
    let operator = Operator::start(&cx, &at.namespace, &arguments);
    operator.is_ready().await;
    eventually(DEADLINE, "it says what is missing", async || {
        let log = operator.log();
        if log.contains("could not check or renew the lease") && log.contains("there-is-none/mine") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
    assert!(!leads(&operator).await);
    assert!(operator.stop().await.success());

    let arguments =
        ["--leader-elect", "--leader-elect-lease-duration", "5s", "--leader-elect-renew-deadline", "5s"];
    let mut refused = Operator::start(&cx, &at.namespace, &arguments);
    assert_eq!(refused.exited().await.code(), Some(2));
    assert!(refused.log().contains("shorter than the lease duration"), "{}", refused.log());
}

async fn graceful(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "graceful").await;
    let witness = Witness::of(&at).await;
    let mut names = Vec::new();
    for round in 0..4_u64 {
        let operator = Operator::start(&cx, &at.namespace, &[]);
        operator.is_ready().await;
        for number in 0..4 {
            let name = format!("stop-{round}-{number}");
            at.create(&name, spec(&json!({}), &json!({}))).await;
            names.push(name);
        }
        tokio::time::sleep(std::time::Duration::from_millis(round * 5)).await;
        let log = cx.logs().clone();
        assert!(operator.stop().await.success(), "{}", log.display());
    }
    // A pass that had begun was ended: no run is reserved without its Job's uid.
    for name in &names {
        let runs = at.get(name).await["status"]["runs"].clone();
        for run in runs.as_array().into_iter().flatten() {
            assert!(run["jobUid"].is_string(), "{name}: {run:#}");
        }
    }
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    for name in &names {
        at.until_phase(name, 1, "Completed").await;
    }
    witness.saw_exactly(names.iter().map(|name| format!("{name}-1")));
}
