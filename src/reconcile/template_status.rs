//! What a template's own status says: whether it is valid, whether it is the default of its scope, how many requests
//! use it.
//!
//! Takes templates as they are stored and the requests' view of them; returns the whole new status of one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use serde::Deserialize;

use super::event::Event;
use super::format::{bounded, whole_seconds};
use super::observed::{Lenient, of_template};
use crate::api::condition::{ConditionType, EventReason, Reason};
use crate::api::json_text::JsonText;
use crate::api::template::{Reruns, TemplateStatus};
use crate::api::template_ref::{TemplateKind, TemplateRef};
use crate::api::{ClusterJobTemplate, JobTemplate};
use crate::compile::{Problem, ScopedTemplate, Template, defaults_of, read_spec};

/// How far apart writes are that only bring the number of requests up to date.
const COUNT_PAUSE: Duration = Duration::from_secs(60);
/// How far apart writes are that only say how many runs follow an edit by now.
const RERUNS_PAUSE: Duration = Duration::from_secs(10);

/// Maximum number of defaults of one scope that a status names.
const MAX_DEFAULTS: usize = 16;

/// A JobTemplate as it is stored.
#[derive(Clone, Debug, Deserialize, Resource)]
#[resource(inherit = JobTemplate)]
pub struct JobTemplateView {
    /// Metadata, without what no rule reads.
    #[serde(deserialize_with = "of_template")]
    pub metadata: ObjectMeta,
    /// The spec.
    #[serde(default)]
    pub spec: JsonText,
    /// The status, or why it cannot be read.
    #[serde(default)]
    pub status: Lenient<TemplateStatus>,
}

/// A ClusterJobTemplate as it is stored.
#[derive(Clone, Debug, Deserialize, Resource)]
#[resource(inherit = ClusterJobTemplate)]
pub struct ClusterJobTemplateView {
    /// Metadata, without what no rule reads.
    #[serde(deserialize_with = "of_template")]
    pub metadata: ObjectMeta,
    /// The spec.
    #[serde(default)]
    pub spec: JsonText,
    /// The status, or why it cannot be read.
    #[serde(default)]
    pub status: Lenient<TemplateStatus>,
}

/// A template of either kind.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTemplate {
    /// `metadata.namespace`; absent for a ClusterJobTemplate.
    pub namespace: Option<String>,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// What applies to requests.
    pub template: Arc<Template>,
    /// The status; one that cannot be read counts as unwritten.
    pub status: TemplateStatus,
}

impl From<JobTemplateView> for StoredTemplate {
    fn from(view: JobTemplateView) -> Self {
        Self::of(TemplateKind::JobTemplate, view.metadata, &view.spec, view.status)
    }
}

impl From<ClusterJobTemplateView> for StoredTemplate {
    fn from(view: ClusterJobTemplateView) -> Self {
        Self::of(TemplateKind::ClusterJobTemplate, view.metadata, &view.spec, view.status)
    }
}

impl From<StoredTemplate> for ScopedTemplate {
    fn from(stored: StoredTemplate) -> Self {
        Self { namespace: stored.namespace, template: stored.template }
    }
}

impl StoredTemplate {
    fn of(
        kind: TemplateKind,
        metadata: ObjectMeta,
        spec: &JsonText,
        status: Lenient<TemplateStatus>,
    ) -> Self {
        Self {
            namespace: metadata.namespace,
            resource_version: metadata.resource_version.unwrap_or_default(),
            template: Arc::new(Template {
                reference: TemplateRef { kind, name: metadata.name.unwrap_or_default() },
                uid: metadata.uid.unwrap_or_default(),
                generation: metadata.generation.unwrap_or_default(),
                created: metadata.creation_timestamp.map(|created| created.0),
                is_terminating: metadata.deletion_timestamp.is_some(),
                spec: read_spec(spec),
            }),
            status: status.0.unwrap_or_default(),
        }
    }

    /// Requests in `namespace` may name it, and it may be their default.
    #[must_use]
    pub fn is_in_scope(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }

    /// What identifies it among all others.
    #[must_use]
    pub fn key(&self) -> TemplateKey {
        (self.namespace.clone(), self.template.reference.clone())
    }
}

/// Namespace, kind and name.
pub type TemplateKey = (Option<String>, TemplateRef);

/// How many requests use each template, by name or as a default. `requests` are the namespace of each, and what it
/// names.
#[must_use]
pub fn usage<'a>(
    templates: &[StoredTemplate],
    requests: impl Iterator<Item = (&'a str, Option<&'a TemplateRef>)>,
) -> BTreeMap<TemplateKey, i64> {
    let mut in_namespace: BTreeMap<&str, i64> = BTreeMap::new();
    let mut usage: BTreeMap<TemplateKey, i64> = BTreeMap::new();
    let of_cluster = defaults_in(templates, None);
    let mut defaults: BTreeMap<&str, Vec<TemplateRef>> = BTreeMap::new();
    for (namespace, named) in requests {
        *in_namespace.entry(namespace).or_default() += 1;
        let own = defaults.entry(namespace).or_insert_with(|| defaults_in(templates, Some(namespace)));
        let Some(named) = named else { continue };
        // A default that is also named is used once.
        if !of_cluster.contains(named) && !own.contains(named) {
            *usage.entry(scoped(namespace, named)).or_default() += 1;
        }
    }
    for (namespace, count) in in_namespace {
        for default in of_cluster.iter().chain(defaults.get(namespace).into_iter().flatten()) {
            *usage.entry(scoped(namespace, default)).or_default() += count;
        }
    }
    usage
}

/// The key of a template that a request in `namespace` refers to.
#[must_use]
pub fn scoped(namespace: &str, template: &TemplateRef) -> TemplateKey {
    let is_namespaced = template.kind == TemplateKind::JobTemplate;
    (is_namespaced.then(|| namespace.to_owned()), template.clone())
}

/// The defaults of a namespace, or of the cluster, that give anything: the one that gives the values, then those of
/// which the policy counts.
fn defaults_in(templates: &[StoredTemplate], namespace: Option<&str>) -> Vec<TemplateRef> {
    let of_scope = templates.iter().filter(|stored| stored.namespace.as_deref() == namespace);
    let all = defaults_of(of_scope.map(|stored| &stored.template)).into_iter().enumerate();
    all.filter(|(place, template)| *place == 0 || template.policy().is_some() || template.spec.is_err())
        .map(|(_, template)| template.reference.clone())
        .collect()
}

/// Maximum number of requests that a condition names.
const MAX_NAMED: usize = 10;

/// The requests that violate the policy of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    /// How many do.
    pub count: i64,
    /// The first of them: namespace and name.
    pub first: Vec<String>,
}

impl Violations {
    /// One more.
    pub fn add(&mut self, namespace: &str, name: &str) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < MAX_NAMED {
            self.first.push(format!("{namespace}/{name}"));
        }
    }

    fn message(&self) -> String {
        let more = usize::try_from(self.count).unwrap_or_default().saturating_sub(self.first.len());
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!(
            "JobRequests that violate this policy: {} ({}{more}); the policy only warns, and would deny their next run with enforcement: Deny; `jobrequest explain` says what each of them violates",
            self.count,
            self.first.join(", ")
        )
    }
}

/// Who uses a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many requests do, by name or as a default.
    pub requests: i64,
    /// How many of their runs follow its last edits.
    pub reruns: Option<Reruns>,
    /// Which violate its policy, if that only warns.
    pub violations: Violations,
}

/// The reason of Ready of a template with these problems: Valid, InvalidTemplate or TemplateTerminating.
#[must_use]
pub const fn readiness(template: &Template, problems: &[Problem]) -> Reason {
    if template.is_terminating {
        Reason::TemplateTerminating
    } else if problems.is_empty() {
        Reason::Valid
    } else {
        Reason::InvalidTemplate
    }
}

/// Describes `stored` among `templates`, which hold it.
#[must_use]
pub fn describe(
    stored: &StoredTemplate,
    templates: &[StoredTemplate],
    problems: &[Problem],
    usage: &Usage,
    now: Timestamp,
) -> TemplateStatus {
    let mut conditions = Vec::new();
    let mut set = |type_: ConditionType, status: bool, reason: Reason, message: &str| {
        let status = if status { "True" } else { "False" };
        let old =
            stored.status.conditions.iter().find(|old| old.type_ == type_.as_str() && old.status == status);
        conditions.push(Condition {
            type_: type_.to_string(),
            status: status.to_owned(),
            reason: reason.to_string(),
            message: bounded(message),
            observed_generation: Some(stored.template.generation),
            last_transition_time: old
                .map_or(Time(whole_seconds(now)), |old| old.last_transition_time.clone()),
        });
    };
    let ready = readiness(&stored.template, problems);
    match ready {
        Reason::TemplateTerminating => {
            let message =
                "the template is being deleted: no new run takes it, and a request that names it is rejected";
            set(ConditionType::Ready, false, ready, message);
        }
        Reason::Valid => set(ConditionType::Ready, true, ready, "the template can be applied to requests"),
        _ => {
            let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let message = format!("{}; requests in scope are rejected until this is fixed", all.join("; "));
            set(ConditionType::Ready, false, ready, &message);
            set(ConditionType::Stalled, true, ready, &message);
        }
    }
    let mut several = Vec::new();
    if stored.template.is_default() && stored.template.is_terminating {
        let message = "it is being deleted: its defaults, presets and policy count for no new run";
        set(ConditionType::Effective, false, Reason::TemplateTerminating, message);
    } else if stored.template.is_default() {
        let of_scope = templates.iter().filter(|other| other.namespace == stored.namespace);
        let defaults = defaults_of(of_scope.map(|stored| &stored.template));
        let own = &stored.template.reference;
        if defaults.len() > 1 {
            several = defaults.iter().take(MAX_DEFAULTS).map(|one| one.reference.name.clone()).collect();
        }
        match defaults.split_first() {
            Some((newest, _)) if newest.reference != *own => {
                let counts = match stored.template.policy() {
                    Some(_) => "of this one only the policy counts, for every request in scope",
                    None => {
                        "nothing of this one counts, because it has no policy, except for requests that name it"
                    }
                };
                let newest = &newest.reference;
                let message = format!(
                    "{newest} is the default instead: of several, the newest gives base, containerDefaults and quotas (of equally old ones the first by name); {counts}"
                );
                set(ConditionType::Effective, false, Reason::Superseded, &message);
            }
            Some((_, others)) if !others.is_empty() => {
                let names = others.iter().map(|other| other.reference.to_string()).collect::<Vec<_>>();
                let message = format!(
                    "it is the newest default of its scope, and gives base, containerDefaults and quotas; of {} only the policies count, beside its own, and the strictest wins",
                    names.join(", ")
                );
                set(ConditionType::Effective, true, Reason::NewestDefault, &message);
            }
            _ => set(ConditionType::Effective, true, Reason::Default, "it is the default of its scope"),
        }
    }
    let violations = &usage.violations;
    if violations.count > 0 {
        set(ConditionType::Violated, true, Reason::PolicyWarning, &violations.message());
    }
    TemplateStatus {
        observed_generation: stored.template.generation,
        conditions,
        requests: Some(usage.requests),
        violations: (violations.count > 0).then_some(violations.count),
        reruns: usage.reruns,
        defaults: several,
    }
}

/// The events of a template: it has become one of several defaults, or of others than before; it cannot be applied any more;
/// requests violate its policy, and none did before.
#[must_use]
pub fn events(stored: &TemplateStatus, described: &TemplateStatus) -> Vec<Event> {
    let said = |status: &TemplateStatus, type_: ConditionType| {
        status.conditions.iter().find(|condition| condition.type_ == type_.as_str()).cloned()
    };
    let begins = |type_: ConditionType, reason: EventReason| {
        let now = said(described, type_)?;
        said(stored, type_).is_none().then(|| Event::new(reason, &now.message))
    };
    let has_others = !described.defaults.is_empty() && described.defaults != stored.defaults;
    let effective = said(described, ConditionType::Effective).filter(|_| has_others);
    let several = effective.map(|effective| Event::new(EventReason::MultipleDefaults, &effective.message));
    let invalid = begins(ConditionType::Stalled, EventReason::InvalidTemplate);
    let violated = begins(ConditionType::Violated, EventReason::PolicyViolated);
    several.into_iter().chain(invalid).chain(violated).collect()
}

/// The described status is to be written now; `since` the last write of this process.
#[must_use]
pub fn is_due(stored: &TemplateStatus, described: &TemplateStatus, since: Option<Duration>) -> bool {
    let without_counts = |status: &TemplateStatus| {
        let mut status = TemplateStatus { requests: None, reruns: None, violations: None, ..status.clone() };
        // That there are any is shown soon; how many, and which, with the counts.
        for condition in &mut status.conditions {
            if condition.type_ == ConditionType::Violated.as_str() {
                condition.message.clear();
            }
        }
        status
    };
    if without_counts(stored) != without_counts(described) {
        return true;
    }
    // That runs begin to follow an edit, and that all of them have, is shown soon.
    let pause = match (stored.reruns, described.reruns) {
        (Some(_), None) | (None, Some(_)) => Duration::ZERO,
        (Some(shown), Some(now)) if shown != now => RERUNS_PAUSE,
        _ => COUNT_PAUSE,
    };
    stored != described && since.is_none_or(|since| since >= pause)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn default(name: &str, created: &str) -> StoredTemplate {
        let metadata = json!({"name": name, "uid": name, "generation": 1, "creationTimestamp": created});
        let view = json!({"metadata": metadata, "spec": {"default": true}});
        serde_json::from_value::<ClusterJobTemplateView>(view).unwrap().into()
    }

    fn described(stored: &StoredTemplate, all: &[StoredTemplate]) -> TemplateStatus {
        describe(stored, all, &[], &Usage::default(), "2026-11-23T22:11:42Z".parse().unwrap())
    }

    #[test]
    fn an_event_is_sent_when_the_defaults_are_others_than_before_and_no_message_matters() {
        let [old, new] = [default("old", "2026-01-01T00:00:00Z"), default("new", "2026-02-01T00:00:00Z")];
        let alone = described(&old, std::slice::from_ref(&old));
        assert_eq!(
            (alone.defaults.clone(), events(&TemplateStatus::default(), &alone)),
            (Vec::new(), Vec::new())
        );
        let both = [old.clone(), new];
        for one in &both {
            let now = described(one, &both);
            assert_eq!(now.defaults, ["new", "old"]);
            assert_eq!(events(&alone, &now).len(), 1);
            let mut scrambled = now.clone();
            for condition in &mut scrambled.conditions {
                condition.message = "x".to_owned();
            }
            assert_eq!(events(&scrambled, &now), []);
        }
        let third = [both[0].clone(), both[1].clone(), default("third", "2026-03-01T00:00:00Z")];
        assert_eq!(events(&described(&old, &both), &described(&old, &third)).len(), 1);
        assert_eq!(events(&described(&old, &both), &alone), [], "what has passed is no news");
    }

    #[test]
    fn requests_that_violate_a_policy_which_warns_are_counted_and_the_first_are_named() {
        let template = default("limits", "2026-01-01T00:00:00Z");
        let all = std::slice::from_ref(&template);
        let with = |count: usize| {
            let mut usage = Usage::default();
            (0..count).for_each(|number| usage.violations.add("lab", &format!("r{number}")));
            describe(&template, all, &[], &usage, "2026-11-23T22:11:42Z".parse().unwrap())
        };
        let (none, two, many) = (with(0), with(2), with(12));
        let message = |status: &TemplateStatus| {
            let violated = |condition: &&Condition| condition.type_ == ConditionType::Violated.as_str();
            status.conditions.iter().find(violated).map(|condition| condition.message.clone())
        };
        assert_eq!((none.violations, message(&none)), (None, None));
        assert_eq!((two.violations, many.violations), (Some(2), Some(12)));
        assert!(
            message(&two).unwrap().starts_with("JobRequests that violate this policy: 2 (lab/r0, lab/r1);")
        );
        assert!(message(&many).unwrap().contains("lab/r9 and 2 more);"));
        let reasons = |before: &TemplateStatus, now: &TemplateStatus| -> Vec<EventReason> {
            events(before, now).iter().map(|event| event.reason).collect()
        };
        assert_eq!(reasons(&none, &two), [EventReason::PolicyViolated]);
        assert_eq!(reasons(&two, &many), [], "once");
        let pause = Some(Duration::from_secs(59));
        assert!(is_due(&none, &two, Some(Duration::ZERO)), "the first one is news");
        assert!(!is_due(&two, &many, pause), "more of them are written with the counts");
        assert!(is_due(&two, &many, Some(COUNT_PAUSE)));
        assert!(!is_due(&many, &many, None));
    }

    #[test]
    fn counts_alone_are_written_at_a_pace() {
        let with = |requests, reruns| TemplateStatus {
            requests: Some(requests),
            reruns,
            ..TemplateStatus::default()
        };
        let reruns = |active, waiting| Some(Reruns { active, waiting });
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (what, stored, now, since, due) in [
            ("nothing has changed", with(1, None), with(1, None), None, false),
            ("requests", with(1, None), with(2, None), seconds(59), false),
            ("requests, a minute later", with(1, None), with(2, None), seconds(60), true),
            ("the first rerun", with(1, None), with(1, reruns(1, 0)), seconds(0), true),
            ("more of them", with(1, reruns(1, 0)), with(1, reruns(10, 5)), seconds(9), false),
            ("more of them, later", with(1, reruns(1, 0)), with(1, reruns(10, 5)), seconds(10), true),
            ("the last has ended", with(1, reruns(1, 0)), with(1, None), seconds(0), true),
        ] {
            assert_eq!(is_due(&stored, &now, since), due, "{what}");
        }
    }
}
