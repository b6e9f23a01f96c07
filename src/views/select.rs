//! What a search finds: the rows of a list, whether a page shows them or a program asks for them.

use super::{consumers, search::Search, streams};
use crate::{
    advisory::Advisory,
    snapshot::{Consumer, Finding, Snapshot, Stream},
};

/// The consumers that a search finds, in its order.
pub fn consumers_of<'a>(snapshot: &'a Snapshot, search: &Search) -> Vec<&'a Consumer> {
    let is_wanted = |consumer: &&Consumer| search.label.is_none_or(|label| consumer.verdict.label == label);
    let found = snapshot.known_consumers().filter(|consumer| consumers::is_found(consumer, search));
    consumers::sorted(found.filter(is_wanted).collect(), search.sort)
}

/// The streams that a search finds, in its order.
pub fn streams_of<'a>(snapshot: &'a Snapshot, search: &Search) -> Vec<&'a Stream> {
    let found = snapshot.known_streams().iter().filter(|stream| streams::is_found(stream, search));
    streams::sorted(found.collect(), search.sort)
}

/// The findings that a search finds, the worst first.
pub fn findings_of<'a>(snapshot: &'a Snapshot, search: &Search) -> Vec<&'a Finding> {
    let is_found = |finding: &&Finding| search.finds(&[&finding.about, &finding.sentence, finding.check]);
    let is_wanted = |finding: &&Finding| search.severity.is_none_or(|severity| finding.severity == severity);
    snapshot.findings.iter().map(AsRef::as_ref).filter(is_found).filter(is_wanted).collect()
}

/// The advisories that a search finds, the newest first.
pub fn advisories_of<'a>(snapshot: &'a Snapshot, search: &Search) -> Vec<&'a Advisory> {
    let told = snapshot.watched().filter_map(|watched| watched.advisories.value());
    let rows = told.flat_map(|advisories| &advisories.rows);
    let mut found: Vec<&Advisory> = rows.filter(|row| is_about(row, search) && is_like(row, search)).collect();
    if !snapshot.others.is_empty() {
        found.sort_by_key(|row| std::cmp::Reverse(row.time));
    }
    found
}

/// Whether an advisory is about the account, stream and consumer that are searched for.
pub(super) fn is_about(advisory: &Advisory, search: &Search) -> bool {
    let stream = advisory.stream.as_ref().map_or("", |stream| stream.as_str());
    let consumer = advisory.consumer.as_ref().map_or("", |consumer| consumer.as_str());
    search.is_of(&advisory.account, stream) && (search.consumer.is_empty() || search.consumer == consumer)
}

fn is_like(advisory: &Advisory, search: &Search) -> bool {
    let stream = advisory.stream.as_ref().map_or("", |stream| stream.as_str());
    let consumer = advisory.consumer.as_ref().map_or("", |consumer| consumer.as_str());
    search.kind.is_none_or(|kind| advisory.kind == kind)
        && search.finds(&[stream, consumer, &advisory.sentence, &advisory.reason, advisory.kind.words()])
}
