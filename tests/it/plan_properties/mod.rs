//! What every plan keeps, whatever it is made from: generated requests, Jobs, pods, answers, memories and clocks.
//!
//! Two kinds of world: a *look*, in which nothing need fit together, for what must hold of each plan by itself; and a
//! *lab*, a small consistent cluster in any state, for what must hold in the end. `PROPTEST_CASES` sets how many.

mod kstatus;
mod lab;
mod parts;
mod seen;
mod words;

use std::collections::BTreeSet;

use jobrequest::compile::Layers;
use jobrequest::reconcile::observed::{Lenient, SpecView};
use jobrequest::reconcile::{Change, JobView, Observed, Read, plan};
use libtest_mimic::Trial;
use proptest::prelude::*;
use serde_json::{Value, json};

use lab::{Death, request};

pub(crate) fn tests() -> Vec<Trial> {
    let mut all = tests![
        a_brief_spec_is_enough_or_the_whole_is_asked_for,
        a_crash_changes_nothing,
        the_same_input_gives_the_same_plan,
        a_plan_does_one_thing,
        a_foreign_job_is_left_alone,
        a_record_is_never_rewritten,
        conditions_phase_and_kstatus_agree,
        a_performed_plan_leaves_nothing_to_do,
        messages_hints_and_phase_are_never_read,
        messages_of_a_real_history_are_never_read,
        a_refusal_keeps_nothing_else_from_being_done,
    ];
    all.extend(kstatus::tests());
    all
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// Every Job that is shown anywhere in `observed`.
fn shown(observed: &Observed) -> impl Iterator<Item = &JobView> {
    let answers = &observed.answers;
    let created = answers.creation.as_ref().and_then(|(_, creation)| match creation {
        jobrequest::reconcile::Creation::Created(job) => Some(job.as_ref()),
        _ => None,
    });
    let memory = &observed.memory;
    observed
        .jobs
        .iter()
        .chain(answers.jobs.iter().flatten())
        .chain(answers.job.iter().filter_map(|(_, job)| job.as_ref()))
        .chain(created)
        .chain(memory.created.iter().map(|(_, job)| job.as_ref()))
        .chain(memory.last_words.values())
}

proptest! {
    #![proptest_config(config())]

    /// The same input, in whatever order the pods are cached, the same plan. Also: nothing panics.
    fn the_same_input_gives_the_same_plan((observed, clock) in seen::look()) {
        let first = plan(&observed, &Layers::default(), clock);
        prop_assert_eq!(&first, &plan(&observed.clone(), &Layers::default(), clock));
        let mut turned = observed;
        turned.pods.reverse();
        prop_assert_eq!(&first, &plan(&turned, &Layers::default(), clock));
    }

    /// What is planned on a brief of a spec is what is planned on the whole, or a question for the whole.
    fn a_brief_spec_is_enough_or_the_whole_is_asked_for((observed, clock) in seen::look()) {
        let mut brief = observed.clone();
        let Some(request) = brief.request.as_mut() else { return Ok(()) };
        let Some(spec) = request.whole_spec().cloned() else { return Ok(()) };
        let long = SpecView::Whole { spec: Box::new(spec), length: usize::MAX };
        request.spec = Lenient(Ok(long.to_keep()));
        let of_brief = plan(&brief, &Layers::default(), clock);
        if of_brief.read != Some(Read::Request) {
            prop_assert_eq!(of_brief, plan(&observed, &Layers::default(), clock));
        }
    }

    /// A plan asks, or changes, or reports: never two of them.
    fn a_plan_does_one_thing((observed, clock) in seen::look()) {
        let plan = plan(&observed, &Layers::default(), clock);
        let parts = [plan.read.is_some(), !plan.changes.is_empty(), plan.status.is_some()];
        prop_assert!(parts.iter().filter(|part| **part).count() <= 1, "{:#?}", plan);
        prop_assert!(plan.events.is_empty() || plan.status.is_some(), "events without a write: {:#?}", plan);
        let is_going = observed.request.as_ref().is_none_or(jobrequest::reconcile::StoredRequest::is_deleting);
        prop_assert!(!is_going || plan == jobrequest::reconcile::Plan::rest(), "{:#?}", plan);
    }

    /// What is not both marked as ours and controlled by us is never patched, deleted or taken over.
    fn a_foreign_job_is_left_alone((observed, clock) in seen::look()) {
        let plan = plan(&observed, &Layers::default(), clock);
        for change in &plan.changes {
            let (uid, version) = match change {
                Change::Create { job, .. } => {
                    let owner = &job.metadata.owner_references.as_ref().unwrap()[0];
                    prop_assert_eq!((&*owner.uid, owner.controller), (parts::UID, Some(true)));
                    continue;
                }
                Change::Patch { patch, .. } => {
                    let metadata = &patch["metadata"];
                    (metadata["uid"].as_str().unwrap(), metadata["resourceVersion"].as_str().unwrap())
                }
                Change::Delete { uid, resource_version, .. } => (uid.as_str(), resource_version.as_str()),
            };
            let judged = shown(&observed).find(|job| job.uid() == uid && job.resource_version() == version);
            let is_ours = |job: &JobView| job.is_of(parts::UID) && job.is_controlled_by(parts::UID);
            prop_assert!(judged.is_some_and(is_ours), "{:#?} touches {:#?}", change, judged);
            prop_assert!(!judged.unwrap().is_terminating(), "{:#?} touches what is going", change);
        }
        let Some(status) = &plan.status else { return Ok(()) };
        let before = request(&observed).known_status();
        let recorded: BTreeSet<_> = before.runs.iter().filter_map(|run| run.job_uid.clone()).collect();
        for uid in status.runs.iter().filter_map(|run| run.job_uid.as_ref()) {
            let is_ours = shown(&observed).any(|job| job.uid() == uid && job.is_of(parts::UID));
            prop_assert!(recorded.contains(uid) || is_ours, "{uid} is taken over");
        }
    }

    /// What was recorded about a run stays: its Job, what it ran with, and its result.
    fn a_record_is_never_rewritten((observed, clock) in seen::look()) {
        let Some(status) = plan(&observed, &Layers::default(), clock).status else { return Ok(()) };
        for old in request(&observed).known_status().runs.iter().filter(|run| run.job_uid.is_some()) {
            let new = status.runs.iter().find(|run| run.number == old.number);
            prop_assert!(new.is_some(), "run {} is forgotten", old.number);
            let new = new.unwrap();
            prop_assert_eq!(&old.job_uid, &new.job_uid);
            prop_assert_eq!((&old.digest, old.generation), (&new.digest, new.generation));
            if old.result.is_some() {
                prop_assert_eq!((old.result, &old.end_time, &old.reason), (new.result, &new.end_time, &new.reason));
            }
        }
    }

    /// Conditions, phase and kstatus agree; the API server takes what is written.
    fn conditions_phase_and_kstatus_agree((observed, clock) in seen::look(), order in any::<u64>()) {
        let plan = plan(&observed, &Layers::default(), clock);
        for event in &plan.events {
            prop_assert!(event.note.len() <= 1024, "an event of {} bytes is refused", event.note.len());
        }
        let Some(status) = &plan.status else { return Ok(()) };
        let written = serde_json::to_value(status).unwrap();
        words::fits_schema(&written).map_err(TestCaseError::fail)?;
        words::agree(&written).map_err(TestCaseError::fail)?;
        let generation = request(&observed).generation();
        let object = |conditions: Vec<Value>| {
            let mut status = written.clone();
            status["conditions"] = conditions.into();
            json!({"metadata": {"generation": generation}, "status": status})
        };
        let expected = words::kstatus_of(&written);
        for conditions in words::orders(written["conditions"].as_array().unwrap(), order) {
            prop_assert_eq!(kstatus::compute(&object(conditions)), expected, "{:#}", written);
        }
    }

    /// Messages, hints and the phase are for people: no rule reads them back, whatever is shown.
    fn messages_hints_and_phase_are_never_read((observed, clock) in seen::look(), seed in any::<u64>()) {
        words::are_never_read(&observed, clock, seed).map_err(TestCaseError::fail)?;
    }

    /// Whatever is refused, what has ended is recorded; once nothing is refused, all comes out as if nothing had been.
    fn a_refusal_keeps_nothing_else_from_being_done(begin in seen::lab()) {
        let mut undisturbed = begin.clone();
        undisturbed.complete();
        undisturbed.settle(None).map_err(TestCaseError::fail)?;
        let mut lab = begin;
        lab.refuses = true;
        lab.complete();
        lab.settle(None).map_err(TestCaseError::fail)?;
        lab.is_all_recorded().map_err(TestCaseError::fail)?;
        lab.refuses = false;
        lab.touch_request();
        lab.settle(None).map_err(TestCaseError::fail)?;
        prop_assert_eq!(&lab.created, &undisturbed.created);
        let results = |lab: &lab::Lab| lab.results();
        prop_assert_eq!(results(&lab), results(&undisturbed));
    }

    /// Nor in any state that a real history comes through.
    fn messages_of_a_real_history_are_never_read(mut lab in seen::lab(), seed in any::<u64>(), death in 0..12_usize, rerun in any::<bool>()) {
        lab.rewords = Some(seed);
        lab.refuses = seed % 3 == 0;
        lab.settle(Some(Death { at: death, is_performed: seed % 2 == 0 })).map_err(TestCaseError::fail)?;
        if rerun {
            lab.ask_for_a_rerun();
            lab.settle(None).map_err(TestCaseError::fail)?;
        }
        lab.complete();
        lab.settle(None).map_err(TestCaseError::fail)?;
    }

    /// Performed, a plan leaves nothing to do; also for a process that remembers nothing.
    fn a_performed_plan_leaves_nothing_to_do(mut lab in seen::lab()) {
        lab.settle(None).map_err(TestCaseError::fail)?;
        let rest = lab.plan();
        prop_assert!(rest.changes.is_empty() && rest.status.is_none() && rest.events.is_empty(), "{:#?}", rest);
        let (writes, end) = (lab.writes, lab.end());
        lab.restart();
        lab.settle(None).map_err(TestCaseError::fail)?;
        prop_assert_eq!(&end, &lab.end());
        prop_assert_eq!(writes, lab.writes);
    }

}

proptest! {
    // Every call of every case is disturbed twice: fewer cases do.
    #![proptest_config(ProptestConfig { cases: config().cases / 3 + 1, ..config() })]

    /// A process that dies at any of its calls leaves the same end, and one Job a run.
    fn a_crash_changes_nothing(begin in seen::lab()) {
        let mut undisturbed = begin.clone();
        let calls = undisturbed.settle(None).map_err(TestCaseError::fail)?;
        undisturbed.complete();
        undisturbed.settle(None).map_err(TestCaseError::fail)?;
        for at in 0..calls {
            for is_performed in [false, true] {
                let mut lab = begin.clone();
                let death = Death { at, is_performed };
                lab.settle(Some(death)).map_err(TestCaseError::fail)?;
                lab.complete();
                lab.settle(None).map_err(TestCaseError::fail)?;
                prop_assert_eq!(lab.end(), undisturbed.end(), "{:?}", death);
                let once: BTreeSet<_> = lab.created.iter().collect();
                prop_assert_eq!(once.len(), lab.created.len(), "{:?}: a Job is created twice", death);
                prop_assert_eq!(&lab.created, &undisturbed.created, "{:?}", death);
            }
        }
    }
}
