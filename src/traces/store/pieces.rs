//! Records one behind the other, in pieces of memory of few sizes, so that what comes and goes leaves no holes.

use super::{record::read::Reader, size};

/// Bytes of a piece. Most traces have a few; what is unused at the end of the last is half of one on average.
const PIECE: usize = 1_024;

/// Bytes of a piece where there are many already.
const LARGE_PIECE: usize = 8 * PIECE;

/// Pieces after which there are large ones.
const SMALL_PIECES: usize = 16;

/// The records.
#[derive(Debug, Default)]
pub(super) struct Pieces(Vec<Vec<u8>>);

impl Pieces {
    /// Keeps a record; says how many bytes of memory that took.
    pub(super) fn push(&mut self, record: &[u8]) -> usize {
        let (length, digits) = length_of(record);
        let (piece, bytes) = self.piece_for(record.len() + digits);
        piece.extend_from_slice(&length[..digits]);
        piece.extend_from_slice(record);
        bytes
    }

    /// A piece that has room for so many bytes, and what it took to get it.
    fn piece_for(&mut self, bytes: usize) -> (&mut Vec<u8>, usize) {
        let Self(pieces) = self;
        let has_room = pieces.last().is_some_and(|piece| piece.capacity() - piece.len() >= bytes);
        let mut taken = 0;
        if !has_room {
            let usual = if pieces.len() < SMALL_PIECES { PIECE } else { LARGE_PIECE };
            let before = pieces.capacity();
            let piece = Vec::with_capacity(usual.max(bytes));
            taken += size::of_piece(piece.capacity());
            pieces.push(piece);
            taken += (pieces.capacity() - before) * size_of::<Vec<u8>>();
        }
        let last = pieces.len() - 1;
        (&mut pieces[last], taken)
    }

    /// The records, in the order in which they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().flat_map(|piece| Records(piece))
    }
}

/// Records that lie one behind the other, each after its length.
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut reader = Reader::new(self.0);
        let length = reader.varint()?.try_into().ok()?;
        let (record, rest) = reader.rest().split_at_checked(length)?;
        self.0 = rest;
        Some(record)
    }
}

/// The length of a record as it stands before it, and how many bytes that takes.
fn length_of(record: &[u8]) -> ([u8; 10], usize) {
    let (mut bytes, mut digits, mut number) = ([0; 10], 0, record.len());
    while number >= 0x80 {
        bytes[digits] = (number & 0x7f) as u8 | 0x80;
        number >>= 7;
        digits += 1;
    }
    bytes[digits] = number as u8;
    (bytes, digits + 1)
}
