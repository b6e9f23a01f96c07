//! When a stream will let go of messages that a consumer has not processed, if all goes on as it did. Arithmetic over what was read.

use std::time::Duration;

use super::{AgeBy, Consumer, Discard, Oldest, Stream, StreamConfig, StreamState};
use crate::clock::Timestamp;

/// Acks that make a rate to reckon with: fewer say little of what comes.
const TELLING: u64 = 3;

/// A forecast is made of rounds that are seconds apart: what is nearer than this happens now.
pub const IMMINENT: Duration = Duration::from_secs(5);

/// Per cent of a limit from which on it counts as reached: a message that does not fit is refused before the last byte is taken.
pub const FULL_PERCENT: u64 = 98;

/// What lets messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// They are too old.
    MaxAge,
    /// The stream holds too many bytes.
    MaxBytes,
    /// The stream holds too many messages.
    MaxMsgs,
}

impl Limit {
    /// As the API calls it.
    pub fn token(self) -> &'static str {
        match self {
            Self::MaxAge => "max_age",
            Self::MaxBytes => "max_bytes",
            Self::MaxMsgs => "max_msgs",
        }
    }
}

/// The first unprocessed message that a stream will let go of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// When.
    pub when: Timestamp,
    /// By which limit.
    pub limit: Limit,
    /// How many messages the consumer has not processed now.
    pub messages: u64,
}

/// How a consumer and its stream moved in some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The time.
    pub over: Duration,
    /// Messages that the stream stored in it.
    pub stored: u64,
    /// Sequences of the stream by which the ack floor moved.
    pub passed: u64,
    /// Deliveries by which the ack floor moved.
    pub acked: u64,
}

/// What a forecast is made of.
#[derive(Debug, Clone, Copy)]
pub struct Outlook<'a> {
    /// The limits.
    pub config: &'a StreamConfig,
    /// What the stream holds.
    pub held: &'a StreamState,
    /// Messages that the consumer has not processed.
    pub lag: u64,
    /// The message up to which all is acked, by its sequence in the stream.
    pub ack_floor_stream_sequence: u64,
    /// How old the oldest unprocessed message is, where that is known.
    pub oldest: Option<Duration>,
    /// How both moved lately, where that is known.
    pub pace: Option<Pace>,
}

impl Outlook<'_> {
    /// The time until the oldest unprocessed message reaches `max_age`.
    pub fn until_too_old(&self) -> Option<Duration> {
        Some(self.config.age_limit()?.saturating_sub(self.oldest?))
    }

    /// How long the consumer takes for what it has not processed.
    pub fn takes(&self) -> Option<Duration> {
        let pace = self.pace.filter(|pace| pace.acked >= TELLING)?;
        Some(stretch(pace.over, self.lag, pace.acked))
    }

    /// The time until a message reaches `max_age` before the consumer, at its pace, reaches the message; `None` where it is fast enough.
    pub fn until_overtaken(&self) -> Option<Duration> {
        let (limit, oldest, takes) = (self.config.age_limit()?, self.oldest?, self.takes()?);
        if takes <= limit {
            return None;
        }
        // Ages fall evenly from the oldest message to the newest, and waits rise evenly: the message where both add up to `max_age` goes first.
        let gains = takes.checked_sub(oldest)?.as_nanos();
        let place = u128::from(self.lag).saturating_mul(limit.saturating_sub(oldest).as_nanos()) / gains.max(1);
        Some(stretch(takes, u64::try_from(place).ok()?, self.lag))
    }

    /// How many messages the stream has room for, and by which limit; `None` for one that refuses new ones when it is full.
    pub fn room(&self) -> Option<(u64, Limit)> {
        if self.config.discard == Discard::New || self.held.messages == 0 {
            return None;
        }
        let each = (self.held.bytes / self.held.messages).max(1);
        let by_bytes = self.config.byte_limit().map(|bytes| (bytes / each, Limit::MaxBytes));
        let by_messages = self.config.message_limit().map(|most| (most, Limit::MaxMsgs));
        by_bytes.into_iter().chain(by_messages).min_by_key(|(most, _)| *most)
    }

    /// The time until the stream, which grows, lets go of its oldest messages as far as those that were not processed.
    pub fn until_crowded_out(&self) -> Option<(Duration, Limit)> {
        let (most, limit) = self.room()?;
        let pace = self.pace?;
        let processed = self.ack_floor_stream_sequence.saturating_add(1).saturating_sub(self.held.first_sequence);
        let room = most.saturating_sub(self.held.messages).saturating_add(processed);
        if room == 0 && pace.stored > 0 {
            // It makes room at the expense of what was not processed, and takes the ack floor along.
            return Some((Duration::ZERO, limit));
        }
        let nearer = pace.stored.checked_sub(pace.passed).filter(|nearer| *nearer > 0)?;
        Some((stretch(pace.over, room, nearer), limit))
    }

    /// The first loss, if all goes on so.
    pub fn forecast(&self, now: Timestamp) -> Option<Forecast> {
        if self.lag == 0 || self.config.is_bucket() {
            return None;
        }
        let by_age = if self.takes().is_some() { self.until_overtaken() } else { self.until_too_old() };
        let by_age = by_age.map(|left| (left, Limit::MaxAge));
        let (left, limit) = by_age.into_iter().chain(self.until_crowded_out()).min_by_key(|(left, _)| *left)?;
        Some(Forecast { when: now.after(left), limit, messages: self.lag })
    }
}

impl Stream {
    /// The first message that this stream will let go of before `consumer`, which reads it, has processed it, if all goes on as it did
    /// between the last two rounds. `None` where nothing will be lost, or too little is known.
    pub fn forecast(&self, consumer: &Consumer, now: Timestamp) -> Option<Forecast> {
        let (state, held) = (consumer.state.fresh()?, self.state.fresh()?);
        // Both were read in the same rounds, so that their times are one.
        let pace = consumer.trend.zip(self.trend).map(|(trend, of_stream)| Pace {
            over: trend.over,
            stored: of_stream.stored,
            passed: trend.passed,
            acked: trend.acked,
        });
        // Of a consumer with filters an estimate says no more than how old its message is at the most.
        let is_telling = |oldest: &Oldest| oldest.by == AgeBy::Message || consumer.config.filters().is_empty();
        let oldest = consumer.ages.fresh().and_then(|ages| ages.unprocessed).filter(is_telling);
        let oldest = oldest.map(|oldest| oldest.stored.age(now).0);
        let outlook = Outlook {
            config: &self.config,
            held,
            lag: state.lag(),
            ack_floor_stream_sequence: state.ack_floor_stream_sequence,
            oldest,
            pace,
        };
        outlook.forecast(now)
    }

    /// The time until it holds as much as `limit` allows, if it grows as between the last two rounds: zero where it does already. `None`
    /// where it does not grow or has no such limit, and for `max_age`, which is about no stream as a whole.
    pub fn until_full(&self, limit: Limit) -> Option<Duration> {
        let (held, trend) = (self.state.fresh()?, self.trend?);
        let (room, grown) = match limit {
            Limit::MaxAge => return None,
            Limit::MaxMsgs => {
                (self.config.message_limit()?.saturating_sub(held.messages), trend.stored.checked_sub(trend.removed)?)
            }
            Limit::MaxBytes => {
                (self.config.byte_limit()?.saturating_sub(held.bytes), u64::try_from(trend.grown_bytes).ok()?)
            }
        };
        (grown > 0).then(|| stretch(trend.over, room, grown))
    }
}

/// How long `count` of something takes when `done` of it took `over`.
pub fn stretch(over: Duration, count: u64, done: u64) -> Duration {
    let nanos = over.as_nanos().saturating_mul(u128::from(count)) / u128::from(done.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Reading, StreamTrend};

    fn now() -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Messages 1 to 1 000 of 10 bytes each, of which 800 are acked; the oldest unprocessed is 100 s old.
    fn check(limits: StreamConfig, pace: Option<[u64; 3]>, expected: Option<(u64, Limit)>) {
        let held = StreamState {
            messages: 1_000,
            bytes: 10_000,
            first_sequence: 1,
            last_sequence: 1_000,
            ..Default::default()
        };
        let outlook = Outlook {
            config: &limits,
            held: &held,
            lag: 200,
            ack_floor_stream_sequence: 800,
            oldest: Some(seconds(100)),
            pace: pace.map(|[stored, passed, acked]| Pace { over: seconds(10), stored, passed, acked }),
        };
        let expected =
            expected.map(|(left, limit)| Forecast { when: now().after(seconds(left)), limit, messages: 200 });
        assert_eq!(outlook.forecast(now()), expected, "{limits:?} {pace:?}");
        assert_eq!(Outlook { lag: 0, ..outlook }.forecast(now()), None);
    }

    fn aged(max_age: u64) -> StreamConfig {
        StreamConfig { max_age: seconds(max_age), ..StreamConfig::default() }
    }

    #[test]
    fn who_stands_still_loses_the_oldest_at_its_age_limit() {
        check(aged(0), None, None);
        check(aged(160), None, Some((60, Limit::MaxAge)));
        check(aged(160), Some([5, 0, 0]), Some((60, Limit::MaxAge)));
        check(aged(90), None, Some((0, Limit::MaxAge)));
    }

    #[test]
    fn who_works_loses_only_what_it_does_not_reach_in_time() {
        check(aged(300), Some([10, 10, 10]), None);
        check(aged(150), Some([10, 10, 10]), Some((100, Limit::MaxAge)));
    }

    #[test]
    fn a_stream_that_grows_crowds_out_what_waits() {
        let most = |max_msgs| StreamConfig { max_msgs, ..StreamConfig::default() };
        check(most(1_000), Some([10, 0, 0]), Some((800, Limit::MaxMsgs)));
        check(most(1_100), Some([10, 0, 0]), Some((900, Limit::MaxMsgs)));
        check(most(1_000), Some([10, 10, 10]), None);
        check(most(1_000), None, None);
        check(StreamConfig { max_bytes: 10_000, ..most(5_000) }, Some([10, 0, 0]), Some((800, Limit::MaxBytes)));
        check(StreamConfig { discard: Discard::New, ..most(1_000) }, Some([10, 0, 0]), None);
        check(StreamConfig { name: "KV_stock".to_owned(), ..most(1_000) }, Some([10, 0, 0]), None);
    }

    /// A stream of 800 messages and 8 000 bytes, with limits of 1 000 and 10 000, that changed so in 10 s.
    fn check_full(stored: u64, removed: u64, grown_bytes: i64, expected: [Option<u64>; 2]) {
        let held = StreamState { messages: 800, bytes: 8_000, ..StreamState::default() };
        let config = StreamConfig { max_msgs: 1_000, max_bytes: 10_000, ..StreamConfig::default() };
        let stream = Stream {
            account: "A".into(),
            name: "ORDERS".parse().unwrap(),
            config: std::sync::Arc::new(config),
            created: now(),
            state: Reading::known(held, "n1", now()),
            trend: Some(StreamTrend { over: seconds(10), stored, removed, grown_bytes }),
            consumers: Reading::not_yet(),
        };
        let full = [Limit::MaxMsgs, Limit::MaxBytes].map(|limit| stream.until_full(limit).map(|left| left.as_secs()));
        assert_eq!(full, expected, "{stored} stored, {removed} removed, {grown_bytes} B grown");
        assert_eq!(stream.until_full(Limit::MaxAge), None);
        assert_eq!(Stream { trend: None, ..stream }.until_full(Limit::MaxMsgs), None);
    }

    #[test]
    fn a_full_stream_takes_what_was_not_processed_with_the_next_message() {
        let held = StreamState { messages: 1_000, bytes: 10_000, first_sequence: 801, ..StreamState::default() };
        let config = StreamConfig { max_msgs: 1_000, ..StreamConfig::default() };
        let pace = |stored| Some(Pace { over: seconds(10), stored, passed: stored, acked: 0 });
        let outlook = |stored| Outlook {
            config: &config,
            held: &held,
            lag: 1_000,
            ack_floor_stream_sequence: 800,
            oldest: None,
            pace: pace(stored),
        };
        assert_eq!(outlook(10).until_crowded_out(), Some((Duration::ZERO, Limit::MaxMsgs)));
        assert_eq!(outlook(0).until_crowded_out(), None, "nothing comes that would take its place");
    }

    #[test]
    fn a_stream_that_grows_says_when_it_is_full() {
        check_full(10, 0, 100, [Some(200), Some(200)]);
        check_full(10, 5, 40, [Some(400), Some(500)]);
        check_full(10, 10, 0, [None, None]);
        check_full(5, 10, -50, [None, None]);
    }

    #[test]
    fn the_nearest_limit_counts() {
        let both = StreamConfig { max_msgs: 1_000, ..aged(160) };
        check(both.clone(), Some([10, 0, 0]), Some((60, Limit::MaxAge)));
        check(StreamConfig { max_age: seconds(5_000), ..both }, Some([10, 0, 0]), Some((800, Limit::MaxMsgs)));
    }
}
