//! Worlds: consistent ones, in which everybody sees what is, and looks at them in which nothing need fit together.

use std::collections::BTreeMap;
use std::time::Duration;

use jobrequest::reconcile::{
    Answers, ChangeKey, Clock, Creation, EventsOf, JobView, Memory, Observed, Refusal, Refused, StoredRequest,
};
use k8s_openapi::jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use super::lab::{Admission, Lab, view};
use super::parts::{self, JOB_NAMES, JobChoice, NOW, Owner, RequestChoice};

fn stored_jobs(choices: &[JobChoice], request: &RequestChoice) -> BTreeMap<String, Value> {
    choices.iter().map(|choice| (choice.name.to_owned(), parts::job(choice, request.spec()))).collect()
}

/// Only a Job that says it is that run can have been recorded for it.
fn may_record(choices: &[JobChoice], name: &str) -> bool {
    let last = choices.iter().rev().find(|choice| choice.name == name);
    last.is_some_and(|choice| {
        matches!(choice.owner, Owner::Us | Owner::Stripped) && name == format!("pi-{}", choice.run)
    })
}

/// A cluster in any state.
pub fn lab() -> BoxedStrategy<Lab> {
    let admission = prop_oneof![
        4 => Just(Admission::Allowed),
        1 => parts::text().prop_map(Admission::Forbidden),
        1 => parts::text().prop_map(Admission::Invalid),
    ];
    let jobs = proptest::collection::vec(parts::job_choice(), 0..4);
    let events = proptest::collection::vec(parts::event(), 0..3);
    (parts::request_choice(), jobs, pods(), events, admission)
        .prop_map(|(request, choices, pods, events, admission)| {
            let jobs = stored_jobs(&choices, &request);
            Lab::new(request.stored(|name| may_record(&choices, name)), jobs, pods, events, admission)
        })
        .boxed()
}

/// Pods of one namespace: one name is one pod, in the API server as in the cache.
fn pods() -> impl Strategy<Value = Vec<Value>> {
    proptest::collection::vec(parts::pod(), 0..4).prop_map(|pods| {
        let by_name = pods.into_iter().map(|pod| (pod["metadata"]["name"].to_string(), pod));
        by_name.collect::<BTreeMap<_, _>>().into_values().collect()
    })
}

/// What a pass sees: what is cached, asked and remembered, each chosen by itself.
pub fn look() -> BoxedStrategy<(Observed, Clock)> {
    let jobs = || proptest::collection::vec(parts::job_choice(), 0..5);
    (proptest::option::weighted(0.95, parts::request_choice()), jobs(), pods(), answers(), memory(), clock())
        .prop_map(|(request, cached, pods, answers, memory, clock)| {
            let Some(request) = request else {
                let (answers, memory) = (Answers::default(), Memory::default());
                return (
                    Observed {
                        request: None,
                        jobs: Vec::new(),
                        pods: Vec::new(),
                        answers,
                        memory,
                        sole_since: None,
                    },
                    clock,
                );
            };
            let stored: StoredRequest = view(&request.stored(|name| may_record(&cached, name)));
            // One uid is one Job: all that show it show the same.
            let known = stored_jobs(&cached, &request);
            let see = |choice: &JobChoice| -> JobView {
                view(known.get(choice.name).unwrap_or(&parts::job(choice, request.spec())))
            };
            let observed = Observed {
                jobs: known.values().map(view).collect(),
                pods: pods.iter().map(view).collect(),
                answers: answers.seen(&see),
                memory: memory.seen(&see),
                request: Some(stored),
                sole_since: None,
            };
            (observed, clock)
        })
        .boxed()
}

fn clock() -> BoxedStrategy<Clock> {
    let extremes = [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH];
    let now = prop_oneof![
        8 => (-100_000..100_000_i64).prop_map(|offset| Timestamp::from_second(NOW + offset).unwrap()),
        1 => select(extremes.to_vec()),
    ];
    (now, uptime()).prop_map(|(now, uptime)| Clock { now, uptime }).boxed()
}

fn uptime() -> BoxedStrategy<Duration> {
    prop_oneof![
        8 => (0..400_u64).prop_map(Duration::from_secs), 1 => Just(Duration::MAX), 1 => Just(Duration::ZERO)
    ]
    .boxed()
}

/// Choices behind [`Answers`].
#[derive(Clone, Debug)]
struct AnswerChoice {
    request_at: Option<Duration>,
    job: Option<(&'static str, Option<JobChoice>)>,
    jobs: Option<Vec<JobChoice>>,
    creation: Option<(&'static str, CreationChoice)>,
    events: Option<(&'static str, Vec<Value>)>,
}

#[derive(Clone, Debug)]
enum CreationChoice {
    Created(Box<JobChoice>),
    Other(Creation),
}

fn answers() -> BoxedStrategy<AnswerChoice> {
    let name = || select(JOB_NAMES.as_slice());
    let about = prop_oneof![name(), select(["pod-0", "pod-1", "pod-2"].as_slice())];
    let creation = prop_oneof![
        parts::job_choice().prop_map(|job| CreationChoice::Created(Box::new(job))),
        Just(CreationChoice::Other(Creation::NameTaken)),
        (select([400, 403, 413, 422, 429, 500].as_slice()), parts::text(), any::<bool>()).prop_map(
            |(code, message, names_fields)| {
                let refusal = Refusal::new(code, &message, &message);
                CreationChoice::Other(Creation::Refused(Refusal { names_fields, ..refusal }))
            }
        ),
    ];
    (
        proptest::option::of(uptime()),
        proptest::option::of((name(), proptest::option::of(parts::job_choice()))),
        proptest::option::of(proptest::collection::vec(parts::job_choice(), 0..4)),
        proptest::option::of((name(), creation)),
        proptest::option::of((about, proptest::collection::vec(parts::event(), 0..3))),
    )
        .prop_map(|(request_at, job, jobs, creation, events)| AnswerChoice {
            request_at,
            job,
            jobs,
            creation,
            events,
        })
        .boxed()
}

impl AnswerChoice {
    fn seen(self, see: &impl Fn(&JobChoice) -> JobView) -> Answers {
        Answers {
            turn: None,
            request_at: self.request_at,
            job: self.job.map(|(name, job)| (name.to_owned(), job.as_ref().map(see))),
            jobs: self.jobs.map(|jobs| jobs.iter().map(see).collect()),
            templates: BTreeMap::new(),
            events: self.events.map(|(name, events)| {
                let of = if name.starts_with("pod-") {
                    EventsOf::Pod(name.to_owned())
                } else {
                    EventsOf::Job(format!("job-{name}"))
                };
                (of, events.iter().map(view).collect())
            }),
            creation: self.creation.map(|(name, creation)| {
                let creation = match creation {
                    // The answer of a create is the Job that was sent.
                    CreationChoice::Created(mut job) => {
                        (job.name, job.owner) = (name, Owner::Us);
                        let mut created = see(&job);
                        if !created.is_of(parts::UID) || !created.is_controlled_by(parts::UID) {
                            created = view(&parts::job(&job, &Value::Null));
                            created.metadata.uid = Some(format!("created-{name}"));
                        }
                        Creation::Created(Box::new(created))
                    }
                    CreationChoice::Other(creation) => creation,
                };
                (name.to_owned(), creation)
            }),
        }
    }
}

/// Choices behind [`Memory`].
#[derive(Clone, Debug)]
struct MemoryChoice {
    created: Option<(Duration, JobChoice)>,
    recorded_since: BTreeMap<&'static str, Duration>,
    last_words: Option<JobChoice>,
    refused: Vec<(&'static str, u8, Refused)>,
    written_at: Option<Duration>,
}

fn memory() -> BoxedStrategy<MemoryChoice> {
    let seen = proptest::collection::btree_map(select(JOB_NAMES.as_slice()), uptime(), 0..3);
    (
        proptest::option::weighted(0.2, (uptime(), parts::job_choice())),
        seen,
        proptest::option::weighted(0.2, parts::job_choice()),
        proptest::collection::vec(refused(), 0..3),
        proptest::option::of(uptime()),
    )
        .prop_map(|(created, recorded_since, last_words, refused, written_at)| MemoryChoice {
            created,
            recorded_since,
            last_words,
            refused,
            written_at,
        })
        .boxed()
}

/// A change of the Job of this name that was refused.
fn refused() -> BoxedStrategy<(&'static str, u8, Refused)> {
    (select(JOB_NAMES.as_slice()), 0..2_u8, parts::text(), any::<u32>(), uptime())
        .prop_map(|(name, kind, message, count, until)| {
            let refusal = Refusal::new(403, "Forbidden", &message);
            (name, kind, Refused { refusal, count, until })
        })
        .boxed()
}

fn key(name: &str, kind: u8) -> ChangeKey {
    if kind == 0 { ChangeKey::Create(name.to_owned()) } else { ChangeKey::Delete(format!("job-{name}")) }
}

impl MemoryChoice {
    fn seen(self, see: &impl Fn(&JobChoice) -> JobView) -> Memory {
        Memory {
            announced: Vec::new(),
            reported_too_large: None,
            writes_in_vain: 0,
            created: self.created.map(|(at, job)| (at, Box::new(see(&job)))),
            recorded_since: self
                .recorded_since
                .into_iter()
                .map(|(name, since)| (format!("job-{name}"), since))
                .collect(),
            last_words: self
                .last_words
                .map(|job| see(&job))
                .filter(JobView::is_terminal)
                .map(|job| (job.uid().to_owned(), job))
                .into_iter()
                .collect(),
            own_run: None,
            only_creates: BTreeMap::new(),
            refused: self
                .refused
                .into_iter()
                .map(|(name, kind, refused)| (key(name, kind), refused))
                .collect(),
            event_query: None,
            pod_failure: None,
            written_at: self.written_at,
            written: None,
        }
    }
}
