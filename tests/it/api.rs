//! The API: it answers what the pages show, its answers are what its OpenAPI document says, and its failures are JSON too.

mod asked;

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, http::Request};
use serde_json::{Value, json};
use streamgauge::{
    api::ROUTES,
    clock::Clock,
    collector::History,
    config::AccessConfig,
    fault::Kind,
    snapshot::{ConsumerTrend, Failures, Label, Reading, Severity, Snapshot, Watched, Why},
    web::{self, Settings, Web, access::Access},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    pages::{
        accounts::several,
        facts::{TRACE, consumer, count, failed, now, presence, snapshot, stream, verdict, watched, with_app},
        faults::switched,
        traces::of_an_order,
    },
    support::page::Page,
};

fn router_of(snapshot: Snapshot, settings: Settings) -> Router {
    let (_, snapshots) = watch::channel(Arc::new(snapshot));
    web::router(
        Web::new(snapshots, History::default(), settings, Clock::standing_at(now()), CancellationToken::new()),
        Router::new(),
    )
}

/// The status and the answer at a path.
async fn ask(router: &Router, path: &str) -> (u16, Value) {
    let page = Page::of(router, path).await;
    assert_eq!(page.headers["content-type"], "application/json", "{path}");
    let answer = serde_json::from_str(&page.html).unwrap_or_else(|error| panic!("{path}: {error}: {}", page.html));
    (page.status.as_u16(), answer)
}

/// What an answer to a question at `form` is beside what the document says of it.
pub(crate) fn faults_of(document: &Value, form: &str, status: u16, answer: &Value) -> Vec<String> {
    let responses = &document["paths"][format!("/api/v1{form}")]["get"]["responses"];
    let said = &responses[if status == 200 { "200" } else { "default" }]["content"]["application/json"]["schema"];
    assert!(said.is_object(), "{form} is not in the document");
    let schema = json!({ "allOf": [said], "components": document["components"] });
    jsonschema::validator_for(&schema).unwrap().iter_errors(answer).map(|error| error.to_string()).collect()
}

async fn answer_of(snapshot: Snapshot, path: &str) -> (u16, Value) {
    ask(&router_of(snapshot, Settings::default()), path).await
}

/// A world with something of everything, and one in which nothing is known.
fn worlds() -> Vec<Snapshot> {
    let mut full = snapshot();
    let mut troubled = consumer("ORDERS", "troubled");
    troubled.verdict = verdict(Label::Stuck, Severity::Critical, "It hangs.");
    full.streams = count(vec![stream("ORDERS", vec![consumer("ORDERS", "reserve"), troubled])]);
    full.app.gone = presence(false).entries;
    full.app.faults = switched("payments", Kind::Outage, Duration::from_secs(60)).app.faults;
    let mut old = full.clone();
    old.streams = failed().or_last(&old.streams);
    let app = Watched {
        presence: failed(),
        dead_letters: failed(),
        advisories: failed(),
        faults: failed(),
        records: Reading::unknown(Why::Absent, "there is no key-value bucket `records`"),
        ..watched("A")
    };
    let unknown = Snapshot { streams: failed(), app, ..snapshot() };
    vec![full, old, unknown, several()]
}

/// A path of every route.
fn paths() -> Vec<(&'static str, String)> {
    let fill = |path: &str| {
        // What it follows stands in the query.
        let path = path
            .replace("/journey", "/journey?id=m-42")
            .replace("{account}", "A")
            .replace("{stream}", "ORDERS")
            .replace("{consumer}", "reserve");
        format!(
            "/api/v1{}",
            path.replace("{kind}", "order")
                .replace("{key}", "order.7")
                .replace("{trace_id}", TRACE)
                .replace("{sequence}", "42")
        )
    };
    ROUTES.iter().map(|route| (route.path, fill(route.path))).collect()
}

#[tokio::test]
async fn every_answer_is_what_the_document_says() {
    let mut answered = 0;
    for world in worlds() {
        let settings = Settings { traces: of_an_order().await, ..Settings::default() };
        let router = router_of(world, settings);
        let (_, document) = ask(&router, "/api/openapi.json").await;
        for (form, path) in paths() {
            let (status, answer) = ask(&router, &path).await;
            assert_eq!(faults_of(&document, form, status, &answer), Vec::<String>::new(), "{path}: {answer:#}");
            assert!(matches!(status, 200 | 409 | 503), "{path}: {status}");
            answered += usize::from(status == 200);
        }
    }
    assert!(answered > 3 * ROUTES.len() - 3, "most questions have answers: {answered}");
}

#[tokio::test]
async fn the_document_is_strict_enough_to_find_a_wrong_answer() {
    let (_, document) = answer_of(snapshot(), "/api/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    let said =
        &document["paths"]["/api/v1/lag/{stream}/{consumer}"]["get"]["responses"]["200"]["content"]["application/json"];
    let schema = json!({ "allOf": [said["schema"]], "components": document["components"] });
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(!validator.is_valid(&json!({ "lag": "5" })) && !validator.is_valid(&json!({ "lag": -1 })));
    for route in ROUTES {
        let operation = &document["paths"][format!("/api/v1{}", route.path)]["get"];
        let parameters = operation["parameters"].as_array().unwrap();
        assert_eq!(parameters.len(), route.query.len() + route.path.matches('{').count(), "{}", route.path);
    }
}

#[tokio::test]
async fn a_consumer_is_told_of_as_its_page_does() {
    let (status, answer) = answer_of(snapshot(), "/api/v1/consumers/A/ORDERS/reserve").await;
    assert_eq!(status, 200);
    assert_eq!((&answer["state"]["value"]["lag"], &answer["state"]["freshness"]), (&json!(5), &json!("fresh")));
    assert_eq!(answer["state"]["source"], "n1");
    assert_eq!(answer["ages"]["freshness"], "not_yet");
    assert_eq!(answer["ages"]["value"], Value::Null);
    assert_eq!(answer["config"]["ack_wait"], 30_000_000_000_u64);
    assert_eq!(answer["verdict"]["label"], "ok");
}

#[tokio::test]
async fn dead_letters_of_a_consumer_that_nobody_could_count_are_null() {
    for (copies, expected) in [(Some(2), json!(2)), (Some(0), json!(0)), (None, Value::Null)] {
        let mut one = consumer("ORDERS", "reserve");
        one.failures = Reading::known(Failures { copies, ..Failures::default() }, "stream ADVISORIES", now());
        let world = Snapshot { streams: count(vec![stream("ORDERS", vec![one])]), ..snapshot() };
        let router = router_of(world, Settings::default());
        let (_, answer) = ask(&router, "/api/v1/consumers/A/ORDERS/reserve").await;
        assert_eq!(answer["failures"]["value"]["dead_letters"], expected);
        let (_, document) = ask(&router, "/api/openapi.json").await;
        let faults = faults_of(&document, "/consumers/{account}/{stream}/{consumer}", 200, &answer);
        assert_eq!(faults, Vec::<String>::new());
    }
}

#[tokio::test]
async fn lists_are_searched_and_paged_as_the_pages_are() {
    let names = ["a", "b", "c"].map(|name| consumer("ORDERS", name)).to_vec();
    let router =
        router_of(Snapshot { streams: count(vec![stream("ORDERS", names)]), ..snapshot() }, Settings::default());
    let (_, list) = ask(&router, "/api/v1/consumers?sort=name&limit=2&page=2").await;
    assert_eq!((&list["total"], &list["page"], &list["pages"]), (&json!(3), &json!(2), &json!(2)));
    assert_eq!((list["rows"].as_array().unwrap().len(), &list["rows"][0]["name"]), (1, &json!("c")));
    for (query, total) in [("q=b", 1), ("label=stuck", 0), ("label=ok", 3), ("account=B", 0), ("stream=ORDERS", 3)] {
        let (_, list) = ask(&router, &format!("/api/v1/consumers?{query}")).await;
        assert_eq!(list["total"], total, "{query}");
    }
    let (_, list) = ask(&router, "/api/v1/streams?q=order").await;
    assert_eq!(list["total"], 1);
}

#[tokio::test]
async fn a_dead_letter_comes_with_its_headers_and_as_much_payload_as_its_page_shows() {
    let router = router_of(snapshot(), Settings::default());
    let (_, list) = ask(&router, "/api/v1/dead-letters").await;
    assert_eq!((&list["total"], &list["rows"][0]["sequence"]), (&json!(1), &json!(42)));
    assert!(list["missing"][0].as_str().unwrap().starts_with("2 older ones"), "{list}");
    let (_, letter) = ask(&router, "/api/v1/dead-letters/ORDERS/reserve/42").await;
    assert_eq!(letter["headers"], json!({ "ce-type": ["OrderPlaced"] }));
    assert_eq!((&letter["payload_begins"], &letter["attempts"]), (&json!("{\n  \"item\": \"soap\"\n}"), &json!(5)));
    assert_eq!(ask(&router, "/api/v1/dead-letters/ORDERS/reserve/41").await.0, 404);
}

#[tokio::test]
async fn advisories_are_searched_as_their_page_is_and_say_since_when_they_are_known() {
    let router = router_of(snapshot(), Settings::default());
    let (_, all) = ask(&router, "/api/v1/advisories").await;
    assert_eq!((&all["total"], &all["told"], &all["rows"][0]["kind"]), (&json!(3), &json!(20), &json!("exhausted")));
    assert_eq!(all["heard_since"], "2030-01-31T11:50:00Z");
    assert_eq!(all["stored_since"], "2030-01-30T12:00:00Z");
    for (query, total) in [("kind=nak", 1), ("consumer=reserve", 2), ("stream=OTHER", 0), ("q=made&limit=1", 1)] {
        let (_, list) = ask(&router, &format!("/api/v1/advisories?{query}")).await;
        assert_eq!(list["total"], total, "{query}");
    }
    let (_, unknown) = answer_of(with_app(|app| app.advisories = failed()), "/api/v1/advisories").await;
    assert_eq!((&unknown["reason"], &unknown["told"]), (&json!("the dog ate it"), &Value::Null));
}

#[tokio::test]
async fn the_time_that_is_left_is_told_or_null() {
    let mut slow = consumer("ORDERS", "reserve");
    slow.trend = slow.trend.map(|trend| ConsumerTrend { pending_before: 5, acked: 0, passed: 0, ..trend });
    let mut limited = stream("ORDERS", vec![slow]);
    Arc::make_mut(&mut limited.config).max_msgs = 1_534;
    let router = router_of(Snapshot { streams: count(vec![limited]), ..snapshot() }, Settings::default());
    let (_, one) = ask(&router, "/api/v1/consumers/A/ORDERS/reserve").await;
    assert_eq!((&one["eta_seconds"], &one["rates"]["drained_per_second"]), (&json!(3.0), &json!(1.0)));
    let forecast = json!({
        "consumer": "reserve", "when": "2030-01-31T12:01:00Z", "in_seconds": 60.0, "limit": "max_msgs", "messages": 5,
    });
    assert_eq!(one["forecast"], forecast);
    let (_, stream) = ask(&router, "/api/v1/streams/A/ORDERS").await;
    assert_eq!(stream["forecasts"], json!([forecast]));
    let (_, well) = answer_of(snapshot(), "/api/v1/consumers/A/ORDERS/reserve").await;
    assert_eq!((&well["eta_seconds"], &well["forecast"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn the_overview_tells_what_looking_costs_and_which_faults_are_on() {
    let (_, overview) = answer_of(snapshot(), "/api/v1/overview").await;
    assert_eq!(overview["faults"]["freshness"], "absent");
    assert_eq!((&overview["cost"]["requests"], &overview["cost"]["servers_answered"]), (&json!(0), &Value::Null));
    let on = switched("payments", Kind::DropAcks, Duration::from_secs(9));
    let (_, overview) = answer_of(on, "/api/v1/overview").await;
    assert_eq!(overview["faults"]["value"][0]["fault"], "drop-acks");
    let over = switched("payments", Kind::DropAcks, Duration::ZERO);
    assert_eq!(answer_of(over, "/api/v1/overview").await.1["faults"]["value"], json!([]));
}

#[tokio::test]
async fn an_autoscaler_gets_the_true_lag_or_none() {
    let path = "/api/v1/lag/ORDERS/reserve";
    let (status, answer) = answer_of(snapshot(), path).await;
    assert_eq!((status, &answer["lag"]), (200, &json!(5)));

    let mut stale = stream("ORDERS", vec![consumer("ORDERS", "reserve")]);
    if let Reading::Known(fact) = &mut stale.consumers {
        let row = &mut fact.value.rows[0];
        row.state = failed().or_last(&row.state);
    }
    for world in [Snapshot { streams: count(vec![stale]), ..snapshot() }, Snapshot { streams: failed(), ..snapshot() }]
    {
        let (status, answer) = answer_of(world, path).await;
        assert_eq!((status, &answer["error"]["code"]), (503, &json!("unknown")), "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("the dog ate it"), "{answer}");
    }
    assert_eq!(answer_of(snapshot(), "/api/v1/lag/ORDERS/nobody").await.0, 404);
}

#[tokio::test]
async fn of_two_accounts_with_such_a_consumer_one_has_to_be_named() {
    let mut other = stream("ORDERS", vec![consumer("ORDERS", "reserve")]);
    other.account = "B".into();
    if let Reading::Known(fact) = &mut other.consumers {
        fact.value.rows[0].account = "B".into();
    }
    let router = router_of(
        Snapshot { streams: count(vec![stream("ORDERS", vec![consumer("ORDERS", "reserve")]), other]), ..snapshot() },
        Settings::default(),
    );
    let (status, answer) = ask(&router, "/api/v1/lag/ORDERS/reserve").await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("ambiguous")));
    assert_eq!(ask(&router, "/api/v1/lag/ORDERS/reserve?account=B").await.0, 200);
    assert_eq!(ask(&router, "/api/v1/lag/ORDERS/reserve?account=C").await.0, 404);
}

#[tokio::test]
async fn failures_are_json_too() {
    let token = "0123456789abcdef";
    let access = Access::new(&AccessConfig { token: token.parse().ok(), ..AccessConfig::default() }, 7070).unwrap();
    let settings = Settings { access, base_path: "/gauge".parse().unwrap(), ..Settings::default() };
    let router = router_of(snapshot(), settings);
    for path in ["/gauge/api/v1/overview", "/gauge/api/openapi.json", "/gauge/api/v1/nowhere"] {
        let (status, answer) = ask(&router, path).await;
        assert_eq!((status, &answer["error"]["code"]), (401, &json!("refused")), "{path}");
    }
    let open = router_of(snapshot(), Settings::default());
    for path in
        ["/api/v1/nowhere", "/api/v2/overview", "/api/v1/streams/A/NOTHING", "/api/v1/", "/api/v1/consumers/A/ORDERS"]
    {
        let (status, answer) = ask(&open, path).await;
        assert_eq!((status, &answer["error"]["code"]), (404, &json!("not_found")), "{path}");
    }
    let page = Page::answering(&open, Request::post("/api/v1/overview").body(Body::empty()).unwrap()).await;
    assert_eq!((page.status.as_u16(), page.html.contains("only_read")), (405, true));
    let bearer = Request::get("/gauge/api/v1/overview").header("authorization", format!("Bearer {token}"));
    let page = Page::answering(&router, bearer.body(Body::empty()).unwrap()).await;
    assert_eq!(page.status, 200);
}

#[tokio::test]
async fn the_past_is_answered_as_far_as_it_is_kept() {
    let history = History::default();
    history.note(&snapshot()).unwrap();
    let (_, snapshots) = watch::channel(Arc::new(snapshot()));
    let clock = Clock::standing_at(now());
    let router =
        web::router(Web::new(snapshots, history, Settings::default(), clock, CancellationToken::new()), Router::new());
    let (status, past) = ask(&router, "/api/v1/consumers/A/ORDERS/reserve/past").await;
    let last = past["points"].as_array().unwrap().last().unwrap();
    assert_eq!((status, &past["step_seconds"], &last["pending"]), (200, &json!(10.0), &json!(3.0)), "{past}");
    assert_eq!((&last["delivered_per_second"], &last["lag_age_seconds"]), (&json!(5.0), &Value::Null));
    let (status, past) = ask(&router, "/api/v1/streams/A/ORDERS/past?over=24h").await;
    let last = past["points"].as_array().unwrap().last().unwrap();
    assert_eq!((status, &past["step_seconds"], &last["messages"]), (200, &json!(600.0), &json!(1234.0)), "{past}");
    let (status, _) = ask(&router, "/api/v1/streams/A/NOTHING/past").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn what_two_accounts_have_is_asked_for_by_account() {
    let router = router_of(several(), Settings::default());
    let accounts = async |path: &str| {
        let (status, answer) = ask(&router, path).await;
        let rows = answer["rows"].as_array().cloned().unwrap_or_default();
        (status, rows.iter().map(|row| row["account"].as_str().unwrap().to_owned()).collect::<Vec<_>>())
    };
    for path in ["/api/v1/records", "/api/v1/dead-letters"] {
        assert_eq!(accounts(path).await, (200, vec!["A".to_owned(), "B".to_owned()]), "{path}");
        assert_eq!(accounts(&format!("{path}?account=B")).await, (200, vec!["B".to_owned()]), "{path}");
    }
    for path in ["/api/v1/dead-letters/ORDERS/reserve/42", "/api/v1/lag/ORDERS/reserve"] {
        assert_eq!(ask(&router, path).await.1["error"]["code"], "ambiguous", "{path}");
        assert_eq!(ask(&router, &format!("{path}?account=B")).await.0, 200, "{path}");
    }
    let (_, letter) = ask(&router, "/api/v1/dead-letters/ORDERS/reserve/42?account=B").await;
    assert_eq!(letter["account"], "B");
    let (_, overview) = ask(&router, "/api/v1/overview").await;
    assert_eq!((&overview["accounts"][0]["account"], &overview["accounts"][1]["account"]), (&json!("A"), &json!("B")));
    assert_eq!(overview["accounts"][1]["connection"]["user"], "billing");
    let (_, services) = ask(&router, "/api/v1/services").await;
    assert_eq!(services["others"][0]["account"], "B");
    assert_eq!(services["others"][0]["instances"]["value"].as_array().map(Vec::len), Some(1));
    let (_, told) = ask(&router, "/api/v1/advisories?account=B").await;
    assert_eq!((&told["total"], &told["told"]), (&json!(1), &json!(20)));
    assert_eq!(ask(&router, "/api/v1/account?account=B").await.0, 200);
    assert_eq!(ask(&router, "/api/v1/account?account=C").await.0, 404, "nobody gave a user for it");
}

#[tokio::test]
async fn what_an_account_that_is_not_listed_may_hold_is_unknown_and_not_absent() {
    let mut unlisted = several();
    unlisted.others[0].unlisted = Some("the login is refused".to_owned());
    let router = router_of(unlisted, Settings::default());
    assert_eq!(ask(&router, "/api/v1/lag/ORDERS/nobody").await.0, 503);
    assert_eq!(ask(&router, "/api/v1/streams").await.1["reason"], "the login is refused");
    let router = router_of(several(), Settings::default());
    assert_eq!(ask(&router, "/api/v1/lag/ORDERS/nobody").await.0, 404);
}
