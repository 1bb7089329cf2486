//! The command that makes a JobRequest again: a document in, the arguments of `jobrequest create` out.
//!
//! Flags say what they can, in the order of the lists; the rest goes through `--set`. The result is tried: if the flags
//! would make another spec, each field of the spec is set as a whole instead.

use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::{Value, json};

use super::draft::Draft;
use super::flag::{
    AMOUNTS, CONFIGS, DURATIONS, ENTRIES, Flag, SIMPLE, config, list, of_container, volume_source,
};
use super::path::join;
use super::set::{Fields, field_of, item_of, key_of};
use crate::api::JobRequestSpec;

/// What follows `--`.
#[derive(Clone, Debug, Default)]
struct Words {
    words: Vec<String>,
    is_command: bool,
}

/// The arguments after `jobrequest create` that make a document with this name and spec.
#[must_use]
pub fn command_of(fields: &Arc<Fields>, object: &Value) -> Vec<String> {
    let none = json!({});
    let spec = object.get("spec").unwrap_or(&none);
    let container =
        list(Some(spec), "containers").first().and_then(|item| item.get("name")).and_then(Value::as_str);
    let container = container.unwrap_or("main");
    let (flags, words) = by_flags(fields, spec, container);
    let is_equal = made(fields, container, &flags, &words).is_some_and(|made| same_spec(&made, spec));
    let (flags, words) = if is_equal { (flags, words) } else { (by_fields(spec), Words::default()) };
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let mut arguments = vec![name.to_owned()];
    let is_needed = is_equal && container != "main";
    let named = is_needed.then(|| Flag::new("--container", container));
    for Flag { name, value } in named.into_iter().chain(flags) {
        if name == "--suspend" {
            arguments.push(name.to_owned());
        } else if value.starts_with('-') {
            arguments.push(format!("{name}={value}"));
        } else {
            arguments.extend([name.to_owned(), value]);
        }
    }
    if !words.words.is_empty() {
        arguments.extend(words.is_command.then(|| "--command".to_owned()));
        arguments.push("--".to_owned());
        arguments.extend(words.words);
    }
    arguments
}

/// `arguments` as a shell takes them, in one line; none if a shell cannot take one of them, or a terminal cannot show it.
#[must_use]
pub fn command_line(arguments: &[String]) -> Option<String> {
    let is_shown = |text: &String| !text.chars().any(|c| c != '\n' && crate::printable::is_invisible(c));
    if !arguments.iter().all(is_shown) {
        return None;
    }
    shlex::try_join(arguments.iter().map(String::as_str)).ok()
}

/// Two specs are equal as the operator reads them.
#[must_use]
pub fn same_spec(one: &Value, other: &Value) -> bool {
    let read = |spec: &Value| serde_json::from_value::<JobRequestSpec>(spec.clone());
    match (read(one), read(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

fn made(fields: &Arc<Fields>, container: &str, flags: &[Flag], words: &Words) -> Option<Value> {
    let mut draft = Draft::new(Arc::clone(fields), json!({}), Some(container));
    for flag in flags {
        draft.add(flag).ok()?;
    }
    if !words.words.is_empty() {
        draft.arguments(&words.words, words.is_command).ok()?;
    }
    Some(draft.spec().clone())
}

/// Each field of the spec as a whole.
fn by_fields(spec: &Value) -> Vec<Flag> {
    let fields = spec.as_object().into_iter().flatten();
    fields.map(|(field, value)| Flag::new("--set", format!("{field}={}", text_of(value)))).collect()
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn by_flags(fields: &Arc<Fields>, spec: &Value, container: &str) -> (Vec<Flag>, Words) {
    let mut rest = Rest(spec.clone());
    let mut flags = Vec::new();
    // The flags are about the first container.
    let at = |path: &str| -> Vec<String> {
        let path = path.replace("containers[{container}]", "containers.0");
        path.split('.').map(ToOwned::to_owned).collect()
    };
    for (flag, path) in SIMPLE {
        let path = at(path);
        let fits = |value: &Value| match flag {
            "--suspend" => value == &Value::Bool(true),
            _ => value.is_string() || value.is_i64(),
        };
        flags.extend(rest.take(&path, fits).map(|value| Flag::new(flag, text_of(&value))));
    }
    for (flag, path) in DURATIONS {
        let fits = |value: &Value| value.as_i64().is_some_and(|seconds| seconds >= 0);
        flags.extend(rest.take(&at(path), fits).map(|value| Flag::new(flag, format!("{value}s"))));
    }
    if let Some(template) = rest.take(&at("templateRef"), |value| template_text(value).is_some()) {
        flags.extend(template_text(&template).map(|text| Flag::new("--template", text)));
    }
    for (flag, resource) in AMOUNTS {
        let amount = |rest: &mut Rest, list: &str| {
            let path = [at("containers.0.resources"), vec![list.to_owned(), resource.to_owned()]].concat();
            let fits =
                |value: &Value| value.as_str().is_some_and(|text| !text.is_empty() && !text.contains(':'));
            rest.take(&path, fits).map(|value| text_of(&value))
        };
        let (request, limit) = (amount(&mut rest, "requests"), amount(&mut rest, "limits"));
        match (request, limit) {
            (None, None) => {}
            (Some(request), None) => flags.push(Flag::new(flag, request)),
            (request, Some(limit)) => {
                flags.push(Flag::new(flag, format!("{}:{limit}", request.unwrap_or_default())));
            }
        }
    }
    for (field, flag, text) in
        [("env", "--env", env_text as fn(&Value) -> Option<String>), ("envFrom", "--env-from", env_from_text)]
    {
        let texts: Vec<_> = list(rest.first(), field).iter().map_while(text).collect();
        // The next item of a list that is known by its place would not be the first.
        let is_whole = texts.len() == list(rest.first(), field).len();
        if !texts.is_empty() && (field == "env" || is_whole) {
            rest.take_front(field, texts.len());
            flags.extend(texts.into_iter().map(|text| Flag::new(flag, text)));
        }
    }
    if let Some(mounts) = mounts(fields, spec, container) {
        flags.extend(mounts);
        rest.take(&at("volumes"), |_| true);
        rest.take(&at("containers.0.mounts"), |_| true);
    }
    for (flag, map) in ENTRIES {
        let entries = rest.0.get(map).and_then(Value::as_object).cloned().unwrap_or_default();
        for (key, value) in entries {
            let path = [map.to_owned(), key.clone()];
            if !key.is_empty() && !key.contains('=') && rest.take(&path, Value::is_string).is_some() {
                flags.push(Flag::new(flag, format!("{key}={}", text_of(&value))));
            }
        }
    }
    let mut words = Words::default();
    for (field, is_command) in [("command", true), ("args", false)] {
        let fits = |value: &Value| {
            value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string))
        };
        if words.words.is_empty()
            && let Some(taken) = rest.take(&at(&format!("containers.0.{field}")), fits)
        {
            words = Words {
                words: list(Some(&json!({"words": taken})), "words").iter().map(text_of).collect(),
                is_command,
            };
        }
    }
    rest.drop_made(spec);
    sets(fields.schema(), &rest.0, "", &mut flags);
    (flags, words)
}

/// What is left of a spec.
struct Rest(Value);

impl Rest {
    /// The first container.
    fn first(&self) -> Option<&Value> {
        list(Some(&self.0), "containers").first()
    }

    /// Takes the value at a path away, if it fits, with the objects that are empty then.
    fn take(&mut self, path: &[String], fits: impl Fn(&Value) -> bool) -> Option<Value> {
        take(&mut self.0, path, &fits)
    }

    /// Takes the first `count` items of a list of the first container away.
    fn take_front(&mut self, field: &str, count: usize) {
        let containers = self.0.get_mut("containers").and_then(Value::as_array_mut);
        let Some(container) = containers.and_then(|items| items.first_mut()).and_then(Value::as_object_mut)
        else {
            return;
        };
        if let Some(items) = container.get_mut(field).and_then(Value::as_array_mut) {
            items.drain(..count.min(items.len()));
            if items.is_empty() {
                container.remove(field);
            }
        }
    }
}

impl Rest {
    /// Drops the first container if nothing but its name is left of it, since the flags make it.
    fn drop_made(&mut self, spec: &Value) {
        let fields =
            |container: Option<&Value>| container.and_then(Value::as_object).map_or(0, serde_json::Map::len);
        if fields(self.first()) != 1 || fields(list(Some(spec), "containers").first()) < 2 {
            return;
        }
        if let Some(items) = self.0.get_mut("containers").and_then(Value::as_array_mut) {
            items.remove(0);
        }
        if list(Some(&self.0), "containers").is_empty()
            && let Some(spec) = self.0.as_object_mut()
        {
            spec.remove("containers");
        }
    }
}

fn take(value: &mut Value, path: &[String], fits: &impl Fn(&Value) -> bool) -> Option<Value> {
    let (step, path) = path.split_first()?;
    if let Value::Array(items) = value {
        return take(items.get_mut(step.parse::<usize>().ok()?)?, path, fits);
    }
    let object = value.as_object_mut()?;
    if path.is_empty() {
        return if fits(object.get(step)?) { object.remove(step) } else { None };
    }
    let inner = object.get_mut(step)?;
    let taken = take(inner, path, fits)?;
    if inner.as_object().is_some_and(serde_json::Map::is_empty) {
        object.remove(step);
    }
    Some(taken)
}

/// The object has these fields, which are texts, and no other.
fn texts<'a, const N: usize>(object: &'a Value, fields: [&str; N]) -> Option<[&'a str; N]> {
    let map = object.as_object().filter(|map| map.len() == N)?;
    let mut texts = [""; N];
    for (text, field) in texts.iter_mut().zip(fields) {
        *text = map.get(field)?.as_str()?;
    }
    Some(texts)
}

fn template_text(value: &Value) -> Option<String> {
    let plain = |name: &str| (!name.is_empty() && !name.contains('/')).then(|| name.to_owned());
    if let Some([name]) = texts(value, ["name"]) {
        return plain(name);
    }
    match texts(value, ["kind", "name"])? {
        ["JobTemplate", name] => plain(name),
        ["ClusterJobTemplate", name] => Some(format!("cluster/{}", plain(name)?)),
        _ => None,
    }
}

/// `configmap`, of `ConfigMap`.
fn word_of(kind: &str) -> Option<&'static str> {
    CONFIGS.iter().find(|(_, known)| *known == kind).map(|(word, _)| *word)
}

fn env_text(item: &Value) -> Option<String> {
    if let Some([name, value]) = texts(item, ["name", "value"]) {
        // A text that looks like a reference would be taken for one.
        return config(value).is_none().then(|| format!("{name}={value}"));
    }
    let name = item.get("name")?.as_str().filter(|_| item.as_object().is_some_and(|map| map.len() == 2))?;
    let [kind, object, key] = texts(item.get("configRef")?, ["kind", "name", "key"])?;
    (!object.contains(':')).then_some(())?;
    Some(format!("{name}={}/{object}:{key}", word_of(kind)?))
}

fn env_from_text(item: &Value) -> Option<String> {
    let [kind, object] = texts(item.get("configRef")?, ["kind", "name"])?;
    let object = format!("{}/{object}", word_of(kind).filter(|_| !object.contains(':'))?);
    match item.get("prefix") {
        None => Some(object),
        Some(prefix) => Some(format!("{object}:{}", prefix.as_str()?)),
    }
}

/// The flags that make all volumes with their mounts in `container`, if there are such.
fn mounts(fields: &Arc<Fields>, spec: &Value, container: &str) -> Option<Vec<Flag>> {
    let (volumes, mounts) = (list(Some(spec), "volumes"), list(of_container(spec, container), "mounts"));
    if volumes.is_empty() || mounts.is_empty() {
        return None;
    }
    let flag = |mount: &Value| {
        let name = mount.get("volume")?.as_str()?;
        let volume =
            volumes.iter().find(|volume| volume.get("name").and_then(Value::as_str) == Some(name))?;
        let from = source_text(volume)?;
        let read_only = if mount.get("readOnly") == Some(&Value::Bool(true)) { ":ro" } else { "" };
        Some(Flag::new("--mount", format!("{from}:{}{read_only}", mount.get("path")?.as_str()?)))
    };
    let flags = mounts.iter().map(flag).collect::<Option<Vec<_>>>()?;
    let made = made(fields, container, &flags, &Words::default())?;
    let is_same =
        list(Some(&made), "volumes") == volumes && list(of_container(&made, container), "mounts") == mounts;
    is_same.then_some(flags)
}

fn source_text(volume: &Value) -> Option<String> {
    let (field, source) = volume.as_object()?.iter().find(|(field, _)| *field != "name")?;
    let text = match field.as_str() {
        "emptyDir" => "empty".to_owned(),
        "persistentVolumeClaim" => format!("pvc/{}", source.get("claimName")?.as_str()?),
        "configRef" => {
            let [kind, name] = texts(source, ["kind", "name"])?;
            format!("{}/{name}", word_of(kind)?)
        }
        _ => return None,
    };
    let (known, made) = volume_source(&text)?;
    (known == field && &made == source && !text.contains(':')).then_some(text)
}

/// A `--set` for everything in `value`.
fn sets(schema: &JSONSchemaProps, value: &Value, path: &str, flags: &mut Vec<Flag>) {
    match value {
        Value::Object(map) if !map.is_empty() && (path.is_empty() || is_walked(schema)) => {
            for (name, value) in map {
                let open = JSONSchemaProps::default();
                sets(field_of(schema, name).unwrap_or(&open), value, &join(path, name), flags);
            }
        }
        Value::Array(items) if !items.is_empty() && key_of(schema).is_some() => {
            let (Some(key), Some(item_schema)) = (key_of(schema), item_of(schema)) else { return };
            for item in items {
                let name = item.get(key).and_then(Value::as_str).unwrap_or_default();
                let path = format!("{path}[{name}]");
                let others = item.as_object().into_iter().flatten().filter(|(field, _)| *field != key);
                let mut count = 0;
                for (field, value) in others {
                    let open = JSONSchemaProps::default();
                    sets(field_of(item_schema, field).unwrap_or(&open), value, &join(&path, field), flags);
                    count += 1;
                }
                if count == 0 {
                    flags.push(Flag::new("--set", format!("{path}.{key}={name}")));
                }
            }
        }
        // The spec itself, with nothing in it.
        Value::Object(_) if path.is_empty() => {}
        value => flags.push(Flag::new("--set", format!("{path}={}", text_of(value)))),
    }
}

/// An object whose fields are set one by one, as most people would.
fn is_walked(schema: &JSONSchemaProps) -> bool {
    schema.type_.as_deref() == Some("object") && schema.x_kubernetes_preserve_unknown_fields != Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(spec: &Value) -> String {
        let object = json!({"metadata": {"name": "pi"}, "spec": spec});
        command_line(&command_of(&Arc::new(Fields::of_spec()), &object)).unwrap()
    }

    #[test]
    fn flags_come_first_and_the_rest_is_set() {
        for (spec, wanted) in [
            (json!({}), "pi"),
            (
                json!({"alias": "计算 π", "containers": [{"name": "main", "image": "perl:5", "command": ["perl", "-e", "print 1"]}]}),
                "pi --image perl:5 --alias '计算 π' --command -- perl -e 'print 1'",
            ),
            (
                json!({"containers": [{"name": "pi", "image": "perl:5", "args": ["-v"]}]}),
                "pi --container pi --image perl:5 -- -v",
            ),
            (
                json!({"containers": [{"name": "main", "command": ["a"], "args": ["b"]}]}),
                "pi --set 'containers[main].args=[\"b\"]' --command -- a",
            ),
            (
                json!({"containers": [{"name": "main", "image": "a"}, {"name": "side", "image": "b"}]}),
                "pi --image a --set 'containers[side].image=b'",
            ),
            (
                json!({"containers": [{"name": "main", "env": [
                    {"name": "A", "value": "1"}, {"name": "B", "fieldRef": "metadata.name"}, {"name": "C", "value": "2"},
                ]}]}),
                "pi --env 'A=1' --set 'containers[main].env[B].fieldRef=metadata.name' --set 'containers[main].env[C].value=2'",
            ),
            (
                json!({"volumes": [{"name": "x", "emptyDir": {"medium": "Memory"}}], "containers": [{"name": "main", "mounts": [{"path": "/x", "volume": "x"}]}]}),
                "pi --set 'containers[main].mounts[/x].volume=x' --set 'volumes[x].emptyDir.medium=Memory'",
            ),
            (
                json!({"settings": {"ttlSecondsAfterFinished": 60, "completions": -1}, "suspend": false}),
                "pi '--completions=-1' --ttl 60s --set 'suspend=false'",
            ),
        ] {
            assert_eq!(command(&spec), wanted);
        }
    }

    #[test]
    fn what_no_terminal_shows_is_no_command() {
        assert_eq!(command_line(&["a\u{1b}".to_owned()]), None);
        assert_eq!(command_line(&["a\nb".to_owned()]).as_deref(), Some("'a\nb'"));
    }
}
