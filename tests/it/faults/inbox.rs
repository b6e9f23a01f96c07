//! What an inbox adds where a worker is killed or stands still: an effect that is not asked for twice.

use rustix::process::Signal;
use streamgauge::{bus::topology, consumer::Worker, handler::with};

use super::{Desk, LIMIT, World, inbox, messages, part};
use crate::support::{chaos_proxy::ChaosProxy, eventually, process::Process};

/// A world with one message and the bucket of an inbox.
async fn world() -> World {
    let world = World::with_one().await;
    topology::library().only(&[topology::INBOX]).apply(&world.client.connection.jetstream).await.unwrap();
    world
}

impl World {
    /// A worker of another process that guards its handler by the inbox.
    fn guarded(&self, stop_at: &str) -> Process {
        self.process(part::GUARDED_WORKER, &self.server.url(), stop_at)
    }

    /// Another worker behind the same inbox takes over, until nothing is left to settle.
    async fn heir_settles(&self) {
        let guarded = inbox(&self.client).await.guard(with(&self.desk(), Desk::handle));
        self.client.work(Worker::new("w").on(guarded));
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
    let world = world().await;
    let proxy = ChaosProxy::before(world.server.address()).await;
    proxy.lose_from(b"+ACK");
    let worker = world.process(part::GUARDED_WORKER, &proxy.url(), "no point");
    eventually(LIMIT, "the settlement is under way", async || proxy.has_lost(b"+ACK")).await;
    worker.crash().await;
    world.heir_settles().await;
    assert_eq!((world.checker.times(7), world.ledger.asked("7")), (0, 1), "the message is known to be done");
    assert_eq!(messages(&world.client, "ECHOES").await, 1);
}

#[tokio::test]
async fn killed_before_its_effect_the_effect_is_asked_for_once_by_another() {
    let world = world().await;
    let worker = world.guarded(part::AFTER_DELIVERY);
    worker.reached(part::AFTER_DELIVERY).await;
    worker.crash().await;
    world.heir_settles().await;
    world.holds().await;
    assert_eq!((world.checker.times(7), world.ledger.asked("7")), (1, 1), "when the claim of the dead was over");
}

#[tokio::test]
async fn a_worker_that_stood_still_before_its_effect_comes_too_late_for_a_store_that_knows_its_fence() {
    let world = world().await;
    let zombie = world.guarded(part::AFTER_DELIVERY);
    zombie.reached(part::AFTER_DELIVERY).await;
    zombie.signal(Signal::STOP);
    world.heir_settles().await;
    assert_eq!((world.checker.times(7), world.ledger.asked("7")), (1, 1));

    // Its claim is another's, or the ledger has refused it: either way it hands the message back, which changes nothing any more.
    world.comes_back(&zombie, b"-NAK").await;
    world.holds().await;
    assert_eq!((world.checker.times(7), world.ledger.asked("7")), (1, 1), "the effect happened once");
}
