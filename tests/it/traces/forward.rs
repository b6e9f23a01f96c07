//! Traces and logs go on to another receiver: all of them while it takes them, and never at the cost of those who send, or of each other.

mod logs;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry_proto::tonic::{collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span};
use prost::Message;
use serde_json::json;
use streamgauge::{
    clock::Clock,
    config::ForwardConfig,
    trace::{BROKER, TraceId},
    traces::{
        Receiver, Store,
        forward::{self, ForwardError, Forwarded, Passed},
    },
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{JSON, MB, PROTOBUF, Taking, packed};
use crate::support::{
    eventually,
    port::ReservedPort,
    spans::{processing, request},
};

const LIMIT: Duration = Duration::from_secs(20);

/// Requests that a far end took.
type Taken = mpsc::UnboundedReceiver<(HeaderMap, Bytes)>;

/// Where traces go on to: it takes nothing at first, so many times, and says what it took.
struct Far {
    url: String,
    taken: Taken,
    _serving: JoinSet<()>,
}

#[derive(Clone)]
struct Desk {
    refusals: Arc<AtomicU32>,
    status: StatusCode,
    taken: mpsc::UnboundedSender<(HeaderMap, Bytes)>,
}

impl Desk {
    fn refusing(times: u32, status: StatusCode) -> (Self, Taken) {
        let (sender, taken) = mpsc::unbounded_channel();
        (Self { refusals: Arc::new(AtomicU32::new(times)), status, taken: sender }, taken)
    }
}

impl Far {
    /// One that takes no logs, as it is with most that keep traces.
    async fn refusing(times: u32, status: StatusCode) -> Self {
        let (desk, taken) = Desk::refusing(times, status);
        Self::of(Router::new().route("/v1/traces", post(take)).with_state(desk), taken).await
    }

    async fn of(router: Router, taken: Taken) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, taken, _serving: serving }
    }

    async fn next(&mut self) -> (HeaderMap, Bytes) {
        next(&mut self.taken).await
    }
}

async fn next(taken: &mut Taken) -> (HeaderMap, Bytes) {
    tokio::time::timeout(LIMIT, taken.recv()).await.expect("something goes on in time").unwrap()
}

async fn take(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let refuses = desk.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |times| times.checked_sub(1)).is_ok();
    if refuses {
        return desk.status;
    }
    desk.taken.send((headers, body)).unwrap();
    StatusCode::OK
}

/// A receiver that lets everything go on.
pub(super) struct Passing {
    pub(super) taking: Taking,
    stop: CancellationToken,
    running: JoinSet<()>,
}

impl Passing {
    fn to(url: &str, headers: Option<&str>) -> Self {
        let config = ForwardConfig {
            otlp_forward: Some(url.parse().unwrap()),
            otlp_forward_headers: headers.map(|headers| headers.parse().unwrap()),
            ..ForwardConfig::default()
        };
        Self::by(&config)
    }

    pub(super) fn by(config: &ForwardConfig) -> Self {
        let (forwarder, forwarding) = forward::forwarder(config).unwrap().unwrap();
        let store = Store::new(MB, Clock::system());
        let receiver = Receiver::forwarding(store.clone(), Some(forwarder));
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        running.spawn(forwarding.run(stop.clone()));
        Self { taking: Taking { router: receiver.router(), store, receiver }, stop, running }
    }

    fn forwarded(&self) -> Forwarded {
        self.taking.receiver.intake().forwarded.unwrap()
    }

    /// Of spans.
    fn state(&self) -> Passed {
        self.forwarded().spans
    }

    pub(super) async fn until(&self, what: &str, holds: impl Fn(&Passed) -> bool) -> Passed {
        eventually(LIMIT, what, async || Some(self.state()).filter(|state| holds(state))).await
    }

    pub(super) async fn until_logs(&self, what: &str, holds: impl Fn(&Passed) -> bool) -> Passed {
        eventually(LIMIT, what, async || Some(self.forwarded().logs).filter(|state| holds(state))).await
    }

    async fn end(mut self) {
        self.stop.cancel();
        tokio::time::timeout(LIMIT, self.running.join_next()).await.expect("it ends in time");
    }
}

pub(super) fn spans(count: u64) -> ExportTraceServiceRequest {
    request("payments", (0..count).map(|number| processing(1, number)).collect())
}

#[tokio::test]
async fn everything_goes_on_as_it_came() {
    let mut far = Far::refusing(0, StatusCode::OK).await;
    let passing = Passing::to(&far.url, Some("authorization=Bearer%20hush"));
    let broken = request("a", vec![Span { span_id: Vec::new(), ..processing(2, 0) }]);
    let (bytes, text) = (spans(3).encode_to_vec(), serde_json::to_vec(&spans(2)).unwrap());
    for (kind, packing, body) in [
        (PROTOBUF, None, bytes.clone()),
        (PROTOBUF, Some("gzip"), packed(&bytes)),
        (JSON, None, text.clone()),
        // What the store does not keep goes on too: others may.
        (PROTOBUF, None, broken.encode_to_vec()),
    ] {
        let sent = passing.taking.post(kind, packing, body.clone()).await;
        assert_eq!(sent.status, StatusCode::OK);
        let (headers, gone) = far.next().await;
        assert_eq!(
            (headers["content-type"].to_str().unwrap(), headers.contains_key("content-encoding")),
            (kind, false)
        );
        assert_eq!(headers["authorization"], "Bearer hush");
        let plain = if packing.is_some() { bytes.clone() } else { body };
        assert!(gone == plain, "{kind} {packing:?}");
    }
    let state = passing.until("all is counted", |state| state.taken == 9).await;
    assert_eq!((state.no_room, state.not_taken, state.waiting_bytes, state.trouble), (0, 0, 0, None));
    assert_eq!(state.to, format!("{}/v1/traces", far.url));
    // What cannot be read does not.
    passing.taking.post(PROTOBUF, None, "{}").await;
    passing.taking.post(PROTOBUF, None, spans(1).encode_to_vec()).await;
    assert_eq!(ExportTraceServiceRequest::decode(far.next().await.1).unwrap(), spans(1));
}

/// What a broker tells of message number `number`: it took it in and stored it.
fn event(number: u64) -> String {
    json!({
        "server": { "name": "n1", "id": "NABC", "ver": "2.15.1", "seq": number },
        "request": { "header": { "traceparent": [format!("00-{:032x}-{:016x}-01", number + 1, 7)] } },
        "events": [
            { "type": "in", "ts": "2030-01-31T12:00:00.000001Z", "kind": 0, "cid": 6, "subj": "orders.1" },
            { "type": "js", "ts": "2030-01-31T12:00:00.000004Z", "stream": "ORDERS", "error": "maximum messages exceeded" },
        ],
    })
    .to_string()
}

#[tokio::test]
async fn what_brokers_tell_goes_on_as_it_is_kept() {
    let mut far = Far::refusing(0, StatusCode::OK).await;
    let passing = Passing::to(&far.url, None);
    passing.taking.receiver.take_event(event(0).as_bytes());
    let (headers, gone) = far.next().await;
    assert_eq!(headers["content-type"], PROTOBUF);
    let id = TraceId(1_u128.to_be_bytes());
    let kept = passing.taking.store.trace(id).unwrap();
    let other = Taking::new(MB);
    other.send(&ExportTraceServiceRequest::decode(gone).unwrap()).await;
    assert_eq!(other.store.trace(id).unwrap(), kept);
    let [way, stored] = kept.spans.as_slice() else { panic!("{kept:?}") };
    assert_eq!((way.parent.unwrap().0, stored.parent), (7_u64.to_be_bytes(), Some(way.id)));
    passing.until("both are counted", |state| state.taken == 2).await;
}

#[tokio::test]
async fn what_brokers_tell_goes_on_together_where_it_waits_and_with_nothing_else() {
    let mut far = Far::refusing(0, StatusCode::OK).await;
    let passing = Passing::to(&far.url, None);
    let tell = |numbers: std::ops::Range<u64>| {
        numbers.for_each(|number| passing.taking.receiver.take_event(event(number).as_bytes()));
    };
    tell(0..300);
    passing.taking.send(&spans(3)).await;
    tell(300..600);
    passing.until("all is counted", |state| state.taken == 1_203).await;
    let (mut requests, mut told) = (0, 0);
    while told < 1_200 {
        let request = ExportTraceServiceRequest::decode(far.next().await.1).unwrap();
        let ours = request.resource_spans.iter().all(|one| one.scope_spans[0].scope.as_ref().unwrap().name == BROKER);
        if ours {
            told += request.resource_spans.iter().map(|one| one.scope_spans[0].spans.len()).sum::<usize>();
            requests += 1;
        } else {
            assert_eq!(request, spans(3), "a request goes on as it came");
        }
    }
    assert!(requests < 60, "{requests} requests");
    let state = passing.state();
    assert_eq!((state.waiting_bytes, state.no_room, state.not_taken), (0, 0, 0));
}

#[tokio::test]
async fn who_sends_does_not_wait_for_one_that_never_answers() {
    // It accepts connections and is silent.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let passing = Passing::to(&format!("http://{}", silent.local_addr().unwrap()), None);
    let body = spans(2_000).encode_to_vec();
    let requests = 2 * 16 * MB / body.len();
    let sending = async {
        for _ in 0..requests {
            assert_eq!(passing.taking.post(PROTOBUF, None, body.clone()).await.status, StatusCode::OK);
        }
    };
    tokio::time::timeout(LIMIT, sending).await.expect("nobody waits");
    let state = passing.state();
    assert!(state.waiting_bytes > 15 * MB && state.waiting_bytes <= 16 * MB, "{state:?}");
    assert!(state.no_room > 2_000 * requests as u64 / 3 && state.taken == 0, "{state:?}");
    let counts = passing.taking.store.stock().counts;
    assert_eq!(counts.taken + counts.too_large + counts.late, 2_000 * requests as u64);
    passing.end().await;
}

#[tokio::test]
async fn what_waited_goes_on_once_it_is_taken_again() {
    let mut far = Far::refusing(2, StatusCode::SERVICE_UNAVAILABLE).await;
    let passing = Passing::to(&far.url, None);
    passing.taking.send(&spans(5)).await;
    let state = passing.until("the trouble is told", |state| state.trouble.is_some()).await;
    assert!(state.trouble.unwrap().contains("503"));
    far.next().await;
    let state = passing.until("they went on", |state| state.taken == 5).await;
    assert_eq!((state.not_taken, state.trouble), (0, None));
}

#[tokio::test]
async fn what_is_refused_for_good_is_counted_and_told() {
    let far = Far::refusing(1, StatusCode::NOT_FOUND).await;
    let passing = Passing::to(&far.url, None);
    passing.taking.send(&spans(5)).await;
    let state = passing.until("they are counted", |state| state.not_taken == 5).await;
    assert!(state.trouble.unwrap().contains("takes OTLP"));
    passing.taking.send(&spans(4)).await;
    let state = passing.until("the next are taken", |state| state.taken == 4).await;
    assert_eq!(state.trouble, None);
}

#[tokio::test]
async fn at_the_end_what_waits_still_goes_and_one_that_is_not_there_is_not_waited_for() {
    let mut far = Far::refusing(0, StatusCode::OK).await;
    let passing = Passing::to(&far.url, None);
    for _ in 0..20 {
        passing.taking.send(&spans(1)).await;
    }
    passing.end().await;
    for _ in 0..20 {
        far.next().await;
    }
    let nobody = ReservedPort::new();
    let passing = Passing::to(&format!("http://{}", nobody.address()), None);
    passing.taking.send(&spans(1)).await;
    passing.until("nobody is there", |state| state.trouble.is_some()).await;
    passing.end().await;
}

#[test]
fn a_header_that_is_none_is_not_repeated() {
    let headers = Some("authorization=Bearer%20hush,more".parse().unwrap());
    let config = ForwardConfig {
        otlp_forward: Some("http://a".parse().unwrap()),
        otlp_forward_headers: headers,
        ..ForwardConfig::default()
    };
    let error = forward::forwarder(&config).unwrap_err();
    assert!(matches!(error, ForwardError::Header(2)) && !error.to_string().contains("more"), "{error}");
}
