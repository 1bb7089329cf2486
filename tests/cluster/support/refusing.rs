//! A relay that says no: takes, for the JobRequest of a name, at which of its calls it begins to refuse calls of that kind,
//! and how; keeps what was called and refused.
//!
//! Calls about one JobRequest, its Jobs and events have its name. All others (lists and watches of whole kinds, leases,
//! CRDs) are calls of [`EVERYBODY`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{Method, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};

use super::Cluster;
use super::relay::{Relay, Sent, Upstream};

/// Whose calls those are which concern no single JobRequest.
pub(crate) const EVERYBODY: &str = "";

/// How a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum No {
    /// The API server's status with this code and reason; the call never arrives.
    Status(u16, &'static str),
    /// The call never arrives, and is never answered.
    Hang,
    /// The call never arrives, and its connection ends.
    Closed,
    /// The call never arrives, and its answer is no JSON.
    Garbage,
    /// The call arrives, and its connection ends before the answer.
    Unheard,
}

impl No {
    /// Each of them. The reasons of 400 and 422 are those of webhooks and admission policies, which name no field.
    pub(crate) const ALL: [Self; 13] = [
        Self::Status(400, ""),
        Self::Status(403, "Forbidden"),
        Self::Status(409, "Conflict"),
        Self::Status(413, "RequestEntityTooLarge"),
        Self::Status(422, "Invalid"),
        Self::Status(429, "TooManyRequests"),
        Self::Status(500, "InternalError"),
        Self::Status(503, "ServiceUnavailable"),
        Self::Status(504, "Timeout"),
        Self::Hang,
        Self::Closed,
        Self::Garbage,
        Self::Unheard,
    ];
}

/// From which of its calls on a JobRequest is refused calls of that kind, and how.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// Verb and resource, as [`Subject::calls`] has them.
    pub(crate) kind: String,
    /// The first one that is refused, from 1.
    pub(crate) nth: usize,
    pub(crate) how: No,
    /// For how long they are refused.
    pub(crate) lasts: Duration,
}

/// What is known of the calls about one JobRequest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    rule: Option<Rule>,
    /// How many there were of each kind.
    pub(crate) calls: BTreeMap<String, usize>,
    /// How many were refused.
    pub(crate) refused: usize,
    /// When the first one was.
    began: Option<Instant>,
}

impl Subject {
    /// When calls were let through again; `None`: none was refused.
    pub(crate) fn ended(&self) -> Option<Instant> {
        self.began.zip(self.rule.as_ref()).map(|(began, rule)| began + rule.lasts)
    }

    /// Counts a call; returns how it is refused.
    fn judge(&mut self, kind: &str) -> Option<No> {
        let count = self.calls.entry(kind.to_owned()).or_default();
        *count += 1;
        let rule = self.rule.as_ref().filter(|rule| rule.kind == kind && *count >= rule.nth)?;
        if self.began.get_or_insert_with(Instant::now).elapsed() >= rule.lasts {
            return None;
        }
        self.refused += 1;
        Some(rule.how)
    }
}

/// See the module. It ends when dropped.
pub(crate) struct RefusingProxy {
    relay: Relay,
    subjects: Arc<Mutex<BTreeMap<String, Subject>>>,
}

impl RefusingProxy {
    /// Listens on loopback, and refuses nothing yet.
    pub(crate) async fn start(cx: &Cluster) -> Self {
        let subjects: Arc<Mutex<BTreeMap<String, Subject>>> = Arc::default();
        let (judging, upstream) = (Arc::clone(&subjects), Upstream::of(cx).await);
        let relay = Relay::start(cx, move |call| {
            let (name, kind) = about(&call);
            let no = judging.lock().expect("no panic").entry(name).or_default().judge(&kind);
            let upstream = upstream.clone();
            async move { answer(no, &upstream, call).await }
        });
        Self { relay: relay.await, subjects }
    }

    /// The kubeconfig of who is to go through it.
    pub(crate) fn kubeconfig(&self) -> &str {
        self.relay.kubeconfig()
    }

    /// Calls about the JobRequest of this name are refused by this rule.
    pub(crate) fn refuse(&self, name: &str, rule: Rule) {
        self.subjects.lock().expect("no panic").entry(name.to_owned()).or_default().rule = Some(rule);
    }

    /// What was called about the JobRequest of this name so far.
    pub(crate) fn of(&self, name: &str) -> Subject {
        self.subjects.lock().expect("no panic").get(name).cloned().unwrap_or_default()
    }
}

async fn answer(no: Option<No>, upstream: &Upstream, call: Sent) -> Option<Response<Body>> {
    match no {
        None => Some(upstream.send(call).await),
        Some(No::Status(code, reason)) => Some(status(code, reason, &call)),
        // Until nobody waits for it any more.
        Some(No::Hang) => std::future::pending().await,
        Some(No::Closed) => None,
        Some(No::Garbage) => Some(Response::new(Body::from(b"<html>welcome</html>".to_vec()))),
        Some(No::Unheard) => {
            // Of a watch the answer has no end.
            let answer = upstream.send(call).await.into_body().collect();
            let _ = tokio::time::timeout(Duration::from_secs(2), answer).await;
            None
        }
    }
}

fn status(code: u16, reason: &str, call: &Sent) -> Response<Body> {
    // A create meets no other version of its object, but one that has its name.
    let is_create = *call.method() == Method::POST;
    let reason = if code == 409 && is_create { "AlreadyExists" } else { reason };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": format!("refused by the test: {code} {reason}"),
    });
    let mut answer = Response::builder().status(code).header("Content-Type", "application/json");
    if matches!(code, 429 | 503) {
        answer = answer.header("Retry-After", "1");
    }
    answer.body(Body::from(body.to_string().into_bytes())).expect("an answer")
}

/// Which JobRequest a call is about, and its verb and resource.
fn about(call: &Sent) -> (String, String) {
    let path: Vec<&str> = call.uri().path().split('/').filter(|part| !part.is_empty()).collect();
    // Without group and version, and the namespace.
    let path = match path.as_slice() {
        ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
        other => other,
    };
    let path = if let ["namespaces", _, rest @ ..] = path { rest } else { path };
    let resource = path.first().copied().unwrap_or_default();
    let named = path.get(1).copied();
    let query = call.uri().query().unwrap_or_default().replace("%2F", "/").replace("%3D", "=");
    let body = || serde_json::from_slice::<Value>(call.body()).unwrap_or_default();
    let of_job = |job: &str| job.rsplit_once('-').map_or(job, |(name, _)| name).to_owned();
    let selected = || {
        let label = query.split('&').find_map(|part| part.strip_prefix("labelSelector="))?;
        label.strip_prefix("jobrequest.dev/request=").map(ToOwned::to_owned)
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = match (resource, named) {
        ("jobrequests", Some(name)) => Some(name.to_owned()),
        ("jobs", Some(job)) => Some(of_job(job)),
        ("jobs", None) if *call.method() == Method::POST => Some(of_job(&text(&body()["metadata"]["name"]))),
        ("jobs", None) => selected(),
        // Named after what they are about.
        ("events", Some(event)) => event.split_once('.').map(|(name, _)| name.to_owned()),
        ("events", None) if *call.method() == Method::POST => Some(text(&body()["regarding"]["name"])),
        _ => None,
    };
    let is_watch = query.split('&').any(|part| part == "watch=true");
    let verb = match (call.method(), named) {
        (&Method::GET, _) if is_watch => "watch",
        (&Method::GET, None) => "list",
        (&Method::GET, Some(_)) => "get",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "replace",
        (&Method::PATCH, _) => "patch",
        _ => "delete",
    };
    let subresource = path.get(2).map(|part| format!("/{part}")).unwrap_or_default();
    (name.unwrap_or_else(|| EVERYBODY.to_owned()), format!("{verb} {resource}{subresource}"))
}
