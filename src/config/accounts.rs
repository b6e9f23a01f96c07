//! Users of further accounts that the observer watches.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr};

use super::NatsConfig;

/// Users of further accounts. The servers are those of `--nats`, and so is what concerns them, where nothing else is said.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "NATS, further accounts")]
pub struct AccountsConfig {
    /// A user of a further account to watch: a context of the `nats` command line, a credentials file (a path, or a name that ends in .creds), or an address with user and password (nats://user:password@host); one for each account, may be given more than once, several with commas
    #[arg(
        long = "account",
        env = "STREAMGAUGE_ACCOUNTS",
        value_name = "WHO",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub accounts: Vec<AccountUser>,
}

/// A user of an account. Any text is one, so that no message about a bad one repeats it: it may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub enum AccountUser {
    /// A context of the `nats` command line.
    Context(String),
    /// A credentials file.
    Creds(PathBuf),
    /// An address that says who we are before its `@`.
    Url(String),
}

impl FromStr for AccountUser {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let text = text.trim();
        Ok(if text.contains("://") || text.contains('@') {
            Self::Url(text.to_owned())
        } else if text.contains(['/', '\\']) || text.ends_with(".creds") {
            Self::Creds(text.into())
        } else {
            Self::Context(text.to_owned())
        })
    }
}

impl fmt::Debug for AccountUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Context(name) => f.debug_tuple("Context").field(name).finish(),
            Self::Creds(file) => f.debug_tuple("Creds").field(file).finish(),
            Self::Url(_) => f.write_str("Url(…)"),
        }
    }
}

impl AccountsConfig {
    /// The settings of each connection. What concerns the servers rather than the user (URL, TLS, inboxes, patience) is taken from
    /// `app`: an inbox of one account is none of another, so they may have the same prefix.
    pub fn over(&self, app: &NatsConfig) -> Vec<NatsConfig> {
        self.accounts.iter().map(|user| user.over(app)).collect()
    }
}

impl AccountUser {
    fn over(&self, app: &NatsConfig) -> NatsConfig {
        let nobody = NatsConfig { context: None, user: None, password: None, creds: None, nkey: None, ..app.clone() };
        match self {
            Self::Context(name) => NatsConfig { context: Some(name.clone()), ..nobody },
            Self::Creds(file) => NatsConfig { creds: Some(file.clone()), ..nobody },
            Self::Url(url) => NatsConfig { url: Some(url.clone()), ..nobody },
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        accounts: AccountsConfig,
    }

    #[test]
    fn a_user_is_a_context_a_file_or_an_address() {
        let check = |text: &str, expected: AccountUser| {
            let parsed = Command::parse_from(["test", "--account", text]).accounts.accounts;
            assert_eq!(parsed, [expected]);
        };
        check("orders", AccountUser::Context("orders".into()));
        check("orders.creds", AccountUser::Creds("orders.creds".into()));
        check("/etc/nats/orders", AccountUser::Creds("/etc/nats/orders".into()));
        check("nats://ada:word@a", AccountUser::Url("nats://ada:word@a".into()));
        check("ada:word@a", AccountUser::Url("ada:word@a".into()));
        let several = Command::parse_from(["test", "--account", "a,b.creds", "--account", "c"]).accounts;
        assert_eq!(several.accounts.len(), 3);
    }

    #[test]
    fn each_borrows_the_servers_and_never_the_user() {
        let app = NatsConfig {
            url: Some("nats://a:4222".into()),
            context: Some("prod".into()),
            user: Some("app".into()),
            password: Some("hush".into()),
            inbox_prefix: Some("_INBOX_observer".into()),
            ..NatsConfig::default()
        };
        let users = ["orders", "b.creds", "nats://ada:s3cret@b"].map(|text| text.parse().unwrap());
        let config = AccountsConfig { accounts: users.to_vec() };
        assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
        let all = config.over(&app);
        let urls: Vec<_> = all.iter().map(|one| one.url.as_deref().unwrap()).collect();
        assert_eq!(urls, ["nats://a:4222", "nats://a:4222", "nats://ada:s3cret@b"]);
        assert_eq!(all[0].context.as_deref(), Some("orders"));
        for one in all {
            assert_eq!((one.user, one.password), (None, None));
            assert_eq!(one.inbox_prefix.as_deref(), Some("_INBOX_observer"));
            assert_ne!(one.context.as_deref(), Some("prod"));
        }
    }
}
