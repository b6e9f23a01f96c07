//! One message's claim: taken, kept up while its handler runs, and ended by whoever holds it.

use std::time::Duration;

use uuid::Uuid;

use super::{BoxError, Entry, Inbox, InboxError, State};
use crate::{clock::Timestamp, errors::ErrorChain, resilience::Backoff};

/// Times that a write is tried when others come first or the store does not answer. A handler that waits holds up nobody but its message.
const ATTEMPTS: u32 = 6;

/// Waits between them; a replica that answers reads may be behind for a moment.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(10), most: Duration::from_millis(300) };

/// What came of claiming a message.
#[derive(Debug)]
pub(super) enum Claimed {
    /// It is ours.
    Ours(Claim),
    /// Another handles it, for this long unless it is heard of again.
    Busy(Duration),
    /// It had its effect.
    Duplicate,
}

/// A claim was taken over by another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost;

/// A message that we may handle. One that is dropped without an end, as when its handler is given up, is freed behind the scenes.
#[derive(Debug)]
pub(super) struct Claim {
    held: Held,
    is_over: bool,
}

#[derive(Debug, Clone)]
struct Held {
    inbox: Inbox,
    key: String,
    name: String,
    revision: u64,
    fence: u64,
    until: Timestamp,
}

/// What an entry means to whoever wants to claim its message under `name`.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Open,
    Ours,
    Busy(Duration),
    Done,
}

fn standing(found: Option<&Entry>, name: &str, now: Timestamp) -> Standing {
    match found {
        Some(entry) if entry.state == State::Done => Standing::Done,
        Some(entry) if entry.state == State::Claimed && entry.claim == name => Standing::Ours,
        Some(entry) if entry.state == State::Claimed && entry.at > now => Standing::Busy(now.age(entry.at).0),
        _ => Standing::Open,
    }
}

impl Inbox {
    /// Claims a message, unless another has or it is done.
    pub(super) async fn claim(&self, key: &str) -> Result<Claimed, InboxError> {
        let name = Uuid::new_v4().to_string();
        let mut source: BoxError = "others came first each time".into();
        for attempt in 1..=ATTEMPTS {
            match self.claim_as(key, &name).await {
                Ok(Some(claimed)) => return Ok(claimed),
                Ok(None) => {}
                Err(error) => source = error,
            }
            tokio::time::sleep(BACKOFF.wait(attempt, fastrand::f64())).await;
        }
        Err(self.fail("claiming", key, source))
    }

    async fn claim_as(&self, key: &str, name: &str) -> Result<Option<Claimed>, BoxError> {
        let found = self.store.read(key).await?;
        let now = self.clock.now();
        let until = now.after(self.hold);
        let ours = |revision| {
            let (inbox, key, name) = (self.clone(), key.to_owned(), name.to_owned());
            let held = Held { inbox, key, name, revision, fence: revision, until };
            Claimed::Ours(Claim { held, is_over: false })
        };
        match standing(found.value.as_ref(), name, now) {
            Standing::Done => Ok(Some(Claimed::Duplicate)),
            Standing::Busy(left) => Ok(Some(Claimed::Busy(left))),
            Standing::Ours => Ok(Some(ours(found.revision))),
            Standing::Open => {
                let entry = Entry { state: State::Claimed, claim: name.to_owned(), at: until };
                Ok(self.store.write(key, &entry, found.revision).await?.map(ours))
            }
        }
    }

    fn fail(&self, doing: &'static str, key: &str, source: BoxError) -> InboxError {
        InboxError { doing, key: key.to_owned(), inbox: self.store.name().to_owned(), source }
    }
}

impl Claim {
    /// A number that grows with each claim of this message.
    pub(super) fn fence(&self) -> u64 {
        self.held.fence
    }

    /// Keeps the claim up for as long as it is awaited; returns when it is lost.
    pub(super) async fn keep(&mut self) -> Lost {
        let lost = self.held.keep().await;
        self.is_over = true;
        lost
    }

    /// Ends the claim: the message is done, or free for the next.
    pub(super) async fn end(&mut self, state: State) -> Result<Result<(), Lost>, InboxError> {
        self.is_over = true;
        self.held.end(state).await
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Outside a runtime the process is ending, and the claim is over by itself before long.
        if self.is_over || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let mut held = self.held.clone();
        self.held.inbox.releases.spawn(|_| async move {
            if let Err(error) = held.end(State::Free).await {
                tracing::debug!(error = %ErrorChain(&error), "a claim is free only when its time is over");
            }
        });
    }
}

impl Held {
    async fn keep(&mut self) -> Lost {
        let interval = self.inbox.hold / 3;
        loop {
            tokio::time::sleep(interval).await;
            let until = self.inbox.clock.now().after(self.inbox.hold);
            match tokio::time::timeout(interval, self.write(State::Claimed, until)).await {
                Ok(Ok(true)) => self.until = until,
                Ok(Ok(false)) => return Lost,
                // The store is away: the claim stands until its time is over.
                Ok(Err(_)) | Err(_) if self.inbox.clock.now() < self.until => {}
                Ok(Err(_)) | Err(_) => return Lost,
            }
        }
    }

    async fn end(&mut self, state: State) -> Result<Result<(), Lost>, InboxError> {
        let mut attempt = 1;
        loop {
            match self.write(state, self.inbox.clock.now()).await {
                Ok(true) => return Ok(Ok(())),
                Ok(false) => return Ok(Err(Lost)),
                Err(error) if attempt == ATTEMPTS => {
                    return Err(self.inbox.fail("ending the claim of", &self.key, error));
                }
                Err(_) => attempt += 1,
            }
            tokio::time::sleep(BACKOFF.wait(attempt, fastrand::f64())).await;
        }
    }

    /// Writes over our own claim, and over nothing else; `false` where it is another's by now. An earlier write of ours whose
    /// confirmation was lost has moved the revision, so that is read again before another is blamed.
    async fn write(&mut self, state: State, at: Timestamp) -> Result<bool, BoxError> {
        let store = &self.inbox.store;
        let entry = Entry { state, claim: self.name.clone(), at };
        if let Some(revision) = store.write(&self.key, &entry, self.revision).await? {
            self.revision = revision;
            return Ok(true);
        }
        let found = store.read(&self.key).await?;
        match found.value {
            Some(there) if there.claim == self.name && there.state == state && state != State::Claimed => Ok(true),
            Some(there) if there.claim == self.name && there.state == State::Claimed => {
                self.revision = self.revision.max(found.revision);
                Err("an earlier write of ours was there first".into())
            }
            _ => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap().after(Duration::from_secs(seconds))
    }

    #[test]
    fn an_entry_says_whether_its_message_may_be_claimed() {
        let check = |state, claim: &str, until, expected| {
            let entry = Entry { state, claim: claim.into(), at: at(until) };
            assert_eq!(standing(Some(&entry), "ours", at(100)), expected, "{entry:?}");
        };
        assert_eq!(standing(None, "ours", at(0)), Standing::Open);
        check(State::Claimed, "theirs", 130, Standing::Busy(Duration::from_secs(30)));
        check(State::Claimed, "theirs", 100, Standing::Open);
        check(State::Claimed, "ours", 130, Standing::Ours);
        check(State::Free, "theirs", 99, Standing::Open);
        check(State::Done, "theirs", 99, Standing::Done);
        check(State::Done, "ours", 99, Standing::Done);
    }

    async fn claimed(inbox: &Inbox) -> Claim {
        match inbox.claim("k").await.unwrap() {
            Claimed::Ours(claim) => claim,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_that_slept_can_end_nothing_that_another_has_claimed() {
        let mut inbox = Inbox::in_memory();
        inbox.clock = crate::clock::Clock::standing_at(at(0));
        let mut sleeper = claimed(&inbox).await;
        assert!(matches!(inbox.claim("k").await.unwrap(), Claimed::Busy(left) if left == inbox.hold));
        inbox.clock.advance(inbox.hold);
        let mut second = claimed(&inbox).await;
        assert!(second.fence() > sleeper.fence());
        assert_eq!(sleeper.end(State::Done).await.unwrap(), Err(Lost));
        assert_eq!(sleeper.end(State::Free).await.unwrap(), Err(Lost));
        assert_eq!(sleeper.keep().await, Lost);
        assert_eq!(second.end(State::Done).await.unwrap(), Ok(()));
        assert!(matches!(inbox.claim("k").await.unwrap(), Claimed::Duplicate));
    }

    #[tokio::test]
    async fn a_released_message_is_claimed_again_at_once_behind_a_higher_fence() {
        let inbox = Inbox::in_memory();
        let mut first = claimed(&inbox).await;
        assert_eq!(first.end(State::Free).await.unwrap(), Ok(()));
        assert!(claimed(&inbox).await.fence() > first.fence());
    }

    #[tokio::test]
    async fn a_write_of_ours_that_was_not_confirmed_is_not_blamed_on_another() {
        let inbox = Inbox::in_memory();
        let mut claim = claimed(&inbox).await;
        let before = claim.held.revision;
        assert!(claim.held.write(State::Claimed, at(0)).await.unwrap());
        claim.held.revision = before;
        assert_eq!(claim.end(State::Done).await.unwrap(), Ok(()));
        claim.held.revision = before;
        assert_eq!(claim.end(State::Done).await.unwrap(), Ok(()));
    }
}
