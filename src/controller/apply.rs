//! Performs one [`Call`] with a deadline and returns the [`Answer`]. No rule of the domain lives here.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{DeleteParams, ListParams, Patch, Preconditions};
use kube::core::Status;
use kube::runtime::events::{Event as KubeEvent, EventType};
use kube::{Api, Resource};
use serde_json::json;
use tracing::{debug, info, warn};

use super::calls::{patch_params, post_params, within};
use super::context::Context;
use super::error::{Error, chain};
use crate::api::labels;
use crate::api::status::TemplatePin;
use crate::api::template_ref::{TemplateKind, TemplateRef};
use crate::reconcile::template_status::{ClusterJobTemplateView, JobTemplateView};
use crate::reconcile::{
    Answer, Call, Change, Event, JobView, Propagation, Read, Refusal, StoredRequest, StoredTemplate,
};

/// How many Jobs are listed at once: as many as runs are recorded.
const JOBS: u32 = 25;

/// Performs `call` for `request`.
///
/// # Errors
/// No answer, or one that is no answer to the question: the pass is to be dropped.
pub(super) async fn perform(
    context: &Context,
    request: &StoredRequest,
    call: &Call,
) -> Result<Answer, Error> {
    let (namespace, name) = (request.namespace(), request.name());
    let requests: Api<StoredRequest> = Api::namespaced(context.client.clone(), namespace);
    let jobs: Api<JobView> = Api::namespaced(context.client.clone(), namespace);
    match call {
        Call::Read(Read::Request) => {
            Ok(Answer::Request(get_request(context, namespace, name).await?.map(Box::new)))
        }
        Call::Read(Read::Job(job)) => {
            let found = within("get the Job", jobs.get_opt(job)).await?;
            Ok(Answer::Job(answer("get the Job", found)?.map(Box::new)))
        }
        Call::Read(Read::Jobs) => Ok(Answer::Jobs(list_jobs(context, &jobs, name).await?)),
        Call::Read(Read::Events(of)) => {
            let listed = within("list events", context.events.list(&context.client, namespace, of)).await;
            // They only add detail: a run continues without them, and is looked at again.
            let listed = match listed.and_then(|listed| answer("list events", listed)) {
                Ok(listed) => listed,
                Err(error) => {
                    warn!(error = %chain(&error), "could not list events, so the status may lack the cause of a run that is stuck");
                    None
                }
            };
            Ok(Answer::Events(listed))
        }
        Call::Read(Read::Template(template)) => {
            let what = "get the template";
            let found = within(what, get_template(context, namespace, template)).await?;
            Ok(Answer::Template(answer(what, found)?))
        }
        Call::Read(Read::Turn(template)) => Ok(Answer::Turn(context.turns.ask(request, template))),
        Call::Change(Change::Create { job, before }) => create(context, namespace, job, *before).await,
        Call::Change(Change::Patch { name, patch }) => {
            let patched =
                within("patch the Job", jobs.patch(name, &patch_params(), &Patch::Merge(patch))).await?;
            changed("patch the Job", name, patched, |job| Answer::Patched(Box::new(job)))
        }
        Call::Change(Change::Delete { name, uid, resource_version, propagation }) => {
            let judged =
                Preconditions { uid: Some(uid.clone()), resource_version: Some(resource_version.clone()) };
            info!(job = name, ?propagation, "deleting the Job");
            let how = match propagation {
                Propagation::Background => DeleteParams::background(),
                Propagation::Foreground => DeleteParams::foreground(),
            };
            let deleted = within("delete the Job", jobs.delete(name, &how.preconditions(judged))).await?;
            changed("delete the Job", name, deleted, |_| Answer::Done)
        }
        Call::WriteStatus { uid, resource_version, status } => {
            let body = json!({
                "apiVersion": labels::API_VERSION,
                "kind": "JobRequest",
                "metadata": {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": resource_version},
                "spec": {},
                "status": status,
            });
            debug!(phase = ?status.phase, run = status.run, "writing the status");
            let written = within(
                "write the status",
                requests.replace_subresource("status", name, &post_params(), &body),
            )
            .await?;
            match written {
                Err(kube::Error::Api(status)) if is_too_large(&status) => Ok(Answer::TooLarge),
                written => {
                    compared("write the status", written, |request| Answer::Written(Box::new(request)))
                }
            }
        }
        Call::Publish(event) => {
            publish(context, &request.object_ref(&()), event).await;
            Ok(Answer::Done)
        }
    }
}

/// The JobRequest as it is now.
pub(super) async fn get_request(
    context: &Context,
    namespace: &str,
    name: &str,
) -> Result<Option<StoredRequest>, Error> {
    let requests: Api<StoredRequest> = Api::namespaced(context.client.clone(), namespace);
    let what = "get the JobRequest";
    answer(what, within(what, requests.get_opt(name)).await?)
}

/// All Jobs that carry the name of `request`. Anybody may label a Job so, and make it long.
async fn list_jobs(context: &Context, jobs: &Api<JobView>, request: &str) -> Result<Vec<JobView>, Error> {
    let what = "list the Jobs";
    let mut page = ListParams::default().labels(&format!("{}={request}", labels::REQUEST)).limit(JOBS);
    let mut all = Vec::new();
    loop {
        // The semaphore is never closed.
        let one_at_a_time = context.lists.acquire().await;
        let listed = answer(what, within(what, jobs.list(&page)).await?)?;
        drop(one_at_a_time);
        all.extend(listed.items);
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page.continue_token = Some(token),
            None => return Ok(all),
        }
    }
}

/// What a run would note of a template.
async fn get_template(
    context: &Context,
    namespace: &str,
    template: &TemplateRef,
) -> Result<Option<TemplatePin>, kube::Error> {
    let client = context.client.clone();
    let found: Option<StoredTemplate> = match template.kind {
        TemplateKind::JobTemplate => Api::<JobTemplateView>::namespaced(client, namespace)
            .get_opt(&template.name)
            .await?
            .map(Into::into),
        TemplateKind::ClusterJobTemplate => {
            Api::<ClusterJobTemplateView>::all(client).get_opt(&template.name).await?.map(Into::into)
        }
    };
    Ok(found.map(|found| found.template.pin()))
}

async fn create(context: &Context, namespace: &str, job: &Job, before: Duration) -> Result<Answer, Error> {
    let what = "create the Job";
    let name = job.metadata.name.as_deref().unwrap_or_default();
    // The answer is read as a view: the Job that was sent is known.
    let request = kube::core::Request::new(Job::url_path(&(), Some(namespace)))
        .create(&post_params(), serde_json::to_vec(job).unwrap_or_default())
        .map_err(|error| Error::Api { what, source: Box::new(kube::Error::BuildRequest(error)) })?;
    // Checked right before sending: an old permit must not bring back a run that has been cleaned up.
    if context.clock().uptime >= before {
        return Ok(Answer::Late);
    }
    info!(job = name, "creating the Job");
    let created = within(what, context.create_client.request::<JobView>(request)).await?;
    match created {
        Ok(job) => Ok(Answer::Created(Box::new(job))),
        Err(kube::Error::Api(status)) if is_name_taken(&status, name) => Ok(Answer::NameTaken),
        Err(error) => refused(what, name, error),
    }
}

/// The object would be larger than what the API server, or its etcd, takes. The latter says so in its message alone.
fn is_too_large(status: &Status) -> bool {
    status.code == 413 || (status.code == 500 && status.message.contains("request is too large"))
}

/// A Job of this name exists. Other conflicts are refusals: several creates may contend for one ResourceQuota, which is
/// what their 409 is about.
fn is_name_taken(status: &Status, name: &str) -> bool {
    let about = status.details.as_ref().map_or("", |details| details.name.as_str());
    status.code == 409 && status.reason == "AlreadyExists" && (about.is_empty() || about == name)
}

/// Sends an event on the object `regarding`.
pub(super) async fn publish(context: &Context, regarding: &ObjectReference, event: &Event) {
    let sent = KubeEvent {
        type_: if event.is_warning() { EventType::Warning } else { EventType::Normal },
        reason: event.reason.to_string(),
        note: Some(event.note.chars().take(1000).collect()),
        action: event.action().to_owned(),
        secondary: event.job.as_ref().map(|job| ObjectReference {
            api_version: Some("batch/v1".to_owned()),
            kind: Some("Job".to_owned()),
            namespace: regarding.namespace.clone(),
            name: Some(job.name.clone()),
            uid: job.uid.clone(),
            ..ObjectReference::default()
        }),
    };
    // Without its note, which may hold what a container wrote.
    info!(reason = %event.reason, "sending an event");
    // An event is a courtesy: the status says the same. It is not worth a second reconcile.
    match within("send an event", context.recorder.publish(&sent, regarding)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(error = %chain(&error), "could not send an event"),
        Err(error) => warn!(error = %chain(&error), "could not send an event"),
    }
}

/// Any error is a failure.
fn answer<T>(what: &'static str, result: Result<T, kube::Error>) -> Result<T, Error> {
    result.map_err(|source| Error::Api { what, source: Box::new(source) })
}

/// Of a change of the Job `name`, every no is an answer.
fn changed<T>(
    what: &'static str,
    name: &str,
    result: Result<T, kube::Error>,
    done: impl FnOnce(T) -> Answer,
) -> Result<Answer, Error> {
    match compared(what, result, done) {
        Err(Error::Api { source, .. }) => refused(what, name, *source),
        other => other,
    }
}

/// A 4xx, or the 5xx of a webhook, says no to this change, whatever else it says. 401 is about this process.
fn refused(what: &'static str, name: &str, error: kube::Error) -> Result<Answer, Error> {
    match error {
        kube::Error::Api(status) if status.code >= 400 && status.code != 401 => {
            // Without its message, which may quote the Job; the JobRequest's status has it.
            info!(job = name, code = status.code, reason = status.reason, "could not {what}");
            let mut causes = status.details.iter().flat_map(|details| &details.causes);
            let names_fields = causes.any(|cause| !cause.field.is_empty());
            let refusal = Refusal::new(status.code, &status.reason, &status.message);
            Ok(Answer::Refused(Refusal { names_fields, ..refusal }))
        }
        source => Err(Error::Api { what, source: Box::new(source) }),
    }
}

/// 404 and 409 are answers: it is gone, or somebody wrote in between.
fn compared<T>(
    what: &'static str,
    result: Result<T, kube::Error>,
    done: impl FnOnce(T) -> Answer,
) -> Result<Answer, Error> {
    match result {
        Ok(value) => Ok(done(value)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Answer::Missing),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Answer::Conflict),
        Err(source) => Err(Error::Api { what, source: Box::new(source) }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_job_of_that_name_takes_the_name() {
        for (code, reason, details, is_taken) in [
            (409, "AlreadyExists", json!({"name": "a-1", "group": "batch", "kind": "jobs"}), true),
            (409, "AlreadyExists", json!(null), true),
            // As ResourceQuota admission answers when it has lost the race for the quota's usage.
            (409, "Conflict", json!({"name": "quota", "kind": "resourcequotas"}), false),
            (409, "AlreadyExists", json!({"name": "another", "kind": "locks"}), false),
            (403, "Forbidden", json!({"name": "a-1", "group": "batch", "kind": "jobs"}), false),
        ] {
            let status = json!({"status": "Failure", "code": code, "reason": reason, "details": details});
            let status: Status = serde_json::from_value(status).unwrap();
            assert_eq!(is_name_taken(&status, "a-1"), is_taken, "{status:?}");
        }
    }

    #[test]
    fn what_the_api_server_or_etcd_does_not_take_is_too_large() {
        for (code, message, is) in [
            (500, "etcdserver: request is too large", true),
            (413, "limit is 3145728", true),
            (500, "etcdserver: leader changed", false),
            (422, "request is too large", false),
        ] {
            let status: Status = serde_json::from_value(json!({"code": code, "message": message})).unwrap();
            assert_eq!(is_too_large(&status), is, "{code} {message}");
        }
    }
}
