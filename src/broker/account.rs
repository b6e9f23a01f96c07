//! An account that is watched: whose list of streams it is that a user sees, and what of its JetStream it has used.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::Client;
use tokio::time::Instant;

use super::{
    AskError,
    ask::{Deadline, ask},
    wire::{AccountInfo, UserAnswer, UserInfo},
};
use crate::{
    clock::Clock,
    snapshot::{AccountUse, Reading, Snapshot, Why},
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

/// Why nothing is asked of one of several accounts that has no name.
pub(super) const UNTOLD: &str =
    "which account it is is not known: the server did not tell its user by `$SYS.REQ.USER.INFO`";

/// Why the list of the only account is not asked for: its streams might be there twice.
const MISTAKABLE: &str = "which of the accounts it is is not known, and no system user tells of them now";

/// The account, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// The name that the server told.
    told: Option<Arc<str>>,
    /// What it is called as long as the server has not told.
    guess: Option<Arc<str>>,
    asked: Option<Instant>,
    used: Mutex<Option<Used>>,
}

/// What it has used, and when that is asked for again.
#[derive(Debug)]
struct Used {
    reading: Reading<AccountUse>,
    again: Instant,
}

impl Account {
    /// The only one, which needs no name to be told from others.
    pub(super) fn alone() -> Self {
        Self { guess: Some(UNNAMED.into()), ..Self::default() }
    }

    /// Its name, told or guessed.
    pub(super) fn name(&self) -> Option<&Arc<str>> {
        self.told.as_ref().or(self.guess.as_ref())
    }

    /// Its name, if its streams can be told from those of others that were known; else why not.
    pub(super) fn for_its_list(&self, last: Option<&Snapshot>) -> Result<&Arc<str>, &'static str> {
        let name = self.name().ok_or(UNTOLD)?;
        let known = last.map_or(&[][..], |last| last.known_streams());
        let is_mistakable = self.told.is_none() && known.iter().any(|stream| stream.account != *name);
        if is_mistakable { Err(MISTAKABLE) } else { Ok(name) }
    }

    /// Asks for the name if it is not known and it makes sense to ask.
    pub(super) async fn learn(&mut self, client: &Client) {
        if self.told.is_some() || self.asked.is_some_and(|at| at.elapsed() < ASK_AGAIN) {
            return;
        }
        if let Ok(UserAnswer { data: UserInfo { account, account_name } }) =
            ask(client, "$SYS.REQ.USER.INFO", &"").await
        {
            self.told = Some(account_name.filter(|name| !name.is_empty()).unwrap_or(account).into());
        }
        self.asked = Some(Instant::now());
    }

    /// What it has used, asked for now or a short while ago; `server` is who is asked.
    pub(super) async fn read_use(
        &self,
        client: &Client,
        server: Arc<str>,
        clock: &Clock,
        deadline: Deadline,
    ) -> Reading<AccountUse> {
        if let Some(used) = self.used_lately() {
            return used;
        }
        let (reading, wait) = self.ask_for_use(client, server, clock, deadline).await;
        let used = Used { reading: reading.clone(), again: Instant::now() + wait };
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Some(used);
        reading
    }

    fn used_lately(&self) -> Option<Reading<AccountUse>> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.as_ref().filter(|used| used.again > Instant::now()).map(|used| used.reading.clone())
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
                let used = AccountUse { name: self.name().cloned().unwrap_or_default(), total: total.read(), tiers };
                (Reading::known(used, server, clock.now()), USE_EVERY)
            }
            Err(AskError::Late { .. } | AskError::Silence { .. }) => {
                (Reading::unknown(Why::Failed, UNANSWERED), ASK_AGAIN)
            }
            Err(error) => (error.into_reading(), USE_EVERY),
        }
    }
}
