//! A real nats-server of a test's own: its own port and data, stopped, killed and started again as the test likes.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt, net::TcpStream};

use super::{eventually, port::ReservedPort, tool::on_path};

/// A start takes some 50 ms; this is for a machine that does much else.
const START_LIMIT: Duration = Duration::from_secs(20);

/// The server closes its streams before it ends.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A server that ends with its test. If the test fails, its log is printed.
#[derive(Debug)]
pub struct NatsServer {
    port: ReservedPort,
    folder: TempDir,
    config: Option<PathBuf>,
    environment: Vec<(String, String)>,
    running: Option<Child>,
}

impl NatsServer {
    /// Starts a server with JetStream and no login.
    pub async fn start() -> Self {
        Self::start_with(None, &[]).await
    }

    /// Starts a server with JetStream and no login that keeps its data below `folder`, and may keep more than there is room for.
    pub async fn start_in(folder: &Path) -> Self {
        let folder = tempfile::tempdir_in(folder).expect("the folder can be written");
        let file = folder.path().join("nats.conf");
        fs::write(&file, "jetstream { max_file_store: 4GB }").expect("a fresh folder can be written");
        Self::new(folder, Some(file), &[]).started().await
    }

    /// Starts a server with this configuration, which says neither port nor store folder.
    pub async fn start_configured(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("the folder for temporary files can be written");
        let file = folder.path().join("nats.conf");
        fs::write(&file, config).expect("a fresh folder can be written");
        Self::new(folder, Some(file), &[]).started().await
    }

    /// Starts a server with a configuration file, or with JetStream and no login if there is none; `environment` is what the
    /// file refers to by `$NAME`.
    pub async fn start_with(config: Option<&Path>, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("the folder for temporary files can be written");
        Self::new(folder, config.map(Path::to_owned), environment).started().await
    }

    fn new(folder: TempDir, config: Option<PathBuf>, environment: &[(&str, &str)]) -> Self {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { port: ReservedPort::new(), folder, config, environment, running: None }
    }

    async fn started(mut self) -> Self {
        self.start_again().await;
        self
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// The address that clients connect to.
    pub fn address(&self) -> String {
        self.port.address().to_string()
    }

    /// Starts the server after it was stopped or killed: same port, same data. Returns once it answers.
    pub async fn start_again(&mut self) {
        assert!(self.running.is_none(), "the server is running already");
        self.running = Some(self.command().spawn().expect("the server that was found can be run"));
        eventually(START_LIMIT, "nats-server greets clients", async || self.greets().await).await;
    }

    fn command(&self) -> Command {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_file()).expect("own folder");
        let mut command = Command::new(program());
        command.args(["--addr", "127.0.0.1", "--port", &self.port.number().to_string()]);
        command.arg("--store_dir").arg(self.store());
        match &self.config {
            Some(file) => command.arg("--config").arg(file),
            None => command.arg("--jetstream"),
        };
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command
    }

    /// The server speaks first on a new connection, and listens only when JetStream is ready.
    async fn greets(&mut self) -> Result<(), String> {
        let child = self.running.as_mut().expect("it was started");
        if let Some(status) = child.try_wait().expect("an own child can be asked") {
            panic!("nats-server ended at once ({status}):\n{}", self.log());
        }
        let mut stream = TcpStream::connect(self.port.address()).await.map_err(|error| error.to_string())?;
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).await.map_err(|error| error.to_string())?;
        if &greeting == b"INFO" { Ok(()) } else { Err(format!("greeted with {greeting:?}")) }
    }

    /// Stops the server in good order and returns when it has ended.
    pub async fn stop(&mut self) {
        self.signal(Signal::TERM);
        let mut child = self.running.take().expect("it was running");
        eventually(STOP_LIMIT, "nats-server ends", async || child.try_wait().expect("an own child can be asked")).await;
    }

    /// Ends the server as a crash would (kill -9) and returns when it has ended.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        let mut child = self.running.take().expect("it was running");
        child.wait().expect("an own child can be waited for");
    }

    /// Makes the server stand still with its connections open, until [`NatsServer::thaw`]. It stands still once this returns: the signal
    /// alone waits for one of its threads to get a processor, and the others answer meanwhile.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        waitid(WaitId::Pid(self.pid()), WaitIdOptions::STOPPED).expect("an own child can be waited for");
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("an own child can be signalled");
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.running.as_ref().expect("the server is running"))
    }

    /// What the server has logged since it was first started.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The folder that it keeps its data in; another server may have it once this one is stopped.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            _ = child.kill();
            _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("nats-server at {} logged:\n{}", self.url(), self.log());
        }
    }
}

/// The server that `make` names, else one on PATH, else the one that `make` has fetched.
pub fn program() -> PathBuf {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/nats-server");
    env::var_os("STREAMGAUGE_NATS_SERVER")
        .map(PathBuf::from)
        .or_else(|| on_path("nats-server"))
        .or_else(|| fetched.is_file().then_some(fetched))
        .expect("there is a nats-server: `make test` fetches one, `python3 tools/nats_server.py` does only that")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn connect(server: &NatsServer) -> async_nats::jetstream::Context {
        async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap())
    }

    async fn stored(server: &NatsServer) -> u64 {
        connect(server).await.get_stream("KEPT").await.unwrap().cached_info().state.messages
    }

    #[tokio::test]
    async fn data_outlives_a_stop_and_a_crash() {
        let mut server = NatsServer::start().await;
        let jetstream = connect(&server).await;
        let stream = async_nats::jetstream::stream::Config { name: "KEPT".into(), ..Default::default() };
        jetstream.create_stream(stream).await.unwrap();
        jetstream.publish("KEPT", "1".into()).await.unwrap().await.unwrap();

        server.stop().await;
        assert!(TcpStream::connect(server.port.address()).await.is_err());
        server.start_again().await;
        assert_eq!(stored(&server).await, 1);

        server.kill().await;
        server.start_again().await;
        assert_eq!(stored(&server).await, 1);
        assert_eq!(server.log().matches("Server is ready").count(), 3);
    }

    #[tokio::test]
    async fn a_configuration_takes_its_secrets_from_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("nats.conf");
        fs::write(&config, "authorization { user: ada, password: $SECRET }").unwrap();
        let server = NatsServer::start_with(Some(&config), &[("SECRET", "word")]).await;
        let login = |password: &str| async_nats::ConnectOptions::with_user_and_password("ada".into(), password.into());
        login("word").connect(server.url()).await.unwrap();
        assert!(login("guess").connect(server.url()).await.is_err());
    }

    #[tokio::test]
    #[should_panic(expected = "nats-server ended at once")]
    async fn a_configuration_that_is_wrong_fails_the_test_with_the_log() {
        NatsServer::start_configured("nonsense {").await;
    }

    #[tokio::test]
    async fn a_frozen_server_answers_when_it_is_thawed() {
        let server = NatsServer::start().await;
        server.freeze();
        let too_soon = tokio::time::timeout(Duration::from_millis(100), async_nats::connect(server.url())).await;
        assert!(too_soon.is_err());
        server.thaw();
        async_nats::connect(server.url()).await.unwrap();
    }
}
