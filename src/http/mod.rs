//! The edge towards probes and Prometheus: `/healthz`, `/readyz`, `/metrics` over plain HTTP.
//!
//! [`serve`] takes a listener and what to tell; it knows nothing of the controller. Read-only, without arguments, and
//! bounded: few connections at once, each with little time to say what it wants.

mod process;

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
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

pub use process::register as register_process_metrics;

/// Most connections at once; the next ones wait.
const CONNECTIONS: usize = 64;
/// How long a client may take to send its request line and headers.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection may last, busy or not.
const LIFETIME: Duration = Duration::from_secs(120);
/// Pause after a connection that could not be taken, as when the process has no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// What is told.
#[derive(Clone, Debug)]
pub struct Told {
    /// The caches are filled.
    pub ready: watch::Receiver<bool>,
    /// The metrics.
    pub metrics: Arc<Registry>,
}

/// Answers for as long as it is awaited.
pub async fn serve(listener: TcpListener, told: Told) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // It is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let connection = match listener.accept().await {
            Ok((connection, _)) => connection,
            Err(error) => {
                warn!(%error, "could not take a connection for probes and metrics");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let told = told.clone();
        tokio::spawn(async move {
            let answer = service_fn(|request| {
                let response = answer(&request, &told);
                async { Ok::<_, Infallible>(response) }
            });
            let conversation = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(connection), answer);
            match tokio::time::timeout(LIFETIME, conversation).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(error)) => debug!(%error, "a client of probes and metrics went away"),
            }
            drop(place);
        });
    }
}

/// Plain text, for people and for curl.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

fn answer<B: Body>(request: &Request<B>, told: &Told) -> Response<Full<Bytes>> {
    let (status, content_type, body) = match request.uri().path() {
        "/healthz" | "/readyz" | "/metrics" if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            (StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n".to_owned())
        }
        "/healthz" => (StatusCode::OK, TEXT, "ok\n".to_owned()),
        "/readyz" if *told.ready.borrow() => (StatusCode::OK, TEXT, "ok\n".to_owned()),
        "/readyz" => {
            (StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready: the caches are being filled\n".to_owned())
        }
        "/metrics" => {
            let mut text = String::new();
            match prometheus_text::encode(&mut text, &told.metrics) {
                Ok(()) => (StatusCode::OK, HeaderValue::from_static(prometheus_text::CONTENT_TYPE), text),
                Err(error) => (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    TEXT,
                    format!("could not write the metrics: {error}\n"),
                ),
            }
        }
        _ => (StatusCode::NOT_FOUND, TEXT, "try /healthz, /readyz or /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    /// The answer to one request, as it is on the wire.
    async fn ask(address: std::net::SocketAddr, request: &str) -> String {
        let mut connection = TcpStream::connect(address).await.unwrap();
        let request = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        connection.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn probes_tell_the_state() {
        let (ready, is_ready) = watch::channel(false);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut registry = Registry::default();
        let counter = prometheus_client::metrics::counter::Counter::<u64>::default();
        registry.register("things", "Things that were counted", counter.clone());
        counter.inc();
        tokio::spawn(serve(listener, Told { ready: is_ready, metrics: Arc::new(registry) }));

        assert!(ask(address, "GET /healthz").await.starts_with("HTTP/1.1 200 OK\r\n"));
        let waiting = ask(address, "GET /readyz").await;
        assert!(waiting.starts_with("HTTP/1.1 503 "), "{waiting}");
        assert!(waiting.ends_with("\r\n\r\nnot ready: the caches are being filled\n"), "{waiting}");
        ready.send_replace(true);
        assert!(ask(address, "GET /readyz").await.starts_with("HTTP/1.1 200 OK\r\n"));
        let metrics = ask(address, "GET /metrics").await;
        assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
        assert!(metrics.ends_with("# TYPE things_total counter\nthings_total 1\n"), "{metrics}");
        assert!(ask(address, "POST /metrics").await.starts_with("HTTP/1.1 405 "));
        assert!(ask(address, "GET /").await.starts_with("HTTP/1.1 404 "));
        assert!(!ask(address, "HEAD /healthz").await.contains("ok\n"), "a HEAD has no body");
    }

    #[tokio::test]
    async fn an_idle_client_holds_up_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Told { ready: watch::channel(true).1, metrics: Arc::new(Registry::default()) };
        tokio::spawn(serve(listener, told));
        // Every place is taken by a client that says nothing; each is put out before long.
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        assert!(ask(address, "GET /healthz").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
}
