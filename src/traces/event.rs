//! What a broker tells of a message on its way, made spans of the message's trace.
//!
//! Convention: NATS ADR-41, `io.nats...` trace events as server 2.11 and later publish them: who sent, what was traced, and one entry
//! for each thing that the server did with the message.

mod request;

use std::{borrow::Cow, collections::HashMap};

use serde::Deserialize;
use uuid::Uuid;

use super::{
    Store,
    given::{Given, GivenSpan, Pair, Take},
};
use crate::{
    clock::Timestamp,
    message::header,
    trace::{BROKER, TraceParent},
};

/// Bytes of the largest event: it repeats a message's headers, of which servers take 64 KB at the most where nobody allows more.
const EVENT_MOST: usize = 256 * 1_024;

/// Things that a server did with one message: one for each who gets it, which may be thousands.
const STEPS_MOST: usize = 64;

/// What a server says where a stream has the message already.
const DUPLICATE: &str = "msgid is duplicate";

/// The kind of a span within a process; the broker publishes and handles nothing.
const INTERNAL: u64 = 1;

/// The status of a span that failed.
const FAILED: u64 = 2;

#[derive(Deserialize)]
struct Event {
    server: Server,
    request: Request,
    #[serde(default)]
    events: Vec<Step>,
}

#[derive(Deserialize)]
struct Server {
    #[serde(default)]
    name: String,
    #[serde(default)]
    cluster: String,
    id: String,
    #[serde(default)]
    ver: String,
    #[serde(default)]
    seq: u64,
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    header: HashMap<String, Vec<String>>,
}

/// One thing that a server did.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Step {
    #[serde(rename = "type")]
    what: String,
    ts: Option<Timestamp>,
    #[serde(rename = "kind")]
    peer: i64,
    cid: u64,
    name: String,
    acc: String,
    subj: String,
    sub: String,
    queue: String,
    stream: String,
    to: String,
    error: String,
}

/// The event is none that can be read, or belongs to no trace.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What was told of one message: who told it, and the spans that it becomes.
pub(super) struct Told<'a> {
    maker: Vec<(&'static str, &'a str)>,
    version: &'a str,
    spans: Vec<GivenSpan<'a>>,
}

/// Reads an event, and hands what it tells to `take`.
pub(super) fn read(payload: &[u8], take: impl FnOnce(&Told<'_>)) -> Result<(), Malformed> {
    if payload.len() > EVENT_MOST {
        return Err(Malformed);
    }
    let mut event: Event = serde_json::from_slice(payload).map_err(|_| Malformed)?;
    event.events.truncate(STEPS_MOST);
    let parent = event.parent().ok_or(Malformed)?;
    let spans = event.spans(&parent);
    if spans.is_empty() {
        return Err(Malformed);
    }
    let Server { name, cluster, id, ver, .. } = &event.server;
    let service = if name.is_empty() { BROKER } else { name };
    // In the order in which they go on, so that who hears of it both ways knows one maker.
    let mut maker: Vec<(&str, &str)> = vec![
        ("nats.cluster", cluster),
        ("service.instance.id", id),
        ("service.name", service),
        ("service.version", ver),
    ];
    maker.retain(|(_, value)| !value.is_empty());
    take(&Told { maker, version: ver, spans });
    Ok(())
}

impl Told<'_> {
    /// Keeps the spans.
    pub(super) fn store(&self, store: &Store) {
        store.take(|taker| {
            taker.resource(self.maker.iter().map(|(key, value)| pair(key, value)).collect());
            taker.scope(BROKER.into(), self.version.into());
            self.spans.iter().for_each(|span| taker.span(Some(span)));
        });
    }

    /// How many they are.
    pub(super) fn len(&self) -> u64 {
        self.spans.len() as u64
    }

    /// The same as a request of OTLP, in protocol buffers.
    pub(super) fn request(&self) -> Vec<u8> {
        request::write(self)
    }
}

fn pair<'a>(key: &'a str, value: &'a str) -> Pair<'a> {
    Pair { key: key.into(), value: Given::Text(value.into()) }
}

impl Event {
    /// The span that published the message.
    fn parent(&self) -> Option<TraceParent> {
        let mut named = self.request.header.iter().filter(|(name, _)| name.eq_ignore_ascii_case(header::TRACEPARENT));
        named.find_map(|(_, values)| values.first()?.parse().ok())
    }

    /// One span for the message's way through the server, below that which published it, and one below it for each thing that was done.
    fn spans(&self, parent: &TraceParent) -> Vec<GivenSpan<'_>> {
        let Some(first) = self.events.first() else { return Vec::new() };
        let Some(start) = first.nanos() else { return Vec::new() };
        let end = self.events.iter().filter_map(Step::nanos).max().unwrap_or(start);
        let way = self.id(0);
        let steps = self.events.iter().enumerate().skip(1).filter_map(|(index, step)| {
            let at = step.nanos()?;
            // When it began is not told: a stream takes what came in.
            let began = if step.what == "js" { start } else { at };
            Some(step.span(parent, &way, self.id(index), (began.min(at), at)))
        });
        let of_all = first.span(parent, &parent.span_id, way, (start, end));
        std::iter::once(of_all).chain(steps).collect()
    }

    /// The id of the span of a step: the same whenever the event is heard, so that what is heard twice is one span.
    fn id(&self, index: usize) -> [u8; 8] {
        let Server { id, seq, .. } = &self.server;
        let whole = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{id} {seq} {index}").as_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(&whole.as_bytes()[..8]);
        id
    }
}

impl Step {
    fn nanos(&self) -> Option<u64> {
        u64::try_from(self.ts?.0.unix_timestamp_nanos()).ok()
    }

    fn span(&self, parent: &TraceParent, below: &[u8; 8], id: [u8; 8], (start, end): (u64, u64)) -> GivenSpan<'_> {
        let is_duplicate = self.error == DUPLICATE;
        let is_failed = !self.error.is_empty() && !is_duplicate;
        let texts = [
            ("messaging.destination.name", &self.subj),
            ("messaging.nats.stream", &self.stream),
            ("nats.account", &self.acc),
            ("nats.client.name", &self.name),
            ("nats.subscription", &self.sub),
            ("nats.queue", &self.queue),
            ("nats.to", &self.to),
        ];
        let said = texts.into_iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| pair(key, value));
        let mut attributes: Vec<Pair<'_>> = std::iter::once(pair("messaging.system", "nats")).chain(said).collect();
        if matches!(self.what.as_str(), "in" | "eg") {
            attributes.push(pair("nats.peer", self.peer()));
        }
        if self.cid > 0 {
            attributes
                .push(Pair { key: "nats.client.id".into(), value: Given::Text(Cow::Owned(self.cid.to_string())) });
        }
        if is_duplicate {
            attributes.push(Pair { key: "messaging.nats.duplicate".into(), value: Given::Bool(true) });
        }
        GivenSpan {
            trace: parent.trace_id.to_vec().into(),
            id: id.to_vec().into(),
            parent: below.to_vec().into(),
            name: self.words().into(),
            kind: INTERNAL,
            start,
            end,
            status: if is_failed { FAILED } else { 0 },
            message: if is_failed { self.error.as_str().into() } else { "".into() },
            attributes,
            ..GivenSpan::default()
        }
    }

    /// What the server did.
    fn words(&self) -> &'static str {
        match self.what.as_str() {
            "in" => "broker takes the message in",
            "js" => "broker stores it",
            "sm" => "broker maps its subject",
            "se" => "broker exports it",
            "si" => "broker imports it",
            "eg" => "broker sends it on",
            _ => "broker does something with it",
        }
    }

    /// Who is at the other end.
    fn peer(&self) -> &'static str {
        match self.peer {
            0 => "client",
            1 => "route",
            2 => "gateway",
            3 => "system",
            4 => "leaf node",
            5 => "jetstream",
            6 => "account",
            _ => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        trace::{SpanStatus, TraceId, Value},
    };

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn event(steps: &str) -> String {
        format!(
            r#"{{"server":{{"name":"n1","id":"NABC","ver":"2.15.1","seq":21,"time":"2030-01-31T12:00:00.77Z"}},
                "request":{{"header":{{"Traceparent":["00-{TRACE}-00f067aa0ba902b7-01"]}},"msgsize":101}},"events":[{steps}]}}"#
        )
    }

    const IN: &str =
        r#"{"type":"in","ts":"2030-01-31T12:00:00.000001Z","kind":0,"cid":6,"acc":"APP","subj":"orders.1"}"#;
    const STORED: &str = r#"{"type":"js","ts":"2030-01-31T12:00:00.000004Z","stream":"ORDERS","subject":"orders.1"}"#;

    fn kept(payloads: &[&str]) -> (Result<(), Malformed>, Vec<crate::trace::Span>) {
        let kept = Store::new(1 << 20, Clock::standing_at(Timestamp::parse("2030-01-31T12:00:00Z").unwrap()));
        let mut result = Ok(());
        for payload in payloads {
            result = read(payload.as_bytes(), |told| told.store(&kept));
        }
        let trace: TraceId = TRACE.parse().unwrap();
        (result, kept.trace(trace).map(|trace| trace.spans).unwrap_or_default())
    }

    #[test]
    fn a_message_that_was_stored_is_two_spans_below_the_one_that_published_it() {
        let (result, spans) = kept(&[&event(&format!("{IN},{STORED}"))]);
        assert_eq!((result, spans.len()), (Ok(()), 2));
        let [way, stored] = spans.as_slice() else { unreachable!() };
        assert_eq!(way.parent.unwrap().to_string(), "00f067aa0ba902b7");
        assert_eq!((stored.parent, way.duration(), stored.duration()), (Some(way.id), 3_000, 3_000));
        assert_eq!((way.origin.service.as_str(), way.origin.scope.as_str()), ("n1", BROKER));
        assert_eq!(stored.name, "broker stores it");
        assert_eq!(stored.attribute("messaging.nats.stream"), Some(&Value::Text("ORDERS".to_owned())));
        assert_eq!(way.attribute("nats.peer"), Some(&Value::Text("client".to_owned())));
        let (_, again) = kept(&[&event(IN)]);
        assert_eq!(again[0].id, way.id, "what is heard twice is one span");
    }

    #[test]
    fn a_duplicate_is_no_failure_and_what_was_refused_is() {
        let refused = |why: &str| {
            event(&format!(r#"{IN},{{"type":"js","ts":"2030-01-31T12:00:00.000004Z","stream":"S","error":"{why}"}}"#))
        };
        let (_, spans) = kept(&[&refused(DUPLICATE)]);
        assert_eq!(spans[1].status, SpanStatus::Unset);
        assert_eq!(spans[1].attribute("messaging.nats.duplicate"), Some(&Value::Bool(true)));
        let (_, spans) = kept(&[&refused("maximum messages exceeded")]);
        assert_eq!((spans[1].status, spans[1].message.as_str()), (SpanStatus::Error, "maximum messages exceeded"));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let many = vec![IN; 200].join(",");
        let (result, spans) = kept(&[&event(&many)]);
        assert_eq!((result, spans.len()), (Ok(()), STEPS_MOST), "no more than so many spans of one");
        let large = event(&vec![IN; 5_000].join(","));
        let no_trace = event(IN).replace(TRACE, "none");
        let no_time = event(r#"{"type":"in","kind":0}"#);
        for bad in ["", "{}", "[]", "\u{0}", r#"{"server":{"id":1}}"#, &event(""), &large, &no_trace, &no_time] {
            assert_eq!(kept(&[bad]), (Err(Malformed), Vec::new()), "{bad:.60}");
        }
    }
}
