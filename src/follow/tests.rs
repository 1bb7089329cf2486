use serde_json::{Value, json};

use super::*;

/// A JobRequest of generation 2 whose spec is observed, with this status on top.
fn request(status: Value) -> StoredRequest {
    with(json!({}), status)
}

#[allow(clippy::needless_pass_by_value)] // callers write the values in place
fn with(metadata: Value, status: Value) -> StoredRequest {
    let mut object = json!({
        "metadata": {"name": "a", "namespace": "n", "uid": "u", "generation": 2},
        "spec": {"containers": [{"name": "main", "image": "a:1"}]},
        "status": {"observedGeneration": 2},
    });
    json_patch::merge(&mut object, &json!({"metadata": metadata, "status": status}));
    serde_json::from_value(object).unwrap()
}

fn run(number: i32, generation: i64, result: Option<&str>) -> Value {
    json!({
        "number": number, "jobName": format!("a-{number}"), "jobUid": "j", "trigger": "SpecChange", "digest": "d",
        "generation": generation, "result": result, "reason": "Why", "message": "words",
    })
}

fn condition(type_: &str, status: &str, reason: &str, generation: i64) -> Value {
    json!({
        "type": type_, "status": status, "reason": reason, "message": format!("{type_} is {status}"),
        "observedGeneration": generation, "lastTransitionTime": "2026-11-27T12:00:00Z",
    })
}

fn finished(generation: i64) -> Value {
    json!([condition("Finished", "True", "Completed", generation)])
}

fn working() -> Value {
    json!([condition("Ready", "False", "Running", 2)])
}

/// The exit code, or the run that is open.
fn of(standing: &Standing) -> String {
    match standing {
        Standing::Open { run: Some(run), .. } => format!("open: run {run}"),
        Standing::Open { run: None, .. } => "open".to_owned(),
        Standing::Over(ending) => {
            let run = ending.run.map(|run| format!(": run {run}")).unwrap_or_default();
            format!("{}{run}", ending.how.exit_code())
        }
    }
}

#[test]
fn a_spec_is_followed_to_the_end_of_its_own_run() {
    for (what, status, wanted) in [
        (
            "not observed",
            json!({"observedGeneration": 1, "conditions": finished(1), "runs": [run(1, 1, Some("Succeeded"))]}),
            "open",
        ),
        ("no status at all", json!({"observedGeneration": -1}), "open"),
        (
            "an old end, the new run is due",
            json!({"conditions": working(), "runs": [run(1, 1, Some("Succeeded"))]}),
            "open",
        ),
        (
            "an old end with the old generation",
            json!({"conditions": finished(1), "runs": [run(1, 1, Some("Succeeded"))]}),
            "open",
        ),
        (
            "the new run is only reserved",
            json!({"conditions": working(), "runs": [
                {"number": 2, "jobName": "a-2", "trigger": "SpecChange", "digest": "d", "generation": 2},
                run(1, 1, Some("Succeeded")),
            ]}),
            "open",
        ),
        (
            "a change whose run never got a Job was taken back",
            json!({"run": 1, "conditions": finished(2), "runs": [
                {"number": 2, "jobName": "a-2", "trigger": "SpecChange", "digest": "d", "generation": 1},
                run(1, 1, Some("Succeeded")),
            ]}),
            "0: run 1",
        ),
        (
            "created on hold",
            json!({"conditions": [condition("Ready", "True", "Held", 2)], "held": {"digest": "d", "generation": 2}}),
            "5",
        ),
        (
            "its run",
            json!({"run": 2, "conditions": working(), "runs": [run(2, 2, None), run(1, 1, Some("Failed"))]}),
            "open: run 2",
        ),
        ("completed", json!({"runs": [run(2, 2, Some("Succeeded")), run(1, 1, Some("Failed"))]}), "0: run 2"),
        ("failed", json!({"runs": [run(2, 2, Some("Failed")), run(1, 1, Some("Succeeded"))]}), "1: run 2"),
        ("lost", json!({"runs": [run(2, 2, Some("Lost"))]}), "1: run 2"),
        ("replaced", json!({"runs": [run(3, 3, None), run(2, 2, Some("Replaced"))]}), "1: run 2"),
        (
            "a newer spec has run since",
            json!({"runs": [run(3, 3, Some("Failed")), run(2, 2, Some("Succeeded"))]}),
            "0: run 2",
        ),
        (
            "an edit that runs nothing",
            json!({"conditions": finished(2), "runs": [run(1, 1, Some("Failed"))]}),
            "1: run 1",
        ),
        (
            "an edit of the active run",
            json!({"run": 1, "conditions": working(), "runs": [run(1, 1, None)]}),
            "open: run 1",
        ),
        (
            "an edit that waits for the active run",
            json!({"run": 1, "pendingTrigger": "SpecChange", "conditions": working(), "runs": [run(1, 1, None)]}),
            "open",
        ),
        (
            "rejected",
            json!({"conditions": [condition("Accepted", "False", "InvalidSpec", 2)], "runs": [run(1, 1, Some("Succeeded"))]}),
            "3",
        ),
        (
            "rejected while an older run is active",
            json!({"run": 1, "conditions": [condition("Accepted", "False", "InvalidSpec", 2)], "runs": [run(1, 1, None)]}),
            "3",
        ),
        (
            "the older spec was rejected",
            json!({"conditions": [condition("Accepted", "False", "InvalidSpec", 1)], "runs": []}),
            "open",
        ),
        ("suspended", json!({"conditions": [condition("Ready", "True", "Suspended", 2)]}), "5"),
        (
            "suspended in its run",
            json!({"run": 2, "conditions": [condition("Ready", "True", "Suspended", 2)], "runs": [run(2, 2, None)]}),
            "5: run 2",
        ),
        ("queued by someone else", json!({"conditions": [condition("Ready", "False", "Queued", 2)]}), "open"),
        (
            "held",
            json!({"conditions": [condition("PendingChanges", "True", "Held", 2), condition("Finished", "True", "Completed", 2)],
                "runs": [run(1, 1, Some("Succeeded"))]}),
            "5",
        ),
    ] {
        let mut target = Target::newest(&request(json!({})));
        assert_eq!(of(&target.judge(Some(&request(status)))), wanted, "{what}");
    }
}

fn asked(token: &str) -> Value {
    json!({"annotations": {labels::RERUN: token}})
}

/// A rerun of a request at rest, run 1 of which has completed.
#[test]
fn a_rerun_is_followed_from_its_own_token_on() {
    let token = |number: i32, token: &str, result: Option<&str>| {
        let mut run = run(number, 2, result);
        run["token"] = json!(token);
        run
    };
    let old = || run(1, 2, Some("Succeeded"));
    for (what, metadata, status, wanted) in [
        ("the old end", asked("t"), json!({"conditions": finished(2), "runs": [old()]}), "open"),
        (
            "another token was handled",
            asked("t"),
            json!({"conditions": finished(2), "lastHandledRerun": {"annotation": "s"}, "runs": [token(2, "s", Some("Succeeded")), old()]}),
            "open",
        ),
        (
            "its run",
            asked("t"),
            json!({"lastHandledRerun": {"annotation": "t"}, "runs": [token(2, "t", None), old()]}),
            "open: run 2",
        ),
        (
            "its end",
            asked("t"),
            json!({"lastHandledRerun": {"annotation": "t"}, "runs": [token(2, "t", Some("Failed")), old()]}),
            "1: run 2",
        ),
        (
            "handled with a token of the spec",
            asked("t"),
            json!({"lastHandledRerun": {"annotation": "t", "spec": "s"}, "runs": [token(2, "s", Some("Succeeded")), old()]}),
            "0: run 2",
        ),
        (
            "its end, and a later rerun",
            asked("v"),
            json!({"lastHandledRerun": {"annotation": "v"}, "runs": [token(3, "v", None), token(2, "t", Some("Failed")), old()]}),
            "1: run 2",
        ),
        (
            "asked for again before it was handled",
            asked("v"),
            json!({"lastHandledRerun": {"annotation": "v"}, "runs": [token(2, "v", Some("Succeeded")), old()]}),
            "0: run 2",
        ),
        ("asked for again", asked("v"), json!({"conditions": finished(2), "runs": [old()]}), "open"),
        (
            "taken back",
            json!({"annotations": null}),
            json!({"conditions": finished(2), "runs": [old()]}),
            "5",
        ),
        (
            "waits for the resume",
            asked("t"),
            json!({"pendingTrigger": "Rerun", "conditions": [condition("Ready", "True", "Suspended", 2)], "runs": [old()]}),
            "5",
        ),
        (
            "of a held change, which it runs",
            asked("t"),
            json!({"conditions": [condition("PendingChanges", "True", "Held", 2)], "runs": [run(1, 1, Some("Succeeded"))]}),
            "open",
        ),
        (
            "rejected",
            asked("t"),
            json!({"conditions": [condition("Accepted", "False", "InvalidSpec", 2)], "runs": [old()]}),
            "3",
        ),
    ] {
        let mut target =
            Target::newest(&with(asked("t"), json!({"conditions": finished(2), "runs": [old()]})));
        assert_eq!(target.token.as_deref(), Some("t"));
        assert_eq!(of(&target.judge(Some(&with(metadata, status)))), wanted, "{what}");
    }
}

#[test]
fn a_token_that_was_handled_is_not_waited_for() {
    let at_rest = with(
        asked("t"),
        json!({"conditions": finished(2), "lastHandledRerun": {"annotation": "t"}, "runs": [run(1, 2, Some("Succeeded"))]}),
    );
    assert_eq!(of(&Target::newest(&at_rest).judge(Some(&at_rest))), "0: run 1");
}

#[test]
fn a_run_that_is_known_is_followed_whatever_comes_after_it() {
    let mut target = Target::newest(&request(json!({})));
    let active = request(json!({"run": 2, "conditions": working(), "runs": [run(2, 2, None)]}));
    assert_eq!(of(&target.judge(Some(&active))), "open: run 2");
    for (what, seen, wanted) in [
        (
            "a newer spec is rejected",
            request(json!({"observedGeneration": 3, "run": 2, "runs": [run(2, 2, None)],
                "conditions": [condition("Accepted", "False", "InvalidSpec", 3), condition("Ready", "False", "InvalidSpec", 3)]})),
            "open: run 2",
        ),
        (
            "a newer run",
            request(json!({"run": 3, "runs": [run(3, 3, None), run(2, 2, Some("Replaced"))]})),
            "1: run 2",
        ),
        ("the status is wiped", request(json!({"observedGeneration": -1})), "open: run 2"),
        ("the record is gone", request(json!({"runs": [run(40, 9, None)]})), "5: run 2"),
        (
            "it is being deleted",
            with(json!({"deletionTimestamp": "2026-11-27T12:00:00Z"}), json!({"runs": [run(2, 2, None)]})),
            "5: run 2",
        ),
        (
            "it ended, and is being deleted",
            with(
                json!({"deletionTimestamp": "2026-11-27T12:00:00Z"}),
                json!({"runs": [run(2, 2, Some("Succeeded"))]}),
            ),
            "0: run 2",
        ),
        (
            "another one of its name",
            with(json!({"uid": "v"}), json!({"runs": [run(2, 2, Some("Succeeded"))]})),
            "5: run 2",
        ),
    ] {
        assert_eq!(of(&target.judge(Some(&seen))), wanted, "{what}");
    }
    assert_eq!(of(&target.judge(None)), "5: run 2");
    assert_eq!(of(&Target::numbered(&active, 1).judge(Some(&active))), "5: run 1");
}

#[test]
fn exit_codes_are_a_contract() {
    let codes = [
        (How::Completed, 0),
        (How::Ended, 1),
        (How::Rejected, 3),
        (How::TimedOut, 4),
        (How::CannotEnd, 5),
        (How::Interrupted, 130),
        (How::Terminated, 143),
    ];
    for (how, code) in codes {
        assert_eq!(how.exit_code(), code, "{how:?}");
    }
}

#[test]
fn an_end_says_why_and_what_to_do() {
    let mut failed = run(2, 2, Some("Failed"));
    failed["duration"] = json!("14s");
    failed["failure"] = json!({"category": "OOMKilled", "hint": "raise the limit"});
    let mut target = Target::newest(&request(json!({})));
    let Standing::Over(ending) = target.judge(Some(&request(json!({"runs": [failed]})))) else { panic!() };
    assert_eq!(ending.message, "run 2 has failed after 14s: Why: words");
    assert_eq!(ending.hint.as_deref(), Some("raise the limit"));
}

#[test]
fn records_of_a_restored_object_are_no_answer() {
    let old = |number: i32| run(number, 7, Some("Failed"));
    let before = request(json!({"run": 2, "conditions": finished(1), "runs": [old(2), old(1)]}));
    let mut target = Target::newest(&before);
    assert_eq!(of(&target.judge(Some(&before))), "open");
    let after = request(json!({"runs": [run(3, 2, Some("Succeeded")), old(2), old(1)]}));
    assert_eq!(of(&target.judge(Some(&after))), "0: run 3");
    // An edit that asks for no run: what the status shows is the answer.
    let same = request(json!({"run": 2, "conditions": finished(2), "runs": [old(2), old(1)]}));
    assert_eq!(of(&Target::newest(&same).judge(Some(&same))), "1: run 2");
}

#[test]
fn a_rerun_of_what_is_held_waits_for_its_run() {
    let held = json!({"conditions": [condition("Ready", "True", "Held", 2)]});
    let asked = with(json!({"annotations": {"jobrequest.dev/rerun": "t"}}), held.clone());
    assert!(matches!(Target::newest(&asked).judge(Some(&asked)), Standing::Open { .. }));
    // Nobody asks, or it is handled.
    let quiet = request(held);
    assert!(matches!(Target::newest(&quiet).judge(Some(&quiet)), Standing::Over(_)));
}

#[test]
fn a_suspended_run_that_is_cancelled_is_waited_for() {
    let mut open = run(1, 2, None);
    open["result"] = Value::Null;
    let suspended =
        json!({"run": 1, "runs": [open], "conditions": [condition("Ready", "True", "Suspended", 2)]});
    let seen = request(suspended);
    assert!(matches!(Target::cancelled(&seen, 1).judge(Some(&seen)), Standing::Open { .. }));
    assert!(matches!(Target::numbered(&seen, 1).judge(Some(&seen)), Standing::Over(_)));
}
