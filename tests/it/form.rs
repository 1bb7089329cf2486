//! The form of `create` in a terminal: what is typed, and what comes of it.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};

pub(crate) fn tests() -> Vec<Trial> {
    tests![
        the_pi_job_is_typed_in_and_becomes_a_file,
        ctrl_c_leaves_without_writing,
        nothing_is_asked_without_a_terminal,
    ]
}

const PATIENCE: Duration = Duration::from_secs(60);
const ESC: &str = "\u{1b}";
const UP: &str = "\u{1b}[A";
/// How a prompt begins when it is first drawn.
const NEW: &str = "\u{1b}[?2004h\u{1b}[?25l? ";

/// The program in a terminal of its own, in an empty folder, without a cluster.
struct Terminal {
    child: Child,
    keyboard: fs::File,
    screen: Receiver<String>,
    seen: String,
    folder: PathBuf,
}

impl Terminal {
    fn new(name: &str, arguments: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("jobrequest-form-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(pty_process::Size::new(40, 120)).unwrap();
        let command = pty_process::blocking::Command::new(env!("CARGO_BIN_EXE_jobrequest"))
            .args(arguments)
            .current_dir(&folder)
            .env("TERM", "xterm-256color")
            // Styles would stand between the words.
            .env("NO_COLOR", "1")
            .env("KUBECONFIG", "/dev/null");
        let child = command.spawn(pts).unwrap();
        let keyboard = fs::File::from(OwnedFd::from(pty));
        let mut reader = keyboard.try_clone().unwrap();
        let (send, screen) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The end of the program is an error here.
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                let _ = send.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
            }
        });
        Self { child, keyboard, screen, seen: String::new(), folder }
    }

    /// Waits until the screen shows `text`, after what was waited for before.
    fn shows(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            match self.screen.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(more) => self.seen.push_str(&more),
                Err(error) => panic!("{error}: the screen does not show {text:?}: {:?}", self.seen),
            }
        }
    }

    /// Waits until this many bytes follow.
    fn fills(&mut self, count: usize) {
        while self.seen.len() < count {
            let more = self.screen.recv_timeout(PATIENCE);
            self.seen.push_str(&more.unwrap_or_else(|_| panic!("the screen ends: {:?}", self.seen)));
        }
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for a question, and answers it.
    fn answers(&mut self, question: &str, keys: &str) {
        self.shows(&format!("{NEW}{question}"));
        self.types(&format!("{keys}\r"));
    }

    fn ends(mut self) -> (Option<i32>, PathBuf) {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), self.folder);
            }
            assert!(Instant::now() < until, "the program does not end: {:?}", self.seen);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn the_pi_job_is_typed_in_and_becomes_a_file() {
    let mut terminal = Terminal::new("pi", &["create", "--dry-run=client"]);
    terminal.shows("Step 1 of 6: Basic information");
    terminal.answers("Name", "Pi");
    terminal.shows("must");
    // The wrong name is still there: it is replaced.
    terminal.types("\u{7f}\u{7f}job-demo\r");
    terminal.answers("Alias", "计算圆周率");
    terminal.answers("Description", "Pi to 2000 places");
    terminal.shows(&format!("{NEW}Template"));
    // Back to the description, which is kept, and forward again.
    terminal.types(ESC);
    terminal.answers("Description", "");
    terminal.answers("Template", "");
    terminal.answers("Completions", "4");
    terminal.answers("Parallelism", "2");
    terminal.answers("Backoff limit", "5");
    terminal.answers("Active deadline (seconds)", "300");
    terminal.answers("More fields", "");
    terminal.answers("Restart policy", "");
    terminal.answers("Image", "perl:5.24.4");
    terminal.answers("Command", "perl");
    terminal.answers("Arguments", "-Mbignum=bpi -wle 'print bpi(2000)'");
    for question in ["Size", "CPU", "Memory"] {
        terminal.answers(question, "");
    }
    terminal.answers("Environment variables", "MODE=fast");
    for question in [
        "Environment variables",
        "Variables of a whole object",
        "Service account",
        "More fields",
        "Volumes",
        "More fields",
        "Labels",
        "Annotations",
        "Node selector",
        "Node",
        "More fields",
    ] {
        terminal.answers(question, "");
    }
    terminal.shows("alias: 计算圆周率");
    terminal.answers("What now", "");
    terminal.answers("File", "");
    terminal.shows("wrote job-demo.yaml");
    terminal.shows("jobrequest create job-demo --image perl:5.24.4");
    terminal.shows("计算圆周率");
    let (code, folder) = terminal.ends();
    assert_eq!(code, Some(0));
    let text = fs::read_to_string(folder.join("job-demo.yaml")).unwrap();
    let object: Value = serde_saphyr::from_str(&text).unwrap();
    let wanted = json!({
        "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "metadata": {"name": "job-demo"},
        "spec": {
            "alias": "计算圆周率", "description": "Pi to 2000 places",
            "settings": {"completions": 4, "parallelism": 2, "backoffLimit": 5, "activeDeadlineSeconds": 300},
            "containers": [{
                "name": "main", "image": "perl:5.24.4", "command": ["perl"],
                "args": ["-Mbignum=bpi", "-wle", "print bpi(2000)"], "env": [{"name": "MODE", "value": "fast"}],
            }],
        },
    });
    assert_eq!(object, wanted, "{text}");
    fs::remove_dir_all(folder).unwrap();
}

fn ctrl_c_leaves_without_writing() {
    let mut terminal = Terminal::new("leave", &["create", "pi", "--dry-run=client"]);
    // The name of the command line is the answer already.
    terminal.answers("Name", "");
    terminal.shows(&format!("{NEW}Alias"));
    terminal.types("\u{3}");
    terminal.shows("nothing was written or created");
    let (code, folder) = terminal.ends();
    assert_eq!(code, Some(130));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    fs::remove_dir_all(folder).unwrap();

    // At the review as well; the last choice leaves, too.
    let mut terminal = Terminal::new("choose", &["create", "pi", "--dry-run=client", "--alias", "π"]);
    loop {
        terminal.shows(NEW);
        terminal.fills(8);
        if terminal.seen.starts_with("What now") {
            break;
        }
        terminal.types("\r");
    }
    terminal.types(UP);
    terminal.types("\r");
    terminal.shows("nothing was written or created");
    let (code, folder) = terminal.ends();
    assert_eq!((code, fs::read_dir(&folder).unwrap().count()), (Some(0), 0));
    fs::remove_dir_all(folder).unwrap();
}

fn nothing_is_asked_without_a_terminal() {
    let mut terminal = Terminal::new("none", &["create", "pi", "--no-interactive", "--dry-run=client"]);
    terminal.shows("an image is missing");
    let (code, folder) = terminal.ends();
    assert_eq!(code, Some(2));
    fs::remove_dir_all(folder).unwrap();
}
