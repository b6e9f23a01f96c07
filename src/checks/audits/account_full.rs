//! An account whose streams have no room left.

use super::{
    Audit, Scene, Seen,
    support::{is_near, percent},
};
use crate::{
    snapshot::{AccountUse, FULL_PERCENT, Severity, TierUse},
    words::count,
};

pub(super) const AUDIT: Audit = Audit {
    name: "account_full",
    severity: Severity::Critical,
    rule: "An account has used up, or all but, the room that its streams may take: what is published to them is refused.",
    evidence: "the server's word on what the account holds, against the limits of the account and of its tiers",
    threshold: "98 % of `max_memory` or `max_storage`; no limit is none",
    next_step: "raise the account's limit, purge what nobody needs, or let streams keep less; `nats account info` shows what there is",
    look,
};

/// Something that an account, or a tier of it, has a limit for.
pub(super) struct Limited {
    what: &'static str,
    pub(super) used: u64,
    pub(super) limit: u64,
    is_room: bool,
}

impl Limited {
    /// Whether messages are refused for it, now or in a moment. That no further stream fits hurts only who makes one.
    pub(super) fn is_full(&self) -> bool {
        self.is_room && is_near(self.used, self.limit, FULL_PERCENT)
    }
}

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    of_account(scene, Limited::is_full)
}

/// What is found of those limits of the accounts that `is_worth` it.
pub(super) fn of_account(scene: &Scene<'_>, is_worth: impl Fn(&Limited) -> bool) -> Vec<Seen> {
    let accounts = scene.snapshot.watched().filter_map(|watched| watched.used.fresh());
    let parts = accounts.flat_map(|account| account.parts().map(move |(tier, used)| (account, tier, used)));
    let limits = parts.flat_map(|(account, tier, used)| limits(used).map(move |limited| (account, tier, limited)));
    let found = limits.filter(|(.., limited)| is_worth(limited));
    found.map(|(account, tier, limited)| seen(account, tier, &limited)).collect()
}

fn limits(used: &TierUse) -> impl Iterator<Item = Limited> {
    let limits = [
        ("bytes in memory", used.memory, used.memory_limit, true),
        ("bytes on disk", used.storage, used.storage_limit, true),
        ("streams", used.streams, used.streams_limit, false),
        ("consumers", used.consumers, used.consumers_limit, false),
    ];
    limits.into_iter().filter_map(|(what, used, limit, is_room)| Some(Limited { what, used, limit: limit?, is_room }))
}

fn seen(account: &AccountUse, tier: Option<&str>, limited: &Limited) -> Seen {
    let Limited { what, used, limit, .. } = limited;
    let name = &account.name;
    let about = tier.map_or_else(|| format!("account {name}"), |tier| format!("tier {tier} of account {name}"));
    let sentence = format!("It holds {} % of the {what} that it may.", percent(*used, *limit));
    Seen {
        account: Some(name.clone()),
        about,
        sentence,
        evidence: format!("{} of {} {what}", count(*used), count(*limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::audits::world::{World, found};

    fn check(storage: u64, storage_limit: Option<u64>, expected: &[&str]) {
        let total = TierUse { storage, storage_limit, streams: 5, streams_limit: Some(5), ..TierUse::default() };
        let account = AccountUse { name: "A".into(), total, tiers: vec![("R3".to_owned(), total)] };
        let found = found(&AUDIT, &World { account, ..World::default() });
        let about: Vec<&str> = found.iter().map(|seen| seen.about.as_str()).collect();
        assert_eq!(about, expected, "{found:?}");
    }

    #[test]
    fn an_account_or_tier_without_room_is_told_of() {
        check(98, Some(100), &["account A", "tier R3 of account A"]);
        check(101, Some(100), &["account A", "tier R3 of account A"]);
        check(97, Some(100), &[]);
        check(u64::MAX, None, &[]);
    }
}
