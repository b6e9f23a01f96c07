//! What a process says about itself: log lines, spans and metrics, from one `init`.
//!
//! A collector that is down or slow costs dropped spans, never a handler's time: spans go to a bounded queue that a thread of its
//! own empties.

pub mod events;
mod export;
mod ids;
mod logs;
pub mod messaging;
pub mod metrics;
mod otlp;
pub mod outlet;
mod sampling;
mod span;

use std::{io::IsTerminal, sync::Arc, time::Duration};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracer;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{LogFormat, TelemetryConfig};
use export::Pipeline;

pub use ids::Ids;
pub use metrics::Metrics;
pub(crate) use otlp::wire;
pub use span::{Remote, Span};

/// The name under which our spans are made.
const SCOPE: &str = "streamgauge";

/// How long the last spans may take to leave when the process ends.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// The telemetry of a process; clones are the same.
#[derive(Debug, Clone)]
pub struct Telemetry {
    shared: Arc<Inner>,
    correlation_name: &'static str,
}

#[derive(Debug)]
struct Inner {
    pipeline: Pipeline,
    tracer: SdkTracer,
    metrics: Metrics,
}

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter does not parse.
    #[error("`{filter}` is not a log filter: give a level like info, or levels by module like warn,streamgauge=debug")]
    Filter {
        /// The text.
        filter: String,
    },
    /// Something else in the process already writes its logs.
    #[error("logging was set up twice in this process")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
    /// The exporter of traces refuses its settings.
    #[error("traces cannot be exported: {why}; check the OTEL_EXPORTER_OTLP_* variables")]
    Export {
        /// What is wrong.
        why: String,
    },
}

/// Sets up logs, spans and metrics for the process. Traces are exported when `OTEL_EXPORTER_OTLP_ENDPOINT` (or its `_TRACES_` form)
/// is set; ids are made and passed on either way.
///
/// # Errors
/// When the log filter or the exporter's settings are wrong, or logging was set up before.
pub fn init(config: &TelemetryConfig, service: &str, instance: &str) -> Result<Telemetry, TelemetryError> {
    let filter = EnvFilter::try_new(&config.log).map_err(|_| TelemetryError::Filter { filter: config.log.clone() })?;
    let metrics = Metrics::default();
    let telemetry = Telemetry::over(Pipeline::read(service, instance, &metrics)?, metrics);
    let is_terminal = std::io::stderr().is_terminal();
    let is_json = config.log_format == LogFormat::Json || (config.log_format == LogFormat::Auto && !is_terminal);
    let lines = logs::Lines { is_json, service: service.to_owned(), instance: instance.to_owned() };
    let log = tracing_subscriber::fmt::layer().event_format(lines).with_ansi(is_terminal).with_writer(std::io::stderr);
    let spans = tracing_opentelemetry::layer().with_tracer(telemetry.shared.tracer.clone());
    tracing_subscriber::registry().with(filter).with(log).with(spans).try_init().map_err(TelemetryError::Twice)?;
    opentelemetry::global::set_tracer_provider(telemetry.shared.pipeline.provider.clone());
    Ok(telemetry)
}

impl Telemetry {
    /// Telemetry that goes nowhere: spans have ids, metrics count, nothing is written. For tests.
    pub fn unexported() -> Self {
        Self::over(Pipeline::nowhere(), Metrics::default())
    }

    /// Telemetry whose spans go to the OTLP collector at `endpoint` (`http://127.0.0.1:4318`), `share` (0 to 1) of the traces that begin
    /// here. The environment is not asked and nothing in the process is set up; for benches, and for several in one process.
    ///
    /// # Errors
    /// When the endpoint is unusable.
    pub fn exporting_to(endpoint: &str, share: f64) -> Result<Self, TelemetryError> {
        let metrics = Metrics::default();
        Ok(Self::over(Pipeline::to_endpoint(endpoint, share, &metrics)?, metrics))
    }

    fn over(pipeline: Pipeline, metrics: Metrics) -> Self {
        let tracer = pipeline.provider.tracer(SCOPE);
        let shared = Arc::new(Inner { pipeline, tracer, metrics });
        Self { shared, correlation_name: "correlation_id" }
    }

    /// The same telemetry, whose log lines carry the correlation id of their message under this name, such as `order_id`.
    #[must_use]
    pub fn log_correlation_as(mut self, name: &'static str) -> Self {
        self.correlation_name = name;
        self
    }

    /// The process's metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Whether spans below `remote` are seen by nobody.
    fn spares(&self, remote: &Remote) -> bool {
        self.shared.pipeline.sampling.follows_parents() && !remote.parent.is_sampled()
    }

    fn pipeline(&self) -> &Pipeline {
        &self.shared.pipeline
    }

    fn tracer(&self) -> &SdkTracer {
        &self.shared.tracer
    }

    /// Sends what spans are left, for as long as that is worth waiting for.
    pub async fn shutdown(&self) {
        let provider = self.shared.pipeline.provider.clone();
        // The SDK waits on its own thread here, which would deadlock with a runtime of one thread.
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_LIMIT)).await;
        if let Ok(Err(error)) = flushed {
            tracing::debug!(%error, "the last spans did not reach the collector");
        }
    }
}
