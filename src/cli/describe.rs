//! `jobrequest describe`: one JobRequest on a screen. State, why and hint come first; then its records, pods and events,
//! and what the user did not write.

use std::fmt::{Debug, Write as _};

use clap::Args;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::cluster::{Cluster, InNamespace, runtime};
use super::complete::requests;
use super::error::CliError;
use super::history;
use super::name::{RunName, run_name};
use super::outcome::Verdict;
use super::output::print;
use super::table::aligned;
use crate::api::condition::ConditionType;
use crate::api::failure::Failure;
use crate::api::{JobRequestStatus, labels};
use crate::printable::excerpt;
use crate::reconcile::StoredRequest;

/// Maximum number of records, pods and events each.
const MAX_LINES: usize = 10;

/// Arguments of `describe`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Name of a JobRequest, or NAME@N for its run N
    #[arg(value_parser = run_name, add = requests())]
    name: RunName,
    #[command(flatten)]
    cluster: InNamespace,
}

/// Prints it.
pub(super) fn run(arguments: &Arguments) -> Result<Verdict, CliError> {
    runtime()?.block_on(async {
        let cluster = Cluster::find_in(&arguments.cluster).await?;
        let RunName { name, run } = &arguments.name;
        let request: StoredRequest = cluster.request(name).await?;
        let status = request.known_status();
        let number = run.or(status.run);
        let mut text = head(&request, &status);
        if let Some(number) = run {
            text += &record(&status, *number)
                .ok_or_else(|| CliError::Usage(format!("jobrequest/{name} has no record of run {number}")))?;
        } else if !status.runs.is_empty() {
            text += &section(
                "Runs",
                &history::table(status.runs.get(..MAX_LINES).unwrap_or(&status.runs), false),
            );
        }
        if let Some(number) = number {
            let selector = format!("{}={name},{}={number}", labels::REQUEST, labels::RUN);
            let list = ListParams::default().labels(&selector).limit(100);
            text += &match some::<Pod>(&cluster, "pods", &list).await? {
                Ok(pods) if pods.is_empty() => section("Pods", "none; what they left is in the record\n"),
                Ok(pods) => section("Pods", &pod_table(&pods)),
                Err(refusal) => section("Pods", &format!("not shown: {refusal}\n")),
            };
        }
        let list = ListParams::default().fields(&format!("involvedObject.uid={}", request.uid())).limit(100);
        text += &match some::<Event>(&cluster, "events", &list).await? {
            Ok(events) if events.is_empty() => String::new(),
            Ok(events) => section("Events", &event_table(events)),
            Err(refusal) => section("Events", &format!("not shown: {refusal}\n")),
        };
        if run.is_none() && !status.defaulted.is_empty() {
            let lines: Vec<_> =
                status.defaulted.iter().map(|it| vec![it.path.clone(), it.origin.clone()]).collect();
            text += &section("Not written by the user", &aligned(&lines));
        }
        print(&text)?;
        Ok(Verdict::Valid)
    })
}

/// Objects of the namespace; or why they may not be listed, which leaves a section out.
async fn some<K>(cluster: &Cluster, what: &str, list: &ListParams) -> Result<Result<Vec<K>, String>, CliError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(cluster.client().clone(), &cluster.namespace);
    match cluster.answer(&format!("list the {what}"), api.list(list)).await {
        Ok(list) => Ok(Ok(list.items)),
        Err(CliError::Refused { code: 403, message, .. }) => Ok(Err(message)),
        Err(error) => Err(error),
    }
}

fn head(request: &StoredRequest, status: &JobRequestStatus) -> String {
    let mut lines = vec![("Name", format!("{} in namespace {}", request.name(), request.namespace()))];
    if let Some(spec) = request.whole_spec() {
        lines.extend(spec.alias.clone().map(|alias| ("Alias", alias)));
        lines.extend(spec.description.clone().map(|description| ("Description", description)));
    }
    let ready = status.condition(ConditionType::Ready);
    let phase = status.phase.map_or_else(|| "no status yet".to_owned(), |phase| phase.to_string());
    let reason = ready.map(|ready| ready.reason.clone()).filter(|reason| *reason != phase);
    let category = status.failure.as_ref().map(|failure| failure.category.to_string());
    let category = category.filter(|category| Some(category) != reason.as_ref());
    let words: Vec<_> = [Some(phase), reason, category].into_iter().flatten().collect();
    lines.push(("State", words.join(", ")));
    lines.extend(ready.map(|ready| ("Why", ready.message.clone())));
    if Some(status.observed_generation) != request.metadata.generation && status.phase.is_some() {
        lines.push(("Note", "the operator has not observed the newest spec yet".to_owned()));
    }
    lines.extend(status.failure.iter().flat_map(failure_lines));
    if let (Some(run), Some(job)) = (status.run, &status.job_name) {
        let pods = status.completions.as_ref().map(|pods| format!(", {pods} pods")).unwrap_or_default();
        let took = status.duration.as_ref().map(|took| format!(", took {took}")).unwrap_or_default();
        lines.push(("Run", format!("{run}, Job {job}{pods}{took}")));
    }
    for type_ in
        [ConditionType::ChangeRefused, ConditionType::PendingChanges, ConditionType::TemplateOutdated]
    {
        lines.extend(status.condition(type_).map(|condition| (type_.as_str(), condition.message.clone())));
    }
    let accepted = status.condition(ConditionType::Accepted).filter(|accepted| accepted.reason != "Valid");
    let accepted = accepted.filter(|accepted| ready.is_none_or(|ready| ready.message != accepted.message));
    lines.extend(accepted.map(|accepted| ("Accepted", accepted.message.clone())));
    fields(&lines)
}

fn failure_lines(failure: &Failure) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    lines.extend(failure.hint.clone().map(|hint| ("Hint", hint)));
    let place: Vec<_> = [("container", &failure.container), ("pod", &failure.pod), ("node", &failure.node)]
        .into_iter()
        .filter_map(|(what, name)| name.as_ref().map(|name| format!("{what} {name}")))
        .collect();
    if !place.is_empty() {
        lines.push(("Where", place.join(", ")));
    }
    lines
}

/// One run, by its record.
fn record(status: &JobRequestStatus, number: i32) -> Option<String> {
    let run = status.runs.iter().find(|run| run.number == number)?;
    let mut text = section(&format!("Run {number}"), &history::table(std::slice::from_ref(run), false));
    let mut lines = Vec::new();
    lines.extend(run.message.clone().map(|message| ("Message", message)));
    lines.extend(run.failure.iter().flat_map(failure_lines));
    lines.extend(
        run.failure.as_ref().and_then(|failure| failure.message.clone()).map(|it| ("Last output", it)),
    );
    text += &fields(&lines);
    Some(text)
}

fn fields(lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default() + 1;
    lines.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{:<width$}  {}", format!("{name}:"), excerpt(value));
        text
    })
}

fn section(title: &str, body: &str) -> String {
    let mut text = format!("\n{title}:\n");
    for line in body.lines() {
        let _ = writeln!(text, "  {line}");
    }
    text
}

fn pod_table(pods: &[Pod]) -> String {
    let mut lines = vec![["NAME", "PHASE", "REASON", "RESTARTS", "NODE"].map(ToOwned::to_owned).to_vec()];
    lines.extend(pods.iter().take(MAX_LINES).map(|pod| {
        let status = pod.status.clone().unwrap_or_default();
        let containers = status.container_statuses.unwrap_or_default();
        let restarts: i32 = containers.iter().map(|container| container.restart_count).sum();
        let all = || containers.iter().filter_map(|container| container.state.as_ref());
        let waiting = all().find_map(|state| state.waiting.as_ref()?.reason.clone());
        let ended = all().find_map(|state| state.terminated.as_ref()?.reason.clone());
        vec![
            pod.metadata.name.clone().unwrap_or_default(),
            status.phase.unwrap_or_default(),
            status.reason.or(waiting).or(ended).unwrap_or_default(),
            restarts.to_string(),
            pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        ]
    }));
    let mut text = aligned(&lines);
    if pods.len() > MAX_LINES {
        let _ = writeln!(text, "and {} more", pods.len() - MAX_LINES);
    }
    text
}

/// The newest last.
fn event_table(mut events: Vec<Event>) -> String {
    let time = |event: &Event| {
        let seen = event.event_time.as_ref().map(|time| time.0);
        seen.or(event.last_timestamp.as_ref().map(|time| time.0))
            .or(event.first_timestamp.as_ref().map(|time| time.0))
    };
    events.sort_by_key(time);
    let newest = events.len().saturating_sub(MAX_LINES);
    let lines = events.iter().skip(newest).map(|event| {
        vec![
            time(event).map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default(),
            event.type_.clone().unwrap_or_default(),
            event.reason.clone().unwrap_or_default(),
            event.message.clone().unwrap_or_default(),
        ]
    });
    aligned(&lines.collect::<Vec<_>>())
}
