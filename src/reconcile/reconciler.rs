//! One reconcile, without performing anything: which call comes next, and what its answer means.
//!
//! A [`Reconciler`] plans, hands out the calls of the plan one by one, takes in each answer, and plans again until there is
//! nothing to do at once. Its driver needs no rule of the domain: it performs the [`Call`] and hands in the [`Answer`].

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;

use super::call::{Answer, Call, Step};
use super::diagnosis;
use super::event::Event;
use super::observed::{Answers, ChangeKey, Clock, Creation, JobView, Memory, Observed, StoredRequest};
use super::plan::{Change, Next, Propagation, Read};
use super::planner::plan;
use crate::api::condition::EventReason;
use crate::api::status::Run;
use crate::compile::Layers;

/// Maximum number of rounds, more than any case needs: a pass that has not ended by then continues later.
const MAX_ROUNDS: usize = 24;
/// When to look again after something else wrote in between and the cache has not shown it yet.
const SETTLE: Duration = Duration::from_secs(1);

/// Why there is no status.
const TOO_LARGE: &str = "the JobRequest is so large that no status can be stored with it: until it is smaller, no run starts and no result is shown; move long values into a ConfigMap or Secret, and refer to it by configRef";

/// One reconcile of one JobRequest.
#[derive(Clone, Debug)]
pub struct Reconciler {
    observed: Observed,
    layers: Layers,
    queue: VecDeque<Call>,
    next: Next,
    rounds: usize,
}

impl Reconciler {
    /// One pass over what caches and memory show.
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
        observed.memory.observe(observed.request.as_ref(), &observed.jobs, clock);
        observed.memory.pod_failure = diagnosis::pod_failure(&observed);
        Self { observed, layers, queue: VecDeque::new(), next: Next::Again, rounds: 0 }
    }

    /// What comes next.
    pub fn step(&mut self, clock: Clock) -> Step {
        loop {
            if let Some(call) = self.queue.pop_front() {
                if let Call::Change(Change::Create { job, .. }) = &call {
                    self.observed.memory.sends(job);
                }
                return Step::Call(call);
            }
            match self.next {
                Next::Again => self.plan(clock),
                rest => return Step::Rest(rest),
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
        self.queue.extend(plan.read.map(Call::Read));
        self.queue.extend(plan.changes.into_iter().map(Call::Change));
        if let (Some(status), Some(request)) = (plan.status, self.observed.request.as_ref()) {
            let uid = request.uid().to_owned();
            let resource_version = request.metadata.resource_version.clone().unwrap_or_default();
            self.queue.push_back(Call::WriteStatus { uid, resource_version, status });
        }
        self.queue.extend(plan.events.into_iter().map(Call::Publish));
    }

    /// Takes in the answer of the call that [`Reconciler::step`] handed out last.
    pub fn answer(&mut self, call: &Call, answer: Answer, clock: Clock) {
        match call {
            Call::Read(read) => self.saw(read, answer, clock),
            Call::Change(change) => self.changed(change, answer, clock),
            Call::WriteStatus { .. } => self.wrote(answer, clock),
            Call::Publish(event) => {
                event.announced.iter().cloned().for_each(|cause| self.observed.memory.announce(cause));
            }
        }
    }

    fn saw(&mut self, read: &Read, answer: Answer, clock: Clock) {
        let answers = &mut self.observed.answers;
        match (read, answer) {
            (Read::Request, Answer::Request(found)) => {
                // Rule 8: what was asked about Jobs before does not speak of what this request records.
                (answers.job, answers.jobs) = (None, None);
                self.saw_request(found.map(|request| *request), clock);
            }
            (Read::Job(name), Answer::Job(found)) => {
                answers.job = Some((name.clone(), found.map(|job| *job)));
            }
            (Read::Jobs, Answer::Jobs(jobs)) => answers.jobs = Some(jobs),
            (Read::Events(of), Answer::Events(events)) => {
                answers.events = events.map(|events| (of.clone(), events));
                diagnosis::asked(&mut self.observed.memory, of, clock);
            }
            (Read::Turn(template), Answer::Turn(is_granted)) => {
                answers.turn = Some((template.clone(), is_granted));
            }
            (Read::Template(template), Answer::Template(found)) => {
                answers.templates.insert(template.clone(), found);
            }
            _ => {}
        }
    }

    fn changed(&mut self, change: &Change, answer: Answer, clock: Clock) {
        match (change, answer) {
            (Change::Create { job, .. }, Answer::Created(created)) => {
                self.observed.memory.was_created(&created);
                self.observed.memory.created = Some((clock.uptime, created.clone()));
                self.saw_creation(job, Creation::Created(created));
            }
            (Change::Create { job, .. }, Answer::NameTaken) => self.saw_creation(job, Creation::NameTaken),
            (Change::Create { job, .. }, Answer::Refused(refusal)) => {
                self.observed.memory.refuse(change.key(), refusal.clone(), clock);
                self.saw_creation(job, Creation::Refused(refusal));
            }
            (Change::Create { .. }, Answer::Late) => self.observed.answers.request_at = None,
            (Change::Patch { .. }, Answer::Patched(job)) => self.saw_job(*job),
            // What else is due does not wait for it.
            (Change::Patch { .. } | Change::Delete { .. }, Answer::Refused(refusal)) => {
                self.observed.memory.refuse(change.key(), refusal, clock);
            }
            // It goes when its pods have gone; the watch says so.
            (Change::Delete { propagation: Propagation::Foreground, .. }, Answer::Done) => {
                self.queue.clear();
                self.next = Next::AwaitChange;
            }
            (Change::Delete { uid, .. }, Answer::Done | Answer::Missing) => {
                // Nor does the answer of its create stand for it any longer: it would be deleted again and again.
                let memory = &mut self.observed.memory;
                memory.created = memory.created.take().filter(|(_, created)| created.uid() != uid);
                let creation = self.observed.answers.creation.take();
                self.observed.answers.creation = creation.filter(|(_, creation)| match creation {
                    Creation::Created(job) => job.uid() != uid,
                    Creation::NameTaken | Creation::Refused(_) => true,
                });
                self.observed.jobs.retain(|job| job.uid() != uid);
            }
            (Change::Patch { .. } | Change::Delete { .. }, Answer::Conflict | Answer::Missing) => {
                // What stood in for the cache is out of date.
                self.observed.memory.created = None;
                self.queue.clear();
                self.next = Next::After(SETTLE);
            }
            _ => {}
        }
    }

    fn wrote(&mut self, answer: Answer, clock: Clock) {
        match answer {
            Answer::Written(request) => {
                self.observed.memory.reserved(self.observed.request.as_ref(), &request, clock);
                self.observed.memory.writes_in_vain = 0;
                self.observed.memory.written_at = Some(clock.uptime);
                self.observed.memory.written = Some(Box::new(request.clone().to_keep()));
                self.saw_request(Some(*request), clock);
            }
            Answer::TooLarge => {
                // Only an event can say so, and only somebody else can change it.
                let version = self.observed.request.as_ref().map(StoredRequest::generation);
                self.queue.clear();
                if self.observed.memory.reported_too_large != version {
                    self.observed.memory.reported_too_large = version;
                    self.queue.push_back(Call::Publish(Event::new(EventReason::StatusTooLarge, TOO_LARGE)));
                }
                self.next = Next::After(self.observed.memory.no_room());
            }
            Answer::Conflict | Answer::Missing => {
                // Somebody wrote in between: what was planned on the older view is dropped, what was asked stays.
                self.queue.clear();
                self.next = if let Some(pause) = self.observed.memory.conflicted() {
                    Next::After(pause)
                } else {
                    self.queue.push_back(Call::Read(Read::Request));
                    Next::Again
                };
            }
            _ => {}
        }
    }

    /// The JobRequest that the next call is planned on.
    #[must_use]
    pub const fn request(&self) -> Option<&StoredRequest> {
        self.observed.request.as_ref()
    }

    /// How the turn that this pass asked for was answered; `None`: it asked for none.
    #[must_use]
    pub fn turn(&self) -> Option<bool> {
        self.observed.answers.turn.as_ref().map(|(_, is_granted)| *is_granted)
    }

    /// What the process is to remember, also when the pass was interrupted.
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
        // A refusal is about the Job that was compiled: of another spec, or of another reservation, it says nothing.
        if self.observed.request.as_ref().map(judged_by) != found.as_ref().map(judged_by) {
            let creation = self.observed.answers.creation.take();
            self.observed.answers.creation =
                creation.filter(|(_, creation)| !matches!(creation, Creation::Refused(_)));
        }
        self.observed.request = found;
        self.observed.answers.request_at = Some(clock.uptime);
        self.observed.memory.observe(self.observed.request.as_ref(), &self.observed.jobs, clock);
    }

    fn saw_creation(&mut self, job: &Job, creation: Creation) {
        let name = job.metadata.name.clone().unwrap_or_default();
        if !matches!(&creation, Creation::Refused(_)) {
            self.observed.memory.refused.remove(&ChangeKey::Create(name.clone()));
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

/// What the Job of a request is compiled from, as far as the request itself says: its spec and rerun tokens, and the newest
/// run.
fn judged_by(request: &StoredRequest) -> (i64, Option<&BTreeMap<String, String>>, Option<&Run>) {
    let newest = request.status.0.as_ref().ok().and_then(|status| status.runs.first());
    (request.generation(), request.metadata.annotations.as_ref(), newest)
}
