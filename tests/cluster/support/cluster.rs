//! What a test sees of the cluster: clients, namespaces of its own, kubectl, the audit log.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace as CoreNamespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Resource};

use super::control_plane::{LEASES_OF_TESTS, OPERATOR, OwnControlPlane};
use super::{Audit, ControlPlane, DEADLINE, eventually};

/// The cluster, as one test sees it.
pub(crate) struct Cluster {
    test: String,
    control_plane: Arc<ControlPlane>,
    logs: PathBuf,
    waits: Arc<AtomicBool>,
    /// Stops the control plane, if it is of this test only.
    _own: Option<OwnControlPlane>,
}

impl Cluster {
    pub(crate) fn new(test: &str, control_plane: Arc<ControlPlane>) -> Self {
        Self {
            test: test.to_owned(),
            logs: control_plane.logs(test),
            waits: Arc::default(),
            control_plane,
            _own: None,
        }
    }

    /// A cluster of this test alone, without CRDs: for what no other test would survive. Drop it last.
    pub(crate) async fn own(&self) -> Self {
        self.waits.store(true, Ordering::Relaxed);
        let own = self.control_plane.own(&self.test).await;
        self.waits.store(false, Ordering::Relaxed);
        Self {
            test: self.test.clone(),
            control_plane: Arc::clone(own.control_plane()),
            logs: self.logs.clone(),
            waits: Arc::clone(&self.waits),
            _own: Some(own),
        }
    }

    /// True while the test waits for a control plane of its own.
    pub(super) fn waits_for_its_turn(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.waits)
    }

    pub(crate) fn control_plane(&self) -> &Arc<ControlPlane> {
        &self.control_plane
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.control_plane.kubeconfig()
    }

    /// With the rights that the chart gives the operator.
    pub(crate) fn operator_kubeconfig(&self) -> PathBuf {
        self.control_plane.operator_kubeconfig()
    }

    /// The folder of this test's logs. It exists once something was logged.
    pub(crate) fn logs(&self) -> &PathBuf {
        &self.logs
    }

    /// A file in that folder, to be created.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        fs::create_dir_all(&self.logs).unwrap();
        self.logs.join(name)
    }

    /// Settings of a client with all rights; change them for other ones.
    pub(crate) async fn config(&self) -> Config {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig()).expect("read the kubeconfig");
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .expect("a usable kubeconfig");
        config.proxy_url = None;
        config
    }

    /// A client with all rights. It lives on the runtime of the test which asked.
    pub(crate) async fn client(&self) -> Client {
        Client::try_from(self.config().await).expect("a client")
    }

    /// Settings of a client with the operator's token.
    pub(crate) async fn operator_config(&self) -> Config {
        let kubeconfig = Kubeconfig::read_from(self.operator_kubeconfig()).expect("read the kubeconfig");
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .expect("a usable kubeconfig");
        config.proxy_url = None;
        config
    }

    /// A client with the operator's token.
    pub(crate) async fn operator_client(&self) -> Client {
        Client::try_from(self.operator_config().await).expect("a client")
    }

    /// A namespace of its own, in which pods can be created at once.
    pub(crate) async fn namespace(&self, hint: &str) -> Namespace {
        let client = self.client().await;
        let name = format!("{hint}-{}", self.control_plane.unique());
        let namespace = CoreNamespace {
            metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
            ..CoreNamespace::default()
        };
        Api::all(client.clone())
            .create(&PostParams::default(), &namespace)
            .await
            .expect("create a namespace");
        // In a cluster the Lease is in the release's namespace, in tests each operator may have one of its own.
        let leases: RoleBinding = serde_json::from_value(serde_json::json!({
            "metadata": {"name": LEASES_OF_TESTS},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": LEASES_OF_TESTS},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": OPERATOR}],
        }))
        .expect("a binding");
        let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), &name);
        bindings.create(&PostParams::default(), &leases).await.expect("allow Leases");
        // Without it pods are forbidden, and the Job controller waits long before it tries again.
        let accounts: Api<ServiceAccount> = Api::namespaced(client, &name);
        eventually(DEADLINE, "the namespace has its service account", async || {
            accounts.get_opt("default").await.expect("get a service account")
        })
        .await;
        Namespace { name }
    }

    /// The output of a kubectl command that must succeed.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// The program kubectl.
    pub(crate) fn kubectl_program(&self) -> PathBuf {
        self.control_plane.program("kubectl")
    }

    /// The output of a kubectl command, or what it complained about.
    pub(crate) fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        self.control_plane.kubectl(arguments)
    }

    /// Who asked the API server for what.
    pub(crate) async fn audit(&self) -> Audit {
        Audit::new(self.control_plane.audit_log(), self.client().await, Arc::clone(&self.control_plane))
    }
}

/// A namespace that no other test uses. It stays: the whole cluster goes away after the run.
#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// One that is there without the test's doing.
    pub(crate) fn existing(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The objects of one kind in it.
    pub(crate) fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(client.clone(), &self.name)
    }
}
