//! The API server's audit log: takes a mark, returns the requests that were answered after it.
//!
//! A request is written when it is answered, by the API server itself, before anything later is answered to the
//! same connection; `mark` and `since` send a request of their own and wait for its line, so counts are exact.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use serde::Deserialize;

use super::{ControlPlane, DEADLINE, eventually};

/// A place in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(u64);

/// The log.
pub(crate) struct Audit {
    path: PathBuf,
    client: Client,
    control_plane: Arc<ControlPlane>,
}

/// One answered request, or one watch that began.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// get, list, watch, create, update, patch, delete, deletecollection.
    pub(crate) verb: String,
    /// With its group, as in a role: `jobs.batch`, `pods`.
    pub(crate) resource: String,
    /// `status`, or empty.
    pub(crate) subresource: String,
    /// Empty for a request that is not about one namespace.
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Path and query, as they were sent.
    pub(crate) uri: String,
    pub(crate) code: u16,
    pub(crate) user: String,
    pub(crate) user_agent: String,
    /// The authorizer said no: a right is missing.
    pub(crate) is_unauthorized: bool,
}

/// Requests, to be narrowed down, counted and shown.
#[derive(Clone)]
pub(crate) struct Requests(Vec<Request>);

impl Audit {
    pub(super) fn new(path: PathBuf, client: Client, control_plane: Arc<ControlPlane>) -> Self {
        Self { path, client, control_plane }
    }

    /// Now. Whatever was answered before does not count.
    pub(crate) async fn mark(&self) -> Mark {
        let mut file = File::open(&self.path).expect("open the audit log");
        let from = file.seek(SeekFrom::End(0)).expect("seek in the audit log");
        let (_, position) = self.settled(Mark(from)).await;
        Mark(position)
    }

    /// All requests that were answered since a mark, by anybody, in order.
    pub(crate) async fn since(&self, mark: Mark) -> Requests {
        let (text, _) = self.settled(mark).await;
        Requests(text.lines().filter_map(request).collect())
    }

    /// The log from a mark to the line of a request sent just now, and where that line ends.
    async fn settled(&self, mark: Mark) -> (String, u64) {
        let name = format!("audit-mark-{}", self.control_plane.unique());
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), "default");
        assert!(maps.get_opt(&name).await.expect("ask for the mark").is_none());
        let quoted = format!("/{name}\"");
        eventually(DEADLINE, "the audit log has the mark", async || {
            let mut file = File::open(&self.path).expect("open the audit log");
            file.seek(SeekFrom::Start(mark.0)).expect("seek in the audit log");
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).expect("read the audit log");
            let mut text = String::from_utf8_lossy(&bytes).into_owned();
            let found = text.find(&quoted)?;
            let end = found + text[found..].find('\n')? + 1;
            text.truncate(end);
            Some((text, mark.0 + end as u64))
        })
        .await
    }
}

impl Requests {
    /// Those which the closure accepts.
    #[must_use]
    pub(crate) fn matching(&self, accept: impl Fn(&Request) -> bool) -> Self {
        Self(self.0.iter().filter(|request| accept(request)).cloned().collect())
    }

    /// Those about objects in a namespace. Mind that a list or watch of all namespaces is not among them.
    #[must_use]
    pub(crate) fn namespace(&self, namespace: &str) -> Self {
        self.matching(|request| request.namespace == namespace)
    }

    /// Those of clients whose user agent begins so: `jobrequest/`.
    #[must_use]
    pub(crate) fn user_agent(&self, prefix: &str) -> Self {
        self.matching(|request| request.user_agent.starts_with(prefix))
    }

    /// Those of a user, as the API server names it.
    #[must_use]
    pub(crate) fn user(&self, user: &str) -> Self {
        self.matching(|request| request.user == user)
    }

    #[must_use]
    pub(crate) fn verb(&self, verb: &str) -> Self {
        self.matching(|request| request.verb == verb)
    }

    /// `jobs.batch`, or `jobs.batch/status` for a subresource; a subresource is not counted with its resource.
    #[must_use]
    pub(crate) fn resource(&self, resource: &str) -> Self {
        self.matching(|request| request.object() == resource)
    }

    /// Those which change something.
    #[must_use]
    pub(crate) fn writes(&self) -> Self {
        self.matching(|request| !matches!(request.verb.as_str(), "get" | "list" | "watch"))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Request> {
        self.0.iter()
    }
}

impl Request {
    /// As in a role: `jobs.batch`, `jobrequests.jobrequest.dev/status`.
    pub(crate) fn object(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }
}

/// A table of how often what was asked for, for the message of an assertion.
impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts: BTreeMap<(String, String, u16, String), usize> = BTreeMap::new();
        for request in &self.0 {
            let agent = request.user_agent.split(' ').next().unwrap_or_default().to_owned();
            *counts.entry((request.object(), request.verb.clone(), request.code, agent)).or_default() += 1;
        }
        writeln!(f, "{:>6}  {:<9} {:<34} {:<5} USER AGENT", "COUNT", "VERB", "RESOURCE", "CODE")?;
        for ((object, verb, code, agent), count) in counts {
            writeln!(f, "{count:>6}  {verb:<9} {object:<34} {code:<5} {agent}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    stage: String,
    verb: String,
    #[serde(rename = "requestURI")]
    uri: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    object_ref: Option<ObjectRef>,
    response_status: Option<Answer>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct ObjectRef {
    resource: String,
    namespace: String,
    name: String,
    api_group: String,
    subresource: String,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    code: u16,
}

/// A line of the log, unless it is the end of a watch, which was counted when it began.
fn request(line: &str) -> Option<Request> {
    let line: Line = serde_json::from_str(line).expect("a line of the audit log");
    if (line.verb == "watch") != (line.stage == "ResponseStarted") {
        return None;
    }
    let object = line.object_ref.unwrap_or_default();
    if object.name.starts_with("audit-mark-") {
        return None;
    }
    let resource = if object.api_group.is_empty() {
        object.resource
    } else {
        format!("{}.{}", object.resource, object.api_group)
    };
    Some(Request {
        verb: line.verb,
        resource,
        subresource: object.subresource,
        namespace: object.namespace,
        name: object.name,
        uri: line.uri,
        code: line.response_status.map_or(0, |answer| answer.code),
        user: line.user.username,
        user_agent: line.user_agent,
        is_unauthorized: (line.annotations.get("authorization.k8s.io/decision"))
            .is_some_and(|decision| decision == "forbid"),
    })
}
