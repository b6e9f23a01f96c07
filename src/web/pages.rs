//! Pages, drawn when they are asked for.

use askama::Template;
use axum::{
    Extension,
    extract::State,
    http::{Method, StatusCode, Uri},
    response::{Html, IntoResponse, Redirect, Response},
};

use super::{failure, headers::Nonce, state::Web};
use crate::views::{Frame, Page};

/// Any page of [`Page`]: the address alone says which.
pub(super) async fn page(
    State(web): State<Web>,
    Extension(nonce): Extension<Nonce>,
    method: Method,
    uri: Uri,
) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        return only_read(State(web), Extension(nonce)).await;
    }
    let address = uri.path_and_query().map_or("/", |address| address.as_str());
    let Some(address) = address.strip_prefix(&web.site().base).filter(|rest| rest.starts_with('/')) else {
        return elsewhere(&web, &uri);
    };
    let Some(page) = Page::at(address) else {
        return failure::page(&web, &nonce, StatusCode::NOT_FOUND, "No such page", "Nothing is shown at this address.");
    };
    let drawn = web.draw(&page).await.and_then(|drawing| {
        let frame =
            Frame { site: web.site(), nonce: &nonce.0, page: Some(&page), main: &drawing.main, event: &drawing.event };
        Ok((if drawing.main.is_there { StatusCode::OK } else { StatusCode::NOT_FOUND }, frame.render()?))
    });
    match drawn {
        Ok((status, html)) => (status, Html(html)).into_response(),
        Err(error) => failure::defect(&web, &nonce, &error),
    }
}

/// Leads from beside the pages to them, where they do not begin at `/`.
fn elsewhere(web: &Web, uri: &Uri) -> Response {
    let home = web.site().link(&Page::Overview);
    if uri.path() == "/" || home.trim_end_matches('/') == uri.path() {
        return Redirect::temporary(&home).into_response();
    }
    (StatusCode::NOT_FOUND, format!("nothing is served here; the pages are at {home}")).into_response()
}

pub(super) async fn only_read(State(web): State<Web>, Extension(nonce): Extension<Nonce>) -> Response {
    let sentence = "The observer only reads, and takes no other requests than GET and HEAD.";
    failure::page(&web, &nonce, StatusCode::METHOD_NOT_ALLOWED, "Not possible", sentence)
}
