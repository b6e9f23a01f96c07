//! The body of a request: received within a size and a time, and unpacked within a size.

use std::io::Read;

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderValue, header},
};
use flate2::read::MultiGzDecoder;

use super::{
    BODY_LIMIT, BODY_MOST, JSON_MOST, UNPACKED_MOST,
    answer::{Form, Refusal},
};

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
}

/// How the header that tells of it says that the body is packed.
pub(super) fn packing(said: Option<&HeaderValue>) -> Result<Packing, Refusal> {
    let said = said.map_or(Ok("identity"), |value| value.to_str());
    match said.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "identity" | "" => Ok(Packing::None),
        "gzip" => Ok(Packing::Gzip),
        _ => Err(Refusal::UnknownPacking),
    }
}

/// How long the body says to be.
pub(super) fn length(headers: &HeaderMap) -> Result<Option<usize>, Refusal> {
    let said = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    match said {
        Some(length) if length > BODY_MOST => Err(Refusal::TooLarge),
        said => Ok(said),
    }
}

pub(super) async fn whole(body: Body) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(BODY_LIMIT, to_bytes(body, BODY_MOST)).await {
        Err(_) => Err(Refusal::Slow),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let text = crate::errors::ErrorChain(&error).to_string();
            Err(if text.contains("length limit") { Refusal::TooLarge } else { Refusal::Broken(text) })
        }
    }
}

pub(super) fn unpacked(body: &Bytes, packing: Packing, form: Form) -> Result<Bytes, Refusal> {
    let most = if form == Form::Json { JSON_MOST } else { UNPACKED_MOST };
    let unpacked = match packing {
        Packing::None => body.clone(),
        Packing::Gzip => {
            let mut unpacked = Vec::with_capacity(body.len().saturating_mul(4).min(most));
            let mut decoder = MultiGzDecoder::new(&**body).take(most as u64 + 1);
            let broken = |error| Refusal::Malformed(format!("it is not whole gzip: {error}"));
            decoder.read_to_end(&mut unpacked).map_err(broken)?;
            // It may wait to go on, and then takes what its length says.
            unpacked.shrink_to_fit();
            unpacked.into()
        }
    };
    if unpacked.len() > most { Err(Refusal::TooLarge) } else { Ok(unpacked) }
}
