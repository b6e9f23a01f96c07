//! The ids that every log line of a message carries.

use opentelemetry::{Context, trace::TraceContextExt};

/// Names and values that log lines carry beside the trace's ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ids(Vec<(&'static str, String)>);

impl Ids {
    /// Adds an id.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push((name, value.into()));
        self
    }
}

/// Calls `write` with every id that holds where it is called: the trace's, the span's, and those of the message.
pub(super) fn each_current(mut write: impl FnMut(&'static str, &str)) {
    Context::map_current(|context| {
        let span = context.span();
        let identity = span.span_context();
        if identity.is_valid() {
            write("trace_id", &identity.trace_id().to_string());
            write("span_id", &identity.span_id().to_string());
        }
        for (name, value) in context.get::<Ids>().map(|ids| ids.0.as_slice()).unwrap_or_default() {
            write(name, value);
        }
    });
}
