//! Three servers and 300 consumers with three replicas each: every number is what the consumer's own leader says, whoever leads.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use async_nats::jetstream::{
    self, AckKind,
    consumer::{PullConsumer, pull},
    message::PublishMessage,
    stream,
};
use futures_util::{StreamExt, stream as futures};
use streamgauge::{
    config::NatsConfig,
    snapshot::{ConsumerState, Reading, Snapshot},
};

use super::Observer;
use crate::support::{cluster::Cluster, eventually};

const STREAMS: usize = 3;
const CONSUMERS_EACH: usize = 100;
const MESSAGES: u64 = 20;

/// Things that are done to consumers at once: more would only wait for each other.
const AT_ONCE: usize = 24;

/// An election takes some seconds on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(60);

const ACCOUNTS: &str = "
    accounts {
      SYS { users: [{ user: sys, password: word }] }
      APP { jetstream: enabled, users: [{ user: app, password: word }] }
    }
    system_account: SYS
    no_auth_user: app
";

/// What the leader of a consumer says, as far as it stays the same while nobody reads and nobody publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    pending: u64,
    ack_pending: u64,
    delivered: u64,
    ack_floor: u64,
}

type Truth = BTreeMap<(String, String), Counts>;

fn name(stream: usize) -> String {
    format!("S{stream}")
}

fn all() -> impl Iterator<Item = (usize, usize)> {
    (0..STREAMS).flat_map(|stream| (0..CONSUMERS_EACH).map(move |consumer| (stream, consumer)))
}

/// How many messages a consumer has delivered, and how many of them are acked.
fn handled(number: usize) -> (usize, usize) {
    let delivered = 1 + number % 7;
    (delivered, delivered.min(number % 3))
}

/// What that amounts to.
fn expected() -> Truth {
    let counts = |number| {
        let (delivered, acked) = handled(number);
        let (delivered, acked) = (delivered as u64, acked as u64);
        Counts { pending: MESSAGES - delivered, ack_pending: delivered - acked, delivered, ack_floor: acked }
    };
    all().map(|(stream, number)| ((name(stream), format!("c{number:03}")), counts(number))).collect()
}

/// Makes everything, and lets each consumer deliver some messages of which some are acked.
async fn fill(jetstream: &jetstream::Context) {
    for number in 0..STREAMS {
        let config = stream::Config { name: name(number), num_replicas: 3, ..Default::default() };
        jetstream.create_stream(config).await.unwrap();
        for message in 0..MESSAGES {
            // A stream that was just made may have no leader yet.
            eventually(LIMIT, "a message is stored", async || stored(jetstream, name(number), message).await).await;
        }
    }
    let work = all().map(|(stream, number)| async move {
        let config = pull::Config {
            durable_name: Some(format!("c{number:03}")),
            ack_wait: Duration::from_secs(600),
            num_replicas: 3,
            ..Default::default()
        };
        let made: PullConsumer = jetstream.create_consumer_on_stream(config, name(stream)).await.unwrap();
        let (delivered, acked) = handled(number);
        let held = pulled(&made, delivered).await;
        for message in held.iter().take(acked) {
            message.ack_with(AckKind::Ack).await.unwrap();
        }
    });
    futures::iter(work).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
}

async fn stored(jetstream: &jetstream::Context, stream: String, number: u64) -> bool {
    let message = PublishMessage::build().message_id(number.to_string()).payload("{}".into());
    match jetstream.send_publish(stream, message).await {
        Ok(confirmed) => confirmed.await.is_ok(),
        Err(_) => false,
    }
}

/// Exactly so many messages; the first requests of a consumer that was just made may be refused.
async fn pulled(consumer: &PullConsumer, count: usize) -> Vec<jetstream::Message> {
    let mut held = Vec::new();
    let began = Instant::now();
    while held.len() < count {
        assert!(began.elapsed() < LIMIT, "{} of {count} messages were delivered", held.len());
        let request = consumer.batch().max_messages(count - held.len()).expires(Duration::from_secs(1));
        let Ok(mut batch) = request.messages().await else { continue };
        while let Some(Ok(message)) = batch.next().await {
            held.push(message);
        }
    }
    held
}

/// What the leaders say, each asked for itself; nothing while one of them has none.
async fn ask_leaders(jetstream: &jetstream::Context) -> Option<Truth> {
    let ask = all().map(|(stream, number)| async move {
        let (stream, consumer) = (name(stream), format!("c{number:03}"));
        let found: PullConsumer = jetstream.get_consumer_from_stream(&consumer, &stream).await.ok()?;
        let info = found.cached_info();
        let counts = Counts {
            pending: info.num_pending,
            ack_pending: info.num_ack_pending as u64,
            delivered: info.delivered.consumer_sequence,
            ack_floor: info.ack_floor.consumer_sequence,
        };
        Some(((stream, consumer), counts))
    });
    futures::iter(ask).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await.into_iter().collect()
}

async fn leaders_say(jetstream: &jetstream::Context, truth: &Truth) {
    let ask = async || ask_leaders(jetstream).await.is_some_and(|said| said == *truth);
    eventually(LIMIT, "the leaders say what was done", ask).await;
}

fn counts(state: &ConsumerState) -> Counts {
    Counts {
        pending: state.pending,
        ack_pending: state.ack_pending,
        delivered: state.delivered,
        ack_floor: state.ack_floor,
    }
}

/// Fails where a snapshot says a number that is none of the leader's, and where it has lost a row; how many rows are fresh.
fn check(snapshot: &Snapshot, truth: &Truth) -> usize {
    let (mut fresh, mut rows) = (0, 0);
    for row in snapshot.known_consumers() {
        rows += 1;
        let Some(said) = row.state.value() else { panic!("{row:?} was known before") };
        assert_eq!(counts(said), truth[&(row.stream.to_string(), row.name.to_string())], "{row:?}");
        if let Reading::Known(fact) = &row.state {
            let leader = said.cluster.as_ref().and_then(|cluster| cluster.leader.as_deref());
            assert_eq!(leader, Some(&*fact.source), "{row:?}");
            fresh += 1;
        }
    }
    assert_eq!(rows, truth.len(), "round {} lost a row", snapshot.round);
    fresh
}

/// Checks each snapshot until `is_it` says yes of one in which every row is fresh.
async fn is_true_until(observer: &mut Observer, truth: &Truth, what: &str, is_it: impl Fn(&Snapshot) -> bool) {
    let watched = async {
        loop {
            observer.snapshots.changed().await.unwrap();
            let snapshot = observer.snapshots.borrow_and_update().clone();
            if check(&snapshot, truth) == truth.len() && is_it(&snapshot) {
                return;
            }
        }
    };
    tokio::time::timeout(LIMIT, watched).await.unwrap_or_else(|_| panic!("{what}: not within {LIMIT:?}"));
}

fn leader_of(snapshot: &Snapshot, stream: &str, consumer: &str) -> Option<String> {
    let mut rows = snapshot.known_consumers();
    let row = rows.find(|row| row.stream.as_str() == stream && row.name.as_str() == consumer)?;
    row.state.fact().map(|fact| fact.source.to_string())
}

#[tokio::test]
async fn each_number_is_the_leaders_own_through_elections_and_a_death() {
    let mut cluster = Cluster::start_configured(ACCOUNTS).await;
    let servers = cluster.url();
    let servers: Vec<&str> = servers.split(',').collect();
    let client = async_nats::connect(servers).await.unwrap();
    let mut jetstream = jetstream::new(client.clone());
    jetstream.set_timeout(LIMIT);
    fill(&jetstream).await;
    let truth = expected();
    leaders_say(&jetstream, &truth).await;

    let login = |user: &str| NatsConfig {
        url: Some(cluster.url()),
        user: Some(user.to_owned()),
        password: Some("word".to_owned()),
        ..NatsConfig::default()
    };
    let mut observer = Observer::start(login("app"), Some(login("sys")));
    let is_whole = |snapshot: &Snapshot| snapshot.known_consumers().filter(|row| row.state.fresh().is_some()).count();
    let first = observer.sees("all consumers", |snapshot| is_whole(snapshot) == truth.len()).await;
    check(&first, &truth);
    let stats = first.stats;
    assert_eq!((stats.servers_expected, stats.servers_answered), (Some(3), 3), "{stats:?}");
    assert!(stats.rows_dropped >= 2 * truth.len() as u64, "followers told of them too: {stats:?}");

    // Elections: the leaders of some consumers step down.
    let before = leader_of(&first, "S0", "c000");
    for number in 0..20 {
        let subject = format!("$JS.API.CONSUMER.LEADER.STEPDOWN.S0.c{number:03}");
        client.request(subject, "".into()).await.unwrap();
    }
    let moved = |snapshot: &Snapshot| leader_of(snapshot, "S0", "c000") != before;
    is_true_until(&mut observer, &truth, "another leader", moved).await;
    leaders_say(&jetstream, &truth).await;

    // A death: what it led is old until somebody else leads it.
    let dead = cluster.leader_of(&jetstream, "S1").await;
    cluster.kill(dead).await;
    let dead = format!("node{dead}");
    let lives = |snapshot: &Snapshot| {
        snapshot.known_consumers().all(|row| row.state.fact().is_some_and(|fact| *fact.source != *dead))
    };
    is_true_until(&mut observer, &truth, "leaders among the living", lives).await;
    leaders_say(&jetstream, &truth).await;
}
