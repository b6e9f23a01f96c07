//! Prometheus' text format: families, labels and values.
//!
//! Convention: <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4.

use std::fmt::Write as _;

use crate::telemetry::metrics::{Family, Kind};

/// A text that grows family by family.
#[derive(Debug, Default)]
pub(super) struct Text(String);

/// The value of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// A whole number, written in full.
    Count(u64),
    /// Any number; what is not finite is not written.
    Real(f64),
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<bool> for Value {
    fn from(is: bool) -> Self {
        Self::Count(u64::from(is))
    }
}

impl From<f64> for Value {
    fn from(real: f64) -> Self {
        Self::Real(real)
    }
}

/// Bytes that a series takes with all its labels, generously: room that is not written to costs nothing.
const SERIES_ROOM: usize = 192;

impl Text {
    /// A text with room for so many series, which need not be moved while it grows.
    pub(super) fn with_room(series: usize) -> Self {
        Self(String::with_capacity(series.saturating_mul(SERIES_ROOM)))
    }

    /// A family with its series, each as its labels and its value. One without series is left out.
    pub(super) fn family<L: AsRef<str>>(&mut self, family: &Family, series: impl Iterator<Item = (L, Value)>) {
        self.family_in_parts(family, series.map(|(labels, value)| (labels, "", value)));
    }

    /// The same, the labels of each series in two parts.
    pub(super) fn family_in_parts<L: AsRef<str>, R: AsRef<str>>(
        &mut self,
        family: &Family,
        series: impl Iterator<Item = (L, R, Value)>,
    ) {
        let start = self.0.len();
        self.head(family);
        let filled = self.0.len();
        self.more_of_family(family, series);
        if self.0.len() == filled {
            self.0.truncate(start);
        }
    }

    /// More series of the family that was written last, in a text of their own.
    pub(super) fn more_of_family<L: AsRef<str>, R: AsRef<str>>(
        &mut self,
        family: &Family,
        series: impl Iterator<Item = (L, R, Value)>,
    ) {
        for (labels, more, value) in series {
            self.series(family.name, [labels.as_ref(), more.as_ref()], value);
        }
    }

    /// A family of one series without labels.
    pub(super) fn single(&mut self, family: &Family, value: Option<Value>) {
        self.family(family, value.into_iter().map(|value| ("", value)));
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }

    fn head(&mut self, family: &Family) {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing into a text cannot fail.
        let _infallible = writeln!(self.0, "# HELP {0} {1}\n# TYPE {0} {kind}", family.name, family.help);
    }

    fn series(&mut self, name: &str, labels: [&str; 2], value: Value) {
        if matches!(value, Value::Real(real) if !real.is_finite()) {
            return;
        }
        self.0.push_str(name);
        if labels != ["", ""] {
            self.0.push('{');
            labels.into_iter().for_each(|part| self.0.push_str(part));
            self.0.push('}');
        }
        self.0.push(' ');
        match value {
            Value::Count(count) => self.0.push_str(itoa::Buffer::new().format(count)),
            // Writing into a text cannot fail.
            Value::Real(real) => drop(write!(self.0, "{real}")),
        }
        self.0.push('\n');
    }
}

/// Labels with their values, whatever stands in these.
pub(super) fn labels(pairs: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(pairs.iter().map(|(name, value)| name.len() + value.len() + 4).sum());
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        escape(&mut text, value);
        text.push('"');
    }
    text
}

fn escape(text: &mut String, value: &str) {
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            letter => text.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: Family = Family { name: "lag", kind: Kind::Gauge, labels: &["name"], help: "Lag." };

    fn check(name: &str, expected: &str) {
        assert_eq!(labels(&[("name", name)]), expected);
    }

    #[test]
    fn labels_take_whatever_stands_in_them() {
        check("mail", "name=\"mail\"");
        check("a\"b\\c\nd", "name=\"a\\\"b\\\\c\\nd\"");
        check("<script>\u{202e}\r\t", "name=\"<script>\u{202e}\r\t\"");
        check("", "name=\"\"");
    }

    #[test]
    fn a_family_is_its_help_its_kind_and_its_series() {
        let mut text = Text::default();
        let series = [("name=\"a\"", Value::Count(u64::MAX)), ("", Value::Real(0.5)), ("", Value::Real(f64::NAN))];
        text.family(&LAG, series.into_iter());
        text.single(&LAG, None);
        let expected = "# HELP lag Lag.\n# TYPE lag gauge\nlag{name=\"a\"} 18446744073709551615\nlag 0.5\n";
        assert_eq!(text.into_string(), expected);
    }
}
