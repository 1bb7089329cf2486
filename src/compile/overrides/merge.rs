//! Puts overrides above the compiled form.
//!
//! Takes a Job spec and partial ones; merges by the API's own merge keys, and joins what the two have in common: a
//! container is found by its name wherever it was compiled to, and a variable stands before those that use it.

use std::collections::BTreeSet;

use k8s_openapi::DeepMerge;
use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::{Container, EnvVar, PodSpec, Volume};

use crate::compile::pod::{each_container, each_container_mut};

/// Merges `overrides` into `job`. As in every layer, a member of a choice drops the others: the source of a variable
/// and of a volume.
pub(in crate::compile) fn merge_into(job: &mut JobSpec, mut overrides: JobSpec) {
    if let (Some(pod), Some(higher)) = (job.template.spec.as_mut(), overrides.template.spec.as_mut()) {
        to_their_lists(pod, higher);
        drop_volumes(pod, higher);
        drop_sources(&mut pod.containers, &higher.containers);
        drop_sources(
            pod.init_containers.as_deref_mut().unwrap_or_default(),
            higher.init_containers.as_deref().unwrap_or_default(),
        );
    }
    let added = added_variables(job, &overrides);
    job.merge_from(overrides);
    let pod = job.template.spec.as_mut();
    for container in pod.into_iter().flat_map(each_container_mut).map(|(_, container)| container) {
        if let Some(variables) = container.env.as_mut() {
            let is_added =
                |name: &str| added.iter().any(|(of, variable)| *of == container.name && variable == name);
            before_their_use(variables, is_added);
        }
    }
}

/// Moves containers of `higher` to the list in which `pod` has one of that name: a sidecar was compiled to an init
/// container, and its user need not know.
fn to_their_lists(pod: &PodSpec, higher: &mut PodSpec) {
    let is_main = |name: &str| pod.containers.iter().any(|container| container.name == name);
    let is_init = |name: &str| pod.init_containers.iter().flatten().any(|container| container.name == name);
    let (init, main): (Vec<_>, Vec<_>) =
        std::mem::take(&mut higher.containers).into_iter().partition(|container| is_init(&container.name));
    let of_init = higher.init_containers.take().unwrap_or_default();
    let (main_too, init_too): (Vec<_>, Vec<_>) =
        of_init.into_iter().partition(|container| is_main(&container.name));
    higher.containers = main.into_iter().chain(main_too).collect();
    let init: Vec<Container> = init.into_iter().chain(init_too).collect();
    higher.init_containers = (!init.is_empty()).then_some(init);
}

/// Removes the source of every volume that `higher` gives one.
fn drop_volumes(pod: &mut PodSpec, higher: &PodSpec) {
    let given: BTreeSet<&str> = (higher.volumes.iter().flatten())
        .filter(|volume| has_source(volume))
        .map(|volume| volume.name.as_str())
        .collect();
    for volume in pod.volumes.iter_mut().flatten().filter(|volume| given.contains(volume.name.as_str())) {
        *volume = Volume { name: std::mem::take(&mut volume.name), ..Volume::default() };
    }
}

fn has_source(volume: &Volume) -> bool {
    *volume != Volume { name: volume.name.clone(), ..Volume::default() }
}

/// Removes the source of every variable that `higher` gives one.
fn drop_sources(containers: &mut [Container], higher: &[Container]) {
    for container in containers {
        let given: BTreeSet<&str> = (higher.iter().filter(|other| other.name == container.name))
            .flat_map(|other| other.env.iter().flatten())
            .filter(|variable| variable.value.is_some() || variable.value_from.is_some())
            .map(|variable| variable.name.as_str())
            .collect();
        for variable in
            container.env.iter_mut().flatten().filter(|variable| given.contains(variable.name.as_str()))
        {
            (variable.value, variable.value_from) = (None, None);
        }
    }
}

/// The variables that `overrides` add to containers of `job`: the name of the container and of the variable.
fn added_variables(job: &JobSpec, overrides: &JobSpec) -> BTreeSet<(String, String)> {
    let pod = job.template.spec.as_ref();
    let has = |container: &str, variable: &str| {
        let mut all = pod.into_iter().flat_map(each_container).filter(|(_, known)| known.name == container);
        all.any(|(_, known)| known.env.iter().flatten().any(|known| known.name == variable))
    };
    let higher = overrides.template.spec.as_ref();
    let higher = higher.into_iter().flat_map(each_container);
    let all = higher.flat_map(|(_, container)| {
        container.env.iter().flatten().map(|variable| (container.name.clone(), variable.name.clone()))
    });
    all.filter(|(container, variable)| !has(container, variable)).collect()
}

/// Moves each added variable before the first one whose value uses it. Kubernetes expands `$(NAME)` of variables that
/// stand before only, and merging appends.
fn before_their_use(variables: &mut Vec<EnvVar>, is_added: impl Fn(&str) -> bool) {
    for index in 0..variables.len() {
        let Some(name) = variables.get(index).map(|variable| variable.name.clone()) else { return };
        if !is_added(&name) {
            continue;
        }
        let reference = format!("$({name})");
        let uses = |variable: &EnvVar| variable.value.as_ref().is_some_and(|text| text.contains(&reference));
        let first = variables.iter().take(index).position(uses);
        if let Some(first) = first {
            let variable = variables.remove(index);
            variables.insert(first, variable);
        }
    }
}
