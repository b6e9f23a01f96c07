//! What the mesh shares of HTTP. Its servers take JSON of a bounded size and refuse in one clear sentence; its clients send the trace along.

use std::fmt;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequest, Request, rejection::JsonRejection},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use reqwest::RequestBuilder;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::{message::header::TRACEPARENT, telemetry::Telemetry};

/// Room for the largest order: 2 000 lines of some 95 bytes each.
const BODY_LIMIT: usize = 256 * 1024;

/// When to ask again while we are unavailable, in seconds: about what a broker that restarts needs.
const RETRY_AFTER: &str = "2";

/// Why a request is refused: a status, and a sentence that says what is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(pub StatusCode, pub String);

impl Fault {
    /// The request is understood and makes no sense (422).
    pub fn senseless(sentence: impl fmt::Display) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, sentence.to_string())
    }

    /// There is no such thing (404).
    pub fn absent(sentence: impl fmt::Display) -> Self {
        Self(StatusCode::NOT_FOUND, sentence.to_string())
    }

    /// The request is fine and cannot be met now (503).
    pub fn unavailable(sentence: impl fmt::Display) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, sentence.to_string())
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let Self(status, sentence) = self;
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some([(header::RETRY_AFTER, RETRY_AFTER)]);
        (status, retry_after, Json(json!({ "error": sentence }))).into_response()
    }
}

/// A body of JSON. What is not JSON is a fault of 400, JSON of another shape one of 422, too much of it 413, another type 415.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(fault_of(&rejection)),
        }
    }
}

fn fault_of(rejection: &JsonRejection) -> Fault {
    let status = rejection.status();
    let sentence = match status {
        StatusCode::PAYLOAD_TOO_LARGE => format!("the body is larger than {} KB", BODY_LIMIT / 1024),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "the body must be JSON: send `content-type: application/json`".to_owned(),
        _ => rejection.body_text(),
    };
    Fault(status, sentence)
}

/// Bounds the bodies that `routes` take, and answers in JSON what none of them answers.
pub fn guarded(routes: Router) -> Router {
    let nothing =
        |request: Request| async move { Fault::absent(format!("there is nothing at {}", request.uri().path())) };
    let no_way = |request: Request| async move {
        let sentence = format!("{} is not answered at {}", request.method(), request.uri().path());
        Fault(StatusCode::METHOD_NOT_ALLOWED, sentence)
    };
    routes.fallback(nothing).method_not_allowed_fallback(no_way).layer(DefaultBodyLimit::max(BODY_LIMIT))
}

/// Sends a request within a span of its own, which the server continues. `template` is the path without ids.
///
/// # Errors
/// When there is no answer in time.
pub async fn send(
    telemetry: &Telemetry,
    template: &'static str,
    request: RequestBuilder,
) -> reqwest::Result<reqwest::Response> {
    let (client, request) = request.build_split();
    let mut request = request?;
    let host = request.url().host_str().unwrap_or_default();
    let span = telemetry.requesting_http(request.method().as_str(), host, template);
    let parent = span.trace_parent().and_then(|parent| HeaderValue::try_from(parent.to_string()).ok());
    request.headers_mut().extend(parent.map(|parent| (HeaderName::from_static(TRACEPARENT), parent)));
    let answer = span.around(client.execute(request)).await;
    match &answer {
        Ok(answer) => span.set("http.response.status_code", i64::from(answer.status().as_u16())),
        Err(error) => span.fail("unavailable", error.to_string()),
    }
    span.end();
    answer
}
