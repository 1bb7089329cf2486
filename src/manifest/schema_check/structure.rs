//! Checks one value against its schema: what the API server refuses, with its message where that helps.
//!
//! [`prepare`] does what the API server does first: drop nulls, fill in defaults.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::Violation;
use super::schema::{Rule, Schema, Unique};
use super::suggest::{advice_on_field, did_you_mean, quoted};
use crate::manifest::yaml::{Part, Step};

/// Maximum number of characters of a value that a message repeats.
const MAX_SHOWN_CHARACTERS: usize = 60;

/// Drops nulls that have no meaning, and fills in defaults.
pub(super) fn prepare(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(map) => {
            map.retain(|key, value| {
                // Where null is allowed, it means absent, too.
                !value.is_null() || schema.of_field(key).is_none_or(|of| of.default.is_some())
            });
            for (key, property) in &schema.properties {
                if let Some(default) = &property.default
                    && map.get(key).is_none_or(|value| value.is_null() && !property.is_nullable)
                {
                    map.insert(key.clone(), default.clone());
                }
            }
            for (key, value) in map {
                if let Some(schema) = schema.of_field(key) {
                    prepare(value, schema);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                for item in items {
                    if item.is_null() && !schema.is_nullable {
                        *item = schema.default.clone().unwrap_or_default();
                    }
                    prepare(item, schema);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Walks a value and its schema.
#[derive(Default)]
pub(super) struct Walk {
    path: Vec<Step>,
    /// Values that cannot be read as what the schema says.
    pub(super) misfits: Vec<Violation>,
    /// Everything else that is wrong.
    pub(super) violations: Vec<Violation>,
}

impl Walk {
    /// Checks `value` and everything in it.
    pub(super) fn check(&mut self, value: &Value, schema: &Schema) {
        let before = self.misfits.len();
        if !self.check_type(value, schema) {
            return;
        }
        if !schema.allowed.is_empty() && !schema.allowed.contains(value) {
            self.not_allowed(value, schema);
        }
        match value {
            Value::Object(map) => self.map(map, schema),
            Value::Array(items) => self.list(items, schema),
            Value::String(text) => self.text(text, schema),
            Value::Number(number) => self.number(number.as_f64().unwrap_or_default(), schema),
            Value::Null | Value::Bool(_) => {}
        }
        let sound = self.without_wrong_parts(value, before);
        for rule in &schema.rules {
            match value {
                Value::Object(map) if rule.is_of_each_key => self.each_key(map, rule),
                _ => self.rule(value, sound.as_ref(), rule),
            }
        }
    }

    /// `value` without what was found in it since `before`; `None` if nothing was.
    fn without_wrong_parts(&self, value: &Value, before: usize) -> Option<Value> {
        let paths: Vec<_> = (self.misfits.get(before..).unwrap_or_default().iter())
            .filter_map(|misfit| misfit.path.get(self.path.len()..))
            .collect();
        if paths.is_empty() { None } else { Some(without(value, paths)) }
    }

    fn report(&mut self, part: Part, message: String) {
        self.violations.push(Violation { path: self.path.clone(), field: None, part, message });
    }

    fn wrong(&mut self, message: String) {
        self.report(Part::Value, message);
    }

    fn misfit(&mut self, message: String) {
        let path = self.path.clone();
        self.misfits.push(Violation { path, field: None, part: Part::Value, message });
    }

    fn inside(&mut self, step: Step, check: impl FnOnce(&mut Self)) {
        self.path.push(step);
        check(self);
        self.path.pop();
    }

    fn check_type(&mut self, value: &Value, schema: &Schema) -> bool {
        let (name, is_whole) = match value {
            Value::Null => ("null", false),
            Value::Bool(_) => ("boolean", false),
            Value::Number(number) if number.is_i64() => ("integer", true),
            Value::Number(number) => ("number", number.as_f64().is_some_and(is_exact)),
            Value::String(_) => ("string", false),
            Value::Array(_) => ("array", false),
            Value::Object(_) => ("object", false),
        };
        let fits = schema.types.is_empty()
            || schema.types.contains(&name)
            || (value.is_null() && schema.is_nullable)
            || (schema.types.contains(&"integer") && is_whole)
            || (schema.types.contains(&"number") && name == "integer");
        if !fits {
            let advice = match (schema.types.as_slice(), name) {
                _ if is_large(value) => format!("; the largest integer is {}", i64::MAX),
                (["integer", "string"], "number") => {
                    "; write a fraction in quotes, or in thousandths as 500m".to_owned()
                }
                (["string"], "boolean" | "integer" | "number" | "null") => "; put it in quotes".to_owned(),
                _ => String::new(),
            };
            let types = schema.types.join(",");
            self.misfit(format!(
                "Invalid value: {}: must be of type {types}, not {name}{advice}",
                shown(value)
            ));
        }
        fits
    }

    fn not_allowed(&mut self, value: &Value, schema: &Schema) {
        let names: Vec<_> = schema.allowed.iter().filter_map(Value::as_str).collect();
        let similar = value.as_str().and_then(|text| did_you_mean(text, names.iter().copied()));
        let supported: Vec<_> = schema.allowed.iter().map(shown).collect();
        self.misfit(format!(
            "Unsupported value: {}: supported values: {}{}",
            shown(value),
            supported.join(", "),
            similar.unwrap_or_default()
        ));
    }

    fn map(&mut self, map: &Map<String, Value>, schema: &Schema) {
        for name in schema.required.iter().filter(|name| !map.contains_key(*name)) {
            self.inside(Step::Key(name.clone()), |walk| walk.misfit("Required value".to_owned()));
        }
        self.count(map.len(), schema.keys, ["key", "keys"]);
        for (key, value) in map {
            self.inside(Step::Key(key.clone()), |walk| match schema.of_field(key) {
                Some(schema) => walk.check(value, schema),
                None if schema.keeps_unknown || schema.types.is_empty() => {}
                None => {
                    let parent = walk.path.split_last().map(|(_, parent)| parent).unwrap_or_default();
                    let advice = advice_on_field(key, schema, parent).unwrap_or_default();
                    walk.report(Part::Key, format!("unknown field {}{advice}", quoted(key)));
                }
            });
        }
    }

    fn list(&mut self, items: &[Value], schema: &Schema) {
        self.count(items.len(), schema.members, ["item", "items"]);
        if let Some(schema) = &schema.items {
            for (index, item) in items.iter().enumerate() {
                self.inside(Step::Index(index), |walk| walk.check(item, schema));
            }
        }
        let mut seen = HashSet::new();
        let mut reported = HashSet::new();
        for (index, item) in items.iter().enumerate() {
            let key = match &schema.unique {
                Unique::Nothing => return,
                Unique::Members => item.clone(),
                Unique::Keys(keys) => {
                    let key_of = |key: &String| Some((key.clone(), item.get(key)?.clone()));
                    Value::Object(keys.iter().filter_map(key_of).collect())
                }
            };
            if !seen.insert(key.to_string()) && reported.insert(key.to_string()) {
                self.inside(Step::Index(index), |walk| {
                    walk.wrong(format!("Duplicate value: {}", shown(&key)));
                });
            }
        }
    }

    fn text(&mut self, text: &str, schema: &Schema) {
        let count = text.chars().count();
        if let Some(max) = schema.length.max.filter(|max| count > *max) {
            self.wrong(format!("Too long: {count} characters: may not be more than {max}"));
        }
        if let Some(min) = schema.length.min.filter(|min| count < *min) {
            self.wrong(format!(
                "Invalid value: {}: must have at least {min} characters",
                shown(&json!(text))
            ));
        }
        if let Some(pattern) = schema.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            self.wrong(format!("Invalid value: {}: must match '{pattern}'", shown(&json!(text))));
        }
    }

    fn number(&mut self, number: f64, schema: &Schema) {
        if let Some(max) = schema.maximum.filter(|max| number > *max) {
            self.wrong(format!("Invalid value: {number}: must be less than or equal to {max}"));
        }
        if let Some(min) = schema.minimum.filter(|min| number < *min) {
            self.wrong(format!("Invalid value: {number}: must be greater than or equal to {min}"));
        }
    }

    fn count(&mut self, count: usize, bounds: super::schema::Bounds, [one, many]: [&str; 2]) {
        let unit = |bound: usize| if bound == 1 { one } else { many };
        if let Some(max) = bounds.max.filter(|max| count > *max) {
            self.wrong(format!("Too many: {count}: must have at most {max} {}", unit(max)));
        }
        if let Some(min) = bounds.min.filter(|min| count < *min) {
            self.wrong(format!(
                "Invalid value: {count} {}: must have at least {min} {}",
                unit(count),
                unit(min)
            ));
        }
    }

    /// Evaluates a rule. If a part of the node is wrong, the rule counts as broken only if it also fails without that
    /// part: `sound` is the node without it.
    /// Names every key that breaks a rule about keys, each at its place; the API server names one.
    fn each_key(&mut self, map: &Map<String, Value>, rule: &Rule) {
        for (key, value) in map {
            let alone = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
            self.inside(Step::Key(key.clone()), |walk| walk.judge(&alone, rule, Part::Key));
        }
    }

    fn rule(&mut self, value: &Value, sound: Option<&Value>, rule: &Rule) {
        if let Some(sound) = sound
            && (rule.program.holds(value) != Ok(false) || rule.program.holds(sound) != Ok(false))
        {
            return;
        }
        self.judge(value, rule, Part::Value);
    }

    fn judge(&mut self, value: &Value, rule: &Rule, part: Part) {
        let message = match rule.program.holds(value) {
            Ok(true) => return,
            Ok(false) => rule
                .message_program
                .as_ref()
                .and_then(|program| program.text(value))
                .unwrap_or_else(|| rule.message.clone()),
            Err(error) => format!("{}: the rule cannot be evaluated: {error}", rule.message),
        };
        let value = match value {
            Value::String(_) | Value::Number(_) | Value::Bool(_) => {
                format!("Invalid value: {}: ", shown(value))
            }
            _ => String::new(),
        };
        let path = self.path.iter().chain(&rule.field).cloned().collect();
        self.violations.push(Violation { path, field: None, part, message: format!("{value}{message}") });
    }
}

/// `value` without the values at `paths`.
pub(super) fn without(value: &Value, mut paths: Vec<&[Step]>) -> Value {
    // From the last member of a list to the first, so that the remaining ones keep their index.
    paths.sort_by_key(|path| std::cmp::Reverse(path.iter().map(index_of).collect::<Vec<_>>()));
    let mut sound = value.clone();
    for path in paths {
        remove(&mut sound, path);
    }
    sound
}

const fn index_of(step: &Step) -> usize {
    match step {
        Step::Index(index) => *index,
        Step::Key(_) => 0,
    }
}

fn remove(value: &mut Value, path: &[Step]) {
    let Some((last, parents)) = path.split_last() else {
        *value = Value::Null;
        return;
    };
    let parent = parents.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(*index),
    });
    match (parent, last) {
        (Some(Value::Object(map)), Step::Key(key)) => {
            map.remove(key);
        }
        (Some(Value::Array(items)), Step::Index(index)) if *index < items.len() => {
            items.remove(*index);
        }
        _ => {}
    }
}

/// A value as a message repeats it.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().nth(MAX_SHOWN_CHARACTERS).is_none() {
        return text;
    }
    text.chars().take(MAX_SHOWN_CHARACTERS).chain(['…']).collect()
}

/// A whole number that a floating-point number holds exactly. What does not fit into 64 bits reaches the API server as a
/// floating-point number, and only such a one counts as an integer there.
fn is_exact(number: f64) -> bool {
    const LARGEST: f64 = 9_007_199_254_740_991.0;
    number.fract() == 0.0 && number.abs() <= LARGEST
}

/// A whole number above what fits into 64 bits.
fn is_large(value: &Value) -> bool {
    !value.is_i64() && value.as_f64().is_some_and(|number| number.fract() == 0.0 && !is_exact(number))
}
