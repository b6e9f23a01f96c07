//! What becomes of a message whose worker is killed, or stands still, at a point.

use rustix::process::Signal;

use super::{LIMIT, World, messages, part};
use crate::support::{
    chaos_proxy::{ChaosProxy, Way},
    checker::seeded,
    eventually,
    process::Process,
};

impl World {
    fn worker(&self, url: &str, stop_at: &str) -> Process {
        self.process(part::WORKER, url, stop_at)
    }

    /// Another worker takes over what is left, if anything is.
    async fn heir_does_the_rest(&self) {
        self.client.work(self.desk().worker());
        self.holds().await;
    }
}

async fn killed_at(point: &str, asked: u32, echoes: usize) {
    let world = World::with_one().await;
    let worker = world.worker(&world.server.url(), point);
    worker.reached(point).await;
    worker.crash().await;
    assert_eq!((world.ledger.asked("7"), messages(&world.client, "ECHOES").await), (asked, echoes));
    world.heir_does_the_rest().await;
    assert_eq!(
        (world.checker.times(7), world.ledger.asked("7")),
        (1, asked + 1),
        "it is done again from its beginning"
    );
}

#[tokio::test]
async fn killed_after_delivery_it_is_done_by_another() {
    killed_at(part::AFTER_DELIVERY, 0, 0).await;
}

#[tokio::test]
async fn killed_after_its_effect_the_effect_is_asked_for_again_under_the_same_key() {
    killed_at(part::AFTER_EFFECT, 1, 0).await;
}

#[tokio::test]
async fn killed_after_it_published_nothing_is_published_twice() {
    killed_at(part::AFTER_PUBLISH, 1, 1).await;
}

#[tokio::test]
async fn killed_before_its_settlement_arrived_nothing_is_published_twice() {
    let world = World::with_one().await;
    let proxy = ChaosProxy::before(world.server.address()).await;
    let worker = world.worker(&proxy.url(), part::AFTER_PUBLISH);
    worker.reached(part::AFTER_PUBLISH).await;
    proxy.lose(&[Way::Up]);
    worker.signal(Signal::USR1);
    eventually(LIMIT, "the settlement is under way", async || proxy.has_lost(b"+ACK")).await;
    worker.crash().await;
    world.heir_does_the_rest().await;
    assert_eq!((world.checker.times(7), world.ledger.asked("7")), (1, 2));
}

#[tokio::test]
async fn a_worker_that_stood_still_past_its_lease_comes_back_and_changes_nothing() {
    let world = World::with_one().await;
    let zombie = world.worker(&world.server.url(), part::AFTER_EFFECT);
    zombie.reached(part::AFTER_EFFECT).await;
    zombie.signal(Signal::STOP);
    world.heir_does_the_rest().await;
    assert_eq!((world.checker.times(7), world.ledger.asked("7")), (1, 2));

    // It goes on where it stood: it publishes and settles what is long done.
    world.comes_back(&zombie, b"+ACK").await;
    world.holds().await;
    // A delivery may have waited for the zombie in its socket, so the ledger may be asked once more, under the same key.
    assert_eq!(world.checker.times(7), 1, "the other is not given it again");
}

#[tokio::test]
async fn workers_that_are_killed_by_chance_under_load_lose_nothing_and_publish_nothing_twice() {
    const NUMBERS: u32 = 400;
    let (world, mut chance) = (World::with_one().await, seeded("killed by chance"));
    let url = world.server.url();
    let mut workers = vec![world.worker(&url, "no point"), world.worker(&url, "no point")];
    let kills = async {
        for _ in 0..4 {
            let before = world.ledger.all().len();
            let more = chance.usize(10..80);
            eventually(LIMIT, "some more are done", async || world.ledger.all().len() > before + more).await;
            workers.swap_remove(chance.usize(..workers.len())).crash().await;
            workers.push(world.worker(&url, "no point"));
        }
    };
    tokio::join!(world.client.load(&world.checker, 8..8 + NUMBERS), kills);
    assert_eq!(world.checker.unclear(), Vec::<u32>::new());
    // The processes cannot tell this checker what they read; the ledger was told.
    eventually(LIMIT, "each message had its effect", async || world.ledger.all().len() == world.checker.acks()).await;
    eventually(LIMIT, "one message follows from each", async || {
        messages(&world.client, "ECHOES").await == world.checker.acks()
    })
    .await;
    let again = world.ledger.all().values().filter(|times| **times > 1).count();
    println!("{again} effects were asked for again, under the same key");
    assert!(again <= 4 * 8, "no more than the credits of those that were killed");
}
