//! Topology as code: this program prints what its system wants, and `streamgauge topology` plans, applies and compares it.
//!
//! ```text
//! cargo run --example topology > topology.json
//! streamgauge topology plan --file topology.json
//! ```
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::time::Duration;

use serde::{Deserialize, Serialize};
use streamgauge::bus::{
    Payload,
    topology::{self, BucketSpec, ConsumerSpec, StreamSpec, Topology},
};

#[derive(Serialize, Deserialize)]
struct BookLent {
    book: String,
}

impl Payload for BookLent {
    const KIND: &'static str = "BookLent";
    const STREAM: &'static str = "BOOKS";
    const SUBJECT: &'static str = "books.lent.*";

    fn key(&self) -> String {
        self.book.clone()
    }
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

fn main() -> serde_json::Result<()> {
    let books = StreamSpec {
        max_age: Some(YEAR),
        max_bytes: Some(64 << 20),
        ..StreamSpec::new("BOOKS", "library", &["books.>"])
    };
    let shelves = BucketSpec { max_bytes: Some(1 << 20), ..BucketSpec::new("shelves", "library") };
    let own = Topology {
        streams: vec![books.carrying::<BookLent>(&["library"])],
        consumers: vec![ConsumerSpec::reading::<BookLent>("reminders", "reminders")],
        buckets: vec![shelves],
    };
    println!("{}", serde_json::to_string_pretty(&own.joined(topology::library()))?);
    Ok(())
}
