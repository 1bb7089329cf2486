//! A part of an object as JSON text: taken from the wire whatever it holds, read when it is needed.
//!
//! Users store what they like, and a list is one document: an object that could not be parsed would keep all others from
//! being seen. So nothing in such a part is an error here. What is nested too deeply, or has too many values, is passed
//! over without recursion and without being kept, and reading it says so.

mod capture;
mod error;
mod truth;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use capture::Capture;
pub use error::JsonTextError;
use truth::Truth;

/// Deepest nesting of maps and lists in a spec or a status. A Job's own fields take some 15 levels.
pub const MAX_DEPTH: usize = 100;
/// Maximum number of values in a spec or a status, counting maps and lists: many small ones take up to a hundred times
/// their text when they are read.
pub const MAX_VALUES: usize = 30_000;

/// See the module. The text is empty when the part is absent or null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonText(Result<Box<str>, Box<Refused>>);

/// A part that is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refused {
    why: JsonTextError,
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

    /// Why it is not kept, if it goes beyond the bounds.
    #[must_use]
    pub fn refusal(&self) -> Option<&JsonTextError> {
        self.0.as_ref().err().map(|refused| &refused.why)
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
    /// Why it cannot be read.
    pub fn read<T: DeserializeOwned + Default>(&self) -> Result<T, JsonTextError> {
        let text = self.0.as_ref().map_err(|refused| refused.why.clone())?;
        if text.is_empty() {
            return Ok(T::default());
        }
        if let Ok(read) = serde_json::from_str(text) {
            return Ok(read);
        }
        // Once more, for the path of what does not fit.
        let value: Value =
            serde_json::from_str(text).map_err(|error| JsonTextError::misfit(&error.to_string()))?;
        serde_path_to_error::deserialize(value).map_err(|error| JsonTextError::misfit(&error.to_string()))
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let capture = Capture::take(deserializer)?;
        Ok(Self(match capture.refusal {
            Some(why) => Err(Box::new(Refused { why, set: capture.set })),
            None if capture.text == b"null" => Ok(Box::default()),
            // What was written is JSON, which is UTF-8.
            None => Ok(String::from_utf8(capture.text).unwrap_or_default().into_boxed_str()),
        }))
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
                let error = text_of(&nested(levels, open, close)).read::<Value>().unwrap_err().to_string();
                assert!(error.starts_with("is nested deeper than 100 levels"), "{error}");
            }
        }
        let error = text_of(&format!(r#"{{"alias":"x","overrides":{{"b":{}}}}}"#, nested(200, "[", "]")));
        assert_eq!(error.read::<JobRequestSpec>(), Err(JsonTextError::TooDeep("overrides.b".into())));
    }

    #[test]
    fn many_small_values_are_refused_before_they_are_read() {
        let many = |count: usize| format!(r#"{{"overrides":{{"x":[{}0]}}}}"#, r#"{"a":0},"#.repeat(count));
        assert!(text_of(&many(1000)).read::<Value>().is_ok());
        assert_eq!(text_of(&many(150_000)).read::<Value>(), Err(JsonTextError::TooManyValues));
    }

    #[test]
    fn why_it_cannot_be_read_names_the_place_and_quotes_little() {
        let error = text_of(r#"{"settings":{"backoffLimit":"many"}}"#)
            .read::<JobRequestSpec>()
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("does not fit the schema of this version: settings.backoffLimit: invalid type"),
            "{error}"
        );
        assert_eq!(
            error,
            "does not fit the schema of this version: settings.backoffLimit: invalid type: string, expected i32"
        );
        let odd = r#"{"restartPolicy":"secret, expected `x`"}"#;
        let error = text_of(odd).read::<JobRequestSpec>().unwrap_err().to_string();
        assert!(
            error.contains("restartPolicy: unknown variant, expected") && !error.contains("secret"),
            "{error}"
        );
        let long = format!(r#"{{"settings":{{"backoffLimit":"{}"}}}}"#, "x".repeat(1_000_000));
        assert!(text_of(&long).read::<JobRequestSpec>().unwrap_err().to_string().len() < 700);
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
