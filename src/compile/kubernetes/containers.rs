//! Containers: names, images, ports, variables, mounts, probes and security settings.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceFieldSelector};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Found, NO_LABEL, twice};
use crate::compile::pod::each_container;
use crate::compile::quantity::Amount;
use crate::compile::well_formed::{is_dns_label, is_qualified_name};

pub(super) fn judge(pod: &PodSpec, found: &mut Found<'_>) {
    let names = each_container(pod).map(|(_, container)| container.name.as_str());
    for name in twice(names) {
        let field = found.container("initContainers", name);
        found.add(field, format!("two containers of the pod are called {name}; rename one of them"));
    }
    for (list, container) in each_container(pod) {
        let path = found.container(list, &container.name);
        let is_added = path.starts_with("spec.overrides");
        if !is_dns_label(&container.name) {
            found.add(format!("{path}.name"), NO_LABEL);
        }
        if is_added && container.image.is_none() {
            let known: Vec<&str> =
                (found.spec.containers.iter().chain(&found.spec.init_containers).flatten())
                    .map(|container| container.name.as_str())
                    .collect();
            let message = format!(
                "an image is needed; or did you mean one of the containers there are: {}?",
                known.join(", ")
            );
            found.add(format!("{path}.image"), message);
        }
        if container.image.as_deref() == Some("") {
            found.add(format!("{path}.image"), "is empty; set an image such as perl:5.24.4");
        }
        ports(container, &path, found);
        variables(container, &path, found);
        mounts(pod, container, &path, found);
        security(container, &path, found);
        probes(container, &path, found);
        if list == "initContainers" && container.restart_policy.as_deref() != Some("Always") {
            of_plain_init_container(container, &path, found);
        }
    }
}

fn ports(container: &Container, path: &str, found: &mut Found<'_>) {
    let mut named: BTreeMap<&str, i32> = BTreeMap::new();
    for port in container.ports.iter().flatten() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let field = format!("{path}.ports[{}/{protocol}]", port.container_port);
        if !(1..=65_535).contains(&port.container_port) {
            found.add(field.clone(), "must be a number from 1 to 65535");
        }
        let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) else { continue };
        if let Some(other) = named.insert(name, port.container_port) {
            let message =
                format!("{name} is also the name of port {other}; names of ports are unique in a container");
            found.add(format!("{field}.name"), message);
        }
    }
}

fn variables(container: &Container, path: &str, found: &mut Found<'_>) {
    for variable in container.env.iter().flatten() {
        let field = format!("{path}.env[{}]", variable.name);
        let Some(source) = &variable.value_from else { continue };
        if variable.value.as_deref().is_some_and(|value| !value.is_empty()) {
            found.add(field.clone(), "has a value and a source; set one of them");
        }
        if let Some(resource) = &source.resource_field_ref {
            divisor(resource, &format!("{field}.resourceRef"), found);
        }
        if let Some(key) = source.field_ref.as_ref().and_then(|of_pod| wrong_key(&of_pod.field_path)) {
            found.add(format!("{field}.fieldRef"), format!("{key} is no key of a label or annotation"));
        }
    }
}

/// The key in `metadata.labels['KEY']`, if it is none. Kubernetes reads those of annotations without regard to case.
pub(super) fn wrong_key(path: &str) -> Option<&str> {
    let (map, written) = path.split_once('[')?;
    let Some(key) = written.strip_prefix('\'').and_then(|key| key.strip_suffix("']")) else {
        return Some(written);
    };
    let is_key =
        is_qualified_name(key) || (map == "metadata.annotations" && is_qualified_name(&key.to_lowercase()));
    (!is_key).then_some(key)
}

/// The unit of a variable that shows an amount.
pub(super) fn divisor(wanted: &ResourceFieldSelector, path: &str, found: &mut Found<'_>) {
    let Some(divisor) = &wanted.divisor else { return };
    let Some(amount) = Amount::parse(&divisor.0) else {
        found.add(format!("{path}.divisor"), format!("{} is no amount", divisor.0));
        return;
    };
    let of_cpu = ["1m", "1"];
    let of_bytes = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
    let units: &[&str] =
        if ["limits.cpu", "requests.cpu"].contains(&wanted.resource.as_str()) { &of_cpu } else { &of_bytes };
    // Kubernetes compares the text in which it writes the amount, and keeps its kind of suffix: 1024Ki is 1Mi, but
    // 1048576 is no unit; 1e3 is none, either. Binary amounts below 1Ki are written without a suffix.
    let text = divisor.0.trim();
    let is_binary = text.ends_with('i') && Amount::parse("1Ki").is_some_and(|kibi| amount >= kibi);
    let is_exponent = text.contains(['e', 'E']) && text.ends_with(|c: char| c.is_ascii_digit());
    let is_written = |unit: &str| unit == "1" || (!is_exponent && unit.ends_with('i') == is_binary);
    let is_unit = units.iter().any(|unit| Amount::parse(unit) == Some(amount) && is_written(unit));
    if !amount.is_zero() && !is_unit {
        let message =
            format!("{} is no unit of {}; write one of {}", divisor.0, wanted.resource, units.join(", "));
        found.add(format!("{path}.divisor"), message);
    }
}

fn mounts(pod: &PodSpec, container: &Container, path: &str, found: &mut Found<'_>) {
    let volumes: Vec<&str> = pod.volumes.iter().flatten().map(|volume| volume.name.as_str()).collect();
    let paths = container.volume_mounts.iter().flatten().map(|mount| mount.mount_path.as_str());
    for twice in twice(paths) {
        found.add(
            format!("{path}.mounts[{twice}]"),
            "two volumes are mounted at this path; change one of them",
        );
    }
    for mount in container.volume_mounts.iter().flatten() {
        if !volumes.contains(&mount.name.as_str()) {
            let message = format!("no volume is called {}", mount.name);
            found.add(format!("{path}.mounts[{}]", mount.mount_path), message);
        }
    }
}

fn security(container: &Container, path: &str, found: &mut Found<'_>) {
    let Some(context) = &container.security_context else { return };
    if context.allow_privilege_escalation != Some(false) {
        return;
    }
    let field = format!("{path}.securityContext.allowPrivilegeEscalation");
    if context.privileged == Some(true) {
        found.add(
            field.clone(),
            "is false, but the container is privileged, and may always gain more rights; drop one of the two",
        );
    }
    let added = context.capabilities.iter().flat_map(|capabilities| capabilities.add.iter().flatten());
    if added.into_iter().any(|capability| capability == "CAP_SYS_ADMIN") {
        found.add(field, "is false, but the container has the capability CAP_SYS_ADMIN; drop one of the two");
    }
}

/// What the handlers of probes need.
fn probes(container: &Container, path: &str, found: &mut Found<'_>) {
    let of_overrides = in_overrides(path);
    let of_overrides = of_overrides.as_str();
    for (field, probe, place) in [
        ("startupProbe", &container.startup_probe, path),
        ("livenessProbe", &container.liveness_probe, of_overrides),
        ("readinessProbe", &container.readiness_probe, of_overrides),
    ] {
        let Some(probe) = probe else { continue };
        let handlers = [
            probe.exec.is_some(),
            probe.http_get.is_some(),
            probe.tcp_socket.is_some(),
            probe.grpc.is_some(),
        ];
        if handlers.into_iter().filter(|is_set| *is_set).count() != 1 {
            found.add(format!("{place}.{field}"), "set exactly one of exec, httpGet, tcpSocket and grpc");
        }
        for (handler, port) in [
            ("httpGet", probe.http_get.as_ref().map(|request| &request.port)),
            ("tcpSocket", probe.tcp_socket.as_ref().map(|socket| &socket.port)),
        ] {
            if let Some(message) = port.and_then(why_no_port) {
                found.add(format!("{place}.{field}.{handler}.port"), message);
            }
        }
        if probe.exec.as_ref().is_some_and(|exec| exec.command.as_ref().is_none_or(Vec::is_empty)) {
            found.add(format!("{place}.{field}.exec.command"), "a program is needed, with its arguments");
        }
    }
}

fn why_no_port(port: &IntOrString) -> Option<String> {
    match port {
        IntOrString::Int(1..=65_535) => None,
        IntOrString::Int(number) => Some(format!("is {number}, and must be a number from 1 to 65535")),
        IntOrString::String(name) if is_port_name(name) => None,
        IntOrString::String(number) if number.parse::<u16>().is_ok() => {
            Some(format!("in quotes is read as the name of a port; write {number} without quotes"))
        }
        IntOrString::String(name) => Some(format!(
            "{name:?} is no name of a port: at most 15 lower-case letters, digits and single '-', with at least one letter"
        )),
    }
}

fn is_port_name(name: &str) -> bool {
    name.len() <= 15
        && is_dns_label(name)
        && !name.contains("--")
        && name.contains(|c: char| c.is_ascii_lowercase())
}

/// The path of a container in the overrides, for a field that the form does not have.
fn in_overrides(path: &str) -> String {
    if path.starts_with("spec.overrides") {
        path.to_owned()
    } else {
        path.replacen("spec.", "spec.overrides.template.spec.", 1)
    }
}

/// Init containers that end before the others start have no probes and no lifecycle.
fn of_plain_init_container(container: &Container, path: &str, found: &mut Found<'_>) {
    let of_overrides = in_overrides(path);
    let of_overrides = of_overrides.as_str();
    for (field, is_set, place) in [
        ("startupProbe", container.startup_probe.is_some(), path),
        ("livenessProbe", container.liveness_probe.is_some(), of_overrides),
        ("readinessProbe", container.readiness_probe.is_some(), of_overrides),
        ("lifecycle", container.lifecycle.is_some(), of_overrides),
    ] {
        if is_set {
            let message = "is for containers that run beside the others; an init container has none unless it is a sidecar";
            found.add(format!("{place}.{field}"), message);
        }
    }
}
