//! A plain HTTP server between one operator and the API server: takes a function that answers each call, or drops it;
//! returns the kubeconfig of who is to go through it.

use std::path::PathBuf;
use std::sync::Arc;

use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::Cluster;

/// A call as it was sent.
pub(crate) type Sent = Request<Vec<u8>>;

/// See the module. It ends when dropped.
pub(crate) struct Relay {
    kubeconfig: PathBuf,
    task: JoinHandle<()>,
}

impl Relay {
    /// Listens on loopback. A call for which `answers` has none ends with its connection.
    pub(crate) async fn start<F>(cx: &Cluster, answers: impl Fn(Sent) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Option<Response<Body>>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen on loopback");
        let port = listener.local_addr().expect("an address").port();
        let kubeconfig = cx.log(&format!("proxy-{port}-{}.kubeconfig", cx.control_plane().unique()));
        std::fs::write(&kubeconfig, kubeconfig_of(port)).expect("write a kubeconfig");
        let task = tokio::spawn(serve(listener, Arc::new(answers)));
        Self { kubeconfig, task }
    }

    /// The kubeconfig of who is to go through it.
    pub(crate) fn kubeconfig(&self) -> &str {
        self.kubeconfig.to_str().expect("a path in UTF-8")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The API server, with the operator's own rights.
#[derive(Clone)]
pub(crate) struct Upstream(Client);

impl Upstream {
    pub(crate) async fn of(cx: &Cluster) -> Self {
        let mut config = cx.operator_config().await;
        // What is repeated is the operator's to decide.
        config.default_retry = false;
        Self(Client::try_from(config).expect("a client"))
    }

    /// Its answer to a call.
    pub(crate) async fn send(&self, call: Sent) -> Response<Body> {
        let Ok(mut answer) = self.0.send(call.map(Body::from)).await else {
            return broken();
        };
        for hop in [CONNECTION, TRANSFER_ENCODING] {
            answer.headers_mut().remove(hop);
        }
        answer
    }
}

/// What is answered where there is no answer.
pub(crate) fn broken() -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    answer
}

fn kubeconfig_of(port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: proxy\n\
         clusters: [{{name: proxy, cluster: {{server: \"http://127.0.0.1:{port}\"}}}}]\n\
         users: [{{name: proxy, user: {{}}}}]\n\
         contexts: [{{name: proxy, context: {{cluster: proxy, user: proxy}}}}]\n"
    )
}

async fn serve<F>(listener: TcpListener, answers: Arc<impl Fn(Sent) -> F + Send + Sync + 'static>)
where
    F: Future<Output = Option<Response<Body>>> + Send + 'static,
{
    // They end with this task.
    let mut connections = JoinSet::new();
    loop {
        let (connection, _) = listener.accept().await.expect("take a connection");
        let answers = Arc::clone(&answers);
        connections.spawn(async move {
            let answer = service_fn(|request| {
                let answers = Arc::clone(&answers);
                // In a task of its own: a write that was passed on is not called back when its sender dies.
                let answered = tokio::spawn(async move { answers(sent(request).await?).await });
                // Without an answer it is over with the whole connection.
                async {
                    let answer = answered.await.ok().flatten();
                    answer.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
                }
            });
            // It ends in an error when the operator is killed.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), answer).await;
        });
    }
}

/// The call, once all of it has come.
async fn sent(request: Request<Incoming>) -> Option<Sent> {
    let (mut head, body) = request.into_parts();
    for hop in [HOST, CONNECTION, TRANSFER_ENCODING] {
        head.headers.remove(hop);
    }
    Some(Request::from_parts(head, body.collect().await.ok()?.to_bytes().to_vec()))
}
