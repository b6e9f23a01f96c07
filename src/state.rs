//! What a service remembers, in stores that survive it.

pub mod documents;

pub use documents::{Documents, Versioned};
