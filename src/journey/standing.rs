//! How far consumers are with the messages of a journey, as the last round saw them.

use super::passage::Passages;
use crate::{
    clock::Timestamp,
    name::SubjectPattern,
    snapshot::{Consumer, Snapshot},
};

/// Standings at the most: a stream may have a thousand consumers.
const MOST: usize = 100;

/// How far a consumer is with a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The message, by its place among those of the journey.
    pub passage: usize,
    /// The account.
    pub account: String,
    /// The stream.
    pub stream: String,
    /// The consumer.
    pub consumer: String,
    /// How far it is.
    pub at: Where,
    /// How often it is delivered at the most; `None` for without end.
    pub deliver_limit: Option<u64>,
    /// When that was so.
    pub seen: Option<Timestamp>,
}

/// How far a consumer is with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// It is done with it: it was acked, or given up.
    Past,
    /// It was delivered, and all before it is not yet acked: it may be in flight, or acked.
    Delivered,
    /// It was not delivered yet.
    Waiting,
    /// Nobody says how far the consumer is.
    Unknown,
}

/// The consumers that are not done with a message, and those that are where no span tells of it.
pub(super) fn of(snapshot: &Snapshot, passages: &Passages<'_>) -> Vec<Standing> {
    let mut standings = Vec::new();
    for (index, passage) in passages.rows.iter().enumerate() {
        for place in &passage.places {
            let (Some(account), Some(stored)) = (place.account.as_deref(), place.stored) else { continue };
            let Some(stream) = place.stream.parse().ok().and_then(|name| snapshot.stream(account, &name)) else {
                continue;
            };
            let consumers = stream.consumers.value().map_or(&[][..], |consumers| &consumers.rows);
            for consumer in consumers.iter().filter(|consumer| reads(consumer, &passage.subject, stored)) {
                let at = how_far(consumer, place.sequence);
                let name = consumer.name.as_str();
                let is_told = passages.handlings[index].iter().any(|handled| handled.told.consumer == Some(name));
                if standings.len() < MOST && !(at == Where::Past && is_told) {
                    standings.push(Standing {
                        passage: index,
                        account: account.to_owned(),
                        stream: place.stream.clone(),
                        consumer: name.to_owned(),
                        at,
                        deliver_limit: consumer.config.deliver_limit(),
                        seen: consumer.state.fact().map(|fact| fact.at),
                    });
                }
            }
        }
    }
    standings
}

/// Whether a consumer gets a message on this subject: one that was made later and did not ask for what was before may not.
fn reads(consumer: &Consumer, subject: &str, stored: Timestamp) -> bool {
    let config = &consumer.config;
    let asks_for_all = matches!(config.deliver_policy.as_str(), "" | "all");
    let filters = config.filters();
    let is_filtered = |filter: &&str| filter.parse::<SubjectPattern>().is_ok_and(|filter| filter.matches(subject));
    (asks_for_all || consumer.created < stored) && (filters.is_empty() || filters.iter().any(is_filtered))
}

fn how_far(consumer: &Consumer, sequence: u64) -> Where {
    match consumer.state.value() {
        None => Where::Unknown,
        Some(state) if sequence <= state.ack_floor_stream_sequence => Where::Past,
        Some(state) if sequence <= state.delivered_stream_sequence => Where::Delivered,
        Some(_) => Where::Waiting,
    }
}
