//! Every way to say who we are, against a server that wants it.

use std::{fs, path::PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use streamgauge::{
    clock::Clock,
    config::NatsConfig,
    nats::{self, ConnectError},
};
use tempfile::TempDir;

use crate::support::{nats_server::NatsServer, process::streamgauge};

async fn login(server: &NatsServer, config: NatsConfig) -> Result<(), ConnectError> {
    let url = config.url.clone().or_else(|| Some(server.url()));
    let connection = nats::connect(&NatsConfig { url, nats_wait: 5, ..config }, "test", &Clock::system()).await?;
    nats::require_jetstream(&connection).await
}

fn written(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn a_user_and_password_by_flags_or_within_the_address() {
    let server = NatsServer::start_configured("authorization { user: ada, password: word }\njetstream {}").await;
    let flags = |password: &str| NatsConfig {
        user: Some("ada".into()),
        password: Some(password.into()),
        ..NatsConfig::default()
    };
    login(&server, flags("word")).await.unwrap();
    assert!(matches!(login(&server, flags("guess")).await, Err(ConnectError::Refused { user, .. }) if user == "ada"));
    let within = |login: &str| NatsConfig {
        url: Some(server.url().replace("nats://", &format!("nats://{login}@"))),
        ..NatsConfig::default()
    };
    login(&server, within("ada:word")).await.unwrap();
    let refused = login(&server, within("ada:s3cret")).await.unwrap_err().to_string();
    assert!(refused.contains("ada") && !refused.contains("s3cret"), "{refused}");
    assert!(matches!(login(&server, NatsConfig::default()).await, Err(ConnectError::Refused { .. })));
}

#[tokio::test]
async fn a_refused_login_is_said_once_where_nobody_sits_at_a_terminal() {
    let server = NatsServer::start_configured("authorization { user: ada, password: word }\njetstream {}").await;
    let url = server.url().replace("nats://", "nats://ada:guess@");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--otlp", "off"];
    for command in [&["dlq", "list"][..], &["topology", "plan"], &["service", "pricing"], &serve] {
        let output = streamgauge(&[command, &["--nats", &url]].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(77), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("streamgauge: NATS at ") && said.contains("refuses the login of ada"), "{said}");
        let beside = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!beside.contains("pages"), "nobody is sent to pages that end: {beside}");
    }
    let asked = streamgauge(&["service", "pricing", "--nats", &url, "--log", "async_nats=error"]).output().unwrap();
    let said = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert_eq!(said.lines().count(), 2, "who asks for the client's own words gets them: {said}");
}

#[tokio::test]
async fn a_token_within_the_address() {
    let server = NatsServer::start_configured("authorization { token: t0ken }\njetstream {}").await;
    let url = Some(server.url().replace("nats://", "nats://t0ken@"));
    login(&server, NatsConfig { url, ..NatsConfig::default() }).await.unwrap();
}

#[tokio::test]
async fn an_nkey_from_its_file() {
    let key = nkeys::KeyPair::new_user();
    let config = format!("authorization {{ users: [ {{ nkey: {} }} ] }}\njetstream {{}}", key.public_key());
    let server = NatsServer::start_configured(&config).await;
    let folder = tempfile::tempdir().unwrap();
    let file = written(&folder, "user.nk", &format!("{}\n", key.seed().unwrap()));
    login(&server, NatsConfig { nkey: Some(file), ..NatsConfig::default() }).await.unwrap();
    let missing = folder.path().join("none.nk");
    let error = login(&server, NatsConfig { nkey: Some(missing), ..NatsConfig::default() }).await.unwrap_err();
    assert!(error.to_string().contains("none.nk"), "{error}");
}

#[tokio::test]
async fn tls_with_a_client_certificate_of_ones_own_authority() {
    let folder = tempfile::tempdir().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let ca = written(&folder, "ca.pem", &authority.pem());
    let pair = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let file = |ending: &str| format!("{name}.{ending}");
        (written(&folder, &file("pem"), &certificate.pem()), written(&folder, &file("key"), &key.serialize_pem()))
    };
    let (server_certificate, server_key) = pair("server");
    let (certificate, key) = pair("client");
    let config = format!(
        "tls {{ cert_file: {server_certificate:?}, key_file: {server_key:?}, ca_file: {ca:?}, verify: true }}\njetstream {{}}"
    );
    let server = NatsServer::start_configured(&config).await;
    let known =
        NatsConfig { tls_ca: Some(ca), tls_cert: Some(certificate), tls_key: Some(key), ..NatsConfig::default() };
    login(&server, known).await.unwrap();
    let unknown = NatsConfig { nats_wait: 0, ..NatsConfig::default() };
    assert!(login(&server, unknown).await.is_err(), "an authority that nobody vouches for is not trusted");
}

#[test]
fn a_context_of_the_nats_command_line_and_what_is_wrong_with_it() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("nats/context");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("broken.json"), "{").unwrap();
    for (name, says) in [("none", "none.json"), ("broken", "broken.json"), ("../x", "not a path")] {
        let mut command = streamgauge(&["serve", "--listen", "127.0.0.1:0", "--context", name]);
        let output = command.env("XDG_CONFIG_HOME", home.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains(says), "{said}");
    }
}
