//! Requests as JSON.
//!
//! Convention: the JSON mapping of OTLP: names in lower camel case, ids in hex, whole numbers of 64 bits as texts or numbers.

mod logs;

use std::borrow::Cow;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::traces::given::{Given, GivenEvent, GivenLink, GivenSpan, PARTS_MOST, Pair, Take, Text};

pub(super) use logs::each_log;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow, default)]
    resource_spans: Vec<ResourceSpans<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    #[serde(borrow, default)]
    resource: Resource<'a>,
    #[serde(borrow, default)]
    scope_spans: Vec<ScopeSpans<'a>>,
}

#[derive(Default, Deserialize)]
struct Resource<'a> {
    #[serde(borrow, default)]
    attributes: Several<JsonPair<'a>>,
}

#[derive(Deserialize)]
struct ScopeSpans<'a> {
    #[serde(borrow, default)]
    scope: Scope<'a>,
    /// Each is read when its turn comes.
    #[serde(borrow, default)]
    spans: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Scope<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    version: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonSpan<'a> {
    #[serde(default)]
    trace_id: Hex,
    #[serde(default)]
    span_id: Hex,
    #[serde(default)]
    parent_span_id: Hex,
    #[serde(borrow, default)]
    trace_state: Text<'a>,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(default)]
    kind: u64,
    #[serde(default)]
    start_time_unix_nano: Whole<u64>,
    #[serde(default)]
    end_time_unix_nano: Whole<u64>,
    #[serde(borrow, default)]
    attributes: Several<JsonPair<'a>>,
    #[serde(default)]
    dropped_attributes_count: u64,
    #[serde(borrow, default)]
    events: Several<JsonEvent<'a>>,
    #[serde(default)]
    dropped_events_count: u64,
    #[serde(borrow, default)]
    links: Several<JsonLink<'a>>,
    #[serde(default)]
    dropped_links_count: u64,
    #[serde(borrow, default)]
    status: Status<'a>,
}

#[derive(Default, Deserialize)]
struct Status<'a> {
    #[serde(borrow, default)]
    message: Text<'a>,
    #[serde(default)]
    code: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonEvent<'a> {
    #[serde(default)]
    time_unix_nano: Whole<u64>,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    attributes: Several<JsonPair<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonLink<'a> {
    #[serde(default)]
    trace_id: Hex,
    #[serde(default)]
    span_id: Hex,
    #[serde(borrow, default)]
    attributes: Several<JsonPair<'a>>,
}

#[derive(Deserialize)]
struct JsonPair<'a> {
    #[serde(borrow)]
    key: Text<'a>,
    #[serde(borrow, default)]
    value: JsonValue<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonValue<'a> {
    #[serde(borrow)]
    string_value: Option<Text<'a>>,
    bool_value: Option<bool>,
    int_value: Option<Whole<i64>>,
    double_value: Option<f64>,
    bytes_value: Option<Text<'a>>,
    array_value: Option<JsonList<'a>>,
    kvlist_value: Option<JsonMap<'a>>,
}

#[derive(Deserialize)]
struct JsonList<'a> {
    #[serde(borrow, default)]
    values: Several<JsonValue<'a>>,
}

#[derive(Deserialize)]
struct JsonMap<'a> {
    #[serde(borrow, default)]
    values: Several<JsonPair<'a>>,
}

/// At most so many as a span may have; the rest is counted.
struct Several<T> {
    kept: Vec<T>,
    left_out: u64,
}

impl<T> Default for Several<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), left_out: 0 }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counted<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Counted<T> {
            type Value = Several<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Several<T>, A::Error> {
                let mut several = Several::default();
                while (several.kept.len() as u64) < PARTS_MOST {
                    match seq.next_element()? {
                        Some(part) => several.kept.push(part),
                        None => return Ok(several),
                    }
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    several.left_out += 1;
                }
                Ok(several)
            }
        }
        deserializer.deserialize_seq(Counted(std::marker::PhantomData))
    }
}

/// An id.
#[derive(Default)]
struct Hex(Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        let pairs = text.as_bytes().chunks(2);
        let read = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        read.collect::<Option<_>>().map(Self).ok_or_else(|| D::Error::custom("an id is not in hex"))
    }
}

/// A whole number, as one or as text.
#[derive(Default, Clone, Copy)]
struct Whole<N>(N);

impl<'de, N: Deserialize<'de> + std::str::FromStr> Deserialize<'de> for Whole<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<'a, N> {
            Number(N),
            #[serde(borrow)]
            Text(Text<'a>),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(Self(number)),
            Either::Text(text) => text.parse().map(Self).map_err(|_| D::Error::custom("not a whole number")),
        }
    }
}

/// Hands each span to `take`.
pub(super) fn each_span<'a>(request: &'a [u8], take: &mut impl Take<'a>) -> Result<(), serde_json::Error> {
    if !request.trim_ascii_start().starts_with(b"{") {
        return Err(serde_json::Error::custom("it is not an object"));
    }
    let request: Request<'a> = serde_json::from_slice(request)?;
    for made in request.resource_spans {
        let mut parts = Parts::default();
        take.resource(parts.pairs(made.resource.attributes));
        for scope in made.scope_spans {
            take.scope(scope.scope.name, scope.scope.version);
            for span in scope.spans {
                let read = serde_json::from_str::<JsonSpan<'a>>(span.get());
                take.span(read.ok().map(given).as_ref());
            }
        }
    }
    Ok(())
}

/// What the answer of a receiver says of those that were not taken, which it calls `name`.
pub(super) fn rejected(answer: &[u8], name: &str) -> u64 {
    let answer: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
    let said = &answer["partialSuccess"][name];
    said.as_u64().or_else(|| said.as_str()?.parse().ok()).unwrap_or_default()
}

fn given(span: JsonSpan<'_>) -> GivenSpan<'_> {
    let mut parts = Parts::default();
    let attributes = parts.pairs(span.attributes);
    let events = parts.each(span.events, |parts, event| GivenEvent {
        at: event.time_unix_nano.0,
        name: event.name,
        attributes: parts.pairs(event.attributes),
    });
    let links = parts.each(span.links, |parts, link| GivenLink {
        trace: Cow::Owned(link.trace_id.0),
        span: Cow::Owned(link.span_id.0),
        attributes: parts.pairs(link.attributes),
    });
    let dropped = [span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count];
    GivenSpan {
        trace: Cow::Owned(span.trace_id.0),
        id: Cow::Owned(span.span_id.0),
        parent: Cow::Owned(span.parent_span_id.0),
        state: span.trace_state,
        name: span.name,
        kind: span.kind,
        start: span.start_time_unix_nano.0,
        end: span.end_time_unix_nano.0,
        status: span.status.code,
        message: span.status.message,
        attributes,
        events,
        links,
        left_out: dropped.into_iter().fold(parts.left_out, u64::saturating_add),
    }
}

/// Counts the parts of a span.
#[derive(Default)]
struct Parts {
    taken: u64,
    left_out: u64,
}

impl Parts {
    fn each<J, G>(&mut self, several: Several<J>, read: impl Fn(&mut Self, J) -> G) -> Vec<G> {
        self.left_out = self.left_out.saturating_add(several.left_out);
        let mut kept = Vec::with_capacity(several.kept.len().min(16));
        for part in several.kept {
            if self.taken >= PARTS_MOST {
                self.left_out = self.left_out.saturating_add(1);
            } else {
                self.taken += 1;
                kept.push(read(self, part));
            }
        }
        kept
    }

    fn pairs<'a>(&mut self, pairs: Several<JsonPair<'a>>) -> Vec<Pair<'a>> {
        self.each(pairs, |parts, pair| Pair { key: pair.key, value: parts.value(pair.value) })
    }

    fn value<'a>(&mut self, value: JsonValue<'a>) -> Given<'a> {
        let JsonValue { string_value, bool_value, int_value, double_value, bytes_value, array_value, kvlist_value } =
            value;
        None.or(string_value.map(Given::Text))
            .or(bool_value.map(Given::Bool))
            .or(int_value.map(|number| Given::Number(number.0)))
            .or(double_value.map(Given::Real))
            // Bytes stay in base64, as whoever wrote JSON would read them.
            .or(bytes_value.map(Given::Text))
            .or_else(|| array_value.map(|list| Given::List(self.each(list.values, Self::value))))
            .or_else(|| kvlist_value.map(|map| Given::Map(self.pairs(map.values))))
            .unwrap_or(Given::Empty)
    }
}
