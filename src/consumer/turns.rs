//! One message of a key at a time, in the order in which they came.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::message::Message;

/// What messages must not overtake each other about.
pub(super) struct KeyOf(Box<dyn Fn(&Message) -> String + Send + Sync>);

impl KeyOf {
    pub(super) fn new(key_of: impl Fn(&Message) -> String + Send + Sync + 'static) -> Self {
        Self(Box::new(key_of))
    }

    pub(super) fn of(&self, message: &Message) -> String {
        (self.0)(message)
    }
}

impl fmt::Debug for KeyOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyOf")
    }
}

/// Those who wait for each key that is busy. There are no more than the worker has credits.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<String, VecDeque<oneshot::Sender<()>>>>>);

/// A place in the queue of a key; dropping it lets the next one in, whether its turn had come or not.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    key: String,
    came: Option<oneshot::Receiver<()>>,
}

impl Turns {
    /// Queues up for `key`. Places are in the order of these calls.
    pub(super) fn queue(&self, key: String) -> Turn {
        let mut busy = self.lock();
        let came = match busy.get_mut(&key) {
            None => {
                busy.insert(key.clone(), VecDeque::new());
                None
            }
            Some(waiting) => {
                let (sender, came) = oneshot::channel();
                waiting.push_back(sender);
                Some(came)
            }
        };
        Turn { turns: self.clone(), key, came }
    }

    fn pass_on(&self, key: &str) {
        let mut busy = self.lock();
        let Some(waiting) = busy.get_mut(key) else { return };
        // Who left the queue while it waited no longer listens, and is passed over.
        while let Some(next) = waiting.pop_front() {
            if next.send(()).is_ok() {
                return;
            }
        }
        busy.remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, VecDeque<oneshot::Sender<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Waits until it is this one's turn.
    pub(super) async fn comes(&mut self) {
        if let Some(came) = &mut self.came {
            // A sender is dropped only with the whole worker.
            drop(came.await);
            self.came = None;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let is_ours = self.came.as_mut().is_none_or(|came| came.try_recv().is_ok());
        if is_ours {
            self.turns.pass_on(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_key_is_held_by_one_and_others_follow_in_order() {
        let turns = Turns::default();
        let mut places: Vec<Turn> = ["a", "a", "a", "b"].map(|key| turns.queue(key.to_owned())).into();
        let mut other = places.pop().unwrap();
        other.comes().await;
        let (mut third, mut second, mut first) = (places.pop().unwrap(), places.pop().unwrap(), places.pop().unwrap());
        first.comes().await;
        assert!(second.comes().now_or_never().is_none());
        drop(first);
        second.comes().await;
        assert!(third.comes().now_or_never().is_none());
        drop(second);
        third.comes().await;
        drop((third, other));
        assert!(turns.lock().is_empty(), "keys are forgotten");
    }

    #[tokio::test]
    async fn who_leaves_the_queue_is_passed_over() {
        let turns = Turns::default();
        let (first, second, mut third) = (turns.queue("a".into()), turns.queue("a".into()), turns.queue("a".into()));
        drop(second);
        assert!(third.comes().now_or_never().is_none());
        drop(first);
        third.comes().await;
    }

    #[tokio::test]
    async fn a_turn_that_came_unseen_is_passed_on() {
        let turns = Turns::default();
        let (first, second, mut third) = (turns.queue("a".into()), turns.queue("a".into()), turns.queue("a".into()));
        drop(first);
        drop(second);
        third.comes().await;
    }
}
