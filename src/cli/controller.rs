//! `jobrequest controller`: runs the operator.

use std::fmt::Display;

use clap::{Args, ValueEnum};
use kube::Client;
use kube::config::{Config, KubeConfigOptions};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;
use tracing_subscriber::EnvFilter;

use crate::controller::{self, Settings};

/// Flags of the operator; each has an environment variable.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Watch only this namespace [default: all]
    #[arg(short, long, env = "JOBREQUEST_NAMESPACE")]
    namespace: Option<String>,
    /// Context of the kubeconfig to use [default: its current one]
    #[arg(long, env = "JOBREQUEST_CONTEXT")]
    context: Option<String>,
    /// How many JobRequests are reconciled at once
    #[arg(long, env = "JOBREQUEST_CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    /// What is logged: error, warn, info, debug, trace, or a filter such as jobrequest=debug
    #[arg(long, env = "JOBREQUEST_LOG_LEVEL", default_value = "info")]
    log_level: String,
    /// How log lines look
    #[arg(long, env = "JOBREQUEST_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// Runs until SIGTERM or SIGINT.
pub(super) fn run(arguments: &Arguments) -> Result<(), String> {
    let filter = EnvFilter::try_new(&arguments.log_level)
        .map_err(failed("understand --log-level; try info, debug or jobrequest=debug"))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match arguments.log_format {
        LogFormat::Text => logs.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => logs.json().init(),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(failed("start the asynchronous runtime"))?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: &Arguments) -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(failed("listen for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed("listen for SIGINT"))?;
    let client = client(arguments).await?;
    let version = env!("CARGO_PKG_VERSION");
    info!(version, namespace = arguments.namespace.as_deref().unwrap_or("(all)"), "jobrequest controller");
    let settings = Settings { namespace: arguments.namespace.clone(), concurrency: arguments.concurrency };
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: stopping"),
            _ = interrupt.recv() => info!("SIGINT: stopping"),
        }
    };
    controller::run(client, settings, shutdown).await.map_err(failed("run"))
}

async fn client(arguments: &Arguments) -> Result<Client, String> {
    let mut config = match &arguments.context {
        Some(context) => {
            let options =
                KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
            Config::from_kubeconfig(&options)
                .await
                .map_err(failed("read the kubeconfig; set KUBECONFIG or check --context"))?
        }
        None => Config::infer().await.map_err(failed("find a cluster; set KUBECONFIG, or run in one"))?,
    };
    let agent = concat!("jobrequest/", env!("CARGO_PKG_VERSION"));
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(agent)));
    Client::try_from(config).map_err(failed("make a client of the kubeconfig"))
}

fn failed<E: Display>(what: &'static str) -> impl FnOnce(E) -> String {
    move |error| format!("could not {what}: {error}")
}
