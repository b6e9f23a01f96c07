//! A day's history without waiting for a day: what a real round found is noted again and again through the product's own history, each time
//! at a later moment and with other numbers, as rounds of a day would have noted it.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use streamgauge::{
    clock::{Clock, Timestamp},
    collector::{self, History, Settings},
    config::Thresholds,
    snapshot::{AgeBy, Ages, Oldest, Reading, Snapshot, Span},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::crowd::Crowd;

/// How long a round may take before the bench gives up.
const ROUND_LIMIT: Duration = Duration::from_secs(60);

/// Between two rounds of an observer while nobody has said otherwise: what was noted last is this old when the observer begins.
const LAST: Duration = Duration::from_secs(10);

/// Fills `folder` with the last day of `crowd`.
///
/// # Errors
/// When the crowd cannot be looked at, or the folder not be written.
pub async fn fill(crowd: &Crowd, folder: &Path) -> anyhow::Result<()> {
    let mut snapshot = looked_at(crowd).await?;
    let now = Clock::system().now();
    let of = |span: Span| span.step() * span.steps() as u32;
    let (day, hours) = (of(Span::Day), of(Span::Hours));
    let history = History::in_folder(folder, now.before(day))?;
    let mut back = day;
    while back > LAST {
        note(&history, &mut snapshot, now.before(back))?;
        let step = if back > hours { Span::Day } else { Span::Hours }.step();
        back = back.saturating_sub(step).max(LAST);
    }
    note(&history, &mut snapshot, now.before(LAST))
}

/// What one round finds.
async fn looked_at(crowd: &Crowd) -> anyhow::Result<Snapshot> {
    let settings = Settings {
        interval: LAST,
        app: crowd.login("app"),
        others: Vec::new(),
        system: Some(crowd.login("sys")),
        history: History::default(),
        thresholds: Thresholds::default(),
    };
    let (collector, mut snapshots) = collector::new(settings, Clock::system())?;
    tokio::select! {
        ended = collector.run(CancellationToken::new()) => bail!("the collector ended: {ended:?}"),
        seen = timeout(ROUND_LIMIT, snapshots.changed()) => seen.context("a round does not end")??,
    }
    Ok(Arc::unwrap_or_clone(snapshots.borrow().clone()))
}

/// Notes the snapshot as one of `at`. Nothing in it is as it was before, so that nothing can be kept as unchanged.
fn note(history: &History, snapshot: &mut Snapshot, at: Timestamp) -> anyhow::Result<()> {
    snapshot.taken = at;
    let streams = snapshot.streams.value_mut().context("the streams were read")?;
    for stream in &mut streams.rows {
        let consumers = stream.consumers.value_mut().context("the consumers were read")?;
        for consumer in &mut consumers.rows {
            let state = consumer.state.value_mut().context("a consumer was read")?;
            state.pending = fastrand::u64(0..1_000_000);
            state.ack_pending = fastrand::u64(0..1_000);
            let stored = at.before(Duration::from_millis(fastrand::u64(0..86_400_000)));
            let oldest = Some(Oldest { sequence: Some(state.pending), stored, by: AgeBy::Message });
            consumer.ages = Reading::known(Ages { unprocessed: oldest, undelivered: oldest }, "bench", at);
        }
    }
    history.note(snapshot)?;
    Ok(())
}
