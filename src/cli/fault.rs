//! `streamgauge fault`: switches a fault on in a service of the order mesh, or off.

use std::{io::Write, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use crate::{
    clock::{Age, Clock, Timestamp},
    config::NatsConfig,
    fault::{BUCKET, Fault, Kind, LONGEST},
    nats,
    state::Documents,
    words::shell,
};

/// Settings of `streamgauge fault`.
#[derive(Debug, Args)]
pub(super) struct FaultCommand {
    /// The service: orders, inventory, payments, shipping or notifications; load for a burst
    #[arg(value_name = "SERVICE")]
    service: Place,
    /// What is to be wrong with it, or `clear`
    #[arg(value_name = "FAULT")]
    fault: Wanted,
    /// Seconds until it ends by itself, 900 at the most
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=LONGEST.as_secs()))]
    seconds: u64,
    #[command(flatten)]
    nats: NatsConfig,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Place {
    Orders,
    Inventory,
    Payments,
    Shipping,
    Notifications,
    Load,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wanted {
    /// Every message fails
    Outage,
    /// Every message takes two seconds longer
    Slow,
    /// One message in ten fails each time that it is tried
    Poison,
    /// Messages are taken and not finished until the fault ends
    Hang,
    /// Every message is handled, and then comes again as though its ack were lost
    DropAcks,
    /// Ten times as many orders are placed
    Burst,
    /// The fault that is on ends
    Clear,
}

impl FaultCommand {
    /// # Errors
    /// When the service knows no such fault, or NATS cannot be reached or has no switches.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (service, kind) = (self.service.name(), self.fault.of(self.service)?);
        let clock = Clock::system();
        let connection = nats::connect(&self.nats, "streamgauge-fault", &clock).await?;
        let bucket = Documents::<Fault>::open(&connection, BUCKET);
        let bucket = bucket.await.context("the order mesh makes its switches when it starts: does it run there?")?;
        let now = clock.now();
        let last = Duration::from_secs(self.seconds);
        let set = |fault: Option<&Fault>| switched(fault, service, kind, (now, now.after(last)));
        bucket.change(service, set).await?;
        let said = match kind {
            Some(kind) => {
                let kept = std::env::var("NATS_PASSWORD").ok();
                let (kind, clear) = (kind.token(), clearing(service, &self.nats, kept.as_deref()));
                format!("{service}: {kind} is on for {}, or until {clear}", Age(last))
            }
            None => format!("{service}: no fault is on"),
        };
        match writeln!(std::io::stdout(), "{said}") {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("writing the result"),
            _ => Ok(()),
        }
    }
}

/// How the fault is ended, as the same user: a command to paste, unless that would have to tell a secret. `kept` is the password that
/// whoever pastes it has in the environment.
fn clearing(service: &str, nats: &NatsConfig, kept: Option<&str>) -> String {
    // A user in an address comes with a password, or is a token.
    let is_told = nats.url.as_deref().is_some_and(|url| url.contains('@'));
    if is_told || nats.password.as_deref() != kept.filter(|_| nats.password.is_some()) {
        return "the same command with `clear` for the fault".to_owned();
    }
    let program = std::env::current_exe().map_or_else(|_| "streamgauge".to_owned(), |path| path.display().to_string());
    let file = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let flags = [
        ("--nats", nats.url.clone()),
        ("--context", nats.context.clone()),
        ("--user", nats.user.clone()),
        ("--creds", file(&nats.creds)),
        ("--nkey", file(&nats.nkey)),
        ("--tls-ca", file(&nats.tls_ca)),
        ("--tls-cert", file(&nats.tls_cert)),
        ("--tls-key", file(&nats.tls_key)),
        ("--inbox-prefix", nats.inbox_prefix.clone()),
    ];
    let flags = flags.into_iter().filter_map(|(flag, value)| Some(format!(" {flag} {}", shell(&value?))));
    format!("`{} fault {service} clear{}`", shell(&program), flags.collect::<String>())
}

/// The document that makes it so; `None` where nothing is to be changed.
fn switched(
    last: Option<&Fault>,
    service: &str,
    kind: Option<Kind>,
    (since, until): (Timestamp, Timestamp),
) -> Option<Fault> {
    match kind {
        Some(kind) => Some(Fault { service: service.to_owned(), kind, since, until }),
        None => last.filter(|fault| fault.is_on(since)).map(|fault| Fault { until: since, ..fault.clone() }),
    }
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Inventory => "inventory",
            Self::Payments => "payments",
            Self::Shipping => "shipping",
            Self::Notifications => "notifications",
            Self::Load => "load",
        }
    }
}

impl Wanted {
    /// The fault, or `None` where it is to end.
    fn of(self, place: Place) -> anyhow::Result<Option<Kind>> {
        let kind = match self {
            Self::Clear => return Ok(None),
            Self::Outage => Kind::Outage,
            Self::Slow => Kind::Slow,
            Self::Poison => Kind::Poison,
            Self::Hang => Kind::Hang,
            Self::DropAcks => Kind::DropAcks,
            Self::Burst => Kind::Burst,
        };
        match (place, kind) {
            (Place::Load, Kind::Burst) => Ok(Some(kind)),
            (Place::Load, _) => bail!("load handles no messages, so it has no fault but `burst`"),
            (_, Kind::Burst) => bail!("a burst comes from customers: say `streamgauge fault load burst`"),
            _ => Ok(Some(kind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments() -> (Timestamp, Timestamp) {
        let now = Timestamp::parse("2030-01-31T12:00:00Z").unwrap();
        (now, now.after(Duration::from_secs(60)))
    }

    #[test]
    fn a_fault_is_on_until_its_time_is_over_or_it_is_cleared() {
        let (now, until) = moments();
        let on = switched(None, "payments", Some(Kind::Slow), (now, until)).unwrap();
        assert!(on.is_on(now) && !on.is_on(until));
        let off = switched(Some(&on), "payments", None, moments()).unwrap();
        assert!(!off.is_on(now));
        assert_eq!(switched(Some(&off), "payments", None, moments()), None, "there is nothing to clear");
        assert_eq!(switched(None, "payments", None, moments()), None);
    }

    #[test]
    fn how_a_fault_is_ended_can_be_pasted_and_tells_no_secret() {
        let check = |nats: &NatsConfig, kept: Option<&str>, expected: &str| {
            let said = clearing("payments", nats, kept);
            let end = said.split_once(" fault payments clear").map_or(said.as_str(), |(_, end)| end);
            assert_eq!(end, expected, "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        };
        let nats = NatsConfig::default;
        let text = |text: &str| Some(text.to_owned());
        let same = "the same command with `clear` for the fault";
        check(&nats(), None, "`");
        check(&nats(), text("hunter2").as_deref(), "`");
        let all = NatsConfig {
            url: text("nats://a:4222,nats://b:4222"),
            context: text("my shop"),
            creds: Some("/etc/it's.creds".into()),
            inbox_prefix: text("_INBOX_operator"),
            ..nats()
        };
        let flags = r" --nats 'nats://a:4222,nats://b:4222' --context 'my shop' --creds '/etc/it'\''s.creds' --inbox-prefix _INBOX_operator`";
        check(&all, None, flags);
        let login = NatsConfig { user: text("operator"), password: text("hunter2"), ..nats() };
        check(&login, None, same);
        check(&login, Some("another"), same);
        check(&login, Some("hunter2"), " --user operator`");
        for url in ["nats://operator:hunter2@a:4222", "nats://hunter2@a:4222", "a:4222,operator:hunter2@b:4222"] {
            check(&NatsConfig { url: text(url), ..nats() }, None, same);
        }
        let files = NatsConfig { nkey: Some("n.nk".into()), tls_ca: Some("ca.pem".into()), ..nats() };
        check(&files, None, " --nkey n.nk --tls-ca ca.pem`");
    }

    #[test]
    fn a_burst_is_of_the_load_and_of_nobody_else() {
        assert_eq!(Wanted::Burst.of(Place::Load).unwrap(), Some(Kind::Burst));
        assert_eq!(Wanted::Clear.of(Place::Load).unwrap(), None);
        assert!(Wanted::Burst.of(Place::Orders).is_err() && Wanted::Hang.of(Place::Load).is_err());
        assert_eq!(Wanted::DropAcks.of(Place::Orders).unwrap(), Some(Kind::DropAcks));
    }
}
