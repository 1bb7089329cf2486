//! Words that are no commands: takes clap's error about one, returns a message with the command that does it.
//!
//! Many people type the words of kubectl, Docker, Helm or systemctl. Their meaning, not their spelling, leads to the
//! command; a slip of the pen is found by spelling.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, Error};

use super::Arguments;
use super::invocation::program;
use crate::printable::excerpt;
use crate::similar::closest;

/// What does it: how it is typed after the name of the program, and what it does.
struct Way {
    typed: &'static str,
    does: &'static str,
}

const CANCEL: Way = Way { typed: "cancel NAME", does: "ends the active run of a JobRequest" };
const COMPLETION: Way = Way { typed: "completion bash", does: "prints the script that completes commands" };
const CONVERT: Way = Way { typed: "convert FILE", does: "makes JobRequests of Jobs and CronJobs" };
const CREATE: Way = Way { typed: "create", does: "creates a JobRequest by flags or step by step" };
const DIFF: Way = Way { typed: "diff FILE", does: "shows what an edit would do" };
const LOGS: Way = Way { typed: "logs NAME", does: "prints the logs of a run" };
const MAN: Way = Way { typed: "man", does: "prints the manual page" };
const CONTROLLER: Way = Way { typed: "controller", does: "runs the operator" };
const CRDS: Way = Way { typed: "crds", does: "prints the CustomResourceDefinitions" };
const DELETE: Way =
    Way { typed: "delete NAME", does: "deletes a JobRequest with its Jobs, pods and records" };
const DESCRIBE: Way =
    Way { typed: "describe NAME", does: "shows the state of a JobRequest, why, and what to do" };
const EXPLAIN: Way = Way { typed: "explain NAME", does: "shows where each value of a JobRequest comes from" };
const HELP: Way = Way { typed: "--help", does: "lists the commands" };
const HISTORY: Way = Way { typed: "history NAME", does: "lists the runs of a JobRequest" };
const LIST: Way = Way { typed: "list", does: "lists JobRequests; describe NAME shows one" };
const RENDER: Way = Way { typed: "render FILE", does: "prints the Jobs that a file becomes" };
const RERUN: Way = Way { typed: "rerun NAME", does: "runs a JobRequest again" };
const RESUME: Way = Way { typed: "resume NAME", does: "resumes a suspended JobRequest" };
const RUN: Way = Way { typed: "run FILE", does: "applies a JobRequest and follows its run to the end" };
const SCHEMA: Way = Way { typed: "schema", does: "prints JSON Schemas of the kinds" };
const SELF_TEST: Way = Way { typed: "self-test", does: "tries the whole installation" };
const SUSPEND: Way =
    Way { typed: "suspend NAME", does: "stops the pods of the active run until it is resumed" };
const VALIDATE: Way = Way { typed: "validate FILE", does: "finds mistakes in files" };
const VERSION: Way = Way { typed: "--version", does: "prints the version" };
const WAIT: Way = Way { typed: "wait NAME", does: "waits for the end of a run" };
const WATCH: Way = Way { typed: "watch NAME", does: "prints each state of a run until it has ended" };

/// Words of other tools, by what they mean here.
const MEANINGS: &[(&[&str], &Way)] = &[
    (&["operator", "manager", "serve", "server"], &CONTROLLER),
    (&["kill", "abort", "terminate", "stop"], &CANCEL),
    (&["completions", "complete"], &COMPLETION),
    (&["import", "migrate"], &CONVERT),
    (&["init", "new", "add", "generate"], &CREATE),
    (&["plan", "whatif"], &DIFF),
    (&["log", "tail"], &LOGS),
    (&["manual", "manpage"], &MAN),
    (&["crd", "manifests"], &CRDS),
    (&["rm", "remove", "del", "destroy", "uninstall"], &DELETE),
    (&["status", "state", "why", "show", "inspect", "info", "events", "view"], &DESCRIBE),
    (&["origin", "blame", "trace"], &EXPLAIN),
    (&["commands", "usage"], &HELP),
    (&["runs", "records"], &HISTORY),
    (&["get", "ps", "top"], &LIST),
    (&["template", "build", "compile", "preview"], &RENDER),
    (&["retry", "restart", "redo", "repeat", "trigger", "replay"], &RERUN),
    (&["continue", "unsuspend", "unpause", "enable"], &RESUME),
    (&["apply", "start", "exec", "execute", "submit", "launch", "deploy", "up"], &RUN),
    (&["schemas", "jsonschema", "json-schema", "openapi"], &SCHEMA),
    (&["selftest", "doctor", "test"], &SELF_TEST),
    (&["pause", "disable"], &SUSPEND),
    (&["lint", "check", "verify", "vet"], &VALIDATE),
    (&["version"], &VERSION),
    (&["await"], &WAIT),
    (&["follow", "attach", "monitor"], &WATCH),
];

/// Words for which another program is the answer.
const ELSEWHERE: &[(&str, &str)] = &[
    ("edit", "change its file, or: kubectl edit jobrequest NAME; rerun NAME --edit edits and runs it"),
    ("patch", "change its file, or: kubectl patch jobrequest NAME"),
    ("annotate", "use: kubectl annotate jobrequest NAME"),
    ("label", "use: kubectl label jobrequest NAME"),
    ("install", "Helm installs the operator; docs/install.md says how"),
    ("upgrade", "Helm upgrades the operator; docs/install.md says how"),
];

/// A message about a word that is no command; nothing for another error.
pub(super) fn unknown(error: &Error) -> Option<String> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) => Some(message(word, program(), &Arguments::command())),
        _ => None,
    }
}

fn message(word: &str, program: &str, commands: &Command) -> String {
    let advice = advice(word, program, commands);
    format!("error: there is no command \"{}\"; {advice}\n", excerpt(word))
}

fn advice(word: &str, program: &str, commands: &Command) -> String {
    let lower = word.to_lowercase();
    if let Some((_, way)) = MEANINGS.iter().find(|(words, _)| words.contains(&lower.as_str())) {
        return format!("{} {}: {program} {}", name(way), way.does, way.typed);
    }
    if let Some((_, advice)) = ELSEWHERE.iter().find(|(known, _)| *known == lower) {
        return (*advice).to_owned();
    }
    match closest(&lower, names(commands)) {
        Some(command) => format!("did you mean: {program} {command}"),
        None => format!("{program} --help lists the commands"),
    }
}

/// The word of the command itself.
fn name(way: &Way) -> &str {
    way.typed.split(' ').next().unwrap_or_default()
}

/// What can be typed as a command, aliases included.
fn names(commands: &Command) -> impl Iterator<Item = &str> {
    commands.get_subcommands().flat_map(|command| command.get_name_and_visible_aliases()).chain(["help"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_is_a_command_and_no_word_is() {
        let commands = Arguments::command();
        let names: Vec<_> = names(&commands).collect();
        for (words, way) in MEANINGS {
            let name = name(way);
            assert!(names.contains(&name) || ["--help", "--version"].contains(&name), "there is no {name}");
            for word in *words {
                assert!(!names.contains(word), "{word} is a command; take it out of the table");
            }
        }
        for (word, _) in ELSEWHERE {
            assert!(!names.contains(word), "{word} is a command; take it out of the table");
        }
    }

    #[test]
    fn each_word_is_there_once() {
        let words = MEANINGS.iter().flat_map(|(words, _)| words.iter().copied());
        let mut words: Vec<_> = words.chain(ELSEWHERE.iter().map(|(word, _)| *word)).collect();
        let all = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all);
    }

    #[test]
    fn a_word_leads_to_its_command() {
        for (word, wanted) in [
            (
                "status",
                "error: there is no command \"status\"; describe shows the state of a JobRequest, why, and what to do: jobrequest describe NAME\n",
            ),
            (
                "STATUS",
                "error: there is no command \"STATUS\"; describe shows the state of a JobRequest, why, and what to do: jobrequest describe NAME\n",
            ),
            ("rerunn", "error: there is no command \"rerunn\"; did you mean: jobrequest rerun\n"),
            ("validat", "error: there is no command \"validat\"; did you mean: jobrequest validate\n"),
            (
                "edit",
                "error: there is no command \"edit\"; change its file, or: kubectl edit jobrequest NAME; rerun NAME --edit edits and runs it\n",
            ),
            ("xyzzy", "error: there is no command \"xyzzy\"; jobrequest --help lists the commands\n"),
        ] {
            assert_eq!(message(word, "jobrequest", &Arguments::command()), wanted);
        }
    }
}
