//! The ids that every log line of a message carries.

use std::sync::Arc;

use opentelemetry::{Context, trace::TraceContextExt};
use tokio::task::futures::TaskLocalFuture;

use super::Telemetry;
use crate::message::Message;

tokio::task_local! {
    static HOLDING: Ids;
}

/// Names and values that log lines carry beside the trace's ids.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    /// What is processed, and the name of its correlation id: its ids are written only when a line is.
    message: Option<(Arc<Message>, &'static str)>,
    others: Vec<(&'static str, String)>,
}

impl Ids {
    /// Adds an id.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.others.push((name, value.into()));
        self
    }

    /// Runs `future` with these ids in its log lines, beside those that hold already.
    pub async fn around<F: Future>(self, future: F) -> F::Output {
        let mut all = Self::current();
        all.message = self.message.or(all.message);
        all.others.extend(self.others);
        all.alone_around(future).await
    }

    /// Runs `future` with these ids in its log lines, and no others.
    pub(super) fn alone_around<F: Future>(self, future: F) -> TaskLocalFuture<Self, F> {
        HOLDING.scope(self, future)
    }

    /// Runs `work` with these ids in its log lines, and no others.
    pub(super) fn alone_inside<T>(self, work: impl FnOnce() -> T) -> T {
        HOLDING.sync_scope(self, work)
    }

    /// Those that hold where this is called.
    pub(super) fn current() -> Self {
        HOLDING.try_with(Clone::clone).unwrap_or_default()
    }

    fn each(&self, write: &mut impl FnMut(&'static str, &str)) {
        if let Some((message, correlation_name)) = &self.message {
            if let Some(id) = &message.id {
                write("message_id", &id.0);
            }
            if let Some(correlation) = &message.correlation {
                write(correlation_name, &correlation.0);
            }
        }
        for (name, value) in &self.others {
            write(name, value);
        }
    }
}

impl Telemetry {
    /// The ids that a message carries.
    pub fn ids_of(&self, message: &Arc<Message>) -> Ids {
        Ids { message: Some((message.clone(), self.correlation_name)), others: Vec::new() }
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
    });
    _ = HOLDING.try_with(|ids| ids.each(&mut write));
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
