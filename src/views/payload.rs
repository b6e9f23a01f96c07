//! A payload as people read it: unpacked, as JSON, text, CBOR, MessagePack or hex digits, with secrets left out and never without end.

mod binary;
mod json;

use super::format;
use crate::{
    errors::ErrorChain,
    mask::{self, Masked},
    message::header,
    peek::Stored,
    unpack::{self, Unpacked},
};

/// Bytes that a payload is unpacked to at the most.
const UNPACKED_MOST: usize = 4 << 20;

/// Bytes of a binary payload that are shown.
const HEX_MOST: usize = 4_096;

/// Bytes in a line of hex digits.
const HEX_LINE: usize = 16;

/// How a payload is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// JSON, each value on a line.
    Json,
    /// Text.
    Text,
    /// CBOR, told as JSON.
    Cbor,
    /// MessagePack, told as JSON.
    MessagePack,
    /// Hex digits, beside what of them are letters.
    Hex,
}

impl Form {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [Self::Json, Self::Text, Self::Cbor, Self::MessagePack, Self::Hex];

    /// As one word, for addresses.
    pub(crate) fn token(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
            Self::Cbor => "cbor",
            Self::MessagePack => "msgpack",
            Self::Hex => "hex",
        }
    }

    /// In the words of the page.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Text => "text",
            Self::Cbor => "CBOR",
            Self::MessagePack => "MessagePack",
            Self::Hex => "hex digits",
        }
    }
}

/// A payload as it is shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// As what; `None` where there is nothing.
    pub(crate) form: Option<Form>,
    pub(crate) text: String,
    /// Whether it goes on.
    pub(crate) is_cut: bool,
    pub(crate) masked: Masked,
    /// What was done to see it, or what stood in the way, in sentences.
    pub(crate) notes: Vec<String>,
}

/// The payload of a message, up to about `most` bytes of text; as `wanted` if it is that, else as what it is.
pub(crate) fn show(message: &Stored, wanted: Option<Form>, most: usize) -> Shown {
    let mut notes = Vec::new();
    let (bytes, is_cut) = unpacked(message, &mut notes);
    if bytes.is_empty() {
        return Shown { form: None, text: String::new(), is_cut: false, masked: Masked::default(), notes };
    }
    let said = message.header(header::CONTENT_TYPE).and_then(said);
    let found = wanted.and_then(|form| Some((form, as_form(form, &bytes, most)?)));
    if let (Some(wanted), None) = (wanted, &found) {
        notes.push(format!("It is no {}.", wanted.words()));
    }
    let (form, seen) = found.unwrap_or_else(|| guessed(&bytes, said, most));
    if let Some(said) = said.filter(|said| *said != form && wanted.is_none()) {
        notes.push(format!("It says that it is {}, and is not.", said.words()));
    }
    Shown { form: Some(form), text: tame(&seen.text), is_cut: seen.is_cut || is_cut, masked: seen.masked, notes }
}

/// What is seen of bytes in one form.
struct Seen {
    text: String,
    is_cut: bool,
    masked: Masked,
}

fn unpacked(message: &Stored, notes: &mut Vec<String>) -> (bytes::Bytes, bool) {
    let packed = &message.payload;
    let encoding = message.header(header::CONTENT_ENCODING).map(str::trim).filter(|name| !name.is_empty());
    let Some(name) = encoding.filter(|name| !name.eq_ignore_ascii_case("identity")) else {
        return (packed.clone(), false);
    };
    let shown = format::cut_at(name, 32);
    match unpack::by_name(name, packed, UNPACKED_MOST) {
        Some(Ok(Unpacked { bytes, is_cut })) => {
            let size = if is_cut { "more than " } else { "" };
            let sizes = (format::bytes(packed.len() as u64), format::bytes(bytes.len() as u64));
            notes.push(format!("Unpacked by {shown} from {} to {size}{}.", sizes.0, sizes.1));
            (bytes, is_cut)
        }
        Some(Err(error)) => {
            let why = format::cut(&ErrorChain(&error).to_string());
            notes.push(format!("It says that it is packed by {shown}, and does not unpack: {why}."));
            (packed.clone(), false)
        }
        None => {
            notes.push(format!("It is packed by {shown}, which is not unpacked here."));
            (packed.clone(), false)
        }
    }
}

/// The form that a `content-type` means.
fn said(content_type: &str) -> Option<Form> {
    let kind = content_type.split(';').next()?.trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/cbor" => Some(Form::Cbor),
        "application/msgpack" | "application/x-msgpack" | "application/vnd.msgpack" => Some(Form::MessagePack),
        kind if kind.ends_with("+cbor") => Some(Form::Cbor),
        kind if kind.ends_with("/json") || kind.ends_with("+json") => Some(Form::Json),
        _ => None,
    }
}

/// As what it says that it is, if that is so, else as what it looks like.
fn guessed(bytes: &[u8], said: Option<Form>, most: usize) -> (Form, Seen) {
    let maybe = |form: Form, is_like: bool| if is_like { Some((form, as_form(form, bytes, most)?)) } else { None };
    said.and_then(|form| maybe(form, true))
        .or_else(|| maybe(Form::Json, true))
        .or_else(|| maybe(Form::Text, is_text(bytes)))
        .or_else(|| maybe(Form::MessagePack, binary::is_like_message_pack(bytes)))
        .or_else(|| maybe(Form::Cbor, binary::is_like_cbor(bytes)))
        .unwrap_or_else(|| (Form::Hex, hex(bytes)))
}

/// The bytes in one form, if they are that.
fn as_form(form: Form, bytes: &[u8], most: usize) -> Option<Seen> {
    let json = |text: &str| {
        let json::Pretty { text, is_cut, masked } = json::pretty(text, most)?;
        let shown = format::within(&text, most);
        Some(Seen { is_cut: is_cut || shown.len() < text.len(), text: shown.to_owned(), masked })
    };
    match form {
        Form::Json => json(std::str::from_utf8(bytes).ok()?),
        Form::Cbor => json(&binary::cbor(bytes)?),
        Form::MessagePack => json(&binary::message_pack(bytes)?),
        Form::Text => Some(text(bytes, most)),
        Form::Hex => Some(hex(bytes)),
    }
}

/// Whether bytes are text: letters of UTF-8, of which few mean nothing. What was cut may end within a letter.
fn is_text(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let strange = valid.chars().filter(|letter| letter.is_control() && !letter.is_whitespace()).count();
    strange * 10 <= valid.chars().count()
}

fn text(bytes: &[u8], most: usize) -> Seen {
    let mut masked = Masked::default();
    let whole = String::from_utf8_lossy(bytes);
    // A secret that is cut in two would be known no more, so that more is looked at than is shown.
    let looked = format::within(&whole, most.saturating_mul(2));
    let text = mask::text(looked, &mut masked);
    let shown = format::within(&text, most);
    Seen { is_cut: shown.len() < text.len() || looked.len() < whole.len(), text: shown.to_owned(), masked }
}

/// A payload to take away.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The payload as it is shown, or its bytes where those are shown as hex digits. Secrets are left out of both.
    pub(crate) bytes: Vec<u8>,
    pub(crate) form: Form,
}

/// The whole payload of a message, as far as it is unpacked.
pub(crate) fn take(message: &Stored) -> Taken {
    let shown = show(message, None, UNPACKED_MOST * 2);
    match shown.form {
        Some(Form::Hex) | None => {
            let (bytes, _) = unpacked(message, &mut Vec::new());
            let mut bytes = bytes.to_vec();
            for (range, _) in mask::secrets(&letters(&bytes)) {
                bytes[range].fill(b'*');
            }
            Taken { bytes, form: Form::Hex }
        }
        Some(form) => Taken { bytes: shown.text.into_bytes(), form },
    }
}

fn letter(byte: u8) -> char {
    if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '\n' }
}

/// One letter for each byte, so that where a secret stands is the same in both. What may be a part of a letter ends no value.
pub(super) fn letters(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| if byte.is_ascii() { letter(*byte) } else { '\u{7f}' }).collect()
}

/// Hex digits with their letters; what is a secret among letters is neither.
fn hex(bytes: &[u8]) -> Seen {
    let shown = &bytes[..bytes.len().min(HEX_MOST)];
    let mut masked = Masked::default();
    let mut is_hidden = vec![false; shown.len()];
    for (range, rule) in mask::secrets(&letters(shown)) {
        masked.note(rule);
        is_hidden[range].fill(true);
    }
    let mut text = String::with_capacity(shown.len() * 5);
    for (line, chunk) in shown.chunks(HEX_LINE).enumerate() {
        text.push_str(&format!("{:08x} ", line * HEX_LINE));
        let hidden = is_hidden.iter().skip(line * HEX_LINE);
        for (byte, is_hidden) in chunk.iter().zip(hidden.clone()) {
            text.push_str(&if *is_hidden { " **".to_owned() } else { format!(" {byte:02x}") });
        }
        text.extend(std::iter::repeat_n("   ", HEX_LINE - chunk.len()));
        text.push_str("  ");
        text.extend(chunk.iter().zip(hidden).map(|(byte, is_hidden)| match letter(*byte) {
            _ if *is_hidden => '*',
            '\n' => '.',
            seen => seen,
        }));
        text.push('\n');
    }
    Seen { text, is_cut: shown.len() < bytes.len(), masked }
}

/// A text whose letters cannot change how others are seen: what controls or turns around is written as its number.
pub(super) fn tame(text: &str) -> String {
    let is_wild = |letter: char| {
        let turns =
            matches!(letter, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || letter == '\u{feff}' || letter.is_control() && !matches!(letter, '\n' | '\t')
    };
    if !text.contains(is_wild) {
        return text.to_owned();
    }
    let mut tamed = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' if letters.peek() == Some(&'\n') => {}
            letter if is_wild(letter) => tamed.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => tamed.push(letter),
        }
    }
    tamed
}

/// What somebody else wrote, on a line of at most so many letters, with secrets left out.
pub(super) fn line(text: &str, most: usize) -> String {
    // A secret that is cut in two would be known no more, so that more is looked at than is shown.
    let looked = format::cut_at(text, most.saturating_mul(2));
    tame(&format::cut_at(&mask::text(&looked, &mut Masked::default()), most))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use bytes::Bytes;

    use super::*;
    use crate::clock::Timestamp;

    fn message(payload: impl Into<Bytes>, headers: &[(&str, &str)]) -> Stored {
        Stored {
            sequence: 1,
            stored: Timestamp::parse("2030-01-31T12:00:00Z").unwrap(),
            subject: "a".to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            payload: payload.into(),
        }
    }

    #[test]
    fn secrets_are_left_out_of_a_line_before_it_is_cut() {
        assert_eq!(line("paid by 4111111111111111", 20), "paid by [masked: car…");
        assert_eq!(line("as Bearer abcdefghijkl", 14), "as Bearer [mas…");
        assert_eq!(line("paid\u{202e}", 20), "paid\\u202e");
    }

    #[track_caller]
    fn check(payload: &'static [u8], headers: &[(&str, &str)], form: Form, expected: &str) {
        let shown = show(&message(payload, headers), None, 10_000);
        assert_eq!((shown.form, shown.text.as_str()), (Some(form), expected));
    }

    #[test]
    fn a_payload_is_shown_as_what_it_is() {
        check(b"hello", &[], Form::Text, "hello");
        check(b"{\"a\":1}", &[], Form::Json, "{\n  \"a\": 1\n}");
        check(b"\x81\xa1a\x01", &[], Form::MessagePack, "{\n  \"a\": 1\n}");
        check(
            b"\xa1\x61a\x01\xff",
            &[],
            Form::Hex,
            "00000000  a1 61 61 01 ff                                   .aa..\n",
        );
        check(b"\xbf\x61a\x01\xff", &[], Form::Cbor, "{\n  \"a\": 1\n}");
        check(b"\x01", &[("Content-Type", "application/cbor")], Form::Cbor, "1");
        check(b"42", &[("content-type", "application/x-msgpack")], Form::Json, "42");
        check(b"\x00\x01\x02\xff", &[], Form::Hex, "00000000  00 01 02 ff                                      ....\n");
        assert_eq!(show(&message("", &[]), None, 100).form, None);
    }

    #[test]
    fn what_a_payload_says_of_itself_is_not_believed() {
        let shown = show(&message("hello", &[("content-type", "application/json; charset=utf-8")]), None, 100);
        assert_eq!(
            (shown.form, shown.notes),
            (Some(Form::Text), vec!["It says that it is JSON, and is not.".to_owned()])
        );
        let shown = show(&message("hello", &[]), Some(Form::Cbor), 100);
        assert_eq!((shown.form, shown.notes), (Some(Form::Text), vec!["It is no CBOR.".to_owned()]));
        assert_eq!(show(&message("{}", &[]), Some(Form::Hex), 100).form, Some(Form::Hex));
    }

    fn packed(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_packed_payload_is_unpacked_and_a_bomb_is_cut() {
        let shown = show(&message(packed(b"{\"password\":1}"), &[("Content-Encoding", "gzip")]), None, 1_000);
        assert_eq!(shown.form, Some(Form::Json));
        assert_eq!(shown.masked.told(), ["1 by secret name"]);
        assert!(shown.notes[0].starts_with("Unpacked by gzip from "), "{:?}", shown.notes);
        let bomb = show(&message(packed(&vec![b'a'; 64 << 20]), &[("Content-Encoding", "gzip")]), None, 1_000);
        assert_eq!((bomb.form, bomb.is_cut, bomb.text.len()), (Some(Form::Text), true, 1_000));
        assert!(bomb.notes[0].ends_with("to more than 4.2\u{a0}MB."), "{:?}", bomb.notes);
        let broken = show(&message("hello", &[("content-encoding", "gzip")]), None, 1_000);
        assert!(broken.text == "hello" && broken.notes[0].contains("does not unpack"), "{broken:?}");
        let other = show(&message("hello", &[("content-encoding", "br")]), None, 1_000);
        assert_eq!(other.notes, ["It is packed by br, which is not unpacked here."]);
    }

    #[test]
    fn hostile_payloads_stay_text_and_bounded() {
        let deep = show(&message("[".repeat(1 << 20), &[]), None, 1_000);
        assert_eq!((deep.form, deep.is_cut, deep.text.len()), (Some(Form::Text), true, 1_000));
        let nested = show(&message(format!("{}{}", "[".repeat(9_999), "]".repeat(9_999)), &[]), None, 100_000);
        assert_eq!((nested.form, nested.text.len()), (Some(Form::Text), 2 * 9_999));
        let long = show(&message(format!("\"{}\"", "é".repeat(1 << 20)), &[]), None, 1_000);
        assert!(long.is_cut, "a value of a million letters is shown in part");
        let wild = "some text a\u{202e}b\0c\u{1b}[1m, and more";
        check(wild.as_bytes(), &[], Form::Text, "some text a\\u202eb\\u0000c\\u001b[1m, and more");
        check("\"\u{2066}x\"".as_bytes(), &[], Form::Json, "\"\\u2066x\"");
        check(b"a\r\nb\tc", &[], Form::Text, "a\nb\tc");
    }

    #[test]
    fn secrets_are_left_out_of_every_form() {
        check(b"password=x and more", &[], Form::Text, "password=[masked: secret name] and more");
        check(b"\x81\xa3pwd\xa1x", &[], Form::MessagePack, "{\n  \"pwd\": \"[masked: secret name]\"\n}");
        let line = "00000000  ff 00 70 77 64 3d ** ** 00                       ..pwd=**.\n";
        check(b"\xff\x00pwd=ab\x00", &[], Form::Hex, line);
        let shown = |payload: &[u8], wanted| show(&message(payload.to_vec(), &[]), Some(wanted), 10_000).text;
        let nested = br#"{"token":{"a":["x\"}","\u00e9"]},"b":1}"#;
        assert_eq!(shown(nested, Form::Text), r#"{"token":[masked: secret name],"b":1}"#);
        assert_eq!(shown(b"{\"pin\":\"\xff\xfe1\",\"b\":1}", Form::Text), r#"{"pin":"[masked: secret name]","b":1}"#);
        assert!(shown(b"pin=\xc3\xa91234", Form::Hex).contains("pin=******"));
        let deep = format!("{}{{\"token\":{{\"a\":\"x\"}},\"b\":1}}", "[".repeat(70));
        assert!(shown(deep.as_bytes(), Form::Json).ends_with(r#"[{"token":[masked: secret name],"b":1}"#));
        let cut = show(&message(format!("{{\"token\":{{\"a\":\"{}", "x1".repeat(9_999)), &[]), None, 100);
        assert_eq!((cut.form, cut.text.as_str()), (Some(Form::Text), "{\"token\":[masked: secret name]"));
        let card = format!("{} 4111111111111111", "x".repeat(991));
        let cut = show(&message(card, &[]), None, 1_000);
        assert!(!cut.text.contains("4111"), "a card number that would be cut in two is known: {}", cut.text);
    }
}
