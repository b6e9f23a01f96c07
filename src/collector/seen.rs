//! Which advisories were told already, by their ids. A stream keeps some of those that are heard, and they are read again from there.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

/// Ids that are remembered, the newest: what is heard is read again from its stream within a round or two.
const MOST: usize = 16_384;

/// The ids of what was told.
#[derive(Debug, Default)]
pub(super) struct Seen {
    ids: HashSet<Arc<str>>,
    order: VecDeque<Arc<str>>,
}

impl Seen {
    /// Whether an id is seen for the first time.
    pub(super) fn is_new(&mut self, id: &str) -> bool {
        if self.ids.contains(id) {
            return false;
        }
        if self.order.len() == MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        let id: Arc<str> = id.into();
        self.ids.insert(id.clone());
        self.order.push_back(id);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_and_the_oldest_are_forgotten() {
        let mut seen = Seen::default();
        assert!(seen.is_new("first") && !seen.is_new("first"));
        assert!((1..MOST).all(|id| seen.is_new(&id.to_string())));
        assert!(!seen.is_new("first"), "there is room for as many");
        assert!(seen.is_new("one more") && seen.is_new("first"));
        assert_eq!((seen.ids.len(), seen.order.len()), (MOST, MOST));
    }
}
