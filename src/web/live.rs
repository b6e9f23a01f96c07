//! Live updates: one stream of events for each tab, which carries the page's `<main>` element after every round.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio::{sync::OwnedSemaphorePermit, time::Interval};

use super::state::Web;
use crate::{collector::Snapshots, views::Page};

/// How often a stream without news says that it is still there.
const PING: Duration = Duration::from_secs(15);

/// When a browser that found all places taken should come again, in seconds.
const RETRY_AFTER: &str = "10";

#[derive(Deserialize)]
pub(super) struct Wish {
    #[serde(default)]
    page: String,
    /// The last event that the page shows.
    since: Option<String>,
}

/// One open stream.
struct Feed {
    web: Web,
    page: Page,
    snapshots: Snapshots,
    ping: Interval,
    /// The last event that was sent, or that the page had from the start.
    sent: String,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn live(State(web): State<Web>, Query(wish): Query<Wish>, headers: HeaderMap) -> Response {
    if wish.page.is_empty() {
        let sentence = "say which page to follow with ?page=, as in /live?page=%2Fstreams\n";
        return (StatusCode::BAD_REQUEST, sentence).into_response();
    }
    let Some(page) = Page::at(&wish.page).filter(Page::is_live) else {
        return (StatusCode::NOT_FOUND, "there is no such page to follow").into_response();
    };
    let Ok(place) = web.streams().try_acquire_owned() else {
        let busy = "too many tabs follow the pages already; close some, or reload by hand";
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER)], busy).into_response();
    };
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let mut snapshots = web.snapshots();
    snapshots.mark_changed();
    let feed = Feed {
        snapshots,
        page,
        ping: tokio::time::interval_at(tokio::time::Instant::now() + PING, PING),
        sent: last.or(wish.since).unwrap_or_default(),
        web,
        _place: place,
    };
    Sse::new(events(feed)).into_response()
}

fn events(feed: Feed) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok(event), feed))
    })
}

impl Feed {
    /// The next event; `None` when the server stops. What the page has already is not sent again.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let stop = self.web.stop().clone();
            tokio::select! {
                () = stop.cancelled() => return None,
                changed = self.snapshots.changed() => changed.ok()?,
                _ = self.ping.tick() => return Some(Event::default().event("ping").data("")),
            }
            self.snapshots.mark_unchanged();
            match self.web.draw_in_turn(&self.page).await {
                Ok(drawing) if drawing.event == self.sent => {}
                Ok(drawing) => {
                    self.sent.clone_from(&drawing.event);
                    self.ping.reset();
                    return Some(Event::default().event("patch").id(drawing.event).data(&drawing.main.html));
                }
                Err(error) => {
                    tracing::error!(%error, "drawing an update failed");
                    return None;
                }
            }
        }
    }
}
