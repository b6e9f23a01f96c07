//! Services: their instances with probes and workers, as they tell of themselves.

use std::collections::BTreeMap;

use askama::{Template, filters::HtmlSafe};

use super::{
    Look,
    asked::AskedPanel,
    consumers::page_of,
    elsewhere::Elsewhere,
    format,
    map::{Thing, on_map},
    pieces::{Gap, Level, Moment, Sign, Stamp, short},
    standing::{self, Standing},
    strip::Strip,
};
use crate::{
    presence::{Presence, Probe, Worker},
    snapshot::{Entry, Watched},
};

/// Instances of a service, parts of a probe and workers of an instance that are shown, each.
const ROWS_MOST: usize = 50;

/// Services by name.
#[derive(Template)]
#[template(path = "parts/services.html")]
pub(super) struct ServiceList {
    /// The account, where there are several.
    account: Option<String>,
    id: String,
    gap: Option<Gap>,
    stamp: Option<Stamp>,
    note: Option<String>,
    /// What is wrong then stands once above the list.
    is_stale: bool,
    is_page: bool,
    services: Vec<Service>,
}

impl HtmlSafe for ServiceList {}

struct Service {
    id: String,
    name: String,
    map_href: String,
    summary: Sign,
    /// On the page of services alone.
    elsewhere: Elsewhere,
    instances: Vec<Instance>,
    more: usize,
}

struct Instance {
    id: String,
    key: String,
    name: String,
    version: String,
    address: Option<String>,
    sign: Sign,
    why: String,
    started: Moment,
    written: Moment,
    probes: Vec<ProbeView>,
    past: Option<Strip>,
    workers: Vec<WorkerRow>,
}

struct ProbeView {
    sign: Sign,
    parts: Vec<PartRow>,
}

struct PartRow {
    sign: Sign,
    reason: String,
    age: String,
}

struct WorkerRow {
    consumer: String,
    /// The page of the consumer, if it is known.
    href: Option<String>,
    stream: String,
    running: String,
    handled: String,
    failed: String,
    p50: String,
    p99: String,
}

/// The page of services, which shows at once what the list folds away.
#[derive(Template)]
#[template(path = "pages/services.html")]
pub(super) struct ServicesPage {
    asked: Option<AskedPanel>,
    /// Of the only account, where there is but one.
    stamp: Option<Stamp>,
    lists: Vec<ServiceList>,
}

impl ServicesPage {
    pub(super) fn of(look: &Look<'_>) -> Self {
        let lists = ServiceList::all(look).into_iter().map(|list| ServiceList { is_page: true, ..list });
        let stamp = if look.watches_several() { None } else { Stamp::of(&look.snapshot.app.presence, look) };
        Self { asked: AskedPanel::of(look), stamp, lists: lists.collect() }
    }
}

impl ServiceList {
    /// A list for each account in which somebody tells of himself.
    pub(super) fn all(look: &Look<'_>) -> Vec<Self> {
        let accounts = look.telling(|watched| &watched.presence);
        accounts.into_iter().map(|watched| Self::of(watched, look)).collect()
    }

    fn of(watched: &Watched, look: &Look<'_>) -> Self {
        let presence = &watched.presence;
        let entries = presence.value().map(|bucket| bucket.entries.as_slice()).unwrap_or_default();
        let here = entries.iter().map(|entry| (entry, standing::of_instance(entry, presence)));
        let gone = watched.gone.iter().map(|entry| (entry, standing::of_gone()));
        let mut services = BTreeMap::<&str, Vec<(&Entry<Presence>, Standing)>>::new();
        for (entry, standing) in here.chain(gone) {
            services.entry(&entry.value.service).or_default().push((entry, standing));
        }
        let malformed = presence.value().map_or(0, |bucket| bucket.malformed);
        let is_empty = services.is_empty() && malformed == 0;
        let gap = Gap::of(presence, "services");
        let services = services.into_iter().map(|(name, entries)| Service::of(name, entries, watched, look));
        Self {
            account: look.account_of(watched),
            id: look.anchor(watched, "services"),
            gap: gap.or_else(|| is_empty.then(|| Gap::empty("No instance tells of itself at the moment."))),
            stamp: Stamp::of(presence, look),
            note: unreadable(malformed),
            is_stale: presence.fresh().is_none(),
            is_page: false,
            services: services.collect(),
        }
    }
}

/// What is said of entries that could not be understood.
pub(super) fn unreadable(malformed: usize) -> Option<String> {
    (malformed > 0).then(|| format!("{} could not be understood and is left out.", format::counted(malformed, "entry")))
}

impl Service {
    fn of(name: &str, mut entries: Vec<(&Entry<Presence>, Standing)>, watched: &Watched, look: &Look<'_>) -> Self {
        let worst = entries.iter().map(|(_, standing)| standing.level()).max().unwrap_or(Level::Unknown);
        let ready = entries.iter().filter(|(_, standing)| standing.level() == Level::Ok).count();
        let all = entries.len();
        entries.sort_by(|(a, left), (b, right)| {
            right.level().trouble().cmp(&left.level().trouble()).then_with(|| a.key.cmp(&b.key))
        });
        let shown = entries.into_iter().take(ROWS_MOST);
        let instances: Vec<Instance> =
            shown.map(|(entry, standing)| Instance::of(entry, standing, watched, look)).collect();
        let summary = if watched.presence.fresh().is_some() {
            Sign::new(worst, format!("{ready} of {all} ready"))
        } else {
            Sign::new(Level::Unknown, "stale")
        };
        let map_href = on_map(Thing::Service(name.to_owned()), look);
        let elsewhere = Elsewhere::of_service(name, look);
        let name = format::cut(name);
        Self {
            id: look.anchor(watched, &name),
            name,
            map_href,
            summary,
            elsewhere,
            more: all - instances.len(),
            instances,
        }
    }
}

impl Instance {
    fn of(entry: &Entry<Presence>, standing: Standing, watched: &Watched, look: &Look<'_>) -> Self {
        let presence = &entry.value;
        let probes = &presence.probes;
        let is_heard = standing.is_heard();
        let workers = presence.workers.iter().take(ROWS_MOST).map(|worker| WorkerRow::of(worker, watched, look));
        Self {
            id: look.anchor(watched, &entry.key),
            key: entry.key.clone(),
            name: short(&presence.instance),
            version: format::cut(&presence.version),
            address: presence.address.as_deref().map(format::cut),
            sign: standing.sign,
            why: format::cut(&standing.why),
            started: Moment::length(presence.started, look),
            written: Moment::ago(entry.written, look),
            probes: vec![
                ProbeView::of("live", &probes.live, is_heard),
                ProbeView::of("ready", &probes.ready, is_heard),
                ProbeView::of("startup", &probes.startup, is_heard),
            ],
            past: Strip::of(watched.name(), &entry.key, look),
            workers: workers.collect(),
        }
    }
}

impl ProbeView {
    fn of(name: &str, probe: &Probe, is_heard: bool) -> Self {
        let level = match probe.passes {
            _ if !is_heard => Level::Unknown,
            true => Level::Ok,
            false => Level::Critical,
        };
        let parts = probe.parts.iter().take(ROWS_MOST).map(|part| PartRow {
            sign: Sign::new(if part.passes { Level::Ok } else { Level::Critical }, format::cut(&part.name)),
            reason: format::cut(&part.reason),
            age: format::since_seconds(part.age_seconds),
        });
        Self { sign: Sign::new(level, name), parts: parts.collect() }
    }
}

impl WorkerRow {
    fn of(worker: &Worker, watched: &Watched, look: &Look<'_>) -> Self {
        let consumer = look.snapshot.consumer(watched.name(), &worker.stream, &worker.consumer);
        let took = |seconds: Option<f64>| seconds.map_or_else(|| "–".to_owned(), format::took);
        Self {
            href: consumer.map(|consumer| look.link(&page_of(consumer))),
            consumer: worker.consumer.to_string(),
            stream: worker.stream.to_string(),
            running: format!("{} of {}", worker.running, worker.concurrency),
            handled: format::count(worker.handled),
            failed: format::count(worker.failed),
            p50: took(worker.p50_seconds),
            p99: took(worker.p99_seconds),
        }
    }
}
