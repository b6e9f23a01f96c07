//! A durable consumer that somebody deletes while it is worked on.

use super::{Client, Desk, LIMIT, declare, nothing_lost_nothing_twice};
use crate::support::{checker::Checker, eventually, ledger::Ledger, nats_server::NatsServer};

#[tokio::test]
async fn a_consumer_that_is_deleted_under_load_is_made_again_and_nothing_is_lost() {
    let server = NatsServer::start().await;
    let client = Client::of(server.url()).await;
    declare(&client.connection.jetstream, 1).await;
    let (checker, ledger) = (Checker::default(), Ledger::open().await);
    client.work(Desk::new(&checker, &ledger, &client).worker());
    let deletion = async {
        eventually(LIMIT, "the load runs", async || checker.reads() > 50).await;
        let stream = client.connection.jetstream.get_stream("COUNTS").await.unwrap();
        stream.delete_consumer("w").await.unwrap();
    };
    tokio::join!(client.load(&checker, 0..400), deletion);
    // The new consumer begins at the stream's first message: what was done is done once more, and changes nothing.
    nothing_lost_nothing_twice(&client, &checker, &ledger).await;
    client.stop().await;
}
