//! What the watched account has used of what it may.

use askama::{Template, filters::HtmlSafe};

use super::{
    Look, format,
    pieces::{Gap, Stamp},
    used::Used,
};
use crate::snapshot::TierUse;

/// The account's limits, each as a bar.
#[derive(Template)]
#[template(path = "parts/account.html")]
pub(super) struct AccountPanel {
    name: String,
    gap: Option<Gap>,
    stamp: Option<Stamp>,
    parts: Vec<Part>,
}

impl HtmlSafe for AccountPanel {}

/// All of it together, or what has one number of replicas.
struct Part {
    tier: Option<String>,
    lines: Vec<(&'static str, Used)>,
}

impl AccountPanel {
    pub(super) fn of(look: &Look<'_>) -> Self {
        let reading = &look.snapshot.account;
        let account = reading.value();
        let part = |(tier, used): (Option<&str>, &TierUse)| Part {
            tier: tier.map(format::cut),
            lines: lines(used, tier.is_some()),
        };
        Self {
            name: account.map(|account| format::cut(&account.name)).unwrap_or_default(),
            gap: Gap::of(reading, "account's limits"),
            stamp: Stamp::of(reading, look),
            parts: account.into_iter().flat_map(|account| account.parts().map(part)).collect(),
        }
    }
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
