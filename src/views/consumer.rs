//! One consumer: its verdict in a sentence with evidence and next step, then the numbers, who works on it, and how it is set up.

use std::time::Duration;

use askama::{Template, filters::HtmlSafe};

use super::{
    Look,
    advisories::AdvisoryList,
    ages,
    browse::Browse,
    consumers::{filters, waiting},
    elsewhere::Elsewhere,
    equivalent::Equivalents,
    failures::FailuresPanel,
    findings::FindingRow,
    format,
    map::{Thing, on_map},
    page::Page,
    past::PastView,
    pieces::{Gap, Moment, Number, Sign, Stamp},
    replicas::ReplicaTable,
    search::Search,
    standing,
    workers::WorkerTable,
};
use crate::{
    name::{ConsumerName, StreamName},
    snapshot::{Acks, Consumer, ConsumerState, Mode, Span, Stream, limit},
};

/// The page of one consumer.
#[derive(Template)]
#[template(path = "pages/consumer.html")]
pub(super) struct ConsumerPage {
    pub(super) title: String,
    /// Whether there is such a consumer, as far as is known.
    pub(super) is_there: bool,
    /// Its account, where there are several.
    account: Option<String>,
    crumbs: Vec<Crumb>,
    gap: Option<Gap>,
    body: Option<Body>,
}

/// A step of the way to a page.
pub(super) struct Crumb {
    pub(super) text: String,
    pub(super) href: String,
}

struct Body {
    tags: Vec<&'static str>,
    map_href: String,
    description: Option<String>,
    verdict: VerdictView,
    elsewhere: Elsewhere,
    figures: Vec<Figure>,
    stamp: Option<Stamp>,
    ages_stamp: Option<Stamp>,
    /// Whether ages are old for a reason of their own.
    ages_reason: bool,
    past: PastView,
    position: Vec<Line>,
    unprocessed: Vec<(String, String)>,
    failures: FailuresPanel,
    advisories: AdvisoryList,
    workers: WorkerTable,
    config: Vec<(&'static str, String)>,
    findings: Vec<FindingRow>,
    replicas: Option<ReplicaTable>,
    equivalents: Equivalents,
}

/// A verdict with what it is read from and what to do.
#[derive(Template)]
#[template(path = "parts/verdict.html")]
pub(super) struct VerdictView {
    pub(super) sign: Sign,
    /// The word of the verdict, as a sentence begins.
    pub(super) word: String,
    pub(super) sentence: String,
    pub(super) since: Moment,
    pub(super) evidence: Vec<String>,
    pub(super) next_step: String,
}

impl HtmlSafe for VerdictView {}

/// A number with its name, and what it is.
struct Figure {
    id: &'static str,
    label: &'static str,
    number: Number,
    note: &'static str,
}

/// A fact of a few words.
struct Line {
    name: &'static str,
    text: String,
    at: Option<Moment>,
}

impl ConsumerPage {
    pub(super) fn of(page: &Page, account: &str, stream: &StreamName, name: &ConsumerName, look: &Look<'_>) -> Self {
        let found = look.snapshot.stream(account, stream);
        let consumer = look.snapshot.consumer(account, stream, name);
        let gap = match (found, consumer) {
            (_, Some(_)) => None,
            (Some(stream), None) => Gap::of(&stream.consumers, "consumers of the stream"),
            (None, None) => Gap::of(&look.snapshot.streams, "streams"),
        };
        Self {
            title: format!("{name} on {stream}"),
            is_there: consumer.is_some() || gap.is_some(),
            account: look.has_accounts().then(|| account.to_owned()),
            crumbs: vec![
                Crumb { text: "Consumers".to_owned(), href: look.link(&Page::Consumers(Search::default())) },
                Crumb {
                    text: stream.to_string(),
                    href: look.link(&Page::Consumers(Search::of_stream(account, stream.as_str()))),
                },
            ],
            gap: gap.or_else(|| {
                let gone = format!("There is no consumer {name} on stream {stream} in account {account} any more.");
                consumer.is_none().then(|| Gap::empty(&gone))
            }),
            body: found.zip(consumer).map(|(stream, consumer)| Body::of(page, consumer, stream, look)),
        }
    }

    fn name(&self) -> &str {
        self.title.split(' ').next().unwrap_or_default()
    }
}

impl Body {
    fn of(page: &Page, consumer: &Consumer, stream: &Stream, look: &Look<'_>) -> Self {
        let state = &consumer.state;
        let about = format!("consumer {} of stream {}", consumer.name, consumer.stream);
        Self {
            tags: tags(consumer, state.value()),
            map_href: on_map(
                Thing::Consumer(consumer.account.to_string(), consumer.stream.to_string(), consumer.name.to_string()),
                look,
            ),
            description: Some(format::cut(&consumer.config.description)).filter(|text| !text.is_empty()),
            verdict: VerdictView::of(consumer, look),
            elsewhere: Elsewhere::of_consumer(consumer, page.past().map_or_else(Span::default, |(_, span)| span), look),
            figures: figures(consumer, stream, look),
            stamp: Stamp::of(state, look),
            ages_stamp: Stamp::of(&consumer.ages, look),
            ages_reason: consumer.ages.reason() != state.reason(),
            past: PastView::of_consumer(page, look),
            position: position(consumer, look),
            unprocessed: unprocessed(consumer, look),
            failures: FailuresPanel::of(consumer, look),
            advisories: AdvisoryList::of(
                &Search::of_consumer(&consumer.account, consumer.stream.as_str(), consumer.name.as_str()),
                look,
            ),
            workers: WorkerTable::of(consumer, look),
            config: config(consumer),
            findings: FindingRow::about(&about, &consumer.account, look),
            replicas: ReplicaTable::of(state, |state| state.cluster.as_ref()),
            equivalents: Equivalents::of_consumer(consumer, look),
        }
    }
}

impl VerdictView {
    pub(super) fn of(consumer: &Consumer, look: &Look<'_>) -> Self {
        let (verdict, standing) = (&consumer.verdict, standing::of_consumer(consumer));
        let sentence = if consumer.state.fresh().is_none() {
            format!("How it is now is not known: {}", standing.why)
        } else {
            verdict.sentence.to_string()
        };
        Self {
            sentence: format::sentence(&sentence),
            word: format::capital(&standing.sign.word),
            sign: standing.sign,
            since: Moment::length(verdict.since, look),
            evidence: verdict.evidence.clone(),
            next_step: if verdict.next_step.is_empty() { String::new() } else { format::sentence(&verdict.next_step) },
        }
    }
}

/// What kind of consumer it is, where that is not the usual one.
fn tags(consumer: &Consumer, state: Option<&ConsumerState>) -> Vec<&'static str> {
    let config = &consumer.config;
    let tags = [
        (!config.is_durable(), "ephemeral"),
        (config.mode() == Mode::Push, "push"),
        (config.acks() == Acks::None, "acks nothing"),
        (config.acks() == Acks::All, "acks all before"),
        (state.is_some_and(|state| state.is_paused), "paused"),
        (!config.priority_policy.is_empty(), "groups"),
    ];
    tags.into_iter().filter_map(|(holds, tag)| holds.then_some(tag)).collect()
}

fn figures(consumer: &Consumer, stream: &Stream, look: &Look<'_>) -> Vec<Figure> {
    let (state, trend) = (&consumer.state, consumer.trend);
    let figure = |id, label, number, note| Figure { id, label, number, note };
    let most = consumer.config.ack_pending_limit().map(|most| format!("of {}", format::count(most)));
    let count = |of: fn(&ConsumerState) -> u64| Number::of(state, |state| format::count(of(state)));
    vec![
        figure("lag", "Lag", count(ConsumerState::lag), "pending and ack pending"),
        figure("pending", "Pending", count(|state| state.pending), "not yet delivered"),
        figure(
            "ack-pending",
            "Ack pending",
            count(|state| state.ack_pending).with_note(most.unwrap_or_default()),
            "delivered, not yet acked",
        ),
        figure("drained", "Drained in", ages::eta(consumer), "if it goes on like this"),
        figure("loss", "First loss in", ages::first_loss(stream, consumer, look), "if it goes on like this"),
        figure("oldest", "Oldest unprocessed", ages::unprocessed(consumer, look.now), "age of the message"),
        figure("undelivered", "Oldest undelivered", ages::undelivered(consumer, look.now), "age of the message"),
        figure("redelivered", "Redelivered", count(|state| state.redelivered), "being delivered again now"),
        asks(consumer),
        figure(
            "stored",
            "Stored",
            Number::rate(stream.trend.map(|trend| trend.stored_per_second())),
            "in the whole stream",
        ),
        figure("arrived", "Arrived", Number::rate(consumer.arrived_per_second()), "for it"),
        figure("delivered", "Delivered", Number::rate(trend.map(|trend| trend.delivered_per_second())), "to workers"),
        figure("acked", "Acked", Number::rate(trend.map(|trend| trend.acked_per_second())), "by the ack floor"),
        figure("drain", "Drained", ages::drain(consumer), "by which pending shrinks"),
    ]
}

/// Who asks for messages: the pull requests that wait, or whoever listens where they are sent.
fn asks(consumer: &Consumer) -> Figure {
    let state = &consumer.state;
    let figure = |label, number, note| Figure { id: "waiting", label, number, note };
    match consumer.config.mode() {
        Mode::Pull => {
            let count = state.value().map_or(0, |state| state.waiting);
            figure("Waiting", waiting(consumer), format::agree(count, "pull request", "pull requests"))
        }
        Mode::Push => {
            let listeners = Number::of(state, |state| if state.has_listener { "some" } else { "none" }.to_owned());
            figure("Listeners", listeners, "where it sends messages")
        }
    }
}

/// How far it is.
fn position(consumer: &Consumer, look: &Look<'_>) -> Vec<Line> {
    let line = |name, text: String, at: Option<_>| Line { name, text, at: at.map(|at| Moment::ago(at, look)) };
    let mut lines = Vec::new();
    if let Some(state) = consumer.state.value() {
        let count = format::count;
        lines.push(line(
            "Delivered up to",
            format!(
                "message {}, {}",
                count(state.delivered_stream_sequence),
                format::counted_u64(state.delivered, "delivery")
            ),
            state.last_delivered,
        ));
        lines.push(line(
            "Acked up to",
            format!(
                "message {}, {}",
                count(state.ack_floor_stream_sequence),
                format::counted_u64(state.ack_floor, "delivery")
            ),
            None,
        ));
        // Messages above the floor are acked as well: the last ack need not be one that moved it.
        if state.last_acked.is_some() {
            lines.push(line("Last ack", String::new(), state.last_acked));
        }
        if let Some(left) = state.pause_left.filter(|_| state.is_paused) {
            lines.push(line("Paused", format!("for {} more", format::age(left)), None));
        }
        if let Some(pinned) = &state.pinned {
            lines.push(line("Pinned to", format::cut(pinned), None));
        }
    }
    if let Some(sequence) = consumer.ages.value().and_then(|ages| ages.unprocessed?.sequence) {
        lines.push(line("Oldest unprocessed", format!("message {}", format::count(sequence)), None));
    }
    lines.push(line("Made", String::new(), Some(consumer.created)));
    lines
}

/// The way to the messages that it has not processed: for each of its filters, since messages are looked for on one pattern.
fn unprocessed(consumer: &Consumer, look: &Look<'_>) -> Vec<(String, String)> {
    const MOST: usize = 5;
    let Some(state) = consumer.state.value() else { return Vec::new() };
    let link = |subject: &str| {
        let browse = Browse::on(subject).from(state.ack_floor_stream_sequence + 1);
        look.link(&Page::Messages(consumer.account.to_string(), consumer.stream.clone(), browse))
    };
    let all = "The messages that it has not processed";
    let filters = consumer.config.filters();
    if filters.iter().any(|filter| !Browse::may_be_on(filter)) {
        return Vec::new();
    }
    match filters.as_slice() {
        [] => vec![(all.to_owned(), link(""))],
        [one] => vec![(all.to_owned(), link(one))],
        many => many.iter().take(MOST).map(|one| (format!("{all} on {}", format::cut(one)), link(one))).collect(),
    }
}

/// How it is set up, in the words of the API where it has some.
fn config(consumer: &Consumer) -> Vec<(&'static str, String)> {
    let config = &consumer.config;
    let or = |value: Option<u64>, none: &str| value.map_or_else(|| none.to_owned(), format::count);
    let mut lines = vec![
        ("Takes", filters(consumer)),
        (
            "Begins at",
            Some(config.deliver_policy.replace('_', " ")).filter(|text| !text.is_empty()).unwrap_or("all".to_owned()),
        ),
        ("Ack policy", Some(config.ack_policy.clone()).filter(|text| !text.is_empty()).unwrap_or("none".to_owned())),
        ("Ack wait", format::age(config.ack_wait)),
        ("Max deliver", or(config.deliver_limit(), "without end")),
        ("Max ack pending", or(limit(config.max_ack_pending), "without limit")),
    ];
    let mut add = |name, text: Option<String>| lines.extend(text.map(|text| (name, text)));
    add("Max waiting", limit(config.max_waiting).map(format::count));
    add("Sends to", Some(format::cut(&config.deliver_subject)).filter(|text| !text.is_empty()));
    add("Group", Some(format::cut(&config.deliver_group)).filter(|text| !text.is_empty()));
    add("Outlives its last client", Some(config.inactive_threshold).filter(|by| !by.is_zero()).map(format::age));
    add("Replicas", (config.num_replicas > 0).then(|| config.num_replicas.to_string()));
    let waits = config.backoff.iter().map(|wait| format::age(Duration::from_nanos(*wait)));
    add("Backoff", Some(waits.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty()));
    add("Priority", Some(config.priority_policy.replace('_', " ")).filter(|text| !text.is_empty()));
    let noted = config.metadata.iter().filter(|(name, _)| !name.starts_with("_nats."));
    let noted: Vec<String> = noted.map(|(name, value)| format!("{name}={value}")).collect();
    add("Metadata", Some(format::cut(&noted.join(" "))).filter(|text| !text.is_empty()));
    lines
}
