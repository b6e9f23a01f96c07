//! A listener for each account, in the order of the accounts.

use futures_util::future::select_all;

use super::{ledger, links::Links, listener::Listener};
use crate::{advisory::Advisory, clock::Clock, snapshot::Snapshot};

/// The listeners.
#[derive(Debug)]
pub(super) struct Listeners(Vec<Listener>);

impl Listeners {
    /// One for each of so many accounts.
    pub(super) fn new(accounts: usize) -> Self {
        Self((0..accounts).map(|_| Listener::default()).collect())
    }

    /// Begins to listen in each account, once there is a connection to it.
    pub(super) async fn listen(&mut self, links: &Links, clock: &Clock) {
        for (place, listener) in self.0.iter_mut().enumerate() {
            if let Some(broker) = links.broker(place) {
                listener.listen(broker, clock).await;
            }
        }
    }

    /// The next that is told, and the place of the account in which it was.
    pub(super) async fn next(&mut self) -> (usize, Advisory) {
        let (advisory, place, _) = select_all(self.0.iter_mut().map(|listener| Box::pin(listener.next()))).await;
        (place, advisory)
    }

    /// Notes what was told in the account at `place` while `round` was underway or about to be.
    pub(super) fn note(&mut self, place: usize, advisory: Advisory, round: u64) {
        if let Some(listener) = self.0.get_mut(place) {
            listener.note(advisory, round);
        }
    }

    /// Whether it was told since it was last asked that a stream or consumer was changed.
    pub(super) fn has_changed(&mut self) -> bool {
        // Each is asked, so that none says it again.
        self.0.iter_mut().map(Listener::has_changed).filter(|has_changed| *has_changed).count() > 0
    }

    /// Writes into `next` what is known by now of each account, one after the other: mostly there is nothing to ask.
    pub(super) async fn write(&mut self, next: &mut Snapshot, links: &Links) {
        let contacts: Vec<_> = next.watched().map(|watched| watched.contact.clone()).collect();
        for (place, (listener, contact)) in self.0.iter_mut().zip(&contacts).enumerate() {
            let Some(broker) = links.broker(place) else { continue };
            let told = listener.write(next, contact, broker).await;
            if let Some(watched) = next.watched_mut().nth(place) {
                watched.advisories = told.or_last(&watched.advisories);
            }
        }
        let names = links.names();
        if !names.is_empty() {
            ledger::hide_others(next, &names);
        }
    }
}
