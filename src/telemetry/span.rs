//! Spans built by the OpenTelemetry API itself: a `tracing` span for each message costs several times as much.

use std::{borrow::Cow, fmt, time::SystemTime};

use opentelemetry::{
    Context, KeyValue, Value,
    trace::{
        FutureExt, Link, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
        TraceState, Tracer,
    },
};
use opentelemetry_sdk::trace::SdkTracer;

use super::ids::Ids;
use crate::trace::TraceParent;

/// A span, and the context in which it is the current one. It ends when the last clone is dropped, or by [`Span::end`].
#[derive(Clone)]
pub struct Span {
    context: Context,
    /// The ids in log lines within it; without them, those that hold around it.
    ids: Option<Ids>,
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Span").field(&self.trace_parent().map(|parent| parent.to_string())).finish()
    }
}

/// What a span begins with.
pub(super) struct Beginning {
    pub(super) name: Cow<'static, str>,
    pub(super) kind: SpanKind,
    pub(super) parent: Option<Remote>,
    pub(super) is_linked: bool,
}

/// A span elsewhere that sent us something.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote {
    /// Its identity.
    pub parent: TraceParent,
    /// What tracing vendors add.
    pub state: Option<String>,
}

impl Remote {
    /// The span that is current where this is called, as others will see it.
    pub fn current() -> Option<Self> {
        Context::map_current(|context| {
            let span = context.span();
            let parent = trace_parent_of(span.span_context())?;
            Some(Self { parent, state: state_of(span.span_context()) })
        })
    }

    pub(super) fn context(&self) -> SpanContext {
        let state = self.state.as_deref().and_then(|text| text.parse::<TraceState>().ok()).unwrap_or_default();
        SpanContext::new(
            TraceId::from_bytes(self.parent.trace_id),
            SpanId::from_bytes(self.parent.span_id),
            TraceFlags::new(self.parent.flags),
            true,
            state,
        )
    }
}

impl Span {
    /// Begins a span. Its attributes are made only if it is recorded: at one sampled trace in a hundred they would be most of the cost.
    pub(super) fn begin(tracer: &SdkTracer, beginning: Beginning, attributes: impl FnOnce() -> Vec<KeyValue>) -> Self {
        let current = Context::current();
        let remote = beginning.parent.as_ref().map(Remote::context);
        let parent = parent_context(current, remote.clone());
        let links = remote.filter(|_| beginning.is_linked).map(|context| vec![Link::new(context, Vec::new(), 0)]);
        let mut builder = SpanBuilder::from_name(beginning.name).with_kind(beginning.kind);
        builder.links = links;
        let span = tracer.build_with_context(builder, &parent);
        let context = parent.with_span(span);
        if context.span().is_recording() {
            context.span().set_attributes(attributes());
        }
        Self { context, ids: None }
    }

    /// A span of a trace that nobody will see: it has an id for what follows from it, and the rest of a span is spared.
    pub(super) fn unseen(remote: &Remote) -> Self {
        let span_id = SpanId::from_bytes(fastrand::u64(1..).to_be_bytes());
        let remote = remote.context();
        let (flags, state) = (remote.trace_flags(), remote.trace_state().clone());
        let identity = SpanContext::new(remote.trace_id(), span_id, flags, false, state);
        Self { context: Context::current().with_remote_span_context(identity), ids: None }
    }

    /// Which span this is, as it travels; `None` without a tracer.
    pub fn trace_parent(&self) -> Option<TraceParent> {
        trace_parent_of(self.context.span().span_context())
    }

    /// What tracing vendors added, as it travels.
    pub fn trace_state(&self) -> Option<String> {
        state_of(self.context.span().span_context())
    }

    /// Whether anybody will see it: its trace is sampled.
    pub fn is_recording(&self) -> bool {
        self.context.span().is_recording()
    }

    /// Adds an attribute.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        self.context.span().set_attribute(KeyValue::new(key, value.into()));
    }

    /// Marks the span as failed: by `kind`, one of few, and in words.
    pub fn fail(&self, kind: &'static str, words: impl Into<Cow<'static, str>>) {
        let span = self.context.span();
        span.set_attribute(KeyValue::new("error.type", kind));
        span.set_status(Status::error(words));
    }

    /// Adds an event at this moment.
    pub fn event(&self, name: &'static str) {
        self.context.span().add_event(name, Vec::new());
    }

    /// Makes `ids` part of every log line written within the span.
    #[must_use]
    pub fn with_ids(self, ids: Ids) -> Self {
        Self { ids: Some(ids), ..self }
    }

    /// Runs `future` with this span as the current one.
    pub fn around<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        // No async function: it would hold the future twice, before and after its start, and so would every task.
        self.held_ids().alone_around(future.with_context(self.context.clone()))
    }

    /// Runs `work` with this span as the current one.
    pub fn inside<T>(&self, work: impl FnOnce() -> T) -> T {
        self.held_ids().alone_inside(|| {
            let _current = self.context.clone().attach();
            work()
        })
    }

    fn held_ids(&self) -> Ids {
        self.ids.clone().unwrap_or_else(Ids::current)
    }

    /// Ends the span now.
    pub fn end(&self) {
        self.context.span().end_with_timestamp(SystemTime::now());
    }
}

/// Adds an attribute to the span that is current where this is called.
pub(super) fn set_current(key: &'static str, value: impl Into<Value>) {
    Context::map_current(|context| context.span().set_attribute(KeyValue::new(key, value.into())));
}

/// A span that is current here and belongs to the remote one's trace is nearer to what happens than the remote one.
fn parent_context(current: Context, remote: Option<SpanContext>) -> Context {
    match remote {
        Some(remote) if current.span().span_context().trace_id() != remote.trace_id() => {
            current.with_remote_span_context(remote)
        }
        _ => current,
    }
}

/// What tracing vendors added, as it travels.
pub(super) fn state_of(context: &SpanContext) -> Option<String> {
    let state = context.trace_state();
    (*state != TraceState::NONE).then(|| state.header()).filter(|state| !state.is_empty())
}

pub(super) fn trace_parent_of(context: &SpanContext) -> Option<TraceParent> {
    context.is_valid().then(|| TraceParent {
        trace_id: context.trace_id().to_bytes(),
        span_id: context.span_id().to_bytes(),
        flags: context.trace_flags().to_u8(),
    })
}
