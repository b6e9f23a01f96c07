//! What a service remembers, in stores that survive it.

pub mod documents;
pub mod inbox;

pub use documents::{Documents, Versioned};
pub use inbox::{Inbox, InboxStore};
