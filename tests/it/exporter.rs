//! What the observer exposes at `/metrics`: names that others know, nothing that is not known, and valid whatever things are called.

mod traces;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use streamgauge::{
    clock::{Clock, Timestamp},
    exporter,
    snapshot::{
        AccountUse, AgeBy, Ages, Cluster, Consumer, ConsumerConfig, ConsumerTrend, Failures, Finding, Health, Label,
        Listing, Missing, Oldest, Reading, Replica, RoundStats, Server, Severity, Snapshot, Stream, TierUse, Watched,
    },
    telemetry::Metrics,
    traces::Traces,
    web,
};
use tokio::sync::watch;

use crate::{
    pages::{
        accounts::several,
        facts::{asked, consumer, count, failed, now, server, snapshot, stream, verdict, watched},
    },
    support::{page::Page, tool::tool},
};

const MANY: usize = 2_000;

fn exposition(snapshot: &Snapshot, most: usize, now: Timestamp) -> String {
    exporter::exposition(Arc::new(snapshot.clone()), most, now).collect()
}

fn text_of(snapshot: &Snapshot) -> String {
    exposition(snapshot, MANY, now())
}

/// The value of every series of a text, by name and labels.
fn series(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, value)| (name, value.parse().unwrap())).collect()
}

/// The value of one series.
#[track_caller]
fn value(text: &str, name: &str) -> f64 {
    *series(text).get(name).unwrap_or_else(|| panic!("no {name} in\n{text}"))
}

fn with_streams(streams: Vec<Stream>) -> Snapshot {
    Snapshot { streams: count(streams), ..snapshot() }
}

/// A consumer with so much pending.
fn lagging(name: &str, pending: u64) -> Consumer {
    changed(consumer("ORDERS", name), |consumer| {
        if let Reading::Known(fact) = &mut consumer.state {
            fact.value.pending = pending;
        }
    })
}

fn changed<T>(mut value: T, change: impl FnOnce(&mut T)) -> T {
    change(&mut value);
    value
}

#[test]
fn dead_letters_of_a_consumer_that_nobody_could_count_have_no_series() {
    let of = |copies| {
        let failures = Failures { copies, naks: 1, ..Failures::default() };
        let told = |one: &mut Consumer| one.failures = Reading::known(failures, "stream ADVISORIES", now());
        let text = text_of(&with_streams(vec![stream("ORDERS", vec![changed(consumer("ORDERS", "reserve"), told)])]));
        let labels = r#"{account="A",stream_name="ORDERS",consumer_name="reserve"}"#;
        assert_eq!(value(&text, &format!("streamgauge_consumer_exhausted_messages{labels}")), 0.0);
        series(&text).get(format!("streamgauge_consumer_dead_letters{labels}").as_str()).copied()
    };
    assert_eq!((of(Some(3)), of(Some(0)), of(None)), (Some(3.0), Some(0.0), None));
}

#[test]
fn names_and_labels_are_those_that_other_exporters_taught_people() {
    let text = text_of(&snapshot());
    let stream =
        "account=\"A\",server_name=\"n1\",stream_name=\"ORDERS\",stream_leader=\"n1\",is_stream_leader=\"true\"";
    assert_eq!(value(&text, &format!("nats_stream_total_messages{{{stream}}}")), 1_234.0);
    assert_eq!(value(&text, &format!("nats_stream_last_seq{{{stream}}}")), 1_234.0);
    let consumer = "account=\"A\",server_name=\"n1\",stream_name=\"ORDERS\",stream_leader=\"n1\",consumer_name=\"reserve\",\
                    consumer_leader=\"n1\",is_consumer_leader=\"true\"";
    assert_eq!(value(&text, &format!("nats_consumer_num_pending{{{consumer}}}")), 3.0);
    assert_eq!(value(&text, &format!("nats_consumer_num_ack_pending{{{consumer}}}")), 2.0);
    assert_eq!(value(&text, &format!("nats_consumer_delivered_consumer_seq{{{consumer}}}")), 500.0);
    let ours = "account=\"A\",stream_name=\"ORDERS\",consumer_name=\"reserve\"";
    assert_eq!(value(&text, &format!("streamgauge_consumer_lag{{{ours}}}")), 5.0);
    assert_eq!(value(&text, &format!("streamgauge_consumer_verdict{{{ours},label=\"ok\"}}")), 1.0);
    assert_eq!(value(&text, &format!("streamgauge_consumer_verdict{{{ours},label=\"stuck\"}}")), 0.0);
    assert_eq!(value(&text, "streamgauge_consumers{label=\"ok\"}"), 2.0);
}

#[test]
fn in_a_cluster_the_leaders_are_named() {
    let replica = |name: &str, is_current| Replica {
        name: name.to_owned(),
        is_current,
        is_offline: false,
        is_silent: false,
        heard_ago: Some(Duration::ZERO),
        behind: 0,
        last_sequence: None,
    };
    let cluster = Cluster { leader: Some("n2".to_owned()), replicas: vec![replica("n1", true), replica("n3", false)] };
    let one = changed(stream("ORDERS", vec![consumer("ORDERS", "reserve")]), |stream| {
        if let Reading::Known(fact) = &mut stream.state {
            fact.value.cluster = Some(cluster);
        }
    });
    let text = text_of(&with_streams(vec![one]));
    assert!(text.contains("stream_leader=\"n2\",consumer_name=\"reserve\",consumer_leader=\"n1\""), "{text}");
    assert_eq!(value(&text, "streamgauge_stream_replicas_behind{account=\"A\",stream_name=\"ORDERS\"}"), 1.0);
}

#[test]
fn an_age_counts_on_between_rounds_and_without_lag_is_zero() {
    let oldest = Oldest { sequence: Some(7), stored: now().before(Duration::from_secs(90)), by: AgeBy::Message };
    let aged = changed(consumer("ORDERS", "reserve"), |consumer| {
        consumer.ages = Reading::known(Ages { unprocessed: Some(oldest), undelivered: None }, "n1", now());
    });
    let world = with_streams(vec![stream("ORDERS", vec![aged])]);
    let text = exposition(&world, MANY, now().after(Duration::from_secs(5)));
    let labels = "account=\"A\",stream_name=\"ORDERS\",consumer_name=\"reserve\"";
    assert_eq!(value(&text, &format!("streamgauge_consumer_lag_age_seconds{{{labels}}}")), 95.0);
    assert_eq!(value(&text, &format!("streamgauge_consumer_undelivered_age_seconds{{{labels}}}")), 0.0);
}

#[test]
fn the_time_that_is_left_is_told_where_it_is_known() {
    let labels = "account=\"A\",stream_name=\"ORDERS\"";
    let text_with = |pending_before, acked| {
        let slow = changed(consumer("ORDERS", "reserve"), |consumer| {
            let trend = |trend| ConsumerTrend { pending_before, acked, passed: acked, ..trend };
            consumer.trend = consumer.trend.map(trend);
        });
        let limited =
            changed(stream("ORDERS", vec![slow]), |stream| Arc::make_mut(&mut stream.config).max_msgs = 1_534);
        text_of(&with_streams(vec![limited]))
    };
    let (shrinks, stands) = (text_with(5, 20), text_with(3, 0));
    let of_consumer = format!("{labels},consumer_name=\"reserve\"");
    assert_eq!(value(&shrinks, &format!("streamgauge_consumer_eta_seconds{{{of_consumer}}}")), 3.0);
    assert!(!shrinks.contains("first_loss"), "it is faster than the stream\n{shrinks}");
    assert!(!stands.contains("eta_seconds"), "it does not shrink\n{stands}");
    assert_eq!(value(&stands, &format!("streamgauge_stream_first_loss_seconds{{{labels}}}")), 60.0);
}

#[test]
fn what_a_round_cost_is_told_as_far_as_it_is_known() {
    let stats = RoundStats {
        duration: Duration::from_millis(500),
        requests: 12,
        bytes: 3_000,
        servers_expected: Some(3),
        servers_answered: 2,
        ..RoundStats::default()
    };
    let text = text_of(&Snapshot { stats, ..snapshot() });
    let told = ["duration_seconds", "requests", "bytes", "servers_expected", "servers_answered", "rows_dropped"]
        .map(|name| value(&text, &format!("streamgauge_round_{name}")));
    assert_eq!(told, [0.5, 12.0, 3_000.0, 3.0, 2.0, 0.0]);
    let alone = text_of(&Snapshot { stats: RoundStats { servers_expected: None, ..stats }, ..snapshot() });
    for absent in ["servers_expected", "servers_answered", "rows_dropped", "configs_read"] {
        assert!(!alone.contains(absent), "{absent} is not known without a user of the system account\n{alone}");
    }
}

#[test]
fn what_is_unknown_is_absent_and_what_is_old_is_counted() {
    let text = text_of(&Snapshot { streams: failed(), servers: failed(), ..snapshot() });
    assert!(!text.contains("nats_"), "{text}");
    let mut old = stream("ORDERS", vec![consumer("ORDERS", "reserve"), consumer("ORDERS", "track")]);
    if let Reading::Known(fact) = &mut old.consumers {
        let row = &mut fact.value.rows[1];
        row.state = failed().or_last(&row.state);
    }
    let text = text_of(&with_streams(vec![old]));
    let tracked = series(&text).into_keys().filter(|name| name.contains("consumer_name=\"track\"")).count();
    let verdicts = Label::ALL.len() + 1;
    let limits = text.matches("streamgauge_consumer_max_ack_pending{").count() / 2;
    assert_eq!(tracked, verdicts + limits, "only its verdict and its limits are known\n{text}");
    assert!(!text.contains("lag_age_seconds"), "nobody has told of ages\n{text}");
    assert_eq!(value(&text, "streamgauge_stale{kind=\"consumer\"}"), 1.0);
    assert_eq!(value(&text, "streamgauge_stale{kind=\"stream\"}"), 0.0);
}

#[test]
fn before_the_first_round_nothing_is_counted() {
    let app = snapshot().app.contact;
    let text = text_of(&Snapshot::before_the_first(app, Duration::from_secs(10), now()));
    assert_eq!(value(&text, "streamgauge_rounds_total"), 0.0);
    for absent in ["nats_", "streamgauge_consumers{", "streamgauge_findings", "streamgauge_stale", "round_age"] {
        assert!(!text.contains(absent), "{absent}\n{text}");
    }
}

#[test]
fn consumers_with_the_greatest_lag_have_series_and_the_rest_is_counted() {
    let consumers = vec![lagging("a", 1), lagging("b", 30), lagging("c", 2), lagging("d", 40)];
    let world = with_streams(vec![stream("ORDERS", consumers)]);
    let text = exposition(&world, 2, now());
    let named: BTreeSet<&str> =
        ["a", "b", "c", "d"].into_iter().filter(|name| text.contains(&format!("consumer_name=\"{name}\""))).collect();
    assert_eq!(named, BTreeSet::from(["b", "d"]));
    assert_eq!(value(&text, "streamgauge_exporter_consumers_max"), 2.0);
    assert_eq!(value(&text, "streamgauge_exporter_consumers_left_out"), 2.0);
    assert_eq!(value(&text, "streamgauge_consumers{label=\"ok\"}"), 4.0);
}

#[test]
fn consumers_without_a_durable_name_are_told_of_together() {
    let passing = |name: &str, pending| {
        changed(lagging(name, pending), |consumer| consumer.config = Arc::new(ConsumerConfig::default()))
    };
    let world = with_streams(vec![stream("ORDERS", vec![passing("x1", 4), passing("x2", 5), lagging("reserve", 9)])]);
    let text = text_of(&world);
    let labels = "account=\"A\",stream_name=\"ORDERS\"";
    assert_eq!(value(&text, &format!("streamgauge_stream_ephemeral_consumers{{{labels}}}")), 2.0);
    assert_eq!(value(&text, &format!("streamgauge_stream_ephemeral_pending{{{labels}}}")), 9.0);
    assert_eq!(value(&text, &format!("streamgauge_stream_ephemeral_ack_pending{{{labels}}}")), 4.0);
    assert!(!text.contains("x1"), "{text}");
}

/// A world in which everything that can be told is told.
fn full() -> Snapshot {
    let text = "<script\"\u{202e}'{}=,#é";
    let aged = changed(consumer("ORDERS", text), |consumer| {
        let oldest = Oldest { sequence: None, stored: now(), by: AgeBy::Estimate };
        consumer.account = "a \"b\"\\c\nd".into();
        consumer.ages = Reading::known(Ages { unprocessed: Some(oldest), undelivered: None }, "n1", now());
        let failures = Failures { copies: Some(0), ..Failures::default() };
        consumer.failures = Reading::known(failures, "n1", now());
        consumer.verdict = verdict(Label::Stuck, Severity::Critical, "It hangs.");
        consumer.trend = consumer.trend.map(|trend| ConsumerTrend { pending_before: 9, passed: 0, ..trend });
    });
    let one = changed(stream(text, vec![aged]), |stream| {
        stream.config = Arc::new(changed((*stream.config).clone(), |config| config.max_msgs = 10));
        if let Reading::Known(fact) = &mut stream.state {
            fact.value.cluster = Some(Cluster { leader: Some("n\"1".to_owned()), replicas: Vec::new() });
        }
    });
    let stats = RoundStats { servers_expected: Some(3), servers_answered: 2, rows_dropped: 7, ..RoundStats::default() };
    let health = Some(Health { is_well: true, reason: String::new(), told: now() });
    let servers = Reading::known(vec![Server { health, ..server("n1") }], "each server", now());
    let app = Watched { used: Reading::known(account(), "n1", now()), ..watched("A") };
    let asked_probes = Arc::from([asked("mail", Ok(503))]);
    Snapshot { findings: vec![Arc::new(finding())], stats, servers, app, asked_probes, ..with_streams(vec![one]) }
}

/// An account with a limit on everything, and a tier with a limit on nothing.
fn account() -> AccountUse {
    let total = TierUse {
        memory_limit: Some(10),
        storage: 7,
        storage_limit: Some(9),
        streams: 3,
        streams_limit: Some(4),
        consumers_limit: Some(5),
        ..TierUse::default()
    };
    AccountUse { name: "A".into(), total, tiers: vec![("R3".to_owned(), TierUse::default())] }
}

#[test]
fn what_an_account_has_used_is_told_and_a_limit_that_is_none_is_absent() {
    let text = text_of(&full());
    for line in [
        r#"streamgauge_account_storage_bytes{account="A",tier=""} 7"#,
        r#"streamgauge_account_storage_limit_bytes{account="A",tier=""} 9"#,
        r#"streamgauge_account_streams{account="A",tier="R3"} 0"#,
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line} is not in\n{text}");
    }
    assert!(!text.contains(r#"streamgauge_account_storage_limit_bytes{account="A",tier="R3"}"#), "{text}");
    let unknown = text_of(&changed(full(), |full| full.app.used = failed()));
    assert!(!unknown.contains("streamgauge_account_storage_bytes{"), "{unknown}");
}

fn finding() -> Finding {
    let text = String::new;
    Finding {
        check: "no_limits",
        severity: Severity::Warning,
        account: None,
        about: text(),
        sentence: text(),
        evidence: text(),
        next_step: text(),
        since: None,
    }
}

#[test]
fn every_series_is_of_a_family_of_the_reference_with_its_labels() {
    let text = text_of(&full()) + &traces::whole();
    let families = exporter::families();
    let names: BTreeSet<&str> = families.iter().map(|family| family.name).collect();
    assert_eq!(names.len(), families.len(), "each family has one name");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = line.split_once(['{', ' ']).unwrap();
        let family = families.iter().find(|family| family.name == name).unwrap_or_else(|| panic!("{name}"));
        for label in family.labels {
            assert!(labels.contains(&format!("{label}=\"")), "{line} has no {label}");
        }
        assert_eq!(labels.matches("=\"").count(), family.labels.len(), "{line}");
    }
    let seen = |name: &&str| text.contains(&format!("\n# TYPE {name} "));
    let unseen: Vec<&str> = names.into_iter().filter(|name| !seen(name)).collect();
    assert_eq!(unseen, Vec::<&str>::new());
}

/// What promtool ends with when it could read everything and would have called something otherwise.
const LINTED: i32 = 3;

/// Names that end in `_count` are others', who gave them before that was a fault.
fn is_of_others(line: &str) -> bool {
    line.starts_with("nats_") && line.ends_with("should not have \"_count\" suffix")
}

#[test]
fn prometheus_takes_it_whatever_things_are_called() {
    let Some(promtool) = tool("promtool", "the exposition, as Prometheus reads it") else { return };
    let text = text_of(&full()) + &traces::whole();
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let faults: Vec<&str> = said.lines().filter(|line| !is_of_others(line)).collect();
    assert_eq!(faults, Vec::<&str>::new(), "{text}");
    assert!(matches!(output.status.code(), Some(0 | LINTED)), "{:?}", output.status);
}

fn sources(snapshots: watch::Receiver<Arc<Snapshot>>, traces: Traces) -> web::metrics::Sources {
    web::metrics::Sources { snapshots, metrics: Metrics::default(), traces }
}

#[tokio::test]
async fn the_observer_and_its_process_are_one_text() {
    let (_sender, snapshots) = watch::channel(Arc::new(snapshot()));
    let router = web::metrics::router(
        sources(snapshots, Traces::default()),
        Clock::standing_at(now()),
        MANY,
        Default::default(),
    );
    let page = Page::of(&router, "/metrics").await;
    assert_eq!(page.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(value(&page.html, "streamgauge_connected"), 1.0);
    assert_eq!(value(&page.html, "streamgauge_rounds_total"), 7.0);
    assert!(page.html.contains("nats_stream_total_messages{"), "{}", page.html);
    assert!(!page.html.contains("streamgauge_trace_"), "none are taken");
}

#[test]
fn a_list_that_lacks_some_has_no_sum() {
    let mut cut = stream("ORDERS", vec![consumer("ORDERS", "reserve")]);
    cut.consumers = Reading::known(
        Listing { rows: Vec::new(), missing: vec![Missing::left_out(&"A".into(), "track".to_owned())] },
        "n1",
        now(),
    );
    let text = text_of(&with_streams(vec![cut]));
    assert!(!text.contains("ephemeral"), "{text}");
}

#[test]
fn each_account_has_series_of_its_own() {
    let mut several = several();
    several.others[0].contact.is_connected = false;
    several.others[0].used = Reading::known(AccountUse { name: "B".into(), ..account() }, "n1", now());
    let text = text_of(&several);
    for line in [
        r#"streamgauge_account_connected{account="A",user="observer"} 1"#,
        r#"streamgauge_account_connected{account="B",user="billing"} 0"#,
        r#"streamgauge_account_streams{account="B",tier=""} 3"#,
        r#"streamgauge_dead_letters_stored{account="A"} 3"#,
        r#"streamgauge_dead_letters_stored{account="B"} 3"#,
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line} is not in\n{text}");
    }
}
