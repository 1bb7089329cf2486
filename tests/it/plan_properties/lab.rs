//! A small cluster in memory: one request, the Jobs beside it, fresh caches, calls that are always answered.
//!
//! It begins in any state. The real `Reconciler` is driven until it rests; it may die before or after any of its calls.
//! Jobs and uids are named after what they are, so that two ends can be compared.

use std::collections::BTreeMap;
use std::time::Duration;

use jobrequest::api::labels;
use jobrequest::compile::Layers;
use jobrequest::reconcile::{
    Answer, Answers, Call, Change, Clock, JobView, Memory, Next, Observed, Plan, Read, Reconciler, Refusal,
    Step, StoredRequest, plan,
};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::parts::{NOW, UID};
use super::words;
use crate::support::difference::patched;

/// What becomes of a create whose name is free.
#[derive(Clone, Debug)]
pub enum Admission {
    Allowed,
    Forbidden(String),
    Invalid(String),
}

/// When the process dies.
#[derive(Clone, Copy, Debug)]
pub struct Death {
    /// At this call, counted from 0.
    pub at: usize,
    /// The call was performed, and its answer lost.
    pub is_performed: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Lab {
    pub request: Value,
    pub jobs: BTreeMap<String, Value>,
    pub pods: Vec<Value>,
    /// Whatever events are asked for.
    pub events: Vec<Value>,
    pub admission: Admission,
    /// Patches and deletes are refused.
    pub refuses: bool,
    /// Names of Jobs that were created here, in order.
    pub created: Vec<String>,
    /// What must not be: a Job was touched that was not ours, or words for people were read.
    pub trespass: Option<String>,
    /// Writes of any kind.
    pub writes: usize,
    /// Whether it is checked, after each call, that the words of the stored status are never read: other words are drawn
    /// from this.
    pub rewords: Option<u64>,
    memory: Memory,
    milliseconds: u64,
    version: u64,
}

/// More passes than any case needs.
const PASSES: usize = 40;
/// Looks by the clock alone, without a write, after which it rests.
const IDLE: usize = 4;
/// Least time from one such look to the next.
const HOP: Duration = Duration::from_secs(300);

impl Lab {
    pub fn new(
        request: Value,
        jobs: BTreeMap<String, Value>,
        pods: Vec<Value>,
        events: Vec<Value>,
        admission: Admission,
    ) -> Self {
        Self {
            request,
            jobs,
            pods,
            events,
            admission,
            refuses: false,
            created: Vec::new(),
            trespass: None,
            writes: 0,
            rewords: None,
            memory: Memory::default(),
            milliseconds: 0,
            version: 100,
        }
    }

    fn clock(&self) -> Clock {
        let seconds = i64::try_from(self.milliseconds / 1000).unwrap();
        Clock {
            now: Timestamp::from_second(NOW + seconds).unwrap(),
            uptime: Duration::from_millis(1_000_000 + self.milliseconds),
        }
    }

    fn observed(&self) -> Observed {
        Observed {
            request: Some(view(&self.request)),
            jobs: self.jobs.values().filter(|job| is_labelled(job)).map(view).collect(),
            pods: self.pods.iter().map(view).collect(),
            answers: Answers::default(),
            memory: self.memory.clone(),
            sole_since: None,
        }
    }

    /// What a pass at rest comes to.
    pub fn plan(&self) -> Plan {
        plan(&self.observed(), &Layers::default(), self.clock())
    }

    /// The process is replaced by another, which remembers nothing.
    pub fn restart(&mut self) {
        self.memory = Memory::default();
    }

    /// Drives passes until nothing is due. It wakes only on a change or when a pass asked for it. Returns how many
    /// calls were made, failed ones included.
    pub fn settle(&mut self, death: Option<Death>) -> Result<usize, String> {
        let (mut calls, mut idle, mut looked_at) = (0, 0, 0);
        for _ in 0..PASSES {
            let writes = self.writes;
            let rest = self.pass(&mut calls, death);
            if let Some(trespass) = &self.trespass {
                return Err(trespass.clone());
            }
            if let Some(seed) = self.rewords {
                words::are_never_read(&self.observed(), self.clock(), seed)?;
            }
            let is_changed = self.version != looked_at;
            looked_at = self.version;
            match rest {
                None => {
                    self.restart();
                    looked_at = 0;
                }
                Some(_) if is_changed => idle = 0,
                Some(Next::AwaitChange) => return Ok(calls),
                Some(Next::Again) => {}
                Some(Next::After(pause)) => {
                    idle = if self.writes == writes { idle + 1 } else { 0 };
                    if idle == IDLE {
                        return Ok(calls);
                    }
                    self.milliseconds += u64::try_from(pause.max(HOP).as_millis()).unwrap();
                }
            }
        }
        Err(format!("it does not come to rest: {:#?}", self.request["status"]))
    }

    /// One pass; `None`: it died.
    fn pass(&mut self, calls: &mut usize, death: Option<Death>) -> Option<Next> {
        let mut pass = Reconciler::new(self.observed(), Layers::default(), self.clock());
        loop {
            match pass.step(self.clock()) {
                Step::Rest(rest) => {
                    self.memory = pass.into_memory();
                    return Some(rest);
                }
                Step::Call(call) => {
                    if let (Some(seed), None) = (self.rewords, &self.trespass) {
                        self.trespass = words::are_never_read(&self.observed(), self.clock(), seed).err();
                    }
                    let dies = death.filter(|death| death.at == *calls);
                    *calls += 1;
                    if dies.is_some_and(|death| !death.is_performed) {
                        return None;
                    }
                    let answer = self.perform(&call);
                    if dies.is_some() {
                        return None;
                    }
                    pass.answer(&call, answer, self.clock());
                }
            }
        }
    }

    fn perform(&mut self, call: &Call) -> Answer {
        match call {
            Call::Read(Read::Request) => Answer::Request(Some(Box::new(view(&self.request)))),
            Call::Read(Read::Job(name)) => Answer::Job(self.jobs.get(name).map(|job| Box::new(view(job)))),
            Call::Read(Read::Events(_)) => Answer::Events(Some(self.events.iter().map(view).collect())),
            Call::Read(Read::Jobs) => {
                Answer::Jobs(self.jobs.values().filter(|job| is_labelled(job)).map(view).collect())
            }
            Call::Change(Change::Patch { .. } | Change::Delete { .. }) if self.refuses => {
                Answer::Refused(Refusal::new(500, "InternalError", "failed calling webhook"))
            }
            Call::Change(Change::Create { job, .. }) => self.create(serde_json::to_value(job).unwrap()),
            Call::Change(Change::Patch { name, patch }) => self.patch(name, patch),
            Call::Read(Read::Template(_)) => Answer::Template(None),
            Call::Read(Read::Turn(_)) => Answer::Turn(true),
            Call::Change(Change::Delete { name, uid, resource_version, .. }) => {
                let Some(job) = self.jobs.get(name).cloned() else { return Answer::Missing };
                let metadata = &job["metadata"];
                if metadata["uid"] != *uid || metadata["resourceVersion"] != *resource_version {
                    return Answer::Conflict;
                }
                self.touch(&job, "deletes");
                self.jobs.remove(name);
                Answer::Done
            }
            Call::WriteStatus { uid, resource_version, status } => {
                let metadata = &self.request["metadata"];
                if metadata["uid"] != *uid || metadata["resourceVersion"] != *resource_version {
                    return Answer::Conflict;
                }
                self.writes += 1;
                let version = self.next();
                self.request["status"] = serde_json::to_value(status).unwrap();
                self.request["metadata"]["resourceVersion"] = version;
                Answer::Written(Box::new(view(&self.request)))
            }
            Call::Publish(_) => Answer::Done,
        }
    }

    fn next(&mut self) -> Value {
        self.version += 1;
        json!(self.version.to_string())
    }

    fn create(&mut self, mut job: Value) -> Answer {
        let name = job["metadata"]["name"].as_str().unwrap().to_owned();
        if self.jobs.contains_key(&name) {
            return Answer::NameTaken;
        }
        match &self.admission {
            Admission::Allowed => {}
            Admission::Forbidden(message) => {
                return Answer::Refused(Refusal::new(403, "Forbidden", message));
            }
            Admission::Invalid(message) => {
                return Answer::Refused(Refusal {
                    names_fields: true,
                    ..Refusal::new(422, "Invalid", message)
                });
            }
        }
        self.writes += 1;
        job["spec"].as_object_mut().unwrap().remove("template");
        job["metadata"]["uid"] = json!(format!("created-{name}"));
        job["metadata"]["resourceVersion"] = self.next();
        let created = view(&job);
        self.created.push(name.clone());
        self.jobs.insert(name, job);
        Answer::Created(Box::new(created))
    }

    fn patch(&mut self, name: &str, patch: &Value) -> Answer {
        let Some(job) = self.jobs.get(name).cloned() else { return Answer::Missing };
        for fence in ["uid", "resourceVersion"] {
            if patch["metadata"][fence] != job["metadata"][fence] {
                return Answer::Conflict;
            }
        }
        self.touch(&job, "patches");
        let version = self.next();
        let stored = self.jobs.get_mut(name).unwrap();
        *stored = patched(stored.take(), patch);
        stored["metadata"]["resourceVersion"] = version;
        Answer::Patched(Box::new(view(stored)))
    }

    fn touch(&mut self, job: &Value, verb: &str) {
        self.writes += 1;
        self.version += 1;
        let view: JobView = view(job);
        if !view.is_of(UID) || !view.is_controlled_by(UID) {
            self.trespass = Some(format!("it {verb} a Job which is not ours: {job}"));
        }
    }

    /// A user asks for a rerun.
    pub fn ask_for_a_rerun(&mut self) {
        let version = self.next();
        self.request["metadata"]["annotations"] = json!({labels::RERUN: version});
        self.request["metadata"]["resourceVersion"] = version;
    }

    /// Somebody writes the request: nothing that matters, but it is looked at again, by a process that knows nothing.
    pub fn touch_request(&mut self) {
        let version = self.next();
        self.request["metadata"]["resourceVersion"] = version;
        self.restart();
    }

    /// Numbers and results of all runs.
    pub fn results(&self) -> Vec<(Value, Value)> {
        let runs = self.request["status"]["runs"].as_array().into_iter().flatten();
        runs.map(|run| (run["number"].clone(), run["result"].clone())).collect()
    }

    /// No run whose Job has ended is open.
    pub fn is_all_recorded(&self) -> Result<(), String> {
        let status = view::<StoredRequest>(&self.request).known_status();
        let is_over = |uid: &str| {
            let job = self.jobs.values().map(view::<JobView>).find(|job| job.uid() == uid);
            job.is_some_and(|job| job.is_terminal())
        };
        let left =
            status.runs.iter().find(|run| run.is_open() && run.job_uid.as_deref().is_some_and(is_over));
        let is_deleting = !self.request["metadata"]["deletionTimestamp"].is_null();
        match left {
            Some(run) if !is_deleting => Err(format!("the result of run {} is not recorded", run.number)),
            _ => Ok(()),
        }
    }

    /// The Job controller ends every Job of the request that may continue.
    pub fn complete(&mut self) {
        let (version, at) = (self.next(), self.clock().now.to_string());
        for job in self.jobs.values_mut() {
            let judged: JobView = view(job);
            let is_at_work = !judged.is_terminal() && judged.spec.suspend != Some(true);
            if judged.is_of(UID) && is_at_work && !judged.is_terminating() {
                job["status"] = json!({"startTime": at, "completionTime": at, "succeeded": 1, "conditions": [{
                    "type": "Complete", "status": "True", "reason": "CompletionsReached", "message": "",
                    "lastTransitionTime": at,
                }]});
                job["metadata"]["resourceVersion"] = version.clone();
            }
        }
    }

    /// How it all stands, without versions and times.
    pub fn end(&self) -> (Value, BTreeMap<String, Value>) {
        let mut jobs = self.jobs.clone();
        let mut status = self.request["status"].clone();
        jobs.values_mut().for_each(without_times);
        without_times(&mut status);
        (status, jobs)
    }
}

/// Reads a view from the stored form, as the wire does.
pub fn view<V: serde::de::DeserializeOwned>(stored: &Value) -> V {
    serde_json::from_value(stored.clone()).unwrap_or_else(|error| panic!("{error}: {stored}"))
}

/// The request of `observed`, for which a Job could be touched.
pub fn request(observed: &Observed) -> &StoredRequest {
    observed.request.as_ref().unwrap()
}

fn is_labelled(job: &Value) -> bool {
    job["metadata"]["labels"][labels::REQUEST].is_string()
}

fn without_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let times = ["resourceVersion", "lastTransitionTime", "startTime", "endTime", "completionTime"];
            fields.retain(|name, _| !times.contains(&name.as_str()) && name != "duration");
            fields.values_mut().for_each(without_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        _ => {}
    }
}
