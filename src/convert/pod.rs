//! The pod template: its labels and annotations, its containers and volumes, and what applies to the whole pod.

use serde_json::{Value, json};

use super::container;
use super::draft::{Draft, Fields, Part, object, put, put_list, take_list};
use super::metadata::is_reserved;
use super::note::Place;
use super::volume;
use crate::api::labels;

/// Fields of a pod that have the same name and shape.
const SAME: [&str; 7] = [
    "restartPolicy",
    "serviceAccountName",
    "tolerations",
    "priorityClassName",
    "terminationGracePeriodSeconds",
    "subdomain",
    "nodeSelector",
];

/// Fields of a pod's securityContext that the form has.
const SECURITY: [&str; 6] =
    ["runAsUser", "runAsGroup", "runAsNonRoot", "fsGroup", "fsGroupChangePolicy", "supplementalGroups"];

/// Maximum number of containers, and of init containers, of the form.
const MAX_CONTAINERS: usize = 16;

/// Moves what the form has out of `template`, which is at `at`; `spec` is the part of the form that gets it. Returns what
/// is left of the template.
pub(super) fn convert(draft: &mut Draft<'_>, template: Value, at: &Place, spec: &mut Fields) -> Fields {
    let form = Place::of(&["spec"]);
    let Value::Object(mut template) = template else { return Fields::new() };
    let metadata = template.remove("metadata").unwrap_or_default();
    let mut metadata = Part::new(metadata, at.key("metadata"), form.clone());
    for map in ["labels", "annotations"] {
        of_pods(draft, &mut metadata, map);
    }
    for field in ["name", "generateName", "namespace"] {
        if metadata.from.remove(field).is_some() {
            draft.changed(
                &metadata.at.key(field),
                "left out: the Job controller names pods itself, and takes no notice of it",
            );
        }
    }
    spec.append(&mut metadata.into);
    put(&mut template, "metadata", metadata.from);

    let pod = template.remove("spec").unwrap_or_default();
    let mut pod = Part::new(pod, at.key("spec"), form);
    if pod.from.remove("ephemeralContainers").is_some() {
        draft.dropped(
            &pod.at.key("ephemeralContainers"),
            "the pods of a Job cannot have ephemeral containers",
        );
    }
    if let Some(name) = pod.from.remove("serviceAccount") {
        let message = format!("{name} is left out: serviceAccountName has another name, and counts");
        draft.dropped(&pod.at.key("serviceAccount"), message);
    }
    node_name(draft, &mut pod);
    pod.same(draft, &SAME);
    pod.carry(draft, "imagePullSecrets", "imagePullSecrets", |secrets| {
        let names: Option<Vec<_>> =
            secrets.as_array()?.iter().map(|secret| secret.get("name").cloned()).collect();
        names.map(Value::Array)
    });
    pod.split(draft, "securityContext", &SECURITY);
    for list in ["containers", "initContainers"] {
        containers(draft, &mut pod, list);
    }
    volumes(draft, &mut pod);
    spec.append(&mut pod.into);
    put(&mut template, "spec", pod.from);
    template
}

/// Labels or annotations: those that controllers set are left out.
fn of_pods(draft: &mut Draft<'_>, metadata: &mut Part, map: &str) {
    let Some(Value::Object(entries)) = metadata.from.remove(map) else { return };
    let mut part = Part::new(Value::Object(entries), metadata.at.key(map), metadata.form.key(map));
    let is_refused = draft.denied.contains(&part.at.to_string());
    let keys: Vec<String> = part.from.keys().cloned().collect();
    for key in keys {
        let place = part.at.key(&key);
        if is_reserved(&key) {
            part.from.remove(&key);
            if !draft.is_live {
                draft.dropped(
                    &place,
                    "belongs to the operator and the Job controller, which set it themselves",
                );
            }
        } else if map == "labels" && key == labels::MANAGED_BY {
            part.from.remove(&key);
            draft.changed(&place, format!("the operator sets it to {}", labels::FIELD_MANAGER));
        } else if !is_refused {
            part.same(draft, &[key.as_str()]);
        }
    }
    if !is_refused {
        draft.goes(&part.at, &part.form);
    }
    put(&mut metadata.into, map, part.into);
    put(&mut metadata.from, map, part.from);
}

fn node_name(draft: &mut Draft<'_>, pod: &mut Part) {
    let had = pod.from.contains_key("nodeName");
    pod.same(draft, &["nodeName"]);
    if had && !pod.from.contains_key("nodeName") {
        draft.changed(
            &pod.at.key("nodeName"),
            "becomes a node affinity: the scheduler places the pods on that node, so that taints and resources count; write overrides.template.spec.nodeName instead to bypass it",
        );
    }
}

fn containers(draft: &mut Draft<'_>, pod: &mut Part, list: &str) {
    let (at, form) = (pod.at.key(list), pod.form.key(list));
    let (mut converted, mut left) = (Vec::new(), Vec::new());
    for (index, container) in take_list(&mut pod.from, list).into_iter().enumerate() {
        if index >= MAX_CONTAINERS {
            left.push(container);
            continue;
        }
        let part = Part::new(container, at.index(index), form.index(index));
        let name = part.from.get("name").cloned();
        let Part { into, mut from, .. } = container::convert(draft, part, list == "initContainers");
        converted.push(Value::Object(into));
        if !from.is_empty() {
            from.insert("name".to_owned(), name.unwrap_or_else(|| json!("")));
            left.push(Value::Object(from));
        }
    }
    put_list(&mut pod.into, list, converted);
    put_list(&mut pod.from, list, left);
}

fn volumes(draft: &mut Draft<'_>, pod: &mut Part) {
    let (at, form) = (pod.at.key("volumes"), pod.form.key("volumes"));
    let (mut converted, mut left) = (Vec::new(), Vec::new());
    let is_refused = draft.denied.contains(&at.to_string());
    for (index, native) in take_list(&mut pod.from, "volumes").into_iter().enumerate() {
        let shaped = volume::convert(&native).filter(|_| !is_refused);
        match shaped.filter(|_| draft.goes(&at.index(index), &form.index(converted.len()))) {
            Some(volume) => converted.push(volume),
            None => left.push(native),
        }
    }
    if !is_refused {
        draft.goes(&at, &form);
    }
    put_list(&mut pod.into, "volumes", converted);
    put_list(&mut pod.from, "volumes", left);
}

/// An object of the form that refers to a ConfigMap or Secret: `kind` and what is in `native`, whose name is at `name`.
pub(super) fn config_ref(kind: &str, native: &Value, name: &str, others: &[&str]) -> Value {
    let kind = json!(kind);
    let mut fields = vec![("kind", Some(&kind)), ("name", native.get(name))];
    fields.extend(others.iter().map(|other| (*other, native.get(*other))));
    object(&fields)
}
