//! Stored messages for pages and programs: what is asked of the reader, and payloads to take away.

use axum::{
    Extension,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{failure, headers::Nonce, state::Web};
use crate::{
    broker::Reader,
    name::{StreamName, token_of},
    snapshot::{Reading, Why},
    tasks::aside,
    views::{self, Browse, Page, Read},
};

/// Reads the messages that a page shows.
pub(super) async fn read(reader: &Reader, page: &Page) -> Read {
    match page {
        Page::Messages(account, stream, browse) => find(reader, account, stream, browse, views::MESSAGES).await,
        Page::Message(account, stream, sequence, _) => Read::One(reader.one(account, stream, *sequence).await),
        _ => Read::Nothing,
    }
}

/// Looks for messages.
pub(super) async fn find(reader: &Reader, account: &str, stream: &StreamName, browse: &Browse, rows: usize) -> Read {
    Read::Found(match browse.question(stream, rows) {
        Ok(question) => reader.find(account, &question).await,
        Err(sentence) => Reading::unknown(Why::Failed, sentence),
    })
}

/// The payload of a message as its page shows it, whole.
pub(super) async fn payload(
    State(web): State<Web>,
    Extension(nonce): Extension<Nonce>,
    Path((account, stream, sequence)): Path<(String, String, u64)>,
) -> Response {
    let gone = |sentence: &str| failure::page(&web, &nonce, StatusCode::NOT_FOUND, "No such payload", sentence);
    let Ok(stream) = StreamName::try_from(stream) else { return gone("There can be no stream of this name.") };
    let reading = web.reader().one(&account, &stream, sequence).await;
    let Some(found) = reading.value() else {
        let sentence = format!("It could not be read: {}.", reading.reason().unwrap_or_default());
        return failure::page(&web, &nonce, StatusCode::SERVICE_UNAVAILABLE, "Not read", &sentence);
    };
    let Some(message) = found.message.clone() else { return gone("The stream holds no such message.") };
    let (bytes, kind, end) = aside(|| views::payload(&message));
    let name = format!("{}-{sequence}.{end}", token_of(stream.as_str()));
    let disposition = format!("attachment; filename=\"{name}\"");
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], bytes).into_response()
}
