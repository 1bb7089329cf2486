//! Text that users read is plain English: the phrases that CONTRIBUTING.md replaces stay out of it.
//!
//! Pages, the chart and what it generates, alerts and dashboards, help texts, descriptions in the CRDs, and the string
//! literals of the program. Code in them is no prose, and is left out.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use libtest_mimic::Trial;
use regex::{Regex, RegexBuilder};

use crate::support::root;

pub(crate) fn tests() -> Vec<Trial> {
    tests![
        pages_are_plain_english,
        help_texts_are_plain_english,
        descriptions_in_the_crds_are_plain_english,
        literals_are_plain_english,
        comments_are_plain_english,
        the_check_finds_what_it_looks_for,
    ]
}

/// A phrase, as a regular expression between word boundaries, and what to write instead.
const DENIED: [(&str, &str); 18] = [
    ("told|tells", "reported, says, shows"),
    ("mend(s|ed|ing)?", "fix"),
    ("for ever", "forever, indefinitely"),
    ("go(es|ing)? on|went on", "continues, resumes"),
    ("gets? (on|round)", "makes progress; bypasses"),
    ("br(oke|eaks?|oken) off", "was interrupted"),
    ("whoever", "anyone who"),
    ("doors?", "source, way"),
    ("echo(es)?", "last handled value"),
    ("stand(s|ing)? by", "is on standby"),
    ("of (ours|theirs)", "our, their, own"),
    ("in the way", "blocking"),
    ("a look", "a check, a poll"),
    ("for so long", "for this long"),
    ("stops to act", "stops acting"),
    ("nearer|(lies?|lying) below", "higher-precedence; applies to, is inherited by"),
    ("parts? from", "differs from, separates"),
    ("another (exit )?code than", "a non-zero exit code"),
];

/// The denied phrases.
fn denied() -> Vec<(Regex, &'static str)> {
    let compiled = DENIED.iter().map(|(phrase, instead)| {
        let pattern = format!(r"\b({phrase})\b");
        (RegexBuilder::new(&pattern).case_insensitive(true).build().unwrap(), *instead)
    });
    compiled.collect()
}

/// Fails with every denied phrase in `texts`, each of which comes with its place.
fn check(texts: &[(String, String)]) {
    let wrong = problems(texts);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn problems(texts: &[(String, String)]) -> Vec<String> {
    let denied = denied();
    let mut wrong = Vec::new();
    for (place, text) in texts {
        for (pattern, instead) in &denied {
            if let Some(found) = pattern.find(text) {
                wrong.push(format!("{place}: {:?} in {text:?}; write: {instead}", found.as_str()));
            }
        }
    }
    wrong
}

fn files(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    fn collect(folder: &Path, extensions: &[&str], files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, extensions, files);
            } else if path.extension().is_some_and(|it| extensions.iter().any(|extension| it == *extension)) {
                files.push(path);
            }
        }
    }
    let mut all = Vec::new();
    collect(&root().join(folder), extensions, &mut all);
    all.sort();
    all
}

/// Lines of a file with their places.
fn lines(path: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let name = path.strip_prefix(root()).unwrap_or(path).display().to_string();
    text.lines().zip(1..).map(|(line, number)| (format!("{name}:{number}"), line.to_owned())).collect()
}

/// Prose of a page: without blocks of code, inline code, and the addresses of links.
fn prose(path: &Path) -> Vec<(String, String)> {
    let code = Regex::new(r"`[^`]*`|\]\([^)]*\)").unwrap();
    let mut is_code = false;
    let mut prose = lines(path);
    prose.retain(|(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence && !line.starts_with("    ")
    });
    prose.into_iter().map(|(place, line)| (place, code.replace_all(&line, "").into_owned())).collect()
}

fn pages_are_plain_english() {
    let mut texts = Vec::new();
    for page in ["README.md", "CHANGELOG.md", "SECURITY.md"] {
        texts.extend(prose(&root().join(page)));
    }
    // The table of CONTRIBUTING.md is what this test goes by.
    texts.extend(
        prose(&root().join("CONTRIBUTING.md")).into_iter().filter(|(_, line)| !line.starts_with("| ")),
    );
    for folder in ["docs", "integrations", "tests"] {
        for page in files(folder, &["md"]) {
            texts.extend(prose(&page));
        }
    }
    for file in [
        "charts/jobrequest/values.yaml",
        "integrations/prometheus/rules.yaml",
        "integrations/grafana/dashboard.json",
    ] {
        texts.extend(lines(&root().join(file)));
    }
    texts.extend(
        lines(&root().join("charts/jobrequest/templates/NOTES.txt"))
            .into_iter()
            .filter(|(_, line)| !line.contains("command:")),
    );
    assert!(texts.len() > 2000, "only {} lines were found", texts.len());
    check(&texts);
}

fn help(command: &Command, path: &str, texts: &mut Vec<(String, String)>) {
    let path = format!("{path} {}", command.get_name());
    let about = [command.get_about(), command.get_long_about(), command.get_after_help()];
    texts.extend(about.into_iter().flatten().map(|text| (path.clone(), text.to_string())));
    for argument in command.get_arguments() {
        let place = format!("{path} {}", argument.get_id());
        let help = [argument.get_help(), argument.get_long_help()];
        texts.extend(help.into_iter().flatten().map(|text| (place.clone(), text.to_string())));
    }
    for command in command.get_subcommands() {
        help(command, &path, texts);
    }
}

fn help_texts_are_plain_english() {
    use clap::CommandFactory;
    let mut texts = Vec::new();
    help(&jobrequest::cli::Arguments::command(), "", &mut texts);
    assert!(texts.len() > 30, "only {} texts were found", texts.len());
    check(&texts);
}

fn descriptions_in_the_crds_are_plain_english() {
    fn collect(value: &serde_json::Value, path: &str, texts: &mut Vec<(String, String)>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str() {
                        Some(text) if matches!(name.as_str(), "description" | "message") => {
                            texts.push((path.to_owned(), text.to_owned()));
                        }
                        _ => collect(value, &format!("{path}.{name}"), texts),
                    }
                }
            }
            serde_json::Value::Array(items) => {
                for item in items {
                    collect(item, path, texts);
                }
            }
            _ => {}
        }
    }
    let mut texts = Vec::new();
    for crd in jobrequest::api::crds() {
        let name = crd.spec.names.kind.clone();
        collect(&serde_json::to_value(crd.spec).unwrap(), &name, &mut texts);
    }
    assert!(texts.len() > 200, "only {} texts were found", texts.len());
    check(&texts);
}

/// The string literals of a source file, but for its tests.
fn literals(path: &Path) -> Vec<(String, String)> {
    let literal = Regex::new(r#""((?:[^"\\]|\\.)*)""#).unwrap();
    let mut found = Vec::new();
    for (place, line) in lines(path).into_iter().take_while(|(_, line)| line.trim() != "#[cfg(test)]") {
        let code = line.trim_start();
        if code.starts_with("//") || code.starts_with("#[") || code.starts_with("#![") {
            continue;
        }
        found.extend(literal.captures_iter(&line).map(|captures| (place.clone(), captures[1].to_owned())));
        // A literal that continues on the next line.
        if line.ends_with('\\') {
            found.push((place, line));
        }
    }
    found
}

fn literals_are_plain_english() {
    let mut texts = Vec::new();
    for file in files("src", &["rs"]) {
        // A file of tests is named so.
        if file.file_name().is_some_and(|name| name != "tests.rs") {
            texts.extend(literals(&file));
        }
    }
    assert!(texts.len() > 1500, "only {} texts were found", texts.len());
    check(&texts);
}

fn comments_are_plain_english() {
    let code = Regex::new("`[^`]*`").unwrap();
    let mut texts = Vec::new();
    for folder in ["src", "tests", "benches"] {
        // This file names what it denies.
        for file in files(folder, &["rs"]).into_iter().filter(|file| !file.ends_with("prose.rs")) {
            texts.extend(lines(&file).into_iter().filter_map(|(place, line)| {
                let (_, comment) = ["/// ", "//! ", "// "].iter().find_map(|mark| line.split_once(mark))?;
                Some((place, code.replace_all(comment, "").into_owned()))
            }));
        }
    }
    assert!(texts.len() > 3000, "only {} comments were found", texts.len());
    check(&texts);
}

fn the_check_finds_what_it_looks_for() {
    let found = |text: &str| problems(&[("here".to_owned(), text.to_owned())]).len();
    for wrong in [
        "The status tells it.",
        "It waits for ever",
        "the run goes on",
        "Whoever asks",
        "the watch broke off",
    ] {
        assert_eq!(found(wrong), 1, "{wrong}");
    }
    for right in
        ["It continues forever.", "Tell them apart by a label.", "It was intended.", "standby", "goes once"]
    {
        assert_eq!(found(right), 0, "{right}");
    }
}
