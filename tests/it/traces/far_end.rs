//! The far end of traces that go on: over TLS, with a login from a file, one that takes a part, and one that asks to wait.

use std::{
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::collector::{
    logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse},
    trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse},
};
use prost::Message;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use streamgauge::{
    config::ForwardConfig,
    traces::forward::{self, ForwardError},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{
    forward::{Passing, spans},
    logs::{entry, logs},
};

const LIMIT: Duration = Duration::from_secs(20);

/// An answer as it stands on the wire.
fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

type Answers = std::iter::Peekable<std::vec::IntoIter<Vec<u8>>>;

fn next_of(answers: &mut Answers) -> Vec<u8> {
    let answer = if answers.len() > 1 { answers.next() } else { answers.peek().cloned() };
    answer.expect("there is one at least")
}

/// Answers requests, each with the next of its answers and then with the last again; tells the head of each, and when.
struct Server {
    address: SocketAddr,
    heads: mpsc::UnboundedReceiver<(Instant, String)>,
    _serving: JoinSet<()>,
}

impl Server {
    async fn start(tls: Option<ServerConfig>, answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, heads) = mpsc::unbounded_channel();
        let acceptor = tls.map(|tls| TlsAcceptor::from(Arc::new(tls)));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let answers = Arc::new(Mutex::new(answers.into_iter().peekable()));
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answers, sender) = (acceptor.clone(), answers.clone(), sender.clone());
                open.spawn(async move {
                    let Some(acceptor) = acceptor else { return serve(stream, &answers, &sender).await };
                    // Who does not trust us breaks off.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, &answers, &sender).await;
                    }
                });
            }
        });
        Self { address, heads, _serving: serving }
    }

    async fn next(&mut self) -> (Instant, String) {
        tokio::time::timeout(LIMIT, self.heads.recv()).await.expect("something goes on in time").unwrap()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    answers: &Mutex<Answers>,
    heads: &mpsc::UnboundedSender<(Instant, String)>,
) {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4_096];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return,
            Ok(length) => bytes.extend_from_slice(&part[..length]),
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if bytes.len() < end + 4 + length.unwrap() {
            continue;
        }
        bytes.drain(..end + 4 + length.unwrap());
        heads.send((Instant::now(), head)).unwrap();
        let answer = next_of(&mut answers.lock().unwrap());
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// A certificate for this machine, and the file of whoever signed it.
fn certified(folder: &TempDir) -> (ServerConfig, std::path::PathBuf) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, authority.pem()).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (config, file)
}

fn to(address: &str) -> ForwardConfig {
    ForwardConfig { otlp_forward: Some(address.parse().unwrap()), ..ForwardConfig::default() }
}

#[tokio::test]
async fn traces_go_on_over_tls_with_a_login_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, ca) = certified(&folder);
    let headers = folder.path().join("headers");
    fs::write(&headers, "authorization=Bearer%20hush\nx-scope=1\n").unwrap();
    let mut server = Server::start(Some(tls), vec![answer("200 OK", "", b"")]).await;
    let config = ForwardConfig {
        otlp_forward_ca: Some(ca),
        otlp_forward_headers_file: Some(headers),
        ..to(&format!("https://{}/otlp", server.address))
    };
    let passing = Passing::by(&config);
    passing.taking.send(&spans(3)).await;
    let (_, head) = server.next().await;
    assert!(head.starts_with("post /otlp/v1/traces http/1.1"), "{head}");
    assert!(head.contains("authorization: bearer hush") && head.contains("x-scope: 1"), "{head}");
    assert!(
        head.contains("content-type: application/x-protobuf") && head.contains("user-agent: streamgauge/"),
        "{head}"
    );
    let state = passing.until("they are counted", |state| state.taken == 3).await;
    assert_eq!((state.trouble, state.rejected), (None, 0));
}

#[tokio::test]
async fn one_whose_certificate_nobody_vouches_for_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ((tls, _), (_, another)) = (certified(&folder), certified(&folder));
    let mut server = Server::start(Some(tls), vec![answer("200 OK", "", b"")]).await;
    let config = ForwardConfig { otlp_forward_ca: Some(another), ..to(&format!("https://{}", server.address)) };
    let passing = Passing::by(&config);
    passing.taking.send(&spans(1)).await;
    let state = passing.until("the trouble is told", |state| state.trouble.is_some()).await;
    let trouble = state.trouble.unwrap();
    assert!(trouble.contains("certificate"), "{trouble}");
    assert!(server.heads.try_recv().is_err(), "nothing is said before it is known to whom");
}

#[tokio::test]
async fn what_is_taken_in_part_is_counted_in_both_forms() {
    let partial = ExportTracePartialSuccess { rejected_spans: 2, error_message: "too old".to_owned() };
    let protobuf = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let json = br#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"x"}}"#;
    let odd = br#"{"partialSuccess":7}"#;
    let answers = vec![
        answer("200 OK", "content-type: application/x-protobuf\r\n", &protobuf),
        answer("200 OK", "content-type: application/json\r\n", json),
        answer("200 OK", "content-type: application/json\r\n", odd),
        answer("200 OK", "content-type: application/x-protobuf\r\n", b"\x0a\xff\xff"),
    ];
    let mut server = Server::start(None, answers).await;
    let passing = Passing::by(&to(&format!("http://{}", server.address)));
    for (sent, expected) in [(5, (3, 2)), (10, (7, 3)), (15, (12, 3)), (20, (17, 3))] {
        passing.taking.send(&spans(5)).await;
        server.next().await;
        let state = passing.until("they are counted", |state| state.taken + state.rejected == sent).await;
        assert_eq!((state.taken, state.rejected), expected);
    }
}

#[tokio::test]
async fn logs_that_are_taken_in_part_are_counted_in_both_forms() {
    let partial = ExportLogsPartialSuccess { rejected_log_records: 2, error_message: "too old".to_owned() };
    let protobuf = ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let json = br#"{"partialSuccess":{"rejectedLogRecords":"1","rejectedSpans":"3"}}"#;
    let answers = vec![
        answer("200 OK", "content-type: application/x-protobuf\r\n", &protobuf),
        answer("200 OK", "content-type: application/json\r\n", json),
    ];
    let mut server = Server::start(None, answers).await;
    let passing = Passing::by(&to(&format!("http://{}/otlp/v1/traces", server.address)));
    for (sent, expected) in [(5, (3, 2)), (10, (7, 3))] {
        let entries = (0..5).map(|number| entry(1, number, 9, "said")).collect();
        passing.taking.send_logs(&logs("a", entries)).await;
        let (_, head) = server.next().await;
        assert!(head.starts_with("post /otlp/v1/logs http/1.1"), "{head}");
        let state = passing.until_logs("they are counted", |state| state.taken + state.rejected == sent).await;
        assert_eq!((state.taken, state.rejected), expected);
    }
}

#[tokio::test]
async fn one_that_asks_to_wait_is_waited_for_by_all() {
    let wait = answer("429 Too Many Requests", "retry-after: 2\r\n", b"");
    let mut server = Server::start(None, vec![wait, answer("200 OK", "", b"")]).await;
    let passing = Passing::by(&to(&format!("http://{}", server.address)));
    passing.taking.send(&spans(1)).await;
    let (first, _) = server.next().await;
    passing.until("it asks to wait", |state| state.trouble.is_some()).await;
    passing.taking.send(&spans(1)).await;
    for _ in 0..2 {
        let waited = server.next().await.0 - first;
        assert!(waited >= Duration::from_millis(1_990), "{waited:?}");
    }
    passing.until("both are taken", |state| state.taken == 2).await;
}

#[test]
fn what_cannot_be_read_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        Some(file)
    };
    let refused = |config: ForwardConfig| forward::forwarder(&config).unwrap_err();
    let ca = |file| refused(ForwardConfig { otlp_forward_ca: file, ..to("https://a") });
    assert!(matches!(ca(file("empty.pem", "")), ForwardError::NoRoots(_)));
    assert!(matches!(ca(Some("/nowhere/ca.pem".into())), ForwardError::Ca(..)));
    let headers = |file| refused(ForwardConfig { otlp_forward_headers_file: file, ..to("http://a") });
    assert!(matches!(headers(Some("/nowhere/headers".into())), ForwardError::HeadersFile(..)));
    let error = headers(file("headers", "a=1\nhush\n"));
    assert!(matches!(error, ForwardError::Header(2)) && !error.to_string().contains("hush"), "{error}");
}
