//! A list that a cluster put together, and what it left out.

/// The rows of a list, and the names of those that did not answer for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing<T> {
    /// The rows, by name.
    pub rows: Vec<T>,
    /// Names that exist and of which no leader gave an account in time.
    pub missing: Vec<String>,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), missing: Vec::new() }
    }
}
