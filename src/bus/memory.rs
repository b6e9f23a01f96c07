//! A bus that only remembers, for tests of handlers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::publish::Taken;
use crate::{
    message::{Message, MessageId},
    name::Subject,
};

/// What was published, in order.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Vec<Message>>);

impl Memory {
    /// Takes a message as a stream would: a known id is a duplicate, and `once` refuses a second message on a subject.
    pub(super) fn take(&self, message: &Message, once: bool) -> Taken {
        let mut all = self.lock();
        let sequence = |at: usize| u64::try_from(at).unwrap_or(u64::MAX) + 1;
        if let Some(at) = all.iter().position(|known| known.id == message.id) {
            return Taken::Stored { sequence: sequence(at), is_duplicate: true };
        }
        if once && all.iter().any(|known| known.subject == message.subject) {
            return Taken::SubjectInUse;
        }
        all.push(message.clone());
        Taken::Stored { sequence: sequence(all.len() - 1), is_duplicate: false }
    }

    /// Takes all messages or none: the sequences, and whether all were there as they are; or the id of one that stands in the way.
    pub(super) fn take_all(&self, messages: &[Message]) -> Result<(Vec<u64>, bool), MessageId> {
        let mut all = self.lock();
        let first = u64::try_from(all.len()).unwrap_or(u64::MAX) + 1;
        let known = |message: &Message| all.iter().position(|known| known.id == message.id);
        if messages.iter().all(|message| known(message).is_none()) {
            all.extend(messages.iter().cloned());
            return Ok(((first..).take(messages.len()).collect(), false));
        }
        let same = |message: &Message| {
            let at =
                known(message).filter(|&at| all[at].payload == message.payload && all[at].schema == message.schema);
            at.map(|at| at as u64 + 1).ok_or_else(|| message.id.clone().unwrap_or_default())
        };
        Ok((messages.iter().map(same).collect::<Result<_, _>>()?, true))
    }

    pub(super) fn all(&self) -> Vec<Message> {
        self.lock().clone()
    }

    pub(super) fn last(&self, subject: &Subject) -> Option<Message> {
        self.lock().iter().rev().find(|message| message.subject == *subject).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Message>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
