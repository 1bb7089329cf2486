//! Events about someone else's work: why a Job is not allowed to create pods, why a pod's volumes cannot be mounted.
//!
//! They are listed only when a run is stuck and nothing else shows why.

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use serde::Deserialize;

use super::metadata::time;
use crate::reconcile::format::{bounded_to, printable};

/// Maximum length of the message of an event, in bytes.
const MESSAGE: usize = 1024;
/// Maximum length of a native reason, a kind or a uid, in bytes.
const REASON: usize = 64;
/// Maximum length of a name, in bytes.
const NAME: usize = 253;

/// Which events are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventsOf {
    /// FailedCreate, about the Job with this uid.
    Job(String),
    /// All about the pod of this name, which no other pod of the namespace ever had.
    Pod(String),
}

impl EventsOf {
    /// As a field selector of core/v1 events.
    #[must_use]
    pub fn selector(&self) -> String {
        match self {
            Self::Job(uid) => format!("involvedObject.uid={uid},reason=FailedCreate"),
            Self::Pod(name) => format!("involvedObject.kind=Pod,involvedObject.name={name}"),
        }
    }

    /// The same for all objects of the kind.
    #[must_use]
    pub const fn selector_of_kind(&self) -> &'static str {
        match self {
            Self::Job(_) => "reason=FailedCreate",
            Self::Pod(_) => "involvedObject.kind=Pod",
        }
    }

    /// `event` is one of these.
    #[must_use]
    pub fn include(&self, event: &EventView) -> bool {
        match self {
            Self::Job(uid) => event.about.uid == *uid && event.reason == "FailedCreate",
            Self::Pod(name) => event.about.kind == "Pod" && event.about.name == *name,
        }
    }
}

/// An event as far as rules read it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Resource)]
#[resource(inherit = Event)]
#[serde(from = "Wire")]
pub struct EventView {
    /// Nothing of it is kept.
    pub metadata: ObjectMeta,
    /// The object that it is about.
    pub about: EventSubject,
    /// When it was last reported; absent if it does not say.
    pub at: Option<Timestamp>,
    /// When it was first reported; absent if it does not say.
    pub first_at: Option<Timestamp>,
    /// What happened, in one word.
    pub reason: String,
    /// The same in a sentence.
    pub message: String,
}

/// The object that an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct EventSubject {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// The parts of core/v1 Event, in which a time has four places.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(default)]
    involved_object: EventSubject,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default, deserialize_with = "time")]
    last_timestamp: Option<Time>,
    #[serde(default, deserialize_with = "time")]
    first_timestamp: Option<Time>,
    #[serde(default, deserialize_with = "time")]
    event_time: Option<Time>,
    #[serde(default)]
    series: Option<Series>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Series {
    #[serde(default, deserialize_with = "time")]
    last_observed_time: Option<Time>,
}

impl From<Wire> for EventView {
    fn from(wire: Wire) -> Self {
        let last = wire.series.and_then(|series| series.last_observed_time).map(|time| time.0);
        let first = wire.first_timestamp.map(|time| time.0);
        let begun = wire.event_time.map(|time| time.0);
        let at = last.or(wire.last_timestamp.map(|time| time.0)).or(first).or(begun);
        Self {
            metadata: ObjectMeta::default(),
            about: EventSubject {
                kind: bounded_to(&wire.involved_object.kind, REASON),
                name: bounded_to(&wire.involved_object.name, NAME),
                uid: bounded_to(&wire.involved_object.uid, REASON),
            },
            at,
            first_at: first.or(begun).or(at),
            reason: bounded_to(&printable(wire.reason.as_deref().unwrap_or_default()), REASON),
            message: bounded_to(&printable(wire.message.as_deref().unwrap_or_default()), MESSAGE),
        }
    }
}
