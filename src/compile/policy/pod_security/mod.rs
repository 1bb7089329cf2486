//! The Pod Security Standards, as the API server of Kubernetes 1.37 enforces them (version `latest`).
//!
//! Takes a pod template; returns what the standard forbids in it. Each check has its own function, in the order of
//! the standard. A cluster test compares all of this with the API server.

mod baseline;
mod restricted;

use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec, SecurityContext};

use super::subject::{Found, Subject};
use crate::api::pod_security::PodSecurity;
use crate::api::policy::Policy;
use crate::compile::layers::is_security_setting;
use crate::compile::pod::each_container;
use crate::compile::problem::Problem;

/// Finds what the standard of the policy forbids.
pub(super) fn judge(subject: &Subject, policy: &Policy, found: &mut Found<'_>) {
    let Some(level) = policy.pod_security else { return };
    let standard = match level {
        PodSecurity::Baseline => "baseline",
        PodSecurity::Restricted => "restricted",
    };
    for breach in breaches(level, &subject.spec.template) {
        let bound = format!("requires the Pod Security Standard {standard}: {}", breach.demand);
        found.add(breach.field, &breach.is, &bound, breach.way_out);
    }
}

/// What the standard forbids in a pod created from `template`: the field and what is wrong with it; empty if the API
/// server would admit the pod into a namespace that enforces this standard.
#[must_use]
pub fn violations(level: PodSecurity, template: &PodTemplateSpec) -> Vec<Problem> {
    breaches(level, template)
        .into_iter()
        .map(|breach| Problem::new(breach.field, format!("{}; {}", breach.is, breach.demand)))
        .collect()
}

/// One breach of the standard.
struct Breach {
    field: String,
    is: String,
    demand: &'static str,
    way_out: &'static str,
}

fn breaches(level: PodSecurity, template: &PodTemplateSpec) -> Vec<Breach> {
    let Some(spec) = &template.spec else { return Vec::new() };
    let annotations = template.metadata.as_ref().and_then(|metadata| metadata.annotations.as_ref());
    let mut checked = Checked { pod: Pod { spec, annotations }, breaches: Vec::new() };
    baseline::check(&mut checked, level);
    if level == PodSecurity::Restricted {
        restricted::check(&mut checked);
    }
    checked.breaches
}

/// The pod as the checks see it.
#[derive(Clone, Copy)]
struct Pod<'a> {
    spec: &'a PodSpec,
    annotations: Option<&'a std::collections::BTreeMap<String, String>>,
}

impl<'a> Pod<'a> {
    /// Init containers, sidecars and containers, with their paths in a pod spec.
    fn containers(self) -> impl Iterator<Item = (String, &'a Container)> {
        each_container(self.spec).map(|(list, container)| (format!("{list}[{}]", container.name), container))
    }

    /// The security settings of all containers that have some.
    fn contexts(self) -> impl Iterator<Item = (String, &'a SecurityContext)> {
        self.containers().filter_map(|(path, container)| Some((path, container.security_context.as_ref()?)))
    }

    /// A field of the security settings of the pod and of all containers, where it is set.
    fn each<T: 'a>(
        self,
        field: &str,
        of_pod: impl Fn(&'a k8s_openapi::api::core::v1::PodSecurityContext) -> Option<T>,
        of_container: impl Fn(&'a SecurityContext) -> Option<T>,
    ) -> Vec<(String, T)> {
        let pod = self.spec.security_context.as_ref().and_then(of_pod);
        let pod = pod.map(|value| (format!("securityContext.{field}"), value));
        let containers = self.contexts().filter_map(|(path, context)| {
            Some((format!("{path}.securityContext.{field}"), of_container(context)?))
        });
        pod.into_iter().chain(containers).collect()
    }

    /// True if the pod has a user namespace of its own, which lifts some requirements.
    fn has_own_users(self) -> bool {
        self.spec.host_users == Some(false)
    }

    /// True for a Windows pod, where Linux settings have no meaning.
    fn is_windows(self) -> bool {
        self.spec.os.as_ref().is_some_and(|os| os.name == "windows")
    }
}

/// Whether a JobRequest has the field at `path` below the pod spec, under the same path below its own spec.
fn is_of_the_form(path: &str) -> bool {
    match path.split_once("].") {
        Some((_, field)) => is_security_setting(field, "containers[main]."),
        None => is_security_setting(path, "") || path.starts_with("volumes["),
    }
}

/// A pod and what was found in it.
struct Checked<'a> {
    pod: Pod<'a>,
    breaches: Vec<Breach>,
}

impl Checked<'_> {
    /// Something that is set, at `path` below the pod spec.
    fn set(&mut self, path: &str, value: &str, demand: &'static str) {
        let field = if is_of_the_form(path) {
            format!("spec.{path}")
        } else {
            format!("spec.overrides.template.spec.{path}")
        };
        self.breaches.push(Breach { field, is: format!("is {value}"), demand, way_out: "remove it" });
    }

    /// Something that nobody set, at `path` below the pod spec.
    fn missing(&mut self, path: &str, demand: &'static str) {
        self.breaches.push(Breach {
            field: "spec.podSecurity".to_owned(),
            is: format!("{path} is not set"),
            demand,
            way_out: "set spec.podSecurity: restricted; containers that overrides add must set it themselves",
        });
    }
}
