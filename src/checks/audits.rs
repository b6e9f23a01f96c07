//! The audits: what is found of servers, streams and consumers by looking at one snapshot, one file each.
//!
//! Convention: they look for what `nats audit analyze` does (`audit` in <https://github.com/nats-io/jsm.go>), and unlike there what one
//! round shows is enough. What nobody told is not found fault with.

mod account_full;
mod account_limits;
mod account_unread;
mod certificate_ends;
mod cluster_spaces;
mod consumer_threshold;
mod cpu_high;
mod domain_spaces;
mod gateways_differ;
mod ha_assets;
mod high_cardinality;
mod jetstream_full;
mod jetstream_off;
mod leaf_spaces;
mod limit_full;
mod limit_near;
mod memory_outlier;
mod meta_leader;
mod meta_offline;
mod no_login;
mod notes_unreadable;
mod offline_replicas;
mod origin_fails;
mod probe_fails;
mod ready_not_consuming;
mod replicas_behind;
mod server_cannot_write;
mod server_silent;
mod server_unhealthy;
mod slow_consumers;
mod stream_threshold;
mod stream_threshold_near;
mod support;
mod versions_differ;
#[cfg(test)]
pub(super) mod world;

use std::{collections::BTreeMap, sync::Arc};

use super::monitor::Notes;
use crate::{
    clock::Timestamp,
    config::Thresholds,
    snapshot::{Consumer, ConsumerState, Finding, Server, ServerSetup, Severity, Snapshot, Stream, StreamState},
};

/// Findings that one check makes at the most; how many more there are is said.
const MOST: usize = 500;

/// A check of what is there now.
#[derive(Debug)]
pub struct Audit {
    /// Its name.
    pub name: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What it finds, as a rule.
    pub rule: &'static str,
    /// What it is read from.
    pub evidence: &'static str,
    /// How much makes it worth a finding.
    pub threshold: &'static str,
    /// What to do about it.
    pub next_step: &'static str,
    look: fn(&Scene<'_>) -> Vec<Seen>,
}

/// All of them, the worst first.
pub const AUDITS: &[Audit] = &[
    consumer_threshold::AUDIT,
    stream_threshold::AUDIT,
    offline_replicas::AUDIT,
    meta_leader::AUDIT,
    meta_offline::AUDIT,
    server_silent::AUDIT,
    jetstream_off::AUDIT,
    server_cannot_write::AUDIT,
    limit_full::AUDIT,
    certificate_ends::AUDIT,
    account_full::AUDIT,
    probe_fails::AUDIT,
    account_unread::AUDIT,
    ready_not_consuming::AUDIT,
    server_unhealthy::AUDIT,
    limit_near::AUDIT,
    origin_fails::AUDIT,
    replicas_behind::AUDIT,
    stream_threshold_near::AUDIT,
    account_limits::AUDIT,
    jetstream_full::AUDIT,
    cpu_high::AUDIT,
    versions_differ::AUDIT,
    ha_assets::AUDIT,
    gateways_differ::AUDIT,
    high_cardinality::AUDIT,
    cluster_spaces::AUDIT,
    domain_spaces::AUDIT,
    leaf_spaces::AUDIT,
    memory_outlier::AUDIT,
    slow_consumers::AUDIT,
    no_login::AUDIT,
    notes_unreadable::AUDIT,
];

/// What audits look at.
struct Scene<'a> {
    snapshot: &'a Snapshot,
    thresholds: &'a Thresholds,
}

/// One thing that an audit found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    account: Option<Arc<str>>,
    about: String,
    sentence: String,
    evidence: String,
}

/// What all audits find, the worst first.
pub fn audit(snapshot: &Snapshot, thresholds: &Thresholds) -> Vec<Finding> {
    let scene = Scene { snapshot, thresholds };
    AUDITS.iter().flat_map(|audit| audit.findings(&scene)).collect()
}

impl Audit {
    fn findings(&self, scene: &Scene<'_>) -> Vec<Finding> {
        let mut seen = (self.look)(scene);
        let more = seen.len().saturating_sub(MOST);
        seen.truncate(MOST);
        let more = (more > 0).then(|| Seen {
            account: None,
            about: format!("{more} more"),
            sentence: "The same was found of them.".to_owned(),
            evidence: format!("{MOST} are told of one by one"),
        });
        seen.into_iter().chain(more).map(|seen| self.finding(seen)).collect()
    }

    fn finding(&self, seen: Seen) -> Finding {
        Finding {
            check: self.name,
            severity: self.severity,
            account: seen.account.map(|account| account.to_string()),
            about: seen.about,
            sentence: seen.sentence,
            evidence: seen.evidence,
            next_step: self.next_step.to_owned(),
            since: None,
        }
    }
}

impl<'a> Scene<'a> {
    fn now(&self) -> Timestamp {
        self.snapshot.taken
    }

    /// The servers, if they were read in this round.
    fn servers(&self) -> &'a [Server] {
        self.snapshot.servers.fresh().map_or(&[], Vec::as_slice)
    }

    /// The servers that told how they are set up.
    fn setups(&self) -> impl Iterator<Item = (&'a Server, &'a ServerSetup)> {
        self.servers().iter().filter_map(|server| Some((server, &**server.setup.as_ref()?)))
    }

    /// The streams of which something may be told, and what they held if that is fresh.
    fn streams(&self) -> impl Iterator<Item = (&'a Stream, Option<&'a StreamState>)> {
        let heard = self.snapshot.known_streams().iter().filter(|stream| !is_silenced(&stream.config.metadata));
        heard.map(|stream| (stream, stream.state.fresh()))
    }

    /// The consumers of which something may be told, and how far they were if that is fresh.
    fn consumers(&self) -> impl Iterator<Item = (&'a Consumer, Option<&'a ConsumerState>)> {
        let lists = self.streams().filter_map(|(stream, _)| stream.consumers.value());
        let heard = lists.flat_map(|list| &list.rows).filter(|consumer| !is_silenced(&consumer.config.metadata));
        heard.map(|consumer| (consumer, consumer.state.fresh()))
    }
}

fn is_silenced(metadata: &BTreeMap<String, String>) -> bool {
    Notes(metadata).is_silenced()
}

#[cfg(test)]
mod tests {
    use super::{
        world::{World, stream},
        *,
    };

    #[test]
    fn the_worst_comes_first_and_names_are_told_apart() {
        assert!(AUDITS.is_sorted_by_key(|audit| std::cmp::Reverse(audit.severity)));
        let mut names: Vec<&str> =
            AUDITS.iter().map(|audit| audit.name).chain(crate::checks::LINTS.iter().map(|l| l.name)).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn nothing_is_found_before_anything_is_known() {
        assert_eq!(audit(&World::default().snapshot(), &Thresholds::default()), []);
    }

    #[test]
    fn a_crowd_is_counted() {
        let streams = (0..MOST + 7).map(|number| {
            let mut stream = stream(&format!("S{number}"));
            stream.state = stream.state.map(|state| StreamState { subjects: 2_000_000, ..state });
            stream
        });
        let found = audit(&World { streams: streams.collect(), ..World::default() }.snapshot(), &Thresholds::default());
        assert_eq!((found.len(), found[MOST].about.as_str()), (MOST + 1, "7 more"));
    }
}
