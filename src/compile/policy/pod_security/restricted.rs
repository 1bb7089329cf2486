//! The standard `restricted`: current best practice for hardening. Containers inherit the required settings from the
//! pod unless they set them.

use super::{Checked, baseline};

/// Runs every check that `restricted` adds to `baseline` or makes stricter.
pub(super) fn check(checked: &mut Checked<'_>) {
    volumes(checked);
    baseline::proc_mount(checked);
    if !checked.pod.has_own_users() {
        run_as_non_root(checked);
        run_as_user(checked);
    }
    // The API server refuses these settings in Windows pods.
    if !checked.pod.is_windows() {
        allow_privilege_escalation(checked);
        capabilities(checked);
        seccomp(checked);
    }
}

fn volumes(checked: &mut Checked<'_>) {
    for volume in checked.pod.spec.volumes.iter().flatten() {
        let is_allowed = volume.config_map.is_some()
            || volume.csi.is_some()
            || volume.downward_api.is_some()
            || volume.empty_dir.is_some()
            || volume.ephemeral.is_some()
            || volume.image.is_some()
            || volume.persistent_volume_claim.is_some()
            || volume.projected.is_some()
            || volume.secret.is_some();
        let kinds = crate::compile::policy::volumes::kinds(volume);
        // Without a source it becomes an emptyDir.
        if !is_allowed && kinds != ["emptyDir"] {
            let demand = "a volume is a configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, projected or secret";
            checked.set(
                &format!("volumes[{}]", volume.name),
                &format!("a volume of kind {}", kinds.join(", ")),
                demand,
            );
        }
    }
}

fn allow_privilege_escalation(checked: &mut Checked<'_>) {
    const DEMAND: &str = "every container has allowPrivilegeEscalation false";
    for (path, container) in checked.pod.containers() {
        let path = format!("{path}.securityContext.allowPrivilegeEscalation");
        match container.security_context.as_ref().and_then(|context| context.allow_privilege_escalation) {
            Some(false) => {}
            Some(true) => checked.set(&path, "true", DEMAND),
            None => checked.missing(&path, DEMAND),
        }
    }
}

fn run_as_non_root(checked: &mut Checked<'_>) {
    const DEMAND: &str = "every container, or the pod for it, has runAsNonRoot true";
    let of_pod = checked.pod.spec.security_context.as_ref().and_then(|context| context.run_as_non_root);
    if of_pod == Some(false) {
        checked.set("securityContext.runAsNonRoot", "false", DEMAND);
    }
    for (path, container) in checked.pod.containers() {
        let path = format!("{path}.securityContext.runAsNonRoot");
        match container.security_context.as_ref().and_then(|context| context.run_as_non_root) {
            Some(true) => {}
            Some(false) => checked.set(&path, "false", DEMAND),
            None if of_pod == Some(true) => {}
            None => checked.missing(&path, DEMAND),
        }
    }
}

fn run_as_user(checked: &mut Checked<'_>) {
    let set = checked.pod.each("runAsUser", |pod| pod.run_as_user, |container| container.run_as_user);
    for (path, _) in set.into_iter().filter(|(_, user)| *user == 0) {
        checked.set(&path, "0", "no container runs as user 0");
    }
}

fn seccomp(checked: &mut Checked<'_>) {
    // What is set and wrong, in pod and containers.
    baseline::seccomp(checked);
    let of_pod =
        checked.pod.spec.security_context.as_ref().and_then(|context| context.seccomp_profile.as_ref());
    let is_inherited = of_pod.is_some_and(|profile| baseline::is_seccomp_profile(&profile.type_));
    for (path, container) in checked.pod.containers() {
        let is_set =
            container.security_context.as_ref().is_some_and(|context| context.seccomp_profile.is_some());
        if !is_set && !is_inherited {
            let path = format!("{path}.securityContext.seccompProfile");
            checked.missing(&path, "every container, or the pod for it, has a seccompProfile of type RuntimeDefault or Localhost");
        }
    }
}

fn capabilities(checked: &mut Checked<'_>) {
    for (path, container) in checked.pod.containers() {
        let path = format!("{path}.securityContext.capabilities");
        let set = container.security_context.as_ref().and_then(|context| context.capabilities.as_ref());
        let is_dropped = set.is_some_and(|set| set.drop.iter().flatten().any(|name| name == "ALL"));
        if !is_dropped {
            checked.missing(&format!("{path}.drop"), "every container drops ALL capabilities");
        }
        let added = set.into_iter().flat_map(|set| set.add.iter().flatten());
        let more: Vec<&str> = added.map(String::as_str).filter(|name| *name != "NET_BIND_SERVICE").collect();
        if !more.is_empty() {
            checked.set(
                &format!("{path}.add"),
                &more.join(", "),
                "no container adds a capability but NET_BIND_SERVICE",
            );
        }
    }
}
