//! Did you mean: the name closest to a misspelled one, or the field here for one that Kubernetes names differently.

use super::schema::Schema;

/// Fields of Jobs and pods, and their names here. A sidecar's `restartPolicy` is not among them: it is a switch.
const OF_KUBERNETES: [(&str, &str); 11] = [
    ("configMap", "configRef"),
    ("configMapKeyRef", "configRef"),
    ("configMapRef", "configRef"),
    ("containerPort", "port"),
    ("mountPath", "path"),
    ("name", "volume"),
    ("secret", "configRef"),
    ("secretKeyRef", "configRef"),
    ("secretRef", "configRef"),
    ("valueFrom", "configRef"),
    ("volumeMounts", "mounts"),
];

/// `"name"`.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.escape_debug())
}

/// `; did you mean "name"?`, if one of `names` is close enough.
pub(super) fn did_you_mean<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    if wrong.len() > 100 {
        return None;
    }
    let lower = wrong.to_lowercase();
    names
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .min()
        .filter(|(distance, name)| *distance <= wrong.len().max(name.len()) / 3)
        .map(|(_, name)| format!("; did you mean {}?", quoted(name)))
}

/// The same for a field that the object of this schema lacks: by its name in Kubernetes, or one level deeper.
pub(super) fn did_you_mean_field(wrong: &str, schema: &Schema) -> Option<String> {
    let fields = || schema.properties.keys().map(String::as_str);
    let of_kubernetes = OF_KUBERNETES.iter().filter(|(theirs, _)| *theirs == wrong);
    let ours = of_kubernetes.map(|(_, ours)| *ours).find(|ours| schema.properties.contains_key(*ours));
    let deeper = || {
        // What has its own field need not be overridden, and nobody writes a status. A name can be that of anything.
        let is_apt =
            |parent: &str| !matches!(parent, "overrides" | "status") && wrong != "name" && wrong != "kind";
        let parents = schema.properties.iter().filter(|(parent, _)| is_apt(parent));
        let mut parents = parents.filter(|(_, inner)| inner.properties.contains_key(wrong));
        parents.next().map(|(parent, _)| format!("{parent}.{wrong}"))
    };
    let found = ours.map(ToOwned::to_owned).or_else(deeper);
    found.map(|name| format!("; did you mean {}?", quoted(&name))).or_else(|| did_you_mean(wrong, fields()))
}
