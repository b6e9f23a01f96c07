//! Request and reply through the NATS service API: instances of one service share the requests, `$SRV.STATS` shows what they did, and
//! the deadline travels with the request.
//!
//! Convention: NATS ADR-32 (service API).

mod call;
mod serve;

use serde::{Serialize, de::DeserializeOwned};

pub use call::{CallError, call};
pub use serve::{Refusal, ServeError, serve};

/// A type that is sent as a request.
pub trait Call: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What answers it.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
    /// The subject that it is sent on.
    const SUBJECT: &'static str;
    /// The name of the endpoint, a verb: `quote`.
    const ENDPOINT: &'static str;
}
