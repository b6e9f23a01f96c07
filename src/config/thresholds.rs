//! From when on something is worth a finding. What the makers of a stream or consumer noted on it wins over these.

use std::time::Duration;

/// What is so near to its limit needs more room soon, and there is time to give it.
const LIMIT_PERCENT: u64 = 90;

/// A server that uses so much of its cores answers late.
const CPU_PERCENT: u64 = 90;

/// Each replicated stream and consumer is a raft group of its own, and its heartbeats add up.
const HA_ASSETS: u64 = 1_000;

/// A stream keeps all its subjects in memory.
const SUBJECTS: u64 = 1_000_000;

/// Time enough to have a certificate made anew.
const CERTIFICATE_DAYS: u64 = 30;

/// From when on something is worth a finding, where nobody noted it on the stream or consumer (`io.nats.monitor.*`).
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Thresholds")]
pub struct Thresholds {
    /// Messages that a consumer has not delivered: as many or more are critical
    #[arg(long, env = "STREAMGAUGE_UNPROCESSED_CRITICAL", value_name = "COUNT")]
    pub unprocessed_critical: Option<u64>,

    /// Messages that a consumer delivered and nobody acked: as many or more are critical
    #[arg(long, env = "STREAMGAUGE_OUTSTANDING_ACK_CRITICAL", value_name = "COUNT")]
    pub outstanding_ack_critical: Option<u64>,

    /// Pull requests that wait on a consumer: as many or more are critical
    #[arg(long, env = "STREAMGAUGE_WAITING_CRITICAL", value_name = "COUNT")]
    pub waiting_critical: Option<u64>,

    /// Messages that a consumer delivers again: as many or more are critical
    #[arg(long, env = "STREAMGAUGE_REDELIVERY_CRITICAL", value_name = "COUNT")]
    pub redelivery_critical: Option<u64>,

    /// Time since a consumer's last delivery: as long or longer is critical
    #[arg(long, env = "STREAMGAUGE_LAST_DELIVERY_CRITICAL", value_name = "SECONDS", value_parser = seconds)]
    pub last_delivery_critical: Option<Duration>,

    /// Time since a consumer's last ack: as long or longer is critical
    #[arg(long, env = "STREAMGAUGE_LAST_ACK_CRITICAL", value_name = "SECONDS", value_parser = seconds)]
    pub last_ack_critical: Option<Duration>,

    /// Share of a limit from which on it is told of
    #[arg(long, env = "STREAMGAUGE_LIMIT_PERCENT", value_name = "PERCENT", default_value_t = LIMIT_PERCENT)]
    pub limit_percent: u64,

    /// Share of its cores that a server may use
    #[arg(long, env = "STREAMGAUGE_CPU_PERCENT", value_name = "PERCENT", default_value_t = CPU_PERCENT)]
    pub cpu_percent: u64,

    /// Replicated streams and consumers that a server may hold
    #[arg(long, env = "STREAMGAUGE_HA_ASSETS", value_name = "COUNT", default_value_t = HA_ASSETS)]
    pub ha_assets: u64,

    /// Different subjects that a stream may hold
    #[arg(long, env = "STREAMGAUGE_SUBJECTS", value_name = "COUNT", default_value_t = SUBJECTS)]
    pub subjects: u64,

    /// Days that a server's certificate has to hold yet
    #[arg(long, env = "STREAMGAUGE_CERTIFICATE_DAYS", value_name = "DAYS", default_value_t = CERTIFICATE_DAYS)]
    pub certificate_days: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            unprocessed_critical: None,
            outstanding_ack_critical: None,
            waiting_critical: None,
            redelivery_critical: None,
            last_delivery_critical: None,
            last_ack_critical: None,
            limit_percent: LIMIT_PERCENT,
            cpu_percent: CPU_PERCENT,
            ha_assets: HA_ASSETS,
            subjects: SUBJECTS,
            certificate_days: CERTIFICATE_DAYS,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "give a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|length| !length.is_zero())
        .ok_or("give more than 0 seconds".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        thresholds: Thresholds,
    }

    #[test]
    fn without_flags_the_defaults_hold() {
        let parsed = Command::parse_from(["test"]).thresholds;
        assert_eq!(format!("{parsed:?}"), format!("{:?}", Thresholds::default()));
    }

    #[test]
    fn a_length_is_a_number_of_seconds() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1_500)));
        for bad in ["0", "-1", "NaN", "inf", "1m", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
