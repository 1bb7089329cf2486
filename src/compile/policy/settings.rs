//! Bounds of the Job settings.

use super::subject::{Found, Subject};
use super::{Clamp, Named};
use crate::api::policy::{Bounds, Policy, SettingsPolicy};

/// Kubernetes' default of backoffLimit.
const DEFAULT_BACKOFF_LIMIT: i32 = 6;

/// The value in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// This number.
    Is(i64),
    /// No number, which means no limit.
    Unlimited,
    /// Has no meaning in this Job.
    Meaningless,
}

/// One setting that has bounds.
struct Setting {
    name: &'static str,
    bounds: fn(&SettingsPolicy) -> Option<Bounds>,
    value: fn(&Subject) -> Value,
    /// Writes a number, and returns the value that is then in force.
    write: fn(&mut Subject, i64) -> i64,
}

/// Every setting. ttlSecondsAfterFinished comes before ttlSecondsAfterFailed, which defaults to it.
const SETTINGS: [Setting; 8] = [
    Setting {
        name: "backoffLimit",
        bounds: |policy| policy.backoff_limit,
        value: |subject| match subject.spec.backoff_limit {
            // Kubernetes then writes the largest number.
            None if subject.spec.backoff_limit_per_index.is_some() => Value::Unlimited,
            limit => Value::Is(limit.unwrap_or(DEFAULT_BACKOFF_LIMIT).into()),
        },
        write: |subject, number| store(&mut subject.spec.backoff_limit, number),
    },
    Setting {
        name: "completions",
        bounds: |policy| policy.completions,
        value: |subject| match (subject.spec.completions, subject.spec.parallelism) {
            (Some(completions), _) => Value::Is(completions.into()),
            // A work queue.
            (None, Some(_)) => Value::Meaningless,
            (None, None) => Value::Is(1),
        },
        write: |subject, number| store(&mut subject.spec.completions, number),
    },
    Setting {
        name: "parallelism",
        bounds: |policy| policy.parallelism,
        value: |subject| Value::Is(subject.parallelism().into()),
        write: |subject, number| {
            // Setting parallelism would turn a Job without completions into a work queue.
            if subject.spec.parallelism.is_none() {
                subject.spec.completions.get_or_insert(1);
            }
            store(&mut subject.spec.parallelism, number)
        },
    },
    Setting {
        name: "activeDeadlineSeconds",
        bounds: |policy| policy.active_deadline_seconds,
        value: |subject| or_unlimited(subject.spec.active_deadline_seconds),
        write: |subject, number| *subject.spec.active_deadline_seconds.insert(number),
    },
    Setting {
        name: "ttlSecondsAfterFinished",
        bounds: |policy| policy.ttl_seconds_after_finished,
        value: |subject| or_unlimited(subject.ttl_after_finished),
        write: |subject, number| {
            if subject.ttl_after_finished.is_none() && subject.ttl_after_failed.is_none() {
                store(&mut subject.ttl_after_failed, number);
            }
            store(&mut subject.ttl_after_finished, number)
        },
    },
    Setting {
        name: "ttlSecondsAfterFailed",
        bounds: |policy| policy.ttl_seconds_after_failed,
        value: |subject| or_unlimited(subject.ttl_after_failed),
        write: |subject, number| store(&mut subject.ttl_after_failed, number),
    },
    Setting {
        name: "backoffLimitPerIndex",
        bounds: |policy| policy.backoff_limit_per_index,
        value: |subject| {
            subject.spec.backoff_limit_per_index.map_or(Value::Meaningless, |limit| Value::Is(limit.into()))
        },
        write: |subject, number| store(&mut subject.spec.backoff_limit_per_index, number),
    },
    Setting {
        name: "maxFailedIndexes",
        bounds: |policy| policy.max_failed_indexes,
        value: |subject| match subject.spec.max_failed_indexes {
            Some(indexes) => Value::Is(indexes.into()),
            None if subject.spec.backoff_limit_per_index.is_some() => Value::Unlimited,
            None => Value::Meaningless,
        },
        write: |subject, number| {
            // Kubernetes refuses more than there are indexes.
            let is_new = subject.spec.max_failed_indexes.is_none();
            let most = subject.spec.completions.filter(|_| is_new).map_or(i64::MAX, i64::from);
            store(&mut subject.spec.max_failed_indexes, number.min(most))
        },
    },
];

fn or_unlimited<N: Into<i64>>(number: Option<N>) -> Value {
    number.map_or(Value::Unlimited, |number| Value::Is(number.into()))
}

/// Bounds fit into 32 bits, as the schema requires; one that does not is clamped.
fn store(field: &mut Option<i32>, number: i64) -> i64 {
    let number = i32::try_from(number).unwrap_or(if number < 0 { 0 } else { i32::MAX });
    (*field.insert(number)).into()
}

/// Finds settings outside the bounds.
pub(super) fn judge(subject: &Subject, policy: &Policy, found: &mut Found<'_>) {
    let Some(policy) = &policy.settings else { return };
    for setting in &SETTINGS {
        let Some(bounds) = (setting.bounds)(policy) else { continue };
        let field = format!("spec.settings.{}", setting.name);
        let value = (setting.value)(subject);
        if let Some(max) = bounds.max {
            let bound = format!("allows at most {max}");
            match value {
                Value::Is(number) if number > max => {
                    found.add(&*field, &format!("is {number}"), &bound, "lower it");
                }
                Value::Unlimited => {
                    found.add(
                        &*field,
                        "is not set, which means no limit",
                        &bound,
                        &format!("set it to at most {max}"),
                    );
                }
                Value::Is(_) | Value::Meaningless => {}
            }
        }
        if let (Some(min), Value::Is(number)) = (bounds.min, value)
            && number < min
        {
            found.add(field, &format!("is {number}"), &format!("requires at least {min}"), "raise it");
        }
    }
}

/// Clamps the settings to the bounds of all `policies` together. If they contradict each other, the lowest max wins,
/// and the policy with the min denies it.
pub(super) fn cut(subject: &mut Subject, policies: &[Named<'_>]) -> Vec<Clamp> {
    let mut cuts = Vec::new();
    for setting in &SETTINGS {
        let bounds: Vec<(Bounds, &str)> = policies
            .iter()
            .filter_map(|named| Some(((setting.bounds)(named.policy.settings.as_ref()?)?, named.origin)))
            .collect();
        let min =
            bounds.iter().filter_map(|(bounds, by)| Some((bounds.min?, *by))).max_by_key(|(min, _)| *min);
        let max =
            bounds.iter().filter_map(|(bounds, by)| Some((bounds.max?, *by))).min_by_key(|(max, _)| *max);
        let value = (setting.value)(subject);
        let (from, bound) = match value {
            Value::Meaningless => continue,
            Value::Unlimited => (None, max),
            Value::Is(number) => {
                let raised = min.filter(|(min, _)| number < *min);
                let wanted = raised.map_or(number, |(min, _)| min);
                (Some(number), max.filter(|(max, _)| wanted > *max).or(raised))
            }
        };
        let Some((bound, by)) = bound else { continue };
        if from == Some(bound) {
            continue;
        }
        let to = (setting.write)(subject, bound);
        cuts.push(Clamp {
            path: format!("spec.settings.{}", setting.name),
            from: from.map(|number| number.to_string()),
            to: to.to_string(),
            by: by.to_owned(),
        });
    }
    cuts
}
