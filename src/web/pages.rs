//! Pages, drawn when they are asked for.

use askama::Template;
use axum::{
    Extension,
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::{Html, IntoResponse, Response},
};

use super::{failure, headers::Nonce, state::Web};
use crate::views::{Frame, Page};

/// Any page of [`Page`]; the kind is there for the pages of records alone.
pub(super) async fn page(
    State(web): State<Web>,
    Extension(nonce): Extension<Nonce>,
    kind: Option<Path<String>>,
    uri: Uri,
) -> Response {
    let page = match kind {
        Some(Path(kind)) => Page::at(&format!("/records/{kind}")),
        None => Page::at(uri.path()),
    };
    let Some(page) = page else {
        return not_found(State(web), Extension(nonce)).await;
    };
    let drawn = web.draw(&page).and_then(|drawing| {
        let frame =
            Frame { site: web.site(), nonce: &nonce.0, page: Some(&page), main: &drawing.main, event: &drawing.event };
        frame.render()
    });
    match drawn {
        Ok(html) => Html(html).into_response(),
        Err(error) => failure::defect(&web, &nonce, &error),
    }
}

pub(super) async fn not_found(State(web): State<Web>, Extension(nonce): Extension<Nonce>) -> Response {
    failure::page(&web, &nonce, StatusCode::NOT_FOUND, "No such page", "Nothing is shown at this address.")
}

pub(super) async fn only_read(State(web): State<Web>, Extension(nonce): Extension<Nonce>) -> Response {
    let sentence = "The observer only reads, and takes no other requests than GET and HEAD.";
    failure::page(&web, &nonce, StatusCode::METHOD_NOT_ALLOWED, "Not possible", sentence)
}
