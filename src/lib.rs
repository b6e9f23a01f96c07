//! Event-driven services on NATS JetStream that can be seen.

pub mod clock;
pub mod errors;
pub mod message;
pub mod name;
pub mod presence;
pub mod record;
pub mod trace;
