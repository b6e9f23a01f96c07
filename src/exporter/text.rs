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

/// Bytes of a text that are handed on at once. For so few there is memory at hand that was used before; for more the system is asked each
/// time, and to make it ready takes as long as to write it.
const PIECE: usize = 64 << 10;

impl Text {
    /// Takes away what was written, in pieces that end with a line. The room for it is kept.
    pub(super) fn take_pieces(&mut self) -> Vec<String> {
        let mut pieces = Vec::new();
        let mut rest = self.0.as_str();
        while !rest.is_empty() {
            let whole = rest.len().min(PIECE);
            let line = rest.as_bytes()[..whole].iter().rposition(|byte| *byte == b'\n');
            let end = line.or_else(|| rest.find('\n')).map_or(rest.len(), |at| at + 1);
            let (piece, more) = rest.split_at(end);
            pieces.push(piece.to_owned());
            rest = more;
        }
        self.0.clear();
        pieces
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
    if !value.contains(['\\', '"', '\n']) {
        text.push_str(value);
        return;
    }
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

    #[test]
    fn a_text_is_taken_away_in_pieces_that_end_with_a_line() {
        let mut text = Text::default();
        assert_eq!(text.take_pieces(), [""; 0]);
        let long = "x".repeat(PIECE);
        let lines: Vec<String> =
            (0..9_000).map(|number| format!("lag {number}\n")).chain([format!("{long}\n")]).collect();
        text.0 = lines.concat();
        let whole = text.0.clone();
        let pieces = text.take_pieces();
        assert!(pieces.iter().all(|piece| piece.ends_with('\n') && (piece.len() <= PIECE || piece.starts_with('x'))));
        assert_eq!((pieces.len(), pieces.concat()), (3, whole));
        assert_eq!(text.take_pieces(), [""; 0], "it was taken");
    }
}
