//! What a network does to a publisher and a worker.

use std::time::Duration;

use super::{Client, Desk, LIMIT, PUBLISHERS, World};
use crate::support::{
    chaos_proxy::{ChaosProxy, Way},
    checker::seeded,
    eventually,
};

const BOTH: [Way; 2] = [Way::Up, Way::Down];

/// Messages of a load; the fault comes when some of them were read.
const LOAD: u32 = 300;

/// A publisher and a worker that reach the server of a world through a proxy, while its own client reaches it without.
struct Afar {
    world: World,
    proxy: ChaosProxy,
    far: Client,
}

impl Afar {
    async fn new() -> Self {
        let world = World::new().await;
        let proxy = ChaosProxy::before(world.server.address()).await;
        let far = Client::of(proxy.url()).await;
        far.work(Desk::new(&world.checker, &world.ledger, &far).worker());
        Self { world, proxy, far }
    }

    /// Runs a load over the proxy while `fault` happens to it.
    async fn load(&self, fault: impl AsyncFnOnce(&ChaosProxy)) {
        let fault = async {
            self.world.read_more(20).await;
            fault(&self.proxy).await;
        };
        tokio::join!(self.far.load(&self.world.checker, 0..LOAD), fault);
    }

    fn unclear(&self) -> Vec<u32> {
        self.world.checker.unclear()
    }

    async fn holds(self) {
        self.world.holds().await;
        self.far.stop().await;
    }

    /// Waits until every publisher waits for an answer that does not come, since it was lost or its question was.
    async fn stands_still(&self) {
        eventually(LIMIT, "every publisher waits in vain", async || {
            let (asked, told) = (b"PUB counts.", br#""stream":"COUNTS""#);
            let lost = self.proxy.times_lost(asked) + self.proxy.times_lost(told);
            if lost >= PUBLISHERS { Ok(()) } else { Err(lost) }
        })
        .await;
    }

    async fn is_cut_off(&self) {
        eventually(LIMIT, "the client notices", async || !self.far.connection.link.state().is_connected).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_again_and_again_loses_nothing() {
    let afar = Afar::new().await;
    afar.load(async |proxy| {
        for _ in 0..3 {
            proxy.cut();
            afar.world.read_more(10).await;
        }
    })
    .await;
    assert_eq!(afar.unclear(), Vec::<u32>::new(), "a cut is outlived by the publisher's own retries");
    afar.holds().await;
}

#[tokio::test]
async fn a_connection_that_is_reset_and_refused_for_a_while_loses_nothing() {
    let afar = Afar::new().await;
    afar.load(async |proxy| {
        proxy.shut();
        eventually(LIMIT, "the client tries again in vain", async || proxy.turned_away() > 1).await;
        proxy.open();
    })
    .await;
    assert_eq!(afar.unclear(), Vec::<u32>::new());
    afar.holds().await;
}

#[tokio::test]
async fn a_black_hole_loses_nothing() {
    let afar = Afar::new().await;
    afar.load(async |proxy| {
        proxy.lose(&BOTH);
        afar.stands_still().await;
        proxy.heal();
    })
    .await;
    afar.holds().await;
}

#[tokio::test]
async fn a_black_hole_that_nobody_ends_is_noticed_by_its_silence() {
    let afar = Afar::new().await;
    afar.load(async |proxy| {
        proxy.lose(&BOTH);
        // The client's own pings find it out; only then there is a way again.
        afar.is_cut_off().await;
        proxy.heal();
    })
    .await;
    afar.holds().await;
}

#[tokio::test]
async fn requests_that_arrive_and_answers_that_do_not_store_nothing_twice() {
    let afar = Afar::new().await;
    afar.load(async |proxy| {
        proxy.lose(&[Way::Down]);
        afar.stands_still().await;
        proxy.heal();
    })
    .await;
    afar.holds().await;
}

#[tokio::test]
async fn answers_that_arrive_and_requests_that_do_not_lose_nothing() {
    let afar = Afar::new().await;
    afar.load(async |proxy| {
        proxy.lose(&[Way::Up]);
        afar.stands_still().await;
        proxy.heal();
    })
    .await;
    afar.holds().await;
}

#[tokio::test]
async fn a_trickle_is_slow_and_loses_nothing() {
    let afar = Afar::new().await;
    afar.load(async |proxy| {
        proxy.trickle(20_000);
        afar.world.read_more(10).await;
        proxy.heal();
    })
    .await;
    assert_eq!(afar.unclear(), Vec::<u32>::new());
    afar.holds().await;
}

#[tokio::test]
async fn weather_that_changes_by_chance_loses_nothing() {
    let (afar, mut chance) = (Afar::new().await, seeded("weather"));
    afar.load(async |proxy| {
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
    afar.holds().await;
}
