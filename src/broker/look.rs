//! One round of questions: what a user of the system account is told first, then what each account tells, all of them at once.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::{Answers, AskError, Broker, System, Told, ask::Deadline, system::SYSTEM_LOST};
use crate::{
    errors::ErrorChain,
    snapshot::{Listing, Missing, Reading, RoundStats, Server, Snapshot, Stream, Why},
};

/// Why streams of an account are not told of that no user was given for.
const NO_SYSTEM: &str = "no system user tells of it now";

/// Asks everything once, over the connections that there are. `within` bounds the whole round; `last` is what the one before found.
pub async fn look(
    mut system: Option<&mut System>,
    brokers: &[&Broker],
    last: Option<&Arc<Snapshot>>,
    within: Duration,
) -> Answers {
    let deadline = Deadline::after(within);
    let mut stats = RoundStats::default();
    let servers = servers(system.as_deref_mut(), deadline).await;
    let (streams, is_of_all, accounts) = match holdings(system, last, &mut stats, deadline).await {
        Ok(streams) => {
            let told = join_all(brokers.iter().map(|broker| broker.read(streams.fresh(), deadline))).await;
            (streams, true, told)
        }
        Err(untold) => {
            let last = last.map(|last| &**last);
            let told = join_all(brokers.iter().map(|broker| broker.list_and_read(last, deadline))).await;
            let names = brokers.iter().map(|broker| broker.account().cloned());
            let (lists, told): (Vec<_>, Vec<Told>) = told.into_iter().unzip();
            let whole = together(names.zip(lists).collect(), last, &untold.reason);
            (untold.explains(whole), false, told)
        }
    };
    Answers { servers, streams, is_of_all, accounts, stats }
}

async fn servers(system: Option<&mut System>, deadline: Deadline) -> Reading<Vec<Server>> {
    let Some(system) = system else {
        return Reading::unknown(
            Why::Hidden,
            "only a user of the system account sees the servers: give --system-user or --system-creds",
        );
    };
    let mut link = system.link();
    let read = deadline.wait("the servers", async { Ok(system.servers().await) });
    tokio::select! {
        read = read => read.unwrap_or_else(AskError::into_reading),
        _ = link.wait_for(|state| !state.is_connected) => Reading::unknown(Why::Failed, SYSTEM_LOST),
    }
}

/// Why no system user tells of the streams.
struct Untold {
    reason: String,
    /// Whether the servers said that JetStream is off, which is more than that nobody answers.
    is_off: bool,
}

impl Untold {
    fn new(reason: &str) -> Self {
        Self { reason: reason.to_owned(), is_off: false }
    }

    fn of(error: &AskError) -> Self {
        Self { reason: ErrorChain(error).to_string(), is_off: matches!(error, AskError::Off { .. }) }
    }

    /// Where no account has a list either, the servers know why.
    fn explains(&self, list: Reading<Listing<Stream>>) -> Reading<Listing<Stream>> {
        match list {
            Reading::Unknown { why, .. } if self.is_off => Reading::unknown(why, self.reason.as_str()),
            list => list,
        }
    }
}

/// The streams of all accounts with their consumers, where a system user tells of them; else why not.
async fn holdings(
    system: Option<&mut System>,
    last: Option<&Arc<Snapshot>>,
    stats: &mut RoundStats,
    deadline: Deadline,
) -> Result<Reading<Listing<Stream>>, Untold> {
    let Some(system) = system.filter(|system| system.may_know()) else { return Err(Untold::new(NO_SYSTEM)) };
    let mut link = system.link();
    tokio::select! {
        told = deadline.wait("the streams of all accounts", system.streams(last, stats)) => {
            told.map_err(|error| Untold::of(&error))
        }
        _ = link.wait_for(|state| !state.is_connected) => Err(Untold::new(SYSTEM_LOST)),
    }
}

/// The list of an account, if its name is known.
type List = (Option<Arc<str>>, Reading<Listing<Stream>>);

/// The lists of the accounts as one. What was known of an account without a list is missing, and `reason` says why nobody tells of those
/// that no user was given for.
fn together(mut lists: Vec<List>, last: Option<&Snapshot>, reason: &str) -> Reading<Listing<Stream>> {
    let Some(first) = lists.iter().position(|(_, list)| list.fresh().is_some()) else {
        return match lists.is_empty() {
            true => Reading::unknown(Why::Failed, reason),
            false => lists.swap_remove(0).1,
        };
    };
    let (rest, mut whole) = (lists.split_off(first + 1), lists.remove(first));
    lists.extend(rest);
    let missing = last.map(|last| unlisted(&whole, &lists, last, reason)).unwrap_or_default();
    let Reading::Known(fact) = &mut whole.1 else { return whole.1 };
    fact.value.missing.extend(missing);
    for (_, list) in lists {
        if let Reading::Known(other) = list {
            fact.value.rows.extend(other.value.rows);
            fact.value.missing.extend(other.value.missing);
        }
    }
    whole.1
}

/// The streams that were known of accounts that have no list now.
fn unlisted(first: &List, others: &[List], last: &Snapshot, reason: &str) -> Vec<Missing> {
    let list_of = |account: &Arc<str>| {
        let mut all = std::iter::once(first).chain(others);
        all.find(|(name, _)| name.as_ref() == Some(account)).map(|(_, list)| list)
    };
    let missing = last.known_streams().iter().filter_map(|stream| {
        let list = list_of(&stream.account);
        let reason = match list {
            None => reason,
            Some(list) => list.reason()?,
        };
        Some(Missing { account: stream.account.clone(), name: stream.name.to_string(), reason: reason.into() })
    });
    missing.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        snapshot::{Contact, StreamState},
    };

    fn now() -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap()
    }

    fn stream(account: &str) -> Stream {
        Stream {
            account: account.into(),
            name: "ORDERS".parse().unwrap(),
            config: Arc::default(),
            created: now(),
            state: Reading::known(StreamState::default(), "n1", now()),
            trend: None,
            consumers: Reading::known(Listing::default(), "n1", now()),
        }
    }

    fn known(accounts: &[&str]) -> Reading<Listing<Stream>> {
        let rows = accounts.iter().map(|account| stream(account)).collect();
        Reading::known(Listing { rows, missing: Vec::new() }, "n1", now())
    }

    /// What there is of lists where A, B and C were known before: rows, and what is missing with its reason.
    fn check(lists: &[(&str, Option<&str>)], expected: Option<(&[&str], &[&str])>) {
        let mut last = Snapshot::before_the_first(Contact::standing_since(now()), Duration::from_secs(2), now());
        last.streams = known(&["A", "B", "C"]);
        let list = |(account, failed): &(&str, Option<&str>)| {
            let list = failed.map_or_else(|| known(&[account]), |reason| Reading::unknown(Why::Failed, reason));
            (Some(Arc::from(*account)), list)
        };
        let whole = together(lists.iter().map(list).collect(), Some(&last), "nobody");
        let said = whole.fresh().map(|list| {
            let rows: Vec<&str> = list.rows.iter().map(|row| &*row.account).collect();
            let missing: Vec<String> =
                list.missing.iter().map(|row| format!("{}: {}", row.account, row.reason)).collect();
            (rows, missing)
        });
        let expected =
            expected.map(|(rows, missing)| (rows.to_vec(), missing.iter().map(ToString::to_string).collect()));
        assert_eq!(said, expected, "{lists:?}");
    }

    #[test]
    fn that_jetstream_is_off_is_said_where_nobody_has_a_list() {
        let off = Untold::of(&AskError::Off { servers: "n1".to_owned() });
        let silence = || Reading::unknown(Why::Failed, "nobody answers");
        let said = "JetStream is off: it runs on none of the servers that answered (n1)";
        assert_eq!(off.explains(silence()).reason(), Some(said));
        assert_eq!(Untold::new("lost").explains(silence()).reason(), Some("nobody answers"));
        assert_eq!(off.explains(known(&["A"])).reason(), None);
    }

    #[test]
    fn an_account_without_a_list_leaves_the_others_theirs() {
        check(&[("A", None)], Some((&["A"], &["B: nobody", "C: nobody"])));
        check(&[("A", None), ("B", None), ("C", None)], Some((&["A", "B", "C"], &[])));
        check(&[("A", Some("lost")), ("B", None)], Some((&["B"], &["A: lost", "C: nobody"])));
        check(&[("A", None), ("C", Some("late"))], Some((&["A"], &["B: nobody", "C: late"])));
        check(&[("A", Some("lost")), ("B", Some("late"))], None);
        check(&[], None);
    }
}
