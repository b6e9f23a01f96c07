//! Connections that are waited for, and not for ever: one on which something is owed to us, and nothing is answered, ends.
//!
//! A client that opens a connection and never ends its request would hold it for ever; hyper's own limit for that is out of reach here.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Instant, Sleep},
};

/// How long a request may take to come whole. Whoever answers in turn has to begin within it too, which takes milliseconds.
const LIMIT: Duration = Duration::from_secs(60);

/// A listener whose connections end when a request does not.
pub(super) struct Patient(pub(super) TcpListener);

impl Listener for Patient {
    type Io = Waited<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, from) = Listener::accept(&mut self.0).await;
        (Waited::new(stream), from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A connection, and until when the request that was begun on it, or is to begin, has to be answered.
pub(super) struct Waited<S> {
    stream: S,
    overdue: Pin<Box<Sleep>>,
    /// Whether there is something to wait for: nothing came yet, or what came has no answer.
    is_owed: bool,
}

impl<S> Waited<S> {
    fn new(stream: S) -> Self {
        Self { stream, overdue: Box::pin(tokio::time::sleep(LIMIT)), is_owed: true }
    }

    fn was_read(&mut self) {
        if !self.is_owed {
            self.is_owed = true;
            self.overdue.as_mut().reset(Instant::now() + LIMIT);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Waited<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        if read.is_ready() {
            if into.filled().len() > before {
                self.was_read();
            }
            return read;
        }
        if self.is_owed && self.overdue.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Waited<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.is_owed = false;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.is_owed = false;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_does_not_end_is_not_waited_for_for_ever() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = Waited::new(server);
        let began = Instant::now();
        let mut byte = [0];
        for _ in 0..3 {
            client.write_all(b"G").await.unwrap();
            server.read_exact(&mut byte).await.unwrap();
            tokio::time::sleep(LIMIT / 4).await;
        }
        let failed = server.read(&mut byte).await.unwrap_err();
        assert_eq!((failed.kind(), began.elapsed()), (io::ErrorKind::TimedOut, LIMIT));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_was_answered_stays_open_until_the_next_request() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = Waited::new(server);
        let mut byte = [0];
        client.write_all(b"G").await.unwrap();
        server.read_exact(&mut byte).await.unwrap();
        server.write_all(b"A").await.unwrap();
        assert!(tokio::time::timeout(LIMIT * 10, server.read(&mut byte)).await.is_err());
        client.write_all(b"G").await.unwrap();
        server.read_exact(&mut byte).await.unwrap();
        let began = Instant::now();
        assert!(server.read(&mut byte).await.is_err());
        assert_eq!(began.elapsed(), LIMIT);
    }
}
