//! docs/operating.md, the alerts, their runbooks and the dashboard agree with each other and with the program.
//! BLESS=1 rewrites the table of flags.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use clap::CommandFactory;
use libtest_mimic::Trial;
use promql_parser::parser::{Expr, parse};
use serde_json::Value;

pub(crate) fn tests() -> Vec<Trial> {
    tests![
        documented_flags_are_those_of_the_program,
        each_alert_has_a_runbook_and_each_runbook_an_alert,
        alerts_name_existing_metrics,
        the_dashboard_names_existing_metrics,
        an_unknown_metric_is_noticed,
    ]
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|e| panic!("{path}: {e}"))
}

const BEGIN: &str = "<!-- flags: written by BLESS=1 cargo test --test it operating:: -->\n";
const END: &str = "<!-- end of flags -->";

/// The flags of `jobrequest controller` as `--help` knows them.
fn flags() -> String {
    let command = jobrequest::cli::Arguments::command();
    let controller = command.find_subcommand("controller").unwrap();
    let mut table = "| flag | environment | default | what |\n|---|---|---|---|\n".to_owned();
    for argument in controller.get_arguments() {
        let Some(long) = argument.get_long() else { panic!("{argument:?} has no name") };
        // Only in builds with a feature; the section on traces has it.
        if matches!(long, "help" | "otlp-endpoint") {
            continue;
        }
        let variable = argument.get_env().unwrap_or_else(|| panic!("{long} has no variable"));
        let mut default =
            argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned());
        let mut help = argument.get_help().unwrap().to_string();
        let default = if let Some(value) = default.next() {
            format!("`{value}`")
        } else {
            let (rest, words) =
                help.rsplit_once(" [default: ").unwrap_or_else(|| panic!("{long}: which default?"));
            let (length, words) = (rest.len(), words.trim_end_matches(']').to_owned());
            help.truncate(length);
            words
        };
        let values: Vec<_> = argument
            .get_possible_values()
            .iter()
            .map(|value| format!("`{}`", value.get_name()))
            .filter(|_| argument.get_value_names().is_none())
            .collect();
        if !values.is_empty() && long == "log-format" {
            help = format!("{help}: {}", values.join(" or "));
        }
        let value = match argument.get_value_names() {
            Some([name])
                if !matches!(long, "namespace" | "context" | "concurrency" | "log-level" | "log-format") =>
            {
                format!(" {name}")
            }
            _ => String::new(),
        };
        let short = argument.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
        writeln!(
            table,
            "| {short}`--{long}{value}` | `{}` | {default} | {help} |",
            variable.to_string_lossy()
        )
        .unwrap();
    }
    table
}

fn documented_flags_are_those_of_the_program() {
    let page = read("docs/operating.md");
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (documented, after) = rest.split_once(END).unwrap();
    let flags = flags();
    if std::env::var_os("BLESS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operating.md");
        fs::write(path, format!("{before}{BEGIN}{flags}{END}{after}")).unwrap();
        return;
    }
    similar_asserts::assert_eq!(documented, flags);
}

struct Alert {
    name: String,
    rule: Value,
}

fn alerts() -> Vec<Alert> {
    let rules: Value = serde_saphyr::from_str(&read("integrations/prometheus/rules.yaml")).unwrap();
    let rules =
        rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap());
    rules.map(|rule| Alert { name: rule["alert"].as_str().unwrap().to_owned(), rule: rule.clone() }).collect()
}

/// Sections of the runbooks, by the name in their heading.
fn runbooks() -> BTreeMap<String, String> {
    let page = read("docs/runbooks.md");
    let sections = page.split("\n## ").skip(1);
    sections
        .map(|section| {
            let (name, text) = section.split_once('\n').unwrap();
            (name.to_owned(), text.to_owned())
        })
        .collect()
}

fn each_alert_has_a_runbook_and_each_runbook_an_alert() {
    let alerts = alerts();
    let runbooks = runbooks();
    let names: BTreeSet<&String> = alerts.iter().map(|alert| &alert.name).collect();
    assert_eq!(names.len(), alerts.len(), "a name is used twice");
    assert_eq!(names, runbooks.keys().collect());
    for Alert { name, rule } in &alerts {
        let annotations = &rule["annotations"];
        assert_eq!(annotations["runbook"], format!("docs/runbooks.md#{}", name.to_lowercase()));
        for part in ["summary", "description"] {
            assert!(annotations[part].as_str().is_some_and(|text| text.len() > 20), "{name}: {part}");
        }
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        for part in ["**Means.** ", "**Look.**", "**Do.** "] {
            assert_eq!(runbooks[name].matches(part).count(), 1, "{name}: {part}");
        }
    }
    // What runbooks send one to is there.
    for (name, text) in &runbooks {
        for link in text.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(runbooks.keys().any(|other| other.to_lowercase() == link), "{name}: {link}");
        }
    }
}

/// Metrics in the table of docs/operating.md, by name. Unit tests keep the table equal to what the program reports.
fn documented_metrics() -> BTreeMap<String, (String, Vec<String>)> {
    let page = read("docs/operating.md");
    let rows =
        page.lines().filter(|line| line.starts_with("| `jobrequest_") || line.starts_with("| `process_"));
    let metrics: BTreeMap<_, _> = rows
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let labels = cells[2].split(", ").filter(|label| !label.is_empty());
            let labels = labels.map(|label| label.trim_matches('`').to_owned()).collect();
            (cells[0].trim_matches('`').to_owned(), (cells[1].to_owned(), labels))
        })
        .collect();
    assert!(metrics.len() > 10);
    metrics
}

/// Labels that Prometheus adds to what it scrapes.
const OF_THE_SCRAPE: [&str; 4] = ["namespace", "job", "pod", "instance"];

/// An expression is read by a parser that is not ours, and names only metrics and labels which there are.
fn check(place: &str, expression: &str) {
    let metrics = documented_metrics();
    let parsed = parse(expression).unwrap_or_else(|problem| panic!("{place}: {problem}\n{expression}"));
    let mut selectors = Vec::new();
    visit(&parsed, &mut selectors);
    assert!(!selectors.is_empty(), "{place}: {expression}");
    for (name, labels) in selectors {
        let (family, extra) = if metrics.contains_key(&name) {
            (name.clone(), None)
        } else {
            let family = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix));
            (family.unwrap_or(&name).to_owned(), Some("le"))
        };
        let (kind, known) = metrics.get(&family).unwrap_or_else(|| panic!("{place}: there is no {name}"));
        assert_eq!(kind == "histogram", extra.is_some(), "{place}: {name} is a {kind}");
        for label in labels {
            let is_known = known.contains(&label)
                || OF_THE_SCRAPE.contains(&label.as_str())
                || extra == Some(label.as_str());
            assert!(is_known, "{place}: {name} has no label {label}");
        }
    }
}

/// Names of metrics with the labels that they are selected by.
fn visit(expression: &Expr, selectors: &mut Vec<(String, Vec<String>)>) {
    let mut select = |selector: &promql_parser::parser::VectorSelector| {
        let labels = selector.matchers.matchers.iter().map(|matcher| matcher.name.clone()).collect();
        selectors.push((selector.name.clone().expect("a selector with a name"), labels));
    };
    match expression {
        Expr::VectorSelector(selector) => select(selector),
        Expr::MatrixSelector(matrix) => select(&matrix.vs),
        Expr::Aggregate(aggregate) => visit(&aggregate.expr, selectors),
        Expr::Unary(unary) => visit(&unary.expr, selectors),
        Expr::Binary(binary) => {
            visit(&binary.lhs, selectors);
            visit(&binary.rhs, selectors);
        }
        Expr::Paren(paren) => visit(&paren.expr, selectors),
        Expr::Subquery(subquery) => visit(&subquery.expr, selectors),
        Expr::Call(call) => call.args.args.iter().for_each(|argument| visit(argument, selectors)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

fn alerts_name_existing_metrics() {
    for Alert { name, rule } in alerts() {
        check(&name, rule["expr"].as_str().unwrap());
    }
}

fn the_dashboard_names_existing_metrics() {
    let dashboard: Value = serde_json::from_str(&read("integrations/grafana/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    let mut expressions = 0;
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is used twice");
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap().replace("$__rate_interval", "5m");
            check(title, &expression);
            expressions += 1;
        }
        assert!(
            panel["type"] == "row" || panel["description"].as_str().is_some(),
            "{title} says what it shows"
        );
    }
    assert!(expressions > 15);
    // Each of our metrics is on it.
    let text = dashboard.to_string();
    for name in documented_metrics().keys().filter(|name| name.starts_with("jobrequest_")) {
        assert!(text.contains(name.as_str()), "{name} is on no panel");
    }
}

fn an_unknown_metric_is_noticed() {
    let has_problem = |expression: &str| {
        let expression = expression.to_owned();
        std::panic::catch_unwind(move || check("a test", &expression)).is_err()
    };
    assert!(!has_problem("sum(rate(jobrequest_runs_total{result=\"Failed\"}[5m]))"));
    for wrong in [
        "sum(rate(jobrequest_jobs_total[5m]))",
        "jobrequest_runs_total{phase=\"Failed\"}",
        "jobrequest_runs_total_bucket",
        "rate(jobrequest_run_duration_seconds[5m])",
        "sum(rate(jobrequest_runs_total[5m])",
    ] {
        assert!(has_problem(wrong), "{wrong}");
    }
}
