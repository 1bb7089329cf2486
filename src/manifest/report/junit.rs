//! A JUnit report: a suite for each file, a case for each document, one failure with all problems of it.
//!
//! The attributes and elements are those that Jenkins, GitLab and GitHub's report actions have in common.

use std::fmt::Write as _;

use super::{file, message};
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Inspected, Source};
use crate::printable::excerpt;

/// A document, or a text that is none.
struct Case {
    name: String,
    line: usize,
    /// Problems, each with its line in the file.
    problems: Vec<(String, String)>,
    warnings: Vec<String>,
}

impl Case {
    fn add(&mut self, diagnostic: &Diagnostic, is_warning: bool) {
        if is_warning {
            self.warnings.push(diagnostic.text());
        } else {
            self.problems.push((message(diagnostic), diagnostic.text()));
        }
    }
}

/// The cases of a file.
struct Suite<'a> {
    source: &'a Source,
    cases: Vec<Case>,
}

/// XML 1.0 in UTF-8.
#[must_use]
pub fn junit(inspected: &Inspected) -> String {
    let suites = suites(inspected);
    let cases = || suites.iter().flat_map(|suite| &suite.cases);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(xml, "<testsuites name=\"jobrequest validate\"{}>", numbers(cases()));
    for suite in &suites {
        let name = attribute(file(&suite.source.name));
        let _ = writeln!(xml, "  <testsuite name=\"{name}\"{}>", numbers(suite.cases.iter()));
        for case in &suite.cases {
            case_xml(&mut xml, &name, case);
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// The attributes that count `cases`.
fn numbers<'a>(cases: impl Iterator<Item = &'a Case>) -> String {
    let (mut tests, mut failures) = (0, 0);
    for case in cases {
        tests += 1;
        failures += usize::from(!case.problems.is_empty());
    }
    format!(" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\"")
}

fn case_xml(xml: &mut String, file: &str, case: &Case) {
    let name = attribute(&case.name);
    let _ = write!(
        xml,
        "    <testcase name=\"{name}\" classname=\"{file}\" file=\"{file}\" line=\"{}\"",
        case.line
    );
    if case.problems.is_empty() && case.warnings.is_empty() {
        xml.push_str("/>\n");
        return;
    }
    xml.push_str(">\n");
    if let Some((first, _)) = case.problems.first() {
        let message = match case.problems.len() {
            1 => first.clone(),
            several => format!("{several} problems, the first: {first}"),
        };
        let all: String = case.problems.iter().map(|(_, text)| text.as_str()).collect();
        let _ = writeln!(
            xml,
            "      <failure message=\"{}\" type=\"invalid\">{}</failure>",
            attribute(&message),
            content(&all)
        );
    }
    if !case.warnings.is_empty() {
        let _ = writeln!(xml, "      <system-out>{}</system-out>", content(&case.warnings.concat()));
    }
    xml.push_str("    </testcase>\n");
}

/// In the order of the sources; texts that are no objects are cases, too.
fn suites(inspected: &Inspected) -> Vec<Suite<'_>> {
    let mut cases: Vec<(&Source, Case)> = (inspected.documents.iter())
        .map(|inspection| {
            let line = inspection.document.node.at.line;
            let name = excerpt(&inspection.object_in_namespace());
            let case = Case { name, line, problems: Vec::new(), warnings: Vec::new() };
            (&*inspection.document.source, case)
        })
        .collect();
    let both = [(&inspected.diagnostics, false), (&inspected.warnings, true)];
    for (diagnostic, is_warning) in
        both.into_iter().flat_map(|(list, is)| list.iter().map(move |it| (it, is)))
    {
        if let Some((_, case)) = diagnostic.document.and_then(|index| cases.get_mut(index)) {
            case.add(diagnostic, is_warning);
            continue;
        }
        let line = diagnostic.at.line;
        let name = format!("document at line {line}");
        let mut case = Case { name, line, problems: Vec::new(), warnings: Vec::new() };
        case.add(diagnostic, is_warning);
        cases.push((&diagnostic.source, case));
    }
    cases.sort_by_key(|(source, case)| (source.number, case.line));
    let mut suites: Vec<Suite<'_>> = Vec::new();
    for (source, case) in cases {
        match suites.last_mut().filter(|suite| suite.source.number == source.number) {
            Some(suite) => suite.cases.push(case),
            None => suites.push(Suite { source, cases: vec![case] }),
        }
    }
    suites
}

/// Text between tags.
fn content(text: &str) -> String {
    escaped(text, false)
}

/// The value of an attribute in double quotes.
fn attribute(text: &str) -> String {
    escaped(text, true)
}

fn escaped(text: &str, is_attribute: bool) -> String {
    let mut xml = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            // A parser makes a line feed of the first, and spaces of all in an attribute.
            '\r' => xml.push_str("&#13;"),
            '\n' if is_attribute => xml.push_str("&#10;"),
            '\t' if is_attribute => xml.push_str("&#9;"),
            // No document of XML 1.0 can have them, not even as references.
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                xml.push(char::REPLACEMENT_CHARACTER);
            }
            character => xml.push(character),
        }
    }
    xml
}
