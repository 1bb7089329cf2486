//! A JobRequest in the making: flags and fields in, the document and what is wrong with it out.
//!
//! It remembers which flag set which field, so that a problem names the flag.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::flag::{Flag, FlagError, Setting, settings};
use super::set::Fields;
use crate::manifest::{self, Diagnostic, Document, Node, SchemaError, Source, Step};

/// Name of the container that flags are about when the request has none yet.
const MAIN: &str = "main";

/// Flags that may be repeated.
const REPEATED: [&str; 7] =
    ["--env", "--env-from", "--mount", "--label", "--annotation", "--node-selector", "--set"];

/// What the document is called among the sources that it is judged with.
const OWN: &str = "the JobRequest";

/// The templates that the document is judged with.
#[derive(Clone, Debug)]
pub enum Templates {
    /// They are not known: what only they decide is not judged.
    Unknown,
    /// All that apply, as documents.
    Known(Vec<Arc<Source>>),
}

/// What is wrong with a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The flag that set the field, if one did.
    pub flag: Option<&'static str>,
    /// Path of the field; empty when there is none.
    pub field: String,
    /// What is wrong, and how to fix it.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.flag, self.field.as_str()) {
            // Which of several is meant is in the path.
            (Some(flag), field) if REPEATED.contains(&flag) => write!(f, "{flag}: {field}: {}", self.message),
            (Some(flag), _) => write!(f, "{flag}: {}", self.message),
            (None, "") => f.write_str(&self.message),
            (None, field) => write!(f, "{field}: {}", self.message),
        }
    }
}

/// A JobRequest in the making.
#[derive(Clone, Debug)]
pub struct Draft {
    fields: Arc<Fields>,
    object: Value,
    container: String,
    /// Each path that was set, and by which flag, in order.
    set_by: Vec<(String, &'static str)>,
}

impl Draft {
    /// One with nothing but this `spec`; `container` is the one that flags are about, by default its only one.
    #[must_use]
    pub fn new(fields: Arc<Fields>, spec: Value, container: Option<&str>) -> Self {
        let containers =
            spec.get("containers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let only = match containers {
            [one] => one.get("name").and_then(Value::as_str).map(ToOwned::to_owned),
            _ => None,
        };
        let container = container.map(ToOwned::to_owned).or(only).unwrap_or_else(|| MAIN.to_owned());
        let spec = if spec.is_object() { spec } else { Value::Object(Map::new()) };
        let object = json!({
            "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "metadata": {}, "spec": spec,
        });
        Self { fields, object, container, set_by: Vec::new() }
    }

    /// Names it.
    pub fn name(&mut self, name: &str) {
        self.metadata("name", name);
        self.set_by.push(("metadata.name".to_owned(), "NAME"));
    }

    /// Says which namespace it is for.
    pub fn namespace(&mut self, namespace: &str) {
        self.metadata("namespace", namespace);
        self.set_by.push(("metadata.namespace".to_owned(), "--namespace"));
    }

    fn metadata(&mut self, key: &str, value: &str) {
        if let Some(metadata) = self.object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert(key.to_owned(), Value::String(value.to_owned()));
        }
    }

    /// Does what a flag says.
    ///
    /// # Errors
    /// Its value cannot be read; the draft is as it was.
    pub fn add(&mut self, flag: &Flag) -> Result<(), FlagError> {
        let failed = |message: String| FlagError { flag: flag.name, value: flag.value.clone(), message };
        let mut spec = self.spec().clone();
        let mut paths = Vec::new();
        if flag.name == "--set" {
            let path = self.fields.set(&mut spec, &flag.value, &self.container);
            paths.push(path.map_err(|error| failed(error.to_string()))?);
        } else {
            for setting in settings(flag, &spec, &self.container).map_err(failed)? {
                let path = match setting {
                    Setting::Text(path, text) => self.fields.set_text(&mut spec, &path, &text),
                    Setting::Value(path, value) => self.fields.put(&mut spec, &path, &value),
                };
                paths.push(path.map_err(|error| failed(error.to_string()))?);
            }
        }
        self.replace(spec);
        self.set_by.extend(paths.into_iter().map(|path| (format!("spec.{path}"), flag.name)));
        Ok(())
    }

    /// Sets what follows `--`: the program with its arguments if `is_command`, else the arguments of the image's own.
    ///
    /// # Errors
    /// The schema of the CRD has no such field, which a test rules out.
    pub fn arguments(&mut self, words: &[String], is_command: bool) -> Result<(), FlagError> {
        let (field, flag) = if is_command { ("command", "--command") } else { ("args", "--") };
        let path = format!("containers[{}].{field}", self.container);
        let mut spec = self.spec().clone();
        let set = self.fields.put(&mut spec, &path, &json!(words));
        set.map_err(|error| FlagError { flag, value: words.join(" "), message: error.to_string() })?;
        self.replace(spec);
        self.set_by.push((format!("spec.{path}"), flag));
        Ok(())
    }

    fn replace(&mut self, spec: Value) {
        if let Some(object) = self.object.as_object_mut() {
            object.insert("spec".to_owned(), spec);
        }
    }

    /// The document.
    #[must_use]
    pub const fn object(&self) -> &Value {
        &self.object
    }

    /// Its spec.
    #[must_use]
    pub fn spec(&self) -> &Value {
        self.object.get("spec").unwrap_or(&Value::Null)
    }

    /// The fields of its spec.
    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The container that flags are about.
    #[must_use]
    pub fn container(&self) -> &str {
        &self.container
    }

    /// A container has an image, or a template can supply one.
    #[must_use]
    pub fn has_image(&self) -> bool {
        let containers = self.spec().get("containers").and_then(Value::as_array);
        let has_image = |item: &Value| item.get("image").is_some();
        containers.is_some_and(|containers| containers.iter().any(has_image))
            || self.spec().get("templateRef").is_some()
    }

    /// What the API server and the operator would refuse, by the functions of `validate`; without templates, what the
    /// schema and rules of the CRD refuse.
    ///
    /// # Errors
    /// A schema of the CRDs uses what is not supported, which a test rules out.
    pub fn judge(&self, namespace: Option<&str>, templates: &Templates) -> Result<Vec<Finding>, SchemaError> {
        let documents = manifest::read(&self.sources(templates));
        let (node, diagnostics) = match templates {
            Templates::Unknown => {
                let diagnostics = manifest::check(&documents, namespace)?;
                (documents.documents.first().map(|document| document.node.clone()), diagnostics)
            }
            Templates::Known(_) => {
                let inspected = manifest::inspect(documents, namespace, 1)?;
                let first = inspected.documents.first().map(|inspection| &inspection.document);
                (first.map(|document: &Document| document.node.clone()), inspected.diagnostics)
            }
        };
        let of_draft = diagnostics.into_iter().filter(|diagnostic| diagnostic.source.name == OWN);
        Ok(of_draft.map(|diagnostic| self.finding(node.as_ref(), diagnostic)).collect())
    }

    /// The Job of its first run, if there is no problem.
    ///
    /// # Errors
    /// A schema of the CRDs uses what is not supported, which a test rules out.
    pub fn job(&self, namespace: Option<&str>, templates: &Templates) -> Result<Option<Value>, SchemaError> {
        let inspected = manifest::inspect(manifest::read(&self.sources(templates)), namespace, 1)?;
        let request = inspected.documents.into_iter().next().and_then(|inspection| inspection.request);
        let compiled = request.and_then(|request| request.compiled);
        Ok(compiled.and_then(|compiled| serde_json::to_value(compiled.job).ok()))
    }

    /// The document, and the templates that it is judged with.
    fn sources(&self, templates: &Templates) -> Vec<Arc<Source>> {
        let mut sources = vec![Arc::new(Source::new(OWN, 0, self.object.to_string().into_bytes()))];
        if let Templates::Known(templates) = templates {
            sources.extend(templates.iter().cloned());
        }
        sources
    }

    fn finding(&self, node: Option<&Node>, diagnostic: Diagnostic) -> Finding {
        let Diagnostic { field, message, .. } = diagnostic;
        let flag = node.and_then(|node| self.flag_of(node, &field));
        Finding { flag, field, message }
    }

    /// The flag that set the field, or a part of it: the last of those that name it most exactly.
    fn flag_of(&self, node: &Node, field: &str) -> Option<&'static str> {
        let (wrong, is_there) = node.steps(field);
        let common = |set: &[Step]| wrong.iter().zip(set).take_while(|(one, other)| one == other).count();
        let set = self.set_by.iter().filter_map(|(path, flag)| {
            let (steps, is_whole) = node.steps(path);
            let common = common(&steps);
            // One within the other. A field that is not there is the fault of no other flag, nor is the spec as a whole.
            let is_part = is_there && common == wrong.len() && common > 1;
            let is_about = is_whole && (common == steps.len() || is_part);
            is_about.then_some((common, *flag))
        });
        let best = set.fold(None, |best: Option<(usize, &'static str)>, one| match best {
            Some(best) if best.0 > one.0 => Some(best),
            _ => Some(one),
        });
        best.map(|(_, flag)| flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(flags: &[(&'static str, &str)]) -> Draft {
        let mut draft = Draft::new(Arc::new(Fields::of_spec()), json!({}), None);
        draft.name("pi");
        for (name, value) in flags {
            draft.add(&Flag::new(name, *value)).unwrap();
        }
        draft
    }

    fn wrong(flags: &[(&'static str, &str)]) -> String {
        let mut draft = Draft::new(Arc::new(Fields::of_spec()), json!({}), None);
        let errors = flags.iter().filter_map(|(name, value)| draft.add(&Flag::new(name, *value)).err());
        errors.map(|error| error.to_string()).collect()
    }

    #[test]
    fn flags_set_fields() {
        let draft = draft(&[
            ("--image", "perl:5"),
            ("--env", "MODE=fast"),
            ("--env", "PASS=secret/db:password"),
            ("--env-from", "configmap/app:APP_"),
            ("--env-from", "secret/more"),
            ("--mount", "pvc/data.2026:/data:ro"),
            ("--mount", "pvc/data.2026:/again"),
            ("--mount", "empty:/var/cache"),
            ("--mount", "configmap/app:/etc/app"),
            ("--mount", "secret/app:/etc/keys"),
            ("--cpu", "500m:1"),
            ("--memory", ":1Gi"),
            ("--deadline", "300s"),
            ("--label", "example.com/tier=web"),
            ("--template", "cluster/platform"),
            ("--suspend", "true"),
        ]);
        let wanted = json!({
            "templateRef": {"kind": "ClusterJobTemplate", "name": "platform"},
            "settings": {"activeDeadlineSeconds": 300},
            "suspend": true,
            "labels": {"example.com/tier": "web"},
            "containers": [{
                "name": "main", "image": "perl:5",
                "env": [
                    {"name": "MODE", "value": "fast"},
                    {"name": "PASS", "configRef": {"kind": "Secret", "name": "db", "key": "password"}},
                ],
                "envFrom": [
                    {"prefix": "APP_", "configRef": {"kind": "ConfigMap", "name": "app"}},
                    {"configRef": {"kind": "Secret", "name": "more"}},
                ],
                "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "1", "memory": "1Gi"}},
                "mounts": [
                    {"path": "/data", "volume": "data-2026", "readOnly": true},
                    {"path": "/again", "volume": "data-2026"},
                    {"path": "/var/cache", "volume": "var-cache"},
                    {"path": "/etc/app", "volume": "app"},
                    {"path": "/etc/keys", "volume": "app-2"},
                ],
            }],
            "volumes": [
                {"name": "data-2026", "persistentVolumeClaim": {"claimName": "data.2026"}},
                {"name": "var-cache", "emptyDir": {}},
                {"name": "app", "configRef": {"kind": "ConfigMap", "name": "app"}},
                {"name": "app-2", "configRef": {"kind": "Secret", "name": "app"}},
            ],
        });
        assert_eq!(draft.spec(), &wanted);
        let findings = draft.judge(None, &Templates::Unknown).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
    }

    #[test]
    fn what_a_flag_cannot_take_names_the_flag() {
        for (name, value, message) in [
            ("--env", "A", "write NAME=VALUE"),
            ("--env", "A=secret/db", "the key is missing: write secret/db:KEY"),
            ("--env-from", "db", "write configmap/NAME or secret/NAME"),
            ("--mount", "pvc/x", "write pvc/NAME:/PATH"),
            ("--mount", "pvc/x:data", "write pvc/NAME:/PATH"),
            ("--mount", "nfs/x:/data", "write pvc/NAME:/PATH"),
            ("--mount", "pvc/x:/data:no", "write pvc/NAME:/PATH"),
            ("--cpu", ":", "write REQUEST, REQUEST:LIMIT or :LIMIT"),
            ("--completions", "two", "is not a whole number"),
            ("--label", "=x", "write KEY=VALUE"),
            ("--template", "a/b", "write NAME for a JobTemplate"),
            ("--set", "backoffLimit=1", "did you mean settings.backoffLimit?"),
        ] {
            let error = wrong(&[(name, value)]);
            assert!(error.starts_with(&format!("{name} {value:?}: ")) && error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_problem_names_its_flag() {
        for (flag, value) in [
            ("--cpu", "lots"),
            ("--cpu", "2:1"),
            ("--backoff-limit", "-1"),
            ("--restart", "Always"),
            ("--alias", ""),
            ("--label", "a=b c"),
            ("--env", "A=secret/DB:k"),
            ("--node-selector", "x=a b"),
            ("--mount", "pvc/UPPER:/x"),
            ("--set", "settings.maxFailedIndexes=1"),
        ] {
            let draft = draft(&[("--image", "perl:5"), (flag, value)]);
            let findings = draft.judge(None, &Templates::Known(Vec::new())).unwrap();
            assert!(!findings.is_empty(), "{flag} {value}");
            assert!(findings.iter().any(|finding| finding.flag == Some(flag)), "{flag}: {findings:?}");
        }
        let mut draft = draft(&[("--image", "perl:5")]);
        draft.name("Pi");
        let findings = draft.judge(None, &Templates::Unknown).unwrap();
        assert_eq!(findings.first().and_then(|finding| finding.flag), Some("NAME"), "{findings:?}");
    }
}
