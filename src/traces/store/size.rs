//! What things take in memory, allocator included: the bound of the store is one of memory, not of contents.

use std::sync::Arc;

/// What an allocator keeps beside each piece, and rounds up to.
const PIECE: usize = 16;

/// A table of hashes is between seven eighths and half of that full; half of the time three quarters of it are a fair guess.
const fn in_table(entry: usize) -> usize {
    (entry + 1) * 4 / 3
}

/// A piece of memory of so many bytes.
pub(super) const fn of_piece(bytes: usize) -> usize {
    bytes + PIECE
}

/// A text of the dictionary, with what leads to it.
pub(super) fn of_numbered(text: &str) -> usize {
    let shared = of_piece(text.len() + 2 * size_of::<usize>());
    shared + 2 * (size_of::<Arc<str>>() + size_of::<usize>()) + in_table(size_of::<(Arc<str>, u32)>())
}

/// What leads to a trace: its places in the order of arrival and in the index.
pub(super) const OF_ENTRY: usize = 2 * size_of::<usize>() + in_table(16 + 8);
