//! What is declared, and what it does when it is full.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use streamgauge::{
    bus::topology::{
        Action, BucketSpec, ConsumerSpec, DEAD_LETTERS, Plan, StreamSpec, Topology, TopologyError, ensure, library,
    },
    errors::ErrorChain,
    snapshot::{Discard, Retention, Storage},
    state::Documents,
};

use super::{Pinged, World};
use crate::support::nats_server::NatsServer;

async fn bucket(world: &World, name: &'static str, ttl: Option<Duration>) -> Documents<String> {
    let spec = BucketSpec { ttl, max_bytes: Some(32 << 10), ..BucketSpec::new(name, "test") };
    let topology = Topology { buckets: vec![spec], ..Topology::default() };
    topology.apply(&world.connection.jetstream).await.unwrap();
    topology.apply(&world.connection.jetstream).await.unwrap();
    Documents::open(&world.connection, name).await.unwrap()
}

#[tokio::test]
async fn a_full_bucket_that_forgets_by_age_forgets_its_oldest() {
    let world = World::new().await;
    let documents = bucket(&world, "records", Some(Duration::from_secs(3_600))).await;
    for key in 0..100 {
        assert!(documents.write(&format!("k{key}"), &"x".repeat(1_000), 0).await.unwrap());
    }
    assert_eq!(documents.read("k0").await.unwrap().value, None);
    let last = documents.read("k99").await.unwrap();
    assert!(documents.write("k99", &"y".to_owned(), last.revision).await.unwrap());
}

#[tokio::test]
async fn a_full_bucket_that_keeps_for_ever_refuses() {
    let world = World::new().await;
    let documents = bucket(&world, "stock", None).await;
    let mut written = 0;
    while documents.write(&format!("k{written}"), &"x".repeat(1_000), 0).await.is_ok() {
        written += 1;
        assert!(written < 100, "a bucket of 32 KB takes 100 KB");
    }
    assert!(documents.read("k0").await.unwrap().value.is_some());
}

#[tokio::test]
async fn the_librarys_stores_are_made_once_and_then_left_alone() {
    let world = World::new().await;
    let jetstream = &world.connection.jetstream;
    ensure(jetstream, &library()).await.unwrap();
    let mut stream = jetstream.get_stream(DEAD_LETTERS).await.unwrap();
    let mut config = stream.info().await.unwrap().config.clone();
    assert_eq!(config.subjects, ["dead.>"]);
    config.max_bytes = 1 << 20;
    jetstream.update_stream(config).await.unwrap();
    ensure(jetstream, &library()).await.unwrap();
    assert_eq!(stream.info().await.unwrap().config.max_bytes, 1 << 20);
    library().apply(jetstream).await.unwrap();
    assert_eq!(stream.info().await.unwrap().config.max_bytes, 256 << 20);
}

#[tokio::test]
async fn many_may_ensure_at_once() {
    let world = World::new().await;
    let library = library();
    let all = (0..8).map(|_| ensure(&world.connection.jetstream, &library));
    for made in join_all(all).await {
        made.unwrap();
    }
}

#[tokio::test]
async fn applying_leaves_fields_alone_that_nobody_declares() {
    let world = World::new().await;
    let jetstream = &world.connection.jetstream;
    let mut stream = jetstream.get_stream("PINGS").await.unwrap();
    let mut config = stream.info().await.unwrap().config.clone();
    config.max_message_size = 4_096;
    config.description = Some("theirs".to_owned());
    config.metadata.insert("team".to_owned(), "blue".to_owned());
    jetstream.update_stream(config).await.unwrap();
    super::topology().apply(jetstream).await.unwrap();
    let config = &stream.info().await.unwrap().config;
    assert_eq!((config.max_message_size, config.description.as_deref()), (4_096, Some("theirs")));
    assert_eq!(config.metadata["team"], "blue");
    assert_eq!(config.metadata["owner"], "test");
}

fn stream(name: &str, subjects: &[&str]) -> StreamSpec {
    StreamSpec { max_bytes: Some(1 << 20), ..StreamSpec::new(name, "test", subjects) }
}

fn of(stream: StreamSpec) -> Topology {
    Topology { streams: vec![stream], ..Topology::default() }
}

async fn plan(world: &World, topology: &Topology) -> Plan {
    topology.plan(&world.connection.jetstream).await.unwrap()
}

fn actions(plan: &Plan) -> Vec<(&str, Action)> {
    plan.steps.iter().map(|step| (step.name.as_str(), step.action)).collect()
}

#[tokio::test]
async fn a_plan_says_what_applying_then_does() {
    let world = World::new().await;
    let consumer = ConsumerSpec::reading::<Pinged>("reader", "test");
    let bucket = BucketSpec { max_bytes: Some(1 << 20), ..BucketSpec::new("things", "test") };
    let mut topology = super::topology().joined(of(stream("MORE", &["more.>"])));
    topology.streams[0].max_age = Some(Duration::from_secs(7_200));
    topology = Topology { consumers: vec![consumer], buckets: vec![bucket], ..topology };

    let first = plan(&world, &topology).await;
    let made = [("MORE", Action::Create), ("things", Action::Create), ("reader", Action::Create)];
    assert_eq!(actions(&first), [&[("PINGS", Action::Update)][..], &made].concat());
    let change = &first.steps[0].changes[0];
    assert_eq!((change.field.as_str(), change.from.as_str(), change.to.as_str()), ("max_age", "1 h", "2 h"));
    assert_eq!(first.steps[0].changes.len(), 1);

    first.apply(&world.connection.jetstream).await.unwrap();
    let second = plan(&world, &topology).await;
    assert!(second.is_same(), "{:?}", second.steps);
    assert_eq!(second.undeclared, []);
}

#[tokio::test]
async fn what_others_made_is_named_and_left_alone() {
    let world = World::new().await;
    let jetstream = &world.connection.jetstream;
    let theirs = Topology {
        consumers: vec![ConsumerSpec::reading::<Pinged>("theirs", "them")],
        buckets: vec![BucketSpec { max_bytes: Some(1 << 20), ..BucketSpec::new("theirs", "them") }],
        ..of(stream("THEIRS", &["theirs.>"]))
    };
    theirs.apply(jetstream).await.unwrap();
    let plan = plan(&world, &super::topology()).await;
    assert!(plan.is_same());
    let named: Vec<&str> = plan.undeclared.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(named, ["theirs", "THEIRS", "theirs"]);
    plan.apply(jetstream).await.unwrap();
    assert!(theirs.plan(jetstream).await.unwrap().is_same());
}

#[tokio::test]
async fn subjects_are_added_and_never_taken_away() {
    let world = World::new().await;
    let jetstream = &world.connection.jetstream;
    of(stream("WIDE", &["wide.a", "wide.b"])).apply(jetstream).await.unwrap();
    let narrow = plan(&world, &of(stream("WIDE", &["wide.a"]))).await;
    assert!(narrow.is_same());
    assert_eq!(narrow.steps[0].notes, ["it also takes wide.b, which is not declared and stays"]);
    of(stream("WIDE", &["wide.c"])).apply(jetstream).await.unwrap();
    let subjects = jetstream.get_stream("WIDE").await.unwrap().cached_info().config.subjects.clone();
    assert_eq!(subjects, ["wide.a", "wide.b", "wide.c"]);
}

#[tokio::test]
async fn a_subject_that_another_stream_takes_is_named_before_anything_is_changed() {
    let world = World::new().await;
    let topology = of(stream("FIRST", &["first.>"])).joined(of(stream("MINE", &["pings.*.more", "mine.>"])));
    let error = topology.apply(&world.connection.jetstream).await.unwrap_err();
    assert!(matches!(&error, TopologyError::Impossible { count: 1, .. }));
    let said = error.to_string();
    assert!(said.contains("stream MINE: its subject pings.*.more overlaps pings.> of stream PINGS"), "{said}");
    assert!(world.connection.jetstream.get_stream("FIRST").await.is_err(), "nothing was changed");
}

#[tokio::test]
async fn a_consumer_needs_a_stream() {
    let world = World::new().await;
    let consumer = ConsumerSpec { stream: "NOWHERE".to_owned(), ..ConsumerSpec::reading::<Pinged>("c", "test") };
    let plan = plan(&world, &Topology { consumers: vec![consumer], ..Topology::default() }).await;
    assert_eq!(actions(&plan), [("c", Action::Impossible)]);
    assert_eq!(plan.steps[0].obstacles, ["there is no stream NOWHERE, and none is declared: declare it"]);
}

/// What the plan calls possible the server does, and what it calls impossible the server refuses.
#[tokio::test]
async fn the_plan_knows_what_a_server_changes_in_place() {
    let world = World::new().await;
    let base = || stream("S", &["s.>"]);
    let retained = |retention| StreamSpec { retention, ..base() };
    let hour = Some(Duration::from_secs(3_600));
    let (memory, atomic) =
        (StreamSpec { storage: Storage::Memory, ..base() }, StreamSpec { allow_atomic: true, ..base() });
    let scheduled = StreamSpec { allow_msg_schedules: true, ..base() };
    let cases = [
        (base(), memory.clone(), "storage", Action::Impossible),
        (memory, base(), "storage", Action::Impossible),
        (base(), retained(Retention::Interest), "retention", Action::Update),
        (retained(Retention::Interest), base(), "retention", Action::Update),
        (base(), retained(Retention::WorkQueue), "retention", Action::Impossible),
        (retained(Retention::WorkQueue), base(), "retention", Action::Impossible),
        (base(), StreamSpec { discard: Discard::New, ..base() }, "discard", Action::Update),
        (base(), StreamSpec { max_age: hour, ..base() }, "max_age", Action::Update),
        (StreamSpec { max_age: hour, ..base() }, base(), "max_age", Action::Update),
        (base(), StreamSpec { max_bytes: None, ..base() }, "max_bytes", Action::Update),
        (base(), StreamSpec { max_messages: Some(9), ..base() }, "max_msgs", Action::Update),
        (base(), StreamSpec { duplicate_window: Duration::from_secs(9), ..base() }, "duplicate_window", Action::Update),
        (base(), StreamSpec { allow_direct: false, ..base() }, "allow_direct", Action::Update),
        (base(), StreamSpec { owner: "other".to_owned(), ..base() }, "metadata", Action::Update),
        (base(), atomic.clone(), "allow_atomic", Action::Update),
        (atomic, base(), "allow_atomic", Action::Update),
        (base(), scheduled.clone(), "allow_msg_schedules", Action::Update),
        (scheduled, base(), "allow_msg_schedules", Action::Impossible),
    ];
    for (from, to, field, expected) in cases {
        _ = world.connection.jetstream.delete_stream("S").await;
        of(from).apply(&world.connection.jetstream).await.unwrap();
        check_change(&world, &of(to), field, expected).await;
    }
}

async fn check_change(world: &World, to: &Topology, field: &str, expected: Action) {
    let jetstream = &world.connection.jetstream;
    let planned = plan(world, to).await;
    assert_eq!(actions(&planned), [("S", expected)], "{field}");
    if expected == Action::Update {
        planned.apply(jetstream).await.unwrap_or_else(|error| panic!("{field}: {}", ErrorChain(&error)));
        assert!(plan(world, to).await.is_same(), "{field}");
        return;
    }
    let info: Map<String, Value> = jetstream.request("STREAM.INFO.S", &json!({})).await.unwrap();
    let mut config = info["config"].clone();
    config[field] = match field {
        "allow_msg_schedules" => json!(false),
        "storage" => json!(to.streams[0].storage),
        _ => json!(to.streams[0].retention),
    };
    let refused: Value = jetstream.request("STREAM.UPDATE.S", &config).await.unwrap();
    assert!(refused.get("error").is_some(), "{field}: the server does it: {refused}");
    assert!(matches!(planned.apply(jetstream).await, Err(TopologyError::Impossible { .. })));
}

#[tokio::test]
async fn many_may_apply_at_once() {
    let world = World::new().await;
    let (one, other) = (library(), library().replicated(1));
    let mut wider = of(stream("DEAD_LETTERS", &["dead.>"]));
    wider.streams[0].owner = "somebody else".to_owned();
    let topologies = [&one, &other, &wider, &one, &wider, &other];
    let all = topologies.map(|topology| topology.apply(&world.connection.jetstream));
    for applied in join_all(all).await {
        applied.unwrap_or_else(|error| panic!("{}", ErrorChain(&error)));
    }
    library().apply(&world.connection.jetstream).await.unwrap();
    assert!(plan(&world, &library()).await.is_same());
}

#[tokio::test]
async fn a_user_with_less_rights_is_told_which_is_missing() {
    let server = NatsServer::start_configured(
        r#"jetstream: enabled
        authorization { users: [{ user: reader, password: r, permissions: {
            publish: ["$JS.API.INFO", "$JS.API.STREAM.LIST", "$JS.API.CONSUMER.LIST.*"], subscribe: ["_INBOX.>"] } }] }"#,
    )
    .await;
    let connection = super::connect_as(&server, "reader", "r").await;
    let mut jetstream = connection.jetstream.clone();
    jetstream.set_timeout(Duration::from_millis(500));
    let plan = super::topology().plan(&jetstream).await.unwrap();
    assert_eq!(plan.count(Action::Create), 1);
    let said = ErrorChain(&plan.apply(&jetstream).await.unwrap_err()).to_string();
    assert!(
        said.starts_with(
            "making stream PINGS: NATS did not answer; may this user publish on $JS.API.STREAM.CREATE.PINGS"
        ),
        "{said}"
    );
}

#[tokio::test]
async fn a_refusal_of_the_server_says_what_to_do() {
    let world = World::new().await;
    let three = of(StreamSpec { replicas: 3, ..stream("THREE", &["three.>"]) });
    let said = ErrorChain(&three.apply(&world.connection.jetstream).await.unwrap_err()).to_string();
    assert!(said.starts_with("making stream THREE: this server stands alone: declare one replica"), "{said}");
    let huge = of(StreamSpec { max_bytes: Some(1 << 60), ..stream("HUGE", &["huge.>"]) });
    let said = ErrorChain(&huge.apply(&world.connection.jetstream).await.unwrap_err()).to_string();
    assert!(said.starts_with("making stream HUGE: declare less (`max_bytes`)"), "{said}");
}

#[tokio::test]
async fn ages_shorter_than_the_duplicate_window_are_taken() {
    let world = World::new().await;
    let short = |seconds| Topology {
        buckets: vec![BucketSpec { ttl: Some(Duration::from_secs(seconds)), ..BucketSpec::new("short", "test") }],
        ..of(StreamSpec { max_age: Some(Duration::from_secs(seconds)), ..stream("SHORT", &["short.>"]) })
    };
    for seconds in [3_600, 15, 3_600] {
        short(seconds).apply(&world.connection.jetstream).await.unwrap();
        assert!(plan(&world, &short(seconds)).await.is_same());
    }
}
