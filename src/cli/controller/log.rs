//! What the operator logs and how, and, if built with the feature `otel`, where it sends traces.

use clap::{Args, ValueEnum};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, LevelFilter, ParseError, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::cli::error::CliError;
use crate::cli::output::LogLines;

/// Flags of the log.
#[derive(Debug, Args)]
pub(super) struct LogArguments {
    /// What is logged: error, warn, info, debug, trace, or a filter such as jobrequest=debug
    #[arg(long, env = "JOBREQUEST_LOG_LEVEL", default_value = "info")]
    log_level: String,
    /// Format of log lines
    #[arg(long, env = "JOBREQUEST_LOG_FORMAT", value_enum, default_value_t = Format::Text)]
    log_format: Format,
    /// Where traces are sent, as OTLP over HTTP, for example http://collector:4318 [default: nowhere]
    #[cfg(feature = "otel")]
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Lines for people
    Text,
    /// One JSON object per line
    Json,
}

/// What must be shut down with the process.
pub(super) struct Log {
    #[cfg(feature = "otel")]
    traces: Option<super::traces::Traces>,
}

impl Log {
    /// Sends what has not been sent.
    #[cfg_attr(not(feature = "otel"), allow(clippy::unused_self))]
    pub(super) fn end(self) {
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces {
            traces.end();
        }
    }
}

impl LogArguments {
    pub(super) fn start(&self) -> Result<Log, CliError> {
        let filter = filter(&self.log_level)?;
        // Without colours: what the writer lets through has no escapes.
        let lines = tracing_subscriber::fmt::layer().with_ansi(false);
        let lines = match self.log_format {
            Format::Text => lines.with_writer(|| LogLines::Text).boxed(),
            Format::Json => lines.with_writer(|| LogLines::Json).json().with_current_span(false).boxed(),
        };
        let registry = tracing_subscriber::registry().with(lines.with_filter(filter));
        #[cfg(feature = "otel")]
        {
            let traces = self.otlp_endpoint.as_deref().map(super::traces::Traces::to).transpose()?;
            registry.with(traces.as_ref().map(super::traces::Traces::layer)).init();
            Ok(Log { traces })
        }
        #[cfg(not(feature = "otel"))]
        {
            registry.init();
            Ok(Log {})
        }
    }
}

/// Where the client of the API server logs the whole body of an answer that it cannot read. Such a body holds the specs
/// of everybody.
const BODIES: &str = "kube_client::client";

/// What of the log is written. Bodies are not, whatever else is asked for, unless [`BODIES`] itself is named: not even
/// where a filter switches everything on within a span.
fn filter<S: Subscriber>(level: &str) -> Result<impl Filter<S> + use<S>, ParseError> {
    let asked = EnvFilter::try_new(directives(level))?;
    let takes_bodies = level.contains(BODIES);
    let holds_no_body = move |of: &Metadata<'_>| {
        takes_bodies || of.is_span() || of.target() != BODIES || *of.level() == Level::ERROR
    };
    Ok(asked.and(filter_fn(holds_no_body)))
}

/// A plain level is about everything, with two exceptions: the runtime's own span about each reconcile says what ours
/// does, and what the client and the watcher say of answers quotes whole objects.
fn directives(level: &str) -> String {
    match level.parse::<LevelFilter>() {
        Ok(LevelFilter::OFF | LevelFilter::ERROR) | Err(_) => level.to_owned(),
        Ok(_) => format!(
            "{level},kube_runtime::controller=warn,kube_runtime::watcher=error,kube_client::client=error,kube_client::client::builder={level}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is written at this --log-level when the client cannot read an answer.
    fn written(level: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let log = tracing_subscriber::registry().with(layer.with_filter(filter(level).unwrap()));
        tracing::subscriber::with_default(log, || {
            let _span = tracing::info_span!(target: "jobrequest::controller", "reconcile").entered();
            tracing::warn!(target: "kube_client::client", "{}", "BODY");
            tracing::debug!(target: "kube_client::client", "{}", "BODY");
            tracing::warn!(target: "jobrequest::controller", "ours");
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn bodies_of_answers_are_never_written_by_default() {
        for level in [
            "info",
            "debug",
            "trace",
            "jobrequest=debug,kube_client=trace",
            "warn,kube_client=debug",
            "trace,[reconcile]=trace",
        ] {
            let written = written(level);
            assert!(written.contains("ours") && !written.contains("BODY"), "{level}: {written}");
        }
        assert!(written("warn,kube_client::client=warn").contains("BODY"));
    }
}
