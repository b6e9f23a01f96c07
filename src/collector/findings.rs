//! What the checks find of all but the state of consumers, and since when: kept from round to round.

use std::{collections::HashMap, sync::Arc};

use super::history::Earlier;
use crate::{
    checks,
    clock::Timestamp,
    config::Thresholds,
    snapshot::{ConsumerConfig, Finding, Snapshot, StreamConfig, WorkerFact},
};

/// What tells findings apart: the check, the account and what it is about.
type Key<'a> = (&'static str, Option<&'a str>, &'a str);

/// The findings of the round before.
#[derive(Debug)]
pub(super) struct Findings {
    thresholds: Thresholds,
    last: Vec<Arc<Finding>>,
    audits: Vec<Arc<Finding>>,
    linted: Option<Linted>,
    /// There may be some for each of thousands of consumers, so they go from round to round as they are.
    lints: Vec<Arc<Finding>>,
}

/// What the lints were asked of. They compare everything with everything, so they are asked anew only when something changed.
#[derive(Debug, PartialEq)]
struct Linted {
    streams: Vec<(Arc<str>, Arc<StreamConfig>)>,
    /// The durable ones; of others the lints know nothing.
    consumers: Vec<(Arc<str>, Arc<ConsumerConfig>)>,
    workers: Vec<(String, WorkerFact)>,
}

impl Findings {
    pub(super) fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, last: Vec::new(), audits: Vec::new(), linted: None, lints: Vec::new() }
    }

    /// Writes down what is found in `snapshot`, the worst first. A round that did not read the streams leaves what was found of them
    /// before; what the servers say of themselves may be why they were not read.
    pub(super) fn look(&mut self, snapshot: &mut Snapshot, earlier: &Earlier) {
        let has_streams = snapshot.streams.fresh().is_some();
        if has_streams || snapshot.servers.fresh().is_some() {
            let found = dated(checks::audit(snapshot, &self.thresholds), (&self.audits, earlier), snapshot.taken);
            if has_streams {
                self.lint(snapshot, earlier);
                self.audits = found;
            } else {
                self.audits.retain(|finding| !is_of_servers(finding));
                self.audits.extend(found.into_iter().filter(|finding| is_of_servers(finding)));
            }
            self.last = self.audits.iter().chain(&self.lints).cloned().collect();
            self.last.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        }
        snapshot.findings.clone_from(&self.last);
    }

    fn lint(&mut self, snapshot: &Snapshot, earlier: &Earlier) {
        let now = Linted::of(snapshot);
        if self.linted.as_ref() != Some(&now) {
            self.lints = dated(checks::lint_all(snapshot), (&self.lints, earlier), snapshot.taken);
            self.linted = Some(now);
        }
    }
}

/// What was found, each with the time since which it was found in every round, of this run or of the one before.
fn dated(found: Vec<Finding>, (before, earlier): (&[Arc<Finding>], &Earlier), now: Timestamp) -> Vec<Arc<Finding>> {
    let before: HashMap<Key<'_>, Option<Timestamp>> =
        before.iter().map(|finding| (key(finding), finding.since)).collect();
    let date = |mut finding: Finding| {
        let since = before.get(&key(&finding)).copied().flatten();
        finding.since = since.or_else(|| earlier.found(&finding)).or(Some(now));
        Arc::new(finding)
    };
    found.into_iter().map(date).collect()
}

/// Whether it is found of what servers say of themselves.
fn is_of_servers(finding: &Finding) -> bool {
    let is_about = |what| finding.about.starts_with(what);
    finding.account.is_none() && (is_about("server ") || is_about("cluster ") || finding.about == "the servers")
}

fn key(finding: &Finding) -> Key<'_> {
    (finding.check, finding.account.as_deref(), &finding.about)
}

impl Linted {
    fn of(snapshot: &Snapshot) -> Self {
        let streams = snapshot.known_streams().iter().map(|stream| (stream.account.clone(), stream.config.clone()));
        let durable = snapshot.known_consumers().filter(|consumer| consumer.config.is_durable());
        let consumers = durable.map(|consumer| (consumer.account.clone(), consumer.config.clone()));
        // How many run changes all the time, and no lint asks for it.
        let at_rest = |worker| WorkerFact { running: 0, ..worker };
        let workers = snapshot.workers().map(|(account, worker)| (account.to_owned(), at_rest(worker)));
        Self { streams: streams.collect(), consumers: consumers.collect(), workers: workers.collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::snapshot::{Contact, Listing, Reading, Stream, StreamState, Why};

    fn at(second: u64) -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap().after(Duration::from_secs(second))
    }

    fn round(second: u64, streams: Reading<Listing<Stream>>) -> Snapshot {
        let contact = Contact::standing_since(at(0));
        let mut snapshot = Snapshot::before_the_first(contact, Duration::from_secs(10), at(second));
        snapshot.app.name = Some("A".into());
        snapshot.streams = streams;
        snapshot
    }

    fn listed(subjects: u64, max_msgs: i64) -> Reading<Listing<Stream>> {
        let config = StreamConfig { name: "ORDERS".to_owned(), max_msgs, num_replicas: 1, ..StreamConfig::default() };
        let stream = Stream {
            account: "A".into(),
            name: "ORDERS".parse().unwrap(),
            config: Arc::new(config),
            created: at(0),
            state: Reading::known(StreamState { subjects, ..StreamState::default() }, "n1", at(0)),
            trend: None,
            consumers: Reading::known(Listing::default(), "n1", at(0)),
        };
        Reading::known(Listing { rows: vec![stream], missing: Vec::new() }, "n1", at(0))
    }

    /// What is found, and since which second.
    fn check(findings: &mut Findings, mut snapshot: Snapshot, expected: &[(&str, u64)]) {
        findings.look(&mut snapshot, &Earlier::default());
        let found: Vec<_> = snapshot.findings.iter().map(|found| (found.check, found.since)).collect();
        let expected: Vec<_> = expected.iter().map(|(check, second)| (*check, Some(at(*second)))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_finding_is_dated_by_the_first_of_the_rounds_that_show_it() {
        let mut findings = Findings::new(Thresholds { subjects: 5, ..Thresholds::default() });
        check(&mut findings, round(1, listed(6, 0)), &[("high_cardinality", 1), ("no_limits", 1)]);
        check(&mut findings, round(2, listed(7, 0)), &[("high_cardinality", 1), ("no_limits", 1)]);
        check(&mut findings, round(3, listed(5, 0)), &[("no_limits", 1)]);
        check(&mut findings, round(4, listed(6, 10)), &[("high_cardinality", 4)]);
        check(&mut findings, round(5, listed(6, 0)), &[("high_cardinality", 4), ("no_limits", 5)]);
    }

    #[test]
    fn a_round_that_read_nothing_finds_what_was_found_before() {
        let mut findings = Findings::new(Thresholds::default());
        check(&mut findings, round(1, listed(0, 0)), &[("no_limits", 1)]);
        check(&mut findings, round(2, Reading::unknown(Why::Failed, "lost")), &[("no_limits", 1)]);
        check(&mut findings, round(3, listed(0, 0)), &[("no_limits", 1)]);
    }

    #[test]
    fn what_servers_say_is_found_in_a_round_that_read_no_streams() {
        let mut server = crate::checks::a_server_without_jetstream("n1");
        server.cluster = Some("far east".into());
        let unread = |second| {
            let mut snapshot = round(second, Reading::unknown(Why::Failed, "JetStream is off"));
            snapshot.servers = Reading::known(vec![server.clone()], "n1", at(second));
            snapshot
        };
        let mut findings = Findings::new(Thresholds::default());
        check(&mut findings, round(1, listed(0, 0)), &[("no_limits", 1)]);
        let expected = [("jetstream_off", 2), ("cluster_spaces", 2), ("no_limits", 1)];
        check(&mut findings, unread(2), &expected);
        check(&mut findings, unread(3), &expected);
        check(&mut findings, round(4, listed(0, 0)), &[("no_limits", 1)]);
    }
}
