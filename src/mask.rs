//! Leaves secrets out of what is shown: values whose names say that they are secret, what stands where credentials stand, card numbers.
//!
//! It is a net and no proof: it knows usual names and forms. What no rule knows is shown.

use std::ops::Range;

/// What made a value one that is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// Its name, such as `password`.
    Name,
    /// It stands behind `Bearer` or `Basic`, or between a user and a host.
    Credentials,
    /// It is a card number, by its length, its first digit and its check digit.
    ///
    /// Convention: ISO/IEC 7812, whose check digit is by Luhn's formula.
    Card,
}

impl Rule {
    /// In the words of the page.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Name => "secret name",
            Self::Credentials => "credentials",
            Self::Card => "card number",
        }
    }

    /// What stands where the value was.
    pub(crate) fn mark(self) -> String {
        format!("[masked: {}]", self.words())
    }
}

/// Which rules masked how many values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Masked(Vec<(Rule, usize)>);

impl Masked {
    pub(crate) fn note(&mut self, rule: Rule) {
        match self.0.iter_mut().find(|(known, _)| *known == rule) {
            Some((_, count)) => *count += 1,
            None => self.0.push((rule, 1)),
        }
        self.0.sort();
    }

    /// The same and what was masked elsewhere.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        for (rule, count) in &other.0 {
            (0..*count).for_each(|_| self.note(*rule));
        }
        self
    }

    /// Whether nothing was masked.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each rule with how many values it masked: `secret name`, `2 by card number`.
    pub(crate) fn told(&self) -> Vec<String> {
        self.0.iter().map(|(rule, count)| format!("{count} by {}", rule.words())).collect()
    }
}

/// Parts of a name that make what it names secret, wherever they stand in it; letters and digits alone count.
const PARTS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "signingkey",
    "authorization",
    "cookie",
    "credential",
    "sessionid",
    "cardnumber",
];

/// Names that are secret as a whole.
const WHOLE: &[&str] =
    &["pwd", "pass", "pin", "cvv", "cvc", "auth", "bearer", "jwt", "otp", "seed", "iban", "ssn", "pan"];

/// Longest name that is looked at; what is longer is no name.
const NAME_MOST: usize = 128;

/// Whether what has this name is secret.
pub(crate) fn is_secret(name: &str) -> bool {
    if name.len() > NAME_MOST {
        return false;
    }
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    WHOLE.contains(&plain.as_str()) || PARTS.iter().any(|part| plain.contains(part))
}

/// The value of a header.
pub(crate) fn header(name: &str, value: &str, masked: &mut Masked) -> String {
    if is_secret(name) && !value.is_empty() {
        masked.note(Rule::Name);
        return Rule::Name.mark();
    }
    text(value, masked)
}

/// A text with secrets left out.
pub(crate) fn text(text: &str, masked: &mut Masked) -> String {
    let found = secrets(text);
    if found.is_empty() {
        return text.to_owned();
    }
    let (mut shown, mut from) = (String::with_capacity(text.len()), 0);
    for (range, rule) in found {
        masked.note(rule);
        shown.push_str(&text[from..range.start]);
        shown.push_str(&rule.mark());
        from = range.end;
    }
    shown.push_str(&text[from..]);
    shown
}

/// Where secrets stand in a text, in order and none within another.
pub(crate) fn secrets(text: &str) -> Vec<(Range<usize>, Rule)> {
    let mut found: Vec<(Range<usize>, Rule)> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let here = named(text, at).or_else(|| credentials(text, at)).or_else(|| card(text.as_bytes(), at));
        match here {
            Some((range, rule)) => {
                at = range.end.max(at + 1);
                found.push((range, rule));
            }
            None => at += 1,
        }
        while !text.is_char_boundary(at) {
            at += 1;
        }
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Whether a word begins here.
fn begins(bytes: &[u8], at: usize) -> bool {
    is_word(bytes[at]) && (at == 0 || !is_word(bytes[at - 1]))
}

/// The value behind a secret name that begins here: `password=x`, `"password": "x"`, `Authorization: Basic x`.
fn named(text: &str, at: usize) -> Option<(Range<usize>, Rule)> {
    let bytes = text.as_bytes();
    if !begins(bytes, at) {
        return None;
    }
    let length = bytes[at..].iter().take(NAME_MOST + 1).take_while(|byte| is_word(**byte)).count();
    let name = &text[at..at + length];
    let mut next = at + length;
    // The name may stand in quotes, which a text within a text escapes.
    next += bytes[next..].iter().take(4).take_while(|byte| matches!(byte, b'"' | b'\'' | b'\\')).count();
    next += blanks(&bytes[next..]);
    if !matches!(bytes.get(next), Some(b'=' | b':')) || !is_secret(name) {
        return None;
    }
    next += 1;
    next += blanks(&bytes[next..]);
    let escapes = bytes[next..].iter().take(4).take_while(|byte| **byte == b'\\').count();
    let quote = bytes.get(next + escapes).copied().filter(|byte| matches!(byte, b'"' | b'\''));
    let start = next + quote.map_or(0, |_| escapes + 1);
    let is_line = is_secret_line(name);
    let length = bytes[start..].iter().take_while(|byte| !ends(**byte, quote, is_line)).count();
    (length > 0).then(|| (start..start + length, Rule::Name))
}

/// Whether the rest of the line is the value: that of an `Authorization` has blanks in it.
fn is_secret_line(name: &str) -> bool {
    ["authorization", "cookie"].iter().any(|line| name.to_ascii_lowercase().ends_with(line))
}

/// Whether the value ends before this byte.
fn ends(byte: u8, quote: Option<u8>, is_line: bool) -> bool {
    match quote {
        Some(quote) => byte == quote || matches!(byte, b'\n' | b'\r' | b'\\'),
        None if is_line => matches!(byte, b'\n' | b'\r' | b'"'),
        None => {
            byte.is_ascii_whitespace() || matches!(byte, b'&' | b';' | b',' | b'"' | b'\'' | b'}' | b')' | b']' | b'<')
        }
    }
}

fn blanks(bytes: &[u8]) -> usize {
    bytes.iter().take(16).take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

/// What follows `Bearer` or `Basic`, and the password of an address with a user.
fn credentials(text: &str, at: usize) -> Option<(Range<usize>, Rule)> {
    let bytes = text.as_bytes();
    let is_here =
        |word: &str| bytes.get(at..at + word.len()).is_some_and(|here| here.eq_ignore_ascii_case(word.as_bytes()));
    if begins(bytes, at) {
        let scheme = ["bearer ", "basic "].into_iter().find(|scheme| is_here(scheme))?;
        let start = at + scheme.len();
        let is_of = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
        let length = bytes[start..].iter().take_while(|byte| is_of(byte)).count();
        // Shorter ones are words of a sentence.
        return (length >= 8).then(|| (start..start + length, Rule::Credentials));
    }
    if !is_here("://") {
        return None;
    }
    let start = at + 3;
    let host = bytes[start..].iter().take(512);
    let length = host.take_while(|byte| !byte.is_ascii_whitespace() && !b"/?#\"'<>".contains(byte)).count();
    let user = bytes[start..start + length].iter().rposition(|byte| *byte == b'@')?;
    let colon = bytes[start..start + user].iter().position(|byte| *byte == b':')?;
    (colon + 1 < user).then(|| (start + colon + 1..start + user, Rule::Credentials))
}

/// Digits of a card number.
const CARD_LEAST: usize = 13;
const CARD_MOST: usize = 19;

/// A card number that begins here: 13 to 19 digits, with single blanks or dashes between them at the most.
fn card(bytes: &[u8], at: usize) -> Option<(Range<usize>, Rule)> {
    if !matches!(bytes[at], b'2'..=b'6') || at.checked_sub(1).is_some_and(|before| is_of_number(bytes[before])) {
        return None;
    }
    let (mut digits, mut found) = (Vec::with_capacity(CARD_MOST), None);
    let mut is_between = false;
    for (place, byte) in bytes.iter().enumerate().skip(at) {
        match byte {
            b'0'..=b'9' if digits.len() < CARD_MOST => digits.push(byte - b'0'),
            b' ' | b'-' if !is_between => {}
            _ => break,
        }
        is_between = !byte.is_ascii_digit();
        // Another number may follow behind a blank: each end of a group of digits may be that of the card's.
        if !is_between && digits.len() >= CARD_LEAST && ends_number(bytes, place + 1) && is_luhn(&digits) {
            found = Some((at..place + 1, Rule::Card));
        }
    }
    found
}

/// Whether no number goes on at this place; a dot may end a sentence.
fn ends_number(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_none_or(|byte| !is_of_number(*byte) || *byte == b'.' && is_end(bytes, at))
}

/// Whether a dot at this place ends a sentence, and no number.
fn is_end(bytes: &[u8], at: usize) -> bool {
    !bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric)
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_')
}

/// Whether the last digit checks the others.
fn is_luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let each = digits.iter().rev().enumerate();
    each.map(|(place, digit)| u32::from(if place % 2 == 1 { doubled(*digit) } else { *digit })).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(plain: &str, expected: &str) {
        let mut masked = Masked::default();
        assert_eq!(text(plain, &mut masked), expected);
        assert_eq!(masked.is_empty(), plain == expected);
    }

    #[test]
    fn card_numbers_are_known_by_their_check_digit() {
        check("4111111111111111", "[masked: card number]");
        check("paid by 4111 1111 1111 1111.", "paid by [masked: card number].");
        check("5500-0000-0000-0004, 378282246310005", "[masked: card number], [masked: card number]");
        check("4111111111111112", "4111111111111112");
        check("order 41111111111111111111 of 20 digits", "order 41111111111111111111 of 20 digits");
        check("4111111111111111 4111111111111111", "[masked: card number] [masked: card number]");
        check("4111111111111111 12", "[masked: card number] 12");
        check("a4111111111111111", "a4111111111111111");
        check("1894111111111111112", "1894111111111111112");
        check("0.4111111111111111", "0.4111111111111111");
        check("4111  1111 1111 1111", "4111  1111 1111 1111");
        check(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        );
    }

    #[test]
    fn what_has_a_secret_name_is_left_out() {
        check("password=hunter2&user=ada", "password=[masked: secret name]&user=ada");
        check("db_password: 'hunter 2', x", "db_password: '[masked: secret name]', x");
        check(r#"{"api-key": "abc"}"#, r#"{"api-key": "[masked: secret name]"}"#);
        check(r#"{\"apiKey\":\"abc\"}"#, r#"{\"apiKey\":\"[masked: secret name]\"}"#);
        check("Authorization: Basic dXNlcjp3b3Jk\nHost: a", "Authorization: [masked: secret name]\nHost: a");
        check("Set-Cookie: a=b; c", "Set-Cookie: [masked: secret name]");
        check("pin=1234 spinning=1234", "pin=[masked: secret name] spinning=1234");
        check("the password is long", "the password is long");
        check("password=", "password=");
    }

    #[test]
    fn credentials_are_known_by_where_they_stand() {
        check("sent Bearer abcdefgh.ijk-l", "sent Bearer [masked: credentials]");
        check("the bearer of this", "the bearer of this");
        check("nats://ada:word@n1:4222/x", "nats://ada:[masked: credentials]@n1:4222/x");
        check("http://n1:4222/a@b", "http://n1:4222/a@b");
    }

    #[test]
    fn names_are_secret_however_they_are_written() {
        let check = |name: &str, expected| assert_eq!(is_secret(name), expected, "{name}");
        for name in
            ["password", "X-Api-Key", "db.passwd", "accessToken", "ACCESS_TOKEN", "Cookie", "client_secret", "cvv"]
        {
            check(name, true);
        }
        for name in ["traceparent", "correlation-id", "Nats-Msg-Id", "passenger", "spin", "order", "author", ""] {
            check(name, false);
        }
        check(&format!("{}password", "x".repeat(200)), false);
    }

    #[test]
    fn letters_of_several_bytes_do_no_harm() {
        check("é4111111111111111é", "é[masked: card number]é");
        check("password=é€ x", "password=[masked: secret name] x");
        check("€€€://é:é@é", "€€€://é:[masked: credentials]@é");
    }

    #[test]
    fn each_rule_is_told_with_its_count() {
        let mut masked = Masked::default();
        header("Authorization", "x", &mut masked);
        header("note", "4111111111111111 4111111111111111", &mut masked);
        assert_eq!(masked.told(), ["1 by secret name", "2 by card number"]);
        assert_eq!(header("Authorization", "", &mut Masked::default()), "");
    }
}
