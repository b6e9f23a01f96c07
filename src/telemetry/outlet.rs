//! Where messages leave: what all that are sent alike have in common is made once, so that a message costs neither a name nor a
//! look-up, and one whose trace is not sampled next to nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanKind, Status, TraceContextExt},
};
use prometheus::{Histogram, IntCounter};

use super::{
    Remote, Telemetry,
    events::Sent,
    messaging::integer,
    span::{state_of, trace_parent_of},
    wire::{self, Identity},
};
use crate::{
    message::Cause,
    name::{Subject, SubjectPattern},
    trace::TraceParent,
};

/// Bytes of a span beside what all of an outlet's have in common and the values that are its own: ids, times, and names of attributes.
const SPAN_ROOM: usize = 320;

/// Sends messages of one pattern.
#[derive(Debug)]
pub struct Outlet {
    telemetry: Telemetry,
    operation: &'static str,
    template: Arc<str>,
    /// What every span of it says: its name and the attributes that are always the same, as they travel.
    common: Vec<u8>,
    took: Histogram,
    confirmed: IntCounter,
}

/// What is told of one message.
#[derive(Debug, Clone, Copy)]
pub struct Leaving<'a> {
    /// Where it goes.
    pub subject: &'a Subject,
    /// Its id.
    pub id: &'a str,
    /// What it belongs to.
    pub correlation: &'a str,
    /// Bytes of its payload.
    pub size: usize,
}

/// A message on its way out: a span that is never the current one, for nothing happens inside it, and the time that it takes. Dropped
/// before it ended, it counts as abandoned.
#[derive(Debug)]
pub struct Departure {
    outlet: Arc<Outlet>,
    parent: TraceParent,
    state: Option<String>,
    /// `None` where it is not recorded: it has its ids, and nothing to tell.
    record: Option<Record>,
    began: Instant,
    is_over: bool,
}

/// A span that is being written: all but how and when it ends.
#[derive(Debug)]
struct Record {
    bytes: Vec<u8>,
    start: u64,
}

/// What a message leaves below: nothing, where its trace begins with it.
#[derive(Default)]
struct Above {
    parent: Option<TraceParent>,
    state: Option<String>,
    is_remote: bool,
    is_suppressed: bool,
}

impl Above {
    /// A span that is current here and belongs to the cause's trace is nearer to what happens than the cause.
    fn find(cause: Option<&Cause>) -> Self {
        let remote = cause.and_then(Remote::of_cause);
        Context::map_current(|current| {
            let span = current.span();
            let here = span.span_context();
            let mut above = match remote {
                Some(remote) if here.trace_id().to_bytes() != remote.parent.trace_id => Self::of(&remote.context()),
                _ => Self::of(here),
            };
            above.is_suppressed = current.is_telemetry_suppressed();
            above
        })
    }

    fn of(context: &SpanContext) -> Self {
        let (parent, state) = (trace_parent_of(context), state_of(context));
        Self { parent, state, is_remote: context.is_remote(), is_suppressed: false }
    }
}

impl Telemetry {
    /// Where messages leave by `operation` (`publish`) on subjects of `template` for `stream`.
    pub fn outlet(&self, operation: &'static str, template: &SubjectPattern, stream: &str) -> Arc<Outlet> {
        let metrics = self.metrics();
        let template: Arc<str> = template.as_str().into();
        Arc::new(Outlet {
            operation,
            common: common(operation, &template, stream),
            took: metrics.operation_duration.with_label_values(&[operation, &template, ""]),
            confirmed: metrics.sent.with_label_values(&[&*template, ""]),
            template,
            telemetry: self.clone(),
        })
    }
}

/// What all spans of an outlet say.
fn common(operation: &str, template: &str, stream: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::name(&mut bytes, &format!("{operation} {template}"), &SpanKind::Producer);
    wire::attribute(&mut bytes, "messaging.system", "nats");
    wire::attribute(&mut bytes, "messaging.operation.name", operation);
    wire::attribute(&mut bytes, "messaging.operation.type", "send");
    wire::attribute(&mut bytes, "messaging.destination.template", template);
    wire::attribute(&mut bytes, "messaging.nats.stream", stream);
    bytes
}

impl Outlet {
    /// Begins to send a message.
    pub fn begin(self: &Arc<Self>, leaving: Leaving<'_>, cause: Option<&Cause>) -> Departure {
        let above = Above::find(cause);
        let trace_id = above.parent.map_or_else(|| fastrand::u128(1..).to_be_bytes(), |parent| parent.trace_id);
        let pipeline = self.telemetry.pipeline();
        let is_sampled = !above.is_suppressed && pipeline.sampling.takes(trace_id, above.parent.as_ref());
        let flags = if is_sampled { above.parent.map_or(0, |parent| parent.flags) | 1 } else { 0 };
        let parent = TraceParent { trace_id, span_id: fastrand::u64(1..).to_be_bytes(), flags };
        let is_seen = is_sampled && pipeline.spool.is_some();
        let record = is_seen.then(|| self.record(leaving, parent, &above));
        Departure { outlet: self.clone(), parent, state: above.state, record, began: Instant::now(), is_over: false }
    }

    fn record(&self, leaving: Leaving<'_>, this: TraceParent, above: &Above) -> Record {
        let Leaving { subject, id, correlation, size } = leaving;
        let own = subject.as_str().len() + id.len() + correlation.len();
        let mut bytes = Vec::with_capacity(self.common.len() + own + SPAN_ROOM);
        let identity = Identity {
            trace_id: this.trace_id,
            span_id: this.span_id,
            parent: above.parent.map(|parent| parent.span_id),
            parent_is_remote: above.is_remote,
            flags: this.flags,
            state: above.state.as_deref().unwrap_or_default(),
        };
        wire::identity(&mut bytes, identity);
        bytes.extend_from_slice(&self.common);
        wire::attribute(&mut bytes, "messaging.destination.name", subject.as_str());
        wire::attribute(&mut bytes, "messaging.message.id", id);
        wire::attribute(&mut bytes, "messaging.message.conversation_id", correlation);
        wire::attribute_number(&mut bytes, "messaging.message.body.size", integer(size));
        Record { bytes, start: wire::nanos(SystemTime::now()) }
    }
}

impl Departure {
    /// Which span this is, as it travels.
    pub fn trace_parent(&self) -> TraceParent {
        self.parent
    }

    /// What tracing vendors added, as it travels.
    pub fn trace_state(&self) -> Option<String> {
        self.state.clone()
    }

    /// Ends it: the message is confirmed, with its sequence in the stream as far as that is known, and whether it was there already.
    pub fn confirmed(mut self, sequence: Option<u64>, is_duplicate: bool) {
        let took = self.began.elapsed();
        if let Some(record) = &mut self.record {
            if let Some(sequence @ 1..) = sequence {
                wire::attribute_number(&mut record.bytes, "messaging.nats.stream_sequence", integer(sequence));
            }
            if is_duplicate {
                wire::attribute_flag(&mut record.bytes, "messaging.nats.duplicate", true);
            }
        }
        self.outlet.took.observe(took.as_secs_f64());
        self.outlet.confirmed.inc();
        self.end(took, &Status::Unset);
    }

    /// Ends it: the message is not confirmed, because of `kind`, one of few, and in `words`.
    pub fn failed(mut self, kind: &'static str, words: String) {
        self.fail(kind, words);
    }

    fn fail(&mut self, kind: &'static str, words: String) {
        if let Some(record) = &mut self.record {
            wire::attribute(&mut record.bytes, "error.type", kind);
        }
        let took = self.began.elapsed();
        self.end(took, &Status::error(words));
        let Outlet { operation, template, telemetry, .. } = &*self.outlet;
        let sent = Sent { operation, template, took, error_type: kind };
        sent.emit(telemetry.metrics());
    }

    fn end(&mut self, took: Duration, status: &Status) {
        self.is_over = true;
        let spool = self.outlet.telemetry.pipeline().spool.as_ref();
        if let (Some(Record { mut bytes, start }), Some(spool)) = (self.record.take(), spool) {
            let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            wire::times(&mut bytes, start, start.saturating_add(took));
            wire::status(&mut bytes, status);
            spool.add(None, &bytes);
        }
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        if !self.is_over {
            self.fail("abandoned", "nobody waited for the confirmation".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::CorrelationId;

    fn begun(telemetry: &Telemetry, cause: Option<&Cause>) -> Departure {
        let subject = "orders.placed.7".try_into().unwrap();
        let leaving = Leaving { subject: &subject, id: "m-1", correlation: "7", size: 2 };
        telemetry.outlet("publish", &"orders.placed.*".try_into().unwrap(), "ORDERS").begin(leaving, cause)
    }

    #[test]
    fn a_message_stays_in_the_trace_of_its_cause_and_is_seen_as_that_is() {
        let telemetry = Telemetry::unexported();
        for flags in ["00", "01"] {
            let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}").parse().unwrap();
            let state = Some("vendor=1".to_owned());
            let outside = Cause::outside(CorrelationId("7".into()), Some(parent));
            let departure = begun(&telemetry, Some(&Cause { trace_state: state.clone(), ..outside }));
            let this = departure.trace_parent();
            assert_eq!((this.trace_id, this.flags), (parent.trace_id, parent.flags));
            assert_ne!(this.span_id, parent.span_id);
            assert_eq!(departure.trace_state(), state);
        }
    }

    #[test]
    fn a_span_that_is_current_is_nearer_than_a_cause_of_its_trace_and_farther_than_one_of_another() {
        let telemetry = Telemetry::unexported();
        let current = telemetry.serving_http("GET", "/", None);
        let here = current.trace_parent().unwrap();
        let cause = |trace| Cause::outside(CorrelationId("7".into()), Some(trace));
        let earlier = cause(TraceParent { span_id: [9; 8], ..here });
        let other = cause(TraceParent { trace_id: [9; 16], ..here });
        let above = |cause: &Cause| current.inside(|| Above::find(Some(cause)).parent);
        assert_eq!(above(&earlier), Some(here));
        assert_eq!(above(&other), other.trace);
        assert_eq!(Above::find(None).parent, None);
    }

    #[test]
    fn what_begins_a_trace_is_seen_unless_telemetry_is_suppressed() {
        let telemetry = Telemetry::unexported();
        let first = begun(&telemetry, None).trace_parent();
        assert!(first.is_sampled() && first.trace_id != begun(&telemetry, None).trace_parent().trace_id);
        let _quiet = Context::enter_telemetry_suppressed_scope();
        assert!(!begun(&telemetry, None).trace_parent().is_sampled());
    }
}
