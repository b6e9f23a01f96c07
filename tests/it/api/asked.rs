//! What is asked of the API and makes no sense is told, with what would.

use serde_json::json;
use streamgauge::web::Settings;

use super::{ask, router_of};
use crate::pages::{facts::snapshot, traces::of_an_order};

#[tokio::test]
async fn a_page_that_a_list_does_not_have_is_a_failure() {
    let router = router_of(snapshot(), Settings::default());
    for list in ["consumers", "streams", "findings", "advisories", "dead-letters", "records"] {
        for (page, status, code, part) in [
            ("2", 404, "not_found", "there is no page 2: the list has 1 page"),
            ("0", 400, "unclear", "`0` is no page"),
            ("-1", 400, "unclear", "`-1` is no page"),
            ("x", 400, "unclear", "`x` is no page"),
        ] {
            let (was, answer) = ask(&router, &format!("/api/v1/{list}?page={page}")).await;
            assert_eq!((was, &answer["error"]["code"]), (status, &json!(code)), "{list} {page}");
            assert!(answer["error"]["message"].as_str().unwrap().starts_with(part), "{list}: {answer}");
        }
        for page in ["", "1"] {
            assert_eq!(ask(&router, &format!("/api/v1/{list}?page={page}")).await.0, 200, "{list} {page}");
        }
    }
}

#[tokio::test]
async fn what_is_asked_for_and_makes_no_sense_is_a_failure_that_says_what_would() {
    let router = router_of(snapshot(), Settings { traces: of_an_order().await, ..Settings::default() });
    let number = "a whole number from 1 to 1000";
    for list in ["consumers", "streams", "findings", "advisories", "dead-letters", "records", "records/order", "traces"]
    {
        for wrong in ["x", "0", "-1", "1001"] {
            let (status, answer) = ask(&router, &format!("/api/v1/{list}?limit={wrong}")).await;
            let expected = json!({ "code": "unclear", "message": format!("`limit` is `{wrong}`, and takes {number}") });
            assert_eq!((status, &answer["error"]), (400, &expected), "{list}");
        }
        for fine in ["", "1", "1000", "+7+"] {
            assert_eq!(ask(&router, &format!("/api/v1/{list}?limit={fine}&utm=x")).await.0, 200, "{list} {fine}");
        }
    }
    for (path, part) in [
        ("consumers?label=odd", "`label` is `odd`, and takes losing or "),
        ("consumers?sort=size", "`sort` is `size`, and takes worst or lag or "),
        ("streams?sort=lag", "`sort` is `lag`, and takes worst or size or messages or "),
        ("advisories?kind=odd", "`kind` is `odd`, and takes exhausted or "),
        ("findings?severity=ok", "`severity` is `ok`, and takes notice or warning or critical"),
        ("consumers/A/ORDERS/reserve/past?over=week", "`over` is `week`, and takes 10m or 2h or 24h"),
        ("map?at=soon", "`at` is `soon`, and takes a time such as 2030-01-31T12:00"),
        ("map?over=1h", "`over` is `1h`, and takes 10m or"),
        ("map?focus=odd", "`focus` is `odd`, and takes `service:`"),
        ("traces?before=x", "`before` is `x`, and takes a whole number from 0 on"),
        ("journey?id=m-42&from=oldest", "`from` is `oldest`, and takes newest"),
    ] {
        let (status, answer) = ask(&router, &format!("/api/v1/{path}")).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!("unclear")), "{path}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().starts_with(part), "{path}: {answer}");
    }
    let (_, document) = ask(&router, "/api/openapi.json").await;
    let said = |path: &str, name: &str| {
        let parameters = document["paths"][format!("/api/v1{path}")]["get"]["parameters"].as_array().unwrap();
        parameters.iter().find(|parameter| parameter["name"] == name).unwrap()["schema"].clone()
    };
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": 1000 });
    assert_eq!(said("/consumers", "limit"), limit);
    assert_eq!(said("/consumers", "sort")["enum"][1], "lag");
    assert_eq!(said("/streams/{account}/{stream}/messages", "before")["type"], "integer");
}
