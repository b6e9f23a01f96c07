//! JSON with a line for each value and secrets left out. Its words stay as they were written: numbers keep all their digits, and names that
//! come twice are there twice.

use serde::de::IgnoredAny;

use crate::mask::{self, Masked, Rule};

/// Values within values that are shown as such. What goes deeper is shown as the text that it is.
const DEPTH_MOST: usize = 64;

/// JSON as it is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pretty {
    pub(super) text: String,
    /// Whether it goes on.
    pub(super) is_cut: bool,
    pub(super) masked: Masked,
}

/// `text` as it is shown, up to about `most` bytes; `None` if it is no JSON, or goes too deep.
pub(super) fn pretty(text: &str, most: usize) -> Option<Pretty> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let shown = Pretty { text: String::with_capacity(text.len().min(most)), is_cut: false, masked: Masked::default() };
    Writer { text, at: 0, depth: 0, shown }.written(most)
}

/// Goes through a text that is JSON.
struct Writer<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    shown: Pretty,
}

impl Writer<'_> {
    fn written(mut self, most: usize) -> Option<Pretty> {
        loop {
            self.at += blanks(&self.text.as_bytes()[self.at..]);
            let Some(byte) = self.text.as_bytes().get(self.at) else { return Some(self.shown) };
            if self.shown.text.len() > most {
                self.shown.is_cut = true;
                return Some(self.shown);
            }
            match byte {
                b'{' | b'[' => self.open()?,
                b'}' | b']' => self.close(),
                b',' => {
                    self.copy(1);
                    self.line();
                }
                b':' => {
                    self.copy(1);
                    self.shown.text.push(' ');
                }
                b'"' => self.string(),
                _ => self.scalar(),
            }
        }
    }

    fn copy(&mut self, length: usize) {
        self.shown.text.push_str(&self.text[self.at..self.at + length]);
        self.at += length;
    }

    fn line(&mut self) {
        self.shown.text.push('\n');
        self.shown.text.extend(std::iter::repeat_n("  ", self.depth));
    }

    fn open(&mut self) -> Option<()> {
        self.copy(1);
        self.at += blanks(&self.text.as_bytes()[self.at..]);
        if matches!(self.text.as_bytes().get(self.at), Some(b'}' | b']')) {
            self.copy(1);
            return Some(());
        }
        self.depth += 1;
        self.line();
        (self.depth <= DEPTH_MOST).then_some(())
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.line();
        self.copy(1);
    }

    /// A name or a text.
    fn string(&mut self) {
        let bytes = self.text.as_bytes();
        let raw = &self.text[self.at..string_end(bytes, self.at)];
        let end = self.at + raw.len();
        let next = end + blanks(&bytes[end..]);
        if bytes.get(next) == Some(&b':') {
            self.copy(raw.len());
            if mask::is_secret_as_written(&raw[1..raw.len() - 1]) {
                self.skip_value(next + 1);
            }
            return;
        }
        let Ok(plain) = serde_json::from_str::<String>(raw) else {
            // Half of a pair of surrogates: no text, and looked at as it is written.
            self.shown.text.push_str(&mask::text(raw, &mut self.shown.masked));
            self.at = end;
            return;
        };
        let shown = mask::text(&plain, &mut self.shown.masked);
        if shown == plain {
            return self.copy(raw.len());
        }
        self.shown.text.push_str(&quoted(&shown));
        self.at = end;
    }

    /// Leaves the value out that follows the colon before `from`, unless there is none.
    fn skip_value(&mut self, from: usize) {
        let bytes = self.text.as_bytes();
        let start = from + blanks(&bytes[from..]);
        let end = value_end(bytes, start);
        if matches!(&self.text[start..end], "null" | "\"\"") {
            return;
        }
        self.shown.masked.note(Rule::Name);
        self.shown.text.push_str(": ");
        self.shown.text.push_str(&quoted(&Rule::Name.mark()));
        self.at = end;
    }

    /// A number, or one of the three words.
    fn scalar(&mut self) {
        let end = scalar_end(self.text.as_bytes(), self.at);
        let word = &self.text[self.at..end];
        let found = mask::secrets(word);
        match found.first() {
            Some((_, rule)) => {
                self.shown.masked.note(*rule);
                self.shown.text.push_str(&quoted(&rule.mark()));
                self.at = end;
            }
            None => self.copy(word.len()),
        }
    }
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn blanks(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Where the string ends that begins at `at`, behind its quote.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn scalar_end(bytes: &[u8], at: usize) -> usize {
    let is_of = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
    at + bytes[at..].iter().take_while(|byte| is_of(byte)).count().max(1)
}

/// Where the value ends that begins at `at`.
fn value_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    loop {
        match bytes.get(at) {
            None => return bytes.len(),
            Some(b'{' | b'[') => {
                depth += 1;
                at += 1;
            }
            Some(b'}' | b']') => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            Some(b'"') => at = string_end(bytes, at),
            Some(b',' | b':') => at += 1,
            Some(byte) if byte.is_ascii_whitespace() => at += 1,
            Some(_) => at = scalar_end(bytes, at),
        }
        let is_between = matches!(bytes.get(at - 1), Some(b',' | b':')) || bytes[at - 1].is_ascii_whitespace();
        if depth == 0 && !is_between {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = pretty(text, 10_000).unwrap_or_else(|| panic!("{text} is JSON"));
        assert_eq!(found.text, expected);
        // What is shown is JSON too, with the same values but for those that were masked.
        if found.masked.is_empty() {
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert_eq!(value(&found.text), value(text));
        }
    }

    #[test]
    fn each_value_has_a_line_and_stays_as_it_was_written() {
        check("1", "1");
        check(" {} ", "{}");
        check("[ ]", "[]");
        check(
            r#"{"a":1.10,"a":123456789012345678901234567890}"#,
            "{\n  \"a\": 1.10,\n  \"a\": 123456789012345678901234567890\n}",
        );
        check(
            r#"[{"b":[true,null]}, "x\u00e9\"]"]"#,
            "[\n  {\n    \"b\": [\n      true,\n      null\n    ]\n  },\n  \"x\\u00e9\\\"]\"\n]",
        );
    }

    #[test]
    fn secrets_are_left_out_whatever_they_are() {
        let mark = "\"[masked: secret name]\"";
        check(r#"{"password":"x","b":1}"#, &format!("{{\n  \"password\": {mark},\n  \"b\": 1\n}}"));
        check(r#"{"token" : {"a":["x","}"]} }"#, &format!("{{\n  \"token\": {mark}\n}}"));
        check(r#"{"p\u0061ssword":[1]}"#, &format!("{{\n  \"p\\u0061ssword\": {mark}\n}}"));
        check(r#"{"secret":null,"token":""}"#, "{\n  \"secret\": null,\n  \"token\": \"\"\n}");
        check(r#"{"secret":-1.5e3}"#, &format!("{{\n  \"secret\": {mark}\n}}"));
        check(r#"{"card":4111111111111111}"#, "{\n  \"card\": \"[masked: card number]\"\n}");
        check(r#"["4111 1111 1111 1111 \"a\""]"#, "[\n  \"[masked: card number] \\\"a\\\"\"\n]");
        let inner = r#"["{\"password\":\"x\"}"]"#;
        check(inner, "[\n  \"{\\\"password\\\":\\\"[masked: secret name]\\\"}\"\n]");
        let inner = r#"["{\"token\":{\"a\":[\"x\\\"]}\"]},\"b\":1}"]"#;
        check(inner, "[\n  \"{\\\"token\\\":[masked: secret name],\\\"b\\\":1}\"\n]");
        check(r#"{"token\ud800":"x"}"#, &format!("{{\n  \"token\\ud800\": {mark}\n}}"));
        check(r#"["\ud800 pin=1234"]"#, "[\n  \"\\ud800 pin=[masked: secret name]\"\n]");
    }

    #[test]
    fn what_is_no_json_or_too_deep_is_left_to_be_text() {
        for text in ["", "hello", "{", "{\"a\":1}x", "[1,]", "01"] {
            assert_eq!(pretty(text, 100), None, "{text}");
        }
        let nested = |depth| format!("{}1{}", "[1,".repeat(depth), "]".repeat(depth));
        assert!(pretty(&nested(64), 100_000).is_some());
        assert_eq!(pretty(&nested(65), 100_000), None);
        assert_eq!(pretty(&nested(100_000), 100_000), None);
    }

    #[test]
    fn it_ends_about_where_there_is_no_more_room() {
        let long = format!("[{}1]", "\"0123456789\",".repeat(100_000));
        let found = pretty(&long, 1_000).unwrap();
        assert!(found.is_cut && (1_000..1_100).contains(&found.text.len()), "{}", found.text.len());
        assert!(!pretty("[1]", 1_000).unwrap().is_cut);
    }
}
