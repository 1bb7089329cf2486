//! A container: its image and program, ports, amounts, mounts, security settings and startup probe.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::draft::{Draft, Part, has_only, object, put, put_list, take_list};
use super::env;
use crate::compile::quantity::Amount;

/// Fields of a container's securityContext that the form has.
const SECURITY: [&str; 7] = [
    "runAsUser",
    "runAsGroup",
    "runAsNonRoot",
    "readOnlyRootFilesystem",
    "allowPrivilegeEscalation",
    "privileged",
    "capabilities",
];

/// Moves what the form has; what is left is written in overrides.
pub(super) fn convert(draft: &mut Draft<'_>, mut container: Part, is_init: bool) -> Part {
    // A container is found by its name, so that has no other place.
    draft.stays(&container.at, &container.form);
    let name = container.from.remove("name").unwrap_or_else(|| json!(""));
    container.into.insert("name".to_owned(), name);
    pull_policy(draft, &mut container);
    container.same(draft, &["image", "command", "args", "workingDir"]);
    container.carry(draft, "ports", "ports", ports);
    env::variables(draft, &mut container);
    container.carry(draft, "envFrom", "envFrom", env::sources);
    resources(draft, &mut container);
    mounts(draft, &mut container);
    container.split(draft, "securityContext", &SECURITY);
    container
        .carry(draft, "startupProbe", "startupProbe", |probe| is_probe_of_form(probe).then(|| probe.clone()));
    if is_init {
        container.carry(draft, "restartPolicy", "sidecar", |policy| {
            (*policy == json!("Always")).then_some(json!(true))
        });
    }
    container
}

/// Written where Kubernetes' default is not that of a JobRequest.
fn pull_policy(draft: &mut Draft<'_>, container: &mut Part) {
    if !container.from.contains_key("imagePullPolicy")
        && let Some(image) = container.from.get("image").and_then(Value::as_str)
    {
        container.from.insert("imagePullPolicy".to_owned(), json!(default_pull_policy(image)));
    }
    if container.from.get("imagePullPolicy") == Some(&json!("IfNotPresent")) {
        container.from.remove("imagePullPolicy");
    }
    container.same(draft, &["imagePullPolicy"]);
}

/// When Kubernetes pulls an image of which nothing is said.
pub(super) fn default_pull_policy(image: &str) -> &'static str {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or_default();
    match last.split_once(':') {
        Some((_, "latest")) => "Always",
        None if digest.is_none() => "Always",
        _ => "IfNotPresent",
    }
}

/// The ports, if the form has all of them: they merge by number alone, which TCP and UDP may share.
fn ports(ports: &Value) -> Option<Value> {
    let port = |port: &Value| {
        let is_plain = has_only(port, &["name", "containerPort", "protocol"]);
        let protocol = port.get("protocol");
        let is_known = protocol.is_none_or(|protocol| *protocol == json!("UDP"));
        (is_plain && is_known).then(|| {
            object(&[("name", port.get("name")), ("port", port.get("containerPort")), ("protocol", protocol)])
        })
    };
    ports.as_array()?.iter().map(port).collect::<Option<Vec<_>>>().map(Value::Array)
}

/// Amounts of 0 mean no restriction in the form, so they stay in the overrides.
fn resources(draft: &mut Draft<'_>, container: &mut Part) {
    let Some(native) = container.from.remove("resources") else { return };
    let mut part = Part::new(native, container.at.key("resources"), container.form.key("resources"));
    let zeros: Vec<_> = ["requests", "limits"]
        .into_iter()
        .filter_map(|kind| {
            let amounts = part.from.get_mut(kind)?.as_object_mut()?;
            let is_zero =
                |amount: &Value| amount.as_str().and_then(Amount::parse).is_some_and(Amount::is_zero);
            let zeros: Map<_, _> = amounts
                .iter()
                .filter(|(_, amount)| is_zero(amount))
                .map(|(name, amount)| (name.clone(), amount.clone()))
                .collect();
            amounts.retain(|name, _| !zeros.contains_key(name));
            Some((kind, zeros))
        })
        .collect();
    for kind in ["requests", "limits"] {
        if part.from.get(kind).is_some_and(|amounts| *amounts == json!({})) {
            part.from.remove(kind);
        }
    }
    part.same(draft, &["requests", "limits"]);
    for (kind, mut zeros) in zeros {
        if let Some(Value::Object(refused)) = part.from.remove(kind) {
            zeros.extend(refused);
        }
        put(&mut part.from, kind, zeros);
    }
    put(&mut container.into, "resources", part.into);
    put(&mut container.from, "resources", part.from);
}

/// A mount is found by its path, so that what the form lacks of it merges.
fn mounts(draft: &mut Draft<'_>, container: &mut Part) {
    let (at, form) = (container.at.key("volumeMounts"), container.form.key("mounts"));
    let mut native = take_list(&mut container.from, "volumeMounts");
    let paths = native.iter().map(|mount| mount.get("mountPath").map(Value::to_string));
    let has_twice = paths.collect::<BTreeSet<_>>().len() != native.len();
    let (mut converted, mut left) = (Vec::new(), Vec::new());
    if !has_twice && draft.goes(&at, &form) {
        for (index, mount) in std::mem::take(&mut native).into_iter().enumerate() {
            if !draft.goes(&at.index(index), &form.index(converted.len())) {
                left.push(mount);
                continue;
            }
            converted.push(object(&[
                ("volume", mount.get("name")),
                ("path", mount.get("mountPath")),
                ("subPath", mount.get("subPath")),
                ("readOnly", mount.get("readOnly")),
            ]));
            if !has_only(&mount, &["name", "mountPath", "subPath", "readOnly"]) {
                left.push(mount);
            }
        }
    }
    left.append(&mut native);
    put_list(&mut container.into, "mounts", converted);
    put_list(&mut container.from, "volumeMounts", left);
}

/// The probe has no other fields than those of the form.
fn is_probe_of_form(probe: &Value) -> bool {
    let handlers = [
        ("exec", &["command"][..]),
        ("httpGet", &["path", "port", "scheme"]),
        ("tcpSocket", &["port"]),
        ("grpc", &["port", "service"]),
    ];
    let times = ["initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold"];
    probe.as_object().is_some_and(|fields| {
        fields.iter().all(|(field, value)| {
            let handler = handlers.iter().find(|(handler, _)| handler == field);
            times.contains(&field.as_str()) || handler.is_some_and(|(_, known)| has_only(value, known))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_of_an_image_depends_on_its_tag() {
        for (image, policy) in [
            ("perl", "Always"),
            ("perl:latest", "Always"),
            ("registry:5000/perl", "Always"),
            ("registry:5000/perl:5", "IfNotPresent"),
            ("perl@sha256:abc", "IfNotPresent"),
            ("perl:latest@sha256:abc", "Always"),
            ("perl:5", "IfNotPresent"),
        ] {
            assert_eq!(default_pull_policy(image), policy, "{image}");
        }
    }
}
