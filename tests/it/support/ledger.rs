//! A stranger's book of effects, outside every store of ours: it outlives the process that asked, and knows a key again.
//!
//! One line a request, the key; one line an answer, how often that key has been asked for.

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

type Book = Arc<Mutex<BTreeMap<String, u32>>>;

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
        self.book.lock().expect("nobody panics with it").get(key).copied().unwrap_or_default()
    }

    /// Every key with how often it was asked for.
    pub fn all(&self) -> BTreeMap<String, u32> {
        self.book.lock().expect("nobody panics with it").clone()
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
    while let Some(key) = lines.next_line().await? {
        let times = {
            let mut book = book.lock().expect("nobody panics with it");
            let times = book.entry(key).or_default();
            *times += 1;
            *times
        };
        to.write_all(format!("{times}\n").as_bytes()).await?;
    }
    Ok(())
}

/// Asks the ledger at `address` for the effect under `key`, and returns how often that has been: at 1 the effect happens, above it
/// has happened before.
pub async fn note(address: &str, key: &str) -> io::Result<u32> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    stream.get_mut().write_all(format!("{key}\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await?;
    answer.trim().parse().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_known_again() {
        let ledger = Ledger::open().await;
        let address = ledger.address();
        assert_eq!(note(&address, "a").await.unwrap(), 1);
        assert_eq!(note(&address, "b").await.unwrap(), 1);
        assert_eq!(note(&address, "a").await.unwrap(), 2);
        assert_eq!((ledger.asked("a"), ledger.asked("b"), ledger.asked("c")), (2, 1, 0));
        assert_eq!(ledger.all().len(), 2);
    }
}
