//! One at a time on a subject: who publishes in order waits for those who came before.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::sync::{Mutex as Turns, OwnedMutexGuard};

use super::PublishError;
use crate::name::Subject;

/// How long a message waits for its turn: those before it give up in about 12 s each, where no stream answers.
const TURN_LIMIT: Duration = Duration::from_secs(60);

/// Subjects remembered before those that nobody waits for are forgotten.
const FORGET_ABOVE: usize = 256;

/// The subjects on which messages are published in order now.
#[derive(Debug, Default)]
pub(crate) struct Orders(Mutex<HashMap<Subject, Weak<Turns<()>>>>);

impl Orders {
    /// The turn of a message on `subject`; the next has it when the guard is dropped.
    pub(super) async fn turn(&self, subject: &Subject) -> Result<OwnedMutexGuard<()>, PublishError> {
        let turns = self.turns(subject);
        let late = |_| PublishError::WindowFull { subject: subject.clone(), window: 1, waited: TURN_LIMIT };
        tokio::time::timeout(TURN_LIMIT, turns.lock_owned()).await.map_err(late)
    }

    fn turns(&self, subject: &Subject) -> Arc<Turns<()>> {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = orders.get(subject).and_then(Weak::upgrade) {
            return turns;
        }
        if orders.len() >= FORGET_ABOVE {
            orders.retain(|_, turns| turns.strong_count() > 0);
        }
        let turns = Arc::new(Turns::new(()));
        orders.insert(subject.clone(), Arc::downgrade(&turns));
        turns
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn turns_are_taken_one_at_a_time_on_each_subject() {
        let orders = Orders::default();
        let [one, other] = ["a.1", "a.2"].map(|subject| Subject::try_from(subject).unwrap());
        let first = orders.turn(&one).await.unwrap();
        assert!(orders.turn(&one).now_or_never().is_none());
        assert!(orders.turn(&other).now_or_never().is_some());
        drop(first);
        assert!(orders.turn(&one).now_or_never().is_some());
    }

    #[tokio::test]
    async fn subjects_that_nobody_waits_for_are_forgotten() {
        let orders = Orders::default();
        for number in 0..=FORGET_ABOVE {
            drop(orders.turn(&Subject::try_from(format!("a.{number}")).unwrap()).await.unwrap());
        }
        assert_eq!(orders.0.lock().unwrap().len(), 1);
    }
}
