//! What holds for every Job and every list of policies, against an oracle.

pub(crate) mod oracle;

use jobrequest::api::policy::Policy;
use jobrequest::api::status::EffectiveSettings;
use jobrequest::compile::policy::{Named, Verdict, judge};
use jobrequest::compile::quantity::Amount;
use k8s_openapi::api::batch::v1::Job;
use libtest_mimic::Trial;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use serde_json::{Value, json};

use oracle::{add, breaks, enforcement, job, numbers, policy, ttls};

pub(crate) fn tests() -> Vec<Trial> {
    tests![
        the_judged_job_meets_every_policy,
        a_job_that_meets_every_policy_is_unchanged,
        one_more_policy_never_allows_more,
        judging_twice_changes_nothing_more,
        the_order_of_policies_does_not_matter,
        what_can_be_cut_is_never_denied,
        quantities_are_exact,
        sums_of_extreme_amounts_never_wrap,
        any_text_is_judged_without_a_panic,
        every_outcome_is_common,
    ]
}

#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    job: Job,
    settings: EffectiveSettings,
    verdict: Verdict,
}

impl Outcome {
    fn is_denied(&self) -> bool {
        !self.verdict.denied.is_empty()
    }
}

fn start(spec: &Value, (finished, failed): (Option<i32>, Option<i32>)) -> (Job, EffectiveSettings) {
    let job: Job = serde_json::from_value(json!({"spec": spec})).unwrap();
    let in_force = job.spec.clone().unwrap();
    let settings = EffectiveSettings {
        backoff_limit: in_force.backoff_limit,
        completions: in_force.completions,
        parallelism: in_force.parallelism,
        active_deadline_seconds: in_force.active_deadline_seconds,
        ttl_seconds_after_finished: finished,
        ttl_seconds_after_failed: failed.or(finished),
        ..EffectiveSettings::default()
    };
    (job, settings)
}

fn run(policies: &[(String, Value)], job: &Job, settings: &EffectiveSettings) -> Outcome {
    let typed: Vec<Policy> =
        policies.iter().map(|(_, policy)| serde_json::from_value(policy.clone()).unwrap()).collect();
    let named: Vec<Named<'_>> =
        policies.iter().zip(&typed).map(|((origin, _), policy)| Named { origin, policy }).collect();
    let (mut job, mut settings) = (job.clone(), settings.clone());
    let verdict = judge(&mut job, &mut settings, &named);
    Outcome { job, settings, verdict }
}

fn with_origins(policies: Vec<Value>) -> Vec<(String, Value)> {
    policies.into_iter().enumerate().map(|(at, policy)| (format!("JobTemplate/{at}"), policy)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    fn the_judged_job_meets_every_policy(spec in job(), ttls in ttls(), policies in vec(policy(), 0..4)) {
        let policies = with_origins(policies);
        let (job, settings) = start(&spec, ttls);
        let outcome = run(&policies, &job, &settings);
        let binding = || policies.iter().filter(|(_, policy)| enforcement(policy) != "Warn");
        if outcome.is_denied() {
            prop_assert_eq!((&outcome.job, &outcome.settings), (&job, &settings));
            prop_assert!(outcome.verdict.clamped.is_empty());
            prop_assert!(binding().any(|(_, policy)| breaks(policy, &job, &settings)), "denied without a reason: {:?}", outcome.verdict);
        } else {
            for (origin, policy) in binding() {
                prop_assert!(!breaks(policy, &outcome.job, &outcome.settings), "{} is broken", origin);
            }
            for (origin, policy) in &policies {
                if enforcement(policy) == "Deny" {
                    prop_assert!(!breaks(policy, &job, &settings), "{} was broken as written", origin);
                }
            }
            let is_changed = outcome.job != job || outcome.settings != settings;
            prop_assert_eq!(is_changed, !outcome.verdict.clamped.is_empty());
            let in_force = outcome.job.spec.as_ref().unwrap();
            prop_assert_eq!(in_force.parallelism, outcome.settings.parallelism);
            prop_assert_eq!(in_force.active_deadline_seconds, outcome.settings.active_deadline_seconds);
        }
        let warned = policies.iter().any(|(_, policy)| enforcement(policy) == "Warn" && breaks(policy, &outcome.job, &outcome.settings));
        prop_assert_eq!(warned, !outcome.verdict.warned.is_empty());
    }

    fn a_job_that_meets_every_policy_is_unchanged(spec in job(), ttls in ttls(), policies in vec(policy(), 0..4)) {
        let (job, settings) = start(&spec, ttls);
        let met: Vec<_> = policies.into_iter().filter(|policy| !breaks(policy, &job, &settings)).collect();
        let outcome = run(&with_origins(met), &job, &settings);
        prop_assert_eq!(outcome, Outcome { job, settings, verdict: Verdict::default() });
    }

    fn one_more_policy_never_allows_more(spec in job(), ttls in ttls(), policies in vec(policy(), 1..4), more in policy(), at in any::<Index>()) {
        let (job, settings) = start(&spec, ttls);
        let mut policies = with_origins(policies);
        let before = run(&policies, &job, &settings);
        policies.insert(at.index(policies.len() + 1), ("JobTemplate/more".to_owned(), more));
        let after = run(&policies, &job, &settings);
        prop_assert!(!before.is_denied() || after.is_denied(), "{:?}", before.verdict);
    }

    fn judging_twice_changes_nothing_more(spec in job(), ttls in ttls(), policies in vec(policy(), 0..4)) {
        let policies = with_origins(policies);
        let (job, settings) = start(&spec, ttls);
        let once = run(&policies, &job, &settings);
        let twice = run(&policies, &once.job, &once.settings);
        prop_assert_eq!((&twice.job, &twice.settings), (&once.job, &once.settings));
        prop_assert_eq!((&twice.verdict.denied, &twice.verdict.warned), (&once.verdict.denied, &once.verdict.warned));
        prop_assert!(twice.verdict.clamped.is_empty());
    }

    fn the_order_of_policies_does_not_matter(spec in job(), ttls in ttls(), (policies, shuffled) in vec(policy(), 0..5).prop_map(with_origins).prop_flat_map(|policies| (Just(policies.clone()), Just(policies).prop_shuffle()))) {
        let (job, settings) = start(&spec, ttls);
        prop_assert_eq!(run(&policies, &job, &settings), run(&shuffled, &job, &settings));
    }

    fn what_can_be_cut_is_never_denied(spec in job(), ttls in ttls(), policies in vec(vec(numbers(), 1..4), 1..4)) {
        let policies = policies.into_iter().map(|rules| {
            let mut policy = json!({"enforcement": "Clamp"});
            for rule in &rules {
                add(&mut policy, rule);
            }
            // A min can contradict the max of another policy; and nobody can use none of cpu and memory.
            for (_, bounds) in policy["settings"].as_object_mut().into_iter().flatten() {
                bounds.as_object_mut().unwrap().remove("min");
            }
            if let Some(amounts) = policy["resources"]["containerMax"].as_object_mut() {
                amounts.retain(|name, amount| name == "example.com/device" || *amount != "0");
            }
            policy
        });
        let (job, settings) = start(&spec, ttls);
        let outcome = run(&with_origins(policies.collect()), &job, &settings);
        prop_assert!(!outcome.is_denied(), "{:?}", outcome.verdict);
    }

    fn quantities_are_exact(number in 0_u32.., thousandths in 0_u32..1000, suffix in select(vec![("n", 1_u128), ("u", 1000), ("m", 1_000_000), ("", 1_000_000_000), ("k", 1_000_000_000_000), ("M", 1_000_000_000_000_000), ("Ki", 1_024_000_000_000), ("Mi", 1_048_576_000_000_000), ("e3", 1_000_000_000_000), ("E-3", 1_000_000)])) {
        let (unit, factor) = suffix;
        let text = format!("{number}.{thousandths:03}{unit}");
        let nanos = ((u128::from(number) * 1000 + u128::from(thousandths)) * factor).div_ceil(1000);
        prop_assert_eq!(Amount::parse(&text), Amount::parse(&format!("{nanos}n")), "{}", text);
        let more = Amount::parse(&format!("{}n", nanos + 1));
        prop_assert!(Amount::parse(&text) < more);
    }

    fn sums_of_extreme_amounts_never_wrap(
        amounts in vec((select(vec!["9223372036854775807", "9223372036854775807E", "1e99", "8Ei", "1n", "1", "170141183460469231731687303715", "1e28", "0"]), any::<bool>()), 1..16),
        overhead in select(vec!["0", "1n", "1e99"]),
        parallelism in select(vec![0, 1, 2, i32::MAX]),
    ) {
        let containers: Vec<Value> = (amounts.iter().enumerate())
            .map(|(at, (cpu, _))| json!({"name": format!("c{at}"), "image": "x", "resources": {"limits": {"cpu": cpu}}}))
            .collect();
        let sidecar = |(at, container): (usize, &Value)| {
            let mut container = container.clone();
            if amounts[at].1 {
                container["restartPolicy"] = json!("Always");
            }
            container
        };
        let init: Vec<Value> = containers.iter().enumerate().map(sidecar).collect();
        let pod = json!({"containers": containers, "initContainers": init, "overhead": {"cpu": overhead}});
        let spec = json!({"parallelism": parallelism, "template": {"spec": pod}});
        let (job, settings) = start(&spec, (None, None));
        let largest = amounts.iter().filter_map(|(cpu, _)| Amount::parse(cpu)).max().unwrap();
        let is_unlimited = amounts.iter().any(|(cpu, _)| *cpu == "0");
        for max in ["1n", "1m", "1", "9223372036854775807"] {
            let outcome = run(&with_origins(vec![json!({"resources": {"runMax": {"cpu": max}}})]), &job, &settings);
            let exceeds = is_unlimited || largest.as_stored() > Amount::parse(max).unwrap();
            prop_assert!(!exceeds || parallelism == 0 || outcome.is_denied(), "{} passes {}: {}", spec, max, largest);
        }
    }

    fn any_text_is_judged_without_a_panic(amount in ".{0,40}|[-+]?[0-9.]{0,40}[a-zA-Z]{0,2}[-+]?[0-9]{0,22}", image in ".{0,40}|[a-z./:@*]{0,40}", pattern in ".{0,40}|[a-z./:@*]{0,40}") {
        let spec = json!({"parallelism": i32::MAX, "template": {"spec": {"containers": [{"name": "main", "image": image, "resources": {"limits": {"cpu": amount}}}]}}});
        let (job, settings) = start(&spec, (None, None));
        let policy = json!({"images": {"allow": [pattern]}, "resources": {"containerMax": {"cpu": amount}, "runMax": {"cpu": amount}}});
        run(&with_origins(vec![policy]), &job, &settings);
    }
}

/// The properties say something only if each kind of outcome is common.
fn every_outcome_is_common() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let cases = (job(), ttls(), vec(policy(), 0..4));
    let (mut denied, mut clamped, mut warned, mut untouched) = (0, 0, 0, 0);
    for _ in 0..1000 {
        let (spec, ttls, policies) = cases.new_tree(&mut runner).unwrap().current();
        let (job, settings) = start(&spec, ttls);
        let outcome = run(&with_origins(policies), &job, &settings);
        denied += u32::from(outcome.is_denied());
        clamped += u32::from(!outcome.verdict.clamped.is_empty());
        warned += u32::from(!outcome.verdict.warned.is_empty());
        untouched += u32::from(outcome.verdict == Verdict::default());
    }
    let counts = [denied, clamped, warned, untouched];
    println!(
        "figure: of 1000 runs {denied} denied, {clamped} clamped, {warned} warned about, {untouched} untouched"
    );
    assert!(counts.iter().all(|count| *count > 80), "{counts:?}");
}
