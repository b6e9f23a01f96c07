//! Who publishes and who consumes what, as a page in Markdown, made from what is declared.

use std::fmt::Write;

use super::{ConsumerSpec, MessageSpec, StreamSpec, Topology, words};
use crate::{message::Schema, name::subjects_overlap};

impl Topology {
    /// The catalogue: every message with its publishers and its readers, then streams, consumers and buckets with their owners.
    pub fn catalogue(&self) -> String {
        let parts =
            [self.messages(), self.loose_ends(), self.streams_table(), self.consumers_table(), self.buckets_table()];
        parts.concat().trim_start().to_owned()
    }

    fn messages(&self) -> String {
        let mut rows = Vec::new();
        for stream in &self.streams {
            for message in &stream.messages {
                let readers = self.readers(stream, message).map(reader_in_words).chain(message.looked_up_by.clone());
                rows.push([
                    code(&message.schema().to_string()),
                    code(&message.subject),
                    code(&stream.name),
                    message.published_by.join(", "),
                    readers.collect::<Vec<_>>().join(", "),
                ]);
            }
        }
        table("Messages", ["message", "subject", "stream", "published by", "read by"], rows)
    }

    fn readers(&self, stream: &StreamSpec, message: &MessageSpec) -> impl Iterator<Item = &ConsumerSpec> {
        let (name, schema, subject) = (stream.name.clone(), message.schema(), message.subject.clone());
        self.consumers.iter().filter(move |consumer| consumer.stream == name && does_read(consumer, &schema, &subject))
    }

    /// What is published and not read, and what is read and not published: each may be meant, and is worth a look.
    fn loose_ends(&self) -> String {
        let all =
            || self.streams.iter().flat_map(|stream| stream.messages.iter().map(move |message| (stream, message)));
        let unread = all().filter(|(stream, message)| {
            message.looked_up_by.is_empty() && self.readers(stream, message).next().is_none()
        });
        let unread = unread.map(|(_, message)| format!("- `{}` is read by nobody.\n", message.schema()));
        let unpublished = self.consumers.iter().flat_map(|consumer| {
            let is_published = move |schema: &Schema| {
                all().any(|(stream, message)| stream.name == consumer.stream && message.schema() == *schema)
            };
            let missing = consumer.reads.iter().filter(move |schema| !is_published(schema));
            missing.map(|schema| {
                format!("- `{schema}` is read by {} and published by nobody.\n", reader_in_words(consumer))
            })
        });
        let ends: String = unread.chain(unpublished).collect();
        if ends.is_empty() { ends } else { format!("\n## Loose ends\n\n{ends}") }
    }

    fn streams_table(&self) -> String {
        let rows = self.streams.iter().map(|stream| {
            let subjects: Vec<String> = stream.subjects.iter().map(|subject| code(subject)).collect();
            let kept = kept(stream.max_age, stream.max_bytes);
            [code(&stream.name), subjects.join(" "), stream.owner.clone(), kept, stream.replicas.to_string()]
        });
        table("Streams", ["stream", "subjects", "owner", "keeps", "copies"], rows)
    }

    fn consumers_table(&self) -> String {
        let rows = self.consumers.iter().map(|consumer| {
            let filters: Vec<String> = consumer.filters.iter().map(|filter| code(filter)).collect();
            let ack_wait = words::duration(consumer.ack_wait);
            [code(&consumer.durable), code(&consumer.stream), consumer.owner.clone(), filters.join(" "), ack_wait]
        });
        table("Consumers", ["durable", "stream", "owner", "takes", "another gets it after"], rows)
    }

    fn buckets_table(&self) -> String {
        let rows = self.buckets.iter().map(|bucket| {
            let kept = kept(bucket.ttl, bucket.max_bytes);
            [code(&bucket.name), code(&bucket.stream()), bucket.owner.clone(), kept, bucket.replicas.to_string()]
        });
        table("Buckets", ["bucket", "stream", "owner", "keeps", "copies"], rows)
    }
}

/// A consumer that does not say what it reads reads what it is given.
fn does_read(consumer: &ConsumerSpec, schema: &Schema, subject: &str) -> bool {
    if !consumer.reads.is_empty() {
        return consumer.reads.contains(schema);
    }
    consumer.filters.is_empty() || consumer.filters.iter().any(|filter| subjects_overlap(filter, subject))
}

fn reader_in_words(consumer: &ConsumerSpec) -> String {
    format!("{} (`{}`)", consumer.owner, consumer.durable)
}

fn kept(age: Option<std::time::Duration>, bytes: Option<u64>) -> String {
    match (age.map(words::duration), bytes.map(words::bytes)) {
        (Some(age), Some(bytes)) => format!("{age}, {bytes}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "everything".to_owned(),
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn table<const N: usize>(title: &str, head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<_> = rows.into_iter().collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!("\n## {title}\n\n| {} |\n|{}\n", head.join(" | "), "---|".repeat(N));
    for row in rows {
        let _written = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{
        "streams": [{ "name": "A", "owner": "a", "subjects": ["a.>"], "messages": [
            { "kind": "Told", "version": 1, "subject": "a.told.*", "published_by": ["a", "b"] },
            { "kind": "Kept", "version": 1, "subject": "a.kept.*", "published_by": ["a"], "looked_up_by": ["e"] },
            { "kind": "Unheard", "version": 2, "subject": "a.unheard.*", "published_by": ["a"] }] }],
        "consumers": [
            { "stream": "A", "durable": "x", "owner": "c", "reads": ["Told/1", "Gone/1"] },
            { "stream": "A", "durable": "y", "owner": "d", "filters": ["a.told.>"] }]
    }"#;

    #[test]
    fn a_message_has_its_publishers_and_readers() {
        let page = serde_json::from_str::<Topology>(FILE).unwrap().catalogue();
        for line in [
            "| `Told/1` | `a.told.*` | `A` | a, b | c (`x`), d (`y`) |",
            "| `Kept/1` | `a.kept.*` | `A` | a | e |",
            "| `Unheard/2` | `a.unheard.*` | `A` | a |  |",
            "- `Unheard/2` is read by nobody.",
            "- `Gone/1` is read by c (`x`) and published by nobody.",
            "| `A` | `a.>` | a | everything | 1 |",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
        assert!(!page.contains("## Buckets") && !page.contains("- `Kept/1`"));
    }
}
