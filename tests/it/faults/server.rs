//! What a server that crashes or stands still under load leaves behind.

use std::time::Duration;

use super::World;

/// Messages that are read between one crash and the next.
const BETWEEN: usize = 100;

#[tokio::test]
async fn a_broker_that_is_killed_under_load_loses_nothing_that_it_confirmed() {
    let mut world = World::at_work().await;
    let (client, checker) = (world.client.clone(), world.checker.clone());
    let crashes = async {
        for _ in 0..2 {
            world.read_more(BETWEEN).await;
            world.server.kill().await;
            world.server.start_again().await;
        }
    };
    tokio::join!(client.load(&checker, 0..1_000), crashes);
    assert_eq!(world.checker.unclear(), Vec::<u32>::new(), "a crash is outlived by the publisher's own retries");
    world.holds().await;
    world.client.stop().await;
}

#[tokio::test]
async fn a_broker_that_stands_still_under_load_stores_nothing_twice() {
    let world = World::at_work().await;
    let stillness = async {
        world.server.freeze();
        // So long that what it had received is sent again, and it will find both.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        world.server.thaw();
    };
    world.load(0..600, BETWEEN, stillness).await;
    assert_eq!(world.checker.unclear(), Vec::<u32>::new());
    world.holds().await;
    world.client.stop().await;
}
