//! Everything together: a server, operators, calls on their way, users; and the steps by which it moves.
//!
//! A schedule is a list of [`Action`]s. Each says all that it needs, so that a schedule can be replayed, and replayed
//! with some of its actions left out: an action that is not possible does nothing.

use std::collections::BTreeSet;

use jobrequest::api::condition::Stop;
use jobrequest::api::status::Run;
use jobrequest::reconcile::{Answer, Call, Change};

use super::mutant::Mutant;
use super::operator::{Operator, View, may_send};
use super::server::{NAME, Progress, Propagation, Server};

/// How long after it was sent a create may reach the server: the deadline of a call.
const IN_FLIGHT: u64 = 10_000;

/// What a user, or somebody else, does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    Create,
    Edit(u8),
    Alias(u8),
    Parallelism(i32),
    Suspend(bool),
    Spoil,
    Fix(u8),
    Delete(Propagation),
    DeleteJob(i32, Propagation),
    StripOwner(i32),
    StripLabels(i32),
    Wipe,
    Foreign(i32),
    Queue(i32, bool),
    /// A quota refuses creates.
    Forbid(bool),
    /// A policy refuses patches of Jobs.
    RefusePatches(bool),
    /// A policy refuses deletes of Jobs by the operator.
    RefuseDeletes(bool),
    /// `spec.rerun`.
    Token(u8),
    /// The annotation.
    Annotate(u8),
    /// A program and a token in one update.
    EditToken(u8, u8),
    /// An edit of the template below the request.
    Template,
    /// The template is deleted and created again.
    RemakeTemplate,
    /// The annotation that ends the run with this number: it names the newest Job of that number.
    Cancel(i32),
}

/// One step of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Time passes: milliseconds.
    Tick(u64),
    /// An operator begins a pass on caches as old as this.
    Begin(usize, View),
    /// Its call is performed and answered.
    Call(usize),
    /// Its call is not performed, and the pass is dropped.
    Fail(usize),
    /// Its call is performed, the answer is lost, and the pass is dropped.
    LoseAnswer(usize),
    /// It dies before its call.
    Crash(usize),
    /// Its call is performed, and it dies before the answer.
    CrashAfter(usize),
    /// Its call is sent and lands later.
    Send(usize),
    /// A call that was sent lands: the n-th of those on their way.
    Land(usize),
    /// It does not wait any longer for the call it has sent.
    GiveUp(usize),
    User(User),
    /// A step of the garbage collector; true: slowly.
    Collect(bool),
    /// A step of the Job controller on the Job of this run.
    Job(i32, Progress),
}

/// A call on its way.
#[derive(Debug)]
struct Flight {
    number: usize,
    operator: usize,
    call: Call,
    uid: String,
    answered: BTreeSet<String>,
    sent: u64,
}

/// See the module.
#[derive(Debug)]
pub struct World {
    pub server: Server,
    pub operators: Vec<Operator>,
    flights: Vec<Flight>,
    sent: usize,
    /// What happened, in words; kept only when asked for.
    pub trace: Option<Vec<String>>,
    /// Calls that operators have made.
    pub calls: usize,
}

impl World {
    pub fn new(server: Server, operators: usize, is_monotone: bool, is_traced: bool) -> Self {
        // A lease is held by one; a second operator is one that has not noticed.
        let is_sole = operators == 1;
        let operators = (0..operators).map(|_| Operator::new(is_monotone, is_sole, &server)).collect();
        Self { server, operators, flights: Vec::new(), sent: 0, trace: is_traced.then(Vec::new), calls: 0 }
    }

    fn say(&mut self, what: impl FnOnce() -> String) {
        let now = self.server.now;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>8}.{:03} {}", now / 1000, now % 1000, what()));
        }
    }

    /// Number of calls on their way.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Performs `action`; false: it was not possible.
    pub fn apply(&mut self, action: Action) -> bool {
        match action {
            Action::Tick(pause) => {
                self.server.now += pause;
                let now = self.server.now;
                // A create that has not arrived by its deadline never does.
                self.flights.retain(|flight| {
                    !matches!(flight.call, Call::Change(Change::Create { .. }))
                        || now <= flight.sent + IN_FLIGHT
                });
                true
            }
            Action::Begin(operator, view) => {
                let begun = self.operators[operator].begin(view, &mut self.server);
                if begun {
                    self.say(|| format!("operator {operator} looks: {view:?}"));
                }
                begun
            }
            Action::Call(operator) => self.call(operator),
            Action::Fail(operator) => {
                if !self.is_ready(operator) {
                    return false;
                }
                self.say(|| format!("operator {operator}: its call fails"));
                self.operators[operator].drop_pass(&self.server);
                true
            }
            Action::LoseAnswer(operator) => {
                if self.perform(operator).is_none() {
                    return false;
                }
                self.say(|| format!("operator {operator}: the answer is lost"));
                self.operators[operator].drop_pass(&self.server);
                true
            }
            Action::Crash(operator) => {
                self.say(|| format!("operator {operator} dies and restarts"));
                self.operators[operator].restart(&self.server);
                true
            }
            Action::CrashAfter(operator) => {
                if self.perform(operator).is_none() {
                    return false;
                }
                self.say(|| format!("operator {operator} dies before the answer and restarts"));
                self.operators[operator].restart(&self.server);
                true
            }
            Action::Send(operator) => self.send(operator),
            Action::Land(index) => self.land(index),
            Action::GiveUp(operator) => {
                if self.operators[operator].running.as_ref().is_none_or(|running| running.sent.is_none()) {
                    return false;
                }
                self.say(|| format!("operator {operator} gives up waiting"));
                self.operators[operator].drop_pass(&self.server);
                true
            }
            Action::User(user) => {
                let possible = self.user(user);
                if possible {
                    self.say(|| format!("user: {user:?}"));
                }
                possible
            }
            Action::Collect(slowly) => {
                let possible = self.server.collect(slowly);
                if possible {
                    self.say(|| "garbage collector".to_owned());
                }
                possible
            }
            Action::Job(run, progress) => {
                let possible = self.server.progress(&format!("{NAME}-{run}"), progress);
                if possible {
                    self.say(|| format!("Job controller: run {run}: {progress:?}"));
                }
                possible
            }
        }
    }

    fn is_ready(&self, operator: usize) -> bool {
        self.operators[operator].running.as_ref().is_some_and(|running| running.sent.is_none())
    }

    fn call(&mut self, operator: usize) -> bool {
        let Some(answer) = self.perform(operator) else { return false };
        if self.server.mutant == Some(Mutant::RefusalEndsThePass) && matches!(answer, Answer::Refused(_)) {
            self.operators[operator].drop_pass(&self.server);
        } else {
            self.operators[operator].answer(answer, &self.server);
        }
        true
    }

    /// The call reaches the server at once. `None`: there is no call to make.
    fn perform(&mut self, operator: usize) -> Option<Answer> {
        if !self.is_ready(operator) {
            return None;
        }
        let clock = self.operators[operator].clock(&self.server);
        let running = self.operators[operator].running.as_ref()?;
        let (call, uid) = (running.call.clone(), running.uid.clone());
        let answered = running.answered.clone();
        self.judge(operator);
        if !may_send(&call, clock, self.server.mutant) {
            self.say(|| format!("operator {operator}: too late to send"));
            return Some(Answer::Late);
        }
        Some(self.reach(operator, &call, &uid, &answered))
    }

    /// What an operator is about to create, judged by what it knows itself.
    fn judge(&mut self, operator: usize) {
        let Some(running) = self.operators[operator].running.as_ref() else { return };
        if let (Call::Change(Change::Create { job, .. }), Some(request)) =
            (&running.call, running.pass.request())
        {
            self.server.oracle.sent(job, request, &running.shown, &running.answered);
        }
    }

    fn reach(&mut self, operator: usize, call: &Call, uid: &str, answered: &BTreeSet<String>) -> Answer {
        self.calls += 1;
        let known = self.server.recorded();
        // A decision that is kept in memory only: the server never hears of it, the operator believes it was.
        let decides = |is_it: fn(&Run) -> bool| matches!(call, Call::WriteStatus { status, .. } if status.runs.first().is_some_and(is_it));
        let unwritten = match self.server.mutant {
            Some(Mutant::ReservesInMemory) => decides(|run| run.job_uid.is_none()),
            Some(Mutant::CancelsInMemory) => {
                decides(|run| run.stop == Some(Stop::Cancel) && run.result.is_none())
            }
            Some(Mutant::StopsInMemory) => decides(|run| run.stop.is_some() && run.result.is_none()),
            _ => false,
        };
        let answer = if let (true, Call::WriteStatus { status, .. }, Some(request)) =
            (unwritten, call, self.server.request())
        {
            let mut request = (**request).clone();
            request.status.0 = Ok((**status).clone());
            Answer::Written(Box::new(request))
        } else {
            self.server.perform(call, uid)
        };
        if let (Call::WriteStatus { status, .. }, Answer::Written(_)) = (call, &answer) {
            // Rule 7: a uid comes from an answer to this very pass, never from a cache.
            let fresh = status.runs.iter().filter_map(|run| run.job_uid.as_ref());
            if let Some(uid) = fresh.clone().find(|uid| !known.contains(*uid) && !answered.contains(*uid)) {
                self.server.oracle.violate(|| format!("{uid} was recorded, and no answer told of it"));
            }
        }
        if self.trace.is_some() {
            let (asked, told) = (words(call), told(&answer));
            self.say(|| format!("operator {operator}: {asked} -> {told}"));
        }
        answer
    }

    fn send(&mut self, operator: usize) -> bool {
        if !self.is_ready(operator) {
            return false;
        }
        let clock = self.operators[operator].clock(&self.server);
        let mutant = self.server.mutant;
        let (number, now) = (self.sent, self.server.now);
        let Some(running) = self.operators[operator].running.as_mut() else { return false };
        if !may_send(&running.call, clock, mutant) {
            return false;
        }
        running.sent = Some(number);
        self.judge(operator);
        let Some(running) = self.operators[operator].running.as_ref() else { return false };
        let (call, uid, answered) = (running.call.clone(), running.uid.clone(), running.answered.clone());
        let asked = words(&call);
        self.say(|| format!("operator {operator}: sends {asked}"));
        self.flights.push(Flight { number, operator, call, uid, answered, sent: now });
        self.sent += 1;
        true
    }

    fn land(&mut self, index: usize) -> bool {
        if index >= self.flights.len() {
            return false;
        }
        let flight = self.flights.remove(index);
        self.say(|| "a call lands:".to_owned());
        let answer = self.reach(flight.operator, &flight.call, &flight.uid, &flight.answered);
        let operator = &mut self.operators[flight.operator];
        if operator.running.as_ref().is_some_and(|running| running.sent == Some(flight.number)) {
            operator.answer(answer, &self.server);
        }
        true
    }

    fn user(&mut self, user: User) -> bool {
        let server = &mut self.server;
        let job = |run: i32| format!("{NAME}-{run}");
        match user {
            User::Create => server.create_request(),
            User::Edit(program) => {
                server.wish.program.is_some() && server.edit(|wish| wish.program = Some(program))
            }
            User::Alias(alias) => server.edit(|wish| wish.alias = alias),
            User::Parallelism(parallelism) => server.edit(|wish| wish.parallelism = parallelism),
            User::Suspend(suspend) => server.edit(|wish| wish.suspend = suspend),
            User::Spoil => server.edit(|wish| wish.program = None),
            User::Fix(program) => {
                server.wish.program.is_none() && server.edit(|wish| wish.program = Some(program))
            }
            User::Delete(how) => server.delete_request(how),
            User::DeleteJob(run, how) => server.delete_job(&job(run), how),
            User::StripOwner(run) => server.strip_owner(&job(run)),
            User::StripLabels(run) => server.strip_labels(&job(run)),
            User::Wipe => server.wipe(),
            User::Foreign(run) => server.create_foreign(run),
            User::Queue(run, suspend) => server.queue(&job(run), suspend),
            User::Token(token) => server.edit(|wish| wish.token = token),
            User::Annotate(token) => server.annotate(token),
            User::EditToken(program, token) => {
                server.wish.program.is_some()
                    && server.edit(|wish| (wish.program, wish.token) = (Some(program), token))
            }
            User::Cancel(run) => server.cancel(&job(run)),
            User::Template => server.edit_template(false),
            User::RemakeTemplate => server.edit_template(true),
            User::Forbid(refuses) => server.refuse(|refusing| refusing.creates = refuses),
            User::RefusePatches(refuses) => server.refuse(|refusing| refusing.patches = refuses),
            User::RefuseDeletes(refuses) => server.refuse(|refusing| refusing.deletes = refuses),
        }
    }
}

fn words(call: &Call) -> String {
    match call {
        Call::Change(Change::Create { job, .. }) => {
            let annotations = job.metadata.annotations.clone().unwrap_or_default();
            format!(
                "POST {} {}",
                job.metadata.name.as_deref().unwrap_or_default(),
                annotations.get(jobrequest::api::labels::DIGEST).cloned().unwrap_or_default()
            )
        }
        Call::WriteStatus { resource_version, status, .. } => {
            let runs: Vec<String> = status
                .runs
                .iter()
                .map(|run| {
                    format!(
                        "{}:{}:{}",
                        run.number,
                        run.job_uid.as_deref().unwrap_or("reserved"),
                        run.result.map_or("open", jobrequest::api::condition::RunResult::as_str)
                    )
                })
                .collect();
            let handled = status.last_handled_rerun.clone().unwrap_or_default();
            let stop = status.runs.first().and_then(|run| run.stop);
            format!(
                "PUT status at {resource_version}: {:?} {runs:?} stop {stop:?} handled {:?} {:?}",
                status.phase, handled.spec, handled.annotation
            )
        }
        Call::Change(Change::Patch { name, patch }) => format!("PATCH {name} {patch}"),
        Call::Change(Change::Delete { name, propagation, .. }) => format!("DELETE {name} {propagation:?}"),
        Call::Publish(event) => format!("event {}: {}", event.reason, event.note),
        other => format!("{other:?}"),
    }
}

fn told(answer: &Answer) -> String {
    match answer {
        Answer::Request(found) => found.as_ref().map_or("404".to_owned(), |request| {
            format!(
                "{} at {} generation {} suspend {}",
                request.uid(),
                request.metadata.resource_version.as_deref().unwrap_or_default(),
                request.generation(),
                request.is_suspended()
            )
        }),
        Answer::Job(found) => found.as_ref().map_or("404".to_owned(), |job| job.uid().to_owned()),
        Answer::Jobs(jobs) => {
            format!("{:?}", jobs.iter().map(jobrequest::reconcile::JobView::uid).collect::<Vec<_>>())
        }
        Answer::Written(request) => {
            format!("200 at {}", request.metadata.resource_version.as_deref().unwrap_or_default())
        }
        Answer::Patched(job) => format!("200 {}", job.uid()),
        Answer::Created(job) => format!("201 {}", job.uid()),
        other => format!("{other:?}"),
    }
}
