//! The platform itself: plain Jobs through every pod behaviour that stages/ can simulate.
//!
//! These keep the simulation honest. A stage which ends in another state than a real kubelet would is found
//! here, and not in a test of the operator that believed it.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};

use crate::support::{Cluster, DEADLINE, Namespace, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        completes,
        slow_pull_completes,
        run_seconds_forever_stays_running,
        exit_code_exceeds_the_backoff_limit,
        out_of_memory,
        command_cannot_start,
        image_never_comes,
        image_name_is_invalid,
        pull_hangs_until_the_job_deadline,
        configuration_is_missing,
        job_deadline_while_running,
        pod_deadline_while_running,
        eviction,
        restarts_in_place,
        one_index_fails,
        second_container_fails,
        second_container_never_pulls,
        init_containers_and_sidecar,
        init_container_fails,
        init_container_never_pulls,
        deletion_takes_a_pod_in_mid_pull,
        deletion_waits_for_a_slow_container,
        audit_counts_requests,
    ]
}

async fn completes(cx: Arc<Cluster>) {
    let run = Run::start(&cx, json!({}), json!({})).await;
    assert_eq!(run.end().await, "Complete CompletionsReached");
    let pod = run.pod().await;
    assert_eq!(phase(&pod), "Succeeded");
    assert_eq!(
        conditions(&pod),
        "PodReadyToStartContainers=False/PodSandboxNotReady Initialized=True/PodCompleted \
         Ready=False/PodCompleted ContainersReady=False/PodCompleted PodScheduled=True/"
    );
    let container = container(&pod, "main");
    assert_eq!(state(&container), "terminated Completed 0");
    assert_eq!(container.image, "docker.io/library/perl:5.32");
    assert!(container.container_id.unwrap().starts_with("containerd://"));
    let ended = container.state.unwrap().terminated.unwrap();
    assert!(ended.started_at.is_some() && ended.finished_at.is_some());
}

async fn slow_pull_completes(cx: Arc<Cluster>) {
    let run = Run::start(&cx, json!({"pull": "slow", "pull-seconds": "3"}), json!({})).await;
    let pod = run.pod_in("main", "waiting ContainerCreating").await;
    assert_eq!(phase(&pod), "Pending");
    assert_eq!(run.end().await, "Complete CompletionsReached");
}

async fn run_seconds_forever_stays_running(cx: Arc<Cluster>) {
    let run = Run::start(&cx, json!({"run-seconds": "forever"}), json!({})).await;
    let pod = run.pod_in("main", "running").await;
    assert_eq!(phase(&pod), "Running");
    assert_eq!(
        conditions(&pod),
        "PodReadyToStartContainers=True/ Initialized=True/ Ready=True/ ContainersReady=True/ PodScheduled=True/"
    );
    let container = container(&pod, "main");
    assert!(container.ready && container.started == Some(true));
    eventually(DEADLINE, "the Job counts a ready pod", async || {
        match run.job().await.status.unwrap_or_default() {
            status if status.ready == Some(1) && status.active == Some(1) => Ok(()),
            status => Err(status),
        }
    })
    .await;
}

async fn exit_code_exceeds_the_backoff_limit(cx: Arc<Cluster>) {
    let run =
        Run::start(&cx, json!({"exit-code": "3", "termination-message": "no such table"}), json!({})).await;
    assert_eq!(run.end().await, "Failed BackoffLimitExceeded");
    let pod = run.pod().await;
    assert_eq!(phase(&pod), "Failed");
    assert_eq!(
        conditions(&pod),
        "PodReadyToStartContainers=False/PodSandboxNotReady Initialized=True/ \
         Ready=False/PodFailed ContainersReady=False/PodFailed PodScheduled=True/"
    );
    let container = container(&pod, "main");
    assert_eq!(state(&container), "terminated Error 3");
    assert_eq!(container.state.unwrap().terminated.unwrap().message.unwrap(), "no such table");
}

async fn out_of_memory(cx: Arc<Cluster>) {
    let run = Run::start(&cx, json!({"oom": "true"}), json!({})).await;
    assert_eq!(run.end().await, "Failed BackoffLimitExceeded");
    assert_eq!(state(&container(&run.pod().await, "main")), "terminated OOMKilled 137");
}

async fn command_cannot_start(cx: Arc<Cluster>) {
    let run = Run::start(&cx, json!({"start": "error"}), json!({})).await;
    assert_eq!(run.end().await, "Failed BackoffLimitExceeded");
    let container = container(&run.pod().await, "main");
    assert_eq!(state(&container), "terminated StartError 128");
    let ended = container.state.unwrap().terminated.unwrap();
    assert_eq!(ended.started_at.unwrap().0.as_second(), 0);
    assert!(ended.message.unwrap().contains("executable file not found in $PATH"));
}

async fn image_never_comes(cx: Arc<Cluster>) {
    let run = Run::start(&cx, json!({"pull": "never"}), json!({})).await;
    let pod = run.pod_in("main", "waiting ImagePullBackOff").await;
    assert_eq!(phase(&pod), "Pending");
    assert_eq!(
        conditions(&pod),
        "PodReadyToStartContainers=True/ Initialized=True/ \
         Ready=False/ContainersNotReady ContainersReady=False/ContainersNotReady PodScheduled=True/"
    );
    // Word for word what a kubelet of this version said.
    assert_eq!(
        waiting_message(&container(&pod, "main")),
        "Back-off pulling image \"perl:5.32\": ErrImagePull: rpc error: code = NotFound desc = failed to pull and \
         unpack image \"docker.io/library/perl:5.32\": failed to resolve image: docker.io/library/perl:5.32: not found"
    );
    let status = run.job().await.status.unwrap();
    assert_eq!((status.active, status.ready, status.failed), (Some(1), Some(0), None));
    assert!(status.conditions.is_none());
}

async fn image_name_is_invalid(cx: Arc<Cluster>) {
    let run = Run::start(&cx, json!({"pull": "badname"}), json!({})).await;
    let pod = run.pod_in("main", "waiting InvalidImageName").await;
    assert_eq!(phase(&pod), "Pending");
}

async fn pull_hangs_until_the_job_deadline(cx: Arc<Cluster>) {
    let run = Run::start(&cx, json!({"pull": "hang"}), json!({"activeDeadlineSeconds": 3})).await;
    run.pod_in("main", "waiting ContainerCreating").await;
    assert_eq!(run.end().await, "Failed DeadlineExceeded");
    run.no_pods().await;
}

async fn configuration_is_missing(cx: Arc<Cluster>) {
    let run = Run::start_pod(
        &cx,
        json!({"config": "missing"}),
        json!({}),
        json!({"containers": [{
            "name": "main", "image": "perl:5.32", "envFrom": [{"configMapRef": {"name": "settings"}}],
        }]}),
    )
    .await;
    let pod = run.pod_in("main", "waiting CreateContainerConfigError").await;
    assert_eq!(phase(&pod), "Pending");
    assert_eq!(waiting_message(&container(&pod, "main")), "configmap \"settings\" not found");
}

async fn job_deadline_while_running(cx: Arc<Cluster>) {
    let run = Run::start(&cx, json!({"run-seconds": "forever"}), json!({"activeDeadlineSeconds": 3})).await;
    assert_eq!(run.end().await, "Failed DeadlineExceeded");
    run.no_pods().await;
}

async fn pod_deadline_while_running(cx: Arc<Cluster>) {
    let run = Run::start_pod(
        &cx,
        json!({"run-seconds": "forever"}),
        json!({}),
        json!({"activeDeadlineSeconds": 2}),
    )
    .await;
    assert_eq!(run.end().await, "Failed BackoffLimitExceeded");
    let pod = run.pod().await;
    let status = pod.status.clone().unwrap();
    assert_eq!(status.reason.unwrap(), "DeadlineExceeded");
    assert_eq!(status.message.unwrap(), "Pod was active on the node longer than the specified deadline");
    assert_eq!(state(&container(&pod, "main")), "terminated Error 137");
}

async fn eviction(cx: Arc<Cluster>) {
    let run = Run::start(&cx, json!({"evict": "true"}), json!({})).await;
    assert_eq!(run.end().await, "Failed BackoffLimitExceeded");
    let pod = run.pod().await;
    assert_eq!(pod.status.clone().unwrap().reason.unwrap(), "Evicted");
    assert!(conditions(&pod).contains("DisruptionTarget=True/TerminationByKubelet"), "{}", conditions(&pod));
}

async fn restarts_in_place(cx: Arc<Cluster>) {
    let run = Run::start_pod(
        &cx,
        json!({"exit-code": "2"}),
        json!({"backoffLimit": 2}),
        json!({"restartPolicy": "OnFailure"}),
    )
    .await;
    let pod = run.pod_in("main", "waiting CrashLoopBackOff").await;
    assert_eq!(phase(&pod), "Running");
    let last = container(&pod, "main").last_state.unwrap().terminated.unwrap();
    assert_eq!((last.reason.unwrap().as_str(), last.exit_code), ("Error", 2));
    assert_eq!(run.end().await, "Failed BackoffLimitExceeded");
}

async fn one_index_fails(cx: Arc<Cluster>) {
    let run = Run::start(
        &cx,
        json!({"exit-code": "9", "fail-indexes": "1"}),
        json!({"completionMode": "Indexed", "completions": 3, "parallelism": 3, "backoffLimitPerIndex": 0,
               "backoffLimit": null}),
    )
    .await;
    assert_eq!(run.end().await, "Failed FailedIndexes");
    let status = run.job().await.status.unwrap();
    assert_eq!(
        (status.completed_indexes.as_deref(), status.failed_indexes.as_deref()),
        (Some("0,2"), Some("1"))
    );
}

/// Two containers, from registries of two kinds.
fn two_containers() -> Value {
    json!({"containers": [{"name": "first", "image": "quay.io/example/first:v1"},
                          {"name": "second", "image": "example/second"}]})
}

async fn second_container_fails(cx: Arc<Cluster>) {
    let run =
        Run::start_pod(&cx, json!({"container": "second", "exit-code": "5"}), json!({}), two_containers())
            .await;
    assert_eq!(run.end().await, "Failed BackoffLimitExceeded");
    let pod = run.pod().await;
    assert_eq!(state(&container(&pod, "first")), "terminated Completed 0");
    assert_eq!(state(&container(&pod, "second")), "terminated Error 5");
    assert_eq!(container(&pod, "first").image, "quay.io/example/first:v1");
    assert_eq!(container(&pod, "second").image, "docker.io/example/second");
}

async fn second_container_never_pulls(cx: Arc<Cluster>) {
    let run =
        Run::start_pod(&cx, json!({"container": "second", "pull": "never"}), json!({}), two_containers())
            .await;
    let pod = run.pod_in("second", "waiting ImagePullBackOff").await;
    assert_eq!(state(&container(&pod, "first")), "running");
    assert_eq!(phase(&pod), "Pending");
}

/// An init container, a sidecar and a second init container before the main one.
fn init_containers() -> Value {
    json!({
        "initContainers": [{"name": "prepare", "image": "busybox"},
                           {"name": "sidecar", "image": "envoy:1", "restartPolicy": "Always"},
                           {"name": "migrate", "image": "busybox"}],
    })
}

async fn init_containers_and_sidecar(cx: Arc<Cluster>) {
    let run = Run::start_pod(&cx, json!({"run-seconds": "2"}), json!({}), init_containers()).await;
    let pod = run.pod_in("main", "running").await;
    assert_eq!(state(&container(&pod, "prepare")), "terminated Completed 0");
    assert_eq!(state(&container(&pod, "migrate")), "terminated Completed 0");
    assert_eq!(state(&container(&pod, "sidecar")), "running");
    assert_eq!(container(&pod, "sidecar").started, Some(true));
    assert_eq!(run.end().await, "Complete CompletionsReached");
    let pod = run.pod().await;
    assert_eq!(phase(&pod), "Succeeded");
    assert_eq!(state(&container(&pod, "sidecar")), "terminated Completed 0");
}

async fn init_container_fails(cx: Arc<Cluster>) {
    let run =
        Run::start_pod(&cx, json!({"container": "migrate", "exit-code": "7"}), json!({}), init_containers())
            .await;
    assert_eq!(run.end().await, "Failed BackoffLimitExceeded");
    let pod = run.pod().await;
    assert_eq!(phase(&pod), "Failed");
    assert_eq!(state(&container(&pod, "migrate")), "terminated Error 7");
    assert_eq!(state(&container(&pod, "sidecar")), "terminated Completed 0");
    assert_eq!(state(&container(&pod, "main")), "waiting PodInitializing");
}

async fn init_container_never_pulls(cx: Arc<Cluster>) {
    let run =
        Run::start_pod(&cx, json!({"container": "migrate", "pull": "never"}), json!({}), init_containers())
            .await;
    let pod = run.pod_in("migrate", "waiting ImagePullBackOff").await;
    assert_eq!(state(&container(&pod, "prepare")), "terminated Completed 0");
    assert_eq!(state(&container(&pod, "main")), "waiting PodInitializing");
    assert!(conditions(&pod).contains("Initialized=False/ContainersNotInitialized"), "{}", conditions(&pod));
}

async fn deletion_takes_a_pod_in_mid_pull(cx: Arc<Cluster>) {
    let run = Run::start(&cx, json!({"pull": "hang"}), json!({})).await;
    run.pod_in("main", "waiting ContainerCreating").await;
    run.jobs.delete(NAME, &DeleteParams::foreground()).await.unwrap();
    // The Job goes last in a foreground deletion, and the pods' finalizers are its controller's to remove.
    run.gone().await;
    run.no_pods().await;
}

async fn deletion_waits_for_a_slow_container(cx: Arc<Cluster>) {
    let run = Run::start(
        &cx,
        json!({"run-seconds": "forever", "terminate-seconds": "3"}),
        json!({"podReplacementPolicy": "Failed"}),
    )
    .await;
    let pod = run.pod_in("main", "running").await;
    run.pods.delete(pod.metadata.name.as_deref().unwrap(), &DeleteParams::default()).await.unwrap();
    eventually(DEADLINE, "the Job counts a terminating pod", async || {
        match run.job().await.status.unwrap_or_default() {
            status if status.terminating == Some(1) => Ok(()),
            status => Err(status),
        }
    })
    .await;
    assert_eq!(run.end().await, "Failed BackoffLimitExceeded");
}

async fn audit_counts_requests(cx: Arc<Cluster>) {
    let audit = cx.audit().await;
    let before = audit.mark().await;
    let run = Run::start(&cx, json!({}), json!({})).await;
    assert_eq!(run.end().await, "Complete CompletionsReached");
    let requests = audit.since(before).await.namespace(run.namespace.name());
    assert_eq!(requests.verb("create").resource("jobs.batch").count(), 1, "{requests}");
    // The pod is the Job controller's own, made under its own account.
    let controller = requests.user("system:serviceaccount:kube-system:job-controller");
    assert_eq!(controller.verb("create").resource("pods").count(), 1, "{requests}");
    assert!(controller.resource("jobs.batch/status").writes().count() > 0, "{requests}");

    let after = audit.mark().await;
    run.job().await;
    // Events of what was before may still come.
    let requests = audit.since(after).await.namespace(run.namespace.name()).resource("jobs.batch");
    assert_eq!((requests.count(), requests.verb("get").count()), (1, 1), "{requests}");
}

/// The name of the one Job in each namespace.
const NAME: &str = "run";

/// A plain Job, alone in its namespace.
struct Run {
    namespace: Namespace,
    jobs: Api<Job>,
    pods: Api<Pod>,
}

impl Run {
    /// One container; `annotations` are the pod's, without prefix; `spec` is merged into the Job's spec.
    async fn start(cx: &Cluster, annotations: Value, spec: Value) -> Self {
        Self::start_pod(cx, annotations, spec, json!({})).await
    }

    /// The same, and `pod` is merged into the pod's spec.
    async fn start_pod(cx: &Cluster, annotations: Value, spec: Value, pod: Value) -> Self {
        let namespace = cx.namespace("platform").await;
        let client = cx.client().await;
        let annotations: serde_json::Map<String, Value> = annotations
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (format!("sim.jobrequest.dev/{key}"), value.clone()))
            .collect();
        let mut job = json!({
            "metadata": {"name": NAME},
            "spec": {
                "backoffLimit": 0,
                "template": {
                    "metadata": {"annotations": annotations},
                    "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "perl:5.32"}]},
                },
            },
        });
        merge(&mut job["spec"], spec);
        merge(&mut job["spec"]["template"]["spec"], pod);
        let run = Self { jobs: namespace.api(&client), pods: namespace.api(&client), namespace };
        let job = serde_json::from_value(job).unwrap();
        run.jobs.create(&PostParams::default(), &job).await.unwrap();
        run
    }

    async fn job(&self) -> Job {
        self.jobs.get(NAME).await.unwrap()
    }

    /// Its last condition, with the reason, once it has ended.
    async fn end(&self) -> String {
        eventually(DEADLINE, "the Job ends", async || {
            let status = self.job().await.status.unwrap_or_default();
            let ended = (status.conditions.iter().flatten())
                .find(|c| c.status == "True" && (c.type_ == "Complete" || c.type_ == "Failed"));
            match ended {
                Some(condition) => {
                    Ok(format!("{} {}", condition.type_, condition.reason.as_deref().unwrap_or_default()))
                }
                None => Err(status.clone()),
            }
        })
        .await
    }

    /// The one pod.
    async fn pod(&self) -> Pod {
        let mut pods = self.pods.list(&ListParams::default()).await.unwrap().items;
        assert_eq!(pods.len(), 1);
        pods.remove(0)
    }

    /// A pod of which a container is in a state, in the words of [`state`].
    async fn pod_in(&self, name: &str, wanted: &str) -> Pod {
        eventually(DEADLINE, &format!("container {name} is {wanted}"), async || {
            let pods = self.pods.list(&ListParams::default()).await.unwrap().items;
            let found =
                pods.iter().find(|pod| statuses(pod).iter().any(|c| c.name == name && state(c) == wanted));
            found.cloned().ok_or_else(|| pods.iter().map(statuses).collect::<Vec<_>>())
        })
        .await
    }

    async fn no_pods(&self) {
        eventually(DEADLINE, "no pod is left", async || {
            let pods = self.pods.list(&ListParams::default()).await.unwrap().items;
            if pods.is_empty() { Ok(()) } else { Err(pods) }
        })
        .await;
    }

    async fn gone(&self) {
        eventually(DEADLINE, "the Job is gone", async || match self.jobs.get_opt(NAME).await.unwrap() {
            None => Ok(()),
            Some(job) => Err(job.metadata),
        })
        .await;
    }
}

fn merge(into: &mut Value, from: Value) {
    let Value::Object(from) = from else { panic!("not an object") };
    for (key, value) in from {
        into[key] = value;
    }
}

fn phase(pod: &Pod) -> String {
    pod.status.as_ref().unwrap().phase.clone().unwrap()
}

/// TYPE=STATUS/REASON of each condition.
fn conditions(pod: &Pod) -> String {
    let conditions = pod.status.as_ref().unwrap().conditions.iter().flatten();
    let words: Vec<String> = conditions
        .map(|c| format!("{}={}/{}", c.type_, c.status, c.reason.as_deref().unwrap_or_default()))
        .collect();
    words.join(" ")
}

/// The statuses of all containers, init containers first.
fn statuses(pod: &Pod) -> Vec<ContainerStatus> {
    let Some(status) = &pod.status else { return Vec::new() };
    status.init_container_statuses.iter().chain(&status.container_statuses).flatten().cloned().collect()
}

fn container(pod: &Pod, name: &str) -> ContainerStatus {
    statuses(pod).into_iter().find(|status| status.name == name).unwrap()
}

/// `waiting REASON`, `running` or `terminated REASON CODE`.
fn state(container: &ContainerStatus) -> String {
    let state = container.state.clone().unwrap_or_default();
    if let Some(waiting) = state.waiting {
        format!("waiting {}", waiting.reason.unwrap_or_default())
    } else if state.running.is_some() {
        "running".to_owned()
    } else if let Some(ended) = state.terminated {
        format!("terminated {} {}", ended.reason.unwrap_or_default(), ended.exit_code)
    } else {
        "unknown".to_owned()
    }
}

fn waiting_message(container: &ContainerStatus) -> String {
    container.state.clone().unwrap().waiting.unwrap().message.unwrap()
}
