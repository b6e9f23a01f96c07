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

use std::sync::Arc;

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
    const STREAMS: usize = streams::PARTS;
    const OTHERS: usize = STREAMS + consumers::PARTS;
    let (of_streams, of_consumers) = (streams::Rows::of(&snapshot), consumers::Rows::of(&snapshot, consumers_most));
    let mut text = Text::default();
    (0..=OTHERS).flat_map(move |part| {
        match part {
            part if part < STREAMS => of_streams.write(part, &mut text, &snapshot, now),
            part if part < OTHERS => of_consumers.write(part - STREAMS, &mut text, &snapshot, now),
            _ => {
                consumers::write_sums(&mut text, &snapshot);
                servers::write(&mut text, &snapshot);
                account::write(&mut text, &snapshot);
                asked::write(&mut text, &snapshot);
                observer::write(&mut text, &snapshot, now);
                consumers::write_bounds(&mut text, consumers_most, of_consumers.left_out);
            }
        }
        text.take_pieces()
    })
}

/// What is known of the traces that are taken, in the same format.
pub fn exposition_of_traces(intake: &Intake) -> String {
    let mut text = Text::default();
    traces::write(&mut text, intake);
    text.into_string()
}
