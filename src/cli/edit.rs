//! Edits of a JobRequest in the cluster: fields by their paths, or the whole spec in an editor, judged before they are sent.
//!
//! The edit and the token of a rerun are one update, so that they are one run.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use clap::Args;
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};

use super::cluster::{Cluster, FIELD_MANAGER};
use super::create::reading;
use super::error::CliError;
use super::output::{say, yaml};
use super::owner::tool_of;
use super::token::new_token;
use crate::api::labels;
use crate::form::{Draft, Fields};
use crate::manifest::read_value;

/// Said at the top of what is edited.
const HEAD: &str = "# The spec of a JobRequest. Save it to run it; lines that begin with # are left out.\n\
    # If it stays as it is, or becomes empty, nothing is changed and nothing runs.\n";

/// Flags that change the spec first.
#[derive(Debug, Args)]
pub(super) struct Edits {
    /// Change a field of the spec first, for example image=perl:5.42, env=DAY=2026-11-28 or settings.backoffLimit=2; PATH-
    /// removes one; may be repeated
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Change the spec in an editor first (KUBE_EDITOR, EDITOR or vi)
    #[arg(long, conflicts_with_all = ["set", "selector", "all"])]
    edit: bool,
}

impl Edits {
    /// What they say to change, if they say anything.
    pub(super) const fn edit(&self) -> Option<Edit<'_>> {
        match (self.edit, self.set.as_slice()) {
            (true, _) => Some(Edit::Editor),
            (false, []) => None,
            (false, set) => Some(Edit::Set(set)),
        }
    }
}

/// What to change.
pub(super) enum Edit<'a> {
    /// `PATH=VALUE`, or `PATH-`.
    Set(&'a [String]),
    /// In the user's editor.
    Editor,
}

/// Changes `name` and asks for a rerun, in one update; returns it as it is then. `None`: nothing was changed.
///
/// # Errors
/// A path or value is wrong, the result is not valid, or the API server refuses it.
pub(super) async fn edited(
    cluster: &Cluster,
    name: &str,
    edit: &Edit<'_>,
) -> Result<Option<DynamicObject>, CliError> {
    let requests = cluster.requests();
    let mut object = cluster.object(name).await?;
    let fields = Arc::new(Fields::of_spec());
    let templates = reading::known(reading::templates(cluster).await?.as_deref());
    let judged = |spec: &Value| -> Result<Vec<String>, CliError> {
        let mut draft = Draft::new(Arc::clone(&fields), spec.clone(), None);
        draft.name(name);
        let findings = draft.judge(Some(&cluster.namespace), &templates)?;
        Ok(findings.iter().map(ToString::to_string).collect())
    };
    let before = object.data.get("spec").cloned().unwrap_or_else(|| json!({}));
    let mut edited_text = None;
    let spec = match edit {
        Edit::Set(assignments) => {
            let mut spec = before.clone();
            for assignment in *assignments {
                let set = fields.set(&mut spec, assignment, "main");
                set.map_err(|error| CliError::Usage(format!("--set {error}")))?;
            }
            let problems = judged(&spec)?;
            if !problems.is_empty() {
                return Err(CliError::Invalid(problems.join("; ")));
            }
            spec
        }
        Edit::Editor => match in_editor(name, &before, &judged)? {
            Some((spec, text)) => {
                edited_text = Some(text);
                spec
            }
            None => return Ok(None),
        },
    };
    if let Some(tool) = tool_of(&object.metadata) {
        say(&format!(
            "warning: {tool} applies jobrequest/{name}, and may set the spec back, which is another run; change it in Git to keep it\n"
        ));
    }
    if let Some(data) = object.data.as_object_mut() {
        data.insert("spec".to_owned(), spec);
    }
    // With its resourceVersion: an edit that somebody else made meanwhile is not undone.
    object.metadata.managed_fields = None;
    object.metadata.annotations.get_or_insert_default().insert(labels::RERUN.to_owned(), new_token());
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let call = requests.replace(name, &parameters, &object);
    let written = cluster.write(&format!("change JobRequest {name}"), call).await;
    if let (Err(_), Some(text)) = (&written, &edited_text) {
        Draught::new(name, text)?.keep();
    }
    written.map(Some).map_err(|error| match error {
        CliError::Refused { code: 409, .. } => CliError::WithAdvice {
            advice: "somebody else has changed it meanwhile; try again".to_owned(),
            source: Box::new(error),
        },
        error => error,
    })
}

/// The spec as the user leaves it, once it is valid; `None`: as it was, or empty.
fn in_editor(
    name: &str,
    before: &Value,
    judged: &impl Fn(&Value) -> Result<Vec<String>, CliError>,
) -> Result<Option<(Value, String)>, CliError> {
    let original = yaml("the spec", before)?;
    let mut text = original.clone();
    let mut problems: Vec<String> = Vec::new();
    loop {
        let mut shown = HEAD.to_owned();
        for problem in &problems {
            let _ = writeln!(shown, "# error: {problem}");
        }
        shown += &text;
        let file = Draught::new(name, &shown)?;
        run_editor(&file.path)?;
        let saved =
            fs::read_to_string(&file.path).map_err(|error| CliError::Io("read what was edited", error))?;
        let written: String =
            saved.lines().filter(|line| !line.starts_with('#')).fold(String::new(), |mut text, line| {
                text += line;
                text.push('\n');
                text
            });
        let is_unchanged = written.trim() == text.trim();
        if written.trim().is_empty()
            || (is_unchanged && (problems.is_empty() || written.trim() != original.trim()))
        {
            say(&format!("jobrequest/{name}: nothing was changed, and nothing runs\n"));
            return Ok(None);
        }
        text = written;
        problems = match read_value(&text) {
            Ok(spec) if spec == *before => {
                say(&format!("jobrequest/{name}: nothing was changed, and nothing runs\n"));
                return Ok(None);
            }
            Ok(spec) => {
                let problems = judged(&spec)?;
                if problems.is_empty() {
                    return Ok(Some((spec, text)));
                }
                problems
            }
            Err(error) => vec![error.to_string()],
        };
        for problem in &problems {
            say(&format!("error: {problem}\n"));
        }
    }
}

/// A file for an editor, which goes with this value.
struct Draught {
    path: PathBuf,
    is_kept: bool,
}

impl Draught {
    /// Nobody else may read it: a spec can hold what its author takes for a secret.
    fn new(name: &str, text: &str) -> Result<Self, CliError> {
        let failed = |error| CliError::Io("write a file for the editor", error);
        let path = std::env::temp_dir().join(format!("jobrequest-{name}-{}.yaml", new_token()));
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        let draught = Self { path, is_kept: false };
        file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(draught)
    }
}

impl Draught {
    /// The file stays, and is named: nobody has to write it again.
    fn keep(mut self) {
        self.is_kept = true;
        say(&format!("what was edited is in {}\n", self.path.display()));
    }
}

impl Drop for Draught {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// As kubectl finds it: KUBE_EDITOR, else EDITOR, else vi; with arguments, as a shell takes them.
fn run_editor(file: &Path) -> Result<(), CliError> {
    let editor = ["KUBE_EDITOR", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|editor| !editor.trim().is_empty()))
        .unwrap_or_else(|| "vi".to_owned());
    let status = Command::new("sh").args(["-c", &format!("{editor} \"$1\""), "sh"]).arg(file).status();
    let status = status.map_err(|error| CliError::Io("start the editor", error))?;
    if status.success() {
        return Ok(());
    }
    Err(CliError::Usage(format!("the editor {editor:?} ended with {status}; nothing was changed")))
}
