//! Instances of services, as they tell of themselves.

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Route, json,
    known::{Known, Moment},
};
use crate::{
    clock::Timestamp,
    presence::{Presence, Probe, ProbePart, Worker},
    snapshot::{AskedProbe, Entry, ProbePast, Probed, Snapshot, Watched},
};

/// What instances of services say of themselves.
pub(super) const ROUTE: Route = Route {
    path: "/services",
    summary: "What instances of services say of themselves, and those that fell silent.",
    query: &[],
    schema: |generator| generator.subschema_for::<Services>(),
    answer: |ask| json(&Services::of(ask.snapshot, ask.now)),
};

/// The instances that tell of themselves, and those that stopped doing so.
#[derive(Serialize, JsonSchema)]
struct Services {
    instances: Known<Vec<Instance>>,
    /// The same of the further accounts that are watched.
    others: Vec<OfAccount>,
    /// Probes that the operator named, and what each answered.
    asked: Vec<AskedAnswer>,
    /// Instances that fell silent without having said that they end, as last heard.
    gone: Vec<Instance>,
}

/// The instances of a further account.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ServicesOfAccount")]
struct OfAccount {
    /// Its name; null where that is not known.
    account: Option<String>,
    instances: Known<Vec<Instance>>,
    gone: Vec<Instance>,
}

/// One running instance of a service.
#[derive(Serialize, JsonSchema)]
struct Instance {
    service: String,
    /// Tells this instance from the service's others; a restart makes a new one.
    instance: String,
    version: String,
    started: Moment,
    /// When it last told of itself.
    written: Moment,
    age_seconds: f64,
    /// Where its probes and metrics answer, as it says.
    address: Option<String>,
    live: ProbeAnswer,
    ready: ProbeAnswer,
    startup: ProbeAnswer,
    /// What its probes said in the last rounds, the newest last.
    past: Vec<ProbedAnswer>,
    /// The consumers that it pulls from.
    workers: Vec<WorkerAnswer>,
}

/// A probe that was asked.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AskedProbe")]
struct AskedAnswer {
    name: String,
    url: String,
    passes: bool,
    /// The status of its answer; null where there is none.
    status: Option<u16>,
    /// What it answered, or why it did not.
    said: String,
    took_seconds: f64,
    /// When it was asked.
    at: Moment,
}

impl AskedAnswer {
    fn of(probe: &AskedProbe) -> Self {
        Self {
            name: probe.name.clone(),
            url: probe.url.clone(),
            passes: probe.passes(),
            status: probe.answer.as_ref().ok().copied(),
            said: probe.said(),
            took_seconds: probe.took.as_secs_f64(),
            at: Moment(probe.at),
        }
    }
}

/// What an instance's probes said in one round.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Probed")]
struct ProbedAnswer {
    /// When the round ended.
    at: Moment,
    /// `ready`, `not_ready`, `not_live`, or `unknown` where it was not heard.
    said: Said,
}

/// What probes said.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ProbedSaid")]
enum Said {
    Ready,
    NotReady,
    NotLive,
    Unknown,
}

impl From<Probed> for Said {
    fn from(probed: Probed) -> Self {
        match probed {
            Probed::Ready => Self::Ready,
            Probed::NotReady => Self::NotReady,
            Probed::NotLive => Self::NotLive,
            Probed::Unknown => Self::Unknown,
        }
    }
}

/// The answer to one question about a process.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Probe")]
struct ProbeAnswer {
    passes: bool,
    parts: Vec<PartAnswer>,
}

/// One thing that a probe looked at.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProbePart")]
struct PartAnswer {
    name: String,
    passes: bool,
    reason: String,
    age_seconds: f64,
}

/// A worker of the instance.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Worker")]
struct WorkerAnswer {
    stream: String,
    consumer: String,
    /// Handlers that may run at once.
    concurrency: u32,
    running: u32,
    /// Handlers that ended since the instance started.
    handled: u64,
    /// Of these, those that did not end in success.
    failed: u64,
    p50_seconds: Option<f64>,
    p99_seconds: Option<f64>,
    /// What its breaker lets through: `closed`, `half-open` or `open`.
    breaker: Option<String>,
    kill_switch: Option<String>,
}

impl Services {
    fn of(snapshot: &Snapshot, now: Timestamp) -> Self {
        let OfAccount { instances, gone, .. } = OfAccount::of(&snapshot.app, &snapshot.probes, now);
        let others = snapshot.others.iter().map(|other| OfAccount::of(other, &snapshot.probes, now)).collect();
        let asked = snapshot.asked_probes.iter().map(AskedAnswer::of).collect();
        Self { instances, others, asked, gone }
    }
}

impl OfAccount {
    fn of(watched: &Watched, past: &ProbePast, now: Timestamp) -> Self {
        let tell = |entries: &[Entry<Presence>]| -> Vec<Instance> {
            entries.iter().map(|entry| Instance::of(watched.name(), entry, past, now)).collect()
        };
        Self {
            account: watched.name.as_deref().map(str::to_owned),
            instances: Known::of(&watched.presence, now, |bucket| tell(&bucket.entries)),
            gone: tell(&watched.gone),
        }
    }
}

impl Instance {
    fn of(account: &str, entry: &Entry<Presence>, past: &ProbePast, now: Timestamp) -> Self {
        let (presence, said) = (&entry.value, past.of(account, &entry.key));
        Self {
            service: presence.service.clone(),
            instance: presence.instance.clone(),
            version: presence.version.clone(),
            started: Moment(presence.started),
            written: Moment(entry.written),
            age_seconds: entry.written.age(now).0.as_secs_f64(),
            address: presence.address.clone(),
            live: ProbeAnswer::of(&presence.probes.live),
            ready: ProbeAnswer::of(&presence.probes.ready),
            startup: ProbeAnswer::of(&presence.probes.startup),
            past: said.map(|(at, said)| ProbedAnswer { at: Moment(at), said: said.into() }).collect(),
            workers: presence.workers.iter().map(WorkerAnswer::of).collect(),
        }
    }
}

impl ProbeAnswer {
    fn of(probe: &Probe) -> Self {
        Self { passes: probe.passes, parts: probe.parts.iter().map(PartAnswer::of).collect() }
    }
}

impl PartAnswer {
    fn of(part: &ProbePart) -> Self {
        Self {
            name: part.name.clone(),
            passes: part.passes,
            reason: part.reason.clone(),
            age_seconds: part.age_seconds,
        }
    }
}

impl WorkerAnswer {
    fn of(worker: &Worker) -> Self {
        Self {
            stream: worker.stream.to_string(),
            consumer: worker.consumer.to_string(),
            concurrency: worker.concurrency,
            running: worker.running,
            handled: worker.handled,
            failed: worker.failed,
            p50_seconds: worker.p50_seconds,
            p99_seconds: worker.p99_seconds,
            breaker: worker.breaker.clone(),
            kill_switch: worker.kill_switch.clone(),
        }
    }
}
