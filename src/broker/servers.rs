//! The servers, each asked about itself over the system account.

use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt;

use super::{
    AskError,
    wire::{ServerStats, Stats},
};
use crate::snapshot::Server;

/// How long answers are gathered when not all servers that are said to be there have answered.
const GATHER: Duration = Duration::from_secs(2);

/// Servers at the most; answers beyond are not read.
const SERVERS_MOST: usize = 1_000;

/// Asks all servers at once, and waits for as many answers as they say that there are servers.
pub(super) async fn ping(client: &Client) -> Result<Vec<Server>, AskError> {
    const SUBJECT: &str = "$SYS.REQ.SERVER.PING";
    let lost = |source| AskError::Lost { subject: SUBJECT.to_owned(), source };
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.map_err(|error| lost(error.into()))?;
    client.publish_with_reply(SUBJECT, inbox, bytes::Bytes::new()).await.map_err(|error| lost(error.into()))?;
    let mut servers = Vec::new();
    let gather = async {
        while let Some(answer) = answers.next().await {
            let Ok(ServerStats { server, statsz }) = serde_json::from_slice(&answer.payload) else {
                continue;
            };
            let expected = statsz.active_servers.unwrap_or(SERVERS_MOST).min(SERVERS_MOST);
            servers.push(read(server, statsz));
            if servers.len() >= expected {
                break;
            }
        }
    };
    let timed_out = tokio::time::timeout(GATHER, gather).await.is_err();
    if servers.is_empty() && timed_out {
        return Err(AskError::Silence { subject: SUBJECT.to_owned() });
    }
    if servers.is_empty() {
        return Err(AskError::Nobody { subject: SUBJECT.to_owned() });
    }
    servers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(servers)
}

fn read(server: super::wire::ServerInfo, stats: Stats) -> Server {
    Server {
        name: server.name,
        id: server.id,
        version: server.ver,
        cluster: server.cluster,
        has_jetstream: server.jetstream,
        started: stats.start,
        cpu_percent: stats.cpu,
        cores: stats.cores,
        memory_bytes: stats.mem,
        connections: stats.connections,
        slow_consumers: stats.slow_consumers,
        storage_bytes: stats.jetstream.and_then(|jetstream| jetstream.stats).map(|used| used.storage),
    }
}
