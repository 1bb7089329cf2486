//! The questions of the form, step by step: data, which [`super::Form`] walks through.
//!
//! A question is about a flag of `create`, so that its answer is judged and written as that flag is. Help and choices
//! come from the CRD unless an answer is written in another way than the field.

use super::inventory::Kind;

/// How a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// One line of text; empty: no answer.
    Line,
    /// A program or arguments in one line, with quotes as in a shell.
    Words,
    /// A number of seconds.
    Seconds,
    /// One of the values that the CRD allows, or none.
    Choice,
    /// Any number of lines, each one entry.
    Entries,
}

/// One question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// The flag that the answer is for; `NAME` is the name, `--` the arguments.
    pub(super) flag: &'static str,
    pub(super) label: &'static str,
    pub(super) ask: Ask,
    /// The field whose help and limits are shown.
    pub(super) field: &'static str,
    /// Help instead of the field's.
    pub(super) help: &'static str,
    /// What can be picked.
    pub(super) picks: Option<Kind>,
}

/// One step.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Its title.
    pub title: &'static str,
    pub(super) items: &'static [Item],
}

const fn item(flag: &'static str, label: &'static str, ask: Ask, field: &'static str) -> Item {
    Item { flag, label, ask, field, help: "", picks: None }
}

const fn helped(flag: &'static str, label: &'static str, ask: Ask, help: &'static str) -> Item {
    Item { flag, label, ask, field: "", help, picks: None }
}

const fn picked(item: Item, kind: Kind) -> Item {
    Item { picks: Some(kind), ..item }
}

/// More fields of a step.
const fn more(help: &'static str) -> Item {
    helped("--set", "More fields", Ask::Entries, help)
}

/// The six steps.
pub const STEPS: [Step; 6] = [
    Step {
        title: "Basic information",
        items: &[
            helped("NAME", "Name", Ask::Line, "At most 52 lower-case letters, digits and '-'."),
            item("--alias", "Alias", Ask::Line, "alias"),
            item("--description", "Description", Ask::Line, "description"),
            picked(
                helped(
                    "--template",
                    "Template",
                    Ask::Line,
                    "NAME of a JobTemplate, or cluster/NAME of a ClusterJobTemplate. Empty: the default templates only.",
                ),
                Kind::Template,
            ),
        ],
    },
    Step {
        title: "Job settings",
        items: &[
            item("--completions", "Completions", Ask::Line, "settings.completions"),
            item("--parallelism", "Parallelism", Ask::Line, "settings.parallelism"),
            item("--backoff-limit", "Backoff limit", Ask::Line, "settings.backoffLimit"),
            item("--deadline", "Active deadline (seconds)", Ask::Seconds, "settings.activeDeadlineSeconds"),
            more("PATH=VALUE, for example settings.completionMode=Indexed or runPolicy.whileActive=Replace."),
        ],
    },
    Step {
        title: "Pod template",
        items: &[
            item("--restart", "Restart policy", Ask::Choice, "restartPolicy"),
            item("--image", "Image", Ask::Line, "containers[main].image"),
            item("--command", "Command", Ask::Words, "containers[main].command"),
            item("--", "Arguments", Ask::Words, "containers[main].args"),
            picked(item("--size", "Size", Ask::Line, "containers[main].quota"), Kind::Size),
            helped(
                "--cpu",
                "CPU",
                Ask::Line,
                "REQUEST or REQUEST:LIMIT, for example 250m:500m. Empty: what the size or a template says.",
            ),
            helped(
                "--memory",
                "Memory",
                Ask::Line,
                "REQUEST or REQUEST:LIMIT, for example 128Mi:256Mi. Empty: what the size or a template says.",
            ),
            helped(
                "--env",
                "Environment variables",
                Ask::Entries,
                "NAME=VALUE, NAME=secret/OBJECT:KEY or NAME=configmap/OBJECT:KEY.",
            ),
            helped(
                "--env-from",
                "Variables of a whole object",
                Ask::Entries,
                "configmap/OBJECT or secret/OBJECT, and :PREFIX for the names.",
            ),
            picked(
                item("--service-account", "Service account", Ask::Line, "serviceAccountName"),
                Kind::ServiceAccount,
            ),
            more(
                "PATH=VALUE, for example containers[main].workingDir=/tmp or containers[other].image=perl:5.",
            ),
        ],
    },
    Step {
        title: "Volumes",
        items: &[
            helped(
                "--mount",
                "Volumes",
                Ask::Entries,
                "pvc/CLAIM:/PATH, empty:/PATH, configmap/OBJECT:/PATH or secret/OBJECT:/PATH; :ro at the end is read-only.",
            ),
            more("PATH=VALUE, for example volumes[tmp].emptyDir={medium: Memory}."),
        ],
    },
    Step {
        title: "Labels and annotations",
        items: &[
            helped("--label", "Labels", Ask::Entries, "KEY=VALUE: labels of the Job and its pods."),
            helped(
                "--annotation",
                "Annotations",
                Ask::Entries,
                "KEY=VALUE: annotations of the Job and its pods.",
            ),
        ],
    },
    Step {
        title: "Node selection",
        items: &[
            helped(
                "--node-selector",
                "Node selector",
                Ask::Entries,
                "KEY=VALUE: labels that a node must have.",
            ),
            picked(item("--node", "Node", Ask::Line, "nodeName"), Kind::Node),
            more("PATH=VALUE, for example tolerations=[{key: batch, operator: Exists}]."),
        ],
    },
];
