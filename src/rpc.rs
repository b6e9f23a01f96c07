//! Request and reply through the NATS service API: instances of one service share the requests, `$SRV.STATS` shows what they did, the
//! deadline travels with the request, and who stops waiting says so.
//!
//! Convention: NATS ADR-32 (service API).

mod client;
mod failure;
mod hang_up;
mod running;
mod serve;

use std::fmt::{Debug, Display};

use serde::{Serialize, de::DeserializeOwned};

pub use client::{Calling, Client};
pub use failure::{CallError, Refusal, ServeError};
pub use serve::serve;

/// The code of a request that is answered no more because its deadline has passed.
const LATE: usize = 408;

/// A type that is sent as a request.
pub trait Call: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What answers it.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
    /// What refuses it, in a type that the caller can tell apart; its text is what people read. `String` where nobody has to.
    type Error: Serialize + DeserializeOwned + Debug + Display + Send + 'static;
    /// The subject that it is sent on. Requests are cancelled on the same subject with `.cancel` behind it.
    const SUBJECT: &'static str;
    /// The name of the endpoint, a verb: `quote`.
    const ENDPOINT: &'static str;
}

/// Where all instances that answer on a subject hear which requests nobody waits for any more.
fn cancel_subject(subject: &str) -> String {
    format!("{subject}.cancel")
}
