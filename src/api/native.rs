//! Fields that have the shape which Kubernetes gives them: security settings, probes, tolerations, and the volumes of
//! nodes and of other systems.
//!
//! Their types are those of Kubernetes. Their schemas are written here, because those of Kubernetes have no bounds,
//! and CEL's cost budget needs bounds.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::rules;

/// Largest number that the API server accepts in an `int32` field.
const MAX_INT32: i64 = 2_147_483_647;

/// A field of an object: its name and its schema.
type Field = (&'static str, Value);

/// An object of exactly these fields.
fn object(required: &[&str], fields: impl IntoIterator<Item = Field>) -> Map<String, Value> {
    let properties: Map<String, Value> =
        fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let mut object = Map::from_iter([
        ("type".to_owned(), json!("object")),
        ("properties".to_owned(), Value::Object(properties)),
    ]);
    if !required.is_empty() {
        object.insert("required".to_owned(), json!(required));
    }
    object
}

/// `fields` with what `more` has on top.
fn with(mut fields: Map<String, Value>, more: Value) -> Value {
    if let Value::Object(more) = more {
        fields.extend(more);
    }
    Value::Object(fields)
}

fn described(schema: Schema, description: &str) -> Value {
    let mut schema = schema.to_value();
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("description".to_owned(), description.into());
    }
    schema
}

fn text(length: u32, description: &str) -> Value {
    json!({"type": "string", "maxLength": length, "description": description})
}

fn one_of(values: &[&str], description: &str) -> Value {
    json!({"type": "string", "enum": values, "description": description})
}

fn flag(description: &str) -> Value {
    json!({"type": "boolean", "description": description})
}

fn number(minimum: i64, maximum: i64, description: &str) -> Value {
    json!({"type": "integer", "minimum": minimum, "maximum": maximum, "description": description})
}

fn texts(items: u32, length: u32, description: &str) -> Value {
    json!({
        "type": "array",
        "maxItems": items,
        "x-kubernetes-list-type": "atomic",
        "items": {"type": "string", "maxLength": length},
        "description": description
    })
}

fn rule(rule: &str, message: &str) -> Value {
    json!({"rule": rule, "message": message})
}

fn schema(value: Value) -> Schema {
    Schema::try_from(value).unwrap_or_default()
}

/// The users that a pod or container runs as: three fields that both have.
fn users() -> [Field; 3] {
    [
        ("runAsUser", number(0, MAX_INT32, "User ID of the programs. Default: the image's.")),
        ("runAsGroup", number(0, MAX_INT32, "Primary group ID of the programs. Default: the runtime's.")),
        (
            "runAsNonRoot",
            flag(
                "True: the node refuses to start a program as root. Default: false; true with podSecurity restricted.",
            ),
        ),
    ]
}

/// Security settings of a container.
pub(super) fn security_context(_: &mut SchemaGenerator) -> Schema {
    let capabilities = object(
        &[],
        [
            ("add", texts(64, 63, "Capabilities to add, for example NET_BIND_SERVICE.")),
            (
                "drop",
                texts(
                    64,
                    63,
                    "Capabilities to drop, or ALL. Default: none; ALL with podSecurity restricted.",
                ),
            ),
        ],
    );
    let own = [
        (
            "readOnlyRootFilesystem",
            flag("True: the program cannot write to the image's files. Default: false."),
        ),
        (
            "allowPrivilegeEscalation",
            flag(
                "Whether a program may gain more rights than its parent. Default: the runtime's; false with podSecurity restricted.",
            ),
        ),
        ("privileged", flag("True: the rights of root on the node. Default: false.")),
        (
            "capabilities",
            with(
                capabilities,
                json!({"description": "Capabilities of the program. Default: the runtime's."}),
            ),
        ),
    ];
    schema(with(
        object(&[], users().into_iter().chain(own)),
        json!({"x-kubernetes-validations": [rule(
            "!has(self.privileged) || !self.privileged || !has(self.allowPrivilegeEscalation) || self.allowPrivilegeEscalation",
            "a privileged container may always gain more rights; leave allowPrivilegeEscalation out, or privileged"
        )]}),
    ))
}

/// Security settings of a pod.
pub(super) fn pod_security_context(_: &mut SchemaGenerator) -> Schema {
    let groups = json!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "atomic",
        "items": {"type": "integer", "minimum": 0, "maximum": MAX_INT32},
        "description": "Further groups of the programs, at most 32. Default: those of the image."
    });
    let own = [
        (
            "fsGroup",
            number(
                0,
                MAX_INT32,
                "Group that owns the files of volumes, so that programs of any user may write them. Default: none.",
            ),
        ),
        (
            "fsGroupChangePolicy",
            one_of(
                &["Always", "OnRootMismatch"],
                "When the group of a volume's files is changed: Always, or OnRootMismatch (only if that of its root differs, which is faster). Default: Always.",
            ),
        ),
        ("supplementalGroups", groups),
    ];
    schema(Value::Object(object(&[], users().into_iter().chain(own))))
}

/// What must be true before a container counts as started. Its handler is a choice: a layer replaces the whole probe.
pub(super) fn probe(_: &mut SchemaGenerator) -> Schema {
    let port = |description: &str| {
        json!({
            "x-kubernetes-int-or-string": true,
            "maxLength": 15,
            "description": description
        })
    };
    let http = object(
        &["port"],
        [
            ("path", text(1024, "Path of the request. Default: /.")),
            ("port", port("Number or name of the port.")),
            ("scheme", one_of(&["HTTP", "HTTPS"], "HTTP or HTTPS. Default: HTTP.")),
        ],
    );
    let tcp = object(&["port"], [("port", port("Number or name of the port."))]);
    let grpc = object(
        &["port"],
        [
            ("port", number(1, 65_535, "Number of the port.")),
            ("service", text(253, "Name of the service in the request. Default: empty.")),
        ],
    );
    let exec = object(
        &[],
        [(
            "command",
            texts(64, 4096, "Program and arguments; no shell is involved. Exit code 0 is success."),
        )],
    );
    let described = |fields, description: &str| with(fields, json!({"description": description}));
    let fields = [
        ("exec", described(exec, "Runs a program in the container.")),
        ("httpGet", described(http, "Sends an HTTP request; a status from 200 to 399 is success.")),
        ("tcpSocket", described(tcp, "Opens a TCP connection.")),
        ("grpc", described(grpc, "Sends a gRPC health check.")),
        ("initialDelaySeconds", number(0, MAX_INT32, "Seconds before the first attempt. Default: 0.")),
        ("periodSeconds", number(1, MAX_INT32, "Seconds from one attempt to the next. Default: 10.")),
        ("timeoutSeconds", number(1, MAX_INT32, "Seconds after which an attempt has failed. Default: 1.")),
        (
            "failureThreshold",
            number(1, MAX_INT32, "How many failed attempts in a row restart the container. Default: 3."),
        ),
    ];
    schema(with(
        object(&[], fields),
        json!({
            "x-kubernetes-map-type": "atomic",
            "x-kubernetes-validations": [rule(
                "[has(self.exec), has(self.httpGet), has(self.tcpSocket), has(self.grpc)].filter(x, x).size() == 1",
                "set exactly one of exec, httpGet, tcpSocket and grpc"
            )]
        }),
    ))
}

/// Taints of nodes that pods accept. A list without keys: a layer replaces all of it.
pub(super) fn tolerations(generator: &mut SchemaGenerator) -> Schema {
    let fields = [
        (
            "key",
            described(
                rules::label_key_or_empty(generator),
                "Key of the taint. Default: any, with operator Exists.",
            ),
        ),
        (
            "operator",
            one_of(
                &["Equal", "Exists"],
                "Equal (the taint has this value) or Exists (any value). Default: Equal.",
            ),
        ),
        ("value", text(63, "Value of the taint. Default: empty.")),
        (
            "effect",
            one_of(
                &["NoSchedule", "PreferNoSchedule", "NoExecute"],
                "NoSchedule, PreferNoSchedule or NoExecute. Default: any.",
            ),
        ),
        (
            "tolerationSeconds",
            json!({"type": "integer", "description": "Seconds that a pod stays on a node which gets the taint; effect NoExecute only. Default: as long as it runs."}),
        ),
    ];
    let item = with(
        object(&[], fields),
        json!({"x-kubernetes-validations": [
            rule(
                "!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''",
                "operator Exists matches any value; leave value out, or use operator Equal"
            ),
            rule(
                "(has(self.key) && self.key != '') || (has(self.operator) && self.operator == 'Exists')",
                "without a key, operator must be Exists: it then matches every taint"
            ),
            rule(
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                "tolerationSeconds requires effect NoExecute"
            )
        ]}),
    );
    json_schema!({"type": "array", "maxItems": 32, "x-kubernetes-list-type": "atomic", "items": item})
}

/// A file or directory of the node.
pub(super) fn host_path(_: &mut SchemaGenerator) -> Schema {
    let types =
        ["", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"];
    let path = json!({
        "type": "string", "minLength": 1, "maxLength": 1024,
        "x-kubernetes-validations": [rule("!self.matches('(^|/)[.][.](/|$)')", "must not contain '..' as a part")],
        "description": "Path on the node."
    });
    let kind =
        one_of(&types, "What must be there, for example Directory or FileOrCreate. Default: not checked.");
    schema(Value::Object(object(&["path"], [("path", path), ("type", kind)])))
}

/// A directory of an NFS server.
pub(super) fn nfs(_: &mut SchemaGenerator) -> Schema {
    let path = json!({
        "type": "string", "maxLength": 1024,
        "x-kubernetes-validations": [rule("self.startsWith('/')", "must begin with '/'")],
        "description": "Exported directory."
    });
    let fields = [
        (
            "server",
            json!({"type": "string", "minLength": 1, "maxLength": 253, "description": "Host name or address of the server."}),
        ),
        ("path", path),
        ("readOnly", flag("True: no container can write to it. Default: false.")),
    ];
    schema(Value::Object(object(&["server", "path"], fields)))
}

/// A volume that a CSI driver makes for each pod.
pub(super) fn csi(generator: &mut SchemaGenerator) -> Schema {
    let attributes = json!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 4096},
        "description": "Settings of the driver, at most 64."
    });
    let secret = object(
        &["name"],
        [(
            "name",
            described(
                rules::dns_subdomain(generator),
                "Name of the Secret, in the namespace of the JobRequest.",
            ),
        )],
    );
    let fields = [
        (
            "driver",
            described(
                rules::dns_subdomain_63(generator),
                "Name of the driver, for example secrets-store.csi.k8s.io.",
            ),
        ),
        ("readOnly", flag("True: no container can write to it. Default: false.")),
        ("fsType", text(63, "File system. Default: the driver's.")),
        ("volumeAttributes", attributes),
        (
            "nodePublishSecretRef",
            with(secret, json!({"description": "Secret with credentials for the driver."})),
        ),
    ];
    schema(Value::Object(object(&["driver"], fields)))
}
