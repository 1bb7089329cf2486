//! What the operator logs and how, and, if built with the feature `otel`, where it sends traces.

use clap::{Args, ValueEnum};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
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
        let filter = EnvFilter::try_new(directives(&self.log_level))?;
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
