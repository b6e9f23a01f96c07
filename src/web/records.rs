//! Records for pages and programs, read by their keys: a round reads the newest of each kind alone.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::{
    broker::Reader,
    name::{StreamName, SubjectPattern},
    peek::{Begin, End, Found, Question, Stored, SubjectHas},
    record,
    snapshot::{Reading, Snapshot, Why},
    views::{Page, Read, Searched},
};

/// Records of one search.
const ROWS: usize = 50;

/// Kinds of records that may have one id, with as many earlier values as a bucket may keep of each.
const OF_AN_ID: usize = 64;

/// How long a search through all accounts may take: somebody waits for the page.
const LIMIT: Duration = Duration::from_secs(5);

/// Reads what a page of records shows beside the newest.
pub(super) async fn read(reader: &Reader, snapshot: &Snapshot, page: &Page) -> Read {
    match page {
        Page::Record(account, key) => {
            let no_key = || format!("a bucket can hold nothing under the key `{}`", key.escape_debug());
            Read::Record(match record::subject_of(key) {
                Some(subject) => reader.last(account, &stream(), &subject).await,
                None => Reading::unknown(Why::Absent, no_key()),
            })
        }
        Page::Records(kind, q) if !q.is_empty() => Read::Records(search(reader, snapshot, kind.as_deref(), q).await),
        _ => Read::Nothing,
    }
}

/// The stream of the bucket.
pub(super) fn stream() -> StreamName {
    record::STREAM.parse().expect("it is a name by the server's rules")
}

/// What is asked to find all that has an id, whatever its kind.
pub(super) fn with_id(pattern: SubjectPattern) -> Question {
    Question { pattern: Some(pattern), begin: Begin::From(0), ..Question::newest(stream(), OF_AN_ID) }
}

async fn search(reader: &Reader, snapshot: &Snapshot, kind: Option<&str>, q: &str) -> Vec<Searched> {
    let until = Instant::now() + LIMIT;
    let mut all = Vec::new();
    for account in accounts(snapshot) {
        let late = |_| Reading::unknown(Why::Failed, "time was up before this account was searched");
        let found = timeout_at(until, search_one(reader, &account, kind, q)).await.unwrap_or_else(late);
        all.push(Searched { account, found });
    }
    all
}

/// The accounts that have the bucket; that of `--nats` where none is known to.
fn accounts(snapshot: &Snapshot) -> Vec<String> {
    let has_none = |records: &Reading<_>| matches!(records, Reading::Unknown { why: Why::Absent, .. });
    let having = snapshot.watched().filter(|watched| !has_none(&watched.records));
    let having: Vec<String> = having.map(|watched| watched.name().to_owned()).collect();
    if having.is_empty() { vec![snapshot.app.name().to_owned()] } else { having }
}

async fn search_one(reader: &Reader, account: &str, kind: Option<&str>, q: &str) -> Reading<Found> {
    let Some(pattern) = record::subjects_of(kind) else {
        return Reading::unknown(Why::Absent, "no key of a bucket begins with such a kind");
    };
    let has = Some(SubjectHas { behind: record::PREFIX.to_owned(), part: q.to_owned() });
    let question = Question { pattern: Some(pattern), has, ..Question::newest(stream(), ROWS) };
    let mut found = reader.find(account, &question).await;
    let is_all = |found: &Found| found.end == End::All;
    if let Reading::Known(fact) = &mut found
        && !is_all(&fact.value)
    {
        for pattern in exactly(kind, q) {
            let exact = reader.find(account, &with_id(pattern)).await;
            let rows = exact.value().map(|exact| exact.rows.clone()).unwrap_or_default();
            let is_new = |row: &Stored| fact.value.rows.iter().all(|known| known.sequence != row.sequence);
            let new: Vec<_> = rows.into_iter().filter(is_new).collect();
            fact.value.rows.splice(0..0, new);
        }
    }
    found
}

/// What has the text as its whole id or key: that is found however far back it lies.
fn exactly(kind: Option<&str>, q: &str) -> Vec<SubjectPattern> {
    let key = |key: &str| record::subject_of(key)?.as_str().parse().ok();
    match kind {
        Some(kind) => [key(q).filter(|_| q.starts_with(&format!("{kind}."))), key(&format!("{kind}.{q}"))],
        None => [key(q), record::subjects_with(q)],
    }
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_may_be_a_whole_id_or_key() {
        let check = |kind: Option<&str>, q: &str, expected: &[&str]| {
            let found: Vec<String> = exactly(kind, q).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{kind:?} {q}");
        };
        check(None, "7", &["$KV.records.7", "$KV.records.*.7"]);
        check(None, "order.7", &["$KV.records.order.7", "$KV.records.*.order.7"]);
        check(Some("order"), "7", &["$KV.records.order.7"]);
        check(Some("order"), "order.7", &["$KV.records.order.7", "$KV.records.order.order.7"]);
        check(Some("saga"), "order.7", &["$KV.records.saga.order.7"]);
        for hostile in ["*", ">", "a b", "a..b", "\u{0}"] {
            check(None, hostile, &[]);
            check(Some("order"), hostile, &[]);
        }
        check(Some("*"), "7", &[]);
    }
}
