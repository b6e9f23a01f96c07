//! How a browser gets its cookie: by the link that the observer wrote to its terminal, or by the token typed into a form.

use axum::{
    Extension,
    extract::{Query, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use url::form_urlencoded;

use super::{Access, Refusal};
use crate::web::{failure, headers::Nonce, state::Web};

/// Seconds that a browser keeps its cookie: a month, as people come back to a dashboard.
const COOKIE_SECONDS: u32 = 30 * 24 * 3_600;

/// What a login link carries.
#[derive(Deserialize)]
pub(in crate::web) struct Given {
    #[serde(default)]
    token: String,
}

pub(in crate::web) async fn by_link(
    State(web): State<Web>,
    Extension(nonce): Extension<Nonce>,
    Query(given): Query<Given>,
) -> Response {
    answer(&web, &nonce, &given.token)
}

pub(in crate::web) async fn by_form(
    State(web): State<Web>,
    Extension(nonce): Extension<Nonce>,
    body: String,
) -> Response {
    let token = form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "token");
    answer(&web, &nonce, token.map(|(_, value)| value).unwrap_or_default().trim())
}

fn answer(web: &Web, nonce: &Nonce, given: &str) -> Response {
    let access = web.access();
    match access.token() {
        Some(_) if given.is_empty() => failure::refused(web, nonce, Refusal::NoToken),
        Some(token) if !token.is(given) => failure::refused(web, nonce, Refusal::WrongToken),
        token => home(web, token.map(|token| cookie(access, token.cookie(), &web.site().base))),
    }
}

/// Leads to the pages.
fn home(web: &Web, cookie: Option<String>) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, format!("{}/", web.site().base))]).into_response();
    if let Some(Ok(cookie)) = cookie.map(HeaderValue::try_from) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// No script reads it, and no other site's page makes a browser send it.
fn cookie(access: &Access, token: &str, base: &str) -> String {
    let name = &access.0.cookie;
    format!("{name}={token}; Path={base}/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Strict")
}

/// Lets only those see pages who may; the others get a page that says what to do.
pub(in crate::web) async fn guard_pages(
    State(web): State<Web>,
    Extension(nonce): Extension<Nonce>,
    request: Request,
    next: Next,
) -> Response {
    match web.access().refusal(request.headers()) {
        None => next.run(request).await,
        Some(refusal) => failure::refused(&web, &nonce, refusal),
    }
}
