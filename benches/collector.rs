//! A collector as a process of its own, as it is elsewhere: what it costs is not taken from what is measured more than it must be.

use tokio::runtime::Builder;

use crate::{
    child::{Again, say},
    support::otlp::Sink,
};

/// The name under which the bench starts itself again.
pub const CHILD: &str = "collect";

/// Starts the process that takes spans. What it says is the value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
///
/// # Errors
/// When the process does not start or does not say where it listens.
pub fn start() -> anyhow::Result<Again> {
    Again::start(CHILD, &[])
}

/// The process that takes spans: says where it listens, and counts nothing until it is killed.
///
/// # Errors
/// When nothing can be said.
pub fn collect() -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let sink = Sink::start().await;
        say(&sink.endpoint())?;
        std::future::pending().await
    })
}
