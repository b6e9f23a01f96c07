//! What each watched account has used of what it may.

use askama::{Template, filters::HtmlSafe};

use super::{
    Look, format,
    pieces::{Gap, Stamp},
    used::Used,
};
use crate::snapshot::{AccountUse, TierUse, Watched};

/// The account's limits, each as a bar.
#[derive(Template)]
#[template(path = "parts/account.html")]
pub(super) struct AccountPanel {
    id: String,
    name: String,
    gap: Option<Gap>,
    stamp: Option<Stamp>,
    parts: Vec<Part>,
    /// Why it counts more consumers than the pages list; empty where it does not.
    note: String,
}

impl HtmlSafe for AccountPanel {}

/// All of it together, or what has one number of replicas.
struct Part {
    tier: Option<String>,
    lines: Vec<(&'static str, Used)>,
}

impl AccountPanel {
    /// One for each account.
    pub(super) fn all(look: &Look<'_>) -> Vec<Self> {
        look.snapshot.watched().map(|watched| Self::of(watched, look)).collect()
    }

    fn of(watched: &Watched, look: &Look<'_>) -> Self {
        let reading = &watched.used;
        let account = reading.value();
        let part = |(tier, used): (Option<&str>, &TierUse)| Part {
            tier: tier.map(format::cut),
            lines: lines(used, tier.is_some()),
        };
        Self {
            id: look.anchor(watched, "account"),
            name: match account {
                Some(account) => format::cut(&format!("account {}", account.name)),
                None => look.account_of(watched).unwrap_or_default(),
            },
            gap: Gap::of(reading, "account's limits"),
            stamp: Stamp::of(reading, look),
            parts: account.into_iter().flat_map(|account| account.parts().map(part)).collect(),
            note: account.and_then(|account| counted_twice(account, look)).unwrap_or_default(),
        }
    }
}

/// What NATS counts as a consumer that no list has.
fn counted_twice(account: &AccountUse, look: &Look<'_>) -> Option<String> {
    let listed = look.snapshot.known_consumers().filter(|consumer| consumer.account == account.name).count() as u64;
    (listed > 0 && account.total.consumers > listed).then(|| {
        format!(
            "{} listed: towards its limit NATS counts each copy of a consumer, and those of its own that feed mirrors and sources.",
            format::counted_u64(listed, "consumer") + format::agree(listed, " is", " are")
        )
    })
}

/// Of a tier only what is used or limited is told: an account may have one that is empty.
fn lines(used: &TierUse, is_tier: bool) -> Vec<(&'static str, Used)> {
    let bytes = format::bytes as fn(u64) -> String;
    let all = [
        ("On disk", used.storage, used.storage_limit, used.storage_reserved, bytes),
        ("In memory", used.memory, used.memory_limit, used.memory_reserved, bytes),
        ("Streams", used.streams, used.streams_limit, 0, format::count),
        ("Consumers", used.consumers, used.consumers_limit, 0, format::count),
    ];
    let lines = all.into_iter().filter(|(_, used, limit, ..)| !is_tier || *used > 0 || limit.is_some());
    lines.map(|(name, used, limit, reserved, words)| (name, Used::of(used, limit, reserved, words))).collect()
}
