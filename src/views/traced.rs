//! What a page is told of traces.

use std::time::Duration;

use super::Page;
use crate::{
    trace::{Trace, TraceLogs},
    traces::{Found, Intake, Taking, Traces},
};

/// How long spans may take to come: services send some together, and one of what lasts when it has ended.
pub(super) const SPANS_COME_WITHIN: Duration = Duration::from_secs(30);

/// Traces on a page of a list.
pub(super) const ROWS: usize = 50;

/// What the page is about.
#[derive(Debug, Clone, Default)]
pub enum Traced {
    /// It is not about traces.
    #[default]
    Nothing,
    /// What was found, among what there is.
    Found(Box<Listed>),
    /// The trace, if it is kept, what was written down in it, and where traces come in.
    Trace(Option<Trace>, TraceLogs, Taking),
}

/// A list of traces and what is around it.
#[derive(Debug, Clone)]
pub struct Listed {
    pub(super) found: Found,
    pub(super) intake: Intake,
    pub(super) services: Vec<String>,
    pub(super) taking: Taking,
}

impl Traced {
    /// What `page` needs to know.
    pub fn of(page: &Page, traces: &Traces) -> Self {
        let (store, taking) = (traces.store(), &traces.taking);
        match page {
            Page::Traces(query) => Self::Found(Box::new(Listed {
                found: store.search(query, ROWS),
                intake: traces.receiver.intake(),
                services: store.services(),
                taking: taking.clone(),
            })),
            Page::Trace(id, _) => Self::Trace(store.trace(*id), store.logs(*id), taking.clone()),
            _ => Self::Nothing,
        }
    }
}
