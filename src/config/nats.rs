//! How to reach NATS and as whom.

use std::path::PathBuf;

/// See [`NatsConfig::nats_wait`].
const NATS_WAIT: u64 = 30;

/// How to reach NATS. The environment variables are those of the `nats` command line.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "NATS")]
pub struct NatsConfig {
    /// Servers, separated by commas [default: that of the context, else nats://127.0.0.1:4222]
    #[arg(long = "nats", env = "NATS_URL", value_name = "URL")]
    pub url: Option<String>,

    /// A context of the `nats` command line to take the connection's settings from; other flags win over it
    #[arg(long, env = "NATS_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,

    /// User name
    #[arg(long, env = "NATS_USER", value_name = "NAME")]
    pub user: Option<String>,

    /// Password; better given in the environment, where other users of the machine do not see it
    #[arg(long, env = "NATS_PASSWORD", value_name = "TEXT", hide_env_values = true)]
    pub password: Option<String>,

    /// Credentials file (JWT and key)
    #[arg(long, env = "NATS_CREDS", value_name = "FILE")]
    pub creds: Option<PathBuf>,

    /// File with the seed of an nkey
    #[arg(long, env = "NATS_NKEY", value_name = "FILE")]
    pub nkey: Option<PathBuf>,

    /// Certificate authority to trust beside the system's
    #[arg(long, env = "NATS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,

    /// Client certificate
    #[arg(long, env = "NATS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// Key of the client certificate
    #[arg(long, env = "NATS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Prefix of the inboxes that answers come to, for users who may subscribe to their own only
    #[arg(long, env = "NATS_INBOX_PREFIX", value_name = "PREFIX")]
    pub inbox_prefix: Option<String>,

    /// How long to keep trying while no server answers at start
    #[arg(long, env = "STREAMGAUGE_NATS_WAIT", value_name = "SECONDS", default_value_t = NATS_WAIT)]
    pub nats_wait: u64,
}

/// What the flags say where none is given.
impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            url: None,
            context: None,
            user: None,
            password: None,
            creds: None,
            nkey: None,
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            inbox_prefix: None,
            nats_wait: NATS_WAIT,
        }
    }
}

/// A user of the system account, who sees the servers and the counts of all accounts. The servers are those of `--nats`.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "NATS, system account")]
pub struct SystemConfig {
    /// A context of the `nats` command line
    #[arg(long, env = "NATS_SYSTEM_CONTEXT", value_name = "NAME")]
    pub system_context: Option<String>,

    /// User name
    #[arg(long, env = "NATS_SYSTEM_USER", value_name = "NAME")]
    pub system_user: Option<String>,

    /// Password
    #[arg(long, env = "NATS_SYSTEM_PASSWORD", value_name = "TEXT", hide_env_values = true)]
    pub system_password: Option<String>,

    /// Credentials file (JWT and key)
    #[arg(long, env = "NATS_SYSTEM_CREDS", value_name = "FILE")]
    pub system_creds: Option<PathBuf>,

    /// File with the seed of an nkey
    #[arg(long, env = "NATS_SYSTEM_NKEY", value_name = "FILE")]
    pub system_nkey: Option<PathBuf>,

    /// Prefix of the inboxes that answers come to
    #[arg(long, env = "NATS_SYSTEM_INBOX_PREFIX", value_name = "PREFIX")]
    pub system_inbox_prefix: Option<String>,
}

impl SystemConfig {
    /// The settings of the system connection, or `None` where no system user was given. What concerns the servers rather than the
    /// user (URL, TLS, patience) is taken from `app`.
    pub fn over(&self, app: &NatsConfig) -> Option<NatsConfig> {
        let given = [&self.system_context, &self.system_user].iter().any(|text| text.is_some())
            || [&self.system_creds, &self.system_nkey].iter().any(|file| file.is_some());
        given.then(|| NatsConfig {
            context: self.system_context.clone(),
            user: self.system_user.clone(),
            password: self.system_password.clone(),
            creds: self.system_creds.clone(),
            nkey: self.system_nkey.clone(),
            inbox_prefix: self.system_inbox_prefix.clone(),
            ..app.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_connection_borrows_the_servers_but_never_the_user() {
        let app = NatsConfig {
            url: Some("nats://a:4222".into()),
            user: Some("app".into()),
            inbox_prefix: Some("_INBOX_app".into()),
            ..NatsConfig::default()
        };
        assert!(SystemConfig::default().over(&app).is_none());
        let system = SystemConfig { system_user: Some("sys".into()), ..SystemConfig::default() }.over(&app).unwrap();
        assert_eq!(system.url.as_deref(), Some("nats://a:4222"));
        assert_eq!(system.user.as_deref(), Some("sys"));
        assert_eq!(system.inbox_prefix, None);
    }
}
