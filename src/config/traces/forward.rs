//! Where traces go on to, and the logs that come with them.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use url::{Host, Url};

use crate::config::Secret;

/// What stands at the end of an address that takes traces.
const PATH: &str = "/v1/traces";

/// What stands there of one that takes logs.
const LOGS_PATH: &str = "/v1/logs";

/// Where everything that is taken goes on to.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Traces")]
pub struct ForwardConfig {
    /// Address that every trace goes on to by OTLP over HTTP, and every log at /v1/logs beside /v1/traces, such as http://127.0.0.1:14318 of a Jaeger; over TLS where it begins with https
    #[arg(long, env = "STREAMGAUGE_OTLP_FORWARD", value_name = "URL")]
    pub otlp_forward: Option<ForwardUrl>,

    /// Headers that are sent along, as name=value with commas between them and values in percent encoding; better given in the environment, where other users of the machine do not see them
    #[arg(
        long,
        env = "STREAMGAUGE_OTLP_FORWARD_HEADERS",
        value_name = "HEADERS",
        hide_env_values = true,
        conflicts_with = "otlp_forward_headers_file"
    )]
    pub otlp_forward_headers: Option<Secret>,

    /// File with these headers, one a line
    #[arg(long, env = "STREAMGAUGE_OTLP_FORWARD_HEADERS_FILE", value_name = "FILE")]
    pub otlp_forward_headers_file: Option<PathBuf>,

    /// File with the certificates (PEM) that the one at an https address is held against [default: those of the system]
    #[arg(long, env = "STREAMGAUGE_OTLP_FORWARD_CA", value_name = "FILE")]
    pub otlp_forward_ca: Option<PathBuf>,
}

/// An address that takes traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardUrl(Url);

impl FromStr for ForwardUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut url = Url::parse(text).map_err(|error| format!("it is not an address: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("it does not begin with http:// or https:// and a host".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds a login, and the address is shown: give it with --otlp-forward-headers".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("it holds a query, and the address is shown".to_owned());
        }
        let path = url.path().trim_end_matches('/');
        let path = if path.ends_with(PATH) { path.to_owned() } else { format!("{path}{PATH}") };
        url.set_path(&path);
        Ok(Self(url))
    }
}

impl ForwardUrl {
    /// The address, its path included.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The address beside it that takes logs.
    ///
    /// Convention: the paths that an exporter of OTLP puts behind `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn logs(&self) -> Url {
        let mut url = self.0.clone();
        let root = self.0.path().strip_suffix(PATH).unwrap_or_default();
        url.set_path(&format!("{root}{LOGS_PATH}"));
        url
    }

    /// Whether what is sent there comes back at one of `addresses`.
    pub fn is_at(&self, addresses: &[SocketAddr]) -> bool {
        let port = self.0.port_or_known_default();
        addresses.iter().filter(|address| Some(address.port()) == port).any(|address| self.is_of(address.ip()))
    }

    fn is_of(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let is = |host: IpAddr| host == ip || (ip.is_unspecified() && host.is_loopback()) || host.is_unspecified();
        match self.0.host() {
            Some(Host::Ipv4(host)) => is(host.into()),
            Some(Host::Ipv6(host)) => is(IpAddr::from(host).to_canonical()),
            Some(Host::Domain(name)) => name == "localhost" && (ip.is_loopback() || ip.is_unspecified()),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(text.parse::<ForwardUrl>().ok().as_ref().map(|to| to.url().as_str()), expected, "{text}");
    }

    #[test]
    fn an_address_is_the_root_of_the_protocol_or_the_whole_of_it() {
        check("http://127.0.0.1:4318", Some("http://127.0.0.1:4318/v1/traces"));
        check("http://jaeger:4318/", Some("http://jaeger:4318/v1/traces"));
        check("http://tempo/otlp", Some("http://tempo/otlp/v1/traces"));
        check("http://tempo/otlp/v1/traces/", Some("http://tempo/otlp/v1/traces"));
        check("https://tempo/otlp", Some("https://tempo/otlp/v1/traces"));
        for wrong in ["ftp://a", "127.0.0.1:4318", "file:///a", "http://user:word@a", "http://a/?token=x", ""] {
            check(wrong, None);
        }
    }

    #[test]
    fn logs_go_beside_traces() {
        for (text, expected) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/logs"),
            ("http://tempo/otlp/", "http://tempo/otlp/v1/logs"),
            ("https://tempo/otlp/v1/traces", "https://tempo/otlp/v1/logs"),
        ] {
            assert_eq!(text.parse::<ForwardUrl>().unwrap().logs().as_str(), expected);
        }
    }

    #[track_caller]
    fn check_is_at(to: &str, address: &str, expected: bool) {
        let to: ForwardUrl = to.parse().unwrap();
        assert_eq!(to.is_at(&[address.parse().unwrap()]), expected, "{to:?} at {address}");
    }

    #[test]
    fn an_address_of_ones_own_is_known() {
        check_is_at("http://127.0.0.1:4318", "127.0.0.1:4318", true);
        check_is_at("http://127.0.0.1:4319", "127.0.0.1:4318", false);
        check_is_at("http://localhost:4318", "127.0.0.1:4318", true);
        check_is_at("http://localhost:4318", "0.0.0.0:4318", true);
        check_is_at("http://127.0.0.1:4318", "[::]:4318", true);
        check_is_at("http://10.0.0.3:4318", "0.0.0.0:4318", false);
        check_is_at("http://10.0.0.3:4318", "10.0.0.3:4318", true);
        check_is_at("http://jaeger:4318", "127.0.0.1:4318", false);
    }
}
