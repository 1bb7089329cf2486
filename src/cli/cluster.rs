//! Access to the API server, configured as kubectl is: kubectl's flags in, a client and the objects it reads out.

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use kube::api::{DynamicObject, ListParams, ObjectList, Patch, PatchParams, PostParams, ValidationDirective};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, NamespaceResourceScope};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::complete::{contexts, namespaces};
use super::duration::call_deadline;
use super::error::CliError;
use crate::api::JobRequest;
use crate::reconcile::CALL_DEADLINE;

/// Flags that select the cluster and the user.
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// The kubeconfig to use [default: KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig to use [default: its current one]
    #[arg(long, value_name = "NAME", help_heading = "Cluster", add = contexts())]
    pub(super) context: Option<String>,
    /// Cluster of the kubeconfig to use [default: that of the context]
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub(super) cluster: Option<String>,
    /// User of the kubeconfig to use [default: that of the context]
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub(super) user: Option<String>,
    /// Address of the API server [default: that of the cluster]
    #[arg(short, long, value_name = "URL", help_heading = "Cluster")]
    server: Option<http::Uri>,
    /// Name that the API server's certificate must have [default: that of its address]
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    tls_server_name: Option<String>,
    /// File with the authorities that the API server's certificate is checked by
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    certificate_authority: Option<PathBuf>,
    /// Do not check the API server's certificate: anybody could read and change what is sent
    #[arg(long, help_heading = "Cluster")]
    insecure_skip_tls_verify: bool,
    /// Bearer token to authenticate with, instead of what the kubeconfig has
    #[arg(long, value_name = "TOKEN", help_heading = "Cluster", hide_env_values = true)]
    token: Option<String>,
    /// File with the client certificate to authenticate with
    #[arg(long, value_name = "FILE", help_heading = "Cluster", requires = "client_key")]
    client_certificate: Option<String>,
    /// File with the key of the client certificate
    #[arg(long, value_name = "FILE", help_heading = "Cluster", requires = "client_certificate")]
    client_key: Option<String>,
    /// User to act as
    #[arg(long = "as", value_name = "NAME", help_heading = "Cluster")]
    act_as: Option<String>,
    /// Group to act as; may be repeated
    #[arg(long, value_name = "NAME", help_heading = "Cluster", requires = "act_as")]
    as_group: Vec<String>,
    /// uid to act as
    #[arg(long, value_name = "UID", help_heading = "Cluster", requires = "act_as")]
    as_uid: Option<String>,
    /// How long one call may take; a number is in seconds, 0 is no limit
    #[arg(long, value_name = "DURATION", help_heading = "Cluster", default_value = "10s", value_parser = call_deadline)]
    request_timeout: CallDeadline,
}

/// How long one call may take; `None`: as long as it takes.
pub(super) type CallDeadline = Option<Duration>;

/// Flags that select the cluster and a namespace in it.
#[derive(Debug, Args)]
pub(super) struct InNamespace {
    /// Namespace [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE", help_heading = "Cluster", value_parser = NonEmptyStringValueParser::new(), add = namespaces())]
    pub(super) namespace: Option<String>,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// Clients, and the namespace that the flags or the context name.
#[derive(Clone)]
pub(super) struct Cluster {
    client: Client,
    /// For what may be silent for long: watches and logs.
    streams: Client,
    deadline: Option<Duration>,
    pub(super) namespace: String,
}

/// How many objects a page of a list has.
pub(super) const PAGE: u32 = 500;

/// The field manager of what the commands write.
pub(super) const FIELD_MANAGER: &str = "jobrequest-cli";

impl Cluster {
    /// Finds the cluster; it is not contacted yet.
    ///
    /// # Errors
    /// There is no usable kubeconfig.
    pub(super) async fn find(connection: &Connection) -> Result<Self, CliError> {
        let mut config = config(connection).await?;
        connection.override_settings(&mut config);
        let deadline = connection.request_timeout;
        config.connect_timeout = deadline;
        let agent = concat!("jobrequest-cli/", env!("CARGO_PKG_VERSION"));
        config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(agent)));
        let namespace = config.default_namespace.clone();
        config.read_timeout = None;
        let streams = Client::try_from(config.clone()).map_err(CliError::Client)?;
        config.read_timeout = deadline;
        let client = Client::try_from(config).map_err(CliError::Client)?;
        Ok(Self { client, streams, deadline, namespace })
    }

    /// The same, with the namespace that the flags name.
    ///
    /// # Errors
    /// There is no usable kubeconfig.
    pub(super) async fn find_in(flags: &InNamespace) -> Result<Self, CliError> {
        let mut cluster = Self::find(&flags.connection).await?;
        if let Some(namespace) = &flags.namespace {
            cluster.namespace.clone_from(namespace);
        }
        Ok(cluster)
    }

    /// A client for what may be silent for long: its reads have no deadline.
    pub(super) const fn streams(&self) -> &Client {
        &self.streams
    }

    /// A client for calls.
    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// Awaits a call; `what` says what it is to do.
    ///
    /// # Errors
    /// The API server gave no answer, or refused.
    pub(super) async fn answer<T>(
        &self,
        what: &str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, CliError> {
        answer_within(self.deadline, what, call).await
    }

    /// JobRequests of the namespace, as they are stored.
    pub(super) fn requests(&self) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<JobRequest>(&());
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// Changes a JobRequest by a merge patch; returns it as it is then.
    ///
    /// # Errors
    /// There is none of this name, or the API server refused or gave no answer.
    pub(super) async fn patch(
        &self,
        name: &str,
        patch: serde_json::Value,
    ) -> Result<DynamicObject, CliError> {
        let parameters =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let requests = self.requests();
        self.write(
            &format!("change JobRequest {name}"),
            requests.patch(name, &parameters, &Patch::Merge(patch)),
        )
        .await
        .map_err(|error| self.not_found(name, error))
    }

    /// Applies an object server-side; returns it as it is then.
    ///
    /// # Errors
    /// The API server refused, or gave no answer.
    pub(super) async fn apply(
        &self,
        name: &str,
        object: &serde_json::Value,
        is_forced: bool,
    ) -> Result<DynamicObject, CliError> {
        let requests = self.requests();
        self.write(
            &format!("apply JobRequest {name}"),
            requests.patch(name, &applies(FIELD_MANAGER, is_forced), &Patch::Apply(object)),
        )
        .await
    }

    /// What server-side apply of an object by this field manager would come to; nothing is stored.
    ///
    /// # Errors
    /// The API server refused, or gave no answer.
    pub(super) async fn apply_dry_run(
        &self,
        name: &str,
        object: &serde_json::Value,
        field_manager: Option<&str>,
        is_forced: bool,
    ) -> Result<DynamicObject, CliError> {
        let manager = field_manager.unwrap_or(FIELD_MANAGER);
        let parameters = PatchParams { dry_run: true, ..applies(manager, is_forced) };
        let requests = self.requests();
        let patch = Patch::Apply(object);
        let call = requests.patch(name, &parameters, &patch);
        self.answer(&format!("apply JobRequest {name} for a trial"), call).await
    }

    /// Creates a JobRequest, or lets the API server judge it alone; returns it as it is then.
    ///
    /// # Errors
    /// There is one of this name, or the API server refused or gave no answer.
    pub(super) async fn create(
        &self,
        name: &str,
        object: &serde_json::Value,
        is_dry: bool,
    ) -> Result<DynamicObject, CliError> {
        let parameters = PostParams { dry_run: is_dry, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let requests = self.requests();
        let body = object.to_string().into_bytes();
        let call = async {
            let mut request = kube::core::Request::new(requests.resource_url())
                .create(&parameters, body)
                .map_err(kube::Error::BuildRequest)?;
            // What an older CRD does not know is refused rather than dropped.
            let uri = format!("{}&fieldValidation=Strict", request.uri());
            *request.uri_mut() =
                uri.parse().map_err(|error| kube::Error::HttpError(http::Error::from(error)))?;
            self.client.request(request).await
        };
        self.write(&format!("create JobRequest {name}"), call).await
    }

    /// Awaits a write: one that the API server refuses is an answer about what was written. An unknown field of an applied
    /// object is a 500, and so is a webhook that fails.
    pub(super) async fn write<T>(
        &self,
        what: &str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, CliError> {
        match self.answer(what, call).await {
            Err(CliError::Refused { call, message, code: 400 | 403 | 422 | 500 }) => {
                Err(CliError::Denied { call, message })
            }
            outcome => outcome,
        }
    }

    /// A JobRequest of the namespace.
    ///
    /// # Errors
    /// There is none of this name, or the API server refused or gave no answer.
    pub(super) async fn request<K>(&self, name: &str) -> Result<K, CliError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let found = self.get("JobRequest", &self.namespace, name).await?;
        found.ok_or_else(|| self.no_such_request(name))
    }

    /// A JobRequest of the namespace, with everything that is stored of it.
    ///
    /// # Errors
    /// As of [`Self::request`].
    pub(super) async fn object(&self, name: &str) -> Result<DynamicObject, CliError> {
        let requests = self.requests();
        let found = self.answer(&format!("get JobRequest {name}"), requests.get(name)).await;
        found.map_err(|error| self.not_found(name, error))
    }

    fn no_such_request(&self, name: &str) -> CliError {
        CliError::NoSuchRequest { namespace: self.namespace.clone(), name: name.to_owned() }
    }

    /// Says of a JobRequest that does not exist just that.
    pub(super) fn not_found(&self, name: &str, error: CliError) -> CliError {
        match error {
            CliError::Refused { code: 404, .. } => self.no_such_request(name),
            error => error,
        }
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
        self.answer(&format!("get {kind} {name} of namespace {namespace}"), api.get_opt(name)).await
    }

    /// Gives `take` every object of a list that `page` gets, page by page.
    ///
    /// # Errors
    /// The API server gave no answer, or refused.
    pub(super) async fn pages<T: Clone>(
        &self,
        what: &str,
        mut list: ListParams,
        page: impl AsyncFn(&ListParams) -> kube::Result<ObjectList<T>>,
        mut take: impl FnMut(T),
    ) -> Result<(), CliError> {
        list.limit = Some(PAGE);
        loop {
            let found = self.answer(what, page(&list)).await?;
            found.items.into_iter().for_each(&mut take);
            match found.metadata.continue_.filter(|next| !next.is_empty()) {
                Some(next) => list.continue_token = Some(next),
                None => return Ok(()),
            }
        }
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
        Ok(self.answer(&what, api.list(&ListParams::default())).await?.items)
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
        Ok(self.answer(&format!("list the {kind}s"), api.list(&ListParams::default())).await?.items)
    }
}

/// How an object is applied server-side: an unknown field is refused.
fn applies(manager: &str, is_forced: bool) -> PatchParams {
    PatchParams {
        field_manager: Some(manager.to_owned()),
        force: is_forced,
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::default()
    }
}

impl Connection {
    /// What the flags say instead of the kubeconfig.
    fn override_settings(&self, config: &mut Config) {
        if let Some(server) = &self.server {
            config.cluster_url = server.clone();
        }
        if let Some(file) = &self.certificate_authority {
            (config.root_cert, config.root_cert_file) = (None, Some(file.clone()));
        }
        if self.insecure_skip_tls_verify {
            config.accept_invalid_certs = true;
        }
        if self.tls_server_name.is_some() {
            config.tls_server_name.clone_from(&self.tls_server_name);
        }
        let acts_as = (
            self.act_as.clone().or_else(|| config.auth_info.impersonate.clone()),
            if self.as_group.is_empty() {
                config.auth_info.impersonate_groups.clone()
            } else {
                Some(self.as_group.clone())
            },
            self.as_uid.clone().or_else(|| config.auth_info.impersonate_uid.clone()),
        );
        // Another identity replaces all of the kubeconfig's: the API server would prefer a certificate to a token.
        if self.token.is_some() || self.client_certificate.is_some() {
            config.auth_info = kube::config::AuthInfo::default();
        }
        if let Some(token) = &self.token {
            config.auth_info.token = Some(token.clone().into());
        }
        if self.client_certificate.is_some() {
            config.auth_info.client_certificate.clone_from(&self.client_certificate);
            config.auth_info.client_key.clone_from(&self.client_key);
        }
        let info = &mut config.auth_info;
        (info.impersonate, info.impersonate_groups, info.impersonate_uid) = acts_as;
    }
}

async fn config(connection: &Connection) -> Result<Config, CliError> {
    let Connection { kubeconfig, context, cluster, user, server, .. } = connection;
    if [context, cluster, user].iter().all(|flag| flag.is_none()) && kubeconfig.is_none() {
        if let (Some(server), Err(_)) = (server, Config::infer().await) {
            return Ok(Config::new(server.clone()));
        }
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
    answer_within(Some(CALL_DEADLINE), what, call).await
}

async fn answer_within<T>(
    deadline: Option<Duration>,
    what: &str,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, CliError> {
    // A year is longer than any command.
    let after = deadline.unwrap_or(Duration::from_secs(365 * 86_400));
    match tokio::time::timeout(after, call).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(kube::Error::Api(status))) => Err(CliError::Refused {
            call: what.to_owned(),
            message: status.message.clone(),
            code: status.code,
        }),
        Ok(Err(source)) => Err(CliError::Call { call: what.to_owned(), source }),
        Err(_) => Err(CliError::NoAnswer { call: what.to_owned(), after }),
    }
}
