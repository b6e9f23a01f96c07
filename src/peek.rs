//! A look at stored messages: what is asked for, and what was found. No look changes anything.

mod filter;
mod mention;

use bytes::Bytes;

use crate::{
    clock::Timestamp,
    mask::{self, Masked},
    name::{StreamName, SubjectPattern},
    words::has,
};

pub use filter::{Filter, FilterError, Judged};
pub use mention::Mention;

/// Which messages of a stream to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The stream.
    pub stream: StreamName,
    /// The subjects; `None` for all.
    pub pattern: Option<SubjectPattern>,
    /// Where to begin.
    pub begin: Begin,
    /// A header that the messages have; `None` for any message.
    pub header: Option<HeaderIs>,
    /// What is asked of each message; `None` for nothing.
    pub filter: Option<Filter>,
    /// What their subjects have; `None` for anything.
    pub has: Option<SubjectHas>,
    /// The id that they mention; `None` for any message.
    pub mention: Option<Mention>,
    /// Until when they were stored, on the way towards newer ones; `None` for no end.
    pub until: Option<Timestamp>,
    /// How many messages at the most.
    pub rows: usize,
}

impl Question {
    /// The newest messages of a stream, whatever they say.
    pub fn newest(stream: StreamName, rows: usize) -> Self {
        let (pattern, header, filter, has, mention, until) = (None, None, None, None, None, None);
        Self { stream, pattern, begin: Begin::Newest, header, filter, has, mention, until, rows }
    }
}

/// Where a look begins, and into which direction it goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Begin {
    /// At the newest message, towards older ones.
    #[default]
    Newest,
    /// Below this sequence, towards older ones.
    Before(u64),
    /// At this sequence, towards newer ones.
    From(u64),
    /// At the first message that was stored at this time or later, towards newer ones.
    At(Timestamp),
}

/// A text that a subject must have somewhere, in letters of either case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectHas {
    /// What all of the subjects begin with, which is not looked at.
    pub behind: String,
    /// The text.
    pub part: String,
}

impl SubjectHas {
    /// Whether the subject has it.
    pub fn is_in(&self, subject: &str) -> bool {
        subject.strip_prefix(&self.behind).is_some_and(|rest| has(rest, &self.part))
    }
}

/// A header that a message must have, its name in letters of either case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderIs {
    /// Its name.
    pub name: String,
    /// What it must say; `None` for anything.
    pub value: Option<String>,
}

impl HeaderIs {
    /// Reads `name` or `name=value`; `None` of a text without a name.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.trim().to_owned())),
            None => (text, None),
        };
        let name = name.trim().to_owned();
        (!name.is_empty()).then_some(Self { name, value })
    }

    /// Whether the message has it. What is masked cannot be found out by asking.
    pub fn is_of(&self, message: &Stored) -> bool {
        let mut named = message.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(&self.name));
        named.any(|(name, value)| match &self.value {
            None => true,
            Some(wanted) => mask::header(name, value, &mut Masked::default()).trim() == wanted,
        })
    }
}

/// A message as a stream holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its sequence.
    pub sequence: u64,
    /// When the stream took it.
    pub stored: Timestamp,
    /// The subject that it was published on; of any form, since publishers may choose it.
    pub subject: String,
    /// Its headers, each value by itself.
    pub headers: Vec<(String, String)>,
    /// Its payload.
    pub payload: Bytes,
}

impl Stored {
    /// The first value of a header, its name in letters of either case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What a stream held when it was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Sequence of its oldest message.
    pub first: u64,
    /// Sequence of the newest message that it ever stored.
    pub last: u64,
    /// Messages.
    pub messages: u64,
}

impl Held {
    /// Sequences from the oldest message to the newest, also those whose messages are gone.
    pub fn sequences(&self) -> u64 {
        if self.messages == 0 { 0 } else { (self.last + 1).saturating_sub(self.first.max(1)) }
    }
}

/// The messages that were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Them, the newest first.
    pub rows: Vec<Stored>,
    /// Sequences that were searched; between the first and the last of them no message was left out.
    pub searched: u64,
    /// What the stream held.
    pub held: Held,
    /// Why the search ended.
    pub end: End,
    /// Where older messages are looked for: below this sequence. `None` where there are none.
    pub older: Option<u64>,
    /// Where newer messages are looked for: from this sequence on. `None` where there are none yet.
    pub newer: Option<u64>,
    /// Messages that the filter could not judge: they are not among those that were found.
    pub unclear: Option<Unclear>,
}

/// Messages that a filter could not judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclear {
    /// How many.
    pub count: u64,
    /// Why, of the first of them.
    pub why: String,
}

/// Why a search ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum End {
    /// It came to the end of the stream, or of the time that was asked for.
    #[default]
    All,
    /// As many messages as were wanted are found.
    Rows,
    /// It looked into as many messages as one look may, where only what is in them tells whether they are wanted.
    Looked,
    /// It read as many bytes as one look may.
    Bytes,
    /// It took as long as one look may.
    Time,
}

/// One message by its sequence, and its neighbours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct One {
    /// The message; `None` where the stream does not hold it.
    pub message: Option<Stored>,
    /// What the stream held.
    pub held: Held,
    /// Sequence of the message before it, where one was found.
    pub older: Option<u64>,
    /// Sequence of the message after it.
    pub newer: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, headers: &[(&str, &str)], expected: Option<bool>) {
        let message = Stored {
            sequence: 1,
            stored: Timestamp::parse("2030-01-31T12:00:00Z").unwrap(),
            subject: "a".to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            payload: Bytes::new(),
        };
        assert_eq!(HeaderIs::parse(text).map(|header| header.is_of(&message)), expected, "{text:?}");
    }

    #[test]
    fn a_header_is_asked_for_by_its_name_and_what_it_says() {
        let sent =
            [("CE-Type", "OrderPlaced"), ("a", "1"), ("a", "2=3"), ("X-Token", "abc"), ("card", "4111111111111111")];
        check("ce-type", &sent, Some(true));
        check(" ce-type = OrderPlaced ", &sent, Some(true));
        check("ce-type=orderplaced", &sent, Some(false));
        check("a=2=3", &sent, Some(true));
        check("a=", &sent, Some(false));
        check("b", &sent, Some(false));
        check("x-token", &sent, Some(true));
        check("x-token=abc", &sent, Some(false));
        check("card=4111111111111111", &sent, Some(false));
        check("", &sent, None);
        check("=x", &sent, None);
    }

    #[test]
    fn a_part_of_a_subject_is_looked_for_behind_what_all_have() {
        let check = |part: &str, subject: &str, expected| {
            let has = SubjectHas { behind: "$KV.records.".to_owned(), part: part.to_owned() };
            assert_eq!(has.is_in(subject), expected, "{part} in {subject}");
        };
        check("ORDER.7", "$KV.records.order.77", true);
        check("", "$KV.records.order.7", true);
        check("rec", "$KV.records.order.7", false);
        check("order", "order.7", false);
    }

    #[test]
    fn sequences_are_counted_with_their_holes() {
        let check = |first, last, messages, expected| {
            assert_eq!(Held { first, last, messages }.sequences(), expected, "{first} to {last}");
        };
        check(1, 10, 10, 10);
        check(5, 10, 2, 6);
        check(11, 10, 0, 0);
        check(0, 0, 0, 0);
    }
}
