//! How much of something is used that may have a limit: a bar where there is one.

use askama::{Template, filters::HtmlSafe};

use super::{limits::Fill, pieces::Number};

/// What is used, of how much.
#[derive(Template)]
#[template(path = "parts/used.html")]
pub(super) struct Used {
    fill: Option<Fill>,
    /// What stands behind the bar, or in its place where there is no limit.
    text: String,
    unknown: Option<Number>,
}

impl HtmlSafe for Used {}

impl Used {
    /// `reserved` is what may be taken by those who were promised it, where that is counted.
    pub(super) fn of(used: u64, limit: Option<u64>, reserved: u64, words: fn(u64) -> String) -> Self {
        let reserved = if reserved > 0 { format!(", {} reserved", words(reserved)) } else { String::new() };
        match limit {
            Some(limit) => Self { fill: Some(Fill::of_limit(used, limit, words)), text: reserved, unknown: None },
            None => Self { fill: None, text: format!("{}, no limit{reserved}", words(used)), unknown: None },
        }
    }

    pub(super) fn unknown(reason: &str) -> Self {
        Self { fill: None, text: String::new(), unknown: Some(Number::unknown(reason)) }
    }
}
