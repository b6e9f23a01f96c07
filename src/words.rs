//! Numbers with the nouns and verbs that belong to them, as people read them: the one way to write them in a sentence.

/// `12,345`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 stream`, `2 streams`, `12,345 streams`.
pub fn counted(value: u64, one: &str) -> String {
    let text = count(value);
    if value == 1 { format!("{text} {one}") } else { format!("{text} {}", plural(one)) }
}

/// The form of a verb or a pronoun that goes with so many: `agree(1, "was", "were")` is `was`.
pub fn agree<'a>(value: u64, one: &'a str, many: &'a str) -> &'a str {
    if value == 1 { one } else { many }
}

/// `order` → `orders`.
pub fn plural(one: &str) -> String {
    match one.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if one.ends_with(['s', 'x']) || one.ends_with("ch") => format!("{one}es"),
        _ => format!("{one}s"),
    }
}

/// A word for a shell, quoted where it has more than plain letters.
pub fn shell(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '/' | '=' | ':');
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Whether a text has a part, letters of either case taken alike.
pub fn has(text: &str, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    let Some(first) = part.first() else { return true };
    text.windows(part.len()).any(|window| window[0].eq_ignore_ascii_case(first) && window.eq_ignore_ascii_case(part))
}

/// Letters of what was given and is not understood that are told again: enough to know it by.
const GIVEN_MOST: usize = 24;

/// That something in an address is not understood: its name, what was given, and what it takes. A sentence without its end.
pub fn not_taken(name: &str, given: &str, takes: &str) -> String {
    let plain = || given.chars().filter(|letter| !letter.is_control());
    let end = if plain().nth(GIVEN_MOST).is_some() { "…" } else { "" };
    let given: String = plain().take(GIVEN_MOST).collect();
    format!("`{name}` is `{given}{end}`, and takes {takes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_other_letters_is_one_word_to_a_shell() {
        let check = |word, expected: &str| assert_eq!(shell(word), expected);
        check("ORDERS", "ORDERS");
        check("a b", "'a b'");
        check("it's", r"'it'\''s'");
        check("$(rm)", "'$(rm)'");
        check("", "''");
    }

    #[test]
    fn what_is_not_taken_is_told_in_part() {
        assert_eq!(not_taken("limit", "x", "a number"), "`limit` is `x`, and takes a number");
        let long = not_taken("q", &"é\n".repeat(99), "less");
        assert_eq!(long, format!("`q` is `{}…`, and takes less", "é".repeat(24)));
    }

    #[test]
    fn counts_have_groups_of_three() {
        let check = |value, expected: &str| assert_eq!(count(value), expected);
        check(0, "0");
        check(999, "999");
        check(1_000, "1,000");
        check(12_345_678, "12,345,678");
        check(u64::MAX, "18,446,744,073,709,551,615");
    }

    #[test]
    fn nouns_and_verbs_agree_with_their_number() {
        let check = |value, expected: &str| {
            assert_eq!(format!("{} {}", counted(value, "message"), agree(value, "waits", "wait")), expected);
        };
        check(0, "0 messages wait");
        check(1, "1 message waits");
        check(22_799, "22,799 messages wait");
        assert_eq!((counted(1, "delivery"), counted(2, "delivery")), ("1 delivery".into(), "2 deliveries".into()));
        assert_eq!((plural("outbox"), plural("day")), ("outboxes".to_owned(), "days".to_owned()));
    }
}
