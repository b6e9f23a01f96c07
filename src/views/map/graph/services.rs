//! How services stand, by what their instances tell, and which consumers they say that they pull from.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    clock::Timestamp,
    presence::Presence,
    snapshot::{Entry, Snapshot, Watched},
    views::{
        pieces::Level,
        standing::{self, Standing},
    },
};

/// A service that tells of itself.
#[derive(Debug)]
pub(super) struct Service<'a> {
    pub(super) level: Level,
    ready: usize,
    all: usize,
    is_fresh: bool,
    pub(super) last: Timestamp,
    /// The accounts in which it tells of itself.
    pub(super) accounts: BTreeSet<&'a str>,
    /// How often each consumer is pulled from, by account, stream and name.
    pub(super) pulls: BTreeMap<(&'a str, &'a str, &'a str), usize>,
}

impl Service<'_> {
    /// How it stands, in words.
    pub(super) fn word(&self) -> String {
        if self.is_fresh { format!("{} of {} ready", self.ready, self.all) } else { "stale".to_owned() }
    }
}

/// The services that tell of themselves, by name.
pub(super) fn all(snapshot: &Snapshot) -> BTreeMap<&str, Service<'_>> {
    let mut services = BTreeMap::new();
    for watched in snapshot.watched() {
        let here = watched.presence.value().into_iter().flat_map(|bucket| &bucket.entries);
        here.for_each(|entry| add(&mut services, watched, entry, &standing::of_instance(entry, &watched.presence)));
        watched.gone.iter().for_each(|entry| add(&mut services, watched, entry, &standing::of_gone()));
    }
    services
}

fn add<'a>(
    services: &mut BTreeMap<&'a str, Service<'a>>,
    watched: &'a Watched,
    entry: &'a Entry<Presence>,
    standing: &Standing,
) {
    let level = standing.level();
    let service = services.entry(&entry.value.service).or_insert_with(|| Service {
        level,
        ready: 0,
        all: 0,
        is_fresh: false,
        last: entry.written,
        accounts: BTreeSet::new(),
        pulls: BTreeMap::new(),
    });
    service.level = service.level.max(level);
    service.all += 1;
    service.ready += usize::from(level == Level::Ok);
    service.is_fresh |= watched.presence.fresh().is_some();
    service.last = service.last.max(entry.written);
    service.accounts.insert(watched.name());
    for worker in &entry.value.workers {
        *service.pulls.entry((watched.name(), worker.stream.as_str(), worker.consumer.as_str())).or_default() += 1;
    }
}
