//! What `create` reads of a cluster: its templates, and the names that answers of the form can pick.
//!
//! Of ConfigMaps, Secrets and the rest only metadata are asked for. Keys come from one `get` of the object that was
//! picked; its values are dropped at once.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Node, PersistentVolumeClaim, Secret, ServiceAccount};
use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, NamespaceResourceScope};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::{ClusterJobTemplate, JobTemplate};
use crate::cli::cluster::Cluster;
use crate::cli::error::CliError;
use crate::form::{Inventory, Kind, Names, Templates};
use crate::manifest::Source;

/// At most this many names of a kind are offered.
const MAX_NAMES: u32 = 500;

/// The templates that may apply in the namespace, as documents; none if they may not be listed.
///
/// # Errors
/// The API server gave no answer.
pub(in crate::cli) async fn templates(cluster: &Cluster) -> Result<Option<Vec<Value>>, CliError> {
    let own = ApiResource::erase::<JobTemplate>(&());
    let all = ApiResource::erase::<ClusterJobTemplate>(&());
    let client = || cluster.client().clone();
    let mut documents = Vec::new();
    for (api, resource) in [
        (Api::<DynamicObject>::namespaced_with(client(), &cluster.namespace, &own), &own),
        (Api::<DynamicObject>::all_with(client(), &all), &all),
    ] {
        let what = format!("list the {}s", resource.kind);
        let listed = match cluster.answer(&what, api.list(&ListParams::default())).await {
            Ok(listed) => listed,
            // Not allowed, or not installed: what can be judged is judged.
            Err(CliError::Refused { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        documents.extend(listed.items.into_iter().map(|item| document(&item, resource)));
    }
    Ok(Some(documents))
}

/// A template as a file would have it, with the time that decides between two defaults.
fn document(item: &DynamicObject, resource: &ApiResource) -> Value {
    serde_json::json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": item.metadata.name,
            "namespace": item.metadata.namespace,
            "creationTimestamp": item.metadata.creation_timestamp,
            "deletionTimestamp": item.metadata.deletion_timestamp,
        },
        "spec": item.data.get("spec"),
    })
}

/// The same, to judge with.
pub(in crate::cli) fn known(documents: Option<&[Value]>) -> Templates {
    let source = |(at, document): (usize, &Value)| {
        Arc::new(Source::new(format!("template {at}"), at + 1, document.to_string().into_bytes()))
    };
    match documents {
        Some(documents) => Templates::Known(documents.iter().enumerate().map(source).collect()),
        None => Templates::Unknown,
    }
}

/// The names that can be picked.
pub(super) async fn inventory(cluster: &Cluster, templates: Option<&[Value]>) -> Inventory {
    let mut inventory = Inventory::default();
    match templates {
        Some(templates) => inventory.templates(templates),
        None => inventory.list(Kind::Template, None),
    }
    let nodes: Api<Node> = Api::all(cluster.client().clone());
    let (config_maps, secrets, claims, accounts, nodes) = futures::join!(
        names(cluster, namespaced::<ConfigMap>(cluster)),
        names(cluster, namespaced::<Secret>(cluster)),
        names(cluster, namespaced::<PersistentVolumeClaim>(cluster)),
        names(cluster, namespaced::<ServiceAccount>(cluster)),
        names(cluster, nodes),
    );
    for (kind, names) in [
        (Kind::ConfigMap, config_maps),
        (Kind::Secret, secrets),
        (Kind::Claim, claims),
        (Kind::ServiceAccount, accounts),
        (Kind::Node, nodes),
    ] {
        inventory.list(kind, names);
    }
    inventory
}

fn namespaced<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(cluster: &Cluster) -> Api<K> {
    Api::namespaced(cluster.client().clone(), &cluster.namespace)
}

/// The names of a kind; none if they may not be listed, are more than are offered, or there is no answer.
async fn names<K: Clone + DeserializeOwned + Debug>(cluster: &Cluster, api: Api<K>) -> Names {
    let parameters = ListParams::default().limit(MAX_NAMES);
    let listed = api.list_metadata(&parameters);
    let listed = cluster.answer("list names", listed).await.ok()?;
    let is_all = listed.metadata.continue_.as_ref().is_none_or(String::is_empty);
    is_all.then(|| listed.items.into_iter().filter_map(|item| item.metadata.name).collect())
}

/// The keys of a ConfigMap or Secret; none if it may not be read, or there is none.
pub(super) async fn keys(cluster: &Cluster, kind: Kind, name: &str) -> Names {
    fn of<V>(data: Option<BTreeMap<String, V>>) -> Vec<String> {
        data.into_iter().flat_map(BTreeMap::into_keys).collect()
    }
    let namespace = &cluster.namespace;
    if kind == Kind::Secret {
        let found: Secret = cluster.get("Secret", namespace, name).await.ok()??;
        return Some(of(found.data));
    }
    let found: ConfigMap = cluster.get("ConfigMap", namespace, name).await.ok()??;
    Some([of(found.data), of(found.binary_data)].concat())
}
