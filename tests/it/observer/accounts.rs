//! What a user of the system account shows: the streams and consumers of all accounts, in one question.

use async_nats::{
    ConnectOptions,
    jetstream::{self, consumer::pull, stream},
};
use streamgauge::snapshot::{Snapshot, Stream};

use super::{Observer, publish, user};
use crate::support::nats_server::NatsServer;

pub(super) const ACCOUNTS: &str = r"
    accounts {
      SYS { users: [{ user: sys, password: word }] }
      ONE { jetstream: enabled, users: [{ user: one, password: word }] }
      TWO { jetstream: enabled, users: [{ user: two, password: word }] }
    }
    system_account: SYS
    jetstream {}
    server_name: n1
";

pub(super) async fn account(server: &NatsServer, user: &str) -> jetstream::Context {
    let login = ConnectOptions::with_user_and_password(user.to_owned(), "word".to_owned());
    jetstream::new(login.connect(server.url()).await.unwrap())
}

/// A stream of this name with one consumer on it and so many messages.
pub(super) async fn filled(jetstream: &jetstream::Context, name: &str, messages: usize) -> stream::Stream {
    let config = stream::Config { name: name.to_owned(), subjects: vec![format!("{name}.>")], ..Default::default() };
    let made = jetstream.create_stream(config).await.unwrap();
    consumer(&made, "c", 77).await;
    publish(jetstream, &format!("{name}.1"), messages).await;
    made
}

async fn consumer(stream: &stream::Stream, name: &str, max_ack_pending: i64) {
    let config = pull::Config { durable_name: Some(name.to_owned()), max_ack_pending, ..Default::default() };
    stream.create_consumer(config).await.unwrap();
}

pub(super) fn of<'a>(snapshot: &'a Snapshot, account: &str, name: &str) -> Option<&'a Stream> {
    snapshot.known_streams().iter().find(|stream| &*stream.account == account && stream.name.as_str() == name)
}

/// How much is pending on the consumer of that stream, and how many messages may be in flight.
pub(super) fn pending(snapshot: &Snapshot, account: &str, name: &str) -> Option<(u64, Option<u64>)> {
    let [row] = of(snapshot, account, name)?.consumers.fresh()?.rows.as_slice() else { return None };
    Some((row.state.fresh()?.pending, row.config.ack_pending_limit()))
}

#[tokio::test]
async fn a_system_user_shows_the_streams_of_all_accounts() {
    let server = NatsServer::start_configured(ACCOUNTS).await;
    let (one, two) = (account(&server, "one").await, account(&server, "two").await);
    filled(&one, "ORDERS", 3).await;
    filled(&two, "ORDERS", 5).await;
    let observer = Observer::start(user(&server, "one", "word"), Some(user(&server, "sys", "word")));
    let both = |snapshot: &Snapshot| {
        (pending(snapshot, "ONE", "ORDERS"), pending(snapshot, "TWO", "ORDERS"))
            == (Some((3, Some(77))), Some((5, Some(77))))
    };
    let snapshot = observer.sees("both accounts", both).await;
    let stats = snapshot.stats;
    assert_eq!((stats.servers_expected, stats.servers_answered, stats.rows_missing), (Some(1), 1, 0), "{stats:?}");
    assert!(stats.requests > 0 && stats.bytes > 0 && stats.waited <= stats.duration, "{stats:?}");

    // What is made later is set up in its own way, of which the rounds in between are not told.
    consumer(&filled(&two, "LATER", 7).await, "c", 77).await;
    observer.sees("a new stream", |snapshot| pending(snapshot, "TWO", "LATER") == Some((7, Some(77)))).await;
    two.delete_stream("ORDERS").await.unwrap();
    let gone = |snapshot: &Snapshot| of(snapshot, "TWO", "ORDERS").is_none() && of(snapshot, "ONE", "ORDERS").is_some();
    observer.sees("one of two gone", gone).await;
}

#[tokio::test]
async fn without_one_the_account_has_its_own_name_and_no_other_is_seen() {
    let server = NatsServer::start_configured(ACCOUNTS).await;
    filled(&account(&server, "one").await, "ORDERS", 3).await;
    filled(&account(&server, "two").await, "ORDERS", 5).await;
    let observer = Observer::start(user(&server, "two", "word"), None);
    let snapshot = observer.sees("the stream", |snapshot| pending(snapshot, "TWO", "ORDERS").is_some()).await;
    assert_eq!(pending(&snapshot, "TWO", "ORDERS"), Some((5, Some(77))));
    assert_eq!((snapshot.known_streams().len(), snapshot.stats.servers_expected), (1, None));
}

#[tokio::test]
async fn a_system_user_who_may_not_ask_leaves_the_lists() {
    const DENIED: &str = r#"
        accounts {
          SYS { users: [{ user: sys, password: word, permissions: { publish: { deny: ["$SYS.REQ.SERVER.PING.JSZ"] } } }] }
          ONE { jetstream: enabled, users: [{ user: one, password: word }] }
        }
        system_account: SYS
        jetstream {}
    "#;
    let server = NatsServer::start_configured(DENIED).await;
    filled(&account(&server, "one").await, "ORDERS", 3).await;
    let observer = Observer::start(user(&server, "one", "word"), Some(user(&server, "sys", "word")));
    let snapshot = observer.sees("the stream", |snapshot| pending(snapshot, "ONE", "ORDERS").is_some()).await;
    assert_eq!((snapshot.servers.fresh().map(Vec::len), snapshot.stats.servers_expected), (Some(1), None));
}

#[tokio::test]
async fn what_an_account_has_used_is_held_against_what_it_may() {
    let limited =
        ACCOUNTS.replace("ONE { jetstream: enabled,", "ONE { jetstream { max_streams: 2, max_file: 100000 },");
    let server = NatsServer::start_configured(&limited).await;
    let one = account(&server, "one").await;
    filled(&one, "ORDERS", 1).await;
    filled(&one, "MAILS", 1).await;
    one.publish("MAILS.2", vec![b'x'; 99_000].into()).await.unwrap().await.unwrap();
    let observer = Observer::start(user(&server, "one", "word"), None);
    let snapshot = observer.sees("what it has used", |snapshot| snapshot.app.used.fresh().is_some()).await;
    let account = snapshot.app.used.fresh().unwrap();
    let used = account.total;
    assert_eq!((&*account.name, used.streams, used.streams_limit, used.consumers), ("ONE", 2, Some(2), 2), "{used:?}");
    assert_eq!((used.consumers_limit, used.memory_limit, used.storage_limit), (None, None, Some(100_000)), "{used:?}");
    let found = snapshot.findings.iter().filter(|finding| finding.about == "account ONE");
    let found: Vec<(&str, &str)> = found.map(|finding| (finding.check, finding.sentence.as_str())).collect();
    let expected = [
        ("account_full", "It holds 99 % of the bytes on disk that it may."),
        ("account_limits", "It holds 100 % of the streams that it may."),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn what_was_changed_is_read_anew_as_soon_as_a_server_tells_of_it() {
    let server = NatsServer::start_configured(ACCOUNTS).await;
    let one = account(&server, "one").await;
    filled(&one, "ORDERS", 1).await;
    let observer = Observer::start(user(&server, "one", "word"), Some(user(&server, "sys", "word")));
    let most = |snapshot: &Snapshot| of(snapshot, "ONE", "ORDERS").map(|stream| stream.config.message_limit());
    observer.sees("the stream", |snapshot| most(snapshot) == Some(None)).await;
    // From here on a round would not ask how things are set up for minutes.
    observer.sees("a round that asked for states alone", |snapshot| !snapshot.stats.has_read_configs).await;
    let config = stream::Config {
        name: "ORDERS".to_owned(),
        subjects: vec!["ORDERS.>".to_owned()],
        max_messages: 500,
        ..Default::default()
    };
    one.update_stream(config).await.unwrap();
    observer.sees("its new limit", |snapshot| most(snapshot) == Some(Some(500))).await;
}
