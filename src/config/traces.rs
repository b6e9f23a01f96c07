//! Which traces the observer takes, and how many it keeps.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
};

use super::AccessConfig;

/// Where spans are expected unless it is said otherwise: SDKs send there of themselves.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4318);

/// The traces that services send.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Traces")]
pub struct TracesConfig {
    /// Address that takes traces by OTLP over HTTP, or off [default: 127.0.0.1:4318, unless another program listens there]
    #[arg(long, env = "STREAMGAUGE_OTLP", value_name = "ADDRESS")]
    pub otlp: Option<Otlp>,

    /// Megabytes of memory that traces may take; the oldest make room for new ones
    #[arg(long, env = "STREAMGAUGE_TRACE_MEMORY", value_name = "MB", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub trace_memory: u32,
}

/// Where spans are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otlp {
    /// Nowhere.
    Off,
    /// At this address.
    At(SocketAddr),
}

impl FromStr for Otlp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| "it is neither an address like 127.0.0.1:4318 nor off".to_owned())
    }
}

impl fmt::Display for Otlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

/// The address is reachable from other machines and nobody said that this is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is reachable from other machines: give --token-file so that senders of traces have to give the token, --insecure if whoever \
     reaches it may send, or --otlp with 127.0.0.1"
)]
pub struct OtlpNotLoopback(SocketAddr);

impl TracesConfig {
    /// The address to take spans at, and whether it was asked for; `None` for none.
    ///
    /// # Errors
    /// When it is reachable from other machines and neither a token nor `--insecure` was given.
    pub fn address(&self, access: &AccessConfig) -> Result<Option<(SocketAddr, bool)>, OtlpNotLoopback> {
        match self.otlp {
            None => Ok(Some((USUAL, false))),
            Some(Otlp::Off) => Ok(None),
            Some(Otlp::At(address)) if access.lets_in(address) => Ok(Some((address, true))),
            Some(Otlp::At(address)) => Err(OtlpNotLoopback(address)),
        }
    }

    /// Bytes of memory that traces may take.
    pub fn bytes(&self) -> usize {
        usize::try_from(self.trace_memory).unwrap_or(usize::MAX).saturating_mul(1_024 * 1_024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(otlp: Option<&str>) -> TracesConfig {
        TracesConfig { otlp: otlp.map(|text| text.parse().unwrap()), trace_memory: 32 }
    }

    #[track_caller]
    fn check(otlp: Option<&str>, access: &AccessConfig, expected: Option<Option<(&str, bool)>>) {
        let expected = expected.map(|place| place.map(|(address, is_asked)| (address.parse().unwrap(), is_asked)));
        assert_eq!(config(otlp).address(access).ok(), expected);
    }

    #[test]
    fn traces_come_from_this_machine_unless_it_is_said() {
        let closed = AccessConfig::default();
        check(None, &closed, Some(Some(("127.0.0.1:4318", false))));
        check(Some("127.0.0.1:9"), &closed, Some(Some(("127.0.0.1:9", true))));
        check(Some("Off"), &closed, Some(None));
        check(Some("0.0.0.0:4318"), &closed, None);
        let insecure = AccessConfig { insecure: true, ..AccessConfig::default() };
        check(Some("0.0.0.0:4318"), &insecure, Some(Some(("0.0.0.0:4318", true))));
        let token = AccessConfig { token: "0123456789abcdef".parse().ok(), ..AccessConfig::default() };
        check(Some("[::]:4318"), &token, Some(Some(("[::]:4318", true))));
        assert!("localhost".parse::<Otlp>().is_err());
    }

    #[test]
    fn memory_is_told_in_megabytes() {
        assert_eq!(config(None).bytes(), 33_554_432);
    }
}
