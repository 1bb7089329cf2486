//! A volume, if the form has its source with all that is set in it. A volume is written in one place: overrides replace
//! its source as a whole.

use serde_json::{Value, json};

use super::draft::{has_only, object};
use super::pod::config_ref;

/// The volume as the form has it.
pub(super) fn convert(volume: &Value) -> Option<Value> {
    let fields = volume.as_object().filter(|fields| fields.len() == 2)?;
    let (kind, source) = fields.iter().find(|(key, _)| *key != "name")?;
    let (key, source) = match kind.as_str() {
        "persistentVolumeClaim" | "hostPath" | "nfs" | "csi" => (kind.as_str(), source.clone()),
        "emptyDir" if has_only(source, &["medium", "sizeLimit"]) => ("emptyDir", source.clone()),
        "configMap" => ("configRef", config(source, "ConfigMap", "name", true)?),
        "secret" => ("configRef", config(source, "Secret", "secretName", true)?),
        "ephemeral" => ("ephemeral", ephemeral(source)?),
        "projected" => ("projected", projected(source)?),
        _ => return None,
    };
    Some(object(&[("name", fields.get("name")), (key, Some(&source))]))
}

/// A ConfigMap or Secret as files; the mode of a projected one is that of its volume.
fn config(source: &Value, kind: &str, name: &str, has_mode: bool) -> Option<Value> {
    let others: &[&str] =
        if has_mode { &["items", "optional", "defaultMode"] } else { &["items", "optional"] };
    let mut known = others.to_vec();
    known.push(name);
    let files = source.get("items").and_then(Value::as_array);
    let is_plain = files.into_iter().flatten().all(|file| has_only(file, &["key", "path"]));
    (is_plain && has_only(source, &known)).then(|| config_ref(kind, source, name, others))
}

fn ephemeral(source: &Value) -> Option<Value> {
    let template =
        source.get("volumeClaimTemplate").filter(|_| has_only(source, &["volumeClaimTemplate"]))?;
    let spec = template.get("spec").filter(|_| has_only(template, &["spec"]))?;
    if !has_only(spec, &["accessModes", "resources", "storageClassName"]) {
        return None;
    }
    let resources = spec.get("resources").filter(|all| has_only(all, &["requests"]))?;
    let requests = resources.get("requests").filter(|all| has_only(all, &["storage"]))?;
    let modes = spec.get("accessModes")?;
    let is_default = *modes == json!(["ReadWriteOnce"]);
    Some(object(&[
        ("size", Some(requests.get("storage")?)),
        ("storageClassName", spec.get("storageClassName")),
        ("accessModes", Some(modes).filter(|_| !is_default)),
    ]))
}

fn projected(source: &Value) -> Option<Value> {
    if !has_only(source, &["sources", "defaultMode"]) {
        return None;
    }
    let sources = source.get("sources")?.as_array()?.iter().map(projection).collect::<Option<Vec<_>>>()?;
    let sources = json!(sources);
    Some(object(&[("sources", Some(&sources)), ("defaultMode", source.get("defaultMode"))]))
}

fn projection(source: &Value) -> Option<Value> {
    let fields = source.as_object().filter(|fields| fields.len() == 1)?;
    let (kind, of) = fields.iter().next()?;
    let (key, of) = match kind.as_str() {
        "configMap" => ("configRef", config(of, "ConfigMap", "name", false)?),
        "secret" => ("configRef", config(of, "Secret", "name", false)?),
        "serviceAccountToken" if has_only(of, &["audience", "expirationSeconds", "path"]) => {
            ("serviceAccountToken", of.clone())
        }
        "downwardAPI" if has_only(of, &["items"]) => {
            let files = of.get("items")?.as_array()?.iter().map(file).collect::<Option<Vec<_>>>()?;
            ("downwardAPI", json!({"items": files}))
        }
        _ => return None,
    };
    Some(object(&[(key, Some(&of))]))
}

/// A field of the pod as a file.
fn file(file: &Value) -> Option<Value> {
    let field = file.get("fieldRef").filter(|_| has_only(file, &["path", "fieldRef"]))?;
    let path = field.get("fieldPath").filter(|_| has_only(field, &["fieldPath"]))?;
    Some(object(&[("path", file.get("path")), ("fieldRef", Some(path))]))
}
