//! What is to be reconciled, and because of what.

use std::sync::Arc;

use kube::runtime::reflector::ObjectRef;

use super::compact::CompactRequest;

/// Namespace and name of a JobRequest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
}

impl Key {
    pub(super) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of a cached request.
    pub(super) fn of(request: &CompactRequest) -> Self {
        Self::new(request.namespace(), request.metadata.name.as_deref().unwrap_or_default())
    }

    /// As the store names it.
    pub(super) fn reference(&self) -> ObjectRef<CompactRequest> {
        ObjectRef::new(&self.name).within(&self.namespace)
    }
}

/// Why passes are due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    /// Something about this request has changed.
    Request(Key),
    /// Something about all requests of this namespace.
    Namespace(String),
    /// Something about all requests.
    All,
}

impl From<ObjectRef<CompactRequest>> for Trigger {
    fn from(request: ObjectRef<CompactRequest>) -> Self {
        Self::Request(Key::new(request.namespace.as_deref().unwrap_or_default(), &request.name))
    }
}
