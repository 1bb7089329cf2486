//! What Prometheus gets from a real operator: right, by convention, and without a word that a user wrote.
#![allow(clippy::float_cmp)] // counts are whole numbers

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use prometheus_parse::{Sample, Scrape, Value};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::requests::{Requests, spec};
use crate::support::{Cluster, Operator, Test};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        show_phases_and_results_and_no_text_of_users,
        log_lines_name_the_request_and_the_run,
        log_lines_hold_no_spec_and_no_output,
        no_clients_starve_a_probe,
    ]
}

/// Samples of a scrape, read by a parser that is not ours.
fn parse(text: &str) -> Scrape {
    Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).expect("the text format")
}

/// The value of the one sample with these labels.
fn value(scrape: &Scrape, name: &str, labels: &[(&str, &str)]) -> f64 {
    let has = |sample: &&Sample| {
        sample.metric == name && labels.iter().all(|(key, value)| sample.labels.get(key) == Some(value))
    };
    let found: Vec<_> = scrape.samples.iter().filter(has).collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}: {found:#?}");
    match &found[0].value {
        Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => *value,
        other => panic!("{name}: {other:?}"),
    }
}

/// The sum of a counter over all series with this label.
fn sum(scrape: &Scrape, name: &str, (key, value): (&str, &str)) -> f64 {
    let found =
        scrape.samples.iter().filter(|sample| sample.metric == name && sample.labels.get(key) == Some(value));
    found.map(|sample| if let Value::Counter(count) = sample.value { count } else { f64::NAN }).sum()
}

/// How often a histogram was observed.
fn observations(scrape: &Scrape, name: &str, labels: &[(&str, &str)]) -> f64 {
    value(scrape, &format!("{name}_count"), labels)
}

async fn show_phases_and_results_and_no_text_of_users(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "zebrafish").await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    let words = ["zebrafish", "axolotl", "quokka", "perl", "numbat", "BackoffLimitExceeded"];
    let more = json!({
        "alias": "quokka", "description": "a quokka\n\"quoted\"", "labels": {"numbat": "numbat"},
        "settings": {"backoffLimit": 0}
    });
    at.create("axolotl-good", spec(&json!({}), &more)).await;
    at.create("axolotl-bad", spec(&json!({"exit-code": "3"}), &more)).await;
    at.create("axolotl-on", spec(&json!({"run-seconds": "forever"}), &more)).await;
    let rejected = json!({"containers": [{"name": "quokka", "image": "perl", "quota": "numbat"}]});
    at.create("axolotl-no", rejected).await;
    at.until_phase("axolotl-good", 1, "Completed").await;
    at.until_phase("axolotl-bad", 1, "Failed").await;
    at.until_phase("axolotl-on", 1, "Running").await;
    at.until("axolotl-no", "it is rejected", |status| status["phase"] == "Rejected").await;
    // A counter moves after the answer that it counts.
    tokio::time::sleep(Duration::from_secs(2)).await;

    assert_eq!(operator.get("/healthz").await, (200, "ok\n".to_owned()));
    let (code, text) = operator.get("/metrics").await;
    assert_eq!(code, 200);
    let scrape = parse(&text);
    for (phase, count) in
        [("Completed", 1.0), ("Failed", 1.0), ("Running", 1.0), ("Rejected", 1.0), ("Waiting", 0.0)]
    {
        assert_eq!(value(&scrape, "jobrequest_requests", &[("phase", phase)]), count, "{phase}");
    }
    for (result, count) in [("Succeeded", 1.0), ("Failed", 1.0), ("Lost", 0.0), ("Replaced", 0.0)] {
        assert_eq!(sum(&scrape, "jobrequest_runs_total", ("result", result)), count, "{result}");
    }
    assert_eq!(value(&scrape, "jobrequest_leader", &[]), 1.0);
    assert_eq!(value(&scrape, "jobrequest_reconciles_active", &[]), 0.0);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(value(&scrape, "jobrequest_build_info", &version), 1.0);
    let created = [("verb", "create"), ("resource", "jobs"), ("code", "201")];
    assert_eq!(value(&scrape, "jobrequest_api_requests_total", &created), 3.0);
    let watches = [("verb", "watch"), ("resource", "jobrequests"), ("code", "200")];
    assert!(value(&scrape, "jobrequest_api_requests_total", &watches) >= 1.0);
    assert_eq!(text.matches("jobrequest_run_duration_seconds_count{").count(), 2, "{text}");

    conventions(&text, &scrape);
    let without_namespace = text.replace(&format!("request_namespace=\"{}\"", at.namespace.name()), "");
    for word in words {
        assert!(!without_namespace.contains(word), "{word} is a user's, or of the cluster: {text}");
    }
    // Every value of a label is a namespace, or of a list that does not grow with what users make.
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for sample in &scrape.samples {
        for (key, value) in sample.labels.iter() {
            values.entry(key).or_default().insert(value);
        }
    }
    let labels: Vec<_> = values.keys().copied().collect();
    for label in &labels {
        assert!(
            [
                "code",
                "kind",
                "le",
                "phase",
                "reason",
                "request_namespace",
                "resource",
                "result",
                "category",
                "verb",
                "version"
            ]
            .contains(label),
            "{label}: {:?}",
            values[label]
        );
    }
    println!("figure: {} series in {} bytes", scrape.samples.len(), text.len());
}

/// What promlint asks for: help and type for each family, base units, counters that end with `_total`.
fn conventions(text: &str, scrape: &Scrape) {
    let families: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    assert!(families.len() >= 10, "{text}");
    for (name, kind) in &families {
        let help = scrape.docs.get(*name).unwrap_or_else(|| panic!("{name} has no help"));
        assert!(help.len() > 10, "{name}: {help}");
        assert!(name.starts_with("jobrequest_") || name.starts_with("process_"), "{name}");
        assert_eq!(*kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        if *kind == "histogram" {
            assert!(name.ends_with("_seconds"), "{name}: the unit of a histogram");
        }
        for unit in ["_ms", "milliseconds", "minutes", "kilobytes", "_kb"] {
            assert!(!name.contains(unit), "{name}: not a base unit");
        }
    }
    assert!(observations(scrape, "jobrequest_reconcile_duration_seconds", &[]) >= 4.0);
}

async fn log_lines_name_the_request_and_the_run(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "lines").await;
    let operator = Operator::start(&cx, &at.namespace, &["--log-format", "json"]);
    at.create("pi", spec(&json!({}), &json!({}))).await;
    at.until_phase("pi", 1, "Completed").await;
    at.change("pi", json!({"containers": [{"name": "main", "image": "perl:5.36"}]})).await;
    at.until_phase("pi", 2, "Completed").await;
    let log = operator.log();
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let created: Vec<_> =
        lines.iter().filter(|line| line["fields"]["message"] == "creating the Job").collect();
    assert_eq!(created.len(), 2, "{log}");
    for (line, run) in created.iter().zip(1..) {
        assert_eq!(line["spans"][0]["namespace"], at.namespace.name(), "{line}");
        assert_eq!(line["spans"][0]["request"], "pi", "{line}");
        assert_eq!(line["spans"][1]["run"], run, "{line}");
    }

    let quiet = Operator::start_with(&cx, &at.namespace, &[], &[("JOBREQUEST_LOG_LEVEL", "warn")]);
    at.create("quiet", spec(&json!({}), &json!({}))).await;
    at.until_phase("quiet", 1, "Completed").await;
    assert_eq!(quiet.log(), "");
}

/// Real failures, each of which carries a word of the user's in its message: the status has it, the log has not.
async fn log_lines_hold_no_spec_and_no_output(cx: Arc<Cluster>) {
    const WORD: &str = "hunter2";
    let at = Requests::new(&cx, "discreet").await;
    let operator = Operator::start(&cx, &at.namespace, &["--log-level", "debug"]);
    let environment = json!({"containers": [{"name": "main", "image": "perl:5.36", "env": [{"name": "TOKEN", "value": WORD}]}]});
    // What the container wrote last, in the status and in the event of the failure.
    let output = json!({"exit-code": "3", "termination-message": WORD});
    let mut wrote = spec(&output, &json!({"settings": {"backoffLimit": 0}}));
    wrote["containers"] = environment["containers"].clone();
    at.create("wrote", wrote).await;
    at.until_phase("wrote", 1, "Failed").await;
    let failure = at.until("wrote", "its output is recorded", |status| {
        status["failure"]["message"].as_str().is_some_and(|message| message.contains(WORD))
    });
    failure.await;
    assert!(at.events("wrote").await.iter().any(|(_, note)| note.contains(WORD)));
    // A Job that the API server refuses: its message quotes the value.
    let refused = json!({"overrides": {"template": {"spec": {"dnsPolicy": WORD}}}});
    at.create("refused", spec(&json!({}), &refused)).await;
    let rejected = at.until("refused", "it is rejected", |status| status["phase"] == "Rejected").await;
    assert!(rejected.to_string().contains(WORD), "{rejected}");
    // A patch that it refuses.
    let indexed = json!({"settings": {"completionMode": "Indexed", "completions": 2, "parallelism": 1}});
    at.create("patched", spec(&json!({"run-seconds": "forever"}), &indexed)).await;
    at.until_phase("patched", 1, "Running").await;
    at.change("patched", json!({"settings": {"parallelism": 123_456_789}})).await;
    // Words that none of our types can hold, in an annotation of a status that somebody else wrote.
    let forged = json!({"status": {"phase": WORD, "conditions": [{"type": WORD, "status": WORD}]}});
    let forged = kube::api::Patch::Merge(forged);
    let _ = at.api().patch_status("wrote", &kube::api::PatchParams::default(), &forged).await;
    // A pass over each has come after all of it.
    at.create("last", spec(&json!({}), &json!({}))).await;
    at.until_phase("last", 1, "Completed").await;

    let log = operator.log();
    assert!(log.contains("sending an event"), "{log}");
    for word in [WORD, "123456789"] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(word)).collect();
        assert!(lines.is_empty(), "{lines:#?}");
    }
}

/// 500 clients that keep asking on both ports, and 500 that say nothing.
async fn no_clients_starve_a_probe(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "starve").await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    operator.is_ready().await;
    let mut clients = JoinSet::new();
    for (what, path) in [("metrics", "/metrics"), ("probes", "/healthz")] {
        let address = operator.address(what).await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: keep-alive\r\n\r\n");
        for number in 0..500 {
            let (address, request) = (address.clone(), request.clone());
            clients.spawn(async move {
                loop {
                    if let Ok(mut connection) = TcpStream::connect(&address).await {
                        if number % 2 == 0 {
                            std::future::pending::<()>().await;
                        }
                        // Cut off, it begins again.
                        let _ = connection.write_all(request.as_bytes()).await;
                        let _ = connection.read_to_end(&mut Vec::new()).await;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        }
    }
    for _ in 0..20 {
        assert_eq!(operator.get("/healthz").await, (200, "ok\n".to_owned()));
        assert_eq!(operator.get("/readyz").await, (200, "ok\n".to_owned()));
        assert_eq!(operator.get("/metrics").await.0, 200);
    }
    clients.shutdown().await;
}
