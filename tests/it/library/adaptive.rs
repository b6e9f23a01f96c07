//! A number of handlers at once that follows how long they take.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use streamgauge::{
    consumer::Worker,
    handler::{Context, Outcome},
    tasks::Tasks,
};

use super::{LIMIT, Pinged, World, worker::start};
use crate::support::eventually;

#[tokio::test]
async fn credits_grow_while_handlers_are_quick_and_shrink_when_they_are_slow() {
    let world = World::new().await;
    let (tasks, millis) = (Tasks::default(), Arc::new(AtomicU64::new(1)));
    let work = millis.clone();
    let works = move |_: Context, _: Pinged| {
        let work = work.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(work.load(SeqCst))).await;
            Outcome::Done
        }
    };
    let target = Duration::from_millis(200);
    let status = start(&world, &tasks, Worker::new("w").adaptive(1..=4, target).on(works));
    assert_eq!(status.concurrency(), 1);
    world.publish(0..100).await;
    eventually(LIMIT, "four at once", async || status.concurrency() == 4).await;
    millis.store(250, SeqCst);
    world.publish(100..130).await;
    eventually(LIMIT, "fewer at once", async || status.concurrency() <= 2).await;
    assert!(tasks.stop(LIMIT).await);
}
