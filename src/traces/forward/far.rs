//! The far end, asked over HTTP, and over TLS where its address says so.
//!
//! A client of its own and not the one that others share: what that one would need for TLS is decided once for all of a program.

use std::{fs, io, path::Path, path::PathBuf, time::Duration};

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri,
    header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT},
    uri::InvalidUri,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use percent_encoding::percent_decode_str;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem, pem::PemObject},
};

use crate::{
    config::{ForwardConfig, ForwardUrl},
    errors,
    traces::otlp::{self, Signal},
};

/// How long one request may take, its answer included.
const LIMIT: Duration = Duration::from_secs(10);

/// Bytes of an answer that are read: it says in a sentence what was not taken.
const ANSWER_MOST: usize = 64 * 1_024;

/// The longest wait that a far end may ask for: what waits meanwhile takes room.
pub(super) const RETRY_AFTER_MOST: Duration = Duration::from_secs(30);

/// Traces cannot go on to where they should.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// A header is none. What it says is not repeated: it may be secret.
    #[error("header {0} for traces that go on (--otlp-forward-headers, or its file) is not of the form name=value")]
    Header(usize),
    /// The file of headers cannot be read.
    #[error("reading the headers for traces that go on from {path}", path = .0.display())]
    HeadersFile(PathBuf, #[source] io::Error),
    /// The address cannot be asked for.
    #[error("the address of --otlp-forward")]
    Address(#[source] InvalidUri),
    /// The certificates cannot be read.
    #[error("reading certificates from {path} for --otlp-forward-ca", path = .0.display())]
    Ca(PathBuf, #[source] pem::Error),
    /// There are no certificates to hold the far end's against.
    #[error("{0} for --otlp-forward: name a file of certificates (PEM) with --otlp-forward-ca")]
    NoRoots(String),
    /// TLS cannot be set up.
    #[error("setting up TLS for --otlp-forward")]
    Tls(#[source] rustls::Error),
}

/// The far end; clones ask over the same connections.
#[derive(Debug, Clone)]
pub(super) struct Far {
    spans: Uri,
    logs: Uri,
    headers: HeaderMap,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// A request was not taken.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) why: String,
    /// It may be taken later.
    pub(super) is_transient: bool,
    /// It answers, and takes nothing of this signal at all.
    pub(super) takes_none: bool,
    /// How long to wait before that, where the far end said so.
    pub(super) after: Option<Duration>,
}

impl Far {
    /// What is asked at the address of `config`.
    pub(super) fn new(to: &ForwardUrl, config: &ForwardConfig) -> Result<Self, ForwardError> {
        let address = |url: &str| url.parse::<Uri>().map_err(ForwardError::Address);
        let (spans, logs) = (address(to.url().as_str())?, address(to.logs().as_str())?);
        let is_secure = spans.scheme_str() == Some("https");
        let roots = if is_secure { roots(config.otlp_forward_ca.as_deref())? } else { RootCertStore::empty() };
        let tls = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(ForwardError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { spans, logs, headers: sent_along(config)?, client })
    }

    /// Where what is of a signal goes.
    pub(super) fn to(&self, signal: Signal) -> &Uri {
        match signal {
            Signal::Traces => &self.spans,
            Signal::Logs => &self.logs,
        }
    }

    /// Sends a request; says how many spans of it, or entries of logs, were not taken there although it was.
    pub(super) async fn post(&self, signal: Signal, body: Bytes, kind: &'static str) -> Result<u64, Refusal> {
        let refused =
            |why: String| Refusal { why: errors::brief(why), is_transient: true, takes_none: false, after: None };
        let silent = |_| refused(format!("it did not answer within {} s", LIMIT.as_secs()));
        let mut request = Request::post(self.to(signal).clone())
            .body(Full::new(body))
            .map_err(|error| Refusal { is_transient: false, ..refused(error.to_string()) })?;
        request.headers_mut().extend(self.headers.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let asked = async {
            let answer = self.client.request(request).await;
            let answer =
                answer.map_err(|error| refused(format!("it does not answer: {}", errors::innermost(&error))))?;
            if !answer.status().is_success() {
                return Err(Refusal::of(&answer, signal));
            }
            let is_json =
                answer.headers().get(CONTENT_TYPE).is_some_and(|said| said.as_bytes().starts_with(b"application/json"));
            // What it says is told, and nothing hangs on it.
            let said = Limited::new(answer.into_body(), ANSWER_MOST).collect().await;
            Ok(said.map_or(0, |said| otlp::rejected(&said.to_bytes(), is_json, signal)))
        };
        tokio::time::timeout(LIMIT, asked).await.map_err(silent)?
    }
}

impl Refusal {
    /// Convention: the answers of OTLP over HTTP that one tries again after, and `Retry-After` in seconds.
    fn of<B>(answer: &Response<B>, signal: Signal) -> Self {
        let status = answer.status();
        let again = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
        ];
        // Whoever keeps traces alone has no such path; where it says so of traces, the address is wrong.
        let none = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED];
        let takes_none = signal == Signal::Logs && none.contains(&status);
        let hint = match status {
            _ if takes_none => ": it takes traces alone, as a Jaeger does",
            StatusCode::NOT_FOUND => ": is it an address that takes OTLP over HTTP?",
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ": --otlp-forward-headers may have to hold a login",
            status if status.is_redirection() => ": give the address that it leads to",
            _ => "",
        };
        let after = answer.headers().get(RETRY_AFTER).and_then(|said| said.to_str().ok()?.trim().parse().ok());
        Self {
            why: format!("it answers {status}{hint}"),
            is_transient: again.contains(&status),
            takes_none,
            after: after.map(|seconds: u64| Duration::from_secs(seconds).min(RETRY_AFTER_MOST)),
        }
    }
}

/// The certificates that the far end's is held against: those of a file, or of the system.
fn roots(file: Option<&Path>) -> Result<RootCertStore, ForwardError> {
    let mut roots = RootCertStore::empty();
    let Some(file) = file else {
        let found = rustls_native_certs::load_native_certs();
        if roots.add_parsable_certificates(found.certs).0 == 0 {
            return Err(ForwardError::NoRoots("this system has no certificates that can be read".to_owned()));
        }
        return Ok(roots);
    };
    let wrong = |error| ForwardError::Ca(file.to_owned(), error);
    for certificate in CertificateDer::pem_file_iter(file).map_err(wrong)? {
        roots.add(certificate.map_err(wrong)?).map_err(ForwardError::Tls)?;
    }
    if roots.is_empty() {
        return Err(ForwardError::NoRoots(format!("{} holds no certificate", file.display())));
    }
    Ok(roots)
}

/// The headers of every request.
fn sent_along(config: &ForwardConfig) -> Result<HeaderMap, ForwardError> {
    let mut all = match (&config.otlp_forward_headers, &config.otlp_forward_headers_file) {
        (Some(pairs), _) => headers(pairs.reveal())?,
        (None, Some(file)) => {
            let pairs = fs::read_to_string(file).map_err(|error| ForwardError::HeadersFile(file.clone(), error))?;
            // One a line is easier to write.
            headers(&pairs.trim().replace('\n', ","))?
        }
        (None, None) => HeaderMap::new(),
    };
    all.insert(USER_AGENT, HeaderValue::from_static(concat!("streamgauge/", env!("CARGO_PKG_VERSION"))));
    Ok(all)
}

/// Reads `name=value,name=value` with values in percent encoding.
///
/// Convention: `OTEL_EXPORTER_OTLP_HEADERS`.
fn headers(pairs: &str) -> Result<HeaderMap, ForwardError> {
    let read = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value: Vec<u8> = percent_decode_str(value.trim()).collect();
        let mut value = HeaderValue::from_bytes(&value).ok()?;
        value.set_sensitive(true);
        Some((name.trim().parse::<HeaderName>().ok()?, value))
    };
    let pairs = pairs.split(',').enumerate();
    pairs.map(|(index, pair)| read(pair).ok_or(ForwardError::Header(index + 1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_the_sdk_reads_them() {
        let read = headers("authorization=Bearer%20a%3Db, x-scope = 1").unwrap();
        assert_eq!(read["authorization"], "Bearer a=b");
        assert_eq!(read["x-scope"], "1");
        for (pairs, wrong) in [("a", 1), ("a=1,b", 2), ("a b=1", 1), ("a=%0A", 1)] {
            let error = headers(pairs).unwrap_err();
            assert!(matches!(error, ForwardError::Header(index) if index == wrong), "{pairs}: {error}");
        }
    }

    #[test]
    fn a_wait_that_is_asked_for_is_kept_within_reason() {
        let check = |said: &str, seconds: Option<u64>| {
            let answer = Response::builder().status(429).header(RETRY_AFTER, said).body(()).unwrap();
            let refusal = Refusal::of(&answer, Signal::Logs);
            assert!(refusal.is_transient && !refusal.takes_none);
            assert_eq!(refusal.after, seconds.map(Duration::from_secs), "{said}");
        };
        check("7", Some(7));
        check(" 0 ", Some(0));
        check("86400", Some(30));
        for odd in ["-1", "soon", "99999999999999999999", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            check(odd, None);
        }
    }

    #[test]
    fn one_that_has_no_logs_is_told_from_an_address_that_is_wrong() {
        let check = |status: u16, signal, takes_none: bool, hint: &str| {
            let answer = Response::builder().status(status).body(()).unwrap();
            let refusal = Refusal::of(&answer, signal);
            assert_eq!((refusal.takes_none, refusal.is_transient), (takes_none, false), "{status} {signal:?}");
            assert!(refusal.why.contains(hint), "{}", refusal.why);
        };
        for status in [404, 405, 501] {
            check(status, Signal::Logs, true, "takes traces alone");
        }
        check(404, Signal::Traces, false, "takes OTLP over HTTP");
        check(501, Signal::Traces, false, "501");
        check(401, Signal::Logs, false, "--otlp-forward-headers");
        check(400, Signal::Logs, false, "400");
    }
}
