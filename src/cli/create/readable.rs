//! A JobRequest with its fields in the order in which people write them: the document in, what is written of it out.

use serde::Serialize;
use serde_json::Value;

use crate::api::JobRequestSpec;

/// A document, to be written.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Readable<'a> {
    /// In the order of the types of the API.
    Ordered(Box<Ordered<'a>>),
    /// As it is, because the types would write something else.
    AsItIs(&'a Value),
}

/// The parts of a JobRequest that nobody has stored.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ordered<'a> {
    api_version: &'a Value,
    kind: &'a Value,
    metadata: &'a Value,
    spec: JobRequestSpec,
}

impl<'a> Readable<'a> {
    /// The same document.
    pub(super) fn new(object: &'a Value) -> Self {
        Self::ordered(object).map_or(Self::AsItIs(object), |ordered| Self::Ordered(Box::new(ordered)))
    }

    fn ordered(object: &'a Value) -> Option<Ordered<'a>> {
        let spec = serde_json::from_value(object.get("spec")?.clone()).ok()?;
        let ordered = Ordered {
            api_version: object.get("apiVersion")?,
            kind: object.get("kind")?,
            metadata: object.get("metadata")?,
            spec,
        };
        (serde_json::to_value(&ordered).ok()? == *object).then_some(ordered)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_added_or_lost() {
        let object = |spec: Value| json!({"apiVersion": "a", "kind": "b", "metadata": {}, "spec": spec});
        for (spec, is_ordered) in [
            (json!({"containers": [{"name": "main", "image": "perl:5"}], "alias": "a"}), true),
            (json!({}), true),
            // A type would add its default, or write a number as text.
            (json!({"templateRef": {"name": "x"}}), false),
            (json!({"containers": [{"name": "a", "resources": {"limits": {"cpu": 1}}}]}), false),
        ] {
            let object = object(spec);
            let readable = Readable::new(&object);
            assert_eq!(matches!(readable, Readable::Ordered(_)), is_ordered, "{object}");
            assert_eq!(serde_json::to_value(&readable).unwrap(), object);
        }
    }
}
