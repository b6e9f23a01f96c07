//! The lints over every account of a snapshot: an account cannot see what another holds, so each is looked at for itself.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use super::{
    lint,
    monitor::Notes,
    support::{consumer_in_words, stream_in_words},
};
use crate::snapshot::{Configs, Finding, Snapshot};

/// What the lints find in `snapshot`, the worst first. What its makers silenced is not told of.
pub fn lint_all(snapshot: &Snapshot) -> Vec<Finding> {
    let mut found: Vec<Finding> =
        by_account(snapshot).into_iter().flat_map(|(account, configs)| lint_one(&account, &configs)).collect();
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

fn lint_one(account: &str, configs: &Configs) -> Vec<Finding> {
    let silenced = silenced(configs);
    let mut found = lint(configs);
    found.retain(|finding| !silenced.contains(&finding.about));
    found.iter_mut().for_each(|finding| finding.account = Some(account.to_owned()));
    found
}

fn by_account(snapshot: &Snapshot) -> BTreeMap<Arc<str>, Configs> {
    let mut accounts: BTreeMap<Arc<str>, Configs> = BTreeMap::new();
    for stream in snapshot.known_streams() {
        let configs = accounts.entry(stream.account.clone()).or_default();
        configs.is_clustered |= stream.state.value().is_some_and(|state| state.cluster.is_some());
        configs.streams.push((*stream.config).clone());
        let consumers = stream.consumers.value().map_or(&[][..], |consumers| &consumers.rows);
        let durable = consumers.iter().filter(|consumer| consumer.config.is_durable());
        configs.consumers.extend(durable.map(|consumer| (*consumer.config).clone()));
    }
    for (account, worker) in snapshot.workers() {
        if let Some(configs) = accounts.get_mut(account) {
            configs.workers.push(worker);
        }
    }
    accounts
}

/// The things of which nothing is to be told, in the words of findings.
fn silenced(configs: &Configs) -> HashSet<String> {
    let quiet: HashSet<&str> = configs
        .streams
        .iter()
        .filter(|stream| Notes(&stream.metadata).is_silenced())
        .map(|stream| stream.name.as_str())
        .collect();
    let streams = configs.streams.iter().filter(|stream| quiet.contains(stream.name.as_str())).map(stream_in_words);
    let is_quiet = |stream: &str, metadata| quiet.contains(stream) || Notes(metadata).is_silenced();
    let consumers = configs.consumers.iter().filter(|one| is_quiet(&one.stream, &one.metadata)).map(consumer_in_words);
    streams.chain(consumers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::audits::world::{World, consumer, noted, stream_with},
        snapshot::{ConsumerConfig, ConsumerState, Stream},
    };

    fn check(streams: Vec<Stream>, expected: &[(&str, &str, &str)]) {
        let found = lint_all(&World { streams, ..World::default() }.snapshot());
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.check, one.account.as_deref().unwrap_or_default(), one.about.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    fn stream(account: &str, name: &str, subject: &str) -> Stream {
        let mut config = crate::checks::support::facts::consumer(name, "reserve");
        config.max_deliver = 5;
        let mut reserve = consumer("reserve", &[], ConsumerState::default());
        reserve.config = Arc::new(ConsumerConfig { ..config });
        let mut stream = stream_with(name, vec![reserve]);
        stream.config = Arc::new(crate::checks::support::facts::stream(name, subject));
        stream.account = account.into();
        stream
    }

    const ADVISORIES: &str = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>";

    #[test]
    fn an_account_is_not_helped_by_what_another_holds() {
        let letters = |account| stream(account, "DEAD_LETTERS", "dead.>");
        let mut advisories = stream("B", "ADVISORIES", ADVISORIES);
        advisories.consumers = stream_with("ADVISORIES", Vec::new()).consumers;
        let all = vec![letters("A"), letters("B"), advisories];
        check(all, &[("gives_up_unseen", "A", "consumer reserve of stream DEAD_LETTERS")]);
    }

    #[test]
    fn what_is_silenced_is_not_told_of() {
        let quiet = noted(stream("A", "DEAD_LETTERS", "dead.>"), &[("enabled", "false")]);
        check(vec![quiet], &[]);
    }
}
