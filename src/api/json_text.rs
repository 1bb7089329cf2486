//! A part of an object as JSON text: taken from the wire whatever it holds, read when it is needed.
//!
//! Users store what they like, and a list is one document: an object that could not be parsed would keep all others from
//! being seen. So nothing in such a part is an error here. What is nested too deeply, or has too many values, is passed
//! over without recursion and without being kept, and reading it says so.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Deepest nesting of maps and lists in a spec or a status. A Job's own fields take some 15 levels.
pub const MAX_DEPTH: usize = 100;
/// Maximum number of values in a spec or a status, counting maps and lists: many small ones take up to a hundred times
/// their text when they are read.
pub const MAX_VALUES: usize = 30_000;
/// Maximum length of why something cannot be read, in bytes: it may quote a value.
const MESSAGE: usize = 512;

/// Maximum number of fields of a refused part of which it is known that they are set, and of bytes of their names.
const FIELDS: (usize, usize) = (64, 64);

/// See the module. The text is empty when the part is absent or null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonText(Result<Box<str>, Box<Refused>>);

/// A part that is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refused {
    /// Why, as a sentence about the part without its subject.
    why: Box<str>,
    /// Its own fields that are neither false nor null.
    set: Vec<Box<str>>,
}

impl Default for JsonText {
    fn default() -> Self {
        Self(Ok(Box::default()))
    }
}

impl JsonText {
    /// Length of the text in bytes; of one that cannot be read, 0.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |text| text.len())
    }

    /// Nothing is there, or nothing that can be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Why it is not kept, if it goes beyond the bounds, as a sentence about the part without its subject.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        self.0.as_ref().err().map(|refused| &*refused.why)
    }

    /// A field of it is neither absent nor null nor false, whether the part can be read or not.
    #[must_use]
    pub fn sets(&self, field: &str) -> bool {
        match &self.0 {
            Ok(text) if text.is_empty() => false,
            Ok(text) => serde_json::from_str::<BTreeMap<String, Truth>>(text)
                .is_ok_and(|fields| fields.get(field).is_some_and(|value| value.0)),
            Err(refused) => refused.set.iter().any(|set| **set == *field),
        }
    }

    /// What it holds, the default if nothing is there.
    ///
    /// # Errors
    /// Why it cannot be read, as a sentence about the part without its subject.
    pub fn read<T: DeserializeOwned + Default>(&self) -> Result<T, String> {
        let text = self.0.as_ref().map_err(|refused| refused.why.to_string())?;
        if text.is_empty() {
            return Ok(T::default());
        }
        if let Ok(read) = serde_json::from_str(text) {
            return Ok(read);
        }
        // Once more, for the path of what does not fit.
        let value: Value = serde_json::from_str(text).map_err(|error| misfit(&error.to_string()))?;
        serde_path_to_error::deserialize(value).map_err(|error| misfit(&error.to_string()))
    }
}

/// The error, without the text it quotes: messages end in logs and events, and a spec may hold what only its owner is to
/// read.
fn misfit(error: &str) -> String {
    let quoted = ["string \"", "variant `", "field `"].iter().find_map(|before| {
        let start = error.find(before)? + before.trim_end_matches(['"', '`', ' ']).len();
        Some((start, error.rfind(", expected").filter(|end| *end > start)?))
    });
    let text = match quoted.and_then(|(start, end)| error.get(..start).zip(error.get(end..))) {
        Some((before, after)) => format!("{before}{after}"),
        None => error.to_owned(),
    };
    format!("does not fit the schema of this version: {}", cut(&text))
}

fn cut(message: &str) -> String {
    match message.get(..message.floor_char_boundary(MESSAGE)) {
        Some(start) if start.len() < message.len() => format!("{start}…"),
        _ => message.to_owned(),
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut capture = Capture::default();
        Part { capture: &mut capture, depth: 0 }.deserialize(deserializer)?;
        Ok(Self(match capture.refusal {
            Some(refusal) => Err(Box::new(Refused { why: cut(&refusal).into(), set: capture.set })),
            None if capture.text == b"null" => Ok(Box::default()),
            // What was written is JSON, which is UTF-8.
            None => Ok(String::from_utf8(capture.text).unwrap_or_default().into_boxed_str()),
        }))
    }
}

/// What was taken so far.
#[derive(Default)]
struct Capture {
    text: Vec<u8>,
    values: usize,
    /// Keys of the maps around, outermost first; only the first two are kept.
    path: Vec<String>,
    /// The part's own fields that are neither false nor null.
    set: Vec<Box<str>>,
    /// Why the rest is passed over.
    refusal: Option<String>,
}

impl Capture {
    /// One more value, `depth` maps and lists deep; false: it is to be passed over.
    fn enters(&mut self, depth: usize) -> bool {
        self.values += 1;
        if self.refusal.is_none() && depth > MAX_DEPTH {
            let place = self.path.iter().take(2).cloned().collect::<Vec<_>>().join(".");
            self.refuse(format!("is nested deeper than {MAX_DEPTH} levels, in {place}"));
        }
        if self.refusal.is_none() && self.values > MAX_VALUES {
            self.refuse(format!("has more than {MAX_VALUES} values"));
        }
        self.refusal.is_none()
    }

    fn note_field(&mut self, name: &str, is_set: bool) {
        let (fields, bytes) = FIELDS;
        if is_set && self.set.len() < fields && name.len() <= bytes {
            self.set.push(name.into());
        }
    }

    fn refuse(&mut self, why: String) {
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

/// Whether a value is neither false nor null.
struct Truth(bool);

impl<'de> Deserialize<'de> for Truth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TruthVisitor).map(Self)
    }
}

struct TruthVisitor;

impl<'de> Visitor<'de> for TruthVisitor {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
        Ok(value)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<bool, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::JobRequestSpec;

    fn text_of(json: &str) -> JsonText {
        serde_json::from_str(json).unwrap()
    }

    fn nested(levels: usize, open: &str, close: &str) -> String {
        format!("{}0{}", open.repeat(levels), close.repeat(levels))
    }

    #[test]
    fn what_is_taken_is_what_was_there() {
        for same in [
            r#"{"a":[1,-2,3.5,true,null,"x"],"b":{},"c":[],"d":[[],[{}]],"e":"\u0000\"\\ 圆","f":18446744073709551615}"#,
            "[]",
            r#""text""#,
            r#"{"$serde_json::private::RawValue":"[","$serde_json::private::Number":"x"}"#,
            r#"{"n":1.2345678901234568e+29}"#,
        ] {
            let taken = text_of(same);
            assert_eq!(taken.0.as_deref().ok(), Some(same));
            let through_a_value: JsonText =
                serde_json::from_value(serde_json::from_str(same).unwrap()).unwrap();
            assert_eq!(through_a_value.len(), taken.len(), "{same}");
        }
        assert!(text_of("null").is_empty());
        assert_eq!(text_of("null").read::<JobRequestSpec>(), Ok(JobRequestSpec::default()));
    }

    #[test]
    fn nesting_is_read_up_to_the_bound_and_refused_beyond() {
        for (open, close) in [(r#"{"a":"#, "}"), ("[", "]")] {
            let deepest = nested(MAX_DEPTH, open, close);
            assert_eq!(text_of(&deepest).0.as_deref().ok(), Some(deepest.as_str()));
            for levels in [MAX_DEPTH + 1, 200, 500_000] {
                let error = text_of(&nested(levels, open, close)).read::<Value>().unwrap_err();
                assert!(error.starts_with("is nested deeper than 100 levels"), "{error}");
            }
        }
        let error = text_of(&format!(r#"{{"alias":"x","overrides":{{"b":{}}}}}"#, nested(200, "[", "]")));
        assert_eq!(
            error.read::<JobRequestSpec>(),
            Err("is nested deeper than 100 levels, in overrides.b".to_owned())
        );
    }

    #[test]
    fn many_small_values_are_refused_before_they_are_read() {
        let many = |count: usize| format!(r#"{{"overrides":{{"x":[{}0]}}}}"#, r#"{"a":0},"#.repeat(count));
        assert!(text_of(&many(1000)).read::<Value>().is_ok());
        assert_eq!(text_of(&many(150_000)).read::<Value>(), Err("has more than 30000 values".to_owned()));
    }

    #[test]
    fn why_it_cannot_be_read_names_the_place_and_quotes_little() {
        let error = text_of(r#"{"settings":{"backoffLimit":"many"}}"#).read::<JobRequestSpec>().unwrap_err();
        assert!(
            error.starts_with("does not fit the schema of this version: settings.backoffLimit: invalid type"),
            "{error}"
        );
        assert_eq!(
            error,
            "does not fit the schema of this version: settings.backoffLimit: invalid type: string, expected i32"
        );
        let odd = r#"{"restartPolicy":"secret, expected `x`"}"#;
        let error = text_of(odd).read::<JobRequestSpec>().unwrap_err();
        assert!(
            error.contains("restartPolicy: unknown variant, expected") && !error.contains("secret"),
            "{error}"
        );
        let long = format!(r#"{{"settings":{{"backoffLimit":"{}"}}}}"#, "x".repeat(1_000_000));
        assert!(text_of(&long).read::<JobRequestSpec>().unwrap_err().len() < 700);
    }

    #[test]
    fn what_a_refused_part_sets_is_known() {
        let deep = nested(500, r#"{"a":"#, "}");
        for (json, sets) in [
            (format!(r#"{{"base":{deep},"default":true}}"#), true),
            (format!(r#"{{"default":true,"base":{deep}}}"#), true),
            (format!(r#"{{"default":"yes","base":{deep}}}"#), true),
            (format!(r#"{{"base":{deep},"default":{deep}}}"#), true),
            (format!(r#"{{"base":{deep},"default":false}}"#), false),
            (format!(r#"{{"default":null,"base":{deep}}}"#), false),
            (format!(r#"{{"base":{deep},"policy":{{"default":true}}}}"#), false),
            (r#"{"default":true}"#.to_owned(), true),
            (r#"{"default":7,"base":9}"#.to_owned(), true),
            (r#"{"default":false,"base":9}"#.to_owned(), false),
            ("{}".to_owned(), false),
            ("null".to_owned(), false),
        ] {
            assert_eq!(text_of(&json).sets("default"), sets, "{json}");
        }
    }
}
