//! The explanation of each request, as `-o json` shows it.

use serde::Serialize;
use serde_json::Value;

use crate::api::status::TemplatePin;
use crate::api::template_ref::TemplateRef;
use crate::compile::policy::Clamp;
use crate::compile::{Compiled, Decided, Layers, Problem, Provenance};
use crate::manifest::{Diagnostic, Row, Skipped};
use crate::printable::excerpt;

/// Everything that was explained.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) requests: Vec<Explanation>,
    /// What is wrong in the files.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Objects of other API groups.
    pub(super) passed_over: usize,
    /// What could not be seen in the cluster, in a sentence each.
    pub(super) gaps: Vec<String>,
    /// Files that were passed over.
    pub(super) skipped: Skipped,
}

/// One request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explanation {
    /// Such as `jobrequest/pi`.
    pub(super) object: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    /// Where it was written.
    #[serde(flatten)]
    pub(super) at: Option<Place>,
    /// It can become a Job.
    pub(super) valid: bool,
    /// The templates that apply to it, lowest precedence first.
    pub(super) templates: Vec<TemplatePin>,
    /// Defaults that are being deleted, and so no longer apply to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) terminating: Vec<TemplateRef>,
    /// Defaults of which only the policy counts, because newer ones give the values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) policies_of: Vec<TemplatePin>,
    pub(super) fields: Vec<Field>,
    /// Numbers that policies have clamped.
    pub(super) clamped: Vec<Clamp>,
    /// What policies warn about.
    pub(super) warned: Vec<Problem>,
    /// What LimitRanges of the namespace add to the containers; of live requests only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) limit_ranges: Vec<String>,
    /// How the current templates differ from those of the newest run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) template_outdated: Option<String>,
    /// Why it cannot become a Job. For files this is among all problems, with line and column.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) problems: Vec<Problem>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: usize,
}

/// One value.
#[derive(Debug, Serialize)]
pub(super) struct Field {
    pub(super) path: String,
    pub(super) value: Value,
    pub(super) origin: String,
    /// What lower-precedence layers set, the highest of them first.
    pub(super) overrode: Vec<Overridden>,
    /// Where the value was written.
    #[serde(flatten)]
    pub(super) at: Option<Place>,
}

/// A value that a higher-precedence layer overrode.
#[derive(Debug, Serialize)]
pub(super) struct Overridden {
    pub(super) value: Value,
    pub(super) origin: String,
}

impl Explanation {
    /// Explains `object` by what its layers came to; `locate` finds where a value was written.
    pub(super) fn new(
        object: String,
        layers: &Layers,
        provenance: Vec<Provenance>,
        compiled: Option<&Compiled>,
        locate: impl Fn(&Provenance) -> Option<Place>,
    ) -> Self {
        let fields = provenance
            .into_iter()
            .map(|row| {
                let at = locate(&row);
                let Decided { value, origin, overrode } = row.decided;
                let overrode = overrode.into_iter().rev();
                Field {
                    path: row.path,
                    value,
                    origin: origin.to_string(),
                    overrode: overrode
                        .map(|(origin, value)| Overridden { value, origin: origin.to_string() })
                        .collect(),
                    at,
                }
            })
            .collect();
        Self {
            object,
            namespace: None,
            at: None,
            valid: compiled.is_some(),
            templates: layers.templates.iter().map(|template| template.pin()).collect(),
            policies_of: layers.superseded.iter().map(|other| other.template.pin()).collect(),
            terminating: layers.terminating_defaults(),
            fields,
            clamped: compiled.map(|compiled| compiled.clamped.clone()).unwrap_or_default(),
            warned: compiled.map(|compiled| compiled.warned.clone()).unwrap_or_default(),
            limit_ranges: Vec::new(),
            template_outdated: None,
            problems: Vec::new(),
        }
    }

    /// One line per problem.
    pub(super) fn problem_lines(&self) -> impl Iterator<Item = String> {
        self.problems
            .iter()
            .map(|problem| format!("error: {}: {}\n", excerpt(&self.object), excerpt(&problem.to_string())))
    }
}

/// The report as `-o json` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rows<'a> {
    requests: &'a [Explanation],
    problems: Vec<Row<'a>>,
    passed_over: usize,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    unseen: &'a [String],
    passed_over_files: usize,
}

impl Report {
    /// Every request can become a Job, and nothing else is wrong.
    pub(super) fn is_valid(&self) -> bool {
        self.diagnostics.is_empty() && self.requests.iter().all(|request| request.valid)
    }

    /// For machines.
    pub(super) fn rows(&self) -> Rows<'_> {
        Rows {
            requests: &self.requests,
            problems: self.diagnostics.iter().map(Diagnostic::row).collect(),
            passed_over: self.passed_over,
            unseen: &self.gaps,
            passed_over_files: self.skipped.all(),
        }
    }
}
