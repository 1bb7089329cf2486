//! One reconcile, without performing anything: which call comes next, and what its answer means.
//!
//! A pass plans, hands out the calls of the plan one by one, takes in each answer, and plans again until there is
//! nothing to do at once. Whoever drives it needs no rule of the domain: perform the [`Call`], tell the [`Answer`].

use std::collections::VecDeque;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use serde_json::Value;

use super::diagnosis::{self, inquiry};
use super::event::Event;
use super::observed::{
    Answers, Clock, Creation, EventView, EventsOf, JobView, Memory, Observed, StoredRequest,
};
use super::plan::plan;
use super::planned::{Change, Next, Propagation, Read};
use super::run::forbidden_pause;
use crate::api::JobRequestStatus;
use crate::api::status::TemplatePin;
use crate::api::template_ref::TemplateRef;
use crate::compile::Layers;

/// One request to the API server.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// GET the JobRequest.
    GetRequest,
    /// GET a Job by name.
    GetJob(String),
    /// LIST the Jobs that carry the request's name.
    ListJobs,
    /// LIST core/v1 events of the request's namespace.
    ListEvents(EventsOf),
    /// Create a Job. It must not be sent after `before` (uptime): answer [`Answer::Late`] instead.
    CreateJob {
        /// The Job.
        job: Box<Job>,
        /// Latest uptime at which it may be sent.
        before: Duration,
    },
    /// Merge-patch a Job; the patch carries its uid and resourceVersion.
    PatchJob {
        /// Name of the Job.
        name: String,
        /// The merge patch.
        patch: Value,
    },
    /// Delete a Job, with both preconditions.
    DeleteJob {
        /// Name of the Job.
        name: String,
        /// uid it must have.
        uid: String,
        /// resourceVersion it must have.
        resource_version: String,
        /// Before its pods, or after them.
        propagation: Propagation,
    },
    /// GET a template; a JobTemplate is looked up where the JobRequest is.
    GetTemplate(TemplateRef),
    /// Replace the status of the JobRequest: compare and set.
    WriteStatus {
        /// uid it must have.
        uid: String,
        /// resourceVersion it must have.
        resource_version: String,
        /// The whole new status.
        status: Box<JobRequestStatus>,
    },
    /// Send an event on the JobRequest; nothing depends on its answer.
    Publish(Event),
}

/// How a call was answered. What is not here (no answer, 5xx, 401) ends the pass: drop it and reconcile again.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Of [`Call::GetRequest`].
    Request(Option<Box<StoredRequest>>),
    /// Of [`Call::GetJob`].
    Job(Option<Box<JobView>>),
    /// Of [`Call::ListJobs`].
    Jobs(Vec<JobView>),
    /// Of [`Call::ListEvents`]; `None`: there was no answer, and the pass goes on without.
    Events(Option<Vec<EventView>>),
    /// Of [`Call::GetTemplate`]: what a run would note of it.
    Template(Option<TemplatePin>),
    /// Of [`Call::CreateJob`].
    Creation(Creation),
    /// Of [`Call::CreateJob`]: it was too late to send it.
    Late,
    /// Of [`Call::PatchJob`].
    Patched(Box<JobView>),
    /// Of [`Call::WriteStatus`].
    Written(Box<StoredRequest>),
    /// Of [`Call::DeleteJob`] and [`Call::Publish`].
    Done,
    /// 409: somebody wrote in between, or the uid is another.
    Conflict,
    /// 404: it is gone.
    Missing,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Perform this, then tell the answer.
    Call(Call),
    /// Nothing more at once.
    Rest(Rest),
}

/// How a pass ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Reconcile again after this time, or on a change.
    After(Duration),
    /// Reconcile on a change.
    AwaitChange,
}

/// More rounds than any case needs: a pass that has not ended by then looks again later instead of turning for ever.
const MAX_ROUNDS: usize = 24;
/// When to look again after something else wrote in between and the cache has not shown it yet.
const SETTLE: Duration = Duration::from_secs(1);

/// One reconcile of one JobRequest.
#[derive(Clone, Debug)]
pub struct Pass {
    observed: Observed,
    layers: Layers,
    queue: VecDeque<Call>,
    next: Next,
    rounds: usize,
}

impl Pass {
    /// A pass over what caches and memory show.
    #[must_use]
    pub fn new(mut observed: Observed, layers: Layers, clock: Clock) -> Self {
        observed.answers = Answers::default();
        // Our own last write is an answer too: planning on an older view would only meet a conflict.
        let last = observed.memory.written.take();
        match (last, observed.request.as_ref()) {
            (Some(written), Some(cached)) if written.is_newer_than(cached) => {
                observed.request = Some((*written).clone());
                observed.memory.written = Some(written);
            }
            (Some(written), Some(cached))
                if written.metadata.resource_version == cached.metadata.resource_version
                    && observed.memory.created.is_some() =>
            {
                observed.memory.written = Some(written);
            }
            // Somebody else has written since, and may have seen more of the Job than the answer of our create shows.
            _ => observed.memory.created = None,
        }
        observed.memory.look(observed.request.as_ref(), &observed.jobs, clock);
        observed.memory.pod_failure = diagnosis::pod_failure(&observed);
        Self { observed, layers, queue: VecDeque::new(), next: Next::Again, rounds: 0 }
    }

    /// What comes next.
    pub fn step(&mut self, clock: Clock) -> Step {
        loop {
            if let Some(call) = self.queue.pop_front() {
                if let Call::CreateJob { job, .. } = &call {
                    self.observed.memory.sends(job);
                }
                return Step::Call(call);
            }
            match self.next {
                Next::AwaitChange => return Step::Rest(Rest::AwaitChange),
                Next::After(pause) => return Step::Rest(Rest::After(pause)),
                Next::Again => self.plan(clock),
            }
        }
    }

    fn plan(&mut self, clock: Clock) {
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS {
            self.next = Next::After(SETTLE);
            return;
        }
        let plan = plan(&self.observed, &self.layers, clock);
        self.next = plan.next;
        self.queue.extend(plan.read.map(|read| match read {
            Read::Request => Call::GetRequest,
            Read::Job(name) => Call::GetJob(name),
            Read::Jobs => Call::ListJobs,
            Read::Events(of) => Call::ListEvents(of),
            Read::Template(template) => Call::GetTemplate(template),
        }));
        self.queue.extend(plan.changes.into_iter().map(|change| match change {
            Change::Create { job, before } => Call::CreateJob { job, before },
            Change::Patch { name, patch } => Call::PatchJob { name, patch },
            Change::Delete { name, uid, resource_version, propagation } => {
                Call::DeleteJob { name, uid, resource_version, propagation }
            }
        }));
        if let (Some(status), Some(request)) = (plan.status, self.observed.request.as_ref()) {
            let uid = request.uid().to_owned();
            let resource_version = request.metadata.resource_version.clone().unwrap_or_default();
            self.queue.push_back(Call::WriteStatus { uid, resource_version, status });
        }
        self.queue.extend(plan.events.into_iter().map(Call::Publish));
    }

    /// Takes in the answer of the call that [`Pass::step`] handed out last.
    pub fn answer(&mut self, call: &Call, answer: Answer, clock: Clock) {
        match (call, answer) {
            (_, Answer::Request(found)) => {
                // Rule 8: what was asked about Jobs before does not speak of what this request records.
                (self.observed.answers.job, self.observed.answers.jobs) = (None, None);
                self.saw_request(found.map(|request| *request), clock);
            }
            (Call::GetJob(name), Answer::Job(found)) => {
                self.observed.answers.job = Some((name.clone(), found.map(|job| *job)));
            }
            (Call::ListEvents(of), Answer::Events(events)) => {
                inquiry::asked(&mut self.observed.memory, of, clock);
                self.observed.answers.events = events.map(|events| (of.clone(), events));
            }
            (_, Answer::Jobs(jobs)) => self.observed.answers.jobs = Some(jobs),
            (Call::CreateJob { job, .. }, Answer::Creation(creation)) => {
                self.saw_creation(job.metadata.name.clone().unwrap_or_default(), creation, clock);
            }
            (_, Answer::Late) => self.observed.answers.request_at = None,
            (_, Answer::Patched(job)) => self.saw_job(*job),
            (_, Answer::Written(request)) => {
                self.observed.memory.reserved(self.observed.request.as_ref(), &request, clock);
                self.observed.memory.written_at = Some(clock.uptime);
                self.observed.memory.written = Some(request.clone());
                self.saw_request(Some(*request), clock);
            }
            (Call::GetTemplate(template), Answer::Template(found)) => {
                self.observed.answers.templates.insert(template.clone(), found);
            }
            // It goes when its pods have gone; the watch tells.
            (Call::DeleteJob { propagation: Propagation::Foreground, .. }, Answer::Done) => {
                self.queue.clear();
                self.next = Next::AwaitChange;
            }
            (Call::DeleteJob { uid, .. }, Answer::Done | Answer::Missing) => {
                self.observed.jobs.retain(|job| job.uid() != uid);
            }
            (Call::WriteStatus { .. }, Answer::Conflict | Answer::Missing) => {
                // Somebody wrote in between: what was planned on the older view is dropped, what was asked stays.
                self.queue.clear();
                self.queue.push_back(Call::GetRequest);
                self.next = Next::Again;
            }
            (Call::PatchJob { .. } | Call::DeleteJob { .. }, Answer::Conflict | Answer::Missing) => {
                // What stood in for the cache is out of date.
                self.observed.memory.created = None;
                self.queue.clear();
                self.next = Next::After(SETTLE);
            }
            (
                _,
                Answer::Job(_)
                | Answer::Events(_)
                | Answer::Creation(_)
                | Answer::Template(_)
                | Answer::Done
                | Answer::Conflict
                | Answer::Missing,
            ) => {}
        }
    }

    /// The JobRequest that the next call is planned on.
    #[must_use]
    pub const fn request(&self) -> Option<&StoredRequest> {
        self.observed.request.as_ref()
    }

    /// What the process is to remember, also when the pass broke off.
    #[must_use]
    pub fn into_memory(self) -> Memory {
        self.observed.memory
    }

    fn saw_request(&mut self, found: Option<StoredRequest>, clock: Clock) {
        let uid_before = self.observed.request.as_ref().map(|request| request.uid().to_owned());
        let is_same = found.as_ref().is_some_and(|request| Some(request.uid()) == uid_before.as_deref());
        if !is_same {
            // Deleted, or another object under this name: its own events bring it here.
            self.queue.clear();
            self.next = Next::AwaitChange;
            self.observed.request = None;
            return;
        }
        self.observed.request = found;
        self.observed.answers.request_at = Some(clock.uptime);
        self.observed.memory.look(self.observed.request.as_ref(), &self.observed.jobs, clock);
    }

    fn saw_creation(&mut self, name: String, creation: Creation, clock: Clock) {
        match &creation {
            Creation::Created(job) => {
                self.observed.memory.was_created(job);
                self.observed.memory.created = Some((clock.uptime, job.clone()));
                self.observed.memory.forbidden = None;
            }
            Creation::Forbidden(_) => {
                let count = self.observed.memory.forbidden.map_or(1, |(count, _)| count.saturating_add(1));
                let until = clock.uptime.saturating_add(forbidden_pause(count));
                self.observed.memory.forbidden = Some((count, until));
            }
            Creation::NameTaken | Creation::Invalid(_) => self.observed.memory.forbidden = None,
        }
        self.observed.answers.creation = Some((name, creation));
    }

    fn saw_job(&mut self, job: JobView) {
        let memory = &mut self.observed.memory;
        if let Some((_, created)) = memory.created.as_mut().filter(|(_, created)| created.uid() == job.uid())
        {
            **created = job.clone();
        }
        self.observed.jobs.retain(|other| other.uid() != job.uid());
        self.observed.jobs.push(job);
    }
}
