//! A port of this machine that nobody else gets as long as the test holds it.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// Keeps a free port for a server that a test starts, stops and starts again: while the server is down, connections are refused
/// and no other process is given the port.
///
/// A socket that is bound and never listens keeps others away from the port. Linux lets a server that sets `SO_REUSEADDR`, as
/// every common one does, listen beside it. Other systems do not, so there the port is only known to have been free.
#[derive(Debug)]
pub struct ReservedPort {
    address: SocketAddr,
    _keeper: Option<TcpSocket>,
}

impl ReservedPort {
    /// Takes any free port of 127.0.0.1.
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("this machine has IPv4");
        socket.set_reuseaddr(true).expect("a fresh socket takes options");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("some port is free");
        let address = socket.local_addr().expect("a bound socket has an address");
        Self { address, _keeper: cfg!(target_os = "linux").then_some(socket) }
    }

    /// Where a server on this port is reached.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number.
    pub fn number(&self) -> u16 {
        self.address.port()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn a_reserved_port_refuses_until_a_server_listens_and_again_after_it() {
        let port = ReservedPort::new();
        assert!(TcpStream::connect(port.address()).await.is_err());
        for _ in 0..2 {
            let server = TcpListener::bind(port.address()).await.unwrap();
            TcpStream::connect(port.address()).await.unwrap();
            drop(server);
            assert!(TcpStream::connect(port.address()).await.is_err());
        }
    }
}
