//! The standard `baseline`: forbids known privilege escalations.

use k8s_openapi::api::core::v1::{
    AppArmorProfile, HTTPGetAction, SELinuxOptions, SeccompProfile, TCPSocketAction,
    WindowsSecurityContextOptions,
};

use super::Checked;
use crate::api::pod_security::PodSecurity;

const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

const SYSCTLS: [&str; 14] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_notsent_lowat",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

const SELINUX_TYPES: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

const APP_ARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Runs every check of the standard, except those that `restricted` replaces by stricter ones.
pub(super) fn check(checked: &mut Checked<'_>, level: PodSecurity) {
    let is_baseline = level == PodSecurity::Baseline;
    host_process(checked);
    host_namespaces(checked);
    privileged(checked);
    // Restricted replaces this one, and does not apply it to Windows.
    if is_baseline {
        capabilities(checked);
        host_path(checked);
        seccomp(checked);
        if !checked.pod.has_own_users() {
            proc_mount(checked);
        }
    }
    host_ports(checked);
    host_probes(checked);
    app_armor(checked);
    selinux(checked);
    sysctls(checked);
}

fn host_process(checked: &mut Checked<'_>) {
    let is_host = |options: &WindowsSecurityContextOptions| options.host_process;
    let set = checked.pod.each(
        "windowsOptions.hostProcess",
        |pod| pod.windows_options.as_ref().and_then(is_host),
        |container| container.windows_options.as_ref().and_then(is_host),
    );
    for (path, _) in set.into_iter().filter(|(_, is_host)| *is_host) {
        checked.set(&path, "true", "no process of the host");
    }
}

fn host_namespaces(checked: &mut Checked<'_>) {
    let spec = checked.pod.spec;
    for (path, value) in
        [("hostNetwork", spec.host_network), ("hostPID", spec.host_pid), ("hostIPC", spec.host_ipc)]
    {
        if value == Some(true) {
            checked.set(path, "true", "no namespace of the host");
        }
    }
}

fn privileged(checked: &mut Checked<'_>) {
    for (path, context) in checked.pod.contexts() {
        if context.privileged == Some(true) {
            checked.set(&format!("{path}.securityContext.privileged"), "true", "no privileged container");
        }
    }
}

fn capabilities(checked: &mut Checked<'_>) {
    for (path, context) in checked.pod.contexts() {
        let added = context.capabilities.iter().flat_map(|capabilities| capabilities.add.iter().flatten());
        let more: Vec<&str> = added.map(String::as_str).filter(|name| !CAPABILITIES.contains(name)).collect();
        if !more.is_empty() {
            let path = format!("{path}.securityContext.capabilities.add");
            checked.set(&path, &more.join(", "), "no capability beyond those of a usual container");
        }
    }
}

fn host_path(checked: &mut Checked<'_>) {
    for volume in checked.pod.spec.volumes.iter().flatten().filter(|volume| volume.host_path.is_some()) {
        checked.set(&format!("volumes[{}]", volume.name), "a hostPath", "no path of the host");
    }
}

fn host_ports(checked: &mut Checked<'_>) {
    for (path, container) in checked.pod.containers() {
        for port in container.ports.iter().flatten().filter_map(|port| port.host_port) {
            if port != 0 {
                checked.set(&format!("{path}.ports"), &format!("hostPort {port}"), "no port of the host");
            }
        }
    }
}

fn host_probes(checked: &mut Checked<'_>) {
    for (path, container) in checked.pod.containers() {
        let probes = [
            ("livenessProbe", &container.liveness_probe),
            ("readinessProbe", &container.readiness_probe),
            ("startupProbe", &container.startup_probe),
        ];
        let probes = probes.into_iter().filter_map(|(name, probe)| {
            let probe = probe.as_ref()?;
            Some((name, &probe.http_get, &probe.tcp_socket))
        });
        let lifecycle = container.lifecycle.as_ref();
        let handlers = [
            ("lifecycle.postStart", lifecycle.and_then(|lifecycle| lifecycle.post_start.as_ref())),
            ("lifecycle.preStop", lifecycle.and_then(|lifecycle| lifecycle.pre_stop.as_ref())),
        ];
        let handlers = handlers.into_iter().filter_map(|(name, handler)| {
            let handler = handler?;
            Some((name, &handler.http_get, &handler.tcp_socket))
        });
        for (name, http, tcp) in probes.chain(handlers) {
            for host in hosts(http.as_ref(), tcp.as_ref()) {
                checked.set(
                    &format!("{path}.{name}"),
                    &format!("about host {host}"),
                    "no host in probes and lifecycle",
                );
            }
        }
    }
}

fn hosts<'a>(
    http: Option<&'a HTTPGetAction>,
    tcp: Option<&'a TCPSocketAction>,
) -> impl Iterator<Item = &'a String> {
    let http = http.and_then(|action| action.host.as_ref());
    let tcp = tcp.and_then(|action| action.host.as_ref());
    http.into_iter().chain(tcp).filter(|host| !host.is_empty())
}

fn app_armor(checked: &mut Checked<'_>) {
    const DEMAND: &str = "an AppArmor profile is RuntimeDefault or Localhost";
    let type_ = |profile: &AppArmorProfile| profile.type_.clone();
    let set = checked.pod.each(
        "appArmorProfile.type",
        |pod| pod.app_armor_profile.as_ref().map(type_),
        |container| container.app_armor_profile.as_ref().map(type_),
    );
    for (path, type_) in set {
        if !["RuntimeDefault", "Localhost"].contains(&type_.as_str()) {
            checked.set(&path, &type_, DEMAND);
        }
    }
    // The API server still turns the annotations of old into the field.
    for (key, value) in checked.pod.annotations.into_iter().flatten() {
        let is_allowed = value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
        if key.starts_with(APP_ARMOR_ANNOTATION) && !is_allowed {
            checked.breaches.push(super::Breach {
                field: format!("spec.annotations[{key}]"),
                is: format!("is {value}"),
                demand: DEMAND,
                way_out: "remove it",
            });
        }
    }
}

fn selinux(checked: &mut Checked<'_>) {
    let set = checked.pod.each::<&SELinuxOptions>(
        "seLinuxOptions",
        |pod| pod.se_linux_options.as_ref(),
        |container| container.se_linux_options.as_ref(),
    );
    for (path, options) in set {
        let type_ = options.type_.as_deref().unwrap_or_default();
        if !SELINUX_TYPES.contains(&type_) {
            checked.set(&format!("{path}.type"), type_, "an SELinux type of containers");
        }
        for (name, value) in [("user", &options.user), ("role", &options.role)] {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                checked.set(&format!("{path}.{name}"), value, "no SELinux user and role");
            }
        }
    }
}

pub(super) fn proc_mount(checked: &mut Checked<'_>) {
    for (path, context) in checked.pod.contexts() {
        if let Some(mount) = context.proc_mount.as_ref().filter(|mount| *mount != "Default") {
            checked.set(&format!("{path}.securityContext.procMount"), mount, PROC_MOUNT);
        }
    }
}

const PROC_MOUNT: &str = "the default procMount";

pub(super) fn seccomp(checked: &mut Checked<'_>) {
    let type_ = |profile: &SeccompProfile| profile.type_.clone();
    let set = checked.pod.each(
        "seccompProfile.type",
        |pod| pod.seccomp_profile.as_ref().map(type_),
        |container| container.seccomp_profile.as_ref().map(type_),
    );
    for (path, type_) in set {
        if !is_seccomp_profile(&type_) {
            checked.set(&path, &type_, "a seccomp profile is RuntimeDefault or Localhost");
        }
    }
}

pub(super) fn is_seccomp_profile(type_: &str) -> bool {
    ["RuntimeDefault", "Localhost"].contains(&type_)
}

fn sysctls(checked: &mut Checked<'_>) {
    let sysctls =
        checked.pod.spec.security_context.iter().flat_map(|context| context.sysctls.iter().flatten());
    for sysctl in sysctls.filter(|sysctl| !SYSCTLS.contains(&sysctl.name.as_str())) {
        checked.set("securityContext.sysctls", &sysctl.name, "only sysctls that stay within the pod");
    }
}
