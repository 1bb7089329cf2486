//! A conversion while it is made: which values went where, and what there is to say about it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::note::{Note, NoteKind, Place};

/// The fields of an object.
pub(super) type Fields = Map<String, Value>;

/// What holds for the whole conversion.
pub(super) struct Draft<'a> {
    /// Native fields that the form does not accept as they are: they go to the overrides.
    pub(super) denied: &'a BTreeSet<String>,
    /// The object was read from a cluster, so that defaults and what controllers set are in it.
    pub(super) is_live: bool,
    /// Where the values of the form come from.
    pub(super) origins: Vec<Origin>,
    pub(super) notes: Vec<Note>,
}

/// Where a value of the form comes from.
pub(super) struct Origin {
    pub(super) form: Place,
    pub(super) native: Place,
    /// It can be written in the overrides instead.
    pub(super) is_movable: bool,
}

impl Draft<'_> {
    /// Notes that the value at `native` goes to `form`; false if the form does not accept it.
    pub(super) fn goes(&mut self, native: &Place, form: &Place) -> bool {
        if self.denied.contains(&native.to_string()) {
            return false;
        }
        self.origins.push(Origin { form: form.clone(), native: native.clone(), is_movable: true });
        true
    }

    /// The same of what has no other place than the form.
    pub(super) fn stays(&mut self, native: &Place, form: &Place) {
        self.origins.push(Origin { form: form.clone(), native: native.clone(), is_movable: false });
    }

    pub(super) fn changed(&mut self, place: &Place, message: impl Into<String>) {
        self.notes.push(Note::new(NoteKind::Changed, place, message));
    }

    pub(super) fn dropped(&mut self, place: &Place, message: impl Into<String>) {
        self.notes.push(Note::new(NoteKind::Dropped, place, message));
    }
}

/// A native object, from which fields are taken, and the part of the form that they go to. What is left goes to the
/// overrides.
pub(super) struct Part {
    pub(super) from: Fields,
    pub(super) at: Place,
    pub(super) into: Fields,
    pub(super) form: Place,
}

impl Part {
    pub(super) fn new(from: Value, at: Place, form: Place) -> Self {
        let from = if let Value::Object(fields) = from { fields } else { Fields::new() };
        Self { from, at, into: Fields::new(), form }
    }

    /// Moves the field `key` to `to`, in the shape that `shaped` gives it; it stays if the form has no such shape.
    pub(super) fn carry(
        &mut self,
        draft: &mut Draft<'_>,
        key: &str,
        to: &str,
        shaped: impl FnOnce(&Value) -> Option<Value>,
    ) {
        let Some(value) = self.from.get(key).and_then(shaped) else { return };
        if draft.goes(&self.at.key(key), &self.form.key(to)) {
            self.into.insert(to.to_owned(), value);
            self.from.remove(key);
        }
    }

    /// Moves fields that the form has in the same shape.
    pub(super) fn same(&mut self, draft: &mut Draft<'_>, keys: &[&str]) {
        for key in keys {
            self.carry(draft, key, key, |value| Some(value.clone()));
        }
    }

    /// Moves the `known` fields of the object at `key`; the others stay.
    pub(super) fn split(&mut self, draft: &mut Draft<'_>, key: &str, known: &[&str]) {
        let Some(Value::Object(fields)) = self.from.remove(key) else { return };
        let mut part = Self::new(Value::Object(fields), self.at.key(key), self.form.key(key));
        part.same(draft, known);
        put(&mut self.into, key, part.into);
        put(&mut self.from, key, part.from);
    }
}

/// Sets a field to an object, unless that is empty.
pub(super) fn put(fields: &mut Fields, key: &str, object: Fields) {
    if !object.is_empty() {
        fields.insert(key.to_owned(), Value::Object(object));
    }
}

/// Sets a field to a list, unless that is empty.
pub(super) fn put_list(fields: &mut Fields, key: &str, list: Vec<Value>) {
    if !list.is_empty() {
        fields.insert(key.to_owned(), Value::Array(list));
    }
}

/// Takes a list out of its field; of anything else, nothing.
pub(super) fn take_list(fields: &mut Fields, key: &str) -> Vec<Value> {
    match fields.remove(key) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}

/// The object has no other fields than these.
pub(super) fn has_only(value: &Value, keys: &[&str]) -> bool {
    value.as_object().is_some_and(|fields| fields.keys().all(|key| keys.contains(&key.as_str())))
}

/// An object of the fields that are there.
pub(super) fn object(fields: &[(&str, Option<&Value>)]) -> Value {
    let present = fields.iter().filter_map(|(key, value)| Some(((*key).to_owned(), (*value)?.clone())));
    Value::Object(present.collect())
}
