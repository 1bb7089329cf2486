//! What must hold at every write, whatever happens around it.
//!
//! The oracle sees the truth: every Job ever created, what it ran, how it ended, who deleted it. It judges each write
//! when it reaches the server and remembers the first one that is wrong.

use std::collections::{BTreeMap, BTreeSet};

use jobrequest::api::condition::{RunResult, Stop};
use jobrequest::api::{JobRequestStatus, labels};
use jobrequest::compile::digest::digest;
use jobrequest::reconcile::{JobView, StoredRequest};
use k8s_openapi::api::batch::v1::Job;

use super::spec::Wish;

/// uid of a request, number of a run.
type Key = (String, i32);

/// While a create may still be on its way after the run's uid was recorded: 10 s to send it, 10 s to arrive.
const LATE_CREATE: u64 = 20_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Oracle {
    /// The first thing that was wrong.
    pub violation: Option<String>,
    /// Writes which operators made.
    pub writes: usize,
    /// The digest is made of something else on purpose.
    pub ignores_digests: bool,
    /// Runs are tried again when limits of their template change.
    limited: bool,
    created: BTreeSet<Key>,
    reserved: BTreeSet<Key>,
    keys: BTreeMap<String, Key>,
    active: BTreeSet<String>,
    ran: BTreeMap<String, String>,
    handled: BTreeMap<String, [String; 2]>,
    ended: BTreeMap<String, RunResult>,
    results: BTreeMap<String, RunResult>,
    deleted_by_us: BTreeSet<String>,
    /// What the sources of tokens held when a run was reserved last, by request.
    last_handled: BTreeMap<String, [String; 2]>,
    /// What they held when each run was first reserved.
    first_reserved: BTreeMap<Key, [String; 2]>,
    /// Jobs whose runs a user has asked to end.
    to_cancel: BTreeSet<String>,
    /// Jobs that some status said are to be replaced.
    decided: BTreeSet<String>,
    /// Jobs which were gone before their pods, by our own delete.
    pods_left: BTreeSet<String>,
    /// Requests whose status was wiped: a decision to stop a run is lost with it.
    wiped: BTreeSet<String>,
    recorded_at: BTreeMap<String, u64>,
    /// Runs for which the API cannot promise one Job: a user deleted it in the documented window, or the status was
    /// wiped after it had gone.
    unpromised: BTreeSet<Key>,
    queued: BTreeSet<String>,
    /// Jobs that somebody else has suspended, and not resumed.
    held: BTreeSet<String>,
}

impl Oracle {
    pub fn new(limited: bool) -> Self {
        Self { limited, ..Self::default() }
    }

    pub fn violate(&mut self, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(what());
        }
    }

    fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violate(what);
        }
    }

    /// A queue has a hand in this Job's `suspend`: it suspends the Job, or resumes it.
    pub fn queued(&mut self, uid: &str, suspend: bool) {
        self.queued.insert(uid.to_owned());
        if suspend {
            self.held.insert(uid.to_owned());
        } else {
            self.held.remove(uid);
        }
    }

    /// An operator sets `suspend` of a Job.
    pub fn suspended(&mut self, uid: &str, suspend: bool) {
        let is_theirs = self.held.contains(uid);
        self.check(suspend || !is_theirs, || format!("an operator resumes {uid}, which a queue holds back"));
    }

    /// A user asks to end the run of the Job with this uid.
    pub fn asked_to_cancel(&mut self, uid: &str) {
        self.to_cancel.insert(uid.to_owned());
    }

    pub fn is_queued(&self, uid: &str) -> bool {
        self.queued.contains(uid)
    }

    /// A Job was created by an operator.
    pub fn created(
        &mut self,
        job: &JobView,
        request: Option<&StoredRequest>,
        program: Option<u8>,
        _now: u64,
    ) {
        self.writes += 1;
        let owner = job.annotation(labels::REQUEST_UID).unwrap_or_default().to_owned();
        let key = (owner, job.run().unwrap_or_default());
        let uid = job.uid().to_owned();
        // A create under a dead or dying owner is the garbage collector's.
        let is_wanted = request.is_some_and(|request| request.uid() == key.0 && !request.is_deleting());
        let is_promised = is_wanted && !self.unpromised.contains(&key);
        let is_reserved = self.reserved.contains(&key);
        self.check(is_reserved, || format!("{} was created without a reservation", job.name()));
        let is_first = self.created.insert(key.clone());
        self.check(is_first || !is_promised, || {
            format!("a second Job, {uid}, was created for run {} of {}", key.1, key.0)
        });
        let beside = self.active.iter().find(|other| {
            let other = &self.keys[*other];
            other.0 == key.0 && !self.unpromised.contains(other)
        });
        if let (Some(beside), true) = (beside.cloned(), is_promised) {
            self.violate(|| format!("{uid} (run {}) was created while {beside} is active", key.1));
        }
        if let (Some(left), true) =
            (self.pods_left.iter().find(|left| self.keys[*left].0 == key.0).cloned(), is_promised)
        {
            self.violate(|| format!("{uid} was created beside the pods of {left}, which was replaced"));
        }
        let handled: serde_json::Value = job
            .annotation(labels::RERUN)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let token = |name: &str| handled[name].as_str().unwrap_or_default().to_owned();
        let tokens = [token("spec"), token("annotation")];
        if let (Some(request), Some(program), true) = (request, program, is_promised) {
            self.judge_repeat(request, &key, &Wish::digest_of(program), &tokens);
        }
        self.handled.insert(uid.clone(), tokens);
        self.keys.insert(uid.clone(), key);
        self.active.insert(uid.clone());
        if let Some(program) = program {
            self.ran.insert(uid, Wish::digest_of(program));
        }
    }

    /// Two runs of one program, one after the other: somebody must have asked for the second.
    fn judge_repeat(&mut self, request: &StoredRequest, key: &Key, digest: &str, tokens: &[String; 2]) {
        let before = self.keys.iter().filter(|(_, other)| other.0 == key.0 && other.1 < key.1);
        let Some((uid, number)) =
            before.max_by_key(|(_, other)| other.1).map(|(uid, other)| (uid.clone(), other.1))
        else {
            return;
        };
        let policy = request.whole_spec().and_then(|spec| spec.run_policy.clone()).unwrap_or_default();
        let is_asked_for = self.ran.get(&uid).is_none_or(|ran| ran != digest)
            || self.handled_with(&uid) != *tokens
            || self.results.get(&uid) == Some(&RunResult::Replaced)
            || policy.follows_templates()
            || self.limited
            || self.ignores_digests
            || self.wiped.contains(&key.0)
            || self.unpromised.contains(&(key.0.clone(), number));
        self.check(is_asked_for, || {
            format!("run {} does again what run {number} has done, and nobody asked for it", key.1)
        });
    }

    /// An operator is about to create `job` for `request`; its caches show `jobs`, and answers showed the Jobs with these
    /// uids.
    pub fn sent(
        &mut self,
        job: &Job,
        request: &StoredRequest,
        jobs: &[JobView],
        answered: &BTreeSet<String>,
    ) {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let annotations = job.metadata.annotations.as_ref();
        let handled: serde_json::Value = annotations
            .and_then(|all| serde_json::from_str(all.get(labels::RERUN)?).ok())
            .unwrap_or_default();
        for (source, token) in ["spec", "annotation"].into_iter().zip(tokens_of(request)) {
            let has_it = token.is_empty() || handled[source].as_str() == Some(&token);
            self.check(has_it, || {
                format!("{name} is created without the token {token:?}, which asks for it")
            });
        }
        if let Some(other) = jobs.iter().find(|job| job.is_of_another(request.uid()) && !job.is_terminal()) {
            self.violate(|| format!("{name} is created beside {}, which a predecessor left", other.name()));
        }
        let is_of_another = |uid: &&String| self.keys.get(*uid).is_some_and(|key| key.0 != request.uid());
        let active = answered.iter().filter(|uid| self.active.contains(*uid)).find(is_of_another).cloned();
        if let Some(uid) = active {
            self.violate(|| format!("{name} is created beside {uid}, which is a predecessor's"));
        }
    }

    /// The tokens that the Job with this uid was made with: of the spec, and of the annotation.
    pub fn handled_with(&self, uid: &str) -> [String; 2] {
        self.handled.get(uid).cloned().unwrap_or_default()
    }

    /// A Job reached this state by the Job controller.
    pub fn ended(&mut self, job: &JobView) {
        let result = if job.true_condition("Complete").is_some() {
            RunResult::Succeeded
        } else if job.true_condition("Failed").is_some() {
            RunResult::Failed
        } else {
            return;
        };
        self.active.remove(job.uid());
        self.ended.insert(job.uid().to_owned(), result);
    }

    /// A Job is gone, by whomever.
    pub fn gone(&mut self, job: &JobView) {
        self.active.remove(job.uid());
    }

    /// An operator patches or deletes a Job for the request with this uid.
    pub fn touched(&mut self, job: &JobView, request: &str, verb: &str) {
        self.writes += 1;
        let is_ours = job.is_of(request) && job.is_controlled_by(request);
        self.check(is_ours, || {
            format!("an operator {verb} {} ({}), which is not ours", job.name(), job.uid())
        });
    }

    /// An operator deletes a Job, under this status.
    pub fn deleted_by_us(&mut self, job: &JobView, status: &JobRequestStatus) {
        self.deleted_by_us.insert(job.uid().to_owned());
        let number = job.run().unwrap_or_default();
        let newest = status.runs.first().map_or(0, |run| run.number);
        let has_ended = self.ended.contains_key(job.uid());
        let is_free = match status.runs.iter().find(|run| run.number == number) {
            // Rule 14: a run that was decided to be replaced, or exceeds limits, and has no result that would be lost.
            Some(run) if run.stop.is_some_and(Stop::deletes_the_job) && !has_ended => true,

            Some(run) => match &run.job_uid {
                Some(uid) => uid != job.uid() || run.result.is_some(),
                None => run.result.is_some(),
            },
            None => number < newest,
        };
        // The status may have been wiped, or gone with its request, between the decision and the delete.
        let owner = self.keys.get(job.uid()).map(|key| key.0.clone()).unwrap_or_default();
        let was_decided = self.wiped.contains(&owner) && self.decided.contains(job.uid()) && !has_ended;
        let was_recorded = self.results.contains_key(job.uid());
        self.check(is_free || was_decided || was_recorded, || {
            format!("an operator deletes {} ({}), whose result is not recorded", job.name(), job.uid())
        });
    }

    /// Our own delete took a Job before its pods.
    pub fn leaves_pods(&mut self, job: &JobView) {
        if self.active.contains(job.uid()) {
            self.pods_left.insert(job.uid().to_owned());
        }
    }

    /// Pods that were left have gone; false: there were none.
    pub fn pods_go(&mut self) -> bool {
        let were_left = !self.pods_left.is_empty();
        self.pods_left.clear();
        were_left
    }

    /// A user deletes a Job, while the request with this uid is there. A foreign Job under a run's name counts too:
    /// one operator has stepped over it, a create of another is on its way and finds the name free.
    pub fn deleted_by_user(&mut self, job: &JobView, request: Option<&str>, now: u64) {
        let is_settled =
            self.recorded_at.get(job.uid()).is_some_and(|at| now.saturating_sub(*at) > LATE_CREATE);
        match (self.keys.get(job.uid()), request) {
            (Some(key), _) if !is_settled => self.unpromised.insert(key.clone()),
            (None, Some(request)) => {
                let number = job.name().rsplit('-').next().and_then(|number| number.parse().ok());
                self.unpromised.insert((request.to_owned(), number.unwrap_or_default()))
            }
            _ => false,
        };
    }

    /// The status was wiped while the Jobs of these runs could be listed.
    pub fn wiped(&mut self, request: &str, listed: &[i32]) {
        self.recorded_at.clear();
        self.wiped.insert(request.to_owned());
        let is_decided = |key: &Key| self.decided.iter().any(|uid| self.keys.get(uid) == Some(key));
        let lost = self
            .created
            .union(&self.reserved)
            .filter(|key| key.0 == request && (!listed.contains(&key.1) || is_decided(key)));
        self.unpromised.extend(lost.cloned().collect::<Vec<_>>());
    }

    /// An operator replaces the status of `stored`; `existing`: uids recorded in `status` whose Jobs exist.
    pub fn written(
        &mut self,
        stored: &StoredRequest,
        status: &JobRequestStatus,
        existing: &[String],
        template: &(String, i64),
        now: u64,
    ) {
        self.writes += 1;
        let before = stored.known_status();
        self.check(!stored.is_deleting(), || "the status of a deleting request was written".to_owned());
        self.judge_words(status);
        for old in before.runs.iter().filter(|run| run.job_uid.is_some() || run.result.is_some()) {
            let Some(new) = status.runs.iter().find(|run| run.number == old.number) else {
                self.check(before.runs.len() >= 25, || format!("the record of run {} is gone", old.number));
                continue;
            };
            let is_same_job = old.job_uid == new.job_uid && (old.digest == new.digest);
            self.check(is_same_job, || format!("the Job or digest of run {} has changed", old.number));
            let is_sticky = old.result.is_none()
                || (old.result == new.result && old.end_time == new.end_time && old.reason == new.reason);
            self.check(is_sticky, || {
                format!("the result of run {} has changed: {:?} to {:?}", old.number, old.result, new.result)
            });
        }
        for run in &status.runs {
            let old = before.runs.iter().find(|old| old.number == run.number);
            let key = (stored.uid().to_owned(), run.number);
            let Some(uid) = &run.job_uid else {
                self.check(run.result.is_none(), || format!("run {} has a result and no Job", run.number));
                if old.is_some_and(|old| old != run) {
                    self.handles(stored);
                }
                if old.is_none() {
                    let replaced =
                        status.runs.get(1).is_some_and(|run| run.result == Some(RunResult::Replaced));
                    self.reserve(stored, &before, replaced, template, key);
                }
                continue;
            };
            self.recorded_at.entry(uid.clone()).or_insert(now);
            if old.is_none_or(|old| old.job_uid.is_none()) {
                // What a later reservation stood for is still asked for: the Job says what it was created for.
                let handled = self.handled_with(uid);
                self.last_handled.insert(stored.uid().to_owned(), handled);
            }
            let is_decided_now = old.is_none_or(|old| old.stop != run.stop);
            if run.stop == Some(Stop::NeverStarted) && is_decided_now {
                let never_began = old.is_none_or(|old| old.containers_started.is_none());
                self.check(never_began, || {
                    format!(
                        "run {} is stopped as one that never started, and its record says it had",
                        run.number
                    )
                });
            }
            if run.stop == Some(Stop::Cancel) {
                let is_asked_for = self.to_cancel.contains(uid);
                self.check(is_asked_for, || {
                    format!("run {} is cancelled, and nobody asked for it", run.number)
                });
            }
            if run.stop.is_some_and(Stop::deletes_the_job) {
                self.decided.insert(uid.clone());
            }
            let is_its_job = self.keys.get(uid) == Some(&key);
            self.check(is_its_job, || format!("run {} records {uid}, which is not its Job", run.number));
            let ran = self.ran.get(uid).cloned().unwrap_or_default();
            let is_told = ran == run.digest || self.ignores_digests;
            self.check(is_told, || {
                format!("run {} records digest {}, but {uid} ran {ran}", run.number, run.digest)
            });
            if let Some(result) = run.result {
                self.judge_result(run.number, uid, result, run.stop, existing, stored.uid());
            }
        }
        let numbers: Vec<i32> = status.runs.iter().map(|run| run.number).collect();
        self.check(numbers.windows(2).all(|pair| pair[0] > pair[1]), || format!("runs are {numbers:?}"));
    }

    fn reserve(
        &mut self,
        stored: &StoredRequest,
        before: &JobRequestStatus,
        replaced: bool,
        template: &(String, i64),
        key: Key,
    ) {
        let number = key.1;
        self.check(!stored.is_suspended(), || format!("run {number} was reserved while suspended"));
        // A reservation that steps over a foreign Job replaces an open one.
        if let (Some(newest), Some(spec)) = (before.runs.first(), stored.whole_spec()) {
            let ran = newest.job_uid.as_ref().and_then(|uid| self.ran.get(uid));
            let policy = spec.run_policy.clone().unwrap_or_default();
            let has_changed = ran != Some(&digest(spec)) && !policy.holds();
            // What exceeded limits is tried again when they change.
            let follows = policy.follows_templates() || newest.stop == Some(Stop::LimitsExceeded);
            let has_newer_template = follows
                && newest
                    .templates
                    .first()
                    .is_none_or(|pin| (&pin.uid, pin.generation) != (&template.0, template.1));
            let is_asked_for = newest.job_uid.is_none()
                || replaced
                || has_changed
                || has_newer_template
                || self.is_token_new(stored);
            self.check(is_asked_for, || format!("run {number} was reserved, and nobody asked for it"));
        }
        self.handles(stored);
        self.first_reserved.entry(key.clone()).or_insert_with(|| tokens_of(stored));
        self.reserved.insert(key);
    }

    /// A reservation stands for what the sources of `stored` hold.
    fn handles(&mut self, stored: &StoredRequest) {
        let last = self.last_handled.entry(stored.uid().to_owned()).or_default();
        for (last, token) in last.iter_mut().zip(tokens_of(stored)) {
            if !token.is_empty() {
                *last = token;
            }
        }
    }

    /// What the sources held when the run with this number was first reserved.
    pub fn first_reserved(&self, number: i32) -> Option<[String; 2]> {
        self.first_reserved.iter().find(|(key, _)| key.1 == number).map(|(_, tokens)| tokens.clone())
    }

    /// A source of `stored` holds something that no run was reserved for. A wipe may bring a token back.
    fn is_token_new(&self, stored: &StoredRequest) -> bool {
        let last = self.last_handled.get(stored.uid()).cloned().unwrap_or_default();
        self.wiped.contains(stored.uid())
            || tokens_of(stored).iter().zip(&last).any(|(token, last)| !token.is_empty() && token != last)
    }

    fn judge_result(
        &mut self,
        number: i32,
        uid: &str,
        result: RunResult,
        stop: Option<Stop>,
        existing: &[String],
        request: &str,
    ) {
        let before = self.results.insert(uid.to_owned(), result);
        self.check(before.is_none_or(|before| before == result), || {
            format!("run {number} was recorded {before:?} and is now {result}")
        });
        if before.is_some() {
            return;
        }
        let was_ours = self.deleted_by_us.contains(uid);
        match result {
            RunResult::Lost | RunResult::Replaced | RunResult::Cancelled => {
                let is_there = existing.iter().any(|existing| existing == uid);
                self.check(!is_there, || format!("run {number} is recorded {result}, and {uid} exists"));
                let is_known = !self.wiped.contains(request);
                self.check(!(was_ours && is_known && result == RunResult::Lost), || {
                    format!("run {number} is recorded Lost, and we deleted {uid}")
                });
            }
            RunResult::Failed if stop == Some(Stop::LimitsExceeded) => {
                let is_there = existing.iter().any(|existing| existing == uid);
                self.check(!is_there, || format!("run {number} exceeds limits, and {uid} exists"));
            }
            RunResult::Succeeded | RunResult::Failed => {
                let truth = self.ended.get(uid).copied();
                self.check(truth == Some(result), || {
                    format!("run {number} is recorded {result}, and {uid} is {truth:?}")
                });
            }
        }
    }

    fn judge_words(&mut self, status: &JobRequestStatus) {
        let mut types = BTreeSet::new();
        for condition in &status.conditions {
            let is_new = types.insert(condition.type_.as_str());
            self.check(is_new, || format!("condition {} stands twice", condition.type_));
            let reason = &condition.reason;
            let is_word = reason.starts_with(|c: char| c.is_ascii_uppercase())
                && reason.chars().all(|c| c.is_ascii_alphanumeric());
            self.check(is_word, || format!("condition {} has the reason {reason:?}", condition.type_));
            let is_known = ["True", "False", "Unknown"].contains(&condition.status.as_str());
            self.check(is_known && condition.observed_generation.is_some(), || {
                format!("condition {} is malformed: {condition:?}", condition.type_)
            });
        }
        let is = |type_: &str| status.conditions.iter().any(|c| c.type_ == type_ && c.status == "True");
        self.check(!(is("Reconciling") && is("Stalled")), || {
            "Reconciling and Stalled are both true".to_owned()
        });
    }

    /// How many Jobs operators have created.
    pub fn jobs_created(&self) -> usize {
        self.keys.len()
    }

    /// One of our Jobs which no record names. One that was created while the status was being wiped waits for
    /// its number to come round.
    pub fn is_unrecorded(&self, job: &JobView, request: &str, status: &JobRequestStatus) -> bool {
        let newest = status.runs.first().map_or(0, |run| run.number);
        let is_ahead = job.run().is_some_and(|number| number > newest);
        let is_unpromised = self.keys.get(job.uid()).is_some_and(|key| self.unpromised.contains(key));
        job.is_of(request)
            && !(is_ahead && is_unpromised)
            && job.is_controlled_by(request)
            && !status.runs.iter().any(|run| run.job_uid.as_deref() == Some(job.uid()))
    }
}

/// What the two sources of rerun tokens hold: the spec, and the annotation.
pub fn tokens_of(stored: &StoredRequest) -> [String; 2] {
    let annotations = stored.metadata.annotations.clone().unwrap_or_default();
    let spec = stored.spec.0.as_ref().ok().and_then(|spec| spec.rerun().map(ToOwned::to_owned));
    [spec.unwrap_or_default(), annotations.get(labels::RERUN).cloned().unwrap_or_default()]
}
