//! Which processes make the demo: their names, ports, arguments and environment.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;

use super::{child::Program, nats_server::NatsServer};
use crate::config::{DemoConfig, ForwardUrl, ToolsConfig};

/// The broker's settings, written into the demo's folder.
const NATS_CONFIG: &str = include_str!("../../../deploy/nats/demo.conf");

/// How often the dashboard looks: a demo should move under one's eyes.
const INTERVAL: &str = "2";

/// How long a service's handlers may go on at the end, so that everything ends within ten seconds.
const GRACE: &str = "2";

/// What a process is in the demo; they end in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Load,
    Storefront,
    Worker,
    Provider,
    Dashboard,
    Nats,
}

impl Rank {
    /// How long such a process may take to end by itself; together less than ten seconds.
    pub(super) fn end_limit(self) -> Duration {
        Duration::from_millis(match self {
            Self::Load => 1_000,
            Self::Storefront => 1_500,
            Self::Worker => 4_000,
            Self::Provider | Self::Dashboard => 750,
            Self::Nats => 1_500,
        })
    }
}

/// One process to be.
#[derive(Debug)]
struct Member {
    name: &'static str,
    /// The service that it is an instance of, and its user in NATS.
    service: &'static str,
    rank: Rank,
    /// The port that it has unless another process has it.
    port: u16,
}

#[rustfmt::skip]
const MEMBERS: [Member; 15] = [
    Member { name: "dashboard",   service: "observer",   rank: Rank::Dashboard,  port: 7070 },
    Member { name: "storefront",  service: "storefront", rank: Rank::Storefront, port: 7071 },
    Member { name: "provider",    service: "provider",   rank: Rank::Provider,   port: 7072 },
    Member { name: "pricing-1",   service: "pricing",    rank: Rank::Worker,     port: 7080 },
    Member { name: "pricing-2",   service: "pricing",    rank: Rank::Worker,     port: 7081 },
    Member { name: "orders-1",    service: "orders",     rank: Rank::Worker,     port: 7082 },
    Member { name: "orders-2",    service: "orders",     rank: Rank::Worker,     port: 7083 },
    Member { name: "inventory-1", service: "inventory",  rank: Rank::Worker,     port: 7084 },
    Member { name: "inventory-2", service: "inventory",  rank: Rank::Worker,     port: 7085 },
    Member { name: "payments-1",  service: "payments",   rank: Rank::Worker,     port: 7086 },
    Member { name: "payments-2",  service: "payments",   rank: Rank::Worker,     port: 7087 },
    Member { name: "load",        service: "load",       rank: Rank::Load,       port: 7088 },
    Member { name: "notifications", service: "notifications", rank: Rank::Worker, port: 7089 },
    Member { name: "shipping-1",  service: "shipping",   rank: Rank::Worker,     port: 7090 },
    Member { name: "shipping-2",  service: "shipping",   rank: Rank::Worker,     port: 7091 },
];

/// The port that takes traces unless another process has it.
const OTLP_PORT: u16 = 4318;

/// Megabytes of traces that the dashboard keeps: half an hour of the demo's own.
const TRACE_MEMORY: &str = "32";

/// Where the user's own traces go; the dashboard lets the demo's go on to there where one is set.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// What the user's own senders say of themselves.
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];

/// The port of NATS unless another process has it.
const NATS_PORT: u16 = 4222;

/// A demo to be: everything is decided, nothing runs.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) nats_version: String,
    pub(super) password: String,
    nats_path: PathBuf,
    nats_port: u16,
    ports: [u16; MEMBERS.len()],
    binary: PathBuf,
    tools: ToolsConfig,
    otlp_port: u16,
    /// Where traces go on to, if the user said so.
    traces_go_to: Option<ForwardUrl>,
}

impl Plan {
    /// Chooses ports and a password, and writes the broker's settings into `folder`.
    pub(super) fn new(config: &DemoConfig, server: &NatsServer, folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("nats.conf");
        std::fs::write(&path, NATS_CONFIG).with_context(|| format!("cannot write {}", path.display()))?;
        let mut taken = Vec::new();
        let nats_port = port_near(NATS_PORT, &mut taken)?;
        let mut ports = [0; MEMBERS.len()];
        for (port, member) in ports.iter_mut().zip(&MEMBERS) {
            *port = port_near(member.port, &mut taken)?;
        }
        let traces_go_to = traces_go_to()?;
        // What is to come up there later would find its port taken.
        taken.extend(traces_go_to.as_ref().and_then(|to| to.url().port_or_known_default()));
        let otlp_port = port_near(OTLP_PORT, &mut taken)?;
        Ok(Self {
            nats_version: server.version.clone(),
            // A value that begins with a digit would be read as a number by the broker.
            password: format!("demo-{:016x}", fastrand::u64(..)),
            nats_path: server.path.clone(),
            nats_port,
            ports,
            binary: std::env::current_exe().context("cannot find the streamgauge binary")?,
            tools: config.tools.clone(),
            otlp_port,
            traces_go_to,
        })
    }

    pub(super) fn nats_url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.nats_port)
    }

    /// Where traces go on to, if the user said so.
    pub(super) fn traces_go_to(&self) -> Option<&ForwardUrl> {
        self.traces_go_to.as_ref()
    }

    /// Where the dashboard takes traces.
    pub(super) fn otlp_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.otlp_port)
    }

    /// The port of the first process of that rank.
    pub(super) fn port(&self, rank: Rank) -> u16 {
        self.members().find(|(member, _)| member.rank == rank).map_or(0, |(_, port)| port)
    }

    pub(super) fn url(&self, rank: Rank) -> String {
        format!("http://127.0.0.1:{}", self.port(rank))
    }

    /// The processes that say when they are ready, but for the load, which comes last.
    pub(super) fn probed(&self) -> impl Iterator<Item = (&'static str, u16)> {
        self.members().filter(|(member, _)| member.rank != Rank::Load).map(|(member, port)| (member.name, port))
    }

    /// How many processes there are of each service, in words.
    pub(super) fn services_in_words(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        for member in MEMBERS.iter().filter(|member| member.rank != Rank::Load && member.rank != Rank::Dashboard) {
            let count = MEMBERS.iter().filter(|other| other.service == member.service).count();
            let word = if count == 1 { member.service.to_owned() } else { format!("{count} x {}", member.service) };
            if words.last() != Some(&word) {
                words.push(word);
            }
        }
        format!("ready: {}, dashboard", words.join(", "))
    }

    pub(super) fn urls_json(&self) -> String {
        let url = |rank| self.url(rank);
        serde_json::json!({
            "dashboard": url(Rank::Dashboard),
            "storefront": url(Rank::Storefront),
            "provider": url(Rank::Provider),
            "nats": self.nats_url(),
        })
        .to_string()
    }

    /// The broker.
    pub(super) fn nats(&self, folder: &Path) -> anyhow::Result<Program> {
        let text = |path: PathBuf| path.to_str().map(str::to_owned).context("the data folder's path is not UTF-8");
        let port = self.nats_port.to_string();
        let (config, store) = (text(folder.join("nats.conf"))?, text(folder.join("jetstream"))?);
        let arguments = ["-c", &config, "-a", "127.0.0.1", "-p", &port, "-sd", &store];
        Ok(Program {
            name: "nats-server".to_owned(),
            rank: Rank::Nats,
            path: self.nats_path.clone(),
            arguments: arguments.map(str::to_owned).to_vec(),
            environment: vec![("STREAMGAUGE_DEMO_PASSWORD", self.password.clone())],
            log: folder.join("logs/nats-server.log"),
        })
    }

    /// Everything but the broker and the load.
    pub(super) fn programs(&self, folder: &Path) -> anyhow::Result<Vec<Program>> {
        let members = self.members().filter(|(member, _)| member.rank != Rank::Load);
        members.map(|(member, port)| self.program(member, port, folder, &self.arguments(member, folder)?)).collect()
    }

    /// The load.
    pub(super) fn load(&self, folder: &Path, rate: f64) -> anyhow::Result<Program> {
        let (member, port) =
            self.members().find(|(member, _)| member.rank == Rank::Load).context("the plan has no load")?;
        let arguments = ["--storefront".to_owned(), self.url(Rank::Storefront), "--rate".to_owned(), rate.to_string()];
        self.program(member, port, folder, &arguments)
    }

    fn arguments(&self, member: &Member, folder: &Path) -> anyhow::Result<Vec<String>> {
        let mut arguments = match member.service {
            "payments" => vec!["--provider".to_owned(), self.url(Rank::Provider)],
            "provider" => {
                let ledger = folder.join("ledger.jsonl");
                vec!["--ledger".to_owned(), ledger.to_str().context("the data folder's path is not UTF-8")?.to_owned()]
            }
            "notifications" => {
                let outbox = folder.join("outbox.jsonl");
                vec!["--outbox".to_owned(), outbox.to_str().context("the data folder's path is not UTF-8")?.to_owned()]
            }
            "observer" => {
                let history = folder.join("history");
                let history = history.to_str().context("the data folder's path is not UTF-8")?.to_owned();
                let otlp = format!("127.0.0.1:{}", self.otlp_port);
                let texts =
                    ["--interval", INTERVAL, "--data", &history, "--otlp", &otlp, "--trace-memory", TRACE_MEMORY];
                texts.map(str::to_owned).to_vec()
            }
            _ => Vec::new(),
        };
        if let Some(to) = self.traces_go_to.as_ref().filter(|_| member.rank == Rank::Dashboard) {
            arguments.extend(["--otlp-forward".to_owned(), to.url().to_string()]);
        }
        if member.rank == Rank::Dashboard {
            arguments.extend(self.tools.arguments());
        }
        Ok(arguments)
    }

    fn program(&self, member: &Member, port: u16, folder: &Path, own: &[String]) -> anyhow::Result<Program> {
        let command: &[&str] = match member.rank {
            Rank::Dashboard => &["serve"],
            _ => &["service", member.service],
        };
        let mut arguments: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        arguments.extend(["--listen".to_owned(), format!("127.0.0.1:{port}")]);
        arguments.extend_from_slice(own);
        Ok(Program {
            name: member.name.to_owned(),
            rank: member.rank,
            path: self.binary.clone(),
            arguments,
            environment: self.environment(member),
            log: folder.join(format!("logs/{}.log", member.name)),
        })
    }

    /// The secrets come this way, where other users of the machine do not see them.
    fn environment(&self, member: &Member) -> Vec<(&'static str, String)> {
        let mut environment = vec![
            ("STREAMGAUGE_INSTANCE", member.name.to_owned()),
            ("STREAMGAUGE_GRACE", GRACE.to_owned()),
            ("STREAMGAUGE_LOG_FORMAT", "json".to_owned()),
        ];
        if member.rank != Rank::Provider {
            environment.extend([
                ("NATS_URL", self.nats_url()),
                ("NATS_USER", member.service.to_owned()),
                ("NATS_PASSWORD", self.password.clone()),
                ("NATS_INBOX_PREFIX", format!("_INBOX_{}", member.service)),
            ]);
        }
        // The dashboard takes traces, and makes none of itself.
        if member.rank != Rank::Dashboard {
            environment.extend([
                ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("{}/v1/traces", self.otlp_url())),
                ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf".to_owned()),
                ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none".to_owned()),
            ]);
        }
        if member.rank == Rank::Dashboard {
            let headers = first_of(HEADERS).filter(|_| self.traces_go_to.is_some());
            environment.extend(headers.map(|(_, headers)| ("STREAMGAUGE_OTLP_FORWARD_HEADERS", headers)));
            environment.extend([
                ("NATS_SYSTEM_USER", "system".to_owned()),
                ("NATS_SYSTEM_PASSWORD", self.password.clone()),
                ("NATS_SYSTEM_INBOX_PREFIX", "_INBOX_system".to_owned()),
            ]);
        }
        environment
    }

    fn members(&self) -> impl Iterator<Item = (&'static Member, u16)> {
        MEMBERS.iter().zip(self.ports)
    }
}

/// `wanted` if it is free, else another free one. A process that takes it before its owner does makes the owner say so.
fn port_near(wanted: u16, taken: &mut Vec<u16>) -> anyhow::Result<u16> {
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| listener.local_addr());
    let port = match free(wanted) {
        Ok(address) => address.port(),
        Err(_) => loop {
            let port = free(0).context("this machine has no free port")?.port();
            if !taken.contains(&port) {
                break port;
            }
        },
    };
    taken.push(port);
    Ok(port)
}

/// What the first of these variables says that says something.
fn first_of(names: [&str; 2]) -> Option<(&str, String)> {
    names.into_iter().find_map(|name| Some((name, std::env::var(name).ok().filter(|value| !value.is_empty())?)))
}

fn traces_go_to() -> anyhow::Result<Option<ForwardUrl>> {
    let Some((name, to)) = first_of(ENDPOINTS) else { return Ok(None) };
    let read = to.parse().map_err(|why: String| anyhow::anyhow!("{name} is `{to}`: {why}"))?;
    Ok(Some(read))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> (Plan, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let config = DemoConfig {
            data: None,
            rate: 5.0,
            no_load: false,
            nats_server: None,
            urls_file: None,
            tools: ToolsConfig::default(),
        };
        let server = NatsServer { path: "nats-server".into(), version: "2.15.1".to_owned() };
        (Plan::new(&config, &server, folder.path()).unwrap(), folder)
    }

    #[test]
    fn everything_ends_within_ten_seconds() {
        let ranks = [Rank::Load, Rank::Storefront, Rank::Worker, Rank::Provider, Rank::Dashboard, Rank::Nats];
        let sum: Duration = ranks.iter().map(|rank| rank.end_limit()).sum();
        assert!(sum < Duration::from_secs(10), "{sum:?}");
        assert!(ranks.is_sorted());
    }

    #[test]
    fn no_two_processes_share_a_port() {
        let (plan, _folder) = plan();
        let mut ports = plan.ports.to_vec();
        ports.push(plan.nats_port);
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), MEMBERS.len() + 1);
    }

    #[test]
    fn no_secret_is_among_the_arguments() {
        let (plan, folder) = plan();
        let mut programs = plan.programs(folder.path()).unwrap();
        programs.push(plan.nats(folder.path()).unwrap());
        for program in programs {
            assert!(!program.arguments.iter().any(|argument| argument.contains(&plan.password)), "{}", program.name);
        }
    }

    #[test]
    fn traces_of_the_services_are_taken_and_go_on_where_the_user_s_go() {
        let (mut plan, folder) = plan();
        plan.traces_go_to = Some("http://127.0.0.1:14318".parse().unwrap());
        let taken = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("{}/v1/traces", plan.otlp_url()));
        for program in plan.programs(folder.path()).unwrap() {
            let is_dashboard = program.name == "dashboard";
            let pair = ["--otlp-forward", "http://127.0.0.1:14318/v1/traces"];
            assert_eq!(program.arguments.windows(2).any(|given| given == pair), is_dashboard, "{}", program.name);
            assert_eq!(program.environment.contains(&taken), !is_dashboard, "{}", program.name);
        }
    }

    #[test]
    fn the_services_are_named_once_with_their_number() {
        let (plan, _folder) = plan();
        let words = plan.services_in_words();
        assert_eq!(
            words,
            "ready: storefront, provider, 2 x pricing, 2 x orders, 2 x inventory, 2 x payments, \
             notifications, 2 x shipping, dashboard"
        );
    }
}
