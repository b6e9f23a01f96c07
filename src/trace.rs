//! Traces: their identity as it travels in headers, by W3C Trace Context, and what is known of their spans.

mod log;
mod span;

use std::{fmt, str::FromStr};

pub use log::{Log, LogLevel, TraceLogs};
pub use span::{
    Attribute, Event, Link, Origin, Span, SpanId, SpanKind, SpanStatus, Trace, TraceId, TraceIdError, Value,
};

/// The value of a `traceparent` header.
///
/// Convention: W3C Trace Context, level 1, version `00` (<https://www.w3.org/TR/trace-context/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The trace; never all zeros.
    pub trace_id: [u8; 16],
    /// The span that the header's sender was in; never all zeros.
    pub span_id: [u8; 8],
    /// The trace flags; bit 0 says sampled.
    pub flags: u8,
}

/// The text is not a `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent (wanted `00-<32 hex>-<16 hex>-<2 hex>`)")]
pub struct TraceParentError;

/// What spans name as their library that a broker told of, not a service.
pub const BROKER: &str = "nats-server";

/// Bytes of the text form of version `00`.
const TEXT_LEN: usize = 55;

impl TraceParent {
    /// Whether the sender recorded this trace.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The header's value.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(TEXT_LEN);
        text.push_str("00-");
        push_hex(&mut text, &self.trace_id);
        text.push('-');
        push_hex(&mut text, &self.span_id);
        text.push('-');
        push_hex(&mut text, &[self.flags]);
        text
    }

    /// The trace's id as 32 hex digits.
    pub fn trace_id_text(&self) -> String {
        let mut text = String::with_capacity(32);
        push_hex(&mut text, &self.trace_id);
        text
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    fn from_str(text: &str) -> Result<Self, TraceParentError> {
        parse(text.as_bytes()).ok_or(TraceParentError)
    }
}

/// Versions above `00` are read by their first four fields, as the convention asks; `ff` is refused.
fn parse(text: &[u8]) -> Option<TraceParent> {
    let version = unhex::<1>(text.get(..2)?)?[0];
    let ends = text.len() == TEXT_LEN || (version > 0 && text.get(TEXT_LEN) == Some(&b'-'));
    let dashes = [2, 35, 52].iter().all(|&at| text.get(at) == Some(&b'-'));
    if version == 0xff || !ends || !dashes {
        return None;
    }
    let parent = TraceParent {
        trace_id: unhex(&text[3..35])?,
        span_id: unhex(&text[36..52])?,
        flags: unhex::<1>(&text[53..55])?[0],
    };
    (parent.trace_id != [0; 16] && parent.span_id != [0; 8]).then_some(parent)
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// What each byte is as a lower-case hex digit; 255 where it is none.
const DIGIT_OF: [u8; 256] = {
    let mut digits = [255; 256];
    let mut digit = 0;
    while digit < 16 {
        digits[DIGITS[digit as usize] as usize] = digit;
        digit += 1;
    }
    digits
};

fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    // Above any digit as soon as there is one that is none: to stop at it would be a branch for each.
    let mut seen = 0;
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (DIGIT_OF[usize::from(pair[0])], DIGIT_OF[usize::from(pair[1])]);
        seen |= high | low;
        *byte = high << 4 | low & 15;
    }
    (seen < 16).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_good_header_survives_its_text() {
        let parent: TraceParent = GOOD.parse().unwrap();
        assert!(parent.is_sampled());
        assert_eq!(parent.to_string(), GOOD);
        assert_eq!(parent.trace_id_text(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    fn check(text: &str, accepted: bool) {
        assert_eq!(text.parse::<TraceParent>().is_ok(), accepted, "{text:?}");
    }

    #[test]
    fn a_bad_header_is_refused() {
        check("", false);
        check(&GOOD.replace("4bf9", "4BF9"), false);
        check(&GOOD.replace("-01", "-1"), false);
        check("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false);
        check(&GOOD.replacen("00", "ff", 1), false);
        check(&format!("{GOOD}-more"), false);
        check(&format!("01{}-more", &GOOD[2..]), true);
        check(&"é".repeat(28), false);
    }
}
