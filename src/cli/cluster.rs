//! Access to the API server, configured as kubectl is: kubectl's flags in, a client and the objects it reads out.

use std::fmt::Debug;
use std::path::PathBuf;

use clap::Args;
use kube::api::ListParams;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::error::CliError;
use crate::reconcile::CALL_DEADLINE;

/// Flags that select the cluster and the user.
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
    /// Finds the cluster; it is not contacted yet.
    ///
    /// # Errors
    /// There is no usable kubeconfig.
    pub(super) async fn find(connection: &Connection) -> Result<Self, CliError> {
        let mut config = config(connection).await?;
        (config.connect_timeout, config.read_timeout) = (Some(CALL_DEADLINE), Some(CALL_DEADLINE));
        let agent = concat!("jobrequest-cli/", env!("CARGO_PKG_VERSION"));
        config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(agent)));
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config).map_err(CliError::Client)?;
        Ok(Self { client, namespace })
    }

    /// An object, if it exists.
    ///
    /// # Errors
    /// The API server gave no answer, or refused.
    pub(super) async fn get<K>(&self, kind: &str, namespace: &str, name: &str) -> Result<Option<K>, CliError>
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
    pub(super) async fn list<K>(&self, kind: &str, namespace: &str) -> Result<Vec<K>, CliError>
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
    pub(super) async fn list_all<K>(&self, kind: &str) -> Result<Vec<K>, CliError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let api: Api<K> = Api::all(self.client.clone());
        Ok(answer(&format!("list the {kind}s"), api.list(&ListParams::default())).await?.items)
    }
}

async fn config(connection: &Connection) -> Result<Config, CliError> {
    let Connection { kubeconfig, context, cluster, user } = connection;
    if [context, cluster, user].iter().all(|flag| flag.is_none()) && kubeconfig.is_none() {
        let advice = "name one by --kubeconfig or KUBECONFIG";
        return Config::infer().await.map_err(|source| CliError::NoCluster { advice, source });
    }
    let read = match kubeconfig {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let read = read.map_err(|error| CliError::Kubeconfig("read the kubeconfig", error))?;
    let options =
        KubeConfigOptions { context: context.clone(), cluster: cluster.clone(), user: user.clone() };
    let found = Config::from_custom_kubeconfig(read, &options).await;
    found.map_err(|error| {
        CliError::Kubeconfig("use the kubeconfig; check --context, --cluster and --user", error)
    })
}

/// A runtime for a command that only waits for the API server.
///
/// # Errors
/// The operating system refuses what it needs.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| CliError::Io("start the asynchronous runtime", error))
}

/// Awaits a call, not for long; `what` says what it is to do.
///
/// # Errors
/// The API server gave no answer, or refused.
pub(super) async fn answer<T>(
    what: &str,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, CliError> {
    match tokio::time::timeout(CALL_DEADLINE, call).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(kube::Error::Api(status))) => {
            Err(CliError::Refused { call: what.to_owned(), message: status.message.clone() })
        }
        Ok(Err(source)) => Err(CliError::Call { call: what.to_owned(), source }),
        Err(_) => Err(CliError::NoAnswer { call: what.to_owned(), after: CALL_DEADLINE }),
    }
}
