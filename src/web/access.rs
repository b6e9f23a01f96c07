//! Who may read: by which name the observer is asked for, and with which token.
//!
//! A browser sends the name that it was led to: a page of somebody else's that makes its own name point here (DNS rebinding) is told
//! apart by that. The token comes as a bearer token (RFC 6750) from programs and in a cookie from browsers, which a login link sets.

mod hosts;
mod login;
mod token;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

use crate::config::AccessConfig;
use hosts::Hosts;

pub(super) use login::{by_form, by_link, guard_pages};
pub use token::{Token, TokenError};

/// What programs are told to send.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"streamgauge\"");

/// Who may read. Clones share it; the default lets those read who ask for this machine.
#[derive(Debug, Clone, Default)]
pub struct Access(Arc<Doors>);

#[derive(Debug, Default)]
struct Doors {
    token: Option<Token>,
    hosts: Hosts,
    /// The name of the cookie: observers on other ports of a host get one of their own.
    cookie: String,
}

/// Why somebody may not read, and what would change that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The name that was asked for is not one of ours.
    Name,
    /// There was no token.
    NoToken,
    /// There was one, and it is not the right one.
    WrongToken,
}

impl Access {
    /// Who may read by these settings what is served on `port`.
    ///
    /// # Errors
    /// When the token's file cannot be read, or the token is not fit to be one.
    pub fn new(config: &AccessConfig, port: u16) -> Result<Self, TokenError> {
        let token = Token::of(config)?;
        let cookie = format!("streamgauge_{port}");
        Ok(Self(Arc::new(Doors { token, hosts: Hosts::new(&config.allow_hosts), cookie })))
    }

    /// The token that readers have to give, where they have to.
    pub fn token(&self) -> Option<&Token> {
        self.0.token.as_ref()
    }

    /// Why the sender of these headers may not read; `None` where it may.
    pub(super) fn refusal(&self, headers: &HeaderMap) -> Option<Refusal> {
        let host = headers.get(header::HOST).map(HeaderValue::to_str);
        // Whoever names no host is no browser.
        if !host.is_none_or(|host| host.is_ok_and(|host| self.0.hosts.allow(host))) {
            return Some(Refusal::Name);
        }
        let token = self.token()?;
        match self.given(headers) {
            None => Some(Refusal::NoToken),
            Some(given) if token.is(given) => None,
            Some(_) => Some(Refusal::WrongToken),
        }
    }

    /// The token that came with a request.
    fn given<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
        bearer.or_else(|| {
            let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
            let mut pairs =
                cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
            pairs.find(|(name, _)| *name == self.0.cookie).map(|(_, value)| value)
        })
    }
}

/// The token of an `Authorization` header; the scheme's letters may be of either case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Refusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Name => StatusCode::MISDIRECTED_REQUEST,
            Self::NoToken | Self::WrongToken => StatusCode::UNAUTHORIZED,
        }
    }

    /// In a few words.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Name => "Not by this name",
            Self::NoToken => "Log in",
            Self::WrongToken => "Not this token",
        }
    }

    /// What to do.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Name => {
                "The observer was asked for by a name that it does not know as its own. Start it with --allow-host and that name, or \
                 ask for it by its address."
            }
            Self::NoToken => {
                "Give the token that the observer was started with, or open the login link that it wrote to its terminal: a program \
                 sends the token as `Authorization: Bearer …`."
            }
            Self::WrongToken => {
                "The token that was sent is not the observer's, which may have started anew with another one. Give the one that it \
                 was started with, or open the login link that it wrote to its terminal."
            }
        }
    }

    /// The answer's headers beside those of every answer.
    pub(super) fn headers(self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, CHALLENGE);
        }
        headers
    }
}

/// The same routes, for those alone who may read.
pub fn guarded(router: Router, access: Access) -> Router {
    router.layer(middleware::from_fn_with_state(access, guard))
}

/// Lets only those pass who may read; the others get a line of text.
pub(super) async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    match access.refusal(request.headers()) {
        None => next.run(request).await,
        Some(refusal) => (refusal.status(), refusal.headers(), format!("{}\n", refusal.sentence())).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn access(token: Option<&str>) -> Access {
        let token = token.map(|token| token.parse().unwrap());
        Access::new(&AccessConfig { token, ..AccessConfig::default() }, 7070).unwrap()
    }

    #[track_caller]
    fn check(access: &Access, headers: &[(&str, &str)], expected: Option<Refusal>) {
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            sent.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        assert_eq!(access.refusal(&sent), expected, "{headers:?}");
    }

    #[test]
    fn a_token_comes_as_a_bearer_or_in_our_cookie() {
        let access = access(Some(TOKEN));
        check(&access, &[], Some(Refusal::NoToken));
        check(&access, &[("authorization", "Bearer 0123456789abcdef")], None);
        check(&access, &[("authorization", "bearer  0123456789abcdef ")], None);
        check(&access, &[("authorization", "Bearer 0123456789abcdeg")], Some(Refusal::WrongToken));
        check(&access, &[("authorization", "Bearer 0123456789abcdef0")], Some(Refusal::WrongToken));
        check(&access, &[("authorization", "Bearer ")], Some(Refusal::WrongToken));
        check(&access, &[("authorization", "Basic 0123456789abcdef")], Some(Refusal::NoToken));
        check(&access, &[("cookie", "a=b; streamgauge_7070=0123456789abcdef")], None);
        check(&access, &[("cookie", "streamgauge_7071=0123456789abcdef")], Some(Refusal::NoToken));
        check(&access, &[("cookie", "streamgauge_7070=x")], Some(Refusal::WrongToken));
    }

    #[test]
    fn the_name_is_looked_at_first() {
        check(&access(None), &[("host", "localhost:7070")], None);
        check(&access(None), &[("host", "rebound.example.org")], Some(Refusal::Name));
        let sent = [("host", "rebound.example.org"), ("authorization", "Bearer 0123456789abcdef")];
        check(&access(Some(TOKEN)), &sent, Some(Refusal::Name));
    }
}
