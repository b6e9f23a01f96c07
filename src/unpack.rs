//! Unpacks payloads that were packed as their `content-encoding` says, and never to more bytes than a limit.
//!
//! Convention: `content-encoding` as in HTTP (RFC 9110, 8.4). `lz4` means the LZ4 frame format
//! (<https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md>); `zstd` means one frame of Zstandard (RFC 8878).

use std::io::{self, Read};

use bytes::Bytes;
use lz4_flex::frame::FrameDecoder;

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unpacked {
    /// As many bytes as the limit allows.
    pub(crate) bytes: Bytes,
    /// Whether there would be more.
    pub(crate) is_cut: bool,
}

/// An LZ4 frame.
///
/// # Errors
/// When it is none, or broken.
pub(crate) fn lz4(packed: &[u8], most: usize) -> io::Result<Unpacked> {
    bounded(FrameDecoder::new(packed), most)
}

/// By its name in `content-encoding`; `None` where the name is not known.
///
/// # Errors
/// When it is not packed so, or broken.
#[cfg(feature = "dashboard")]
pub(crate) fn by_name(encoding: &str, packed: &[u8], most: usize) -> Option<io::Result<Unpacked>> {
    /// A frame says in a few bytes how much memory it takes to read it; what the format asks every reader to have is enough (RFC 8878, 3.1.1.1.2).
    const WINDOW_MOST: u64 = 8 << 20;
    use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
    use ruzstd::decoding::StreamingDecoder;
    Some(match encoding.trim().to_ascii_lowercase().as_str() {
        "lz4" => lz4(packed, most),
        "gzip" | "x-gzip" => bounded(MultiGzDecoder::new(packed), most),
        // The name means zlib's format; some senders leave its two bytes away.
        "deflate" => bounded(ZlibDecoder::new(packed), most).or_else(|_| bounded(DeflateDecoder::new(packed), most)),
        "zstd" => StreamingDecoder::new_with_max_window_size(packed, WINDOW_MOST)
            .map_err(io::Error::other)
            .and_then(|decoder| bounded(decoder, most)),
        _ => return None,
    })
}

fn bounded(unpack: impl Read, most: usize) -> io::Result<Unpacked> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    unpack.take(limit).read_to_end(&mut bytes)?;
    let is_cut = bytes.len() > most;
    bytes.truncate(most);
    Ok(Unpacked { bytes: bytes.into(), is_cut })
}

#[cfg(test)]
#[cfg(feature = "dashboard")]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::*;

    const MOST: usize = 1_000;

    fn packed(encoding: &str, plain: &[u8]) -> Vec<u8> {
        let level = Compression::best();
        match encoding {
            "lz4" => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            "zstd" => ruzstd::encoding::compress_to_vec(plain, ruzstd::encoding::CompressionLevel::Fastest),
            "gzip" => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            "zlib" => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            _ => {
                let mut encoder = DeflateEncoder::new(Vec::new(), level);
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    #[track_caller]
    fn check(name: &str, packing: &str, size: usize, expected: (usize, bool)) {
        let plain = vec![b'a'; size];
        let found = by_name(name, &packed(packing, &plain), MOST).unwrap().unwrap();
        assert_eq!((found.bytes.len(), found.is_cut), expected, "{name}");
        assert!(found.bytes.iter().all(|byte| *byte == b'a'));
    }

    #[test]
    fn what_is_packed_comes_back_and_never_more_than_the_limit() {
        for (name, packing) in
            [("lz4", "lz4"), ("GZIP ", "gzip"), ("deflate", "zlib"), ("deflate", "raw"), ("zstd", "zstd")]
        {
            check(name, packing, 900, (900, false));
            check(name, packing, 1_000, (1_000, false));
            check(name, packing, 10_000_000, (1_000, true));
        }
    }

    #[test]
    fn what_is_broken_or_not_known_is_said() {
        for name in ["lz4", "gzip", "deflate", "zstd"] {
            assert!(by_name(name, b"hello", MOST).unwrap().is_err(), "{name}");
        }
        assert!(by_name("br", b"hello", MOST).is_none() && by_name("lz4, gzip", b"", MOST).is_none());
        let cut = packed("gzip", &[7; 500]);
        assert!(by_name("gzip", &cut[..cut.len() - 9], MOST).unwrap().is_err());
    }
}
