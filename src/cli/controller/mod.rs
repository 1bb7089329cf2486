//! `jobrequest controller`: runs the operator, and answers probes.
//!
//! Takes flags or environment variables; wires the edges: the operator, HTTP, the log.

mod log;
#[cfg(feature = "otel")]
mod traces;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use kube::config::{Config, KubeConfigOptions};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::error::CliError;
use crate::controller::{Election, Operator, Settings, Times};
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
    election: ElectionArguments,
    #[command(flatten)]
    log: log::LogArguments,
}

/// Flags of the leader election.
#[derive(Debug, Args)]
struct ElectionArguments {
    /// Of several replicas let one lead, by a Lease; the others stand by
    #[arg(
        long,
        env = "JOBREQUEST_LEADER_ELECT",
        value_name = "BOOL",
        default_value_t = false,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    leader_elect: bool,
    /// Name of the Lease; operators which watch different namespaces need different ones
    #[arg(long, env = "JOBREQUEST_LEASE_NAME", value_name = "NAME", default_value = "jobrequest")]
    lease_name: String,
    /// Namespace of the Lease [default: the one it runs in, or that of the kubeconfig's context]
    #[arg(long, env = "JOBREQUEST_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    lease_namespace: Option<String>,
    /// A replica takes over when the leader has not renewed the Lease for so long
    #[arg(long, env = "JOBREQUEST_LEASE_DURATION", value_name = "SECONDS", default_value_t = 15)]
    lease_duration: u16,
    /// The leader stops to act when it could not renew the Lease for so long; below the duration
    #[arg(long, env = "JOBREQUEST_LEASE_RENEW_DEADLINE", value_name = "SECONDS", default_value_t = 10)]
    lease_renew_deadline: u16,
    /// Pause between two renewals, and between two looks of a standby; below the renew deadline
    #[arg(long, env = "JOBREQUEST_LEASE_RETRY_PERIOD", value_name = "SECONDS", default_value_t = 2)]
    lease_retry_period: u16,
}

impl ElectionArguments {
    fn election(&self, own_namespace: &str) -> Result<Option<Election>, CliError> {
        if !self.leader_elect {
            return Ok(None);
        }
        let seconds = |seconds: u16| Duration::from_secs(u64::from(seconds));
        let times = Times::new(
            seconds(self.lease_duration),
            seconds(self.lease_renew_deadline),
            seconds(self.lease_retry_period),
        )
        .map_err(CliError::LeaseTimes)?;
        let namespace = self.lease_namespace.clone().unwrap_or_else(|| own_namespace.to_owned());
        Ok(Some(Election { namespace, name: self.lease_name.clone(), times }))
    }
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
    let mut config = match &arguments.context {
        Some(context) => {
            let options =
                KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
            Config::from_kubeconfig(&options).await.map_err(|error| {
                CliError::Kubeconfig("read the kubeconfig; set KUBECONFIG or check --context", error)
            })?
        }
        None => {
            let advice = "set KUBECONFIG, or run in one";
            Config::infer().await.map_err(|source| CliError::NoCluster { advice, source })?
        }
    };
    let agent = concat!("jobrequest/", env!("CARGO_PKG_VERSION"));
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(agent)));
    Ok(config)
}
