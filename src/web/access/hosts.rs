//! The names that the observer may be asked for by.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Names of our own. This machine's and plain addresses are always among them: nobody can make an address point elsewhere.
#[derive(Debug, Clone, Default)]
pub(super) struct Hosts {
    names: Vec<String>,
    any: bool,
}

impl Hosts {
    /// These names too; `*` stands for all.
    pub(super) fn new(names: &[String]) -> Self {
        Self { names: names.iter().map(|name| plain(name)).collect(), any: names.iter().any(|name| name.trim() == "*") }
    }

    /// Whether this is the name of one of them, as the `Host` header writes it: with a port or without.
    pub(super) fn allow(&self, host: &str) -> bool {
        let host = plain(host);
        self.any || is_address(&host) || is_this_machine(&host) || self.names.contains(&host)
    }
}

/// A name without port, in small letters and without the dot at its end.
fn plain(host: &str) -> String {
    let host = host.trim();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !is_bare_v6(host) => name,
        _ => host,
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn is_bare_v6(host: &str) -> bool {
    host.parse::<Ipv6Addr>().is_ok()
}

fn is_address(host: &str) -> bool {
    let in_brackets = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    in_brackets.is_some_and(is_bare_v6) || host.parse::<Ipv4Addr>().is_ok()
}

/// Convention: names below `localhost` never leave the machine (RFC 6761, 6.3).
fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &[&str], host: &str, expected: bool) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(Hosts::new(&names).allow(host), expected, "{names:?} {host}");
    }

    #[test]
    fn this_machine_and_addresses_are_always_ours() {
        for host in [
            "localhost",
            "localhost:7070",
            "LOCALHOST",
            "a.localhost:1",
            "127.0.0.1:7070",
            "10.1.2.3",
            "[::1]:7070",
            "[::1]",
        ] {
            check(&[], host, true);
        }
    }

    #[test]
    fn other_names_are_ours_when_said_so() {
        check(&[], "gauge.example.org", false);
        check(&["gauge.example.org"], "gauge.example.org", true);
        check(&["Gauge.Example.org:7070"], "gauge.example.ORG.:80", true);
        check(&["gauge.example.org"], "gauge.example.org.evil.org", false);
        check(&["gauge.example.org"], "evil-gauge.example.org", false);
        check(&["*"], "whatever.example.org", true);
    }

    #[test]
    fn what_only_looks_like_ours_is_not() {
        for host in [
            "",
            ":7070",
            "localhost.evil.org",
            "notlocalhost",
            "127.0.0.1.evil.org",
            "[::1].evil.org",
            "::1",
            "127.1",
            "0x7f.1",
            "localhost@evil.org",
        ] {
            check(&[], host, false);
        }
    }
}
