//! The ids that every log line of a message carries.

use opentelemetry::{
    Context,
    trace::{FutureExt, TraceContextExt},
};

use super::Telemetry;
use crate::message::Message;

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

    /// Runs `future` with these ids in its log lines, beside those that hold already.
    pub async fn around<F: Future>(self, future: F) -> F::Output {
        let mut all = Context::map_current(|context| context.get::<Self>().cloned()).unwrap_or_default();
        all.0.extend(self.0);
        future.with_context(Context::current_with_value(all)).await
    }
}

impl Telemetry {
    /// The ids that a message carries.
    pub fn ids_of(&self, message: &Message) -> Ids {
        let mut ids = Ids::default();
        if let Some(id) = &message.id {
            ids = ids.with("message_id", id.0.clone());
        }
        if let Some(correlation) = &message.correlation {
            ids = ids.with(self.correlation_name, correlation.0.clone());
        }
        ids
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ids_are_added_to_those_that_hold_and_end_with_their_future() {
        let held = || {
            let mut names = Vec::new();
            each_current(|name, _| names.push(name));
            names
        };
        let within = Ids::default().with("message_id", "m").around(async {
            let inner = Ids::default().with("order_id", "7").around(async { held() }).await;
            (inner, held())
        });
        assert_eq!(within.await, (vec!["message_id", "order_id"], vec!["message_id"]));
        assert!(held().is_empty());
    }
}
