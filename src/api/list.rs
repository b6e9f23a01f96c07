//! Lists that are answered a page at a time.

use schemars::JsonSchema;
use serde::Serialize;
use url::form_urlencoded;

use super::{Ask, Failure, Parameter};
use crate::views::{NoPage, Stretch};

/// Rows of a page unless it is said how many.
const ROWS: usize = 100;

/// Rows of the longest page: some hundred bytes each to a few thousand, it is a few megabytes.
const ROWS_MOST: usize = 1_000;

/// What every list may be asked for.
pub(super) const PAGE: Parameter = Parameter::text(
    "page",
    "Which page of the rows, counted from 1; 404 where there is none, 400 for what is no number.",
);
pub(super) const LIMIT: Parameter =
    limit_of("Rows of a page: 100 unless it is said, from 1 to 1000; 400 for anything else.", ROWS_MOST);
pub(super) const Q: Parameter =
    Parameter::text("q", "A text that a row has somewhere in its names, in letters of either case.");
pub(super) const STREAM: Parameter = Parameter::text("stream", "The stream.");
pub(super) const CONSUMER: Parameter = Parameter::text("consumer", "The consumer.");
pub(super) const ACCOUNT: Parameter = Parameter::text("account", "The account.");

/// How many rows an answer may be asked for.
pub(super) const fn limit_of(about: &'static str, most: usize) -> Parameter {
    Parameter::number("limit", about, 1, most as u64)
}

/// A page of a list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "List_{T}")]
pub(super) struct List<T> {
    /// Rows of all pages together.
    total: usize,
    /// Which page this is, counted from 1.
    page: usize,
    /// Pages that there are.
    pages: usize,
    /// Why the list as a whole is not fresh; null where it is.
    reason: Option<String>,
    /// Names that exist and of which nobody gave an account.
    missing: Vec<String>,
    /// The rows.
    rows: Vec<T>,
}

impl<T> List<T> {
    /// The page that was asked for.
    ///
    /// # Errors
    /// When there is no such page: whoever goes through them all is not given rows twice.
    pub(super) fn of<R>(ask: &Ask<'_>, all: Vec<R>, tell: impl Fn(R) -> T) -> Result<Self, Failure> {
        let limit = limit(ask.query, ROWS);
        let pages = all.len().div_ceil(limit).max(1);
        let page = ask.search.page.within(pages).map_err(|none| no_page(&ask.search.page, none))?;
        Ok(Self {
            total: all.len(),
            page: page + 1,
            pages,
            reason: None,
            missing: Vec::new(),
            rows: all.into_iter().skip(page * limit).take(limit).map(tell).collect(),
        })
    }

    /// Why the list is not fresh, and what it lacks.
    pub(super) fn lacking(self, reason: Option<&str>, missing: Vec<String>) -> Self {
        Self { reason: reason.map(str::to_owned), missing, ..self }
    }
}

fn no_page(asked: &Stretch, none: NoPage) -> Failure {
    match asked {
        Stretch::Page(_) => Failure::not_found(none.sentence),
        Stretch::Nonsense(_) => Failure { status: 400, code: "unclear", message: none.sentence },
    }
}

/// How many rows are asked for: `usual` unless it is said. That it makes sense was looked at before.
pub(super) fn limit(query: &str, usual: usize) -> usize {
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == LIMIT.name);
    asked.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_as_many_rows_as_were_asked_for() {
        let check = |query: &str, expected| assert_eq!(limit(query, ROWS), expected, "{query}");
        check("", 100);
        check("q=a&limit=7", 7);
        check("limit=+7+", 7);
        check("limit=", 100);
    }
}
