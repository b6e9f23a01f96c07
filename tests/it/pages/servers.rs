//! The page of servers.

use std::{sync::Arc, time::Duration};

use streamgauge::snapshot::{
    AccountUse, Cluster, Health, LeafNode, MetaGroup, Reading, Replica, RoundStats, Server, ServerSetup, Snapshot,
    TierUse,
};

use super::{
    facts::{consumer, count, group, now, server, snapshot, stream, with_app},
    page_of,
};

fn replica(name: &str, is_current: bool, is_offline: bool) -> Replica {
    Replica {
        name: name.to_owned(),
        is_current,
        is_offline,
        is_silent: false,
        heard_ago: Some(Duration::from_secs(2)),
        behind: 9,
        last_sequence: None,
    }
}

fn clustered(leader: Option<&str>, replicas: Vec<Replica>) -> Snapshot {
    let mut one = stream("ORDERS", vec![consumer("ORDERS", "reserve")]);
    if let Reading::Known(fact) = &mut one.state {
        fact.value.cluster = Some(Cluster { leader: leader.map(str::to_owned), replicas });
    }
    Snapshot { streams: count(vec![one]), ..snapshot() }
}

#[tokio::test]
async fn a_replica_that_lags_is_named_with_what_it_holds() {
    let all =
        clustered(Some("n2"), vec![replica("n1", true, false), replica("n3", false, false), replica("n4", true, true)]);
    let page = page_of(all, "/servers").await;
    assert_eq!(page.texts("#lagging th[scope=row]"), ["stream ORDERS", "stream ORDERS"]);
    assert_eq!(page.texts("#lagging td")[..4], ["n3", "behind", "9 operations", "2 s ago"]);
    assert_eq!(page.texts("#lagging td")[4..6], ["n4", "offline"]);
    assert_eq!(page.attributes("#lagging a", "href")[0], "/streams/A/ORDERS");
    let well = page_of(clustered(Some("n2"), vec![replica("n1", true, false)]), "/servers").await;
    assert_eq!(well.text("#lagging .gap"), "Every replica has all that its leader has.");
}

#[tokio::test]
async fn a_copy_that_was_never_heard_of_is_not_said_to_be_heard() {
    let never = Replica { heard_ago: None, is_silent: true, ..replica("n3", false, false) };
    let page = page_of(clustered(Some("n2"), vec![never]), "/servers").await;
    assert_eq!(page.texts("#lagging td")[..4], ["n3", "silent", "9 operations", "never by this leader"]);
}

#[tokio::test]
async fn who_leads_is_known_even_where_the_servers_are_not() {
    let page = page_of(clustered(Some("n2"), Vec::new()), "/servers").await;
    assert_eq!(page.texts("#leaders tr th[scope=row]"), ["n1", "n2"]);
    assert_eq!(page.texts("#leaders td"), ["0", "1", "1", "0"]);
    assert!(page.text("#servers .gap").contains("only a user of the system account"), "{}", page.html);
}

#[tokio::test]
async fn a_stream_without_a_leader_is_named() {
    let page = page_of(clustered(None, vec![replica("n1", true, false)]), "/servers").await;
    assert_eq!(page.texts("#leaderless a"), ["ORDERS"]);
}

#[tokio::test]
async fn what_looking_costs_is_told() {
    let stats = RoundStats {
        duration: Duration::from_millis(48),
        waited: Duration::from_millis(31),
        requests: 12,
        bytes: 20_480,
        servers_expected: Some(3),
        servers_answered: 2,
        rows_dropped: 1_200,
        rows_missing: 4,
        has_read_configs: true,
    };
    let page = page_of(Snapshot { stats, ..snapshot() }, "/servers").await;
    let expected = [
        "48 ms, of which 31 ms waiting for answers",
        "12 messages sent",
        "20 kB both ways, 10 kB/s at a round every 2 s",
        "2 of 3 told what they hold",
        "1,200, told by servers that do not lead them",
        "4: no leader gave an account of them",
        "were read in this round",
    ];
    assert_eq!(page.texts("#cost dd"), expected);
    let alone =
        page_of(Snapshot { stats: RoundStats { servers_expected: None, ..stats }, ..snapshot() }, "/servers").await;
    assert_eq!(alone.texts("#cost dd")[4], "none: only leaders were asked");
    let before = Snapshot::before_the_first(snapshot().app.contact, Duration::from_secs(2), snapshot().taken);
    let before = page_of(before, "/servers").await;
    let said = "not read yet The costs of a round are not known: the first round has not ended yet.";
    assert_eq!((before.count("#cost dd"), before.text("#cost .gap").as_str()), (0, said));
}

fn told_by(servers: Vec<Server>) -> Snapshot {
    Snapshot { servers: Reading::known(servers, "each server", now()), ..clustered(Some("n1"), Vec::new()) }
}

#[tokio::test]
async fn what_a_dead_leader_said_last_is_no_word_on_who_leads() {
    let ago = |seconds| now().before(Duration::from_secs(seconds));
    let named = |leader: &str, seconds| Some(MetaGroup { named: ago(seconds), ..group(leader, Vec::new()) });
    let dead = Server { heard: ago(16), meta: named("n3", 600), ..server("n3") };
    let living = |name: &str| Server { heard: ago(1), meta: named("n2", 8), ..server(name) };
    let page = page_of(told_by(vec![living("n1"), living("n2"), dead]), "/servers").await;
    let said = page.text("#meta .lead-in");
    assert!(said.starts_with("n2 leads") && !said.contains("for the leader"), "{said}");
}

#[tokio::test]
async fn the_leader_of_the_meta_group_tells_how_the_others_follow() {
    let leader =
        Server { meta: Some(group("n1", vec![replica("n2", true, false), replica("n3", true, true)])), ..server("n1") };
    let other = Server { meta: Some(group("n2", Vec::new())), ..server("n3") };
    let page = page_of(told_by(vec![leader, server("n2"), other.clone()]), "/servers").await;
    let said = page.text("#meta .lead-in");
    assert!(said.starts_with("n1 leads 3 servers; 1 entry to be applied yet said just now"), "{said}");
    assert!(said.contains("n3 takes n2 for the leader"), "{said}");
    assert_eq!(page.texts("#meta tbody th"), ["n2", "n3"]);
    assert_eq!(
        page.texts("#meta tbody td"),
        ["current", "9 operations", "2 s ago", "offline", "9 operations", "2 s ago"]
    );
    let unheard = page_of(told_by(vec![server("n2")]), "/servers").await;
    let said = unheard.text("#meta .lead-in");
    assert_eq!(
        (said.as_str(), unheard.count("#meta table")),
        ("n1 leads, which tells nothing of the others itself", 0)
    );
    let alone = page_of(told_by(vec![Server { meta: None, ..server("n1") }]), "/servers").await;
    assert!(alone.text("#meta .gap").contains("No server tells of one"), "{}", alone.html);
}

#[tokio::test]
async fn connections_and_limits_are_told_and_what_was_not_told_is_unknown() {
    let page = page_of(told_by(vec![server("n1")]), "/servers").await;
    assert_eq!(page.texts("#links td")[..2], ["2 n2, n3", "1 EAST (3 connections from there)"]);
    assert_eq!(page.texts("#links td .number.unknown").len(), 1, "leaf nodes were not told of");
    assert_eq!(page.texts("#room td")[..2], ["90 % used, 900 B of 1.0 kB", "0 B, no limit"]);
    assert_eq!(page.texts("#room td .number.unknown").len(), 2, "neither the limit on clients nor certificates");
    assert_eq!(page.count("#room .fill.warning"), 1);
    let setup = ServerSetup {
        max_connections: 10,
        certificates: vec![("clients".to_owned(), now().after(Duration::from_secs(86_400)))],
        leaf_nodes: Some(vec![LeafNode { name: "edge".to_owned(), account: "A".to_owned(), is_spoke: false }]),
        told: Some(now()),
        ..ServerSetup::default()
    };
    let page = page_of(told_by(vec![Server { setup: Some(Arc::new(setup)), ..server("n1") }]), "/servers").await;
    assert_eq!(page.texts("#links td")[2], "1 edge in account A");
    assert_eq!(page.texts("#room td")[2..], ["50 % used, 5 of 10", "clients: 1 d more", "just now"]);
}

#[tokio::test]
async fn a_server_is_as_well_as_it_says_for_as_long_as_it_says_something() {
    let health = |is_well| Some(Health { is_well, reason: "no contact".to_owned(), told: now() });
    let silent = Server { heard: now().before(Duration::from_secs(40)), health: health(true), ..server("n4") };
    let servers = vec![
        server("n1"),
        Server { health: health(true), ..server("n2") },
        Server { health: health(false), ..server("n3") },
        silent,
    ];
    let page = page_of(told_by(servers), "/servers").await;
    assert_eq!(page.texts("#servers .state .sign"), ["up", "well", "not well", "silent"]);
    assert_eq!(page.texts("#servers .state .why"), ["no contact", "what stands here is what it said last"]);
    assert_eq!(page.text("#servers tr.stale th"), "n4");
    assert!(page.text("#servers tr.stale [data-label=Up]").starts_with("old:"), "{}", page.html);
}

#[tokio::test]
async fn what_the_account_may_use_is_told_with_its_tiers() {
    let unknown = page_of(snapshot(), "/servers").await;
    let said = unknown.text("#account .gap");
    assert!(said.starts_with("not visible The account's limits are not known"), "{said}");
    let total = TierUse { storage: 2_000, streams: 3, consumers: 4, streams_limit: Some(4), ..TierUse::default() };
    let tier = TierUse { storage: 990, storage_limit: Some(1_000), ..TierUse::default() };
    let account = AccountUse { name: "A".into(), total, tiers: vec![("R3".to_owned(), tier)] };
    let page = page_of(with_app(|app| app.used = Reading::known(account, "n1", now())), "/servers").await;
    assert_eq!(page.texts("#account dt"), ["On disk", "In memory", "Streams", "Consumers", "On disk"]);
    let said = ["2.0 kB, no limit", "0 B, no limit", "75 % used, 3 of 4", "4, no limit", "99 % used, 990 B of 1.0 kB"];
    assert_eq!(page.texts("#account dd"), said);
    assert_eq!((page.text("#account .tier"), page.count("#account .fill.critical")), ("Tier R3".to_owned(), 1));
}
