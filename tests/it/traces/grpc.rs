//! The same over gRPC: what a usual client sends is kept, and what is no call, or made to hurt, is told so in the way of gRPC.

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Request, StatusCode},
};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceResponse, trace_service_client::TraceServiceClient},
    trace::v1::Span,
};
use prost::Message;
use tokio::{net::TcpListener, task::JoinSet};
use tonic::{Code, codec::CompressionEncoding, transport::Channel};
use tower::ServiceExt;

use super::{MB, Taking, check_rich, packed, rich};
use crate::support::spans::{processing, request};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// What a call is answered.
#[derive(Debug)]
struct Outcome {
    status: StatusCode,
    /// By its number; where it is not 0 it comes before the body, which is empty.
    code: Option<i32>,
    message: String,
    body: Vec<u8>,
}

impl Taking {
    async fn call(&self, headers: &[(&str, &str)], body: impl Into<Body>) -> Outcome {
        let call = Request::post(EXPORT).header("content-type", "application/grpc");
        let call = headers.iter().fold(call, |call, (name, value)| call.header(*name, *value));
        self.called(call.body(body.into()).unwrap()).await
    }

    async fn called(&self, call: Request<Body>) -> Outcome {
        let Ok(answer) = self.router.clone().oneshot(call).await;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap();
        let outcome = body.trailers().cloned().unwrap_or(head.headers);
        let said = |name: &str| outcome.get(name).map(|value| value.to_str().unwrap());
        Outcome {
            status: head.status,
            code: said("grpc-status").map(|code| code.parse().unwrap()),
            message: said("grpc-message").unwrap_or_default().to_owned(),
            body: body.to_bytes().to_vec(),
        }
    }

    async fn still_takes_calls(&self) {
        let before = self.store.stock().counts.taken;
        let outcome = self.call(&[], framed(0, &one(before + 5_000))).await;
        assert_eq!((outcome.code, outcome.body.as_slice()), (Some(0), &[0; 5][..]), "{outcome:?}");
        assert_eq!(self.store.stock().counts.taken, before + 1);
    }
}

/// A request of one span.
fn one(trace: u64) -> Vec<u8> {
    request("a", vec![processing(trace, 0)]).encode_to_vec()
}

/// A message behind its frame.
fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    [&[flag][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

/// A receiver at an address, for as long as the set lives.
pub(super) async fn listening() -> (Taking, String, JoinSet<()>) {
    let taking = Taking::new(8 * MB);
    let (url, serving) = serving(taking.router.clone()).await;
    (taking, url, serving)
}

/// Where these routes are served.
pub(super) async fn serving(router: Router) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, serving)
}

#[tokio::test]
async fn a_usual_client_sends_plain_and_packed_and_hears_of_what_was_not_kept() {
    let (taking, url, _serving) = listening().await;
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let mut plain = TraceServiceClient::new(channel);
    let answer = plain.export(request("payments", vec![rich()])).await.unwrap();
    assert_eq!(answer.into_inner(), ExportTraceServiceResponse::default());
    check_rich(&taking.store.trace(streamgauge::trace::TraceId(1_u128.to_be_bytes())).unwrap());

    let mut packing =
        plain.clone().send_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Gzip);
    let many = (0..3_000).map(|number| processing(2, number)).collect();
    let spans = vec![Span { trace_id: vec![1; 15], ..processing(3, 0) }, processing(3, 1)];
    packing.export(request("orders", many)).await.unwrap();
    let partial = packing.export(request("orders", spans)).await.unwrap().into_inner().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    assert!(partial.error_message.contains("lack a trace id"), "{partial:?}");
    assert_eq!(taking.store.stock().counts.taken, 3_002);
}

#[tokio::test]
async fn many_calls_share_a_connection() {
    let (taking, url, _serving) = listening().await;
    let client = TraceServiceClient::new(Channel::from_shared(url).unwrap().connect().await.unwrap());
    let call = |trace| {
        let mut client = client.clone();
        async move { client.export(request("a", (0..20).map(|number| processing(trace, number)).collect())).await }
    };
    let answers: Vec<_> = stream::iter((0..200).map(call)).buffer_unordered(50).collect().await;
    assert!(answers.iter().all(Result::is_ok), "{:?}", answers.iter().find(|answer| answer.is_err()));
    assert_eq!((taking.store.stock().traces, taking.store.stock().spans), (200, 4_000));
}

#[tokio::test]
async fn what_is_no_call_is_told_so() {
    let taking = Taking::new(MB);
    let gzip = [("grpc-encoding", "gzip")];
    let bomb = framed(1, &packed(&vec![0; 64 * MB]));
    assert!(bomb.len() < MB);
    let none = [];
    let zstd = [("grpc-encoding", "zstd")];
    let cases = [
        (&none[..], Vec::new(), Code::InvalidArgument, "within its frame"),
        (&none[..], vec![0, 0, 0, 0], Code::InvalidArgument, "within its frame"),
        (&none[..], framed(2, &one(1)), Code::InvalidArgument, "none of gRPC"),
        (&none[..], framed(0, &one(1))[..60].to_vec(), Code::InvalidArgument, "shorter"),
        (&none[..], [framed(0, &one(1)), framed(0, &one(2))].concat(), Code::InvalidArgument, "one message"),
        (&none[..], framed(0, b"{}"), Code::InvalidArgument, "not a request of OTLP"),
        (&none[..], framed(1, &packed(&one(1))), Code::InvalidArgument, "does not say how"),
        (&gzip[..], framed(1, &one(1)), Code::InvalidArgument, "not whole gzip"),
        (&gzip[..], bomb, Code::ResourceExhausted, "too large"),
        (&none[..], [0, 255, 255, 255, 255].to_vec(), Code::ResourceExhausted, "too large"),
        (&none[..], framed(0, &vec![0; 9 * MB]), Code::ResourceExhausted, "too large"),
        (&zstd[..], framed(1, &one(1)), Code::Unimplemented, "grpc-encoding"),
    ];
    for (headers, body, code, said) in cases {
        let outcome = taking.call(headers, body).await;
        assert_eq!((outcome.status, outcome.code), (StatusCode::OK, Some(code as i32)), "{said}: {outcome:?}");
        assert!(outcome.message.contains(said) && outcome.body.is_empty(), "{said}: {outcome:?}");
    }
    let refused = taking.receiver.refused();
    assert_eq!((refused.malformed, refused.too_large), (9, 3));
    let other = Request::post(EXPORT).header("content-type", "application/grpc-web").body(Body::empty()).unwrap();
    assert_eq!(taking.called(other).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let metrics = Request::post("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export");
    let metrics = metrics.header("content-type", "application/grpc").body(Body::from(framed(0, b""))).unwrap();
    let outcome = taking.called(metrics).await;
    assert_eq!(outcome.code, Some(Code::Unimplemented as i32));
    assert!(outcome.message.contains("OTEL_METRICS_EXPORTER"), "{outcome:?}");
    let elsewhere = Request::post("/v1/trace").body(Body::empty()).unwrap();
    assert_eq!(taking.called(elsewhere).await.status, StatusCode::NOT_FOUND);
    assert_eq!(taking.call(&gzip, framed(1, &packed(&one(1)))).await.code, Some(0));
    taking.still_takes_calls().await;
}

#[tokio::test]
async fn calls_take_room_by_what_their_frames_say_and_no_more() {
    let taking = Taking::new(MB);
    let claim = |bytes: u32| {
        let head = Bytes::from([&[0][..], &bytes.to_be_bytes()].concat());
        let parts = stream::iter([Ok::<_, std::io::Error>(head)]).chain(stream::pending());
        taking.call(&[], Body::from_stream(parts))
    };
    // Four that say to be as large as one may be fill what may be received at once; a thousand small ones do not.
    let large: Vec<_> = (0..4).map(|_| Box::pin(claim(8 * 1_024 * 1_024))).collect();
    let small: Vec<_> = (0..1_000).map(|_| Box::pin(claim(1_000))).collect();
    for (waiting, expected) in [(large, Code::Unavailable), (small, Code::Ok)] {
        let count = waiting.len();
        let mut waiting = stream::iter(waiting).buffer_unordered(count);
        tokio::select! {
            biased;
            _ = waiting.next() => panic!("nothing is answered before it has come"),
            outcome = taking.call(&[], framed(0, &one(1))) => assert_eq!(outcome.code, Some(expected as i32)),
        }
    }
    assert_eq!(taking.receiver.refused().busy, 1);
    taking.still_takes_calls().await;
}

#[tokio::test]
async fn a_call_that_breaks_off_anywhere_harms_nothing() {
    let taking = Taking::new(MB);
    let whole = framed(0, &request("payments", vec![rich()]).encode_to_vec());
    for length in 0..whole.len() {
        let outcome = taking.call(&[], whole[..length].to_vec()).await;
        assert_eq!(outcome.code, Some(Code::InvalidArgument as i32), "{length} bytes");
        // The same, byte by byte, and then the connection is lost.
        let mut bytes: Vec<std::io::Result<Bytes>> =
            whole[..length].iter().map(|byte| Ok(Bytes::copy_from_slice(&[*byte]))).collect();
        bytes.push(Err(std::io::Error::other("lost")));
        let lost = stream::iter(bytes);
        assert_eq!(taking.call(&[], Body::from_stream(lost)).await.code, Some(Code::InvalidArgument as i32));
    }
    assert_eq!(taking.store.stock().spans, 0);
    taking.still_takes_calls().await;
}
