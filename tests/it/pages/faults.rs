//! The banner that stands on every page while a fault is switched on.

use std::time::Duration;

use streamgauge::{
    fault::{Fault, Kind},
    snapshot::{Bucket, Entry, Reading, Snapshot},
};

use super::{
    PAGES,
    facts::{now, snapshot, with_app},
    failed, page_of,
};

pub(crate) fn switched(service: &str, kind: Kind, on_for: Duration) -> Snapshot {
    let value = Fault {
        service: service.to_owned(),
        kind,
        since: now().before(Duration::from_secs(90)),
        until: now().after(on_for),
    };
    let entry = Entry { key: "payments".to_owned(), revision: 1, written: value.since, value };
    let bucket = Bucket { entries: vec![entry], deleted: Vec::new(), malformed: 0, is_cut: false, lacks_newest: false };
    with_app(|app| app.faults = Reading::known(bucket, "bucket faults", now()))
}

#[tokio::test]
async fn every_page_says_that_a_fault_is_on_and_how_to_end_it() {
    for path in PAGES {
        let page = page_of(switched("payments", Kind::Outage, Duration::from_secs(120)), path).await;
        let said = "Fault outage is switched on in payments for 1 min 30 s: every message fails, for 2 min more. \
                    End it, with the login that switched it on: streamgauge fault payments clear";
        assert_eq!(page.text("main #faults li"), said, "{path}");
        assert_eq!(page.texts("#faults code[data-copy]"), ["streamgauge fault payments clear"]);
    }
}

#[tokio::test]
async fn without_a_fault_there_is_no_banner() {
    for path in PAGES {
        assert_eq!(page_of(snapshot(), path).await.count("#faults"), 0, "{path}: there is no bucket");
    }
    let over = page_of(switched("payments", Kind::Slow, Duration::ZERO), "/").await;
    assert_eq!(over.count("#faults"), 0, "it has ended");
    let unread = page_of(with_app(|app| app.faults = failed()), "/").await;
    assert_eq!(unread.count("#faults"), 0);
    assert_eq!(unread.text("h1"), "warning: The switches of faults could not be read");
}

#[tokio::test]
async fn a_switch_that_could_not_be_read_again_counts_until_it_ends_by_itself() {
    let mut old = switched("payments", Kind::Burst, Duration::from_secs(60));
    old.app.faults = failed().or_last(&old.app.faults);
    let page = page_of(old, "/streams").await;
    assert_eq!(page.text("#faults .reason"), "The switches could not be read again: The dog ate it.");
}
