//! Dead letters in words, for people.

use std::fmt::Write;

use serde_json::Value;

use crate::{
    advisory,
    clock::Timestamp,
    consumer::dead_letter::{Listing, Replay},
    dead_letter::{self, Body, DeadLetter, Kind, Place},
    message::Message,
    words,
};

/// So much of a payload that is text is shown, in characters.
const TEXT_MAX: usize = 65_536;

/// So much of a payload that is not text is shown, in bytes.
const HEX_MAX: usize = 1_024;

/// So much of a reason stands in a list, in characters.
const REASON_MAX: usize = 160;

/// A list.
pub(super) fn listing(listing: &Listing, earlier: &[Option<Replay>], is_everything: bool, now: Timestamp) -> String {
    let mut text = String::new();
    for (letter, earlier) in listing.letters.iter().zip(earlier) {
        line(&mut text, letter, earlier.as_ref(), now);
    }
    match (listing.letters.len(), is_everything) {
        (0, true) => text.push_str("No dead letters: no worker has given up on a message that is still kept.\n"),
        (0, false) => text.push_str("No dead letter fits these flags.\n"),
        (count, _) => {
            let more =
                if listing.is_cut { " There are more: raise --limit, or narrow with the flags of --help." } else { "" };
            let _written = writeln!(text, "\n{}, the newest first.{more}", counted(count));
            text.push_str(
                "All of one: streamgauge dlq show ID. To try it again: streamgauge dlq replay ID --dry-run\n",
            );
        }
    }
    if !listing.sees_advisories {
        let _written = writeln!(
            text,
            "Not seen: messages that only the server gave up on (max_deliver), or that workers of other libraries terminated. Stream {0} \
             would keep what the server tells of them; `streamgauge topology apply --only {0}` makes it, and it knows of what happens from then on.",
            advisory::STREAM
        );
    }
    text
}

/// There is no such letter.
pub(super) fn unknown(place: &Place) -> String {
    format!(
        "there is no dead letter {place}: `streamgauge dlq list` shows those that there are; they are kept for as long as stream {} says",
        dead_letter::STREAM
    )
}

/// How many letters.
pub(super) fn counted(count: usize) -> String {
    words::counted(count as u64, "dead letter")
}

fn line(text: &mut String, letter: &DeadLetter, earlier: Option<&Replay>, now: Timestamp) {
    let subject = letter.message.as_ref().map_or("subject unknown", |message| message.subject.as_str());
    let age = letter.death.time.age(now);
    let _written = writeln!(text, "{}  {age} ago  {subject}", letter.place);
    let reason: String = letter.death.reason.chars().take(REASON_MAX).collect();
    let _written = writeln!(text, "    {}: {reason}", letter.death.class);
    for remark in remarks(letter, earlier, now) {
        let _written = writeln!(text, "    {remark}");
    }
}

/// What an operator should know before doing anything.
fn remarks(letter: &DeadLetter, earlier: Option<&Replay>, now: Timestamp) -> Vec<String> {
    let mut remarks = Vec::new();
    if letter.is_doubtful() {
        remarks.push(
            "may have been processed: the server gave up waiting, and a worker that settles late leaves no trace of it"
                .to_owned(),
        );
    }
    match &letter.body {
        Body::Gone => remarks.push(format!("gone: stream {} has let go of the message", letter.place.stream)),
        Body::Unreadable(why) => remarks.push(format!("the message cannot be read: {why}")),
        Body::Copied | Body::InStore | Body::InStream => {}
    }
    if let Some(repeat) = letter.repeat() {
        remarks.push(format!("came back: replay {} of {} died again", repeat.generation, repeat.first));
    }
    remarks.extend(earlier.map(|replay| replayed(replay, now)));
    remarks
}

/// What became of an earlier replay.
pub(super) fn replayed(replay: &Replay, now: Timestamp) -> String {
    let times = if replay.generation > 1 { format!(", for the {}. time,", replay.generation) } else { String::new() };
    match (replay.published, replay.sequence) {
        (Some(at), Some(sequence)) => {
            format!("replayed{times} {} ago, as message {} at sequence {sequence}", at.age(now), replay.message_id)
        }
        (Some(at), None) => format!("replayed{times} {} ago, as message {}", at.age(now), replay.message_id),
        (None, _) => format!(
            "a replay was begun {} ago and not seen to its end; replaying it again finishes it and publishes nothing twice",
            replay.claimed.age(now)
        ),
    }
}

/// All of one letter.
pub(super) fn letter(letter: &DeadLetter, earlier: Option<&Replay>, now: Timestamp) -> String {
    let mut text = format!("Dead letter {}\n", letter.place);
    let mut row = |name: &str, value: String| {
        let _written = writeln!(text, "  {name:<12} {value}");
    };
    row("given up", format!("{} ({} ago) {}", letter.death.time, letter.death.time.age(now), by(letter)));
    row("reason", letter.death.reason.clone());
    row("class", letter.death.class.clone());
    let deliveries = letter.deliveries.map_or_else(|| "unknown".to_owned(), |count| count.to_string());
    match letter.death.attempts {
        Some(attempts) => row("attempts", format!("{attempts}, in {deliveries} deliveries")),
        None => row("deliveries", deliveries),
    }
    if let Some(published) = letter.published {
        row("published", format!("{published} ({} ago)", published.age(now)));
    }
    if let Some(message) = &letter.message {
        rows_of(message, &mut row);
    }
    if let Some(trace) = letter.trace {
        row("trace", trace.trace_id_text());
    }
    for remark in remarks(letter, earlier, now) {
        row("note", remark);
    }
    if let Some(message) = letter.message.as_ref().filter(|_| !matches!(letter.body, Body::Gone | Body::Unreadable(_)))
    {
        text.push_str("  headers\n");
        for (name, value) in &message.headers {
            let _written = writeln!(text, "    {name}: {value}");
        }
        let _written = writeln!(text, "  payload, {} bytes", message.payload.len());
        text.push_str(&indented(&payload(&message.payload)));
        let _written =
            writeln!(text, "To try it again: streamgauge dlq replay {} --dry-run, then with --yes", letter.place);
    }
    text
}

fn by(letter: &DeadLetter) -> String {
    let consumer = &letter.place.consumer;
    match (letter.kind, letter.copy) {
        (Kind::Buried, Some(sequence)) => {
            format!("by a worker of {consumer}, which kept a copy ({} {sequence})", dead_letter::STREAM)
        }
        (Kind::Buried, None) => format!("by a worker of {consumer}"),
        (Kind::Exhausted, _) => format!("by the server for {consumer}: no more deliveries are allowed"),
        (Kind::Terminated, _) => format!("by a worker of {consumer} that kept no copy"),
    }
}

fn rows_of(message: &Message, row: &mut impl FnMut(&str, String)) {
    row("subject", message.subject.to_string());
    let mut some = |name, value: Option<String>| value.into_iter().for_each(|value| row(name, value));
    some("message id", message.id.as_ref().map(ToString::to_string));
    some("schema", message.schema.as_ref().map(ToString::to_string));
    some("source", message.source.clone());
    some("correlation", message.correlation.as_ref().map(ToString::to_string));
    some("causation", message.causation.as_ref().map(ToString::to_string));
}

/// A payload as it is best read: JSON with its lines broken, text as it is, else the first bytes as hex.
fn payload(bytes: &[u8]) -> String {
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        return cut(&serde_json::to_string_pretty(&value).unwrap_or_default());
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(|c| c.is_control() && !c.is_whitespace()) => cut(text),
        _ => dump(bytes),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((at, _)) => format!("{}\n… and {} bytes more; --json shows all", &text[..at], text.len() - at),
        None => text.to_owned(),
    }
}

fn dump(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(HEX_MAX)];
    let mut lines: Vec<String> = shown.chunks(32).map(hex).collect();
    if bytes.len() > HEX_MAX {
        lines.push(format!("… and {} bytes more; --json shows all", bytes.len() - HEX_MAX));
    }
    lines.join("\n")
}

/// Two digits a byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _written = write!(text, "{byte:02x}");
        text
    })
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |mut all, line| {
        let _written = writeln!(all, "    {line}");
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: &str) {
        assert_eq!(payload(bytes), expected);
    }

    #[test]
    fn a_payload_is_shown_as_it_is_best_read() {
        check(br#"{"a":[1]}"#, "{\n  \"a\": [\n    1\n  ]\n}");
        check(b"not JSON, but text", "not JSON, but text");
        check(&[0, 255, 16], "00ff10");
        check(b"", "");
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        let hex = payload(&[0; HEX_MAX + 5]);
        assert!(hex.ends_with("… and 5 bytes more; --json shows all"), "{hex}");
        let text = payload("é".repeat(TEXT_MAX + 1).as_bytes());
        assert!(text.ends_with("… and 2 bytes more; --json shows all"));
    }

    #[test]
    fn an_empty_list_says_what_that_means() {
        let now = Timestamp::parse("2030-01-31T12:00:00Z").unwrap();
        let empty = |sees_advisories| Listing { letters: Vec::new(), is_cut: false, sees_advisories };
        assert!(listing(&empty(true), &[], true, now).starts_with("No dead letters: no worker has given up"));
        assert_eq!(listing(&empty(true), &[], false, now), "No dead letter fits these flags.\n");
        assert!(listing(&empty(false), &[], true, now).contains("Stream ADVISORIES would keep"));
    }
}
