//! The traces that are kept: bounded by bytes, the oldest let go whole, found again by what their spans say.

mod dictionary;
mod kept;
mod logs;
mod origins;
mod pieces;
mod record;
mod search;
mod shelf;
mod sign;
mod size;
mod traffic;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{
    given::{GivenLog, GivenSpan, Pair, Take, Text},
    query::Query,
};
use crate::{
    clock::{Clock, Timestamp},
    trace::{Origin, Trace, TraceId, TraceLogs},
};
use origins::Resource;
use shelf::Shelf;

pub use logs::LogCounts;
pub use search::{Found, Row};
pub use shelf::{Counts, Rejected};
pub use traffic::{Act, Flow, Flows, Way};

/// What is kept unless it is said otherwise.
const USUAL_BOUND: usize = 128_000_000;

/// The store; clones are the same one.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shelf: RwLock<Shelf>,
    clock: Clock,
}

/// How full the store is, and what it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// Traces that are kept.
    pub traces: usize,
    /// Their spans.
    pub spans: usize,
    /// What all of it takes in memory.
    pub bytes: usize,
    /// What it may take at most.
    pub bound: usize,
    /// When the first span of the oldest trace came.
    pub oldest: Option<Timestamp>,
    /// Entries of logs that are kept.
    pub logs: usize,
    /// What these take of `bytes`.
    pub log_bytes: usize,
    /// What happened to logs since the start.
    pub log_counts: LogCounts,
    /// What happened since the start.
    pub counts: Counts,
}

/// What became of the spans of one request, or of the logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that were kept.
    pub taken: u64,
    /// Those that were not.
    pub rejected: u64,
    /// Why the last of them was not.
    pub why: Option<Rejected>,
}

impl Tally {
    fn count(&mut self, taken: Result<(), Rejected>) {
        match taken {
            Ok(()) => self.taken += 1,
            Err(why) => {
                self.rejected += 1;
                self.why = Some(why);
            }
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::new(USUAL_BOUND, Clock::system())
    }
}

impl Store {
    /// An empty store that takes at most so many bytes of memory.
    pub fn new(bound: usize, clock: Clock) -> Self {
        Self(Arc::new(Inner { shelf: RwLock::new(Shelf::new(bound)), clock }))
    }

    /// How full it is.
    pub fn stock(&self) -> Stock {
        let shelf = self.read();
        let at = |millis: u64| time::OffsetDateTime::UNIX_EPOCH + std::time::Duration::from_millis(millis);
        Stock {
            traces: shelf.len(),
            spans: shelf.spans(),
            bytes: shelf.bytes(),
            bound: shelf.bound(),
            oldest: shelf.oldest().map(|kept| Timestamp(at(kept.arrived))),
            logs: shelf.logs.len(),
            log_bytes: shelf.logs.bytes(),
            log_counts: shelf.logs.counts(),
            counts: shelf.counts(),
        }
    }

    /// The services of which there are spans, in order.
    pub fn services(&self) -> Vec<String> {
        let mut services: Vec<String> = self.read().origins.services().map(str::to_owned).collect();
        services.sort_unstable();
        services.dedup();
        services.retain(|service| !service.is_empty());
        services
    }

    /// Looks for at most so many traces, the newest first.
    pub fn search(&self, query: &Query, most: usize) -> Found {
        search::search(&self.read(), query, most)
    }

    /// The ways that messages take, and how often each was taken between two moments of the last day.
    pub fn flows(&self, from: Timestamp, to: Timestamp) -> Flows {
        self.read().traffic.flows(from, to, self.0.clock.now())
    }

    /// A trace that is kept.
    pub fn trace(&self, id: TraceId) -> Option<Trace> {
        let shelf = self.read();
        let kept = shelf.get(id)?;
        let spans = kept.heads().filter_map(|head| head.whole(&shelf.dictionary, &kept.origins)).collect();
        Some(Trace { id, spans, left_out: kept.left_out })
    }

    /// What services wrote down while they worked on a trace, kept or not; secrets are left out.
    pub fn logs(&self, id: TraceId) -> TraceLogs {
        let shelf = self.read();
        shelf.logs.of(id, &shelf.dictionary)
    }

    /// Takes what `give` hands over.
    pub(super) fn take<'a, R>(&self, give: impl FnOnce(&mut Taker<'_, 'a>) -> R) -> (R, Tally) {
        let now = self.0.clock.now().0.unix_timestamp_nanos() / 1_000_000;
        let mut shelf = self.write();
        let mut taker = Taker {
            shelf: &mut shelf,
            now: u64::try_from(now).unwrap_or_default(),
            resource: Resource::default(),
            scope: Default::default(),
            origin: None,
            tally: Tally::default(),
        };
        let given = give(&mut taker);
        let tally = taker.tally;
        (given, tally)
    }

    fn read(&self) -> RwLockReadGuard<'_, Shelf> {
        self.0.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shelf> {
        self.0.shelf.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts spans on the shelf as they are given.
#[derive(Debug)]
pub(super) struct Taker<'s, 'a> {
    shelf: &'s mut Shelf,
    now: u64,
    resource: Resource,
    scope: (Text<'a>, Text<'a>),
    /// Looked for when the first span of a maker comes.
    origin: Option<Arc<Origin>>,
    tally: Tally,
}

impl<'a> Take<'a> for Taker<'_, 'a> {
    fn resource(&mut self, attributes: Vec<Pair<'a>>) {
        self.resource = Resource::of(&attributes);
        self.origin = None;
    }

    fn scope(&mut self, name: Text<'a>, version: Text<'a>) {
        self.scope = (name, version);
        self.origin = None;
    }

    fn span(&mut self, span: Option<&GivenSpan<'a>>) {
        let Self { shelf, resource, scope, origin, .. } = self;
        let origin = origin.get_or_insert_with(|| shelf.origin(resource, &scope.0, &scope.1));
        let taken = shelf.take(span, origin, self.now);
        self.tally.count(taken);
    }

    fn log(&mut self, log: Option<&GivenLog<'a>>) {
        let Self { shelf, resource, scope, origin, .. } = self;
        let origin = origin.get_or_insert_with(|| shelf.origin(resource, &scope.0, &scope.1));
        let taken = shelf.take_log(log, origin);
        self.tally.count(taken);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        trace::{SpanKind, SpanStatus, Value},
        traces::given::Given,
    };

    const KB: usize = 1_024;

    fn at_noon(bound: usize) -> Store {
        Store::new(bound, Clock::standing_at(Timestamp::parse("2030-01-31T12:00:00Z").unwrap()))
    }

    fn span<'a>(trace: u8, id: u16, pairs: &[(&'a str, &'a str)]) -> GivenSpan<'a> {
        let pair = |(key, value): &(&'a str, &'a str)| Pair { key: (*key).into(), value: Given::Text((*value).into()) };
        GivenSpan {
            trace: vec![trace + 1; 16].into(),
            id: [[7; 6].as_slice(), &id.to_be_bytes()].concat().into(),
            name: "process orders.placed.*".into(),
            kind: 5,
            start: 1_000_000 * u64::from(id),
            end: 1_000_000 * u64::from(id) + 500,
            attributes: pairs.iter().map(pair).collect(),
            ..GivenSpan::default()
        }
    }

    fn put(store: &Store, service: &'static str, span: &GivenSpan<'_>) -> Tally {
        let ((), tally) = store.take(|taker| {
            taker.resource(vec![Pair { key: "service.name".into(), value: Given::Text(service.into()) }]);
            taker.scope("lib".into(), "1".into());
            taker.span(Some(span));
        });
        tally
    }

    fn id(trace: u8) -> TraceId {
        TraceId([trace + 1; 16])
    }

    fn found(store: &Store, query: &str) -> Vec<u8> {
        store.search(&Query::of_query(query), 100).rows.iter().map(|row| row.id.0[0] - 1).collect()
    }

    #[test]
    fn a_span_is_read_as_it_was_given() {
        let store = at_noon(128 * KB);
        let given = GivenSpan {
            parent: vec![9; 8].into(),
            state: "vendor=1".into(),
            status: 2,
            message: "card refused".into(),
            left_out: 3,
            ..span(1, 4, &[("messaging.nats.stream", "ORDERS"), ("id", "o-1")])
        };
        assert_eq!(put(&store, "payments", &given), Tally { taken: 1, rejected: 0, why: None });
        let trace = store.trace(id(1)).unwrap();
        let read = &trace.spans[0];
        assert_eq!((read.name.as_str(), read.kind), ("process orders.placed.*", SpanKind::Consumer));
        assert_eq!((read.start, read.end), (4_000_000, 4_000_500));
        assert_eq!((read.status, read.message.as_str()), (SpanStatus::Error, "card refused"));
        assert_eq!((read.state.as_str(), read.left_out), ("vendor=1", 3));
        assert_eq!(read.parent.unwrap().to_string(), "09".repeat(8));
        assert_eq!(read.attribute("messaging.nats.stream"), Some(&Value::Text("ORDERS".to_owned())));
        assert_eq!(read.origin.service, "payments");
        assert_eq!(store.services(), ["payments"]);
    }

    #[test]
    fn what_is_no_span_is_counted_and_not_kept() {
        let store = at_noon(128 * KB);
        let no_trace = GivenSpan { trace: vec![0; 16].into(), ..span(1, 1, &[]) };
        let short = GivenSpan { id: vec![1; 7].into(), ..span(1, 1, &[]) };
        for bad in [&no_trace, &short] {
            assert_eq!(put(&store, "a", bad).why, Some(Rejected::Malformed));
        }
        assert_eq!((store.stock().traces, store.stock().counts.malformed), (0, 2));
        // A span that ends before it starts, and one that is its own parent.
        let odd = GivenSpan { end: 0, parent: span(1, 2, &[]).id, ..span(1, 2, &[]) };
        assert_eq!(put(&store, "a", &odd).taken, 1);
        let read = store.trace(id(1)).unwrap().spans.remove(0);
        assert_eq!((read.duration(), read.parent), (0, None));
    }

    #[test]
    fn a_trace_that_was_let_go_does_not_come_back_in_part() {
        let store = at_noon(128 * KB);
        let (long, too_long) = ("x".repeat(1_900), "x".repeat(8 * KB));
        let saying = |trace, message| GivenSpan { message: Text::Borrowed(message), ..span(trace, 1, &[]) };
        (0..100).for_each(|trace| assert_eq!(put(&store, "a", &saying(trace, &long)).taken, 1));
        assert!(store.trace(id(0)).is_none() && store.trace(id(99)).is_some());
        assert_eq!(put(&store, "a", &span(50, 2, &[])).why, Some(Rejected::Late));
        assert!(store.trace(id(50)).is_none());
        assert_eq!(put(&store, "a", &saying(120, &too_long)).why, Some(Rejected::TooLarge));
        assert!(store.trace(id(120)).is_none(), "a trace without a span is none");
    }

    #[test]
    fn a_trace_that_never_ends_leaves_room_for_others() {
        let store = at_noon(256 * KB);
        put(&store, "a", &span(1, 1, &[]));
        let tallies: Vec<Tally> = (0..5_000).map(|id| put(&store, "a", &span(2, id, &[("n", "1")]))).collect();
        let stock = store.stock();
        assert_eq!(tallies.last().unwrap().why, Some(Rejected::TooLarge));
        assert!(stock.bytes < stock.bound / 2, "{stock:?}");
        assert!(store.trace(id(1)).is_some());
        let trace = store.trace(id(2)).unwrap();
        assert_eq!(trace.left_out + trace.spans.len() as u64, 5_000);
    }

    #[test]
    fn traces_are_found_by_what_their_spans_say() {
        let store = at_noon(1_024 * KB);
        let message = [
            ("messaging.nats.stream", "ORDERS"),
            ("messaging.nats.consumer", "payments-charge"),
            ("messaging.destination.name", "orders.placed.o-1"),
            ("messaging.message.id", "m-1"),
            ("messaging.message.conversation_id", "o-1"),
        ];
        put(&store, "payments", &GivenSpan { status: 2, ..span(1, 1, &message) });
        put(&store, "orders", &span(2, 2, &[("messaging.destination.name", "orders.placed.o-2"), ("n", "7")]));
        let slow =
            GivenSpan { end: 9_000_000_000, name: "GET /orders".into(), ..span(3, 3, &[("http.route", "/orders")]) };
        put(&store, "payments", &slow);
        for (query, expected) in [
            ("", &[3, 2, 1][..]),
            ("service=payments", &[3, 1]),
            ("service=payments&status=error", &[1]),
            ("service=orders&status=error", &[]),
            ("service=orders&status=ok", &[2]),
            ("stream=ORDERS", &[1]),
            ("consumer=payments-charge", &[1]),
            ("message=m-1&correlation=o-1", &[1]),
            ("message=m-1&correlation=o-2", &[]),
            ("subject=orders.placed.o-2", &[2]),
            ("subject=orders.placed.*", &[2, 1]),
            ("subject=orders", &[]),
            ("min=1s", &[3]),
            ("max=1s", &[2, 1]),
            ("attribute=n%3D7", &[2]),
            ("attribute=n%3D8", &[]),
            ("attribute=stream%3DORDERS", &[]),
            ("q=get+%2Forders", &[3]),
            ("q=PLACED", &[2, 1]),
            ("q=o-1", &[1]),
            ("q=ORDERS", &[3, 2, 1]),
            ("q=m-1", &[1]),
            ("q=nothing+of+it", &[]),
        ] {
            assert_eq!(found(&store, query), expected, "{query}");
        }
        assert_eq!(found(&store, &format!("q={}", id(2))), [2]);
        assert_eq!(found(&store, &format!("q={}", id(9))), [0_u8; 0]);
    }

    #[test]
    fn a_search_says_how_far_it_came_and_goes_on_from_there() {
        let store = at_noon(1_024 * KB);
        (0..20).for_each(|trace| assert_eq!(put(&store, "a", &span(trace, 1, &[])).taken, 1));
        let first = store.search(&Query::default(), 5);
        assert_eq!((first.rows.len(), first.searched, first.of, first.is_cut_short), (5, 5, 20, false));
        let second = store.search(&Query::default().before(first.next), 15);
        assert_eq!((second.rows.len(), second.searched, second.of, second.next), (15, 15, 15, None));
        assert_eq!(second.rows[0].id, id(14));
    }

    /// A span as the property gives it: of which trace, by which service, and how long the values of its attributes are.
    fn any_span() -> impl Strategy<Value = (u8, u8, Vec<usize>)> {
        (0_u8..60, 0_u8..4, prop::collection::vec(0_usize..900, 0..6))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_bound_is_never_exceeded_and_nothing_is_lost_below_it(
            spans in prop::collection::vec(any_span(), 1..400),
            bound in 64_usize..512,
        ) {
            let store = at_noon(bound * KB);
            let texts: Vec<String> = (0..900).map(|length| "v".repeat(length)).collect();
            let services = ["a", "b", "c", ""];
            let mut given: Vec<(u8, u16, Vec<usize>)> = Vec::new();
            let mut order: Vec<u8> = Vec::new();
            for (number, (trace, service, lengths)) in (0..).zip(spans) {
                let pairs: Vec<(&str, &str)> = lengths.iter().map(|length| ("key", texts[*length].as_str())).collect();
                let tally = put(&store, services[usize::from(service)], &span(trace, number, &pairs));
                let stock = store.stock();
                prop_assert!(stock.bytes <= stock.bound, "{stock:?}");
                if tally.taken == 1 {
                    given.push((trace, number, lengths));
                    if !order.contains(&trace) {
                        order.push(trace);
                    }
                }
            }
            let kept: Vec<u8> = order.iter().copied().filter(|trace| store.trace(id(*trace)).is_some()).collect();
            prop_assert!(order.ends_with(&kept), "the oldest go first: {kept:?} of {order:?}");
            prop_assert_eq!(store.stock().counts.evicted_traces as usize, order.len() - kept.len());
            for trace in kept {
                let expected: Vec<(u16, Vec<usize>)> =
                    given.iter().filter(|(of, ..)| *of == trace).map(|(_, id, lengths)| (*id, lengths.clone())).collect();
                let read = store.trace(id(trace)).unwrap().spans;
                let read: Vec<(u16, Vec<usize>)> = read
                    .iter()
                    .map(|span| {
                        let lengths = span.attributes.iter().map(|attribute| attribute.value.to_string().len());
                        (u16::from_be_bytes([span.id.0[6], span.id.0[7]]), lengths.collect())
                    })
                    .collect();
                prop_assert_eq!(read, expected);
            }
        }
    }
}
