//! The spans of an event as a request of OTLP, as whoever keeps traces beside us takes them.

use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{SpanKind, Status},
};
use opentelemetry_sdk::Resource;

use super::{FAILED, Told};
use crate::{
    telemetry::wire::{self, Identity},
    trace::BROKER,
    traces::given::{Given, GivenSpan},
};

/// A broker tells of sampled messages alone.
const SAMPLED: u8 = 1;

/// The request that brings what was told, and nothing else.
pub(super) fn write(told: &Told<'_>) -> Vec<u8> {
    let said = told.maker.iter().map(|(key, value)| KeyValue::new(*key, (*value).to_owned()));
    let resource = Resource::builder_empty().with_attributes(said).build();
    let scope = InstrumentationScope::builder(BROKER).with_version(told.version.to_owned()).build();
    let mut spans = Vec::new();
    for (index, span) in told.spans.iter().enumerate() {
        // What published the message is no part of the broker; the first span is above the others.
        wire::framed(&mut spans, &one(span, index == 0));
    }
    wire::request(&wire::resource(&resource), std::iter::once((&scope, spans.as_slice())))
}

fn one(span: &GivenSpan<'_>, parent_is_remote: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let identity = Identity {
        trace_id: span.trace.as_ref().try_into().unwrap_or_default(),
        span_id: span.id.as_ref().try_into().unwrap_or_default(),
        parent: span.parent.as_ref().try_into().ok(),
        parent_is_remote,
        flags: SAMPLED,
        state: &span.state,
    };
    wire::identity(&mut bytes, identity);
    wire::name(&mut bytes, &span.name, &SpanKind::Internal);
    for pair in &span.attributes {
        match &pair.value {
            Given::Text(text) => wire::attribute(&mut bytes, &pair.key, text),
            Given::Bool(holds) => wire::attribute_flag(&mut bytes, &pair.key, *holds),
            // An event says nothing else.
            _ => {}
        }
    }
    wire::times(&mut bytes, span.start, span.end);
    let status = if span.status == FAILED { Status::error(span.message.clone().into_owned()) } else { Status::Unset };
    wire::status(&mut bytes, &status);
    bytes
}
