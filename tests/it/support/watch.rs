//! A watch on what the observer says of one consumer, round by round.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use streamgauge::{
    collector::Snapshots,
    snapshot::{Consumer, Label, Snapshot, Verdict},
};

use super::eventually;

/// Within so many rounds that began after the fault, or after the cure, the verdict has to be right.
const ROUNDS: u64 = 3;

/// Longer than any scenario takes to get ready.
const LIMIT: Duration = Duration::from_secs(60);

/// What is said of the consumer of this name.
#[derive(Clone)]
pub struct Watch {
    snapshots: Snapshots,
    name: &'static str,
}

impl Watch {
    pub fn on(snapshots: Snapshots, name: &'static str) -> Self {
        Self { snapshots, name }
    }

    /// Waits until messages are processed, and holds the observer to finding nothing for some rounds.
    pub async fn runs_well(&self, rounds: u64) {
        eventually(LIMIT, &format!("{} runs", self.name), async || {
            let snapshot = self.now();
            let state = consumer_of(&snapshot, self.name)?.state.fresh().ok_or("nothing fresh")?;
            let verdict = self.verdict(&snapshot);
            if state.ack_floor > 0 && verdict.label == Label::Ok { Ok(()) } else { Err(said(&verdict)) }
        })
        .await;
        let mut rest = self.rounds();
        for _ in 0..rounds {
            let verdict = rest.next().await;
            assert!(is_well(&verdict), "{}: nothing is wrong, but it is said: {}", self.name, said(&verdict));
        }
    }

    /// What was done just now is wrong, and the observer has to say so.
    pub async fn turns(&self, right: &[Label]) -> Verdict {
        self.within(&format!("{right:?}"), |verdict| right.contains(&verdict.label)).await
    }

    /// What was said of what is wrong is said on.
    pub async fn stays(&self, right: &[Label]) {
        let mut rest = self.rounds();
        for _ in 0..ROUNDS {
            let verdict = rest.next().await;
            assert!(
                right.contains(&verdict.label),
                "{}: it is wrong still, but it is said: {}",
                self.name,
                said(&verdict)
            );
        }
    }

    /// What was done just now mends it, and the observer has to stop saying what it said.
    pub async fn recovers(&self) {
        self.within("no trouble any more", is_well).await;
        let mut rest = self.rounds();
        for _ in 0..ROUNDS {
            let verdict = rest.next().await;
            assert!(is_well(&verdict), "{}: it was mended, but it is said again: {}", self.name, said(&verdict));
        }
    }

    /// A round that is underway now may have seen half of it; three more have to do. One that gives handlers their time, because they took
    /// as long before, is none of them: on a machine that does much else they do.
    async fn within(&self, wanted: &str, is_it: impl Fn(&Verdict) -> bool) -> Verdict {
        let (mut rounds, mut seen, mut left) = (self.rounds(), Vec::new(), ROUNDS + 1);
        let began = Instant::now();
        while left > 0 && began.elapsed() < LIMIT {
            let verdict = rounds.next().await;
            if is_it(&verdict) {
                return verdict;
            }
            left -= u64::from(!gives_time(&verdict));
            seen.push(said(&verdict));
        }
        panic!("{}: wanted {wanted} within {ROUNDS} rounds; the rounds said:\n  {}", self.name, seen.join("\n  "));
    }

    pub fn now(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// How many messages are not processed, by the last round.
    pub fn lag(&self) -> Result<u64, String> {
        Ok(consumer_of(&self.now(), self.name)?.state.fresh().ok_or("nothing fresh")?.lag())
    }

    /// Waits until a round sees that nothing is left to do.
    pub async fn has_nothing_left(&self) {
        eventually(LIMIT, &format!("{} has nothing left", self.name), async || match self.lag()? {
            0 => Ok(()),
            lag => Err(format!("lag {lag}: {}", said(&self.verdict(&self.now())))),
        })
        .await;
    }

    fn verdict(&self, snapshot: &Snapshot) -> Verdict {
        consumer_of(snapshot, self.name)
            .map_or_else(|why| Verdict::unknown(why, snapshot.taken), |consumer| consumer.verdict.clone())
    }

    fn rounds(&self) -> Rounds<'_> {
        let mut snapshots = self.snapshots.clone();
        snapshots.mark_unchanged();
        Rounds { watch: self, snapshots }
    }
}

/// The verdict of each round from now on.
struct Rounds<'a> {
    watch: &'a Watch,
    snapshots: Snapshots,
}

impl Rounds<'_> {
    async fn next(&mut self) -> Verdict {
        tokio::time::timeout(LIMIT, self.snapshots.changed()).await.expect("rounds go on").unwrap();
        let snapshot = self.snapshots.borrow_and_update().clone();
        self.watch.verdict(&snapshot)
    }
}

fn is_well(verdict: &Verdict) -> bool {
    matches!(verdict.label, Label::Ok | Label::Idle | Label::CatchingUp)
}

fn gives_time(verdict: &Verdict) -> bool {
    verdict.label == Label::Ok && verdict.sentence.contains("a handler may take")
}

fn said(verdict: &Verdict) -> String {
    format!("{}: {} ({})", verdict.label.words(), verdict.sentence, verdict.evidence.join("; "))
}

fn consumer_of<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a Consumer, String> {
    snapshot.known_consumers().find(|consumer| consumer.name.as_str() == name).ok_or_else(|| format!("no {name}"))
}
