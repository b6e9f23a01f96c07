//! What servers say when they are asked whether they are well.

use std::{collections::BTreeMap, time::Duration};

use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use tokio::time::Instant;

use super::{
    gather::{Expected, Question},
    servers::understood,
    wire::HealthAnswer,
};
use crate::{clock::Clock, snapshot::Health};

/// How often servers are asked that are well. Each then looks at all streams and consumers that it holds.
const EVERY: Duration = Duration::from_secs(60);

/// How often they are asked while one is not: whoever mends it wants to see that soon.
const WHILE_SICK: Duration = Duration::from_secs(10);

/// How long they are not asked after a silence: our user may not ask, and a question without an answer holds up its round.
const AFTER_SILENCE: Duration = Duration::from_secs(5 * 60);

/// What was said, by the names of servers.
pub(super) type Told = BTreeMap<String, Health>;

/// When servers are asked, and how many answered the last time.
#[derive(Debug, Default)]
pub(super) struct Checkup {
    again: Option<Instant>,
    usual: usize,
}

impl Checkup {
    /// Asks the servers, of which there are `all`, when that is due.
    pub(super) async fn ask(&self, client: &Client, all: usize, clock: &Clock) -> Option<Told> {
        if self.again.is_some_and(|again| Instant::now() < again) {
            return None;
        }
        let question =
            Question { subject: "$SYS.REQ.SERVER.PING.HEALTHZ", headers: HeaderMap::new(), payload: Bytes::new() };
        let expected = Expected { all, usual: self.usual };
        let answers = question.gather(client, |_| expected).await.unwrap_or_default();
        let read = |HealthAnswer { server, data }| {
            let data = data?;
            // Older servers tell no status in words.
            let is_well = data.error.is_empty() && matches!(data.status.as_str(), "ok" | "");
            let reason = if data.error.is_empty() { data.status } else { data.error };
            Some((server.name, Health { is_well, reason, told: clock.now() }))
        };
        Some(understood(&answers).into_iter().filter_map(read).collect())
    }

    /// Settles when they are asked again.
    pub(super) fn was_told(&mut self, told: &Told) {
        self.usual = told.len();
        let wait = match told.values().all(|health| health.is_well) {
            _ if told.is_empty() => AFTER_SILENCE,
            true => EVERY,
            false => WHILE_SICK,
        };
        self.again = Some(Instant::now() + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn check(well: &[bool], expected: Duration) {
        let told = Timestamp::parse("2030-01-31T12:00:00Z").unwrap();
        let health = |is_well| Health { is_well, reason: String::new(), told };
        let told: Told = well.iter().zip(0..).map(|(is_well, n)| (format!("n{n}"), health(*is_well))).collect();
        let mut checkup = Checkup::default();
        let before = Instant::now();
        checkup.was_told(&told);
        let waits = checkup.again.unwrap() - before;
        assert!(waits >= expected && waits < expected + Duration::from_secs(5), "{well:?}: {waits:?}");
        assert_eq!(checkup.usual, well.len());
    }

    #[test]
    fn who_is_not_well_is_asked_again_soon() {
        check(&[true, true], EVERY);
        check(&[true, false], WHILE_SICK);
        check(&[], AFTER_SILENCE);
    }
}
