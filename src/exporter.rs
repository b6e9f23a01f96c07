//! What the observer knows as Prometheus reads it: a pure function of the facts. What is unknown is absent, never 0.
//!
//! Convention: the names `nats_stream_*`, `nats_consumer_*` and `nats_core_*` with their labels are those of nats-surveyor and of
//! prometheus-nats-exporter (`-prefix nats`), so that boards and rules made for these go on working. Only leaders are asked, and their
//! rows say so.

mod account;
mod asked;
mod consumers;
mod observer;
mod servers;
mod streams;
mod text;
mod traces;

use crate::{clock::Timestamp, snapshot::Snapshot, telemetry::metrics::Family, traces::Intake};

use text::Text;

/// Every family that the observer exposes beside those of every process.
pub fn families() -> Vec<Family> {
    [
        streams::families(),
        consumers::families(),
        servers::families(),
        account::families(),
        asked::families(),
        observer::families(),
        traces::families(),
    ]
    .concat()
}

/// The facts in Prometheus' text format, version 0.0.4. At most `consumers_most` durable consumers have series of their own, those
/// with the greatest lag.
pub fn exposition(snapshot: &Snapshot, consumers_most: usize, now: Timestamp) -> String {
    let series = streams::series_most(snapshot) + consumers::series_most(snapshot, consumers_most);
    let mut text = Text::with_room(series);
    streams::write(&mut text, snapshot, now);
    let left_out = consumers::write(&mut text, snapshot, consumers_most, now);
    servers::write(&mut text, snapshot);
    account::write(&mut text, snapshot);
    asked::write(&mut text, snapshot);
    observer::write(&mut text, snapshot, now);
    consumers::write_bounds(&mut text, consumers_most, left_out);
    text.into_string()
}

/// What is known of the traces that are taken, in the same format.
pub fn exposition_of_traces(intake: &Intake) -> String {
    let mut text = Text::default();
    traces::write(&mut text, intake);
    text.into_string()
}
