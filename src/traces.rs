//! The trace store: takes spans by OTLP from services in any language, with the logs of their traces, and what brokers tell of messages
//! on their way; keeps them within a bound, and finds them again.
//!
//! What it takes is told by others: it is read without trust, and what is wrong with it is counted and said, never fatal.

mod event;
pub mod forward;
mod given;
pub mod otlp;
pub mod query;
mod store;

use std::{fmt, net::SocketAddr, sync::Arc};

pub use forward::{Forwarded, Passed};
pub use otlp::{Events, Receiver, Refused};
pub use query::{Query, Wanted};
pub use store::{Act, Counts, Flow, Flows, Found, LogCounts, Rejected, Row, Stock, Store, Tally, Way};

/// The traces of an observer, and where it takes them.
#[derive(Debug, Clone, Default)]
pub struct Traces {
    /// What takes them, and keeps them.
    pub receiver: Receiver,
    /// Where they come in.
    pub taking: Taking,
}

/// What came in, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intake {
    /// What is kept, and what was not.
    pub stock: Stock,
    /// Requests that were refused as a whole.
    pub refused: Refused,
    /// What brokers told of messages on their way.
    pub events: Events,
    /// What went on; `None` where nothing is to.
    pub forwarded: Option<Forwarded>,
}

impl Traces {
    /// Those that are kept.
    pub fn store(&self) -> &Store {
        self.receiver.store()
    }
}

/// Where traces come in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Taking {
    /// Nowhere, as was asked for.
    #[default]
    Off,
    /// Nowhere: another program listens there.
    Busy(SocketAddr),
    /// At these addresses.
    At(Arc<[SocketAddr]>),
}

/// The addresses as one gives them to a sender; nothing where there are none.
impl fmt::Display for Taking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::At(addresses) = self else { return Ok(()) };
        for (index, address) in addresses.iter().enumerate() {
            write!(f, "{}http://{address}", if index == 0 { "" } else { " and " })?;
        }
        Ok(())
    }
}
