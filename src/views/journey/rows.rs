//! The steps of a journey as rows: a sentence, its place in time, and where it leads.

use super::{
    super::{
        Look, Page, dead_letters,
        follow::Follow,
        format,
        pieces::{Level, Sign},
        waterfall::took,
    },
    shown,
};
use crate::{
    clock::Timestamp,
    journey::{Death, Entry, Handling, Journey, Outcome, Passage, Published, What},
};

/// Width of the drawing, in its own units.
const WIDTH: i128 = 1_000;

/// A step.
pub(super) struct Row {
    pub(super) title: String,
    pub(super) href: Option<String>,
    pub(super) sign: Option<Sign>,
    pub(super) tags: Vec<String>,
    /// Who, where and why.
    pub(super) under: Vec<String>,
    pub(super) why: String,
    /// Where else it leads.
    pub(super) links: Vec<(String, &'static str)>,
    pub(super) is_message: bool,
    pub(super) is_failed: bool,
    pub(super) at: Timestamp,
    pub(super) after: String,
    pub(super) took: Option<String>,
    pub(super) waiting: Option<Bar>,
    pub(super) bar: Bar,
}

/// A part of the drawing.
pub(super) struct Bar {
    pub(super) x: i128,
    pub(super) width: i128,
    /// How long; `None` where it is a moment, or nobody says.
    pub(super) title: Option<String>,
}

/// The time that the drawing shows.
#[derive(Clone, Copy)]
struct Scale {
    start: i128,
    length: i128,
}

/// How long all of it took, in nanoseconds: to the end of what ended last.
pub(super) fn lasted(journey: &Journey) -> u64 {
    u64::try_from(Scale::of(journey).length).unwrap_or_default()
}

impl Scale {
    fn of(journey: &Journey) -> Self {
        let start = journey.entries.first().map_or(0, |entry| nanos(entry.at));
        let ends = journey.entries.iter().map(end);
        Self { start, length: (ends.max().unwrap_or(start) - start).max(1) }
    }

    fn bar(self, from: i128, to: i128, title: Option<String>) -> Bar {
        let at = |nanos: i128| ((nanos - self.start) * WIDTH / self.length).clamp(0, WIDTH);
        let x = at(from).min(WIDTH - 2);
        // What is short is still seen.
        Bar { x, width: (at(to) - x).max(2), title }
    }
}

fn nanos(at: Timestamp) -> i128 {
    at.0.unix_timestamp_nanos()
}

/// How long a step took, in nanoseconds; `None` where it is a moment, or nobody says.
fn length(entry: &Entry) -> Option<u64> {
    match &entry.what {
        What::Began { took, .. } => Some(*took),
        What::Handled(handling) => Some(handling.took),
        _ => None,
    }
}

/// When a step ended, as far as that is known.
fn end(entry: &Entry) -> i128 {
    nanos(entry.at) + i128::from(length(entry).unwrap_or_default())
}

/// The steps of a journey.
pub(super) fn of(journey: &Journey, look: &Look<'_>) -> Vec<Row> {
    let scale = Scale::of(journey);
    journey.entries.iter().map(|entry| Row::of(entry, journey, scale, look)).collect()
}

/// The page of a message, where it is known where it lies.
pub(super) fn page_of(passage: &Passage, look: &Look<'_>) -> Option<String> {
    let place = passage.places.iter().find(|place| place.account.is_some())?;
    let stream = place.stream.parse().ok()?;
    Some(look.link(&Page::Message(place.account.clone()?, stream, place.sequence, None)))
}

/// Where a message lies, in words.
fn lies(passage: &Passage) -> String {
    let place = |place: &crate::journey::Place| {
        let (stream, sequence) = (shown(&place.stream), format::count(place.sequence));
        match place.stored {
            Some(_) => format!("stored in {stream} as message {sequence}"),
            None => format!("message {sequence} of {stream}, which was not read"),
        }
    };
    match passage.places.as_slice() {
        [] => "where it is stored is not known".to_owned(),
        places => places.iter().map(place).collect::<Vec<_>>().join(", and "),
    }
}

impl Row {
    fn of(entry: &Entry, journey: &Journey, scale: Scale, look: &Look<'_>) -> Self {
        let start = nanos(entry.at);
        let row = Self {
            title: String::new(),
            href: entry.span.map(|(trace, span)| look.link(&Page::Trace(trace, Some(span)))),
            sign: None,
            tags: if entry.is_corrected { vec!["clock differs".to_owned()] } else { Vec::new() },
            under: Vec::new(),
            why: String::new(),
            links: Vec::new(),
            is_message: false,
            is_failed: false,
            at: entry.at,
            after: took(u64::try_from(start - scale.start).unwrap_or_default()),
            took: None,
            waiting: None,
            bar: scale.bar(start, end(entry), length(entry).map(|nanos| format!("took {}", took(nanos)))),
        };
        let passage = entry.passage.map(|index| &journey.passages[index]);
        let name = passage.map_or_else(|| "the message".to_owned(), |passage| shown(passage.name()));
        match (&entry.what, passage) {
            (What::Published(published), Some(passage)) => row.published(published, passage, journey, look),
            (What::Handled(handling), _) => row.handled(handling, &name, scale),
            (What::Died(death), _) => row.died(death, &name, look),
            (What::Waits { consumer }, _) => Self {
                title: format!("{} has {name} wait for another attempt", shown(consumer)),
                sign: Some(Sign::new(Level::Warning, "tried again later")),
                ..row
            },
            (What::Advised { consumer, sentence, is_loss }, _) => Self {
                title: if consumer.is_empty() { name } else { format!("{}, {name}", shown(consumer)) },
                sign: is_loss.then(|| Sign::new(Level::Critical, "lost to it")),
                why: shown(sentence),
                under: vec!["told by the server".to_owned()],
                is_failed: *is_loss,
                ..row
            },
            (What::Told { kind, name, by }, _) => Self {
                title: shown(name),
                under: vec![format!("step of the {} that {} wrote down", shown(kind), shown(by))],
                ..row
            },
            (What::Began { name, service, took: lasted, failed }, _) => Self {
                title: shown(name),
                under: vec![service_of(service)],
                took: Some(took(*lasted)),
                sign: failed.is_some().then(|| Sign::new(Level::Critical, "failed")),
                is_failed: failed.is_some(),
                why: failed.as_deref().map(shown).unwrap_or_default(),
                ..row
            },
            (What::Published(_), None) => row,
        }
    }

    fn published(self, published: &Published, passage: &Passage, journey: &Journey, look: &Look<'_>) -> Self {
        let publisher = passage.publisher.as_deref().map_or_else(|| "somebody".to_owned(), service_of);
        let mut under = vec![format!("on {}, {}", shown(&passage.subject), lies(passage))];
        under.extend(passage.cause.map(|cause| format!("because of {}", shown(journey.passages[cause].name()))));
        let mut tags = self.tags;
        tags.extend(passage.replay.as_ref().map(|replay| match (&replay.durable, replay.generation) {
            (Some(durable), Some(generation)) => format!("replay {generation} for {}", shown(durable)),
            (Some(durable), None) => format!("replay for {}", shown(durable)),
            (None, _) => "replay".to_owned(),
        }));
        let own = passage.id.as_deref().filter(|id| *id != journey.scope.id);
        let mut links: Vec<(String, &'static str)> =
            own.map(|id| (look.link(&Page::Journey(Follow::of(id))), "its journey")).into_iter().collect();
        let page = page_of(passage, look);
        if page.is_some() {
            links.extend(self.href.clone().map(|span| (span, "its span")));
        }
        Self {
            title: format!("{publisher} published {}", shown(passage.name())),
            href: page.or(self.href),
            sign: published.failed.is_some().then(|| Sign::new(Level::Critical, "not confirmed")),
            why: published.failed.as_deref().map(shown).unwrap_or_default(),
            is_failed: published.failed.is_some(),
            is_message: true,
            took: published.took.map(|nanos| format!("confirmed in {}", took(nanos))),
            under,
            tags,
            links,
            ..self
        }
    }

    fn handled(self, handling: &Handling, name: &str, scale: Scale) -> Self {
        let Handling { service, attempt, deliveries, waited, outcome, why, settled, .. } = handling;
        let (verb, sign) = match outcome {
            Outcome::Done => ("handled", Sign::new(Level::Ok, "done")),
            Outcome::Failed => ("tried to handle", Sign::new(Level::Critical, "failed")),
            Outcome::Rejected => ("refused", Sign::new(Level::Critical, "refused")),
            Outcome::Skipped => ("passed over", Sign::new(Level::Idle, "for another")),
        };
        let mut under = vec![service_of(service)];
        under.extend(attempt.filter(|attempt| *attempt > 1).map(|attempt| format!("attempt {attempt}")));
        under.extend(deliveries.filter(|count| *count > 1).map(|count| format!("delivery {count}")));
        under.extend(settled.as_deref().map(|how| format!("settled by {}", shown(how))));
        let start = nanos(self.at);
        let waiting = waited.filter(|waited| *waited > 0);
        Self {
            title: format!("{} {verb} {name}", who(handling)),
            sign: Some(sign),
            is_failed: handling.has_failed(),
            why: shown(why),
            took: Some(took(handling.took)),
            waiting: waiting.map(|waited| {
                let title = format!("{} after it was stored", took(waited));
                scale.bar(start - i128::from(waited), start, Some(title))
            }),
            under,
            ..self
        }
    }

    fn died(self, death: &Death, name: &str, look: &Look<'_>) -> Self {
        let Death { letter, account, reason, class, attempts, is_replayed } = death;
        let mut under = vec![format!("{} on {}", shown(class), letter.stream)];
        under.extend(attempts.map(|attempts| format::counted_u64(attempts.into(), "attempt")));
        Self {
            title: format!("{} gave {name} up", letter.consumer),
            href: dead_letters::page_of(letter.clone(), account, look),
            sign: Some(match is_replayed {
                true => Sign::new(Level::Warning, "dead letter, replayed"),
                false => Sign::new(Level::Critical, "dead letter"),
            }),
            why: shown(reason),
            is_failed: !is_replayed,
            under,
            ..self
        }
    }

    /// What stands below its sentence.
    pub(super) fn said(&self) -> String {
        self.under.join(", ")
    }
}

/// Who handled a message.
pub(super) fn who(handling: &Handling) -> String {
    if handling.consumer.is_empty() { service_of(&handling.service) } else { shown(&handling.consumer) }
}

fn service_of(service: &str) -> String {
    shown(format::service(service))
}
