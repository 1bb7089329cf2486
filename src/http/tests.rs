//! The endpoints over real sockets, with clients that mean no good.
//!
//! No test measures time: a guard ends one that would hang.

use std::net::SocketAddr;

use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::*;

/// Ends a test that hangs; far longer than any answer takes.
const GUARD: Duration = Duration::from_secs(60);

async fn listen(endpoints: Endpoints) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, endpoints));
    address
}

fn probes() -> Endpoints {
    Endpoints::Probes { ready: watch::channel(true).1 }
}

fn metrics() -> Endpoints {
    let mut registry = Registry::default();
    let counter = Counter::<u64>::default();
    registry.register("things", "Things that were counted", counter.clone());
    counter.inc();
    Endpoints::Metrics(Arc::new(registry))
}

/// The answer to what is sent, as it is on the wire.
async fn send(address: SocketAddr, bytes: &[u8]) -> String {
    let answer = async {
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(bytes).await.unwrap();
        let mut text = Vec::new();
        // What came before a reset counts.
        let _ = connection.read_to_end(&mut text).await;
        String::from_utf8(text).unwrap()
    };
    tokio::time::timeout(GUARD, answer).await.expect("a client got no answer")
}

async fn ask(address: SocketAddr, request: &str) -> String {
    send(address, format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await
}

#[tokio::test]
async fn probes_report_the_state() {
    let (ready, is_ready) = watch::channel(false);
    let address = listen(Endpoints::Probes { ready: is_ready }).await;
    assert!(ask(address, "GET /healthz").await.starts_with("HTTP/1.1 200 OK\r\n"));
    let waiting = ask(address, "GET /readyz").await;
    assert!(waiting.starts_with("HTTP/1.1 503 "), "{waiting}");
    assert!(waiting.ends_with("\r\n\r\nnot ready: the caches are being filled\n"), "{waiting}");
    ready.send_replace(true);
    assert!(ask(address, "GET /readyz").await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(ask(address, "POST /healthz").await.starts_with("HTTP/1.1 405 "));
    assert!(!ask(address, "HEAD /healthz").await.contains("ok\n"), "a HEAD has no body");
    let elsewhere = ask(address, "GET /metrics").await;
    assert!(elsewhere.starts_with("HTTP/1.1 404 "), "{elsewhere}");
    assert!(elsewhere.ends_with("try /healthz or /readyz\n"), "{elsewhere}");
}

#[tokio::test]
async fn metrics_have_a_listener_of_their_own() {
    let address = listen(metrics()).await;
    let scrape = ask(address, "GET /metrics").await;
    assert!(scrape.contains("content-type: text/plain; version=0.0.4"), "{scrape}");
    assert!(scrape.ends_with("# TYPE things_total counter\nthings_total 1\n"), "{scrape}");
    assert!(ask(address, "POST /metrics").await.starts_with("HTTP/1.1 405 "));
    assert!(ask(address, "GET /healthz").await.starts_with("HTTP/1.1 404 "));
}

/// What a client does that is a burden.
#[derive(Clone, Copy, Debug)]
enum Burden {
    /// Connects and says nothing.
    Idle,
    /// Sends its headers byte by byte, and never ends them.
    Slow,
    /// Asks again on the same connection as soon as it has its answer.
    KeepAlive,
    /// Asks on a new connection soon after it has its answer.
    Fast,
    /// Sends request after request, and reads nothing.
    Deaf,
    /// Sends headers without end, as fast as it can.
    Huge,
}

impl Burden {
    const ALL: [Self; 6] = [Self::Idle, Self::Slow, Self::KeepAlive, Self::Fast, Self::Deaf, Self::Huge];

    /// Does it for as long as it is awaited; cut off, it begins again.
    async fn bear(self, address: SocketAddr, path: &'static str) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n");
        loop {
            // Any error is the server's right: it has cut off this client.
            if let Ok(connection) = TcpStream::connect(address).await {
                let _ = self.bear_once(connection, request.as_bytes()).await;
            }
            // The ports of this machine are not endless.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn bear_once(self, mut connection: TcpStream, request: &[u8]) -> std::io::Result<()> {
        match self {
            // Until the end, and not again: they must all be there when the probe comes.
            Self::Idle => std::future::pending().await,
            Self::Slow => {
                connection.write_all(b"GET / HTTP/1.1\r\nX: ").await?;
                loop {
                    connection.write_all(b"x").await?;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            Self::KeepAlive => loop {
                connection.write_all(request).await?;
                if connection.read(&mut [0; 4096]).await? == 0 {
                    return Ok(());
                }
            },
            Self::Fast => {
                connection.write_all(request).await?;
                connection.read_to_end(&mut Vec::new()).await.map(drop)
            }
            Self::Deaf => loop {
                connection.write_all(request).await?;
            },
            Self::Huge => {
                connection.write_all(b"GET / HTTP/1.1\r\n").await?;
                loop {
                    connection.write_all(b"X-Filler: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n").await?;
                }
            }
        }
    }
}

/// Clients of each kind, `count` at once, on a listener: another one asks several times, and has its answer each time.
async fn another_is_answered(endpoints: Endpoints, path: &'static str, count: usize) {
    for burden in Burden::ALL {
        let address = listen(endpoints.clone()).await;
        let mut clients = JoinSet::new();
        for _ in 0..count {
            clients.spawn(burden.bear(address, path));
        }
        for _ in 0..4 {
            let answer = ask(address, &format!("GET {path}")).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{count} clients, {burden:?}: {answer}");
        }
        clients.shutdown().await;
    }
}

#[tokio::test]
async fn no_clients_starve_a_probe() {
    for count in [64, 500] {
        another_is_answered(probes(), "/healthz", count).await;
    }
}

#[tokio::test]
async fn no_clients_starve_a_scrape() {
    for count in [64, 500] {
        another_is_answered(metrics(), "/metrics", count).await;
    }
}

#[tokio::test]
async fn the_oldest_connection_makes_room() {
    let address = listen(probes()).await;
    let mut open = VecDeque::new();
    for _ in 0..MAX_CONNECTIONS {
        open.push_back(TcpStream::connect(address).await.unwrap());
    }
    let mut oldest = open.pop_front().unwrap();
    assert!(ask(address, "GET /healthz").await.starts_with("HTTP/1.1 200 OK\r\n"));
    let end = tokio::time::timeout(GUARD, oldest.read(&mut [0; 16])).await.expect("the oldest stays open");
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    // The others were not touched.
    for connection in &mut open {
        connection.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut start = [0; 15];
        connection.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200 OK");
    }
}

#[tokio::test]
async fn a_connection_carries_one_request() {
    let address = listen(probes()).await;
    let pipelined = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3);
    let answer = send(address, pipelined.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn headers_are_bounded() {
    let address = listen(probes()).await;
    let request = |length: usize| format!("GET /healthz HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(length));
    assert!(send(address, request(MAX_HEAD / 2).as_bytes()).await.starts_with("HTTP/1.1 200 OK\r\n"));
    let refused = send(address, request(4 * MAX_HEAD).as_bytes()).await;
    // Cut off while it still sends, the client may not see why.
    assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 431 "), "{refused}");
}
