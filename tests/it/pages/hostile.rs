//! Names and texts that somebody chose to do harm: they stay text on every page.

use std::{sync::Arc, time::Duration};

use streamgauge::{
    config::{ToolUrl, ToolsConfig},
    fault::Kind,
    snapshot::{Bucket, Consumer, Failures, Finding, Label, Origin, Reading, Severity, Snapshot},
    web::Settings,
};
use tokio::sync::watch;

use super::{
    PAGES,
    facts::{self, consumer, count, now, order, presence, snapshot, stream, verdict},
    faults, page_of, router_with, traces,
};
use crate::support::page::Page;

/// The account that is called [`HOSTILE_NAME`], in an address.
const HOSTILE_ACCOUNT: &str = "%2F%3Cb%3E%3F%23";
const HOSTILE_NAME: &str = "/<b>?#";

const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u{202e}\n\r\0{{ 7 }}";

#[tokio::test]
async fn hostile_names_stay_text() {
    for tools in [ToolsConfig::default(), every_tool()] {
        let name = "%3Cimg%22'%26%3Dx";
        let of_them =
            [format!("/streams/{HOSTILE_ACCOUNT}/{name}"), format!("/consumers/{HOSTILE_ACCOUNT}/{name}/{name}")];
        let others = PAGES.into_iter().filter(|path| !path.contains("/A/ORDERS")).map(str::to_owned);
        let mapped = format!("/map?focus=stream:{}/{}", HOSTILE_ACCOUNT.replace('%', "%25"), name.replace('%', "%25"));
        let searched = "/consumers?q=%3Cimg&sort=%3Cscript%3E&page=99".to_owned();
        for path in others.chain(of_them).chain([searched, mapped]) {
            let (_sender, snapshots) = watch::channel(Arc::new(hostile()));
            let settings =
                Settings { tools: tools.clone(), traces: traces::of_an_order().await, ..Settings::default() };
            let page = Page::of(&router_with(snapshots, settings), &path).await;
            assert_eq!(page.status, 200, "{path}");
            assert_eq!((page.count("script"), page.count("img"), page.count("[onerror]")), (1, 0, 0), "{path}");
            let links = page.attributes("a", "href");
            assert!(links.iter().all(|link| link.starts_with(['/', '#']) || is_of_tool(link)), "{path} {links:?}");
            assert!(page.html.len() < 100_000, "{path}: {} bytes", page.html.len());
        }
    }
    let page = page_of(hostile(), "/records").await;
    assert!(page.text(".about").contains("<script>alert(1)</script>"), "{}", page.html);
    assert!(page.text("code.trace").contains("<script>alert(1)</script>"), "{}", page.html);
}

/// A tool that asks for every name, in quotes and without.
fn every_tool() -> ToolsConfig {
    let address = "http://tool/at/{stream}?name={consumer}&of=\"{account}\"";
    ToolsConfig {
        trace_url: vec![ToolUrl::of_traces("http://tool/at/{trace_id}").unwrap()],
        log_url: vec![ToolUrl::of_logs("http://tool/at/{service}?name=&of=").unwrap()],
        metric_url: vec![
            ToolUrl::of_metrics(address).unwrap(),
            ToolUrl::of_metrics("http://tool/at/{stream}?name=&of=").unwrap(),
        ],
    }
}

/// Whether a link leads to where the operator said, whatever the names in it are.
fn is_of_tool(link: &str) -> bool {
    let url = url::Url::parse(link).unwrap();
    let parts = url.path_segments().unwrap().count();
    url.host_str() == Some("tool")
        && parts == 2
        && matches!(url.query_pairs().count(), 0 | 2)
        && !link.contains(['"', '<', '\''])
}

fn hostile() -> Snapshot {
    let name = "<img\"'&=x";
    let mut hostile = snapshot();
    let mut row = stream(name, vec![consumer(name, name)]);
    let config = Arc::make_mut(&mut row.config);
    config.description = HOSTILE.to_owned();
    config.subjects = vec![HOSTILE.to_owned(), "x".repeat(1_000_000)];
    config.metadata.insert(HOSTILE.to_owned(), HOSTILE.to_owned());
    config.mirror = Some(Origin { name: HOSTILE.to_owned() });
    row.account = HOSTILE_NAME.into();
    if let Reading::Known(list) = &mut row.consumers {
        spoil(&mut list.value.rows[0]);
    }
    hostile.findings = vec![Arc::new(Finding {
        check: "no_limits",
        severity: Severity::Critical,
        account: None,
        about: HOSTILE.to_owned(),
        sentence: HOSTILE.repeat(10_000),
        evidence: HOSTILE.repeat(10_000),
        next_step: HOSTILE.to_owned(),
        since: None,
    })];
    hostile.streams = count(vec![row]);
    hostile.app.contact.url = HOSTILE.to_owned();
    hostile.app.contact.server = Some((HOSTILE.to_owned(), HOSTILE.to_owned()));
    let mut bucket = presence(false);
    let instance = &mut bucket.entries[0];
    (instance.value.service, instance.value.instance) = (HOSTILE.to_owned(), HOSTILE.to_owned());
    instance.value.address = Some(HOSTILE.to_owned());
    instance.value.probes.ready.parts[0].reason = HOSTILE.to_owned();
    instance.value.probes.ready.parts[0].age_seconds = f64::NAN;
    hostile.app.presence = Reading::known(bucket, HOSTILE, now());
    let mut record = order("7");
    record.value.id = HOSTILE.to_owned();
    record.value.kind = HOSTILE.to_owned();
    record.value.summary = HOSTILE.to_owned();
    record.value.reason = Some(HOSTILE.to_owned());
    record.value.trace_id = Some(HOSTILE.to_owned());
    let bucket = Bucket { entries: vec![record], deleted: Vec::new(), malformed: 2, is_cut: true, lacks_newest: false };
    hostile.app.records = Reading::known(bucket, HOSTILE, now());
    let mut letters = facts::letters();
    let letter = &mut letters.rows[0];
    (letter.reason, letter.class, letter.subject) = (HOSTILE.repeat(10_000), HOSTILE.to_owned(), HOSTILE.to_owned());
    letter.headers = vec![(HOSTILE.to_owned(), HOSTILE.to_owned())];
    letter.trace_id = Some(HOSTILE.to_owned());
    letter.head = [HOSTILE.as_bytes(), b"\xff\xfe"].concat();
    hostile.app.dead_letters = Reading::known(Arc::new(letters), HOSTILE, now());
    let mut advisories = facts::advisories();
    advisories.account = HOSTILE_NAME.into();
    for row in &mut advisories.rows {
        row.account = HOSTILE_NAME.into();
        (row.stream, row.consumer) = (name.parse().ok(), name.parse().ok());
        (row.id, row.reason, row.sentence) =
            (format!("{}{HOSTILE}", row.id), HOSTILE.to_owned(), HOSTILE.repeat(10_000));
    }
    hostile.app.advisories = Reading::known(Arc::new(advisories), HOSTILE, now());
    hostile.app.faults = faults::switched(HOSTILE, Kind::Hang, Duration::from_secs(9)).app.faults;
    hostile
}

fn spoil(consumer: &mut Consumer) {
    consumer.account = HOSTILE_NAME.into();
    let config = Arc::make_mut(&mut consumer.config);
    config.description = HOSTILE.repeat(10_000);
    config.filter_subject = HOSTILE.repeat(10_000);
    config.deliver_subject = HOSTILE.to_owned();
    config.metadata.insert(HOSTILE.to_owned(), HOSTILE.repeat(10_000));
    consumer.verdict = verdict(Label::Stopped, Severity::Critical, HOSTILE);
    consumer.verdict.evidence = vec![HOSTILE.to_owned()];
    let failures = Failures { exhausted: 1, reason: HOSTILE.repeat(10_000), ..Failures::default() };
    consumer.failures = Reading::known(failures, HOSTILE, now());
}
