//! Environment variables and what they come from.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::draft::{Draft, Part, has_only, object, put_list, take_list};
use super::pod::config_ref;

/// Moves the variables up to the first that the form does not have. The order counts, and overrides append: the rest
/// follows there.
pub(super) fn variables(draft: &mut Draft<'_>, container: &mut Part) {
    let (at, form) = (container.at.key("env"), container.form.key("env"));
    let native = take_list(&mut container.from, "env");
    let is_refused = !native.is_empty() && !draft.goes(&at, &form);
    let (mut converted, mut left) = (Vec::new(), Vec::new());
    let mut later: BTreeSet<String> = BTreeSet::new();
    let is_last: Vec<bool> = native.iter().rev().map(|variable| later.insert(name(variable))).collect();
    let uses: Vec<bool> =
        (0..native.len()).map(|index| is_used_before_it_is_replaced(&native, index)).collect();
    for ((index, variable), is_last) in native.into_iter().enumerate().zip(is_last.into_iter().rev()) {
        let place = at.index(index);
        if !is_last && uses.get(index) == Some(&true) {
            draft.dropped(
                &place,
                "left out, although a variable after it uses it, which is not expanded any more: a later variable has the same name; give one of the two another name",
            );
            continue;
        }
        if !is_last {
            draft.changed(&place, "left out: a later variable has the same name, and counts");
            continue;
        }
        let shaped = if left.is_empty() && !is_refused { shape(&variable) } else { None };
        match shaped.filter(|_| draft.goes(&place, &form.index(converted.len()))) {
            Some(shaped) => converted.push(shaped),
            None => left.push(variable),
        }
    }
    put_list(&mut container.into, "env", converted);
    put_list(&mut container.from, "env", left);
}

/// A variable between this one and the next of its name refers to it.
fn is_used_before_it_is_replaced(variables: &[Value], index: usize) -> bool {
    let Some((variable, after)) = variables.get(index..).and_then(<[Value]>::split_first) else {
        return false;
    };
    let reference = format!("$({})", name(variable));
    let value = |next: &Value| next.get("value").and_then(Value::as_str).map(ToOwned::to_owned);
    after
        .iter()
        .take_while(|next| name(next) != name(variable))
        .any(|next| value(next).is_some_and(|value| value.contains(&reference)))
}

fn name(variable: &Value) -> String {
    variable.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A variable as the form has it.
fn shape(variable: &Value) -> Option<Value> {
    let name = variable.get("name");
    let (key, source) = match (variable.get("value"), variable.get("valueFrom")) {
        (Some(value), None) => ("value", value.clone()),
        (None, None) => ("value", json!("")),
        (None, Some(source)) => from_source(source)?,
        (Some(_), Some(_)) => return None,
    };
    Some(object(&[("name", name), (key, Some(&source))]))
}

fn from_source(source: &Value) -> Option<(&'static str, Value)> {
    let fields = source.as_object().filter(|fields| fields.len() == 1)?;
    let (kind, of) = fields.iter().next()?;
    match kind.as_str() {
        "configMapKeyRef" => Some(("configRef", config_ref("ConfigMap", of, "name", &["key", "optional"]))),
        "secretKeyRef" => Some(("configRef", config_ref("Secret", of, "name", &["key", "optional"]))),
        "fieldRef" if has_only(of, &["fieldPath"]) => Some(("fieldRef", of.get("fieldPath")?.clone())),
        "resourceFieldRef" => {
            let fields = [
                ("resource", of.get("resource")),
                ("container", of.get("containerName")),
                ("divisor", of.get("divisor")),
            ];
            Some(("resourceRef", object(&fields)))
        }
        _ => None,
    }
}

/// The objects whose keys all become variables, if the form has all of them: the list is replaced as a whole.
pub(super) fn sources(sources: &Value) -> Option<Value> {
    let source = |source: &Value| {
        let prefix = source.get("prefix");
        let of = |field: &str, kind: &str| {
            let of = source.get(field)?;
            let of = config_ref(kind, of, "name", &["optional"]);
            has_only(source, &["prefix", field])
                .then(|| object(&[("configRef", Some(&of)), ("prefix", prefix)]))
        };
        of("configMapRef", "ConfigMap").or_else(|| of("secretRef", "Secret"))
    };
    sources.as_array()?.iter().map(source).collect::<Option<Vec<_>>>().map(Value::Array)
}
