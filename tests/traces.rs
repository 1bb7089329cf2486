//! Traces reach a collector: `cargo test --features otel --test traces`.
#![cfg(feature = "otel")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // tests are edges

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// How long anything may take before it counts as hung.
const DEADLINE: Duration = Duration::from_secs(60);

/// Answers each request on a free port with `status`, an empty object, and hands out request line and body.
fn server(status: &'static str) -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (seen, requests) = channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let seen = seen.clone();
            std::thread::spawn(move || converse(connection.unwrap(), status, &seen));
        }
    });
    (address, requests)
}

fn converse(mut connection: TcpStream, status: &str, seen: &Sender<(String, Vec<u8>)>) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    loop {
        let mut head = String::new();
        let mut length = 0;
        while reader.read_line(&mut head).is_ok_and(|read| read > 2) {
            let line = head.lines().last().unwrap().to_lowercase();
            length = line.strip_prefix("content-length: ").map_or(length, |value| value.parse().unwrap());
        }
        let Some(line) = head.lines().next() else { return };
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let _ = seen.send((line.to_owned(), body));
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}");
        connection.write_all(answer.as_bytes()).unwrap();
    }
}

#[test]
fn spans_reach_a_collector() {
    let (api_server, calls) = server("404 Not Found");
    let (collector, batches) = server("200 OK");
    let kubeconfig = std::env::temp_dir().join(format!("jobrequest-traces-{}.yaml", std::process::id()));
    let cluster = format!("{{name: c, cluster: {{server: \"{api_server}\"}}}}");
    std::fs::write(
        &kubeconfig,
        format!(
            "{{apiVersion: v1, kind: Config, current-context: c, clusters: [{cluster}], users: [{{name: c}}], contexts: [{{name: c, context: {{cluster: c, user: c}}}}]}}"
        ),
    )
    .unwrap();
    let mut operator = Command::new(env!("CARGO_BIN_EXE_jobrequest"))
        .arg("controller")
        .env("KUBECONFIG", &kubeconfig)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (call, _) = calls.recv_timeout(DEADLINE).expect("it asks for the CRDs");
    assert!(call.starts_with("GET /apis/jobrequest.dev/v1alpha1/jobrequests?"), "{call}");
    Command::new("sh").args(["-c", "kill \"$0\"", &operator.id().to_string()]).status().unwrap();
    // What is under way is sent before it ends.
    let (line, body) = batches.recv_timeout(DEADLINE).expect("the collector gets a batch");
    assert_eq!(line, "POST /v1/traces HTTP/1.1");
    let text = String::from_utf8_lossy(&body);
    for word in ["service.name", "jobrequest", "http.status_code"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(operator.wait().unwrap().success());
    std::fs::remove_file(kubeconfig).unwrap();
}
