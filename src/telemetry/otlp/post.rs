//! Requests to the collector: one at a time, from a thread of their own, and again where that may help.

use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use percent_encoding::percent_decode_str;
use prometheus::IntCounter;
use reqwest::{
    StatusCode, Url,
    blocking::{Client, Response},
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};

use super::{spool::Spool, wire};
use crate::telemetry::Metrics;

/// How long one batch may take, retries included, unless the environment says otherwise: the convention's default.
const LIMIT: Duration = Duration::from_secs(10);

/// How often a batch is sent again.
const RETRIES: u32 = 3;

/// Waits before the first retry; each next one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Where spans go, as the environment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    endpoint: String,
    headers: HeaderMap,
    limit: Duration,
}

/// Sends batches of spans.
#[derive(Debug)]
pub(super) struct Post {
    client: Client,
    endpoint: Url,
    limit: Duration,
    resource: Vec<u8>,
    exported: IntCounter,
}

/// A batch was not taken.
struct Refusal {
    why: String,
    is_transient: bool,
    /// How long the collector wants us to wait.
    wait: Option<Duration>,
}

impl Destination {
    /// A place that nothing else is known of.
    pub(crate) fn at(endpoint: String) -> Self {
        Self { endpoint, headers: HeaderMap::new(), limit: LIMIT }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What the standard variables say; `None` where they name no place.
    pub(crate) fn read(var: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let either = |name: &str| {
            let own = var(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"));
            own.or_else(|| var(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        // The place of all signals is the root of each one's.
        let root =
            || var("OTEL_EXPORTER_OTLP_ENDPOINT").map(|root| format!("{}/v1/traces", root.trim_end_matches('/')));
        let endpoint = var("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(root)?;
        let headers = either("HEADERS").map(|pairs| headers(&pairs)).unwrap_or_default();
        let millis = either("TIMEOUT").and_then(|millis| millis.parse().ok());
        Some(Self { endpoint, headers, limit: millis.map_or(LIMIT, Duration::from_millis) })
    }
}

/// Reads `name=value,name=value` with values in percent encoding; what is no header is left out.
fn headers(pairs: &str) -> HeaderMap {
    let pairs = pairs.split(',').filter_map(|pair| pair.split_once('='));
    let read = pairs.filter_map(|(name, value)| {
        let value: Vec<u8> = percent_decode_str(value.trim()).collect();
        Some((name.trim().parse::<HeaderName>().ok()?, HeaderValue::from_bytes(&value).ok()?))
    });
    read.collect()
}

impl Post {
    pub(super) fn new(destination: Destination, resource: &Resource, metrics: &Metrics) -> Result<Self, String> {
        let Destination { endpoint, mut headers, limit } = destination;
        let endpoint = endpoint.parse().map_err(|error| format!("`{endpoint}` is no URL: {error}"))?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let agent = concat!("streamgauge/", env!("CARGO_PKG_VERSION"));
        let client = Client::builder().timeout(limit).default_headers(headers).user_agent(agent);
        // A blocking client is not to be made on a thread of a runtime, and whoever calls this may be on one.
        let made = std::thread::spawn(move || client.build()).join();
        let client = made.map_err(|_| "making a client panicked".to_owned())?.map_err(|error| error.to_string())?;
        let exported = metrics.spans_exported.with_label_values::<&str>(&[]);
        Ok(Self { client, endpoint, limit, resource: wire::resource(resource), exported })
    }

    /// Sends what comes until nothing will.
    pub(super) fn send_all(self, spool: &Spool) {
        // Sending spans makes none.
        let _quiet = Context::enter_telemetry_suppressed_scope();
        let mut is_reachable = true;
        while let Some(batch) = spool.next() {
            let body = Bytes::from(batch.request(&self.resource, spool.scope()));
            let spans = batch.spans as u64;
            spool.reuse(batch);
            let sent = self.send(&body, spool);
            match &sent {
                Ok(rejected) => self.exported.inc_by(spans.saturating_sub(*rejected)),
                Err(error) if is_reachable => {
                    tracing::warn!(%error, "spans are lost: the collector does not take them")
                }
                Err(error) => tracing::debug!(%error, spans, "spans are lost"),
            }
            is_reachable = sent.is_ok();
            spool.done();
        }
    }

    /// Sends one batch, and again; says how many of its spans the collector rejected.
    fn send(&self, body: &Bytes, spool: &Spool) -> Result<u64, String> {
        let began = Instant::now();
        let mut wait = FIRST_WAIT;
        for _ in 0..RETRIES {
            let refusal = match self.send_once(body) {
                Ok(rejected) => return Ok(rejected),
                Err(refusal) => refusal,
            };
            let pause = refusal.wait.unwrap_or(wait.mul_f64(0.5 + fastrand::f64()));
            if !refusal.is_transient || began.elapsed() + pause > self.limit || !spool.rest(pause) {
                return Err(refusal.why);
            }
            wait *= 2;
        }
        self.send_once(body).map_err(|refusal| refusal.why)
    }

    fn send_once(&self, body: &Bytes) -> Result<u64, Refusal> {
        let unreachable = |error: reqwest::Error| Refusal { why: error.to_string(), is_transient: true, wait: None };
        let answer = self.client.post(self.endpoint.clone()).body(body.clone()).send().map_err(unreachable)?;
        if !answer.status().is_success() {
            return Err(refusal(&answer));
        }
        let said = answer.bytes().map_err(unreachable)?;
        Ok(rejected(&said))
    }
}

/// Convention: <https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>
fn refusal(answer: &Response) -> Refusal {
    let status = answer.status();
    let again = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    let wait = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Refusal {
        why: format!("it answers {status}"),
        is_transient: again.contains(&status),
        wait: wait.map(Duration::from_secs),
    }
}

/// How many spans a collector rejected that took the others: `partial_success.rejected_spans` of its answer, which is the first field of
/// the first.
fn rejected(answer: &[u8]) -> u64 {
    const NESTED_FIRST: u8 = 1 << 3 | 2;
    const NUMBER_FIRST: u8 = 1 << 3;
    let [NESTED_FIRST, rest @ ..] = answer else {
        return 0;
    };
    match rest.get(varint(rest).1..) {
        Some([NUMBER_FIRST, digits @ ..]) => varint(digits).0,
        _ => 0,
    }
}

/// A number, and how many bytes it takes.
fn varint(bytes: &[u8]) -> (u64, usize) {
    let length = bytes.iter().take_while(|byte| **byte >= 0x80).count() + 1;
    let digits = bytes.iter().take(length.min(9)).rev();
    (digits.fold(0, |number, digit| number << 7 | u64::from(digit & 0x7f)), length)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
    use prost::Message;

    use super::*;

    fn destination(variables: &[(&str, &str)]) -> Option<Destination> {
        Destination::read(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_standard_variables_say_where() {
        const ROOT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318/");
        assert_eq!(destination(&[]), None);
        assert_eq!(destination(&[ROOT]), Some(Destination::at("http://a:4318/v1/traces".to_owned())));
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b/spans");
        assert_eq!(destination(&[ROOT, own]), Some(Destination::at("http://b/spans".to_owned())));
        let limits = [("OTEL_EXPORTER_OTLP_TIMEOUT", "9"), ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250")];
        let found = destination(&[ROOT, limits[0], limits[1]]).unwrap();
        assert_eq!(found.limit, Duration::from_millis(250));
    }

    #[test]
    fn headers_are_read_and_what_is_none_is_left_out() {
        let found = headers("authorization=Basic%20YTpi, x-tenant = blue ,nonsense,bad name=1,x=a%0Ab");
        let value = |name| found.get(name).map(|value| value.to_str().unwrap());
        assert_eq!((value("authorization"), value("x-tenant"), found.len()), (Some("Basic YTpi"), Some("blue"), 2));
    }

    #[test]
    fn what_a_collector_rejected_is_read_from_its_answer() {
        let check = |rejected_spans, error_message: &str| {
            let partial_success =
                Some(ExportTracePartialSuccess { rejected_spans, error_message: error_message.into() });
            let answer = ExportTraceServiceResponse { partial_success }.encode_to_vec();
            assert_eq!(rejected(&answer), rejected_spans.unsigned_abs(), "{rejected_spans} {error_message}");
        };
        check(0, "");
        check(0, "careful");
        check(7, "");
        check(1_000_000, "too many");
        check(300, &"too long ".repeat(90));
        assert_eq!((rejected(&[]), rejected(b"ok")), (0, 0));
    }
}
