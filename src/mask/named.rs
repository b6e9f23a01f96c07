//! The value behind a secret name, in a text that may be JSON: cut anywhere, malformed, or written within another text. All of it counts, to the
//! end of the text where nothing says where it ends: rather too much is left out than a part of a secret shown.

use std::ops::Range;

use super::{NAME_MOST, Rule, begins, is_secret, is_word};

/// Bytes of the longest text in quotes that may be a name: one whose letters are all written as their numbers, within a text within a text.
const WRITTEN_MOST: usize = 16 * NAME_MOST;

/// A quote as it is written. Within a text within a text it is escaped, and so are the escapes of one within that.
#[derive(Debug, Clone, Copy)]
struct Quote {
    mark: u8,
    /// Backslashes before it, as many as there are where it is written as itself.
    escapes: usize,
    /// Bytes with its escapes.
    length: usize,
    /// Whether it is written as itself, not by its number.
    is_plain: bool,
}

impl Quote {
    /// The quote that is written here, its escapes first. Some write it by its number when it is escaped.
    fn at(bytes: &[u8], at: usize) -> Option<Self> {
        let escapes = escapes(bytes, at);
        let mark = match &bytes[at + escapes..] {
            [mark @ (b'"' | b'\''), ..] => {
                return Some(Self { mark: *mark, escapes, length: escapes + 1, is_plain: true });
            }
            [b'u', b'0', b'0', b'2', b'2', ..] => b'"',
            [b'u', b'0', b'0', b'2', b'7', ..] => b'\'',
            _ => return None,
        };
        // Each text around it doubles the backslashes before the number, and would escape a quote that is written as itself once more.
        let around = escapes.trailing_zeros();
        let written = (escapes > 0).then(|| (((escapes >> around) + 1) << around) - 1)?;
        Some(Self { mark, escapes: written, length: escapes + 5, is_plain: false })
    }

    /// How many of its escapes are its own, where it ends a text that begins with `opening`, or a text around that: fewer in the latter.
    /// Within each text around, a quote is a letter of it where an odd number of backslashes escapes it.
    fn ends(self, opening: Self) -> Option<usize> {
        let (mut escapes, mut own) = (self.escapes, 0);
        for _ in 0..(opening.escapes + 1).ilog2() {
            if escapes.is_multiple_of(2) {
                break;
            }
            (escapes, own) = (escapes / 2, 2 * own + 1);
        }
        (self.mark == opening.mark && escapes.is_multiple_of(2)).then_some(own)
    }

    /// Whether it ends a text around that which begins with `opening`.
    fn is_around(self, opening: Self) -> bool {
        self.ends(opening).is_some_and(|own| own < opening.escapes)
    }

    /// Where the text behind this quote ends, within so many bytes.
    fn end(self, bytes: &[u8], from: usize, most: usize) -> Option<End> {
        let bytes = &bytes[..bytes.len().min(from.saturating_add(most))];
        let mut at = from;
        while at < bytes.len() {
            let Some(quote) = Quote::at(bytes, at) else {
                at += escapes(bytes, at).max(1);
                continue;
            };
            if let Some(own) = quote.ends(self) {
                // What escapes a backslash before the end belongs to the text.
                let spare = if quote.is_plain { quote.escapes - own } else { 0 };
                return Some(End { at: at + spare, behind: at + quote.length, quote });
            }
            at += quote.length;
        }
        None
    }
}

/// Where a text in quotes ends.
struct End {
    at: usize,
    /// Behind its quote.
    behind: usize,
    quote: Quote,
}

/// How many backslashes stand here.
fn escapes(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().take_while(|byte| **byte == b'\\').count()
}

/// The value behind a secret name that begins here: `password=x`, `"password": {"a": "x"}`, `Authorization: Basic x`.
pub(super) fn named(text: &str, at: usize) -> Option<(Range<usize>, Rule)> {
    let bytes = text.as_bytes();
    let (name, quote, end) = in_quotes(text, at).or_else(|| word(text, at))?;
    let mut next = end + blanks(&bytes[end..], quote);
    if !matches!(bytes.get(next), Some(b'=' | b':')) || !is_secret_as_written(name) {
        return None;
    }
    next += 1;
    next += bytes[next..].iter().take(2).take_while(|byte| matches!(byte, b'=' | b'>')).count();
    next += blanks(&bytes[next..], quote);
    let value = value(bytes, next, name, quote);
    (!value.is_empty()).then_some((value, Rule::Name))
}

/// A name in quotes that begins here, its quote, and where that has ended.
fn in_quotes(text: &str, at: usize) -> Option<(&str, Option<Quote>, usize)> {
    let bytes = text.as_bytes();
    if !matches!(bytes[at], b'"' | b'\'' | b'\\') || at > 0 && bytes[at - 1] == b'\\' {
        return None;
    }
    let quote = Quote::at(bytes, at)?;
    let start = at + quote.length;
    let end = quote.end(bytes, start, WRITTEN_MOST)?;
    Some((&text[start..end.at], Some(quote), end.behind))
}

/// A word that begins here and may be a name, or the end of one in quotes.
fn word(text: &str, at: usize) -> Option<(&str, Option<Quote>, usize)> {
    let bytes = text.as_bytes();
    if !begins(bytes, at) {
        return None;
    }
    let end = at + bytes[at..].iter().take(NAME_MOST + 1).take_while(|byte| is_word(**byte)).count();
    let quote = Quote::at(bytes, end);
    Some((&text[at..end], quote, end + quote.map_or(0, |quote| quote.length)))
}

/// Whether a name is secret whose letters may be written as JSON writes them.
pub(crate) fn is_secret_as_written(name: &str) -> bool {
    if !name.contains('\\') {
        return is_secret(name);
    }
    let (mut plain, mut rest) = (String::with_capacity(name.len()), name);
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        rest = rest[at..].trim_start_matches('\\');
        let number = rest.strip_prefix('u').and_then(|digits| digits.get(..4));
        match number.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(number) => {
                plain.extend(char::from_u32(number));
                rest = &rest[5..];
            }
            // A line's end or the like: no letter of the name.
            None => rest = rest.strip_prefix(['b', 'f', 'n', 'r', 't']).unwrap_or(rest),
        }
    }
    plain.push_str(rest);
    is_secret(&plain)
}

/// Where the value stands that begins here, behind a name in such quotes, if in any.
fn value(bytes: &[u8], start: usize, name: &str, quote: Option<Quote>) -> Range<usize> {
    if let Some(opening) = Quote::at(bytes, start) {
        let from = start + opening.length;
        return from..opening.end(bytes, from, usize::MAX).map_or(bytes.len(), |end| end.at);
    }
    if matches!(bytes.get(start), Some(b'{' | b'[')) {
        return start..brackets_end(bytes, start, quote);
    }
    let is_line = is_secret_line(name);
    start..start + bytes[start..].iter().take_while(|byte| !ends(**byte, is_line)).count()
}

/// Where the brackets end that begin here. One that closes another kind than was opened closes nothing.
fn brackets_end(bytes: &[u8], start: usize, name: Option<Quote>) -> usize {
    let (mut open, mut at) = (Vec::new(), start);
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'{' => {
                open.push(b'}');
                1
            }
            b'[' => {
                open.push(b']');
                1
            }
            byte if open.last() == Some(byte) => {
                open.pop();
                if open.is_empty() {
                    return at + 1;
                }
                1
            }
            b'"' | b'\'' | b'\\' => match past_text(bytes, at, name) {
                Ok(length) => length,
                Err(end) => return end,
            },
            _ => 1,
        };
    }
    bytes.len()
}

/// The length of the text in quotes that begins here within brackets; of what begins none, its own.
///
/// # Errors
/// Where all ends: with a text around it, or with what is there.
fn past_text(bytes: &[u8], at: usize, name: Option<Quote>) -> Result<usize, usize> {
    let Some(quote) = Quote::at(bytes, at) else { return Ok(escapes(bytes, at).max(1)) };
    if name.is_some_and(|name| quote.is_around(name)) {
        return Err(at);
    }
    // In JSON an apostrophe is a letter.
    if quote.mark == b'\'' && name.is_some_and(|name| name.mark == b'"') {
        return Ok(quote.length);
    }
    let end = quote.end(bytes, at + quote.length, usize::MAX).ok_or(bytes.len())?;
    if name.is_some_and(|name| end.quote.is_around(name)) {
        return Err(end.at);
    }
    Ok(end.behind - at)
}

/// Whether the rest of the line is the value: that of an `Authorization` has blanks in it.
fn is_secret_line(name: &str) -> bool {
    ["authorization", "cookie"].iter().any(|line| name.to_ascii_lowercase().ends_with(line))
}

/// Whether a value without quotes ends before this byte.
fn ends(byte: u8, is_line: bool) -> bool {
    if is_line {
        return matches!(byte, b'\n' | b'\r' | b'"');
    }
    byte.is_ascii_whitespace() || matches!(byte, b'&' | b';' | b',' | b'"' | b'\'' | b'}' | b')' | b']' | b'<')
}

/// Blanks around what stands between a name and its value. Behind a name in quotes that may be lines, whose ends a text within a text
/// escapes.
fn blanks(bytes: &[u8], quote: Option<Quote>) -> usize {
    let Some(quote) = quote else {
        return bytes.iter().take(16).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    };
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escapes = escapes(bytes, at);
        let is_escaped = quote.escapes > 0 && matches!(bytes.get(at + escapes), Some(b'n' | b'r' | b't'));
        match (byte, is_escaped) {
            (b'\\', true) => at += escapes + 1,
            (byte, _) if byte.is_ascii_whitespace() => at += 1,
            _ => break,
        }
    }
    at
}
