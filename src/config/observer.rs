//! How the observer looks at NATS and where it shows what it sees.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{AccessConfig, ProbeTarget, ToolsConfig};

/// How the observer looks and shows.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Observer")]
pub struct ObserverConfig {
    /// Address of the pages
    #[arg(long, env = "STREAMGAUGE_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:7070")]
    pub listen: SocketAddr,

    /// Seconds between two looks at NATS, for all viewers together
    #[arg(long, env = "STREAMGAUGE_INTERVAL", value_name = "SECONDS", default_value = "10", value_parser = interval)]
    pub interval: Duration,

    /// Folder that keeps the history of the last 24 hours, and since when findings and verdicts hold, of one NATS and for one observer at a time [default: it is kept in memory only]
    #[arg(long, env = "STREAMGAUGE_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Durable consumers that have series of their own at /metrics: those with the greatest lag
    #[arg(long, env = "STREAMGAUGE_METRICS_CONSUMERS", value_name = "N", default_value_t = 2_000)]
    pub metrics_consumers: usize,

    /// Probe of a service to ask, such as mail=http://10.0.0.3:8080/readyz; may be given more than once
    #[arg(long = "probe", env = "STREAMGAUGE_PROBES", value_name = "NAME=URL", value_delimiter = ',')]
    pub probes: Vec<ProbeTarget>,

    /// What stands before the path of every page, such as /gauge, where a proxy serves the pages among others; /metrics, /api and the probes answer below it and at the root
    #[arg(long, env = "STREAMGAUGE_BASE_PATH", value_name = "PATH", default_value_t = BasePath::default(), hide_default_value = true)]
    pub base_path: BasePath,

    /// Who may read.
    #[command(flatten)]
    pub access: AccessConfig,

    /// Where else there is something to see.
    #[command(flatten)]
    pub tools: ToolsConfig,
}

/// The address is reachable from other machines and nobody said that this is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is reachable from other machines: give --token-file so that readers have to log in, --insecure if whoever reaches it may read, \
     or listen on 127.0.0.1"
)]
pub struct NotLoopback(SocketAddr);

impl ObserverConfig {
    /// The address to listen on.
    ///
    /// # Errors
    /// When it is reachable from other machines and neither a token nor `--insecure` was given.
    pub fn address(&self) -> Result<SocketAddr, NotLoopback> {
        if self.access.lets_in(self.listen) { Ok(self.listen) } else { Err(NotLoopback(self.listen)) }
    }
}

/// What stands before the path of every page: nothing, or a path such as `/gauge`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl std::str::FromStr for BasePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = text.trim_end_matches('/');
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '~');
        let is_part = |part: &str| !part.is_empty() && part.chars().all(is_plain) && !part.starts_with('.');
        match path.strip_prefix('/') {
            None if path.is_empty() => Ok(Self::default()),
            Some(parts) if parts.split('/').all(is_part) => Ok(Self(path.to_owned())),
            _ => Err("it is not a path like /gauge of letters, digits, - and _".to_owned()),
        }
    }
}

impl std::fmt::Display for BasePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tenth of a second to an hour.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "give a number of seconds".to_owned())?;
    if (0.1..=3_600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("give 0.1 to 3600 seconds".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_is_a_path_and_ends_without_a_slash() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(text.parse::<BasePath>().ok().map(|path| path.to_string()).as_deref(), expected, "{text}");
        };
        check("", Some(""));
        check("/", Some(""));
        check("/gauge", Some("/gauge"));
        check("/a/b-c/", Some("/a/b-c"));
        for text in ["gauge", "//", "/a//b", "/../a", "/a b", "/{a}", "/a?b", "http://a/b"] {
            assert!(text.parse::<BasePath>().is_err() || text.chars().all(|letter| letter == '/'), "{text}");
        }
    }

    fn check_listen(listen: &str, insecure: bool, accepted: bool) {
        check_access(listen, AccessConfig { insecure, ..AccessConfig::default() }, accepted);
    }

    fn check_access(listen: &str, access: AccessConfig, accepted: bool) {
        let said = format!("{listen} {access:?}");
        let config = ObserverConfig {
            listen: listen.parse().unwrap(),
            access,
            interval: Duration::from_secs(1),
            data: None,
            metrics_consumers: 2_000,
            probes: Vec::new(),
            tools: ToolsConfig::default(),
            base_path: BasePath::default(),
        };
        assert_eq!(config.address().is_ok(), accepted, "{said}");
    }

    #[test]
    fn only_loopback_is_open_without_being_told() {
        check_listen("127.0.0.1:7070", false, true);
        check_listen("[::1]:7070", false, true);
        check_listen("[::ffff:127.0.0.1]:7070", false, true);
        check_listen("0.0.0.0:7070", false, false);
        check_listen("192.0.2.1:7070", false, false);
        check_listen("0.0.0.0:7070", true, true);
        let token = |token: &str| AccessConfig { token: token.parse().ok(), ..AccessConfig::default() };
        check_access("0.0.0.0:7070", token("0123456789abcdef"), true);
    }

    #[test]
    fn an_interval_is_a_number_of_seconds_in_reason() {
        assert_eq!(interval("2.5"), Ok(Duration::from_millis(2_500)));
        for bad in ["0", "-1", "NaN", "inf", "3601", "2s", ""] {
            assert!(interval(bad).is_err(), "{bad}");
        }
    }
}
