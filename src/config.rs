//! Settings, one struct a topic: a field is a flag, an environment variable and a line of the reference at once.
//! Reading them touches nothing: no file is opened, no name resolved.

#[cfg(feature = "dashboard")]
mod access;
#[cfg(feature = "dashboard")]
mod accounts;
#[cfg(all(feature = "dashboard", feature = "mesh"))]
mod demo;
#[cfg(feature = "mesh")]
mod mesh;
mod nats;
#[cfg(feature = "dashboard")]
mod observer;
#[cfg(feature = "dashboard")]
mod probe;
mod service;
mod telemetry;
#[cfg(feature = "dashboard")]
mod thresholds;
#[cfg(feature = "dashboard")]
mod tools;
#[cfg(feature = "dashboard")]
mod traces;

#[cfg(feature = "dashboard")]
pub use access::{AccessConfig, Secret};
#[cfg(feature = "dashboard")]
pub use accounts::{AccountUser, AccountsConfig};
#[cfg(all(feature = "dashboard", feature = "mesh"))]
pub use demo::DemoConfig;
#[cfg(feature = "mesh")]
pub use mesh::{LoadConfig, NotificationsConfig, PaymentsConfig, ProviderConfig};
pub use nats::{NatsConfig, SystemConfig};
#[cfg(all(feature = "dashboard", feature = "mesh"))]
pub(crate) use observer::interval;
#[cfg(feature = "dashboard")]
pub use observer::{BasePath, NotLoopback, ObserverConfig};
#[cfg(feature = "dashboard")]
pub use probe::ProbeTarget;
pub use service::ServiceConfig;
pub use telemetry::{LogFormat, TelemetryConfig};
#[cfg(feature = "dashboard")]
pub use thresholds::Thresholds;
#[cfg(feature = "dashboard")]
pub use tools::{About, ToolLink, ToolUrl, ToolsConfig};
#[cfg(feature = "dashboard")]
pub use traces::{ForwardConfig, ForwardUrl, Otlp, OtlpNotLoopback, TraceEvents, TracesConfig};
