//! Whether the connection stands, since when, and what was last heard of it.

use std::{sync::Arc, time::Instant};

use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};

/// What is known of a connection at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkState {
    /// Whether it is connected.
    pub is_connected: bool,
    /// Since when that is so.
    pub since: Timestamp,
    /// What was last heard, in words.
    pub reason: String,
    /// Whether the client has ended: it connects no more, and whoever needs it has to start anew.
    pub is_over: bool,
}

/// A handle to the state of a connection; clones see the same.
#[derive(Debug, Clone)]
pub struct Link {
    state: watch::Sender<LinkState>,
    /// The subject on which NATS last refused to let our user publish, and when.
    refused: watch::Sender<Option<(String, Instant)>>,
    /// The user, where the login names one: a process may have several connections.
    user: Option<Arc<str>>,
    clock: Clock,
}

/// Held by the client for as long as it lives; dropping it says that the client is over.
#[derive(Debug)]
pub(super) struct ClientLives(Link);

impl ClientLives {
    pub(super) fn of(link: Link) -> Self {
        Self(link)
    }

    pub(super) fn link(&self) -> Link {
        self.0.clone()
    }
}

impl Drop for ClientLives {
    fn drop(&mut self) {
        self.0.over();
    }
}

/// Two handles to a link that is not up yet: one to keep, one for the client's events.
pub(super) fn new(user: Option<&str>, clock: Clock) -> (Link, Link) {
    let start =
        LinkState { is_connected: false, since: clock.now(), reason: "not connected yet".to_owned(), is_over: false };
    let (state, refused) = (watch::Sender::new(start), watch::Sender::new(None));
    let link = Link { state, refused, user: user.map(Arc::from), clock };
    (link.clone(), link)
}

impl Link {
    /// The state now.
    pub fn state(&self) -> LinkState {
        self.state.borrow().clone()
    }

    /// Follows the state as it changes.
    pub fn watch(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    /// The subject on which NATS refused to let our user publish, if it has since `began`. It does not say of which message: whoever
    /// publishes gets no answer.
    pub(crate) fn refused_since(&self, began: Instant) -> Option<String> {
        let refused = self.refused.borrow();
        refused.as_ref().filter(|(_, at)| *at >= began).map(|(subject, _)| subject.clone())
    }

    /// Resolves when the client has ended.
    pub async fn ended(&self) {
        // A sender of the state is ours, so waiting cannot fail.
        drop(self.state.subscribe().wait_for(|state| state.is_over).await);
    }

    /// Notes that the first connection stands; the client's event for it may come later.
    pub(super) fn connected(&self) {
        self.set(true, "connected");
    }

    /// Takes an event of the client and writes its log line.
    pub(super) fn heard(&self, event: &async_nats::Event) {
        use async_nats::Event;
        let user = self.user.as_deref();
        match event {
            Event::Connected => {
                tracing::info!(user, "connected to NATS");
                self.set(true, "connected");
            }
            Event::Disconnected => {
                tracing::warn!(user, "lost the connection to NATS; connecting again");
                self.set(false, "connection lost, connecting again");
            }
            Event::Closed => self.set(false, "connection closed"),
            Event::LameDuckMode => tracing::warn!(user, "the NATS server is about to shut down; it asks us to move"),
            Event::SlowConsumer(subscription) => {
                tracing::error!(user, subscription, "messages were dropped: a subscription's queue is full");
            }
            Event::ServerError(error) => {
                tracing::warn!(user, %error, "NATS says");
                if let Some(subject) = refused(&error.to_string()) {
                    self.refused.send_replace(Some((subject.to_owned(), Instant::now())));
                }
            }
            Event::ClientError(error) => tracing::warn!(user, %error, "NATS client says"),
            Event::Draining => {}
        }
    }

    fn set(&self, is_connected: bool, reason: &str) {
        let now = self.clock.now();
        self.state.send_if_modified(|state| {
            let changed = state.is_connected != is_connected || state.reason != reason;
            if state.is_connected != is_connected {
                state.since = now;
            }
            if changed {
                *state = LinkState { is_connected, since: state.since, reason: reason.to_owned(), ..*state };
            }
            changed
        });
    }

    fn over(&self) {
        self.set(false, "the NATS client has ended and connects no more");
        self.state.send_modify(|state| state.is_over = true);
    }
}

/// The subject of which a server says that our user may not publish there.
fn refused(said: &str) -> Option<&str> {
    let (_, rest) = said.split_once("Permissions Violation for Publish to \"")?;
    rest.split_once('"').map(|(subject, _)| subject)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_link_says_since_when_it_is_as_it_is() {
        let clock = Clock::standing_at(Timestamp::parse("2030-01-31T12:00:00Z").unwrap());
        let (link, events) = new(None, clock.clone());
        link.connected();
        clock.advance(Duration::from_secs(10));
        events.heard(&async_nats::Event::Connected);
        assert_eq!(link.state().since.age(clock.now()).0, Duration::from_secs(10));
        events.heard(&async_nats::Event::Disconnected);
        assert!(!link.state().is_connected);
        assert_eq!(link.state().since, clock.now());
        assert!(!link.state().is_over, "a connection that is lost is made anew");
        drop(ClientLives::of(events));
        assert!(link.state().is_over);
    }

    #[test]
    fn a_subject_on_which_our_user_may_not_publish_is_remembered() {
        let (link, events) = new(None, Clock::system());
        let began = Instant::now();
        let hear = |said: &str| {
            events.heard(&async_nats::Event::ServerError(async_nats::ServerError::Other(said.to_owned())));
        };
        hear("Permissions Violation for Subscription to \"a\"");
        assert_eq!(link.refused_since(began), None);
        hear("Permissions Violation for Publish to \"orders.1\"");
        assert_eq!(link.refused_since(began).as_deref(), Some("orders.1"));
        assert_eq!(link.refused_since(Instant::now() + Duration::from_secs(1)), None);
    }
}
