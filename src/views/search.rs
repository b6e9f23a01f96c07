//! What is looked for in a list: a part of its address, so that every state of a list can be sent to somebody.

use std::fmt;

use url::form_urlencoded;

use crate::{
    advisory::Kind,
    snapshot::{Label, Severity},
    words::{counted, has, not_taken},
};

/// Longest text that is searched for; what is longer is cut.
const TEXT_MOST: usize = 256;

/// Letters of what stands for the number of a page and is none, which is told again: enough to know it by.
const NUMBER_MOST: usize = 24;

/// A search in a list, an order of its rows, and the stretch of them that is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Search {
    /// A text that a row has somewhere in its names; empty for all.
    pub q: String,
    /// The verdict, of consumers.
    pub label: Option<Label>,
    /// How much it matters, of findings.
    pub severity: Option<Severity>,
    /// What is told, of advisories.
    pub kind: Option<Kind>,
    /// The account; empty for all.
    pub account: String,
    /// The stream; empty for all.
    pub stream: String,
    /// The consumer; empty for all.
    pub consumer: String,
    /// The order of the rows.
    pub sort: Sort,
    /// Which stretch of the rows.
    pub page: Stretch,
    /// The first of what was asked for and not understood.
    pub nonsense: Option<Nonsense>,
}

/// A word that stands in an address and is none of those that are known there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Nonsense {
    name: &'static str,
    given: String,
}

/// A page of a list, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Stretch {
    /// By its number, counted from 0.
    Page(usize),
    /// By something that is no number of a page.
    Nonsense(String),
}

/// That a list has no such page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoPage {
    /// The page that there is instead, counted from 0.
    pub nearest: usize,
    /// In a sentence without its end.
    pub sentence: String,
}

impl Default for Stretch {
    fn default() -> Self {
        Self::Page(0)
    }
}

impl Stretch {
    /// What stands in an address, where pages are counted from 1; the first where nothing does.
    fn of_text(text: &str) -> Self {
        match text.parse::<usize>() {
            Ok(number @ 1..) => Self::Page(number - 1),
            _ if text.is_empty() => Self::default(),
            _ => Self::Nonsense(text.chars().take(NUMBER_MOST).collect()),
        }
    }

    /// The number of the page, counted from 0, in a list that has so many.
    ///
    /// # Errors
    /// When the list has no such page.
    pub fn within(&self, pages: usize) -> Result<usize, NoPage> {
        let all = counted(pages as u64, "page");
        match self {
            Self::Page(number) if *number < pages => Ok(*number),
            Self::Page(_) => Err(NoPage {
                nearest: pages.saturating_sub(1),
                sentence: format!("there is no page {self}: the list has {all}"),
            }),
            Self::Nonsense(text) => {
                let sentence = format!("`{text}` is no page: the list has {all}, counted from 1");
                Err(NoPage { nearest: 0, sentence })
            }
        }
    }
}

/// As it stands in an address.
impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page(number) => write!(f, "{}", number.saturating_add(1)),
            Self::Nonsense(text) => f.write_str(text),
        }
    }
}

/// An order of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Sort {
    /// What needs somebody first, then the longest lag.
    #[default]
    Worst,
    /// Most messages not processed first.
    Lag,
    /// Most messages in flight first.
    AckPending,
    /// The oldest unprocessed message first.
    Age,
    /// Most deliveries a second first; of streams, most messages stored.
    Rate,
    /// By name.
    Name,
    /// The largest first, of streams.
    Size,
    /// Those that hold most messages first, of streams.
    Messages,
}

impl Sort {
    const ALL: [Self; 8] =
        [Self::Worst, Self::Lag, Self::AckPending, Self::Age, Self::Rate, Self::Name, Self::Size, Self::Messages];

    /// As one word, for addresses.
    pub(super) fn token(self) -> &'static str {
        match self {
            Self::Worst => "worst",
            Self::Lag => "lag",
            Self::AckPending => "ack_pending",
            Self::Age => "age",
            Self::Rate => "rate",
            Self::Name => "name",
            Self::Size => "size",
            Self::Messages => "messages",
        }
    }
}

impl Search {
    /// Reads the query of an address.
    pub fn of_query(query: &str) -> Self {
        let mut search = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.trim();
            match &*name {
                "q" => search.q = cut(value),
                "label" => search.label = search.word("label", value, &Label::ALL, Label::token),
                "severity" => search.severity = search.word("severity", value, &SEVERITIES, Severity::word),
                "kind" => search.kind = search.word("kind", value, &Kind::ALL, Kind::token),
                "account" => search.account = cut(value),
                "stream" => search.stream = cut(value),
                "consumer" => search.consumer = cut(value),
                "sort" => search.sort = search.word("sort", value, &Sort::ALL, Sort::token).unwrap_or_default(),
                "page" => search.page = Stretch::of_text(&cut(value)),
                _ => {}
            }
        }
        search
    }

    /// What a word stands for, among `all`; that it stands for nothing is kept, to be told.
    fn word<T: Copy>(&mut self, name: &'static str, given: &str, all: &[T], token: fn(T) -> &'static str) -> Option<T> {
        let found = all.iter().copied().find(|one| token(*one) == given);
        if found.is_none() && !given.is_empty() {
            self.nonsense.get_or_insert_with(|| Nonsense { name, given: cut(given) });
        }
        found
    }

    /// What was asked for by this name and not understood.
    fn given(&self, name: &str) -> &str {
        self.nonsense.as_ref().filter(|nonsense| nonsense.name == name).map_or("", |nonsense| &nonsense.given)
    }

    /// The same from the first row on, as far as it was understood.
    fn anew(&self) -> Self {
        Self { page: Stretch::default(), nonsense: None, ..self.clone() }
    }

    /// The same with another verdict, from the first row on.
    pub(super) fn with_label(&self, label: Option<Label>) -> Self {
        Self { label, ..self.anew() }
    }

    /// The same in another order, from the first row on.
    pub(super) fn sorted(&self, sort: Sort) -> Self {
        Self { sort, ..self.anew() }
    }

    /// The same of another severity, from the first row on.
    pub(super) fn with_severity(&self, severity: Option<Severity>) -> Self {
        Self { severity, ..self.anew() }
    }

    /// The same of another kind, from the first row on.
    pub(super) fn of_kind(&self, kind: Option<Kind>) -> Self {
        Self { kind, ..self.anew() }
    }

    /// Another stretch of the same rows.
    pub(super) fn at_page(&self, page: usize) -> Self {
        Self { page: Stretch::Page(page), ..self.anew() }
    }

    /// All that a stream has.
    pub(super) fn of_stream(account: &str, stream: &str) -> Self {
        Self { account: account.to_owned(), stream: stream.to_owned(), ..Self::default() }
    }

    /// All that a consumer has.
    pub(super) fn of_consumer(account: &str, stream: &str, consumer: &str) -> Self {
        Self { consumer: consumer.to_owned(), ..Self::of_stream(account, stream) }
    }

    /// Whether one of the texts has what is searched for, letters of either case taken alike.
    pub(super) fn finds(&self, texts: &[&str]) -> bool {
        self.q.is_empty() || texts.iter().any(|text| has(text, &self.q))
    }

    /// Whether anything is left out by it.
    pub(super) fn is_narrow(&self) -> bool {
        let Self { q, label, severity, kind, account, stream, consumer, .. } = self;
        let is_of_one = [q, account, stream, consumer].into_iter().any(|text| !text.is_empty());
        is_of_one || label.is_some() || severity.is_some() || kind.is_some()
    }

    /// Whether a row of this account and stream may be among what is searched for.
    pub(super) fn is_of(&self, account: &str, stream: &str) -> bool {
        let may = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        may(&self.account, account) && may(&self.stream, stream)
    }
}

fn cut(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(TEXT_MOST).collect()
}

/// What a finding may be: what is well is none.
const SEVERITIES: [Severity; 3] = [Severity::Notice, Severity::Warning, Severity::Critical];

impl Nonsense {
    /// In a sentence without its end.
    pub(super) fn sentence(&self) -> String {
        let words = match self.name {
            "label" => Label::ALL.map(Label::token).join(", "),
            "severity" => SEVERITIES.map(Severity::word).join(", "),
            "kind" => Kind::ALL.map(Kind::token).join(", "),
            _ => Sort::ALL.map(Sort::token).join(", "),
        };
        not_taken(self.name, &self.given, &format!("one of {words}"))
    }
}

/// The query with its question mark, in one way of writing; nothing for a list that is shown whole.
impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let page = self.page.to_string();
        let parts = [
            ("q", self.q.as_str()),
            ("label", self.label.map(Label::token).unwrap_or(self.given("label"))),
            ("severity", self.severity.map(Severity::word).unwrap_or(self.given("severity"))),
            ("kind", self.kind.map(Kind::token).unwrap_or(self.given("kind"))),
            ("account", &self.account),
            ("stream", &self.stream),
            ("consumer", &self.consumer),
            ("sort", if self.sort == Sort::default() { self.given("sort") } else { self.sort.token() }),
            ("page", if self.page == Stretch::default() { "" } else { &page }),
        ];
        write_query(&parts, f)
    }
}

/// Writes what is said of these with a question mark before it; nothing where nothing is.
pub(super) fn write_query(parts: &[(&str, &str)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parts.iter().filter(|(_, value)| !value.is_empty()));
    match query.finish().as_str() {
        "" => Ok(()),
        query => write!(f, "?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: &str) {
        let search = Search::of_query(query);
        assert_eq!(search.to_string(), expected, "{query}");
        assert_eq!(Search::of_query(expected.trim_start_matches('?')), search);
    }

    #[test]
    fn a_search_is_written_in_one_way() {
        check("", "");
        check("page=3&q=mail+me&sort=lag", "?q=mail+me&sort=lag&page=3");
        check("label=no_workers&account=%24G&stream=A", "?label=no_workers&account=%24G&stream=A");
        check("consumer=c&stream=A&kind=nak", "?kind=nak&stream=A&consumer=c");
        check("label=nonsense&kind=nonsense&sort=nonsense&severity=ok&x=y", "?label=nonsense");
        check("sort=x&label=&kind=nak", "?kind=nak&sort=x");
        check("severity=ok", "?severity=ok");
        check("page=1&sort=worst", "");
        check("page=", "");
        check("page=x", "?page=x");
        check("page=0&q=a", "?q=a&page=0");
        check(&format!("page={}", "9".repeat(30)), &format!("?page={}", "9".repeat(24)));
        check("q=%00%0Aa", "?q=a");
        check(&format!("q={}", "x".repeat(300)), &format!("?q={}", "x".repeat(256)));
    }

    #[test]
    fn what_is_not_understood_is_told_once_and_left_out_of_the_next_step() {
        let search = Search::of_query("severity=bad&sort=odd&page=7");
        let said = search.nonsense.as_ref().map(Nonsense::sentence);
        assert_eq!(said.as_deref(), Some("`severity` is `bad`, and takes one of notice, warning, critical"));
        assert_eq!((search.severity, search.sort), (None, Sort::Worst));
        for next in [search.sorted(Sort::Lag), search.with_severity(None), search.at_page(0)] {
            assert_eq!(next.nonsense, None);
        }
    }

    #[test]
    fn a_page_that_a_list_does_not_have_is_told() {
        let check = |text: &str, pages, expected: Result<usize, (usize, &str)>| {
            let found = Stretch::of_text(text).within(pages);
            let found = found.as_ref().map_err(|none| (none.nearest, none.sentence.as_str()));
            assert_eq!(found.copied(), expected, "{text} of {pages}");
        };
        check("", 1, Ok(0));
        check("1", 1, Ok(0));
        check("3", 3, Ok(2));
        check("4", 3, Err((2, "there is no page 4: the list has 3 pages")));
        check("2", 1, Err((0, "there is no page 2: the list has 1 page")));
        check("18446744073709551615", 1, Err((0, "there is no page 18446744073709551615: the list has 1 page")));
        for wrong in ["0", "-1", "x", "1.5", "99999999999999999999"] {
            check(wrong, 3, Err((0, &format!("`{wrong}` is no page: the list has 3 pages, counted from 1"))));
        }
    }

    #[test]
    fn a_text_is_found_anywhere_and_in_either_case() {
        let check = |q: &str, expected| {
            let search = Search { q: q.to_owned(), ..Search::default() };
            assert_eq!(search.finds(&["ORDERS", "mail-sender"]), expected, "{q}");
        };
        check("", true);
        check("orders", true);
        check("MAIL", true);
        check("senders", false);
        check("ordersmail", false);
    }
}
