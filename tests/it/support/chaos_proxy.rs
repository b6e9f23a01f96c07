//! A proxy between a client and its server that does to their connections what networks do.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

/// Bytes that are passed on at once.
const CHUNK: usize = 16 << 10;

/// Portions in which a trickle passes, each second.
const PORTIONS: usize = 50;

/// A way through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// What becomes of bytes on one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Pass,
    Lose,
    /// From these bytes on.
    LoseFrom(&'static [u8]),
    Trickle(usize),
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// In order: both sides read to the end.
    Close,
    /// By RST: both sides fail, and what was under way is gone.
    Reset,
}

#[derive(Debug, Clone, Copy)]
struct Weather {
    up: Flow,
    down: Flow,
    /// How many times the connections were ended, and how the last time.
    ends: (u64, End),
    is_shut: bool,
}

impl Weather {
    fn flow(&self, way: Way) -> Flow {
        match way {
            Way::Up => self.up,
            Way::Down => self.down,
        }
    }
}

/// A TCP proxy on a port of its own. What a test tells it holds for connections that stand and for those that come.
#[derive(Debug)]
pub struct ChaosProxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    lost: Lost,
    turned_away: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

/// The bytes that went up or down and never arrived.
#[derive(Debug, Clone, Default)]
struct Lost {
    up: Arc<Mutex<Vec<u8>>>,
    down: Arc<Mutex<Vec<u8>>>,
}

impl ChaosProxy {
    /// Starts one in front of the server at `address`.
    pub async fn before(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
        let own = listener.local_addr().expect("a listener has an address");
        let calm = Weather { up: Flow::Pass, down: Flow::Pass, ends: (0, End::Close), is_shut: false };
        let (weather, lost, turned_away) = (watch::Sender::new(calm), Lost::default(), Arc::<AtomicUsize>::default());
        let mut server = JoinSet::new();
        server.spawn(accept(listener, address, weather.subscribe(), lost.clone(), turned_away.clone()));
        Self { address: own, weather, lost, turned_away, _server: server }
    }

    /// Where clients connect instead.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Ends every connection in order.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| weather.ends = (weather.ends.0 + 1, End::Close));
    }

    /// Ends every connection by RST.
    pub fn reset(&self) {
        self.weather.send_modify(|weather| weather.ends = (weather.ends.0 + 1, End::Reset));
    }

    /// Ends every connection, and every new one at once, until it is opened.
    pub fn shut(&self) {
        self.weather.send_modify(|weather| weather.is_shut = true);
        self.reset();
    }

    /// Lets connections in again.
    pub fn open(&self) {
        self.weather.send_modify(|weather| weather.is_shut = false);
    }

    /// Loses everything on these ways with the connections open: a black hole, or half of one.
    pub fn lose(&self, ways: &[Way]) {
        self.set(ways, Flow::Lose);
    }

    /// Loses what goes up from the next time on that these bytes do.
    pub fn lose_from(&self, bytes: &'static [u8]) {
        self.set(&[Way::Up], Flow::LoseFrom(bytes));
    }

    /// Passes on so many bytes a second and way.
    pub fn trickle(&self, bytes: usize) {
        self.set(&[Way::Up, Way::Down], Flow::Trickle(bytes));
    }

    /// Passes everything on again. A connection that has lost bytes is reset: what comes after a gap is no protocol.
    pub fn heal(&self) {
        self.set(&[Way::Up, Way::Down], Flow::Pass);
    }

    fn set(&self, ways: &[Way], flow: Flow) {
        self.weather.send_modify(|weather| {
            for way in ways {
                match way {
                    Way::Up => weather.up = flow,
                    Way::Down => weather.down = flow,
                }
            }
        });
    }

    /// How many clients came while it was shut.
    pub fn turned_away(&self) -> usize {
        self.turned_away.load(Ordering::SeqCst)
    }

    /// Whether these bytes were lost on either way.
    pub fn has_lost(&self, bytes: &[u8]) -> bool {
        self.times_lost(bytes) > 0
    }

    /// How often these bytes were lost on either way.
    pub fn times_lost(&self, bytes: &[u8]) -> usize {
        let times = |lost: &Mutex<Vec<u8>>| {
            let lost = lost.lock().expect("nobody panics with it");
            lost.windows(bytes.len()).filter(|window| *window == bytes).count()
        };
        times(&self.lost.up) + times(&self.lost.down)
    }
}

async fn accept(
    listener: TcpListener,
    server: String,
    weather: watch::Receiver<Weather>,
    lost: Lost,
    turned_away: Arc<AtomicUsize>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if weather.borrow().is_shut {
            turned_away.fetch_add(1, Ordering::SeqCst);
            drop(client.set_zero_linger());
            continue;
        }
        connections.spawn(connection(client, server.clone(), weather.clone(), lost.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(mut client: TcpStream, server: String, weather: watch::Receiver<Weather>, lost: Lost) {
    let Ok(mut server) = TcpStream::connect(server).await else {
        drop(client.set_zero_linger());
        return;
    };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let end = {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let mut ended = weather.clone();
        let seen = ended.borrow().ends.0;
        tokio::select! {
            end = pump(&mut from_client, &mut to_server, Way::Up, weather.clone(), &lost.up) => end,
            end = pump(&mut from_server, &mut to_client, Way::Down, weather, &lost.down) => end,
            weather = ended.wait_for(|weather| weather.ends.0 > seen) => weather.map_or(End::Close, |weather| weather.ends.1),
        }
    };
    if end == End::Reset {
        drop((client.set_zero_linger(), server.set_zero_linger()));
    }
}

/// Passes bytes on until one side ends, or bytes were lost and others are not to be.
async fn pump(
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    way: Way,
    mut weather: watch::Receiver<Weather>,
    lost: &Mutex<Vec<u8>>,
) -> End {
    let mut buffer = vec![0; CHUNK];
    let mut has_lost = false;
    loop {
        let flow = weather.borrow_and_update().flow(way);
        if has_lost && matches!(flow, Flow::Pass | Flow::Trickle(_)) {
            return End::Reset;
        }
        let most = if let Flow::Trickle(bytes) = flow { (bytes / PORTIONS).clamp(1, CHUNK) } else { CHUNK };
        let read = tokio::select! {
            read = from.read(&mut buffer[..most]) => read,
            _ = weather.changed() => continue,
        };
        let Some(bytes) = read.ok().filter(|read| *read > 0).map(|read| &buffer[..read]) else { return End::Close };
        // What the weather has become since the read began counts.
        let flow = weather.borrow().flow(way);
        let (passed, gone) = bytes.split_at(if has_lost { 0 } else { passing(bytes, flow) });
        if !gone.is_empty() {
            has_lost = true;
            lost.lock().expect("nobody panics with it").extend_from_slice(gone);
        }
        if pass(to, passed, flow).await.is_err() {
            return End::Close;
        }
    }
}

/// How many of these bytes pass.
fn passing(bytes: &[u8], flow: Flow) -> usize {
    match flow {
        Flow::Pass | Flow::Trickle(_) => bytes.len(),
        Flow::Lose => 0,
        Flow::LoseFrom(these) => position(bytes, these).unwrap_or(bytes.len()),
    }
}

fn position(bytes: &[u8], these: &[u8]) -> Option<usize> {
    bytes.windows(these.len()).position(|window| window == these)
}

async fn pass(to: &mut WriteHalf<'_>, bytes: &[u8], flow: Flow) -> io::Result<()> {
    to.write_all(bytes).await?;
    if let Flow::Trickle(rate) = flow {
        tokio::time::sleep(Duration::from_secs_f64(bytes.len() as f64 / rate as f64)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::support::eventually;

    const LIMIT: Duration = Duration::from_secs(10);

    /// A server that sends back what it gets, and a client of it through a proxy.
    async fn echo() -> (ChaosProxy, TcpStream, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = ChaosProxy::before(listener.local_addr().unwrap().to_string()).await;
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                open.spawn(async move {
                    let (mut from, mut to) = stream.split();
                    drop(tokio::io::copy(&mut from, &mut to).await);
                });
            }
        });
        let client = TcpStream::connect(proxy.address).await.unwrap();
        (proxy, client, server)
    }

    async fn says_back(client: &mut TcpStream, word: &[u8]) -> io::Result<Vec<u8>> {
        client.write_all(word).await?;
        let mut heard = vec![0; word.len()];
        tokio::time::timeout(LIMIT, client.read_exact(&mut heard)).await??;
        Ok(heard)
    }

    #[tokio::test]
    async fn what_is_sent_arrives_until_the_connection_is_cut() {
        let (proxy, mut client, _server) = echo().await;
        assert_eq!(says_back(&mut client, b"hello").await.unwrap(), b"hello");
        proxy.cut();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "the end is in order");
        let mut other = TcpStream::connect(proxy.address).await.unwrap();
        assert_eq!(says_back(&mut other, b"again").await.unwrap(), b"again");
    }

    #[tokio::test]
    async fn a_reset_is_no_end_in_order() {
        let (proxy, mut client, _server) = echo().await;
        assert_eq!(says_back(&mut client, b"hello").await.unwrap(), b"hello");
        proxy.shut();
        assert_eq!(client.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let mut other = TcpStream::connect(proxy.address).await.unwrap();
        assert!(says_back(&mut other, b"hello").await.is_err());
        assert_eq!(proxy.turned_away(), 1);
        proxy.open();
        let mut other = TcpStream::connect(proxy.address).await.unwrap();
        assert_eq!(says_back(&mut other, b"hello").await.unwrap(), b"hello");
    }

    #[tokio::test]
    async fn lost_bytes_are_known_and_the_connection_does_not_outlive_them() {
        let (proxy, mut client, _server) = echo().await;
        assert_eq!(says_back(&mut client, b"hello").await.unwrap(), b"hello");
        proxy.lose(&[Way::Up]);
        client.write_all(b"lost").await.unwrap();
        eventually(LIMIT, "the bytes are lost", async || proxy.has_lost(b"lost")).await;
        assert!(!proxy.has_lost(b"hello"));
        client.write_all(b", lost and lost").await.unwrap();
        eventually(LIMIT, "each time is counted", async || proxy.times_lost(b"lost") == 3).await;
        proxy.heal();
        assert_eq!(client.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn what_goes_before_certain_bytes_arrives_and_nothing_after_them() {
        let (proxy, mut client, _server) = echo().await;
        proxy.lose_from(b"lost");
        assert_eq!(says_back(&mut client, b"hello").await.unwrap(), b"hello");
        client.write_all(b"not lost yet").await.unwrap();
        let mut heard = [0; 4];
        client.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"not ");
        client.write_all(b"gone too").await.unwrap();
        eventually(LIMIT, "the rest is lost", async || proxy.has_lost(b"lost yetgone too")).await;
    }

    #[tokio::test]
    async fn a_trickle_takes_its_time() {
        let (proxy, mut client, _server) = echo().await;
        proxy.trickle(5_000);
        let began = Instant::now();
        assert_eq!(says_back(&mut client, &[7; 1_000]).await.unwrap(), [7; 1_000]);
        assert!(began.elapsed() > Duration::from_millis(150), "{:?}", began.elapsed());
        proxy.heal();
        assert_eq!(says_back(&mut client, b"quick").await.unwrap(), b"quick");
    }
}
