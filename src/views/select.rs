//! What a search finds: the rows of a list, whether a page shows them or a program asks for them.

use super::{consumers, search::Search, streams};
use crate::snapshot::{Consumer, Finding, Snapshot, Stream};

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
    snapshot.findings.iter().filter(is_found).filter(is_wanted).collect()
}
