//! Versions of a payload side by side: each to its handler, and none lost where it is not known yet.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use streamgauge::{
    bus::Payload,
    consumer::Worker,
    handler::{Context, Outcome},
    tasks::Tasks,
};

use super::{
    LIMIT, Pinged, World,
    worker::{Seen, all_settled, noting, start},
};
use crate::support::eventually;

macro_rules! pinged_again {
    ($type:ident, $version:literal) => {
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        struct $type {
            key: String,
            number: u32,
            at_once: bool,
        }

        impl Payload for $type {
            const KIND: &'static str = "Pinged";
            const VERSION: u32 = $version;
            const STREAM: &'static str = "PINGS";
            const SUBJECT: &'static str = "pings.*";

            fn key(&self) -> String {
                self.key.clone()
            }
        }

        impl $type {
            fn numbered(number: u32) -> Self {
                Self { key: format!("k{number}"), number, at_once: true }
            }
        }
    };
}

pinged_again!(PingedV2, 2);
pinged_again!(PingedV3, 3);

/// What a newer instance reads beside [`Pinged`].
#[derive(Debug, Serialize, Deserialize)]
struct Ponged(u32);

impl Payload for Ponged {
    const KIND: &'static str = "Ponged";
    const STREAM: &'static str = "PINGS";
    const SUBJECT: &'static str = "pings.back.*";

    fn key(&self) -> String {
        self.0.to_string()
    }
}

async fn ponged(_: Context, _: Ponged) -> Outcome {
    Outcome::Done
}

fn newer(seen: &Seen) -> impl Fn(Context, PingedV2) -> std::future::Ready<Outcome> + use<> {
    let seen = seen.clone();
    move |_, ping| {
        seen.note(ping.number);
        std::future::ready(Outcome::Done)
    }
}

#[tokio::test]
async fn each_version_goes_to_its_handler_and_an_unknown_one_to_the_dead_letters() {
    let world = World::new().await;
    let (tasks, first, second) = (Tasks::default(), Seen::default(), Seen::default());
    world.publish(0..3).await;
    for number in 3..6 {
        world.bus.publish(&PingedV2::numbered(number)).await.unwrap();
    }
    world.bus.publish(&PingedV3::numbered(6)).await.unwrap();
    start(&world, &tasks, Worker::new("w").on(noting(&first, Duration::ZERO)).on(newer(&second)));
    all_settled(&world, "w").await;
    assert_eq!([0, 1, 2].map(|number| first.times(number)), [1, 1, 1]);
    assert_eq!([3, 4, 5].map(|number| second.times(number)), [1, 1, 1]);
    let letters = world.dead_letters().await;
    assert_eq!(letters.len(), 1);
    let header = |name: &str| letters[0].headers.get(name).unwrap().as_str().to_owned();
    assert_eq!(header("dead-letter-class"), "unknown_version");
    assert_eq!(header("dead-letter-reason"), "the message is Pinged/3, this worker reads Pinged/1 and Pinged/2");
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn an_older_instance_beside_a_newer_one_loses_nothing() {
    let world = World::new().await;
    let (tasks, old, new) = (Tasks::default(), Seen::default(), Seen::default());
    let slow = Duration::from_millis(2);
    start(&world, &tasks, Worker::new("w").concurrency(2).on(noting(&old, slow)));
    start(&world, &tasks, Worker::new("w").concurrency(2).on(noting(&old, slow)).on(newer(&new)));
    for number in 0..40 {
        world.bus.publish(&Pinged { key: "a".into(), number }).await.unwrap();
        world.bus.publish(&PingedV2::numbered(100 + number)).await.unwrap();
    }
    all_settled(&world, "w").await;
    assert_eq!((old.count(), old.repeated()), (40, vec![]));
    let letters = world.dead_letters().await;
    assert!(
        letters.iter().all(|letter| letter.headers.get("dead-letter-class").unwrap().as_str() == "unknown_version")
    );
    assert_eq!(new.count() + letters.len(), 40, "{} dead letters", letters.len());
    assert!(tasks.stop(LIMIT).await);
}

#[tokio::test]
async fn an_older_instance_that_begins_anew_leaves_a_newer_one_its_subjects() {
    let mut world = World::new().await;
    let (old, new, seen) = (Tasks::default(), Tasks::default(), Seen::default());
    let status = start(&world, &old, Worker::new("w").on(noting(&seen, Duration::ZERO)));
    eventually(LIMIT, "the older one pulls", async || status.pull().is_pulling).await;
    let newer = start(&world, &new, Worker::new("w").on(noting(&seen, Duration::ZERO)).on(ponged));
    eventually(LIMIT, "the newer one pulls", async || newer.pull().is_pulling).await;
    assert!(new.stop(LIMIT).await);
    world.server.kill().await;
    eventually(LIMIT, "the older one knows", async || !status.pull().is_pulling).await;
    world.server.start_again().await;
    eventually(LIMIT, "the older one pulls again", async || status.pull().is_pulling).await;
    assert_eq!(world.consumer_info("w").await.config.filter_subjects, ["pings.*", "pings.back.*"]);
    assert!(old.stop(LIMIT).await);
}
