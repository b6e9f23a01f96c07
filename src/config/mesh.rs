//! The services of the order mesh that have settings of their own.

use std::{net::SocketAddr, path::PathBuf};

use url::Url;

use super::{ServiceConfig, TelemetryConfig};

/// Settings of `payments`.
#[derive(Debug, Clone, clap::Args)]
pub struct PaymentsConfig {
    /// Where the payment provider answers
    #[arg(long, env = "STREAMGAUGE_PROVIDER", value_name = "URL", default_value = "http://127.0.0.1:7072", value_parser = http_url)]
    pub provider: Url,

    /// What every service has.
    #[command(flatten)]
    pub service: ServiceConfig,
}

/// Settings of `provider`, which knows nothing of NATS.
#[derive(Debug, Clone, clap::Args)]
pub struct ProviderConfig {
    /// File that every charge is written to before it is confirmed
    #[arg(long, env = "STREAMGAUGE_LEDGER", value_name = "FILE")]
    pub ledger: PathBuf,

    /// Name of this instance
    #[arg(long, env = "STREAMGAUGE_INSTANCE", value_name = "NAME")]
    pub instance: Option<String>,

    /// Where charges, probes and metrics are answered [default: a free port on 127.0.0.1]
    #[arg(long, env = "STREAMGAUGE_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,

    /// What is logged, and how.
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
}

/// Settings of `notifications`.
#[derive(Debug, Clone, clap::Args)]
pub struct NotificationsConfig {
    /// File that every mail to a customer is written to
    #[arg(long, env = "STREAMGAUGE_OUTBOX", value_name = "FILE")]
    pub outbox: PathBuf,

    /// What every service has.
    #[command(flatten)]
    pub service: ServiceConfig,
}

/// Settings of `load`.
#[derive(Debug, Clone, clap::Args)]
pub struct LoadConfig {
    /// Where orders are placed
    #[arg(long, env = "STREAMGAUGE_STOREFRONT", value_name = "URL", default_value = "http://127.0.0.1:7071", value_parser = http_url)]
    pub storefront: Url,

    /// Orders placed each second, on average
    #[arg(long, default_value_t = 5.0, value_name = "ORDERS/S", value_parser = rate)]
    pub rate: f64,

    /// What every service has.
    #[command(flatten)]
    pub service: ServiceConfig,
}

fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.has_host());
    url.ok_or_else(|| "it is not the address of a server like http://127.0.0.1:7072".to_owned())
}

pub(super) fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.001..=10_000.0).contains(rate));
    rate.ok_or_else(|| "it is not a number from 0.001 to 10000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_that_of_an_http_server() {
        assert!(http_url("http://127.0.0.1:7072").is_ok());
        for text in ["", "127.0.0.1:7072", "https://pay.example", "file:///etc", "http://"] {
            assert!(http_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rate_is_a_number_that_a_machine_can_keep() {
        assert_eq!(rate("0.5"), Ok(0.5));
        for text in ["", "0", "-1", "1e9", "NaN", "inf"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
