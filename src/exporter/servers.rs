//! Series of servers, where a user of the system account sees them.

use super::text::{Text, Value, labels};
use crate::{
    snapshot::{Server, Snapshot},
    telemetry::metrics::{Family, Kind},
};

/// The labels that other exporters give to a server.
const KNOWN: &[&str] = &["server_cluster", "server_name", "server_id"];

/// A family and how its value is read.
struct Column {
    family: Family,
    value: fn(&Server) -> Option<Value>,
}

const fn known(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels: KNOWN, help }
}

const COLUMNS: &[Column] = &[
    Column {
        family: known("nats_core_cpu_percentage", "CPU that the server uses, in percent of one core."),
        value: |server| Some(server.cpu_percent.into()),
    },
    Column {
        family: known("nats_core_core_count", "Cores that the server may use."),
        value: |server| Some(u64::from(server.cores).into()),
    },
    Column {
        family: known("nats_core_mem_bytes", "Memory that the server uses."),
        value: |server| Some(server.memory_bytes.into()),
    },
    Column {
        family: known("nats_core_connection_count", "Clients connected to the server."),
        value: |server| Some(server.connections.into()),
    },
    Column {
        family: known(
            "nats_core_slow_consumer_count",
            "Clients that the server cut off because they read too slowly, since it started.",
        ),
        value: |server| Some(server.slow_consumers.into()),
    },
    Column {
        family: known(
            "streamgauge_server_well",
            "1 where the server says that it is well when it is asked, 0 where not; absent until it was told.",
        ),
        value: |server| server.health.as_ref().map(|health| u64::from(health.is_well).into()),
    },
];

pub(super) fn families() -> Vec<Family> {
    COLUMNS.iter().map(|column| column.family).collect()
}

pub(super) fn write(text: &mut Text, snapshot: &Snapshot) {
    let servers = snapshot.servers.fresh().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<_> = servers.iter().map(|server| (labels_of(server), server)).collect();
    for Column { family, value } in COLUMNS {
        text.family(family, rows.iter().filter_map(|(labels, server)| Some((labels, value(server)?))));
    }
}

fn labels_of(server: &Server) -> String {
    let cluster = server.cluster.as_deref().unwrap_or_default();
    labels(&[("server_cluster", cluster), ("server_name", &server.name), ("server_id", &server.id)])
}
