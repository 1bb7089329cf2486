//! Every report is well-formed, whatever the files hold, and loses nothing.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::manifest::diagnostic::Rule;
use crate::manifest::{Documents, Inspection, Source, inspect, read};

fn inspected(files: &[(String, String)], namespace: Option<&str>) -> Inspected {
    let sources: Vec<_> = (files.iter().enumerate())
        .map(|(number, (name, text))| Arc::new(Source::new(name, number, text.as_bytes().to_vec())))
        .collect();
    inspect(read(&sources), namespace, 1).unwrap()
}

/// One of each: an unreadable text, an unknown field, an unknown volume, an object written again, a Helm hook.
fn one_of_each() -> Inspected {
    let pi =
        "apiVersion: jobrequest.dev/v1alpha1\nkind: JobRequest\nmetadata:\n  name: pi\n  namespace: team-a\n";
    let hook = "  annotations: {helm.sh/hook: pre-upgrade}\n";
    let spec = "spec:\n  containers:\n  - name: main\n    image: perl:5\n    mounts: [{volume: data, path: /data}]\n  wrong: 1\n";
    inspected(
        &[
            ("./a b.yaml".to_owned(), format!("{pi}{hook}{spec}---\n{pi}{spec}")),
            ("c.yaml".to_owned(), "[".to_owned()),
        ],
        None,
    )
}

#[test]
fn each_rule_has_a_result() {
    let found = one_of_each();
    for rule in Rule::ALL {
        assert!(all(&found).any(|diagnostic| diagnostic.rule == rule), "{rule:?}");
    }
    assert_eq!(all(&found).filter(|diagnostic| diagnostic.rule == Rule::HelmHook).count(), 1);
}

#[test]
fn github_gets_a_command_for_each() {
    let text = github(&one_of_each());
    assert!(
        text.contains(
            "::error file=a b.yaml,line=12,col=3,title=jobrequest/pi in namespace team-a::spec.wrong: unknown field \"wrong\""
        ),
        "{text}"
    );
    assert!(
        text.contains("\n::warning file=a b.yaml,line=6,col=17,title=jobrequest/pi in namespace team-a::"),
        "{text}"
    );
    assert!(
        text.contains("::error file=c.yaml,line=1,col=1,title=jobrequest validate::this is not YAML"),
        "{text}"
    );
}

#[test]
fn sarif_has_what_the_standard_requires() {
    let found = one_of_each();
    let log = sarif(&found);
    is_sarif(&log, all(&found).count());
    let results = log["runs"][0]["results"].as_array().unwrap();
    let first = results.iter().find(|result| result["ruleId"] == "schema").unwrap();
    let location = &first["locations"][0];
    assert_eq!(location["physicalLocation"]["artifactLocation"]["uri"], "a%20b.yaml");
    assert_eq!(location["physicalLocation"]["region"], json!({"startLine": 12, "startColumn": 3}));
    assert_eq!(location["logicalLocations"][0]["fullyQualifiedName"], "jobrequest/pi in namespace team-a");
    assert!(
        first["message"]["text"]
            .as_str()
            .unwrap()
            .starts_with("jobrequest/pi in namespace team-a: spec.wrong: ")
    );
    assert_eq!(sarif(&Inspected::default())["runs"][0]["results"], json!([]));
}

/// Code scanning takes a problem whose fingerprint it knows for the same one.
#[test]
fn fingerprints_outlive_moved_lines() {
    let prints = |text: &str| -> Vec<Value> {
        let log = sarif(&inspected(&[("a.yaml".to_owned(), text.to_owned())], None));
        let results = log["runs"][0]["results"].as_array().unwrap();
        results.iter().map(|result| result["partialFingerprints"].clone()).collect()
    };
    let text = "apiVersion: jobrequest.dev/v1alpha1\nkind: JobRequest\nmetadata: {name: a}\nspec: {x: 1, y: 2, containers: [{name: a, image: a}]}\n";
    let before = prints(&format!("{text}---\n{text}"));
    assert_eq!(prints(&format!("# moved\n\n{text}---\n# also moved\n{text}")), before);
    assert_eq!(before.len(), 5, "two fields, twice, and one that is written twice");
    for (index, print) in before.iter().enumerate() {
        assert!(!before[index + 1..].contains(print), "{before:?}");
    }
    assert_ne!(prints(&text.replace("name: a", "name: b"))[0], before[0]);
}

#[test]
fn names_of_files_become_uris() {
    let uri = |name: &str| {
        let log = sarif(&inspected(&[(name.to_owned(), "[".to_owned())], None));
        log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].clone()
    };
    for (name, wanted) in [
        ("a/b.yaml", "a/b.yaml"),
        ("./a/b.yaml", "a/b.yaml"),
        (".//a.yaml", "a.yaml"),
        ("././a.yaml", "a.yaml"),
        ("../a.yaml", "../a.yaml"),
        ("/work/a.yaml", "file:///work/a.yaml"),
        ("a:b?c#d%20.yaml", "a%3Ab%3Fc%23d%2520.yaml"),
        ("计算.yaml", "%E8%AE%A1%E7%AE%97.yaml"),
    ] {
        assert_eq!(uri(name), wanted);
    }
}

#[test]
fn junit_has_a_case_for_each_document() {
    let xml = junit(&one_of_each());
    let elements = elements(&xml);
    let find = |name: &str| elements.iter().filter(|it| it.name == name).collect::<Vec<_>>();
    let value =
        |it: &Element, name: &str| it.attributes.iter().find(|(key, _)| key == name).unwrap().1.clone();
    assert_eq!(find("testsuites").len(), 1);
    assert_eq!(value(find("testsuites")[0], "tests"), "3");
    assert_eq!(value(find("testsuites")[0], "failures"), "3");
    let suites: Vec<_> = find("testsuite").iter().map(|it| value(it, "name")).collect();
    assert_eq!(suites, ["a b.yaml", "c.yaml"]);
    let cases: Vec<_> = find("testcase").iter().map(|it| value(it, "name")).collect();
    let object = "jobrequest/pi in namespace team-a";
    assert_eq!(cases, [object, object, "document at line 1"]);
    let failures = find("failure");
    assert_eq!(failures.len(), 3);
    assert!(value(failures[0], "message").starts_with("2 problems, the first: spec"), "{xml}");
    assert!(failures[0].text.contains("\n  12 |   wrong: 1\n"), "{xml}");
    assert_eq!(find("system-out").len(), 1);
    assert_eq!(elements_of(&junit(&Inspected::default())), ["testsuites"]);
}

fn elements_of(xml: &str) -> Vec<String> {
    elements(xml).into_iter().map(|element| element.name).collect()
}

/// What the standard requires of a log, and GitHub of one that is uploaded.
fn is_sarif(log: &Value, results: usize) {
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().ends_with("sarif-schema-2.1.0.json"));
    let [run] = log["runs"].as_array().unwrap().as_slice() else { panic!("one run") };
    let driver = &run["tool"]["driver"];
    assert!(
        driver["name"].is_string() && driver["version"].is_string() && driver["informationUri"].is_string()
    );
    let rules = driver["rules"].as_array().unwrap();
    for rule in rules {
        assert!(rule["id"].is_string() && rule["shortDescription"]["text"].is_string(), "{rule}");
    }
    let found = run["results"].as_array().unwrap();
    assert_eq!(found.len(), results);
    for result in found {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(result["ruleId"], rules[index]["id"]);
        assert!(["error", "warning"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let location = &result["locations"][0]["physicalLocation"];
        let uri = location["artifactLocation"]["uri"].as_str().unwrap();
        assert!(uri.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/%:".contains(&byte)), "{uri}");
        for field in ["startLine", "startColumn"] {
            assert!(location["region"][field].as_u64().unwrap() >= 1, "{result}");
        }
        assert!(result["partialFingerprints"]["jobrequest/v1"].is_string());
    }
}

struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
}

/// The elements of a document in which tags, attributes and references are as XML 1.0 wants them; panics otherwise.
fn elements(xml: &str) -> Vec<Element> {
    assert!(xml.chars().all(|character| matches!(character,
        '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)));
    let mut rest = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap();
    let mut all: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    while let Some((text, after)) = rest.split_once('<') {
        match open.last() {
            Some(index) => all[*index].text += &unescaped(text),
            None => assert_eq!(text.trim(), "", "text outside of the root"),
        }
        let (tag, after) = after.split_once('>').unwrap();
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(all[open.pop().unwrap()].name, name);
            continue;
        }
        let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        assert!(!open.is_empty() || all.is_empty(), "a second root");
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut element = Element { name: name.to_owned(), attributes: Vec::new(), text: String::new() };
        while !attributes.is_empty() {
            let (key, after) = attributes.split_once("=\"").unwrap();
            let (value, after) = after.split_once('"').unwrap();
            assert!(key.bytes().all(|byte| byte.is_ascii_lowercase()), "{key:?}");
            assert!(!value.contains(['\n', '\t', '\r']), "a parser changes it: {value:?}");
            element.attributes.push((key.to_owned(), unescaped(value)));
            attributes = after.trim_start();
        }
        all.push(element);
        if !is_empty {
            open.push(all.len() - 1);
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty());
    all
}

fn unescaped(text: &str) -> String {
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, after) = part.split_once(';').unwrap();
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#9" => '\t',
            "#10" => '\n',
            "#13" => '\r',
            _ => panic!("&{name};"),
        });
        plain += after;
    }
    plain
}

/// A line as the runner of GitHub Actions reads it: the command, its properties, its data.
fn command(line: &str) -> (String, Vec<(String, String)>, String) {
    let (head, data) = line.strip_prefix("::").unwrap().split_once("::").unwrap();
    let (name, properties) = head.split_once(' ').unwrap();
    let back = |text: &str| text.replace("%0D", "\r").replace("%0A", "\n");
    let property = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap();
        let value = back(value).replace("%3A", ":").replace("%2C", ",").replace("%25", "%");
        (key.to_owned(), value)
    };
    (name.to_owned(), properties.split(',').map(property).collect(), back(data).replace("%25", "%"))
}

fn hostile() -> impl Strategy<Value = String> {
    const HARD: &[&str] = &[
        "::error::x",
        "::",
        "%",
        "%0A",
        "%25",
        ",",
        ":",
        "=",
        "\n",
        "\r\n",
        "\r",
        "\t",
        "\0",
        "\u{1}",
        "\u{1b}[31m",
        "\u{fffe}",
        "\u{ffff}",
        "\u{85}",
        "\u{2028}",
        "<",
        ">",
        "]]>",
        "&",
        "&amp;",
        "\"",
        "'",
        "<!--",
        "-->",
        "<?",
        "##[error]",
        "计算",
        "./",
        "/",
        "..",
        "{{ x }}",
        "\\",
        "\u{202e}",
    ];
    let piece = prop_oneof![
        proptest::sample::select(HARD).prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
        "[ -~]{0,6}"
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// What might be found in files of these names: a document of each text of objects that can be read, with a problem and a
/// warning, and what cannot be read.
fn made_up(files: &[(String, String)], namespace: &str, field: &str, text: &str) -> Inspected {
    let sources: Vec<_> = (files.iter().enumerate())
        .map(|(number, (name, text))| Arc::new(Source::new(name, number, text.as_bytes().to_vec())))
        .collect();
    let Documents { documents, unreadable, .. } = read(&sources);
    let mut found = Inspected::default();
    found
        .diagnostics
        .extend(unreadable.into_iter().map(|(source, error)| Diagnostic::of_text(source, error)));
    for (index, document) in documents.into_iter().enumerate() {
        let diagnostic = |rule| Diagnostic {
            rule,
            source: Arc::clone(&document.source),
            at: document.node.at,
            object: document.object(),
            namespace: Some(namespace.to_owned()),
            document: Some(index),
            field: field.to_owned(),
            message: text.to_owned(),
        };
        found.diagnostics.extend([Rule::Schema, Rule::Spec].map(diagnostic));
        found.warnings.push(diagnostic(Rule::HelmHook));
        let namespace = Some(namespace.to_owned());
        found.documents.push(Inspection { document, namespace, problems: 2, request: None });
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_the_files_hold_reports_are_well_formed(
        file_name in hostile(),
        name in hostile(),
        namespace in hostile(),
        kind in hostile(),
        field in hostile(),
        text in hostile(),
        other in hostile(),
    ) {
        let object =
            json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": format!("x{kind}"), "metadata": {"name": name}});
        let files = [(file_name.clone(), object.to_string()), (format!("b{file_name}"), other)];
        let found = made_up(&files, &namespace, &field, &text);
        let count = all(&found).count();
        prop_assert!(count > 0);

        let commands = github(&found);
        prop_assert_eq!(commands.lines().count(), count);
        for (line, diagnostic) in commands.split_terminator('\n').zip(all(&found)) {
            let (name, properties, data) = command(line);
            prop_assert_eq!(name, diagnostic.rule.severity().as_str());
            let keys: Vec<_> = properties.iter().map(|(key, _)| key.as_str()).collect();
            prop_assert_eq!(keys, ["file", "line", "col", "title"]);
            prop_assert_eq!(&properties[0].1, file(&diagnostic.source.name));
            prop_assert_eq!(&properties[3].1, &object_or_title(diagnostic));
            prop_assert_eq!(data, message(diagnostic));
        }

        is_sarif(&sarif(&found), count);

        let elements = elements(&junit(&found));
        let cases = elements.iter().filter(|element| element.name == "testcase").count();
        let unreadable = found.diagnostics.iter().filter(|it| it.document.is_none()).count();
        prop_assert_eq!(cases, found.documents.len() + unreadable);
        let failures = elements.iter().filter(|element| element.name == "failure").count();
        prop_assert_eq!(failures, cases);
    }
}

fn object_or_title(diagnostic: &Diagnostic) -> String {
    object(diagnostic).unwrap_or_else(|| "jobrequest validate".to_owned())
}
