//! A server that asks nobody who they are.

use super::{Audit, Scene, Seen, support::of_server};
use crate::snapshot::Severity;

pub(super) const AUDIT: Audit = Audit {
    name: "no_login",
    severity: Severity::Notice,
    rule: "Clients need not say who they are: whoever reaches the server reads and writes as its default user may.",
    evidence: "how the server is set up",
    threshold: "one server",
    next_step: "give every client a user, and take `no_auth_user` away",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let open = scene.setups().filter(|(_, setup)| !setup.requires_login);
    let evidence = "`auth_required` is false";
    open.map(|(server, _)| of_server(server, "It lets in clients without a login.".to_owned(), evidence.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::audits::world::{World, check_servers, set_up},
        snapshot::ServerSetup,
    };

    #[test]
    fn only_what_is_known_to_be_open_is_found() {
        let open = set_up("n1", ServerSetup::default());
        let closed = set_up("n2", ServerSetup { requires_login: true, ..ServerSetup::default() });
        let untold = crate::checks::audits::world::server("n3");
        check_servers(&AUDIT, World { servers: vec![open, closed, untold], ..World::default() }, &["server n1"]);
    }
}
