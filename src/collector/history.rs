//! What consumers and streams were like over the last day, at falling resolution, without any database.
//!
//! Each of them has three rings; a step of a ring keeps the worst count and the mean rate of the rounds that fell into it. The amount is
//! bounded: what was not seen for a day is forgotten, and beyond [`SERIES_MOST`] nothing new is taken on.

mod earlier;
mod owner;
mod ring;
mod store;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    clock::Timestamp,
    snapshot::{AgeBy, Consumer, Point, Reading, Series, Snapshot, Span, Stream},
};

use earlier::Keeper;
use owner::{Kin, Owner};
use ring::Ring;
use store::{Block, Store};

pub(super) use earlier::Earlier;
pub use store::StoreError;

/// Things that are remembered at the most; a full history of each takes about 5 KB.
const SERIES_MOST: usize = 120_000;

/// What has not been seen for this long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3_600);

/// Whose history: a stream of an account, or a consumer of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Whose {
    /// The account.
    #[serde(rename = "a")]
    pub account: String,
    /// The stream.
    #[serde(rename = "s")]
    pub stream: String,
    /// The consumer; `None` for the stream itself.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,
}

impl Whose {
    fn of(consumer: &Consumer) -> Self {
        let Consumer { account, stream, name, .. } = consumer;
        Self { account: account.to_string(), stream: stream.to_string(), consumer: Some(name.to_string()) }
    }
}

/// The history; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct History(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    inner: Mutex<Inner>,
    /// Apart from what pages read, so that none of them waits for the disk.
    store: Mutex<Option<Store>>,
    owner: Mutex<Option<Owner>>,
    keeper: Mutex<Option<Keeper>>,
}

#[derive(Debug, Default)]
struct Inner {
    kept: HashMap<Arc<Whose>, Kept>,
    is_on_disk: bool,
    /// Since when there is a history at all.
    since: Option<Timestamp>,
    /// The first round of this process, since when there is one in memory.
    began: Option<Timestamp>,
}

#[derive(Debug)]
struct Kept {
    rings: [Ring; 3],
    seen: Timestamp,
}

impl Kept {
    fn new(seen: Timestamp) -> Self {
        Self { rings: Span::ALL.map(Ring::new), seen }
    }
}

impl History {
    /// A history that is kept in `folder` too, and begins with what is there.
    ///
    /// # Errors
    /// When the folder cannot be made, read or written to, or another observer writes there.
    pub fn in_folder(folder: &Path, now: Timestamp) -> Result<Self, StoreError> {
        let mut inner = Inner::default();
        std::fs::create_dir_all(folder).map_err(|source| StoreError::Disk { path: folder.to_owned(), source })?;
        let owner = Owner::of(folder)?;
        let store = Store::open(folder, now, |block| inner.put(block))?;
        inner.is_on_disk = true;
        let keeper = Keeper::of(folder.to_owned())?;
        Ok(Self(Arc::new(Shared {
            inner: Mutex::new(inner),
            store: Mutex::new(Some(store)),
            owner: Mutex::new(Some(owner)),
            keeper: Mutex::new(Some(keeper)),
        })))
    }

    /// Since when there is a history over `span`, as far as it reaches back from `now`; `None` before the first round.
    pub fn since(&self, span: Span, now: Timestamp) -> Option<Timestamp> {
        let inner = self.inner();
        let since = if span == Span::Minutes { inner.began } else { inner.since }?;
        let reach = span.reach();
        Some(if since.age(now).0 > reach { now.before(reach) } else { since })
    }

    /// Whether what is known over `span` outlives the program: the finest steps are in memory only.
    pub fn is_on_disk(&self, span: Span) -> bool {
        span != Span::Minutes && self.inner().is_on_disk
    }

    /// What is known of `whose` over `span`, up to `now`; `None` when it was never seen.
    pub fn of(&self, whose: &Whose, span: Span, now: Timestamp) -> Option<Series> {
        let inner = self.inner();
        inner.kept.get(whose).map(|kept| kept.rings[place(span)].series(now))
    }

    /// Finds out with the first round that read the streams whether the folder's past is that of this NATS. Where it is not, it is put
    /// aside, and the history begins anew.
    fn settle(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let mut owner = self.owner();
        let Some(owner) = owner.as_mut().filter(|owner| !owner.is_settled) else { return Ok(()) };
        let Some(streams) = snapshot.streams.fresh() else { return Ok(()) };
        match owner.judge(&streams.rows) {
            Kin::Untold => return Ok(()),
            Kin::Same => {}
            Kin::Another => {
                let aside = owner.put_aside(snapshot.taken)?;
                *self.inner() = Inner { is_on_disk: true, ..Inner::default() };
                self.keeper().iter_mut().for_each(Keeper::forget);
                tracing::warn!(
                    "the history in the folder of --data is of another NATS, or of this one before it was set up anew: none of the \
                     streams that it knew is here; it was put aside in {}, and this one begins anew",
                    aside.display()
                );
            }
        }
        owner.remember(&streams.rows)?;
        owner.is_settled = true;
        Ok(())
    }

    /// What the run before had found, for as long as this one may take to find it again; nothing until it is settled whose past that is.
    pub(super) fn earlier(&self, snapshot: &Snapshot) -> Arc<Earlier> {
        // Why the folder is of no use is told by whoever notes the round.
        let is_settled = self.settle(snapshot).is_ok() && self.owner().as_ref().is_some_and(|owner| owner.is_settled);
        let mut keeper = self.keeper();
        let keeper = keeper.as_mut().filter(|_| is_settled);
        keeper.map(|keeper| keeper.earlier(snapshot)).unwrap_or_default()
    }

    /// Takes down what a round found, and writes what is complete, once it is settled whose past lies in the folder. What cannot be
    /// written is told by the error and kept in memory.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn note(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let settled = self.settle(snapshot);
        let now = snapshot.taken;
        {
            let mut inner = self.inner();
            inner.since.get_or_insert(now);
            inner.began.get_or_insert(now);
        }
        for stream in snapshot.known_streams() {
            // A page that looks back waits for one stream at the most.
            let mut inner = self.inner();
            inner.add(of_stream(stream), now);
            let consumers = stream.consumers.value().map_or(&[][..], |list| &list.rows);
            for consumer in consumers {
                inner.add(of_consumer(consumer, now), now);
            }
        }
        self.inner().kept.retain(|_, kept| kept.seen.age(now).0 < FORGOTTEN);
        settled?;
        let has_written = self.write(now)?;
        let Some(streams) = snapshot.streams.fresh().filter(|_| has_written) else { return Ok(()) };
        self.owner().as_mut().map_or(Ok(()), |owner| owner.remember(&streams.rows))?;
        self.keeper().as_ref().map_or(Ok(()), |keeper| keeper.write(snapshot))
    }

    /// Writes the last complete step of each ring that is kept on disk, once, and says whether there was one. Nothing is added to a past
    /// that may be another's.
    fn write(&self, now: Timestamp) -> Result<bool, StoreError> {
        let mut has_written = false;
        let mut store = self.0.store.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(store) = store.as_mut().filter(|_| self.owner().as_ref().is_none_or(|owner| owner.is_settled)) else {
            return Ok(false);
        };
        for span in [Span::Hours, Span::Day] {
            if let Some(at) = store.due(span, now) {
                let inner = self.inner();
                let (points, since) = (inner.at(span, at), inner.since);
                // The disk is waited for by nobody else.
                drop(inner);
                store.write(span, (at, since), points.iter().map(|(whose, point)| (&**whose, *point)))?;
                has_written = true;
            }
        }
        Ok(has_written)
    }

    fn owner(&self) -> MutexGuard<'_, Option<Owner>> {
        self.0.owner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keeper(&self) -> MutexGuard<'_, Option<Keeper>> {
        self.0.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn add(&mut self, seen: Option<(Whose, Point)>, now: Timestamp) {
        let Some((whose, point)) = seen else { return };
        if self.kept.len() >= SERIES_MOST && !self.kept.contains_key(&whose) {
            return;
        }
        let kept = self.of(whose, now);
        kept.seen = now;
        for ring in &mut kept.rings {
            ring.add(now, point);
        }
    }

    /// Puts back what was kept on disk.
    fn put(&mut self, Block { span, at, begins, points }: Block) {
        self.since = Some(self.since.map_or(begins, |since| since.min(begins)));
        for (whose, point) in points {
            let kept = self.of(whose, at);
            kept.seen = kept.seen.max(at);
            kept.rings[place(span)].put(at, point);
        }
    }

    fn of(&mut self, whose: Whose, now: Timestamp) -> &mut Kept {
        self.kept.entry(Arc::new(whose)).or_insert_with(|| Kept::new(now))
    }

    /// What is known of the step that `at` falls into.
    fn at(&self, span: Span, at: Timestamp) -> Vec<(Arc<Whose>, Point)> {
        let known = self.kept.iter().filter_map(|(whose, kept)| Some((whose.clone(), kept.rings[place(span)].at(at)?)));
        known.collect()
    }
}

fn place(span: Span) -> usize {
    match span {
        Span::Minutes => 0,
        Span::Hours => 1,
        Span::Day => 2,
    }
}

fn of_stream(stream: &Stream) -> Option<(Whose, Point)> {
    let state = stream.state.fresh()?;
    let rate = stream.trend.map_or(f32::NAN, |trend| small(trend.stored_per_second()));
    let point = Point {
        waiting: count(state.messages),
        held: count(state.bytes),
        age_seconds: f32::NAN,
        came_per_second: rate,
        went_per_second: f32::NAN,
    };
    let whose = Whose { account: stream.account.to_string(), stream: stream.name.to_string(), consumer: None };
    Some((whose, point))
}

fn of_consumer(consumer: &Consumer, now: Timestamp) -> Option<(Whose, Point)> {
    let state = consumer.state.fresh()?;
    let rate = |of: fn(&crate::snapshot::ConsumerTrend) -> f64| {
        consumer.trend.as_ref().map_or(f32::NAN, |trend| small(of(trend)))
    };
    let point = Point {
        waiting: count(state.pending),
        held: count(state.ack_pending),
        age_seconds: age(consumer, now),
        came_per_second: rate(crate::snapshot::ConsumerTrend::delivered_per_second),
        went_per_second: rate(crate::snapshot::ConsumerTrend::acked_per_second),
    };
    Some((Whose::of(consumer), point))
}

/// The age of the oldest message that is not processed. Where nothing waits it is 0, and where it was not read it is unknown.
fn age(consumer: &Consumer, now: Timestamp) -> f32 {
    match &consumer.ages {
        Reading::Known(ages) => match ages.value.unprocessed {
            None => 0.0,
            Some(oldest) if oldest.by == AgeBy::Message => oldest.stored.age(now).0.as_secs_f32(),
            Some(_) => f32::NAN,
        },
        _ => f32::NAN,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a drawing needs no more than 24 bits")]
fn count(value: u64) -> f32 {
    value as f32
}

#[expect(clippy::cast_possible_truncation, reason = "a drawing needs no more than 24 bits")]
fn small(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Contact, Listing, Reading, StreamState};

    fn at(second: u64) -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap().after(Duration::from_secs(second))
    }

    /// A round that read one stream, of which nothing more is known.
    fn round(second: u64) -> Snapshot {
        let stream = Stream {
            account: "A".into(),
            name: "ORDERS".parse().unwrap(),
            config: Arc::default(),
            created: at(0),
            state: Reading::known(StreamState::default(), "n1", at(second)),
            trend: None,
            consumers: Reading::not_yet(),
        };
        let rows = vec![stream];
        let streams = Reading::known(Listing { rows, missing: Vec::new() }, "n1", at(second));
        let before = Snapshot::before_the_first(Contact::standing_since(at(0)), Duration::from_secs(10), at(second));
        Snapshot { streams, ..before }
    }

    #[test]
    fn what_cannot_be_written_is_kept_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::in_folder(folder.path(), at(0)).unwrap();
        // Where it would be written by what the NATS is known again.
        std::fs::create_dir(folder.path().join("nats.json.new")).unwrap();
        history.note(&round(10)).unwrap_err();
        let whose = Whose { account: "A".to_owned(), stream: "ORDERS".to_owned(), consumer: None };
        let known = |second| {
            let points = history.of(&whose, Span::Minutes, at(second)).unwrap().points;
            points.iter().filter(|point| !point.waiting.is_nan()).count()
        };
        assert_eq!(known(20), 1);
        std::fs::remove_dir(folder.path().join("nats.json.new")).unwrap();
        history.note(&round(20)).unwrap();
        assert_eq!(known(30), 2);
    }

    #[test]
    fn since_when_it_is_kept_is_when_the_first_round_was() {
        let folder = tempfile::tempdir().unwrap();
        let first = History::in_folder(folder.path(), at(95)).unwrap();
        assert_eq!(first.since(Span::Day, at(95)), None);
        for second in [95, 130, 650] {
            first.note(&round(second)).unwrap();
        }
        drop(first);
        let next = History::in_folder(folder.path(), at(700)).unwrap();
        assert_eq!(next.since(Span::Day, at(700)), Some(at(95)), "not the beginning of its ten minutes");
        assert_eq!(next.since(Span::Minutes, at(700)), None, "the finest steps are in memory only");
        next.note(&round(700)).unwrap();
        assert_eq!(next.since(Span::Minutes, at(710)), Some(at(700)));
        assert_eq!(next.since(Span::Hours, at(9_000)), Some(at(9_000 - 7_200)), "no further back than it reaches");
        assert_eq!([Span::Minutes, Span::Hours, Span::Day].map(|span| next.is_on_disk(span)), [false, true, true]);
    }
}
