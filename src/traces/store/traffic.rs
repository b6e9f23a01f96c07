//! Which service sends messages on which subjects, and which handles those of which consumer: counted as spans come, so that it is known
//! for a day whatever room the spans themselves have.

mod counts;

use std::{borrow::Cow, collections::HashMap, sync::Arc, time::Duration};

use super::size;
use crate::{
    clock::Timestamp,
    trace::Origin,
    traces::given::{Given, GivenSpan},
};
use counts::Counts;

/// Ways that are counted apart. Services with their subjects and consumers are some hundreds.
const WAYS_MOST: usize = 2_048;

/// Bytes of the longest name that a way has; what has a longer one is not counted.
const NAME_MOST: usize = 256;

/// What somebody does with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// He sends them.
    Sends,
    /// He handles them.
    Handles,
}

/// A way that messages take into a service or out of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Way {
    /// The service.
    pub service: String,
    /// What it does with them.
    pub act: Act,
    /// The pattern of their subjects.
    pub subject: String,
    /// The stream that held those that are handled; empty where that is not said. Which one takes what is sent follows from its subjects.
    pub stream: String,
    /// The consumer that delivered them, or a queue group; empty where that is not said.
    pub consumer: String,
}

/// How often a way was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// The way.
    pub way: Arc<Way>,
    /// Spans in the time that was asked for.
    pub spans: u64,
    /// How much of that time spans were counted in.
    pub over: Duration,
    /// When the last span came, in that time or out of it.
    pub last: Timestamp,
}

impl Flow {
    /// Spans a second: at least so many messages, since not every one may be traced.
    pub fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate that is shown needs no more than 52 bits")]
        let spans = self.spans as f64;
        if self.over.is_zero() { 0.0 } else { spans / self.over.as_secs_f64() }
    }
}

/// The ways that spans told of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flows {
    /// Each, in order.
    pub rows: Vec<Flow>,
    /// When the first span came; `None` before it did.
    pub since: Option<Timestamp>,
    /// Ways that were forgotten because there were too many.
    pub forgotten: u64,
}

/// The ways that are counted.
#[derive(Debug)]
pub(super) struct Traffic {
    known: HashMap<Box<[u8]>, Taken>,
    /// When the first span came, in milliseconds since 1970.
    since: Option<u64>,
    most: usize,
    bytes: usize,
    forgotten: u64,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Taken {
    way: Arc<Way>,
    counts: Counts,
    last: u64,
}

/// What a span says of its message.
#[derive(Default)]
struct Said<'a> {
    system: &'a str,
    template: &'a str,
    destination: &'a str,
    stream: &'a str,
    consumer: &'a str,
    group: &'a str,
}

impl<'a> Said<'a> {
    fn by(span: &'a GivenSpan<'_>) -> Self {
        let mut said = Self::default();
        for pair in &span.attributes {
            let (Some(key), Given::Text(value)) = (pair.key.strip_prefix("messaging."), &pair.value) else { continue };
            match key {
                "system" => said.system = value,
                "destination.template" => said.template = value,
                "destination.name" => said.destination = value,
                "nats.stream" => said.stream = value,
                "nats.consumer" => said.consumer = value,
                "consumer.group.name" => said.group = value,
                _ => {}
            }
        }
        said
    }

    /// The pattern of subjects that is meant; `None` where none is, or one that leads back to whoever asked.
    fn subject(&self) -> Option<Cow<'a, str>> {
        let subject =
            if self.template.is_empty() { pattern_of(self.destination) } else { Cow::Borrowed(self.template) };
        let is_one = !subject.is_empty() && !subject.starts_with("_INBOX") && matches!(self.system, "" | "nats");
        is_one.then_some(subject)
    }
}

/// The pattern that a subject probably is one of: what has a digit in it is taken for an id.
fn pattern_of(subject: &str) -> Cow<'_, str> {
    if !subject.contains(|letter: char| letter.is_ascii_digit()) {
        return Cow::Borrowed(subject);
    }
    let tokens = subject.split('.').map(|token| if token.contains(|c: char| c.is_ascii_digit()) { "*" } else { token });
    Cow::Owned(tokens.collect::<Vec<_>>().join("."))
}

impl Traffic {
    /// One that takes at most so many bytes.
    pub(super) fn new(bytes_most: usize) -> Self {
        Self {
            known: HashMap::new(),
            since: None,
            most: (bytes_most / bytes_of(NAME_MOST)).min(WAYS_MOST),
            bytes: 0,
            forgotten: 0,
            scratch: Vec::new(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts a span that came at `now`, in milliseconds since 1970, if it is about a message.
    pub(super) fn note(&mut self, origin: &Origin, span: &GivenSpan<'_>, now: u64) {
        let act = match span.kind {
            4 => Act::Sends,
            5 => Act::Handles,
            _ => return,
        };
        let said = Said::by(span);
        let Some(subject) = said.subject() else { return };
        let consumer = if said.consumer.is_empty() { said.group } else { said.consumer };
        let stream = if act == Act::Sends { "" } else { said.stream };
        let names = [origin.service.as_str(), &subject, stream, consumer];
        if origin.service.is_empty() || names.iter().any(|name| name.len() > NAME_MOST) {
            return;
        }
        self.since.get_or_insert(now);
        self.scratch.clear();
        self.scratch.push(act as u8);
        for name in names {
            self.scratch.extend_from_slice(name.as_bytes());
            self.scratch.push(0xff);
        }
        if let Some(taken) = self.known.get_mut(self.scratch.as_slice()) {
            taken.last = taken.last.max(now);
            taken.counts.add(now);
            return;
        }
        self.begin(act, names, now);
    }

    /// Counts a way that is new.
    fn begin(&mut self, act: Act, names: [&str; 4], now: u64) {
        if self.known.len() >= self.most {
            self.forget();
        }
        if self.most == 0 {
            self.forgotten += 1;
            return;
        }
        let [service, subject, stream, consumer] = names.map(str::to_owned);
        let way = Arc::new(Way { service, act, subject, stream, consumer });
        let mut counts = Counts::default();
        counts.add(now);
        self.bytes += bytes_of(self.scratch.len());
        self.known.insert(self.scratch.as_slice().into(), Taken { way, counts, last: now });
    }

    /// Lets go of that half which was not taken for longest: one that is taken still comes back at once.
    fn forget(&mut self) {
        let mut lasts: Vec<u64> = self.known.values().map(|taken| taken.last).collect();
        lasts.sort_unstable();
        let Some(&limit) = lasts.get(lasts.len() / 2) else { return };
        let (before, mut same) = (self.known.len(), lasts.iter().filter(|last| **last == limit).count() / 2);
        self.known.retain(|_, taken| {
            // Of those that came at one moment as many go as have to.
            let is_spared = taken.last == limit && same > 0;
            same -= usize::from(is_spared);
            taken.last > limit || is_spared
        });
        self.forgotten += (before - self.known.len()) as u64;
        self.bytes = self.known.keys().map(|key| bytes_of(key.len())).sum();
    }

    /// How often each way was taken between two moments.
    pub(super) fn flows(&self, from: Timestamp, to: Timestamp, now: Timestamp) -> Flows {
        let Some(since) = self.since else { return Flows { forgotten: self.forgotten, ..Flows::default() } };
        let (from, to, now) = (millis(from), millis(to), millis(now));
        let flow = |taken: &Taken| {
            let (spans, begun) = taken.counts.between(from, to, now);
            let over = Duration::from_millis(to.saturating_sub(begun.max(since)));
            Flow { way: taken.way.clone(), spans, over, last: moment(taken.last) }
        };
        let mut rows: Vec<Flow> = self.known.values().map(flow).collect();
        rows.sort_unstable_by(|one, other| one.way.cmp(&other.way));
        Flows { rows, since: Some(moment(since)), forgotten: self.forgotten }
    }
}

/// What a way takes whose names together have so many bytes: they stand there twice.
fn bytes_of(names: usize) -> usize {
    size::of_piece(names)
        + size::of_piece(size_of::<Way>() + 2 * size_of::<usize>())
        + 4 * size::of_piece(names / 4)
        + Counts::BYTES
        + (size_of::<Box<[u8]>>() + size_of::<Taken>()) * 4 / 3
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.0.unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}

fn moment(millis: u64) -> Timestamp {
    Timestamp(time::OffsetDateTime::UNIX_EPOCH + Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::given::Pair;

    fn noon() -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap()
    }

    fn span<'a>(kind: u64, pairs: &[(&'a str, &'a str)]) -> GivenSpan<'a> {
        let pair = |(key, value): &(&'a str, &'a str)| Pair { key: (*key).into(), value: Given::Text((*value).into()) };
        GivenSpan { kind, attributes: pairs.iter().map(pair).collect(), ..GivenSpan::default() }
    }

    fn check(kind: u64, pairs: &[(&str, &str)], expected: Option<(Act, &str, &str, &str)>) {
        let mut traffic = Traffic::new(1 << 20);
        let origin = Origin { service: "mail".to_owned(), ..Origin::default() };
        traffic.note(&origin, &span(kind, pairs), millis(noon()));
        let flows = traffic.flows(noon().before(Duration::from_secs(60)), noon(), noon());
        let ways: Vec<_> = flows.rows.iter().map(|flow| &*flow.way).collect();
        let told = ways.first().map(|way| (way.act, &*way.subject, &*way.stream, &*way.consumer));
        assert_eq!(told, expected, "{pairs:?}");
    }

    #[test]
    fn a_span_about_a_message_tells_of_a_way() {
        let template = ("messaging.destination.template", "orders.placed.*");
        check(4, &[template], Some((Act::Sends, "orders.placed.*", "", "")));
        // One way, whether the stream confirmed the message or not.
        check(4, &[template, ("messaging.nats.stream", "ORDERS")], Some((Act::Sends, "orders.placed.*", "", "")));
        let held = [template, ("messaging.nats.stream", "ORDERS"), ("messaging.nats.consumer", "mailer")];
        check(5, &held, Some((Act::Handles, "orders.placed.*", "ORDERS", "mailer")));
        let asked = [template, ("messaging.consumer.group.name", "pricing"), ("messaging.system", "nats")];
        check(5, &asked, Some((Act::Handles, "orders.placed.*", "", "pricing")));
    }

    #[test]
    fn a_subject_without_a_template_is_one_of_many() {
        let sent = |destination| [("messaging.destination.name", destination)];
        check(4, &sent("orders.placed"), Some((Act::Sends, "orders.placed", "", "")));
        check(4, &sent("orders.o-17.placed"), Some((Act::Sends, "orders.*.placed", "", "")));
    }

    #[test]
    fn other_spans_tell_of_none() {
        let template = ("messaging.destination.template", "orders.placed.*");
        check(3, &[template], None);
        check(2, &[("http.route", "/orders")], None);
        check(4, &[], None);
        check(4, &[template, ("messaging.system", "kafka")], None);
        check(4, &[("messaging.destination.name", "_INBOX.a.b")], None);
        check(4, &[("messaging.destination.template", &"x".repeat(NAME_MOST + 1))], None);
    }

    #[test]
    fn there_are_never_more_than_have_room_and_those_in_use_stay() {
        let most = 20 * bytes_of(NAME_MOST);
        let mut traffic = Traffic::new(most);
        let origin = Origin { service: "mail".to_owned(), ..Origin::default() };
        for number in 0..1_000 {
            let subject = format!("{}.{}", "s".repeat(250), char::from_u32(0x4e00 + number).unwrap());
            let now = millis(noon()) + u64::from(number);
            traffic.note(&origin, &span(4, &[("messaging.destination.template", "in.use")]), now);
            traffic.note(&origin, &span(4, &[("messaging.destination.template", &subject)]), now);
            assert!(traffic.bytes() <= most, "{} bytes", traffic.bytes());
        }
        let flows = traffic.flows(noon(), noon().after(Duration::from_secs(1)), noon());
        let in_use = flows.rows.iter().find(|flow| flow.way.subject == "in.use").unwrap();
        assert_eq!((in_use.spans, flows.forgotten > 900), (1_000, true), "{flows:?}");
    }
}
