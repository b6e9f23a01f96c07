//! What the map is to show: all of it or what is connected with something, now or over a time that has passed.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::form_urlencoded;

use crate::{
    clock::Timestamp,
    snapshot::Span,
    views::{browse::moment, page::encoded},
};

/// Longest text that is searched for; what is longer is cut.
const TEXT_MOST: usize = 256;

/// Longest text for a moment; what is longer is cut.
const MOMENT_MOST: usize = 40;

/// Longest name of something that is looked at; a longer one is none.
const NAME_MOST: usize = 1_024;

/// What stands for itself in a query: names are encoded already, and what is between them leads nowhere else.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'$').remove(b':').remove(b'/');

/// Something that stands on the map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thing {
    /// A service.
    Service(String),
    /// A subject or a pattern of subjects, in an account; in none where no stream is known to hold it.
    Subject(String, String),
    /// A stream, in an account.
    Stream(String, String),
    /// A consumer of a stream, in an account.
    Consumer(String, String, String),
}

/// What is asked of the map.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Wish {
    /// Only what is connected with this.
    pub focus: Option<Thing>,
    /// Only what is connected with things that have this in their names; empty for all.
    pub q: String,
    /// Over which time that has passed; `None` for now.
    pub over: Option<Span>,
    /// At which moment that has passed.
    pub at: Option<Timestamp>,
    /// What was given for a moment and is none; empty where nothing was.
    pub(super) misread: String,
}

impl Wish {
    /// Reads the query of an address. What makes no sense in it is left out; of a moment, which people write themselves, that is told.
    pub fn of_query(query: &str) -> Self {
        let mut wish = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "focus" => wish.focus = Thing::of_token(&value),
                "q" => wish.q = value.trim().chars().take(TEXT_MOST).collect(),
                "over" => wish.over = Span::of_token(&value),
                "at" => {
                    wish.at = moment(value.trim());
                    wish.misread = if wish.at.is_none() { given(&value) } else { String::new() };
                }
                _ => {}
            }
        }
        // Whoever asks by name, or for a moment, means that and not what he looked at before.
        wish.focus = wish.focus.filter(|_| wish.q.is_empty());
        wish.over = wish.over.filter(|_| wish.at.is_none());
        wish
    }

    /// The map of what is connected with something.
    pub(in crate::views) fn on(thing: Thing) -> Self {
        Self { focus: Some(thing), ..Self::default() }
    }

    /// The same of another thing, or of all.
    pub(super) fn with_focus(&self, focus: Option<Thing>) -> Self {
        Self { focus, q: String::new(), misread: String::new(), ..self.clone() }
    }

    /// The same over another time.
    pub(super) fn with_over(&self, over: Option<Span>) -> Self {
        Self { over, at: None, misread: String::new(), ..self.clone() }
    }

    /// The past that is asked for: how far back to look, and whether at one moment of it.
    pub(super) fn past(&self, now: Timestamp) -> Option<(Span, Option<Timestamp>)> {
        let reaches = |span: &Span, at: Timestamp| at.age(now).0 < span.reach();
        match self.at {
            Some(at) => Some((Span::ALL.into_iter().find(|span| reaches(span, at)).unwrap_or(Span::Day), Some(at))),
            None => self.over.map(|over| (over, None)),
        }
    }

    /// Whether only a part is asked for.
    pub(super) fn is_narrow(&self) -> bool {
        self.focus.is_some() || !self.q.is_empty()
    }
}

/// What was given for a moment, as long as such a field takes it.
fn given(text: &str) -> String {
    text.trim().chars().filter(|letter| !letter.is_control()).take(MOMENT_MOST).collect()
}

/// The query with its `?`; nothing where nothing is asked for.
impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let focus = self.focus.as_ref().map(Thing::token);
        let over = self.over.map(|over| over.token().to_owned());
        let at =
            self.at.map(|at| at.to_string()).or_else(|| Some(self.misread.clone()).filter(|given| !given.is_empty()));
        let q = Some(self.q.clone()).filter(|q| !q.is_empty());
        let mut mark = '?';
        for (name, value) in [("focus", focus), ("q", q), ("over", over), ("at", at)] {
            if let Some(value) = value {
                write!(f, "{mark}{name}={}", utf8_percent_encode(&value, PLAIN))?;
                mark = '&';
            }
        }
        Ok(())
    }
}

impl Thing {
    /// Its names, the last of which is its own.
    fn parts(&self) -> (&'static str, Vec<&str>) {
        match self {
            Self::Service(name) => ("service", vec![name]),
            Self::Subject(account, subject) => ("subject", vec![account, subject]),
            Self::Stream(account, stream) => ("stream", vec![account, stream]),
            Self::Consumer(account, stream, consumer) => ("consumer", vec![account, stream, consumer]),
        }
    }

    /// What kind of thing it is.
    pub fn kind(&self) -> &'static str {
        self.parts().0
    }

    /// Its own name.
    pub fn name(&self) -> &str {
        match self {
            Self::Service(name) | Self::Subject(_, name) | Self::Stream(_, name) | Self::Consumer(_, _, name) => name,
        }
    }

    /// The account that it is in; empty where that is not known.
    pub fn account(&self) -> &str {
        match self {
            Self::Service(_) => "",
            Self::Subject(account, _) | Self::Stream(account, _) | Self::Consumer(account, ..) => account,
        }
    }

    /// The stream that it is or belongs to.
    pub fn stream(&self) -> Option<&str> {
        match self {
            Self::Service(_) | Self::Subject(..) => None,
            Self::Stream(_, stream) | Self::Consumer(_, stream, _) => Some(stream),
        }
    }

    /// As one word, such as `consumer:A/ORDERS/mailer`: names are percent-encoded in it.
    pub fn token(&self) -> String {
        let (kind, parts) = self.parts();
        let parts: Vec<String> = parts.into_iter().map(|part| encoded(part).to_string()).collect();
        format!("{kind}:{}", parts.join("/"))
    }

    /// The thing that such a word stands for.
    pub fn of_token(token: &str) -> Option<Self> {
        let (kind, parts) = token.split_once(':')?;
        let decoded = |part: &str| {
            let part = percent_decode_str(part).decode_utf8().ok()?.into_owned();
            (part.len() <= NAME_MOST).then_some(part)
        };
        let parts: Vec<String> = parts.split('/').map(decoded).collect::<Option<_>>()?;
        match (kind, <[String; 1]>::try_from(parts.clone()).ok(), parts.as_slice()) {
            ("service", Some([name]), _) => Some(Self::Service(name)),
            ("subject", _, [account, subject]) => Some(Self::Subject(account.clone(), subject.clone())),
            ("stream", _, [account, stream]) => Some(Self::Stream(account.clone(), stream.clone())),
            ("consumer", _, [account, stream, consumer]) => {
                Some(Self::Consumer(account.clone(), stream.clone(), consumer.clone()))
            }
            _ => None,
        }
        .filter(|thing| !thing.name().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: &str) {
        let wish = Wish::of_query(query);
        let address = wish.to_string();
        assert_eq!(address, expected, "{query}");
        assert_eq!(Wish::of_query(address.trim_start_matches('?')), wish, "{query}");
    }

    #[test]
    fn a_wish_is_part_of_the_address() {
        check("", "");
        check("focus=stream:A/ORDERS", "?focus=stream:A/ORDERS");
        check("focus=stream%3AA%2FORDERS&over=2h", "?focus=stream:A/ORDERS&over=2h");
        check("focus=consumer:$G/ORDERS/mail&x=1", "?focus=consumer:$G/ORDERS/mail");
        check("q=+mail+&over=week", "?q=mail");
        check("q=a%26b", "?q=a%26b");
        check("at=2030-01-31T12:00&over=2h", "?at=2030-01-31T12:00:00.000Z");
        check("at=yesterday&focus=service:pay&q=mail", "?q=mail&at=yesterday");
        check("at=+&q=mail", "?q=mail");
        check(&format!("at=%00{}", "9".repeat(50)), &format!("?at={}", "9".repeat(40)));
    }

    #[test]
    fn any_name_can_be_looked_at() {
        for name in ["/<b>?#", "a/b:c", "%2F", "{{ 7 }}", "é\u{202e}", "orders.*.>", "&q=1"] {
            let wish = Wish::on(Thing::Consumer(name.to_owned(), name.to_owned(), name.to_owned()));
            assert_eq!(Wish::of_query(wish.to_string().trim_start_matches('?')), wish, "{name}");
        }
    }

    #[test]
    fn what_is_no_thing_is_none() {
        for token in
            ["", "service", "service:", "service:a/b", "stream:A", "stream:A/", "consumer:A/B", "x:y", "service:%ff"]
        {
            assert_eq!(Thing::of_token(token), None, "{token}");
        }
        assert_eq!(Thing::of_token(&format!("service:{}", "x".repeat(NAME_MOST + 1))), None);
    }
}
