//! What this process remembers of one JobRequest between passes, and what makes it forget.
//!
//! The rules are numbered as in the run protocol (docs/run-protocol.md).

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;

use super::Clock;
use super::answers::Refusal;
use super::event::EventsOf;
use super::job::JobView;
use super::request::StoredRequest;
use crate::api::condition::{FailureCategory, Obstacle};
use crate::api::failure::Failure;
use crate::api::labels;

/// After a refused change, and after a status that is too large.
const REFUSED_PAUSE: Pause = Pause { first: Duration::from_secs(2), longest: Duration::from_secs(300) };

/// After a status write in whose way others have come.
const CONFLICT_PAUSE: Pause = Pause { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

/// Maximum number of changes whose refusal is remembered: more than are due at once.
const MAX_REFUSED: usize = 64;

/// Maximum number of causes of one run that are announced: of many pods, each may have another.
const MAX_ANNOUNCED: usize = 8;

/// A pause which doubles as long as what was tried is in vain.
#[derive(Clone, Copy, Debug)]
pub(in crate::reconcile) struct Pause {
    pub first: Duration,
    pub longest: Duration,
}

impl Pause {
    /// The pause after one that was in vain, as so many `before` it in a row.
    pub(in crate::reconcile) fn after(self, before: u32) -> Duration {
        self.first.saturating_mul(2_u32.saturating_pow(before)).min(self.longest)
    }
}

/// What this process remembers of one JobRequest. Losing it is safe; it saves calls and keeps grace periods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// The Job of an answered create, and when: it stands in for the cache until that has caught up.
    pub created: Option<(Duration, Box<JobView>)>,
    /// Since when each Job uid was seen recorded in the status.
    pub recorded_since: BTreeMap<String, Duration>,
    /// Last states of deleted Jobs that had ended, by uid.
    pub last_words: BTreeMap<String, JobView>,
    /// The run which this process reserved last.
    pub own_run: Option<OwnRun>,
    /// Jobs whose only create was sent by this process, which had reserved the run itself, and was answered: by uid,
    /// when that was reserved.
    pub only_creates: BTreeMap<String, Duration>,
    /// Changes of Jobs which the API server refuses for now.
    pub refused: BTreeMap<ChangeKey, Refused>,
    /// Which events were listed last, and when to list them again.
    pub event_query: Option<QueryPause>,
    /// The newest pod failure of a Job, by its uid: the pod may be gone when the Job fails.
    pub pod_failure: Option<(String, Box<Failure>)>,
    /// Causes of the newest run that events have announced.
    pub announced: Vec<Announced>,
    /// The generation of which an event has said that no status can be stored with it.
    pub reported_too_large: Option<i64>,
    /// How many status writes in a row were in vain.
    pub writes_in_vain: u32,
    /// When this process last wrote the status.
    pub written_at: Option<Duration>,
    /// The JobRequest as that write left it: it stands in for the cache until that has caught up.
    pub written: Option<Box<StoredRequest>>,
}

/// A cause that an event has announced: whatever else is said about the same one is no news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    job: String,
    category: FailureCategory,
    obstacle: Option<Obstacle>,
    container: Option<String>,
    exit_code: Option<i32>,
    /// What is missing or cannot be mounted: the next one is another cause.
    object: Option<String>,
}

impl Announced {
    /// `failure` of the run whose Job is called `job`.
    pub(in crate::reconcile) fn new(job: &str, failure: &Failure) -> Self {
        let names_an_object = failure.obstacle.is_some_and(Obstacle::names_an_object);
        Self {
            job: job.to_owned(),
            category: failure.category,
            obstacle: failure.obstacle,
            container: failure.container.clone(),
            exit_code: failure.exit_code,
            object: failure.message.clone().filter(|_| names_an_object),
        }
    }
}

/// Which change of which Job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKey {
    /// The create of the Job of this name.
    Create(String),
    /// The patch of a Job.
    Patch {
        /// uid of the Job.
        uid: String,
        /// What the patch sets, whatever version of the Job it was judged on.
        fields: String,
    },
    /// The delete of the Job with this uid.
    Delete(String),
}

/// A change was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What the API server said last.
    pub refusal: Refusal,
    /// How often in a row.
    pub count: u32,
    /// Not again before this uptime.
    pub until: Duration,
}

/// Events about a run that is stuck were listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryPause {
    /// Which.
    pub of: EventsOf,
    /// How often in a row.
    pub count: u32,
    /// Not again before this uptime.
    pub until: Duration,
}

/// A run which this process itself has reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRun {
    /// Number of the run.
    pub number: i32,
    /// When the reservation was answered.
    pub reserved_at: Duration,
    /// How many creates were sent for it.
    pub creates: u32,
}

impl Memory {
    /// `change` was refused: it is tried again after a pause that grows.
    pub(in crate::reconcile) fn refuse(&mut self, change: ChangeKey, refusal: Refusal, clock: Clock) {
        let before = self.refused.get(&change).map_or(0, |before| before.count);
        // What is invalid stays so until something changes of which there is no event. A size may be the limit of a proxy
        // on the way.
        let pause = if refusal.is_invalid() && !refusal.is_too_large() {
            REFUSED_PAUSE.longest
        } else {
            REFUSED_PAUSE.after(before)
        };
        let count = before.saturating_add(1);
        self.refused.insert(change, Refused { refusal, count, until: clock.uptime.saturating_add(pause) });
        // Of patches that are not wanted any more: the ones that are wanted are tried, and so refused, again and again.
        while self.refused.len() > MAX_REFUSED {
            let oldest = self.refused.iter().min_by_key(|(_, refused)| refused.until);
            let Some(oldest) = oldest.map(|(change, _)| change.clone()) else { return };
            self.refused.remove(&oldest);
        }
    }

    /// A status write was in vain, because there was no room for it; returns the pause before the next one.
    pub(in crate::reconcile) fn no_room(&mut self) -> Duration {
        let pause = REFUSED_PAUSE.after(self.writes_in_vain);
        self.writes_in_vain = self.writes_in_vain.saturating_add(1);
        pause
    }

    /// A status write was in vain, because somebody else wrote in between; returns the pause before the next one. `None`:
    /// it was the first one, and the JobRequest as it is now is all that it takes.
    pub(in crate::reconcile) fn conflicted(&mut self) -> Option<Duration> {
        let before = self.writes_in_vain;
        self.writes_in_vain = before.saturating_add(1);
        before.checked_sub(1).map(|before| CONFLICT_PAUSE.after(before))
    }

    /// No event has announced this cause yet, and there have not been too many of its Job. A process that has announced
    /// nothing of the Job takes the `stored` cause for announced: then no message is compared, which anybody may change.
    pub(in crate::reconcile) fn is_news(&self, cause: &Announced, stored: Option<&Announced>) -> bool {
        let of_job: Vec<_> = self.announced.iter().filter(|announced| announced.job == cause.job).collect();
        if of_job.is_empty() {
            let kind = |announced: &Announced| Announced { object: None, ..announced.clone() };
            return stored.is_none_or(|stored| kind(stored) != kind(cause));
        }
        of_job.len() < MAX_ANNOUNCED && of_job.into_iter().all(|announced| announced != cause)
    }

    /// An event about this cause is sent.
    pub(in crate::reconcile) fn announce(&mut self, cause: Announced) {
        self.announced.retain(|announced| announced.job == cause.job);
        self.announced.push(cause);
    }

    /// How the create of the Job of this name was refused last.
    pub(in crate::reconcile) fn refused_create(&self, name: &str) -> Option<&Refused> {
        self.refused.get(&ChangeKey::Create(name.to_owned()))
    }

    /// Our own status write was answered: it may have reserved a run, or renewed its reservation. What was refused before
    /// was another Job then.
    pub(in crate::reconcile) fn reserved(
        &mut self,
        before: Option<&StoredRequest>,
        after: &StoredRequest,
        clock: Clock,
    ) {
        let newest = |request: &StoredRequest| request.known_status().runs.first().cloned();
        let before = before.and_then(newest);
        let Some(run) = newest(after).filter(|run| run.is_reserved() && before.as_ref() != Some(run)) else {
            return;
        };
        self.refused.remove(&ChangeKey::Create(run.job_name.clone()));
        if before.is_none_or(|before| before.number != run.number) {
            self.own_run = Some(OwnRun { number: run.number, reserved_at: clock.uptime, creates: 0 });
        }
    }

    /// A create is about to be sent; it may arrive even if no answer ever does.
    pub(in crate::reconcile) fn sends(&mut self, job: &Job) {
        let number = job.metadata.annotations.as_ref().and_then(|all| all.get(labels::RUN)?.parse().ok());
        if let Some(own) = self.own_run.as_mut().filter(|own| Some(own.number) == number) {
            own.creates = own.creates.saturating_add(1);
        }
    }

    /// A create was answered 201.
    pub(in crate::reconcile) fn was_created(&mut self, job: &JobView) {
        let own = self.own_run.as_ref().filter(|own| Some(own.number) == job.run() && own.creates == 1);
        if let Some(own) = own {
            self.only_creates.insert(job.uid().to_owned(), own.reserved_at);
        }
    }

    /// Takes in what caches or an answer show: which uids are recorded, and whether the cache has caught up.
    pub(in crate::reconcile) fn observe(
        &mut self,
        request: Option<&StoredRequest>,
        jobs: &[JobView],
        clock: Clock,
    ) {
        let status = request.map(StoredRequest::known_status).unwrap_or_default();
        let recorded = || status.runs.iter().filter_map(|run| run.job_uid.as_deref());
        for uid in recorded() {
            self.recorded_since.entry(uid.to_owned()).or_insert(clock.uptime);
        }
        let newest = status.runs.first();
        self.refused.retain(|change, _| match change {
            ChangeKey::Create(name) => newest.is_some_and(|run| run.is_reserved() && run.job_name == *name),
            ChangeKey::Patch { uid, .. } | ChangeKey::Delete(uid) => {
                recorded().any(|recorded| recorded == uid) || jobs.iter().any(|job| job.uid() == uid)
            }
        });
        // Of a Job that another process tried to create.
        let found_invalid = request.and_then(StoredRequest::found_invalid);
        if let (Some(run), Some(message)) = (newest.filter(|run| run.is_reserved()), found_invalid)
            && self.refused_create(&run.job_name).is_none()
        {
            let refusal = Refusal { names_fields: true, ..Refusal::new(422, "Invalid", message) };
            self.refuse(ChangeKey::Create(run.job_name.clone()), refusal, clock);
        }
        if request.is_some_and(|request| request.status.0.is_ok()) && !status.is_unwritten() {
            self.recorded_since.retain(|uid, _| recorded().any(|recorded| recorded == uid));
            let created = self.created.as_ref().map(|(_, created)| created.uid());
            self.only_creates
                .retain(|uid, _| Some(uid.as_str()) == created || recorded().any(|recorded| recorded == uid));
        }
        if self.created.as_ref().is_some_and(|(_, created)| jobs.iter().any(|job| job.uid() == created.uid()))
        {
            self.created = None;
        }
        let is_open = |uid: &str| {
            status
                .runs
                .iter()
                .any(|run| run.is_open() && run.job_uid.as_deref().is_none_or(|known| known == uid))
        };
        self.last_words.retain(|uid, _| is_open(uid));
    }
}
