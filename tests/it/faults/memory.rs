//! What a worker keeps in memory while its handlers hang and its stream is full.

use std::{fs, time::Duration};

use async_nats::jetstream;

use super::{Client, declare, part};
use crate::support::{child, eventually, nats_server::NatsServer};

/// Messages that wait, and how large they are: some 50 MB and more would be seen.
const WAITING: usize = 50_000;
const BYTES: usize = 2_048;

/// How much more than at its start the worker may keep.
const GROWTH_KB: u64 = 50 << 10;

/// A message of that size fills the stream in some seconds.
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_worker_whose_handlers_hang_keeps_no_more_than_its_credits() {
    let server = NatsServer::start().await;
    let client = Client::of(server.url()).await;
    declare(&client.connection.jetstream, 1).await;
    let worker = child::start(part::HANGING_WORKER, &[("NATS", &server.url())]);
    fill(&client, 8).await;
    worker.reached("hanging").await;
    let at_start = peak_kb(worker.pid());
    fill(&client, WAITING).await;
    let stream = client.connection.jetstream.get_stream("COUNTS").await.unwrap();
    eventually(LIMIT, "the rest waits at the server", async || {
        let info = stream.consumer_info("w").await.unwrap();
        (info.num_ack_pending, info.num_pending) == (8, WAITING as u64)
    })
    .await;
    let grown = peak_kb(worker.pid()) - at_start;
    println!("at the start {at_start} kB, and {grown} kB more with {WAITING} messages waiting");
    assert!(grown < GROWTH_KB, "{grown} kB more than {at_start} kB");
}

/// Publishes as fast as the client goes, with a window of what is not confirmed.
async fn fill(client: &Client, messages: usize) {
    let payload = bytes::Bytes::from(format!(r#"{{"number":1,"text":"{}"}}"#, "x".repeat(BYTES)));
    let jetstream = jetstream::ContextBuilder::new().build(client.connection.client.clone());
    let mut window = std::collections::VecDeque::new();
    for number in 0..messages {
        window.push_back(jetstream.publish(format!("counts.{number}"), payload.clone()).await.unwrap());
        if window.len() >= 512 {
            window.pop_front().expect("it is full").await.unwrap();
        }
    }
    for confirmation in window {
        confirmation.await.unwrap();
    }
}

/// The most memory that the process has ever had: `VmHWM` of proc_pid_status(5).
fn peak_kb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
