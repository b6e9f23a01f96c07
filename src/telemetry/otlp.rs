//! Spans on their way to the collector, by OpenTelemetry's own protocol.
//!
//! A span becomes the bytes in which it travels where it ends, and what waits is one buffer: kept as objects until a thread of its own
//! copied, wrote and freed them, spans cost a publisher more than all else that it does for them.
//!
//! Convention: OTLP over HTTP, in protocol buffers (<https://opentelemetry.io/docs/specs/otlp/>).

mod post;
mod spool;
pub(crate) mod wire;

use std::{sync::Arc, time::Duration};

use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{Span, SpanData, SpanProcessor},
};

use super::{Metrics, SCOPE, TelemetryError};
pub(super) use post::Destination;
use post::Post;
pub(super) use spool::{Limits, Spool};

/// How long a flush may take that says no limit.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// What the SDK hands its spans to.
#[derive(Debug)]
pub(super) struct Processor(Arc<Spool>);

/// Starts the thread that sends what waits, until the processor is shut down.
pub(super) fn start(
    destination: Destination,
    limits: Limits,
    resource: &Resource,
    metrics: &Metrics,
) -> Result<Arc<Spool>, TelemetryError> {
    let failed = |why: String| TelemetryError::Export { why };
    let post = Post::new(destination, resource, metrics).map_err(failed)?;
    let spool = Arc::new(Spool::new(limits, InstrumentationScope::builder(SCOPE).build(), metrics));
    let taken = spool.clone();
    let sender = std::thread::Builder::new().name("spans".to_owned());
    sender.spawn(move || post.send_all(&taken)).map_err(|error| failed(error.to_string()))?;
    Ok(spool)
}

impl Processor {
    pub(super) fn over(spool: Arc<Spool>) -> Self {
        Self(spool)
    }
}

impl SpanProcessor for Processor {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.0.add(Some(&span.instrumentation_scope), &wire::span(&span));
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        if self.0.flush(FLUSH_LIMIT) { Ok(()) } else { Err(OTelSdkError::Timeout(FLUSH_LIMIT)) }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        if self.0.close(timeout) { Ok(()) } else { Err(OTelSdkError::Timeout(timeout)) }
    }
}
