//! An account that comes close to what it may use of JetStream.

use super::{Audit, Scene, Seen, account_full::of_account, support::is_near};
use crate::snapshot::Severity;

pub(super) const AUDIT: Audit = Audit {
    name: "account_limits",
    severity: Severity::Warning,
    rule: "An account comes close to what it may use of JetStream: at the limit it is refused messages, streams or consumers.",
    evidence: "the server's word on what the account holds, against the limits of the account and of its tiers",
    threshold: "`--limit-percent`, 90 by default, of `max_memory`, `max_storage`, `max_streams` or `max_consumers`; no limit is none",
    next_step: "raise the account's limit, let streams keep less, or delete streams and consumers that nobody uses; `nats account info` shows what there is",
    look,
};

fn look(scene: &Scene<'_>) -> Vec<Seen> {
    let most = scene.thresholds.limit_percent;
    of_account(scene, |limited| is_near(limited.used, limited.limit, most) && !limited.is_full())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        checks::audits::world::{World, found},
        snapshot::{AccountUse, TierUse},
    };

    fn check(used: TierUse, expected: &[&str]) {
        let account = AccountUse { name: "A".into(), total: TierUse::default(), tiers: vec![("R1".to_owned(), used)] };
        let found = found(&AUDIT, &World { account, ..World::default() });
        let said: Vec<&str> = found.iter().map(|seen| seen.sentence.as_str()).collect();
        assert_eq!(said, expected);
        assert!(found.iter().all(|seen| seen.about == "tier R1 of account A"), "{found:?}");
    }

    #[test]
    fn each_limit_is_told_of_before_it_is_reached() {
        let limits = TierUse {
            memory_limit: Some(100),
            storage_limit: Some(100),
            streams_limit: Some(10),
            consumers_limit: Some(10),
            ..TierUse::default()
        };
        check(TierUse { memory: 89, storage: 89, streams: 8, consumers: 8, ..limits }, &[]);
        let near = TierUse { memory: 90, storage: 97, streams: 9, consumers: 10, ..limits };
        let said = [
            "It holds 90 % of the bytes in memory that it may.",
            "It holds 97 % of the bytes on disk that it may.",
            "It holds 90 % of the streams that it may.",
            "It holds 100 % of the consumers that it may.",
        ];
        check(near, &said);
        check(TierUse { memory: 98, storage: 100, ..limits }, &[]);
        let endless = TierUse { memory: 1 << 40, storage: 1 << 40, streams: 99, consumers: 99, ..TierUse::default() };
        check(endless, &[]);
    }
}
