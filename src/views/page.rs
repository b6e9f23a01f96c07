//! The pages that there are, and the address of each: what a page shows is told by its address alone.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::form_urlencoded;

use super::{browse::Browse, follow::Follow, map::Wish, payload::Form, search::Search};
use crate::{
    collector::Whose,
    dead_letter::Place,
    name::{ConsumerName, StreamName},
    snapshot::Span,
    trace::{SpanId, TraceId},
    traces::Query,
};

/// A page that exists.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Page {
    /// What is wrong, since when, how that is known, what to do.
    Overview,
    /// What is connected with what.
    Map(Wish),
    /// The streams of all accounts.
    Streams(Search),
    /// One stream, in an account, with its past over a span.
    Stream(String, StreamName, Span),
    /// Messages of one stream, in an account.
    Messages(String, StreamName, Browse),
    /// The message at a sequence, its payload in a form.
    Message(String, StreamName, u64, Option<Form>),
    /// The consumers of all accounts, the worst first.
    Consumers(Search),
    /// One consumer of a stream, in an account, with its past over a span.
    Consumer(String, StreamName, ConsumerName, Span),
    /// Messages that nobody will try again.
    DeadLetters,
    /// One of them, in an account; in the first that has it where that is empty.
    DeadLetter(Place, String),
    /// What servers told unasked.
    Advisories(Search),
    /// The servers.
    Servers,
    /// Instances of services with their probes and workers.
    Services,
    /// Records: of one kind, or of all; those with a text in their keys, or the newest where that is empty.
    Records(Option<String>, String),
    /// The record under a key, in an account.
    Record(String, String),
    /// What the checks found.
    Findings(Search),
    /// Traces that services sent.
    Traces(Query),
    /// One of them, and the span of it that is looked at.
    Trace(TraceId, Option<SpanId>),
    /// The journey of a message, or of all that belongs together.
    Journey(Follow),
}

/// Longest kind of record that has a page.
const KIND_MOST: usize = 64;

/// Longest key of a record that has a page.
const KEY_MOST: usize = 512;

/// Longest name of an account that has pages: that of a server's longest name.
const ACCOUNT_MOST: usize = 255;

/// What stands for itself in an address.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'$');

impl Page {
    /// The page at an address such as `/consumers?q=mail`; `None` when there is none.
    pub fn at(address: &str) -> Option<Self> {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let parts: Vec<String> = path.strip_prefix('/')?.split('/').map(decoded).collect::<Option<_>>()?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let search = || Search::of_query(query);
        match parts.as_slice() {
            [""] => Some(Self::Overview),
            ["map"] => Some(Self::Map(Wish::of_query(query))),
            ["streams"] => Some(Self::Streams(search())),
            ["streams", account, stream] => {
                Some(Self::Stream(text(account, ACCOUNT_MOST)?, stream.parse().ok()?, span_of(query)))
            }
            ["messages", account, stream] => {
                Some(Self::Messages(text(account, ACCOUNT_MOST)?, stream.parse().ok()?, Browse::of_query(query)))
            }
            ["messages", account, stream, sequence] => {
                let (account, stream) = (text(account, ACCOUNT_MOST)?, stream.parse().ok()?);
                Some(Self::Message(account, stream, sequence.parse().ok()?, form_of(query)))
            }
            ["consumers"] => Some(Self::Consumers(search())),
            ["consumers", account, stream, consumer] => {
                let account = text(account, ACCOUNT_MOST)?;
                Some(Self::Consumer(account, stream.parse().ok()?, consumer.parse().ok()?, span_of(query)))
            }
            ["dead-letters"] => Some(Self::DeadLetters),
            ["dead-letters", stream, consumer, sequence] => {
                let (stream, consumer) = (stream.parse().ok()?, consumer.parse().ok()?);
                let place = Place { stream, consumer, sequence: sequence.parse().ok()? };
                Some(Self::DeadLetter(place, search().account))
            }
            ["advisories"] => Some(Self::Advisories(search())),
            ["servers"] => Some(Self::Servers),
            ["services"] => Some(Self::Services),
            ["records"] => Some(Self::Records(None, search().q)),
            ["records", kind] => Some(Self::Records(Some(text(kind, KIND_MOST)?), search().q)),
            ["records", account, key] => Some(Self::Record(text(account, ACCOUNT_MOST)?, text(key, KEY_MOST)?)),
            ["findings"] => Some(Self::Findings(search())),
            ["journey"] => Some(Self::Journey(Follow::of_query(query))),
            ["traces"] => Some(Self::Traces(Query::of_query(query))),
            ["traces", id] => Some(Self::Trace(id.parse().ok()?, chosen(query))),
            _ => None,
        }
    }

    /// The path of the list that a page belongs to, as the navigation names it.
    pub(super) fn list(&self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Map(_) => "/map",
            Self::Streams(_) | Self::Stream(..) | Self::Messages(..) | Self::Message(..) => "/streams",
            Self::Consumers(_) | Self::Consumer(..) => "/consumers",
            Self::DeadLetters | Self::DeadLetter(..) => "/dead-letters",
            Self::Advisories(_) => "/advisories",
            Self::Servers => "/servers",
            Self::Services => "/services",
            Self::Records(..) | Self::Record(..) => "/records",
            Self::Findings(_) => "/findings",
            Self::Traces(_) | Self::Trace(..) | Self::Journey(_) => "/traces",
        }
    }

    /// Whether it is drawn anew after each round. A list of messages that moves while somebody reads it is no help,
    /// and what was at a moment that has passed does not move.
    pub fn is_live(&self) -> bool {
        match self {
            Self::Messages(..) | Self::Message(..) | Self::Journey(_) | Self::Record(..) => false,
            Self::Records(_, q) => q.is_empty(),
            Self::Map(wish) => wish.at.is_none(),
            _ => true,
        }
    }

    /// Whose past it shows, and over which span.
    pub fn past(&self) -> Option<(Whose, Span)> {
        let whose = |account: &String, stream: &StreamName, consumer: Option<&ConsumerName>| Whose {
            account: account.clone(),
            stream: stream.to_string(),
            consumer: consumer.map(ToString::to_string),
        };
        match self {
            Self::Stream(account, stream, span) => Some((whose(account, stream, None), *span)),
            Self::Consumer(account, stream, consumer, span) => Some((whose(account, stream, Some(consumer)), *span)),
            _ => None,
        }
    }

    /// The same page with its past over another span.
    pub(super) fn over(&self, span: Span) -> Self {
        match self.clone() {
            Self::Stream(account, stream, _) => Self::Stream(account, stream, span),
            Self::Consumer(account, stream, consumer, _) => Self::Consumer(account, stream, consumer, span),
            other => other,
        }
    }

    /// What is searched for on it, where it is a list that can be searched.
    pub(super) fn search(&self) -> Option<&Search> {
        match self {
            Self::Streams(search) | Self::Consumers(search) | Self::Findings(search) | Self::Advisories(search) => {
                Some(search)
            }
            _ => None,
        }
    }
}

/// The span that an address asks for with `over=2h`; anything else is the finest.
pub fn span_of(query: &str) -> Span {
    let mut asked = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "over");
    asked.find_map(|(_, token)| Span::of_token(token.trim())).unwrap_or_default()
}

/// The span of a trace that an address asks for.
fn chosen(query: &str) -> Option<SpanId> {
    query.split('&').find_map(|pair| pair.strip_prefix("span=")?.parse().ok())
}

/// The form of a payload that an address asks for with `as=hex`.
fn form_of(query: &str) -> Option<Form> {
    let token = query.split('&').find_map(|pair| pair.strip_prefix("as="))?;
    Form::ALL.into_iter().find(|form| form.token() == token)
}

fn write_span(span: Span, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if span == Span::default() { Ok(()) } else { write!(f, "?over={}", span.token()) }
}

/// A part of a path in letters.
fn decoded(part: &str) -> Option<String> {
    percent_decode_str(part).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// A name that is not checked further: not empty, not endless, on one line.
fn text(part: &str, most: usize) -> Option<String> {
    let is_one = !part.is_empty() && part.len() <= most && !part.contains(['\0', '\n', '\r']);
    is_one.then(|| part.to_owned())
}

/// A text as a part of a path.
pub(super) fn encoded(part: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(part, PLAIN)
}

/// The address of the page, percent-encoded.
impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages(account, stream, browse) => {
                return write!(f, "/messages/{}/{}{browse}", encoded(account), encoded(stream.as_str()));
            }
            Self::Message(account, stream, sequence, form) => {
                write!(f, "/messages/{}/{}/{sequence}", encoded(account), encoded(stream.as_str()))?;
                return form.map_or(Ok(()), |form| write!(f, "?as={}", form.token()));
            }
            Self::Journey(follow) => return write!(f, "/journey{follow}"),
            page => f.write_str(page.list())?,
        }
        match self {
            Self::Stream(account, stream, span) => {
                write!(f, "/{}/{}", encoded(account), encoded(stream.as_str()))?;
                write_span(*span, f)
            }
            Self::Consumer(account, stream, consumer, span) => {
                write!(f, "/{}/{}/{}", encoded(account), encoded(stream.as_str()), encoded(consumer.as_str()))?;
                write_span(*span, f)
            }
            Self::DeadLetter(Place { stream, consumer, sequence }, account) => {
                write!(f, "/{}/{}/{sequence}", encoded(stream.as_str()), encoded(consumer.as_str()))?;
                Search { account: account.clone(), ..Search::default() }.fmt(f)
            }
            Self::Map(wish) => wish.fmt(f),
            Self::Records(kind, q) => {
                kind.iter().try_for_each(|kind| write!(f, "/{}", encoded(kind)))?;
                Search { q: q.clone(), ..Search::default() }.fmt(f)
            }
            Self::Record(account, key) => write!(f, "/{}/{}", encoded(account), encoded(key)),
            Self::Traces(query) => {
                let query = query.to_string();
                if query.is_empty() { Ok(()) } else { write!(f, "?{query}") }
            }
            Self::Trace(id, None) => write!(f, "/{id}"),
            Self::Trace(id, Some(span)) => write!(f, "/{id}?span={span}"),
            page => page.search().map_or(Ok(()), |search| search.fmt(f)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, expected: Option<&str>) {
        let page = Page::at(address);
        assert_eq!(page.as_ref().map(Page::to_string).as_deref(), expected, "{address}");
        let again = page.as_ref().and_then(|page| Page::at(&page.to_string()));
        assert_eq!(again, page, "{address}: an address leads back to its page");
    }

    #[test]
    fn every_page_has_one_address_and_every_address_at_most_one_page() {
        for address in [
            "/",
            "/map",
            "/streams",
            "/consumers",
            "/dead-letters",
            "/advisories",
            "/servers",
            "/services",
            "/records",
            "/findings",
            "/traces",
            "/journey",
        ] {
            check(address, Some(address));
        }
        check("/map?focus=service%3Apay&x=1", Some("/map?focus=service:pay"));
        check("/streams/$G/ORDERS", Some("/streams/$G/ORDERS"));
        check("/streams/a%20b%2Fc/ORDERS", Some("/streams/a%20b%2Fc/ORDERS"));
        check("/consumers/A/ORDERS/mail", Some("/consumers/A/ORDERS/mail"));
        check("/consumers/A/ORDERS/%3Cimg", Some("/consumers/A/ORDERS/%3Cimg"));
        check("/dead-letters/ORDERS/mail/42", Some("/dead-letters/ORDERS/mail/42"));
        check("/dead-letters/ORDERS/mail/42?x=1&account=%24G", Some("/dead-letters/ORDERS/mail/42?account=%24G"));
        check("/messages/A/ORDERS", Some("/messages/A/ORDERS"));
        check("/messages/$G/ORDERS?before=7&subject=a.%3E", Some("/messages/$G/ORDERS?subject=a.%3E&before=7"));
        check("/messages/A/ORDERS/42?as=hex", Some("/messages/A/ORDERS/42?as=hex"));
        check("/messages/A/ORDERS/42?as=x", Some("/messages/A/ORDERS/42"));
        check("/records/dead%20end", Some("/records/dead%20end"));
        check("/records/order?q=a%26b&x=1", Some("/records/order?q=a%26b"));
        check("/records?q=+7+", Some("/records?q=7"));
        check("/records/$G/order.7", Some("/records/$G/order.7"));
        check("/records/A/a%2Fb%20%3C?x=1", Some("/records/A/a%2Fb%20%3C"));
        check("/consumers/A/ORDERS/mail?over=24h", Some("/consumers/A/ORDERS/mail?over=24h"));
        check("/streams/A/ORDERS?x=1&over=2h", Some("/streams/A/ORDERS?over=2h"));
        check("/streams/A/ORDERS?over=10m", Some("/streams/A/ORDERS"));
        check("/streams/A/ORDERS?over=for+ever", Some("/streams/A/ORDERS"));
    }

    #[test]
    fn a_search_is_part_of_the_address() {
        check("/consumers?q=mail&page=2", Some("/consumers?q=mail&page=2"));
        check("/consumers?page=1&q=", Some("/consumers"));
        check("/streams?q=a%26b", Some("/streams?q=a%26b"));
        check("/findings?severity=critical", Some("/findings?severity=critical"));
        check("/advisories?consumer=c&kind=nak", Some("/advisories?kind=nak&consumer=c"));
        check("/servers?q=x", Some("/servers"));
        check("/traces?status=error&q=a+b", Some("/traces?q=a+b&status=error"));
        check("/journey?x=1&id=a%26b", Some("/journey?id=a%26b"));
        let trace = "/traces/4bf92f3577b34da6a3ce929d0e0e4736";
        check(&format!("{trace}?x=1"), Some(trace));
        check(&format!("{trace}?span=00F067aa0ba902b7"), Some(&format!("{trace}?span=00f067aa0ba902b7")));
    }

    #[test]
    fn what_is_no_page_is_none() {
        for address in [
            "",
            "streams",
            "//",
            "/streams/",
            "/streams/A",
            "/streams/A/ORDERS/x",
            "/streams//ORDERS",
            "/consumers/A/ORDERS/a.b",
            "/messages",
            "/messages/A",
            "/messages/A/ORDERS/x",
            "/messages/A/a.b",
            "/dead-letters/ORDERS/mail/x",
            "/records/%00",
            "/records/%ff",
            "/records/a/",
            "/records/a/b/c",
            "/traces/x",
            "/traces/00000000000000000000000000000000",
        ] {
            check(address, None);
        }
        check(&format!("/records/{}", "x".repeat(65)), None);
        check(&format!("/records/A/{}", "x".repeat(513)), None);
    }
}
