//! What is read, and valid inputs of each.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use opentelemetry_proto::tonic::{common::v1::any_value::Value, logs::v1::LogRecord};
use prost::Message;
use streamgauge::{
    clock::{Clock, Timestamp},
    config::{About, ToolUrl, ToolsConfig},
    message::{MessageId, Schema},
    name::{ConsumerName, StreamName, Subject, SubjectPattern},
    peek::{Filter, HeaderIs, Judged, Stored},
    trace::{SpanId, TraceId, TraceParent},
    traces::{Query, Receiver, Store},
};
use tower::ServiceExt;

use crate::{
    support::spans::{pair, processing, request, text},
    traces::logs::{entry, logs},
};

/// Reads an input; whether it was taken.
type Reader = Box<dyn FnMut(&[u8]) -> bool>;

/// Something that reads what others wrote.
pub struct Target {
    pub name: &'static str,
    corpus: fn() -> Vec<Vec<u8>>,
    reader: fn() -> Reader,
}

impl Target {
    /// Valid inputs.
    pub fn corpus(&self) -> Vec<Vec<u8>> {
        (self.corpus)()
    }

    pub fn reader(&self) -> Reader {
        (self.reader)()
    }
}

pub static TARGETS: [Target; 6] = [
    Target { name: "otlp_protobuf", corpus: requests, reader: || receiver("/v1/traces", PROTOBUF) },
    Target { name: "otlp_json", corpus: requests_in_json, reader: || receiver("/v1/traces", JSON) },
    Target { name: "otlp_logs", corpus: requests_with_logs, reader: log_receiver },
    Target { name: "headers", corpus: header_values, reader: || Box::new(read_header) },
    Target { name: "filter", corpus: questions, reader: || Box::new(ask) },
    Target { name: "address", corpus: addresses, reader: || Box::new(lead) },
];

/// Targets with a defect, by which it is known that one is found.
pub static BROKEN: [Target; 3] = [
    Target { name: "panics", corpus: || vec![b"abc".to_vec()], reader: || broken(|| panic!("planted")) },
    Target {
        name: "hangs",
        corpus: || vec![b"abc".to_vec()],
        reader: || {
            broken(|| {
                loop {
                    std::thread::yield_now()
                }
            })
        },
    },
    Target { name: "eats_memory", corpus: || vec![b"abc".to_vec()], reader: || broken(eat) },
];

/// Whether a broken target does not survive this input.
pub fn is_bad(bytes: &[u8]) -> bool {
    bytes.iter().filter(|byte| **byte > 0xf0).count() >= 2
}

fn broken(harm: fn()) -> Reader {
    Box::new(move |bytes| {
        if is_bad(bytes) {
            harm();
        }
        true
    })
}

fn eat() {
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    loop {
        eaten.push(vec![1; 64 << 20]);
    }
}

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

fn spans() -> Vec<opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest> {
    let mut rich = processing(3, 1);
    rich.attributes.push(pair("real", Value::DoubleValue(0.5)));
    rich.events = vec![opentelemetry_proto::tonic::trace::v1::span::Event {
        name: "attempt".to_owned(),
        attributes: vec![text("é", "€")],
        ..Default::default()
    }];
    rich.links = vec![opentelemetry_proto::tonic::trace::v1::span::Link {
        trace_id: vec![5; 16],
        span_id: vec![6; 8],
        ..Default::default()
    }];
    vec![
        request("a", vec![processing(1, 0)]),
        request("payments", vec![rich.clone(), processing(3, 0)]),
        request("", (0..20).map(|number| processing(number, number)).collect()),
        request("rich", vec![rich]),
    ]
}

fn requests() -> Vec<Vec<u8>> {
    spans().iter().map(Message::encode_to_vec).collect()
}

fn requests_in_json() -> Vec<Vec<u8>> {
    spans().iter().map(|request| serde_json::to_vec(request).unwrap()).collect()
}

/// The first byte says in which form the rest is.
fn requests_with_logs() -> Vec<Vec<u8>> {
    let rich = LogRecord {
        attributes: vec![text("password", "x"), pair("n", Value::IntValue(-1))],
        event_name: "paid".to_owned(),
        ..entry(2, 5, 17, "card 4111111111111111, Authorization: Basic dXNlcjp3b3Jk")
    };
    let all = [logs("a", vec![entry(1, 0, 9, "said")]), logs("b", vec![rich, entry(2, 1, 0, "é€")])];
    let of = |form: u8, bytes: Vec<u8>| [vec![form], bytes].concat();
    let protobuf = all.iter().map(|request| of(0, request.encode_to_vec()));
    protobuf.chain(all.iter().map(|request| of(1, serde_json::to_vec(request).unwrap()))).collect()
}

/// A receiver that is asked for whatever it kept after each request.
fn receiver(path: &'static str, kind: &'static str) -> Reader {
    let store = Store::new(256 << 10, Clock::standing_at(Timestamp::parse("2030-01-31T12:00:00Z").unwrap()));
    let router = Receiver::new(store.clone()).router();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Box::new(move |bytes| {
        let request = Request::post(path).header(header::CONTENT_TYPE, kind).body(Body::from(bytes.to_vec())).unwrap();
        let Ok(answer) = runtime.block_on(router.clone().oneshot(request));
        assert!(matches!(answer.status(), StatusCode::OK | StatusCode::BAD_REQUEST), "{}", answer.status());
        let stock = store.stock();
        assert!(stock.bytes <= stock.bound, "{stock:?}");
        for row in store.search(&Query::default(), 3).rows {
            assert_eq!(store.trace(row.id).unwrap().spans.len(), row.spans);
        }
        (0..4_u128).for_each(|trace| drop(store.logs(TraceId((trace + 1).to_be_bytes()))));
        answer.status() == StatusCode::OK
    })
}

fn log_receiver() -> Reader {
    let mut readers = [PROTOBUF, JSON].map(|kind| receiver("/v1/logs", kind));
    Box::new(move |bytes| match bytes.split_first() {
        Some((form, rest)) => readers[usize::from(form & 1)](rest),
        None => true,
    })
}

fn header_values() -> Vec<Vec<u8>> {
    let values: [&[u8]; 7] = [
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"4bf92f3577b34da6a3ce929d0e0e4736",
        b"2030-01-31T12:00:00.123Z",
        b"urn:streamgauge:OrderPlaced:2",
        b"orders.placed.*.>",
        b"authorization=Bearer x",
        b"q=a+b&service=payments&subject=orders.%3E&min=1.5s&attribute=a%3Db",
    ];
    values.map(<[u8]>::to_vec).to_vec()
}

/// The value of a header, a name, or the query of an address: whatever it is, it is read as each of them. What is read survives its text.
fn read_header(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(parent) = text.parse::<TraceParent>() {
        assert_eq!(parent.to_string().parse(), Ok(parent));
    }
    if let Ok(id) = text.parse::<TraceId>() {
        assert_eq!(id.to_string(), text.to_lowercase());
    }
    if let Some(at) = Timestamp::parse(&text) {
        assert!(!at.to_string().is_empty());
    }
    drop((text.parse::<SpanId>(), Schema::parse(&text), HeaderIs::parse(&text)));
    drop((text.parse::<StreamName>(), text.parse::<ConsumerName>(), text.parse::<Subject>()));
    drop(text.parse::<SubjectPattern>());
    drop(MessageId(text.to_string()).derived(&text));
    let query = Query::of_query(&text);
    assert_eq!(Query::of_query(&query.to_string()).to_string(), query.to_string());
    true
}

/// Filters, each with headers and a payload behind it.
fn questions() -> Vec<Vec<u8>> {
    let texts: [&str; 7] = [
        "subject == 'orders.placed.7'\0a: b\0{}",
        "headers['x-kind'] == 'a' && sequence > 3u\0x-kind: a\n\0{}",
        "body.total > 10.5 || body.lines.exists(line, line.sku == 'tea')\0content-encoding: gzip\0{\"total\":11,\"lines\":[{\"sku\":\"tea\"}]}",
        "body.name.startsWith('a') && body.name.matches('a.*b')\0content-type: application/json\0{\"name\":\"ab\"}",
        "has(body.a.b) && size(body.list) in [1, 2, 3]\0\0{\"a\":{\"b\":null},\"list\":[1,[2,{\"c\":[3]}]]}",
        "body.at > timestamp('2030-01-31T12:00:00Z') ? true : !(1 + 2 * 3 == 7)\0\0{\"at\":1}",
        "body == [1, -2, 3.5e3, \"é\", true, null, {'k': b'x'}]\0content-encoding: zstd\0[1]",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

fn ask(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let filter = String::from_utf8_lossy(part());
    let headers = String::from_utf8_lossy(part());
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let message = Stored {
        sequence: 7,
        stored: Timestamp::parse("2030-01-31T12:00:00Z").unwrap(),
        subject: "orders.placed.7".to_owned(),
        headers: headers.lines().filter_map(pair).collect(),
        payload: part().to_vec().into(),
    };
    match Filter::parse(&filter) {
        Ok(filter) => {
            if let Judged::Unclear(why) = filter.judge(&message) {
                assert!(!why.is_empty());
            }
        }
        Err(error) => assert!(error.at > 0 && !error.why.is_empty()),
    }
    true
}

/// Addresses with places, each with a name behind it.
fn addresses() -> Vec<Vec<u8>> {
    let texts: [&str; 6] = [
        "jaeger=http://localhost:16686\0ORDERS",
        "tempo=https://grafana.example/g?datasource=tempo\0a b",
        "https://u.example/t/{trace_id}/{span_id}?q=%22{stream}%22&at={from_iso}#{consumer}\0mail",
        "Lens=http://lens/{service}/{account}/{subject}?from={from}&to={to_us}\0$G",
        "http://h:1/{consumer}{stream}{service}?{from_s}\0<b>/?#",
        "prometheus=http://p\0\"\\",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// Whatever the names are, a link leads to the machine that the address names.
fn lead(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let mut part = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (address, name) = (part(), part());
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let about = About {
        trace: TraceId::of(&[7; 16]),
        span: SpanId::of(&[7; 8]),
        service: Some(&name),
        account: Some(&name),
        stream: Some(&name),
        consumer: Some(&name),
        subject: Some(&name),
        window: Some((at("2030-01-31T12:00:00Z"), at("2030-01-31T13:00:00Z"))),
    };
    let calm = About {
        service: Some("x"),
        account: Some("x"),
        stream: Some("x"),
        consumer: Some("x"),
        subject: Some("x"),
        ..about
    };
    let urls = |read: Result<ToolUrl, String>| read.into_iter().collect::<Vec<_>>();
    let tools = ToolsConfig {
        trace_url: urls(ToolUrl::of_traces(&address)),
        log_url: urls(ToolUrl::of_logs(&address)),
        metric_url: urls(ToolUrl::of_metrics(&address)),
    };
    let links = |about: &About<'_>| [tools.trace(about), tools.traces(about), tools.logs(about), tools.metrics(about)];
    for (named, calm) in links(&about).iter().zip(&links(&calm)) {
        for link in named {
            let calm = calm.iter().find(|other| other.tool == link.tool).expect("a harmless name has a link too");
            let (url, calm) = (url::Url::parse(&link.href).unwrap(), url::Url::parse(&calm.href).unwrap());
            assert_eq!(url.origin(), calm.origin(), "{}", link.href);
            assert_eq!((url.username(), url.password()), ("", None), "{}", link.href);
            assert!(!link.href.contains(['"', '<', ' ']), "{}", link.href);
            if url.path() != calm.path() {
                let parts = |url: &url::Url| url.path_segments().map(Iterator::count);
                assert_eq!(parts(&url), parts(&calm), "{}", link.href);
            }
        }
    }
    true
}
