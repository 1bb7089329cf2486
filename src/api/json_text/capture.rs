//! Taking a value from the wire as text, without recursion beyond the bound.

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::truth::Truth;
use super::{JsonTextError, MAX_DEPTH, MAX_VALUES};

/// Maximum number of fields of a refused part of which it is known that they are set.
const MAX_FIELDS: usize = 64;
/// Maximum length of their names, in bytes.
const MAX_FIELD_NAME: usize = 64;

/// What was taken so far.
#[derive(Default)]
pub(super) struct Capture {
    /// As JSON; empty once something is refused.
    pub(super) text: Vec<u8>,
    values: usize,
    /// Keys of the maps around, outermost first; only the first two are kept.
    path: Vec<String>,
    /// The part's own fields that are neither false nor null.
    pub(super) set: Vec<Box<str>>,
    /// Why the rest is passed over.
    pub(super) refusal: Option<JsonTextError>,
}

impl Capture {
    /// Takes one value from a deserializer, whatever it holds.
    pub(super) fn take<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut capture = Self::default();
        Part { capture: &mut capture, depth: 0 }.deserialize(deserializer)?;
        Ok(capture)
    }

    /// One more value, `depth` maps and lists deep; false: it is to be passed over.
    fn enters(&mut self, depth: usize) -> bool {
        self.values += 1;
        if self.refusal.is_none() && depth > MAX_DEPTH {
            let place = self.path.iter().take(2).cloned().collect::<Vec<_>>().join(".");
            self.refuse(JsonTextError::too_deep(&place));
        }
        if self.refusal.is_none() && self.values > MAX_VALUES {
            self.refuse(JsonTextError::TooManyValues);
        }
        self.refusal.is_none()
    }

    fn note_field(&mut self, name: &str, is_set: bool) {
        if is_set && self.set.len() < MAX_FIELDS && name.len() <= MAX_FIELD_NAME {
            self.set.push(name.into());
        }
    }

    fn refuse(&mut self, why: JsonTextError) {
        self.refusal = Some(why);
        self.text = Vec::new();
    }

    fn write<E: serde::de::Error>(&mut self, value: &impl serde::Serialize) -> Result<(), E> {
        serde_json::to_writer(&mut self.text, value).map_err(E::custom)
    }
}

/// One value, `depth` maps and lists deep.
struct Part<'c> {
    capture: &'c mut Capture,
    depth: usize,
}

impl Part<'_> {
    fn scalar<E: serde::de::Error>(self, value: &impl serde::Serialize) -> Result<(), E> {
        if self.capture.enters(0) { self.capture.write(value) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.capture.refusal.is_some() {
            return IgnoredAny::deserialize(deserializer).map(drop);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.scalar(&value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.scalar(&value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.scalar(&value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.scalar(&value)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.scalar(&value)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.scalar(&())
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<(), E> {
        self.scalar(&())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { capture, depth } = self;
        let depth = depth + 1;
        if capture.enters(depth) {
            capture.text.push(b'[');
        }
        let mut is_first = true;
        loop {
            if capture.refusal.is_none() && !is_first {
                capture.text.push(b',');
            }
            if items.next_element_seed(Part { capture, depth })?.is_none() {
                break;
            }
            is_first = false;
        }
        if capture.refusal.is_none() {
            capture.text.pop_if(|last| *last == b',');
            capture.text.push(b']');
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let Self { capture, depth } = self;
        let depth = depth + 1;
        if capture.enters(depth) {
            capture.text.push(b'{');
        }
        while let Some(key) = fields.next_key::<String>()? {
            if capture.refusal.is_none() {
                if !capture.text.ends_with(b"{") {
                    capture.text.push(b',');
                }
                capture.write(&key)?;
                capture.text.push(b':');
            }
            if depth == 1 && capture.refusal.is_some() {
                let is_set = fields.next_value::<Truth>()?.0;
                capture.note_field(&key, is_set);
                continue;
            }
            capture.path.truncate(depth - 1);
            if depth <= 2 {
                capture.path.push(key.clone());
            }
            let start = capture.text.len();
            fields.next_value_seed(Part { capture, depth })?;
            if depth == 1 {
                let value = capture.text.get(start..).unwrap_or_default();
                let is_set = !matches!(value, b"false" | b"null");
                capture.note_field(&key, is_set);
            }
        }
        if capture.refusal.is_none() {
            capture.text.push(b'}');
        }
        Ok(())
    }
}
