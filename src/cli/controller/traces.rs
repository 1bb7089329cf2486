//! Traces as OTLP over HTTP: a span for each reconcile, for each call of it, and for its HTTP request.

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use crate::cli::error::CliError;

/// Sends spans in batches, from a thread of its own.
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// To the collector at this address.
    pub(super) fn to(endpoint: &str) -> Result<Self, CliError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .build()
            .map_err(|error| CliError::Traces(Box::new(error)))?;
        let resource = Resource::builder()
            .with_service_name("jobrequest")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        Ok(Self(provider))
    }

    /// Takes in spans: our own, and those of the client around each HTTP request.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let targets = Targets::new()
            .with_target("jobrequest", LevelFilter::INFO)
            .with_target("kube_client::client::builder", LevelFilter::DEBUG);
        tracing_opentelemetry::layer().with_tracer(self.0.tracer("jobrequest")).with_filter(targets)
    }

    /// Sends what has not been sent.
    pub(super) fn end(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "could not send the last traces");
        }
    }
}
