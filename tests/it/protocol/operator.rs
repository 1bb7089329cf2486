//! One operator process: its caches, its memory, and the pass it is in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jobrequest::api::labels;
use jobrequest::api::status::HandledRerun;
use jobrequest::reconcile::{
    Answer, Answers, Call, Change, Clock, JobView, Memory, Next, Observed, Reconciler, Step, StoredRequest,
};

use super::mutant::Mutant;
use super::server::Server;

/// How old the caches are when a pass begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Versions by which the JobRequest lags.
    pub request: usize,
    /// Most versions by which a Job lags; each its own, drawn from `salt`.
    pub jobs: usize,
    pub salt: usize,
    /// The watch brought the last states of deleted Jobs.
    pub words: bool,
    /// Versions by which the template lags.
    pub template: usize,
}

/// A pass and the call that it waits for.
#[derive(Debug)]
pub struct Running {
    pub uid: String,
    pub pass: Reconciler,
    pub call: Call,
    /// The call was sent, under this number, and its answer is awaited.
    pub sent: Option<usize>,
    seen: (StoredRequest, Vec<JobView>),
    /// The Jobs that its cache showed, before any sabotage.
    pub shown: Vec<JobView>,
    /// uids of Jobs which the server has answered in this pass.
    pub answered: BTreeSet<String>,
}

/// What a pass is about, and rests on.
struct Under {
    uid: String,
    seen: (StoredRequest, Vec<JobView>),
    shown: Vec<JobView>,
    answered: BTreeSet<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Operator {
    /// Caches never go back (one process, one watch); else any look may be older than the last one.
    pub is_monotone: bool,
    pub running: Option<Running>,
    /// When the last pass wants to look again.
    pub wake_at: Option<u64>,
    started: u64,
    memory: BTreeMap<String, Memory>,
    seen_request: usize,
    seen_jobs: BTreeMap<String, usize>,
    seen_template: usize,
    /// It holds the lease for as long as it lives.
    is_sole: bool,
}

impl Operator {
    pub fn new(is_monotone: bool, is_sole: bool, server: &Server) -> Self {
        let mut operator = Self {
            is_monotone,
            running: None,
            wake_at: Some(server.now),
            started: server.now,
            memory: BTreeMap::new(),
            seen_request: 0,
            seen_jobs: BTreeMap::new(),
            seen_template: 0,
            is_sole,
        };
        operator.look(server);
        operator
    }

    /// A restart lists everything anew.
    fn look(&mut self, server: &Server) {
        self.seen_request = server.requests.len() - 1;
        self.seen_jobs =
            server.jobs.iter().map(|(name, versions)| (name.clone(), versions.len() - 1)).collect();
        self.seen_template = server.templates.len() - 1;
    }

    /// The process dies, and another takes its place.
    pub fn restart(&mut self, server: &Server) {
        *self = Self::new(self.is_monotone, self.is_sole, server);
    }

    /// Both clocks. The process has been up for a while when the model begins.
    pub fn clock(&self, server: &Server) -> Clock {
        Clock { now: server.wall(), uptime: Duration::from_millis(server.now - self.started + 1_000_000) }
    }

    /// Begins a pass on caches as old as `view`; false: one is under way, or the cache shows no JobRequest.
    pub fn begin(&mut self, view: View, server: &mut Server) -> bool {
        if self.running.is_some() {
            return false;
        }
        let newest = server.requests.len() - 1;
        let floor = if self.is_monotone { self.seen_request } else { 0 };
        let index = newest.saturating_sub(view.request).max(floor);
        self.seen_request = index;
        self.wake_at = None;
        let Some(request) = server.requests[index].clone() else { return false };
        let uid = request.uid().to_owned();
        let mut jobs = Vec::new();
        for (place, (name, versions)) in server.jobs.iter().enumerate() {
            let floor = if self.is_monotone { self.seen_jobs.get(name).copied().unwrap_or(0) } else { 0 };
            let lag = (view.salt / (place * 7 + 1)) % (view.jobs + 1);
            let index = (versions.len() - 1).saturating_sub(lag).max(floor);
            self.seen_jobs.insert(name.clone(), index);
            if view.words {
                for pair in versions[..=index].windows(2) {
                    let Some(last) = &pair[0] else { continue };
                    let is_gone = pair[1].as_ref().is_none_or(|next| next.view.uid() != last.view.uid());
                    if is_gone && last.is_cached() && last.view.is_terminal() {
                        let owner = last.view.annotation(labels::REQUEST_UID).unwrap_or_default();
                        let memory = self.memory.entry(owner.to_owned()).or_default();
                        memory.last_words.insert(last.view.uid().to_owned(), last.view.clone());
                    }
                }
            }
            jobs.extend(versions[index].as_ref().filter(|job| job.is_cached()).map(|job| job.view.clone()));
        }
        let mut request = (*request).clone();
        let shown = jobs.clone();
        let mut memory = self.memory.get(&uid).cloned().unwrap_or_default();
        if let Some(mutant) = server.mutant {
            jobs.retain(|job| !mutant.hides(job, &request));
            mutant.request(&mut request);
            mutant.memory(&mut memory);
            for job in &mut jobs {
                mutant.job(job, &uid);
            }
        }
        let seen = (request.clone(), jobs.clone());
        let observed = Observed {
            request: Some(request),
            jobs,
            pods: Vec::new(),
            answers: Answers::default(),
            memory,
            sole_since: self.is_sole.then(|| Duration::from_millis(1_000_000)),
        };
        let newest = server.templates.len() - 1;
        let floor = if self.is_monotone { self.seen_template } else { 0 };
        self.seen_template = newest.saturating_sub(view.template).max(floor);
        let layers = server.layers(self.seen_template);
        let pass = Reconciler::new(observed, layers, self.clock(server));
        self.proceed(Under { uid, seen, shown, answered: BTreeSet::new() }, pass, server);
        true
    }

    fn proceed(&mut self, under: Under, mut pass: Reconciler, server: &Server) {
        let Under { uid, seen, shown, answered } = under;
        match pass.step(self.clock(server)) {
            Step::Call(mut call) => {
                alter(&mut call, server);
                self.running = Some(Running { uid, pass, call, sent: None, seen, shown, answered });
            }
            Step::Rest(rest) => {
                self.remember(&uid, pass);
                self.wake_at = match rest {
                    Next::Again => Some(server.now),
                    Next::After(pause) => {
                        Some(server.now + u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).max(100))
                    }
                    Next::AwaitChange => None,
                };
            }
        }
    }

    /// The call was answered.
    pub fn answer(&mut self, mut answer: Answer, server: &Server) {
        let Some(mut running) = self.running.take() else { return };
        match &answer {
            Answer::Job(Some(job)) | Answer::Created(job) => {
                running.answered.insert(job.uid().to_owned());
            }
            Answer::Jobs(jobs) => running.answered.extend(jobs.iter().map(|job| job.uid().to_owned())),
            _ => {}
        }
        if let Some(mutant) = server.mutant {
            let template = server.template(self.seen_template).pin();
            let seen = (&running.seen.0, running.seen.1.as_slice(), &template);
            mutant.answer(&running.call, &mut answer, &running.uid, seen, server);
        }
        running.pass.answer(&running.call, answer, self.clock(server));
        let Running { uid, pass, seen, shown, answered, .. } = running;
        self.proceed(Under { uid, seen, shown, answered }, pass, server);
    }

    /// The call was not answered: the pass is dropped, and another begins after a pause.
    pub fn drop_pass(&mut self, server: &Server) {
        if let Some(running) = self.running.take() {
            self.remember(&running.uid, running.pass);
            self.wake_at = Some(server.now + 1000);
        }
    }

    fn remember(&mut self, uid: &str, pass: Reconciler) {
        self.memory.insert(uid.to_owned(), pass.into_memory());
    }

    /// The caches have something which the last pass has not seen.
    pub fn is_touched(&self, server: &Server) -> bool {
        server.requests.len() - 1 > self.seen_request
            || server.templates.len() - 1 > self.seen_template
            || server.jobs.iter().any(|(name, versions)| {
                let seen = self.seen_jobs.get(name).copied().unwrap_or(0);
                // Watches select by label: what happens to a Job without them is not seen.
                versions[seen..].iter().skip(1).zip(&versions[seen..]).any(|(new, old)| {
                    let cached = |job: &Option<_>| {
                        job.as_ref()
                            .is_some_and(|job: &std::rc::Rc<super::server::StoredJob>| job.is_cached())
                    };
                    cached(new) || cached(old)
                })
            })
    }
}

/// What a mutant changes in a call before it is sent.
fn alter(call: &mut Call, server: &Server) {
    let Some(mutant) = server.mutant else { return };
    match call {
        Call::WriteStatus { status, .. } => {
            let stored = server.request().map(|request| request.known_status()).unwrap_or_default();
            mutant.status(status, &stored);
        }
        Call::Change(Change::Create { job, .. }) if mutant == Mutant::TokensOfReservation => {
            let annotations = job.metadata.annotations.get_or_insert_default();
            let run = annotations.get(labels::RUN).and_then(|run| run.parse().ok()).unwrap_or_default();
            if let Some([spec, annotation]) = server.oracle.first_reserved(run) {
                let of = |token: String| Some(token).filter(|token| !token.is_empty());
                let handled = HandledRerun { spec: of(spec), annotation: of(annotation) };
                annotations.insert(labels::RERUN.to_owned(), serde_json::to_string(&handled).unwrap());
            }
        }
        _ => {}
    }
}

/// The create may still be sent, by the process's own clock.
pub fn may_send(call: &Call, clock: Clock, mutant: Option<Mutant>) -> bool {
    match call {
        Call::Change(Change::Create { before, .. }) => {
            clock.uptime < *before || mutant == Some(Mutant::SendsLate)
        }
        _ => true,
    }
}
