//! One sabotage for each rule: its information or its fence is taken away at the boundary, around the real code.
//!
//! The product is never changed: a mutant shows it a falsified view or answer, drops a precondition on the server's
//! side, or alters a call on its way out. The checker must notice within its budget.

use std::time::Duration;

use jobrequest::api::condition::{RunResult, Trigger};
use jobrequest::api::run_policy::OnTemplateChange;
use jobrequest::api::status::{HandledRerun, TemplatePin};
use jobrequest::api::{JobRequestStatus, labels};
use jobrequest::reconcile::observed::SpecView;
use jobrequest::reconcile::{Answer, Call, JobView, Memory, Read, StoredRequest};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::oracle::tokens_of;
use super::server::{NAME, Server};

/// See the module. `(rule, what is taken away)` is in [`Mutant::what`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    StatusIgnoresVersion,
    DeleteIgnoresVersion,
    PatchIgnoresUid,
    PatchIgnoresVersion,
    IdentityByOwner,
    OwnerByAnnotation,
    ReservesSuspended,
    ReservesInMemory,
    RequestFromCache,
    StepsOverOwn,
    StepsOverPredecessor,
    SendsLate,
    NoGrace,
    DigestOfReservation,
    AdoptsFromCache,
    GoneByCache,
    HidesStrays,
    ListsNothing,
    DigestOfEverything,
    RunsBeside,
    HidesDeletion,
    OneHandledValue,
    EmptySourceClears,
    AdoptsTokens,
    AdoptsFromCacheOfTemplates,
    FollowsTemplates,
    IgnoresHold,
    StopsInMemory,
    ReplacesInBackground,
    ReplacedIsEnough,
    HidesLimits,
    RefusalEndsThePass,
    NothingIsTakenBack,
    TokensOfReservation,
    HidesPredecessors,
    ForgetsQueues,
    ForgetsStarts,
    CancelsInMemory,
    CancelsWhateverRuns,
}

impl Mutant {
    pub const ALL: [Self; 39] = [
        Self::StatusIgnoresVersion,
        Self::DeleteIgnoresVersion,
        Self::PatchIgnoresUid,
        Self::PatchIgnoresVersion,
        Self::IdentityByOwner,
        Self::OwnerByAnnotation,
        Self::ReservesSuspended,
        Self::ReservesInMemory,
        Self::RequestFromCache,
        Self::StepsOverOwn,
        Self::StepsOverPredecessor,
        Self::SendsLate,
        Self::NoGrace,
        Self::DigestOfReservation,
        Self::AdoptsFromCache,
        Self::GoneByCache,
        Self::HidesStrays,
        Self::ListsNothing,
        Self::DigestOfEverything,
        Self::RunsBeside,
        Self::HidesDeletion,
        Self::OneHandledValue,
        Self::EmptySourceClears,
        Self::AdoptsTokens,
        Self::AdoptsFromCacheOfTemplates,
        Self::FollowsTemplates,
        Self::IgnoresHold,
        Self::StopsInMemory,
        Self::ReplacesInBackground,
        Self::ReplacedIsEnough,
        Self::HidesLimits,
        Self::RefusalEndsThePass,
        Self::NothingIsTakenBack,
        Self::TokensOfReservation,
        Self::HidesPredecessors,
        Self::ForgetsQueues,
        Self::ForgetsStarts,
        Self::CancelsInMemory,
        Self::CancelsWhateverRuns,
    ];

    /// The rule, what is taken away, and the scenario that shows it soonest.
    pub const fn what(self) -> (u8, &'static str, &'static str) {
        match self {
            Self::StatusIgnoresVersion => (1, "a status write is no compare-and-set", "edits"),
            Self::DeleteIgnoresVersion => (1, "a delete carries no resourceVersion", "ttl"),
            Self::PatchIgnoresUid => (1, "a patch carries no uid", "patch"),
            Self::PatchIgnoresVersion => (1, "a patch carries no resourceVersion", "patch"),
            Self::IdentityByOwner => (2, "a Job is known by its owner only", "strips"),
            Self::OwnerByAnnotation => (2, "a Job that lost its owner counts as ours to delete", "strips"),
            Self::ReservesSuspended => (3, "a run is reserved while suspended", "suspend"),
            Self::ReservesInMemory => (3, "a reservation is not written", "edits"),
            Self::RequestFromCache => (4, "the GET before a create is answered by the cache", "late"),
            Self::StepsOverOwn => (5, "409: our own Job is taken for a foreign one", "edits"),
            Self::StepsOverPredecessor => {
                (5, "409: a predecessor's Job is taken for a foreign one", "predecessor")
            }
            Self::SendsLate => (6, "a create is sent however old its permit is", "late"),
            Self::NoGrace => (6, "a delete waits for no grace", "late"),
            Self::DigestOfReservation => (7, "the reservation's digest is kept", "edits"),
            Self::AdoptsFromCache => (7, "a uid is recorded from the cache", "wipe-ttl"),
            Self::GoneByCache => (8, "a Job that the cache does not show is gone", "edits"),
            Self::HidesStrays => (9, "strays are left alone", "stray"),
            Self::ListsNothing => (10, "an empty status is taken for a new one", "wipe"),
            Self::DigestOfEverything => (11, "the digest covers what is changed in place", "patch"),
            Self::RunsBeside => (13, "a change does not wait for the run", "edits"),
            Self::HidesDeletion => (15, "a deletion is not seen", "recreate"),
            Self::OneHandledValue => (12, "both sources have one handled value", "tokens"),
            Self::EmptySourceClears => (12, "an empty source clears its handled value", "sources"),
            Self::AdoptsTokens => (12, "an adopted Job is taken to have handled all tokens", "wipe-tokens"),
            Self::AdoptsFromCacheOfTemplates => {
                (11, "the GET of a template with another uid is answered by the cache", "remake")
            }
            Self::FollowsTemplates => {
                (11, "an edit of a template counts without being asked to", "templates")
            }
            Self::IgnoresHold => (11, "changes that are held are run", "hold"),
            Self::StopsInMemory => (14, "the decision to replace a run is not written", "replace"),
            Self::ReplacesInBackground => (14, "a run is replaced in the background", "replace"),
            Self::ReplacedIsEnough => (14, "a replaced run asks for no successor", "replace-held"),
            Self::HidesLimits => (9, "history limits are not seen", "history"),
            Self::RefusalEndsThePass => (7, "a refused change ends the pass", "refused-deletes"),
            Self::NothingIsTakenBack => (11, "a reserved run counts as the newest", "taken-back"),
            Self::TokensOfReservation => {
                (3, "a Job carries the tokens of the first reservation", "taken-back-tokens")
            }
            Self::ForgetsQueues => (2, "whose suspension it is, is not noted", "queue"),
            Self::ForgetsStarts => (14, "a run that had started counts as one that never did", "suspend"),
            Self::CancelsInMemory => (16, "the decision to cancel a run is not written", "cancel"),
            Self::CancelsWhateverRuns => (16, "a cancellation ends whatever run is active", "cancel"),
            Self::HidesPredecessors => (5, "Jobs of predecessors are not seen", "orphans"),
        }
    }

    /// Falsifies a JobRequest on its way to the plan.
    pub fn request(self, request: &mut StoredRequest) {
        match self {
            Self::HidesDeletion => request.metadata.deletion_timestamp = None,
            Self::ReservesSuspended => {
                if let Ok(SpecView::Whole { spec, .. }) = &mut request.spec.0 {
                    spec.suspend = None;
                }
            }
            Self::DigestOfEverything => {
                if let Ok(SpecView::Whole { spec, .. }) = &mut request.spec.0 {
                    let told = spec.settings.as_ref().and_then(|settings| settings.parallelism).unwrap_or(1);
                    let labels = spec.labels.get_or_insert_default();
                    labels.insert("parallelism".to_owned(), told.to_string());
                }
            }
            Self::FollowsTemplates => {
                if let Ok(SpecView::Whole { spec, .. }) = &mut request.spec.0 {
                    spec.run_policy.get_or_insert_default().on_template_change =
                        Some(OnTemplateChange::Rerun);
                }
            }
            Self::IgnoresHold => {
                if let Ok(SpecView::Whole { spec, .. }) = &mut request.spec.0 {
                    spec.run_policy = None;
                }
                if let Ok(status) = &mut request.status.0 {
                    status.run_policy = None;
                }
            }
            Self::HidesLimits => {
                if let Ok(SpecView::Whole { spec, .. }) = &mut request.spec.0 {
                    spec.run_policy = None;
                }
            }
            Self::OneHandledValue => {
                if let Ok(status) = &mut request.status.0
                    && let Some(handled) = &mut status.last_handled_rerun
                {
                    let last = handled.annotation.clone().or(handled.spec.clone());
                    (handled.spec, handled.annotation) = (last.clone(), last);
                }
            }
            Self::EmptySourceClears => {
                let is_empty = tokens_of(request).map(|token| token.is_empty());
                if let Ok(status) = &mut request.status.0
                    && let Some(handled) = &mut status.last_handled_rerun
                {
                    if is_empty[0] {
                        handled.spec = None;
                    }
                    if is_empty[1] {
                        handled.annotation = None;
                    }
                }
            }
            Self::ForgetsStarts => {
                if let Ok(status) = &mut request.status.0
                    && let Some(run) = status.runs.first_mut()
                {
                    (run.containers_started, run.start_time) = (None, None);
                }
            }
            Self::CancelsWhateverRuns => {
                let newest = request.known_status().runs.first().and_then(|run| run.job_uid.clone());
                let annotations = request.metadata.annotations.as_mut();
                if let (Some(annotation), Some(uid)) =
                    (annotations.and_then(|all| all.get_mut(labels::CANCEL)), newest)
                {
                    *annotation = uid;
                }
            }
            Self::ReplacedIsEnough => {
                if let Ok(status) = &mut request.status.0
                    && let Some(run) = status.runs.first_mut()
                    && run.result == Some(RunResult::Replaced)
                {
                    run.result = Some(RunResult::Lost);
                }
            }
            Self::NothingIsTakenBack => {
                if let Ok(status) = &mut request.status.0
                    && let Some(run) = status.runs.first_mut().filter(|run| run.is_reserved())
                    && run.trigger == Trigger::SpecChange
                {
                    run.trigger = Trigger::Rerun;
                }
            }
            Self::RunsBeside => {
                if let (Ok(spec), Ok(status)) = (&request.spec.0, &mut request.status.0) {
                    let wanted = spec.digest();
                    let newest = status.runs.first_mut().filter(|run| run.job_uid.is_some());
                    if let Some(run) = newest.filter(|run| run.is_open() && run.digest != wanted) {
                        run.result = Some(RunResult::Succeeded);
                    }
                }
            }
            _ => {}
        }
    }

    /// Takes back, on the way out, what [`Mutant::request`] falsified in the records.
    pub fn status(self, status: &mut JobRequestStatus, stored: &JobRequestStatus) {
        if self == Self::ReplacedIsEnough {
            for run in &mut status.runs {
                let truth = stored.runs.iter().find(|stored| stored.number == run.number);
                run.result = truth.and_then(|truth| truth.result).or(run.result);
            }
        }
        if self == Self::NothingIsTakenBack {
            for run in &mut status.runs {
                let truth = stored.runs.iter().find(|stored| stored.number == run.number);
                run.trigger = truth.map_or(run.trigger, |truth| truth.trigger);
            }
        }
        if self != Self::RunsBeside {
            return;
        }
        for run in &mut status.runs {
            if let Some(true_run) = stored.runs.iter().find(|stored| stored.number == run.number)
                && true_run.is_open()
                && run.end_time.is_none()
            {
                run.result = None;
            }
        }
    }

    /// Falsifies a Job on its way to the plan for the request with this uid.
    pub fn job(self, job: &mut JobView, uid: &str) {
        match self {
            Self::IdentityByOwner if !job.is_controlled_by(uid) => {
                job.metadata.annotations.get_or_insert_default().remove(labels::REQUEST_UID);
            }
            Self::ForgetsQueues => {
                if let Some(record) =
                    job.metadata.annotations.as_mut().and_then(|all| all.get_mut(labels::IN_PLACE))
                {
                    *record = record.replace("\"queued\":true,", "");
                }
            }
            Self::OwnerByAnnotation if job.is_of(uid) && !job.is_controlled_by(uid) => {
                job.metadata.owner_references = Some(vec![OwnerReference {
                    api_version: labels::API_VERSION.to_owned(),
                    kind: "JobRequest".to_owned(),
                    name: NAME.to_owned(),
                    uid: uid.to_owned(),
                    controller: Some(true),
                    block_owner_deletion: Some(true),
                }]);
            }
            _ => {}
        }
    }

    /// The Job is not shown in the cache.
    pub fn hides(self, job: &JobView, request: &StoredRequest) -> bool {
        if self == Self::HidesPredecessors {
            return job.is_of_another(request.uid());
        }
        if self != Self::HidesStrays {
            return false;
        }
        let status = request.known_status();
        !status.runs.iter().any(|run| run.job_uid.as_deref() == Some(job.uid()))
    }

    /// Falsifies what the process remembers.
    pub fn memory(self, memory: &mut Memory) {
        if self == Self::NoGrace {
            memory.recorded_since.values_mut().for_each(|since| *since = Duration::ZERO);
        }
    }

    /// Falsifies an answer. `cached` is what the pass saw of the request and of the Jobs when it began, `older` an
    /// older version of the Job that was asked for.
    pub fn answer(
        self,
        call: &Call,
        answer: &mut Answer,
        uid: &str,
        seen: (&StoredRequest, &[JobView], &TemplatePin),
        server: &Server,
    ) {
        let (cached, cached_jobs, template) = seen;
        let newest = server.request().and_then(|request| request.known_status().runs.first().cloned());
        let adopts = newest.as_ref().is_some_and(|run| run.job_uid.is_none());
        match (self, call, &mut *answer) {
            (Self::RequestFromCache, Call::Read(Read::Request), Answer::Request(found)) => {
                *found = Some(Box::new(cached.clone()));
            }
            (Self::StepsOverOwn, Call::Read(Read::Job(_)), Answer::Job(Some(job))) if adopts => {
                job.metadata.annotations = None;
            }
            (Self::StepsOverPredecessor, Call::Read(Read::Job(_)), Answer::Job(Some(job))) => {
                job.metadata.owner_references.iter_mut().flatten().for_each(|owner| {
                    if owner.uid != uid {
                        "CronJob".clone_into(&mut owner.kind);
                    }
                });
                if !job.is_of(uid) {
                    job.metadata.deletion_timestamp = None;
                    job.metadata.annotations = None;
                }
            }
            (Self::DigestOfReservation, _, Answer::Job(Some(job)) | Answer::Created(job)) => {
                let annotations = job.metadata.annotations.get_or_insert_default();
                annotations.remove(labels::DIGEST);
                annotations.remove(labels::GENERATION);
            }
            (Self::AdoptsFromCache, Call::Read(Read::Job(name)), Answer::Job(found)) if adopts => {
                // Any Job that ever had this name and was ours: the oldest version there is.
                let versions = server.jobs.get(name).into_iter().flatten().flatten();
                if let Some(old) = versions.into_iter().find(|old| old.view.is_of(uid)) {
                    *found = Some(Box::new(old.view.clone()));
                }
            }
            (Self::GoneByCache, Call::Read(Read::Job(name)), Answer::Job(found)) if !adopts => {
                *found = cached_jobs.iter().find(|job| job.name() == name).map(|job| Box::new(job.clone()));
            }
            (Self::AdoptsTokens, _, Answer::Job(Some(job))) if adopts => {
                if let Some(request) = server.request() {
                    let [spec, annotation] =
                        tokens_of(request).map(|token| Some(token).filter(|token| !token.is_empty()));
                    let handled = HandledRerun { spec, annotation };
                    let text = serde_json::to_string(&handled).unwrap();
                    job.metadata.annotations.get_or_insert_default().insert(labels::RERUN.to_owned(), text);
                }
            }
            (Self::AdoptsFromCacheOfTemplates, Call::Read(Read::Template(_)), Answer::Template(found)) => {
                *found = Some(template.clone());
            }
            (Self::ListsNothing, Call::Read(Read::Jobs), Answer::Jobs(jobs)) => jobs.clear(),
            _ => {}
        }
        match answer {
            Answer::Request(Some(request)) | Answer::Written(request) => self.request(request),
            Answer::Job(Some(job)) | Answer::Patched(job) | Answer::Created(job) => {
                self.job(job, uid);
            }
            Answer::Jobs(jobs) => jobs.iter_mut().for_each(|job| self.job(job, uid)),
            _ => {}
        }
    }
}
