//! SARIF 2.1.0, the format of code scanning: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{all, file, message, object};
use crate::manifest::Inspected;
use crate::manifest::diagnostic::{Diagnostic, Rule};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// Where the rules and the program are described.
const INFORMATION: &str = "https://jobrequest.dev";
/// The name of the fingerprint. It changes with the way in which it is computed.
const FINGERPRINT: &str = "jobrequest/v1";

/// A log with one run.
#[must_use]
pub fn sarif(inspected: &Inspected) -> Value {
    let mut known = HashMap::new();
    let results: Vec<_> = all(inspected).map(|diagnostic| result(diagnostic, &mut known)).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "jobrequest",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": INFORMATION,
                "rules": Rule::ALL.map(rule),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(rule: Rule) -> Value {
    json!({
        "id": rule.id(),
        "shortDescription": {"text": rule.description()},
        "help": {"text": rule.description()},
        "defaultConfiguration": {"level": rule.severity().as_str()},
    })
}

/// `known` counts the results that are alike but for their line.
fn result(diagnostic: &Diagnostic, known: &mut HashMap<String, usize>) -> Value {
    let fingerprint = fingerprint(diagnostic);
    let number = known.entry(fingerprint.clone()).or_default();
    *number += 1;
    let mut location = json!({"physicalLocation": {
        "artifactLocation": {"uri": uri(&diagnostic.source.name)},
        "region": {"startLine": diagnostic.at.line, "startColumn": diagnostic.at.column},
    }});
    let object = object(diagnostic);
    if let (Some(object), Some(fields)) = (&object, location.as_object_mut()) {
        let name = json!([{"fullyQualifiedName": object, "kind": "object"}]);
        fields.insert("logicalLocations".to_owned(), name);
    }
    let message = message(diagnostic);
    let message = match object {
        Some(object) => format!("{object}: {message}"),
        None => message,
    };
    json!({
        "ruleId": diagnostic.rule.id(),
        "ruleIndex": Rule::ALL.iter().position(|rule| *rule == diagnostic.rule),
        "level": diagnostic.rule.severity().as_str(),
        "message": {"text": message},
        "locations": [location],
        "partialFingerprints": {FINGERPRINT: format!("{fingerprint}:{number}")},
    })
}

/// The same for the same problem of the same field when lines have moved. Messages may name lines, so they do not count.
fn fingerprint(diagnostic: &Diagnostic) -> String {
    let namespace = diagnostic.namespace.as_deref().unwrap_or_default();
    let mut hash = Sha256::new();
    for part in [
        diagnostic.rule.id(),
        file(&diagnostic.source.name),
        namespace,
        &diagnostic.object,
        &diagnostic.field,
    ] {
        hash.update(part);
        // In no name of a file, object or field that can be read.
        hash.update([0]);
    }
    hash.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A file as a URI: relative to where the command ran, or absolute.
fn uri(name: &str) -> String {
    let name = file(name);
    let mut uri = String::from(if name.starts_with('/') { "file://" } else { "" });
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}
