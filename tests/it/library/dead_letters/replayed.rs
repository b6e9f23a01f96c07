//! Replays: one effect however often they are asked for, and told apart from what they repeat.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
};

use serde_json::json;
use streamgauge::{
    bus::topology,
    consumer::{
        self, Worker,
        dead_letter::{DeadLetters, LettersError, Replay, ReplayError, Replayed, Replayer},
    },
    dead_letter::{Place, header},
    handler::{Context, Outcome},
    message,
    tasks::Tasks,
};

use super::{GRACE, LIMIT, Pinged, World, apply, letters, publish, settled};
use crate::support::eventually;

/// A worker that rejects everything until it is mended.
#[derive(Clone, Default)]
struct Broken {
    is_mended: Arc<AtomicBool>,
    effects: Arc<AtomicU32>,
}

impl Broken {
    fn start(&self, world: &World, tasks: &Tasks) {
        let own = self.clone();
        let handle = move |_: Context, _: Pinged| {
            let own = own.clone();
            async move {
                if !own.is_mended.load(Relaxed) {
                    return Outcome::reject("not mended yet");
                }
                own.effects.fetch_add(1, Relaxed);
                Outcome::Done
            }
        };
        consumer::start(Worker::new("w").on(handle), &world.bus, &world.connection, tasks, GRACE).unwrap();
    }

    fn effects(&self) -> u32 {
        self.effects.load(Relaxed)
    }
}

/// A dead letter, a worker that would process it now, and what replays it.
struct Dead {
    world: World,
    worker: Broken,
    tasks: Tasks,
    replayer: Replayer,
    place: Place,
}

impl Dead {
    async fn new() -> Self {
        let world = World::new().await;
        apply(&world).await;
        let (tasks, worker) = (Tasks::default(), Broken::default());
        worker.start(&world, &tasks);
        let headers = [("Nats-Msg-Id", "m-1"), ("correlation-id", "c-1"), ("Nats-Expected-Last-Subject-Sequence", "0")];
        publish(&world, &headers, r#"{"key":"x","number":1}"#).await;
        settled(&world).await;
        let replayer = DeadLetters::open(&world.connection).await.unwrap().replayer(&world.bus).await.unwrap();
        let place = letters(&world).await.remove(0).place;
        Self { world, worker, tasks, replayer, place }
    }

    async fn replay(&mut self, again: bool) -> Replayed {
        let letter = DeadLetters::open(&self.world.connection).await.unwrap().find(&self.place).await.unwrap().unwrap();
        let plan = self.replayer.plan(letter, again).await.unwrap();
        self.replayer.replay(&plan, again).await.unwrap()
    }

    async fn messages(&self) -> u64 {
        self.world.connection.jetstream.get_stream("PINGS").await.unwrap().cached_info().state.messages
    }

    async fn end(self) {
        assert!(self.tasks.stop(LIMIT).await);
    }
}

#[tokio::test]
async fn a_replay_has_one_effect_however_often_it_is_asked_for() {
    let mut dead = Dead::new().await;
    dead.worker.is_mended.store(true, Relaxed);
    let Replayed::Published(first) = dead.replay(false).await else { panic!("nothing was replayed before") };
    assert_eq!((first.generation, first.sequence), (1, Some(2)));
    assert_eq!(dead.replay(false).await, Replayed::Already(first.clone()));
    settled(&dead.world).await;
    assert_eq!((dead.worker.effects(), dead.messages().await), (1, 2));

    let Replayed::Published(second) = dead.replay(true).await else { panic!("it was asked for again") };
    assert_eq!((second.generation, second.sequence), (2, Some(3)));
    assert_ne!(first.message_id, second.message_id);
    settled(&dead.world).await;
    assert_eq!(dead.worker.effects(), 2);
    dead.end().await;
}

#[tokio::test]
async fn a_replay_says_what_it_repeats_and_when_it_dies_its_letter_names_the_first() {
    let mut dead = Dead::new().await;
    dead.replay(false).await;
    settled(&dead.world).await;
    let stream = dead.world.connection.jetstream.get_stream("PINGS").await.unwrap();
    let replayed = stream.get_raw_message(2).await.unwrap();
    let said = |name: &str| replayed.headers.get(name).map(|value| value.as_str().to_owned());
    assert_eq!(said(message::header::REPLAY_OF).as_deref(), Some("m-1"));
    assert_eq!(said(message::header::REPLAY_FOR).as_deref(), Some("w"));
    assert_eq!(said("correlation-id").as_deref(), Some("c-1"));
    assert_eq!(said("Nats-Expected-Last-Subject-Sequence"), None);

    let found = letters(&dead.world).await;
    let repeated: Vec<_> = found.iter().map(|letter| (letter.place.sequence, letter.repeat())).collect();
    let (sequence, repeat) = &repeated[0];
    assert_eq!((*sequence, repeated[1].clone()), (2, (1, None)));
    let repeat = repeat.clone().unwrap();
    assert_eq!((repeat.first.as_str(), repeat.generation), ("PINGS.w.1", 1));

    dead.place = found[0].place.clone();
    dead.replay(false).await;
    settled(&dead.world).await;
    let third = stream.get_raw_message(3).await.unwrap();
    assert_eq!(third.headers.get(header::REPLAY_LETTER).unwrap().as_str(), "PINGS.w.1");
    assert_eq!(third.headers.get(header::REPLAY_GENERATION).unwrap().as_str(), "2");
    assert_eq!(third.headers.get(message::header::REPLAY_OF).unwrap().as_str(), "m-1");
    dead.end().await;
}

/// Writes down a claim that was never finished, as one who died between claim and confirmation left it.
async fn left_behind(dead: &Dead, minutes_ago: u64) -> Replay {
    let store = dead.world.connection.jetstream.get_key_value(topology::REPLAYS).await.unwrap();
    let mut letter = dead.world.bus.clock().now();
    letter.0 -= std::time::Duration::from_secs(60 * minutes_ago);
    let message_id = dead.place.message_id().derived("replay 1");
    let claim = json!({
        "letter": dead.place, "generation": 1, "message_id": message_id, "claimed": letter,
        "published": null, "sequence": null,
    });
    store.put(dead.place.message_id().0, claim.to_string().into()).await.unwrap();
    serde_json::from_value(claim).unwrap()
}

#[tokio::test]
async fn a_replay_that_died_before_it_published_is_finished_under_its_id() {
    let mut dead = Dead::new().await;
    dead.worker.is_mended.store(true, Relaxed);
    let claim = left_behind(&dead, 600).await;
    let Replayed::Published(finished) = dead.replay(false).await else { panic!("it was never published") };
    assert_eq!((finished.message_id, finished.sequence), (claim.message_id, Some(2)));
    settled(&dead.world).await;
    assert_eq!((dead.worker.effects(), dead.messages().await), (1, 2));
    dead.end().await;
}

#[tokio::test]
async fn a_replay_that_died_after_it_published_publishes_nothing_more_even_when_the_stream_has_forgotten_its_id() {
    let mut dead = Dead::new().await;
    dead.worker.is_mended.store(true, Relaxed);
    let stream = dead.world.connection.jetstream.get_stream("PINGS").await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.duplicate_window = std::time::Duration::from_millis(100);
    dead.world.connection.jetstream.update_stream(config).await.unwrap();
    let claim = left_behind(&dead, 1).await;
    let id = claim.message_id.0.clone();
    publish(&dead.world, &[("Nats-Msg-Id", &id)], r#"{"key":"x","number":1}"#).await;
    eventually(LIMIT, "the stream has forgotten an id that it was told with the replay's", async || {
        let sent = dead.world.connection.jetstream.publish_with_headers("pings.y", probe(), "{}".into()).await;
        !sent.unwrap().await.unwrap().duplicate && dead.messages().await > 3
    })
    .await;
    let before = dead.messages().await;
    let Replayed::Published(finished) = dead.replay(false).await else { panic!("it was not written down") };
    assert_eq!(finished.sequence, Some(2));
    assert_eq!(dead.messages().await, before);
    dead.end().await;
}

#[tokio::test]
async fn a_replay_that_cannot_tell_whether_it_was_published_publishes_nothing_until_somebody_has_looked() {
    let mut dead = Dead::new().await;
    dead.tasks.cancel();
    assert!(dead.tasks.stop(LIMIT).await);
    let claim = left_behind(&dead, 1).await;
    // As many as are looked at, and one more.
    let client = &dead.world.connection.client;
    for _ in 0..=10_000 {
        client.publish("pings.x", "{}".into()).await.unwrap();
    }
    client.flush().await.unwrap();
    eventually(LIMIT, "all of them are stored", async || dead.messages().await == 10_002).await;
    let letter = letters(&dead.world).await.remove(0);
    let plan = dead.replayer.plan(letter, false).await.unwrap();
    let unclear = dead.replayer.replay(&plan, false).await.unwrap_err();
    let LettersError::Replay(ReplayError::Unclear { message_id, .. }) = &unclear else { panic!("{unclear}") };
    assert_eq!(*message_id, claim.message_id);
    let words =
        format!("more than 10000 messages came on pings.x since it was begun; look there for message {message_id}");
    assert!(unclear.to_string().contains(&words) && unclear.to_string().contains("--again"), "{unclear}");
    assert_eq!(dead.messages().await, 10_002);
    let Replayed::Published(replay) = dead.replay(true).await else { panic!("somebody has looked") };
    assert_eq!((replay.message_id, replay.sequence), (claim.message_id, Some(10_003)));
}

fn probe() -> async_nats::HeaderMap {
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Msg-Id", "probe");
    headers
}

#[tokio::test]
async fn two_who_replay_at_once_publish_once() {
    let dead = Dead::new().await;
    dead.worker.is_mended.store(true, Relaxed);
    let opened = DeadLetters::open(&dead.world.connection).await.unwrap();
    let one = async {
        let mut replayer = opened.replayer(&dead.world.bus).await.unwrap();
        let letter = opened.find(&dead.place).await.unwrap().unwrap();
        let plan = replayer.plan(letter, false).await.unwrap();
        replayer.replay(&plan, false).await.unwrap()
    };
    let other = async {
        let mut replayer = opened.replayer(&dead.world.bus).await.unwrap();
        let letter = opened.find(&dead.place).await.unwrap().unwrap();
        let plan = replayer.plan(letter, false).await.unwrap();
        replayer.replay(&plan, false).await.unwrap()
    };
    tokio::join!(one, other);
    settled(&dead.world).await;
    assert_eq!((dead.worker.effects(), dead.messages().await), (1, 2));
    dead.end().await;
}

#[tokio::test]
async fn what_nobody_would_process_is_not_replayed() {
    let mut dead = Dead::new().await;
    dead.tasks.cancel();
    let stream = dead.world.connection.jetstream.get_stream("PINGS").await.unwrap();
    assert!(dead.tasks.stop(LIMIT).await);
    stream.delete_consumer("w").await.unwrap();
    let letter = letters(&dead.world).await.remove(0);
    let refused = dead.replayer.plan(letter, false).await.unwrap_err();
    let LettersError::Replay(why) = &refused else { panic!("{refused}") };
    assert!(matches!(why, ReplayError::NoReader { .. }), "{why}");
}
