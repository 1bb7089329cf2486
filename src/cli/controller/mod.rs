//! `jobrequest controller`: runs the operator, and serves probes and metrics.
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
use crate::http::{Endpoints, register_process_metrics, serve as serve_http};

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
    /// How many runs may follow the edits of one template at once (runPolicy.onTemplateChange: Rerun)
    #[arg(long, env = "JOBREQUEST_TEMPLATE_RERUNS", value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    template_reruns: u16,
    /// Address to serve metrics on; empty disables them. Port 0 picks a free port, which is logged
    #[arg(
        long,
        env = "JOBREQUEST_METRICS_BIND_ADDRESS",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:0"
    )]
    metrics_bind_address: String,
    /// Address to serve the probes on; empty disables them. Port 0 picks a free port, which is logged
    #[arg(
        long,
        env = "JOBREQUEST_HEALTH_PROBE_BIND_ADDRESS",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:0"
    )]
    health_probe_bind_address: String,
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
        template_reruns: arguments.template_reruns,
        election: arguments.election.election(&config.default_namespace)?,
    };
    let version = env!("CARGO_PKG_VERSION");
    info!(version, namespace = arguments.namespace.as_deref().unwrap_or("(all)"), "jobrequest controller");
    let mut registry = Registry::default();
    register_process_metrics(&mut registry);
    let operator = Operator::new(config, settings, &mut registry).map_err(CliError::Client)?;
    let probes = Endpoints::Probes { ready: operator.ready() };
    let metrics = Endpoints::Metrics(Arc::new(registry));
    for (what, flag, address, endpoints) in [
        ("probes", "--health-probe-bind-address", &arguments.health_probe_bind_address, probes),
        ("metrics", "--metrics-bind-address", &arguments.metrics_bind_address, metrics),
    ] {
        if let Some(listener) = listener(what, flag, address).await? {
            tokio::spawn(serve_http(listener, endpoints));
        }
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

async fn listener(
    what: &'static str,
    flag: &'static str,
    address: &str,
) -> Result<Option<TcpListener>, CliError> {
    if address.is_empty() {
        return Ok(None);
    }
    let listener = TcpListener::bind(address).await.map_err(|source| CliError::Listen {
        what,
        flag,
        address: address.to_owned(),
        source,
    })?;
    let address =
        listener.local_addr().map_err(|error| CliError::Io("find the address of a listener", error))?;
    info!("serving {what} at http://{address}");
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
