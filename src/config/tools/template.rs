//! An address with places in it that are filled with what a link is about.
//!
//! Names in it are chosen by others. A value is percent-encoded wherever it stands, so it never becomes another part of the address; and where
//! one would still mean something else there, the link is not offered.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use crate::{
    clock::Timestamp,
    trace::{SpanId, TraceId},
};

/// Bytes of the longest value that is put into an address: that of the longest name of a server, twice.
const VALUE_MOST: usize = 512;

/// What stands for itself in a value.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Letters that end a text within a query language, or escape its end.
const QUOTES: [char; 5] = ['"', '\'', '`', '\\', '!'];

/// What a link is about. What is not known of it is `None`: an address that asks for it is not offered.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// A trace.
    pub trace: Option<TraceId>,
    /// A span of it.
    pub span: Option<SpanId>,
    /// The name of a service.
    pub service: Option<&'a str>,
    /// An account of NATS.
    pub account: Option<&'a str>,
    /// A stream in it.
    pub stream: Option<&'a str>,
    /// A consumer of the stream.
    pub consumer: Option<&'a str>,
    /// The subject of a message.
    pub subject: Option<&'a str>,
    /// Between when and when it was.
    pub window: Option<(Timestamp, Timestamp)>,
}

/// An address with places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    pieces: Vec<Piece>,
    host: String,
    /// Text in quotes stands in it, which a value must not end.
    has_quotes: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(Place),
}

/// A place for a value, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    TraceId,
    SpanId,
    Service,
    Account,
    Stream,
    Consumer,
    Subject,
    From,
    To,
    FromSeconds,
    ToSeconds,
    FromMicros,
    ToMicros,
    FromIso,
    ToIso,
}

const PLACES: [(&str, Place); 15] = [
    ("trace_id", Place::TraceId),
    ("span_id", Place::SpanId),
    ("service", Place::Service),
    ("account", Place::Account),
    ("stream", Place::Stream),
    ("consumer", Place::Consumer),
    ("subject", Place::Subject),
    ("from", Place::From),
    ("to", Place::To),
    ("from_s", Place::FromSeconds),
    ("to_s", Place::ToSeconds),
    ("from_us", Place::FromMicros),
    ("to_us", Place::ToMicros),
    ("from_iso", Place::FromIso),
    ("to_iso", Place::ToIso),
];

/// The names of all places, as they stand in an address.
pub(super) fn places() -> String {
    PLACES.map(|(name, _)| format!("{{{name}}}")).join(" ")
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let pieces = pieces(text)?;
        // Where another value leads to another machine, a name would decide where readers go.
        let urls = ["1", "2"].map(|value| Url::parse(&join(&pieces, |_| Some(value.into())).unwrap_or_default()));
        let [Ok(url), Ok(other)] = urls else {
            let error = urls.into_iter().find_map(Result::err).map_or_else(String::new, |error| format!(": {error}"));
            return Err(format!("it is not an address with {}{error}", places()));
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err("it does not begin with http:// or https://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds a login, and readers of the pages see it".to_owned());
        }
        if url.origin() != other.origin() {
            return Err("a placeholder may only stand after the host".to_owned());
        }
        let host = url.host_str().unwrap_or_default();
        // There are letters that an address takes in a host and no machine has in its name.
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "-_.:[]".contains(letter);
        if !host.chars().all(is_name) {
            return Err("its host is not the name or the address of a machine".to_owned());
        }
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let plain = percent_decode_str(text).decode_utf8_lossy();
        Ok(Self { pieces, host, has_quotes: plain.contains(QUOTES) })
    }

    /// Whether it has places at all.
    pub(super) fn has_places(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Place(_)))
    }

    /// Whether it leads to one trace.
    pub(super) fn is_of_trace(&self) -> bool {
        self.pieces.contains(&Piece::Place(Place::TraceId))
    }

    /// The machine that it leads to.
    pub(super) fn host(&self) -> String {
        self.host.clone()
    }

    /// The address for what `about` tells; `None` where it lacks something, or says something that may not stand there.
    pub(super) fn fill(&self, about: &About<'_>) -> Option<String> {
        let filled = join(&self.pieces, |place| {
            let value = place.value(about).filter(|value| self.may_hold(value))?;
            Some(utf8_percent_encode(&value, PLAIN).to_string())
        })?;
        Url::parse(&filled).ok().map(String::from)
    }

    /// A dot, or two, is a way through the path and no name, however it is written.
    fn may_hold(&self, value: &str) -> bool {
        let ends_text =
            self.has_quotes && value.contains(|letter: char| QUOTES.contains(&letter) || letter.is_control());
        !matches!(value, "" | "." | "..") && value.len() <= VALUE_MOST && !ends_text
    }
}

/// Text and places. A brace that has no name behind it, as in JSON, is text.
fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some((before, behind)) = rest.split_once('{') {
        plain.push_str(before);
        let length = behind.bytes().take_while(|byte| byte.is_ascii_lowercase() || *byte == b'_').count();
        let (name, behind_name) = behind.split_at(length);
        if name.is_empty() || !behind_name.starts_with('}') {
            plain.push('{');
            rest = behind;
            continue;
        }
        let place = PLACES.iter().find(|(known, _)| *known == name).map(|(_, place)| *place);
        let place = place.ok_or_else(|| format!("{{{name}}} is not known; these are: {}", places()))?;
        pieces.extend([Piece::Text(std::mem::take(&mut plain)), Piece::Place(place)]);
        rest = &behind_name[1..];
    }
    plain.push_str(rest);
    pieces.push(Piece::Text(plain));
    Ok(pieces)
}

fn join(pieces: &[Piece], value: impl Fn(Place) -> Option<String>) -> Option<String> {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => Some(text.clone()),
        Piece::Place(place) => value(*place),
    };
    pieces.iter().map(piece).collect()
}

impl Place {
    fn value<'a>(self, about: &About<'a>) -> Option<Cow<'a, str>> {
        let micros = |at: Timestamp| at.0.unix_timestamp_nanos() / 1_000;
        let from = || about.window.map(|(from, _)| from);
        let to = || about.window.map(|(_, to)| to);
        match self {
            Self::TraceId => about.trace.map(|id| id.to_string().into()),
            Self::SpanId => about.span.map(|id| id.to_string().into()),
            Self::Service => about.service.map(Into::into),
            Self::Account => about.account.map(Into::into),
            Self::Stream => about.stream.map(Into::into),
            Self::Consumer => about.consumer.map(Into::into),
            Self::Subject => about.subject.map(Into::into),
            Self::From => from().map(|at| (micros(at) / 1_000).to_string().into()),
            Self::To => to().map(|at| (micros(at) / 1_000).to_string().into()),
            Self::FromSeconds => from().map(|at| at.0.unix_timestamp().to_string().into()),
            Self::ToSeconds => to().map(|at| at.0.unix_timestamp().to_string().into()),
            Self::FromMicros => from().map(|at| micros(at).to_string().into()),
            Self::ToMicros => to().map(|at| micros(at).to_string().into()),
            Self::FromIso => from().map(|at| at.to_string().into()),
            Self::ToIso => to().map(|at| at.to_string().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: &str = "https://tool.example/{service}/of/{stream}?a={consumer}&b={subject}#{account}";

    fn about<'a>(name: &'a str) -> About<'a> {
        let name: Option<&'a str> = Some(name);
        About { service: name, stream: name, consumer: name, subject: name, account: name, ..About::default() }
    }

    #[track_caller]
    fn check_parse(text: &str, expected: Result<(), &str>) {
        match (Template::parse(text), expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
            (read, _) => panic!("{text}: {read:?}"),
        }
    }

    #[test]
    fn an_address_is_http_and_its_places_are_known() {
        check_parse("http://localhost:16686/trace/{trace_id}", Ok(()));
        check_parse(r#"https://g/explore?left={"q":"{trace_id}"}"#, Ok(()));
        check_parse("http://a/{from}/{to}/{from_us}{to_us}?{from_iso}#{to_iso}", Ok(()));
        check_parse("http://a/{trace}", Err("{trace} is not known; these are: {trace_id} {span_id}"));
        check_parse("javascript:alert('{trace_id}')", Err("http://"));
        check_parse("data:text/html,{trace_id}", Err("http://"));
        check_parse("/trace/{trace_id}", Err("not an address"));
        check_parse("{trace_id}", Err("not an address"));
        check_parse("http://{trace_id}.example.org/", Err("after the host"));
        check_parse("http://a:{service}/", Err("after the host"));
        check_parse("http://{service}@a/", Err("login"));
        check_parse("http://u:w@a/{service}", Err("login"));
        check_parse("http://a\"b/{service}", Err("host"));
        check_parse("http://[::1]:80/{service}", Ok(()));
    }

    #[track_caller]
    fn check(text: &str, name: &str, expected: Option<&str>) {
        assert_eq!(Template::parse(text).unwrap().fill(&about(name)).as_deref(), expected, "{text} {name}");
    }

    #[test]
    fn a_value_stays_where_it_was_put() {
        check("http://a/{stream}/x", "ORDERS", Some("http://a/ORDERS/x"));
        check("http://a/{stream}/x", "a/b?c#d&e=f%2F", Some("http://a/a%2Fb%3Fc%23d%26e%3Df%252F/x"));
        check("http://a/?q={stream}&x=1", "a&x=2", Some("http://a/?q=a%26x%3D2&x=1"));
        check("http://a/#{stream}", "é\"<", Some("http://a/#%C3%A9%22%3C"));
        check("http://a/?q=\"{stream}\"", "<img>", Some("http://a/?q=%22%3Cimg%3E%22"));
        check("http://a/?q={stream}", "\n", Some("http://a/?q=%0A"));
        for name in [".", "..", "", &"x".repeat(513)] {
            check("http://a/b/{stream}/c", name, None);
        }
        for name in ["a\"b", "a\\", "a'", "a`", "a\n", "!"] {
            check("http://a/?q=%22{stream}%22", name, None);
        }
        check("http://a/{span_id}", "x", None);
    }

    proptest! {
        #[test]
        fn no_name_breaks_out_of_the_address(name in "\\PC{0,20}|[./%?#&=@:\\\\\"'<>{} ]{0,8}") {
            let template = Template::parse(ALL).unwrap();
            if let Some(filled) = template.fill(&about(&name)) {
                let url = Url::parse(&filled).unwrap();
                let origin = (url.scheme(), url.host_str(), url.port(), url.username());
                prop_assert_eq!(origin, ("https", Some("tool.example"), None, ""));
                let plain = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
                let path: Vec<String> = url.path_segments().unwrap().map(plain).collect();
                prop_assert_eq!(path, [name.as_str(), "of", name.as_str()]);
                let pairs: Vec<(String, String)> = url.query_pairs().map(|(a, b)| (a.into_owned(), b.into_owned())).collect();
                prop_assert_eq!(pairs, [("a".to_owned(), name.clone()), ("b".to_owned(), name.clone())]);
                prop_assert_eq!(url.fragment().map(plain), Some(name.clone()));
                prop_assert!(!filled.contains(['"', '\'', '<', '>', ' ', '`', '\\']), "{}", filled);
            } else {
                prop_assert!(matches!(name.as_str(), "" | "." | ".."));
            }
        }

        #[test]
        fn any_text_is_an_address_or_a_sentence(text in "(http://a)?[{}a-z_/?#\"'%:@.]{0,40}") {
            if let Ok(template) = Template::parse(&text) {
                template.fill(&about("x"));
            }
        }
    }
}
