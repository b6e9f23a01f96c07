//! Compression of payloads: LZ4 frames above a size, and never more bytes out than a limit.
//!
//! Convention: `content-encoding` as in HTTP (RFC 9110, 8.4), whose value `lz4` means the LZ4 frame format
//! (<https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md>).

use std::io::Write;

use bytes::Bytes;
use lz4_flex::frame::FrameEncoder;

use super::CodecError;
use crate::{
    message::{Message, header},
    unpack,
};

/// The one encoding that is written.
const LZ4: &str = "lz4";

/// No payload is unpacked to more bytes than this: a small message that claims to be a huge one is refused before it is one.
const UNPACKED_MOST: usize = 64 << 20;

/// Compresses the payload if that makes it smaller, and says so in a header.
pub(crate) fn pack(message: &mut Message) {
    if message.header(header::CONTENT_ENCODING).is_some() {
        return;
    }
    if let Some(packed) = packed(&message.payload).filter(|packed| packed.len() < message.payload.len()) {
        message.payload = packed;
        message.headers.push((header::CONTENT_ENCODING.to_owned(), LZ4.to_owned()));
    }
}

fn packed(payload: &Bytes) -> Option<Bytes> {
    let mut encoder = FrameEncoder::new(Vec::with_capacity(payload.len() / 2));
    encoder.write_all(payload).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// The payload as it was before it was compressed, if it was.
///
/// # Errors
/// When it is in an encoding that is not known, broken, or too large.
pub(super) fn unpacked(message: &Message) -> Result<Bytes, CodecError> {
    match message.header(header::CONTENT_ENCODING).map(str::trim) {
        None => Ok(message.payload.clone()),
        Some(found) if found.eq_ignore_ascii_case("identity") => Ok(message.payload.clone()),
        Some(found) if found.eq_ignore_ascii_case(LZ4) => unpack(&message.payload, UNPACKED_MOST),
        Some(found) => Err(CodecError::Encoding { found: found.to_owned() }),
    }
}

fn unpack(packed: &[u8], most: usize) -> Result<Bytes, CodecError> {
    let plain = unpack::lz4(packed, most).map_err(|source| CodecError::Unpack { source })?;
    if plain.is_cut {
        return Err(CodecError::TooLarge { packed: packed.len(), most });
    }
    Ok(plain.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MessageId;

    fn message(payload: impl Into<Bytes>, encoding: Option<&str>) -> Message {
        let headers = encoding.map(|encoding| (header::CONTENT_ENCODING.to_owned(), encoding.to_owned()));
        Message {
            subject: "a".try_into().unwrap(),
            id: Some(MessageId("m".into())),
            correlation: None,
            causation: None,
            schema: None,
            source: None,
            time: None,
            trace: None,
            trace_state: None,
            headers: headers.into_iter().collect(),
            payload: payload.into(),
        }
    }

    #[test]
    fn a_packed_payload_is_smaller_and_comes_back_whole() {
        let mut packed = message("abc ".repeat(1_000), None);
        let plain = packed.payload.clone();
        pack(&mut packed);
        assert!(packed.payload.len() < plain.len() / 10, "{}", packed.payload.len());
        assert_eq!(packed.header("Content-Encoding"), Some(LZ4));
        assert_eq!(unpacked(&packed).unwrap(), plain);
        let once = packed.clone();
        pack(&mut packed);
        assert_eq!(packed, once, "what is packed is not packed again");
    }

    #[test]
    fn what_does_not_get_smaller_stays_as_it_is() {
        let mut noise = message((0..2_000).map(|_| fastrand::u8(..)).collect::<Vec<_>>(), None);
        let before = noise.clone();
        pack(&mut noise);
        assert_eq!(noise, before);
    }

    fn check(encoding: Option<&str>, payload: &'static [u8], expected: Result<&str, &str>) {
        let found = unpacked(&message(payload, encoding)).map_err(|error| error.to_string());
        match (&found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected.as_bytes()),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
            _ => panic!("{encoding:?}: {found:?}"),
        }
    }

    #[test]
    fn encodings_are_known_by_name() {
        check(None, b"x", Ok("x"));
        check(Some("identity"), b"x", Ok("x"));
        check(Some("LZ4"), b"x", Err("unpacking"));
        check(Some("br"), b"x", Err("`br`"));
        check(Some("lz4, br"), b"x", Err("`lz4, br`"));
    }

    #[test]
    fn a_frame_that_is_cut_is_refused() {
        let mut packed = message("abc ".repeat(1_000), None);
        pack(&mut packed);
        let cut = packed.payload.slice(..packed.payload.len() - 5);
        assert!(matches!(unpack(&cut, UNPACKED_MOST), Err(CodecError::Unpack { .. })));
    }

    #[test]
    fn a_bomb_is_refused_before_it_goes_off() {
        let zeros = packed(&vec![0; 1 << 20].into()).unwrap();
        assert!(zeros.len() < 10_000, "{}", zeros.len());
        assert_eq!(unpack(&zeros, 1 << 20).unwrap().len(), 1 << 20);
        let bomb = unpack(&zeros, (1 << 20) - 1);
        assert!(matches!(bomb, Err(CodecError::TooLarge { most: 1_048_575, .. })), "{bomb:?}");
    }
}
