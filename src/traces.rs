//! The trace store: takes spans by OTLP from services in any language, keeps them within a bound, and finds them again.
//!
//! What it takes is told by others: it is read without trust, and what is wrong with it is counted and said, never fatal.

mod given;
pub mod otlp;
pub mod query;
mod store;

use std::net::SocketAddr;

pub use query::{Query, Wanted};
pub use store::{Counts, Found, Rejected, Row, Stock, Store, Tally};

/// The traces of an observer, and where it takes them.
#[derive(Debug, Clone, Default)]
pub struct Traces {
    /// Those that are kept.
    pub store: Store,
    /// Where they come in.
    pub taking: Taking,
}

/// Where traces come in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Taking {
    /// Nowhere, as was asked for.
    #[default]
    Off,
    /// Nowhere: another program listens there.
    Busy(SocketAddr),
    /// At this address.
    At(SocketAddr),
}
