//! Counts the calls to the API server: a layer round the client, so that watches and lists are counted too.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{Method, Request, Response, StatusCode, Uri};
use tower_layer::Layer;
use tower_service::Service;

use super::metrics::{ApiLabels, Code, Metrics, VerbLabel};

/// Wraps a client's service.
#[derive(Clone, Debug)]
pub(super) struct RequestMetricsLayer(pub(super) Metrics);

impl<S> Layer<S> for RequestMetricsLayer {
    type Service = Meter<S>;

    fn layer(&self, inner: S) -> Meter<S> {
        Meter { inner, metrics: self.0.clone() }
    }
}

/// See [`RequestMetricsLayer`].
#[derive(Debug)]
pub(super) struct Meter<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, B, R> Service<Request<B>> for Meter<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (verb, resource) = classify(request.method(), request.uri());
        let mut count = Count {
            metrics: self.metrics.clone(),
            verb,
            resource,
            code: Code::NoAnswer,
            began: Instant::now(),
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            count.answered(answer.as_ref().ok().map(Response::status));
            answer
        })
    }
}

/// Counts when dropped: also a call that was given up at its deadline.
struct Count {
    metrics: Metrics,
    verb: &'static str,
    resource: &'static str,
    code: Code,
    began: Instant,
}

impl Count {
    fn answered(&mut self, status: Option<StatusCode>) {
        self.code = status.map_or(Code::NoAnswer, |status| Code::Status(status.as_u16()));
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        let (verb, resource) = (self.verb, self.resource);
        self.metrics.api_requests.get_or_create(&ApiLabels { verb, resource, code: self.code }).inc();
        if verb != "watch" {
            let seconds = self.began.elapsed().as_secs_f64();
            self.metrics.api_seconds.get_or_create(&VerbLabel { verb }).observe(seconds);
        }
    }
}

/// Verb and resource as a role names them, from a list of those that the operator uses.
fn classify(method: &Method, uri: &Uri) -> (&'static str, &'static str) {
    // /api/v1/..., /apis/GROUP/VERSION/..., then maybe namespaces/NAME, then RESOURCE[/NAME[/SUBRESOURCE]].
    let mut parts = uri.path().split('/').filter(|part| !part.is_empty());
    let skipped = match parts.next() {
        Some("api") => parts.next().is_some(),
        Some("apis") => parts.next().is_some() && parts.next().is_some(),
        _ => false,
    };
    if !skipped {
        return ("other", "other");
    }
    let mut parts = parts.peekable();
    if parts.peek() == Some(&"namespaces") {
        parts.next();
        parts.next();
    }
    let (resource, name, subresource) = (parts.next(), parts.next(), parts.next());
    let is_watch = uri.query().is_some_and(|query| query.split('&').any(|part| part == "watch=true"));
    let verb = match (method, name.is_some()) {
        (&Method::GET, true) => "get",
        (&Method::GET, false) if is_watch => "watch",
        (&Method::GET, false) => "list",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, _) => "delete",
        _ => "other",
    };
    let resource = match (resource, subresource) {
        (Some("jobrequests"), None) => "jobrequests",
        (Some("jobrequests"), Some("status")) => "jobrequests/status",
        (Some("jobtemplates"), None) => "jobtemplates",
        (Some("jobtemplates"), Some("status")) => "jobtemplates/status",
        (Some("clusterjobtemplates"), None) => "clusterjobtemplates",
        (Some("clusterjobtemplates"), Some("status")) => "clusterjobtemplates/status",
        (Some("jobs"), None) => "jobs",
        (Some("pods"), None) => "pods",
        (Some("events"), None) => "events",
        (Some("leases"), None) => "leases",
        _ => "other",
    };
    (verb, resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_bounded_words() {
        for (method, uri, expected) in [
            (Method::GET, "/apis/batch/v1/jobs?limit=500", ("list", "jobs")),
            (Method::GET, "/apis/batch/v1/jobs?watch=true&x=y", ("watch", "jobs")),
            (Method::GET, "/api/v1/namespaces/a/pods?labelSelector=watch%3Dtrue", ("list", "pods")),
            (Method::GET, "/apis/batch/v1/namespaces/a/jobs/pods", ("get", "jobs")),
            (Method::POST, "/apis/batch/v1/namespaces/a/jobs?", ("create", "jobs")),
            (
                Method::PUT,
                "/apis/jobrequest.dev/v1alpha1/namespaces/a/jobrequests/b/status",
                ("update", "jobrequests/status"),
            ),
            (
                Method::PUT,
                "/apis/jobrequest.dev/v1alpha1/clusterjobtemplates/b/status",
                ("update", "clusterjobtemplates/status"),
            ),
            (Method::PATCH, "/apis/events.k8s.io/v1/namespaces/a/events/b", ("patch", "events")),
            (Method::DELETE, "/apis/batch/v1/namespaces/leases/jobs/b", ("delete", "jobs")),
            (Method::GET, "/apis/x.dev/v1/namespaces/a/secret-word/b", ("get", "other")),
            (Method::GET, "/version", ("other", "other")),
            (Method::GET, "/", ("other", "other")),
        ] {
            assert_eq!(classify(&method, &uri.parse().unwrap()), expected, "{method} {uri}");
        }
    }
}
