//! A filter that is asked of each message: an expression in CEL over its subject, its headers and its body where that is JSON.
//!
//! Whoever looks at a page writes it, so what it may cost is bounded before it runs: its length, how deep it goes, which functions it calls,
//! and what a loop may look at, so that it takes time in proportion to the message. Secrets are left out of what it sees, or it would find
//! them out by asking.
//!
//! Convention: the Common Expression Language (<https://github.com/cel-expr/cel-spec>).

mod bounds;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use cel::{Context, Env, ExecutionError, ParseErrors, Program, Value};

use super::Stored;
use crate::{
    mask::{self, Masked},
    message::header,
    unpack,
};

/// Letters of a filter: what it costs grows with them, and nobody reads a longer one.
const LETTERS_MOST: usize = 400;

/// Bytes of a body that is looked into; larger ones are few, and take long to read.
const BODY_MOST: usize = 128 << 10;

/// Values of a body that is looked into.
const VALUES_MOST: usize = 5_000;

/// What a filter may name.
const NAMES: [&str; 4] = ["subject", "headers", "body", "sequence"];

/// The language, set up once: it has more than a hundred functions.
static LANGUAGE: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib().with_optional_support(false)));

/// A filter that is well-formed and within its bounds.
#[derive(Debug, Clone)]
pub struct Filter {
    text: String,
    program: Arc<Program>,
    /// Whether it asks of headers.
    reads_headers: bool,
    /// Whether it asks of the body.
    reads_body: bool,
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Filter {}

/// What is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the filter is wrong at letter {at}: {why}")]
pub struct FilterError {
    /// At which letter, counted from 1.
    pub at: usize,
    /// What, in words.
    pub why: String,
}

/// What a filter says of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// It is wanted.
    Wanted,
    /// It is not.
    Unwanted,
    /// It has not what the filter asks for, in words without any of its values.
    Unclear(String),
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// When it is no expression, or could cost more than a filter may.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        bounds::of_text(text, LETTERS_MOST)?;
        let program = LANGUAGE.compile(text).map_err(|errors| FilterError::of(&errors))?;
        bounds::of_program(&program, &NAMES)?;
        let references = program.references();
        let (reads_headers, reads_body) = (references.has_variable("headers"), references.has_variable("body"));
        Ok(Self { text: text.to_owned(), program: Arc::new(program), reads_headers, reads_body })
    }

    /// Asks it of a message.
    pub fn judge(&self, message: &Stored) -> Judged {
        let mut context = Context::with_env(LANGUAGE.clone());
        context.add_variable_from_value("subject", message.subject.as_str());
        context.add_variable_from_value("sequence", Value::UInt(message.sequence));
        if self.reads_headers {
            context.add_variable_from_value("headers", headers(message));
        }
        let mut is_json = true;
        if self.reads_body {
            match body(message) {
                Ok(body) => {
                    is_json = body.is_some();
                    context.add_variable_from_value("body", body.unwrap_or(Value::Null));
                }
                Err(why) => return Judged::Unclear(why),
            }
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(true)) => Judged::Wanted,
            Ok(Value::Bool(false)) => Judged::Unwanted,
            Ok(_) => Judged::Unclear("the filter says neither true nor false of it".to_owned()),
            Err(_) if !is_json => Judged::Unclear("its payload is no JSON".to_owned()),
            Err(error) => Judged::Unclear(said(&error)),
        }
    }
}

impl FilterError {
    /// What a parser found, without all that it would have taken instead.
    fn of(errors: &ParseErrors) -> Self {
        let Some(first) = errors.errors.first() else { return Self { at: 1, why: "it is no expression".to_owned() } };
        let said = first.msg.trim_start_matches("Syntax error: ");
        Self { at: usize::try_from(first.pos.1).unwrap_or_default().max(1), why: explained(said) }
    }
}

/// What the parser says of a place, in words that do not speak of parsing.
fn explained(said: &str) -> String {
    let (said, _) = said.split_once(" expecting").unwrap_or((said, ""));
    let unexpected = ["mismatched input ", "extraneous input "].iter().find_map(|kind| said.strip_prefix(kind));
    match unexpected {
        Some("'<EOF>'") => "it ends where more must follow".to_owned(),
        Some(what) => format!("{what} cannot stand here"),
        None => match said.strip_prefix("token recognition error at: ") {
            Some(what) => format!("{what} means nothing here"),
            None if said.starts_with("no viable alternative") => "it makes no sense from here on".to_owned(),
            None => said.replace("'<EOF>'", "the end"),
        },
    }
}

/// Why a message cannot be judged. The values of a message are not repeated: they may be secret.
fn said(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("it has no `{key}`"),
        ExecutionError::NoSuchOverload(asked) => {
            format!("`{}` does not go with {}", asked.function(), asked.argument_types().join(" and "))
        }
        _ => "the filter does not go with its values".to_owned(),
    }
}

/// The headers, each with its first value and its name in small letters.
fn headers(message: &Stored) -> HashMap<String, Value> {
    let mut all = HashMap::new();
    for (name, value) in &message.headers {
        let shown = mask::header(name, value, &mut Masked::default());
        all.entry(name.to_ascii_lowercase()).or_insert_with(|| Value::from(shown));
    }
    all
}

/// The body, if it is JSON.
///
/// # Errors
/// When it is more than is looked into.
fn body(message: &Stored) -> Result<Option<Value>, String> {
    let too_large = || "its payload is too large to be looked into".to_owned();
    let bytes = plain(message).ok_or_else(too_large)?;
    let Ok(json) = serde_json::from_slice(&bytes) else { return Ok(None) };
    value(json, &mut VALUES_MOST.clone()).map(Some).ok_or_else(too_large)
}

/// The payload, unpacked; `None` where it is too large.
fn plain(message: &Stored) -> Option<Bytes> {
    let packed = &message.payload;
    let name = message.header(header::CONTENT_ENCODING).unwrap_or_default();
    let bytes = match unpack::by_name(name, packed, BODY_MOST) {
        Some(Ok(unpacked)) if unpacked.is_cut => return None,
        Some(Ok(unpacked)) => unpacked.bytes,
        Some(Err(_)) | None => packed.clone(),
    };
    (bytes.len() <= BODY_MOST).then_some(bytes)
}

/// A value with secrets left out; `None` where there are more than `left` of them.
fn value(json: serde_json::Value, left: &mut usize) -> Option<Value> {
    use serde_json::Value as Json;
    *left = left.checked_sub(1)?;
    Some(match json {
        Json::Null => Value::Null,
        Json::Bool(is) => Value::Bool(is),
        Json::Number(number) => numeric(&number)?,
        Json::String(text) => Value::from(mask::text(&text, &mut Masked::default())),
        Json::Array(all) => Value::from(all.into_iter().map(|one| value(one, left)).collect::<Option<Vec<_>>>()?),
        Json::Object(all) => {
            let mut fields = HashMap::with_capacity(all.len());
            for (name, one) in all {
                let one = if mask::is_secret(&name) { Json::String(mask::Rule::Name.mark()) } else { one };
                let one = value(one, left)?;
                fields.insert(name, one);
            }
            Value::from(fields)
        }
    })
}

fn numeric(number: &serde_json::Number) -> Option<Value> {
    let plain = number.to_string();
    if !mask::secrets(&plain).is_empty() {
        return Some(Value::from(mask::text(&plain, &mut Masked::default())));
    }
    let whole = number.as_i64().map(Value::Int).or_else(|| number.as_u64().map(Value::UInt));
    whole.or_else(|| number.as_f64().map(Value::Float))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    const BODY: &str = r#"{"total": 12.5, "count": 3, "customer": {"name": "Ada"}, "password": "hunter2", "card": "4111111111111111",
        "lines": [{"sku": "soap", "tags": ["a", "b"]}, {"sku": "rope", "tags": []}], "paid": 4111111111111111}"#;

    fn message(payload: impl Into<Bytes>) -> Stored {
        let headers = [("Ce-Type", "OrderPlaced"), ("Authorization", "Bearer abcdefgh"), ("traceparent", "x")];
        Stored {
            sequence: 7,
            stored: Timestamp::parse("2030-01-31T12:00:00Z").unwrap(),
            subject: "orders.placed.42".to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            payload: payload.into(),
        }
    }

    #[track_caller]
    fn check(filter: &str, expected: bool) {
        let expected = if expected { Judged::Wanted } else { Judged::Unwanted };
        assert_eq!(Filter::parse(filter).unwrap().judge(&message(BODY)), expected, "{filter}");
    }

    #[test]
    fn a_filter_asks_of_subject_headers_and_body() {
        check(r#"subject == "orders.placed.42""#, true);
        check(r#"subject.startsWith("orders.") && subject.endsWith("42") && !subject.contains("x")"#, true);
        check(r#"headers["ce-type"] == "OrderPlaced" && "traceparent" in headers"#, true);
        check("sequence == 7u && sequence > 6 && sequence < 8", true);
        check("body.total > 12 && body.total < 13 && body.count == 3", true);
        check(r#"body.customer.name == "Ada""#, true);
        check(r#"body.lines.exists(line, line.sku == "rope")"#, true);
        check(r#"body.lines.exists(line, line.tags.exists(tag, tag == "b"))"#, true);
        check("body.lines.all(line, size(line.tags) > 0)", false);
        check("body.lines.exists_one(line, size(line.tags) == 0)", true);
        check("has(body.customer) && !has(body.lost)", true);
        check(r#"body.lines[1].sku in ["rope", "tar"]"#, true);
        check("body.count % 2 == 1 ? true : false", true);
    }

    #[track_caller]
    fn check_unclear(filter: &str, payload: &'static str, expected: &str) {
        let judged = Filter::parse(filter).unwrap().judge(&message(payload));
        assert_eq!(judged, Judged::Unclear(expected.to_owned()), "{filter}");
    }

    #[test]
    fn what_a_message_has_not_makes_it_unclear_and_no_value_is_repeated() {
        check_unclear("body.lost == 1", BODY, "it has no `lost`");
        check_unclear(r#"headers["lost"] == "a""#, BODY, "it has no `lost`");
        check_unclear("body.customer.name > 1", BODY, "`_>_` does not go with string and int");
        check_unclear("body.total > 1", "hello", "its payload is no JSON");
        check_unclear("body.count", BODY, "the filter says neither true nor false of it");
        check_unclear("1 / (body.count - 3) == 1", BODY, "the filter does not go with its values");
        let long = format!("[{}1]", "1,".repeat(VALUES_MOST));
        let judged = Filter::parse("body[0] == 1").unwrap().judge(&message(long));
        assert_eq!(judged, Judged::Unclear("its payload is too large to be looked into".to_owned()));
        let large = message(format!("\"{}\"", "x".repeat(BODY_MOST)));
        assert!(matches!(Filter::parse("body == 1").unwrap().judge(&large), Judged::Unclear(_)));
        assert_eq!(Filter::parse("sequence == 7").unwrap().judge(&large), Judged::Wanted);
    }

    #[test]
    fn secrets_cannot_be_found_out_by_asking() {
        check(r#"body.password == "hunter2""#, false);
        check(r#"body.password.startsWith("h")"#, false);
        check(r#"body.card.startsWith("4111") || headers["authorization"].contains("abcd")"#, false);
        check("body.paid == 4111111111111111", false);
        check(r#"has(body.password) && body.password.startsWith("[masked")"#, true);
    }

    #[track_caller]
    fn check_wrong(filter: &str, at: usize, part: &str) {
        let error = Filter::parse(filter).unwrap_err();
        assert!(error.at == at && error.why.contains(part), "{filter}: {error}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        check_wrong("", 1, "it ends where more must follow");
        check_wrong("body.a ==", 10, "it ends where more must follow");
        check_wrong("body.a == )", 11, "')' cannot stand here");
        check_wrong("(body.a", 8, "the end");
        check_wrong("subject = 1", 9, "means nothing here");
        check_wrong("subject == topic", 12, "`topic` is not known: there are subject, headers, body and sequence");
        check_wrong("subject.matches(\"a\")", 16, "`matches` is not known");
        check_wrong("body.a.map(x, x) == []", 11, "exists, exists_one or all");
        check_wrong(r#"body.a.exists(x, x == subject)"#, 23, "`subject` is not known within a loop: there is x");
        check_wrong("body.a.exists(x, body.a.exists(y, y == x))", 18, "`body` is not known within a loop");
        check_wrong("body.a.exists(x, [1, 2].exists(y, y == 1))", 18, "goes through");
        check_wrong("{1: 2} == {}", 1, "subject, headers and body are asked");
        check_wrong(&"(".repeat(17), 17, "deeper than 16");
        check_wrong(&"a".repeat(LETTERS_MOST + 1), LETTERS_MOST + 1, "longer than 400 letters");
    }

    #[test]
    fn hostile_filters_end_in_a_word_and_not_in_a_stack_that_is_used_up() {
        let repeated = |unit: &str| unit.repeat(LETTERS_MOST / unit.len());
        for unit in [
            "(", "[", "!", "-", "a.", "a?a:", "1+", "a||", "!(", "{a:", "a[", "\"", "body.a(", "1 in ", "\u{202e}", "`",
        ] {
            for end in ["", "1", "a"] {
                let text = format!(
                    "{}{end}",
                    &repeated(unit)[..repeated(unit).len() - 1 - usize::from(unit == "\u{202e}") * 2]
                );
                if let Ok(filter) = Filter::parse(&text) {
                    filter.judge(&message(BODY));
                }
            }
        }
        let chain = format!("body{} == 1", ".a".repeat(190));
        assert!(matches!(
            Filter::parse(&chain).map(|filter| filter.judge(&message(BODY))),
            Ok(Judged::Unclear(_)) | Err(_)
        ));
        let sum = format!("1{} == 1", "+1".repeat(190));
        assert!(matches!(
            Filter::parse(&sum).map(|filter| filter.judge(&message(BODY))),
            Ok(Judged::Unwanted) | Err(_)
        ));
    }
}
