//! Pieces of schema that several types share: patterns, bounds and CEL rules, each with its plain message.
//!
//! The bounds are part of the contract: CEL's cost budget needs them. Raising one later is compatible, lowering
//! is not.

use kube::core::{Message, Rule};
use schemars::{Schema, SchemaGenerator, json_schema};

/// DNS-1123 label, as container, volume and port names and `metadata.name` are.
pub(super) const DNS_LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// DNS-1123 subdomain, as names of most Kubernetes objects are.
pub(super) const DNS_SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// Name of an environment variable: printable ASCII without `=`, as the API server has it.
pub(super) const ENV_NAME: &str = "^[ -<>-~]+$";
/// Key of a ConfigMap or Secret.
pub(super) const CONFIG_KEY: &str = "^[-._a-zA-Z0-9]+$";
/// A relative path without `..` at its start; `..` further on is refused by a CEL rule.
pub(super) const NO_PARENT: &str = "!self.matches('(^|/)[.][.](/|$)') && !self.startsWith('/')";

const QUALIFIED_KEY: &str = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
const LABEL_VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";

/// Keys of a label or annotation map are well-formed qualified names.
pub(super) fn well_formed_keys(field: &str) -> Rule {
    Rule::new(format!("self.all(k, size(k) <= 317 && k.matches('{QUALIFIED_KEY}'))")).message(Message::Message(format!(
        "{field}: a key is [prefix/]name, the name at most 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit"
    )))
}

/// Values of a label map are well-formed.
pub(super) fn well_formed_values(field: &str) -> Rule {
    Rule::new(format!("self.all(k, self[k].matches('{LABEL_VALUE}'))")).message(Message::Message(format!(
        "{field}: a value is at most 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit"
    )))
}

/// No key of a label or annotation map lies under a prefix which the operator or Kubernetes keeps.
pub(super) fn unreserved(field: &str) -> Rule {
    Rule::new(
        "self.all(k, !k.startsWith('jobrequest.dev/') && !k.startsWith('batch.kubernetes.io/') && !k.startsWith('kubernetes.io/') && !k.startsWith('k8s.io/') && k != 'app.kubernetes.io/managed-by')",
    )
    .message(Message::Message(format!(
        "{field}: the prefixes jobrequest.dev/, batch.kubernetes.io/, kubernetes.io/ and k8s.io/ and the key app.kubernetes.io/managed-by are reserved; choose another key"
    )))
}

/// A map of strings with at most `entries` entries and values of at most `length` characters.
fn string_map(entries: u32, length: u32) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": entries,
        "additionalProperties": {"type": "string", "maxLength": length}
    })
}

/// Labels: at most 64, values of at most 63 characters.
pub(super) fn label_map(_: &mut SchemaGenerator) -> Schema {
    string_map(64, 63)
}

/// Annotations: at most 64, values of at most 32,768 characters.
pub(super) fn annotation_map(_: &mut SchemaGenerator) -> Schema {
    string_map(64, 32_768)
}

/// Node selector: at most 32 labels.
pub(super) fn selector_map(_: &mut SchemaGenerator) -> Schema {
    string_map(32, 63)
}

/// One quantity: a string such as `500m` or a whole number.
pub(super) fn quantity(_: &mut SchemaGenerator) -> Schema {
    quantity_schema()
}

/// Amounts by resource name: at most 16.
pub(super) fn quantity_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": quantity_schema()
    })
}

fn quantity_schema() -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "maxLength": 64,
        "pattern": r"^(\+)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
    })
}
