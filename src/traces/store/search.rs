//! Looking for traces: signs first, then the records of those spans that may be meant.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{
    dictionary::Dictionary,
    kept::Kept,
    record::read::{Head, Plain, Text},
    shelf::Shelf,
    sign::Sign,
};
use crate::{
    mask,
    name::SubjectPattern,
    trace::{SpanStatus, TraceId},
    traces::query::{Query, Wanted},
};

/// How long a search may take; then it says how far it came. A page of a tenth of a second feels immediate, and others want the processor too.
const LIMIT: Duration = Duration::from_millis(60);

/// Traces between two looks at the clock.
const STRIDE: usize = 16;

const SUBJECT: &[&str] = &["messaging.destination.name", "messaging.destination.template"];
const STREAM: &[&str] = &["messaging.nats.stream"];
const CONSUMER: &[&str] = &["messaging.nats.consumer", "messaging.consumer.group.name"];
const MESSAGE: &[&str] = &["messaging.message.id"];
const CORRELATION: &[&str] = &["messaging.message.conversation_id"];

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// The traces, the newest first.
    pub rows: Vec<Row>,
    /// How many traces were looked at.
    pub searched: usize,
    /// How many there are to look at.
    pub of: usize,
    /// Where to go on looking; `None` where everything was looked at.
    pub next: Option<u64>,
    /// Whether time was up before enough was found.
    pub is_cut_short: bool,
}

/// A trace in a few words.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which it is.
    pub id: TraceId,
    /// What its first span is called, of those that no broker told of where there are such.
    pub name: String,
    /// The service that made that, or the broker.
    pub service: String,
    /// When it began, in nanoseconds since 1970.
    pub start: u64,
    /// How long it took, in nanoseconds.
    pub duration: u64,
    /// How many spans it has.
    pub spans: usize,
    /// How many of them failed.
    pub errors: u32,
    /// The services in it, in order; brokers are none.
    pub services: Vec<String>,
    /// Whether its first span has a parent that did not come.
    pub is_headless: bool,
}

/// A query as it is held against records.
struct Search<'a> {
    dictionary: &'a Dictionary,
    sign: Sign,
    query: &'a Query,
    pairs: Vec<Pair>,
    /// Names and values of which one has to be the text.
    anywhere: Option<(Matcher, Matcher)>,
}

/// An attribute of one of these names has to have such a value.
struct Pair {
    keys: Vec<(Option<u32>, String)>,
    value: Matcher,
}

/// Which texts are meant.
struct Matcher {
    /// Those of the dictionary, by number.
    numbers: Vec<bool>,
    test: Test,
}

enum Test {
    Exactly(String),
    Containing(String),
    Subjects(SubjectPattern),
}

impl Test {
    fn holds(&self, text: &str) -> bool {
        match self {
            Self::Exactly(wanted) => wanted == text,
            Self::Containing(wanted) => text.to_lowercase().contains(wanted),
            Self::Subjects(pattern) => pattern.matches(text) || pattern.as_str() == text,
        }
    }
}

impl Matcher {
    fn new(test: Test, dictionary: &Dictionary) -> Self {
        let numbers = dictionary.iter().map(|text| test.holds(text)).collect();
        Self { numbers, test }
    }

    fn text(&self, text: Text<'_>) -> bool {
        match text {
            Text::Number(number) => self.numbers.get(number as usize).is_some_and(|is_meant| *is_meant),
            Text::Full(text) => self.test.holds(text),
        }
    }

    fn value(&self, value: Plain<'_>) -> bool {
        match value {
            Plain::Text(text) => self.text(text),
            Plain::Bool(value) => self.test.holds(if value { "true" } else { "false" }),
            Plain::Number(number) => self.test.holds(itoa::Buffer::new().format(number)),
            Plain::Real(number) => self.test.holds(&number.to_string()),
            Plain::Other => false,
        }
    }
}

impl Pair {
    fn holds(&self, key: Text<'_>, value: Plain<'_>) -> bool {
        let is_key = self.keys.iter().any(|(number, name)| match key {
            Text::Number(key) => *number == Some(key),
            Text::Full(key) => name == key,
        });
        is_key && self.value.value(value)
    }
}

impl<'a> Search<'a> {
    fn new(query: &'a Query, dictionary: &'a Dictionary) -> Self {
        let mut search = Self { dictionary, sign: Sign::default(), query, pairs: Vec::new(), anywhere: None };
        for (keys, value) in [
            (STREAM, &query.stream),
            (CONSUMER, &query.consumer),
            (MESSAGE, &query.message),
            (CORRELATION, &query.correlation),
        ] {
            if !value.is_empty() {
                // One of several names has this value: the value alone is what the sign can tell.
                search.sign.add(if let [key] = keys { Sign::of_pair(key, value) } else { Sign::of_text(value) });
                search.pair(keys, Test::Exactly(value.clone()));
            }
        }
        for (key, value) in &query.attributes {
            search.sign.add(Sign::of_pair(key, value));
            search.pair(&[key], Test::Exactly(value.clone()));
        }
        if let Ok(pattern) = query.subject.parse::<SubjectPattern>() {
            if !query.subject.contains(['*', '>']) {
                search.sign.add(Sign::of_text(&query.subject));
            }
            search.pair(SUBJECT, Test::Subjects(pattern));
        }
        if !query.text.is_empty() {
            let name = Matcher::new(Test::Containing(query.text.to_lowercase()), dictionary);
            // No name that is known has it, and all are known: then only a value can be it.
            if dictionary.has_all_names() && !name.numbers.contains(&true) {
                search.sign.add(Sign::of_text(&query.text));
            }
            search.anywhere = Some((name, Matcher::new(Test::Exactly(query.text.clone()), dictionary)));
        }
        search
    }

    fn pair(&mut self, keys: &[&str], test: Test) {
        let keys = keys.iter().map(|key| (self.dictionary.find(key), (*key).to_owned())).collect();
        self.pairs.push(Pair { keys, value: Matcher::new(test, self.dictionary) });
    }

    fn trace(&self, kept: &Kept) -> bool {
        let duration = Duration::from_nanos(kept.end.saturating_sub(kept.start));
        let (query, service) = (self.query, &self.query.service);
        let is_fit = query.least.is_none_or(|least| duration >= least)
            && query.most.is_none_or(|most| duration <= most)
            && (query.status != Some(Wanted::Error) || kept.errors > 0)
            && (service.is_empty() || kept.origins.iter().any(|origin| origin.service == *service));
        let is_by_trace = self.pairs.is_empty() && self.anywhere.is_none();
        // Nothing is left to ask of its spans.
        if !is_fit || (is_by_trace && service.is_empty() && query.status != Some(Wanted::NoError)) {
            return is_fit;
        }
        kept.candidates(self.sign).any(|head| self.span(kept, &head))
    }

    fn span(&self, kept: &Kept, head: &Head<'_>) -> bool {
        let query = self.query;
        let is_of_service = query.service.is_empty()
            || kept.origins.get(head.origin).is_some_and(|origin| origin.service == query.service);
        let has_status = match query.status {
            None => true,
            Some(Wanted::Error) => head.status == SpanStatus::Error,
            Some(Wanted::NoError) => head.status != SpanStatus::Error,
        };
        is_of_service && has_status && self.attributes(head)
    }

    fn attributes(&self, head: &Head<'_>) -> bool {
        let mut open = self.pairs.len();
        let mut seen = 0_u32;
        let mut is_anywhere = self.anywhere.as_ref().is_none_or(|(name, _)| name.text(head.name));
        head.attributes(|key, value| {
            for (index, pair) in self.pairs.iter().enumerate() {
                if seen & 1 << index == 0 && pair.holds(key, value) {
                    seen |= 1 << index;
                    open -= 1;
                }
            }
            is_anywhere = is_anywhere || self.anywhere.as_ref().is_some_and(|(_, matcher)| matcher.value(value));
            open > 0 || !is_anywhere
        });
        open == 0 && is_anywhere
    }
}

/// Looks for at most so many traces.
pub(super) fn search(shelf: &Shelf, query: &Query, most: usize) -> Found {
    let before = query.before.unwrap_or(u64::MAX);
    let mut found = Found { of: shelf.newest_first(before).count(), ..Found::default() };
    if let Ok(id) = query.text.parse::<TraceId>() {
        found.searched = found.of;
        found.rows.extend(shelf.get(id).map(|kept| row(kept, &shelf.dictionary)));
        return found;
    }
    let (search, began) = (Search::new(query, &shelf.dictionary), Instant::now());
    for (number, kept) in shelf.newest_first(before) {
        if found.rows.len() == most {
            return found;
        }
        if found.searched % STRIDE == STRIDE - 1 && began.elapsed() > LIMIT {
            found.is_cut_short = true;
            return found;
        }
        found.searched += 1;
        found.next = Some(number);
        if search.trace(kept) {
            found.rows.push(row(kept, &shelf.dictionary));
        }
    }
    found.next = None;
    found
}

fn row(kept: &Kept, dictionary: &Dictionary) -> Row {
    let root = kept.root();
    let service = |origin: usize| kept.origins.get(origin).map(|origin| origin.service.clone()).unwrap_or_default();
    let makers = kept.origins.iter().filter(|origin| !origin.is_broker());
    let services: BTreeSet<&str> = makers.map(|origin| origin.service.as_str()).collect();
    Row {
        id: kept.id,
        name: root.map(|head| mask::shown(head.name.text(dictionary))).unwrap_or_default(),
        service: root.map(|head| service(head.origin)).unwrap_or_default(),
        start: kept.start,
        duration: kept.end.saturating_sub(kept.start),
        spans: kept.spans(),
        errors: kept.errors,
        services: services.into_iter().map(str::to_owned).collect(),
        is_headless: root.is_some_and(|head| head.parent.is_some()),
    }
}
