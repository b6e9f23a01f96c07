//! Series of the watched accounts: whether the connection to each stands, and what it has used of what it may.

use super::text::{Text, Value, labels};
use crate::{
    snapshot::{Snapshot, TierUse, Watched},
    telemetry::metrics::{Family, Kind},
};

/// A family and how its value is read; a limit that is none is absent.
struct Column {
    family: Family,
    value: fn(&TierUse) -> Option<u64>,
}

const fn column(name: &'static str, help: &'static str, value: fn(&TierUse) -> Option<u64>) -> Column {
    Column { family: Family { name, kind: Kind::Gauge, labels: &["account", "tier"], help }, value }
}

const COLUMNS: &[Column] = &[
    column(
        "streamgauge_account_storage_bytes",
        "Bytes that the streams of the account hold on disk; `tier` is empty for all of them together.",
        |used| Some(used.storage),
    ),
    column("streamgauge_account_storage_limit_bytes", "Bytes that they may hold on disk.", |used| used.storage_limit),
    column(
        "streamgauge_account_memory_bytes",
        "Bytes that the streams of the account hold in memory; `tier` is empty for all of them together.",
        |used| Some(used.memory),
    ),
    column("streamgauge_account_memory_limit_bytes", "Bytes that they may hold in memory.", |used| used.memory_limit),
    column("streamgauge_account_streams", "Streams of the account.", |used| Some(used.streams)),
    column("streamgauge_account_streams_limit", "Streams that the account may have.", |used| used.streams_limit),
    column("streamgauge_account_consumers", "Consumers of the account.", |used| Some(used.consumers)),
    column("streamgauge_account_consumers_limit", "Consumers that the account may have.", |used| used.consumers_limit),
];

const CONNECTED: Family = Family {
    name: "streamgauge_account_connected",
    kind: Kind::Gauge,
    labels: &["account", "user"],
    help: "1 while the connection to an account stands that a user was given for, else 0; `account` is empty until its name is known.",
};

pub(super) fn families() -> Vec<Family> {
    std::iter::once(CONNECTED).chain(COLUMNS.iter().map(|column| column.family)).collect()
}

pub(super) fn write(text: &mut Text, snapshot: &Snapshot) {
    text.family(&CONNECTED, snapshot.watched().map(connected));
    let accounts = snapshot.watched().filter_map(|watched| watched.used.fresh());
    let rows = accounts.flat_map(|account| account.parts().map(move |part| (&account.name, part)));
    let rows: Vec<(String, &TierUse)> = rows
        .map(|(account, (tier, used))| (labels(&[("account", account), ("tier", tier.unwrap_or_default())]), used))
        .collect();
    for Column { family, value } in COLUMNS {
        text.family(family, rows.iter().filter_map(|(labels, used)| Some((labels, Value::from(value(used)?)))));
    }
}

fn connected(watched: &Watched) -> (String, Value) {
    let user = watched.contact.user.as_deref().unwrap_or_default();
    (labels(&[("account", watched.name()), ("user", user)]), watched.contact.is_connected.into())
}
