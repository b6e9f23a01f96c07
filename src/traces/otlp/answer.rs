//! What senders are answered, in the form in which they asked.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::traces::{Rejected, Tally};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// When a sender that came while too many did should come again, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// What a request is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Protobuf,
    Json,
}

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::traces) enum Signal {
    Traces,
    Logs,
}

/// Why a request is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the content-type is neither application/x-protobuf nor application/json")]
    UnknownForm,
    #[error("the content-encoding, or the grpc-encoding, is neither gzip nor identity")]
    UnknownPacking,
    #[error("it is too large: send less at once")]
    TooLarge,
    #[error("it did not come within its time")]
    Slow,
    #[error("it broke off: {0}")]
    Broken(String),
    #[error("it cannot be read: {0}")]
    Malformed(String),
    #[error("too many requests come at once: send again later")]
    Busy,
    #[error("reading it failed, which is a defect of Streamgauge")]
    Defect,
}

impl Form {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            PROTOBUF => Ok(Self::Protobuf),
            JSON => Ok(Self::Json),
            _ => Err(Refusal::UnknownForm),
        }
    }

    /// As it is called in headers.
    pub(super) fn kind(self) -> &'static str {
        if self == Self::Protobuf { PROTOBUF } else { JSON }
    }

    fn of_answer(self) -> [(header::HeaderName, &'static str); 1] {
        [(header::CONTENT_TYPE, self.kind())]
    }
}

impl Signal {
    /// What it is called in sentences.
    pub(in crate::traces) fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
        }
    }

    /// As the JSON of an answer calls those that were not kept.
    pub(super) fn rejected(self) -> &'static str {
        match self {
            Self::Traces => "rejectedSpans",
            Self::Logs => "rejectedLogRecords",
        }
    }
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::UnknownForm | Self::UnknownPacking => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken(_) | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Defect => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Convention: the body is a `google.rpc.Status`.
    pub(super) fn answer(&self, form: Form) -> Response {
        let message = self.to_string();
        let body = match form {
            Form::Json => json!({ "message": message }).to_string().into_bytes(),
            Form::Protobuf => text_field(2, &message),
        };
        let mut response = (self.status(), form.of_answer(), body).into_response();
        if *self == Self::Busy {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

/// What was taken, and what was not.
///
/// Convention: `ExportTraceServiceResponse` and `ExportLogsServiceResponse`, which are empty where all of it was.
pub(super) fn taken(tally: &Tally, form: Form, signal: Signal) -> Response {
    let body = match form {
        Form::Json => partial(tally, signal).map_or_else(
            || "{}".to_owned(),
            |message| {
                let partial = json!({ signal.rejected(): tally.rejected.to_string(), "errorMessage": message });
                json!({ "partialSuccess": partial }).to_string()
            },
        ),
        Form::Protobuf => return (form.of_answer(), export_response(tally, signal)).into_response(),
    };
    (form.of_answer(), body).into_response()
}

/// The same as protocol buffers.
pub(super) fn export_response(tally: &Tally, signal: Signal) -> Vec<u8> {
    let Some(message) = partial(tally, signal) else { return Vec::new() };
    let mut inner = vec![1 << 3];
    varint(&mut inner, tally.rejected);
    inner.extend(text_field(2, &message));
    let mut body = vec![1 << 3 | 2];
    varint(&mut body, inner.len() as u64);
    body.extend(inner);
    body
}

/// What is wrong with those that were not taken.
fn partial(tally: &Tally, signal: Signal) -> Option<String> {
    let why = match tally.why? {
        Rejected::Malformed if signal == Signal::Logs => "could not be read",
        Rejected::Malformed => "could not be read, or lack a trace id or a span id",
        Rejected::Untraced => "belong to no trace, and only logs of traces are kept",
        Rejected::Late => "came after their trace had been let go",
        Rejected::TooLarge => "are too large, or their trace has grown so",
    };
    let what = match signal {
        Signal::Traces => "spans",
        Signal::Logs => "log records",
    };
    Some(format!("{} {what} are not kept: they {why}", tally.rejected))
}

fn text_field(field: u8, text: &str) -> Vec<u8> {
    let mut bytes = vec![field << 3 | 2];
    varint(&mut bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
