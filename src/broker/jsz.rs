//! What every server holds, asked for all accounts at once: the JetStream part of a server's monitoring, over the system account.
//!
//! Convention: `$SYS.REQ.SERVER.PING.JSZ`, of which every server answers; it counts pages by accounts, and packs its answer with snappy
//! (framed) for those who accept that.

use std::io::Read;

use async_nats::{Client, HeaderMap, Message, Request};
use futures_util::{StreamExt, stream};
use serde_json::json;

use super::{
    AskError,
    ask::LIMIT,
    gather::{Expected, Question},
    wire::JszAnswer,
};

/// Accounts in one answer at the most, which is what servers give by themselves.
const ACCOUNTS: usize = 1_024;

/// Pages of one server at the most.
const PAGES_MOST: usize = 64;

/// Bytes of one unpacked answer at the most: twice what 400 000 consumers with all that is known of them take.
const ANSWER_MOST: u64 = 1 << 30;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// How far everything is.
    States,
    /// Also how everything is set up.
    Configs,
}

/// The answers as they came, not read yet.
pub(super) struct Packed(Vec<Message>);

impl Scope {
    fn question(self, offset: usize) -> String {
        let configs = self == Self::Configs;
        json!({ "consumer": true, "config": configs, "limit": ACCOUNTS, "offset": offset }).to_string()
    }
}

fn accepts() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Accept-Encoding", "snappy");
    headers
}

/// Servers that are asked all at once; more of them are asked one by one, so that their answers do not come all together.
const AT_ONCE: usize = 8;

/// Of more servers, so many are asked at a time.
const IN_FLIGHT: usize = 4;

/// Asks the servers, whose ids are `ids` as far as they are known.
pub(super) async fn ask(
    client: &Client,
    scope: Scope,
    ids: Vec<String>,
    expected: Expected,
) -> Result<Packed, AskError> {
    if ids.len() <= AT_ONCE { ask_all(client, scope, expected).await } else { ask_each(client, scope, ids).await }
}

/// A server that does not answer leaves the others their turn.
async fn ask_each(client: &Client, scope: Scope, ids: Vec<String>) -> Result<Packed, AskError> {
    let asked = ids.into_iter().map(|id| async move {
        let subject = format!("$SYS.REQ.SERVER.{id}.JSZ");
        let request = Request::new().headers(accepts()).payload(scope.question(0).into()).timeout(Some(LIMIT));
        let sent = client.send_request(subject.clone(), request).await;
        sent.map_err(|source| AskError::of_request(subject, source))
    });
    let mut came = Vec::new();
    let mut failed = None;
    let mut answers = stream::iter(asked).buffer_unordered(IN_FLIGHT);
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(answer) => came.push(answer),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) if came.is_empty() => Err(error),
        _ => Ok(Packed(came)),
    }
}

/// Asks all servers at once.
async fn ask_all(client: &Client, scope: Scope, expected: Expected) -> Result<Packed, AskError> {
    let subject = "$SYS.REQ.SERVER.PING.JSZ";
    let question = Question { subject, headers: accepts(), payload: scope.question(0).into() };
    question.gather(client, |_| expected).await.map(Packed)
}

/// Reads on where a server has more accounts than one answer holds.
pub(super) async fn read_on(client: &Client, scope: Scope, answer: &mut JszAnswer) -> Result<(), AskError> {
    let subject = format!("$SYS.REQ.SERVER.{}.JSZ", answer.server.id);
    for _ in 0..PAGES_MOST {
        let Some(data) = &mut answer.data else { return Ok(()) };
        let read = data.account_details.len();
        if read == 0 || read >= data.total {
            return Ok(());
        }
        let request = Request::new().headers(accepts()).payload(scope.question(read).into()).timeout(Some(LIMIT));
        let sent = client.send_request(subject.clone(), request).await;
        let page = sent.map_err(|source| AskError::of_request(subject.clone(), source))?;
        let more = unpack(&page)?.data.map(|data| data.account_details).unwrap_or_default();
        if more.is_empty() {
            return Ok(());
        }
        data.account_details.extend(more);
    }
    Ok(())
}

impl Packed {
    /// Unpacks and reads the answers, which keeps its thread busy for a while. A server whose answer makes no sense has not answered.
    pub(super) fn read(self) -> Result<Vec<JszAnswer>, AskError> {
        let mut read = Vec::with_capacity(self.0.len());
        let mut wrong = None;
        for answer in self.0.iter().map(unpack) {
            match answer {
                Ok(answer) => read.push(answer),
                Err(error) => wrong = Some(error),
            }
        }
        match wrong {
            Some(error) if read.is_empty() => Err(error),
            _ => Ok(read),
        }
    }
}

fn unpack(answer: &Message) -> Result<JszAnswer, AskError> {
    let subject = || "$SYS.REQ.SERVER.PING.JSZ".to_owned();
    let encoding = answer.headers.as_ref().and_then(|headers| headers.get("Content-Encoding"));
    let read = match encoding {
        Some(encoding) if encoding.as_str() == "snappy" => {
            let mut text = Vec::new();
            let packed = snap::read::FrameDecoder::new(answer.payload.as_ref());
            let unpacked = packed.take(ANSWER_MOST).read_to_end(&mut text);
            unpacked.map_err(|error| AskError::Lost { subject: subject(), source: error.into() })?;
            serde_json::from_slice(&text)
        }
        _ => serde_json::from_slice(&answer.payload),
    };
    read.map_err(|source| AskError::Malformed { subject: subject(), source })
}
