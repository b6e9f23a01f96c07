//! Watching over the demo's processes: one that dies is started again after a while, and the end comes in order.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::{
    child::{self, Program},
    plan::Rank,
    screen::Screen,
};
use crate::{clock::Age, resilience::Backoff, tasks::Tasks};

/// Waits before a dead process is started again.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(500), most: Duration::from_secs(10) };

/// A process that ran for this long is healthy again: its next death waits the first wait.
const HEALTHY: Duration = Duration::from_secs(30);

/// Processes that run, by rank.
#[derive(Debug, Clone)]
pub(super) struct Supervisor {
    ranks: Arc<Mutex<Vec<(Rank, Tasks)>>>,
    programs: Arc<Mutex<Vec<Program>>>,
    was_killed: Arc<AtomicBool>,
    screen: Screen,
}

impl Supervisor {
    pub(super) fn new(screen: Screen) -> Self {
        Self { ranks: Arc::default(), programs: Arc::default(), was_killed: Arc::default(), screen }
    }

    /// Starts a process and keeps it running.
    pub(super) fn start(&self, program: Program) {
        lock(&self.programs).push(program.clone());
        let supervisor = self.clone();
        self.tasks_of(program.rank).spawn(move |stop| async move { supervisor.keep(program, stop).await });
    }

    /// Where a process writes its log.
    pub(super) fn log_of(&self, name: &str) -> Option<PathBuf> {
        lock(&self.programs).iter().find(|program| program.name == name).map(|program| program.log.clone())
    }

    /// Ends everything, rank after rank; `true` if every process ended of itself.
    pub(super) async fn end(&self) -> bool {
        let mut ranks = lock(&self.ranks).clone();
        ranks.sort_by_key(|(rank, _)| *rank);
        for (rank, tasks) in ranks {
            // The task kills what does not end in time; the second is for the killing.
            tasks.stop(rank.end_limit() + Duration::from_secs(1)).await;
        }
        !self.was_killed.load(Ordering::Relaxed)
    }

    fn tasks_of(&self, rank: Rank) -> Tasks {
        let mut ranks = lock(&self.ranks);
        if let Some((_, tasks)) = ranks.iter().find(|(known, _)| *known == rank) {
            return tasks.clone();
        }
        ranks.push((rank, Tasks::default()));
        ranks[ranks.len() - 1].1.clone()
    }

    async fn keep(&self, program: Program, stop: CancellationToken) {
        let mut deaths = 0;
        loop {
            let began = Instant::now();
            let Some(how) = self.run(&program, &stop).await else { return };
            if began.elapsed() > HEALTHY {
                deaths = 0;
            }
            deaths += 1;
            let wait = BACKOFF.wait(deaths, fastrand::f64());
            self.screen.say(&format!("  {} {how}; starting again in {}", program.name, Age(wait)));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Runs the process until it dies, and says how; `None` when it was asked to end.
    async fn run(&self, program: &Program, stop: &CancellationToken) -> Option<String> {
        let mut child = match program.spawn() {
            Ok(child) => child,
            Err(error) => return Some(format!("did not start: {error:#}")),
        };
        tokio::select! {
            status = child.wait() => Some(match status {
                Ok(status) => child::in_words(status),
                Err(error) => format!("cannot be watched: {error}"),
            }),
            () = stop.cancelled() => {
                if !child::end(&mut child, program.rank.end_limit()).await {
                    self.was_killed.store(true, Ordering::Relaxed);
                }
                None
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
