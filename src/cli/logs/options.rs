//! Flags of `jobrequest logs`: which logs are read, from where on, and how a line is shown.

use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use k8s_openapi::jiff::Timestamp;
use kube::api::LogParams;
use regex::bytes::Regex;

use super::super::duration::duration;
use super::super::output::is_terminal;
use crate::logs::{Choice, Containers, MAX_LINE, Style};

/// Flags that choose logs, and say how they are shown.
#[derive(Debug, Args)]
pub(in crate::cli) struct Flags {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    lines: Lines,
    #[command(flatten)]
    look: Look,
}

/// Which logs.
#[derive(Debug, Args)]
struct Which {
    #[command(flatten)]
    containers: OfContainers,
    /// Only the pod of this name
    #[arg(long, value_name = "NAME", help_heading = "Which logs", value_parser = NonEmptyStringValueParser::new())]
    pod: Option<String>,
    /// Only pods of this completion index
    #[arg(long, value_name = "N", help_heading = "Which logs", value_parser = clap::value_parser!(i32).range(0..))]
    index: Option<i32>,
    /// Only containers that failed, init containers and sidecars too; all of a pod that failed for another reason
    #[arg(long, help_heading = "Which logs")]
    failed: bool,
    /// The log of the container before it was last started again
    #[arg(short, long, help_heading = "Which logs", conflicts_with = "follow")]
    previous: bool,
    /// How many pods are read at once: those that failed first, then the newest
    #[arg(long, value_name = "N", help_heading = "Which logs", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    max_pods: u16,
}

/// Which containers of a pod.
#[derive(Debug, Args)]
struct OfContainers {
    /// Only the container of this name, whatever it is for; may be repeated [default: the main containers]
    #[arg(short, long, value_name = "NAME", help_heading = "Which logs", value_parser = NonEmptyStringValueParser::new())]
    container: Vec<String>,
    /// All containers, init containers and sidecars too
    #[arg(long, help_heading = "Which logs", conflicts_with_all = ["container", "init"])]
    all_containers: bool,
    /// The init containers instead of the main ones
    #[arg(long, help_heading = "Which logs", conflicts_with = "container")]
    init: bool,
}

/// Which lines of a log.
#[derive(Debug, Args)]
struct Lines {
    /// Only lines of the last 10s, 5m or 2h
    #[arg(long, value_name = "DURATION", help_heading = "Which lines", value_parser = duration, conflicts_with = "since_time")]
    since: Option<Duration>,
    /// Only lines from this time on, in RFC 3339, for example 2026-11-28T10:00:00Z
    #[arg(long, value_name = "TIME", help_heading = "Which lines")]
    since_time: Option<Timestamp>,
    /// Only the last lines of each container; -1 is all
    #[arg(long, value_name = "N", help_heading = "Which lines", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-1..))]
    tail: Option<i64>,
    /// Only so many bytes of each container
    #[arg(long, value_name = "N", help_heading = "Which lines", value_parser = clap::value_parser!(u64).range(1..))]
    limit_bytes: Option<u64>,
    /// Only lines that match the regular expression
    #[arg(long, value_name = "RE", help_heading = "Which lines", value_parser = Regex::new)]
    grep: Option<Regex>,
}

/// How a line is shown.
#[derive(Debug, Args)]
struct Look {
    /// The time in front of each line
    #[arg(long, help_heading = "How they are shown")]
    timestamps: bool,
    /// Pod and container in front of each line; auto: when there are several
    #[arg(long, value_enum, value_name = "WHEN", help_heading = "How they are shown", default_value_t = When::Auto)]
    prefix: When,
    /// Colours of these prefixes; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, value_name = "WHEN", help_heading = "How they are shown", default_value_t = When::Auto)]
    color: When,
    /// Lines of up to 1 MiB as they are, also control characters on a terminal [default: cut at 16 KiB, and safe for a
    /// terminal]
    #[arg(long, help_heading = "How they are shown")]
    raw: bool,
}

/// When something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    /// When it is of use
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Longest line with `--raw`, in bytes.
const MAX_RAW_LINE: usize = 1024 * 1024;

/// What the flags come to.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) choice: Choice,
    pub(super) style: Style,
    pub(super) prefix: When,
    pub(super) max_line: usize,
    pub(super) limit_bytes: Option<u64>,
    tail: Option<i64>,
    since: Option<Duration>,
    pub(super) since_time: Option<Timestamp>,
}

impl Options {
    /// Without any flag.
    pub(super) fn standard() -> Self {
        Self {
            choice: Choice::default(),
            style: Style {
                is_escaped: is_terminal(),
                has_colors: has_colors(When::Auto, is_terminal()),
                ..Style::default()
            },
            prefix: When::Auto,
            max_line: MAX_LINE,
            limit_bytes: None,
            tail: None,
            since: None,
            since_time: None,
        }
    }

    /// Narrows what the API server sends down to the lines that are asked for.
    pub(super) fn narrow(&self, parameters: &mut LogParams) {
        parameters.tail_lines = self.tail.filter(|lines| *lines >= 0);
        parameters.since_seconds =
            self.since.map(|since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX).max(1));
        // A whole second in the past, as the client would round it to the nearest one.
        parameters.since_time =
            self.since_time.and_then(|time| Timestamp::from_second(time.as_second()).ok());
    }
}

impl Flags {
    /// What they come to on this terminal.
    pub(super) fn options(&self) -> Options {
        let Self { which, lines, look } = self;
        let containers = match &which.containers {
            OfContainers { all_containers: true, .. } => Containers::All,
            OfContainers { init: true, .. } => Containers::Init,
            OfContainers { container, .. } if !container.is_empty() => Containers::Named(container.clone()),
            OfContainers { .. } if which.failed => Containers::All,
            OfContainers { .. } => Containers::Main,
        };
        let choice = Choice {
            containers,
            pod: which.pod.clone(),
            index: which.index,
            only_failed: which.failed,
            is_previous: which.previous,
            max_pods: usize::from(which.max_pods),
        };
        let style = Style {
            has_times: look.timestamps,
            is_escaped: is_terminal() && !look.raw,
            has_colors: has_colors(look.color, is_terminal()),
            grep: lines.grep.clone(),
        };
        Options {
            choice,
            style,
            prefix: look.prefix,
            max_line: if look.raw { MAX_RAW_LINE } else { MAX_LINE },
            limit_bytes: lines.limit_bytes,
            tail: lines.tail,
            since: lines.since,
            since_time: lines.since_time,
        }
    }
}

fn has_colors(when: When, is_terminal: bool) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            is_terminal && !is_set("NO_COLOR") && !is_dumb
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_narrowed_to_the_second_before_it() {
        let time: Timestamp = "2026-11-28T14:02:11.7Z".parse().unwrap();
        let options = Options { since_time: Some(time), tail: Some(-1), ..Options::standard() };
        let mut parameters = LogParams::default();
        options.narrow(&mut parameters);
        assert_eq!(parameters.since_time, Some("2026-11-28T14:02:11Z".parse().unwrap()));
        assert_eq!(parameters.tail_lines, None);
    }

    #[test]
    fn colours_are_for_terminals() {
        assert!(!has_colors(When::Auto, false) && !has_colors(When::Never, true));
        assert!(has_colors(When::Always, false));
    }
}
