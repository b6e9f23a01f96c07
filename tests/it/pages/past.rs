//! The past of a consumer and of a stream, as it is drawn.

use super::*;

/// A page after one round that was taken down.
async fn page_after(round: &Snapshot, path: &str) -> Page {
    let history = History::default();
    history.note(round).unwrap();
    Page::of(&router_after(round.clone(), history, Settings::default()), path).await
}

#[tokio::test]
async fn a_consumers_past_is_drawn_and_said_in_words() {
    let page = page_after(&snapshot(), "/consumers/A/ORDERS/reserve").await;
    let captions = page.texts("#past figcaption");
    assert_eq!(captions[0], "Lag pending 3 ack pending 2 at most 3 in 10 s");
    assert_eq!(captions[2], "Rates delivered 5.0/s acked 5.0/s at most 5.0/s in 10 s");
    assert_eq!(captions[1], "Age oldest unprocessed unknown", "what was not read is no zero");
    assert!(page.attributes("#chart-lag path.line", "d").iter().all(|path| path.starts_with('M')), "{}", page.html);
    assert!(page.text("#past .sources").contains("kept in memory"), "{}", page.text("#past .sources"));
}

#[tokio::test]
async fn with_a_folder_it_is_said_which_part_of_the_past_outlives_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::in_folder(folder.path(), now()).unwrap();
    history.note(&snapshot()).unwrap();
    let router = router_after(snapshot(), history, Settings::default());
    for (over, said) in [
        ("", "kept in memory, until this program ends; that of 2 hours and of 24 hours is on disk."),
        ("?over=2h", "kept on disk."),
    ] {
        let sources = Page::of(&router, &format!("/streams/A/ORDERS{over}")).await.text("#past .sources");
        assert!(sources.contains(said), "{over}: {sources}");
    }
}

#[tokio::test]
async fn how_far_back_it_goes_has_an_address() {
    let page = page_after(&snapshot(), "/streams/A/ORDERS?over=24h").await;
    assert_eq!(page.text("#past h2"), "The last 24 hours");
    assert_eq!(page.text("#past .spans [aria-current]"), "24 hours");
    let links = page.attributes("#past .spans a", "href");
    assert_eq!(links, ["/streams/A/ORDERS", "/streams/A/ORDERS?over=2h", "/streams/A/ORDERS?over=24h"]);
    assert_eq!(page.texts("#chart-messages .key"), ["messages 1,234"]);
}

#[tokio::test]
async fn before_the_first_round_there_is_nothing_to_draw_and_that_is_said() {
    let page = page_of(snapshot(), "/consumers/A/ORDERS/reserve").await;
    assert_eq!(page.count("#past svg"), 0);
    assert!(page.text("#past .gap").starts_with("Nothing was read of it yet"));
}
