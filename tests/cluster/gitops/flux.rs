//! Flux's kustomize-controller applies JobRequests from Git: a change is a run, the result is its health, and nothing
//! comes back.
//!
//! The controller and its CRD are Flux's own. Its other half, source-controller, is played by the test: it writes the
//! artifact of a commit into the status of a GitRepository, whose CRD is reduced to that.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tokio::process::Child;

use super::git::Repository;
use super::tool;
use crate::support::requests::{Requests, condition, spec};
use crate::support::witness::Witness;
use crate::support::{Cluster, ControlPlane, DEADLINE, Operator, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        flux_does_not_bring_back_a_job_deleted_by_ttl: ttl,
        flux_makes_a_run_of_a_change_and_none_of_twenty_reconciles,
        flux_fails_fast_with_the_run_and_recovers,
    ]
}

/// Rule 6 of the run protocol makes every delete wait for two minutes: a late create may be in flight.
const BEYOND_GRACE: Duration = Duration::from_secs(240);

const CONTROLLER: &str = "kustomize-controller";

/// A namespace with an operator, a kustomize-controller, a Git repository and a Kustomization of it.
struct Flux {
    at: Requests,
    repository: Repository,
    control_plane: Arc<ControlPlane>,
    controller: Child,
}

impl Flux {
    async fn start(cx: &Cluster, hint: &str) -> Self {
        let at = Requests::new(cx, hint).await;
        install_crds(cx, &at).await;
        let log = File::create(cx.log("kustomize-controller.log")).expect("create a log");
        let mut command = tool(cx, CONTROLLER);
        command.args([
            "--watch-all-namespaces=false",
            "--metrics-addr=0",
            "--health-addr=0",
            "--concurrent=1",
        ]);
        command.env("KUBECONFIG", cx.kubeconfig()).env("RUNTIME_NAMESPACE", at.namespace.name());
        // One that starts removes the temporary folders that it takes for those of a dead predecessor.
        let temporary = cx.log("tmp");
        std::fs::create_dir_all(&temporary).expect("create a folder");
        command.env("TMPDIR", temporary);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("share the log")).stderr(log);
        let controller = command.spawn().expect("start kustomize-controller");
        let control_plane = Arc::clone(cx.control_plane());
        control_plane.note(controller.id().expect("a process id"));
        let flux = Self { at, repository: Repository::new(cx).await, control_plane, controller };
        flux.create("source.toolkit.fluxcd.io/v1/GitRepository/gitrepositories", documented("GitRepository"))
            .await;
        flux
    }

    /// Creates the Kustomization of docs/gitops.md, in this test's namespace.
    async fn apply_kustomization(&self, account: Option<&str>) {
        let mut kustomization = documented("Kustomization");
        kustomization["spec"]["targetNamespace"] = json!(self.at.namespace.name());
        if let Some(account) = account {
            kustomization["spec"]["serviceAccountName"] = json!(account);
        }
        self.create("kustomize.toolkit.fluxcd.io/v1/Kustomization/kustomizations", kustomization).await;
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        let parts: Vec<&str> = kind.split('/').collect();
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(parts[0], parts[1], parts[2]), parts[3]);
        Api::namespaced_with(self.at.client.clone(), self.at.namespace.name(), &resource)
    }

    fn kustomizations(&self) -> Api<DynamicObject> {
        self.api("kustomize.toolkit.fluxcd.io/v1/Kustomization/kustomizations")
    }

    async fn create(&self, kind: &str, mut object: Value) {
        object["metadata"]["namespace"] = json!(self.at.namespace.name());
        let object = serde_json::from_value(object).expect("an object");
        self.api(kind).create(&PostParams::default(), &object).await.expect("create an object of Flux");
    }

    /// Pushes a commit, as far as Flux can tell; returns its revision.
    async fn push(&self, files: &[(&str, &Value)]) -> String {
        let artifact = self.repository.commit(files);
        let revision = artifact["revision"].as_str().unwrap().to_owned();
        let ready = json!({
            "type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored artifact",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1
        });
        let status =
            json!({"status": {"observedGeneration": 1, "artifact": artifact, "conditions": [ready]}});
        self.api("source.toolkit.fluxcd.io/v1/GitRepository/gitrepositories")
            .patch_status("jobs", &PatchParams::default(), &Patch::Merge(status))
            .await
            .expect("publish the artifact");
        revision
    }

    async fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        eventually(DEADLINE, &format!("the Kustomization {what}"), async || {
            let object = self.kustomizations().get("jobs").await.expect("get the Kustomization");
            let status = serde_json::to_value(object).expect("JSON")["status"].clone();
            if is(&status) { Ok(status) } else { Err(status) }
        })
        .await
    }

    async fn until_applied(&self, revision: &str) -> Value {
        self.until(&format!("has applied {revision}"), |status| {
            status["lastAppliedRevision"] == revision && condition(status, "Ready").starts_with("True")
        })
        .await
    }

    /// Asks for a reconcile, as `flux reconcile kustomization jobs` does, and waits for its end.
    async fn reconcile(&self, token: &str) {
        let patch = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}});
        self.kustomizations()
            .patch("jobs", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("ask for a reconcile");
        self.until(&format!("has handled {token}"), |status| {
            status["lastHandledReconcileAt"] == token
                && condition(status, "Ready").starts_with("True")
                && condition(status, "Reconciling") == "-"
        })
        .await;
    }
}

impl Drop for Flux {
    fn drop(&mut self) {
        if let Some(pid) = self.controller.id() {
            let _ = self.controller.start_kill();
            self.control_plane.forget(pid);
        }
    }
}

/// The Kustomization's CRD as Flux ships it, and kinds of sources without a schema: the controller watches all three.
async fn install_crds(cx: &Cluster, at: &Requests) {
    let path = cx.control_plane().program("kustomizations.yaml").display().to_string();
    cx.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &path]);
    let kinds =
        [("GitRepository", "gitrepositories"), ("OCIRepository", "ocirepositories"), ("Bucket", "buckets")];
    for (kind, plural) in kinds {
        let crd = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.source.toolkit.fluxcd.io")},
            "spec": {
                "group": "source.toolkit.fluxcd.io", "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
                "versions": [{
                    "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}
                }]
            }
        });
        let crds = kube::core::ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
            "customresourcedefinitions",
        );
        let crds: Api<DynamicObject> = Api::all_with(at.client.clone(), &crds);
        let name = format!("{plural}.source.toolkit.fluxcd.io");
        crds.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(crd))
            .await
            .expect("a CRD of Flux");
    }
    let established =
        |name: &str| cx.kubectl(&["wait", "--for=condition=Established", "crd", name, "--timeout=60s"]);
    for plural in
        ["kustomizations.kustomize", "gitrepositories.source", "ocirepositories.source", "buckets.source"]
    {
        established(&format!("{plural}.toolkit.fluxcd.io"));
    }
}

/// The object of this kind that docs/gitops.md shows.
fn documented(kind: &str) -> Value {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gitops.md");
    let page = fs::read_to_string(page).expect("read the page");
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut objects: Vec<Value> = blocks
        .flat_map(|block| serde_saphyr::from_multiple::<Value>(block).expect("YAML"))
        .filter(|object| object["kind"] == kind && object["apiVersion"] != "kustomize.config.k8s.io/v1beta1")
        .collect();
    assert_eq!(objects.len(), 1, "one {kind} in docs/gitops.md");
    objects.remove(0)
}

/// A JobRequest as it lies in Git, without a namespace.
fn in_git(spec: &Value) -> Value {
    json!({
        "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest",
        "metadata": {"name": "nightly"}, "spec": spec
    })
}

async fn flux_makes_a_run_of_a_change_and_none_of_twenty_reconciles(cx: Arc<Cluster>) {
    let flux = Flux::start(&cx, "flux").await;
    let at = &flux.at;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let witness = Witness::of(at).await;
    let mut wanted = spec(&json!({"run-seconds": "4"}), &json!({}));
    flux.push(&[("nightly.yaml", &in_git(&wanted))]).await;
    // With no more rights than the page says.
    let role = cx.log("role.json");
    let mut wanted_role = documented("Role");
    wanted_role["metadata"]["namespace"] = json!(at.namespace.name());
    fs::write(&role, wanted_role.to_string()).unwrap();
    let kubectl = |arguments: &[&str]| cx.kubectl(&[&["-n", at.namespace.name()], arguments].concat());
    kubectl(&["apply", "-f", &role.display().to_string()]);
    kubectl(&["create", "serviceaccount", "flux"]);
    let account = format!("{}:flux", at.namespace.name());
    kubectl(&["create", "rolebinding", "flux", "--role=jobrequest-applier", "--serviceaccount", &account]);
    flux.apply_kustomization(Some("flux")).await;

    // It is not healthy while the run is going.
    flux.until("waits for the run", |status| condition(status, "Healthy") == "Unknown Progressing").await;
    at.until_phase("nightly", 1, "Running").await;
    let going = flux.kustomizations().get("jobs").await.unwrap();
    let going = serde_json::to_value(going).unwrap()["status"].clone();
    assert_eq!(condition(&going, "Ready"), "Unknown Progressing", "{going:#}");
    flux.until("is healthy", |status| condition(status, "Healthy") == "True Succeeded").await;
    assert_eq!(at.get("nightly").await["status"]["phase"], "Completed");

    // A new image in Git is run 2, and health is that of run 2.
    wanted["containers"][0]["image"] = json!("perl:5.40");
    let revision = flux.push(&[("nightly.yaml", &in_git(&wanted))]).await;
    flux.until_applied(&revision).await;
    let status = at.get("nightly").await["status"].clone();
    assert_eq!((&status["phase"], &status["run"]), (&json!("Completed"), &json!(2)), "{status:#}");
    assert_eq!(at.job_names().await, ["nightly-1", "nightly-2"]);

    // Nothing changed: nothing happens. The operator's events of run 2 may be a moment late.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    for number in 0..20 {
        flux.reconcile(&format!("again-{number}")).await;
    }
    let calls = audit.since(mark).await.namespace(at.namespace.name());
    let by_operator = calls.user_agent("jobrequest/").writes();
    let by_flux = calls.user_agent(CONTROLLER).resource("jobrequests.jobrequest.dev");
    println!(
        "figure: 20 reconciles of Flux with nothing changed: {} writes of the operator (0), {} calls of Flux about the JobRequest",
        by_operator.count(),
        by_flux.count()
    );
    assert_eq!(by_operator.count(), 0, "{by_operator}");
    assert!(by_flux.count() >= 20, "Flux did look at it: {by_flux}");
    assert_eq!(at.get("nightly").await["status"], status);
    witness.saw_exactly(["nightly-1", "nightly-2"].map(str::to_owned));

    // A rerun by hand. Flux takes away what kubectl wrote and Git does not have; that is no further rerun.
    kubectl(&["annotate", "jobrequest/nightly", "jobrequest.dev/rerun=by-hand", "--overwrite"]);
    let status = at.until_phase("nightly", 3, "Completed").await;
    flux.reconcile("after-rerun").await;
    flux.reconcile("after-rerun-again").await;
    let now = at.get("nightly").await;
    println!("figure: after Flux came by, the annotations are {}", now["metadata"]["annotations"]);
    assert_eq!(now["status"], status);
    witness.saw_exactly(["nightly-1", "nightly-2", "nightly-3"].map(str::to_owned));

    // Taken out of Git, all of it goes: request, Jobs, pods. So does what is left with the Kustomization itself.
    let revision = flux.push(&[("README.md", &json!("Nothing to run"))]).await;
    flux.until_applied(&revision).await;
    all_gone(at).await;
    let revision = flux.push(&[("nightly.yaml", &in_git(&wanted))]).await;
    flux.until_applied(&revision).await;
    assert_eq!(at.get("nightly").await["status"]["run"], 1, "a new request counts from one");
    flux.kustomizations().delete("jobs", &DeleteParams::default()).await.unwrap();
    eventually(DEADLINE, "the Kustomization is gone", async || {
        flux.kustomizations().get_opt("jobs").await.unwrap().is_none().then_some(())
    })
    .await;
    all_gone(at).await;
}

async fn all_gone(at: &Requests) {
    let pods: Api<Pod> = at.namespace.api(&at.client);
    eventually(DEADLINE, "request, Jobs and pods are gone", async || {
        let pods = pods.list(&ListParams::default()).await.unwrap().items.len();
        let left = (at.exists("nightly").await, at.job_names().await, pods);
        if left == (false, Vec::new(), 0) { Ok(()) } else { Err(left) }
    })
    .await;
}

async fn flux_fails_fast_with_the_run_and_recovers(cx: Arc<Cluster>) {
    let flux = Flux::start(&cx, "flux-fails").await;
    let at = &flux.at;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let broken = spec(&json!({"exit-code": "3"}), &json!({"settings": {"backoffLimit": 0}}));
    flux.push(&[("nightly.yaml", &in_git(&broken))]).await;
    flux.apply_kustomization(None).await;
    // Its timeout is an hour, longer than anything here waits.
    let status = flux
        .until("fails with the run", |status| condition(status, "Ready") == "False HealthCheckFailed")
        .await;
    let conditions = status["conditions"].as_array().unwrap();
    let message = conditions.iter().find(|c| c["type"] == "Ready").unwrap()["message"].as_str().unwrap();
    println!("figure: Flux on a failed run: {message}");
    assert!(message.contains("JobRequest") && message.contains("status: 'Failed'"), "{message}");
    assert_eq!(at.get("nightly").await["status"]["phase"], "Failed");

    // Fixed in Git, it becomes healthy with the next run.
    let revision = flux.push(&[("nightly.yaml", &in_git(&spec(&json!({}), &json!({}))))]).await;
    flux.until_applied(&revision).await;
    let status = at.get("nightly").await["status"].clone();
    assert_eq!((&status["phase"], &status["run"]), (&json!("Completed"), &json!(2)), "{status:#}");
}

async fn ttl(cx: Arc<Cluster>) {
    let flux = Flux::start(&cx, "flux-ttl").await;
    let at = &flux.at;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let witness = Witness::of(at).await;
    let wanted = spec(&json!({}), &json!({"settings": {"ttlSecondsAfterFinished": 1}}));
    let revision = flux.push(&[("nightly.yaml", &in_git(&wanted))]).await;
    flux.apply_kustomization(None).await;
    flux.until_applied(&revision).await;
    eventually(BEYOND_GRACE, "the Job is deleted by TTL", async || {
        let names = at.job_names().await;
        if names.is_empty() { Ok(()) } else { Err(names) }
    })
    .await;
    let status = at.get("nightly").await["status"].clone();
    for number in 0..5 {
        flux.reconcile(&format!("gone-{number}")).await;
    }
    // Another commit which changes something else applies everything anew.
    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}});
    let revision = flux.push(&[("nightly.yaml", &in_git(&wanted)), ("other.yaml", &other)]).await;
    flux.until_applied(&revision).await;
    assert_eq!(at.get("nightly").await["status"], status, "the record stays");
    witness.saw_exactly(["nightly-1".to_owned()]);
}
