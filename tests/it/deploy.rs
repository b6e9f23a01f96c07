//! What `deploy/` ships: the demo's NATS users may do what their programs do and no more, and every file fits the others.

use std::{fs, path::Path, process::Command};

use clap::{CommandFactory, FromArgMatches};
use serde_json::Value;
use streamgauge::{cli::Cli, config::ObserverConfig};

use crate::support::{
    nats_server::{NatsServer, program},
    nats_wire::Wire,
    process::run,
    tool::tool,
};

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/nats/demo.conf");
const PASSWORD: &str = "d3m0";
const USERS: [&str; 11] = [
    "storefront",
    "pricing",
    "orders",
    "inventory",
    "payments",
    "notifications",
    "shipping",
    "load",
    "observer",
    "topology",
    "system",
];

async fn demo_nats() -> NatsServer {
    NatsServer::start_with(Some(Path::new(CONFIG)), &[("STREAMGAUGE_DEMO_PASSWORD", PASSWORD)]).await
}

async fn login(server: &NatsServer, user: &str) -> Wire {
    Wire::connect(&server.address(), user, PASSWORD).await.unwrap()
}

#[tokio::test]
async fn the_demos_users_log_in_with_its_password_only() {
    let server = demo_nats().await;
    for user in USERS {
        login(&server, user).await;
    }
    for (user, password) in [("orders", "guess"), ("orders", ""), ("", ""), ("root", PASSWORD)] {
        let refusal = Wire::connect(&server.address(), user, password).await.unwrap_err();
        assert!(refusal.contains("Authorization Violation"), "{user} {password}: {refusal}");
    }
}

#[tokio::test]
async fn each_user_hears_its_own_answers_and_no_others() {
    let server = demo_nats().await;
    for user in USERS {
        let mut wire = login(&server, user).await;
        for other in USERS {
            let refusal = wire.refusal_to_subscribe(&format!("_INBOX_{other}.1.2")).await;
            assert_eq!(refusal.is_none(), user == other, "{user} listening to {other}: {refusal:?}");
        }
        for everything in [">", "_INBOX.>", "orders.>", "$KV.>"] {
            assert!(wire.refusal_to_subscribe(everything).await.is_some(), "{user} listening to {everything}");
        }
    }
}

#[tokio::test]
async fn each_user_publishes_what_its_program_owns() {
    let server = demo_nats().await;
    for (user, may, may_not) in [
        (
            "storefront",
            "orders.placed.1 pricing.quote $KV.idempotency.k $JS.ACK.x",
            "inventory.reserved.1 payments.charged.1",
        ),
        ("pricing", "$KV.presence.pricing.1", "orders.placed.1 _INBOX_storefront.1 $JS.API.CONSUMER.CREATE.ORDERS.c"),
        (
            "orders",
            "orders.completed.1 $KV.records.order.1 $KV.attempts.ORDERS.c.1 dead.ORDERS.c $JS.API.CONSUMER.CREATE.ORDERS.c",
            "payments.charged.1 $KV.stock.a",
        ),
        (
            "inventory",
            "inventory.reserved.1 $KV.stock.a $JS.API.CONSUMER.MSG.NEXT.ORDERS.c",
            "orders.placed.1 $KV.records.order.1",
        ),
        ("payments", "payments.charged.1 $KV.presence.payments.1", "orders.completed.1 $KV.presence.orders.1"),
        (
            "notifications",
            "$KV.inbox.a.1 $KV.attempts.ORDERS.c.1 dead.ORDERS.c $JS.API.CONSUMER.MSG.NEXT.ORDERS.c",
            "orders.placed.1 $KV.records.order.1",
        ),
        ("shipping", "shipping.moved.0.1 $KV.records.parcel.1 $KV.ownership.a", "orders.placed.1 $KV.records.order.1"),
        ("load", "$KV.presence.load.1", "orders.placed.1 $JS.API.CONSUMER.CREATE.ORDERS.c"),
        ("operator", "$KV.faults.payments $KV.replays.a", "$KV.stock.a $KV.presence.orders.1"),
        ("topology", "$JS.API.STREAM.CREATE.ORDERS $KV.stock.a", "orders.placed.1"),
        (
            "system",
            "$SYS.REQ.SERVER.PING.JSZ $SYS.REQ.ACCOUNT.APP.CONNZ",
            "$SYS.REQ.SERVER.X.KICK $SYS.REQ.SERVER.X.RELOAD",
        ),
    ] {
        let mut wire = login(&server, user).await;
        // The server would refuse its sampled messages to whoever may not.
        let is_told_of = !matches!(user, "load" | "topology" | "system");
        let refusal = wire.refusal_to_publish("streamgauge.trace.events").await;
        assert_eq!(refusal.is_none(), is_told_of, "{user}: {refusal:?}");
        for subject in may.split(' ') {
            assert_eq!(wire.refusal_to_publish(subject).await, None, "{user} publishing on {subject}");
        }
        for subject in may_not.split(' ').chain(["$JS.API.STREAM.DELETE.ORDERS", "$JS.API.STREAM.PURGE.ORDERS"]) {
            let is_refused = wire.refusal_to_publish(subject).await.is_some();
            assert!(
                is_refused || matches!(user, "topology" | "operator") && subject.starts_with("$JS"),
                "{user} publishing on {subject}"
            );
        }
    }
}

#[tokio::test]
async fn the_observer_asks_and_never_tells() {
    let server = demo_nats().await;
    let mut wire = login(&server, "observer").await;
    for question in [
        "$JS.API.STREAM.LIST",
        "$JS.API.CONSUMER.LIST.ORDERS",
        "$JS.API.DIRECT.GET.KV_presence",
        "$JS.API.DIRECT.GET.ORDERS.orders.placed.1",
        "$JS.API.STREAM.MSG.GET.ORDERS",
        "$SRV.STATS.pricing",
        "$SYS.REQ.USER.INFO",
    ] {
        assert_eq!(wire.refusal_to_publish(question).await, None, "{question}");
    }
    assert_eq!(wire.refusal_to_subscribe("$JS.EVENT.ADVISORY.>").await, None);
    assert_eq!(wire.refusal_to_subscribe("streamgauge.trace.events").await, None);
    for deed in [
        "orders.placed.1",
        "$KV.presence.orders.1",
        "$JS.ACK.ORDERS.c.1.1.1.1.1",
        "$JS.API.CONSUMER.CREATE.ORDERS.c",
        "$JS.API.CONSUMER.DELETE.ORDERS.c",
        "$JS.API.CONSUMER.MSG.NEXT.ORDERS.c",
        "$JS.API.CONSUMER.PAUSE.ORDERS.c",
        "$JS.API.STREAM.MSG.DELETE.ORDERS",
        "$JS.API.STREAM.UPDATE.ORDERS",
    ] {
        assert!(wire.refusal_to_publish(deed).await.is_some(), "{deed}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(root().join(file)).unwrap()).unwrap()
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[test]
fn every_path_that_compose_names_exists() {
    let compose = yaml("deploy/compose/compose.yaml");
    let here = root().join("deploy/compose");
    let services = compose["services"].as_object().unwrap();
    assert_eq!(services.len(), 2, "two processes are all that is needed");
    for service in services.values() {
        let mounts = texts(&service["volumes"]).filter_map(|volume| volume.split(':').next());
        for source in mounts.filter(|source| source.starts_with('.')) {
            assert!(here.join(source).is_file(), "{source}");
        }
        if let Some(context) = service["build"]["context"].as_str() {
            let context = here.join(context).canonicalize().unwrap();
            assert_eq!(context, root().canonicalize().unwrap());
            assert!(context.join(service["build"]["dockerfile"].as_str().unwrap()).is_file());
        }
        for volume in texts(&service["volumes"]).filter(|volume| !volume.starts_with('.')) {
            let name = volume.split(':').next().unwrap();
            assert!(compose["volumes"].as_object().unwrap().contains_key(name), "{name}");
        }
    }
}

#[test]
fn the_observer_accepts_what_compose_asks_of_it() {
    let compose = yaml("deploy/compose/compose.yaml");
    let words = texts(&compose["services"]["streamgauge"]["command"]);
    let matches = Cli::command().try_get_matches_from(std::iter::once("streamgauge").chain(words)).unwrap();
    let (name, matches) = matches.subcommand().unwrap();
    assert_eq!(name, "serve");
    let observer = ObserverConfig::from_arg_matches(matches).unwrap();
    assert!(observer.address().is_ok(), "it would refuse to listen there");
    for port in texts(&compose["services"]["streamgauge"]["ports"]) {
        assert!(port.starts_with("127.0.0.1:"), "without a login it is for this machine only: {port}");
    }
}

#[test]
fn the_servers_accept_their_configurations() {
    for (file, password) in [
        ("deploy/nats/demo.conf", "STREAMGAUGE_DEMO_PASSWORD"),
        ("deploy/compose/nats.conf", "STREAMGAUGE_SYSTEM_PASSWORD"),
    ] {
        run(Command::new(program()).args(["-t", "-c", file]).current_dir(root()).env(password, PASSWORD));
    }
    if let Some(promtool) = tool("promtool", "deploy/prometheus/prometheus.yml") {
        run(Command::new(promtool).args(["check", "config", "deploy/prometheus/prometheus.yml"]).current_dir(root()));
    }
}
