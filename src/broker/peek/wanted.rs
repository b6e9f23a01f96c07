//! Which of the messages that were read are wanted, where only what is in them tells.

use crate::{
    clock::Timestamp,
    peek::{Filter, HeaderIs, Judged, Mention, Question, Stored, SubjectHas, Unclear},
};

/// What messages are asked.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    header: Option<HeaderIs>,
    filter: Option<Filter>,
    has: Option<SubjectHas>,
    mention: Option<Mention>,
    until: Option<Timestamp>,
    unclear: Option<Unclear>,
}

impl Wanted {
    pub(super) fn of(question: &Question) -> Self {
        let Question { header, filter, has, mention, until, .. } = question.clone();
        Self { header, filter, has, mention, until, unclear: None }
    }

    /// Whether messages have to be looked into.
    pub(super) fn looks_inside(&self) -> bool {
        self.header.is_some() || self.filter.is_some() || self.has.is_some() || self.mention.is_some()
    }

    /// Whether a message is wanted. One that the filter cannot judge is not, and is counted.
    pub(super) fn is(&mut self, message: &Stored) -> bool {
        let has_header = self.header.as_ref().is_none_or(|header| header.is_of(message));
        let has_part = self.has.as_ref().is_none_or(|has| has.is_in(&message.subject));
        if !has_header || !has_part || !self.mention.as_ref().is_none_or(|mention| mention.is_in(message)) {
            return false;
        }
        match self.filter.as_ref().map(|filter| filter.judge(message)) {
            None | Some(Judged::Wanted) => true,
            Some(Judged::Unwanted) => false,
            Some(Judged::Unclear(why)) => {
                self.unclear.get_or_insert(Unclear { count: 0, why }).count += 1;
                false
            }
        }
    }

    /// Whether a message was stored later than any that is wanted.
    pub(super) fn is_past(&self, message: &Stored) -> bool {
        self.until.is_some_and(|until| message.stored > until)
    }

    /// What could not be judged.
    pub(super) fn unclear(&self) -> Option<Unclear> {
        self.unclear.clone()
    }
}
