//! What the bucket of records holds under one key, as the newest message of that key tells.

use super::Entry;
use crate::{
    clock::Timestamp,
    mask,
    peek::Stored,
    record::{PREFIX, Record, Step},
};

/// A value larger than this is not read as a record.
const VALUE_MOST: usize = 64 << 10;

/// What stands under a key.
#[derive(Debug, Clone, PartialEq)]
pub enum UnderKey {
    /// A record.
    Record(Box<Entry<Record>>),
    /// Nothing any more, since then.
    Deleted(Timestamp),
    /// Something that is no record.
    NoRecord,
}

impl UnderKey {
    /// What a message of the bucket's stream says of its key.
    pub fn of(message: &Stored) -> Self {
        let is_deleted = matches!(message.header("KV-Operation"), Some("DEL" | "PURGE"));
        if is_deleted || message.header("Nats-Marker-Reason").is_some() {
            return Self::Deleted(message.stored);
        }
        if message.payload.len() > VALUE_MOST {
            return Self::NoRecord;
        }
        let Ok(value) = serde_json::from_slice(&message.payload).map(without_secrets) else { return Self::NoRecord };
        let key = message.subject.strip_prefix(PREFIX).unwrap_or(&message.subject).to_owned();
        Self::Record(Box::new(Entry { key, revision: message.sequence, written: message.stored, value }))
    }

    /// The record, if it is one.
    pub fn record(self) -> Option<Entry<Record>> {
        match self {
            Self::Record(entry) => Some(*entry),
            Self::Deleted(_) | Self::NoRecord => None,
        }
    }
}

/// A record as it is shown: what a rule of `mask` knows as secret is left out of what services say in their own words.
pub(crate) fn without_secrets(record: Record) -> Record {
    let steps =
        record.steps.into_iter().map(|step| Step { name: mask::shown(&step.name), by: mask::shown(&step.by), ..step });
    Record {
        state: mask::shown(&record.state),
        summary: mask::shown(&record.summary),
        reason: record.reason.as_deref().map(mask::shown),
        steps: steps.collect(),
        ..record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_the_bucket_is_a_record_a_marker_or_neither() {
        let check = |header: Option<(&str, &str)>, payload: &str, expected: &str| {
            let message = Stored {
                sequence: 7,
                stored: Timestamp::parse("2030-01-31T12:00:00Z").unwrap(),
                subject: "$KV.records.order.7".to_owned(),
                headers: header.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
                payload: payload.to_owned().into(),
            };
            let told = match UnderKey::of(&message) {
                UnderKey::Record(entry) => format!("{} {} {}", entry.key, entry.revision, entry.value.state),
                UnderKey::Deleted(_) => "deleted".to_owned(),
                UnderKey::NoRecord => "none".to_owned(),
            };
            assert_eq!(told, expected, "{payload}");
        };
        let at = "2030-01-31T12:00:00Z";
        let record =
            format!(r#"{{"kind":"order","id":"7","state":"paid","phase":"open","started":"{at}","since":"{at}"}}"#);
        check(None, &record, "order.7 7 paid");
        check(Some(("KV-Operation", "DEL")), "", "deleted");
        check(Some(("KV-Operation", "PURGE")), &record, "deleted");
        check(Some(("Nats-Marker-Reason", "MaxAge")), "", "deleted");
        check(None, "", "none");
        check(None, "{\"kind\":1}", "none");
        check(None, &format!("{record}{}", " ".repeat(VALUE_MOST)), "none");
    }

    #[test]
    fn what_services_say_in_their_own_words_is_shown_without_secrets() {
        let message = Stored {
            sequence: 7,
            stored: Timestamp::parse("2030-01-31T12:00:00Z").unwrap(),
            subject: "$KV.records.order.7".to_owned(),
            headers: Vec::new(),
            payload: r#"{"kind":"order","id":"7","state":"open","phase":"open","started":"2030-01-31T12:00:00Z",
                "since":"2030-01-31T12:00:00Z","summary":"password=hunter2","reason":"token: hunter2",
                "steps":[{"name":"pin=hunter2","at":"2030-01-31T12:00:00Z","by":"Bearer hunter2hunter2"}]}"#
                .to_owned()
                .into(),
        };
        let record = UnderKey::of(&message).record().unwrap().value;
        let said = format!("{} {:?} {} {}", record.summary, record.reason, record.steps[0].name, record.steps[0].by);
        assert!(!said.contains("hunter2") && said.matches("[masked: ").count() == 4, "{said}");
    }
}
