//! Runners: tasks that process held messages, one after the other where they need not wait.
//!
//! A task for each message would cost more than many handlers do. A runner whose message waits for something stands aside and another
//! goes on, so that as many messages are in work at once as there are credits; and where handlers compute instead of waiting, there are
//! as many runners as the runtime has threads.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use tokio::{runtime::Handle, task::coop};
use tokio_util::sync::CancellationToken;

use super::{
    process::{self, Waiting},
    pull::Shared,
};

/// A handler that ends sooner leaves its runner to take the next message: waking another thread would take longer.
const SOON: Duration = Duration::from_micros(20);

/// So many such handlers one after the other show that handlers are quick; one that is not takes away [`DOUBT`] of them.
const PROVEN: usize = 64;

/// See [`PROVEN`]: a thread that the system held up now and then does not make quick handlers slow ones.
const DOUBT: usize = 16;

/// More quick handlers than this prove no more.
const PROVEN_MOST: usize = 128;

/// So many messages of such handlers are worth a runner of their own.
const WORTH_ANOTHER: usize = 64;

/// The runners of a worker, and what waits for them: no more than the worker has credits.
#[derive(Debug, Default)]
pub(super) struct Runners {
    state: Mutex<State>,
    /// Handlers that were quick, less what speaks against it.
    quick: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Runners that are not waiting for anything but a thread.
    active: usize,
    /// Those of them that have not taken a message yet.
    starting: usize,
}

impl Runners {
    /// Has a message wait for a runner; [`see_to`] starts one.
    pub(super) fn queue(&self, message: Waiting) {
        self.lock().waiting.push_back(message);
    }

    /// Notes how long a handler took. Runners that note at once may lose each other's notes, which does no harm.
    pub(super) fn took(&self, took: Duration) {
        let quick = self.quick.load(Relaxed);
        let noted = if took > SOON { quick.saturating_sub(DOUBT) } else { PROVEN_MOST.min(quick + 1) };
        if noted != quick {
            self.quick.store(noted, Relaxed);
        }
    }

    /// Whether handlers may keep their threads: so it is until they have shown that they do not.
    fn is_slow(&self) -> bool {
        self.quick.load(Relaxed) < PROVEN
    }

    /// The next message, or the end of the runner that asks.
    fn next(&self, is_starting: bool) -> Option<Waiting> {
        let mut state = self.lock();
        state.starting -= usize::from(is_starting);
        let next = state.waiting.pop_front();
        if next.is_none() {
            state.active -= 1;
        }
        next
    }

    /// Whether one more runner is needed; it counts from here on. Those that are at slow handlers take nothing else soon.
    fn wants(&self, is_slow: bool, threads: usize) -> bool {
        let mut state = self.lock();
        let waiting = state.waiting.len();
        let wanted = match is_slow {
            true => state.active - state.starting + waiting,
            false => waiting.div_ceil(WORTH_ANOTHER),
        };
        let is_wanted = state.active < wanted.min(threads);
        state.active += usize::from(is_wanted);
        state.starting += usize::from(is_wanted);
        is_wanted
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts as many runners as what waits is worth.
pub(super) fn see_to(shared: &Arc<Shared>) {
    start(shared, shared.runners.is_slow());
}

/// Starts runners for whatever waits: the handlers of those that there are may block their threads.
pub(super) fn see_to_all(shared: &Arc<Shared>) {
    start(shared, true);
}

fn start(shared: &Arc<Shared>, is_slow: bool) {
    let threads = Handle::current().metrics().num_workers();
    while shared.runners.wants(is_slow, threads) {
        let active = Active { shared: shared.clone(), is_active: true, is_starting: true };
        shared.handlers.spawn(|stop| run(active, stop));
    }
}

async fn run(mut active: Active, stop: CancellationToken) {
    let shared = active.shared.clone();
    while let Some(message) = shared.runners.next(std::mem::take(&mut active.is_starting)) {
        {
            let mut processed = pin!(process::process(&shared, message, &stop));
            poll_fn(|context| {
                active.resume();
                let polled = processed.as_mut().poll(context);
                if polled.is_pending() {
                    active.stand_aside();
                }
                polled
            })
            .await;
        }
        // What this message woke waits for this thread, and so it must not wait for a handler that keeps the thread.
        if shared.runners.is_slow() || !coop::has_budget_remaining() {
            to_the_back().await;
        }
    }
    active.is_active = false;
}

/// Waits behind what this thread has to do, where other threads may take it. What [`task::yield_now`] puts off is out of their reach until
/// this thread looks for events, which it does not while a handler keeps it.
async fn to_the_back() {
    let mut has_waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A runner, as it is counted.
struct Active {
    shared: Arc<Shared>,
    is_active: bool,
    is_starting: bool,
}

impl Active {
    fn resume(&mut self) {
        if !self.is_active {
            self.shared.runners.lock().active += 1;
            self.is_active = true;
        }
    }

    fn stand_aside(&mut self) {
        self.shared.runners.lock().active -= 1;
        self.is_active = false;
        see_to(&self.shared);
    }
}

impl Drop for Active {
    /// However a runner ends, it is not counted any more.
    fn drop(&mut self) {
        let mut state = self.shared.runners.lock();
        state.active -= usize::from(self.is_active);
        state.starting -= usize::from(self.is_starting);
    }
}
