//! Background tasks that shutdown waits for, and the signal that begins it.

use std::time::Duration;

use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// Starts tasks, asks them to stop, and waits until they have.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Starts `task` and hands it the token that asks it, and all the others, to stop.
    pub fn spawn<F>(&self, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(task(self.stop.clone()));
    }

    /// Tasks that can be stopped before these, and are stopped with these.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { tracker: TaskTracker::new(), stop: self.stop.child_token() }
    }

    /// How many tasks run.
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Whether no task runs.
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }

    /// Asks every task to stop, and returns at once.
    pub fn cancel(&self) {
        self.stop.cancel();
    }

    /// Resolves when the tasks have been asked to stop.
    pub async fn cancelled(&self) {
        self.stop.cancelled().await;
    }

    /// Asks the tasks to stop when the guard is dropped.
    #[must_use]
    pub fn cancel_on_drop(&self) -> DropGuard {
        self.stop.clone().drop_guard()
    }

    /// Waits until every task has ended of itself or because it was asked to; `false` if some still run after `limit`.
    pub async fn ended(&self, limit: Duration) -> bool {
        self.tracker.close();
        tokio::time::timeout(limit, self.tracker.wait()).await.is_ok()
    }

    /// Asks every task to stop and waits for them; `false` if some still run after `limit`.
    pub async fn stop(&self, limit: Duration) -> bool {
        self.cancel();
        self.ended(limit).await
    }
}

/// Does what takes longer than other tasks should wait, here and now: to go to another thread and come back means to wait for a processor
/// twice. On a runtime of several threads another one sees to the other tasks meanwhile.
#[cfg(feature = "dashboard")]
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::current().runtime_flavor() {
        tokio::runtime::RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Resolves when the process is asked to end: Ctrl-C, SIGTERM as a platform sends it, or SIGHUP when the terminal is closed.
///
/// # Errors
/// When the system refuses a signal handler.
pub async fn asked_to_end() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        tokio::select! {
            ended = tokio::signal::ctrl_c() => ended,
            _ = terminate.recv() => Ok(()),
            _ = hang_up.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn stop_asks_and_waits() {
        let tasks = Tasks::default();
        let ended = Arc::new(AtomicBool::new(false));
        let flag = ended.clone();
        tasks.spawn(|stop| async move {
            stop.cancelled().await;
            flag.store(true, Ordering::SeqCst);
        });
        assert!(tasks.stop(Duration::from_secs(5)).await);
        assert!(ended.load(Ordering::SeqCst));
    }

    #[tokio::test(start_paused = true)]
    async fn stop_says_when_a_task_did_not_listen() {
        let tasks = Tasks::default();
        tasks.spawn(|_| std::future::pending());
        assert!(!tasks.stop(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn a_child_stops_alone_and_with_its_parent() {
        let parent = Tasks::default();
        let child = parent.child();
        let other = parent.child();
        child.cancel();
        child.cancelled().await;
        parent.cancel();
        other.cancelled().await;
    }
}
