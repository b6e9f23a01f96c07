//! Three nats-servers that are one: who leads a stream is found out, killed and started again as the test likes.

use std::time::Duration;

use async_nats::jetstream::{self, stream};

use super::{eventually, nats_server::NatsServer, port::ReservedPort};

/// An election takes some seconds on a machine that does much else.
const LIMIT: Duration = Duration::from_secs(60);

/// The servers.
const SIZE: usize = 3;

/// A cluster that ends with its test.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<NatsServer>,
    _routes: Vec<ReservedPort>,
}

impl Cluster {
    /// Starts three servers and returns when they keep a stream together.
    pub async fn start() -> Self {
        Self::start_configured("").await
    }

    /// The same with more in their configuration, which lets in a client that says nothing.
    pub async fn start_configured(more: &str) -> Self {
        let routes: Vec<_> = (0..SIZE).map(|_| ReservedPort::new()).collect();
        let mut nodes = Vec::new();
        for own in 0..SIZE {
            nodes.push(NatsServer::start_configured(&format!("{}\n{more}", config(own, &routes))).await);
        }
        let cluster = Self { nodes, _routes: routes };
        cluster.agrees().await;
        cluster
    }

    async fn agrees(&self) {
        let client = async_nats::connect(self.nodes[0].url()).await.expect("it greets clients");
        let jetstream = jetstream::new(client);
        let config = stream::Config { name: "AGREED".into(), num_replicas: SIZE, ..stream::Config::default() };
        eventually(LIMIT, "the servers keep a stream together", async || {
            jetstream.create_stream(config.clone()).await.map(drop)
        })
        .await;
        jetstream.delete_stream("AGREED").await.expect("it was made just now");
    }

    /// Where clients connect: all servers.
    pub fn url(&self) -> String {
        self.nodes.iter().map(NatsServer::url).collect::<Vec<_>>().join(",")
    }

    /// The address of one server.
    pub fn address(&self, node: usize) -> String {
        self.nodes[node].address()
    }

    /// Which server leads the stream.
    pub async fn leader_of(&self, jetstream: &jetstream::Context, stream: &str) -> usize {
        eventually(LIMIT, "the stream has a leader", async || {
            let stream = jetstream.get_stream(stream).await.ok()?;
            let leader = stream.cached_info().cluster.as_ref()?.leader.clone()?;
            leader.strip_prefix("node")?.parse().ok()
        })
        .await
    }

    /// Ends a server as a crash would.
    pub async fn kill(&mut self, node: usize) {
        self.nodes[node].kill().await;
    }

    /// Starts a server that was killed.
    pub async fn start_again(&mut self, node: usize) {
        self.nodes[node].start_again().await;
    }
}

fn config(own: usize, routes: &[ReservedPort]) -> String {
    let others: Vec<_> = routes.iter().map(|port| format!("nats-route://{}", port.address())).collect();
    let (listen, others) = (routes[own].address(), others.join(", "));
    format!(
        "server_name: node{own}\njetstream {{ max_file_store: 1GB }}\n\
         cluster {{ name: test, listen: \"{listen}\", routes: [{others}] }}"
    )
}
