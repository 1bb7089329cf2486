//! The command line as a whole: its reference page, its man pages, its completions, its other name, its krew manifest.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::CommandFactory;
use jobrequest::cli::Arguments;
use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::{golden, root};

const PROGRAM: &str = env!("CARGO_BIN_EXE_jobrequest");

pub(crate) fn tests() -> Vec<Trial> {
    tests![
        the_reference_of_commands_is_current,
        every_command_has_a_man_page,
        every_shell_has_a_script_that_completes,
        kubectl_runs_it_as_its_plugin,
        a_krew_manifest_is_made_of_a_release,
    ]
}

/// Flags that every command has which asks a cluster.
const OF_CLUSTERS: &str = "Cluster";

fn commands() -> Vec<clap::Command> {
    let mut program = Arguments::command().bin_name("jobrequest");
    program.build();
    program.get_subcommands().filter(|command| command.get_name() != "help").cloned().collect()
}

fn the_reference_of_commands_is_current() {
    let mut page = String::from(
        "# Commands\n\nEvery command with its flags, as `--help` shows them. [The page before](README.md) shows how they are used.\n\n",
    );
    let mut of_clusters = Vec::new();
    for command in commands() {
        let name = command.get_name();
        let about = command.get_about().unwrap().to_string();
        write!(page, "## {name}\n\n{about}\n\n").unwrap();
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage:").split_whitespace().collect::<Vec<_>>().join(" ");
        write!(page, "    {usage}\n\n").unwrap();
        let (general, own): (Vec<_>, Vec<_>) = command
            .get_arguments()
            .filter(|argument| argument.get_id() != "help" && !argument.is_hide_set())
            .cloned()
            .partition(|argument| argument.get_help_heading() == Some(OF_CLUSTERS));
        if !own.is_empty() {
            page += &table(&own);
        }
        if !general.is_empty() {
            page += "And [the flags that select the cluster](#flags-that-select-the-cluster).\n\n";
        }
        for argument in general {
            let is_new = |known: &clap::Arg| known.get_id() != argument.get_id();
            if of_clusters.iter().all(is_new) {
                of_clusters.push(argument);
            }
        }
        if let Some(after) = command.get_after_help() {
            write!(page, "```text\n{after}\n```\n\n").unwrap();
        }
    }
    write!(page, "## Flags that select the cluster\n\n{}", table(&of_clusters).trim_end()).unwrap();
    page.push('\n');
    let difference = golden::compare(&root().join("docs/cli/reference.md"), &page);
    assert!(difference.is_none(), "{}", difference.unwrap());
}

fn table(arguments: &[clap::Arg]) -> String {
    let mut table = "| | |\n|---|---|\n".to_owned();
    for argument in arguments {
        let mut help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let defaults: Vec<_> = argument.get_default_values().iter().map(|it| it.to_string_lossy()).collect();
        let takes_values = argument.get_action().takes_values();
        if takes_values && !defaults.is_empty() {
            write!(help, " [default: {}]", defaults.join(" ")).unwrap();
        }
        let values: Vec<_> =
            argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        if takes_values && !values.is_empty() {
            write!(help, " [one of {}]", values.join(", ")).unwrap();
        }
        let names = argument.to_string();
        let short = argument.get_short().filter(|_| argument.get_long().is_some());
        let names = short.map_or(names.clone(), |short| format!("-{short}, {names}"));
        writeln!(table, "| `{}` | {} |", names.replace('|', "\\|"), help.replace('|', "\\|")).unwrap();
    }
    table + "\n"
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("commands-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn every_command_has_a_man_page() {
    let folder = folder("man");
    let output = Command::new(PROGRAM).args(["man", "--out"]).arg(&folder).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let pages: BTreeSet<String> =
        fs::read_dir(&folder).unwrap().map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    for command in commands() {
        let page = format!("jobrequest-{}.1", command.get_name());
        assert!(pages.contains(&page), "{page} is not among {pages:?}");
        let page = fs::read_to_string(folder.join(page)).unwrap();
        assert!(page.contains(".SH SYNOPSIS") && page.contains(".SH DESCRIPTION"), "{page}");
    }
    let main = text(&Command::new(PROGRAM).arg("man").output().unwrap());
    assert!(main.contains(".TH jobrequest 1"), "{main}");
}

fn every_shell_has_a_script_that_completes() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = text(&Command::new(PROGRAM).args(["completion", shell]).output().unwrap());
        assert!(script.contains("COMPLETE") && script.contains("jobrequest"), "{shell}: {script}");
    }
    // What the script of bash asks.
    let ask = |words: &[&str]| {
        let asked = Command::new(PROGRAM)
            .args(["--", "jobrequest"])
            .args(words)
            .envs([("COMPLETE", "bash"), ("_CLAP_COMPLETE_INDEX", &(words.len()).to_string())])
            .envs([("_CLAP_COMPLETE_COMP_TYPE", "9"), ("_CLAP_COMPLETE_SPACE", "false"), ("_CLAP_IFS", "\n")])
            .output();
        text(&asked.unwrap()).lines().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ask(&["canc"]), ["cancel"]);
    assert!(ask(&["validate", "--outp"]).iter().any(|word| word.starts_with("--output")));
    assert_eq!(ask(&["list", "--output", "na"]), ["name"]);
    // A cluster that is not there completes nothing, and says nothing.
    let nowhere = Command::new(PROGRAM)
        .args(["--", "jobrequest", "wait", "--server", "http://127.0.0.1:1", "p"])
        .envs([("COMPLETE", "bash"), ("_CLAP_COMPLETE_INDEX", "4"), ("_CLAP_IFS", "\n")])
        .envs([("_CLAP_COMPLETE_COMP_TYPE", "9"), ("_CLAP_COMPLETE_SPACE", "false")])
        .output()
        .unwrap();
    assert_eq!((nowhere.stdout.as_slice(), nowhere.stderr.as_slice()), (&[][..], &[][..]), "{nowhere:?}");
}

fn kubectl_runs_it_as_its_plugin() {
    let folder = folder("plugin");
    let [plugin, complete] =
        ["kubectl-jobrequest", "kubectl_complete-jobrequest"].map(|name| folder.join(name));
    symlink(PROGRAM, &plugin).unwrap();
    symlink(PROGRAM, &complete).unwrap();
    let help = text(&Command::new(&plugin).args(["wait", "--help"]).output().unwrap());
    assert!(help.contains("Usage: kubectl jobrequest wait [OPTIONS] <NAME>"), "{help}");
    let wrong = Command::new(&plugin).args(["wait"]).output().unwrap();
    let error = String::from_utf8(wrong.stderr).unwrap();
    assert!(wrong.status.code() == Some(2) && error.contains("Usage: kubectl jobrequest wait"), "{error}");
    // Cobra's protocol: candidates with their help, then what to do beside.
    let answer = text(&Command::new(&complete).arg("susp").output().unwrap());
    let lines: Vec<&str> = answer.lines().collect();
    assert!(lines[0].starts_with("suspend\tSuspend JobRequests"), "{answer}");
    assert_eq!(lines[1..], [":4"], "{answer}");
    let all = text(&Command::new(&complete).arg("").output().unwrap());
    assert_eq!(
        all.lines().filter(|line| !line.starts_with("help") && !line.starts_with("--")).count(),
        commands().len() + 1,
        "{all}"
    );
    let files = text(&Command::new(&complete).args(["crds", "x"]).output().unwrap());
    assert_eq!(files, ":0\n");
}

fn a_krew_manifest_is_made_of_a_release() {
    let folder = folder("krew");
    let sums = folder.join("SHA256SUMS");
    let sum = "0123456789abcdef".repeat(4);
    let files = ["jobrequest-linux-amd64.tar.gz", "crds.yaml", "jobrequest-linux-arm64.tar.gz"];
    fs::write(&sums, files.map(|file| format!("{sum}  {file}\n")).concat()).unwrap();
    let script = root().join("integrations/krew/manifest.sh");
    let made = text(&Command::new(&script).args(["v1.2.3", "o/r"]).arg(&sums).output().unwrap());
    let manifest: Value = serde_saphyr::from_str(&made).unwrap();
    // What krew and its bot ask of a manifest.
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!((&manifest["kind"], &manifest["metadata"]["name"]), (&"Plugin".into(), &"jobrequest".into()));
    let spec = &manifest["spec"];
    assert_eq!(spec["version"], "v1.2.3");
    assert!(spec["shortDescription"].as_str().unwrap().len() <= 50);
    for text in ["description", "caveats"] {
        assert!(spec[text].as_str().unwrap().lines().all(|line| line.len() <= 80), "{text}");
    }
    let platforms = spec["platforms"].as_array().unwrap();
    assert_eq!(platforms.len(), 2);
    for (platform, arch) in platforms.iter().zip(["amd64", "arm64"]) {
        assert_eq!(platform["selector"]["matchLabels"]["arch"], arch);
        assert!(
            platform["uri"].as_str().unwrap().ends_with(&format!("v1.2.3/jobrequest-linux-{arch}.tar.gz"))
        );
        assert_eq!((&platform["sha256"], &platform["bin"]), (&sum.as_str().into(), &"jobrequest".into()));
        assert!(platform["files"].as_array().unwrap().iter().any(|file| file["from"] == "LICENSE"));
    }
    // The workflow packs what the manifest names.
    let release = fs::read_to_string(root().join(".github/workflows/release.yaml")).unwrap();
    assert!(release.contains("integrations/krew/manifest.sh") && release.contains("jobrequest LICENSE"));
    let nothing = Command::new(&script).args(["1.2.3", "o/r"]).arg(&sums).output().unwrap();
    assert_eq!(nothing.status.code(), Some(2));
}
