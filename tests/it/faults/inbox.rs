//! What an inbox adds where a worker is killed or stands still: an effect that is not asked for twice.

use futures_util::StreamExt;
use rustix::process::Signal;
use streamgauge::{bus::topology, consumer::Worker, handler::with};

use super::{Client, Desk, LIMIT, declare, inbox, nothing_lost_nothing_twice, part};
use crate::support::{
    chaos_proxy::ChaosProxy, checker::Checker, child, eventually, ledger::Ledger, nats_server::NatsServer,
    process::Process,
};

/// A server with one message on it, and a worker of another process that guards its handler by an inbox.
struct World {
    _server: NatsServer,
    proxy: ChaosProxy,
    client: Client,
    checker: Checker,
    ledger: Ledger,
}

impl World {
    async fn new() -> Self {
        let server = NatsServer::start().await;
        let proxy = ChaosProxy::before(server.address()).await;
        let client = Client::of(server.url()).await;
        declare(&client.connection.jetstream, 1).await;
        topology::library().only(&[topology::INBOX]).apply(&client.connection.jetstream).await.unwrap();
        let (checker, ledger) = (Checker::default(), Ledger::open().await);
        client.load(&checker, 7..8).await;
        Self { _server: server, proxy, client, checker, ledger }
    }

    fn worker(&self, stop_at: &str) -> Process {
        let (url, ledger) = (self.proxy.url(), self.ledger.address());
        child::start(part::GUARDED_WORKER, &[("NATS", &url), ("LEDGER", &ledger), ("STOP_AT", stop_at)])
    }

    /// Another worker behind the same inbox takes over, until nothing is left to settle.
    async fn heir_settles(&self) {
        let desk = Desk::new(&self.checker, &self.ledger, &self.client);
        self.client.work(Worker::new("w").on(inbox(&self.client).await.guard(with(&desk, Desk::handle))));
        let stream = self.client.connection.jetstream.get_stream("COUNTS").await.unwrap();
        eventually(LIMIT, "nothing pending, nothing unsettled", async || {
            let info = stream.consumer_info("w").await.map_err(|error| error.to_string())?;
            let left = (info.num_pending, info.num_ack_pending);
            if left == (0, 0) { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    }
}

#[tokio::test]
async fn killed_between_its_effect_and_its_settlement_the_effect_is_not_asked_for_again() {
    let world = World::new().await;
    world.proxy.lose_from(b"+ACK");
    let worker = world.worker("no point");
    eventually(LIMIT, "the settlement is under way", async || world.proxy.has_lost(b"+ACK")).await;
    worker.crash().await;
    world.heir_settles().await;
    assert_eq!((world.checker.times(7), world.ledger.asked("7")), (0, 1), "the message is known to be done");
    assert_eq!(super::messages(&world.client, "ECHOES").await, 1);
}

#[tokio::test]
async fn killed_before_its_effect_the_effect_is_asked_for_once_by_another() {
    let world = World::new().await;
    let worker = world.worker(part::AFTER_DELIVERY);
    worker.reached(part::AFTER_DELIVERY).await;
    worker.crash().await;
    world.heir_settles().await;
    nothing_lost_nothing_twice(&world.client, &world.checker, &world.ledger).await;
    assert_eq!((world.checker.times(7), world.ledger.asked("7")), (1, 1), "when the claim of the dead was over");
}

#[tokio::test]
async fn a_worker_that_stood_still_before_its_effect_comes_too_late_for_a_store_that_knows_its_fence() {
    let world = World::new().await;
    let zombie = world.worker(part::AFTER_DELIVERY);
    zombie.reached(part::AFTER_DELIVERY).await;
    zombie.signal(Signal::STOP);
    world.heir_settles().await;
    assert_eq!((world.checker.times(7), world.ledger.asked("7")), (1, 1));

    let client = &world.client.connection.client;
    let mut settlements = client.subscribe("$JS.ACK.>").await.unwrap();
    client.flush().await.unwrap();
    zombie.signal(Signal::CONT);
    zombie.signal(Signal::USR1);
    // Its claim is another's, or the ledger has refused it: either way it hands the message back, which changes nothing any more.
    let late = async { while !settlements.next().await.unwrap().payload.starts_with(b"-NAK") {} };
    tokio::time::timeout(LIMIT, late).await.expect("the zombie gives up");
    nothing_lost_nothing_twice(&world.client, &world.checker, &world.ledger).await;
    assert_eq!((world.checker.times(7), world.ledger.asked("7")), (1, 1), "the effect happened once");
}
