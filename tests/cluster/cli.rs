//! The command line for people, on a real API server: each exit code of what follows a run, and what each command does.

use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::requests::{Requests, spec};
use crate::support::{Cluster, Operator, Test};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        run_of_a_file_ends_with_its_result,
        run_of_an_unchanged_file_runs_again,
        a_failed_run_is_1,
        what_cannot_be_done_is_2,
        a_refused_file_is_3_and_so_is_a_rejected_spec,
        a_timeout_is_4_and_the_run_continues,
        what_cannot_end_by_itself_is_5,
        an_interrupt_is_130_and_the_run_continues,
        a_newer_spec_is_waited_for,
        rerun_waits_for_its_own_token,
        a_silent_run_is_followed_to_its_end,
        suspend_and_resume_set_the_spec,
        cancel_ends_the_run_that_is_meant_and_no_other,
        many_are_selected_by_labels,
        list_is_the_table_of_the_server,
        history_and_describe_say_why,
        delete_waits_until_it_is_gone,
        flags_act_as_those_of_kubectl,
        hostile_text_of_objects_reaches_no_terminal,
    ]
}

/// The program with the kubeconfig of the tests, in the namespace of `at`.
pub(crate) fn program(cx: &Cluster, at: &Requests, arguments: &[&str]) -> Command {
    let (words, rest) = arguments.split_at(1);
    let mut command = Command::new(Operator::program());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name);
    }
    command.args(words).args(["-n", at.namespace.name()]).args(rest).env("KUBECONFIG", cx.kubeconfig());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Came {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs it to its end, beside the test.
pub(crate) async fn ran(command: Command) -> Came {
    let mut command = command;
    tokio::task::spawn_blocking(move || command.output().expect("run the program").into()).await.unwrap()
}

/// A file of a JobRequest, as a person has it.
pub(crate) fn file(cx: &Cluster, name: &str, spec: &Value) -> String {
    let object = json!({
        "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "metadata": {"name": name}, "spec": spec,
    });
    let path = cx.log(&format!("{name}.json"));
    std::fs::write(&path, object.to_string()).unwrap();
    path.display().to_string()
}

async fn run_of_a_file_ends_with_its_result(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-run").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let good = file(&cx, "good", &spec(&json!({}), &json!({})));
    let came = ran(program(&cx, &at, &["run", &good])).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    assert!(came.out.starts_with("jobrequest/good: run 1 has completed"), "{came:?}");
    assert_eq!(came.out.lines().count(), 1, "{came:?}");
    assert!(came.err.contains("jobrequest/good: Running: run 1 is running"), "{came:?}");
    // For machines: one object on stdout, nothing on stderr.
    let came = ran(program(&cx, &at, &["wait", "good", "-o", "json", "-q"])).await;
    let end: Value = serde_json::from_str(&came.out).expect("one JSON object");
    let wanted = json!({
        "namespace": at.namespace.name(), "name": "good", "exitCode": 0, "how": "Completed", "run": 1,
        "reason": end["reason"], "message": end["message"],
    });
    assert_eq!((end, came.err.as_str()), (wanted, ""));
}

async fn run_of_an_unchanged_file_runs_again(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-again").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let path = file(&cx, "again", &spec(&json!({}), &json!({})));
    for number in 1..=3 {
        // With an edit it is one run as well.
        if number == 3 {
            let path = file(&cx, "again", &spec(&json!({"run-seconds": "2"}), &json!({"alias": "edited"})));
            assert!(path.ends_with("again.json"));
        }
        let came = ran(program(&cx, &at, &["run", "-f", &path])).await;
        assert_eq!(came.code, Some(0), "{came:?}");
        assert!(came.out.starts_with(&format!("jobrequest/again: run {number} has completed")), "{came:?}");
    }
    let came = ran(program(&cx, &at, &["run", "again"])).await;
    assert!(came.out.starts_with("jobrequest/again: run 4 has completed"), "{came:?}");
    assert_eq!(at.get("again").await["status"]["runs"].as_array().unwrap().len(), 4);
}

async fn a_failed_run_is_1(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-failed").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let fails = spec(&json!({"exit-code": "3"}), &json!({"settings": {"backoffLimit": 0}}));
    let came = ran(program(&cx, &at, &["run", &file(&cx, "fails", &fails)])).await;
    assert_eq!(came.code, Some(1), "{came:?}");
    assert!(came.out.contains("run 1 has failed after") && came.out.contains("exited with 3"), "{came:?}");
    assert!(came.out.contains("\nhint: "), "{came:?}");
    // A later command gets the same answer at once.
    assert_eq!(ran(program(&cx, &at, &["wait", "fails"])).await.code, Some(1));
}

async fn what_cannot_be_done_is_2(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-cannot").await;
    for arguments in [
        ["wait", "absent"].as_slice(),
        &["run", "absent"],
        &["rerun", "absent"],
        &["history", "absent"],
        &["describe", "absent"],
        &["delete", "absent"],
        &["suspend", "absent"],
        &["cancel", "absent"],
    ] {
        let came = ran(program(&cx, &at, arguments)).await;
        let wanted = format!("error: namespace {} has no JobRequest called absent\n", at.namespace.name());
        assert_eq!(
            (came.code, came.err.as_str(), came.out.as_str()),
            (Some(2), wanted.as_str(), ""),
            "{arguments:?}"
        );
    }
    let came = ran(program(&cx, &at, &["delete", "absent", "--ignore-not-found"])).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    let came =
        ran(program(&cx, &at, &["wait", "a", "--server", "https://127.0.0.1:1", "--request-timeout", "2s"]))
            .await;
    assert_eq!(came.code, Some(2), "{came:?}");
}

async fn a_refused_file_is_3_and_so_is_a_rejected_spec(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-refused").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let unknown = spec(&json!({}), &json!({"schedule": "* * * * *"}));
    let came = ran(program(&cx, &at, &["run", &file(&cx, "unknown", &unknown)])).await;
    assert_eq!((came.code, came.out.as_str()), (Some(3), ""), "{came:?}");
    assert!(came.err.contains("schedule"), "{came:?}");
    let broken = spec(&json!({}), &json!({"restartPolicy": "Always"}));
    let came = ran(program(&cx, &at, &["run", &file(&cx, "broken", &broken)])).await;
    assert_eq!(came.code, Some(3), "{came:?}");
    // What only the operator can judge, after a run that completed: its result is not the answer.
    let good = file(&cx, "later", &spec(&json!({}), &json!({})));
    assert_eq!(ran(program(&cx, &at, &["run", &good])).await.code, Some(0));
    let bad = spec(&json!({}), &json!({"templateRef": {"name": "nope"}}));
    let came = ran(program(&cx, &at, &["run", &file(&cx, "later", &bad)])).await;
    assert_eq!(came.code, Some(3), "{came:?}");
    assert!(came.out.starts_with("jobrequest/later: rejected: InvalidSpec: "), "{came:?}");
    assert_eq!(ran(program(&cx, &at, &["wait", "later"])).await.code, Some(3));
}

async fn a_timeout_is_4_and_the_run_continues(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-timeout").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let path = file(&cx, "long", &spec(&json!({"run-seconds": "forever"}), &json!({})));
    let came = ran(program(&cx, &at, &["run", &path, "--timeout", "6s"])).await;
    assert_eq!(came.code, Some(4), "{came:?}");
    assert!(came.out.starts_with("jobrequest/long: timed out, the run continues: "), "{came:?}");
    let again = format!("to follow it again: jobrequest wait -n {} long@1\n", at.namespace.name());
    assert!(came.out.ends_with(&again), "{came:?}");
    at.until_phase("long", 1, "Running").await;
}

async fn what_cannot_end_by_itself_is_5(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-stuck").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let suspended = spec(&json!({}), &json!({"suspend": true}));
    let came = ran(program(&cx, &at, &["run", &file(&cx, "suspended", &suspended)])).await;
    assert_eq!(came.code, Some(5), "{came:?}");
    assert!(came.out.contains("spec.suspend"), "{came:?}");

    let holds = json!({"runPolicy": {"onSpecChange": "Hold"}});
    at.create("held", spec(&json!({}), &holds)).await;
    at.until_phase("held", 1, "Completed").await;
    at.change("held", json!({"containers": [{"name": "main", "image": "perl:5.40"}]})).await;
    let came = ran(program(&cx, &at, &["wait", "held"])).await;
    assert_eq!(came.code, Some(5), "{came:?}");
    assert!(came.out.contains("Hold"), "{came:?}");

    at.create("deleted", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    at.until_phase("deleted", 1, "Running").await;
    let follower = program(&cx, &at, &["watch", "deleted"]).spawn().expect("start the program");
    tokio::time::sleep(Duration::from_secs(2)).await;
    at.delete("deleted", &kube::api::DeleteParams::background()).await;
    let came = end(follower).await;
    assert_eq!(came.code, Some(5), "{came:?}");
    assert!(
        came.out.contains("the JobRequest was deleted") || came.out.contains("is being deleted"),
        "{came:?}"
    );
}

/// Waits for a program that was started.
pub(crate) async fn end(child: Child) -> Came {
    tokio::task::spawn_blocking(move || child.wait_with_output().expect("wait for the program").into())
        .await
        .unwrap()
}

async fn an_interrupt_is_130_and_the_run_continues(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-interrupt").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("long", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    at.until_phase("long", 1, "Running").await;
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let mut follower = program(&cx, &at, &["watch", "long"]);
        let follower = follower.spawn().expect("start the program");
        tokio::time::sleep(Duration::from_secs(3)).await;
        let sent = Command::new("kill").args(["-s", name, &follower.id().to_string()]).status();
        assert!(sent.expect("run kill").success());
        let came = end(follower).await;
        assert_eq!(came.code, Some(code), "{came:?}");
        assert!(came.out.contains("interrupted, the run continues"), "{came:?}");
        assert!(came.out.contains("to follow it again: jobrequest wait -n "), "{came:?}");
    }
    at.until_phase("long", 1, "Running").await;
}

async fn a_newer_spec_is_waited_for(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-newer").await;
    at.create("newer", spec(&json!({}), &json!({}))).await;
    {
        let _operator = Operator::start(&cx, &at.namespace, &[]);
        at.until_phase("newer", 1, "Completed").await;
    }
    // Nobody observes this edit for a while; the old end stands in the status.
    at.change("newer", spec(&json!({"exit-code": "1"}), &json!({"settings": {"backoffLimit": 0}}))).await;
    let follower = program(&cx, &at, &["wait", "newer"]).spawn().expect("start the program");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let came = end(follower).await;
    assert_eq!(came.code, Some(1), "{came:?}");
    assert!(came.out.starts_with("jobrequest/newer: run 2 has failed"), "{came:?}");
}

async fn rerun_waits_for_its_own_token(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-rerun").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("one", spec(&json!({}), &json!({}))).await;
    at.create("two", spec(&json!({"exit-code": "1"}), &json!({"settings": {"backoffLimit": 0}}))).await;
    at.until_phase("one", 1, "Completed").await;
    at.until_phase("two", 1, "Failed").await;
    let came = ran(program(&cx, &at, &["rerun", "one"])).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    assert!(came.out.starts_with("jobrequest/one: run 2 has completed"), "{came:?}");
    let came = ran(program(&cx, &at, &["rerun", "jr/one", "two"])).await;
    assert_eq!(came.code, Some(1), "{came:?}");
    assert!(
        came.out.contains("one: run 3 has completed") && came.out.contains("two: run 2 has failed"),
        "{came:?}"
    );
    // An old run can be named.
    assert_eq!(ran(program(&cx, &at, &["wait", "two@1"])).await.code, Some(1));
    assert_eq!(ran(program(&cx, &at, &["wait", "two@9"])).await.code, Some(5));
}

/// Longer than a call may take: a watch in which nothing happens does not end.
async fn a_silent_run_is_followed_to_its_end(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-silent").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("silent", spec(&json!({"run-seconds": "20"}), &json!({}))).await;
    let came = ran(program(&cx, &at, &["wait", "silent", "--request-timeout", "5"])).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    assert!(!came.err.contains("does not answer"), "{came:?}");
}

async fn suspend_and_resume_set_the_spec(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-suspend").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("a", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    at.until_phase("a", 1, "Running").await;
    let came = ran(program(&cx, &at, &["suspend", "a"])).await;
    assert_eq!((came.code, came.out.as_str(), came.err.as_str()), (Some(0), "jobrequest/a suspended\n", ""));
    at.until_phase("a", 1, "Suspended").await;
    let mark = json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}});
    let merge = kube::api::Patch::Merge(mark);
    at.api().patch("a", &kube::api::PatchParams::default(), &merge).await.expect("label it");
    let came = ran(program(&cx, &at, &["resume", "a"])).await;
    assert_eq!((came.code, came.out.as_str()), (Some(0), "jobrequest/a resumed\n"));
    assert!(came.err.starts_with("warning: Flux applies jobrequest/a"), "{came:?}");
    at.until_phase("a", 1, "Running").await;
}

async fn cancel_ends_the_run_that_is_meant_and_no_other(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-cancel").await;
    // One that holds the lease since before the run need not wait for creates of others.
    let lease = format!("--leader-elect-resource-namespace={}", at.namespace.name());
    let _operator = Operator::start(&cx, &at.namespace, &["--leader-elect", &lease]);
    at.create("a", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    at.until_phase("a", 1, "Running").await;
    let follower = program(&cx, &at, &["wait", "a"]).spawn().expect("start the program");
    let came = ran(program(&cx, &at, &["cancel", "a"])).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    assert!(came.out.starts_with("jobrequest/a: run 1 was cancelled after "), "{came:?}");
    assert!(came.out.contains("asked for it"), "{came:?}");
    // Anyone who waited for that run hears of it.
    let waited = end(follower).await;
    assert_eq!((waited.code, waited.out.as_str()), (Some(1), came.out.as_str()), "{waited:?}");
    assert!(at.job_names().await.is_empty());
    let status = at.get("a").await["status"].clone();
    assert_eq!((&status["phase"], &status["reason"]), (&json!("Failed"), &json!("Cancelled")));
    let user = cx.kubectl(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
    let message = &status["runs"][0]["message"];
    assert_eq!(*message, json!(format!("{} asked for it", user.trim())), "{status}");
    // Twice is once.
    let came = ran(program(&cx, &at, &["cancel", "a"])).await;
    assert_eq!((came.code, came.out.as_str()), (Some(0), ""), "{came:?}");
    assert_eq!(came.err, "jobrequest/a: run 1 has ended: Cancelled\n");
    // The annotation is still there; the next run is none of its business.
    let came = ran(program(&cx, &at, &["rerun", "a", "--no-wait"])).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    at.until_phase("a", 2, "Running").await;
    let came = ran(program(&cx, &at, &["cancel", "a@1"])).await;
    assert_eq!((came.code, came.out.as_str()), (Some(0), ""), "{came:?}");
    at.until_phase("a", 2, "Running").await;
    // What waits starts next.
    at.change("a", spec(&json!({"run-seconds": "1"}), &json!({}))).await;
    let came = ran(program(&cx, &at, &["cancel", "a@2", "-o", "json"])).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    let ended: Value = serde_json::from_str(&came.out).expect("JSON");
    assert_eq!((&ended["reason"], &ended["run"]), (&json!("Cancelled"), &json!(2)));
    at.until_phase("a", 3, "Completed").await;
    assert_eq!(ran(program(&cx, &at, &["cancel", "a@9"])).await.code, Some(2));
    // Also while it is suspended, so that nothing starts after it.
    at.create("b", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    at.until_phase("b", 1, "Running").await;
    assert_eq!(ran(program(&cx, &at, &["suspend", "b"])).await.code, Some(0));
    at.until_phase("b", 1, "Suspended").await;
    let came = ran(program(&cx, &at, &["cancel", "b"])).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    assert!(came.out.contains("run 1 was cancelled"), "{came:?}");
}

async fn many_are_selected_by_labels(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-many").await;
    let suspended = spec(&json!({}), &json!({"suspend": true}));
    for name in ["a", "b", "c"] {
        at.create(name, suspended.clone()).await;
    }
    cx.kubectl(&["label", "jobrequests", "a", "b", "team=one", "-n", at.namespace.name()]);
    let came = ran(program(&cx, &at, &["resume", "-l", "team=one"])).await;
    assert_eq!(came.out, "jobrequest/a resumed\njobrequest/b resumed\n", "{came:?}");
    let came = ran(program(&cx, &at, &["suspend", "-l", "team=two"])).await;
    let nothing = format!("no JobRequests found in namespace {}\n", at.namespace.name());
    assert_eq!((came.code, came.out.as_str(), came.err), (Some(0), "", nothing), "selected none");
    let came = ran(program(&cx, &at, &["suspend"])).await;
    assert_eq!(came.code, Some(2), "{came:?}");
    assert!(came.err.contains("no JobRequest is named"), "{came:?}");
    assert_eq!(ran(program(&cx, &at, &["suspend", "a", "--all"])).await.code, Some(2));
    let came = ran(program(&cx, &at, &["delete", "--all"])).await;
    assert_eq!(came.out, "jobrequest/a deleted\njobrequest/b deleted\njobrequest/c deleted\n", "{came:?}");
}

async fn list_is_the_table_of_the_server(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-list").await;
    let came = ran(program(&cx, &at, &["list"])).await;
    let nothing = format!("no JobRequests found in namespace {}\n", at.namespace.name());
    assert_eq!((came.code, came.out.as_str(), came.err.as_str()), (Some(0), "", nothing.as_str()));
    // More than a page.
    let names: Vec<String> = (0..503).map(|number| format!("r{number:04}")).collect();
    let suspended = spec(&json!({}), &json!({"suspend": true, "alias": "计算"}));
    futures::future::join_all(names.iter().map(|name| at.create(name, suspended.clone()))).await;
    let came = ran(program(&cx, &at, &["ls", "-o", "name"])).await;
    let listed: Vec<&str> = came.out.lines().collect();
    let wanted: Vec<String> = names.iter().map(|name| format!("jobrequest.jobrequest.dev/{name}")).collect();
    assert_eq!(listed, wanted);
    let came = ran(program(&cx, &at, &["list"])).await;
    let kubectl = cx.kubectl(&["get", "jobrequests", "-n", at.namespace.name()]);
    let columns = |table: &str| -> Vec<String> {
        table
            .lines()
            .next()
            .unwrap_or_default()
            .split("  ")
            .map(str::trim)
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(columns(&came.out), columns(&kubectl));
    assert_eq!(came.out.lines().count(), 504);
    let came = ran(program(&cx, &at, &["list", "-o", "wide"])).await;
    assert!(came.out.contains("ALIAS") && came.out.contains("计算"), "{came:?}");
    let came = ran(program(&cx, &at, &["list", "-A", "--phase", "Rejected", "-l", "a=b"])).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    let came = ran(program(&cx, &at, &["list", "-o", "json"])).await;
    let list: Value = serde_json::from_str(&came.out).expect("JSON");
    assert_eq!(list["items"].as_array().map(Vec::len), Some(503));
}

async fn history_and_describe_say_why(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-why").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let oom = spec(&json!({"oom": "true"}), &json!({"settings": {"backoffLimit": 0}, "alias": "盘点"}));
    at.create("oom", oom).await;
    at.until_phase("oom", 1, "Failed").await;
    assert_eq!(ran(program(&cx, &at, &["rerun", "oom", "-q"])).await.code, Some(1));
    let came = ran(program(&cx, &at, &["history", "oom"])).await;
    let lines: Vec<Vec<&str>> = came.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), 3, "{came:?}");
    assert_eq!(lines[1][..4], ["2", "Failed", "Rerun", "OOMKilled"], "{came:?}");
    assert_eq!(lines[2][..4], ["1", "Failed", "Created", "OOMKilled"], "{came:?}");
    let came = ran(program(&cx, &at, &["history", "oom", "-o", "json"])).await;
    let records: Value = serde_json::from_str(&came.out).expect("JSON");
    assert_eq!(records[0]["failure"]["category"], "OOMKilled");

    let came = ran(program(&cx, &at, &["describe", "oom"])).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    let at_line = |words: &str| {
        came.out.lines().position(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}: {came:?}"))
    };
    assert!(at_line("State:") < 5 && at_line("Hint:") < 6 && at_line("盘点") < 3, "{came:?}");
    assert!(at_line("Runs:") < at_line("Pods:") && at_line("Pods:") < at_line("Events:"), "{came:?}");
    assert!(came.out.contains("OOMKilled") && came.out.contains("RunCreated"), "{came:?}");
    let came = ran(program(&cx, &at, &["describe", "oom@1"])).await;
    assert!(came.out.contains("\nRun 1:\n"), "{came:?}");
    assert_eq!(ran(program(&cx, &at, &["describe", "oom@7"])).await.code, Some(2));
}

async fn delete_waits_until_it_is_gone(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-delete").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("a", spec(&json!({}), &json!({}))).await;
    at.until_phase("a", 1, "Completed").await;
    let came = ran(program(&cx, &at, &["delete", "a", "--cascade", "foreground"])).await;
    assert_eq!((came.code, came.out.as_str()), (Some(0), "jobrequest/a deleted\n"));
    assert!(!at.exists("a").await);
    assert!(at.job_names().await.is_empty());
    at.create("b", spec(&json!({}), &json!({}))).await;
    at.until_phase("b", 1, "Completed").await;
    let came = ran(program(&cx, &at, &["delete", "b", "--cascade", "orphan"])).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    assert_eq!(at.job_names().await, ["b-1"]);
}

async fn flags_act_as_those_of_kubectl(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-flags").await;
    let namespace = at.namespace.name().to_owned();
    // Who asks is who the flags say: the refusal names them.
    for (flags, who) in [
        (["--as", "eve"].as_slice(), "User \"eve\""),
        (&["--as", "eve", "--as-group", "system:authenticated"], "User \"eve\""),
    ] {
        let came = ran(program(&cx, &at, &[&["list"], flags].concat())).await;
        assert_eq!(came.code, Some(2), "{came:?}");
        let kubectl =
            cx.try_kubectl(&[&["get", "jobrequests", "-n", &namespace], flags].concat()).unwrap_err();
        assert!(came.err.contains(who) && kubectl.contains(who), "{came:?} {kubectl}");
    }
    // A token replaces the certificate of the kubeconfig.
    let came = ran(program(&cx, &at, &["list", "--token", "wrong"])).await;
    assert_eq!(came.code, Some(2), "{came:?}");
    let token = cx.kubectl(&["create", "token", "default", "-n", &namespace]);
    let came = ran(program(&cx, &at, &["list", "--token", token.trim()])).await;
    assert!(came.err.contains(&format!("system:serviceaccount:{namespace}:default")), "{came:?}");
    let came = ran(program(&cx, &at, &["list", "--context", "nowhere"])).await;
    assert_eq!(came.code, Some(2), "{came:?}");
}

/// Colours and cursor movements in what people and programs write into objects.
async fn hostile_text_of_objects_reaches_no_terminal(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "cli-hostile").await;
    let hostile = "a\u{1b}[2Jb\u{9b}31mc\rd\u{202e}e\u{7}";
    let more = json!({"settings": {"backoffLimit": 0}, "alias": hostile, "description": hostile});
    {
        let _operator = Operator::start(&cx, &at.namespace, &[]);
        at.create("evil", spec(&json!({"exit-code": "1"}), &more)).await;
        at.until_phase("evil", 1, "Failed").await;
    }
    // Nor from a status that somebody has forged.
    let mut status = at.get("evil").await["status"].clone();
    for text in ["message", "reason"] {
        status["runs"][0][text] = json!(hostile);
    }
    status["runs"][0]["failure"]["hint"] = json!(hostile);
    status["failure"]["hint"] = json!(hostile);
    let forged = kube::api::Patch::Merge(json!({"status": status}));
    at.api()
        .patch_status("evil", &kube::api::PatchParams::default(), &forged)
        .await
        .expect("forge the status");
    for arguments in [
        ["list", "-o", "wide"].as_slice(),
        &["describe", "evil"],
        &["describe", "evil@1"],
        &["history", "evil"],
        &["history", "evil", "-o", "json"],
        &["wait", "evil"],
        &["wait", "evil", "-o", "json"],
        &["watch", "evil"],
        &["list", "-o", "yaml"],
    ] {
        let came = ran(program(&cx, &at, arguments)).await;
        assert!(!came.out.is_empty(), "{arguments:?}: {came:?}");
        for text in [&came.out, &came.err] {
            let hidden = text.chars().find(|it| jobrequest::printable::is_invisible(*it) && *it != '\n');
            assert_eq!(hidden, None, "{arguments:?}: {text:?}");
        }
    }
}
