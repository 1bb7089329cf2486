//! Pieces of schema that several types share: names, quantities, maps and paths, each with its bound and a CEL rule
//! whose message is a plain sentence. (A `pattern` would be refused by quoting the regular expression.)
//!
//! The bounds are part of the contract: CEL's cost budget needs them. Raising one later is compatible, lowering
//! is not.

use kube::core::Rule;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

const DNS_LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
const DNS_SUBDOMAIN: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// `[prefix/]name`; CEL checks the length of the prefix apart.
const QUALIFIED_NAME: &str = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
const LABEL_VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";
/// What the API server can parse and is not negative. An exponent has at most two digits: comparing larger ones is
/// a way to keep the API server busy, and no amount needs them.
const QUANTITY: &str = "^[+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]{1,2})?$";

/// A key `k` that neither the operator nor the Job controller writes itself. Everything else is the user's, also below
/// `kubernetes.io/`; `app.kubernetes.io/managed-by` passes, since every chart's labels carry it, and loses.
const UNRESERVED: &str =
    "!k.matches('^((jobrequest[.]dev|batch[.]kubernetes[.]io)/.*|controller-uid|job-name)$')";

/// How a rule begins that holds for each key of a map by itself.
pub const OF_EACH_KEY: &str = "self.all(k, ";

/// Maximum length of the value of a variable, an argument or an annotation.
const MAX_VALUE_LENGTH: u32 = 32_768;

/// A string of at most `length` characters that `rule` accepts; `message` follows the field's path.
fn text(length: u32, rule: &str, message: &str) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": length,
        "x-kubernetes-validations": [{"rule": rule, "message": message}]
    })
}

fn matching(length: u32, pattern: &str, message: &str) -> Schema {
    text(length, &format!("self.matches('{pattern}')"), message)
}

/// DNS-1123 label of at most 63 characters, as names of containers and volumes are.
pub(super) fn dns_label(_: &mut SchemaGenerator) -> Schema {
    matching(63, DNS_LABEL, "must be lower-case letters, digits and '-', with a letter or digit at both ends")
}

/// DNS-1123 subdomain of at most 253 characters, as names of most Kubernetes objects are.
pub(super) fn dns_subdomain(_: &mut SchemaGenerator) -> Schema {
    subdomain(253)
}

/// The same of at most 63 characters, as names of CSI drivers are.
pub(super) fn dns_subdomain_63(_: &mut SchemaGenerator) -> Schema {
    subdomain(63)
}

fn subdomain(length: u32) -> Schema {
    matching(
        length,
        DNS_SUBDOMAIN,
        "must be lower-case letters, digits, '-' and '.', with a letter or digit at both ends of each part",
    )
}

/// Names of objects, at most 32, none twice.
pub(super) fn object_names(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "set",
        "items": dns_subdomain(generator)
    })
}

/// `metadata.name` of a JobRequest: the run number and the pods' suffixes follow it.
pub(super) fn request_name() -> Rule {
    Rule::new(format!("size(self.metadata.name) <= 52 && self.metadata.name.matches('{DNS_LABEL}')"))
        .field_path(".metadata.name")
        .message("must be at most 52 lower-case letters, digits and '-', beginning and ending with a letter or digit: the run number and the pods' suffixes follow it")
}

/// Name for people: any text of 1 to 63 characters that is not blank.
pub(super) fn alias(_: &mut SchemaGenerator) -> Schema {
    text(63, "size(self.trim()) > 0", "must not be blank; leave it out for none")
}

/// Reference of an image.
pub(super) fn image(_: &mut SchemaGenerator) -> Schema {
    matching(1024, r"^[^\\s]+$", "must be an image such as perl:5.24.4, without white space")
}

/// Name of a port.
pub(super) fn port_name(_: &mut SchemaGenerator) -> Schema {
    text(
        15,
        "self.matches('^[a-z0-9]+(-[a-z0-9]+)*$') && self.matches('[a-z]')",
        "must be lower-case letters, digits and single '-', beginning and ending with a letter or digit, with at least one letter",
    )
}

/// Name of an environment variable, as the API server has it since 1.34.
pub(super) fn env_name(_: &mut SchemaGenerator) -> Schema {
    matching(253, "^[ -<>-~]+$", "must be printable ASCII characters without '='")
}

/// Prefix of the names of environment variables; may be empty.
pub(super) fn env_prefix(_: &mut SchemaGenerator) -> Schema {
    matching(253, "^[ -<>-~]*$", "must be printable ASCII characters without '='")
}

/// Key of a ConfigMap or Secret.
pub(super) fn config_key(_: &mut SchemaGenerator) -> Schema {
    text(
        253,
        "self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",
        "must be letters, digits, '-', '_' and '.', and neither be '.' nor begin with '..'",
    )
}

/// Path of a mount.
pub(super) fn mount_path(_: &mut SchemaGenerator) -> Schema {
    matching(1024, "^[^:]+$", "must be a path in the container such as /data, without ':'")
}

/// Path below the root of a volume; empty is the root itself.
pub(super) fn sub_path(_: &mut SchemaGenerator) -> Schema {
    text(
        1024,
        "!self.startsWith('/') && !self.matches('(^|/)[.][.](/|$)')",
        "must be a path within the volume: not beginning with '/', and without '..' as a part",
    )
}

/// Path of a file in a volume of a ConfigMap or Secret.
pub(super) fn file_path(_: &mut SchemaGenerator) -> Schema {
    text(
        1024,
        "self != '' && !self.startsWith('/') && !self.startsWith('..') && !self.matches('/[.][.](/|$)')",
        "must be a path within the volume: not empty, not beginning with '/' or '..', and without '..' as a part",
    )
}

/// Key of a label: `[prefix/]name`.
pub(super) fn label_key(_: &mut SchemaGenerator) -> Schema {
    text(
        317,
        &format!("self.matches('{QUALIFIED_NAME}') && self.indexOf('/') <= 253"),
        "must be a label's key, [prefix/]name: the name at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, the prefix a DNS name",
    )
}

/// The same, or empty.
pub(super) fn label_key_or_empty(_: &mut SchemaGenerator) -> Schema {
    text(
        317,
        &format!("self == '' || (self.matches('{QUALIFIED_NAME}') && self.indexOf('/') <= 253)"),
        "must be a key, [prefix/]name: the name at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, the prefix a DNS name",
    )
}

/// Effect of a taint.
pub(super) fn taint_effect(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]})
}

/// Path of a field below spec.
pub(super) fn path() -> Schema {
    text(
        253,
        r"self.matches('^[A-Za-z]+([.][-A-Za-z0-9_]+|\\[[^\\[\\]]+\\])*$')",
        "must be the path of a field below spec, such as restartPolicy, settings.backoffLimit or labels[tier]",
    )
}

/// Paths of fields below spec: at most 64, none twice.
pub(super) fn paths(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 64, "x-kubernetes-list-type": "set", "items": path()})
}

/// A field of a pod that can become a variable. Keys are judged after merging: here CEL's cost budget has no room.
pub(super) fn variable_field(_: &mut SchemaGenerator) -> Schema {
    text(
        384,
        "self in ['metadata.name', 'metadata.namespace', 'metadata.uid', 'spec.nodeName', 'spec.serviceAccountName', 'status.hostIP', 'status.hostIPs', 'status.podIP', 'status.podIPs'] || ((self.startsWith(\"metadata.labels['\") || self.startsWith(\"metadata.annotations['\")) && self.endsWith(\"']\"))",
        "must be metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY'], spec.nodeName, spec.serviceAccountName, status.hostIP, status.hostIPs, status.podIP or status.podIPs",
    )
}

/// A text that is judged after merging: a rule here would exceed CEL's cost budget, so deep are its lists.
fn judged_later(length: u32) -> Schema {
    json_schema!({"type": "string", "maxLength": length})
}

/// A field of a pod that can become a file.
pub(super) fn file_field(_: &mut SchemaGenerator) -> Schema {
    judged_later(384)
}

/// Path of a file in a volume of several sources.
pub(super) fn projected_path(_: &mut SchemaGenerator) -> Schema {
    judged_later(1024)
}

/// Keys as files in a volume of several sources.
pub(super) fn projected_items(_: &mut SchemaGenerator) -> Schema {
    let described = |length: u32, description: &str| json!({"type": "string", "maxLength": length, "description": description});
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "object",
            "required": ["key", "path"],
            "properties": {
                "key": described(253, "Key within the object."),
                "path": described(1024, "Path of the file within the volume: relative, without '..'.")
            }
        }
    })
}

/// A request or limit of a container.
pub(super) fn resource_field(_: &mut SchemaGenerator) -> Schema {
    matching(
        128,
        "^(limits|requests)[.](cpu|memory|ephemeral-storage|hugepages-[0-9]+[KMG]i)$",
        "must be limits or requests of cpu, memory, ephemeral-storage or hugepages-SIZE, for example limits.cpu",
    )
}

/// No port is listed twice. The protocol has no default in the schema, so the list has no keys of its own.
pub(super) fn distinct_ports(schema: &mut Schema) {
    let is_udp = |port: &str| format!("(has({port}.protocol) && {port}.protocol == 'UDP')");
    let rule =
        format!("self.all(p, self.exists_one(q, q.port == p.port && {} == {}))", is_udp("q"), is_udp("p"));
    schema.insert(
        "x-kubernetes-validations".to_owned(),
        json!([{"rule": rule, "message": "a port is listed twice; a number may occur once for each protocol (TCP, if none is set)"}]),
    );
}

/// Where an emptyDir is stored.
pub(super) fn medium(_: &mut SchemaGenerator) -> Schema {
    matching(
        63,
        "^(Memory|HugePages(-[0-9]+[KMG]i)?)?$",
        "must be Memory, HugePages or HugePages-SIZE, for example HugePages-2Mi; leave it out for the node's disk",
    )
}

/// A set of indexes.
pub(super) fn indexes(_: &mut SchemaGenerator) -> Schema {
    matching(
        65_536,
        "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$",
        "must be indexes and ranges of them, for example 0,2-4",
    )
}

/// Status of a pod condition.
pub(super) fn condition_status(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["True", "False", "Unknown"]})
}

/// Arguments of a program: at most 256, replaced as a whole.
pub(super) fn arguments(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 256,
        "x-kubernetes-list-type": "atomic",
        "items": {"type": "string", "maxLength": MAX_VALUE_LENGTH}
    })
}

/// Labels: at most 64.
pub(super) fn label_map(_: &mut SchemaGenerator) -> Schema {
    string_map(64, &label_value(), &[well_formed_keys(), unreserved_keys()])
}

/// Annotations: at most 64.
pub(super) fn annotation_map(_: &mut SchemaGenerator) -> Schema {
    string_map(64, &any_value(), &[well_formed_keys(), unreserved_keys()])
}

/// Node selector: at most 32 labels, of any prefix.
pub(super) fn selector_map(_: &mut SchemaGenerator) -> Schema {
    string_map(32, &label_value(), &[well_formed_keys()])
}

/// Labels or annotations in `overrides`: only what the operator owns is refused, the API server judges the rest.
/// Directives of a strategic merge patch (`$patch`) pass.
pub(super) fn overriding_map(description: &str) -> Value {
    let rule = json!({
        "rule": format!("self.all(k, {UNRESERVED})"),
        "message": "a key is reserved for the operator or the Job controller; choose another key"
    });
    let mut map = string_map(64, &any_value(), &[rule]);
    map.insert("description".to_owned(), description.into());
    map.to_value()
}

fn string_map(entries: u32, value: &Value, rules: &[Value]) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": entries,
        "additionalProperties": value,
        "x-kubernetes-validations": rules
    })
}

/// A map of at most `entries` by names that are DNS labels.
pub(super) fn named_map(entries: u32, value: Schema) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": entries,
        "additionalProperties": value.to_value(),
        "x-kubernetes-validations": [{
            "rule": format!("self.all(k, size(k) <= 63 && k.matches('{DNS_LABEL}'))"),
            "message": "a name must be at most 63 lower-case letters, digits and '-', beginning and ending with a letter or digit"
        }]
    })
}

fn label_value() -> Value {
    let rule = format!("self.matches('{LABEL_VALUE}')");
    json!({"type": "string", "maxLength": 63, "x-kubernetes-validations": [
        {"rule": rule, "message": "must be letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, or empty"}
    ]})
}

fn any_value() -> Value {
    json!({"type": "string", "maxLength": MAX_VALUE_LENGTH})
}

/// Keys of a map are well-formed qualified names. The message names all that are not.
fn well_formed_keys() -> Value {
    let well_formed = format!("k.matches('{QUALIFIED_NAME}') && k.indexOf('/') <= 253");
    let advice = "a key is [prefix/]name: the name at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, the prefix a DNS name";
    key_rule(&well_formed, "not well-formed", advice)
}

/// No key of a map is reserved. The message names all that are.
fn unreserved_keys() -> Value {
    key_rule(
        UNRESERVED,
        "reserved",
        "jobrequest.dev/, batch.kubernetes.io/, controller-uid and job-name belong to the operator and the Job controller; choose another key",
    )
}

/// The message names one key that breaks the rule: CEL's cost budget has no room for all. Tools that do not evaluate the
/// expression show the plain message; `validate` names every key, at its place.
fn key_rule(accepted: &str, verdict: &str, advice: &str) -> Value {
    let literal = advice.replace('\'', "\\'");
    let broken = format!("self.filter(k, !({accepted}))");
    json!({
        "rule": format!("{OF_EACH_KEY}{accepted})"),
        "message": format!("a key is {verdict}; {advice}"),
        "messageExpression": format!("'{verdict}: ' + {broken}[0] + '; {literal}'")
    })
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
        "x-kubernetes-validations": [{
            "rule": format!("string(self).matches('{QUANTITY}')"),
            "message": "must be a quantity such as 2, 500m, \"0.5\", 64Mi or 2Gi, and not negative"
        }]
    })
}

/// No request is above its limit, where both are set and the limit is not 0. Amounts that another rule refuses
/// are left to that rule.
pub(super) fn requests_within_limits() -> Rule {
    Rule::new(
        "!has(self.requests) || !has(self.limits) || self.requests.all(k, !(k in self.limits) || ![self.requests[k], self.limits[k]].all(q, !string(q).matches('[eE][-+]?[0-9]{3}') && isQuantity(string(q))) || quantity(string(self.limits[k])).compareTo(quantity('0')) == 0 || quantity(string(self.requests[k])).compareTo(quantity(string(self.limits[k]))) <= 0)",
    )
    .message("a request is above its limit; lower the request, raise the limit, or set the limit to 0 for none")
}

/// Removes the description of a type, so that the one of its field is shown.
pub(super) fn undescribed(schema: &mut Schema) {
    schema.remove("description");
}
