//! Which traces the observer takes, and how many it keeps.

mod forward;

use std::{
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
};

use super::AccessConfig;
use crate::name::{NameError, Subject};

pub use forward::{ForwardConfig, ForwardUrl};

/// Where spans are expected unless it is said otherwise: SDKs send to the first over HTTP and to the second over gRPC of themselves.
const USUAL: [u16; 2] = [4318, 4317];

/// The traces that services send.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Traces")]
pub struct TracesConfig {
    /// Addresses with commas between them that take traces by OTLP, each over HTTP and gRPC alike; or off [default: 127.0.0.1:4318 and 127.0.0.1:4317, but for those where another program listens]
    #[arg(long, env = "STREAMGAUGE_OTLP", value_name = "ADDRESSES")]
    pub otlp: Option<Otlp>,

    /// Megabytes of memory that traces may take; the oldest make room for new ones
    #[arg(long, env = "STREAMGAUGE_TRACE_MEMORY", value_name = "MB", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub trace_memory: u32,

    /// Subject on which accounts that have message tracing tell of messages on their way (msg_trace.dest); or off
    #[arg(long, env = "STREAMGAUGE_TRACE_EVENTS", value_name = "SUBJECT", default_value = "streamgauge.trace.events")]
    pub trace_events: TraceEvents,

    /// Where they go on to.
    #[command(flatten)]
    pub forward: ForwardConfig,
}

/// Where spans are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Otlp {
    /// Nowhere.
    Off,
    /// At these addresses.
    At(Vec<SocketAddr>),
}

impl FromStr for Otlp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        let addresses: Result<Vec<SocketAddr>, _> = text.split(',').map(|address| address.trim().parse()).collect();
        addresses.map(Self::At).map_err(|_| "it is neither an address like 127.0.0.1:4318 nor off".to_owned())
    }
}

/// Where accounts tell of messages on their way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceEvents {
    /// Nowhere.
    Off,
    /// On this subject.
    On(Subject),
}

impl FromStr for TraceEvents {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.eq_ignore_ascii_case("off") { Ok(Self::Off) } else { text.parse().map(Self::On) }
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
    /// The addresses to take spans at, none where that is off, and whether they were asked for.
    ///
    /// # Errors
    /// When it is reachable from other machines and neither a token nor `--insecure` was given.
    pub fn addresses(&self, access: &AccessConfig) -> Result<(Vec<SocketAddr>, bool), OtlpNotLoopback> {
        match &self.otlp {
            None => Ok((USUAL.map(|port| (Ipv4Addr::LOCALHOST, port).into()).to_vec(), false)),
            Some(Otlp::Off) => Ok((Vec::new(), true)),
            Some(Otlp::At(addresses)) => match addresses.iter().find(|address| !access.lets_in(**address)) {
                None => Ok((addresses.clone(), true)),
                Some(open) => Err(OtlpNotLoopback(*open)),
            },
        }
    }

    /// Bytes of memory that traces may take.
    pub fn bytes(&self) -> usize {
        usize::try_from(self.trace_memory).unwrap_or(usize::MAX).saturating_mul(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(otlp: Option<&str>) -> TracesConfig {
        TracesConfig {
            otlp: otlp.map(|text| text.parse().unwrap()),
            trace_memory: 32,
            trace_events: TraceEvents::Off,
            forward: ForwardConfig::default(),
        }
    }

    #[track_caller]
    fn check(otlp: Option<&str>, access: &AccessConfig, expected: Option<(&[&str], bool)>) {
        let expected = expected
            .map(|(addresses, is_asked)| (addresses.iter().map(|text| text.parse().unwrap()).collect(), is_asked));
        assert_eq!(config(otlp).addresses(access).ok(), expected);
    }

    #[test]
    fn traces_come_from_this_machine_unless_it_is_said() {
        let closed = AccessConfig::default();
        check(None, &closed, Some((&["127.0.0.1:4318", "127.0.0.1:4317"], false)));
        check(Some("127.0.0.1:9"), &closed, Some((&["127.0.0.1:9"], true)));
        check(Some("127.0.0.1:9, [::1]:8"), &closed, Some((&["127.0.0.1:9", "[::1]:8"], true)));
        check(Some("Off"), &closed, Some((&[], true)));
        check(Some("127.0.0.1:9,0.0.0.0:4318"), &closed, None);
        let insecure = AccessConfig { insecure: true, ..AccessConfig::default() };
        check(Some("0.0.0.0:4318"), &insecure, Some((&["0.0.0.0:4318"], true)));
        let token = AccessConfig { token: "0123456789abcdef".parse().ok(), ..AccessConfig::default() };
        check(Some("[::]:4318"), &token, Some((&["[::]:4318"], true)));
        for wrong in ["localhost", "", "127.0.0.1:1,off"] {
            assert!(wrong.parse::<Otlp>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn events_come_on_one_subject_or_not_at_all() {
        assert_eq!("Off".parse(), Ok(TraceEvents::Off));
        assert_eq!("a.b".parse(), Ok(TraceEvents::On("a.b".parse().unwrap())));
        assert!("a.>".parse::<TraceEvents>().is_err());
    }

    #[test]
    fn memory_is_told_in_megabytes() {
        assert_eq!(config(None).bytes(), 32_000_000);
    }
}
