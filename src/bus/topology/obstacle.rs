//! What cannot come about: fields that a server does not change in place, and subjects that two streams would take.
//!
//! Convention: the checks of nats-server 2.12 to 2.15, `server/stream.go` and `server/consumer.go`; a test holds them against a real server.

use serde_json::{Map, Value};

use super::{
    plan::{Action, Step, value},
    wanted::{Kind, Wanted},
};
use crate::{name::subjects_overlap, snapshot::Configs};

/// What a server refuses to change of something that is there.
pub(super) fn in_place(wanted: &Wanted, actual: &Map<String, Value>) -> Vec<String> {
    let mut found: Vec<String> = wanted
        .config
        .keys()
        .filter_map(|field| {
            let (from, to) = (value(actual, field), value(&wanted.config, field));
            let advice = (from != to).then(|| of_field(wanted.kind, field, &from, &to)).flatten()?;
            Some(format!("{field} cannot be changed from {} to {}: {advice}", plain(&from), plain(&to)))
        })
        .collect();
    if wanted.kind == Kind::Consumer && actual.contains_key("deliver_subject") {
        found
            .push("the server sends its messages to clients, and workers pull: choose another durable name".to_owned());
    }
    found
}

fn of_field(kind: Kind, field: &str, from: &Value, to: &Value) -> Option<&'static str> {
    const COPY: &str = "declare what is there, or a stream of another name, and move the messages by hand";
    match (kind, field) {
        (Kind::Consumer, "deliver_policy" | "ack_policy") => {
            Some("choose another durable name, or delete this one by hand: it forgets how far it was")
        }
        (Kind::Consumer, _) => None,
        (_, "storage") => Some(COPY),
        (_, "retention") if [from, to].iter().any(|value| *value == "workqueue") => Some(COPY),
        (_, "allow_msg_schedules" | "deny_delete") if *to == false => {
            Some("it cannot be taken back; declare it as it is")
        }
        _ => None,
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What stands in the way among the other things that will be there.
pub(super) fn around(step: &Step, after: &Configs) -> Vec<String> {
    if step.kind == Kind::Consumer {
        let is_there = after.streams.iter().any(|stream| stream.name == step.stream);
        let missing = format!("there is no stream {}, and none is declared: declare it", step.stream);
        return if is_there { Vec::new() } else { vec![missing] };
    }
    let changes_subjects = step.changes.iter().any(|change| change.field == "subjects");
    if step.action != Action::Create && !changes_subjects {
        return Vec::new();
    }
    let own = after.streams.iter().filter(|stream| stream.name == step.stream).flat_map(|stream| &stream.subjects);
    let others = after.streams.iter().filter(|stream| stream.name != step.stream);
    let pairs = own.flat_map(|subject| {
        others.clone().flat_map(move |other| other.subjects.iter().map(move |theirs| (subject, &other.name, theirs)))
    });
    let overlapping = pairs.filter(|(subject, _, theirs)| subjects_overlap(subject, theirs));
    overlapping
        .map(|(subject, other, theirs)| {
            format!("its subject {subject} overlaps {theirs} of stream {other}: a subject belongs to one stream, so narrow one of them")
        })
        .collect()
}
