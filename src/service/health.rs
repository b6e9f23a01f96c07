//! What the probes of a process answer, put together from what its parts say when they are asked.
//!
//! Live never depends on the broker: a restart mends no broker. It does depend on the client, which does not come back when it has ended.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Clock, Timestamp},
    consumer::Status,
    errors::ErrorChain,
    nats::Link,
    presence::{Probe, ProbePart, Probes, Worker},
    state::Documents,
};

/// A loop that has not turned for this long is stuck. Loops turn every few seconds at the most, a slow broker included.
const LOOP_LIMIT: Duration = Duration::from_secs(30);

/// How often stores are asked whether they answer.
const STORE_INTERVAL: Duration = Duration::from_secs(5);

/// How long a store may take to answer.
const STORE_LIMIT: Duration = Duration::from_secs(3);

/// What is known of a process's parts.
#[derive(Debug)]
pub struct Health {
    clock: Clock,
    needs_nats: bool,
    parts: Mutex<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    started: Option<Timestamp>,
    draining: Option<Timestamp>,
    link: Option<Link>,
    workers: Vec<Arc<Status>>,
    said: BTreeMap<String, Said>,
}

/// What was last said of a part that cannot be asked.
#[derive(Debug, Clone)]
struct Said {
    passes: bool,
    reason: String,
    since: Timestamp,
}

impl Health {
    /// The health of a process that has not started.
    pub fn new(clock: Clock) -> Self {
        Self { clock, needs_nats: true, parts: Mutex::default() }
    }

    /// The health of a process that has not started and does its work without NATS.
    pub fn without_nats(clock: Clock) -> Self {
        Self { needs_nats: false, ..Self::new(clock) }
    }

    /// The process has started.
    pub fn started(&self) {
        let now = self.clock.now();
        self.lock().started.get_or_insert(now);
    }

    /// The process takes nothing new.
    pub fn drains(&self) {
        let now = self.clock.now();
        self.lock().draining.get_or_insert(now);
    }

    /// Readiness depends on this connection.
    pub fn linked(&self, link: Link) {
        self.lock().link = Some(link);
    }

    /// Whether the connection stands; `None` for a process that has none.
    pub fn is_connected(&self) -> Option<bool> {
        self.lock().link.as_ref().map(|link| link.state().is_connected)
    }

    /// Readiness and liveness depend on this worker.
    pub fn works(&self, status: Arc<Status>) {
        self.lock().workers.push(status);
    }

    /// Readiness depends on a part that says itself how it is.
    pub fn say(&self, part: &str, passes: bool, reason: impl Into<String>) {
        let now = self.clock.now();
        let mut parts = self.lock();
        let since = parts.said.get(part).filter(|said| said.passes == passes).map_or(now, |said| said.since);
        parts.said.insert(part.to_owned(), Said { passes, reason: reason.into(), since });
    }

    /// What the workers do.
    pub fn workers(&self) -> Vec<Worker> {
        self.lock().workers.iter().flat_map(|status| status.told_each()).collect()
    }

    /// The answers to the three questions.
    pub fn probes(&self) -> Probes {
        let parts = self.lock();
        let now = self.clock.now();
        Probes {
            live: probe(parts.live(now)),
            ready: probe(parts.ready(self.needs_nats, now)),
            startup: probe(vec![parts.startup(now)]),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    fn startup(&self, now: Timestamp) -> ProbePart {
        match self.started {
            Some(at) => part("start", true, "started", at, now),
            None => part("start", false, "still starting", now, now),
        }
    }

    fn live(&self, now: Timestamp) -> Vec<ProbePart> {
        let mut live: Vec<_> = self.workers.iter().map(|status| loop_part(status, now)).collect();
        if let Some(link) = self.link.as_ref().map(Link::state).filter(|link| link.is_over) {
            live.push(part("nats client", false, &link.reason, link.since, now));
        }
        live
    }

    fn ready(&self, needs_nats: bool, now: Timestamp) -> Vec<ProbePart> {
        let mut ready = vec![self.startup(now)];
        if let Some(at) = self.draining {
            ready.push(part("drain", false, "the service drains and takes nothing new", at, now));
        }
        match self.link.as_ref().map(Link::state) {
            Some(link) => ready.push(part("nats", link.is_connected, &link.reason, link.since, now)),
            None if needs_nats => ready.push(part("nats", false, "not connected yet", now, now)),
            None => {}
        }
        ready.extend(self.workers.iter().map(|status| {
            // A worker that pauses stays ready: what it waits for is broken elsewhere, so another instance would fare no better, and a
            // roll-out must not wait for it.
            let pull = status.pull();
            let passes = pull.is_pulling || pull.is_paused;
            part(&format!("worker {}", status.consumer), passes, &pull.reason, pull.since, now)
        }));
        let said = self.said.iter();
        ready.extend(said.map(|(name, said)| part(name, said.passes, &said.reason, said.since, now)));
        ready
    }
}

fn loop_part(status: &Status, now: Timestamp) -> ProbePart {
    let still = status.last_tick().age(now);
    let name = format!("loop of {}", status.consumer);
    match still.0 < LOOP_LIMIT {
        true => part(&name, true, "turns", status.began, now),
        false => part(&name, false, "has not turned", status.last_tick(), now),
    }
}

fn part(name: &str, passes: bool, reason: &str, since: Timestamp, now: Timestamp) -> ProbePart {
    let age_seconds = since.age(now).0.as_secs_f64();
    ProbePart { name: name.to_owned(), passes, reason: reason.to_owned(), age_seconds }
}

fn probe(parts: Vec<ProbePart>) -> Probe {
    Probe { passes: parts.iter().all(|part| part.passes), parts }
}

/// Asks a store again and again whether it answers.
pub(super) async fn watch_store<T>(health: Arc<Health>, documents: Documents<T>, stop: CancellationToken)
where
    T: Serialize + DeserializeOwned,
{
    let name = format!("bucket {}", documents.bucket());
    loop {
        match tokio::time::timeout(STORE_LIMIT, documents.reach()).await {
            Ok(Ok(())) => health.say(&name, true, "answers"),
            Ok(Err(error)) => health.say(&name, false, ErrorChain(&error).to_string()),
            Err(_) => health.say(&name, false, format!("no answer within {} s", STORE_LIMIT.as_secs())),
        }
        tokio::select! {
            () = tokio::time::sleep(STORE_INTERVAL) => {}
            () = stop.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> (Health, Clock) {
        let clock = Clock::standing_at(Timestamp::parse("2030-01-31T12:00:00Z").unwrap());
        (Health::new(clock.clone()), clock)
    }

    #[test]
    fn a_process_that_has_not_started_is_live_and_nothing_else() {
        let (health, _) = health();
        let probes = health.probes();
        assert_eq!((probes.live.passes, probes.ready.passes, probes.startup.passes), (true, false, false));
        health.started();
        assert!(health.probes().startup.passes);
        assert!(!health.probes().ready.passes, "there is no connection yet");
    }

    #[test]
    fn a_process_without_nats_is_ready_when_it_has_started() {
        let health = Health::without_nats(Clock::system());
        assert!(!health.probes().ready.passes);
        health.started();
        assert!(health.probes().ready.passes);
    }

    #[test]
    fn a_part_says_since_when_it_is_as_it_is() {
        let (health, clock) = health();
        health.say("bucket stock", true, "answers");
        clock.advance(Duration::from_secs(5));
        health.say("bucket stock", true, "answers");
        clock.advance(Duration::from_secs(5));
        let bucket = |probes: Probes| probes.ready.parts.into_iter().find(|part| part.name == "bucket stock").unwrap();
        assert_eq!(bucket(health.probes()).age_seconds, 10.0);
        health.say("bucket stock", false, "gone");
        let part = bucket(health.probes());
        assert_eq!((part.passes, part.reason.as_str(), part.age_seconds), (false, "gone", 0.0));
    }

    #[test]
    fn draining_ends_readiness_and_not_life() {
        let (health, _) = health();
        health.started();
        health.drains();
        let probes = health.probes();
        assert!(probes.live.passes);
        assert!(probes.ready.parts.iter().any(|part| part.name == "drain" && !part.passes));
    }
}
