//! An API server in memory, with one JobRequest name and the Jobs beside it.
//!
//! It keeps every version of every object, so that a cache may show any older one; answers are always current. It
//! compares and sets, gives out uids, refuses a name that is taken, checks preconditions and judges every write by
//! the [`Oracle`]. Garbage collector, Job controller, queue and users act on it as steps of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use jobrequest::api::template_ref::{TemplateKind, TemplateRef};
use jobrequest::api::{JobRequestStatus, JobTemplateSpec, labels};
use jobrequest::compile::{Layers, Template};
use jobrequest::reconcile::observed::Lenient;
use jobrequest::reconcile::{Answer, Call, Change, JobView, Read, Refusal, StoredRequest};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::mutant::Mutant;
use super::oracle::Oracle;
use super::spec::{Policy, Wish, program_of, token};
use crate::support::difference::patched;

/// The only JobRequest name.
pub const NAME: &str = "pi";
/// The only namespace.
pub const NAMESPACE: &str = "lab";

/// A Job as it is stored, without its pod template.
#[derive(Debug)]
pub struct StoredJob {
    pub value: Value,
    pub view: JobView,
}

impl StoredJob {
    fn new(value: Value) -> Self {
        let view = JobView::deserialize(&value);
        Self { value, view }
    }

    /// Caches watch by label: a Job whose labels were stripped is not in them.
    pub fn is_cached(&self) -> bool {
        let labels = &self.value["metadata"]["labels"];
        labels[labels::MANAGED_BY] == labels::FIELD_MANAGER && labels[labels::REQUEST] == NAME
    }

    pub fn is_suspended(&self) -> bool {
        self.view.spec.suspend == Some(true)
    }
}

/// Reads a view from the stored form, as the wire does.
trait FromStored {
    fn deserialize(value: &Value) -> Self;
}

impl FromStored for JobView {
    fn deserialize(value: &Value) -> Self {
        serde::Deserialize::deserialize(value).unwrap()
    }
}

/// How a user or the garbage collector deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// What the Job controller does next to a Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Start,
    Ready,
    Complete,
    Target,
    Fail,
}

/// What policies of the cluster refuse: creates (a quota), patches, deletes (a retention policy).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusing {
    pub creates: bool,
    pub patches: bool,
    pub deletes: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Server {
    /// Seconds since the beginning of the model, in milliseconds.
    pub now: u64,
    pub mutant: Option<Mutant>,
    /// What the living JobRequest's user wrote last.
    pub wish: Wish,
    /// Every version of the JobRequest name; `None`: absent.
    pub requests: Vec<Option<Rc<StoredRequest>>>,
    /// Every version of each Job name.
    pub jobs: BTreeMap<String, Vec<Option<Rc<StoredJob>>>>,
    /// Every version of the default template: uid and generation.
    pub templates: Vec<(String, i64)>,
    /// What the rerun annotation of the living JobRequest holds.
    pub annotation: u8,
    /// What policies of the cluster refuse.
    pub refusing: Refusing,
    /// How many changes were refused.
    pub refused: usize,
    pub oracle: Oracle,
    last: u64,
    /// Propagation of a JobRequest that is being deleted.
    propagation: Propagation,
}

impl Server {
    pub fn new(mutant: Option<Mutant>, ttl: Option<i32>, policy: Policy) -> Self {
        Self {
            now: 0,
            mutant,
            wish: Wish::new(ttl, policy),
            requests: vec![None],
            jobs: BTreeMap::new(),
            templates: vec![("template-1".to_owned(), 1)],
            annotation: 0,
            refusing: Refusing::default(),
            refused: 0,
            oracle: Oracle::new(policy == Policy::Limited),
            last: 100,
            propagation: Propagation::Background,
        }
    }

    /// The wall clock.
    pub fn wall(&self) -> Timestamp {
        let start = Timestamp::from_second(1_790_000_000).unwrap();
        start.checked_add(SignedDuration::from_millis(i64::try_from(self.now).unwrap())).unwrap()
    }

    fn second(&self) -> Value {
        json!(Timestamp::from_second(self.wall().as_second()).unwrap().to_string())
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The JobRequest now.
    pub fn request(&self) -> Option<&Rc<StoredRequest>> {
        self.requests.last().and_then(Option::as_ref)
    }

    /// The Job of this name now.
    pub fn job(&self, name: &str) -> Option<&Rc<StoredJob>> {
        self.jobs.get(name)?.last()?.as_ref()
    }

    /// All Jobs now.
    pub fn live_jobs(&self) -> impl Iterator<Item = &Rc<StoredJob>> {
        self.jobs.values().filter_map(|versions| versions.last()?.as_ref())
    }

    /// A version of the default template.
    pub fn template(&self, version: usize) -> Template {
        let (uid, generation) = self.templates[version].clone();
        Template {
            reference: TemplateRef { kind: TemplateKind::ClusterJobTemplate, name: "base".to_owned() },
            uid,
            generation,
            created: None,
            is_terminating: false,
            spec: Ok(self.template_spec()),
        }
    }

    fn template_spec(&self) -> JobTemplateSpec {
        if self.wish.policy != Policy::Limited {
            return JobTemplateSpec { default: Some(true), ..JobTemplateSpec::default() };
        }
        let limited = json!({
            "default": true,
            "containerDefaults": {"resources": {"limits": {"cpu": "1"}}},
            "policy": {"resources": {"runMax": {"cpu": "8"}}},
        });
        serde_json::from_value(limited).unwrap()
    }

    /// The layers below the request, with that version of the template.
    pub fn layers(&self, version: usize) -> Layers {
        Layers { templates: vec![Arc::new(self.template(version))], ..Layers::default() }
    }

    /// The template is edited, or deleted and created again.
    pub fn edit_template(&mut self, anew: bool) -> bool {
        let (uid, generation) = self.templates.last().unwrap().clone();
        let next = if anew { (format!("template-{}", self.next()), 1) } else { (uid, generation + 1) };
        self.templates.push(next);
        true
    }

    /// The rerun annotation of the JobRequest.
    pub fn annotate(&mut self, number: u8) -> bool {
        let Some(mut request) = self.request().map(|request| (**request).clone()) else { return false };
        if self.annotation == number {
            return false;
        }
        self.annotation = number;
        let annotations = request.metadata.annotations.get_or_insert_default();
        annotations.insert(labels::RERUN.to_owned(), token(number));
        self.store_request(request);
        true
    }

    /// The annotation that ends the run of the Job with this name, by its uid.
    pub fn cancel(&mut self, name: &str) -> bool {
        let Some(uid) = self.job(name).map(|job| job.view.uid().to_owned()) else { return false };
        let Some(mut request) = self.request().map(|request| (**request).clone()) else { return false };
        self.oracle.asked_to_cancel(&uid);
        let annotations = request.metadata.annotations.get_or_insert_default();
        annotations.insert(labels::CANCEL.to_owned(), format!("{uid} a user"));
        self.store_request(request);
        true
    }

    /// uid of the JobRequest now, if it is there.
    pub fn uid(&self) -> Option<String> {
        self.request().map(|request| request.uid().to_owned())
    }

    /// uids which the status records now.
    pub fn recorded(&self) -> BTreeSet<String> {
        let status = self.request().map(|request| request.known_status()).unwrap_or_default();
        status.runs.into_iter().filter_map(|run| run.job_uid).collect()
    }

    // --- what operators call -----------------------------------------------------------------------------------

    /// Performs `call` of a pass over the request with `uid`.
    pub fn perform(&mut self, call: &Call, uid: &str) -> Answer {
        match call {
            Call::Read(Read::Request) => {
                Answer::Request(self.request().map(|request| Box::new((**request).clone())))
            }
            Call::Read(Read::Job(name)) => Answer::Job(self.job(name).map(|job| Box::new(job.view.clone()))),
            Call::Read(Read::Events(_)) => Answer::Events(Some(Vec::new())),
            Call::Read(Read::Jobs) => Answer::Jobs(
                self.live_jobs()
                    .filter(|job| job.value["metadata"]["labels"][labels::REQUEST] == NAME)
                    .map(|job| job.view.clone())
                    .collect(),
            ),
            Call::Change(change) if self.refuses(change) => {
                self.refused += 1;
                Answer::Refused(Refusal::new(403, "Forbidden", "a policy of the cluster says no"))
            }
            Call::Change(Change::Create { job, .. }) => self.create(serde_json::to_value(job).unwrap()),
            Call::Change(Change::Patch { name, patch }) => self.patch(name, patch, uid),
            Call::Change(Change::Delete { name, uid: job, resource_version, propagation }) => {
                self.delete(name, job, resource_version, *propagation, uid)
            }
            Call::Read(Read::Turn(_)) => Answer::Turn(true),
            Call::Read(Read::Template(_)) => {
                Answer::Template(Some(self.template(self.templates.len() - 1).pin()))
            }
            Call::WriteStatus { uid, resource_version, status } => {
                self.write_status(uid, resource_version, status)
            }
            Call::Publish(_) => Answer::Done,
        }
    }

    /// A policy of the cluster refuses it. What names another Job than there is, is judged first.
    fn refuses(&self, change: &Change) -> bool {
        let exists = |name: &str, uid: &str| self.job(name).is_some_and(|job| job.view.uid() == uid);
        match change {
            Change::Create { job, .. } => {
                let name = job.metadata.name.as_deref().unwrap_or_default();
                self.refusing.creates && self.job(name).is_none()
            }
            Change::Patch { name, patch } => {
                self.refusing.patches && exists(name, patch["metadata"]["uid"].as_str().unwrap_or_default())
            }
            Change::Delete { name, uid, .. } => self.refusing.deletes && exists(name, uid),
        }
    }

    fn create(&mut self, mut job: Value) -> Answer {
        let name = job["metadata"]["name"].as_str().unwrap().to_owned();
        if self.job(&name).is_some() {
            return Answer::NameTaken;
        }
        let image = job["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
        let program = program_of(image);
        job["spec"].as_object_mut().unwrap().remove("template");
        let uid = format!("job-{}", self.next());
        job["metadata"]["uid"] = json!(uid);
        job["metadata"]["creationTimestamp"] = self.second();
        let stored = self.store(&name, job);
        let now = self.now;
        let request = self.request().cloned();
        self.oracle.created(&stored.view, request.as_deref(), program, now);
        Answer::Created(Box::new(stored.view.clone()))
    }

    fn patch(&mut self, name: &str, patch: &Value, request: &str) -> Answer {
        let Some(job) = self.job(name).cloned() else {
            return Answer::Missing;
        };
        let meant = &patch["metadata"];
        let differs = |field: &str, actual: &str| meant[field].as_str().is_some_and(|meant| meant != actual);
        if self.mutant != Some(Mutant::PatchIgnoresUid)
            && (differs("uid", job.view.uid())
                || (self.mutant != Some(Mutant::PatchIgnoresVersion)
                    && differs("resourceVersion", job.view.resource_version())))
        {
            return Answer::Conflict;
        }
        self.oracle.touched(&job.view, request, "patches");
        if let Some(suspend) = patch["spec"]["suspend"].as_bool() {
            self.oracle.suspended(job.view.uid(), suspend);
        }
        let mut patch = patch.clone();
        let metadata = patch["metadata"].as_object_mut().unwrap();
        metadata.remove("uid");
        metadata.remove("resourceVersion");
        let stored = self.change_job(name, |value| *value = patched(value.take(), &patch)).unwrap();
        Answer::Patched(Box::new(stored.view.clone()))
    }

    fn delete(
        &mut self,
        name: &str,
        uid: &str,
        version: &str,
        how: jobrequest::reconcile::Propagation,
        request: &str,
    ) -> Answer {
        let Some(job) = self.job(name).cloned() else {
            return Answer::Missing;
        };
        let ignores_version = self.mutant == Some(Mutant::DeleteIgnoresVersion);
        if job.view.uid() != uid || (job.view.resource_version() != version && !ignores_version) {
            return Answer::Conflict;
        }
        self.oracle.touched(&job.view, request, "deletes");
        let status = self.request().map(|request| request.known_status()).unwrap_or_default();
        self.oracle.deleted_by_us(&job.view, &status);
        match how {
            jobrequest::reconcile::Propagation::Foreground
                if self.mutant != Some(Mutant::ReplacesInBackground) =>
            {
                self.terminate(name, Propagation::Foreground);
            }
            jobrequest::reconcile::Propagation::Foreground => {
                self.oracle.leaves_pods(&job.view);
                self.remove_job(name);
            }
            jobrequest::reconcile::Propagation::Background => self.remove_job(name),
        }
        Answer::Done
    }

    fn write_status(&mut self, uid: &str, version: &str, status: &JobRequestStatus) -> Answer {
        let Some(stored) = self.request().cloned() else {
            return Answer::Missing;
        };
        let is_current = stored.metadata.resource_version.as_deref() == Some(version);
        if stored.uid() != uid || !(is_current || self.mutant == Some(Mutant::StatusIgnoresVersion)) {
            return Answer::Conflict;
        }
        // Through the wire and back: what JSON cannot hold is lost here, as it is on a real server.
        let wire = serde_json::to_value(status).unwrap();
        let status: JobRequestStatus = serde_json::from_value(wire).unwrap();
        let exists = |uid: &str| self.live_jobs().any(|job| job.view.uid() == uid);
        let lost: Vec<String> =
            status.runs.iter().filter_map(|run| run.job_uid.clone()).filter(|uid| exists(uid)).collect();
        let now = self.now;
        let template = self.templates.last().unwrap().clone();
        self.oracle.written(&stored, &status, &lost, &template, now);
        let mut request = (*stored).clone();
        request.status = Lenient(Ok(status));
        Answer::Written(Box::new((*self.store_request(request)).clone()))
    }

    // --- storage -----------------------------------------------------------------------------------------------

    fn store_request(&mut self, mut request: StoredRequest) -> Rc<StoredRequest> {
        request.metadata.resource_version = Some(self.next().to_string());
        let request = Rc::new(request);
        self.requests.push(Some(Rc::clone(&request)));
        request
    }

    fn store(&mut self, name: &str, mut value: Value) -> Rc<StoredJob> {
        value["metadata"]["resourceVersion"] = json!(self.next().to_string());
        let job = Rc::new(StoredJob::new(value));
        self.jobs.entry(name.to_owned()).or_insert_with(|| vec![None]).push(Some(Rc::clone(&job)));
        job
    }

    /// Changes the Job of this name; `None`: there is none.
    pub fn change_job(&mut self, name: &str, change: impl FnOnce(&mut Value)) -> Option<Rc<StoredJob>> {
        let mut value = self.job(name)?.value.clone();
        change(&mut value);
        Some(self.store(name, value))
    }

    fn remove_job(&mut self, name: &str) {
        let Some(job) = self.job(name).cloned() else { return };
        self.oracle.gone(&job.view);
        self.jobs.get_mut(name).unwrap().push(None);
    }

    // --- what users do -----------------------------------------------------------------------------------------

    /// Creates the JobRequest, if there is none.
    pub fn create_request(&mut self) -> bool {
        if self.request().is_some() {
            return false;
        }
        let uid = format!("request-{}", self.next());
        let created = Time(Timestamp::from_second(self.wall().as_second()).unwrap());
        self.annotation = 0;
        let request = StoredRequest {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                namespace: Some(NAMESPACE.to_owned()),
                uid: Some(uid),
                generation: Some(1),
                creation_timestamp: Some(created),
                ..ObjectMeta::default()
            },
            spec: Lenient(Ok(self.wish.spec().into())),
            status: Lenient(Ok(JobRequestStatus::unwritten())),
        };
        self.store_request(request);
        true
    }

    /// Edits the spec.
    pub fn edit(&mut self, change: impl FnOnce(&mut Wish)) -> bool {
        let Some(mut request) = self.request().map(|request| (**request).clone()) else { return false };
        let before = self.wish.clone();
        change(&mut self.wish);
        if self.wish == before {
            return false;
        }
        request.spec = Lenient(Ok(self.wish.spec().into()));
        request.metadata.generation = Some(request.generation() + 1);
        self.store_request(request);
        true
    }

    /// Wipes the status, as a restore from a backup does.
    pub fn wipe(&mut self) -> bool {
        let Some(mut request) = self.request().map(|request| (**request).clone()) else { return false };
        if request.known_status().is_unwritten() {
            return false;
        }
        request.status = Lenient(Ok(JobRequestStatus::unwritten()));
        let listed: Vec<i32> =
            self.live_jobs().filter(|job| job.is_cached()).filter_map(|job| job.view.run()).collect();
        self.oracle.wiped(request.uid(), &listed);
        self.store_request(request);
        true
    }

    /// Deletes the JobRequest.
    pub fn delete_request(&mut self, how: Propagation) -> bool {
        let Some(mut request) = self.request().map(|request| (**request).clone()) else { return false };
        if request.is_deleting() {
            return false;
        }
        if how == Propagation::Background {
            self.requests.push(None);
        } else {
            self.propagation = how;
            request.metadata.deletion_timestamp = Some(Time(self.wall()));
            request.metadata.generation = Some(request.generation() + 1);
            self.store_request(request);
        }
        true
    }

    /// A user deletes a Job.
    pub fn delete_job(&mut self, name: &str, how: Propagation) -> bool {
        let Some(job) = self.job(name).cloned() else { return false };
        if job.view.is_terminating() {
            return false;
        }
        let (now, request) = (self.now, self.uid());
        self.oracle.deleted_by_user(&job.view, request.as_deref(), now);
        self.terminate(name, how);
        true
    }

    fn terminate(&mut self, name: &str, how: Propagation) {
        if how == Propagation::Background {
            self.remove_job(name);
        } else {
            let second = self.second();
            self.change_job(name, |value| value["metadata"]["deletionTimestamp"] = second);
        }
    }

    /// Somebody else's Job, under a name that one of our runs would have.
    pub fn create_foreign(&mut self, run: i32) -> bool {
        let name = format!("{NAME}-{run}");
        if self.job(&name).is_some() {
            return false;
        }
        let uid = format!("foreign-{}", self.next());
        self.store(&name, json!({"metadata": {"name": name, "uid": uid}, "spec": {"completions": 1}}));
        true
    }

    // --- what the cluster does ---------------------------------------------------------------------------------

    /// One step of the garbage collector; false: nothing to collect. `slowly`: a Job is left terminating first.
    pub fn collect(&mut self, slowly: bool) -> bool {
        if self.oracle.pods_go() {
            return true;
        }
        let going =
            self.live_jobs().find(|job| job.view.is_terminating()).map(|job| job.view.name().to_owned());
        if let Some(name) = going {
            self.remove_job(&name);
            return true;
        }
        let deleting = self.request().filter(|request| request.is_deleting()).cloned();
        let owner = |job: &StoredJob| {
            job.value["metadata"]["ownerReferences"][0]["uid"].as_str().map(ToOwned::to_owned)
        };
        if let Some(request) = deleting {
            let of_it = |job: &&Rc<StoredJob>| owner(job).as_deref() == Some(request.uid());
            let dependent = self.live_jobs().find(of_it).map(|job| job.view.name().to_owned());
            match (dependent, self.propagation) {
                (None, _) => self.requests.push(None),
                (Some(name), Propagation::Orphan) => {
                    self.strip_owner(&name);
                }
                (Some(name), _) => self.terminate(&name, Propagation::Background),
            }
            return true;
        }
        let alive = self.uid();
        let dead = self.live_jobs().find(|job| owner(job).is_some_and(|owner| Some(owner) != alive));
        let Some(name) = dead.map(|job| job.view.name().to_owned()) else { return false };
        self.terminate(&name, if slowly { Propagation::Foreground } else { Propagation::Background });
        true
    }

    /// Strips the owner references of a Job.
    pub fn strip_owner(&mut self, name: &str) -> bool {
        self.strip(name, "ownerReferences")
    }

    /// Strips the labels of a Job: it leaves the caches.
    pub fn strip_labels(&mut self, name: &str) -> bool {
        self.strip(name, "labels")
    }

    fn strip(&mut self, name: &str, field: &str) -> bool {
        if self.job(name).is_none_or(|job| job.value["metadata"][field].is_null()) {
            return false;
        }
        self.change_job(name, |value| {
            value["metadata"].as_object_mut().unwrap().remove(field);
        });
        true
    }

    /// Policies of the cluster change; false: they do not.
    pub fn refuse(&mut self, change: impl FnOnce(&mut Refusing)) -> bool {
        let before = self.refusing;
        change(&mut self.refusing);
        self.refusing != before
    }

    /// A queue, or a person, suspends or resumes a Job.
    pub fn queue(&mut self, name: &str, suspend: bool) -> bool {
        let Some(job) = self.job(name).cloned() else { return false };
        if job.view.is_terminal() || job.is_suspended() == suspend {
            return false;
        }
        self.oracle.queued(job.view.uid(), suspend);
        self.change_job(name, |value| value["spec"]["suspend"] = suspend.into());
        true
    }

    /// One step of the Job controller on a Job; false: not possible now.
    pub fn progress(&mut self, name: &str, what: Progress) -> bool {
        let Some(job) = self.job(name).cloned() else { return false };
        let view = &job.view;
        if view.is_terminating() || view.is_terminal() || view.annotation(labels::RUN).is_none() {
            return false;
        }
        let second = self.second();
        let is_marked = view.true_condition("Suspended").is_some();
        if job.is_suspended() != is_marked && view.true_condition("FailureTarget").is_none() {
            self.change_job(name, |value| {
                let (status, reason) =
                    if job.is_suspended() { ("True", "JobSuspended") } else { ("False", "JobResumed") };
                set_condition(value, "Suspended", status, reason, &second);
                let fields = value["status"].as_object_mut().unwrap();
                fields.insert("active".to_owned(), json!(i32::from(!job.is_suspended())));
                fields.insert("ready".to_owned(), json!(0));
                fields.remove("startTime");
                if !job.is_suspended() {
                    fields.insert("startTime".to_owned(), second.clone());
                }
            });
            return true;
        }
        if job.is_suspended() {
            return false;
        }
        let has_started = view.status.start_time.is_some();
        let is_target = view.true_condition("FailureTarget").is_some();
        let possible = match what {
            Progress::Start => !has_started,
            Progress::Ready => has_started && view.status.ready != Some(1) && !is_target,
            Progress::Complete | Progress::Target => has_started && !is_target,
            Progress::Fail => has_started,
        };
        if !possible {
            return false;
        }
        let stored = self.change_job(name, |value| {
            let mut fields = match value["status"].take() {
                Value::Object(fields) => fields,
                _ => Map::new(),
            };
            let mut set = |field: &str, to: Value| fields.insert(field.to_owned(), to);
            match what {
                Progress::Start => {
                    set("startTime", second.clone());
                    set("active", json!(1));
                }
                Progress::Ready => {
                    set("ready", json!(1));
                }
                Progress::Complete => {
                    set("active", json!(0));
                    set("succeeded", json!(4));
                    set("completionTime", second.clone());
                }
                Progress::Target | Progress::Fail => {
                    set("active", json!(0));
                    set("failed", json!(1));
                }
            }
            value["status"] = Value::Object(fields);
            match what {
                Progress::Start | Progress::Ready => {}
                Progress::Complete => {
                    set_condition(value, "SuccessCriteriaMet", "True", "CompletionsReached", &second);
                    set_condition(value, "Complete", "True", "CompletionsReached", &second);
                }
                Progress::Target => {
                    set_condition(value, "FailureTarget", "True", "BackoffLimitExceeded", &second);
                }
                Progress::Fail => set_condition(value, "Failed", "True", "BackoffLimitExceeded", &second),
            }
        });
        self.oracle.ended(&stored.unwrap().view);
        true
    }
}

fn set_condition(job: &mut Value, type_: &str, status: &str, reason: &str, at: &Value) {
    if job["status"].is_null() {
        job["status"] = json!({});
    }
    if job["status"]["conditions"].is_null() {
        job["status"]["conditions"] = json!([]);
    }
    let conditions = job["status"]["conditions"].as_array_mut().unwrap();
    conditions.retain(|condition| condition["type"] != type_);
    conditions.push(json!({
        "type": type_, "status": status, "reason": reason, "message": format!("Job has {reason}"),
        "lastTransitionTime": at,
    }));
}
