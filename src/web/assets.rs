//! Styles, scripts and the icon, as `build.rs` packed them. Their address holds a hash of them all, so they may be kept for ever.

use axum::{
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::Settings;
use crate::{traces::Taking, views::Site};

/// A file of `static/`.
struct Asset {
    name: &'static str,
    kind: &'static str,
    plain: &'static [u8],
    /// The same by gzip.
    packed: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// A year, which is as long as caches count.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The addresses of what every page needs.
pub(super) fn site(settings: Settings) -> Site {
    let Settings { tools, base_path, traces, .. } = settings;
    let shows_traces = matches!(traces.taking, Taking::At(_));
    let base = base_path.to_string();
    let address = |name: &str| format!("{base}/assets/{HASH}/{name}");
    let (styles, script, icon) = (address("style.css"), address("live.js"), address("icon.svg"));
    Site { tools, shows_traces, base, styles, script, icon }
}

pub(super) async fn asset(Path((hash, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let found = FILES.iter().find(|asset| hash == HASH && asset.name == name);
    let Some(asset) = found else {
        return (StatusCode::NOT_FOUND, "no such file in this version: reload the page").into_response();
    };
    let kept =
        [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, FOR_EVER), (header::VARY, "accept-encoding")];
    if takes_gzip(&headers) {
        (kept, [(header::CONTENT_ENCODING, "gzip")], asset.packed).into_response()
    } else {
        (kept, asset.plain).into_response()
    }
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim() == "gzip" && !matches!(quality.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts and styles together, compressed.
    const BYTES_MOST: usize = 25_000;

    #[test]
    fn scripts_and_styles_stay_small() {
        let size: usize = FILES.iter().map(|asset| asset.packed.len()).sum();
        assert!(size <= BYTES_MOST, "{size} bytes by gzip, {BYTES_MOST} at the most");
    }

    fn check(accepted: &str, expected: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, accepted.parse().unwrap());
        assert_eq!(takes_gzip(&headers), expected, "{accepted}");
    }

    #[test]
    fn gzip_goes_to_those_who_ask_for_it() {
        check("gzip, deflate, br", true);
        check("br, gzip;q=0.5", true);
        check("br", false);
        check("gzip;q=0", false);
        check("", false);
    }
}
