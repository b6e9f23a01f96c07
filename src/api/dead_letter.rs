//! Dead letters.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Ask, Failure, Parameter, Route, json,
    known::{Moment, said},
    list::{ACCOUNT, LIMIT, List, PAGE},
};
use crate::{
    snapshot::{Letter, Letters, Watched},
    views::{self, Form},
};

/// The newest dead letters.
pub(super) const LIST: Route = Route {
    path: "/dead-letters",
    summary: "Messages that workers gave up, the newest first, as far as they were read.",
    query: &[ACCOUNT, PAGE, LIMIT],
    schema: |generator| generator.subschema_for::<List<LetterAnswer>>(),
    answer: |ask| {
        let known = ask.accounts().filter_map(|watched| Some((watched, watched.dead_letters.value()?)));
        let missing = known.clone().filter_map(|(_, letters)| unread(letters)).collect();
        let rows = known.flat_map(|(watched, letters)| letters.rows.iter().map(move |letter| (watched, letter)));
        let reason = ask.reason(|watched| watched.dead_letters.reason());
        json(&List::of(ask, rows.collect(), LetterAnswer::of)?.lacking(reason, missing))
    },
};

/// One of them.
pub(super) const ONE: Route = Route {
    path: "/dead-letters/{stream}/{consumer}/{sequence}",
    summary: "One dead letter, by where its message was given up, with its headers. Secrets that a rule knows are left out.",
    query: &[Parameter::text("account", "The account, where several have such a letter.")],
    schema: |generator| generator.subschema_for::<LetterDetail>(),
    answer: |ask| json(&LetterDetail::of(found(ask)?)),
};

fn found<'a>(ask: &Ask<'a>) -> Result<(&'a Watched, &'a Letter), Failure> {
    let is_it = |letter: &&Letter| {
        let place = &letter.place;
        ask.parts == [place.stream.to_string(), place.consumer.to_string(), place.sequence.to_string()]
    };
    let in_account = |watched: &'a Watched| Some((watched, watched.dead_letters.value()?.rows.iter().find(is_it)?));
    let mut found = ask.accounts().filter_map(in_account);
    let first = found.next();
    if found.next().is_some() {
        return Err(Failure::ambiguous("several accounts have such a letter: say which with ?account="));
    }
    first.ok_or_else(|| match ask.reason(|watched| watched.dead_letters.reason()) {
        None => Failure::not_found("no such letter is among the newest; `streamgauge dlq show` reads older ones"),
        Some(reason) => Failure::unknown(format!("dead letters are not known: {reason}")),
    })
}

/// How many letters there are beside those that were read.
fn unread(letters: &Letters) -> Option<String> {
    let older = letters.total.saturating_sub(letters.rows.len() as u64);
    (older > 0).then(|| format!("{older} older ones, or such as could not be understood"))
}

/// A message that a worker gave up, by the copy that it left.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeadLetter")]
struct LetterAnswer {
    /// The account; empty where its name is not known.
    account: String,
    /// Where it died: the stream, the consumer, and its sequence in the stream.
    stream: String,
    consumer: String,
    sequence: u64,
    /// The subject that it was published on.
    subject: String,
    message_id: Option<String>,
    /// Why it was given up, in words.
    reason: String,
    /// What kind of failure, one of few.
    class: String,
    /// How often a handler was started on it, if its worker counted.
    attempts: Option<u32>,
    /// How often the server delivered it.
    deliveries: Option<u64>,
    /// When its stream took it.
    published: Option<Moment>,
    /// When it was given up.
    died: Moment,
    /// Of one that was replayed and died again: which letter that was.
    replay_of: Option<String>,
    /// Of one that was replayed and died again: the how many-th replay.
    replay_generation: Option<u32>,
    /// The trace that it belongs to, as 32 hex digits.
    trace_id: Option<String>,
    /// Bytes of its payload.
    size: u64,
}

/// A dead letter, and what it says.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeadLetterDetail")]
struct LetterDetail {
    #[serde(flatten)]
    letter: LetterAnswer,
    /// Its own headers, each with its values.
    headers: BTreeMap<String, Vec<String>>,
    /// The beginning of its payload as its page shows it; null where it is empty, no text, or lies elsewhere.
    payload_begins: Option<String>,
    /// How many values were left out of headers and payload, and by which rule.
    masked: Vec<String>,
}

impl LetterAnswer {
    fn of((watched, letter): (&Watched, &Letter)) -> Self {
        let repeat = letter.repeat.as_ref();
        Self {
            account: watched.name().to_owned(),
            stream: letter.place.stream.to_string(),
            consumer: letter.place.consumer.to_string(),
            sequence: letter.place.sequence,
            subject: letter.subject.clone(),
            message_id: letter.message_id.as_deref().map(said),
            reason: said(&letter.reason),
            class: said(&letter.class),
            attempts: letter.attempts,
            deliveries: letter.deliveries,
            published: letter.published.map(Moment),
            died: Moment(letter.died),
            replay_of: repeat.map(|repeat| repeat.first.clone()),
            replay_generation: repeat.map(|repeat| repeat.generation),
            trace_id: letter.trace_id.clone(),
            size: letter.size,
        }
    }
}

impl LetterDetail {
    fn of((watched, letter): (&Watched, &Letter)) -> Self {
        let said = views::said_of_letter(letter);
        let mut headers = BTreeMap::<_, Vec<_>>::new();
        for (name, value) in said.headers {
            headers.entry(name).or_default().push(value);
        }
        let is_text = said.payload.form.is_some_and(|form| form != Form::Hex);
        Self {
            letter: LetterAnswer::of((watched, letter)),
            headers,
            payload_begins: is_text.then_some(said.payload.text),
            masked: said.masked.told(),
        }
    }
}
