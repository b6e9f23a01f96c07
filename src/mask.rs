//! Leaves secrets out of what is shown: values whose names say that they are secret, what stands where credentials stand, card numbers.
//!
//! It is a net and no proof: it knows usual names and forms. What no rule knows is shown.

mod named;

use std::ops::Range;

use named::named;

pub(crate) use named::is_secret_as_written;

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

/// A text with secrets left out, where nobody asks how many.
pub(crate) fn shown(text: &str) -> String {
    self::text(text, &mut Masked::default())
}

/// How often the length of a text may be looked through for the ends of values within values. Where that is not enough, the rest of the text
/// is left out: somebody wrote it so.
const LOOKED_MOST: usize = 16;

/// Where secrets stand in a text, in order and none within another.
pub(crate) fn secrets(text: &str) -> Vec<(Range<usize>, Rule)> {
    let (mut found, mut left) = (Vec::new(), text.len().saturating_mul(LOOKED_MOST));
    // Each place is looked at, also within a value: somebody may have written what looks like a name, and hides the next one.
    for (at, _) in text.char_indices() {
        let here = named(text, at).or_else(|| credentials(text, at)).or_else(|| card(text.as_bytes(), at));
        let Some((range, rule)) = here else { continue };
        left = left.saturating_sub(range.len());
        if left == 0 {
            found.push((at..text.len(), rule));
            break;
        }
        found.push((range, rule));
    }
    joined(found)
}

/// The same in order, and those that overlap as one.
fn joined(mut found: Vec<(Range<usize>, Rule)>) -> Vec<(Range<usize>, Rule)> {
    found.sort_by_key(|(range, _)| range.start);
    let mut joined: Vec<(Range<usize>, Rule)> = Vec::with_capacity(found.len());
    for (range, rule) in found {
        match joined.last_mut().filter(|(last, _)| range.start < last.end) {
            Some((last, _)) => last.end = last.end.max(range.end),
            None => joined.push((range, rule)),
        }
    }
    joined
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Whether a word begins here.
fn begins(bytes: &[u8], at: usize) -> bool {
    is_word(bytes[at]) && (at == 0 || !is_word(bytes[at - 1]))
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
    use proptest::prelude::*;

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
    fn the_whole_value_under_a_secret_name_is_left_out() {
        let m = "[masked: secret name]";
        let check = |plain: &str, expected: &str| check(plain, &expected.replace('M', m));
        check(r#"{"token":{"a":["x","}"],"b":{}},"c":1}"#, r#"{"token":M,"c":1}"#);
        check(r#"{"secrets" : [ {"a":1}, "]" ] , "c":1}"#, r#"{"secrets" : M , "c":1}"#);
        check("{\n \"token\"\n :\n [1,\n 2],\n \"c\": 1}", "{\n \"token\"\n :\n M,\n \"c\": 1}");
        check(r#"{"password":"a\"b\\","c":"d"}"#, r#"{"password":"M","c":"d"}"#);
        check("{\"password\":\"a\nb\",\"c\":1}", "{\"password\":\"M\",\"c\":1}");
        check(
            r#"{"p\u0061ssword":"a","pass\nword":"b","the password of it":"c"}"#,
            r#"{"p\u0061ssword":"M","pass\nword":"M","the password of it":"M"}"#,
        );
        check(r#"{"pin":1,"pin":[2],"pin":"3"}"#, r#"{"pin":M,"pin":M,"pin":"M"}"#);
        check(r#"{'token': {'a': '}', "b": "it's}"}, 'c': 1}"#, r#"{'token': M, 'c': 1}"#);
        check(r#"{"token"=>["a"], "c"=>1} password=={x}"#, r#"{"token"=>M, "c"=>1} password==M"#);
        check(r#"token: {"a": it's}, c"#, "token: M");
        check(r#"{"token":{"a":"it's"},"c":1}"#, r#"{"token":M,"c":1}"#);
    }

    #[test]
    fn a_value_that_is_cut_or_malformed_is_left_out_to_the_end() {
        let m = "[masked: secret name]";
        let check = |plain: &str, expected: &str| check(plain, &expected.replace('M', m));
        check(r#"{"a":1,"token":{"b":{"c":"d"},"e"#, r#"{"a":1,"token":M"#);
        check(r#"{"a":1,"token":["b",["c"],"}]"#, r#"{"a":1,"token":M"#);
        check(r#"{"a":1,"token":"b\""#, r#"{"a":1,"token":"M"#);
        check(r#"{"a":1,"token":"b\"#, r#"{"a":1,"token":"M"#);
        check(r#"{"token":[1},"a":2,"b":3"#, r#"{"token":M"#);
        check(r#"{"a":"token: {","pin":"}x"}"#, r#"{"a":"token: M"}"#);
        check(r#"{"a":1,"token""#, r#"{"a":1,"token""#);
        check(r#"{"a":1,"token" :"#, r#"{"a":1,"token" :"#);
    }

    #[test]
    fn a_text_within_a_text_ends_with_that_around_it() {
        let m = "[masked: secret name]";
        let check = |plain: &str, expected: &str| check(plain, &expected.replace('M', m));
        check(r#"{"log":"{\"token\":{\"a\":\"}\"},\"b\":1}","c":1}"#, r#"{"log":"{\"token\":M,\"b\":1}","c":1}"#);
        check(r#"{"log":"{\"token\":\"a\\\"b\",\"c\":1}"}"#, r#"{"log":"{\"token\":\"M\",\"c\":1}"}"#);
        check(r#"{"log":"{\"token\":{\"a\":[\"b","c":1}"#, r#"{"log":"{\"token\":M","c":1}"#);
        check(r#"{"log":"{\"token\"\n :\t[\n1],\n\"c\":1}"}"#, r#"{"log":"{\"token\"\n :\tM,\n\"c\":1}"}"#);
        check(r#"{"log":"{\"token\":\"a\\","c":1}"#, r#"{"log":"{\"token\":\"M","c":1}"#);
        check(
            r#"{"log":"{\u0022token\u0022:[\u0022]\u0022],\u0022b\u0022:1}"}"#,
            r#"{"log":"{\u0022token\u0022:M,\u0022b\u0022:1}"}"#,
        );
        check(
            r#"{"x":"{\"y\":\"{\\\"pin\\\":[\\\"]\\\"],\\\"b\\\":1}\"}"}"#,
            r#"{"x":"{\"y\":\"{\\\"pin\\\":M,\\\"b\\\":1}\"}"}"#,
        );
    }

    #[test]
    fn values_within_values_take_no_longer_than_their_length_allows() {
        let nested = format!("{}1{}", r#"{"token":["#.repeat(50_000), "]}".repeat(50_000));
        assert_eq!(secrets(&nested), [(9..nested.len(), Rule::Name)].to_vec());
        for hostile in
            ["\\", "\"", "\\\"", "password", "\"token\":", "\"token\":{", "'", "\\u0022", "\\\\u0022pin\\u0022:"]
        {
            let text = hostile.repeat(100_000);
            secrets(&text);
            secrets(&format!("{{\"token\":\"{text}\"}}"));
        }
    }

    /// What may stand in a text: all that means something to whoever looks for the end of a value.
    fn letters(most: usize) -> impl Strategy<Value = String> {
        let letter = proptest::sample::select(vec![
            "\"",
            "'",
            "\\",
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "=",
            " ",
            "\n",
            "\t",
            "u0022",
            "é",
            "\u{202e}",
            "a",
            "token",
            "password: ",
        ]);
        proptest::collection::vec(letter, 0..most).prop_map(|letters| letters.concat())
    }

    /// A value that has the secret in all of its texts.
    fn secret() -> impl Strategy<Value = serde_json::Value> {
        let leaf = (letters(6), letters(6)).prop_map(|(before, behind)| format!("{before}S3CR3T{behind}").into());
        leaf.prop_recursive(3, 12, 4, |inner| {
            let named = (letters(3), inner.clone());
            prop_oneof![
                proptest::collection::vec(inner, 0..4).prop_map(Into::into),
                proptest::collection::vec(named, 0..4)
                    .prop_map(|all| serde_json::Value::Object(all.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn no_part_of_a_secret_value_is_shown(
            (before, behind) in (letters(8), letters(8)),
            name in proptest::sample::select(vec!["token", "my password", "p\\u0061ss\\u0077ord"]),
            (one, two) in (secret(), secret()),
            (is_pretty, is_by_number, depth) in (any::<bool>(), any::<bool>(), 0..4_usize),
            cut in 0.0..1.5_f64,
        ) {
            let text = |value: &serde_json::Value| {
                if is_pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) }.unwrap()
            };
            let quoted = |text: &str| serde_json::to_string(text).unwrap();
            // The same name twice, and names of other things that look like it.
            let mut all = format!(
                "{{{}: {}, \"{name}\" :\t{},\n\"{name}\":{}, \"z\": {}}}",
                quoted(&before), quoted(&behind), text(&one), text(&two), quoted(&before)
            );
            for _ in 0..depth {
                let within = quoted(&all);
                let within = if is_by_number { format!("\"{}\"", within[1..within.len() - 1].replace("\\\"", "\\u0022")) } else { within };
                all = format!("{{\"log\":{within}}}");
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a part of a length")]
            let end = (all.len() as f64 * cut.min(1.0)) as usize;
            let end = (0..=end).rev().find(|end| all.is_char_boundary(*end)).unwrap();
            let shown = super::text(&all[..end], &mut Masked::default());
            prop_assert!(!shown.contains("3CR3T") && !shown.contains("S3C"), "{}\n{}", &all[..end], shown);
        }

        #[test]
        fn any_bytes_are_looked_through(bytes in proptest::collection::vec(any::<u8>(), 0..300), hostile in letters(60)) {
            let lossy = format!("{}{hostile}", String::from_utf8_lossy(&bytes));
            let mut end = 0;
            for (range, _) in secrets(&lossy) {
                prop_assert!(end <= range.start && range.start < range.end && range.end <= lossy.len());
                prop_assert!(lossy.is_char_boundary(range.start) && lossy.is_char_boundary(range.end));
                end = range.end;
            }
        }
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
