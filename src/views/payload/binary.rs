//! CBOR and MessagePack, told as JSON.
//!
//! Conventions: RFC 8949; <https://github.com/msgpack/msgpack/blob/master/spec.md>. What JSON has no word for is a text: bytes as `h'00ff'`,
//! numbers that are none as `NaN`, names that are no texts as the JSON that they are.

use std::io::Cursor;

use ciborium::Value as Cbor;
use rmpv::Value as Pack;

use super::json::quoted;

/// Values within values that are read: as deep as what is shown goes.
const DEPTH_MOST: usize = 64;

/// Bytes that are read at the most. A value takes some forty times its byte while it is read.
const BYTES_MOST: usize = 256 << 10;

/// Bytes of a value of bytes that are told.
const TOLD: usize = 64;

/// CBOR as JSON; `None` if it is none, or goes on behind its value.
pub(super) fn cbor(bytes: &[u8]) -> Option<String> {
    let mut rest = within(bytes)?;
    let value: Cbor = ciborium::de::from_reader_with_recursion_limit(&mut rest, DEPTH_MOST).ok()?;
    rest.is_empty().then(|| {
        let mut text = String::new();
        write_cbor(&value, &mut text);
        text
    })
}

/// MessagePack as JSON; `None` if it is none, or goes on behind its value.
pub(super) fn message_pack(bytes: &[u8]) -> Option<String> {
    let mut rest = Cursor::new(within(bytes)?);
    let value = rmpv::decode::read_value_with_max_depth(&mut rest, DEPTH_MOST).ok()?;
    (rest.position() == bytes.len() as u64).then(|| {
        let mut text = String::new();
        write_pack(&value, &mut text);
        text
    })
}

/// Whether bytes that say nothing of themselves begin as a map does in CBOR: other beginnings are those of too much else.
pub(super) fn is_like_cbor(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0xa1..=0xbb | 0xbf))
}

/// The same of MessagePack.
pub(super) fn is_like_message_pack(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0x81..=0x8f | 0xde | 0xdf))
}

fn within(bytes: &[u8]) -> Option<&[u8]> {
    (!bytes.is_empty() && bytes.len() <= BYTES_MOST).then_some(bytes)
}

fn write_cbor(value: &Cbor, text: &mut String) {
    match value {
        Cbor::Null => text.push_str("null"),
        Cbor::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Cbor::Integer(value) => text.push_str(&i128::from(*value).to_string()),
        Cbor::Float(value) => text.push_str(&float(*value)),
        Cbor::Text(value) => text.push_str(&quoted(value)),
        Cbor::Bytes(bytes) => text.push_str(&quoted(&told(bytes))),
        Cbor::Tag(_, value) => write_cbor(value, text),
        Cbor::Array(values) => list(values, text, write_cbor),
        Cbor::Map(pairs) => map(pairs, text, write_cbor),
        _ => text.push_str(&quoted("?")),
    }
}

fn write_pack(value: &Pack, text: &mut String) {
    match value {
        Pack::Nil => text.push_str("null"),
        Pack::Boolean(value) => text.push_str(if *value { "true" } else { "false" }),
        Pack::Integer(value) => text.push_str(&value.to_string()),
        Pack::F32(value) => text.push_str(&float(f64::from(*value))),
        Pack::F64(value) => text.push_str(&float(*value)),
        Pack::String(value) => match value.as_str() {
            Some(value) => text.push_str(&quoted(value)),
            None => text.push_str(&quoted(&told(value.as_bytes()))),
        },
        Pack::Binary(bytes) | Pack::Ext(_, bytes) => text.push_str(&quoted(&told(bytes))),
        Pack::Array(values) => list(values, text, write_pack),
        Pack::Map(pairs) => map(pairs, text, write_pack),
    }
}

fn list<T>(values: &[T], text: &mut String, write: fn(&T, &mut String)) {
    text.push('[');
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        write(value, text);
    }
    text.push(']');
}

fn map<T>(pairs: &[(T, T)], text: &mut String, write: fn(&T, &mut String)) {
    text.push('{');
    for (at, (name, value)) in pairs.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        let mut word = String::new();
        write(name, &mut word);
        text.push_str(&if word.starts_with('"') { word } else { quoted(&word) });
        text.push(':');
        write(value, text);
    }
    text.push('}');
}

fn float(value: f64) -> String {
    if value.is_finite() { serde_json::Value::from(value).to_string() } else { quoted(&value.to_string()) }
}

fn told(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().take(TOLD).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > TOLD { format!("h'{digits}…' ({} bytes)", bytes.len()) } else { format!("h'{digits}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_cbor(bytes: &[u8], expected: Option<&str>) {
        assert_eq!(cbor(bytes).as_deref(), expected, "{bytes:02x?}");
    }

    #[test]
    fn cbor_is_told_as_json() {
        check_cbor(b"\xa2\x61a\x01\x61b\x82\xf5\xf6", Some(r#"{"a":1,"b":[true,null]}"#));
        check_cbor(b"\xbf\x61a\x20\xff", Some(r#"{"a":-1}"#));
        check_cbor(b"\xa1\x01\x42\x00\xff", Some(r#"{"1":"h'00ff'"}"#));
        check_cbor(b"\xa1\x61n\xf9\x7e\x00", Some(r#"{"n":"NaN"}"#));
        check_cbor(b"\xc1\x1a\x51\x4b\x67\xb0", Some("1363896240"));
        check_cbor(b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff", Some("18446744073709551615"));
        check_cbor(b"\x01\x01", None);
        check_cbor(b"\xa1\x61a", None);
        check_cbor(b"", None);
    }

    fn check_pack(bytes: &[u8], expected: Option<&str>) {
        assert_eq!(message_pack(bytes).as_deref(), expected, "{bytes:02x?}");
    }

    #[test]
    fn message_pack_is_told_as_json() {
        check_pack(b"\x82\xa1a\x01\xa1b\x92\xc3\xc0", Some(r#"{"a":1,"b":[true,null]}"#));
        check_pack(b"\x81\x01\xc4\x02\x00\xff", Some(r#"{"1":"h'00ff'"}"#));
        check_pack(b"\x81\xa1a\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", Some(r#"{"a":1.5}"#));
        check_pack(b"\x01\x01", None);
        check_pack(b"\x81\xa1a", None);
    }

    #[test]
    fn what_claims_to_be_huge_or_goes_deep_is_none() {
        // Two to the power of 32 values, of which none comes.
        check_cbor(b"\x9b\x00\x00\x00\x00\xff\xff\xff\xff", None);
        check_cbor(b"\x5b\x00\x00\x00\x00\xff\xff\xff\xff", None);
        check_pack(b"\xdd\xff\xff\xff\xff", None);
        check_pack(b"\xc6\xff\xff\xff\xff", None);
        check_cbor(&[0x81; 100_000], None);
        check_pack(&[0x91; 100_000], None);
        check_cbor(&vec![0; BYTES_MOST + 1], None);
    }

    #[test]
    fn long_bytes_are_told_in_part() {
        let told = told(&[0xab; 100]);
        assert!(told.starts_with("h'abab") && told.ends_with("…' (100 bytes)"), "{told}");
    }
}
