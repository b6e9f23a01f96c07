//! What a network does to a publisher and a worker.

use std::time::Duration;

use super::{Client, Desk, LIMIT, declare, nothing_lost_nothing_twice};
use crate::support::{
    chaos_proxy::{ChaosProxy, Way},
    checker::{Checker, seeded},
    eventually,
    ledger::Ledger,
    nats_server::NatsServer,
};

const BOTH: [Way; 2] = [Way::Up, Way::Down];

/// Messages of a load; the fault comes when some of them were read.
const LOAD: u32 = 300;

/// A publisher and a worker that reach their server through a proxy, and somebody who reaches it without.
struct World {
    _server: NatsServer,
    proxy: ChaosProxy,
    near: Client,
    far: Client,
    checker: Checker,
    ledger: Ledger,
}

impl World {
    async fn new() -> Self {
        let server = NatsServer::start().await;
        let proxy = ChaosProxy::before(server.address()).await;
        let near = Client::of(server.url()).await;
        declare(&near.connection.jetstream, 1).await;
        let far = Client::of(proxy.url()).await;
        let (checker, ledger) = (Checker::default(), Ledger::open().await);
        far.work(Desk::new(&checker, &ledger, &far).worker());
        Self { _server: server, proxy, near, far, checker, ledger }
    }

    /// Runs a load over the proxy while `fault` happens to it.
    async fn load(&self, fault: impl AsyncFnOnce(&ChaosProxy)) {
        let fault = async {
            eventually(LIMIT, "the load runs", async || self.checker.reads() > 20).await;
            fault(&self.proxy).await;
        };
        tokio::join!(self.far.load(&self.checker, 0..LOAD), fault);
    }

    async fn holds(self) {
        nothing_lost_nothing_twice(&self.near, &self.checker, &self.ledger).await;
        self.far.stop().await;
    }

    /// Waits until nothing more is confirmed to the publishers.
    async fn stands_still(&self) {
        eventually(LIMIT, "nothing is confirmed any more", async || {
            let before = self.checker.acks();
            tokio::time::sleep(Duration::from_millis(300)).await;
            self.checker.acks() == before
        })
        .await;
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_again_and_again_loses_nothing() {
    let world = World::new().await;
    world
        .load(async |proxy| {
            for _ in 0..3 {
                let before = world.checker.reads();
                proxy.cut();
                eventually(LIMIT, "the load goes on", async || world.checker.reads() > before + 10).await;
            }
        })
        .await;
    assert_eq!(world.checker.unclear(), Vec::<u32>::new(), "a cut is outlived by the publisher's own retries");
    world.holds().await;
}

#[tokio::test]
async fn a_connection_that_is_reset_and_refused_for_a_while_loses_nothing() {
    let world = World::new().await;
    world
        .load(async |proxy| {
            proxy.shut();
            world.stands_still().await;
            proxy.open();
        })
        .await;
    assert_eq!(world.checker.unclear(), Vec::<u32>::new());
    world.holds().await;
}

#[tokio::test]
async fn a_black_hole_loses_nothing() {
    let world = World::new().await;
    world
        .load(async |proxy| {
            proxy.lose(&BOTH);
            world.stands_still().await;
            proxy.heal();
        })
        .await;
    world.holds().await;
}

#[tokio::test]
async fn a_black_hole_that_nobody_ends_is_noticed_by_its_silence() {
    let world = World::new().await;
    world
        .load(async |proxy| {
            proxy.lose(&BOTH);
            // The client's own pings find it out; only then there is a way again.
            eventually(LIMIT, "the client notices", async || !world.far.connection.link.state().is_connected).await;
            proxy.heal();
        })
        .await;
    world.holds().await;
}

#[tokio::test]
async fn requests_that_arrive_and_answers_that_do_not_store_nothing_twice() {
    let world = World::new().await;
    world
        .load(async |proxy| {
            proxy.lose(&[Way::Down]);
            world.stands_still().await;
            proxy.heal();
        })
        .await;
    world.holds().await;
}

#[tokio::test]
async fn answers_that_arrive_and_requests_that_do_not_lose_nothing() {
    let world = World::new().await;
    world
        .load(async |proxy| {
            proxy.lose(&[Way::Up]);
            world.stands_still().await;
            proxy.heal();
        })
        .await;
    world.holds().await;
}

#[tokio::test]
async fn a_trickle_is_slow_and_loses_nothing() {
    let world = World::new().await;
    world
        .load(async |proxy| {
            let before = world.checker.reads();
            proxy.trickle(20_000);
            eventually(LIMIT, "some come through", async || world.checker.reads() > before + 10).await;
            proxy.heal();
        })
        .await;
    assert_eq!(world.checker.unclear(), Vec::<u32>::new());
    world.holds().await;
}

#[tokio::test]
async fn weather_that_changes_by_chance_loses_nothing() {
    let (world, mut chance) = (World::new().await, seeded("weather"));
    world
        .load(async |proxy| {
            for _ in 0..8 {
                match chance.u32(0..6) {
                    0 => proxy.cut(),
                    1 => proxy.reset(),
                    2 => proxy.lose(&BOTH),
                    3 => proxy.lose(&[Way::Up]),
                    4 => proxy.lose(&[Way::Down]),
                    _ => proxy.trickle(chance.usize(5_000..50_000)),
                }
                // How long a weather lasts is part of it.
                tokio::time::sleep(Duration::from_millis(chance.u64(50..500))).await;
                proxy.heal();
                tokio::time::sleep(Duration::from_millis(chance.u64(50..300))).await;
            }
        })
        .await;
    world.holds().await;
}
