//! The files for pipelines: the hooks of pre-commit, and the action of GitHub with what a release publishes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::Parser;
use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::root;

pub(crate) fn tests() -> Vec<Trial> {
    tests![
        the_hooks_are_commands_of_the_program,
        the_hook_takes_every_file_of_a_repository,
        the_action_gives_its_script_what_it_reads,
        the_action_takes_what_a_release_publishes,
        the_action_runs_the_program_on_the_path,
        the_action_runs_a_released_program,
        the_action_runs_no_program_of_another_checksum,
    ]
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_jobrequest");
const ACTION: &str = ".github/actions/validate";

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(root().join(file)).unwrap()).unwrap()
}

/// A folder with these files.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (file, text) in files {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

const VALID: &str = "apiVersion: jobrequest.dev/v1alpha1\nkind: JobRequest\nmetadata: {name: a}\nspec: {containers: [{name: a, image: perl:5}]}\n";
const INVALID: &str =
    "apiVersion: jobrequest.dev/v1alpha1\nkind: JobRequest\nmetadata: {name: b}\nspec: {image: perl:5}\n";
/// What a repository has beside its manifests.
const OTHERS: [(&str, &str); 9] = [
    ("kustomization.yaml", "resources: [a.yaml]\n"),
    ("chart/Chart.yaml", "apiVersion: v2\nname: chart\nversion: 1.0.0\n"),
    ("chart/values.yaml", "image: perl:5\n"),
    (
        "chart/templates/job.yaml",
        "apiVersion: jobrequest.dev/v1alpha1\nkind: JobRequest\nmetadata:\n  name: {{ .Release.Name }}\n",
    ),
    (".github/workflows/ci.yaml", "on: push\njobs: {a: {runs-on: x}}\n"),
    ("tsconfig.json", "{\n  // comments\n  \"compilerOptions\": {},\n}\n"),
    ("docker-compose.yml", "services: {web: {image: nginx}}\n"),
    ("data.json", "[1, 2]\n"),
    ("deployment.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n"),
];

fn the_hooks_are_commands_of_the_program() {
    let hooks = yaml(".pre-commit-hooks.yaml");
    let hooks = hooks.as_array().unwrap();
    assert_eq!(hooks.len(), 2);
    for hook in hooks {
        let entry = hook["entry"].as_str().unwrap();
        let arguments = entry.split(' ').chain(["a.yaml", "b.json"]);
        jobrequest::cli::Arguments::try_parse_from(arguments).unwrap_or_else(|error| panic!("{error}"));
        let files = regex::Regex::new(hook["files"].as_str().unwrap()).unwrap();
        assert!(["a.yaml", "b/c.yml", "d.json"].iter().all(|file| files.is_match(file)));
        assert!(!files.is_match("README.md"));
    }
}

fn the_hook_takes_every_file_of_a_repository() {
    let folder = folder("hook", &OTHERS);
    let entry = yaml(".pre-commit-hooks.yaml")[0]["entry"].as_str().unwrap().to_owned();
    let run = |more: &[(&str, &str)]| -> Output {
        for (file, text) in more {
            fs::write(folder.join(file), text).unwrap();
        }
        let files = OTHERS.iter().chain(more).map(|(file, _)| *file);
        Command::new(PROGRAM)
            .args(entry.split(' ').skip(1))
            .args(files)
            .current_dir(&folder)
            .output()
            .unwrap()
    };
    let output = run(&[]);
    assert!(output.status.success(), "{output:?}");
    let output = run(&[("a.yaml", VALID)]);
    assert!(output.status.success() && output.stdout == b"jobrequest/a valid\n", "{output:?}");
    assert_eq!(run(&[("a.yaml", INVALID)]).status.code(), Some(1));
}

fn the_action_gives_its_script_what_it_reads() {
    let action = yaml(&format!("{ACTION}/action.yml"));
    let script = fs::read_to_string(root().join(ACTION).join("validate.sh")).unwrap();
    let step = &action["runs"]["steps"][0];
    assert!(!step["run"].as_str().unwrap().contains("${{"), "an input must not become part of a script");
    let environment = step["env"].as_object().unwrap();
    for name in environment.keys().filter(|name| *name != "GH_TOKEN") {
        assert!(
            script.contains(&format!("${{{name}")) || script.contains(&format!("${name}")),
            "{name} is not read"
        );
    }
    let values = environment.values().map(|value| value.as_str().unwrap()).collect::<Vec<_>>().join(" ");
    for input in action["inputs"].as_object().unwrap().keys() {
        assert!(values.contains(&format!("inputs.{input} ")), "{input} is not passed on");
    }
}

fn the_action_takes_what_a_release_publishes() {
    let release = fs::read_to_string(root().join(".github/workflows/release.yaml")).unwrap();
    let script = fs::read_to_string(root().join(ACTION).join("validate.sh")).unwrap();
    for (published, taken) in [
        (
            "out/jobrequest-linux-${{ matrix.arch }}.tar.gz -C target/image/${{ matrix.arch }} jobrequest",
            "jobrequest-linux-$arch.tar.gz",
        ),
        ("sha256sum jobrequest-* crds.yaml >SHA256SUMS", "SHA256SUMS"),
        (
            "out/jobrequest-* out/jobrequest.spdx.json out/crds.yaml out/jobrequest.krew.yaml out/SHA256SUMS",
            "gh release download",
        ),
        ("{arch: amd64,", "arch=amd64"),
        ("{arch: arm64,", "arch=arm64"),
        ("tar -czf out/jobrequest-schemas.tar.gz schemas", ""),
    ] {
        assert!(release.contains(published), "release.yaml does not have {published:?}");
        assert!(script.contains(taken), "validate.sh does not have {taken:?}");
    }
}

fn executable(file: &Path, text: &str) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The script of the action in `folder`, with `bin` of it in front of the PATH.
fn action(folder: &Path, variables: &[(&str, &str)]) -> Output {
    let path = format!("{}:/usr/bin:/bin", folder.join("bin").display());
    Command::new("bash")
        .arg(root().join(ACTION).join("validate.sh"))
        .current_dir(folder)
        .env_clear()
        .envs([
            ("PATH", path.as_str()),
            ("RUNNER_OS", "Linux"),
            ("RUNNER_ARCH", "X64"),
            ("REPOSITORY", "owner/jobrequest"),
        ])
        .env("RUNNER_TEMP", folder.join("temp"))
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn the_action_runs_the_program_on_the_path() {
    let folder =
        folder("action-path", &[&OTHERS[..], &[("jobs/a b.yaml", VALID), ("jobs/b.yaml", INVALID)]].concat());
    executable(&folder.join("bin/jobrequest"), &format!("#!/bin/sh\nexec {PROGRAM} \"$@\"\n"));
    let output = action(&folder, &[("PATHS", "."), ("TEMPLATES", ""), ("ARGS", "")]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("::error file=jobs/b.yaml,line=4,col="), "{text}");
    let output =
        action(&folder, &[("PATHS", "jobs/a b.yaml\ndeployment.yaml\n"), ("ARGS", "-n team\n--strict")]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// A `gh` that downloads what a release has: an archive with the program, and the list of checksums, of which `sum` is
/// the line of the archive.
fn gh(folder: &Path, sum: &str) {
    let published = folder.join("published");
    fs::create_dir_all(&published).unwrap();
    executable(&published.join("jobrequest"), &format!("#!/bin/sh\nexec {PROGRAM} \"$@\"\n"));
    let script = format!(
        "#!/bin/bash\nset -eu\nprintf '%s\\n' \"$@\" >{folder}/asked\nwhile [[ $# -gt 0 ]]; do [[ $1 != --dir ]] || dir=$2; shift; done\n\
        tar -czf \"$dir/jobrequest-linux-amd64.tar.gz\" -C {folder}/published jobrequest\ncd \"$dir\"\n{sum} >SHA256SUMS\n\
        echo '0000000000000000000000000000000000000000000000000000000000000000  jobrequest-linux-arm64.tar.gz' >>SHA256SUMS\n",
        folder = folder.display()
    );
    executable(&folder.join("bin/gh"), &script);
}

const TRUE_SUM: &str = "sha256sum jobrequest-linux-amd64.tar.gz";

fn the_action_runs_a_released_program() {
    let folder = folder("action-release", &[("a.yaml", VALID)]);
    gh(&folder, TRUE_SUM);
    for (version, reference, tag) in
        [("", "v1.2.3", "v1.2.3\n"), ("v1.0.0", "v1.2.3", "v1.0.0\n"), ("", "main", "")]
    {
        let output = action(&folder, &[("VERSION", version), ("REF", reference)]);
        assert!(output.status.success(), "{output:?}");
        let asked = fs::read_to_string(folder.join("asked")).unwrap();
        assert!(asked.starts_with(&format!("release\ndownload\n{tag}--repo\nowner/jobrequest\n")), "{asked}");
    }
}

fn the_action_runs_no_program_of_another_checksum() {
    let folder = folder("action-checksum", &[("a.yaml", VALID)]);
    let wrong = format!("{TRUE_SUM} | sed 's,^....,0000,'");
    for sum in [wrong.as_str(), "true", "echo no checksum"] {
        gh(&folder, sum);
        let output = action(&folder, &[("VERSION", "v1.0.0")]);
        assert!(!output.status.success() && output.stdout.is_empty(), "{sum}: {output:?}");
        assert!(!folder.join("temp/jobrequest/jobrequest").exists(), "{sum}: it was unpacked");
    }
}
