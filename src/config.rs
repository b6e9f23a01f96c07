//! Settings, one struct a topic: a field is a flag, an environment variable and a line of the reference at once.
//! Reading them touches nothing: no file is opened, no name resolved.

mod demo;
mod nats;
mod service;
mod telemetry;

pub use demo::DemoConfig;
pub use nats::{NatsConfig, SystemConfig};
pub use service::ServiceConfig;
pub use telemetry::{LogFormat, TelemetryConfig};
