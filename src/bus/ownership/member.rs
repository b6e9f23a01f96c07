//! The loop of a member: say that we are here, see who else is, take what is ours to take, give up what is not.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{Stream, StreamExt};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Group, Held, Holder, OwnershipError, Standing,
    store::{Store, Written},
    view::{Part, Place, Seat, View},
};
use crate::{errors::ErrorChain, nats::Connection, resilience::Backoff, tasks::Tasks};

/// Words within a hold time. Two in a row may be lost before we stop working by ourselves.
const WORDS: u32 = 5;

/// Words are no further apart than this, however long the hold time is: whoever watches the loop wants to see it turn.
const INTERVAL_MOST: Duration = Duration::from_secs(5);

/// Waits before a member whose store fails tries again. Two seconds at the most: its parts may wait for it.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), most: Duration::from_secs(2) };

/// Attempts to free our parts at the end. After that the others wait for our hold time instead.
const LEAVE_ATTEMPTS: u32 = 5;

pub(super) struct Member<'a, H> {
    connection: &'a Connection,
    group: Group,
    id: String,
    holder: &'a H,
    tasks: Tasks,
    held: BTreeMap<u32, Working>,
    /// Until when we may work, if no other word is confirmed.
    valid_until: watch::Sender<Instant>,
    tell_ended: mpsc::Sender<u32>,
    ended: mpsc::Receiver<u32>,
    has_sat: bool,
    is_leaving: bool,
}

struct Working {
    fence: u64,
    give_up: CancellationToken,
    lost: CancellationToken,
}

/// What is known while the store answers. A new one begins with nothing.
struct Session {
    store: Store,
    view: View,
    next_word: Instant,
    /// The first word that was written in this session: when it comes back to us, we have seen all that was before it.
    first_word: Option<u64>,
    is_complete: bool,
    /// When we last saw a word of our own come back.
    heard: Instant,
}

/// Tells that work on a part has ended, however it ended.
struct Ending {
    part: u32,
    tell: mpsc::Sender<u32>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        // The queue has room for every part, and a part is not begun again before this was read.
        if let Err(error) = self.tell.try_send(self.part) {
            tracing::debug!(%error, part = self.part, "nobody waits for the end of work on a part");
        }
    }
}

impl<'a, H: Holder> Member<'a, H> {
    pub(super) fn new(connection: &'a Connection, group: Group, id: String, holder: &'a H) -> Self {
        let (tell_ended, ended) = mpsc::channel(usize::try_from(group.parts).unwrap_or(usize::MAX).max(1));
        Self {
            connection,
            group,
            id,
            holder,
            tasks: Tasks::default(),
            held: BTreeMap::new(),
            valid_until: watch::Sender::new(Instant::now()),
            tell_ended,
            ended,
            has_sat: false,
            is_leaving: false,
        }
    }

    pub(super) async fn run(mut self, stop: &CancellationToken) {
        let mut failures = 0;
        while let Err(error) = self.attend(stop, &mut failures).await {
            let trouble = ErrorChain(&error).to_string();
            if failures == 0 {
                tracing::warn!(group = self.group.name, trouble, "cannot agree on who holds what; trying again");
            }
            failures += 1;
            self.tell(false, trouble);
            if self.is_leaving && self.held.is_empty() && failures >= LEAVE_ATTEMPTS {
                tracing::warn!(group = self.group.name, "left without freeing parts; others wait for the hold time");
                return;
            }
            self.wait(stop, BACKOFF.wait(failures, fastrand::f64())).await;
        }
    }

    /// Waits, and meanwhile lets work end.
    async fn wait(&mut self, stop: &CancellationToken, wait: Duration) {
        let over = sleep(wait);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return,
                Some(part) = self.ended.recv() => drop(self.held.remove(&part)),
                () = stop.cancelled(), if !self.is_leaving => self.leave(),
            }
        }
    }

    /// Takes part as long as the store answers; `Ok` when it has left.
    async fn attend(&mut self, stop: &CancellationToken, failures: &mut u32) -> Result<(), OwnershipError> {
        let mut link = self.connection.link.watch();
        let store = Store::open(self.connection, &self.group.name, self.interval()).await?;
        let mut watch = store.watch().await?;
        let mut session = Session::new(store, View::new(self.id.clone(), self.group.parts));
        loop {
            if self.turn(&mut session).await? {
                return Ok(());
            }
            if session.is_complete {
                *failures = 0;
            }
            self.tell(session.is_complete && self.may_work(), String::new());
            let wake = session.wake(self.interval());
            tokio::select! {
                written = watch.next() => session.saw(written.ok_or_else(|| self.silent())?),
                Some(part) = self.ended.recv() => self.ended(&mut session, part).await,
                () = sleep_until(wake) => {}
                () = stop.cancelled(), if !self.is_leaving => {
                    self.leave();
                    session.next_word = Instant::now();
                }
                _ = link.changed() => if !link.borrow_and_update().is_connected {
                    return Err(OwnershipError::Disconnected);
                },
            }
            session.saw_all_that_waits(&mut watch);
        }
    }

    /// Does what is due; `true` when we have left.
    async fn turn(&mut self, session: &mut Session) -> Result<bool, OwnershipError> {
        if Instant::now() - session.heard > self.group.hold {
            return Err(self.silent());
        }
        if Instant::now() >= session.next_word && (self.has_sat || !self.is_leaving) {
            self.say(session).await;
        }
        let may_see_ours = session.is_complete || !self.has_sat;
        if self.is_leaving && self.held.is_empty() && may_see_ours && session.view.own_parts().is_empty() {
            return self.stand_up(session).await;
        }
        if session.is_complete {
            self.act(session).await;
        }
        Ok(false)
    }

    /// Writes our seat: we are here for another hold time.
    async fn say(&mut self, session: &mut Session) {
        let place = Place::Seat(session.view.own_seat().unwrap_or_else(|| session.view.empty_seat()));
        let hold_millis = u64::try_from(self.group.hold.as_millis()).unwrap_or(u64::MAX);
        let seat = Seat { member: self.id.clone(), hold_millis, is_leaving: self.is_leaving };
        let sent = Instant::now();
        session.next_word = sent + self.interval();
        match session.write(place, Some(&seat)).await {
            Ok(revision) => {
                self.confirmed(sent);
                session.first_word.get_or_insert(revision);
            }
            Err(error) => {
                tracing::debug!(error = %ErrorChain(&error), "a word was not confirmed");
                session.next_word = sent + self.interval() / 4;
            }
        }
    }

    /// A word that was sent at `sent` has arrived. If it came too late for the one before it, others may hold what we held.
    fn confirmed(&mut self, sent: Instant) {
        if !self.may_work() {
            self.held.values().for_each(|working| working.lost.cancel());
        }
        self.has_sat = true;
        self.valid_until.send_replace(sent + self.group.hold * 3 / 4);
    }

    fn may_work(&self) -> bool {
        Instant::now() < *self.valid_until.borrow()
    }

    /// Frees the seats of the silent, then moves towards the plan. What is not confirmed is tried again with the next word.
    async fn act(&mut self, session: &mut Session) {
        for seat in session.view.expired(Instant::now()) {
            match session.write::<Seat>(Place::Seat(seat), None).await {
                Ok(_) => tracing::warn!(group = self.group.name, seat, "a member fell silent; its parts are free"),
                Err(error) => tracing::debug!(error = %ErrorChain(&error), "a silent member spoke"),
            }
        }
        let plan = session.view.plan();
        let idle = session.view.own_parts().into_iter().filter(|part| !self.held.contains_key(part));
        let (to_free, to_resume): (Vec<u32>, Vec<u32>) = idle.partition(|part| plan.give.contains(part));
        for working in plan.give.iter().filter_map(|part| self.held.get(part)) {
            working.give_up.cancel();
        }
        for part in to_free {
            session.free(part).await;
        }
        let to_take: Vec<u32> = plan.take.into_iter().filter(|part| !self.held.contains_key(part)).collect();
        for part in to_take.into_iter().chain(to_resume) {
            if !self.may_work() || !self.take(session, part).await {
                return;
            }
        }
    }

    /// Takes a part, also one that the store says is ours and that we do not work on: only a fresh revision is surely ours.
    async fn take(&mut self, session: &mut Session, part: u32) -> bool {
        let fence = match session.write(Place::Part(part), Some(&Part { member: self.id.clone() })).await {
            Ok(fence) => fence,
            Err(error) => {
                tracing::debug!(error = %ErrorChain(&error), part, "another was first, or the store does not answer");
                return false;
            }
        };
        let may_work = self.may_work();
        if may_work {
            self.begin(part, fence);
        }
        may_work
    }

    fn begin(&mut self, part: u32, fence: u64) {
        tracing::info!(group = self.group.name, part, fence, "part taken");
        let (give_up, lost) = (CancellationToken::new(), CancellationToken::new());
        let work = self.holder.hold(Held { part, fence, give_up: give_up.clone(), lost: lost.clone() });
        let ending = Ending { part, tell: self.tell_ended.clone() };
        let (valid_until, fuse) = (self.valid_until.subscribe(), lost.clone());
        self.tasks.spawn(move |_| async move {
            let ending = ending;
            tokio::select! {
                () = work => {}
                () = burn(valid_until, fuse) => {}
            }
            drop(ending);
        });
        self.held.insert(part, Working { fence, give_up, lost });
    }

    /// Frees a part whose work has ended, unless others may have it already.
    async fn ended(&mut self, session: &mut Session, part: u32) {
        let Some(working) = self.held.remove(&part) else { return };
        let is_ours = !working.lost.is_cancelled() && session.view.revision(Place::Part(part)) == working.fence;
        tracing::info!(group = self.group.name, part, is_ours, "part given up");
        if is_ours {
            session.free(part).await;
        }
    }

    fn leave(&mut self) {
        self.is_leaving = true;
        self.held.values().for_each(|working| working.give_up.cancel());
    }

    async fn stand_up(&mut self, session: &mut Session) -> Result<bool, OwnershipError> {
        if let Some(seat) = session.view.own_seat() {
            session.write::<Seat>(Place::Seat(seat), None).await?;
        }
        self.tell(false, "left".to_owned());
        Ok(true)
    }

    fn tell(&self, is_member: bool, trouble: String) {
        let working = self.held.iter().filter(|(_, working)| !working.lost.is_cancelled());
        self.holder.stands(Standing { is_member, parts: working.map(|(part, _)| *part).collect(), trouble });
    }

    fn silent(&self) -> OwnershipError {
        OwnershipError::Silent { group: self.group.name.clone() }
    }

    fn interval(&self) -> Duration {
        (self.group.hold / WORDS).min(INTERVAL_MOST)
    }
}

impl Session {
    fn new(store: Store, view: View) -> Self {
        let now = Instant::now();
        Self { store, view, next_word: now, first_word: None, is_complete: false, heard: now }
    }

    /// When something will be due if nothing is heard until then. A seat that has expired and could not be freed is not tried at once.
    fn wake(&self, interval: Duration) -> Instant {
        let soonest = Instant::now() + interval / 4;
        let expiry = self.view.next_expiry().filter(|_| self.is_complete).map(|at| at.max(soonest));
        expiry.map_or(self.next_word, |at| at.min(self.next_word))
    }

    fn saw(&mut self, written: Written) {
        let now = Instant::now();
        self.view.saw(written.place, &written.value, written.revision, now);
        let is_own_word = matches!(written.place, Place::Seat(seat) if self.view.own_seat() == Some(seat));
        if self.view.own_seat().is_none() {
            // A seat that we thought empty may be taken; now we know better.
            self.next_word = self.next_word.min(now);
        }
        if is_own_word {
            self.heard = now;
            self.is_complete |= self.first_word.is_some_and(|first| written.revision >= first);
        }
    }

    /// Takes in what came together, so that we act on it once.
    fn saw_all_that_waits(&mut self, watch: &mut (impl Stream<Item = Written> + Unpin)) {
        while let Some(Some(written)) = futures_util::FutureExt::now_or_never(watch.next()) {
            self.saw(written);
        }
    }

    async fn free(&mut self, part: u32) {
        if let Err(error) = self.write::<Part>(Place::Part(part), None).await {
            tracing::debug!(error = %ErrorChain(&error), part, "the part was not freed");
        }
    }

    /// Writes over what we have seen there, and has seen its own writing.
    async fn write<T: serde::Serialize>(&mut self, place: Place, value: Option<&T>) -> Result<u64, OwnershipError> {
        let written = self.store.write(place, value, self.view.revision(place)).await?;
        self.view.saw(place, &written.value, written.revision, Instant::now());
        Ok(written.revision)
    }
}

/// Cancels `lost` when no word was confirmed in time; never returns.
async fn burn(mut valid_until: watch::Receiver<Instant>, lost: CancellationToken) {
    loop {
        let until = *valid_until.borrow_and_update();
        tokio::select! {
            () = sleep_until(until) => break,
            Ok(()) = valid_until.changed() => {}
        }
    }
    lost.cancel();
    std::future::pending().await
}
