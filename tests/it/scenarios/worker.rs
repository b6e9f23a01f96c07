//! A worker as somebody writes it who has never heard of us: takes messages one after the other, and acks each.

use std::{process::Command, time::Duration};

use async_nats::jetstream::{self, AckKind, Message, consumer::PullConsumer};
use futures_util::StreamExt;
use tokio::task::JoinSet;

use super::{LIMIT, python::Python};
use crate::support::process::Process;

/// What a worker is written with.
#[derive(Clone)]
pub enum Client {
    AsyncNats,
    NatsPy(Python),
}

/// How a worker works.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// How long each message takes.
    pub takes: Duration,
    /// Messages that it asks for at once.
    pub batch: usize,
    /// Whether it can take each message; otherwise some make it fail, and some make it hang.
    pub is_mended: bool,
}

pub const QUICK: Habits = Habits { takes: Duration::from_millis(5), batch: 10, is_mended: false };

pub const MENDED: Habits = Habits { is_mended: true, ..QUICK };

pub const POISON: &str = "poison";

pub const HANG: &str = "hang";

/// After a failure the message is asked for again so soon.
const AGAIN: Duration = Duration::from_millis(100);

/// A worker at work: a task with a connection of its own, or a process.
pub enum Worker {
    Task(JoinSet<()>),
    Process(Box<Process>),
}

impl Worker {
    pub async fn start(client: &Client, url: &str, name: &'static str, habits: Habits) -> Self {
        match client {
            Client::AsyncNats => {
                let client = async_nats::connect(url).await.unwrap();
                let mut task = JoinSet::new();
                task.spawn(work(client, name, habits));
                Self::Task(task)
            }
            Client::NatsPy(python) => {
                let process = Process::start(&mut python_worker(python, url, name, habits));
                process.line(LIMIT, "at work", |line| line == "at work").await;
                Self::Process(Box::new(process))
            }
        }
    }

    /// Ends it as a crash would: nothing is acked, nothing handed back.
    pub async fn kill(self) {
        match self {
            Self::Task(mut task) => task.shutdown().await,
            Self::Process(process) => drop(process),
        }
    }
}

fn python_worker(python: &Python, url: &str, name: &str, habits: Habits) -> Command {
    let mut command = python.command("tests/it/scenarios/worker.py");
    let (takes, batch) = (habits.takes.as_secs_f64().to_string(), habits.batch.to_string());
    command.args([url, name, &takes, &batch, if habits.is_mended { "mended" } else { "as written" }]);
    command
}

async fn work(client: async_nats::Client, name: &'static str, habits: Habits) {
    let consumer: PullConsumer =
        jetstream::new(client).get_stream(name).await.unwrap().get_consumer(name).await.unwrap();
    let mut messages = consumer.stream().max_messages_per_batch(habits.batch).messages().await.unwrap();
    while let Some(message) = messages.next().await {
        if let Ok(message) = message {
            handle(&message, habits).await;
        }
    }
}

async fn handle(message: &Message, habits: Habits) {
    tokio::time::sleep(habits.takes).await;
    let kind = match str::from_utf8(&message.payload) {
        Ok(HANG) if !habits.is_mended => return std::future::pending().await,
        Ok(POISON) if !habits.is_mended => AckKind::Nak(Some(AGAIN)),
        _ => AckKind::Ack,
    };
    // A lost connection loses acks too; the message comes again then.
    _ = message.ack_with(kind).await;
}
