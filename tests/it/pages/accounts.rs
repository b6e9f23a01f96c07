//! Pages of several accounts: what has the same name in two of them is told apart, and one that is not read takes none with it.

use std::{collections::HashSet, sync::Arc};

use streamgauge::{
    snapshot::{Advisories, Contact, Label, Reading, Severity, Snapshot, Stream, Watched},
    views::Page as Address,
};

use super::{
    PAGES,
    facts::{advisories, advisory, consumer, count, now, snapshot, stream, verdict, watched},
    links_lead_somewhere, page_of, router,
};
use crate::support::page::Page;
use streamgauge::advisory::Kind;
use tokio::sync::watch;

/// Accounts A and B with users of their own, and C without; all have the same stream with the same consumer.
pub(crate) fn several() -> Snapshot {
    let mut other = watched("B");
    other.contact.user = Some("billing".to_owned());
    let told = advisory("b-1", Kind::Exhausted, 10, "The server gave up message 42 after 3 deliveries.");
    let told = Advisories {
        account: "B".into(),
        rows: vec![streamgauge::advisory::Advisory { account: "B".into(), ..told }],
        ..advisories()
    };
    other.advisories = Reading::known(Arc::new(told), "stream ADVISORIES", now());
    let streams = ["A", "B", "C"].map(in_account);
    Snapshot { others: vec![other], streams: count(streams.into()), ..snapshot() }
}

fn in_account(account: &str) -> Stream {
    let mut row = consumer("ORDERS", "reserve");
    row.account = account.into();
    Stream { account: account.into(), ..stream("ORDERS", vec![row]) }
}

/// The same, and the login of the second user is refused.
fn refused() -> Snapshot {
    let contact = Contact {
        is_connected: false,
        reason: "NATS refuses the login of billing".to_owned(),
        server: None,
        ..watched("B").contact
    };
    let other = Watched {
        contact: Contact { user: Some("billing".to_owned()), ..contact.clone() },
        ..Watched::before_the_first(contact)
    };
    Snapshot { others: vec![other], ..several() }
}

#[tokio::test]
async fn no_id_stands_twice_and_every_link_leads_somewhere() {
    let (_sender, snapshots) = watch::channel(Arc::new(several()));
    let router = router(snapshots, None);
    let more = ["/consumers/B/ORDERS/reserve", "/consumers/C/ORDERS/reserve", "/streams/C/ORDERS"];
    for path in PAGES.into_iter().chain(more).chain(["/dead-letters/ORDERS/reserve/42?account=B"]) {
        let page = Page::of(&router, path).await;
        let ids = page.attributes("[id]", "id");
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "{path}: an id stands twice in {ids:?}");
        links_lead_somewhere(&router, path, &page).await;
    }
}

#[tokio::test]
async fn what_services_tell_stands_below_their_account() {
    let page = page_of(several(), "/services").await;
    assert_eq!(page.texts("main > header .tag"), ["account A", "account B"]);
    assert_eq!(
        (page.count("#services #instance-mail\\.1"), page.count("#B\\.services #instance-B\\.mail\\.1")),
        (1, 1)
    );
    let page = page_of(several(), "/records/order").await;
    assert_eq!(page.texts("section > header .tag"), ["account A", "account B"]);
    assert_eq!((page.count("#record-order\\.7"), page.count("#record-B\\.order\\.7")), (1, 1));
    let page = page_of(several(), "/").await;
    assert_eq!(page.text("#figure-ready dd"), "2 / 2 instances of services");
    // Who tells of nothing takes no room.
    let mut quiet = several();
    quiet.others[0].presence = Reading::unknown(streamgauge::snapshot::Why::Absent, "there is no bucket");
    let page = page_of(quiet, "/").await;
    assert_eq!(
        (page.text("#figure-ready dd"), page.count("#B\\.services")),
        ("1 / 1 instances of services".to_owned(), 0)
    );
}

#[tokio::test]
async fn a_dead_letter_is_one_of_its_account() {
    let page = page_of(several(), "/dead-letters").await;
    assert_eq!(page.texts("main section h2"), ["In account A", "In account B"]);
    let links = page.attributes("tbody a", "href");
    assert_eq!(links, ["/dead-letters/ORDERS/reserve/42", "/dead-letters/ORDERS/reserve/42?account=B"]);
    let page = page_of(several(), &links[1]).await;
    assert!(page.text("#letter").contains("In account B"), "{}", page.text("#letter"));
    let ways = ["/journey?id=m-42", "/consumers/B/ORDERS/reserve", "/messages/B/ORDERS/42"];
    assert_eq!(page.attributes("#letter .more a", "href"), ways);
    assert_eq!(page_of(several(), "/dead-letters/ORDERS/reserve/42?account=C").await.status, 404);
    assert!(Address::at(&links[1]).is_some());
}

#[tokio::test]
async fn advisories_of_all_accounts_are_one_list_in_which_each_names_its_own() {
    let page = page_of(several(), "/advisories").await;
    assert_eq!(page.attributes("tbody tr", "id"), ["advisory-b-1", "advisory-a-3", "advisory-a-2", "advisory-a-1"]);
    assert_eq!(page.texts("tbody .about .tag"), ["B", "A", "A", "A"]);
    assert_eq!(page.count(".sources"), 2);
    let page = page_of(several(), "/advisories?account=B").await;
    assert_eq!(page.attributes("tbody tr", "id"), ["advisory-b-1"]);
    let page = page_of(several(), "/consumers/C/ORDERS/reserve").await;
    let expected = "not visible Advisories are heard in A and B only: it takes a user in account C.";
    assert_eq!(page.text("#advisories .gap"), expected);
    assert!(page.text("#workers .gap").ends_with("needs a user in account C."), "{}", page.text("#workers .gap"));
}

#[tokio::test]
async fn the_page_of_servers_shows_each_connection() {
    let page = page_of(refused(), "/servers").await;
    assert_eq!(page.texts("#connections tbody th"), ["A", "not known"]);
    assert_eq!(page.texts("#connections tbody .state"), ["connected for 0 s", "not connected for 0 s"]);
    assert_eq!(page.texts("#connections tbody .reads"), ["", "NATS refuses the login of billing."]);
    assert_eq!(page_of(snapshot(), "/servers").await.count("#connections"), 0);
}

#[tokio::test]
async fn one_account_that_is_not_read_is_not_nats_being_away() {
    let page = page_of(refused(), "/").await;
    assert!(!page.text("h1").contains("NATS"), "{}", page.text("h1"));
    assert_eq!(page.text("#figure-pending .number"), "9", "a user of the system account told of all");
    assert!(page.text("#status").starts_with("1 of 2 accounts connected for 0 s"), "{}", page.text("#status"));
    let mut unlisted = refused();
    unlisted.others[0].unlisted = Some("NATS refuses the login of billing".to_owned());
    unlisted.streams = count(vec![in_account("A")]);
    let said =
        "unknown What the account of user billing holds is not known, or old: NATS refuses the login of billing.";
    for path in ["/streams", "/consumers", "/"] {
        let page = page_of(unlisted.clone(), path).await;
        assert_eq!(page.texts("section .gap.critical")[0], said, "{path}");
    }
    let page = page_of(unlisted.clone(), "/").await;
    let billing = "the account of user billing is not listed";
    assert_eq!(page.text("#figure-pending dd"), format!("at least 3 not yet delivered; {billing}"));
    assert_eq!(page.text("#figure-stored dd"), format!("at least 5.0/s in 1 message stream; {billing}"));
    let nothing = Snapshot { streams: count(Vec::new()), ..unlisted.clone() };
    let page = page_of(nothing, "/").await;
    for figure in ["stored", "pending", "ack-pending"] {
        let number = page.text(&format!("#figure-{figure} .number"));
        assert_eq!(number, "? unknown: NATS refuses the login of billing", "{figure}: nothing known is no zero");
    }
    unlisted.streams = count(Vec::new());
    assert_eq!(page_of(unlisted, "/streams").await.count(".gap"), 1, "it is not said that there are none");
    assert!(page_of(several(), "/").await.text("#status").starts_with("connected"));
    let mut away = refused();
    away.app.contact.is_connected = false;
    let page = page_of(away, "/").await;
    assert_eq!(page.text("h1"), "critical: NATS has not answered for 0 s");
}

#[tokio::test]
async fn a_name_that_several_accounts_have_comes_with_its_account() {
    let troubled = ["A", "B", "C"].map(|account| {
        let mut row = consumer("ORDERS", "reserve");
        row.account = account.into();
        row.verdict = verdict(Label::NoWorkers, Severity::Critical, "Nobody pulls.");
        Stream { account: account.into(), ..stream("ORDERS", vec![row]) }
    });
    let all = Snapshot { streams: count(troubled.into()), ..several() };
    let page = page_of(all, "/").await;
    let names = page.texts("#headline .which a");
    assert_eq!(names, ["A", "B", "C"].map(|account| format!("reserve on ORDERS in {account}")));
    let one = page_of(several(), "/streams?account=B").await;
    assert_eq!(one.texts("#streams tbody th"), ["ORDERS B"], "also where the rows are of one account");
}
