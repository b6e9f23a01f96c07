//! A stranger's book of effects, outside every store of ours: it outlives the process that asked, and knows a key again.
//!
//! One line a request, the key and a fence if there is one; one line an answer, how often that key has been asked for, or that the
//! fence is lower than one that came before.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

type Book = Arc<Mutex<BTreeMap<String, Page>>>;

/// What is known of one key.
#[derive(Debug, Default, Clone, Copy)]
struct Page {
    asked: u32,
    fence: u64,
}

/// What an asker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The effect was asked for so often: at 1 it happens, above it has happened before.
    Asked(u32),
    /// Somebody with a higher fence was there, so the asker is not who it thinks it is.
    Stale,
}

/// A ledger that listens on a port of its own.
#[derive(Debug)]
pub struct Ledger {
    address: SocketAddr,
    book: Book,
    _server: JoinSet<()>,
}

impl Ledger {
    /// Opens an empty one.
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let book = Book::default();
        let mut server = JoinSet::new();
        server.spawn(serve(listener, book.clone()));
        Self { address, book, _server: server }
    }

    /// What [`note`] is given.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// How often the effect under `key` was asked for.
    pub fn asked(&self, key: &str) -> u32 {
        self.book.lock().expect("nobody panics with it").get(key).map_or(0, |page| page.asked)
    }

    /// Every key with how often it was asked for.
    pub fn all(&self) -> BTreeMap<String, u32> {
        let book = self.book.lock().expect("nobody panics with it");
        book.iter().map(|(key, page)| (key.clone(), page.asked)).collect()
    }
}

async fn serve(listener: TcpListener, book: Book) {
    let mut clients = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        clients.spawn(answer(stream, book.clone()));
        while clients.try_join_next().is_some() {}
    }
}

async fn answer(stream: TcpStream, book: Book) -> io::Result<()> {
    let (from, mut to) = stream.into_split();
    let mut lines = BufReader::new(from).lines();
    while let Some(line) = lines.next_line().await? {
        let (key, fence) = line.split_once(' ').unwrap_or((&line, "0"));
        let fence = fence.parse().map_err(io::Error::other)?;
        let answer = match ask(&book, key, fence) {
            Answer::Asked(times) => format!("{times}\n"),
            Answer::Stale => "stale\n".to_owned(),
        };
        to.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

fn ask(book: &Book, key: &str, fence: u64) -> Answer {
    let mut book = book.lock().expect("nobody panics with it");
    let page = book.entry(key.to_owned()).or_default();
    if fence < page.fence {
        return Answer::Stale;
    }
    page.fence = fence;
    page.asked += 1;
    Answer::Asked(page.asked)
}

/// Asks the ledger at `address` for the effect under `key`, behind a fence if there is one.
pub async fn note(address: &str, key: &str, fence: Option<u64>) -> io::Result<Answer> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    stream.get_mut().write_all(format!("{key} {}\n", fence.unwrap_or(0)).as_bytes()).await?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await?;
    match answer.trim() {
        "stale" => Ok(Answer::Stale),
        times => times.parse().map(Answer::Asked).map_err(io::Error::other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_known_again() {
        let ledger = Ledger::open().await;
        let address = ledger.address();
        for (key, expected) in [("a", 1), ("b", 1), ("a", 2)] {
            assert_eq!(note(&address, key, None).await.unwrap(), Answer::Asked(expected));
        }
        assert_eq!((ledger.asked("a"), ledger.asked("b"), ledger.asked("c")), (2, 1, 0));
        assert_eq!(ledger.all().len(), 2);
    }

    #[tokio::test]
    async fn whoever_comes_behind_a_lower_fence_is_refused() {
        let ledger = Ledger::open().await;
        let address = ledger.address();
        for (fence, expected) in
            [(2, Answer::Asked(1)), (1, Answer::Stale), (2, Answer::Asked(2)), (3, Answer::Asked(3))]
        {
            assert_eq!(note(&address, "a", Some(fence)).await.unwrap(), expected);
        }
        assert_eq!(ledger.asked("a"), 3);
    }
}
