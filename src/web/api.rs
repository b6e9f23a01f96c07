//! The API: what the pages show, as JSON.

use axum::{
    extract::{Request, State},
    http::{Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, any},
};

use super::{messages, state::Web};
use crate::{
    api::{self, Failure},
    tasks::aside,
    views::{API_PREFIX, Read},
};

/// Answers everything below `/api`.
pub(super) fn answering(web: &Web) -> MethodRouter<Web> {
    any(answer).layer(middleware::from_fn_with_state(web.clone(), guard))
}

async fn answer(State(web): State<Web>, method: Method, uri: Uri) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        let message = "the observer only reads, and takes no other requests than GET and HEAD".to_owned();
        return failed(&Failure { status: 405, code: "only_read", message });
    }
    let path = uri.path().strip_prefix(&web.site().base).unwrap_or(uri.path());
    if path == "/api/openapi.json" {
        return json(StatusCode::OK, api::document(&web.site().base).to_string());
    }
    let (path, query) = (path.strip_prefix(API_PREFIX).unwrap_or_default(), uri.query().unwrap_or_default());
    let read = match api::wanted(path, query) {
        Some(wanted) => {
            messages::find(web.reader(), &wanted.account, &wanted.stream, &wanted.browse, wanted.rows).await
        }
        None => match (api::followed(path, query), api::recorded(path, query)) {
            (Some(follow), _) => web.journey(&follow).await,
            (None, Some(page)) => web.records(&page).await,
            (None, None) => Read::Nothing,
        },
    };
    match aside(|| web.answer(path, query, &read)) {
        Ok(answer) => json(StatusCode::OK, answer),
        Err(failure) => failed(&failure),
    }
}

/// Lets only those ask who may read.
async fn guard(State(web): State<Web>, request: Request, next: Next) -> Response {
    let Some(refusal) = web.access().refusal(request.headers()) else { return next.run(request).await };
    let (status, message) = (refusal.status().as_u16(), refusal.sentence().to_owned());
    let mut response = failed(&Failure { status, code: "refused", message });
    response.headers_mut().extend(refusal.headers());
    response
}

fn failed(failure: &Failure) -> Response {
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json(status, failure.json())
}

fn json(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}
