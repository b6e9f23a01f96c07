//! The same for pages of many things, and for a dead letter.

use super::{API_PREFIX, Equivalent, Equivalents, row, shell};
use crate::{
    dead_letter::{self, Place},
    presence, record,
    views::{Look, Page, search::Search},
};

/// The series of all things of a kind, for whom the labels say which is which.
const SERIES: &str = "PromQL";

/// What answers at our own address.
const OURS: &str = "API of this program";

const SUMMARY: &str = "The same from nats, the API and Prometheus";

/// A question that every server answers.
fn every_server(endpoint: &str) -> String {
    format!("nats request '$SYS.REQ.SERVER.PING{endpoint}' '' --replies 0")
}

fn all_of_it(look: &Look<'_>, path: &str) -> Equivalent {
    row("all of it, as JSON", OURS, format!("{}{}{path}", look.site.base, API_PREFIX))
}

impl Equivalents {
    /// Those of a page of many things; `None` where the page brings its own.
    pub(in crate::views) fn of_list(page: &Page, look: &Look<'_>) -> Option<Self> {
        match page {
            Page::Overview => Some(Self::of_overview(look)),
            Page::Map(_) => Some(Self::of_map(page, look)),
            Page::Streams(search) => Some(Self::of_streams(search, look)),
            Page::Consumers(search) => Some(Self::of_consumers(search, look)),
            Page::Servers => Some(Self::of_servers(look)),
            Page::Services => Some(Self::of_services(look)),
            Page::Records(kind, q) => Some(Self::of_records(kind.as_deref(), q, look)),
            Page::Record(_, key) => Some(Self::of_record(key, page, look)),
            Page::DeadLetters => Some(Self::of_dead_letters(look)),
            Page::Findings(search) => Some(Self::of_findings(search, look)),
            Page::Traces(_) => Some(Self::of_traces(page, look)),
            Page::Trace(id, _) => Some(Self::of_traces(&Page::Trace(*id, None), look)),
            Page::Journey(_) => Some(Self::of_traces(page, look)),
            Page::DeadLetter(place, _) => Some(Self::of_dead_letter(place, page, look)),
            Page::Stream(..) | Page::Messages(..) | Page::Message(..) | Page::Consumer(..) | Page::Advisories(..) => {
                None
            }
        }
    }

    fn of_overview(look: &Look<'_>) -> Self {
        let rows = vec![
            row("what is wrong", "command", "streamgauge check".to_owned()),
            all_of_it(look, "/overview"),
            row("verdicts that need somebody", SERIES, "streamgauge_consumer_verdict == 1".to_owned()),
            row("stored a second", SERIES, "sum(rate(nats_stream_last_seq[5m]))".to_owned()),
            row("pending", SERIES, "sum(nats_consumer_num_pending)".to_owned()),
            row("ack pending", SERIES, "sum(nats_consumer_num_ack_pending)".to_owned()),
        ];
        Self::with(SUMMARY, rows)
    }

    fn of_map(page: &Page, look: &Look<'_>) -> Self {
        let rows = vec![
            row("streams and their subjects", "nats", "nats stream report".to_owned()),
            row("which instances pull from which consumer", "nats", format!("nats kv watch {}", presence::BUCKET)),
            all_of_it(look, &page.to_string()),
            row("stored a second", SERIES, "rate(nats_stream_last_seq[5m])".to_owned()),
            row("delivered a second", SERIES, "rate(nats_consumer_delivered_consumer_seq[5m])".to_owned()),
            row("oldest unprocessed, in seconds", SERIES, "streamgauge_consumer_lag_age_seconds".to_owned()),
        ];
        Self::with(SUMMARY, rows)
    }

    fn of_streams(search: &Search, look: &Look<'_>) -> Self {
        let rows = vec![
            row("all of it", "nats", "nats stream report".to_owned()),
            row("all of it", "API", "nats request '$JS.API.STREAM.LIST' ''".to_owned()),
            all_of_it(look, &format!("/streams{search}")),
            row("messages", SERIES, "nats_stream_total_messages".to_owned()),
            row("size", SERIES, "nats_stream_total_bytes".to_owned()),
            row("stored a second", SERIES, "rate(nats_stream_last_seq[5m])".to_owned()),
            row("consumers", SERIES, "nats_stream_consumer_count".to_owned()),
        ];
        Self::with(SUMMARY, rows)
    }

    fn of_consumers(search: &Search, look: &Look<'_>) -> Self {
        let stream = if search.stream.is_empty() { "<stream>" } else { search.stream.as_str() };
        let rows = vec![
            row("of one stream", "nats", format!("nats consumer report {}", shell(stream))),
            row(
                "of one stream",
                "API",
                format!("nats request {} ''", shell(&format!("$JS.API.CONSUMER.LIST.{stream}"))),
            ),
            all_of_it(look, &format!("/consumers{search}")),
            row("verdict", SERIES, "streamgauge_consumer_verdict == 1".to_owned()),
            row("lag", SERIES, "nats_consumer_num_pending + nats_consumer_num_ack_pending".to_owned()),
            row("oldest unprocessed, in seconds", SERIES, "streamgauge_consumer_lag_age_seconds".to_owned()),
            row("redelivered", SERIES, "nats_consumer_num_redelivered".to_owned()),
            row("acked a second", SERIES, "rate(nats_consumer_ack_floor_consumer_seq[5m])".to_owned()),
        ];
        Self::with(SUMMARY, rows)
    }

    fn of_servers(look: &Look<'_>) -> Self {
        let rows = vec![
            row("the servers", "nats", "nats server list".to_owned()),
            row("the servers", "API", every_server("")),
            all_of_it(look, "/servers"),
            row("CPU, in percent of a core", SERIES, "nats_core_cpu_percentage".to_owned()),
            row("memory", SERIES, "nats_core_mem_bytes".to_owned()),
            row("connections", SERIES, "nats_core_connection_count".to_owned()),
            row("slow consumers", SERIES, "nats_core_slow_consumer_count".to_owned()),
            row("whether they are well", "API", every_server(".HEALTHZ")),
            row("whether they are well", SERIES, "streamgauge_server_well".to_owned()),
            row("leaders and the meta group", "nats", "nats server report jetstream".to_owned()),
            row("leaf nodes", "API", every_server(".LEAFZ")),
            row("how they are set up", "API", every_server(".VARZ")),
            row("what the account may use", "nats", "nats account info".to_owned()),
            row("what the account may use", "API", "nats request '$JS.API.INFO' ''".to_owned()),
            row("what the account may use, as JSON", OURS, format!("{}{}/account", look.site.base, API_PREFIX)),
            row(
                "how full the account is",
                SERIES,
                "streamgauge_account_storage_bytes / streamgauge_account_storage_limit_bytes".to_owned(),
            ),
            row("what a round costs, in bytes", SERIES, "streamgauge_round_bytes".to_owned()),
        ];
        Self::with(SUMMARY, rows)
    }

    fn of_services(look: &Look<'_>) -> Self {
        let rows = vec![
            row("as they tell of themselves", "nats", format!("nats kv watch {}", presence::BUCKET)),
            all_of_it(look, "/services"),
        ];
        Self::with("The same from nats and the API", rows)
    }

    fn of_records(kind: Option<&str>, q: &str, look: &Look<'_>) -> Self {
        let keys = kind.map(|kind| shell(&format!("{kind}.>"))).unwrap_or_default();
        let path = Page::Records(kind.map(str::to_owned), q.to_owned()).to_string();
        let watch = format!("nats kv watch {} {keys}", record::BUCKET);
        let rows = vec![row("as they are written", "nats", watch.trim_end().to_owned()), all_of_it(look, &path)];
        Self::with("The same from nats and the API", rows)
    }

    fn of_record(key: &str, page: &Page, look: &Look<'_>) -> Self {
        let question = serde_json::json!({ "last_by_subj": format!("{}{key}", record::PREFIX) }).to_string();
        let get = format!("nats request '$JS.API.STREAM.MSG.GET.{}' {}", record::STREAM, shell(&question));
        let rows = vec![
            row("the record", "nats", format!("nats kv get {} {}", record::BUCKET, shell(key))),
            row("the message that holds it", "API", get),
            all_of_it(look, &page.to_string()),
        ];
        Self::with("The same from nats and the API", rows)
    }

    fn of_dead_letters(look: &Look<'_>) -> Self {
        let is_kept = look.snapshot.watched().any(|watched| watched.dead_letters.value().is_some());
        // Without their stream these have nothing to show.
        let commands = [
            row("all of them", "command", "streamgauge dlq list".to_owned()),
            row("all of them", "nats", format!("nats stream view {}", dead_letter::STREAM)),
        ];
        let always = [
            all_of_it(look, "/dead-letters"),
            row("how many are kept", SERIES, "streamgauge_dead_letters_stored".to_owned()),
        ];
        Self::with(SUMMARY, commands.into_iter().filter(|_| is_kept).chain(always).collect())
    }

    fn of_dead_letter(place: &Place, page: &Page, look: &Look<'_>) -> Self {
        let rows = vec![
            row("all of it", "command", format!("streamgauge dlq show {}", shell(&place.to_string()))),
            row(
                "the message itself, while its stream keeps it",
                "nats",
                format!("nats stream get {} {}", place.stream, place.sequence),
            ),
            all_of_it(look, &page.to_string()),
        ];
        Self::with("The same from nats and the API", rows)
    }

    /// Traces are known here alone.
    fn of_traces(page: &Page, look: &Look<'_>) -> Self {
        Self::with("The same from the API", vec![all_of_it(look, &page.to_string())])
    }

    fn of_findings(search: &Search, look: &Look<'_>) -> Self {
        let rows = vec![
            row("what is wrong", "command", "streamgauge check".to_owned()),
            row("how things are set up", "command", "streamgauge topology lint".to_owned()),
            all_of_it(look, &format!("/findings{search}")),
            row("how many each check finds", SERIES, "streamgauge_check_findings".to_owned()),
        ];
        Self::with("The same from the command line, the API and Prometheus", rows)
    }
}
