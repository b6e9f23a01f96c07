//! The pages in a real browser: kept up to date, used by the keyboard alone, judged by axe-core, and read with scripts off.

mod driver;
mod stage;
mod walk;

use serde_json::{Value, json};

use driver::Browser;
use stage::{FOLLOWED, NOBODY, PAGES, Stage, TRACED, UNREAD, UNTRACED};

/// What a script is told of the stage, and with it what it alone wants to know.
fn told(stage: &Stage, more: &Value) -> Value {
    let pages: Vec<Value> = PAGES.iter().map(|(path, status)| json!({ "path": path, "status": status })).collect();
    let mut told = json!({ "home": stage.home(), "pages": pages, "widths": [320, 1280], "consumer": NOBODY });
    told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    told
}

/// What a script said at a point.
#[track_caller]
fn at<'a>(said: &'a [Value], point: &str) -> &'a Value {
    said.iter().find(|line| line["at"] == point).unwrap_or_else(|| panic!("nothing is said at {point}: {said:?}"))
}

/// Fails with what scripts found wrong, and where.
#[track_caller]
fn has_no_faults(said: &[Value]) {
    let faults: Vec<String> = said.iter().filter(|line| line["faults"] != json!([])).map(Value::to_string).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[tokio::test]
async fn every_page_is_accessible_in_both_colour_schemes_at_both_widths() {
    let Some(browser) = Browser::find("accessibility of the pages") else { return };
    let stage = Stage::set().await;
    let told = told(&stage, &json!({ "schemes": ["light", "dark"] }));
    let mut said = browser.start("axe.mjs", told).ended().await;
    let spoilt = said.pop().unwrap();
    for (word, why) in [
        ("axe", "an image without words"),
        ("cut", "a text that is cut off"),
        ("turned", "a text that turns another"),
        ("console", "an error"),
    ] {
        let faults = spoilt["faults"].as_array().unwrap();
        assert!(faults.iter().any(|fault| fault["by"] == word), "{why} was put there and is not found: {spoilt}");
    }
    assert_eq!(said.len(), PAGES.len() * 4);
    has_no_faults(&said);
}

#[tokio::test]
async fn the_keyboard_alone_reaches_all_and_shows_where_it_is() {
    const PLACES: [&str; 11] = [
        "Overview",
        "Map",
        "Consumers",
        "Streams",
        "Findings",
        "Dead letters",
        "Advisories",
        "Services",
        "Records",
        "Traces",
        "Servers",
    ];
    let Some(browser) = Browser::find("the pages by keyboard") else { return };
    let stage = Stage::set().await;
    let said = browser.start("keyboard.mjs", told(&stage, &json!({}))).ended().await;
    let walks: Vec<&Value> = said.iter().filter(|line| line["places"].is_array()).collect();
    assert_eq!(walks.len(), PAGES.len());
    for walk in walks {
        let places = walk["places"].as_array().unwrap();
        assert_eq!(places[0]["href"], "#main", "the way past the navigation comes first: {walk}");
        let hidden: Vec<&Value> = places.iter().filter(|place| place["isSeen"] == false).collect();
        assert!(hidden.is_empty(), "on {} the focus cannot be seen at {hidden:?}", walk["at"]);
        let within = |place: &str| places.iter().filter(|found| found["place"] == place).collect::<Vec<_>>();
        let names: Vec<&str> = within("nav").iter().map(|found| found["name"].as_str().unwrap()).collect();
        assert_eq!(names, PLACES, "{}", walk["at"]);
        let is_linked = within("main").iter().any(|found| found["href"] == NOBODY);
        assert!(is_linked || !["/", "/consumers"].contains(&walk["at"].as_str().unwrap()), "{walk}");
    }
    assert_eq!(at(&said, "skipped")["place"], "main");
    assert_eq!(at(&said, "updated")["href"], NOBODY, "an update takes the focus away");
    let opened = at(&said, "opened");
    assert_eq!((&opened["names"], &opened["heading"]), (&json!(["mail"]), &json!("mail")));
    let filtered = at(&said, "filtered")["names"].as_array().unwrap();
    assert!(filtered.contains(&json!("mail")) && !filtered.contains(&json!("idle")), "{filtered:?}");
    has_no_faults(&said[said.len() - 1..]);
}

#[tokio::test]
async fn open_pages_are_kept_up_to_date_and_say_when_they_are_not() {
    let Some(browser) = Browser::find("live pages") else { return };
    let mut stage = Stage::set().await;
    let pending = [UNREAD + 2, UNREAD + 3, UNREAD + 4].map(|count| count.to_string());
    let cell = r"#consumer\.APP\.ORDERS\.mail [data-label=Pending] .number";
    let session = browser.start("live.mjs", told(&stage, &json!({ "pending": pending, "cell": cell })));
    session.reaches("open").await;
    stage.publish(2).await;
    session.reaches("hidden").await;
    stage.publish(1).await;
    session.reaches("shown").await;
    stage.nats.freeze();
    session.reaches("stale").await;
    stage.nats.thaw();
    session.reaches("fresh").await;
    stage.lose_observer().await;
    session.reaches("disconnected").await;
    stage.publish(1).await;
    stage.observe().await;
    let said = session.ended().await;
    for point in ["updated", "shown"] {
        has_no_faults(&[at(&said, point).clone()]);
    }
    assert_eq!(at(&said, "disconnected")["words"], "disconnected: trying again");
    at(&said, "back");
}

#[tokio::test]
async fn without_scripts_every_page_can_be_read_and_lists_can_be_searched() {
    let Some(browser) = Browser::find("pages without scripts") else { return };
    let stage = Stage::set().await;
    let sentence = stage.consumer().await.unwrap()["verdict"]["sentence"].as_str().unwrap().to_owned();
    let said = browser.start("plain.mjs", told(&stage, &json!({}))).ended().await;
    has_no_faults(&said);
    for (path, _) in PAGES {
        let page = at(&said, path);
        let text = page["text"].as_str().unwrap();
        let rows = page["rows"].as_array().unwrap();
        let (words, has_rows) = match path {
            "/" => ("consumers need you", true),
            "/consumers" => ("no workers for", true),
            NOBODY => (sentence.as_str(), false),
            "/streams" | "/streams/APP/ORDERS" => ("ORDERS", true),
            "/findings" => ("It keeps everything for ever.", true),
            "/map" => ("From publisher to handler", true),
            "/dead-letters" => ("ORDERS.mail.2", true),
            "/advisories" => ("What servers tell unasked", false),
            "/dead-letters/ORDERS/mail/2" => ("streamgauge dlq replay ORDERS.mail.2", false),
            "/services" => ("mailer", true),
            "/records" | "/records/order" => ("by storefront", true),
            "/servers" => ("n1", true),
            "/traces?stream=ORDERS" => ("Searched 1 of 1 trace", true),
            TRACED => ("What failed", true),
            UNTRACED => ("it made room for newer ones", false),
            FOLLOWED => ("inventory-reserve tried to handle", true),
            "/journey?id=nothing" => ("Nothing mentions it", true),
            "/nowhere" => ("Nothing is shown at this address.", false),
            _ => ("No workers for", false),
        };
        assert!(text.contains(words), "{path} does not show `{words}`:\n{text}");
        assert!(!has_rows || !rows.is_empty(), "{path} has no rows:\n{text}");
    }
    assert_eq!(at(&said, "searched")["rows"], json!(["idle"]));
}
