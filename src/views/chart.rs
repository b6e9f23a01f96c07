//! Charts, drawn as SVG: a line for each thing, a gap where nothing was read, and the latest and the greatest value in words beside it.

use askama::{Template, filters::HtmlSafe};

use super::format;
use crate::snapshot::{Point, Series};

/// The drawing's own units; the page scales it to the width that there is.
const WIDTH: f32 = 600.0;
const HEIGHT: f32 = 120.0;

/// Room above the highest point, so that its line is not cut.
const ABOVE: f32 = 6.0;

/// One chart.
#[derive(Debug, Template)]
#[template(path = "parts/chart.html")]
pub(super) struct Chart {
    id: &'static str,
    title: &'static str,
    lines: Vec<Line>,
    /// The value at the top, in words; `None` where nothing is known.
    top: Option<String>,
    /// How far back it goes, in words.
    over: String,
}

impl HtmlSafe for Chart {}

/// One line of a chart.
#[derive(Debug)]
struct Line {
    name: &'static str,
    class: &'static str,
    path: String,
    area: String,
    latest: String,
}

/// What is drawn of each point.
pub(super) struct Drawn {
    pub(super) name: &'static str,
    /// The class of its colour.
    pub(super) class: &'static str,
    pub(super) of: fn(&Point) -> f32,
}

impl Chart {
    /// Draws `drawn` of `series`. `words` says a value with its unit.
    pub(super) fn of(
        id: &'static str,
        title: &'static str,
        series: &Series,
        drawn: &[Drawn],
        words: fn(f32) -> String,
    ) -> Self {
        let values = |drawn: &Drawn| series.points.iter().map(drawn.of).collect::<Vec<f32>>();
        let top = drawn.iter().flat_map(values).fold(f32::NAN, f32::max);
        let scale = if top > 0.0 { (HEIGHT - ABOVE) / top } else { 0.0 };
        let lines = drawn.iter().map(|drawn| {
            let values = values(drawn);
            let latest = values.iter().rev().find(|value| !value.is_nan()).copied();
            Line {
                name: drawn.name,
                class: drawn.class,
                path: path(&values, scale),
                area: area(&values, scale),
                latest: latest.map_or_else(|| "unknown".to_owned(), words),
            }
        });
        let seconds = series.step.as_secs() * series.points.len() as u64;
        let over = format::age(std::time::Duration::from_secs(seconds));
        Self { id, title, lines: lines.collect(), top: (!top.is_nan()).then(|| words(top)), over }
    }

    /// What the drawing shows, for those who do not see it.
    fn label(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(|line| format!("{} {}", line.name, line.latest)).collect();
        match &self.top {
            Some(top) => format!("{} over {}: now {}, at most {top}", self.title, self.over, lines.join(", ")),
            None => format!("{}: nothing is known yet", self.title),
        }
    }
}

/// The runs of known values, each with the place of its first.
fn runs(values: &[f32]) -> impl Iterator<Item = (usize, &[f32])> {
    let mut place = 0;
    values.split(|value| value.is_nan()).filter_map(move |run| {
        let from = place;
        place += run.len() + 1;
        (!run.is_empty()).then_some((from, run))
    })
}

fn points(values: &[f32], from: usize, run: &[f32], scale: f32) -> Vec<String> {
    #[expect(clippy::cast_precision_loss, reason = "a series has some hundred points")]
    let x = |place: usize| place as f32 * WIDTH / (values.len().max(2) - 1) as f32;
    (from..).zip(run).map(|(place, value)| format!("{:.1} {:.1}", x(place), HEIGHT - value * scale)).collect()
}

fn path(values: &[f32], scale: f32) -> String {
    let mut path = String::new();
    for (from, run) in runs(values) {
        let points = points(values, from, run, scale);
        path.push('M');
        path.push_str(&points.join("L"));
        // A point alone is a dot, which a line of no length with round ends draws.
        if points.len() == 1 {
            path.push_str("h0");
        }
    }
    path
}

fn area(values: &[f32], scale: f32) -> String {
    let mut path = String::new();
    for (from, run) in runs(values) {
        let points = points(values, from, run, scale);
        let (Some(first), Some(last)) = (points.first(), points.last()) else { continue };
        let x = |point: &str| point.split(' ').next().unwrap_or_default().to_owned();
        path.push_str(&format!("M{} {HEIGHT}L{}L{} {HEIGHT}Z", x(first), points.join("L"), x(last)));
    }
    path
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Timestamp;

    fn check(values: &[f32], expected: &str) {
        assert_eq!(path(values, 1.0), expected, "{values:?}");
    }

    #[test]
    fn a_gap_is_no_line_and_no_zero() {
        check(&[0.0, 20.0], "M0.0 120.0L600.0 100.0");
        check(&[0.0, f32::NAN, 20.0], "M0.0 120.0h0M600.0 100.0h0");
        check(&[f32::NAN; 3], "");
    }

    fn chart(values: &[f32]) -> Chart {
        let points = values.iter().map(|value| Point { waiting: *value, ..Point::UNKNOWN }).collect();
        let until = Timestamp::parse("2030-01-31T12:00:00Z").unwrap();
        let series = Series { step: Duration::from_secs(10), until, points };
        let drawn = [Drawn { name: "pending", class: "a", of: |point| point.waiting }];
        Chart::of("lag", "Lag", &series, &drawn, |value| format!("{value:.0}"))
    }

    #[test]
    fn a_drawing_says_in_words_what_it_shows() {
        assert_eq!(chart(&[1.0, 9.0, 4.0]).label(), "Lag over 30\u{a0}s: now pending 4, at most 9");
        assert_eq!(chart(&[f32::NAN]).label(), "Lag: nothing is known yet");
        assert!(chart(&[0.0, 0.0]).lines[0].path.ends_with("600.0 120.0"), "nothing lies on the ground");
    }
}
