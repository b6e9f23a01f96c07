//! What is taken goes on to another receiver of OTLP, so that the observer can stand before whatever else keeps traces, such as Jaeger.
//!
//! Requests with spans and with logs go on as they came, what the store did not keep among them. Who sends to us never waits for it: what
//! finds no room, or is not taken there in time, is dropped and counted. What brokers tell goes on too, several events in one request where
//! they wait. Spans and logs have a queue each: a far end that is slow with the one, or takes none of it, gets the other all the same.

mod far;
mod lane;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::otlp::Signal;
use crate::config::ForwardConfig;
use far::Far;
use lane::{Lane, Sending};

pub use far::ForwardError;
pub use lane::Passed;

/// Takes what is to go on; clones are the same.
#[derive(Debug, Clone)]
pub struct Forwarder {
    spans: Lane,
    logs: Lane,
}

/// Sends it on, while it runs.
#[derive(Debug)]
pub struct Forwarding {
    spans: Sending,
    logs: Sending,
}

/// What became of what was to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Of spans.
    pub spans: Passed,
    /// Of entries of logs.
    pub logs: Passed,
}

/// What sends everything on to where `config` says.
///
/// # Errors
/// When the address is none, a header is none, the file of headers or that of certificates cannot be read, there are no certificates to go
/// by, or TLS cannot be set up.
pub fn forwarder(config: &ForwardConfig) -> Result<Option<(Forwarder, Forwarding)>, ForwardError> {
    let Some(to) = &config.otlp_forward else { return Ok(None) };
    let far = Far::new(to, config)?;
    let (spans, sending_spans) = lane::lane(Signal::Traces, far.clone());
    let (logs, sending_logs) = lane::lane(Signal::Logs, far);
    Ok(Some((Forwarder { spans, logs }, Forwarding { spans: sending_spans, logs: sending_logs })))
}

impl Forwarder {
    /// Lets a request of so many spans, or entries of logs, go on as it is, where there is room for it. It never waits.
    pub(super) fn offer(&self, signal: Signal, body: Bytes, kind: &'static str, items: u64) {
        match signal {
            Signal::Traces => self.spans.put(body, kind, items, false),
            Signal::Logs => self.logs.put(body, kind, items, false),
        }
    }

    /// The same for one of spans in protocol buffers that may go on as a part of another.
    pub(super) fn offer_part(&self, body: Bytes, kind: &'static str, spans: u64) {
        self.spans.put(body, kind, spans, true);
    }

    /// What became of what was to go on.
    pub fn state(&self) -> Forwarded {
        Forwarded { spans: self.spans.state(), logs: self.logs.state() }
    }
}

impl Forwarding {
    /// Sends on what is offered until `stop`, and then for a moment what still waits.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(self.spans.run(stop.clone()), self.logs.run(stop));
    }
}
