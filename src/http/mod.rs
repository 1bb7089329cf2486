//! The edge towards the kubelet and Prometheus: `/healthz` and `/readyz` on one listener, `/metrics` on another.
//!
//! [`serve`] takes a listener and its [`Endpoints`]; it knows nothing of the controller. Read-only and without
//! arguments. No number of clients keeps another one from its answer: a connection carries one request and has a
//! deadline, accepting never waits, and when there are too many connections the oldest one is closed.

mod process;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Bytes};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tracing::{debug, warn};

pub use process::register as register_process_metrics;

/// Maximum number of open connections of a listener; one more closes the oldest.
const MAX_CONNECTIONS: usize = 128;
/// Number of connections that are accepted at once. Small beside [`MAX_CONNECTIONS`], so that each has had several turns
/// before it can be the oldest: a burst must not close those that nobody has read yet.
const BURST: usize = 16;
/// Maximum duration of a connection, from its first byte to the last of the answer.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(10);
/// Maximum size of a request's line and headers, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Pause after a connection could not be accepted, as when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener serves. Each has its own, so that clients of metrics do not get near the probes.
#[derive(Clone, Debug)]
pub enum Endpoints {
    /// `/healthz` and `/readyz`.
    Probes {
        /// The caches are filled.
        ready: watch::Receiver<bool>,
    },
    /// `/metrics`.
    Metrics(Arc<Registry>),
}

impl Endpoints {
    /// For the log, and for who asks for another path.
    fn paths(&self) -> &'static str {
        match self {
            Self::Probes { .. } => "/healthz or /readyz",
            Self::Metrics(_) => "/metrics",
        }
    }
}

/// Serves `endpoints` for as long as it is awaited.
pub async fn serve(listener: TcpListener, endpoints: Endpoints) {
    let mut open = Connections::default();
    let mut accepted = 0_usize;
    loop {
        let connection = match listener.accept().await {
            Ok((connection, _)) => connection,
            Err(error) => {
                warn!(%error, "could not accept a connection for {}", endpoints.paths());
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let endpoints = endpoints.clone();
        let conversation = tokio::spawn(async move {
            let answer = service_fn(|request| {
                let response = answer(&request, &endpoints);
                async { Ok::<_, Infallible>(response) }
            });
            // No keep-alive: scrapes and probes are seconds apart, and a connection that may stay is one more to defend.
            let conversation = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(CONNECTION_DEADLINE)
                .max_buf_size(MAX_HEAD)
                .keep_alive(false)
                .serve_connection(TokioIo::new(connection), answer);
            match tokio::time::timeout(CONNECTION_DEADLINE, conversation).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(error)) => debug!(%error, "a client of {} was cut off", endpoints.paths()),
            }
        });
        open.add(conversation.abort_handle());
        accepted += 1;
        if accepted.is_multiple_of(BURST) {
            tokio::task::yield_now().await;
        }
    }
}

/// The open connections, the oldest first.
#[derive(Debug, Default)]
struct Connections(VecDeque<AbortHandle>);

impl Connections {
    /// Adds a connection, and closes the oldest one if there are too many.
    fn add(&mut self, connection: AbortHandle) {
        self.0.retain(|open| !open.is_finished());
        self.0.push_back(connection);
        if self.0.len() > MAX_CONNECTIONS
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
        }
    }
}

/// Plain text, for people and for curl.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

fn answer<B: Body>(request: &Request<B>, endpoints: &Endpoints) -> Response<Full<Bytes>> {
    let text = |status: StatusCode, body: &str| (status, TEXT, body.to_owned());
    let (status, content_type, body) = match (request.uri().path(), endpoints) {
        ("/healthz" | "/readyz", Endpoints::Probes { .. }) | ("/metrics", Endpoints::Metrics(_))
            if !matches!(*request.method(), Method::GET | Method::HEAD) =>
        {
            text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n")
        }
        ("/healthz", Endpoints::Probes { .. }) => text(StatusCode::OK, "ok\n"),
        ("/readyz", Endpoints::Probes { ready }) if *ready.borrow() => text(StatusCode::OK, "ok\n"),
        ("/readyz", Endpoints::Probes { .. }) => {
            text(StatusCode::SERVICE_UNAVAILABLE, "not ready: the caches are being filled\n")
        }
        ("/metrics", Endpoints::Metrics(registry)) => {
            let mut metrics = String::new();
            match prometheus_text::encode(&mut metrics, registry) {
                Ok(()) => (StatusCode::OK, HeaderValue::from_static(prometheus_text::CONTENT_TYPE), metrics),
                Err(error) => text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    &format!("could not write the metrics: {error}\n"),
                ),
            }
        }
        _ => text(StatusCode::NOT_FOUND, &format!("try {}\n", endpoints.paths())),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
