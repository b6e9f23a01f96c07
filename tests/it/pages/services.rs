//! The page of services.

use std::{sync::Arc, time::Duration};

use streamgauge::snapshot::{ProbePast, Probed, Snapshot};

use super::{
    facts::{asked, now, snapshot},
    page_of,
};

/// The page when the instance's probes said this, a round every 10 s.
fn with_past(said: Vec<Probed>) -> Snapshot {
    let ago = |rounds: usize| now().before(Duration::from_secs(10) * u32::try_from(rounds).unwrap());
    let rounds = (0..4).rev().map(ago).collect();
    let past = ProbePast { rounds, said: [(("A".to_owned(), "mail.1".to_owned()), said)].into() };
    Snapshot { probes: Arc::new(past), interval: Duration::from_secs(10), ..snapshot() }
}

#[tokio::test]
async fn what_probes_said_is_drawn_and_said_in_words() {
    let said = vec![Probed::Ready, Probed::NotReady, Probed::Unknown, Probed::Ready];
    let page = page_of(with_past(said), "/services").await;
    let words = "4 rounds in the last 30 s: not ready in 1 of them, the last 20 s ago; not heard in 1 of them, the last 10 s ago";
    assert_eq!(page.text("#instance-mail\\.1 .strip"), words);
    let labels = page.attributes(".strip svg", "aria-label").concat();
    assert_eq!(labels.replace('\u{a0}', " "), format!("probes: {words}"));
    let drawn = ["ready", "trouble", "unknown"].map(|class| page.attributes(&format!(".strip .{class}"), "d").concat());
    assert_eq!(drawn, ["M0 12v-3h1v3zM3 12v-3h1v3z", "M1 12v-12h1v12z", "M2 12v-7h1v7z"]);
    let late = page_of(with_past(vec![Probed::Ready, Probed::Ready]), "/services").await;
    assert_eq!(late.text(".strip"), "ready in all 2 rounds of the last 10 s");
    assert_eq!(page_of(snapshot(), "/services").await.count(".strip"), 0);
}

#[tokio::test]
async fn probes_that_were_named_are_told_of_as_they_answer() {
    let asked_probes = Arc::from([asked("mail", Ok(200)), asked("shop", Ok(503)), asked("desk", Err("it is away"))]);
    let said = [((String::new(), "=shop".to_owned()), vec![Probed::Ready, Probed::NotReady])].into();
    let past = ProbePast { rounds: vec![now(), now()], said };
    let page = page_of(Snapshot { asked_probes, probes: Arc::new(past), ..snapshot() }, "/services").await;
    assert_eq!(
        page.texts("#asked th[scope=row]"),
        ["mail http://a/readyz", "shop http://a/readyz", "desk http://a/readyz"]
    );
    let states = ["passes it answers 200", "fails it answers 503", "no answer it is away"];
    assert_eq!(page.texts("#asked .state"), states);
    assert_eq!((page.count("#asked-shop .strip"), page.count("#asked-mail .strip")), (1, 0));
    assert_eq!(page_of(snapshot(), "/services").await.count("#asked"), 0);
}
