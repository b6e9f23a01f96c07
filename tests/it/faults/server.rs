//! What a server that crashes under load leaves behind.

use super::{Client, Desk, LIMIT, declare, nothing_lost_nothing_twice};
use crate::support::{checker::Checker, eventually, ledger::Ledger, nats_server::NatsServer};

/// Messages that are read between one crash and the next.
const BETWEEN: usize = 100;

#[tokio::test]
async fn a_broker_that_is_killed_under_load_loses_nothing_that_it_confirmed() {
    let mut server = NatsServer::start().await;
    let client = Client::of(server.url()).await;
    declare(&client.connection.jetstream, 1).await;
    let (checker, ledger) = (Checker::default(), Ledger::open().await);
    client.work(Desk::new(&checker, &ledger, &client).worker());
    let crashes = async {
        for _ in 0..2 {
            let before = checker.reads();
            eventually(LIMIT, "the load runs", async || checker.reads() > before + BETWEEN).await;
            server.kill().await;
            server.start_again().await;
        }
    };
    tokio::join!(client.load(&checker, 0..1_000), crashes);
    assert_eq!(checker.unclear(), Vec::<u32>::new(), "a crash is outlived by the publisher's own retries");
    nothing_lost_nothing_twice(&client, &checker, &ledger).await;
    client.stop().await;
}
