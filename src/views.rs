//! Pages as HTML: pure functions of the facts. A page and its live updates are drawn by the same templates.

mod account;
mod accounts;
mod advisories;
mod ages;
mod asked;
mod browse;
mod chart;
mod connections;
mod consumer;
mod consumers;
mod cost;
mod dead_letters;
mod elsewhere;
mod equivalent;
mod failures;
mod faults;
mod findings;
mod follow;
mod format;
mod headline;
mod journey;
mod layout;
mod letter;
mod limits;
mod lists;
mod logs;
mod map;
mod message;
mod messages;
mod overview;
mod page;
mod past;
mod payload;
mod pieces;
mod record;
mod records;
mod replicas;
mod search;
mod select;
mod servers;
mod services;
mod standing;
mod stream;
mod streams;
mod strip;
mod trace;
mod traced;
mod traces;
mod used;
mod waterfall;
mod workers;

use askama::Template;

use crate::{
    clock::Timestamp,
    config::ToolsConfig,
    journey::Facts,
    peek::{Found, One, Stored},
    snapshot::{Reading, Snapshot},
};
use equivalent::Equivalents;

pub use browse::Browse;
pub(crate) use browse::{MOMENT, ROWS as MESSAGES, is_moment};
pub use equivalent::API_PREFIX;
pub use follow::Follow;
pub use layout::{Frame, failure, login};
pub(crate) use letter::said as said_of_letter;
pub use map::{Column, Edge, Graph, Kind, Node, Sources, Thing, Wish};
pub(crate) use message::{headers as message_headers, trace as trace_of};
pub use page::{Page, span_of};
pub use past::Past;
pub use payload::Form;
pub(crate) use payload::show as show_payload;
pub(crate) use records::records_of;
pub use search::{NoPage, Nonsense, Search, Sort, Stretch};
pub use traced::Traced;

pub use select::{advisories_of, consumers_of, findings_of, streams_of};

/// What all pages share and the program decides once.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// Other tools that show the same.
    pub tools: ToolsConfig,
    /// Whether traces are shown here.
    pub shows_traces: bool,
    /// What stands before the path of every page, such as `/gauge`; empty for nothing.
    pub base: String,
    /// Address of the styles.
    pub styles: String,
    /// Address of the icon.
    pub icon: String,
    /// Address of the script.
    pub script: String,
}

/// What changes from round to round on a page: its `<main>` element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Main {
    /// The page's title.
    pub title: String,
    /// The element.
    pub html: String,
    /// Whether there is what the page is about: a page of something that is gone says so.
    pub is_there: bool,
}

/// What a page shows beside the snapshot.
#[derive(Debug, Default)]
pub struct Beside {
    /// The past of what it is about.
    pub past: Past,
    /// Messages that were read for it.
    pub read: Read,
    /// Traces that it is about.
    pub traced: Traced,
    /// What is connected with what, where it shows that.
    pub graph: Option<Graph>,
}

/// Messages that were read for a page.
#[derive(Debug, Default)]
pub enum Read {
    /// It shows none.
    #[default]
    Nothing,
    /// Those that were looked for.
    Found(Reading<Found>),
    /// One.
    One(Reading<One>),
    /// What a journey is made of.
    Journey(Box<Facts>),
    /// What stands under the key of a record.
    Record(Reading<Option<Stored>>),
    /// Records that were looked for.
    Records(Vec<Searched>),
}

/// Records of one account that were looked for by their keys.
#[derive(Debug)]
pub struct Searched {
    /// The account.
    pub account: String,
    /// What was found, as the messages of the bucket's stream.
    pub found: Reading<Found>,
}

/// The whole payload of a message with secrets left out: its bytes, their media type and the end of a file's name.
pub(crate) fn payload(message: &Stored) -> (Vec<u8>, &'static str, &'static str) {
    let taken = payload::take(message);
    match taken.form {
        Form::Hex => (taken.bytes, "application/octet-stream", "bin"),
        Form::Text => (taken.bytes, "text/plain; charset=utf-8", "txt"),
        Form::Json | Form::Cbor | Form::MessagePack => (taken.bytes, "application/json", "json"),
    }
}

/// Draws what `page` shows of `snapshot`, and what it shows beside that.
///
/// # Errors
/// When a template fails, which is a defect in it.
pub fn draw(
    page: &Page,
    snapshot: &Snapshot,
    beside: &Beside,
    site: &Site,
    now: Timestamp,
) -> Result<Main, askama::Error> {
    let Beside { past, read, traced, graph } = beside;
    let look = Look { snapshot, past, read, site, now };
    let mut is_there = true;
    let (title, html) = match page {
        Page::Overview => {
            let page = overview::Overview::of(&look);
            (page.headline.title(), page.render()?)
        }
        Page::Map(wish) => ("Map".to_owned(), map::MapPage::of(wish, graph.as_ref(), &look).render()?),
        Page::Streams(search) => ("Streams".to_owned(), streams::StreamsPage::of(search, &look).render()?),
        Page::Stream(account, stream, _) => {
            let page = stream::StreamPage::of(page, account, stream, &look);
            is_there = page.is_there;
            (stream.to_string(), page.render()?)
        }
        Page::Messages(account, stream, browse) => {
            let page = messages::MessagesPage::of(account, stream, browse, &look);
            is_there = page.is_there;
            (format!("Messages of {stream}"), page.render()?)
        }
        Page::Message(account, stream, sequence, form) => {
            let page = message::MessagePage::of(account, stream, *sequence, *form, &look);
            is_there = page.is_there;
            (message::title(stream, *sequence), page.render()?)
        }
        Page::Consumers(search) => ("Consumers".to_owned(), consumers::ConsumersPage::of(search, &look).render()?),
        Page::Consumer(account, stream, consumer, _) => {
            let page = consumer::ConsumerPage::of(page, account, stream, consumer, &look);
            is_there = page.is_there;
            (page.title.clone(), page.render()?)
        }
        Page::Services => ("Services".to_owned(), services::ServicesPage::of(&look).render()?),
        Page::Records(kind, q) => {
            let page = records::RecordsPage::of(kind.as_deref(), q, &look);
            (page.title.clone(), page.render()?)
        }
        Page::Record(account, key) => {
            let page = record::RecordPage::of(account, key, &look);
            is_there = page.is_there;
            (page.title.clone(), page.render()?)
        }
        Page::DeadLetters => ("Dead letters".to_owned(), dead_letters::DeadLettersPage::of(&look).render()?),
        Page::DeadLetter(place, account) => {
            let page = dead_letters::DeadLetterPage::of(place, account, &look);
            is_there = page.is_there;
            (format!("Dead letter {place}"), page.render()?)
        }
        Page::Advisories(search) => ("Advisories".to_owned(), advisories::AdvisoriesPage::of(search, &look).render()?),
        Page::Traces(query) => ("Traces".to_owned(), traces::TracesPage::of(query, traced, &look).render()?),
        Page::Trace(id, chosen) => {
            let page = trace::TracePage::of(*id, *chosen, traced, &look);
            is_there = page.is_there;
            (page.title.clone(), page.render()?)
        }
        Page::Journey(follow) => {
            let page = journey::JourneyPage::of(follow, &look);
            (page.title.clone(), page.render()?)
        }
        Page::Servers => ("Servers".to_owned(), servers::ServersPage::of(&look).render()?),
        Page::Findings(search) => ("Findings".to_owned(), findings::FindingsPage::of(search, &look).render()?),
    };
    let equivalents = Equivalents::of_list(page, &look).map(|all| all.render()).transpose()?.unwrap_or_default();
    Ok(Main { html: layout::main_element(&title, &(html + &equivalents), &look)?, title, is_there })
}

/// The facts, and the moment from which their ages are told.
struct Look<'a> {
    snapshot: &'a Snapshot,
    past: &'a Past,
    read: &'a Read,
    site: &'a Site,
    now: Timestamp,
}

impl Look<'_> {
    /// Whether streams of several accounts are seen, so that it has to be said which one is meant.
    fn has_accounts(&self) -> bool {
        let streams = self.snapshot.known_streams();
        streams.first().is_some_and(|first| streams.iter().any(|stream| stream.account != first.account))
    }

    /// Such as ` in SHOP`, to stand behind a name where there are several accounts; else nothing.
    fn in_account(&self, account: &str) -> String {
        if self.has_accounts() { format!(" in {}", format::cut(account)) } else { String::new() }
    }

    /// The address of a page, wherever the pages are served.
    fn link(&self, page: &Page) -> String {
        self.site.link(page)
    }
}

impl Site {
    /// The address of a page, with what stands before every path.
    pub fn link(&self, page: &Page) -> String {
        format!("{}{page}", self.base)
    }
}
