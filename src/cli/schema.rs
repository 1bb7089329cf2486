//! `jobrequest schema`: the schemas of the kinds as JSON Schema.

use std::fs;
use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use super::output::{print, print_json};
use crate::api::{group_schema, kind_schemas, schema_files};
use crate::similar::closest;

/// Arguments of `schema`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without a flag: one schema for files with objects of every kind, in which those of jobrequest.dev are \
    checked by their kind.\n\n\
    Examples:\n  \
    jobrequest schema --out schemas\n  \
    kubeconform -strict -schema-location default \\\n    \
    -schema-location 'schemas/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json' jobs/\n\n\
    In an editor with yaml-language-server, the first line of a file names its schema:\n  \
    # yaml-language-server: $schema=schemas/jobrequest.dev/jobrequest_v1alpha1.json"
)]
pub(super) struct Arguments {
    /// Print the schema of this kind alone
    #[arg(long, value_name = "KIND", conflicts_with = "out")]
    kind: Option<String>,
    /// Write all schemas into this folder, in the layout of kubeconform: GROUP/KIND_VERSION.json, and GROUP/all.json
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints a schema to stdout, or writes all to files and prints their names.
pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    if let Some(folder) = &arguments.out {
        for (file, schema) in schema_files() {
            let path = folder.join(file);
            let text =
                serde_json::to_string_pretty(&schema).map_err(|error| CliError::Json("a schema", error))?;
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)
                    .map_err(|error| CliError::Io("create the folder of --out", error))?;
            }
            fs::write(&path, text + "\n")
                .map_err(|error| CliError::Io("write into the folder of --out", error))?;
            print(&format!("{}\n", path.display()))?;
        }
        return Ok(());
    }
    let Some(wanted) = &arguments.kind else { return print_json("a schema", &group_schema()) };
    let schemas = kind_schemas();
    if let Some(schema) = schemas.iter().find(|schema| schema.kind.eq_ignore_ascii_case(wanted)) {
        return print_json("a schema", &schema.document());
    }
    let kinds: Vec<_> = schemas.iter().map(|schema| schema.kind.as_str()).collect();
    let meant = closest(wanted, kinds.iter().copied());
    let meant = meant.map(|kind| format!("; did you mean {kind}?")).unwrap_or_default();
    Err(CliError::Usage(format!("--kind {wanted}: the kinds are {}{meant}", kinds.join(", "))))
}
