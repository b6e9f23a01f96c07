//! Pages as HTML: pure functions of the facts. A page and its live updates are drawn by the same templates.

mod format;
mod headline;
mod layout;
mod overview;
mod pieces;
mod records;
mod servers;
mod services;
mod standing;
mod streams;

use std::fmt;

use askama::Template;

use crate::{clock::Timestamp, config::TraceUrl, snapshot::Snapshot};

pub use layout::{Frame, failure};

/// What all pages share and the program decides once.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// Where traces are shown.
    pub trace_url: Option<TraceUrl>,
    /// Address of the styles.
    pub styles: String,
    /// Address of the icon.
    pub icon: String,
    /// Address of the script.
    pub script: String,
}

/// A page that exists.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Page {
    /// Everything at a glance.
    Overview,
    /// Streams with their consumers.
    Streams,
    /// Instances of services with their probes and workers.
    Services,
    /// Records: of one kind, or of all.
    Records(Option<String>),
}

/// Longest kind of record that has a page.
const KIND_MOST: usize = 64;

impl Page {
    /// The page at `path`, percent-decoded; `None` when there is none.
    pub fn at(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Overview),
            "/streams" => Some(Self::Streams),
            "/services" => Some(Self::Services),
            "/records" => Some(Self::Records(None)),
            _ => {
                let kind = path.strip_prefix("/records/")?;
                let is_kind = !kind.is_empty() && kind.len() <= KIND_MOST && !kind.contains(['/', '\0', '\n', '\r']);
                is_kind.then(|| Self::Records(Some(kind.to_owned())))
            }
        }
    }
}

/// The path of the page, not percent-encoded.
impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overview => f.write_str("/"),
            Self::Streams => f.write_str("/streams"),
            Self::Services => f.write_str("/services"),
            Self::Records(None) => f.write_str("/records"),
            Self::Records(Some(kind)) => write!(f, "/records/{kind}"),
        }
    }
}

/// What changes from round to round on a page: its `<main>` element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Main {
    /// The page's title.
    pub title: String,
    /// The element.
    pub html: String,
}

/// Draws what `page` shows of `snapshot`.
///
/// # Errors
/// When a template fails, which is a defect in it.
pub fn draw(page: &Page, snapshot: &Snapshot, site: &Site, now: Timestamp) -> Result<Main, askama::Error> {
    let look = Look { snapshot, site, now };
    let (title, html) = match page {
        Page::Overview => {
            let page = overview::Overview::of(&look);
            (page.headline.title(), page.render()?)
        }
        Page::Streams => ("Streams".to_owned(), streams::StreamsPage::of(&look).render()?),
        Page::Services => ("Services".to_owned(), services::ServicesPage::of(&look).render()?),
        Page::Records(kind) => {
            let page = records::RecordsPage::of(kind.as_deref(), &look);
            (page.title.clone(), page.render()?)
        }
    };
    Ok(Main { html: layout::main_element(&title, &html, &look)?, title })
}

/// The facts, and the moment from which their ages are told.
struct Look<'a> {
    snapshot: &'a Snapshot,
    site: &'a Site,
    now: Timestamp,
}
