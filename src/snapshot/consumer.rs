//! A consumer: the server's view of who reads a stream and how far.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Timestamp,
    name::{ConsumerName, StreamName},
    snapshot::{Ages, Cluster, ConsumerConfig, Failures, Label, Reading, Verdict, stream::per_second, stretch},
};

/// A consumer: how it is set up and how far it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Consumer {
    /// The account that it is in.
    pub account: Arc<str>,
    /// The stream that it reads.
    pub stream: StreamName,
    /// Its name.
    pub name: ConsumerName,
    /// How it is set up.
    pub config: Arc<ConsumerConfig>,
    /// When it was made.
    pub created: Timestamp,
    /// How far it was.
    pub state: Reading<ConsumerState>,
    /// What changed since the round before; `None` until two rounds have read it.
    pub trend: Option<ConsumerTrend>,
    /// How old the oldest messages are that it has not processed.
    pub ages: Reading<Ages>,
    /// What it gave up, by the broker's advisories.
    pub failures: Reading<Failures>,
    /// What all that amounts to.
    pub verdict: Verdict,
    /// A leader whose word is not believed yet.
    pub new_leader: Option<NewLeader>,
}

/// A leader that was elected a short while ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLeader {
    /// Its name.
    pub name: Arc<str>,
    /// When it was first heard as the leader.
    pub heard: Timestamp,
}

/// How far a consumer was at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsumerState {
    /// Messages not yet delivered.
    pub pending: u64,
    /// Messages delivered and not yet acked.
    pub ack_pending: u64,
    /// Messages that are being delivered again: how many now, not how many ever.
    pub redelivered: u64,
    /// Pull requests that wait for messages; nobody asks where this is 0 and messages are pending.
    pub waiting: u64,
    /// Deliveries ever made.
    pub delivered: u64,
    /// The last message delivered, by its sequence in the stream.
    pub delivered_stream_sequence: u64,
    /// When the last delivery was made.
    pub last_delivered: Option<Timestamp>,
    /// Deliveries up to which all is acked.
    pub ack_floor: u64,
    /// The message up to which all is acked, by its sequence in the stream.
    pub ack_floor_stream_sequence: u64,
    /// When the last ack came.
    pub last_acked: Option<Timestamp>,
    /// Whether it is paused now.
    pub is_paused: bool,
    /// How much of the pause is left.
    pub pause_left: Option<Duration>,
    /// Of a push consumer: whether anybody listens.
    pub has_listener: bool,
    /// The client that a group is pinned to, where one is.
    pub pinned: Option<String>,
    /// Who holds it; `None` on a server without a cluster.
    pub cluster: Option<Cluster>,
}

impl ConsumerState {
    /// Messages that it has not processed: those not delivered and those in flight.
    pub fn lag(&self) -> u64 {
        self.pending.saturating_add(self.ack_pending)
    }
}

impl Consumer {
    /// Whether its leader was heard, but in too few rounds to tell whether it keeps up.
    pub fn is_unjudged(&self) -> bool {
        self.verdict.label == Label::Unknown && self.state.fresh().is_some()
    }

    /// Messages for it that the stream took, a second, between the last two rounds. `None` until two rounds have read it.
    pub fn arrived_per_second(&self) -> Option<f64> {
        self.state.fresh()?;
        self.trend.map(|trend| per_second(trend.arrived, trend.over))
    }

    /// By how many messages a second its pending ones grew less between the last two rounds; negative where they grew more.
    pub fn drained_per_second(&self) -> Option<f64> {
        let (state, trend) = (self.state.fresh()?, self.trend?);
        let less = per_second(trend.pending_before.saturating_sub(state.pending), trend.over);
        let more = per_second(state.pending.saturating_sub(trend.pending_before), trend.over);
        Some(less - more)
    }

    /// The time until nothing is pending, if it goes on as between the last two rounds: zero where nothing is. `None` where what is
    /// pending does not shrink, or too little is known.
    pub fn eta(&self) -> Option<Duration> {
        let state = self.state.fresh()?;
        if state.pending == 0 {
            return Some(Duration::ZERO);
        }
        let trend = self.trend?;
        let less = trend.pending_before.checked_sub(state.pending).filter(|less| *less > 0)?;
        Some(stretch(trend.over, state.pending, less))
    }
}

/// What changed in a consumer between two rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConsumerTrend {
    /// The time between them.
    pub over: Duration,
    /// Deliveries made in it.
    pub delivered: u64,
    /// Messages that came for it: all that the stream stored where it takes them all, else what was delivered for the first time and what
    /// is pending more.
    pub arrived: u64,
    /// Messages that were in flight, or came to be, and are no more: acked, as a rule.
    pub acked: u64,
    /// By how much the ack floor moved, in sequences of the stream.
    pub passed: u64,
    /// Messages not yet delivered, at its start.
    pub pending_before: u64,
}

impl ConsumerTrend {
    /// Deliveries a second.
    pub fn delivered_per_second(&self) -> f64 {
        per_second(self.delivered, self.over)
    }

    /// Messages acked a second.
    pub fn acked_per_second(&self) -> f64 {
        per_second(self.acked, self.over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What 2 s are like in which so many were delivered, and as many wait as before or less or more.
    fn check(pending: [u64; 2], delivered: u64, arrived: f64, drained: f64, eta: Option<u64>) {
        let now = Timestamp::parse("2030-01-31T12:00:00Z").unwrap();
        let state = ConsumerState { pending: pending[1], ..ConsumerState::default() };
        let over = Duration::from_secs(2);
        let came = (delivered + pending[1]).saturating_sub(pending[0]);
        let consumer = Consumer {
            account: "A".into(),
            stream: "ORDERS".parse().unwrap(),
            name: "mailer".parse().unwrap(),
            config: Arc::default(),
            created: now,
            state: Reading::known(state, "n1", now),
            trend: Some(ConsumerTrend {
                over,
                delivered,
                arrived: came,
                acked: 0,
                passed: 0,
                pending_before: pending[0],
            }),
            ages: Reading::not_yet(),
            failures: Reading::not_yet(),
            verdict: Verdict::unknown("not looked at", now),
            new_leader: None,
        };
        assert_eq!((consumer.arrived_per_second(), consumer.drained_per_second()), (Some(arrived), Some(drained)));
        assert_eq!(consumer.eta(), eta.map(Duration::from_secs), "{pending:?}");
        let unread = Consumer { trend: None, ..consumer };
        assert_eq!(unread.arrived_per_second(), None);
    }

    #[test]
    fn what_comes_and_what_goes_make_the_time_that_is_left() {
        check([100, 80], 30, 5.0, 10.0, Some(8));
        check([100, 100], 30, 15.0, 0.0, None);
        check([100, 120], 30, 25.0, -10.0, None);
        check([100, 0], 100, 0.0, 50.0, Some(0));
        check([0, 0], 0, 0.0, 0.0, Some(0));
    }
}
