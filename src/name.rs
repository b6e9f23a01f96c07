//! Names that NATS accepts: parsed once, then trusted. Clones share one text.

use std::{fmt, str::FromStr, sync::Arc};

/// Longest stream or consumer name that the server takes.
const NAME_MAX: usize = 255;

/// Why a text is not a name; says which text and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{text}` {fault}")]
pub struct NameError {
    what: &'static str,
    text: String,
    fault: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $fault_of:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::try_from(text.as_str())
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::try_from(text)
            }
        }

        impl TryFrom<&str> for $type {
            type Error = NameError;

            fn try_from(text: &str) -> Result<Self, NameError> {
                match $fault_of(text) {
                    None => Ok(Self(text.into())),
                    Some(fault) => Err(NameError { what: $what, text: text.to_owned(), fault }),
                }
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.as_str().to_owned()
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of a stream.
    StreamName, "stream name", asset_fault
}
name! {
    /// The name of a consumer; of a durable one, its durable name.
    ConsumerName, "consumer name", asset_fault
}
name! {
    /// A subject that a message is published on: no wildcard.
    Subject, "subject", subject_fault
}
name! {
    /// A subject in which `*` stands for one token and a last `>` for all that follow.
    SubjectPattern, "subject pattern", pattern_fault
}

impl Subject {
    /// The token at `index`, counted from 0.
    pub fn token(&self, index: usize) -> Option<&str> {
        self.0.split('.').nth(index)
    }
}

impl SubjectPattern {
    /// Whether `subject` is one of those that the pattern stands for.
    pub fn matches(&self, subject: &str) -> bool {
        let mut tokens = subject.split('.');
        for wanted in self.0.split('.') {
            match (wanted, tokens.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (wanted, Some(token)) if wanted == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }

    /// Puts `tokens` where the wildcards stand, in order.
    ///
    /// # Errors
    /// When there are fewer or more tokens than wildcards, or one of them is not a subject token.
    pub fn fill(&self, tokens: &[&str]) -> Result<Subject, NameError> {
        let mut tokens = tokens.iter();
        let filled: Option<Vec<&str>> = self
            .0
            .split('.')
            .map(|token| if matches!(token, "*" | ">") { tokens.next().copied() } else { Some(token) })
            .collect();
        match (filled, tokens.next()) {
            (Some(filled), None) => Subject::try_from(filled.join(".")),
            _ => Err(NameError {
                what: "subject pattern",
                text: self.as_str().to_owned(),
                fault: "has not as many wildcards as tokens were given",
            }),
        }
    }
}

/// Whether some subject belongs to both patterns.
pub fn subjects_overlap(one: &str, other: &str) -> bool {
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
            (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
            _ => return false,
        }
    }
}

/// Turns any text into one token of a subject or key: what NATS does not take there becomes `_`.
pub fn token_of(text: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    text.chars().map(kept).collect()
}

fn asset_fault(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("is empty");
    }
    if text.len() > NAME_MAX {
        return Some("is longer than 255 bytes");
    }
    let refused = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>' | '/' | '\\');
    text.contains(refused).then_some("has a character that NATS refuses there (space, `.`, `*`, `>`, `/`, `\\`)")
}

fn subject_fault(text: &str) -> Option<&'static str> {
    if text.split('.').any(|token| matches!(token, "*" | ">")) {
        return Some("has a wildcard");
    }
    tokens_fault(text)
}

fn pattern_fault(text: &str) -> Option<&'static str> {
    match text.split('.').position(|token| token == ">") {
        Some(at) if at + 1 != text.split('.').count() => Some("has a `>` that is not its last token"),
        _ => tokens_fault(text),
    }
}

fn tokens_fault(text: &str) -> Option<&'static str> {
    if text.split('.').any(str::is_empty) {
        return Some("has an empty token");
    }
    text.contains(|c: char| c.is_whitespace() || c.is_control()).then_some("has a space or a control character")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_subject(text: &str, accepted: bool) {
        assert_eq!(Subject::try_from(text).is_ok(), accepted, "{text:?}");
    }

    #[test]
    fn a_subject_has_tokens_and_no_wildcards() {
        check_subject("orders.placed.42", true);
        check_subject("a.b*c", true);
        check_subject("", false);
        check_subject("orders..42", false);
        check_subject("orders.", false);
        check_subject("orders.*", false);
        check_subject("orders.>", false);
        check_subject("orders.a b", false);
        check_subject("orders.a\nb", false);
    }

    fn check_stream(text: &str, accepted: bool) {
        assert_eq!(StreamName::try_from(text).is_ok(), accepted, "{text:?}");
    }

    #[test]
    fn a_stream_name_is_one_token() {
        check_stream("ORDERS", true);
        check_stream("KV_records", true);
        check_stream("", false);
        check_stream("a.b", false);
        check_stream("a/b", false);
        check_stream(&"x".repeat(256), false);
    }

    fn check_match(pattern: &str, subject: &str, matches: bool) {
        let pattern = SubjectPattern::try_from(pattern).unwrap();
        assert_eq!(pattern.matches(subject), matches, "{pattern} {subject}");
    }

    #[test]
    fn a_pattern_matches_token_by_token() {
        check_match("orders.*.placed", "orders.7.placed", true);
        check_match("orders.*.placed", "orders.7.8.placed", false);
        check_match("orders.>", "orders.7.placed", true);
        check_match("orders.>", "orders", false);
        check_match("orders", "orders.7", false);
        assert!(SubjectPattern::try_from("orders.>.x").is_err());
    }

    #[test]
    fn a_pattern_is_filled_with_as_many_tokens_as_it_has_wildcards() {
        let pattern = SubjectPattern::try_from("orders.placed.*").unwrap();
        assert_eq!(pattern.fill(&["7"]).unwrap().as_str(), "orders.placed.7");
        assert!(pattern.fill(&[]).is_err());
        assert!(pattern.fill(&["7", "8"]).is_err());
        assert!(pattern.fill(&["7 8"]).is_err());
    }

    fn check_overlap(one: &str, other: &str, overlaps: bool) {
        assert_eq!(subjects_overlap(one, other), overlaps, "{one} {other}");
        assert_eq!(subjects_overlap(other, one), overlaps, "{other} {one}");
    }

    #[test]
    fn patterns_overlap_where_one_subject_belongs_to_both() {
        check_overlap("orders.>", "orders.placed.*", true);
        check_overlap("orders.*.7", "orders.placed.*", true);
        check_overlap("orders.placed", "orders.placed", true);
        check_overlap("orders.>", "orders", false);
        check_overlap("orders.*", "orders.placed.7", false);
        check_overlap("orders.>", "payments.>", false);
        check_overlap(">", "payments", true);
    }

    #[test]
    fn an_error_names_the_text_and_the_fault() {
        let error = Subject::try_from("a..b").unwrap_err();
        assert_eq!(error.to_string(), "subject `a..b` has an empty token");
    }
}
