//! Stored messages of a stream.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Ask, Failure, Parameter, Route, json,
    known::Moment,
    list::{limit, limit_of},
    parameter,
};
use crate::{
    mask::Masked,
    message::header,
    name::StreamName,
    peek::{End, Found, Stored, Unclear},
    snapshot::{Reading, Why},
    views::{self, Browse, Read},
};

/// Messages of one answer at the most: as many as a page shows.
const ROWS_MOST: usize = views::MESSAGES;

/// Bytes of a payload that are told.
const PAYLOAD_MOST: usize = 16 << 10;

/// Stored messages of a stream.
pub(super) const LIST: Route = Route {
    path: "/streams/{account}/{stream}/messages",
    summary: "Stored messages of a stream, the newest first, read without a consumer. Secrets that a rule knows are left out.",
    query: &[
        Parameter::text("subject", "A subject pattern that the messages are on; all subjects unless it is said."),
        Parameter::text("header", "A header that the messages have, as `name` or `name=value`."),
        Parameter::text(
            "filter",
            "What is asked of each message: an expression in CEL over `subject`, `headers` (names in small letters), `body` where it is JSON, and `sequence`.",
        ),
        Parameter::number(
            "before",
            "Only messages below this sequence, the newest of them; 400 for what is no sequence.",
            0,
            u64::MAX,
        ),
        Parameter::number(
            "from",
            "Only messages from this sequence on, the oldest of them; 400 for what is no sequence.",
            0,
            u64::MAX,
        ),
        Parameter::form(
            "at",
            "Only messages stored at this time or later, the oldest of them; 400 for what is no time.",
            views::is_moment,
            views::MOMENT,
        ),
        limit_of("Messages of an answer: 50 unless it is said, from 1 to 50; 400 for anything else.", ROWS_MOST),
    ],
    schema: |generator| generator.subschema_for::<MessagesAnswer>(),
    answer: |ask| json(&MessagesAnswer::of(found(ask)?)),
};

/// Messages that have to be read before the question can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The account.
    pub account: String,
    /// The stream.
    pub stream: StreamName,
    /// Which of its messages.
    pub browse: Browse,
    /// How many at the most.
    pub rows: usize,
}

impl Ask<'_> {
    /// What had to be read for it.
    fn wanted(&self) -> Option<Wanted> {
        let [account, stream] = self.parts.as_slice() else { return None };
        Wanted::of(account, stream, self.query)
    }
}

impl Wanted {
    fn of(account: &str, stream: &str, query: &str) -> Option<Self> {
        let rows = limit(query, ROWS_MOST);
        Some(Self { account: account.to_owned(), stream: stream.parse().ok()?, browse: Browse::of_query(query), rows })
    }
}

/// What has to be read for a question at `path`, below [`crate::views::API_PREFIX`]; nothing for one that makes no sense.
pub fn wanted(path: &str, query: &str) -> Option<Wanted> {
    parameter::check(LIST.query, query).ok()?;
    let [account, stream]: [String; 2] = super::parts(LIST.path, path)?.try_into().ok()?;
    Wanted::of(&account, &stream, query)
}

fn found<'a>(ask: &Ask<'a>) -> Result<&'a Found, Failure> {
    let Read::Found(reading) = ask.read else {
        return Err(Failure::not_found("there can be no stream of this name"));
    };
    if let Some(found) = reading.value() {
        return Ok(found);
    }
    if let Some(Err(why)) = ask.wanted().map(|wanted| wanted.browse.question(&wanted.stream, wanted.rows)) {
        return Err(Failure { status: 400, code: "unclear", message: why });
    }
    let reason = reading.reason().unwrap_or_default();
    Err(match reading {
        Reading::Unknown { why: Why::Absent, .. } => Failure::not_found(reason),
        _ => Failure::unknown(format!("the messages are not known: {reason}")),
    })
}

/// Stored messages, and how much was searched for them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Messages")]
struct MessagesAnswer {
    /// Sequences that were searched.
    searched: u64,
    /// Sequences that there are, from the oldest message to the newest.
    sequences: u64,
    /// Messages that the stream holds.
    held: u64,
    /// Why the search ended.
    ended: EndAnswer,
    /// What to ask for with `before` to find older ones; null where there are none.
    older: Option<u64>,
    /// What to ask for with `from` to find newer ones; null where there are none.
    newer: Option<u64>,
    /// Messages that the filter could not judge, which are left out; null where there are none.
    unclear: Option<UnclearAnswer>,
    /// The messages, the newest first.
    rows: Vec<MessageAnswer>,
}

/// Messages that the filter could not judge.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UnclearMessages")]
struct UnclearAnswer {
    count: u64,
    /// Why, of the first of them.
    why: String,
}

/// Why a search ended.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SearchEnd")]
enum EndAnswer {
    /// It came to the end of the stream.
    All,
    /// It found as many messages as were wanted.
    Rows,
    /// It looked into as many messages as one search may.
    Looked,
    /// It read as many bytes as one search may.
    Bytes,
    /// It took as long as one search may.
    Time,
}

/// A stored message.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Message")]
struct MessageAnswer {
    sequence: u64,
    stored: Moment,
    subject: String,
    message_id: Option<String>,
    correlation_id: Option<String>,
    /// The trace that it belongs to, as 32 hex digits.
    trace_id: Option<String>,
    /// Its headers, each with its values.
    headers: BTreeMap<String, Vec<String>>,
    /// Bytes of its payload as it is stored.
    size: u64,
    /// As what the payload is told: `json`, `text`, `cbor`, `msgpack` or `hex`; null where it is empty.
    form: Option<String>,
    /// The payload, unpacked, as its page shows it.
    payload: String,
    /// Whether the payload goes on.
    is_cut: bool,
    /// How many values were left out, and by which rule.
    masked: Vec<String>,
    /// What was done to see the payload, or stood in the way.
    notes: Vec<String>,
}

impl MessagesAnswer {
    fn of(found: &Found) -> Self {
        let ended = match found.end {
            End::All => EndAnswer::All,
            End::Rows => EndAnswer::Rows,
            End::Looked => EndAnswer::Looked,
            End::Bytes => EndAnswer::Bytes,
            End::Time => EndAnswer::Time,
        };
        Self {
            searched: found.searched,
            sequences: found.held.sequences(),
            held: found.held.messages,
            ended,
            older: found.older,
            newer: found.newer,
            unclear: found
                .unclear
                .as_ref()
                .map(|Unclear { count, why }| UnclearAnswer { count: *count, why: why.clone() }),
            rows: found.rows.iter().map(MessageAnswer::of).collect(),
        }
    }
}

impl MessageAnswer {
    fn of(message: &Stored) -> Self {
        let shown = views::show_payload(message, None, PAYLOAD_MOST);
        let mut masked: Masked = shown.masked;
        let mut headers = BTreeMap::<_, Vec<_>>::new();
        for (name, value) in views::message_headers(message, &mut masked) {
            headers.entry(name).or_default().push(value);
        }
        let told = |name: &str| {
            let mut named = headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            named.find_map(|(_, values)| values.first().cloned())
        };
        Self {
            sequence: message.sequence,
            stored: Moment(message.stored),
            subject: message.subject.clone(),
            message_id: told(header::MESSAGE_ID),
            correlation_id: told(header::CORRELATION_ID),
            trace_id: views::trace_of(message),
            size: message.payload.len() as u64,
            form: shown.form.map(|form| form.token().to_owned()),
            payload: shown.text,
            is_cut: shown.is_cut,
            masked: masked.told(),
            notes: shown.notes,
            headers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_about_messages_says_what_has_to_be_read() {
        let wanted = wanted("/streams/%24G/ORDERS/messages", "from=7&limit=3").unwrap();
        assert_eq!((wanted.account.as_str(), wanted.stream.as_str(), wanted.rows), ("$G", "ORDERS", 3));
        assert_eq!(wanted.browse.from, "7");
        assert_eq!(super::wanted("/streams/A/ORDERS/messages", "").unwrap().rows, 50);
        for query in ["limit=51", "limit=0", "before=x", "from=-1", "at=soon"] {
            assert_eq!(super::wanted("/streams/A/ORDERS/messages", query), None, "{query}: nothing is read for it");
        }
        for path in ["/streams/A/ORDERS", "/streams/A/a.b/messages", "/streams"] {
            assert_eq!(super::wanted(path, ""), None, "{path}");
        }
    }
}
