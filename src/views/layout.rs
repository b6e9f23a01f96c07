//! What stands around every page: the frame, the status line, and the page for what went wrong.

use askama::Template;
use url::form_urlencoded;

use super::{
    Look, Main, Page, Site, Wish,
    faults::FaultBanner,
    format,
    pieces::{Level, Moment, Sign, server_name},
    search::Search,
};
use crate::{
    clock::Timestamp,
    snapshot::{Contact, Snapshot},
    traces::Query,
};

/// The frame around a page.
#[derive(Debug, Template)]
#[template(path = "layout.html")]
pub struct Frame<'a> {
    /// What all pages share.
    pub site: &'a Site,
    /// Lets the page's own script run and no other.
    pub nonce: &'a str,
    /// Which page it is; `None` on a page that tells of an error, which is not live.
    pub page: Option<&'a Page>,
    /// What changes.
    pub main: &'a Main,
    /// The round that `main` shows, as the stream of updates names it.
    pub event: &'a str,
}

impl Frame<'_> {
    /// The navigation: address, name, whether it is where we are.
    fn places(&self) -> Vec<(String, &'static str, bool)> {
        let search = Search::default;
        let pages = [
            (Page::Overview, "Overview"),
            (Page::Map(Wish::default()), "Map"),
            (Page::Consumers(search()), "Consumers"),
            (Page::Streams(search()), "Streams"),
            (Page::Findings(search()), "Findings"),
            (Page::DeadLetters, "Dead letters"),
            (Page::Advisories(search()), "Advisories"),
            (Page::Services, "Services"),
            (Page::Records(None, String::new()), "Records"),
            (Page::Traces(Query::default()), "Traces"),
            (Page::Servers, "Servers"),
        ];
        let here = self.page.map(Page::list);
        pages.into_iter().map(|(page, name)| (self.site.link(&page), name, here == Some(page.list()))).collect()
    }

    fn home(&self) -> String {
        self.site.link(&Page::Overview)
    }

    /// Where the page's updates come from.
    fn live(&self) -> Option<String> {
        let page = self.page.filter(|page| page.is_live())?.to_string();
        let page = form_urlencoded::byte_serialize(page.as_bytes()).collect::<String>();
        Some(format!("{}/live?page={page}", self.site.base))
    }

    /// Where to search from any page that has no search of its own.
    fn search(&self) -> Option<String> {
        let has_own = self.page.is_some_and(|page| {
            page.search().is_some()
                || matches!(page, Page::Traces(_) | Page::Journey(_) | Page::Map(_) | Page::Records(..))
        });
        (!has_own).then(|| self.site.link(&Page::Consumers(Search::default())))
    }
}

/// The `<main>` element with the status line on top.
#[derive(Template)]
#[template(path = "parts/main.html")]
struct MainElement<'a> {
    title: &'a str,
    now_millis: i128,
    status: Status,
    faults: Option<FaultBanner>,
    body: &'a str,
}

/// What is watched, and how fresh that is.
struct Status {
    sign: Sign,
    url: String,
    user: Option<String>,
    server: Option<Served>,
    since: Moment,
    taken: Option<Moment>,
    /// Whether that round was answered; if not, when the last one was.
    is_answered: bool,
    answered: Option<Moment>,
    interval: String,
    /// After how many milliseconds without a round the page calls itself stale.
    stale_after_millis: u128,
}

/// The server at the other end.
struct Served {
    short: String,
    name: String,
    version: String,
}

/// Rounds that may fail to come before what is shown counts as stale, and a little for the way.
const ROUNDS_MISSED: u32 = 3;

pub(super) fn main_element(title: &str, body: &str, look: &Look<'_>) -> Result<String, askama::Error> {
    let snapshot = look.snapshot;
    let app = &snapshot.app.contact;
    let (sign, since) = standing(snapshot);
    let element = MainElement {
        title,
        now_millis: look.now.0.unix_timestamp_nanos() / 1_000_000,
        status: Status {
            sign,
            url: app.url.clone(),
            user: app.user.clone(),
            server: app.server.as_ref().map(|(name, version)| Served {
                short: server_name(name),
                name: name.clone(),
                version: version.clone(),
            }),
            since: Moment::length(since, look),
            taken: (snapshot.round > 0).then(|| Moment::ago(snapshot.taken, look)),
            is_answered: snapshot.streams.fresh().is_some(),
            answered: snapshot.streams.fact().map(|fact| Moment::ago(fact.at, look)),
            interval: format::age(snapshot.interval),
            stale_after_millis: (snapshot.interval * ROUNDS_MISSED).as_millis() + 1_000,
        },
        faults: FaultBanner::of(look),
        body,
    };
    element.render()
}

/// Whether the connections stand, and since when.
fn standing(snapshot: &Snapshot) -> (Sign, Timestamp) {
    let all = snapshot.watched().map(|watched| &watched.contact);
    let away = all.clone().filter(|contact| !contact.is_connected);
    let count = all.clone().count();
    let sign = match away.clone().count() {
        0 => Sign::new(Level::Ok, "connected"),
        _ if snapshot.round == 0 => Sign::new(Level::Busy, "connecting"),
        away if away == count => Sign::new(Level::Critical, "not connected"),
        away => Sign::new(Level::Warning, format!("{} of {count} accounts connected", count - away)),
    };
    let last = |contacts: &mut dyn Iterator<Item = &Contact>| contacts.map(|contact| contact.since).max();
    (sign, last(&mut away.clone()).or_else(|| last(&mut all.clone())).unwrap_or(snapshot.taken))
}

/// The page for something that did not work.
///
/// # Errors
/// When the template fails.
pub fn failure(title: &str, sentence: &str, site: &Site) -> Result<Main, askama::Error> {
    #[derive(Template)]
    #[template(path = "pages/failure.html")]
    struct Failure<'a> {
        title: &'a str,
        sentence: &'a str,
        home: String,
    }
    let home = site.link(&Page::Overview);
    Ok(Main { title: title.to_owned(), html: Failure { title, sentence, home }.render()?, is_there: false })
}

/// The page that asks for the token.
///
/// # Errors
/// When the template fails.
pub fn login(title: &str, sentence: &str, site: &Site) -> Result<Main, askama::Error> {
    #[derive(Template)]
    #[template(path = "pages/login.html")]
    struct Login<'a> {
        title: &'a str,
        sentence: &'a str,
        action: String,
    }
    let action = format!("{}/login", site.base);
    Ok(Main { title: title.to_owned(), html: Login { title, sentence, action }.render()?, is_there: false })
}
