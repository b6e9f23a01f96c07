//! What stands around a list: links that narrow it, drop-down lists, and the way to its other pages.

use askama::{Template, filters::HtmlSafe};

use super::{
    Look, format,
    page::Page,
    pieces::{Gap, Level, Sign},
    search::{NoPage, Nonsense, Search, Sort},
};

/// Rows of one page.
pub(super) const ROWS: usize = 50;

/// A link that narrows a list, with how many it leaves.
pub(super) struct Choice {
    pub(super) sign: Sign,
    pub(super) href: String,
    pub(super) count: String,
    pub(super) is_chosen: bool,
}

/// An entry of a drop-down list.
pub(super) struct Entry {
    pub(super) value: String,
    pub(super) text: String,
    pub(super) is_chosen: bool,
}

/// Where one is in a list that takes several pages.
#[derive(Template)]
#[template(path = "parts/pager.html")]
pub(super) struct Pager {
    /// That there is no such page as was asked for.
    pub(super) wrong: Option<Gap>,
    said: String,
    before: Option<String>,
    after: Option<String>,
}

impl HtmlSafe for Pager {}

impl Pager {
    /// The pager of a list of `all` rows, and which of them are shown. Where there is no such page that is said, and the nearest is shown.
    pub(super) fn of(
        all: usize,
        search: &Search,
        look: &Look<'_>,
        list: fn(Search) -> Page,
        one: &str,
    ) -> (Self, std::ops::Range<usize>) {
        let found = search.page.within(all.div_ceil(ROWS).max(1));
        let page = found.as_ref().map_or_else(|none| none.nearest, |page| *page);
        let range = page * ROWS..all.min((page + 1) * ROWS);
        let link = |page: usize| look.link(&list(search.at_page(page)));
        let said = if all <= ROWS {
            format::counted(all, one)
        } else {
            format!(
                "{} to {} of {}",
                format::count(range.start as u64 + 1),
                format::count(range.end as u64),
                format::counted(all, one)
            )
        };
        let pager = Self {
            wrong: search.nonsense.as_ref().map(not_understood).or_else(|| found.err().map(|none| no_page(&none))),
            said,
            before: page.checked_sub(1).map(link),
            after: (range.end < all).then(|| link(page + 1)),
        };
        (pager, range)
    }
}

fn not_understood(nonsense: &Nonsense) -> Gap {
    let shown = format!("{} It is left out.", format::sentence(&nonsense.sentence()));
    Gap { sign: Sign::new(Level::Idle, "not understood"), sentence: shown }
}

fn no_page(NoPage { nearest, sentence }: &NoPage) -> Gap {
    let shown = format!("{} What is shown is page {}.", format::sentence(sentence), nearest + 1);
    Gap { sign: Sign::new(Level::Idle, "no such page"), sentence: shown }
}

/// The orders that a list can have.
pub(super) fn sorts(all: &[(Sort, &str)], chosen: Sort) -> Vec<Entry> {
    let entry = |(sort, text): &(Sort, &str)| Entry {
        value: sort.token().to_owned(),
        text: (*text).to_owned(),
        is_chosen: *sort == chosen,
    };
    all.iter().map(entry).collect()
}

/// The accounts that there are; none where there is but one.
pub(super) fn accounts(look: &Look<'_>, search: &Search) -> Vec<Entry> {
    let mut names: Vec<&str> = look.snapshot.known_streams().iter().map(|stream| &*stream.account).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() < 2 && search.account.is_empty() {
        return Vec::new();
    }
    let entry = |name: &str, text: &str| Entry {
        value: name.to_owned(),
        text: format::cut(text),
        is_chosen: search.account == name,
    };
    std::iter::once(entry("", "all accounts")).chain(names.into_iter().map(|name| entry(name, name))).collect()
}
