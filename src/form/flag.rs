//! What the flags of `jobrequest create` mean: one flag with its value in, the fields that it sets out.
//!
//! The table [`SIMPLE`] has the flags that set one field; the others have a grammar of their own: `--env K=V`,
//! `K=secret/NAME:KEY`, `--mount pvc/NAME:/PATH[:ro]`, `--cpu REQUEST[:LIMIT]`.

use serde_json::{Map, Value, json};

/// One flag with its value, as it was written; durations are whole seconds: `300s`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// For example `--env`.
    pub name: &'static str,
    /// What follows it; `true` for a switch.
    pub value: String,
}

impl Flag {
    /// A flag.
    #[must_use]
    pub fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into() }
    }
}

/// A flag whose value cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag} {value:?}: {message}")]
pub struct FlagError {
    /// The flag.
    pub flag: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong with it, and what to write.
    pub message: String,
}

/// What stands for the container in a path.
pub(super) const CONTAINER: &str = "{container}";

/// The flags that set one field each, and its path.
pub(super) const SIMPLE: [(&str, &str); 12] = [
    ("--image", "containers[{container}].image"),
    ("--size", "containers[{container}].quota"),
    ("--alias", "alias"),
    ("--description", "description"),
    ("--completions", "settings.completions"),
    ("--parallelism", "settings.parallelism"),
    ("--backoff-limit", "settings.backoffLimit"),
    ("--restart", "restartPolicy"),
    ("--service-account", "serviceAccountName"),
    ("--node", "nodeName"),
    ("--pod-security", "podSecurity"),
    ("--suspend", "suspend"),
];

/// The flags that take a duration, and the field of seconds that they set.
pub(super) const DURATIONS: [(&str, &str); 3] = [
    ("--deadline", "settings.activeDeadlineSeconds"),
    ("--start-deadline", "settings.startDeadlineSeconds"),
    ("--ttl", "settings.ttlSecondsAfterFinished"),
];

/// The flags that add an entry `KEY=VALUE` to a map.
pub(super) const ENTRIES: [(&str, &str); 3] =
    [("--label", "labels"), ("--annotation", "annotations"), ("--node-selector", "nodeSelector")];

/// The amounts of a container.
pub(super) const AMOUNTS: [(&str, &str); 2] = [("--cpu", "cpu"), ("--memory", "memory")];

/// The kinds that a variable or a volume is taken from, as flags name them.
pub(super) const CONFIGS: [(&str, &str); 2] = [("configmap", "ConfigMap"), ("secret", "Secret")];

/// One field, and what it becomes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Setting {
    /// The text, by the type of the field.
    Text(String, String),
    /// The value.
    Value(String, Value),
}

/// The fields that a flag sets in a document with `spec`, for the container called `container`.
///
/// # Errors
/// What is wrong with the value, and what to write.
pub(super) fn settings(flag: &Flag, spec: &Value, container: &str) -> Result<Vec<Setting>, String> {
    let Flag { name, value } = flag;
    let of = |table: &[(&'static str, &'static str)]| {
        table.iter().find(|(flag, _)| flag == name).map(|(_, field)| field.replace(CONTAINER, container))
    };
    if let Some(path) = of(&SIMPLE) {
        return Ok(vec![Setting::Text(path, value.clone())]);
    }
    if let Some(path) = of(&DURATIONS) {
        let seconds = value.strip_suffix('s').and_then(|seconds| seconds.parse::<i64>().ok());
        let seconds = seconds.ok_or_else(|| "not a duration; write for example 300s".to_owned())?;
        return Ok(vec![Setting::Value(path, json!(seconds))]);
    }
    if let Some(map) = of(&ENTRIES) {
        let (key, value) = entry(value)?;
        return Ok(vec![Setting::Value(format!("{map}[{key}]"), json!(value))]);
    }
    if let Some(resource) = of(&AMOUNTS) {
        return amounts(value, &format!("containers[{container}].resources"), &resource);
    }
    match *name {
        "--template" => Ok(vec![Setting::Value("templateRef".to_owned(), template(value)?)]),
        "--env" => env(value, container),
        "--env-from" => env_from(value, spec, container),
        "--mount" => mount(value, spec, container),
        _ => Err("no such flag".to_owned()),
    }
}

fn entry(text: &str) -> Result<(&str, &str), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    pair.ok_or_else(|| "write KEY=VALUE".to_owned())
}

fn amounts(text: &str, parent: &str, resource: &str) -> Result<Vec<Setting>, String> {
    let (request, limit) = text.split_once(':').unwrap_or((text, ""));
    if request.is_empty() && limit.is_empty() {
        return Err("write REQUEST, REQUEST:LIMIT or :LIMIT, for example 500m:1".to_owned());
    }
    let settings =
        [("requests", request), ("limits", limit)].into_iter().filter(|(_, amount)| !amount.is_empty());
    Ok(settings
        .map(|(list, amount)| Setting::Value(format!("{parent}.{list}[{resource}]"), json!(amount)))
        .collect())
}

fn template(text: &str) -> Result<Value, String> {
    match text.split_once('/') {
        None if !text.is_empty() => Ok(json!({"kind": "JobTemplate", "name": text})),
        Some(("cluster", name)) if !name.is_empty() => {
            Ok(json!({"kind": "ClusterJobTemplate", "name": name}))
        }
        _ => Err("write NAME for a JobTemplate, cluster/NAME for a ClusterJobTemplate".to_owned()),
    }
}

/// `configmap/NAME` or `secret/NAME`.
pub(super) fn config(text: &str) -> Option<(&'static str, &str)> {
    let (word, name) = text.split_once('/')?;
    CONFIGS.iter().find(|(flag, _)| *flag == word).map(|(_, kind)| (*kind, name))
}

fn env(text: &str, container: &str) -> Result<Vec<Setting>, String> {
    let (name, value) = entry(text)
        .map_err(|_| "write NAME=VALUE, NAME=secret/OBJECT:KEY or NAME=configmap/OBJECT:KEY".to_owned())?;
    let parent = format!("containers[{container}].env[{name}]");
    let Some((kind, object)) = config(value) else {
        return Ok(vec![Setting::Value(format!("{parent}.value"), json!(value))]);
    };
    let key = object.split_once(':').filter(|(object, key)| !object.is_empty() && !key.is_empty());
    let (object, key) = key.ok_or_else(|| {
        format!(
            "the key is missing: write {value}:KEY; --set 'containers[{container}].env[{name}].value={value}' takes it as text"
        )
    })?;
    let reference = json!({"kind": kind, "name": object, "key": key});
    Ok(vec![Setting::Value(format!("{parent}.configRef"), reference)])
}

fn env_from(text: &str, spec: &Value, container: &str) -> Result<Vec<Setting>, String> {
    let wrong = || "write configmap/NAME or secret/NAME, with :PREFIX if names shall have one".to_owned();
    let (object, prefix) =
        text.split_once(':').map_or((text, None), |(object, prefix)| (object, Some(prefix)));
    let (kind, name) = config(object).filter(|(_, name)| !name.is_empty()).ok_or_else(wrong)?;
    let mut source = Map::from_iter([("configRef".to_owned(), json!({"kind": kind, "name": name}))]);
    if let Some(prefix) = prefix {
        source.insert("prefix".to_owned(), json!(prefix));
    }
    let count = list(of_container(spec, container), "envFrom").len();
    Ok(vec![Setting::Value(format!("containers[{container}].envFrom[{count}]"), Value::Object(source))])
}

/// The source of a volume as a flag names it.
pub(super) fn volume_source(text: &str) -> Option<(&'static str, Value)> {
    if text == "empty" {
        return Some(("emptyDir", json!({})));
    }
    let (word, name) = text.split_once('/').filter(|(_, name)| !name.is_empty())?;
    if word == "pvc" {
        return Some(("persistentVolumeClaim", json!({"claimName": name})));
    }
    let (kind, name) = config(text)?;
    Some(("configRef", json!({"kind": kind, "name": name})))
}

fn mount(text: &str, spec: &Value, container: &str) -> Result<Vec<Setting>, String> {
    let wrong = || {
        "write pvc/NAME:/PATH, configmap/NAME:/PATH, secret/NAME:/PATH or empty:/PATH, with :ro for read-only"
            .to_owned()
    };
    let mut parts = text.split(':');
    let (Some(from), Some(path), option, None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(wrong());
    };
    let (field, source) = volume_source(from).ok_or_else(wrong)?;
    let is_read_only = match option {
        None | Some("rw") => false,
        Some("ro") => true,
        Some(_) => return Err(wrong()),
    };
    if !path.starts_with('/') {
        return Err(wrong());
    }
    let volumes = list(Some(spec), "volumes");
    let name_of = |volume: &Value| volume.get("name").and_then(Value::as_str).map(ToOwned::to_owned);
    // An object that is mounted twice is one volume; each empty one is its own.
    let known = volumes.iter().find(|volume| field != "emptyDir" && volume.get(field) == Some(&source));
    let known = known.and_then(name_of);
    let is_taken = |name: &str| volumes.iter().any(|volume| name_of(volume).as_deref() == Some(name));
    let object = from.split_once('/').map_or("", |(_, name)| name);
    let mut settings = Vec::new();
    let volume = known.unwrap_or_else(|| {
        let base = label(if field == "emptyDir" { path } else { object });
        let mut names = std::iter::once(base.clone()).chain((2..).map(|number| format!("{base}-{number}")));
        let name = names.find(|name| !is_taken(name)).unwrap_or(base);
        settings.push(Setting::Value(format!("volumes[{name}].{field}"), source.clone()));
        name
    });
    let at = format!("containers[{container}].mounts[{path}]");
    settings.push(Setting::Value(format!("{at}.volume"), json!(volume)));
    if is_read_only {
        settings.push(Setting::Value(format!("{at}.readOnly"), json!(true)));
    }
    Ok(settings)
}

/// A name for a volume, of what it holds.
fn label(text: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let mapped: String = text.chars().map(fits).take(59).collect();
    let name = mapped.trim_matches('-');
    if name.is_empty() { "volume".to_owned() } else { name.to_owned() }
}

/// The container of this name.
pub(super) fn of_container<'a>(spec: &'a Value, name: &str) -> Option<&'a Value> {
    let named = |item: &&Value| item.get("name").and_then(Value::as_str) == Some(name);
    list(Some(spec), "containers").iter().find(named)
}

/// The members of a list of an object; none if it has none.
pub(super) fn list<'a>(object: Option<&'a Value>, field: &str) -> &'a [Value] {
    let found = object.and_then(|object| object.get(field)).and_then(Value::as_array);
    found.map(Vec::as_slice).unwrap_or_default()
}
