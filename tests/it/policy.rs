//! The rows of tests/policy: what each rule of a policy accepts, denies, cuts and warns about.
//!
//! A row is a test: `cargo test --test it policy::run-max`. Under `enforcement: Warn`, a denial is a warning with the same
//! message, and the Job stays as it is.

use jobrequest::api::policy::Policy;
use jobrequest::api::status::EffectiveSettings;
use jobrequest::compile::policy::{Named, Verdict, judge};
use k8s_openapi::api::batch::v1::Job;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::support::difference::patched;
use crate::support::policy_rows::{Row, rows};
use crate::support::trial;

/// One file each.
const RULES: [&str; 11] = [
    "settings",
    "container-max",
    "run-max",
    "images",
    "service-accounts",
    "priority-classes",
    "node-selector-keys",
    "volumes",
    "pod-security",
    "clamp",
    "several",
];

pub(crate) fn tests() -> Vec<Trial> {
    let tests = RULES.into_iter().flat_map(|rule| {
        let module = format!("{}::{rule}", module_path!());
        rows::<Row>(rule).into_iter().map(move |row| {
            let name = row.name.clone();
            trial(&module, &name, move || holds(&row).map_err(Into::into))
        })
    });
    tests.collect()
}

struct Judged {
    before: Job,
    job: Job,
    settings: EffectiveSettings,
    verdict: Verdict,
}

fn judged<'a>(row: &Row, policies: impl Iterator<Item = (&'a String, Value)>) -> Judged {
    let policies: Vec<(&String, Policy)> =
        policies.map(|(origin, policy)| (origin, serde_json::from_value(policy).unwrap())).collect();
    let named: Vec<_> = policies.iter().map(|(origin, policy)| Named { origin, policy }).collect();
    let mut job: Job = serde_json::from_value(row.job()).unwrap();
    let mut settings: EffectiveSettings = serde_json::from_value(row.settings.clone()).unwrap();
    let before = job.clone();
    let verdict = judge(&mut job, &mut settings, &named);
    Judged { before, job, settings, verdict }
}

/// Fails unless each message has the part that is expected in its place.
fn says(what: &str, messages: &[String], parts: &[String]) -> Result<(), String> {
    let is_said = messages.len() == parts.len()
        && messages.iter().zip(parts).all(|(message, part)| message.contains(part));
    if is_said { Ok(()) } else { Err(format!("{what}: {messages:#?}\nexpected: {parts:#?}")) }
}

fn holds(row: &Row) -> Result<(), String> {
    let policies = row.policies();
    let outcome = judged(row, policies.iter().map(|(origin, policy)| (origin, policy.clone())));
    let Judged { before, job, settings, verdict } = &outcome;
    let denied: Vec<_> = verdict.denied.iter().map(ToString::to_string).collect();
    says("denied", &denied, &row.denied)?;
    if policies.len() == 1 && !denied.iter().all(|message| message.contains("T/a")) {
        return Err(format!("does not name the template: {denied:#?}"));
    }
    let warned: Vec<_> = verdict.warned.iter().map(ToString::to_string).collect();
    says("warned", &warned, &row.warned)?;
    let cuts = verdict.clamped.iter().map(|cut| {
        format!("{} {} -> {} by {}", cut.path, cut.from.as_deref().unwrap_or("-"), cut.to, cut.by)
    });
    let cuts: Vec<_> = cuts.collect();
    if cuts != row.clamped {
        return Err(format!("clamped: {cuts:#?}\nexpected: {:#?}", row.clamped));
    }
    if row.clamped.is_empty() && job != before {
        return Err(format!("changed without a cut: {job:#?}"));
    }
    let spec = json!(job.spec);
    if patched(spec.clone(), &row.becomes) != spec {
        return Err(format!("the Job becomes {spec:#}"));
    }
    let settings = json!(settings);
    let is_effective = row.effective.iter().all(|(name, value)| settings[name] == *value);
    if !is_effective {
        return Err(format!("the settings become {settings:#}"));
    }
    // The same policies, but that they only warn.
    if policies.values().all(|policy| policy.get("enforcement").is_none()) {
        let warn = |policy: &Value| patched(policy.clone(), &json!({"enforcement": "Warn"}));
        let warning = judged(row, policies.iter().map(|(origin, policy)| (origin, warn(policy))));
        if warning.job != *before || !warning.verdict.denied.is_empty() {
            return Err(format!("Warn denies or changes: {:#?}", warning.verdict));
        }
        if warning.verdict.warned != verdict.denied {
            return Err(format!("Warn says {:#?}", warning.verdict.warned));
        }
    }
    Ok(())
}
