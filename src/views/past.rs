//! How a consumer or a stream was over the last minutes, hours or day.

use askama::{Template, filters::HtmlSafe};

use super::{
    Look,
    chart::{Chart, Drawn},
    format,
    page::Page,
    pieces::Moment,
};
use crate::{
    clock::Timestamp,
    snapshot::{Series, Span},
};

/// What is kept of the past of what a page is about.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// Its points; `None` where it was never seen.
    pub series: Option<Series>,
    /// Since when anything is kept of the span that is shown; `None` before the first round.
    pub since: Option<Timestamp>,
    /// Whether that outlives the program.
    pub is_on_disk: bool,
    /// Whether that of the longer spans does.
    pub are_longer_on_disk: bool,
}

/// Charts, and the choice of how far back they go.
#[derive(Template)]
#[template(path = "parts/past.html")]
pub(super) struct PastView {
    spans: Vec<SpanLink>,
    charts: Vec<Chart>,
    since: Option<Moment>,
    kept: &'static str,
}

impl HtmlSafe for PastView {}

struct SpanLink {
    words: &'static str,
    href: String,
    is_here: bool,
}

impl PastView {
    /// The past of a consumer.
    pub(super) fn of_consumer(page: &Page, look: &Look<'_>) -> Self {
        Self::of(page, look, |series| {
            let lag = [
                Drawn { name: "pending", class: "a", of: |point| point.waiting },
                Drawn { name: "ack pending", class: "b", of: |point| point.held },
            ];
            let rates = [
                Drawn { name: "delivered", class: "a", of: |point| point.came_per_second },
                Drawn { name: "acked", class: "b", of: |point| point.went_per_second },
            ];
            let age = [Drawn { name: "oldest unprocessed", class: "a", of: |point| point.age_seconds }];
            vec![
                Chart::of("lag", "Lag", series, &lag, whole),
                Chart::of("age", "Age", series, &age, seconds),
                Chart::of("rates", "Rates", series, &rates, per_second),
            ]
        })
    }

    /// The past of a stream.
    pub(super) fn of_stream(page: &Page, look: &Look<'_>) -> Self {
        Self::of(page, look, |series| {
            let messages = [Drawn { name: "messages", class: "a", of: |point| point.waiting }];
            let bytes = [Drawn { name: "held", class: "a", of: |point| point.held }];
            let stored = [Drawn { name: "stored", class: "a", of: |point| point.came_per_second }];
            vec![
                Chart::of("messages", "Messages", series, &messages, whole),
                Chart::of("bytes", "Size", series, &bytes, bytes_of),
                Chart::of("rates", "Rate", series, &stored, per_second),
            ]
        })
    }

    fn of(page: &Page, look: &Look<'_>, charts: fn(&Series) -> Vec<Chart>) -> Self {
        let here = page.past().map(|(_, span)| span).unwrap_or_default();
        let link =
            |span: Span| SpanLink { words: span.words(), href: look.link(&page.over(span)), is_here: span == here };
        Self {
            spans: Span::ALL.map(link).into(),
            charts: look.past.series.as_ref().map(charts).unwrap_or_default(),
            since: look.past.since.map(|since| Moment::length(since, look)),
            kept: match (look.past.is_on_disk, look.past.are_longer_on_disk) {
                (true, _) => "on disk",
                (false, true) => "in memory, until this program ends; that of 2 hours and of 24 hours is on disk",
                (false, false) => "in memory, until this program ends",
            },
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are not negative")]
fn whole(value: f32) -> String {
    format::count(value as u64)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes are not negative")]
fn bytes_of(value: f32) -> String {
    format::bytes(value as u64)
}

fn per_second(value: f32) -> String {
    format::rate(f64::from(value))
}

fn seconds(value: f32) -> String {
    let age = std::time::Duration::try_from_secs_f32(value).unwrap_or_default();
    if age.is_zero() { "none waits".to_owned() } else { format::age(age) }
}
