//! An account that the operator gave a user for, and that is not seen.

use super::{Audit, Scene, Seen};
use crate::snapshot::{Severity, Watched};

pub(super) const AUDIT: Audit = Audit {
    name: "account_unread",
    severity: Severity::Warning,
    rule: "An account that a user was given for cannot be read: what is shown of it is old, or nothing is.",
    evidence: "the connection of that user, and what is answered over it",
    threshold: "the last round",
    next_step: "see whether the login still holds and what it may do (docs/operations/permissions.md); the page of servers shows each connection",
    look,
};

const NAMELESS: &str = "the server did not tell its user by `$SYS.REQ.USER.INFO`";

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    scene.snapshot.watched().filter_map(seen).collect()
}

fn seen(watched: &Watched) -> Option<Seen> {
    let (contact, about) = (&watched.contact, watched.to_string());
    let (sentence, evidence) = match &watched.unlisted {
        _ if !contact.is_connected => ("There is no connection to it.", contact.reason.clone()),
        Some(reason) => ("What it holds could not be listed.", reason.clone()),
        None if watched.name.is_none() => ("Nobody knows which account it is.", NAMELESS.to_owned()),
        None => return None,
    };
    Some(Seen { account: watched.name.clone(), about, sentence: sentence.to_owned(), evidence })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::audits::world::{World, now},
        config::Thresholds,
        snapshot::Contact,
    };

    #[test]
    fn an_account_that_is_not_seen_is_told_of() {
        let mut snapshot = World::default().snapshot();
        let contact = Contact { user: Some("ada".to_owned()), ..Contact::standing_since(now()) };
        let away = Contact { is_connected: false, reason: "the login is refused".to_owned(), ..contact.clone() };
        let mut mute = Watched { name: Some("B".into()), ..Watched::before_the_first(contact) };
        mute.unlisted = Some("nobody answers".to_owned());
        snapshot.others = vec![Watched::before_the_first(away), mute];
        let found = look(&Scene { snapshot: &snapshot, thresholds: &Thresholds::default() });
        let found: Vec<_> = found.iter().map(|seen| (seen.about.as_str(), seen.evidence.as_str())).collect();
        assert_eq!(found, [("the account of user ada", "the login is refused"), ("account B", "nobody answers")]);
    }
}
