//! What no row of tests/policy can say: numbers of policies, long lists, and nothing at all.

use serde_json::{Value, json};

use super::*;

/// The denials of a plain Job.
fn denied(policies: &[(&str, Value)]) -> Vec<String> {
    let policies: Vec<(&str, Policy)> = policies
        .iter()
        .map(|(origin, policy)| (*origin, serde_json::from_value(policy.clone()).expect("a policy")))
        .collect();
    let named: Vec<Named<'_>> = policies.iter().map(|(origin, policy)| Named { origin, policy }).collect();
    let pod = json!({"containers": [{"name": "main", "image": "perl:5"}]});
    let mut job: Job =
        serde_json::from_value(json!({"spec": {"backoffLimit": 6, "template": {"spec": pod}}}))
            .expect("a Job");
    let verdict = judge(&mut job, &mut EffectiveSettings::default(), &named);
    verdict.denied.iter().map(ToString::to_string).collect()
}

#[test]
fn more_clamping_policies_than_the_limit_deny() {
    let origins: Vec<String> = (0..20).map(|number| format!("T/{number:02}")).collect();
    let policy = json!({"enforcement": "Clamp", "settings": {"backoffLimit": {"max": 5}}});
    let policies: Vec<(&str, Value)> =
        origins.iter().map(|origin| (origin.as_str(), policy.clone())).collect();
    assert_eq!((denied(&policies[..MAX_CLAMPS]).len(), denied(&policies).len()), (0, 20));
}

#[test]
fn a_long_allow_list_is_shortened_in_the_message() {
    let many: Vec<String> = (0..128).map(|number| format!("account-{number}")).collect();
    let said = denied(&[("T/a", json!({"serviceAccounts": many}))]).concat();
    assert!(said.contains("account-9 and 118 more; use one of them"), "{said}");
}

#[test]
fn an_empty_job_without_policies_stays_empty() {
    let mut job = Job::default();
    let verdict = judge(&mut job, &mut EffectiveSettings::default(), &[]);
    assert_eq!((job, verdict), (Job::default(), Verdict::default()));
}
