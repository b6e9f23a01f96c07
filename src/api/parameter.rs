//! What may stand in the query of a question, and whether it makes sense: what does not is an answer of its own, never left out in silence.

use serde_json::{Value, json};
use url::form_urlencoded;

use super::Failure;
use crate::words::not_taken;

/// Something that may stand in the query.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    takes: Takes,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy)]
enum Takes {
    /// Any text, or one that whoever answers looks at.
    Text,
    /// A whole number.
    Number { least: u64, most: u64 },
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// A text of this form.
    Form { is_it: fn(&str) -> bool, said: &'static str },
}

impl Parameter {
    pub(super) const fn text(name: &'static str, about: &'static str) -> Self {
        Self { name, about, takes: Takes::Text }
    }

    pub(super) const fn number(name: &'static str, about: &'static str, least: u64, most: u64) -> Self {
        Self { name, about, takes: Takes::Number { least, most } }
    }

    pub(super) const fn word(name: &'static str, about: &'static str, words: fn() -> Vec<&'static str>) -> Self {
        Self { name, about, takes: Takes::Word(words) }
    }

    pub(super) const fn form(
        name: &'static str,
        about: &'static str,
        is_it: fn(&str) -> bool,
        said: &'static str,
    ) -> Self {
        Self { name, about, takes: Takes::Form { is_it, said } }
    }

    /// As the OpenAPI document has it.
    pub(super) fn schema(&self) -> Value {
        match self.takes {
            Takes::Text | Takes::Form { .. } => json!({ "type": "string" }),
            Takes::Number { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Takes::Word(words) => json!({ "type": "string", "enum": words() }),
        }
    }

    /// What is wrong with a value, in a sentence without its end. An empty one asks for nothing.
    fn wrong(&self, value: &str) -> Option<String> {
        let is_fit = value.is_empty()
            || match self.takes {
                Takes::Text => true,
                Takes::Number { least, most } => {
                    value.parse::<u64>().is_ok_and(|number| (least..=most).contains(&number))
                }
                Takes::Word(words) => words().contains(&value),
                Takes::Form { is_it, .. } => is_it(value),
            };
        (!is_fit).then(|| not_taken(self.name, value, &self.takes.said()))
    }
}

impl Takes {
    fn said(&self) -> String {
        match self {
            Self::Text => "any text".to_owned(),
            Self::Number { least, most: u64::MAX } => format!("a whole number from {least} on"),
            Self::Number { least, most } => format!("a whole number from {least} to {most}"),
            Self::Word(words) => words().join(" or "),
            Self::Form { said, .. } => (*said).to_owned(),
        }
    }
}

/// Looks whether all that stands in a query makes sense. What is asked for under other names is left alone: a link may carry more than is ours.
///
/// # Errors
/// When something does not, which says what would.
pub(super) fn check(parameters: &[Parameter], query: &str) -> Result<(), Failure> {
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let known = parameters.iter().find(|parameter| parameter.name == name);
        if let Some(wrong) = known.and_then(|parameter| parameter.wrong(value.trim())) {
            return Err(Failure { status: 400, code: "unclear", message: wrong });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Parameter] = &[
        Parameter::text("q", ""),
        Parameter::number("limit", "", 1, 50),
        Parameter::number("before", "", 0, u64::MAX),
        Parameter::word("sort", "", || vec!["lag", "name"]),
        Parameter::form("at", "", |text| text == "noon", "noon"),
    ];

    fn check(query: &str, expected: &str) {
        let said = super::check(ALL, query).map_or_else(|failure| failure.message, |()| String::new());
        assert_eq!(said, expected, "{query}");
    }

    #[test]
    fn what_makes_no_sense_is_told_with_what_would() {
        for fine in ["", "q=%00&x=y", "limit=1&limit=+50+", "limit=&before=&sort=", "before=0", "sort=lag&at=noon"] {
            check(fine, "");
        }
        check("before=18446744073709551615", "");
        let limit = |given: &str| format!("`limit` is `{given}`, and takes a whole number from 1 to 50");
        for given in ["x", "0", "51", "-1", "1.5", "1e3", "0x10", "99999999999999999999"] {
            check(&format!("limit={given}"), &limit(given));
        }
        check("limit=7&limit=x", &limit("x"));
        check("before=18446744073709551616", "`before` is `18446744073709551616`, and takes a whole number from 0 on");
        check("sort=size&limit=x", "`sort` is `size`, and takes lag or name");
        check("at=soon", "`at` is `soon`, and takes noon");
    }

    #[test]
    fn what_is_told_again_is_short_and_on_one_line() {
        let expected = format!("`limit` is `{}…`, and takes a whole number from 1 to 50", "9".repeat(24));
        check(&format!("limit=%0A%1B{}", "9".repeat(5_000)), &expected);
    }
}
