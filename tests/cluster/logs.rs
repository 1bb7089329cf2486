//! Logs, on a real API server with kubelets that serve files: `jobrequest logs`, and `--logs` of what asks for a run.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jobrequest::printable::is_invisible;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::cli::{end, file, program, ran};
use crate::support::requests::{Requests, spec};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        following_begins_before_the_first_pod_exists,
        a_run_is_followed_with_its_logs,
        a_rerun_is_followed_with_its_logs,
        several_pods_have_prefixes_and_are_merged_by_time,
        retries_join_and_failed_ones_are_found,
        a_restarted_container_continues,
        lines_are_chosen,
        a_rotated_log_is_complete,
        an_outage_loses_and_repeats_no_line,
        a_silent_log_is_not_ended,
        pods_that_are_gone_leave_their_record,
        what_has_not_started_is_said,
        exit_codes_are_those_of_following,
        an_interrupt_leaves_the_run_and_says_how_to_attach_again,
        hostile_bytes_reach_no_terminal,
        a_reader_that_goes_away_ends_it,
    ]
}

/// The log of a container, as its node keeps it.
struct LogFile(PathBuf);

impl LogFile {
    fn new(cx: &Cluster, name: &str) -> Self {
        let file = Self(cx.log(&format!("{name}.container.log")));
        fs::write(&file.0, "").unwrap();
        file
    }

    /// The container writes a line now.
    fn line(&self, text: &str) {
        self.line_at(Timestamp::now(), text.as_bytes());
    }

    /// The container wrote a line then.
    fn line_at(&self, time: Timestamp, text: &[u8]) {
        let mut file = fs::OpenOptions::new().append(true).open(&self.0).unwrap();
        let line = [format!("{time:.9} stdout F ").as_bytes(), text, b"\n"].concat();
        file.write_all(&line).unwrap();
    }

    /// A new file takes its place; what the old one has is not in it.
    fn rotate(&self) {
        fs::rename(&self.0, self.0.with_extension("old")).unwrap();
        fs::write(&self.0, "").unwrap();
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }
}

/// All containers of a namespace have this log.
async fn serve(at: &Requests, file: &LogFile) {
    let logs = json!([{"logsFile": file.path(), "previousLogsFile": file.path(), "follow": true}]);
    let spec = json!({"selector": {"matchNamespaces": [at.namespace.name()]}, "logs": logs});
    create(at, "ClusterLogs", "clusterlogs", at.namespace.name(), &spec).await;
}

/// The containers of a pod have this log.
async fn serve_pod(at: &Requests, pod: &str, file: &LogFile) {
    create(at, "Logs", "logs", pod, &json!({"logs": [{"logsFile": file.path(), "follow": true}]})).await;
}

async fn create(at: &Requests, kind: &str, plural: &str, name: &str, spec: &Value) {
    let version = GroupVersionKind::gvk("kwok.x-k8s.io", "v1alpha1", kind);
    let resource = ApiResource::from_gvk_with_plural(&version, plural);
    let api: Api<DynamicObject> = if kind == "Logs" {
        Api::namespaced_with(at.client.clone(), at.namespace.name(), &resource)
    } else {
        Api::all_with(at.client.clone(), &resource)
    };
    let object = json!({
        "apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
    });
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.expect("serve a log");
}

fn pods(at: &Requests) -> Api<Pod> {
    at.namespace.api(&at.client)
}

/// Names of all pods, the oldest first, once there are so many.
async fn names_of_pods(at: &Requests, number: usize) -> Vec<String> {
    eventually(DEADLINE, &format!("there are {number} pods"), async || {
        let mut pods = pods(at).list(&ListParams::default()).await.expect("list the pods").items;
        pods.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
        let names: Vec<String> = pods.into_iter().filter_map(|pod| pod.metadata.name).collect();
        if names.len() >= number { Ok(names) } else { Err(names) }
    })
    .await
}

async fn second() {
    sleep(Duration::from_secs(1)).await;
}

async fn following_begins_before_the_first_pod_exists(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "logs-before").await;
    let log = LogFile::new(&cx, "main");
    serve(&at, &log).await;
    at.create("pi", spec(&json!({"run-seconds": "5"}), &json!({}))).await;
    let follower = program(&cx, &at, &["logs", "-f", "pi"]).spawn().expect("start the program");
    second().await;
    log.line("first");
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.until_phase("pi", 1, "Running").await;
    log.line("second");
    at.until_phase("pi", 1, "Completed").await;
    let came = end(follower).await;
    assert_eq!((came.code, came.out.as_str()), (Some(0), "first\nsecond\n"), "{came:?}");
    assert!(came.err.contains("jobrequest/pi: Running: run 1 is running"), "{came:?}");
    assert!(came.err.contains("jobrequest/pi: run 1 has completed"), "{came:?}");
    // Once it is over, the same is read at once, with and without following.
    for arguments in [["logs", "pi"].as_slice(), &["logs", "-f", "-q", "pi"], &["logs", "pi@1"]] {
        let came = ran(program(&cx, &at, arguments)).await;
        let wanted = (Some(0), "first\nsecond\n", "");
        assert_eq!((came.code, came.out.as_str(), came.err.as_str()), wanted, "{arguments:?}");
    }
}

async fn a_run_is_followed_with_its_logs(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "logs-run").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let log = LogFile::new(&cx, "main");
    serve(&at, &log).await;
    log.line("only this is stdout");
    for (name, code, end) in [("good", "0", "run 1 has completed"), ("bad", "3", "run 1 has failed")] {
        let spec = spec(&json!({"exit-code": code}), &json!({"settings": {"backoffLimit": 0}}));
        let came = ran(program(&cx, &at, &["run", &file(&cx, name, &spec), "--logs"])).await;
        assert_eq!(came.code, Some(i32::from(code != "0")), "{came:?}");
        assert_eq!(came.out, "only this is stdout\n", "{came:?}");
        assert!(came.err.contains(&format!("jobrequest/{name}: {end}")), "{came:?}");
    }
    let came = ran(program(&cx, &at, &["run", "good", "--logs", "-o", "json"])).await;
    assert_eq!(came.code, Some(2), "{came:?}");
    assert!(came.err.contains("--logs"), "{came:?}");
}

async fn a_rerun_is_followed_with_its_logs(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "logs-rerun").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let log = LogFile::new(&cx, "main");
    serve(&at, &log).await;
    log.line("text");
    at.create("a", spec(&json!({}), &json!({}))).await;
    at.until_phase("a", 1, "Completed").await;
    let came = ran(program(&cx, &at, &["rerun", "a", "--logs"])).await;
    assert_eq!((came.code, came.out.as_str()), (Some(0), "text\n"), "{came:?}");
    assert!(came.err.contains("run 2 has completed"), "{came:?}");
}

async fn several_pods_have_prefixes_and_are_merged_by_time(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "logs-several").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let settings = json!({"settings": {"completions": 2, "parallelism": 2}});
    let slow = json!({"pull": "slow", "pull-seconds": "3", "run-seconds": "3"});
    at.create("two", spec(&slow, &settings)).await;
    let names = names_of_pods(&at, 2).await;
    let logs = [LogFile::new(&cx, "a"), LogFile::new(&cx, "b")];
    let start = Timestamp::now();
    for (name, log) in names.iter().zip(&logs) {
        serve_pod(&at, name, log).await;
    }
    // The lines of both alternate.
    for number in 0..6_usize {
        let time = start + SignedDuration::from_millis(100 * i64::try_from(number).unwrap());
        logs[number % 2].line_at(time, format!("line {number}").as_bytes());
    }
    let follower = program(&cx, &at, &["logs", "-f", "two", "-q"]).spawn().expect("start the program");
    let came = end(follower).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    for (at, name) in names.iter().enumerate() {
        let of_this: Vec<&str> =
            came.out.lines().filter_map(|line| line.strip_prefix(&format!("[{name}/main] "))).collect();
        let wanted: Vec<String> = (at..6).step_by(2).map(|number| format!("line {number}")).collect();
        assert_eq!(of_this, wanted, "{came:?}");
    }
    let merged: String = (0..6).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "[{}/main] line {number}", names[number % 2]);
        text
    });
    assert_eq!(ran(program(&cx, &at, &["logs", "two"])).await.out, merged);
    let came = ran(program(&cx, &at, &["logs", "two", "--prefix", "never"])).await;
    assert_eq!(came.out, "line 0\nline 1\nline 2\nline 3\nline 4\nline 5\n");
    let came = ran(program(&cx, &at, &["logs", "two", "--pod", &names[1]])).await;
    assert_eq!(came.out, "line 1\nline 3\nline 5\n");
    let came = ran(program(&cx, &at, &["logs", "two", "--max-pods", "1", "--color", "always"])).await;
    assert_eq!(came.err, "1 pod left out; --max-pods 2 reads all\n");
    assert_eq!(came.out.lines().count(), 3, "{came:?}");
    let one = ["logs", "two", "--pod", &names[0], "--prefix", "always", "--color", "always"];
    let came = ran(program(&cx, &at, &one)).await;
    assert!(came.out.starts_with(&format!("\u{1b}[36m[{}/main]\u{1b}[0m line 0\n", names[0])), "{came:?}");
    for (flag, value) in [("--pod", "nope"), ("-c", "nope"), ("--index", "7")] {
        let came = ran(program(&cx, &at, &["logs", "two", flag, value])).await;
        assert_eq!((came.code, came.out.as_str()), (Some(2), ""), "{came:?}");
        assert!(came.err.starts_with("error: no "), "{came:?}");
    }
}

async fn retries_join_and_failed_ones_are_found(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "logs-retry").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let fails = json!({"pull": "slow", "pull-seconds": "2", "exit-code": "1"});
    at.create("twice", spec(&fails, &json!({"settings": {"backoffLimit": 1}}))).await;
    let follower = program(&cx, &at, &["logs", "-f", "twice"]).spawn().expect("start the program");
    let mut wanted = String::new();
    for attempt in 1..=2 {
        let names = names_of_pods(&at, attempt).await;
        let log = LogFile::new(&cx, &format!("attempt-{attempt}"));
        log.line(&format!("attempt {attempt}"));
        serve_pod(&at, &names[attempt - 1], &log).await;
        // The prefix begins with the second pod.
        let _ = match names.get(1).filter(|_| attempt == 2) {
            Some(name) => writeln!(wanted, "[{name}/main] attempt {attempt}"),
            None => writeln!(wanted, "attempt {attempt}"),
        };
    }
    let came = end(follower).await;
    assert_eq!((came.code, came.out.as_str()), (Some(1), wanted.as_str()), "{came:?}");
    assert!(came.err.contains("run 1 has failed"), "{came:?}");
    let came = ran(program(&cx, &at, &["logs", "twice", "--failed", "--prefix", "never"])).await;
    assert_eq!((came.code, came.out.as_str()), (Some(0), "attempt 1\nattempt 2\n"), "{came:?}");
    let came = ran(program(&cx, &at, &["logs", "twice", "--previous"])).await;
    assert_eq!((came.code, came.out.as_str()), (Some(0), ""), "{came:?}");
    assert!(came.err.contains("was started again"), "{came:?}");
}

async fn a_restarted_container_continues(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "logs-restart").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let log = LogFile::new(&cx, "main");
    serve(&at, &log).await;
    log.line("instance 0");
    let fails = json!({"exit-code": "1", "run-seconds": "3"});
    let more = json!({"restartPolicy": "OnFailure", "settings": {"backoffLimit": 1}});
    at.create("again", spec(&fails, &more)).await;
    let follower = program(&cx, &at, &["logs", "-f", "again"]).spawn().expect("start the program");
    eventually(DEADLINE, "the container was started again", async || {
        let pods = pods(&at).list(&ListParams::default()).await.expect("list the pods").items;
        let status = pods.first()?.status.as_ref()?.container_statuses.as_ref()?.first()?;
        (status.restart_count == 1).then_some(())
    })
    .await;
    // The file of the next instance begins with nothing.
    log.rotate();
    log.line("instance 1");
    let came = end(follower).await;
    assert_eq!((came.code, came.out.as_str()), (Some(1), "instance 0\ninstance 1\n"), "{came:?}");
}

async fn lines_are_chosen(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "logs-lines").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let log = LogFile::new(&cx, "main");
    serve(&at, &log).await;
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let ago = |seconds: f64| now - SignedDuration::from_secs_f64(seconds);
    for (seconds, text) in [(7200.0, "old"), (60.7, "recent Error"), (60.2, "recent"), (1.0, "new error")] {
        log.line_at(ago(seconds), text.as_bytes());
    }
    at.create("pi", spec(&json!({}), &json!({}))).await;
    at.until_phase("pi", 1, "Completed").await;
    let precise = ago(60.5).to_string();
    let timed = format!("{:.9} new error\n", ago(1.0));
    let limited = "old\nrecent Er\n";
    for (flags, wanted) in [
        (["--tail", "1"].as_slice(), "new error\n"),
        (&["--tail", "-1", "--grep", "^(old|new)"], "old\nnew error\n"),
        (&["--tail=0"], ""),
        (&["--since", "5m"], "recent Error\nrecent\nnew error\n"),
        // A time within a second: the client of the API would round it.
        (&["--since-time", &precise], "recent\nnew error\n"),
        (&["--grep", "(?i)error"], "recent Error\nnew error\n"),
        (&["--tail", "1", "--timestamps"], &timed),
        (&["--limit-bytes", "13"], limited),
        (&["--prefix", "always", "--grep", "nothing"], ""),
    ] {
        for follow in [false, true] {
            let following: &[&str] = if follow { &["-f", "-q"] } else { &[] };
            let words = [&["logs", "pi"], flags, following].concat();
            let came = ran(program(&cx, &at, &words)).await;
            assert_eq!((came.code, came.out.as_str()), (Some(0), wanted), "{words:?}: {came:?}");
        }
    }
    for flags in [
        ["--grep", "("].as_slice(),
        &["--since", "5"],
        &["--since-time", "yesterday"],
        &["--tail", "-2"],
        &["--max-pods", "0"],
        &["--timeout", "5s"],
        &["-f", "--previous"],
        &["--since", "5s", "--since-time", "2026-11-28T10:00:00Z"],
    ] {
        let came = ran(program(&cx, &at, &[&["logs", "pi"], flags].concat())).await;
        assert_eq!((came.code, came.out.as_str()), (Some(2), ""), "{flags:?}: {came:?}");
    }
}

async fn a_rotated_log_is_complete(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "logs-rotated").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let log = LogFile::new(&cx, "main");
    serve(&at, &log).await;
    at.create("pi", spec(&json!({"run-seconds": "14"}), &json!({}))).await;
    let follower = program(&cx, &at, &["logs", "-f", "pi"]).spawn().expect("start the program");
    at.until_phase("pi", 1, "Running").await;
    let mut wanted = String::new();
    for rotation in 0..3 {
        for number in 0..20 {
            let line = format!("line {rotation}.{number}");
            log.line(&line);
            wanted += &line;
            wanted.push('\n');
            sleep(Duration::from_millis(20)).await;
        }
        // As a kubelet does: once what there was has been read.
        second().await;
        second().await;
        log.rotate();
    }
    let came = end(follower).await;
    assert_eq!((came.code, came.out.as_str()), (Some(0), wanted.as_str()), "{came:?}");
}

async fn an_outage_loses_and_repeats_no_line(cx: Arc<Cluster>) {
    let cx = cx.own().await;
    cx.control_plane().install_crds().unwrap();
    let at = Requests::new(&cx, "logs-outage").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let log = LogFile::new(&cx, "main");
    serve(&at, &log).await;
    at.create("pi", spec(&json!({"run-seconds": "25"}), &json!({}))).await;
    let follower = program(&cx, &at, &["logs", "-f", "pi"]).spawn().expect("start the program");
    at.until_phase("pi", 1, "Running").await;
    let mut wanted = String::new();
    let mut write = async |part: &str| {
        for number in 0..30 {
            let line = format!("{part} {number}");
            log.line(&line);
            wanted += &line;
            wanted.push('\n');
            sleep(Duration::from_millis(20)).await;
        }
    };
    write("before").await;
    second().await;
    let outage = cx.control_plane().outage().await;
    write("during").await;
    second().await;
    outage.end().await;
    write("after").await;
    let came = end(follower).await;
    assert_eq!((came.code, came.out.as_str()), (Some(0), wanted.as_str()), "{came:?}");
    assert!(came.err.contains("the API server does not answer"), "{came:?}");
}

async fn a_silent_log_is_not_ended(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "logs-silent").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let log = LogFile::new(&cx, "main");
    serve(&at, &log).await;
    log.line("first");
    at.create("pi", spec(&json!({"run-seconds": "20"}), &json!({}))).await;
    let arguments = ["logs", "-f", "pi", "--request-timeout", "5"];
    let follower = program(&cx, &at, &arguments).spawn().expect("start the program");
    at.until_phase("pi", 1, "Running").await;
    sleep(Duration::from_secs(15)).await;
    log.line("last");
    let came = end(follower).await;
    assert_eq!((came.code, came.out.as_str()), (Some(0), "first\nlast\n"), "{came:?}");
    assert!(!came.err.contains("log of"), "{came:?}");
}

async fn pods_that_are_gone_leave_their_record(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "logs-gone").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let fails = json!({"exit-code": "3", "termination-message": "no input\nfile found"});
    at.create("bad", spec(&fails, &json!({"settings": {"backoffLimit": 0}}))).await;
    at.create("good", spec(&json!({}), &json!({}))).await;
    at.until_phase("bad", 1, "Failed").await;
    at.until_phase("good", 1, "Completed").await;
    for job in at.job_names().await {
        at.jobs().delete(&job, &DeleteParams::background()).await.expect("delete the Job");
    }
    eventually(DEADLINE, "the pods are gone", async || {
        let pods = pods(&at).list(&ListParams::default()).await.expect("list the pods").items;
        pods.is_empty().then_some(())
    })
    .await;
    let came = ran(program(&cx, &at, &["logs", "bad"])).await;
    assert_eq!((came.code, came.out.as_str()), (Some(0), "no input\nfile found\n"), "{came:?}");
    assert!(came.err.starts_with("the pods of run 1 are gone; its record kept this of bad-1-"), "{came:?}");
    let came = ran(program(&cx, &at, &["logs", "bad", "-f"])).await;
    assert_eq!((came.code, came.out.as_str()), (Some(1), "no input\nfile found\n"), "{came:?}");
    let came = ran(program(&cx, &at, &["logs", "good"])).await;
    let wanted = (Some(0), "", "the pods of run 1 are gone; it has completed\n");
    assert_eq!((came.code, came.out.as_str(), came.err.as_str()), wanted);
    let came = ran(program(&cx, &at, &["logs", "good@7"])).await;
    assert_eq!((came.code, came.out.as_str()), (Some(2), ""), "{came:?}");
}

async fn what_has_not_started_is_said(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "logs-waiting").await;
    at.create("pi", spec(&json!({"pull": "hang"}), &json!({}))).await;
    let came = ran(program(&cx, &at, &["logs", "pi"])).await;
    assert_eq!((came.code, came.out.as_str()), (Some(0), ""), "{came:?}");
    assert!(came.err.starts_with("jobrequest/pi has not run yet: "), "{came:?}");
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let [name] = names_of_pods(&at, 1).await.try_into().unwrap();
    let said = format!("{name}/main has not started: ContainerCreating; -f waits for it\n");
    eventually(DEADLINE, "it is said", async || {
        let came = ran(program(&cx, &at, &["logs", "pi"])).await;
        assert_eq!((came.code, came.out.as_str()), (Some(0), ""), "{came:?}");
        if came.err == said { Ok(()) } else { Err(came) }
    })
    .await;
}

async fn exit_codes_are_those_of_following(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "logs-codes").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let log = LogFile::new(&cx, "main");
    serve(&at, &log).await;
    log.line("text");
    at.create("long", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    at.create("suspended", spec(&json!({}), &json!({"suspend": true}))).await;
    at.create("rejected", spec(&json!({}), &json!({"templateRef": {"name": "nope"}}))).await;
    at.until_phase("long", 1, "Running").await;
    at.until("suspended", "it is suspended", |status| status["phase"] == "Suspended").await;
    at.until("rejected", "it is rejected", |status| status["phase"] == "Rejected").await;
    for (arguments, code, out, err) in [
        (
            ["logs", "-f", "long", "--timeout", "3s"].as_slice(),
            4,
            "text\n",
            "to follow it again: jobrequest logs -f",
        ),
        (&["logs", "-f", "suspended"], 5, "", "spec.suspend"),
        (&["logs", "-f", "rejected"], 3, "", "rejected: "),
        (&["logs", "-f", "absent"], 2, "", "no JobRequest called absent"),
        (&["logs", "absent"], 2, "", "no JobRequest called absent"),
        (&["logs", "-f", "long", "-c", "nope"], 2, "", "--container takes: main"),
        (&["logs", "long", "--as", "eve"], 2, "", "eve"),
    ] {
        let came = ran(program(&cx, &at, arguments)).await;
        assert_eq!((came.code, came.out.as_str()), (Some(code), out), "{arguments:?}: {came:?}");
        assert!(came.err.contains(err), "{arguments:?}: {came:?}");
    }
}

async fn an_interrupt_leaves_the_run_and_says_how_to_attach_again(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "logs-interrupt").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let log = LogFile::new(&cx, "main");
    serve(&at, &log).await;
    log.line("text");
    let path = file(&cx, "long", &spec(&json!({"run-seconds": "forever"}), &json!({})));
    let follower = program(&cx, &at, &["run", &path, "--logs"]).spawn().expect("start the program");
    eventually(DEADLINE, "it is created", async || at.exists("long").await.then_some(())).await;
    at.until_phase("long", 1, "Running").await;
    second().await;
    second().await;
    let sent = Command::new("kill").args(["-s", "INT", &follower.id().to_string()]).status();
    assert!(sent.expect("run kill").success());
    let came = end(follower).await;
    assert_eq!((came.code, came.out.as_str()), (Some(130), "text\n"), "{came:?}");
    let again = format!("to follow it again: jobrequest logs -f -n {} long@1\n", at.namespace.name());
    assert!(came.err.ends_with(&again), "{came:?}");
    at.until_phase("long", 1, "Running").await;
}

async fn hostile_bytes_reach_no_terminal(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "logs-hostile").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let log = LogFile::new(&cx, "main");
    serve(&at, &log).await;
    let hostile = "a\u{1b}[2Jb\u{9b}31mc\rd\u{202e}e\u{7}";
    log.line(hostile);
    log.line(&"x".repeat(20_000));
    at.create("evil", spec(&json!({}), &json!({}))).await;
    at.until_phase("evil", 1, "Completed").await;
    let cut = format!("{}... 3,616 bytes more", "x".repeat(16_384));
    // A program reads what was written.
    let came = ran(program(&cx, &at, &["logs", "evil"])).await;
    assert_eq!(came.out, format!("{hostile}\n{cut}\n"));
    let came = ran(program(&cx, &at, &["logs", "evil", "--raw"])).await;
    assert_eq!(came.out, format!("{hostile}\n{}\n", "x".repeat(20_000)));
    // A person has a terminal.
    if cfg!(target_os = "linux") {
        let line = |flags: &str| {
            let program = Operator::program().display().to_string();
            format!("{program} logs -n {} evil {flags} --prefix always", at.namespace.name())
        };
        for (flags, is_colored) in [("", true), ("--color never", false)] {
            let out = on_a_terminal(&cx, &line(flags)).await;
            assert_eq!(out.contains("\u{1b}[36m["), is_colored, "{out:?}");
            let plain = out.replace("\u{1b}[36m", "").replace("\u{1b}[0m", "");
            let hidden = plain.chars().find(|it| is_invisible(*it) && !"\r\n".contains(*it));
            assert_eq!(hidden, None, "{plain:?}");
            assert!(plain.contains("/main] ab\u{fffd}31mc d\u{fffd}e\u{fffd}\r\n"), "{plain:?}");
        }
        assert!(on_a_terminal(&cx, &line("--raw")).await.contains(hostile));
    }
}

/// What a command writes when stdout is a terminal.
async fn on_a_terminal(cx: &Cluster, command: &str) -> String {
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", command, "/dev/null"]);
    script.env("KUBECONFIG", cx.kubeconfig()).env("TERM", "xterm").env_remove("NO_COLOR");
    script.stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || script.output().expect("run script")).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

async fn a_reader_that_goes_away_ends_it(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "logs-reader").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let log = LogFile::new(&cx, "main");
    serve(&at, &log).await;
    at.create("long", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    at.until_phase("long", 1, "Running").await;
    let mut follower = program(&cx, &at, &["logs", "-f", "long"]).spawn().expect("start the program");
    drop(follower.stdout.take());
    for number in 0..3 {
        second().await;
        log.line(&format!("line {number}"));
    }
    let came = end(follower).await;
    assert_eq!((came.code, came.out.as_str()), (Some(0), ""), "{came:?}");
}
