//! The account that is watched: whose list of streams it is that a user sees, and what of its JetStream it has used.

use std::{sync::Arc, time::Duration};

use async_nats::Client;
use tokio::time::Instant;

use super::{
    AskError,
    ask::{Deadline, ask},
    wire::{AccountInfo, UserAnswer, UserInfo},
};
use crate::{
    clock::Clock,
    snapshot::{AccountUse, Reading, Why},
};

/// What an account is called that does not say its name: the one that NATS has where nobody set up any.
const UNNAMED: &str = "$G";

/// How long nobody asks again who was not answered: our user may not be allowed to, and a question without an answer holds up its round.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// How often it is asked what the account has used: that changes slowly against its limits.
const USE_EVERY: Duration = Duration::from_secs(30);

const UNANSWERED: &str = "`$JS.API.INFO` was not answered: NATS is busy, or our user may not ask that";

/// How long a round waits for that. The server that leads the others answers at once, and who may not ask is not answered at all.
const USE_LIMIT: Duration = Duration::from_secs(2);

/// The account, as far as it is known.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: Arc<str>,
    /// Whether the server told the name. Otherwise it is that of the account that is there when nobody has set up any.
    pub(super) is_known: bool,
    asked: Option<Instant>,
    used: Option<Used>,
}

/// What it has used, and when that is asked for again.
#[derive(Debug)]
struct Used {
    reading: Reading<AccountUse>,
    again: Instant,
}

impl Default for Account {
    fn default() -> Self {
        Self { name: UNNAMED.into(), is_known: false, asked: None, used: None }
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

    /// What it has used, asked for now or a short while ago; `server` is who is asked.
    pub(super) async fn read_use(
        &mut self,
        client: &Client,
        server: Arc<str>,
        clock: &Clock,
        deadline: Deadline,
    ) -> Reading<AccountUse> {
        if let Some(used) = self.used.as_ref().filter(|used| used.again > Instant::now()) {
            return used.reading.clone();
        }
        let (reading, wait) = self.ask_for_use(client, server, clock, deadline).await;
        self.used = Some(Used { reading: reading.clone(), again: Instant::now() + wait });
        reading
    }

    /// What it has used, and how long nobody asks again.
    async fn ask_for_use(
        &self,
        client: &Client,
        server: Arc<str>,
        clock: &Clock,
        deadline: Deadline,
    ) -> (Reading<AccountUse>, Duration) {
        let ask = ask::<AccountInfo>(client, "$JS.API.INFO", &"");
        match deadline.no_later(USE_LIMIT).wait("what the account has used", ask).await {
            Ok(AccountInfo { total, tiers }) => {
                let tiers = tiers.into_iter().map(|(name, tier)| (name, tier.read())).collect();
                let used = AccountUse { name: self.name.clone(), total: total.read(), tiers };
                (Reading::known(used, server, clock.now()), USE_EVERY)
            }
            Err(AskError::Late { .. } | AskError::Silence { .. }) => {
                (Reading::unknown(Why::Failed, UNANSWERED), ASK_AGAIN)
            }
            Err(error) => (error.into_reading(), USE_EVERY),
        }
    }
}
