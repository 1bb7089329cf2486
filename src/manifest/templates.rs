//! The templates in the input, and those that apply to a request.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::document::Document;
use crate::api::JobRequest;
use crate::api::json_text::JsonText;
use crate::api::template_ref::{TemplateKind, TemplateRef};
use crate::compile::{Builtin, Layers, ScopedTemplate, Template, in_scope, read_spec, select};

/// The template that a document holds; `value` is the document with defaults, `namespace` that of objects that set
/// none.
pub(super) fn template(
    document: &Document,
    value: &Value,
    namespace: Option<&str>,
) -> Option<ScopedTemplate> {
    let kind = match document.kind.as_str() {
        "JobTemplate" => TemplateKind::JobTemplate,
        "ClusterJobTemplate" => TemplateKind::ClusterJobTemplate,
        _ => return None,
    };
    let metadata = value.get("metadata");
    let text = |key: &str| metadata.and_then(|metadata| metadata.get(key)).and_then(Value::as_str);
    Some(ScopedTemplate {
        namespace: match kind {
            TemplateKind::JobTemplate => Some(text("namespace").or(namespace).unwrap_or_default().to_owned()),
            TemplateKind::ClusterJobTemplate => None,
        },
        template: Arc::new(Template {
            reference: TemplateRef { kind, name: text("name").unwrap_or_default().to_owned() },
            uid: String::new(),
            generation: 0,
            created: text("creationTimestamp").and_then(|time| time.parse().ok()),
            is_terminating: text("deletionTimestamp").is_some(),
            spec: read_spec(&spec_of(value)),
        }),
    })
}

/// The spec of a document, as the operator takes it in.
pub(super) fn spec_of(value: &Value) -> JsonText {
    // A value holds nothing that JSON cannot.
    value.get("spec").and_then(|spec| JsonText::deserialize(spec).ok()).unwrap_or_default()
}

/// The layers that the templates of the input put below a request of `namespace`.
pub(super) fn layers_for(
    request: &JobRequest,
    namespace: Option<&str>,
    templates: &[ScopedTemplate],
) -> Layers {
    let in_scope = in_scope(templates, namespace.unwrap_or_default());
    select(Builtin::default(), &request.spec, &in_scope)
}
