//! An advisory of any kind as a line of a ledger: when, of what kind, about what, in a sentence.

use std::sync::Arc;

use serde::Deserialize;

use super::Kind;
use crate::{
    clock::Timestamp,
    errors::one_line,
    name::{ConsumerName, StreamName},
    words::counted,
};

/// A worker may terminate a message with a whole document for a reason: as much of it, in characters, as a line has room for.
const REASON_MOST: usize = 300;

/// What a server gives as the reason where no worker terminated a message, but a limit of its stream, a purge or somebody removed it.
const REMOVED: &str = "Unacknowledged message was deleted";

/// What a server told unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advisory {
    /// Its id: the same wherever it is read.
    pub id: String,
    /// When the server said so.
    pub time: Timestamp,
    /// What is told.
    pub kind: Kind,
    /// The account in which it was told.
    pub account: Arc<str>,
    /// The stream that it is about.
    pub stream: Option<StreamName>,
    /// The consumer that it is about.
    pub consumer: Option<ConsumerName>,
    /// The message that it is about, by its sequence in the stream.
    pub sequence: Option<u64>,
    /// The reason that somebody gave; empty where nobody did.
    pub reason: String,
    /// All that in a sentence, which names neither stream nor consumer.
    pub sentence: String,
    /// How many alike it stands for: 1, and more only of naks and of messages removed in flight.
    pub count: u64,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    timestamp: Timestamp,
    #[serde(default)]
    stream: Option<String>,
    #[serde(default)]
    consumer: Option<String>,
    #[serde(default)]
    stream_seq: Option<u64>,
    #[serde(default)]
    deliveries: u64,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    leader: String,
    #[serde(default)]
    replicas: Option<Vec<Peer>>,
    #[serde(default)]
    dropped: u64,
    #[serde(default)]
    paused: bool,
    #[serde(default)]
    pause_until: Option<Timestamp>,
    #[serde(default)]
    group: String,
    #[serde(default)]
    pinned_id: String,
    #[serde(default)]
    server: serde_json::Value,
}

#[derive(Deserialize)]
struct Peer {
    #[serde(default)]
    name: String,
    #[serde(default)]
    offline: bool,
}

/// What the types of all advisories begin with.
const TYPES: &str = "io.nats.jetstream.advisory.v1.";

impl Advisory {
    /// Reads what was told in `account`; `None` of what is no advisory.
    pub fn parse(payload: &[u8], account: &Arc<str>) -> Option<Self> {
        let wire: Wire = serde_json::from_slice(payload).ok()?;
        let (kind, sentence) = wire.say(wire.kind.strip_prefix(TYPES)?);
        Some(Self {
            id: wire.id,
            time: wire.timestamp,
            kind,
            account: account.clone(),
            stream: wire.stream.and_then(|name| name.parse().ok()),
            consumer: wire.consumer.and_then(|name| name.parse().ok()),
            sequence: wire.stream_seq,
            reason: one_line(wire.reason, REASON_MOST),
            sentence,
            count: 1,
        })
    }
}

impl Wire {
    fn say(&self, kind: &str) -> (Kind, String) {
        let sequence = self.stream_seq.unwrap_or_default();
        match kind {
            "max_deliver" => (
                Kind::Exhausted,
                format!("The server gave up message {sequence} after {}.", counted(self.deliveries, "delivery")),
            ),
            "terminated" if self.reason == REMOVED => {
                (Kind::Removed, format!("Message {sequence} was removed from its stream while it was in flight."))
            }
            "terminated" => (Kind::Terminated, format!("A worker terminated message {sequence}{}", self.because())),
            "nak" => (Kind::Nak, format!("A worker handed message {sequence} back, {}.", nth(self.deliveries))),
            "stream_action" | "consumer_action" => self.action(),
            "stream_leader_elected" | "consumer_leader_elected" | "domain_leader_elected" => {
                (Kind::LeaderElected, format!("Server {} leads it now.", self.leader))
            }
            "stream_quorum_lost" | "consumer_quorum_lost" => (Kind::QuorumLost, self.quorum()),
            "api_limit_reached" => (
                Kind::ApiLimit,
                format!("The JetStream API was asked more than it takes and dropped {} questions.", self.dropped),
            ),
            "consumer_pause" => self.pause(),
            "consumer_group_pinned" => {
                (Kind::Pinned, format!("Client {} of group {} is served alone now.", self.pinned_id, self.group))
            }
            "consumer_group_unpinned" => (
                Kind::Unpinned,
                format!("No client of group {} is served alone any more{}", self.group, self.because()),
            ),
            "server_out_of_space" => {
                let server = self.server.as_str().unwrap_or("a server");
                (Kind::OutOfStorage, format!("JetStream of {server} has no room left and is off."))
            }
            other => (Kind::Other, format!("The server tells of `{}`.", one_line(other.to_owned(), REASON_MOST))),
        }
    }

    fn because(&self) -> String {
        match self.reason.as_str() {
            "" => ".".to_owned(),
            reason => format!(": {}.", one_line(reason.trim_end_matches('.').to_owned(), REASON_MOST)),
        }
    }

    fn action(&self) -> (Kind, String) {
        let what = if self.consumer.is_some() { "consumer" } else { "stream" };
        match self.action.as_str() {
            "create" => (Kind::Created, format!("The {what} was made.")),
            "modify" => (Kind::Updated, format!("The {what} was changed.")),
            "delete" => (Kind::Deleted, format!("The {what} was deleted.")),
            other => (Kind::Other, format!("The {what}: {other}.")),
        }
    }

    fn quorum(&self) -> String {
        let away = self.replicas.iter().flatten().filter(|peer| peer.offline).map(|peer| peer.name.as_str());
        let away: Vec<&str> = away.collect();
        let missing = if away.is_empty() { String::new() } else { format!(" ({} away)", away.join(", ")) };
        format!("It has lost its quorum and stands still until most of its replicas are back{missing}.")
    }

    fn pause(&self) -> (Kind, String) {
        match (self.paused, self.pause_until) {
            (true, Some(until)) => (Kind::Paused, format!("It was paused until {until}.")),
            (true, None) => (Kind::Paused, "It was paused.".to_owned()),
            (false, _) => (Kind::Resumed, "It goes on after its pause.".to_owned()),
        }
    }
}

fn nth(delivery: u64) -> String {
    if delivery == 1 { "at its first delivery".to_owned() } else { format!("at delivery {delivery}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: &str, more: serde_json::Value) -> Option<Advisory> {
        let mut text = serde_json::json!({
            "type": format!("{TYPES}{kind}"), "id": "x", "timestamp": "2030-01-31T12:00:00.123456789Z",
            "stream": "ORDERS",
        });
        let (Some(fields), Some(more)) = (text.as_object_mut(), more.as_object()) else { unreachable!() };
        fields.extend(more.clone());
        Advisory::parse(text.to_string().as_bytes(), &"A".into())
    }

    fn check(kind: &str, more: serde_json::Value, expected: Kind, sentence: &str) {
        let advisory = parse(kind, more).unwrap();
        assert_eq!((advisory.kind, advisory.sentence.as_str()), (expected, sentence));
        assert_eq!(advisory.stream.unwrap().as_str(), "ORDERS");
    }

    #[test]
    fn every_kind_is_said_in_a_sentence() {
        use serde_json::json;
        let message =
            |reason: &str| json!({ "consumer": "mailer", "stream_seq": 42, "deliveries": 3, "reason": reason });
        check("max_deliver", message(""), Kind::Exhausted, "The server gave up message 42 after 3 deliveries.");
        check("terminated", message("no."), Kind::Terminated, "A worker terminated message 42: no.");
        check("terminated", message(""), Kind::Terminated, "A worker terminated message 42.");
        let removed = "Message 42 was removed from its stream while it was in flight.";
        check("terminated", message("Unacknowledged message was deleted"), Kind::Removed, removed);
        check("nak", message(""), Kind::Nak, "A worker handed message 42 back, at delivery 3.");
        check("stream_action", json!({ "action": "modify" }), Kind::Updated, "The stream was changed.");
        let made = json!({ "consumer": "mailer", "action": "create" });
        check("consumer_action", made, Kind::Created, "The consumer was made.");
        check("consumer_leader_elected", json!({ "leader": "n2" }), Kind::LeaderElected, "Server n2 leads it now.");
        let peers = json!({ "replicas": [{ "name": "n1", "current": true }, { "name": "n2", "offline": true }] });
        check(
            "stream_quorum_lost",
            peers,
            Kind::QuorumLost,
            "It has lost its quorum and stands still until most of its replicas are back (n2 away).",
        );
        let pause = json!({ "consumer": "mailer", "paused": true, "pause_until": "2030-02-01T00:00:00Z" });
        check("consumer_pause", pause, Kind::Paused, "It was paused until 2030-02-01T00:00:00.000Z.");
        let resumed = json!({ "consumer": "mailer", "paused": false, "pause_until": "0001-01-01T00:00:00Z" });
        check("consumer_pause", resumed, Kind::Resumed, "It goes on after its pause.");
        check("of_tomorrow", json!({}), Kind::Other, "The server tells of `of_tomorrow`.");
    }

    #[test]
    fn a_long_reason_is_one_line_with_an_end() {
        let reason = format!("no\nroom {}", "x".repeat(5_000));
        let advisory = parse("terminated", serde_json::json!({ "stream_seq": 1, "reason": reason })).unwrap();
        assert!(advisory.reason.starts_with("no room") && advisory.reason.chars().count() <= REASON_MOST);
    }

    #[test]
    fn what_is_no_advisory_is_none() {
        assert_eq!(Advisory::parse(b"not JSON", &"A".into()), None);
        assert_eq!(Advisory::parse(b"{}", &"A".into()), None);
        let metric =
            br#"{"type":"io.nats.jetstream.metric.v1.consumer_ack","id":"x","timestamp":"2030-01-31T12:00:00Z"}"#;
        assert_eq!(Advisory::parse(metric, &"A".into()), None);
    }
}
