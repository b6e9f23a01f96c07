//! Numbers, sizes, rates and moments as people read them: no line ends between a number and its unit.

use std::time::Duration;

use crate::{
    clock::{Age, Timestamp},
    words::plural,
};

pub(super) use crate::words::{agree, count, counted as counted_u64};

/// Stands for a space at which no line ends.
const NO_BREAK: char = '\u{a0}';

/// `1 stream`, `2 streams`.
pub(super) fn counted(value: usize, one: &str) -> String {
    counted_u64(value as u64, one)
}

/// `1 consumer needs you`, `2 consumers need you`.
pub(super) fn need_you(value: usize, one: &str) -> String {
    format!("{} {} you", counted(value, one), agree(value as u64, "needs", "need"))
}

/// What a kind of record is called: `dead_letter` → `dead letters`.
pub(super) fn kinds(kind: &str) -> String {
    plural(&kind.replace(['_', '-'], " "))
}

/// A reason as a sentence of its own.
pub(super) fn sentence(reason: &str) -> String {
    let end = if reason.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{}{end}", capital(reason))
}

/// The same with a capital first letter.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What a service is called, also where it does not say its name.
pub(super) fn service(name: &str) -> &str {
    if name.is_empty() { "a service without a name" } else { name }
}

/// A text with each number tied to what stands behind it, which is its unit.
pub(super) fn tied(text: &str) -> String {
    let mut last = ' ';
    let tie = |letter: char| {
        let is_tied = letter == ' ' && last.is_ascii_digit();
        last = letter;
        if is_tied { NO_BREAK } else { letter }
    };
    text.chars().map(tie).collect()
}

/// A length of time: `350 ms`, `2 min 5 s`, `3 d`.
pub(super) fn age(length: Duration) -> String {
    tied(&Age(length).to_string())
}

/// The same, and `0 s` of less than a second.
fn whole_seconds(length: Duration) -> String {
    if length.as_secs() == 0 { tied("0 s") } else { age(length) }
}

/// `1.2 MB`: powers of 1000, two figures at least.
pub(super) fn bytes(value: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if value < 1_000 {
        return tied(&format!("{value} B"));
    }
    let (mut size, mut unit) = (value, 0);
    while size >= 999_950 && unit + 1 < UNITS.len() {
        size /= 1_000;
        unit += 1;
    }
    let tenths = (size + 50) / 100;
    let number = match tenths {
        0..100 => format!("{}.{}", tenths / 10, tenths % 10),
        _ => ((size + 500) / 1_000).to_string(),
    };
    tied(&format!("{number} {}", UNITS[unit]))
}

/// `4.8/s`: one decimal below 100, as many as it takes to see that it is not nothing.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate <= 0.0 => "0/s".to_owned(),
        rate if rate < 0.01 => "< 0.01/s".to_owned(),
        rate if rate < 0.95 => format!("{rate:.2}/s"),
        rate if rate < 99.5 => format!("{rate:.1}/s"),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and `as` saturates")]
        rate => format!("{}/s", count(rate.round() as u64)),
    }
}

/// `3 s ago`; `just now` within the second.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    match at.age(now) {
        Age(length) if length.as_secs() == 0 => "just now".to_owned(),
        Age(length) => format!("{} ago", age(length)),
    }
}

/// `3 s`; `0 s` within the second.
pub(super) fn length(at: Timestamp, now: Timestamp) -> String {
    whole_seconds(at.age(now).0)
}

/// A text that somebody else wrote, cut where it would take over the page.
pub(super) fn cut(text: &str) -> String {
    const LETTERS: usize = 240;
    cut_at(text, LETTERS)
}

/// The same, where there is room for `letters`.
pub(super) fn cut_at(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The beginning of a text that has room in so many bytes.
pub(super) fn within(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A time that a handler took: `12 ms`, `1.2 s`.
pub(super) fn took(seconds: f64) -> String {
    match seconds {
        taken if !taken.is_finite() || taken < 0.0 => "?".to_owned(),
        taken if taken < 0.001 => tied("< 1 ms"),
        taken if taken < 1.0 => tied(&format!("{:.0} ms", taken * 1_000.0)),
        taken if taken < 60.0 => tied(&format!("{taken:.1} s")),
        taken => age(Duration::from_secs_f64(taken.min(1e9))),
    }
}

/// An age that somebody else told: `3 s`.
pub(super) fn since_seconds(seconds: f64) -> String {
    match Duration::try_from_secs_f64(seconds) {
        Ok(length) => whole_seconds(length),
        Err(_) => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn untied(text: &str) -> String {
        text.replace(NO_BREAK, " ")
    }

    #[test]
    fn no_line_ends_between_a_number_and_its_unit() {
        let (now, minute) = (Timestamp::parse("2030-01-31T12:00:00Z").unwrap(), Duration::from_secs(60));
        for (text, expected) in [
            (age(minute + Duration::from_secs(5)), "1~min 5~s"),
            (ago(now.before(minute), now), "1~min ago"),
            (ago(now, now), "just now"),
            (length(now, now), "0~s"),
            (length(now.before(minute), now), "1~min"),
            (since_seconds(0.5), "0~s"),
            (since_seconds(3.0), "3~s"),
            (took(0.0), "< 1~ms"),
            (took(1.25), "1.2~s"),
            (bytes(12), "12~B"),
            (bytes(1_234_567), "1.2~MB"),
            (bytes(123_456), "123~kB"),
        ] {
            assert_eq!(text.replace(NO_BREAK, "~"), expected);
        }
    }

    #[test]
    fn sizes_have_two_figures_at_least() {
        let check = |value, expected: &str| assert_eq!(untied(&bytes(value)), expected);
        check(0, "0 B");
        check(999, "999 B");
        check(1_000, "1.0 kB");
        check(9_949, "9.9 kB");
        check(9_950, "10 kB");
        check(123_456, "123 kB");
        check(999_949, "1000 kB");
        check(1_234_567, "1.2 MB");
        check(u64::MAX, "18 EB");
    }

    #[test]
    fn a_small_rate_is_not_nothing() {
        let check = |value, expected: &str| assert_eq!(rate(value), expected);
        check(0.0, "0/s");
        check(0.001, "< 0.01/s");
        check(0.05, "0.05/s");
        check(4.84, "4.8/s");
        check(120.4, "120/s");
        check(12_345.6, "12,346/s");
    }

    #[test]
    fn kinds_become_headings() {
        let check = |kind, expected: &str| assert_eq!(capital(&kinds(kind)), expected);
        check("order", "Orders");
        check("dead_letter", "Dead letters");
        check("reply", "Replies");
        check("outbox", "Outboxes");
        check("day", "Days");
    }

    #[test]
    fn a_text_is_cut_between_letters() {
        assert_eq!(cut("3 items"), "3 items");
        assert_eq!(cut(&"é".repeat(240)), "é".repeat(240));
        assert_eq!(cut(&"é".repeat(241)), format!("{}…", "é".repeat(240)));
    }

    #[test]
    fn a_time_that_makes_no_sense_is_not_shown_as_one() {
        let check = |value, expected: &str| assert_eq!(untied(&took(value)), expected);
        check(0.0, "< 1 ms");
        check(0.0124, "12 ms");
        check(1.25, "1.2 s");
        check(90.0, "1 min 30 s");
        check(f64::NAN, "?");
        check(-1.0, "?");
        check(f64::INFINITY, "?");
    }
}
