//! Lists of events, shared by all runs of a namespace that are stuck at the same time.
//!
//! The API server finds the events of an object by reading all of the namespace, and many stuck runs make many events.
//! So the first to ask gets a list of its own; each that asks within the next seconds gets what is found in one list about
//! all objects of that kind. However many ask, the number of lists is bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::api::{ListParams, ObjectList};
use kube::{Client, Resource};

use super::bounded;
use crate::reconcile::{EventView, EventsOf};

/// For how long a list answers.
const INTERVAL: Duration = Duration::from_secs(5);
/// Maximum number of events about one object that are read at once. They come oldest first, and last an hour; who reports
/// them counts up those alike, so that they are some dozens.
const OF_ONE: u32 = 200;
/// Events on one page of a list about all objects of a kind.
const PAGE: u32 = 500;
/// Maximum number of such pages.
const PAGES: usize = 4;
/// Maximum length of an answer with events, in bytes. Those of Kubernetes have a kilobyte each; people may write longer
/// ones.
const LENGTH: usize = 4 * 1024 * 1024;

/// See the module.
#[derive(Default)]
pub(super) struct EventLists(Mutex<HashMap<LaneKey, Arc<tokio::sync::Mutex<Lane>>>>);

/// The namespace, and what a list about all objects of a kind selects.
type LaneKey = (String, &'static str);

/// The lists about one kind of object in one namespace.
#[derive(Default)]
struct Lane {
    /// When one of an object's own was made.
    own_at: Option<Instant>,
    shared: Option<Shared>,
}

struct Shared {
    at: Instant,
    events: Vec<EventView>,
    /// There were no more.
    is_whole: bool,
}

/// Where the answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A list about this object.
    Own,
    /// A list about all objects of its kind.
    New,
    /// The one that was made a short while ago.
    Known,
}

impl Lane {
    fn source(&self, now: Instant) -> Source {
        let is_new = |at: Instant| now.saturating_duration_since(at) < INTERVAL;
        if self.shared.as_ref().is_some_and(|shared| is_new(shared.at)) {
            Source::Known
        } else if self.own_at.is_some_and(is_new) {
            Source::New
        } else {
            Source::Own
        }
    }

    /// What is known of `of`; `None`: there may be more than was read.
    fn known(&self, of: &EventsOf) -> Option<Vec<EventView>> {
        let shared = self.shared.as_ref()?;
        let found: Vec<_> = shared.events.iter().filter(|event| of.include(event)).cloned().collect();
        (shared.is_whole || !found.is_empty()).then_some(found)
    }
}

impl EventLists {
    /// The events `of` an object of `namespace`; `None`: they are not known for now.
    ///
    /// # Errors
    /// The API server did not list them.
    pub(super) async fn list(
        &self,
        client: &Client,
        namespace: &str,
        of: &EventsOf,
    ) -> Result<Option<Vec<EventView>>, kube::Error> {
        let lane = self.lane(namespace, of);
        let mut lane = lane.lock().await;
        let now = Instant::now();
        match lane.source(now) {
            Source::Known => {}
            Source::Own => {
                lane.own_at = Some(now);
                let about = ListParams::default().fields(&of.selector()).limit(OF_ONE);
                return Ok(Some(page(client, namespace, &about).await?.items));
            }
            Source::New => {
                // If it takes too long, it is not tried again before the interval has passed.
                lane.shared = Some(Shared { at: now, events: Vec::new(), is_whole: false });
                let (events, is_whole) = all(client, namespace, of).await?;
                lane.shared = Some(Shared { at: now, events, is_whole });
            }
        }
        Ok(lane.known(of))
    }

    fn lane(&self, namespace: &str, of: &EventsOf) -> Arc<tokio::sync::Mutex<Lane>> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_in_use = |lane: &Arc<tokio::sync::Mutex<Lane>>| {
            lane.try_lock().map_or(true, |lane| lane.source(now) != Source::Own)
        };
        lanes.retain(|_, lane| Arc::strong_count(lane) > 1 || is_in_use(lane));
        Arc::clone(lanes.entry((namespace.to_owned(), of.selector_of_kind())).or_default())
    }
}

/// Events about all objects of the kind; true: there are no more.
async fn all(client: &Client, namespace: &str, of: &EventsOf) -> Result<(Vec<EventView>, bool), kube::Error> {
    let mut about = ListParams::default().fields(of.selector_of_kind()).limit(PAGE);
    let mut events = Vec::new();
    for _ in 0..PAGES {
        let listed = page(client, namespace, &about).await?;
        events.extend(listed.items);
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => about.continue_token = Some(token),
            None => return Ok((events, true)),
        }
    }
    Ok((events, false))
}

async fn page(
    client: &Client,
    namespace: &str,
    about: &ListParams,
) -> Result<ObjectList<EventView>, kube::Error> {
    let url = EventView::url_path(&(), Some(namespace));
    let request = kube::core::Request::new(url).list(about).map_err(kube::Error::BuildRequest)?;
    bounded::request(client, request, LENGTH).await
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::task::{Context, Poll};

    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;

    use super::*;

    /// An API server with one event about each of some Jobs.
    #[derive(Clone)]
    struct Server {
        jobs: usize,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl tower_service::Service<Request<Body>> for Server {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = futures::future::Ready<Result<Response<Body>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let about_one = (0..self.jobs).find(|job| query.contains(&format!("uid%3Djob-{job}%2C")));
            let items: Vec<_> = (0..self.jobs)
                .filter(|job| about_one.is_none_or(|one| one == *job))
                .map(|job| {
                    json!({"reason": "FailedCreate", "message": format!("of {job}"),
                        "involvedObject": {"kind": "Job", "uid": format!("job-{job}")}})
                })
                .collect();
            self.asked.lock().unwrap().push(query);
            let list = json!({"apiVersion": "v1", "kind": "EventList", "metadata": {}, "items": items});
            let body = Body::from(serde_json::to_vec(&list).unwrap());
            futures::future::ready(Ok(Response::new(body)))
        }
    }

    #[tokio::test]
    async fn many_stuck_runs_share_a_list() {
        let server = Server { jobs: 200, asked: Arc::default() };
        let client = Client::new(server.clone(), "default");
        let lists = EventLists::default();
        for job in 0..200 {
            let of = EventsOf::Job(format!("job-{job}"));
            let found = lists.list(&client, "ns", &of).await.unwrap().unwrap();
            let messages: Vec<_> = found.iter().map(|event| event.message.as_str()).collect();
            assert_eq!(messages, [format!("of {job}")]);
        }
        let asked = server.asked.lock().unwrap();
        assert_eq!(asked.len(), 2, "one about the first, one about all: {asked:?}");
    }

    #[test]
    fn lists_are_made_anew_after_the_interval() {
        let begin = Instant::now();
        let mut lane = Lane::default();
        assert_eq!(lane.source(begin), Source::Own);
        lane.own_at = Some(begin);
        assert_eq!(lane.source(begin), Source::New);
        lane.shared = Some(Shared { at: begin, events: Vec::new(), is_whole: false });
        assert_eq!(lane.source(begin + INTERVAL / 2), Source::Known);
        let of = EventsOf::Pod("a".to_owned());
        assert_eq!(lane.known(&of), None, "there may be more");
        lane.shared = Some(Shared { at: begin, events: Vec::new(), is_whole: true });
        assert_eq!(lane.known(&of), Some(Vec::new()));
        assert_eq!(lane.source(begin + INTERVAL), Source::Own);
    }
}
