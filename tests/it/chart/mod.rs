//! The Helm chart as files: what is generated is current, what is rendered is as committed, what is wrong is refused.
//!
//! Needs the programs of tests/cluster/tools/build.sh. `BLESS=1 cargo test --test it chart::` writes what comes
//! out; read the difference before you commit it. What needs an API server is in tests/cluster/chart.rs.

mod generated;
mod helm;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::{golden, root};
use helm::{HELMS, Helm};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/jobrequest");

pub(crate) fn tests() -> Vec<Trial> {
    let mut all = tests![
        generated_files_are_current,
        values_and_schema_have_the_same_keys,
        every_case_passes_helm_lint,
        no_role_grants_too_much,
        the_admission_policy_knows_the_rerun_annotation,
        the_admission_policy_knows_the_marks_of_jobs,
        every_attack_is_a_test,
        the_program_knows_its_arguments,
    ];
    all.extend(golden::trials(
        concat!(module_path!(), "::render"),
        RENDER,
        "values.yaml",
        renders_as_committed_with_helm_3_and_4,
    ));
    all.extend(golden::trials(
        concat!(module_path!(), "::refuse"),
        REFUSE,
        "values.yaml",
        is_refused_by_helm_3_and_4,
    ));
    all
}

/// Folders with `values.yaml` in, and what is rendered out.
const RENDER: &str = "chart/render";

/// Folders with `values.yaml` in, and the `words` of the refusal.
const REFUSE: &str = "chart/refuse";

/// What differs in files that are generated, and goes into every rendering: so it comes first, in each test.
static GENERATED: LazyLock<Vec<String>> = LazyLock::new(|| generate().into_iter().flatten().collect());

fn generated_files_are_current() {
    assert!(GENERATED.is_empty(), "{}", GENERATED.join("\n"));
}

fn generate() -> Vec<Option<String>> {
    LazyLock::force(&crate::crds::GENERATED);
    let chart = Path::new(CHART);
    let mut differences: Vec<_> = jobrequest::api::crds()
        .iter()
        .map(|crd| {
            let name = crd.metadata.name.as_deref().unwrap();
            let manifest = jobrequest::api::crd_yaml(crd).unwrap();
            golden::compare(&chart.join(format!("files/crds/{name}.yaml")), &manifest)
        })
        .collect();
    for (file, generate) in [
        ("charts/jobrequest/values.schema.json", generated::values_schema as fn(&str) -> String),
        ("charts/jobrequest/Chart.yaml", generated::chart_yaml),
        ("docs/install.md", generated::values_table),
    ] {
        let path = root().join(file);
        let before = fs::read_to_string(&path).unwrap();
        differences.push(golden::compare(&path, &generate(&before)));
    }
    // Prometheus reads the alerts from a file, its operator from a PrometheusRule.
    let rules = fs::read_to_string(root().join("integrations/prometheus/rules.yaml")).unwrap();
    differences.push(golden::compare(&chart.join("files/alerts.yaml"), &rules));
    differences
}

/// Every value is described in the schema, every described value is there.
fn values_and_schema_have_the_same_keys() {
    fn compare(values: &Value, schema: &Value, path: &str, wrong: &mut Vec<String>) {
        let Some(properties) = schema["properties"].as_object() else { return };
        for (key, value) in values.as_object().unwrap() {
            match properties.get(key) {
                Some(schema) => compare(value, schema, &format!("{path}.{key}"), wrong),
                None => wrong.push(format!("{path}.{key} is not in values.schema.json")),
            }
        }
        for key in properties.keys().filter(|key| values.get(key).is_none() && **key != "global") {
            wrong.push(format!("{path}.{key} is not in values.yaml"));
        }
        assert_eq!(schema["additionalProperties"], false, "{path} takes anything");
    }
    let values =
        serde_saphyr::from_str(&fs::read_to_string(format!("{CHART}/values.yaml")).unwrap()).unwrap();
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(format!("{CHART}/values.schema.json")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    compare(&values, &schema, "", &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn renders_as_committed_with_helm_3_and_4(case: &Path) -> Vec<Option<String>> {
    LazyLock::force(&GENERATED);
    let render = |helm| {
        let rendered = Helm(helm).template(case).unwrap_or_else(|problem| panic!("{problem}"));
        golden::compare(&case.join("rendered.yaml"), &short(&rendered))
    };
    HELMS.map(render).into()
}

/// The rendered documents, in which a CRD is its head: its spec is the one of crds/.
fn short(rendered: &str) -> String {
    let mut text = String::new();
    for document in rendered.split("\n---\n") {
        let document = document.trim_start_matches("---\n");
        match document.split_once("\nspec:\n") {
            Some((head, spec)) if head.contains("\nkind: CustomResourceDefinition\n") => {
                let name = head.split_once("\n  name: ").unwrap().1.lines().next().unwrap();
                let original = fs::read_to_string(root().join(format!("crds/{name}.yaml"))).unwrap();
                assert_eq!(spec.trim(), original.split_once("\nspec:\n").unwrap().1.trim(), "{name}");
                writeln!(text, "---\n{head}\n# spec: the one of crds/{name}.yaml").unwrap();
            }
            _ => writeln!(text, "---\n{}", document.trim_end()).unwrap(),
        }
    }
    text
}

fn is_refused_by_helm_3_and_4(case: &Path) -> Vec<Option<String>> {
    LazyLock::force(&GENERATED);
    // Lines of which each must be in the message: the two versions word it differently.
    let words = fs::read_to_string(case.join("words")).unwrap();
    assert!(!words.trim().is_empty(), "which words?");
    let refuse = |helm| match Helm(helm).template(case) {
        Ok(_) => Some(format!("{helm} renders it")),
        Err(problem) => {
            let missing: Vec<_> = words.lines().filter(|line| !problem.contains(line)).collect();
            (!missing.is_empty()).then(|| format!("{helm} does not say {missing:?} but:\n{problem}"))
        }
    };
    HELMS.map(refuse).into()
}

fn every_case_passes_helm_lint() {
    LazyLock::force(&GENERATED);
    for case in golden::cases(RENDER) {
        for helm in HELMS {
            let output =
                Helm(helm).lint(&case).unwrap_or_else(|problem| panic!("{}: {problem}", case.display()));
            assert!(
                !output.contains("[WARNING]") && !output.contains("[ERROR]"),
                "{}: {output}",
                case.display()
            );
        }
    }
}

/// Whatever the values, the operator's and the aggregated roles name what they grant, and grant nothing that reads
/// secrets, runs commands or forges results.
fn no_role_grants_too_much() {
    let mut rules = 0;
    LazyLock::force(&GENERATED);
    for case in golden::cases(RENDER) {
        let text = Helm("helm4").template(&case).unwrap();
        for document in text.split("---\n").filter(|text| text.contains("\nrules:\n")) {
            let role: Value = serde_saphyr::from_str(document).unwrap();
            let name = role["metadata"]["name"].as_str().unwrap();
            for rule in role["rules"].as_array().unwrap() {
                rules += 1;
                let of = |field: &str| -> Vec<String> {
                    rule[field]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(|v| v.as_str().unwrap().to_owned())
                        .collect()
                };
                let (groups, resources, verbs) = (of("apiGroups"), of("resources"), of("verbs"));
                assert!(
                    !groups.iter().chain(&resources).chain(&verbs).any(|word| word.contains('*')),
                    "{name}: {rule}"
                );
                for forbidden in [
                    "secrets",
                    "configmaps",
                    "pods/exec",
                    "jobs/status",
                    "nodes",
                    "namespaces",
                    "serviceaccounts/token",
                ] {
                    assert!(!resources.iter().any(|resource| resource == forbidden), "{name}: {rule}");
                }
                for forbidden in ["escalate", "bind", "impersonate", "deletecollection"] {
                    let is_for_people = name.ends_with("-edit") || name.ends_with("-admin");
                    assert!(!verbs.iter().any(|verb| verb == forbidden) || is_for_people, "{name}: {rule}");
                }
                if role["metadata"]["labels"].to_string().contains("aggregate-to") {
                    assert!(!resources.iter().any(|resource| resource.contains('/')), "{name}: {rule}");
                }
            }
        }
    }
    assert!(rules > 20, "only {rules} rules were found");
}

/// The policy on users names the annotation that the operator listens to.
fn the_admission_policy_knows_the_rerun_annotation() {
    let policy = fs::read_to_string(format!("{CHART}/templates/admission/users.yaml")).unwrap();
    let quoted = format!("'{}'", jobrequest::api::labels::RERUN);
    assert_eq!(policy.matches("jobrequest.dev/rerun").count(), policy.matches(&quoted).count());
    assert!(policy.contains(&quoted), "{quoted}");
}

/// The policy on the operator's account names the marks that the operator puts on its Jobs, and nothing else.
fn the_admission_policy_knows_the_marks_of_jobs() {
    use jobrequest::api::labels::{API_VERSION, FIELD_MANAGER, MANAGED_BY, REQUEST, REQUEST_UID, RUN};
    let policy = fs::read_to_string(format!("{CHART}/templates/admission/operator.yaml")).unwrap();
    for mark in [API_VERSION, FIELD_MANAGER, MANAGED_BY, REQUEST, REQUEST_UID, RUN] {
        assert!(policy.contains(&format!("'{mark}'")), "{mark}");
    }
    let quoted = policy.matches("'jobrequest.dev/").count();
    let known =
        [API_VERSION, REQUEST, REQUEST_UID, RUN].map(|mark| policy.matches(&format!("'{mark}'")).count());
    assert_eq!(quoted, known.iter().sum::<usize>());
}

/// Every attack of docs/security.md is a test, and every test that it names is there.
fn every_attack_is_a_test() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let table = page.split_once("<!-- attacks:").unwrap().1.split_once("<!-- end of attacks -->").unwrap().0;
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 20, "only {} attacks were found", rows.len());
    let mut sources = Vec::new();
    for folder in ["src", "tests/cluster", "tests/it"] {
        gather_sources(&root().join(folder), &mut sources);
    }
    for row in rows {
        let tests: Vec<&str> = row.rsplit('|').nth(1).unwrap().split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test: {row}");
        for test in tests {
            let (module, name) = test.rsplit_once("::").unwrap_or_else(|| panic!("{test} has no module"));
            let last = module.rsplit("::").next().unwrap_or_default();
            let is_there = sources.iter().any(|(path, source)| {
                let is_of_module =
                    |part: std::path::Component<'_>| Path::new(&part).file_stem() == Some(last.as_ref());
                path.components().any(is_of_module) && source.contains(name)
            });
            // A golden case is a folder.
            let is_golden = root().join("tests").join(module.replace("::", "/")).join(name).is_dir();
            assert!(is_there || is_golden, "there is no test {test}");
        }
    }
}

/// All files of Rust below a folder, and what they hold.
fn gather_sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            gather_sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            found.push((path, source));
        }
    }
}

/// The program takes the arguments that the chart gives it: without a cluster it gets as far as looking for one.
fn the_program_knows_its_arguments() {
    let mut containers = 0;
    LazyLock::force(&GENERATED);
    for case in golden::cases(RENDER) {
        let text = Helm("helm4").template(&case).unwrap();
        for document in text.split("---\n").filter(|text| text.contains("\nkind: Deployment\n")) {
            let deployment: Value = serde_saphyr::from_str(document).unwrap();
            let arguments =
                deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
            let output = Command::new(env!("CARGO_BIN_EXE_jobrequest"))
                .args(arguments.iter().map(|argument| argument.as_str().unwrap()))
                .env_clear()
                .env("KUBECONFIG", "/nowhere")
                .output()
                .expect("run the program");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                said.starts_with("error: could not find a cluster") || said.contains("kubeconfig"),
                "{said}"
            );
            assert_eq!(output.status.code(), Some(2), "{said}");
            containers += 1;
        }
    }
    assert!(containers > 6, "only {containers} containers were found");
}
