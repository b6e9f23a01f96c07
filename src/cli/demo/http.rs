//! Asking our own children over HTTP: one short request to this machine.

use std::{net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How long an answer may take; a child that is starting is asked again.
const LIMIT: Duration = Duration::from_secs(2);

/// No answer of ours is longer.
const BODY_MAX: u64 = 1 << 20;

/// What a child answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Asks for `path` at `port`; `None` where nothing answers in time.
pub(super) async fn get(port: u16, path: &str) -> Option<Answer> {
    tokio::time::timeout(LIMIT, ask(port, path)).await.ok()?.ok().flatten()
}

/// HTTP/1.0 without keep-alive: the answer ends with the connection.
async fn ask(port: u16, path: &str) -> std::io::Result<Option<Answer>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.take(BODY_MAX).read_to_string(&mut text).await?;
    Ok(parse(&text))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(u16, &str)>) {
        let answer = parse(text);
        assert_eq!(answer.as_ref().map(|answer| (answer.status, answer.body.as_str())), expected);
    }

    #[test]
    fn an_answer_is_a_status_and_a_body() {
        check("HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nready", Some((200, "ready")));
        check("HTTP/1.0 503 Service Unavailable\r\n\r\n", Some((503, "")));
        check("nonsense", None);
    }
}
