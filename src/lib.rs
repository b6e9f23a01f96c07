//! Event-driven services on NATS JetStream that can be seen.

pub mod clock;
pub mod config;
pub mod errors;
pub mod message;
pub mod name;
pub mod nats;
pub mod presence;
pub mod record;
pub mod resilience;
pub mod tasks;
pub mod trace;
