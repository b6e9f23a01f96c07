//! The names in a PromQL expression: its metrics, the labels that it selects by, and those that it groups by.

use std::collections::BTreeSet;

/// What an expression names.
#[derive(Debug, Default, PartialEq)]
pub struct Names {
    pub metrics: BTreeSet<String>,
    pub labels: BTreeSet<String>,
}

/// Words that stand between expressions; `group_left` and its like are followed by labels as `by` is.
const OPERATORS: [&str; 7] = ["and", "or", "unless", "bool", "offset", "inf", "nan"];
const BEFORE_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Reads an expression, in which Grafana's variables may stand wherever a text or a duration does.
pub fn names(expression: &str) -> Names {
    let mut names = Names::default();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '"' => after(&rest[1..], '"'),
            '[' => after(rest, ']'),
            '{' => labels(&rest[1..], '}', &mut names.labels),
            c if c.is_alphabetic() || matches!(c, '_' | ':') => word(rest, &mut names),
            // A number may end in a letter, as 5m and 1e3 do.
            c if c.is_ascii_digit() => rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.'),
            c => &rest[c.len_utf8()..],
        };
    }
    names
}

fn word<'a>(text: &'a str, names: &mut Names) -> &'a str {
    let (word, rest) = split_word(text);
    let behind = rest.trim_start();
    match behind.strip_prefix('(') {
        Some(list) if BEFORE_LABELS.contains(&word) => return labels(list, ')', &mut names.labels),
        // Only functions and aggregations stand before a bracket.
        Some(_) => {}
        None if OPERATORS.contains(&word) || BEFORE_LABELS.contains(&word) => {}
        // `sum by (x) (y)`: an aggregation without its bracket yet.
        None if BEFORE_LABELS.contains(&split_word(behind).0) => {}
        None => _ = names.metrics.insert(word.to_owned()),
    }
    rest
}

/// Takes the words up to `end` that are not in quotes, and returns what follows.
fn labels<'a>(mut text: &'a str, end: char, found: &mut BTreeSet<String>) -> &'a str {
    while let Some(first) = text.chars().next() {
        text = match first {
            '"' => after(&text[1..], '"'),
            c if c == end => return &text[c.len_utf8()..],
            c if c.is_alphabetic() || c == '_' => {
                let (label, rest) = split_word(text);
                found.insert(label.to_owned());
                rest
            }
            c => &text[c.len_utf8()..],
        };
    }
    text
}

fn split_word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | ':')).unwrap_or(text.len()))
}

fn after(text: &str, end: char) -> &str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, metrics: &[&str], labels: &[&str]) {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(names(expression), Names { metrics: set(metrics), labels: set(labels) }, "{expression}");
    }

    #[test]
    fn metrics_and_labels_are_told_from_the_rest() {
        check("up", &["up"], &[]);
        check("count(up == 0) or vector(0)", &["up"], &[]);
        check(r#"rate(a_total{job=~"$job", x!="y, z{"}[$__rate_interval])"#, &["a_total"], &["job", "x"]);
        check("sum by (le, job) (rate(a_bucket[5m]))", &["a_bucket"], &["job", "le"]);
        check("sum(a) by (x) / on(y) group_left(z) b offset 5m > bool 1e3", &["a", "b"], &["x", "y", "z"]);
        check("histogram_quantile(0.99, a) unless b", &["a", "b"], &[]);
    }
}
