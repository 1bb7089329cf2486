//! `jobrequest self-test`: runs one JobRequest on a real cluster, from its creation to its end. `helm test` calls it.
//!
//! Takes a namespace and an image; prints each state to stdout and deletes the JobRequest afterwards. It needs from the
//! cluster what a user needs: the CRD, admission, a running operator, a node that runs a pod.

use std::time::{Duration, Instant};

use clap::Args;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::json;

use super::cluster::{answer, runtime};
use super::duration::duration;
use super::error::CliError;
use super::outcome::Verdict;
use super::output::print;
use crate::api::condition::ConditionType;
use crate::api::{JobRequest, labels};

/// Pause between two polls.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Arguments of `self-test`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Namespace of the JobRequest
    #[arg(short, long, default_value = "default")]
    namespace: String,
    /// Image whose entrypoint accepts --version: the operator's own
    #[arg(long)]
    image: String,
    /// How long to wait for the run to finish
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: Duration,
}

/// Runs the self-test; valid if the run completed.
pub(super) fn run(arguments: &Arguments) -> Result<Verdict, CliError> {
    runtime()?.block_on(async {
        let advice = "set KUBECONFIG, or run in one";
        let config = Config::infer().await.map_err(|source| CliError::NoCluster { advice, source })?;
        let client = Client::try_from(config).map_err(CliError::Client)?;
        let requests = Api::namespaced(client, &arguments.namespace);
        let created =
            answer("create a JobRequest", requests.create(&PostParams::default(), &request(arguments)?))
                .await?;
        let name = created.name_any();
        print(&format!("jobrequest/{name} created in namespace {}\n", arguments.namespace))?;
        let outcome = follow(&requests, &name, arguments.timeout).await;
        // Even after a failure, whose cause has been printed.
        answer("delete the JobRequest", requests.delete(&name, &DeleteParams::background())).await?;
        print(&format!("jobrequest/{name} deleted\n"))?;
        outcome
    })
}

/// Meets the Pod Security Standard restricted, a quota and a limit range, so that it runs in any namespace.
fn request(arguments: &Arguments) -> Result<JobRequest, CliError> {
    let amount = json!({"cpu": "100m", "memory": "32Mi"});
    let request = json!({
        "apiVersion": labels::API_VERSION,
        "kind": "JobRequest",
        "metadata": {"generateName": "self-test-"},
        "spec": {
            "alias": "self-test",
            "description": "Created by `jobrequest self-test`, and deleted by it",
            "settings": {"backoffLimit": 0, "activeDeadlineSeconds": arguments.timeout.as_secs()},
            "podSecurity": "restricted",
            "containers": [{
                "name": "main",
                "image": arguments.image,
                "args": ["--version"],
                "resources": {"requests": amount, "limits": amount},
            }],
        },
    });
    serde_json::from_value(request).map_err(|error| CliError::Json("the JobRequest", error))
}

/// Prints every state until the run finishes, or until `timeout`.
async fn follow(requests: &Api<JobRequest>, name: &str, timeout: Duration) -> Result<Verdict, CliError> {
    let began = Instant::now();
    let mut shown = String::new();
    loop {
        let request = answer("get the JobRequest", requests.get(name)).await?;
        let state = state(&request);
        if state != shown {
            print(&format!("  {state}\n"))?;
            shown = state;
        }
        if let Some(verdict) = verdict(&request) {
            print(&conditions(&request))?;
            return Ok(verdict);
        }
        if began.elapsed() >= timeout {
            print(&conditions(&request))?;
            print(&format!(
                "did not finish within {} s; is the operator running? Check its log and its Lease\n",
                timeout.as_secs()
            ))?;
            return Ok(Verdict::Invalid);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Phase, reason and message in one line.
fn state(request: &JobRequest) -> String {
    let Some(status) = request.status.as_ref() else {
        return "no status yet".to_owned();
    };
    let Some(phase) = status.phase else {
        return "no status yet".to_owned();
    };
    let ready = status.condition(ConditionType::Ready);
    match ready {
        Some(ready) if ready.reason != phase.as_str() => {
            format!("{phase} {}: {}", ready.reason, ready.message)
        }
        Some(ready) => format!("{phase}: {}", ready.message),
        None => phase.to_string(),
    }
}

/// The verdict, once there is one about the current spec.
fn verdict(request: &JobRequest) -> Option<Verdict> {
    let status = request.status.as_ref()?;
    let is_current = Some(status.observed_generation) == request.metadata.generation;
    let is_true = |type_: ConditionType| {
        status
            .conditions
            .iter()
            .any(|condition| condition.type_ == type_.as_str() && condition.status == "True")
    };
    if is_current && is_true(ConditionType::Stalled) {
        Some(Verdict::Invalid)
    } else if is_current && is_true(ConditionType::Finished) && is_true(ConditionType::Ready) {
        Some(Verdict::Valid)
    } else {
        None
    }
}

/// All conditions, one per line.
fn conditions(request: &JobRequest) -> String {
    let conditions = request.status.iter().flat_map(|status| &status.conditions);
    let lines: Vec<_> = conditions
        .map(|condition| {
            let (type_, status, reason) = (&condition.type_, &condition.status, &condition.reason);
            format!("  {type_:<20} {status:<6} {reason:<24} {}\n", condition.message)
        })
        .collect();
    lines.concat()
}
