//! Who we are to a server, put together from flags, environment and a context of the `nats` command line.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use async_nats::{ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use url::Url;

use super::{ConnectError, context::Context};
use crate::config::NatsConfig;

/// Where a server is looked for when nothing says otherwise.
const DEFAULT_URL: &str = "nats://127.0.0.1:4222";

/// Everything that a connection needs, secrets included; its debug form shows none.
#[derive(Clone, Default)]
pub struct Login {
    urls: Vec<String>,
    user: Option<String>,
    password: Option<String>,
    token: Option<String>,
    creds: Option<PathBuf>,
    nkey: Option<PathBuf>,
    ca: Option<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
    inbox_prefix: Option<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("urls", &self.shown_url())
            .field("user", &self.shown_user())
            .finish_non_exhaustive()
    }
}

impl Login {
    /// Puts the login together; a flag wins over the context.
    ///
    /// # Errors
    /// When the context's file cannot be read.
    pub fn read(config: &NatsConfig) -> Result<Self, ConnectError> {
        let context = match &config.context {
            Some(name) => Context::read(name)?,
            None => Context::default(),
        };
        Ok(Self::merge(config.clone(), context))
    }

    /// A flag that says who we are replaces all that the address or the context says of that, so that no half of one login meets half of
    /// another. The client itself ignores what an address says before its `@`.
    fn merge(config: NatsConfig, context: Context) -> Self {
        let flags_say_who = config.user.is_some() || config.creds.is_some() || config.nkey.is_some();
        let urls = config.url.or(context.url.clone()).unwrap_or_else(|| DEFAULT_URL.to_owned());
        let urls: Vec<String> = urls.split(',').map(|url| url.trim().to_owned()).collect();
        let who = match urls.iter().find_map(|url| who_in(url)) {
            _ if flags_say_who => Context::default(),
            Some(who) => who,
            None => context.clone(),
        };
        Self {
            urls: urls.iter().map(|url| without_secrets(url)).collect(),
            user: config.user.or(who.user),
            password: config.password.or(who.password),
            token: who.token,
            creds: config.creds.or(who.creds),
            nkey: config.nkey.or(who.nkey),
            ca: config.tls_ca.or(context.ca),
            certificate: config.tls_cert.zip(config.tls_key).or(context.cert.zip(context.key)),
            inbox_prefix: config.inbox_prefix.or(who.inbox_prefix),
        }
    }

    /// `other` with these servers, and with what they are known by, where neither it nor its context says an address.
    ///
    /// # Errors
    /// When the context's file cannot be read.
    pub fn lend_servers(&self, other: NatsConfig) -> Result<NatsConfig, ConnectError> {
        let context = other.context.as_deref().map(Context::read).transpose()?;
        if other.url.is_some() || context.is_some_and(|context| context.url.is_some()) {
            return Ok(other);
        }
        let (certificate, key) = self.certificate.clone().unzip();
        Ok(NatsConfig {
            url: Some(self.shown_url()),
            tls_ca: other.tls_ca.or(self.ca.clone()),
            tls_cert: other.tls_cert.or(certificate),
            tls_key: other.tls_key.or(key),
            ..other
        })
    }

    /// The servers, secrets taken out.
    pub fn shown_url(&self) -> String {
        self.urls.join(",")
    }

    /// The user's name, or what stands for one.
    pub fn shown_user(&self) -> Option<String> {
        let file = |path: &PathBuf| path.display().to_string();
        self.user
            .clone()
            .or_else(|| self.creds.as_ref().or(self.nkey.as_ref()).map(file))
            .or_else(|| self.token.is_some().then(|| "a token".to_owned()))
    }

    /// The servers as the client wants them.
    pub(super) fn addresses(&self) -> Result<Vec<ServerAddr>, ConnectError> {
        let parse = |url: &String| url.parse().map_err(|_| ConnectError::Address { url: url.clone() });
        self.urls.iter().map(parse).collect()
    }

    /// The client's options that follow from the login.
    pub(super) fn options(&self) -> Result<ConnectOptions, ConnectError> {
        let mut options = self.authenticated(ConnectOptions::new())?;
        if let Some(prefix) = &self.inbox_prefix {
            options = options.custom_inbox_prefix(prefix);
        }
        if let Some(ca) = &self.ca {
            options = options.add_root_certificates(existing("the certificate authority", ca)?);
        }
        if let Some((certificate, key)) = &self.certificate {
            let certificate = existing("the client certificate", certificate)?;
            options = options.add_client_certificate(certificate, existing("the client key", key)?);
        }
        Ok(options)
    }

    fn authenticated(&self, mut options: ConnectOptions) -> Result<ConnectOptions, ConnectError> {
        if let Some(path) = &self.creds {
            const WHAT: &str = "the credentials file";
            let text = read(WHAT, path)?;
            options = options.credentials(&text).map_err(|source| ConnectError::File {
                what: WHAT,
                path: path.clone(),
                source,
            })?;
        }
        if let Some(path) = &self.nkey {
            options = options.nkey(read("the nkey seed", path)?.trim().to_owned());
        }
        if let Some(token) = &self.token {
            options = options.token(token.clone());
        }
        if let Some(user) = &self.user {
            options = options.user_and_password(user.clone(), self.password.clone().unwrap_or_default());
        }
        Ok(options)
    }
}

fn read(what: &'static str, path: &Path) -> Result<String, ConnectError> {
    fs::read_to_string(path).map_err(|source| ConnectError::File { what, path: path.to_owned(), source })
}

fn existing(what: &'static str, path: &Path) -> Result<PathBuf, ConnectError> {
    match fs::File::open(path) {
        Ok(_) => Ok(path.to_owned()),
        Err(source) => Err(ConnectError::File { what, path: path.to_owned(), source }),
    }
}

/// A text that does not parse as an address is cut after its last `@`: what stands before may be a password.
fn without_secrets(url: &str) -> String {
    match Url::parse(url) {
        Ok(parsed) if parsed.has_host() => {
            let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
            format!("{}://{}{port}", parsed.scheme(), parsed.host_str().unwrap_or_default())
        }
        _ => url.rsplit('@').next().unwrap_or_default().to_owned(),
    }
}

/// What an address says before its `@`: a user and a password, or a token alone.
fn who_in(url: &str) -> Option<Context> {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let (said, _) = rest.rsplit_once('@')?;
    let text = |text: &str| Some(percent_decode_str(text).decode_utf8_lossy().into_owned());
    Some(match said.split_once(':') {
        Some((user, password)) => Context { user: text(user), password: text(password), ..Context::default() },
        None => Context { token: text(said), ..Context::default() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_shown(url: &str, expected: &str) {
        let config = NatsConfig { url: Some(url.to_owned()), ..NatsConfig::default() };
        let login = Login::merge(config, Context::default());
        assert_eq!(login.shown_url(), expected);
        assert!(!format!("{login:?}").contains("s3cret"));
    }

    #[test]
    fn no_secret_of_an_address_is_shown() {
        check_shown("nats://a:4222", "nats://a:4222");
        check_shown("nats://ada:s3cret@a:4222", "nats://a:4222");
        check_shown("ada:s3cret@a", "a");
        check_shown("nats://s3cret@a, nats://b", "nats://a,nats://b");
        check_shown("tls://[::1]:4222", "tls://[::1]:4222");
    }

    fn check_who(url: &str, user: Option<&str>, password: Option<&str>, token: Option<&str>) {
        let config = NatsConfig { url: Some(url.to_owned()), ..NatsConfig::default() };
        let login = Login::merge(config, Context::default());
        assert_eq!(
            (login.user.as_deref(), login.password.as_deref(), login.token.as_deref()),
            (user, password, token),
            "{url}"
        );
    }

    #[test]
    fn an_address_may_say_who_we_are() {
        check_who("nats://a:4222", None, None, None);
        check_who("nats://ada:word@a:4222", Some("ada"), Some("word"), None);
        check_who("nats://a,nats://ada:p%40ss%3A@b", Some("ada"), Some("p@ss:"), None);
        check_who("t0ken@a", None, None, Some("t0ken"));
        check_who("nats://ada:100%@a", Some("ada"), Some("100%"), None);
    }

    #[test]
    fn a_login_given_by_flags_takes_nothing_from_the_contexts_login() {
        let context = Context {
            url: Some("nats://c:4222".into()),
            user: Some("ctx".into()),
            password: Some("s3cret".into()),
            ..Context::default()
        };
        let by_context = Login::merge(NatsConfig::default(), context.clone());
        assert_eq!(
            (by_context.shown_user().as_deref(), by_context.shown_url().as_str()),
            (Some("ctx"), "nats://c:4222")
        );
        let flags = NatsConfig { creds: Some("a.creds".into()), ..NatsConfig::default() };
        let by_flags = Login::merge(flags, context);
        assert_eq!(by_flags.shown_user().as_deref(), Some("a.creds"));
        assert_eq!((by_flags.user, by_flags.password), (None, None));
    }
}
