//! The instances that pull from a consumer, by what they say of themselves, held against its ack wait.

use askama::{Template, filters::HtmlSafe};

use super::{
    Look, format,
    page::{Page, encoded},
    pieces::{Gap, Level, Moment, Sign, Stamp, short},
};
use crate::{
    presence::Worker,
    snapshot::{Consumer, Reading, Watched, Why},
};

/// Instances listed that pull from it.
const WORKERS_MOST: usize = 50;

/// Who pulls.
#[derive(Template)]
#[template(path = "parts/workers.html")]
pub(super) struct WorkerTable {
    gap: Option<Gap>,
    stamp: Option<Stamp>,
    rows: Vec<WorkerRow>,
}

impl HtmlSafe for WorkerTable {}

/// An instance that pulls from it.
struct WorkerRow {
    instance: String,
    service: String,
    href: String,
    running: String,
    handled: String,
    failed: String,
    p50: String,
    p99: String,
    against: Sign,
    gates: String,
    written: Moment,
}

impl WorkerTable {
    pub(super) fn of(consumer: &Consumer, look: &Look<'_>) -> Self {
        let Some(watched) = look.snapshot.account(&consumer.account) else {
            let reason = format!("that needs a user in account {}", consumer.account);
            let gap = Gap::of(&Reading::<()>::unknown(Why::Hidden, reason), "workers");
            return Self { gap, stamp: None, rows: Vec::new() };
        };
        let presence = &watched.presence;
        let rows = rows(consumer, watched, look);
        let no_one =
            "No instance says of itself that it pulls from it. Workers of other libraries do not tell of themselves.";
        let gap = Gap::of(presence, "workers").or_else(|| rows.is_empty().then(|| Gap::empty(no_one)));
        Self { gap, stamp: Stamp::of(presence, look), rows }
    }
}

/// The instances that say of themselves that they pull from it.
fn rows(consumer: &Consumer, watched: &Watched, look: &Look<'_>) -> Vec<WorkerRow> {
    let entries = watched.presence.value().into_iter().flat_map(|bucket| &bucket.entries);
    let of_it = entries.flat_map(|entry| {
        let workers = entry.value.workers.iter();
        let those = workers.filter(|worker| worker.consumer == consumer.name && worker.stream == consumer.stream);
        those.map(move |worker| (entry, worker))
    });
    let took = |seconds: Option<f64>| seconds.map_or_else(|| "–".to_owned(), format::took);
    of_it
        .take(WORKERS_MOST)
        .map(|(entry, worker)| WorkerRow {
            instance: short(&entry.value.instance),
            service: format::cut(&entry.value.service),
            href: format!("{}#instance-{}", look.link(&Page::Services), encoded(&look.anchor(watched, &entry.key))),
            running: format!("{} of {}", worker.running, worker.concurrency),
            handled: format::count(worker.handled),
            failed: format::count(worker.failed),
            p50: took(worker.p50_seconds),
            p99: took(worker.p99_seconds),
            against: against(worker.p99_seconds, consumer),
            gates: gates(worker),
            written: Moment::ago(entry.written, look),
        })
        .collect()
}

/// The slowest handlers against the time that the server waits before it delivers again.
fn against(p99: Option<f64>, consumer: &Consumer) -> Sign {
    let wait = consumer.config.ack_wait;
    match p99 {
        _ if wait.is_zero() => Sign::new(Level::Idle, "no ack wait"),
        None => Sign::new(Level::Unknown, "no handler yet"),
        Some(p99) if p99 > wait.as_secs_f64() => {
            Sign::new(Level::Warning, format!("over ack wait of {}", format::age(wait)))
        }
        Some(_) => Sign::new(Level::Ok, format!("within ack wait of {}", format::age(wait))),
    }
}

/// Its breaker and kill switch, where they are not closed.
fn gates(worker: &Worker) -> String {
    let gates = [("breaker", &worker.breaker), ("kill switch", &worker.kill_switch)];
    let open = gates.into_iter().filter_map(|(name, state)| {
        let state = state.as_deref().filter(|state| *state != "closed")?;
        Some(format!("{name} {}", format::cut(state)))
    });
    open.collect::<Vec<_>>().join(", ")
}
