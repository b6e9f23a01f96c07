//! What a key-value bucket held.

use crate::clock::Timestamp;

/// The entries of a bucket, as far as they were read.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket<T> {
    /// The entries that could be understood.
    pub entries: Vec<Entry<T>>,
    /// Keys that were deleted, as far as the bucket still says so.
    pub deleted: Vec<String>,
    /// How many more there were that could not.
    pub malformed: usize,
    /// Whether there were older ones that were not read.
    pub is_cut: bool,
    /// Whether there were newer ones that were not read, because the values are larger than a round reads.
    pub lacks_newest: bool,
}

impl<T> Bucket<T> {
    /// Whether all that it held was read, so that what is not among the entries is not there.
    pub fn is_whole(&self) -> bool {
        !self.is_cut && !self.lacks_newest
    }
}

/// The last value under one key.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<T> {
    /// The key.
    pub key: String,
    /// The sequence of the value in the bucket's stream.
    pub revision: u64,
    /// When the bucket took it.
    pub written: Timestamp,
    /// The value.
    pub value: T,
}
