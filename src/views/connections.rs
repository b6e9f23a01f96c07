//! The connections to the accounts, where there are several: who asks each, and whether it stands.

use askama::{Template, filters::HtmlSafe};

use super::{
    Look, format,
    pieces::{Level, Moment, Sign, server_name},
};
use crate::snapshot::Watched;

/// The connections.
#[derive(Template)]
#[template(path = "parts/connections.html")]
pub(super) struct ConnectionsPanel {
    rows: Vec<Row>,
}

impl HtmlSafe for ConnectionsPanel {}

struct Row {
    id: String,
    /// Its name, or that of its user where that is not known.
    account: String,
    user: String,
    sign: Sign,
    since: Moment,
    server: String,
    /// Why not all of it is seen; empty where it is.
    why: String,
}

impl ConnectionsPanel {
    /// `None` where one account is watched: what is said of its connection stands above every page.
    pub(super) fn of(look: &Look<'_>) -> Option<Self> {
        look.watches_several()
            .then(|| Self { rows: look.snapshot.watched().map(|watched| Row::of(watched, look)).collect() })
    }
}

impl Row {
    fn of(watched: &Watched, look: &Look<'_>) -> Self {
        let contact = &watched.contact;
        let sign = match (contact.is_connected, &watched.unlisted) {
            (true, None) => Sign::new(Level::Ok, "connected"),
            (true, Some(_)) => Sign::new(Level::Warning, "not listed"),
            (false, _) if look.snapshot.round == 0 => Sign::new(Level::Busy, "connecting"),
            (false, _) => Sign::new(Level::Critical, "not connected"),
        };
        let why = match &watched.unlisted {
            _ if !contact.is_connected => contact.reason.as_str(),
            unlisted => unlisted.as_deref().unwrap_or_default(),
        };
        Self {
            id: look.anchor(watched, contact.user.as_deref().unwrap_or_default()),
            account: format::cut(watched.name.as_deref().unwrap_or("not known")),
            user: format::cut(contact.user_in_words()),
            sign,
            since: Moment::length(contact.since, look),
            server: contact.server.as_ref().map(|(name, _)| server_name(name)).unwrap_or_default(),
            why: if why.is_empty() { String::new() } else { format::sentence(&format::cut_at(why, WHY_MOST)) },
        }
    }
}

/// Letters of a reason, which may be the word of a server.
const WHY_MOST: usize = 300;
