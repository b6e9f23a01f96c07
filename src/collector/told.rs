//! The lines at start: which connections there are, as whom, and what each sees.

use crate::{
    snapshot::{Snapshot, Watched},
    words,
};

/// Says what was found, and who asks the system account, where somebody does.
pub(super) fn tell_what_was_found(snapshot: &Snapshot, system_user: Option<&str>) {
    if !snapshot.is_connected() {
        let app = &snapshot.app.contact;
        tracing::warn!(
            reason = app.reason,
            "NATS at {} does not answer; the pages say so, and it is asked again",
            app.url
        );
        return;
    }
    let streams = match snapshot.streams.reason() {
        Some(reason) => format!("streams unknown: {reason}"),
        None => counted(snapshot),
    };
    let servers = match (snapshot.servers.value(), snapshot.servers.reason()) {
        (Some(servers), _) => words::counted(servers.len() as u64, "server"),
        (None, reason) => format!("servers unknown: {}", reason.unwrap_or_default()),
    };
    let system = match system_user {
        Some(user) => format!("the system account is asked as {user}"),
        None => "no system account".to_owned(),
    };
    for watched in snapshot.watched() {
        tell_of(watched);
    }
    tracing::info!("seen: {streams}; {servers}; {system}");
}

/// The line of one connection.
fn tell_of(watched: &Watched) {
    let contact = &watched.contact;
    let user = contact.user_in_words();
    match contact.server.as_ref().filter(|_| contact.is_connected) {
        Some((server, version)) => {
            tracing::info!("watching {}: {watched} as {user}; server {server} {version}", contact.url);
        }
        None => {
            tracing::warn!(reason = contact.reason, "not watching {watched}; what is shown of it is old or unknown")
        }
    }
    if let Some(reason) = watched.unlisted.as_ref().filter(|_| contact.is_connected) {
        tracing::warn!(reason, "what {watched} holds was not listed");
    }
}

/// What of which accounts was seen.
fn counted(snapshot: &Snapshot) -> String {
    let streams = snapshot.known_streams();
    let mut accounts: Vec<&str> = streams.iter().map(|stream| &*stream.account).collect();
    accounts.dedup();
    let of = if accounts.len() > 1 { format!(" in {} accounts", accounts.len()) } else { String::new() };
    let consumers = words::counted(snapshot.known_consumers().count() as u64, "consumer");
    format!("{}, {consumers}{of}", words::counted(streams.len() as u64, "stream"))
}
