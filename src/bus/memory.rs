//! A bus that only remembers, for tests of handlers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::publish::Taken;
use crate::{message::Message, name::Subject};

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
