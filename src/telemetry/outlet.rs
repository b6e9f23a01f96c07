//! Where messages leave: what all that are sent alike have in common is made once, so that a message costs neither a name nor a
//! look-up, and one whose trace is not sampled next to nothing.

use std::{sync::Arc, time::Instant};

use opentelemetry::{
    KeyValue, Value,
    trace::{Span as _, SpanKind, Status},
};
use opentelemetry_sdk::trace::Span as SdkSpan;
use prometheus::{Histogram, IntCounter};

use super::{
    Remote, Telemetry,
    events::Sent,
    messaging::integer,
    span::{Beginning, begin_leaf, state_of, trace_parent_of},
};
use crate::{
    message::Cause,
    name::{Subject, SubjectPattern},
    trace::TraceParent,
};

/// Sends messages of one pattern.
#[derive(Debug)]
pub struct Outlet {
    telemetry: Telemetry,
    operation: &'static str,
    template: Arc<str>,
    span_name: String,
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
    parent: Option<TraceParent>,
    state: Option<String>,
    /// `None` where it is not recorded: it has its ids, and nothing to tell.
    span: Option<Box<SdkSpan>>,
    began: Instant,
    is_over: bool,
}

impl Telemetry {
    /// Where messages leave by `operation` (`publish`) on subjects of `template`.
    pub fn outlet(&self, operation: &'static str, template: &SubjectPattern) -> Arc<Outlet> {
        let metrics = self.metrics();
        let template: Arc<str> = template.as_str().into();
        Arc::new(Outlet {
            operation,
            span_name: format!("{operation} {template}"),
            took: metrics.operation_duration.with_label_values(&[operation, &template, ""]),
            confirmed: metrics.sent.with_label_values(&[&*template, ""]),
            template,
            telemetry: self.clone(),
        })
    }
}

impl Outlet {
    /// Begins to send a message.
    pub fn begin(self: &Arc<Self>, leaving: Leaving<'_>, cause: Option<&Cause>) -> Departure {
        let beginning = Beginning {
            // Samplers do not ask for it; a span that is recorded gets it below.
            name: "".into(),
            kind: SpanKind::Producer,
            parent: cause.and_then(Remote::of_cause),
            is_linked: false,
        };
        let mut span = begin_leaf(self.telemetry.tracer(), beginning, || self.attributes(leaving));
        let (parent, state) = (trace_parent_of(span.span_context()), state_of(span.span_context()));
        let span = span.is_recording().then(|| {
            span.update_name(self.span_name.clone());
            Box::new(span)
        });
        Departure { outlet: self.clone(), parent, state, span, began: Instant::now(), is_over: false }
    }

    fn attributes(&self, leaving: Leaving<'_>) -> Vec<KeyValue> {
        vec![
            KeyValue::new("messaging.system", "nats"),
            KeyValue::new("messaging.operation.name", self.operation),
            KeyValue::new("messaging.operation.type", "send"),
            KeyValue::new("messaging.destination.template", Value::from(self.template.clone())),
            KeyValue::new("messaging.destination.name", leaving.subject.to_string()),
            KeyValue::new("messaging.message.id", leaving.id.to_owned()),
            KeyValue::new("messaging.message.conversation_id", leaving.correlation.to_owned()),
            KeyValue::new("messaging.message.body.size", integer(leaving.size)),
        ]
    }
}

impl Departure {
    /// Which span this is, as it travels; `None` without a tracer.
    pub fn trace_parent(&self) -> Option<TraceParent> {
        self.parent
    }

    /// What tracing vendors added, as it travels.
    pub fn trace_state(&self) -> Option<String> {
        self.state.clone()
    }

    /// Ends it: the message is confirmed.
    pub fn confirmed(mut self) {
        self.outlet.took.observe(self.began.elapsed().as_secs_f64());
        self.outlet.confirmed.inc();
        self.is_over = true;
    }

    /// Ends it: the message is not confirmed, because of `kind`, one of few, and in `words`.
    pub fn failed(mut self, kind: &'static str, words: String) {
        self.fail(kind, words);
    }

    fn fail(&mut self, kind: &'static str, words: String) {
        self.is_over = true;
        if let Some(span) = &mut self.span {
            span.set_attribute(KeyValue::new("error.type", kind));
            span.set_status(Status::error(words));
        }
        let Outlet { operation, template, telemetry, .. } = &*self.outlet;
        let sent = Sent { operation, template, took: self.began.elapsed(), error_type: kind };
        sent.emit(telemetry.metrics());
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        if !self.is_over {
            self.fail("abandoned", "nobody waited for the confirmation".to_owned());
        }
    }
}
