//! The account that is watched: whose list of streams it is that a user sees.

use std::{sync::Arc, time::Duration};

use async_nats::Client;
use tokio::time::Instant;

use super::{
    ask::ask,
    wire::{UserAnswer, UserInfo},
};

/// What an account is called that does not say its name: the one that NATS has where nobody set up any.
const UNNAMED: &str = "$G";

/// How long nobody asks again who was not answered: our user may not be allowed to, and a question without an answer holds up its round.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// The account, as far as it is known.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: Arc<str>,
    /// Whether the server told the name. Otherwise it is that of the account that is there when nobody has set up any.
    pub(super) is_known: bool,
    asked: Option<Instant>,
}

impl Default for Account {
    fn default() -> Self {
        Self { name: UNNAMED.into(), is_known: false, asked: None }
    }
}

impl Account {
    /// Asks for the name if it is not known and it makes sense to ask.
    pub(super) async fn learn(&mut self, client: &Client) {
        if self.is_known || self.asked.is_some_and(|at| at.elapsed() < ASK_AGAIN) {
            return;
        }
        if let Ok(UserAnswer { data: UserInfo { account, account_name } }) =
            ask(client, "$SYS.REQ.USER.INFO", &"").await
        {
            self.name = account_name.filter(|name| !name.is_empty()).unwrap_or(account).into();
            self.is_known = true;
        }
        self.asked = Some(Instant::now());
    }
}
