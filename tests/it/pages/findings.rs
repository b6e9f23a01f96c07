//! The page of what the checks found.

use std::sync::Arc;

use streamgauge::snapshot::{Finding, Severity, Snapshot};

use super::{facts::snapshot, page_of};

/// So many findings, every third one a warning.
fn with(count: usize) -> Snapshot {
    let finding = |number: usize| {
        Arc::new(Finding {
            check: "no_limits",
            severity: if number.is_multiple_of(3) { Severity::Warning } else { Severity::Notice },
            account: None,
            about: format!("stream S{number:03}"),
            sentence: "It keeps everything for ever.".to_owned(),
            evidence: "it has no limit".to_owned(),
            next_step: "give it one".to_owned(),
            since: None,
        })
    };
    Snapshot { findings: (0..count).map(finding).collect(), ..snapshot() }
}

async fn check(address: &str, said: &str, first: &str, links: &[&str]) {
    let page = page_of(with(120), address).await;
    assert_eq!(page.text(".pager"), said, "{address}");
    assert_eq!(page.texts("#findings .about")[0], first, "{address}");
    assert_eq!(page.attributes(".pager a", "href"), links, "{address}");
}

#[tokio::test]
async fn fifty_are_a_page_and_every_one_can_be_reached() {
    check("/findings", "1 to 50 of 120 findings Next", "stream S000", &["/findings?page=2"]).await;
    check("/findings?page=3", "101 to 120 of 120 findings Before", "stream S100", &["/findings?page=2"]).await;
    check("/findings?page=9", "101 to 120 of 120 findings Before", "stream S100", &["/findings?page=2"]).await;
    check("/findings?page=x", "1 to 50 of 120 findings Next", "stream S000", &["/findings?page=2"]).await;
    check("/findings?severity=warning", "40 findings", "stream S000", &[]).await;
    check("/findings?q=s01", "10 findings", "stream S010", &[]).await;
}

#[tokio::test]
async fn a_page_that_is_none_is_told_in_every_list() {
    for list in ["/findings", "/streams", "/consumers", "/advisories"] {
        for wrong in ["0", "-1", "x", "1.5"] {
            let page = page_of(snapshot(), &format!("{list}?page={wrong}")).await;
            let said = format!("`{wrong}` is no page: the list has 1 page, counted from 1. What is shown is page 1.");
            assert_eq!(page.texts("section .gap")[0], format!("no such page {said}"), "{list}");
        }
        let page = page_of(snapshot(), &format!("{list}?page=2")).await;
        let said = "no such page There is no page 2: the list has 1 page. What is shown is page 1.";
        assert_eq!(page.texts("section .gap")[0], said, "{list}");
        let page = page_of(snapshot(), &format!("{list}?page=1")).await;
        assert!(!page.html.contains("no such page"), "{list}");
    }
}

#[tokio::test]
async fn what_is_not_understood_is_told_in_every_list_and_left_out() {
    for list in ["/findings", "/streams", "/consumers", "/advisories"] {
        for (query, takes) in [
            ("label=odd", "losing, at_risk,"),
            ("kind=odd", "exhausted, "),
            ("sort=odd", "worst, lag,"),
            ("severity=odd", "notice, warning, critical. It is left out."),
        ] {
            let page = page_of(snapshot(), &format!("{list}?{query}")).await;
            let name = query.split('=').next().unwrap();
            let said = format!("not understood `{name}` is `odd`, and takes one of {takes}");
            assert_eq!(page.status, 200);
            assert!(
                page.texts("section .gap")[0].starts_with(&said),
                "{list}?{query}: {:?}",
                page.texts("section .gap")
            );
        }
        assert!(!page_of(snapshot(), &format!("{list}?label=&sort=")).await.html.contains("not understood"), "{list}");
    }
    check(
        "/findings?severity=odd&page=2",
        "51 to 100 of 120 findings Before Next",
        "stream S050",
        &["/findings", "/findings?page=3"],
    )
    .await;
}

#[tokio::test]
async fn nothing_found_is_said() {
    assert_eq!(page_of(with(0), "/findings").await.text("#findings .gap"), "none The checks found nothing.");
    let page = page_of(with(9), "/findings?q=nobody").await;
    assert_eq!(page.text("#findings .gap"), "none No finding is like that.");
}

#[tokio::test]
async fn the_overview_has_one_row_for_each_check() {
    let mut many = with(120);
    let other = Finding { check: "limit_near", about: "stream S".to_owned(), ..(*many.findings[0]).clone() };
    many.findings.push(Arc::new(other));
    let page = page_of(many, "/").await;
    let [all, one] = page.texts("#headline .details li").try_into().unwrap();
    assert!(all.starts_with("no_limits: 40 streams It keeps everything for ever. Give it one."), "{all}");
    assert!(all.ends_with("stream S000, stream S003, stream S006 and 37 more"), "{all}");
    assert!(one.starts_with("stream S It keeps everything"), "{one}");
    let links = page.attributes("#headline .details a", "href");
    assert_eq!(links, ["/findings?q=no_limits&severity=warning", "/findings"]);
    assert_eq!(page_of(with(120), &links[0]).await.text(".pager"), "40 findings");
}
