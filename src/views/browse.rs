//! Which messages of a stream a page shows: a part of its address, so that what somebody found can be sent to somebody else.

use std::fmt;

use url::form_urlencoded;

use super::search::write_query;
use crate::{
    clock::Timestamp,
    name::{StreamName, SubjectPattern},
    peek::{Begin, Filter, HeaderIs, Question},
    words::not_taken,
};

/// Messages of one page.
pub(crate) const ROWS: usize = 50;

/// Longest text of an address that is looked at; what is longer is cut.
const TEXT_MOST: usize = 512;

/// What messages are looked for, as it stands in an address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Browse {
    /// A subject pattern; empty for all subjects.
    pub subject: String,
    /// A header, as `name` or `name=value`; empty for any message.
    pub header: String,
    /// What is asked of each message, in CEL; empty for nothing.
    pub filter: String,
    /// Only messages below this sequence; empty for all.
    pub before: String,
    /// Only messages from this sequence on; empty for all.
    pub from: String,
    /// Only messages that were stored at this time, in UTC, or later; empty for all.
    pub at: String,
}

impl Browse {
    /// Reads the query of an address. Whether it makes sense shows when the stream is asked.
    pub fn of_query(query: &str) -> Self {
        let mut browse = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value: String = value.trim().chars().filter(|letter| !letter.is_control()).take(TEXT_MOST).collect();
            match &*name {
                "subject" => browse.subject = value,
                "header" => browse.header = value,
                "filter" => browse.filter = value,
                "before" => browse.before = value,
                "from" => browse.from = value,
                "at" => browse.at = value,
                _ => {}
            }
        }
        browse
    }

    /// What is asked of the stream.
    ///
    /// # Errors
    /// When a text is not what it should be, in a sentence.
    pub fn question(&self, stream: &StreamName, rows: usize) -> Result<Question, String> {
        let pattern = match self.subject.as_str() {
            "" => None,
            text => Some(SubjectPattern::try_from(text).map_err(|error| error.to_string())?),
        };
        let header = match self.header.as_str() {
            "" => None,
            text => {
                let wrong = || format!("`{text}` names no header: give one as name or name=value");
                Some(HeaderIs::parse(text).ok_or_else(wrong)?)
            }
        };
        let filter = match self.filter.as_str() {
            "" => None,
            text => Some(Filter::parse(text).map_err(|error| error.to_string())?),
        };
        let begin = match (sequence("before", &self.before)?, sequence("from", &self.from)?, self.at.as_str()) {
            (Some(before), ..) => Begin::Before(before),
            (_, Some(from), _) => Begin::From(from),
            (.., "") => Begin::Newest,
            (.., at) => Begin::At(moment(at).ok_or_else(|| not_taken("at", at, MOMENT))?),
        };
        Ok(Question { pattern, begin, header, filter, ..Question::newest(stream.clone(), rows) })
    }

    /// Whether messages can be looked for on these subjects.
    pub(super) fn may_be_on(subject: &str) -> bool {
        subject.len() <= TEXT_MOST && SubjectPattern::try_from(subject).is_ok()
    }

    /// All on these subjects.
    pub(super) fn on(subject: &str) -> Self {
        Self { subject: subject.to_owned(), ..Self::default() }
    }

    /// The same from the newest on.
    pub(super) fn newest(&self) -> Self {
        Self { before: String::new(), from: String::new(), at: String::new(), ..self.clone() }
    }

    /// The same below a sequence.
    pub(super) fn before(&self, sequence: u64) -> Self {
        Self { before: sequence.to_string(), ..self.newest() }
    }

    /// The same from a sequence on.
    pub(super) fn from(&self, sequence: u64) -> Self {
        Self { from: sequence.to_string(), ..self.newest() }
    }

    /// Whether messages are left out that are neither older nor newer.
    pub(super) fn is_narrow(&self) -> bool {
        !(self.subject.is_empty() && self.header.is_empty() && self.filter.is_empty())
    }

    /// The time that is asked for as a field takes it that asks for one.
    pub(super) fn at_field(&self) -> String {
        moment(&self.at).map(field).unwrap_or_default()
    }
}

/// The sequence that a text says; none where it is empty.
fn sequence(name: &str, text: &str) -> Result<Option<u64>, String> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| not_taken(name, text, "the sequence of a message, a whole number")),
    }
}

/// What a time may be in an address.
pub(crate) const MOMENT: &str = "a time such as 2030-01-31T12:00, in UTC, or with a zone as RFC 3339 writes it";

/// Whether a text of an address is a time.
pub(crate) fn is_moment(text: &str) -> bool {
    moment(text).is_some()
}

/// A time as a field of a page takes it, without its zone.
pub(super) fn field(at: Timestamp) -> String {
    at.to_string().chars().take("2030-01-31T12:00:00".len()).collect()
}

/// A time as RFC 3339 writes it, or as a field of a page sends it, without a zone and maybe without seconds.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let text = text.replace(' ', "T");
    ["", "Z", ":00Z", "T00:00:00Z"].into_iter().find_map(|end| Timestamp::parse(&format!("{text}{end}")))
}

/// The query with its question mark, in one way of writing; nothing where all is shown from the newest on.
impl fmt::Display for Browse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("subject", &self.subject),
            ("header", &self.header),
            ("filter", &self.filter),
            ("before", &self.before),
            ("from", &self.from),
            ("at", &self.at),
        ];
        write_query(&parts.map(|(name, value)| (name, value.as_str())), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: &str) {
        let browse = Browse::of_query(query);
        assert_eq!(browse.to_string(), expected, "{query}");
        assert_eq!(Browse::of_query(expected.trim_start_matches('?')), browse);
    }

    #[test]
    fn what_is_looked_for_is_written_in_one_way() {
        check("", "");
        check("header=ce-type%3Da&subject=orders.*.%3E&x=y", "?subject=orders.*.%3E&header=ce-type%3Da");
        check("before=7&from=x&at=", "?before=7&from=x");
        check("filter=body.a+%3E+1", "?filter=body.a+%3E+1");
        check("at=2030-01-31T12%3A00", "?at=2030-01-31T12%3A00");
        check("subject=%00%0Aa", "?subject=a");
    }

    fn check_begin(query: &str, expected: Result<Begin, &str>) {
        let question = Browse::of_query(query).question(&"A".parse().unwrap(), ROWS).map(|question| question.begin);
        match expected {
            Ok(begin) => assert_eq!(question, Ok(begin), "{query}"),
            Err(part) => assert!(question.as_ref().is_err_and(|error| error.contains(part)), "{query}: {question:?}"),
        }
    }

    #[test]
    fn it_is_asked_as_it_is_meant() {
        let at = |text: &str| Ok(Begin::At(Timestamp::parse(text).unwrap()));
        check_begin("", Ok(Begin::Newest));
        check_begin("before=5&from=3&at=x", Ok(Begin::Before(5)));
        check_begin("from=3", Ok(Begin::From(3)));
        check_begin("at=2030-01-31", at("2030-01-31T00:00:00Z"));
        check_begin("at=2030-01-31+12:30", at("2030-01-31T12:30:00Z"));
        check_begin("at=2030-01-31T12:30:05", at("2030-01-31T12:30:05Z"));
        check_begin("at=2030-01-31T12:30:05.5%2B02:00", at("2030-01-31T10:30:05.5Z"));
        check_begin("at=yesterday", Err("`at` is `yesterday`, and takes a time such as 2030-01-31T12:00"));
        check_begin("from=x", Err("`from` is `x`, and takes the sequence of a message, a whole number"));
        check_begin("before=-1&from=3", Err("`before` is `-1`"));
        check_begin("before=5&from=99999999999999999999", Err("`from` is `99999999999999999999`"));
        check_begin("subject=a..b", Err("has an empty token"));
        check_begin("header=%3Da", Err("names no header"));
        check_begin("filter=body.a+%3D+1", Err("the filter is wrong at letter 8"));
    }

    #[test]
    fn a_field_for_a_time_gets_it_without_its_zone() {
        let check = |at: &str, expected: &str| {
            assert_eq!(Browse { at: at.to_owned(), ..Browse::default() }.at_field(), expected, "{at}");
        };
        check("2030-01-31T12:30:05.5+02:00", "2030-01-31T10:30:05");
        check("2030-01-31", "2030-01-31T00:00:00");
        check("", "");
        check("soon", "");
    }
}
