//! An id that messages mention in their headers: their own, that of what they belong to or follow from, or that of their trace.
//!
//! Which header of another library says what is not known, and need not be: a header whose name ends in `id` tells an id.

use super::Stored;
use crate::{
    mask::{self, Masked},
    message::header,
    trace::{TraceId, TraceParent},
};

/// An id, and the trace that it may be the id of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    id: String,
    trace: Option<TraceId>,
    trace_text: Option<String>,
}

impl Mention {
    /// What mentions `id`: the id of a message, of what messages belong to, or of a trace, or a whole `traceparent`.
    pub fn of(id: &str) -> Self {
        let trace = id.parse::<TraceId>().ok();
        let trace = trace.or_else(|| id.parse::<TraceParent>().ok().map(|parent| TraceId(parent.trace_id)));
        Self { id: id.to_owned(), trace, trace_text: trace.map(|trace| trace.to_string()) }
    }

    /// The trace that it may be the id of.
    pub fn trace(&self) -> Option<TraceId> {
        self.trace
    }

    /// Whether a header of the message says the id. What is masked cannot be found out by asking.
    pub fn is_in(&self, message: &Stored) -> bool {
        message.headers.iter().any(|(name, value)| self.is_said(name, value))
    }

    fn is_said(&self, name: &str, value: &str) -> bool {
        if tells_a_trace(name) {
            return self.trace_text.as_deref().is_some_and(|trace| trace_in(value) == Some(trace));
        }
        tells_an_id(name) && value == self.id && mask::header(name, value, &mut Masked::default()) == value
    }
}

/// The id of the trace in a `traceparent`, as it stands there.
fn trace_in(value: &str) -> Option<&str> {
    const TRACE: std::ops::Range<usize> = 3..35;
    value.get(TRACE)
}

fn tells_a_trace(name: &str) -> bool {
    ends_with(name, header::TRACEPARENT)
}

fn tells_an_id(name: &str) -> bool {
    ends_with(name, "id") || name.eq_ignore_ascii_case(header::REPLAY_OF)
}

fn ends_with(name: &str, end: &str) -> bool {
    name.len().checked_sub(end.len()).and_then(|at| name.get(at..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::clock::Timestamp;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn check(id: &str, name: &str, value: &str, expected: bool) {
        let message = Stored {
            sequence: 1,
            stored: Timestamp::parse("2030-01-31T12:00:00Z").unwrap(),
            subject: "a".to_owned(),
            headers: vec![("x".to_owned(), "y".to_owned()), (name.to_owned(), value.to_owned())],
            payload: Bytes::new(),
        };
        assert_eq!(Mention::of(id).is_in(&message), expected, "{id} in {name}: {value}");
    }

    #[test]
    fn an_id_is_found_in_whatever_header_tells_ids() {
        for name in
            ["Nats-Msg-Id", "ce-id", "correlation-id", "X-Request-ID", "messageId", "replay-of", "retry-message-id"]
        {
            check("m-1", name, "m-1", true);
            check("m-1", name, "m-10", false);
        }
        check("m-1", "subject", "m-1", false);
        check("m-1", "é", "m-1", false);
        check("m-1", "d", "m-1", false);
        check("M-1", "ce-id", "m-1", false);
    }

    #[test]
    fn a_trace_is_found_by_its_id_or_a_whole_traceparent() {
        let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        for id in [TRACE, &TRACE.to_uppercase(), &parent] {
            check(id, "traceparent", &parent, true);
            check(id, "Dead-Letter-Traceparent", &parent, true);
            check(id, "traceparent", &parent.replace("4bf9", "4bf8"), false);
        }
        check(TRACE, "traceparent", "00-é", false);
        check("4bf92f35", "traceparent", &parent, false);
        check(TRACE, "trace-id", TRACE, true);
    }

    #[test]
    fn what_is_masked_is_not_found_out() {
        check("abc", "session-id", "abc", false);
        check("4111111111111111", "payment-id", "4111111111111111", false);
    }
}
