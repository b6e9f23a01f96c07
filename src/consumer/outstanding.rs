//! Which pull requests the server still owes answers to: pure bookkeeping, the time comes in.
//!
//! A message does not say which request it answers; the server serves them in the order they came, so the oldest is counted down. An
//! error in the count mends itself: every request ends at its deadline.

use std::{collections::VecDeque, time::Instant};

/// A request that the server has not answered in full.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    id: u64,
    remaining: u32,
    until: Instant,
}

/// The unanswered requests, oldest first.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    requests: VecDeque<Request>,
    next_id: u64,
}

impl Outstanding {
    /// Messages that may still come.
    pub(super) fn messages(&self) -> u32 {
        self.requests.iter().map(|request| request.remaining).sum()
    }

    /// Notes a new request for `count` messages and gives it an id.
    pub(super) fn ask(&mut self, count: u32, until: Instant) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.requests.push_back(Request { id, remaining: count, until });
        id
    }

    /// Notes that a message came.
    pub(super) fn received(&mut self) {
        if let Some(oldest) = self.requests.front_mut() {
            oldest.remaining -= 1;
            if oldest.remaining == 0 {
                self.requests.pop_front();
            }
        }
    }

    /// Notes that the server ended a request.
    pub(super) fn ended(&mut self, id: u64) {
        self.requests.retain(|request| request.id != id);
    }

    /// Forgets requests whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        self.requests.retain(|request| request.until > now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_oldest_request_is_counted_down_first() {
        let now = Instant::now();
        let mut outstanding = Outstanding::default();
        let first = outstanding.ask(2, now + Duration::from_secs(1));
        let second = outstanding.ask(3, now + Duration::from_secs(2));
        outstanding.received();
        assert_eq!(outstanding.messages(), 4);
        outstanding.received();
        outstanding.received();
        assert_eq!(outstanding.messages(), 2);
        outstanding.ended(first);
        assert_eq!(outstanding.messages(), 2);
        outstanding.ended(second);
        assert_eq!(outstanding.messages(), 0);
        outstanding.received();
        assert_eq!(outstanding.messages(), 0);
    }

    #[test]
    fn a_request_ends_at_its_deadline() {
        let now = Instant::now();
        let mut outstanding = Outstanding::default();
        outstanding.ask(2, now + Duration::from_secs(1));
        outstanding.ask(3, now + Duration::from_secs(2));
        outstanding.expire(now + Duration::from_secs(1));
        assert_eq!(outstanding.messages(), 3);
    }
}
