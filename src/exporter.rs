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

use std::{iter, sync::Arc};

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

/// The facts in Prometheus' text format, version 0.0.4, in parts that are written as they are asked for: whoever reads takes in one while the
/// next is written, and megabytes are never held at once. At most `consumers_most` durable consumers have series of their own, those with the
/// greatest lag.
pub fn exposition(
    snapshot: Arc<Snapshot>,
    consumers_most: usize,
    now: Timestamp,
) -> impl Iterator<Item = String> + Send {
    let rows = consumers::Rows::of(&snapshot, consumers_most);
    let (seen, left_out) = (Arc::clone(&snapshot), rows.left_out);
    let of_streams = iter::once_with({
        let snapshot = Arc::clone(&snapshot);
        move || part(0, |text| streams::write(text, &snapshot, now))
    });
    let of_consumers =
        (0..consumers::PARTS).map(move |number| part(rows.len(), |text| rows.write(number, text, &seen, now)));
    let of_others = iter::once_with(move || {
        part(0, |text| {
            consumers::write_sums(text, &snapshot);
            servers::write(text, &snapshot);
            account::write(text, &snapshot);
            asked::write(text, &snapshot);
            observer::write(text, &snapshot, now);
            consumers::write_bounds(text, consumers_most, left_out);
        })
    });
    of_streams.chain(of_consumers).chain(of_others)
}

/// A part with room for so many series.
fn part(series: usize, write: impl FnOnce(&mut Text)) -> String {
    let mut text = Text::with_room(series);
    write(&mut text);
    text.into_string()
}

/// What is known of the traces that are taken, in the same format.
pub fn exposition_of_traces(intake: &Intake) -> String {
    let mut text = Text::default();
    traces::write(&mut text, intake);
    text.into_string()
}
