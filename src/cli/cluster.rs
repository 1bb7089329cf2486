//! The API server, as kubectl finds it: kubectl's flags in, a client and what it reads out.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kube::api::ListParams;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

/// How long one answer may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Which cluster, as whom.
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// The kubeconfig to use [default: KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig to use [default: its current one]
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub(super) context: Option<String>,
    /// Cluster of the kubeconfig to use [default: that of the context]
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub(super) cluster: Option<String>,
    /// User of the kubeconfig to use [default: that of the context]
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub(super) user: Option<String>,
}

/// A client, and the namespace of its context.
pub(super) struct Cluster {
    client: Client,
    pub(super) namespace: String,
}

impl Cluster {
    /// Finds the cluster; nothing is asked yet.
    ///
    /// # Errors
    /// There is no usable kubeconfig.
    pub(super) async fn find(connection: &Connection) -> Result<Self, String> {
        let mut config = config(connection).await?;
        (config.connect_timeout, config.read_timeout) = (Some(DEADLINE), Some(DEADLINE));
        let agent = concat!("jobrequest-cli/", env!("CARGO_PKG_VERSION"));
        config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(agent)));
        let namespace = config.default_namespace.clone();
        let client =
            Client::try_from(config).map_err(|error| failed("make a client of the kubeconfig", &error))?;
        Ok(Self { client, namespace })
    }

    /// An object, if it is there.
    ///
    /// # Errors
    /// The API server gave no answer, or refused.
    pub(super) async fn get<K>(&self, kind: &str, namespace: &str, name: &str) -> Result<Option<K>, String>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        answer(&format!("get {kind} {name} of namespace {namespace}"), api.get_opt(name)).await
    }

    /// All objects of a kind in a namespace.
    ///
    /// # Errors
    /// The API server gave no answer, or refused.
    pub(super) async fn list<K>(&self, kind: &str, namespace: &str) -> Result<Vec<K>, String>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let what = format!("list the {kind}s of namespace {namespace}");
        Ok(answer(&what, api.list(&ListParams::default())).await?.items)
    }

    /// All objects of a kind.
    ///
    /// # Errors
    /// The API server gave no answer, or refused.
    pub(super) async fn list_all<K>(&self, kind: &str) -> Result<Vec<K>, String>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let api: Api<K> = Api::all(self.client.clone());
        Ok(answer(&format!("list the {kind}s"), api.list(&ListParams::default())).await?.items)
    }
}

async fn config(connection: &Connection) -> Result<Config, String> {
    let Connection { kubeconfig, context, cluster, user } = connection;
    if [context, cluster, user].iter().all(|flag| flag.is_none()) && kubeconfig.is_none() {
        let found = Config::infer().await;
        return found
            .map_err(|error| failed("find a cluster; name one by --kubeconfig or KUBECONFIG", &error));
    }
    let read = match kubeconfig {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let read = read.map_err(|error| failed("read the kubeconfig", &error))?;
    let options =
        KubeConfigOptions { context: context.clone(), cluster: cluster.clone(), user: user.clone() };
    let found = Config::from_custom_kubeconfig(read, &options).await;
    found.map_err(|error| failed("use the kubeconfig; check --context, --cluster and --user", &error))
}

async fn answer<T>(what: &str, call: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(kube::Error::Api(status))) => Err(failed(what, &status.message)),
        Ok(Err(error)) => Err(failed(what, &chain(&error))),
        Err(_) => Err(failed(what, &format!("no answer within {} s", DEADLINE.as_secs()))),
    }
}

fn failed(what: &str, why: &dyn Display) -> String {
    format!("could not {what}: {why}")
}

/// An error with its sources, each said once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}
