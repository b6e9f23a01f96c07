//! What a server that crashes or stands still under load leaves behind.

use std::time::Duration;

use super::{Client, Desk, LIMIT, declare, nothing_lost_nothing_twice};
use crate::support::{checker::Checker, eventually, ledger::Ledger, nats_server::NatsServer};

/// Messages that are read between one crash and the next.
const BETWEEN: usize = 100;

/// A load in full swing: one client that publishes and works.
struct World {
    server: NatsServer,
    client: Client,
    checker: Checker,
    ledger: Ledger,
}

impl World {
    async fn new() -> Self {
        let server = NatsServer::start().await;
        let client = Client::of(server.url()).await;
        declare(&client.connection.jetstream, 1).await;
        let (checker, ledger) = (Checker::default(), Ledger::open().await);
        client.work(Desk::new(&checker, &ledger, &client).worker());
        Self { server, client, checker, ledger }
    }

    async fn holds(self) {
        nothing_lost_nothing_twice(&self.client, &self.checker, &self.ledger).await;
        self.client.stop().await;
    }
}

/// Waits until so many more were read.
async fn read_more(checker: &Checker, more: usize) {
    let before = checker.reads();
    eventually(LIMIT, "the load runs", async || checker.reads() > before + more).await;
}

#[tokio::test]
async fn a_broker_that_is_killed_under_load_loses_nothing_that_it_confirmed() {
    let mut world = World::new().await;
    let crashes = async {
        for _ in 0..2 {
            read_more(&world.checker, BETWEEN).await;
            world.server.kill().await;
            world.server.start_again().await;
        }
    };
    tokio::join!(world.client.load(&world.checker, 0..1_000), crashes);
    assert_eq!(world.checker.unclear(), Vec::<u32>::new(), "a crash is outlived by the publisher's own retries");
    world.holds().await;
}

#[tokio::test]
async fn a_broker_that_stands_still_under_load_stores_nothing_twice() {
    let world = World::new().await;
    let stillness = async {
        read_more(&world.checker, BETWEEN).await;
        world.server.freeze();
        // So long that what it had received is sent again, and it will find both.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        world.server.thaw();
    };
    tokio::join!(world.client.load(&world.checker, 0..600), stillness);
    assert_eq!(world.checker.unclear(), Vec::<u32>::new());
    world.holds().await;
}
