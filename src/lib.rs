//! Event-driven services on NATS JetStream that can be seen.

pub mod bus;
pub mod clock;
pub mod config;
pub mod consumer;
pub mod errors;
pub mod handler;
pub mod message;
pub mod name;
pub mod nats;
pub mod presence;
pub mod record;
pub mod resilience;
pub mod rpc;
pub mod service;
pub mod state;
pub mod tasks;
pub mod telemetry;
pub mod trace;
