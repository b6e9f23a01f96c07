//! How to ask for the same numbers by other means: the command line, the API of JetStream, Prometheus. Texts to copy.

mod lists;
mod messages;

use askama::{Template, filters::HtmlSafe};

use super::{Look, Page, consumers::page_of, search::Search};
use crate::{
    advisory,
    snapshot::{Consumer, Span, Stream},
    words::shell,
};

/// Ways to the same numbers, folded away until somebody wants them.
#[derive(Template)]
#[template(path = "parts/equivalents.html")]
pub(super) struct Equivalents {
    id: &'static str,
    summary: &'static str,
    rows: Vec<Equivalent>,
}

impl HtmlSafe for Equivalents {}

struct Equivalent {
    /// What it tells.
    what: &'static str,
    /// By which means.
    by: &'static str,
    text: String,
}

impl Equivalents {
    /// Those of a consumer's numbers. Convention: series that the Prometheus NATS exporters have too are named as there.
    pub(super) fn of_consumer(consumer: &Consumer, look: &Look<'_>) -> Self {
        let (stream, name) = (consumer.stream.as_str(), consumer.name.as_str());
        let labels = format!(
            "{{account={}, stream_name={}, consumer_name={}}}",
            quoted(&consumer.account),
            quoted(stream),
            quoted(name)
        );
        let series = |metric: &str| format!("nats_consumer_{metric}{labels}");
        let ours = |metric: &str| format!("streamgauge_consumer_{metric}{labels}");
        let rows = vec![
            row("all of it", "nats", format!("nats consumer info {} {}", shell(stream), shell(name))),
            row("all of it", "API", format!("nats request '$JS.API.CONSUMER.INFO.{stream}.{name}' ''")),
            answered("all of it, as JSON", &page_of(consumer), "", look),
            answered("its past, as JSON", &page_of(consumer), "/past", look),
            row("pending", "PromQL", series("num_pending")),
            row("ack pending", "PromQL", series("num_ack_pending")),
            row("lag", "PromQL", format!("{} + {}", series("num_pending"), series("num_ack_pending"))),
            row("drained in, in seconds", "PromQL", ours("eta_seconds")),
            row("oldest unprocessed, in seconds", "PromQL", ours("lag_age_seconds")),
            row("oldest undelivered, in seconds", "PromQL", ours("undelivered_age_seconds")),
            row("redelivered", "PromQL", series("num_redelivered")),
            row("waiting", "PromQL", series("num_waiting")),
            row("delivered a second", "PromQL", format!("rate({}[5m])", series("delivered_consumer_seq"))),
            row("acked a second", "PromQL", format!("rate({}[5m])", series("ack_floor_consumer_seq"))),
        ];
        Self::with(NUMBERS, rows)
    }

    fn with(summary: &'static str, rows: Vec<Equivalent>) -> Self {
        Self { id: "equivalents", summary, rows }
    }

    /// How to hear what servers tell of what is searched for, and how to read what was stored.
    pub(super) fn of_advisories(search: &Search, is_stored: bool, base: &str) -> Self {
        let or_any = |name: &str| if name.is_empty() { "*".to_owned() } else { name.to_owned() };
        let (stream, consumer) = (or_any(&search.stream), or_any(&search.consumer));
        let listen = |subject: String| format!("nats subscribe {}", shell(&subject));
        let mut rows = vec![row("all, as they are told", "nats", "nats events --js-advisory".to_owned())];
        if stream != "*" || consumer != "*" {
            let subject = format!("$JS.EVENT.ADVISORY.CONSUMER.*.{stream}.{consumer}");
            rows.push(row("of these consumers, as they are told", "nats", listen(subject)));
        }
        if stream != "*" && consumer == "*" {
            rows.push(row(
                "of this stream, as they are told",
                "nats",
                listen(format!("$JS.EVENT.ADVISORY.STREAM.*.{stream}")),
            ));
        }
        if is_stored {
            rows.push(row("those that are stored", "nats", format!("nats stream view {}", advisory::STREAM)));
        }
        rows.push(row("as JSON", "API of this program", format!("{base}{API_PREFIX}/advisories{search}")));
        Self::with("The same from nats and the API", rows)
    }

    /// Those of a stream's numbers.
    pub(super) fn of_stream(stream: &Stream, look: &Look<'_>) -> Self {
        let name = stream.name.as_str();
        let labels = format!("{{account={}, stream_name={}}}", quoted(&stream.account), quoted(name));
        let series = |metric: &str| format!("nats_stream_{metric}{labels}");
        let page = Page::Stream(stream.account.to_string(), stream.name.clone(), Span::default());
        let rows = vec![
            row("all of it", "nats", format!("nats stream info {}", shell(name))),
            row("all of it", "API", format!("nats request '$JS.API.STREAM.INFO.{name}' ''")),
            answered("all of it, as JSON", &page, "", look),
            answered("its past, as JSON", &page, "/past", look),
            row("the first loss, in seconds", "PromQL", format!("streamgauge_stream_first_loss_seconds{labels}")),
            row("its consumers", "nats", format!("nats consumer report {}", shell(name))),
            row("messages", "PromQL", series("total_messages")),
            row("size", "PromQL", series("total_bytes")),
            row("stored a second", "PromQL", format!("rate({}[5m])", series("last_seq"))),
        ];
        Self::with(NUMBERS, rows)
    }
}

/// What stands before every path of our API.
pub const API_PREFIX: &str = "/api/v1";

const NUMBERS: &str = "The same numbers from nats, the API and Prometheus";

/// Where our API answers what a page shows.
fn answered(what: &'static str, page: &Page, behind: &str, look: &Look<'_>) -> Equivalent {
    row(what, "API of this program", format!("{}{API_PREFIX}{page}{behind}", look.site.base))
}

fn row(what: &'static str, by: &'static str, text: String) -> Equivalent {
    Equivalent { what, by, text }
}

/// A value of a label.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_a_label_ends_where_it_should() {
        let check = |value, expected: &str| assert_eq!(quoted(value), expected);
        check("A", r#""A""#);
        check(r#"a"b\c"#, r#""a\"b\\c""#);
    }
}
