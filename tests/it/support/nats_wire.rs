//! The NATS protocol by hand, for what a client hides: which operations a server refuses to a user.

use std::time::Duration;

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// A server that is up answers in a millisecond.
const LIMIT: Duration = Duration::from_secs(10);

/// A connection of one user.
#[derive(Debug)]
pub struct Wire {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Wire {
    /// Logs in; `Err` holds the server's words if it refuses.
    pub async fn connect(address: &str, user: &str, password: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let (reader, writer) = stream.into_split();
        let mut wire = Self { lines: BufReader::new(reader).lines(), writer };
        let login = serde_json::json!({ "user": user, "pass": password, "verbose": false, "headers": true });
        match wire.refusal(&format!("CONNECT {login}")).await {
            None => Ok(wire),
            Some(refusal) => Err(refusal),
        }
    }

    /// What the server says against publishing nothing on `subject`.
    pub async fn refusal_to_publish(&mut self, subject: &str) -> Option<String> {
        self.refusal(&format!("PUB {subject} 0\r\n")).await
    }

    /// Publishes with a header block as it stands: servers pass on what no client of ours would write.
    pub async fn publish_with_headers(&mut self, subject: &str, lines: &str, payload: &str) -> Option<String> {
        let headers = format!("NATS/1.0\r\n{lines}\r\n\r\n");
        let (of_headers, all) = (headers.len(), headers.len() + payload.len());
        self.refusal(&format!("HPUB {subject} {of_headers} {all}\r\n{headers}{payload}")).await
    }

    /// What the server says against a subscription.
    pub async fn refusal_to_subscribe(&mut self, subject: &str) -> Option<String> {
        self.refusal(&format!("SUB {subject} 1")).await
    }

    /// A server answers in order, so what it has against an operation comes before its answer to the PING behind it.
    async fn refusal(&mut self, operation: &str) -> Option<String> {
        self.writer.write_all(format!("{operation}\r\nPING\r\n").as_bytes()).await.expect("the connection stands");
        let answer = async {
            let mut refusal = None;
            while let Ok(Some(line)) = self.lines.next_line().await {
                match line.strip_prefix("-ERR ") {
                    Some(words) => refusal = Some(words.to_owned()),
                    None if line == "PONG" => return refusal,
                    None => {}
                }
            }
            refusal.or_else(|| Some("the server closed the connection".to_owned()))
        };
        tokio::time::timeout(LIMIT, answer).await.expect("the server answers a PING")
    }
}
