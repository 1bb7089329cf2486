//! `jobrequest controller`: runs the operator, and answers probes.
//!
//! Takes flags or environment variables; wires the edges: the operator, HTTP, the log.

mod election;
mod log;
#[cfg(feature = "otel")]
mod traces;

use std::future::Future;
use std::sync::Arc;

use clap::Args;
use kube::config::{Config, KubeConfigOptions};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::error::CliError;
use crate::controller::{Operator, Settings};
use crate::http::{Told, register_process_metrics, serve as serve_http};

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
    /// Where probes and metrics are answered; empty: nowhere. Port 0 takes a free one, and the log tells which
    #[arg(long, env = "JOBREQUEST_HTTP_ADDRESS", value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    http_address: String,
    #[command(flatten)]
    election: election::ElectionArguments,
    #[command(flatten)]
    log: log::LogArguments,
}

/// Runs until SIGTERM or SIGINT.
pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Io("start the asynchronous runtime", error))?;
    runtime.block_on(async {
        let log = arguments.log.start()?;
        let outcome = operate(arguments).await;
        log.end();
        outcome
    })
}

async fn operate(arguments: &Arguments) -> Result<(), CliError> {
    let shutdown = signals()?;
    let config = config(arguments).await?;
    let settings = Settings {
        namespace: arguments.namespace.clone(),
        concurrency: arguments.concurrency,
        election: arguments.election.election(&config.default_namespace)?,
    };
    let version = env!("CARGO_PKG_VERSION");
    info!(version, namespace = arguments.namespace.as_deref().unwrap_or("(all)"), "jobrequest controller");
    let mut registry = Registry::default();
    register_process_metrics(&mut registry);
    let operator = Operator::new(config, settings, &mut registry).map_err(CliError::Client)?;
    if let Some(listener) = listener(&arguments.http_address).await? {
        let told = Told { ready: operator.ready(), metrics: Arc::new(registry) };
        tokio::spawn(serve_http(listener, told));
    }
    operator.run(shutdown).await;
    Ok(())
}

/// Is done when the process is asked to end.
fn signals() -> Result<impl Future<Output = ()> + Send + Sync + 'static, CliError> {
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|error| CliError::Io("listen for SIGTERM", error))?;
    let mut interrupt =
        signal(SignalKind::interrupt()).map_err(|error| CliError::Io("listen for SIGINT", error))?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: stopping"),
            _ = interrupt.recv() => info!("SIGINT: stopping"),
        }
    })
}

async fn listener(address: &str) -> Result<Option<TcpListener>, CliError> {
    if address.is_empty() {
        return Ok(None);
    }
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| CliError::Listen { address: address.to_owned(), source })?;
    let address =
        listener.local_addr().map_err(|error| CliError::Io("find the address of a listener", error))?;
    info!("probes and metrics at http://{address}");
    Ok(Some(listener))
}

async fn config(arguments: &Arguments) -> Result<Config, CliError> {
    let mut config = if let Some(context) = &arguments.context {
        let options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
        Config::from_kubeconfig(&options).await.map_err(|error| {
            CliError::Kubeconfig("read the kubeconfig; set KUBECONFIG or check --context", error)
        })?
    } else {
        let advice = "set KUBECONFIG, or run in one";
        Config::infer().await.map_err(|source| CliError::NoCluster { advice, source })?
    };
    let agent = concat!("jobrequest/", env!("CARGO_PKG_VERSION"));
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(agent)));
    Ok(config)
}
