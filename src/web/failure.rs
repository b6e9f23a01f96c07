//! Answers for what did not work, in words.

use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};

use super::{access::Refusal, headers::Nonce, state::Web};
use crate::views::{self, Frame};

/// A page that says what is wrong.
pub(super) fn page(web: &Web, nonce: &Nonce, status: StatusCode, title: &str, sentence: &str) -> Response {
    let drawn = views::failure(title, sentence, web.site()).and_then(|main| {
        askama::Template::render(&Frame { site: web.site(), nonce: &nonce.0, page: None, main: &main, event: "" })
    });
    match drawn {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => (status, format!("{title}: {sentence}")).into_response(),
    }
}

/// The page for somebody who may not read, with a form for the token where that would help.
pub(super) fn refused(web: &Web, nonce: &Nonce, refusal: Refusal) -> Response {
    let (title, sentence) = (refusal.title(), refusal.sentence());
    let main = match refusal {
        Refusal::Name => views::failure(title, sentence, web.site()),
        Refusal::NoToken | Refusal::WrongToken => views::login(title, sentence, web.site()),
    };
    let drawn = main.and_then(|main| {
        askama::Template::render(&Frame { site: web.site(), nonce: &nonce.0, page: None, main: &main, event: "" })
    });
    match drawn {
        Ok(html) => (refusal.status(), refusal.headers(), Html(html)).into_response(),
        Err(_) => (refusal.status(), refusal.headers(), sentence).into_response(),
    }
}

/// A template failed, which is a defect of ours; whoever runs the program finds it in the log.
pub(super) fn defect(web: &Web, nonce: &Nonce, error: &askama::Error) -> Response {
    tracing::error!(%error, "drawing a page failed");
    let sentence = "The page could not be drawn. That is a defect of Streamgauge; its log says more.";
    page(web, nonce, StatusCode::INTERNAL_SERVER_ERROR, "Something broke", sentence)
}
