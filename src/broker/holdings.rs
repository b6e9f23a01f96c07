//! What several servers say they hold, put together to one list: of each stream and consumer the word of its leader.
//!
//! Only the leader of a consumer knows how much is pending; followers say 0, or something old.

use std::{collections::HashMap, sync::Arc};

use super::{
    consumers,
    streams::{self, read_cluster},
    wire::{ClusterInfo, ConsumerInfo, JszAnswer, StreamDetail},
};
use crate::{
    clock::Timestamp,
    name::{ConsumerName, StreamName},
    snapshot::{Cluster, Consumer, ConsumerConfig, Listing, Missing, Reading, Stream, Why},
};

/// What is put together, and with what.
pub(super) struct Told<'a> {
    /// What servers said.
    pub(super) answers: Vec<JszAnswer>,
    /// The servers that exist and did not answer.
    pub(super) silent: &'a [Arc<str>],
    /// What was known before.
    pub(super) last: Option<&'a Listing<Stream>>,
    /// When the answers came.
    pub(super) at: Timestamp,
}

/// The list, and what was noticed on the way.
pub(super) struct Holdings {
    pub(super) streams: Listing<Stream>,
    /// Who told it.
    pub(super) source: Arc<str>,
    /// Rows of servers that do not lead what they tell of.
    pub(super) dropped: u64,
    /// Whether something new is there of which nobody said how it is set up; it is among the missing.
    pub(super) lacks_configs: bool,
}

/// What one server says of one thing.
struct Held<T> {
    server: Arc<str>,
    detail: T,
}

const UNREAD: &str = "it is new, and how it is set up was not read yet";
const SILENT: &str = "does not answer";
const WITHOUT: &str = "runs without JetStream now";
const NO_LEADER: &str = "it has no leader now, and only a leader knows its counts";

/// Puts together what was told.
pub(super) fn join(told: Told<'_>) -> Holdings {
    let Told { answers, silent, last, at } = told;
    let (answers, without): (Vec<_>, Vec<_>) = answers.into_iter().partition(JszAnswer::tells);
    let silent = silent.iter().map(|server| Quiet { server: server.clone(), why: SILENT });
    let quiet = silent.chain(names(&without).into_iter().map(|server| Quiet { server, why: WITHOUT })).collect();
    let mut join = Join { answered: names(&answers), quiet, at, dropped: 0, lacks_configs: false };
    let mut held = flatten(answers, &join.answered);
    held.sort_by(|a, b| key(a).cmp(&key(b)));
    let mut listing = Listing::default();
    let before = last.map_or(&[][..], |last| &last.rows);
    let mut rest = held.into_iter().peekable();
    while let Some(first) = rest.next() {
        let (account, mut of_one) = (first.0.clone(), vec![first.1]);
        while let Some(next) = rest.next_if(|next| next.0 == account && next.1.detail.name == of_one[0].detail.name) {
            of_one.push(next.1);
        }
        let Ok(name) = StreamName::try_from(of_one[0].detail.name.as_str()) else {
            listing.missing.push(Missing::unnamed(&account, of_one.swap_remove(0).detail.name));
            continue;
        };
        let past = before.binary_search_by(|row| (&*row.account, &row.name).cmp(&(&*account, &name)));
        match join.stream(&account, name, of_one, past.ok().map(|at| &before[at])) {
            Ok(stream) => listing.rows.push(stream),
            Err(missing) => listing.missing.push(missing),
        }
    }
    join.leave_out(&mut listing, before, |row| (&row.account, row.name.as_str()), stream_place);
    Holdings { streams: listing, source: join.all(), dropped: join.dropped, lacks_configs: join.lacks_configs }
}

/// Streams of all accounts by account; accounts that share a name are told apart by their key.
fn flatten(answers: Vec<JszAnswer>, servers: &[Arc<str>]) -> Vec<(Arc<str>, Held<StreamDetail>)> {
    let mut keys: HashMap<String, String> = HashMap::new();
    let mut held = Vec::new();
    for (answer, server) in answers.into_iter().zip(servers) {
        for account in answer.data.into_iter().flat_map(|data| data.account_details) {
            let name = if account.name.is_empty() { account.id.clone() } else { account.name };
            let is_first = *keys.entry(name.clone()).or_insert_with(|| account.id.clone()) == account.id;
            let name: Arc<str> = if is_first { name.into() } else { format!("{name} ({})", account.id).into() };
            let streams = account.stream_detail.into_iter();
            held.extend(streams.map(|detail| (name.clone(), Held { server: server.clone(), detail })));
        }
    }
    held
}

fn key((account, held): &(Arc<str>, Held<StreamDetail>)) -> (&str, &str) {
    (account, &held.detail.name)
}

fn missing(account: &Arc<str>, name: &str, reason: &str) -> Missing {
    Missing { account: account.clone(), name: name.to_owned(), reason: reason.into() }
}

/// Who leads something as `server` says it; a server outside a cluster leads all that it has.
fn leads(cluster: Option<&ClusterInfo>, server: &str) -> bool {
    cluster.is_none_or(|cluster| cluster.leader.as_deref() == Some(server))
}

/// Who told of a row the last time, and the group that holds it.
type Place<'a> = Option<(&'a Arc<str>, Option<&'a Cluster>)>;

fn stream_place(row: &Stream) -> Place<'_> {
    row.state.fact().map(|fact| (&fact.source, fact.value.cluster.as_ref()))
}

fn consumer_place(row: &Consumer) -> Place<'_> {
    row.state.fact().map(|fact| (&fact.source, fact.value.cluster.as_ref()))
}

fn names(answers: &[JszAnswer]) -> Vec<Arc<str>> {
    answers.iter().map(|answer| answer.server.name.as_str().into()).collect()
}

/// A server that tells nothing of what it may hold.
struct Quiet {
    server: Arc<str>,
    why: &'static str,
}

struct Join {
    /// Servers that told what they hold.
    answered: Vec<Arc<str>>,
    quiet: Vec<Quiet>,
    at: Timestamp,
    dropped: u64,
    lacks_configs: bool,
}

impl Join {
    fn stream(
        &mut self,
        account: &Arc<str>,
        name: StreamName,
        mut of_one: Vec<Held<StreamDetail>>,
        past: Option<&Stream>,
    ) -> Result<Stream, Missing> {
        let leading = |held: &Held<StreamDetail>| leads(held.detail.cluster.as_ref(), &held.server);
        let rank = |held: &Held<StreamDetail>| (leading(held), held.detail.state.last_seq);
        of_one.sort_by_key(|held| std::cmp::Reverse(rank(held)));
        let is_led = leading(&of_one[0]);
        self.dropped += (of_one.len() - usize::from(is_led)) as u64;
        let created = of_one[0].detail.created;
        let past = past.filter(|past| past.created == created);
        let told = of_one.iter_mut().find_map(|held| held.detail.config.take()).map(|told| *told);
        let Some(config) = config(told, past.map(|past| &past.config)) else {
            self.lacks_configs = true;
            return Err(missing(account, name.as_str(), UNREAD));
        };
        let place = consumers::Place { account, stream: &name };
        let consumers = self.consumers(&place, &mut of_one, past);
        let source = if is_led { of_one[0].server.clone() } else { self.all() };
        let state = if is_led {
            let led = of_one.remove(0);
            let mut cluster = led.detail.cluster.filter(ClusterInfo::is_one).map(read_cluster);
            add_followers(cluster.as_mut(), &of_one);
            let origins = streams::origins(led.detail.mirror, led.detail.sources);
            let mut state = streams::state(led.detail.state, cluster, origins);
            state.consumers = (consumers.rows.len() + consumers.missing.len()) as u64;
            Reading::known(state, led.server, self.at)
        } else {
            Reading::unknown(Why::Failed, self.why_not_led(of_one.iter().map(|held| held.detail.cluster.as_ref())))
        };
        Ok(Stream {
            account: account.clone(),
            consumers: Reading::known(consumers, source, self.at),
            name,
            config,
            created,
            state,
            trend: None,
        })
    }

    fn consumers(
        &mut self,
        place: &consumers::Place<'_>,
        of_one: &mut [Held<StreamDetail>],
        past: Option<&Stream>,
    ) -> Listing<Consumer> {
        let mut held: Vec<Held<ConsumerInfo>> = Vec::new();
        for Held { server, detail } in of_one {
            let infos = std::mem::take(&mut detail.consumer_detail).into_iter();
            held.extend(infos.map(|detail| Held { server: server.clone(), detail }));
        }
        let leading = |held: &Held<ConsumerInfo>| leads(held.detail.cluster.as_ref(), &held.server);
        held.sort_by(|a, b| {
            let by_rank =
                (leading(b), b.detail.delivered.consumer_seq).cmp(&(leading(a), a.detail.delivered.consumer_seq));
            a.detail.name.cmp(&b.detail.name).then(by_rank)
        });
        let before = past.and_then(|past| past.consumers.value()).map_or(&[][..], |last| &last.rows);
        let mut listing = Listing { rows: Vec::with_capacity(held.len()), missing: Vec::new() };
        let mut rest = held.into_iter().peekable();
        while let Some(first) = rest.next() {
            let is_led = leading(&first);
            let mut others = 0;
            while rest.next_if(|next| next.detail.name == first.detail.name).is_some() {
                others += 1;
            }
            self.dropped += others + u64::from(!is_led);
            let past = before.binary_search_by(|row| row.name.as_str().cmp(&first.detail.name));
            match self.consumer(place, first, is_led, past.ok().map(|at| &before[at])) {
                Ok(row) => listing.rows.push(row),
                Err(missing) => listing.missing.push(missing),
            }
        }
        self.leave_out(&mut listing, before, |row| (&row.account, row.name.as_str()), consumer_place);
        listing
    }

    fn consumer(
        &mut self,
        place: &consumers::Place<'_>,
        Held { server, mut detail }: Held<ConsumerInfo>,
        is_led: bool,
        past: Option<&Consumer>,
    ) -> Result<Consumer, Missing> {
        // The name that is known already is shared from round to round.
        let known = past.map(|past| past.name.clone());
        let Some(name) = known.or_else(|| ConsumerName::try_from(detail.name.as_str()).ok()) else {
            return Err(Missing::unnamed(place.account, detail.name));
        };
        let past = past.filter(|past| past.created == detail.created);
        let told = detail.config.take().map(|told| ConsumerConfig { stream: place.stream.to_string(), ..*told });
        let Some(config) = config(told, past.map(|past| &past.config)) else {
            self.lacks_configs = true;
            return Err(missing(place.account, name.as_str(), UNREAD));
        };
        let told = if is_led { Ok(server) } else { Err(self.why_not_led([detail.cluster.as_ref()])) };
        Ok(consumers::row(detail, config, place, name, told, self.at))
    }

    /// Adds to `listing` what was there before on servers that tell nothing now. What another of its servers would have told of is gone.
    fn leave_out<T>(
        &self,
        listing: &mut Listing<T>,
        before: &[T],
        key: fn(&T) -> (&Arc<str>, &str),
        place: fn(&T) -> Place<'_>,
    ) {
        if self.quiet.is_empty() {
            return;
        }
        for row in before {
            let Some((source, cluster)) = place(row) else { continue };
            let (account, name) = key(row);
            let is_here = listing.rows.binary_search_by(|here| {
                let (of, called) = key(here);
                (&**of, called).cmp(&(&**account, name))
            });
            let told = |name: &str| self.answered.iter().any(|answered| answered.as_ref() == name);
            let would_be_told = cluster.is_some_and(|cluster| cluster.replicas.iter().any(|peer| told(&peer.name)));
            let quiet = self.quiet.iter().find(|quiet| quiet.server == *source);
            if let Some(Quiet { why, .. }) = quiet.filter(|_| is_here.is_err() && !would_be_told) {
                listing.missing.push(missing(account, name, &format!("server {source} {why}")));
            }
        }
        listing.missing.sort();
        listing.missing.dedup_by(|a, b| (&a.account, &a.name) == (&b.account, &b.name));
    }

    /// Why nobody vouches for what followers told of.
    fn why_not_led<'c>(&self, clusters: impl IntoIterator<Item = Option<&'c ClusterInfo>>) -> String {
        let leaders = clusters.into_iter().filter_map(|cluster| cluster?.leader.as_deref());
        let Some(leader) = leaders.into_iter().find(|leader| !leader.is_empty()) else { return NO_LEADER.to_owned() };
        match self.quiet.iter().find(|quiet| quiet.server.as_ref() == leader) {
            Some(Quiet { why, .. }) => format!("its leader {leader} {why}"),
            None => format!("it is led by {leader} by the word of others, and not by its own"),
        }
    }

    /// All who answered.
    fn all(&self) -> Arc<str> {
        match self.answered.as_slice() {
            [one] => one.clone(),
            many => format!("{} servers", many.len()).into(),
        }
    }
}

impl ClusterInfo {
    /// A server without a cluster names itself as the leader of its streams.
    fn is_one(&self) -> bool {
        self.name.is_some()
    }
}

fn add_followers(cluster: Option<&mut Cluster>, followers: &[Held<StreamDetail>]) {
    for replica in cluster.into_iter().flat_map(|cluster| &mut cluster.replicas) {
        let follower = followers.iter().find(|held| held.server.as_ref() == replica.name);
        replica.last_sequence = follower.map(|held| held.detail.state.last_seq);
    }
}

/// How something is set up: as it was told, and the same as before where nothing was told or nothing changed.
fn config<T: PartialEq>(told: Option<T>, past: Option<&Arc<T>>) -> Option<Arc<T>> {
    match (told, past) {
        (Some(told), Some(past)) if told == **past => Some(past.clone()),
        (Some(told), _) => Some(Arc::new(told)),
        (None, past) => past.cloned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::broker::wire::ClusterInfo;

    fn at() -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap()
    }

    fn cluster(leader: &str, others: &[&str]) -> Value {
        let replicas: Vec<Value> = others.iter().map(|name| json!({ "name": name, "current": true })).collect();
        json!({ "name": "c", "leader": leader, "replicas": replicas })
    }

    fn consumer(name: &str, pending: u64, cluster: &Value) -> Value {
        json!({
            "stream_name": "ORDERS", "name": name, "created": at(), "cluster": cluster,
            "config": { "durable_name": name, "ack_policy": "explicit" },
            "delivered": { "consumer_seq": 3, "stream_seq": 3 }, "ack_floor": { "consumer_seq": 3, "stream_seq": 3 },
            "num_ack_pending": 0, "num_redelivered": 0, "num_waiting": 0, "num_pending": pending,
        })
    }

    fn stream(last_sequence: u64, cluster: &Value, consumers: &[Value]) -> Value {
        json!({
            "name": "ORDERS", "created": at(), "cluster": cluster, "config": { "name": "ORDERS" },
            "state": { "messages": 9, "bytes": 90, "first_seq": 1, "last_seq": last_sequence },
            "consumer_detail": consumers,
        })
    }

    fn account(name: &str, id: &str, streams: &[Value]) -> Value {
        json!({ "name": name, "id": id, "stream_detail": streams })
    }

    fn answer(server: &str, accounts: &[Value]) -> JszAnswer {
        let text = json!({
            "server": { "name": server, "id": server },
            "data": { "total": accounts.len(), "account_details": accounts },
        });
        serde_json::from_value(text).unwrap()
    }

    fn one(server: &str, stream: Value) -> JszAnswer {
        answer(server, &[account("APP", "APP", &[stream])])
    }

    fn joined(answers: Vec<JszAnswer>, silent: &[&str], last: Option<&Listing<Stream>>) -> Holdings {
        let silent: Vec<Arc<str>> = silent.iter().map(|name| (*name).into()).collect();
        join(Told { answers, silent: &silent, last, at: at() })
    }

    fn only(holdings: &Holdings) -> &Stream {
        let [stream] = holdings.streams.rows.as_slice() else { panic!("{:?}", holdings.streams) };
        stream
    }

    fn consumers(stream: &Stream) -> &Listing<Consumer> {
        stream.consumers.fresh().unwrap()
    }

    /// All three hold it, `n1` leads the stream, `n2` the consumer; only leaders know how much is pending.
    fn three(servers: &[&str]) -> Vec<JszAnswer> {
        let (of_stream, of_consumer) = (cluster("n1", &["n2", "n3"]), cluster("n2", &["n1", "n3"]));
        let told = |server: &&str| {
            let pending = if *server == "n2" { 6 } else { 0 };
            let last = if *server == "n1" { 9 } else { 7 };
            one(server, stream(last, &of_stream, &[consumer("reserve", pending, &of_consumer)]))
        };
        servers.iter().map(told).collect()
    }

    #[test]
    fn the_word_of_the_leader_counts_and_the_others_tell_how_far_they_are() {
        let holdings = joined(three(&["n3", "n1", "n2"]), &[], None);
        let stream = only(&holdings);
        let [row] = consumers(stream).rows.as_slice() else { panic!("{stream:?}") };
        assert_eq!((row.state.fresh().unwrap().pending, &*row.state.fact().unwrap().source), (6, "n2"));
        let state = stream.state.fresh().unwrap();
        let followers: Vec<_> = state.cluster.iter().flat_map(|cluster| &cluster.replicas).collect();
        assert_eq!((state.last_sequence, state.consumers), (9, 1));
        assert_eq!(followers.iter().map(|peer| peer.last_sequence).collect::<Vec<_>>(), [Some(7), Some(7)]);
        assert_eq!((holdings.dropped, &*holdings.source, holdings.lacks_configs), (4, "3 servers", false));
    }

    fn check_unled(servers: &[&str], silent: &[&str], expected: &str) {
        let holdings = joined(three(servers), silent, None);
        let [row] = consumers(only(&holdings)).rows.as_slice() else { panic!("{servers:?}") };
        assert_eq!((row.state.value(), row.state.reason()), (None, Some(expected)), "{servers:?}");
    }

    #[test]
    fn what_nobody_leads_has_no_numbers() {
        check_unled(&["n1", "n3"], &["n2"], "its leader n2 does not answer");
        check_unled(&["n1", "n3"], &[], "it is led by n2 by the word of others, and not by its own");
        let unled = cluster("", &["n2"]);
        let holdings = joined(vec![one("n1", stream(9, &unled, &[consumer("reserve", 3, &unled)]))], &[], None);
        assert_eq!(only(&holdings).state.reason(), Some(NO_LEADER));
        assert_eq!(consumers(only(&holdings)).rows[0].state.reason(), Some(NO_LEADER));
    }

    /// `stream` was on `n2` and others; who is missing when the servers that answer then know nothing of it?
    fn check_absent(of_stream: &Value, answers: &[&str], silent: &[&str], expected: &[&str]) {
        let last = joined(vec![one("n2", stream(9, of_stream, &[]))], &[], None).streams;
        let answers = answers.iter().map(|server| answer(server, &[])).collect();
        let holdings = joined(answers, silent, Some(&last));
        let missing = holdings.streams.missing.iter().map(|missing| format!("{missing}: {}", missing.reason));
        assert_eq!(missing.collect::<Vec<_>>(), expected);
        assert!(holdings.streams.rows.is_empty());
    }

    #[test]
    fn what_a_silent_server_held_is_missing_unless_another_would_tell_of_it() {
        let alone = cluster("n2", &[]);
        check_absent(&alone, &["n1"], &["n2"], &["ORDERS: server n2 does not answer"]);
        check_absent(&alone, &["n1", "n2"], &[], &[]);
        check_absent(&alone, &["n1"], &[], &[]);
        check_absent(&cluster("n2", &["n3"]), &["n1"], &["n2", "n3"], &["ORDERS: server n2 does not answer"]);
        check_absent(&cluster("n2", &["n1"]), &["n1"], &["n2"], &[]);
    }

    /// The answer of a server that runs without JetStream.
    fn disabled(server: &str) -> JszAnswer {
        let text = json!({ "server": { "name": server, "id": server }, "data": { "disabled": true, "total": 0 } });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn what_a_server_held_is_missing_when_it_runs_without_jetstream() {
        let told = |rows: &[JszAnswer]| rows.iter().all(JszAnswer::tells);
        assert!(told(&three(&["n1"])) && !told(&[disabled("n1")]));
        let check = |of_stream: &Value, expected: &[&str]| {
            let last = joined(vec![one("n2", stream(9, of_stream, &[]))], &[], None).streams;
            let holdings = joined(vec![answer("n1", &[]), disabled("n2")], &[], Some(&last));
            let missing = holdings.streams.missing.iter().map(|missing| format!("{missing}: {}", missing.reason));
            assert_eq!(
                (missing.collect::<Vec<_>>(), &*holdings.source),
                (expected.iter().map(ToString::to_string).collect(), "n1")
            );
        };
        check(&cluster("n2", &[]), &["ORDERS: server n2 runs without JetStream now"]);
        check(&cluster("n2", &["n1"]), &[]);
        let mut answers = three(&["n1", "n3"]);
        answers.push(disabled("n2"));
        let holdings = joined(answers, &[], None);
        assert_eq!(consumers(only(&holdings)).rows[0].state.reason(), Some("its leader n2 runs without JetStream now"));
    }

    #[test]
    fn a_consumer_that_only_a_silent_server_held_is_missing_too() {
        let of_stream = cluster("n1", &["n2"]);
        let alone = cluster("n2", &[]);
        let told = |server: &str, rows: &[Value]| one(server, stream(9, &of_stream, rows));
        let last = joined(vec![told("n1", &[]), told("n2", &[consumer("reserve", 4, &alone)])], &[], None).streams;
        let holdings = joined(vec![told("n1", &[])], &["n2"], Some(&last));
        let listing = consumers(only(&holdings));
        assert_eq!((listing.rows.len(), &*listing.missing[0].name), (0, "reserve"));
        assert_eq!(only(&holdings).state.fresh().unwrap().consumers, 1);
    }

    /// The answer of a round that did not ask how things are set up.
    fn bare(mut answer: JszAnswer) -> JszAnswer {
        for stream in answer.data.iter_mut().flat_map(|data| &mut data.account_details[0].stream_detail) {
            stream.config = None;
            stream.consumer_detail.iter_mut().for_each(|consumer| consumer.config = None);
        }
        answer
    }

    #[test]
    fn how_things_are_set_up_is_kept_from_round_to_round() {
        let none: Option<ClusterInfo> = None;
        assert!(leads(none.as_ref(), "n1"));
        let told = || one("n1", stream(9, &Value::Null, &[consumer("reserve", 3, &Value::Null)]));
        let unread = joined(vec![bare(told())], &[], None);
        assert_eq!((unread.lacks_configs, &*unread.streams.missing[0].reason), (true, UNREAD));
        let first = joined(vec![told()], &[], None).streams;
        for answer in [bare(told()), told()] {
            let next = joined(vec![answer], &[], Some(&first));
            let (before, now) = (&first.rows[0], only(&next));
            assert!(Arc::ptr_eq(&before.config, &now.config) && !next.lacks_configs);
            assert!(Arc::ptr_eq(&consumers(before).rows[0].config, &consumers(now).rows[0].config));
        }
    }

    #[test]
    fn accounts_that_share_a_name_are_told_apart() {
        let of = |id: &str| account("APP", id, &[stream(9, &Value::Null, &[])]);
        let holdings = joined(vec![answer("n1", &[of("AAA"), of("ABB")])], &[], None);
        let accounts: Vec<&str> = holdings.streams.rows.iter().map(|stream| &*stream.account).collect();
        assert_eq!(accounts, ["APP", "APP (ABB)"]);
    }
}
