//! `jobrequest list`: the API server's own table of JobRequests, page by page.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::{Value, json};

use super::cluster::{Cluster, InNamespace, PAGE, runtime};
use super::error::CliError;
use super::outcome::Verdict;
use super::output::{print, print_json, print_yaml, say};
use super::table::aligned;
use crate::api::condition::Phase;
use crate::api::labels::API_VERSION;

/// Arguments of `list`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// In all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only those with these labels, for example app=web,tier!=test
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Only those in this phase
    #[arg(long, value_name = "PHASE", value_parser = phase)]
    phase: Option<Phase>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(flatten)]
    cluster: InNamespace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table
    Table,
    /// A table with more columns
    Wide,
    /// One name per line
    Name,
    /// One List as JSON
    Json,
    /// One List as YAML
    Yaml,
}

fn phase(text: &str) -> Result<Phase, String> {
    let found = Phase::ALL.iter().find(|phase| phase.as_str().eq_ignore_ascii_case(text));
    found.copied().ok_or_else(|| {
        let all: Vec<_> = Phase::ALL.iter().map(|phase| phase.as_str()).collect();
        format!("no such phase; there are {}", all.join(", "))
    })
}

/// A page of the server's table, or of the objects themselves.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    metadata: ListMeta,
    #[serde(default)]
    column_definitions: Vec<Column>,
    #[serde(default)]
    rows: Vec<Row>,
    #[serde(default)]
    items: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
struct ListMeta {
    #[serde(rename = "continue", default)]
    next: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Column {
    name: String,
    #[serde(default)]
    priority: i32,
}

#[derive(Debug, Deserialize)]
struct Row {
    cells: Vec<Value>,
    object: Value,
}

/// Prints what there is.
pub(super) fn run(arguments: &Arguments) -> Result<Verdict, CliError> {
    runtime()?.block_on(async {
        let cluster = Cluster::find_in(&arguments.cluster).await?;
        let is_table = matches!(arguments.output, Format::Table | Format::Wide | Format::Name);
        let (mut columns, mut rows, mut items) = (Vec::new(), Vec::new(), Vec::new());
        let mut next = String::new();
        loop {
            let page = page(&cluster, arguments, is_table, &next).await?;
            if columns.is_empty() {
                columns = page.column_definitions;
            }
            rows.extend(page.rows);
            items.extend(page.items);
            next = page.metadata.next;
            if next.is_empty() {
                break;
            }
        }
        show(arguments, &cluster, &columns, &rows, &items)?;
        Ok(Verdict::Valid)
    })
}

async fn page(
    cluster: &Cluster,
    arguments: &Arguments,
    is_table: bool,
    next: &str,
) -> Result<Page, CliError> {
    let mut path = format!("/apis/{API_VERSION}/");
    if !arguments.all_namespaces {
        let _ = write!(path, "namespaces/{}/", escaped(&cluster.namespace));
    }
    let _ = write!(path, "jobrequests?limit={PAGE}&continue={}", escaped(next));
    if let Some(selector) = &arguments.selector {
        let _ = write!(path, "&labelSelector={}", escaped(selector));
    }
    if let Some(phase) = arguments.phase {
        let _ = write!(path, "&fieldSelector={}", escaped(&format!("status.phase={phase}")));
    }
    let accept = if is_table { "application/json;as=Table;v=v1;g=meta.k8s.io" } else { "application/json" };
    let call = "list the JobRequests";
    let request = http::Request::get(path).header(http::header::ACCEPT, accept).body(Vec::new());
    let request =
        request.map_err(|_| CliError::Usage("the namespace or selector is no text of a URL".to_owned()))?;
    cluster.answer(call, cluster.client().request(request)).await
}

/// A text as a value in a URL.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

fn show(
    arguments: &Arguments,
    cluster: &Cluster,
    columns: &[Column],
    rows: &[Row],
    items: &[Value],
) -> Result<(), CliError> {
    let of = |row: &Row, field: &str| {
        row.object
            .pointer(&format!("/metadata/{field}"))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    match arguments.output {
        Format::Json => print_json("the list", &list(items)),
        Format::Yaml => print_yaml("the list", &[&list(items)]),
        Format::Name => {
            let names = rows.iter().map(|row| format!("jobrequest.jobrequest.dev/{}\n", of(row, "name")));
            print(&names.collect::<String>())
        }
        Format::Table | Format::Wide if rows.is_empty() => {
            say(&if arguments.all_namespaces {
                "no JobRequests found\n".to_owned()
            } else {
                format!("no JobRequests found in namespace {}\n", cluster.namespace)
            });
            Ok(())
        }
        Format::Table | Format::Wide => {
            let is_shown = |column: &Column| arguments.output == Format::Wide || column.priority == 0;
            let namespaced = |namespace: String| arguments.all_namespaces.then_some(namespace);
            let heading =
                columns.iter().filter(|column| is_shown(column)).map(|column| column.name.to_uppercase());
            let mut lines =
                vec![namespaced("NAMESPACE".to_owned()).into_iter().chain(heading).collect::<Vec<_>>()];
            lines.extend(rows.iter().map(|row| {
                let cells = columns.iter().zip(&row.cells).filter(|(column, _)| is_shown(column));
                let cells = cells.map(|(_, cell)| text(cell));
                namespaced(of(row, "namespace")).into_iter().chain(cells).collect()
            }));
            print(&aligned(&lines))
        }
    }
}

fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

fn text(cell: &Value) -> String {
    match cell {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_cannot_leave_its_parameter() {
        assert_eq!(escaped("a=b&limit=1 #计"), "a%3Db%26limit%3D1%20%23%E8%AE%A1");
    }

    #[test]
    fn a_phase_is_known_in_any_case() {
        assert_eq!(phase("failed"), Ok(Phase::Failed));
        assert!(phase("gone").unwrap_err().contains("Completed"));
    }
}
