//! The page of servers.

use std::time::Duration;

use streamgauge::snapshot::{Cluster, Reading, Replica, RoundStats, Snapshot};

use super::{
    facts::{consumer, count, snapshot, stream},
    page_of,
};

fn replica(name: &str, is_current: bool, is_offline: bool) -> Replica {
    Replica {
        name: name.to_owned(),
        is_current,
        is_offline,
        heard_ago: Duration::from_secs(2),
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
    let before = Snapshot::before_the_first(snapshot().app, Duration::from_secs(2), snapshot().taken);
    let before = page_of(before, "/servers").await;
    let said = "not read yet The costs of a round are not known: the first round has not ended yet.";
    assert_eq!((before.count("#cost dd"), before.text("#cost .gap").as_str()), (0, said));
}
