//! Users of several accounts: each account is seen by its own, apart from the others, and none takes another with it.

use streamgauge::{
    config::NatsConfig,
    nats::ConnectError,
    peek::Question,
    snapshot::{AgeBy, Consumer, Reading, Snapshot, Watched, Why},
};

use super::{
    Observer,
    accounts::{ACCOUNTS, account, filled, of, pending},
    kv, user,
};
use crate::support::{chaos_proxy::ChaosProxy, nats_server::NatsServer};

/// Streams of one name in both accounts, with consumers of one name on them and unlike lag.
async fn two_alike() -> NatsServer {
    let server = NatsServer::start_configured(ACCOUNTS).await;
    filled(&account(&server, "one").await, "ORDERS", 3).await;
    filled(&account(&server, "two").await, "ORDERS", 5).await;
    server
}

fn both(snapshot: &Snapshot) -> bool {
    let lag = |account| pending(snapshot, account, "ORDERS").map(|(pending, _)| pending);
    (lag("ONE"), lag("TWO")) == (Some(3), Some(5))
}

fn consumer<'a>(snapshot: &'a Snapshot, account: &str) -> &'a Consumer {
    &of(snapshot, account, "ORDERS").unwrap().consumers.value().unwrap().rows[0]
}

fn watched<'a>(snapshot: &'a Snapshot, name: &str) -> &'a Watched {
    snapshot.account(name).unwrap_or_else(|| panic!("no account {name} in {snapshot:?}"))
}

/// What is found of accounts that are not read.
fn unread(snapshot: &Snapshot) -> Vec<(&str, &str)> {
    let found = snapshot.findings.iter().filter(|finding| finding.check == "account_unread");
    found.map(|finding| (finding.about.as_str(), finding.evidence.as_str())).collect()
}

/// Whether the oldest message was read, and advisories are heard.
fn in_detail(snapshot: &Snapshot, account: &str) -> bool {
    let row = consumer(snapshot, account);
    let oldest = row.ages.fresh().and_then(|ages| ages.unprocessed);
    oldest.is_some_and(|oldest| oldest.sequence == Some(1) && oldest.by == AgeBy::Message)
        && row.failures.fresh().is_some()
        && watched(snapshot, account).advisories.fresh().is_some()
        && watched(snapshot, account).used.fresh().is_some_and(|used| &*used.name == account)
}

#[tokio::test]
async fn each_account_is_seen_by_its_user_and_nothing_is_mixed_up() {
    let server = two_alike().await;
    for system in [None, Some(user(&server, "sys", "word"))] {
        let others = vec![user(&server, "two", "word")];
        let observer = Observer::of_several(user(&server, "one", "word"), others, system.clone());
        let all = |snapshot: &Snapshot| both(snapshot) && in_detail(snapshot, "ONE") && in_detail(snapshot, "TWO");
        let snapshot = observer.sees("both accounts in detail", all).await;
        assert_eq!(snapshot.known_streams().len(), 2);
        assert_eq!(snapshot.servers.fresh().is_some(), system.is_some());
        assert_eq!(unread(&snapshot), []);
    }
}

#[tokio::test]
async fn messages_are_read_over_the_connection_of_their_account() {
    let server = two_alike().await;
    let observer = Observer::of_several(user(&server, "one", "word"), vec![user(&server, "two", "word")], None);
    observer.sees("both accounts", both).await;
    let newest = Question::newest("ORDERS".parse().unwrap(), 9);
    for (account, stored) in [("ONE", 3), ("TWO", 5)] {
        let found = observer.reader.find(account, &newest).await;
        assert_eq!(found.fresh().map(|found| found.rows.len()), Some(stored), "{account}: {found:?}");
    }
    let hidden = observer.reader.find("THREE", &newest).await;
    let reason = hidden.reason().unwrap_or_default();
    assert!(reason.contains("needs a user in account THREE") && reason.ends_with("in ONE, TWO"), "{reason}");
}

#[tokio::test]
async fn buckets_of_one_name_are_those_of_their_accounts() {
    let server = two_alike().await;
    let store = account(&server, "two").await;
    let store = store.create_key_value(kv::Config { bucket: "presence".into(), ..Default::default() }).await.unwrap();
    store.put("mail.1", super::PRESENCE.into()).await.unwrap();
    let observer = Observer::of_several(user(&server, "one", "word"), vec![user(&server, "two", "word")], None);
    let is_there =
        |snapshot: &Snapshot| snapshot.others[0].presence.fresh().is_some_and(|bucket| bucket.entries.len() == 1);
    let snapshot = observer.sees("the bucket", is_there).await;
    assert!(matches!(snapshot.app.presence, Reading::Unknown { why: Why::Absent, .. }), "{:?}", snapshot.app.presence);
}

#[tokio::test]
async fn a_user_who_is_refused_hides_his_account_and_no_other() {
    let server = two_alike().await;
    let guess = user(&server, "two", "guess");
    for system in [None, Some(user(&server, "sys", "word"))] {
        let has_system = system.is_some();
        let observer = Observer::of_several(user(&server, "one", "word"), vec![guess.clone()], system);
        let one = |snapshot: &Snapshot| pending(snapshot, "ONE", "ORDERS").is_some() && in_detail(snapshot, "ONE");
        let snapshot = observer.sees("the other account", one).await;
        let [(about, evidence)] = unread(&snapshot)[..] else { panic!("{:?}", snapshot.findings) };
        assert_eq!(about, "the account of user two");
        assert!(evidence.contains("refuses the login of two"), "{evidence}");
        assert_eq!(pending(&snapshot, "TWO", "ORDERS").is_some(), has_system, "the system user alone tells of it");
        if has_system {
            let two = consumer(&snapshot, "TWO");
            for reason in [two.ages.reason(), two.failures.reason()] {
                assert!(reason.unwrap_or_default().ends_with("needs a user in account TWO"), "{reason:?}");
            }
        }
    }
    // The account of `--nats` has no privilege.
    let observer = Observer::of_several(guess.clone(), vec![user(&server, "one", "word")], None);
    let snapshot = observer.sees("the other account", |snapshot| pending(snapshot, "ONE", "ORDERS").is_some()).await;
    assert_eq!(unread(&snapshot).len(), 1, "{:?}", snapshot.findings);
    let nobody = Observer::of_several(guess.clone(), vec![guess], None);
    assert!(matches!(nobody.ended.await.unwrap(), Err(ConnectError::Refused { .. })));
}

#[tokio::test]
async fn a_connection_that_is_lost_makes_its_account_old_and_no_other() {
    let server = two_alike().await;
    for system in [None, Some(user(&server, "sys", "word"))] {
        let has_system = system.is_some();
        let proxy = ChaosProxy::before(server.address()).await;
        let two = NatsConfig { url: Some(proxy.url()), ..user(&server, "two", "word") };
        let observer = Observer::of_several(user(&server, "one", "word"), vec![two], system);
        observer.sees("both accounts", |snapshot| both(snapshot) && in_detail(snapshot, "TWO")).await;
        proxy.shut();
        let lost = |snapshot: &Snapshot| !watched(snapshot, "TWO").contact.is_connected && !unread(snapshot).is_empty();
        let snapshot = observer.sees("one connection lost", lost).await;
        assert!(pending(&snapshot, "ONE", "ORDERS").is_some() && in_detail(&snapshot, "ONE"));
        let two = consumer(&snapshot, "TWO");
        assert_eq!(two.state.value().map(|state| state.pending), Some(5), "what was known stays");
        assert_eq!(two.state.fresh().is_some(), has_system, "the system user still tells its counts");
        assert!(two.failures.fresh().is_none() && two.failures.value().is_some());
        assert_eq!(unread(&snapshot)[0].0, "account TWO");
        proxy.open();
        observer.sees("all well again", |snapshot| both(snapshot) && unread(snapshot).is_empty()).await;
    }
}

#[tokio::test]
async fn two_users_of_one_account_are_refused() {
    let config = ACCOUNTS
        .replace("{ user: one, password: word }", "{ user: one, password: word }, { user: ada, password: word }");
    let server = NatsServer::start_configured(&config).await;
    let others = vec![user(&server, "two", "word"), user(&server, "ada", "word")];
    let observer = Observer::of_several(user(&server, "one", "word"), others, None);
    let error = observer.ended.await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "one and ada are users of the same account, ONE: give one user for each account that is to be watched (--account)"
    );
}

#[tokio::test]
async fn of_several_accounts_one_that_has_no_name_is_not_guessed() {
    let denied = "{ user: two, password: word, permissions: { publish: { deny: [\"$SYS.REQ.USER.INFO\"] } } }";
    let server = NatsServer::start_configured(&ACCOUNTS.replace("{ user: two, password: word }", denied)).await;
    filled(&account(&server, "one").await, "ORDERS", 3).await;
    let observer = Observer::of_several(user(&server, "one", "word"), vec![user(&server, "two", "word")], None);
    let snapshot = observer.sees("the other account", |snapshot| pending(snapshot, "ONE", "ORDERS").is_some()).await;
    let [(about, evidence)] = unread(&snapshot)[..] else { panic!("{:?}", snapshot.findings) };
    assert_eq!(about, "the account of user two");
    assert!(evidence.contains("$SYS.REQ.USER.INFO"), "{evidence}");
}
