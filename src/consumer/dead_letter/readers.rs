//! Who reads a stream, and which of them would see a message that is meant for one.

use async_nats::jetstream::{self, consumer::Config};
use futures_util::TryStreamExt;

use crate::{
    name::{ConsumerName, StreamName, Subject, SubjectPattern},
    snapshot::WORKER_METADATA,
};

/// A consumer of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reader {
    pub(super) name: ConsumerName,
    filters: Vec<SubjectPattern>,
    is_ours: bool,
}

/// The consumers of a stream cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("listing the consumers of stream {stream}: is the stream still there, and may this user list them?")]
pub struct ReadersError {
    stream: StreamName,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// All consumers of a stream.
pub(super) async fn readers(jetstream: &jetstream::Context, stream: &StreamName) -> Result<Vec<Reader>, ReadersError> {
    let fail = |source: Box<dyn std::error::Error + Send + Sync>| ReadersError { stream: stream.clone(), source };
    let opened = jetstream.get_stream_no_info(stream.as_str()).await.map_err(|error| fail(error.into()))?;
    let consumers = opened.consumers().try_collect::<Vec<_>>().await.map_err(|error| fail(error.into()))?;
    Ok(consumers.into_iter().filter_map(|info| reader(&info.name, info.config)).collect())
}

fn reader(name: &str, config: Config) -> Option<Reader> {
    let one = Some(config.filter_subject).filter(|subject| !subject.is_empty());
    let filters = one.into_iter().chain(config.filter_subjects);
    let filters = filters.filter_map(|filter| SubjectPattern::try_from(filter).ok()).collect();
    Some(Reader { name: name.try_into().ok()?, filters, is_ours: config.metadata.contains_key(WORKER_METADATA) })
}

/// The pattern by which a consumer reads a subject, if it does.
pub(super) fn pattern_for(reader: &Reader, subject: &Subject) -> Option<SubjectPattern> {
    if reader.filters.is_empty() {
        return SubjectPattern::try_from(">").ok();
    }
    reader.filters.iter().find(|filter| filter.matches(subject.as_str())).cloned()
}

/// Those of `readers` who would see a message on `subject` that is meant for `target`, and would not know that it is for another.
pub(super) fn strangers(readers: &[Reader], target: &ConsumerName, subject: &Subject) -> Vec<ConsumerName> {
    let others = readers.iter().filter(|reader| reader.name != *target && !reader.is_ours);
    others.filter(|reader| pattern_for(reader, subject).is_some()).map(|reader| reader.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(name: &str, filters: &[&str], is_ours: bool) -> Reader {
        let filters = filters.iter().map(|filter| SubjectPattern::try_from(*filter).unwrap()).collect();
        Reader { name: name.try_into().unwrap(), filters, is_ours }
    }

    #[test]
    fn strangers_are_others_that_read_the_subject_and_are_not_ours() {
        let readers = [
            reader("mailer", &["orders.placed.*"], false),
            reader("audit", &[], false),
            reader("billing", &["orders.placed.*"], true),
            reader("stock", &["orders.>", "stock.>"], false),
            reader("returns", &["orders.returned.*"], false),
        ];
        let subject = "orders.placed.7".try_into().unwrap();
        let found = strangers(&readers, &"mailer".try_into().unwrap(), &subject);
        assert_eq!(found, ["audit", "stock"].map(|name| ConsumerName::try_from(name).unwrap()));
    }

    #[test]
    fn a_consumer_reads_by_one_of_its_patterns() {
        let subject = "orders.placed.7".try_into().unwrap();
        let found = |filters: &[&str]| pattern_for(&reader("r", filters, true), &subject).map(String::from);
        assert_eq!(found(&["stock.>", "orders.placed.*"]).as_deref(), Some("orders.placed.*"));
        assert_eq!(found(&[]).as_deref(), Some(">"));
        assert_eq!(found(&["stock.>"]), None);
    }
}
