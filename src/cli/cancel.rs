//! `jobrequest cancel`: ends active runs on purpose. The records stay, and say who asked.

use clap::Args;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use super::cluster::{Cluster, InNamespace, runtime};
use super::complete::requests;
use super::error::CliError;
use super::name::{RunName, run_name};
use super::outcome::Verdict;
use super::output::say;
use super::wait::Following;
use crate::api::condition::Reason;
use crate::api::labels;
use crate::api::status::Run;
use crate::follow::{How, Target};
use crate::reconcile::StoredRequest;

/// Arguments of `cancel`.
#[derive(Debug, Args)]
#[command(
    after_help = "The run ends with the result Cancelled; its Job and pods are deleted. What waits behind it starts \
    next; to prevent that, suspend the JobRequest first.\n\n\
    Exit codes:\n  \
    0    the run was cancelled, or had ended already; with --no-wait: the cancellation is asked for\n  \
    1    the run had another result before it could be cancelled\n  \
    2    it could not be cancelled\n  \
    3    the API server refused the request\n  \
    4    --timeout has passed; the run is still being cancelled\n  \
    5    the JobRequest was deleted meanwhile\n  \
    130  interrupted (143: terminated); the run is still being cancelled"
)]
pub(super) struct Arguments {
    /// Names of JobRequests, or NAME@N: cancel it only if its active run is N
    #[arg(required = true, value_name = "NAME", value_parser = run_name, add = requests())]
    names: Vec<RunName>,
    /// Return once the cancellation is asked for, without waiting for its end
    #[arg(long, conflicts_with = "timeout")]
    no_wait: bool,
    #[command(flatten)]
    following: Following,
    #[command(flatten)]
    cluster: InNamespace,
}

/// Asks to cancel the active run of each, then waits for their ends.
pub(super) fn run(arguments: &Arguments) -> Result<Verdict, CliError> {
    runtime()?.block_on(async {
        let cluster = Cluster::find_in(&arguments.cluster).await?;
        let who = who(&cluster).await;
        let mut asked = Vec::new();
        for RunName { name, run } in &arguments.names {
            let request: StoredRequest = cluster.request(name).await?;
            let Some((number, uid)) = active(&request, *run)? else { continue };
            let value = format!("{uid} {who}");
            cluster
                .patch(name, json!({"metadata": {"annotations": {labels::CANCEL: value.trim_end()}}}))
                .await?;
            say(&format!("jobrequest/{name}: run {number} is to be cancelled\n"));
            asked.push((name, Target::cancelled(&request, number)));
        }
        let mut verdict = Verdict::Valid;
        for (name, target) in asked.into_iter().filter(|_| !arguments.no_wait) {
            let ending = arguments.following.to_the_end_of(&cluster, name, target, say).await?;
            let is_cancelled = ending.how == How::Ended && ending.reason == Reason::Cancelled.as_str();
            verdict = verdict.and(match ending.how {
                _ if is_cancelled => Verdict::Valid,
                How::Completed => Verdict::Followed(How::Ended),
                how => Verdict::Followed(how),
            });
            if verdict.is_interrupted() {
                break;
            }
        }
        Ok(verdict)
    })
}

/// Number and Job of the active run, if it is the run that is meant.
///
/// # Errors
/// There is no such run, or it has no Job that could be deleted.
fn active(request: &StoredRequest, wanted: Option<i32>) -> Result<Option<(i32, String)>, CliError> {
    let (name, status) = (request.name(), request.known_status());
    let Some(run) = status.runs.iter().find(|run| wanted.is_none_or(|number| run.number == number)) else {
        return Err(CliError::Usage(match wanted {
            Some(number) => format!("jobrequest/{name} has no run {number}"),
            None => format!("jobrequest/{name} has not run yet"),
        }));
    };
    match run {
        Run { number, result: Some(result), .. } => {
            say(&format!("jobrequest/{name}: run {number} has ended: {result}\n"));
            Ok(None)
        }
        Run { number, job_uid: Some(uid), .. } => Ok(Some((*number, uid.clone()))),
        Run { number, .. } => Err(CliError::Usage(format!(
            "run {number} of jobrequest/{name} has no Job yet, so that there is nothing to delete; suspend the JobRequest to keep the run from starting"
        ))),
    }
}

/// The name by which the API server knows the user; empty if it does not say.
async fn who(cluster: &Cluster) -> String {
    let api: Api<SelfSubjectReview> = Api::all(cluster.client().clone());
    let (parameters, question) = (PostParams::default(), SelfSubjectReview::default());
    let call = api.create(&parameters, &question);
    let review = cluster.answer("ask who the user is", call).await.ok();
    let user = review.and_then(|review| review.status?.user_info?.username);
    user.unwrap_or_default()
}
