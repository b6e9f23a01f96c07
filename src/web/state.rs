//! What the routes share: the newest snapshot, and pages that are drawn once for all who look at the same moment.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{access::Access, assets, journey, messages, records};
use crate::{
    api::{self, Failure, Known},
    broker::Reader,
    clock::{Clock, Timestamp},
    collector::{History, Snapshots},
    config::{BasePath, ToolsConfig},
    snapshot::{Snapshot, Span},
    tasks::aside,
    traces::Traces,
    views::{self, Beside, Follow, Graph, Main, Page, Past, Read, Site, Sources, Traced},
};

/// Streams of updates that may be open at once: one for each visible tab.
const STREAMS_MOST: usize = 512;

/// Drawings that are made at once for tabs that follow a page. More would leave no processor to whoever asks for one.
const TURNS: usize = 2;

/// A drawing serves others for this long; its ages are off by no more.
const FRESH: Duration = Duration::from_millis(300);

/// Drawings kept; searches make the number of pages open-ended.
const DRAWINGS_MOST: usize = 64;

/// What the pages are told about the world around them.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Other tools that show the same.
    pub tools: ToolsConfig,
    /// What stands before the path of every page.
    pub base_path: BasePath,
    /// Who may read them.
    pub access: Access,
    /// The traces that services sent.
    pub traces: Traces,
    /// Reads the messages that they show.
    pub reader: Reader,
}

/// The state of the web server; clones share it.
#[derive(Debug, Clone)]
pub struct Web(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    snapshots: Snapshots,
    history: History,
    site: Site,
    access: Access,
    traces: Traces,
    reader: Reader,
    clock: Clock,
    stop: CancellationToken,
    streams: Arc<Semaphore>,
    drawings: Mutex<HashMap<Page, Drawing>>,
    /// Drawings for tabs that follow a page: all of them want one at the end of a round.
    turns: Semaphore,
    /// Tells this run of the program from others in the names of events.
    run: String,
}

/// A page as it looked at one moment.
#[derive(Debug, Clone)]
pub(super) struct Drawing {
    /// What names the round that it shows, in the stream of updates.
    pub(super) event: String,
    pub(super) main: Arc<Main>,
    drawn: Timestamp,
}

impl Web {
    /// A web server that shows `snapshots` and what was before them. Its streams of updates end when `stop` is cancelled.
    pub fn new(
        snapshots: Snapshots,
        history: History,
        settings: Settings,
        clock: Clock,
        stop: CancellationToken,
    ) -> Self {
        let run = format!("{:x}", clock.now().0.unix_timestamp_nanos());
        Self(Arc::new(Shared {
            snapshots,
            history,
            access: settings.access.clone(),
            traces: settings.traces.clone(),
            reader: settings.reader.clone(),
            site: assets::site(settings),
            clock,
            stop,
            streams: Arc::new(Semaphore::new(STREAMS_MOST)),
            drawings: Mutex::default(),
            turns: Semaphore::new(TURNS),
            run,
        }))
    }

    pub(super) fn site(&self) -> &Site {
        &self.0.site
    }

    pub(super) fn access(&self) -> &Access {
        &self.0.access
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.0.reader
    }

    pub(super) fn snapshots(&self) -> Snapshots {
        self.0.snapshots.clone()
    }

    pub(super) fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    pub(super) fn streams(&self) -> Arc<Semaphore> {
        self.0.streams.clone()
    }

    /// The answer of the API at `path`, as JSON.
    pub(super) fn answer(&self, path: &str, query: &str, read: &Read) -> Result<String, Failure> {
        let snapshot = self.0.snapshots.borrow().clone();
        let now = self.0.clock.now();
        let past = |page: &Page| self.past(page, now);
        let known = Known { snapshot: &snapshot, past: &past, traces: self.0.traces.store(), read };
        api::answer(path, query, known, now)
    }

    /// The page as it looks now, for a tab that follows it. Whoever asks for a page waits for none of these.
    pub(super) async fn draw_in_turn(&self, page: &Page) -> Result<Drawing, askama::Error> {
        // It is never closed.
        let _turn = self.0.turns.acquire().await;
        self.draw(page).await
    }

    /// The page as it looks now.
    pub(super) async fn draw(&self, page: &Page) -> Result<Drawing, askama::Error> {
        let snapshot = self.0.snapshots.borrow().clone();
        let event = format!("{}-{}", self.0.run, snapshot.round);
        let now = self.0.clock.now();
        if let Some(drawing) = self.kept(page, &event, now) {
            return Ok(drawing);
        }
        let read = match page {
            Page::Journey(follow) => self.read_journey(follow, &snapshot).await,
            Page::Records(..) | Page::Record(..) => records::read(self.reader(), &snapshot, page).await,
            page => messages::read(self.reader(), page).await,
        };
        let now = self.0.clock.now();
        let main = aside(|| {
            let beside = Beside {
                past: self.past(page, now),
                read,
                traced: Traced::of(page, &self.0.traces),
                graph: self.graph(page, &snapshot, now),
            };
            views::draw(page, &snapshot, &beside, self.site(), now)
        })?;
        let drawing = Drawing { event, main: Arc::new(main), drawn: now };
        if page.is_live() {
            self.keep(page, drawing.clone());
        }
        Ok(drawing)
    }

    /// The records that an answer tells of beside the newest.
    pub(super) async fn records(&self, page: &Page) -> Read {
        let snapshot = self.0.snapshots.borrow().clone();
        records::read(self.reader(), &snapshot, page).await
    }

    /// What a journey is made of, as an answer or a page needs it.
    pub(super) async fn journey(&self, follow: &Follow) -> Read {
        let snapshot = self.0.snapshots.borrow().clone();
        self.read_journey(follow, &snapshot).await
    }

    async fn read_journey(&self, follow: &Follow, snapshot: &Snapshot) -> Read {
        Read::Journey(Box::new(journey::gather(self.reader(), self.0.traces.store(), snapshot, follow).await))
    }

    fn past(&self, page: &Page, now: Timestamp) -> Past {
        let history = &self.0.history;
        let Some((whose, span)) = page.past() else { return Past::default() };
        let series = history.of(&whose, span, now);
        let is_on_disk = |span| history.is_on_disk(span);
        Past {
            series,
            since: history.since(span, now),
            is_on_disk: is_on_disk(span),
            are_longer_on_disk: is_on_disk(Span::Hours),
        }
    }

    /// What is connected with what, for the page that shows it.
    fn graph(&self, page: &Page, snapshot: &Snapshot, now: Timestamp) -> Option<Graph> {
        let Page::Map(wish) = page else { return None };
        let past = |page: &Page| self.past(page, now);
        Some(Graph::of(wish, Sources { snapshot, traces: self.0.traces.store(), past: &past, now }))
    }

    fn kept(&self, page: &Page, event: &str, now: Timestamp) -> Option<Drawing> {
        let drawings = self.0.drawings.lock().unwrap_or_else(PoisonError::into_inner);
        let drawing = drawings.get(page)?;
        (drawing.event == event && drawing.drawn.age(now).0 < FRESH).then(|| drawing.clone())
    }

    fn keep(&self, page: &Page, drawing: Drawing) {
        let mut drawings = self.0.drawings.lock().unwrap_or_else(PoisonError::into_inner);
        if drawings.len() >= DRAWINGS_MOST {
            drawings.clear();
        }
        drawings.insert(page.clone(), drawing);
    }
}
