//! The settings of the Job itself.

use k8s_openapi::api::batch::v1::{Job, JobSpec, PodFailurePolicyRule, SuccessPolicyRule};

use super::Found;
use crate::compile::pod::each_container;
use crate::compile::well_formed::is_qualified_name;

/// Most pods of an Indexed Job at once, and most failed indexes.
const MAX_INDEXED: i32 = 100_000;
/// The same where there are more completions than [`MAX_INDEXED`] and a limit per index.
const MAX_OF_MANY: i32 = 10_000;
/// Longest host name of a pod.
const MAX_HOST_NAME: usize = 63;

pub(super) fn judge(job: &JobSpec, found: &mut Found<'_>) {
    let restart_policy = job.template.spec.as_ref().and_then(|pod| pod.restart_policy.as_deref());
    if let Some(policy) = restart_policy.filter(|policy| !["Never", "OnFailure"].contains(policy)) {
        let message = format!("is {policy}, but the pods of a Job end: set Never or OnFailure");
        found.add("spec.restartPolicy", message);
    }
    not_negative(job, found);
    let is_indexed = job.completion_mode.as_deref() == Some("Indexed");
    if is_indexed {
        indexed(job, found);
    } else {
        for (field, is_set) in [
            ("successPolicy", job.success_policy.is_some()),
            ("backoffLimitPerIndex", job.backoff_limit_per_index.is_some()),
        ] {
            if is_set {
                found.add(
                    format!("spec.settings.{field}"),
                    "requires completionMode Indexed, which overrides change",
                );
            }
        }
    }
    if job.max_failed_indexes.is_some() && job.backoff_limit_per_index.is_none() {
        found.add(
            "spec.settings.maxFailedIndexes",
            "requires backoffLimitPerIndex; set it, or leave this out",
        );
    }
    let rules = job.pod_failure_policy.iter().flat_map(|policy| &policy.rules);
    for (index, rule) in rules.enumerate() {
        let path = format!("spec.settings.podFailurePolicy.rules[{index}]");
        pod_failure_rule(job, rule, &path, found);
    }
    if job.pod_failure_policy.is_some() {
        if restart_policy == Some("OnFailure") {
            found.add(
                "spec.settings.podFailurePolicy",
                "requires restartPolicy Never, which overrides change",
            );
        }
        if job.pod_replacement_policy.as_deref().is_some_and(|policy| policy != "Failed") {
            let message = "must be Failed beside podFailurePolicy; set it to Failed, or leave it out";
            found.add("spec.settings.podReplacementPolicy", message);
        }
    }
    let rules = job.success_policy.iter().flat_map(|policy| &policy.rules);
    for (index, rule) in rules.enumerate() {
        let path = format!("spec.settings.successPolicy.rules[{index}]");
        success_rule(rule, job.completions.unwrap_or_default(), &path, found);
    }
}

/// Pods of an Indexed run are called by their index, and the last one has the longest name.
pub(super) fn host_names(job: &Job, found: &mut Found<'_>) {
    let indexed = job.spec.as_ref().filter(|spec| spec.completion_mode.as_deref() == Some("Indexed"));
    let completions = indexed.and_then(|spec| spec.completions).filter(|completions| *completions > 0);
    let (Some(name), Some(completions)) = (job.metadata.name.as_deref(), completions) else { return };
    let host = format!("{name}-{}", completions - 1);
    if host.len() > MAX_HOST_NAME {
        let message = format!(
            "is too long for {completions} completions: the last pod would be called {host}, and a host name has at most {MAX_HOST_NAME} characters; shorten the name, or lower the completions"
        );
        found.add("metadata.name", message);
    }
}

/// Numbers that overrides set: those of the form are judged by its schema.
fn not_negative(job: &JobSpec, found: &mut Found<'_>) {
    let numbers = [
        ("backoffLimit", job.backoff_limit.map(i64::from)),
        ("completions", job.completions.map(i64::from)),
        ("parallelism", job.parallelism.map(i64::from)),
        ("activeDeadlineSeconds", job.active_deadline_seconds),
        ("backoffLimitPerIndex", job.backoff_limit_per_index.map(i64::from)),
        ("maxFailedIndexes", job.max_failed_indexes.map(i64::from)),
    ];
    for (field, number) in numbers {
        if let Some(number) = number.filter(|number| *number < 0) {
            found.add(format!("spec.settings.{field}"), format!("is {number}, and must not be negative"));
        }
    }
}

fn indexed(job: &JobSpec, found: &mut Found<'_>) {
    let Some(completions) = job.completions else {
        found.add("spec.settings.completions", "an Indexed run needs a number of completions");
        return;
    };
    let parallelism = job.parallelism.unwrap_or(1);
    let mut at_most = |field: &str, number: i32, most: i32, why: &str| {
        if number > most {
            found
                .add(format!("spec.settings.{field}"), format!("is {number}, and {why}; set at most {most}"));
        }
    };
    at_most("parallelism", parallelism, MAX_INDEXED, "so many pods of an Indexed run cannot run at once");
    let Some(_) = job.backoff_limit_per_index else { return };
    if let Some(failed) = job.max_failed_indexes {
        at_most("maxFailedIndexes", failed, completions, "there are no more indexes than completions");
        at_most("maxFailedIndexes", failed, MAX_INDEXED, "Kubernetes records no more failed indexes");
    }
    if completions > MAX_INDEXED {
        let why = "completions are above 100000 beside backoffLimitPerIndex";
        at_most("parallelism", parallelism, MAX_OF_MANY, why);
        match job.max_failed_indexes {
            Some(failed) => at_most("maxFailedIndexes", failed, MAX_OF_MANY, why),
            None => found.add("spec.settings.maxFailedIndexes", format!("is required, because {why}")),
        }
    }
}

fn pod_failure_rule(job: &JobSpec, rule: &PodFailurePolicyRule, path: &str, found: &mut Found<'_>) {
    if rule.action == "FailIndex" && job.backoff_limit_per_index.is_none() {
        let message = "FailIndex requires backoffLimitPerIndex; set it, or choose another action";
        found.add(format!("{path}.action"), message);
    }
    for (index, pattern) in rule.on_pod_conditions.iter().flatten().enumerate() {
        if !is_qualified_name(&pattern.type_) {
            let message =
                format!("{:?} is no type of a condition; write one such as DisruptionTarget", pattern.type_);
            found.add(format!("{path}.onPodConditions[{index}].type"), message);
        }
    }
    let Some(codes) = &rule.on_exit_codes else { return };
    if let (Some(name), Some(pod)) = (codes.container_name.as_deref(), &job.template.spec) {
        let known: Vec<&str> = each_container(pod).map(|(_, container)| container.name.as_str()).collect();
        if !known.contains(&name) {
            let message = format!("no container is called {name}; there are: {}", known.join(", "));
            found.add(format!("{path}.onExitCodes.containerName"), message);
        }
    }
    if !codes.values.is_sorted() {
        let message = "must be in ascending order";
        found.add(format!("{path}.onExitCodes.values"), message);
    }
}

fn success_rule(rule: &SuccessPolicyRule, completions: i32, path: &str, found: &mut Found<'_>) {
    let mut named = None;
    if let Some(indexes) = rule.succeeded_indexes.as_deref() {
        match count_of(indexes, completions) {
            Ok(count) => named = Some(count),
            Err(message) => {
                found.add(format!("{path}.succeededIndexes"), message);
                return;
            }
        }
    }
    let Some(count) = rule.succeeded_count.map(i64::from) else { return };
    let all = i64::from(completions);
    if count > all {
        let message = format!("is {count}, and there are {all} completions; lower it");
        found.add(format!("{path}.succeededCount"), message);
    } else if let Some(named) = named.filter(|named| count > *named) {
        let message = format!("is {count}, and succeededIndexes names {named}; lower it, or name more");
        found.add(format!("{path}.succeededCount"), message);
    }
}

/// How many indexes a set such as `0,2-4` names, below `completions`; they must ascend.
fn count_of(indexes: &str, completions: i32) -> Result<i64, String> {
    let mut count = 0;
    let mut last: Option<i64> = None;
    if indexes.is_empty() {
        return Ok(0);
    }
    for part in indexes.split(',') {
        let (first, end) = part.split_once('-').unwrap_or((part, part));
        let (Ok(first), Ok(end)) = (first.parse::<i64>(), end.parse::<i64>()) else {
            return Err(format!("{part} is no index, and no range of them"));
        };
        if end < first || (part.contains('-') && end == first) {
            return Err(format!("{part} is no range: its end must be above its beginning"));
        }
        if last.is_some_and(|last| first <= last) {
            return Err(format!("{part} is not above the indexes before it; write them in ascending order"));
        }
        if end >= i64::from(completions) {
            let highest = i64::from(completions) - 1;
            return Err(format!(
                "index {end} does not exist: with {completions} completions the last is {highest}"
            ));
        }
        last = Some(end);
        count += end - first + 1;
    }
    Ok(count)
}
