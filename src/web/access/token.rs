//! The token that readers have to give.

use std::{fmt, fs, path::PathBuf};

use subtle::ConstantTimeEq;
use url::form_urlencoded;

use crate::config::AccessConfig;

/// Letters of the shortest token: as many hex digits hold 64 bits, which nobody guesses over a network.
const LETTERS_LEAST: usize = 16;

/// Letters of the longest: it has to fit into a header with others.
const LETTERS_MOST: usize = 512;

/// What readers have to give. It is written into the login link and nowhere else.
#[derive(Clone)]
pub struct Token(String);

/// The token cannot be used. The message never repeats it.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Its file cannot be read.
    #[error("cannot read the token from {}: name a file that this user may read with --token-file", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// It is too easy to guess, or does not fit into a header.
    #[error(
        "the token from {from} is not fit: give {least} to {most} letters, digits and `-._~+/=`, such as `openssl rand \
         -hex 32` writes", least = LETTERS_LEAST, most = LETTERS_MOST
    )]
    Unfit {
        /// Where it came from.
        from: String,
    },
}

impl Token {
    /// The token of these settings, if there is one.
    pub(super) fn of(config: &AccessConfig) -> Result<Option<Self>, TokenError> {
        if let Some(token) = &config.token {
            let unfit = || TokenError::Unfit { from: "--token".to_owned() };
            return Self::new(token.reveal()).ok_or_else(unfit).map(Some);
        }
        let Some(file) = &config.token_file else { return Ok(None) };
        let unreadable = |source| TokenError::Unreadable { file: file.clone(), source };
        let text = fs::read_to_string(file).map_err(unreadable)?;
        let unfit = || TokenError::Unfit { from: file.display().to_string() };
        Self::new(text.trim()).ok_or_else(unfit).map(Some)
    }

    /// Convention: the letters are those of RFC 6750's `b64token`, which a cookie takes too.
    fn new(text: &str) -> Option<Self> {
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        let is_token = (LETTERS_LEAST..=LETTERS_MOST).contains(&text.len()) && text.bytes().all(is_fit);
        is_token.then(|| Self(text.to_owned()))
    }

    /// Whether this is it; how long that takes tells nothing of where they differ.
    pub(super) fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// The address at which a browser gets its cookie, below the address of the pages.
    pub fn login_link(&self, home: &str) -> String {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("token", &self.0).finish();
        format!("{home}login?{query}")
    }

    /// The cookie that carries it.
    pub(super) fn cookie(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: bool) {
        assert_eq!(Token::new(text).is_some(), expected, "{text}");
    }

    #[test]
    fn a_token_is_long_and_fits_into_a_header() {
        check("0123456789abcdef", true);
        check("aB-._~+/=0123456", true);
        check("0123456789abcde", false);
        check("0123456789abcde f", false);
        check("0123456789abcdef;", false);
        check("0123456789abcdefé", false);
        check(&"x".repeat(513), false);
    }

    fn of_file(text: &str) -> Result<Option<Token>, TokenError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, text).unwrap();
        Token::of(&AccessConfig { token_file: Some(file), ..AccessConfig::default() })
    }

    #[test]
    fn a_file_holds_it_with_a_line_end() {
        assert!(of_file("0123456789abcdef\n").unwrap().unwrap().is("0123456789abcdef"));
        let said = of_file("hush").unwrap_err().to_string();
        assert!(said.contains("is not fit"), "{said}");
        assert!(!said.contains("hush"), "{said}");
        let missing = AccessConfig { token_file: Some("/nowhere/token".into()), ..AccessConfig::default() };
        assert!(Token::of(&missing).unwrap_err().to_string().contains("/nowhere/token"));
        assert!(Token::of(&AccessConfig::default()).unwrap().is_none());
    }

    #[test]
    fn the_link_is_the_only_place_that_says_it() {
        let token = Token::new("a+b/c=0123456789").unwrap();
        assert_eq!(
            token.login_link("http://127.0.0.1:7070/"),
            "http://127.0.0.1:7070/login?token=a%2Bb%2Fc%3D0123456789"
        );
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
