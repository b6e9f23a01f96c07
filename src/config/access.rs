//! Who may read what the observer shows.

use std::{convert::Infallible, fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// Who may read the pages, the API and the metrics. Probes are open to all.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Access")]
pub struct AccessConfig {
    /// What readers have to give before they see anything; better given in a file or in the environment, where other users of the machine do not see it
    #[arg(long, env = "STREAMGAUGE_TOKEN", value_name = "TEXT", hide_env_values = true, conflicts_with = "token_file")]
    pub token: Option<Secret>,

    /// File that holds the token
    #[arg(long, env = "STREAMGAUGE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Let whoever reaches the address read everything; an address beyond this machine needs this or a token
    #[arg(long, env = "STREAMGAUGE_INSECURE")]
    pub insecure: bool,

    /// Name that browsers may ask for the pages by, beside localhost and plain addresses; several with commas, * for any
    #[arg(long = "allow-host", env = "STREAMGAUGE_ALLOW_HOST", value_name = "NAME", value_delimiter = ',')]
    pub allow_hosts: Vec<String>,
}

impl AccessConfig {
    /// Whether readers have to give a token.
    pub fn has_token(&self) -> bool {
        self.token.is_some() || self.token_file.is_some()
    }

    /// Whether this address may be listened on: others reach it only where that is meant.
    pub(super) fn lets_in(&self, address: SocketAddr) -> bool {
        self.insecure || self.has_token() || address.ip().to_canonical().is_loopback()
    }
}

/// A text that is nobody's business: it is never written out.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Any text is one, so that no message about a bad one repeats it.
impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_written_out() {
        let config = AccessConfig { token: Some("hush-hush-hush".parse().unwrap()), ..AccessConfig::default() };
        assert!(config.has_token());
        assert!(!format!("{config:?}").contains("hush"), "{config:?}");
    }
}
