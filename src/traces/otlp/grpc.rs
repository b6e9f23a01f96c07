//! The same over gRPC: a call brings one message behind a frame of five bytes, and its outcome follows the answer.
//!
//! Convention: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>, and `TraceService/Export` and `LogsService/Export` of OTLP. The message is the one
//! that comes over HTTP as protocol buffers; it is read by the same code, within the same limits.

use std::{cmp::Ordering, future::ready};

use axum::{
    body::{Body, BodyDataStream, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::BytesMut;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Full};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tokio::sync::SemaphorePermit;

use crate::errors::ErrorChain;

use super::{
    BODY_LIMIT, BODY_MOST, NO_METRICS, Receiver,
    answer::{Form, Refusal, Signal, export_response},
    body::{self, Packing},
};

/// What is called.
pub(super) const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
pub(super) const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

const KIND: HeaderValue = HeaderValue::from_static("application/grpc");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPTED: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const PACKINGS: HeaderValue = HeaderValue::from_static("identity,gzip");
const OUTCOME: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Bytes before a message: whether it is packed, and how long it is.
const FRAME: usize = 5;

/// Bytes of a sentence that is said in a header.
const SENTENCE_MOST: usize = 1_024;

/// What a sentence in a header may not hold as it is.
const IN_HEADER: &AsciiSet = &CONTROLS.add(b'%');

/// An outcome of a call, by its number.
///
/// Convention: the codes of gRPC. Senders of OTLP try again after 1, 4, 10, 11, 14 and 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Ok = 0,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Code {
    fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::UnknownForm | Refusal::UnknownPacking => Self::Unimplemented,
            Refusal::TooLarge => Self::ResourceExhausted,
            Refusal::Slow => Self::DeadlineExceeded,
            Refusal::Broken(_) | Refusal::Malformed(_) => Self::InvalidArgument,
            Refusal::Busy => Self::Unavailable,
            Refusal::Defect => Self::Internal,
        }
    }

    /// Convention: how gRPC reads the statuses of HTTP, and 421 as what it is here.
    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthenticated,
            StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST => Self::PermissionDenied,
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Self::Unimplemented,
            _ => Self::Unknown,
        }
    }

    fn header(self) -> HeaderValue {
        HeaderValue::from(self as u16)
    }
}

pub(super) async fn traces(State(receiver): State<Receiver>, headers: HeaderMap, body: Body) -> Response {
    export(&receiver, &headers, body, Signal::Traces).await
}

pub(super) async fn logs(State(receiver): State<Receiver>, headers: HeaderMap, body: Body) -> Response {
    export(&receiver, &headers, body, Signal::Logs).await
}

async fn export(receiver: &Receiver, headers: &HeaderMap, body: Body, signal: Signal) -> Response {
    if !is_grpc(headers) {
        let refusal = Refusal::UnknownForm;
        receiver.refuse(&refusal);
        return refusal.status().into_response();
    }
    match take(receiver, headers, body, signal).await {
        Ok(answer) => answered(&answer),
        Err(refusal) => {
            receiver.refuse(&refusal);
            refused(Code::of(&refusal), &refusal.to_string())
        }
    }
}

/// What is called beside traces and logs, or wrongly.
pub(super) async fn unknown(headers: HeaderMap) -> Response {
    if is_grpc(&headers) { refused(Code::Unimplemented, NO_METRICS) } else { StatusCode::NOT_FOUND.into_response() }
}

/// A message that has come whole, and its place among those that come.
struct Received<'r> {
    bytes: Bytes,
    is_packed: bool,
    place: SemaphorePermit<'r>,
}

/// Says to a call in its own way what something before the receiver says as HTTP does: a client of gRPC reads nothing else.
pub(super) async fn in_its_way(call: Request, next: Next) -> Response {
    let is_call = is_grpc(call.headers());
    let answer = next.run(call).await;
    if !is_call || is_grpc(answer.headers()) {
        return answer;
    }
    let code = Code::of_status(answer.status());
    let said = to_bytes(answer.into_body(), SENTENCE_MOST).await.unwrap_or_default();
    refused(code, String::from_utf8_lossy(&said).trim())
}

async fn take(receiver: &Receiver, headers: &HeaderMap, body: Body, signal: Signal) -> Result<Vec<u8>, Refusal> {
    let packing = body::packing(headers.get(ENCODING))?;
    let Received { bytes, is_packed, place } =
        tokio::time::timeout(BODY_LIMIT, receive(receiver, body)).await.map_err(|_| Refusal::Slow)??;
    let packing = match (is_packed, packing) {
        (false, _) => Packing::None,
        (true, Packing::Gzip) => Packing::Gzip,
        (true, Packing::None) => return Err(malformed("it is packed and does not say how")),
    };
    let tally = receiver.read(bytes, packing, Form::Protobuf, signal).await?;
    drop(place);
    Ok(export_response(&tally, signal))
}

/// Receives the message of a call. It takes its place once its frame says how long it is: calls do not say so before.
async fn receive(receiver: &Receiver, body: Body) -> Result<Received<'_>, Refusal> {
    let (mut parts, mut bytes) = (body.into_data_stream(), BytesMut::new());
    while bytes.len() < FRAME {
        bytes.extend_from_slice(&next(&mut parts).await?.ok_or_else(|| malformed("it ends within its frame"))?);
    }
    let (is_packed, length) = frame(&bytes.split_to(FRAME))?;
    let place = receiver.place(length)?;
    while let Some(part) = next(&mut parts).await? {
        bytes.extend_from_slice(&part);
        if bytes.len() > length {
            break;
        }
    }
    match bytes.len().cmp(&length) {
        Ordering::Equal => Ok(Received { bytes: bytes.freeze(), is_packed, place }),
        Ordering::Less => Err(malformed("it is shorter than its frame says")),
        Ordering::Greater => Err(malformed("a call brings one message and this one more")),
    }
}

async fn next(parts: &mut BodyDataStream) -> Result<Option<Bytes>, Refusal> {
    parts.next().await.transpose().map_err(|error| Refusal::Broken(ErrorChain(&error).to_string()))
}

/// Whether the message is packed, and its bytes.
fn frame(frame: &[u8]) -> Result<(bool, usize), Refusal> {
    let &[flag @ (0 | 1), a, b, c, d] = frame else { return Err(malformed("its frame is none of gRPC")) };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if length > BODY_MOST { Err(Refusal::TooLarge) } else { Ok((flag == 1, length)) }
}

fn malformed(why: &str) -> Refusal {
    Refusal::Malformed(why.to_owned())
}

/// `application/grpc` and `application/grpc+proto`.
fn is_grpc(headers: &HeaderMap) -> bool {
    let said = headers.get(header::CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    matches!(said, b"application/grpc" | b"application/grpc+proto")
}

fn answered(message: &[u8]) -> Response {
    let length = u32::try_from(message.len()).unwrap_or_default().to_be_bytes();
    let framed = Bytes::from([&[0], &length[..], message].concat());
    let outcome = HeaderMap::from_iter([(OUTCOME, Code::Ok.header())]);
    let body = Full::new(framed).with_trailers(ready(Some(Ok(outcome))));
    ([(header::CONTENT_TYPE, KIND)], Body::new(body)).into_response()
}

/// The outcome comes alone, before any body.
fn refused(code: Code, sentence: &str) -> Response {
    let sentence: String = utf8_percent_encode(sentence, IN_HEADER).collect();
    let mut response = [(header::CONTENT_TYPE, KIND), (OUTCOME, code.header()), (ACCEPTED, PACKINGS)].into_response();
    response.headers_mut().extend(HeaderValue::try_from(sentence).ok().map(|sentence| (MESSAGE, sentence)));
    response
}
