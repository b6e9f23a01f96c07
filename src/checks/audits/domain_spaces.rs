//! A JetStream domain without blanks.

use super::{
    Audit, Scene, Seen,
    support::{has_blank, of_server},
};
use crate::snapshot::Severity;

pub(super) const AUDIT: Audit = Audit {
    name: "domain_spaces",
    severity: Severity::Warning,
    rule: "The JetStream domain of a server holds a space or another blank: it is part of subjects, which cannot hold one.",
    evidence: "the domain that the server tells of",
    threshold: "one blank",
    next_step: "give the domain a name without blanks",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let blank = scene.servers().iter().filter_map(|server| {
        let domain = server.domain.as_deref().filter(|domain| has_blank(domain))?;
        Some(of_server(
            server,
            "The name of its JetStream domain holds a blank.".to_owned(),
            format!("it is `{domain}`"),
        ))
    });
    blank.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::audits::world::{World, check_servers, server},
        snapshot::Server,
    };

    #[test]
    fn any_blank_counts() {
        let of = |name, domain: &str| Server { domain: Some(domain.to_owned()), ..server(name) };
        let servers = vec![of("n1", "a b"), of("n2", "ab"), of("n3", "a\tb"), server("n4")];
        check_servers(&AUDIT, World { servers, ..World::default() }, &["server n1", "server n3"]);
    }
}
