//! The far end of OTLP over HTTP: a collector that keeps what it is sent, one that never answers, and one that is not there.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    net::SocketAddr,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    routing::post,
};
pub use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{self as wire, status::StatusCode as SpanStatus},
};
use prost::Message;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use super::port::ReservedPort;

/// A span as a test looks at it.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The `service.name` of whoever made it.
    pub service: String,
    pub name: String,
    pub kind: SpanKind,
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// The span that this one is part of; `None` for a root.
    pub parent: Option<String>,
    /// Trace and span of each link.
    pub links: Vec<(String, String)>,
    /// Every value as text.
    pub attributes: BTreeMap<String, String>,
    /// Whether its status is an error.
    pub failed: bool,
    pub started_unix_nanos: u64,
    pub ended_unix_nanos: u64,
}

/// Takes spans as a trace store does.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    caught: watch::Receiver<Vec<Span>>,
    _server: JoinSet<()>,
}

impl Collector {
    /// Starts one on a port of its own.
    pub async fn start() -> Self {
        let (sender, caught) = watch::channel(Vec::new());
        let router =
            Router::new().route("/v1/traces", post(take)).layer(DefaultBodyLimit::disable()).with_state(sender);
        let listener = listen().await;
        let address = listener.local_addr().expect("a listener has an address");
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.expect("the server runs until the test ends") });
        Self { address, caught, _server: server }
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that has come so far.
    pub fn spans(&self) -> Vec<Span> {
        self.caught.borrow().clone()
    }

    /// Returns all spans as soon as `holds` says so of them; fails the test with `what` was waited for after `limit`.
    #[track_caller]
    pub fn wait_until(
        &self,
        limit: Duration,
        what: &str,
        holds: impl Fn(&[Span]) -> bool,
    ) -> impl Future<Output = Vec<Span>> {
        let caller = std::panic::Location::caller();
        let mut caught = self.caught.clone();
        async move {
            let found = tokio::time::timeout(limit, caught.wait_for(|spans| holds(spans)))
                .await
                .map(|spans| spans.expect("the collector runs as long as this").clone());
            found.unwrap_or_else(|_| {
                let seen = outline(&caught.borrow());
                panic!("{caller}: waited {limit:?} for this: {what}; spans so far:\n{seen}")
            })
        }
    }
}

async fn take(
    State(caught): State<watch::Sender<Vec<Span>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(), StatusCode> {
    let is_gzip = headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
    let body = if is_gzip { unpacked(&body).ok_or(StatusCode::BAD_REQUEST)? } else { body.to_vec() };
    let request = ExportTraceServiceRequest::decode(body.as_slice()).map_err(|_| StatusCode::BAD_REQUEST)?;
    caught.send_modify(|spans| spans.extend(request.resource_spans.iter().flat_map(read)));
    Ok(())
}

fn unpacked(body: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut plain).ok()?;
    Some(plain)
}

fn read(batch: &wire::ResourceSpans) -> Vec<Span> {
    let resource = batch.resource.as_ref().map(|resource| attributes(&resource.attributes)).unwrap_or_default();
    let service = resource.get("service.name").cloned().unwrap_or_default();
    let spans = batch.scope_spans.iter().flat_map(|scope| &scope.spans);
    spans.map(|span| read_span(&service, span)).collect()
}

fn read_span(service: &str, span: &wire::Span) -> Span {
    Span {
        service: service.to_owned(),
        name: span.name.clone(),
        kind: span.kind(),
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
        links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        attributes: attributes(&span.attributes),
        failed: span.status.as_ref().is_some_and(|status| status.code() == SpanStatus::Error),
        started_unix_nanos: span.start_time_unix_nano,
        ended_unix_nanos: span.end_time_unix_nano,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    pairs.iter().map(|pair| (pair.key.clone(), text(pair.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        other => format!("{other:?}"),
    }
}

/// The spans whose parent is not among `spans`: a part of the trace was lost, or was never made.
pub fn orphans(spans: &[Span]) -> Vec<&Span> {
    let known: BTreeSet<&str> = spans.iter().map(|span| span.span_id.as_str()).collect();
    spans.iter().filter(|span| span.parent.as_deref().is_some_and(|parent| !known.contains(parent))).collect()
}

/// Into how many pieces the graph of spans falls, if parents and links hold it together: 1 for a whole one.
pub fn pieces(spans: &[Span]) -> usize {
    let mut piece_of: BTreeMap<&str, usize> =
        spans.iter().enumerate().map(|(piece, span)| (span.span_id.as_str(), piece)).collect();
    for span in spans {
        let linked = span.links.iter().map(|(_, span_id)| span_id);
        for other in span.parent.iter().chain(linked) {
            let (Some(&from), Some(&to)) = (piece_of.get(span.span_id.as_str()), piece_of.get(other.as_str())) else {
                continue;
            };
            piece_of.values_mut().filter(|piece| **piece == from).for_each(|piece| *piece = to);
        }
    }
    piece_of.values().collect::<BTreeSet<_>>().len()
}

/// One line a span, for the message of a test that fails.
pub fn outline(spans: &[Span]) -> String {
    let line = |span: &Span| {
        let parent = span.parent.as_deref().unwrap_or("-");
        format!("  {} {} < {parent} {:?} {} ({})", span.trace_id, span.span_id, span.kind, span.name, span.service)
    };
    spans.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Takes spans and keeps none, so that it costs a bench as little as a collector elsewhere.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    _server: JoinSet<()>,
}

impl Sink {
    /// Starts one on a port of its own.
    pub async fn start() -> Self {
        let router = Router::new().route("/v1/traces", post(async |_: Bytes| ())).layer(DefaultBodyLimit::disable());
        let listener = listen().await;
        let address = listener.local_addr().expect("a listener has an address");
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.expect("the server runs until the bench ends") });
        Self { address, _server: server }
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Accepts connections and never answers.
#[derive(Debug)]
pub struct BlackHole {
    address: SocketAddr,
    accepted: watch::Receiver<usize>,
    _server: JoinSet<()>,
}

impl BlackHole {
    /// Starts one on a port of its own.
    pub async fn start() -> Self {
        let listener = listen().await;
        let address = listener.local_addr().expect("a listener has an address");
        let (sender, accepted) = watch::channel(0);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.push(stream);
                sender.send_replace(open.len());
            }
        });
        Self { address, accepted, _server: server }
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections it has swallowed.
    pub fn accepted(&self) -> usize {
        *self.accepted.borrow()
    }
}

/// A place where no collector listens, and none will: connections are refused.
#[derive(Debug)]
pub struct Nobody(ReservedPort);

impl Nobody {
    /// Picks such a place.
    pub fn home() -> Self {
        Self(ReservedPort::new())
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.0.address())
    }
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("some port is free")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn sent(id: u8, parent: Option<u8>, link: Option<u8>) -> wire::Span {
        let span_id = |id: u8| vec![id; 8];
        wire::Span {
            trace_id: vec![7; 16],
            span_id: span_id(id),
            parent_span_id: parent.map(span_id).unwrap_or_default(),
            links: link
                .map(|id| wire::span::Link { trace_id: vec![7; 16], span_id: span_id(id), ..Default::default() })
                .into_iter()
                .collect(),
            name: format!("span {id}"),
            kind: SpanKind::Consumer.into(),
            attributes: vec![KeyValue {
                key: "n".into(),
                value: Some(AnyValue { value: Some(Value::IntValue(4)) }),
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn caught(spans: &[wire::Span]) -> Vec<Span> {
        spans.iter().map(|span| read_span("orders", span)).collect()
    }

    async fn post_to(
        endpoint: &str,
        spans: Vec<wire::Span>,
        is_gzip: bool,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let scope_spans = vec![wire::ScopeSpans { spans, ..Default::default() }];
        let request = ExportTraceServiceRequest {
            resource_spans: vec![wire::ResourceSpans { scope_spans, ..Default::default() }],
        };
        let mut body = request.encode_to_vec();
        let mut post = reqwest::Client::new().post(format!("{endpoint}/v1/traces")).timeout(SECOND / 5);
        if is_gzip {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packer.write_all(&body).unwrap();
            body = packer.finish().unwrap();
            post = post.header("content-encoding", "gzip");
        }
        post.body(body).send().await
    }

    #[tokio::test]
    async fn spans_are_caught_plain_and_packed() {
        let collector = Collector::start().await;
        for (id, is_gzip) in [(1, false), (2, true)] {
            let answer = post_to(&collector.endpoint(), vec![sent(id, None, None)], is_gzip).await.unwrap();
            assert_eq!(answer.status(), 200);
        }
        let spans = collector.wait_until(5 * SECOND, "both spans", |spans| spans.len() == 2).await;
        assert_eq!(spans[1].name, "span 2");
        assert_eq!(spans[1].kind, SpanKind::Consumer);
        assert_eq!(spans[1].trace_id, "07".repeat(16));
        assert_eq!(spans[1].attributes["n"], "4");
        assert_eq!(collector.spans(), spans);
    }

    #[tokio::test]
    #[should_panic(expected = "for this: a span; spans so far")]
    async fn spans_that_never_come_fail_the_test() {
        Collector::start().await.wait_until(SECOND / 20, "a span", |spans| !spans.is_empty()).await;
    }

    #[tokio::test]
    async fn a_black_hole_takes_and_never_answers() {
        let hole = BlackHole::start().await;
        assert!(post_to(&hole.endpoint(), vec![], false).await.unwrap_err().is_timeout());
        assert_eq!(hole.accepted(), 1);
    }

    #[tokio::test]
    async fn nobody_refuses() {
        let nobody = Nobody::home();
        assert!(post_to(&nobody.endpoint(), vec![], false).await.unwrap_err().is_connect());
    }

    #[test]
    fn a_lost_parent_makes_an_orphan() {
        let spans = caught(&[sent(1, None, None), sent(2, Some(1), None), sent(3, Some(9), None)]);
        assert_eq!(orphans(&spans), [&spans[2]]);
    }

    #[test]
    fn parents_and_links_hold_the_graph_together() {
        assert_eq!(pieces(&caught(&[sent(1, None, None), sent(2, Some(1), None), sent(3, None, Some(2))])), 1);
        assert_eq!(pieces(&caught(&[sent(1, None, None), sent(2, Some(1), None), sent(3, Some(9), None)])), 2);
        assert_eq!(pieces(&[]), 0);
    }
}
