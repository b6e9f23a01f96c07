//! How to ask for stored messages by other means.

use super::{API_PREFIX, Equivalent, Equivalents, row, shell};
use crate::{
    name::StreamName,
    views::{Look, browse::Browse, page::encoded},
};

const SUMMARY: &str = "The same from nats and the API";

impl Equivalents {
    /// Other ways to the messages of a stream, from the sequence of the newest that was found.
    pub(in crate::views) fn of_messages(
        account: &str,
        stream: &StreamName,
        browse: &Browse,
        first: Option<u64>,
        look: &Look<'_>,
    ) -> Self {
        let mut rows: Vec<Equivalent> = first.map(|first| get(stream, first)).into_iter().flatten().collect();
        let pattern = Some(browse.subject.as_str()).filter(|subject| !subject.is_empty()).unwrap_or(">");
        let question =
            serde_json::json!({ "seq": browse.from.parse().ok().or(first).unwrap_or(1), "next_by_subj": pattern });
        rows.push(row("the next from a sequence on", "API", request(stream, &question)));
        rows.push(row("as JSON", "API of this program", api(account, stream, browse, look)));
        Self::with(SUMMARY, rows)
    }

    /// Other ways to a message.
    pub(in crate::views) fn of_message(account: &str, stream: &StreamName, sequence: u64, look: &Look<'_>) -> Self {
        let mut rows: Vec<Equivalent> = get(stream, sequence).into();
        let only = Browse { from: sequence.to_string(), ..Browse::default() };
        rows.push(row("as JSON", "API of this program", format!("{}&limit=1", api(account, stream, &only, look))));
        Self::with(SUMMARY, rows)
    }
}

fn get(stream: &StreamName, sequence: u64) -> [Equivalent; 2] {
    let question = serde_json::json!({ "seq": sequence });
    [
        row("the message", "nats", format!("nats stream get {} {sequence}", shell(stream.as_str()))),
        row("the message", "API", request(stream, &question)),
    ]
}

fn request(stream: &StreamName, question: &serde_json::Value) -> String {
    let subject = format!("$JS.API.STREAM.MSG.GET.{stream}");
    format!("nats request {} {}", shell(&subject), shell(&question.to_string()))
}

fn api(account: &str, stream: &StreamName, browse: &Browse, look: &Look<'_>) -> String {
    let (base, stream) = (&look.site.base, encoded(stream.as_str()));
    format!("{base}{API_PREFIX}/streams/{}/{stream}/messages{browse}", encoded(account))
}
