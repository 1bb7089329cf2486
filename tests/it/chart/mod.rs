//! The Helm chart as files: what is generated is current, what is rendered is as committed, what is wrong is refused.
//!
//! Needs the programs of tests/cluster/tools/build.sh. `BLESS=1 cargo test --test chart` writes what comes out; read the
//! difference before you commit it. What needs an API server is in tests/cluster/chart.rs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // tests are edges

#[path = "chart/generated.rs"]
mod generated;
#[path = "chart/helm.rs"]
mod helm;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use helm::{HELMS, Helm};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/jobrequest");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a file with what it should be; `BLESS=1` writes it. Returns the difference.
fn difference(path: &Path, now: &str) -> Option<String> {
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, now).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    (committed != now).then(|| {
        let difference = similar_asserts::SimpleDiff::from_str(&committed, now, "committed", "now");
        format!("{}\n{difference}", path.display())
    })
}

/// Fails with all differences at once.
fn all_current(differences: Vec<Option<String>>) {
    let wrong: Vec<_> = differences.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}\nrun: BLESS=1 cargo test --test chart", wrong.join("\n"));
}

/// Folders of cases, sorted.
fn cases(folder: &str) -> Vec<PathBuf> {
    LazyLock::force(&GENERATED);
    let folder = root().join("tests/chart").join(folder);
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// What differs in files that are generated, and goes into every rendering: so it comes first, in each test.
static GENERATED: LazyLock<Vec<String>> = LazyLock::new(|| generate().into_iter().flatten().collect());

#[test]
fn generated_files_are_current() {
    all_current(GENERATED.iter().cloned().map(Some).collect());
}

fn generate() -> Vec<Option<String>> {
    let chart = Path::new(CHART);
    let mut differences: Vec<_> = jobrequest::api::crds()
        .iter()
        .map(|crd| {
            let name = crd.metadata.name.as_deref().unwrap();
            let manifest = jobrequest::api::manifest(crd).unwrap();
            difference(&chart.join(format!("files/crds/{name}.yaml")), &manifest)
        })
        .collect();
    for (file, generate) in [
        ("charts/jobrequest/values.schema.json", generated::values_schema as fn(&str) -> String),
        ("charts/jobrequest/Chart.yaml", generated::chart_yaml),
        ("docs/install.md", generated::values_table),
    ] {
        let path = root().join(file);
        let before = fs::read_to_string(&path).unwrap();
        differences.push(difference(&path, &generate(&before)));
    }
    // Prometheus reads the alerts from a file, its operator from a PrometheusRule.
    let rules = fs::read_to_string(root().join("integrations/prometheus/rules.yaml")).unwrap();
    differences.push(difference(&chart.join("files/alerts.yaml"), &rules));
    differences
}

/// Every value is described in the schema, every described value is there.
#[test]
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

#[test]
fn every_case_renders_as_committed_with_helm_3_and_4() {
    let cases = cases("render");
    assert!(cases.len() >= 6, "only {} cases were found", cases.len());
    let mut differences = Vec::new();
    for case in &cases {
        for helm in HELMS {
            let rendered = match Helm(helm).template(case) {
                Ok(rendered) => short(&rendered),
                Err(problem) => panic!("{}: {problem}", case.display()),
            };
            differences.push(difference(&case.join("rendered.yaml"), &rendered));
        }
    }
    all_current(differences);
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

#[test]
fn what_is_wrong_is_refused_by_helm_3_and_4() {
    let cases = cases("refuse");
    assert!(cases.len() >= 8, "only {} cases were found", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        // Lines of which each must be in the message: the two versions word it differently.
        let words = fs::read_to_string(case.join("words")).unwrap();
        for helm in HELMS {
            match Helm(helm).template(case) {
                Ok(_) => wrong.push(format!("{}: {helm} renders it", case.display())),
                Err(problem) => {
                    wrong.extend(words.lines().filter(|line| !problem.contains(line)).map(|line| {
                        format!("{}: {helm} does not say `{line}` but:\n{problem}", case.display())
                    }));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_passes_helm_lint() {
    for case in cases("render") {
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
#[test]
fn no_role_grants_too_much() {
    let mut rules = 0;
    for case in cases("render") {
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
#[test]
fn the_admission_policy_knows_the_rerun_annotation() {
    let policy = fs::read_to_string(format!("{CHART}/templates/admission/users.yaml")).unwrap();
    let quoted = format!("'{}'", jobrequest::api::labels::RERUN);
    assert_eq!(policy.matches("jobrequest.dev/rerun").count(), policy.matches(&quoted).count());
    assert!(policy.contains(&quoted), "{quoted}");
}

/// The program takes the arguments that the chart gives it: without a cluster it gets as far as looking for one.
#[test]
fn the_program_knows_its_arguments() {
    let mut containers = 0;
    for case in cases("render") {
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
